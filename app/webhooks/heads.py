"""Where claims begin: per endpoint with something due, the moment at which its first live delivery became due.

A hint and no more. What it has forgotten, or never heard of, is found by the next look; the queue alone decides.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

Head = tuple[UUID, datetime]

NARROW, WIDE = timedelta(seconds=0.25), timedelta(seconds=5)
"""How far behind the last look one begins: a transaction may commit what became due before that look."""
SOON, AGAIN = 0.05, 1.0
"""Seconds between looks while there is enough to claim without one; between wide ones."""


class Heads:
    """The endpoints of one lane in the order of their turns; one that was visited goes to the end."""

    def __init__(self) -> None:
        self._lows: dict[UUID, datetime] = {}
        self._looked: datetime | None = None
        self._look_at = self._wide_at = 0.0

    def __len__(self) -> int:
        return len(self._lows)

    @property
    def complete(self) -> bool:
        """Whether everything that was due at some moment has been heard of."""
        return self._looked is not None

    def first(self, most: int) -> Sequence[Head]:
        """Up to so many whose turn it is."""
        return [head for head, _ in zip(self._lows.items(), range(most), strict=False)]

    def since(self, now: float, *, wanted: bool) -> datetime | None:
        """From when on to look what has become due; None: not now. `now` is the clock of the loop, in seconds."""
        if self._looked is None or (now < self._look_at and not wanted):
            return None
        self._look_at = now + SOON
        if now < self._wide_at:
            return self._looked - NARROW
        self._wide_at = now + AGAIN
        return self._looked - WIDE

    def looked(self, at: datetime | None) -> None:
        """Everything due at that moment has been found, but for what was not committed yet."""
        self._looked = at or self._looked

    def found(self, heads: Iterable[Head]) -> None:
        """Something became due for these; one that is known keeps its place and the earlier moment."""
        for endpoint, low in heads:
            self._lows[endpoint] = min(low, self._lows.get(endpoint, low))

    def visited(self, endpoint: UUID, low: datetime | None) -> None:
        """Its first live delivery is due since then; None: it has none that is due."""
        self._lows.pop(endpoint, None)
        if low is not None:
            self._lows[endpoint] = low
