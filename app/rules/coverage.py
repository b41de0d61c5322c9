"""Safe figures: coverage bands, rounding, suppression. `unknown` is never 0.

For hubs and above: counts rounded to 5, a base of at least 10, rates from the rounded counts, and enough
cells withheld that none follows from a total. A school's own figures are exact: it may use `band` and
`percent` directly.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.rules.words import CoverageBand

ROUND_TO: Final = 5
SMALLEST_BASE: Final = 10


class FigureState(StrEnum):
    """Whether a figure is shown. `withheld`: too few, or another would follow. `unknown`: the data is not
    there.
    """

    KNOWN = "known"
    WITHHELD = "withheld"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Cell:
    """An exact figure: how many of how many. None: the school has no data."""

    reached: int | None
    base: int | None

    def __post_init__(self) -> None:
        if self.reached is not None and self.base is not None and not 0 <= self.reached <= self.base:
            raise ValueError("a part is between nothing and the whole")

    @property
    def known(self) -> bool:
        """Whether there is data."""
        return self.reached is not None and self.base is not None


@dataclass(frozen=True)
class Figure:
    """A figure as shown: rounded counts, the rate in per cent from them, and its band."""

    state: FigureState
    reached: int | None = None
    base: int | None = None
    percent: int | None = None
    band: CoverageBand = CoverageBand.UNKNOWN


@dataclass(frozen=True)
class Table:
    """Figures of a set and its total. `partial`: some of the set is unknown and the total leaves it out."""

    cells: Mapping[str, Figure]
    total: Figure
    partial: bool


def rounded(count: int) -> int:
    """The nearest multiple of 5: 12 is 10, 13 is 15. Refuses a negative count with ValueError."""
    if count < 0:
        raise ValueError("a count is never negative")
    return (count + ROUND_TO // 2) // ROUND_TO * ROUND_TO


def percent(reached: int, base: int) -> int | None:
    """A whole per cent, rounded half up, but 0 only for none and 100 only for all; None of an empty base."""
    if base == 0:
        return None
    if reached in (0, base):
        return 100 * reached // base
    return min(99, max(1, (200 * reached + base) // (2 * base)))


def band(reached: int | None, base: int | None) -> CoverageBand:
    """The band of a share. `0` is nobody and `100` everybody; `unknown` without data or without anybody to
    count.
    """
    if reached is None or not base:
        return CoverageBand.UNKNOWN
    if reached == 0:
        return CoverageBand.NONE
    if reached == base:
        return CoverageBand.ALL
    limits = ((25, CoverageBand.TO_25), (50, CoverageBand.TO_50), (75, CoverageBand.TO_75))
    return next((name for limit, name in limits if 100 * reached <= limit * base), CoverageBand.TO_99)


def withheld(bases: Mapping[str, int], sets: Sequence[Collection[str]]) -> frozenset[str]:
    """Which cells to hold back, so that none follows from the total of any of these sets.

    A base under 10 is held back; then in each set whose total is shown, while exactly one is held back or
    those held back count fewer than 10 together, the smallest other goes too. Sets may share cells (the rows
    and the columns of a table): it goes round until nothing changes.
    """
    hidden = {key for key, base in bases.items() if base < SMALLEST_BASE}
    while extra := {key for cells in sets if (key := _next_to_hide(bases, cells, hidden)) is not None}:
        hidden |= extra
    return frozenset(hidden)


def _next_to_hide(bases: Mapping[str, int], cells: Collection[str], hidden: set[str]) -> str | None:
    if not _follows([bases[key] for key in cells if key in hidden]):
        return None
    shown = sorted((bases[key], key) for key in cells if key not in hidden)
    return shown[0][1] if shown else None


def figure(cell: Cell) -> Figure:
    """One figure alone, made safe."""
    if cell.reached is None or cell.base is None:
        return Figure(FigureState.UNKNOWN)
    if cell.base < SMALLEST_BASE:
        return Figure(FigureState.WITHHELD)
    reached, base = rounded(cell.reached), rounded(cell.base)
    return Figure(FigureState.KNOWN, reached, base, percent(reached, base), band(reached, base))


def publish(cells: Mapping[str, Cell]) -> Table:
    """A set of figures that add up to a total, made safe together.

    The total counts what is known; it is `unknown` if nothing is, and held back if a cell would follow from
    it.
    """
    known = {key: cell for key, cell in cells.items() if cell.known}
    bases = {key: cell.base or 0 for key, cell in known.items()}
    hidden = withheld(bases, [bases])
    shown = {key: _shown(key, cell, hidden) for key, cell in cells.items()}
    unsafe = _follows([bases[key] for key in hidden])
    total = Figure(FigureState.WITHHELD) if unsafe else figure(total_of(cells.values()))
    return Table(shown, total, partial=len(known) < len(cells))


def _shown(key: str, cell: Cell, hidden: Collection[str]) -> Figure:
    return Figure(FigureState.WITHHELD) if key in hidden else figure(cell)


def _follows(held: Sequence[int]) -> bool:
    return len(held) == 1 or (bool(held) and sum(held) < SMALLEST_BASE)


def total_of(cells: Iterable[Cell]) -> Cell:
    """The sum of the known cells; unknown if none is."""
    known = [
        (cell.reached, cell.base) for cell in cells if cell.reached is not None and cell.base is not None
    ]
    if not known:
        return Cell(None, None)
    return Cell(sum(reached for reached, _ in known), sum(base for _, base in known))
