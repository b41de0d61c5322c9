"""A programme's figures: its strands side by side, its targets with a forecast, its money. Pure.

Each figure comes with how many it stands on and a 95 % interval, and strands are not ranked: schools were not drawn
by lot, so a difference between two strands may be one between their schools. Whoever holds the rows of all schools of the
part reads exact figures. For everybody else they are rounded and withheld as coverage is (`rules/coverage`): counts to
5, minutes to 300, shares, means and intervals from what is shown, groups of fewer than 10 young people withheld and so
much beside them that none follows from the whole. Employers are no children: their answers are withheld under 5 requests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.core.db import Row
from app.dashboards.suppression import Sums
from app.rules import coverage, intervals
from app.rules.coverage import Cell, Figure, FigureState
from app.rules.intervals import Interval

DAY_MINUTES: Final = 300
FEWEST_REQUESTS: Final = 5
_HOUR: Final = 3_600
_WIDTH_TO: Final = 5  # minutes to which the half-width of a mean is rounded for hubs

_KNOWN, _WITHHELD, _UNKNOWN = FigureState.KNOWN, FigureState.WITHHELD, FigureState.UNKNOWN


class Part(StrEnum):
    """Whose part of a programme was counted."""

    WHOLE = "whole"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, in per cent, with Wilson's interval. Numbers are None where it is withheld or unknown."""

    state: FigureState
    count: int | None = None
    base: int | None = None
    percent: int | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A number made of `n` others, with its interval; None where there are too few for one."""

    state: FigureState
    value: float | None = None
    n: int | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """One strand, or the whole programme, as this caller may be shown it. Pence, minutes and hours."""

    state: FigureState
    part: Part
    rounded: bool
    schools: int
    schools_unknown: int
    young_people: int | None
    minutes: int | None
    days: int | None
    minutes_each: Measure
    days_each: Measure
    bm5: Share
    bm6: Share
    no_shows: Share
    cost: Measure
    cost_to_programme: Measure
    response: Measure
    answered: Share


@dataclass(frozen=True, slots=True)
class Sheet:
    """All of one programme: its figures by strand, and of the whole."""

    whole: Figures
    strands: Mapping[UUID, Figures]

    def of(self, strand_id: UUID | None) -> Figures | None:
        """The figures of a strand, or of the whole; None for a strand that is none of the programme's."""
        return self.whole if strand_id is None else self.strands.get(strand_id)


def sheets(rows: Iterable[Row]) -> dict[UUID, Sheet]:
    """The sheet of each programme that the caller may count, from the rows of `sql.programme_figures`."""
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row["programme_id"], []).append(row)
    return {key: _sheet(mine) for key, mine in found.items()}


def _sheet(rows: Sequence[Row]) -> Sheet:
    held = frozenset[str]() if all(row["exact"] for row in rows) else _held(rows)
    shown = {_name(row): _figures(row, held) for row in rows if row["grouped"] != "none"}
    return Sheet(shown.pop("all"), {UUID(name): one for name, one in shown.items()})


def _name(row: Row) -> str:
    return str(row["strand_id"]) if row["grouped"] == "strand" else str(row["grouped"])


# --- what is withheld ---------------------------------------------------------------------------------


_RANKS: Final = {"none": 0, "strand": 1, "all": 2}
"""What is given up first. What was booked without a strand is never shown, and so costs nothing."""


def _held(rows: Sequence[Row]) -> frozenset[str]:
    """Which groups are withheld, as `what|group`: people reached or expected, hours that were paid for, answers."""
    bases: dict[str, int] = {}
    ranks: dict[str, int] = {}
    sums: dict[str, set[str]] = {}
    for row in rows:
        for what, base in _bases(row).items():
            key = f"{what}|{_name(row)}"
            if base:  # nobody is no part of any sum, and nobody's figure
                bases[key], ranks[key] = base, _RANKS[row["grouped"]]
                if what not in {"costed", "uncosted"}:  # of these, only that people are their sum
                    sums.setdefault(what, set()).add(key)
                if what in {"people", "costed", "uncosted"}:
                    sums.setdefault(f"people|{_name(row)}", set()).add(key)
    return Sums(bases, ranks).held(sums.values())


def _bases(row: Row) -> dict[str, int]:
    return {
        "people": row["young_people"],
        "expected": row["expected_people"],
        "costed": row["costed_people"],
        "uncosted": row["young_people"] - row["costed_people"] if row["spent"] else 0,
        # Requests are withheld under 5 where people are under 10: twice their number obeys the same law.
        "asked": _requests(row) * coverage.SMALLEST_BASE // FEWEST_REQUESTS,
    }


def _requests(row: Row) -> int:
    return len(row["seconds"]) + int(row["lapsed"])


# --- what is shown ------------------------------------------------------------------------------------


