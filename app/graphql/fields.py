"""A field that a method answers: strawberry's decorator, with a type that mypy can follow; and large whole numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NewType, TypeVar, cast

import strawberry

if TYPE_CHECKING:
    Whole = int
else:
    Whole = NewType("Whole", int)
    """Money, minutes and targets: an Int of GraphQL ends at 2,147,483,647, which is 21 million pounds in pence."""

F = TypeVar("F", bound=Callable[..., Any])


def answers(description: str) -> Callable[[F], F]:
    """The method below is a field of this description."""

    def made(method: F) -> F:
        return cast("F", strawberry.field(resolver=method, description=description))

    return made
