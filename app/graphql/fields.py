"""A field that a method answers: strawberry's decorator, with a type that mypy can follow."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def answers(description: str) -> Callable[[F], F]:
    """The method below is a field of this description."""

    def made(method: F) -> F:
        return cast("F", strawberry.field(resolver=method, description=description))

    return made
