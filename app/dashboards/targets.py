"""A programme's targets, with what bookings already made add to each; and its schools' budgets and money. Pure.

All of it follows from the figures as shown: a hub's forecast is made of its rounded figures, and what is booked for
fewer than 10 young people counts as nobody in `lower` and as 10 in `upper`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.core.db import Row
from app.dashboards.programmes import DAY_MINUTES, Figures, Part, Share, Sheet, share_of
from app.dashboards.traits import Aim, withheld
from app.rules import coverage
from app.rules.coverage import SMALLEST_BASE, FigureState

_KNOWN, _WITHHELD, _UNKNOWN = FigureState.KNOWN, FigureState.WITHHELD, FigureState.UNKNOWN
_MONEY: Final = ("allocated", "committed", "committed_to_date", "spent", "spent_by_programme")
_FEW: Final = SMALLEST_BASE // 2  # what fewer than 10, and not nobody, is taken as where one number is wanted


class Measured(StrEnum):
    """What a target counts."""

    SCHOOLS = "schools"
    YOUNG_PEOPLE = "young_people"
    MINUTES = "minutes"
    SHARE = "share"


class Outlook(StrEnum):
    """Whether a target is met, or will be if what is booked takes place."""

    REACHED = "reached"
    ON_COURSE = "on_course"
    SHORT = "short"
    UNKNOWN = "unknown"


class OwnBudget(StrEnum):
    """What a school says of its own money for this."""

    NONE = "none"
    TOO_LITTLE = "too_little"
    SUFFICIENT = "sufficient"
    UNKNOWN = "unknown"


class Booked(NamedTuple):
    """What is booked ahead: at least, at most, and as one number."""

    lower: int
    upper: int
    middle: int


@dataclass(frozen=True, slots=True)
class Target:
    """One target and how it stands; of a share all numbers are per cent. Nothing is forecast where it is about a
    characteristic.
    """

    id: UUID
    strand_id: UUID | None
    measure: Measured
    characteristic: str | None
    value: int
    due_on: date | None
    part: Part
    state: FigureState
    reached: int | None
    percent_of_target: int | None
    lower: int | None
    upper: int | None
    expected: int | None
    outlook: Outlook
    share: Share | None


@dataclass(frozen=True, slots=True)
class Money:
    """Whole pence (GBP); None where nothing was recorded."""

    allocated: int | None
    committed: int | None
    committed_to_date: int | None
    spent: int | None
    spent_by_programme: int | None


@dataclass(frozen=True, slots=True)
class SchoolBudget:
    """One school that takes part, what it says of its own budget, and its money."""

    school_id: UUID
    name: str
    urn: str | None
    own_budget: OwnBudget
    money: Money


@dataclass(frozen=True, slots=True)
class Budgets:
    """The schools of a programme by their own budgets, and the programme's money. Schools are not suppressed."""

    part: Part
    budget: int | None
    money: Money
    schools: Sequence[SchoolBudget]

    def by(self, own: OwnBudget) -> list[SchoolBudget]:
        """The schools that say so, by name."""
        return [one for one in self.schools if one.own_budget is own]


# --- targets ------------------------------------------------------------------------------------------


def targets(
    rows: Iterable[Row], known: Mapping[UUID, Sheet], codes: Mapping[UUID, str], on: date
) -> dict[UUID, list[Target]]:
    """The targets of each programme, those of the whole first, then by strand's code, measure and due date.

    `rows` are those of `sql.programme_targets`, `known` the sheets of the same day and knowledge.
    """
    of: dict[UUID, list[tuple[Row, Figures]]] = {}
    for row in rows:
        figures = known[row["programme_id"]].of(row["strand_id"])
        if figures is not None:
            of.setdefault(row["programme_id"], []).append((row, figures))
    found = {}
    for key, each in of.items():
        held = withheld([_aim(row, figures) for row, figures in each if _is_judged(row)])
        found[key] = [_target(row, figures, on, held=row["target_id"] in held) for row, figures in each]
    for mine in found.values():
        mine.sort(key=lambda one: _order(one, codes))
    return found


def _order(one: Target, codes: Mapping[UUID, str]) -> tuple[str, int, date, str, str]:
    code = codes.get(one.strand_id, "~") if one.strand_id else ""
    return (
        code,
        list(Measured).index(one.measure),
        one.due_on or date.max,
        one.characteristic or "",
        str(one.id),
    )


def _is_judged(row: Row) -> bool:
    return bool(row["characteristic"] and row["share_base"] and not row["exact"])


def _aim(row: Row, figures: Figures) -> Aim:
    alone = figures.schools - figures.schools_unknown <= 1
    said = row["characteristic"].replace("=", ":")
    return Aim(row["target_id"], row["strand_id"], said, row["share_part"], row["share_base"], alone)


def _target(row: Row, figures: Figures, on: date, *, held: bool) -> Target:
    measure = Measured(row["measure"])
    if measure is Measured.SHARE or row["characteristic"]:
        return _target_of_some(row, figures, on, held=held)
    reached, state = _reached(measure, figures)
    booked = _booked(measure, row) if reached is not None else None
    rate = None if measure is Measured.SCHOOLS else _attendance(figures.no_shows)
    lower, upper, expected = _forecast(reached, booked, rate)
    outlook = _outlook(row["value"], reached, upper if expected is None else expected)
    return _made(
        row,
        state,
        reached,
        lower=lower,
        upper=upper,
        expected=expected,
        outlook=outlook if row["whole"] else Outlook.UNKNOWN,
    )


def _reached(measure: Measured, figures: Figures) -> tuple[int | None, FigureState]:
    if measure is Measured.SCHOOLS:
        return figures.schools, _KNOWN
    number = figures.young_people if measure is Measured.YOUNG_PEOPLE else figures.minutes
    return number, figures.state


