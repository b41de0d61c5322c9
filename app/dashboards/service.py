"""Coverage for a caller: reads the counts, and makes them into figures that this caller may be shown."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from app.bookings.facts import cover_rules
from app.core.caller import Caller
from app.core.clock import rfc3339, school_day, wall_now
from app.core.db import Door, Writer
from app.core.errors import invalid
from app.dashboards import figures, gaps, sql
from app.dashboards.figures import Schools, Table
from app.ledger.policies import policy_in_force, policy_of
from app.rules.entitlement import Policy
from app.rules.reporting import closing_until, is_closing, is_reporting_day, reporting_day_until
from app.rules.school_calendar import academic_year, last_day
from app.rules.words import EntitlementBand

COUNTS_OWN = frozenset({"school", "trust", "vendor"})
"""The kinds of organisation whose figures are exact: they hold the rows themselves, or act for who does."""

_FIRST_YEAR = 2000
_WEEK = 1_500  # 25 hours


SETTLED: Final = timedelta(minutes=1)
"""What was recorded longer ago than this will not change any more: no write of a request lasts so long."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whose NC year, and on which day the roll, the memberships and the characteristics are read; nothing that
    happened after `on` counts. `year_only` limits what counts to the academic year `year`; `known`, if given, to what
    was recorded by that moment (UTC).
    """

    on: date
    year: int
    year_only: bool
    known: datetime | None = None


def rounds(caller: Caller) -> bool:
    """Whether this caller's figures are rounded and suppressed: hubs, authorities and the national body."""
    return caller.org_kind not in COUNTS_OWN


def period(
    caller: Caller, year: int | None, as_at: date | None = None, known_at: datetime | None = None
) -> Period:
    """All years so far for the pupils of today, or one academic year for the pupils of its last day (or today).

    `year` 2026 is 2026/27. `as_at` is the day of which is asked, instead of today; `known_at` leaves out what was
    recorded later: the same pair gives the same answer for good. Invalid: a year that has not begun or before 2000
    (`/academicYear`), a day in the future or before the year (`/asAt`), and a moment that is not over for a minute
    (`/knownAt`), as what is being recorded just then may still come in under it. Where figures are rounded, a day of the
    past that is no reporting day, and a moment that is not the end of one.
    """
    today = school_day(caller.now)
    _judge(caller, today, as_at, known_at)
    day = as_at or today
    present = academic_year(day)
    if year is None:
        return Period(day, present, year_only=False, known=known_at)
    if not _FIRST_YEAR <= year <= present:
        raise invalid("/academicYear", "out_of_range", f"An academic year from {_FIRST_YEAR} to {present}.")
    return Period(min(day, last_day(year)), year, year_only=True, known=known_at)


def _judge(caller: Caller, today: date, as_at: date | None, known_at: datetime | None) -> None:
    now = wall_now()
    if known_at is not None and known_at.tzinfo is None:
        raise invalid(
            "/knownAt", "offset_required", "A moment with its offset from UTC: 2027-03-31T22:00:00Z."
        )
    if as_at is not None and not date(_FIRST_YEAR, 9, 1) <= as_at <= today:
        raise invalid("/asAt", "out_of_range", f"A day from 1 September {_FIRST_YEAR} to {today}.")
    if known_at is not None and known_at > now - SETTLED:
        raise invalid("/knownAt", "too_recent", "A moment that has been over for a minute, or leave it out.")
    if not rounds(caller):
        return
    if as_at not in {None, today} and not is_reporting_day(as_at):
        raise invalid(
            "/asAt",
            "not_a_reporting_day",
            "You are told figures of today, of a Sunday and of 31 December, 31 March and 31 July: of "
            f"{reporting_day_until(as_at)}, say.",
        )
    if known_at is not None and not is_closing(known_at):
        raise invalid(
            "/knownAt",
            "not_a_closing",
            "You are told what was known when a Sunday, 31 December, 31 March or 31 July ended in London: at "
            f"{rfc3339(closing_until(known_at))}, say.",
        )


async def counted(tx: Door, on: date, known: datetime | None) -> Schools:
    """The schools that the caller may count on a day, as known at a moment, by name; and the law by which they are.

    One statement.
    """
    rows = await sql.basis(tx, on, known)
    found = Schools((one.id, one) for one in map(figures.school_of, rows))
    found.policy = policy_of(sql.laws(rows, "entitlement"), on)
    found.cover = cover_rules(sql.laws(rows, "cover"))
    return found


async def table(
    tx: Door,
    asked: Period,
    schools: Sequence[UUID] | None = None,
    *,
    known: Schools | None = None,
) -> Table:
    """The counts of these schools (None: all that the caller may count), in two statements; one if the schools
    that are counted are `known` already.

    Where figures are rounded all schools are always read: what is withheld depends on the whole.
    """
    on_whole = rounds(tx.caller)
    found = await counted(tx, asked.on, asked.known) if known is None else known
    cells = await sql.cells(
        tx, None if on_whole else schools, asked.on, asked.year, marks(found.policy), year_only=asked.year_only,
        known=asked.known,
    )  # fmt: skip
    return figures.table_of(found, cells, rounds=on_whole, known=asked.known, policy=found.policy)


async def with_kinds(tx: Door, asked: Period, counts: Table, schools: Sequence[UUID] | None = None) -> Table:
    """The same table with its counts by kind: one more statement."""
    rows = await sql.kinds(tx, schools, asked.on, asked.year, year_only=asked.year_only, known=asked.known)
    return replace(counts, kinds=figures.kinds_of(rows))


async def by_characteristic(
    tx: Door, asked: Period, counts: Table, schools: Sequence[UUID] | None = None
) -> gaps.Table:
    """The same pupils by characteristic, with what is withheld of it: one more statement.

    `counts` is the table of the same period and schools. Where figures are rounded all schools are always read.
    """
    rows = await sql.traits(
        tx, None if counts.rounds else schools, asked.on, asked.year, marks(counts.policy),
        year_only=asked.year_only, known=asked.known,
    )  # fmt: skip
    # What is withheld takes a while of a large hub, and others are waiting.
    return await asyncio.to_thread(gaps.table, counts, [gaps.trait_of(row) for row in rows])


async def keep(tx: Writer, school_id: UUID) -> bool:
    """Keep a school's figures of today, so that they need not be added up at each question; False if somebody else
    is at it.
    """
    today = school_day(tx.caller.now)
    policy = await policy_in_force(tx, today)
    return await sql.keep(tx, school_id, today, academic_year(today), marks(policy))


def marks(policy: Policy) -> dict[str, int]:
    """The marks to reach, in minutes, of an entitlement, in the order in which they are kept."""
    return {
        "activity": _mark(policy, EntitlementBand.YEARS_7_9),
        "placement": _mark(policy, EntitlementBand.YEARS_10_11),
        "week": _WEEK,
        "total": policy.total_minutes,
    }


def _mark(policy: Policy, band: EntitlementBand) -> int:
    return next((rule.minutes for rule in policy.bands if rule.band == band), _WEEK)
