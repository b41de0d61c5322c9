"""The events that the present request has announced: for its line in the log, and its trace."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.core import traces

_announced: ContextVar[list[str] | None] = ContextVar("announced", default=None)


@contextmanager
def noted() -> Iterator[list[str]]:
    """While the block lasts, the list takes the ids of events as they are announced. They count once it is committed."""
    ids: list[str] = []
    token = _announced.set(ids)
    try:
        yield ids
    finally:
        _announced.reset(token)


def note(events: Iterable[tuple[str, str]]) -> None:
    """Events were written in the present transaction, by id and type."""
    ids = _announced.get()
    if ids is not None:
        told = list(events)
        ids.extend(identifier for identifier, _ in told)
        traces.announced(told)
