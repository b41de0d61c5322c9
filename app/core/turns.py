"""Long work in slices: at most SLICE rows, or a few milliseconds, and then everybody else has a turn."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

SLICE: Final = 50
"""Rows that are handled, and of a large body written, before others have their turn."""
_BUSY: Final = 0.004
"""Seconds after which others have their turn, however few rows were handled."""

One = TypeVar("One")
Got = TypeVar("Got")


class Turns:
    """Counts what was handled since others last had their turn."""

    def __init__(self) -> None:
        """The first slice begins now."""
        self._count, self._began = 0, time.perf_counter()

    async def next(self) -> None:
        """Another row is done."""
        self._count += 1
        if self._count >= SLICE or time.perf_counter() - self._began > _BUSY:
            await asyncio.sleep(0)
            self._count, self._began = 0, time.perf_counter()


async def each(rows: Iterable[One], act: Callable[[One], Got]) -> list[Got]:
    """What `act` makes of each row, in order."""
    turns, found = Turns(), []
    for row in rows:
        found.append(act(row))
        await turns.next()
    return found


def slices(rows: Sequence[One], at_once: int) -> Iterator[Sequence[One]]:
    """The same in parts of `at_once`; one empty part for nothing."""
    for begins in range(0, max(len(rows), 1), max(at_once, 1)):
        yield rows[begins : begins + at_once]


def weighed(rows: Sequence[One], weight: Callable[[One], int], most: int) -> Iterator[Sequence[One]]:
    """The same in parts of SLICE rows at most, and fewer where they weigh more than `most` together."""
    part: list[One] = []
    together = 0
    for row in rows:
        heavy = weight(row)
        if part and (len(part) == SLICE or together + heavy > most):
            yield part
            part, together = [], 0
        part.append(row)
        together += heavy
    yield part
