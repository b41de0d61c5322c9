"""Coverage for a caller: reads the counts, and makes them into figures that this caller may be shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from app.core.caller import Caller
from app.core.clock import school_day
from app.core.db import Door
from app.core.errors import invalid
from app.dashboards import figures, sql
from app.dashboards.figures import Table
from app.rules.entitlement import Policy, policy_on
from app.rules.school_calendar import academic_year, last_day
from app.rules.words import EntitlementBand

COUNTS_OWN = frozenset({"school", "trust", "vendor"})
"""The kinds of organisation whose figures are exact: they hold the rows themselves, or act for who does."""

_FIRST_YEAR = 2000
_WEEK = 1_500  # 25 hours


@dataclass(frozen=True, slots=True)
class Period:
    """Whose NC year, and on which day the roll and the memberships are read; `year_only` limits what counts."""

    on: date
    year: int
    year_only: bool


def rounds(caller: Caller) -> bool:
    """Whether this caller's figures are rounded and suppressed: hubs, authorities and the national body."""
    return caller.org_kind not in COUNTS_OWN


def period(caller: Caller, year: int | None) -> Period:
    """All years so far for the pupils of today, or one academic year for the pupils of its last day (or today).

    `year` 2026 is 2026/27. A year that has not begun, or before 2000, is Invalid at `/academicYear`.
    """
    today = school_day(caller.now)
    present = academic_year(today)
    if year is None:
        return Period(today, present, year_only=False)
    if not _FIRST_YEAR <= year <= present:
        raise invalid("/academicYear", "out_of_range", f"An academic year from {_FIRST_YEAR} to {present}.")
    return Period(min(today, last_day(year)), year, year_only=True)


async def table(
    tx: Door, asked: Period, schools: Sequence[UUID] | None = None, *, known: Table | None = None
) -> Table:
    """The counts of these schools (None: all that the caller may count), in two statements; one if `known` has
    the schools already.

    Where figures are rounded all schools are always read: what is withheld depends on the whole.
    """
    on_whole = rounds(tx.caller)
    found = known.schools if known else {
        one.id: one for one in map(figures.school_of, await sql.basis(tx, asked.on))
    }  # fmt: skip
    cells = await sql.cells(
        tx, None if on_whole else schools, asked.on, asked.year, _marks(asked.on), year_only=asked.year_only
    )
    groups = [figures.group_of(row) for row in cells]
    held = figures.hidden(groups, found) if on_whole else frozenset()
    return Table(found, figures.by_school(groups), {}, held, on_whole)


async def with_kinds(tx: Door, asked: Period, counts: Table, schools: Sequence[UUID] | None = None) -> Table:
    """The same table with its counts by kind: one more statement."""
    rows = await sql.kinds(tx, schools, asked.on, asked.year, year_only=asked.year_only)
    return replace(counts, kinds=figures.kinds_of(rows))


def _marks(day: date) -> dict[str, int]:
    """The marks to reach, in minutes, of the entitlement in force on a day."""
    policy = policy_on(day)
    return {
        "activity": _mark(policy, EntitlementBand.YEARS_7_9),
        "placement": _mark(policy, EntitlementBand.YEARS_10_11),
        "week": _WEEK,
        "total": policy.total_minutes,
    }


def _mark(policy: Policy, band: EntitlementBand) -> int:
    return next((rule.minutes for rule in policy.bands if rule.band == band), _WEEK)