def _booked(measure: Measured, row: Row) -> Booked:
    """What is booked ahead, in the unit of the target."""
    if measure is Measured.SCHOOLS:
        return Booked(0, row["invited"], row["invited"])
    if measure is Measured.YOUNG_PEOPLE:
        most = row["named_new"] + row["places"] - row["named"]
        return _banded(row["named_new"], most, 1, exact=row["exact"])
    if row["exact"]:
        return Booked(row["named_minutes"], row["booked_minutes"], row["booked_minutes"])
    each = row["booked_minutes"] / row["places"] if row["places"] else 0.0
    return _banded(row["named"], row["places"], each, exact=False)


def _banded(least: int, most: int, unit: float, *, exact: bool) -> Booked:
    """Booked places, rounded and in bands for hubs: a booking of one pupil is that pupil."""
    if exact:
        return Booked(round(least * unit), round(most * unit), round(most * unit))
    lower = 0 if least < SMALLEST_BASE else coverage.rounded(least)
    upper = SMALLEST_BASE if 0 < most < SMALLEST_BASE else coverage.rounded(most)
    middle = _FEW if 0 < most < SMALLEST_BASE else upper
    if unit == 1:
        return Booked(lower, upper, middle)
    return Booked(_nearest(lower * unit), _nearest(upper * unit), _nearest(middle * unit))


def _nearest(minutes: float) -> int:
    return round(minutes / DAY_MINUTES) * DAY_MINUTES


def _attendance(no_shows: Share) -> float | None:
    """The share of expected sittings at which the pupil came, so far; None where it is not shown."""
    if no_shows.count is None or not no_shows.base:
        return None
    return 1 - no_shows.count / no_shows.base


def _forecast(
    reached: int | None, booked: Booked | None, rate: float | None
) -> tuple[int | None, int | None, int | None]:
    if reached is None or booked is None:
        return None, None, None
    expected = None if rate is None else reached + int(booked.middle * rate)
    return reached + booked.lower, reached + booked.upper, expected


def _outlook(value: int, reached: int | None, coming: int | None) -> Outlook:
    if reached is None or coming is None:
        return Outlook.UNKNOWN
    if reached >= value:
        return Outlook.REACHED
    return Outlook.ON_COURSE if coming >= value else Outlook.SHORT


def _target_of_some(row: Row, figures: Figures, on: date, *, held: bool) -> Target:
    """A share, or young people with a characteristic. UNKNOWN where no school of those reached has the field group in
    its data; so are schools and minutes, which are not counted by characteristic.
    """
    measure = Measured(row["measure"])
    if row["characteristic"] is None or measure in {Measured.SCHOOLS, Measured.MINUTES}:
        return _made(row, _UNKNOWN, None, outlook=Outlook.UNKNOWN)
    state = _WITHHELD if held or (figures.state is _WITHHELD and not row["exact"]) else _KNOWN
    share = share_of(row["share_part"], row["share_base"], state, exact=row["exact"])
    reached = share.percent if measure is Measured.SHARE else share.count
    outlook = Outlook.UNKNOWN
    if reached is not None and row["whole"]:
        over = on >= row["until"]
        outlook = Outlook.REACHED if reached >= row["value"] else Outlook.SHORT if over else Outlook.UNKNOWN
    shown = share if measure is Measured.SHARE else None
    return _made(row, share.state, reached, outlook=outlook, share=shown)


def _made(
    row: Row,
    state: FigureState,
    reached: int | None,
    *,
    outlook: Outlook,
    lower: int | None = None,
    upper: int | None = None,
    expected: int | None = None,
    share: Share | None = None,
) -> Target:
    return Target(
        id=row["target_id"],
        strand_id=row["strand_id"],
        measure=Measured(row["measure"]),
        characteristic=row["characteristic"],
        value=row["value"],
        due_on=row["due_on"],
        part=Part.WHOLE if row["whole"] else Part.OWN,
        state=state,
        reached=reached,
        percent_of_target=100 * reached // row["value"] if reached is not None and row["value"] else None,
        lower=lower,
        upper=upper,
        expected=expected,
        outlook=outlook,
        share=share,
    )


# --- budgets ------------------------------------------------------------------------------------------


def budgets(rows: Iterable[Row]) -> dict[UUID, Budgets]:
    """The budgets of each programme that the caller may count, from the rows of `sql.programme_budgets`."""
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row["programme_id"], []).append(row)
    return {key: _budgets(mine) for key, mine in found.items()}


def percent_of(own: OwnBudget, found: Budgets) -> int | None:
    """Who says so, of the schools that have said what they have, in whole per cent; None of those that have not."""
    said = len(found.schools) - len(found.by(OwnBudget.UNKNOWN))
    return None if own is OwnBudget.UNKNOWN else coverage.percent(len(found.by(own)), said)


def _budgets(rows: Sequence[Row]) -> Budgets:
    own = next(row for row in rows if row["school_id"] is None)
    schools = [row for row in rows if row["school_id"] is not None]
    return Budgets(
        part=Part.WHOLE if own["whole"] else Part.OWN,
        budget=own["budget_pence"],
        money=Money(*(_sum(row[name] for row in schools) for name in _MONEY)),
        schools=[_school(row) for row in schools if row["enrolled"]],
    )


def _school(row: Row) -> SchoolBudget:
    money = Money(*(row[name] for name in _MONEY))
    return SchoolBudget(row["school_id"], row["name"], row["urn"], OwnBudget(row["own_budget"]), money)


def _sum(amounts: Iterable[int | None]) -> int | None:
    """What was recorded, added up; None where nothing was."""
    recorded = [one for one in amounts if one is not None]
    return sum(recorded) if recorded else None