def _figures(row: Row, held: frozenset[str]) -> Figures:
    state, exact = _state(row, held), row["exact"]
    known = state is _KNOWN
    people = _count(row["young_people"], exact=exact) if known else None
    minutes = _minutes(row["minutes"], exact=exact) if known else None
    days = _count(row["days"], exact=exact) if known else None
    missed = _WITHHELD if state is _WITHHELD or _is_held(row, held, "expected") else _KNOWN
    asked = _WITHHELD if _is_held(row, held, "asked") else _KNOWN
    paid = _WITHHELD if state is _WITHHELD or _is_held(row, held, "costed") else _KNOWN
    return Figures(
        state=state,
        part=Part.WHOLE if row["whole"] else Part.OWN,
        rounded=not exact,
        schools=row["schools"],
        schools_unknown=row["schools_unknown"],
        young_people=people,
        minutes=minutes,
        days=days,
        minutes_each=_minutes_each(row, state, people, minutes),
        days_each=_days_each(row, state, people, days),
        bm5=share_of(row["bm5"], row["young_people"], state, exact=exact),
        bm6=share_of(row["bm6"], row["young_people"], state, exact=exact),
        no_shows=share_of(row["no_shows"], row["expected"], missed, exact=exact),
        cost=_cost(row, row["spent"], paid),
        cost_to_programme=_cost(row, row["spent_by_programme"], paid),
        response=_response(row["seconds"], asked),
        answered=share_of(len(row["seconds"]), _requests(row), asked, exact=True),
    )


def _state(row: Row, held: frozenset[str]) -> FigureState:
    """UNKNOWN where no school takes part, or none of those that do has sent a pupil; never 0 then."""
    if not row["young_people"] and row["schools_unknown"] >= row["schools"]:
        return _UNKNOWN
    return _WITHHELD if _is_held(row, held, "people") else _KNOWN


def _is_held(row: Row, held: frozenset[str], what: str) -> bool:
    return f"{what}|{_name(row)}" in held


def _count(number: int, *, exact: bool) -> int:
    return number if exact else coverage.rounded(number)


def _minutes(number: int, *, exact: bool) -> int:
    return number if exact else (number + DAY_MINUTES // 2) // DAY_MINUTES * DAY_MINUTES


def share_of(part: int, base: int, state: FigureState, *, exact: bool) -> Share:
    """A share made safe; UNKNOWN of nobody."""
    if state is not _KNOWN or not base:
        return Share(state if state is not _KNOWN else _UNKNOWN)
    figure = (
        Figure(_KNOWN, part, base, coverage.percent(part, base))
        if exact
        else coverage.figure(Cell(part, base))
    )
    if figure.reached is None or figure.base is None:
        return Share(figure.state)
    found = intervals.of_share(figure.reached, figure.base) or Interval(0, 1)
    shown = intervals.outwards(Interval(100 * found.lower, 100 * found.upper), 1, most=100.0)
    return Share(
        _KNOWN,
        figure.reached,
        figure.base,
        figure.percent,
        shown.lower,
        shown.upper,
    )


def _minutes_each(row: Row, state: FigureState, people: int | None, minutes: int | None) -> Measure:
    if state is not _KNOWN or not people or minutes is None:
        return Measure(state if state is not _KNOWN else _UNKNOWN)
    mean = minutes / people
    half = intervals.half_width(row["young_people"], row["minutes"], float(row["squares"]))
    if half is not None and not row["exact"]:
        half = intervals.outwards(Interval(0.0, half), step=_WIDTH_TO).upper
    return _around(mean, people, half, 1)


def _days_each(row: Row, state: FigureState, people: int | None, days: int | None) -> Measure:
    if state is not _KNOWN or not people or days is None:
        return Measure(state if state is not _KNOWN else _UNKNOWN)
    half = intervals.half_width(row["young_people"], row["days"], float(row["day_squares"]))
    return _around(days / people, people, half, 1)


def _cost(row: Row, spent: Sequence[int], state: FigureState) -> Measure:
    """Pence an hour, over the schools of which any spend is recorded; UNKNOWN where it is of none."""
    minutes = _minutes(sum(row["costed_minutes"]), exact=row["exact"])
    if state is not _KNOWN or not spent or not minutes:
        return Measure(state if state is not _KNOWN else _UNKNOWN)
    half = intervals.of_ratio(spent, row["costed_minutes"])
    return _around(60 * sum(spent) / minutes, len(spent), None if half is None else 60 * half, 0)


def _around(value: float, n: int, half: float | None, digits: int) -> Measure:
    """A measure that cannot be below 0, and its interval."""
    if half is None:
        return Measure(_KNOWN, round(value, digits), n)
    shown = intervals.outwards(Interval(value - half, value + half), digits)
    return Measure(_KNOWN, round(value, digits), n, shown.lower, shown.upper)


def _response(seconds: Sequence[int], state: FigureState) -> Measure:
    middle = intervals.median(seconds)
    if state is not _KNOWN or middle is None:
        return Measure(state if state is not _KNOWN else _UNKNOWN)
    found = intervals.of_median(seconds)
    shown = (
        intervals.outwards(Interval(found.lower / _HOUR, found.upper / _HOUR), 1) if found else (None, None)
    )
    return Measure(_KNOWN, round(middle / _HOUR, 1), len(seconds), *shown)
