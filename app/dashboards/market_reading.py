"""Reads what `market` reckons with: each for all schools that a caller may count, or for some of its own.

Who is shown rounded figures is always read whole: what is withheld depends on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Door
from app.core.errors import invalid
from app.dashboards import figures, market, service, sql
from app.dashboards.market import Capacity, Counted, Lacking, Market, Varied
from app.dashboards.service import Period, rounds
from app.rules.offering import year_mask
from app.rules.school_calendar import academic_year, first_day, last_day, london_midnight
from app.rules.words import ExperienceKind

Schools = figures.Schools
_EVERY_YEAR: Final = (1 << 16) - 1
_NO_CAP: Final = 24 * 60


async def shortfall(
    tx: Door, asked: Period, schools: Schools, only: Sequence[UUID] | None
) -> Counted[Lacking]:
    """What pupils lack of the mark of their band, in all years so far. One statement."""
    marks = service.marks(schools.policy)
    rows = await sql.shortfall(
        tx,
        None if rounds(tx.caller) else only,
        {"day": asked.on, "year": asked.year, "known": asked.known},
        {"activity": marks["activity"], "placement": marks["placement"]},
    )
    return market.counted(rows, schools, market.lacking_of, rounds=rounds(tx.caller), known=asked.known)


async def varieties(
    tx: Door, asked: Period, schools: Schools, only: Sequence[UUID] | None, _until: date | None = None
) -> Counted[Varied]:
    """How varied pupils' experiences were. One statement."""
    period = {"day": asked.on, "year": asked.year, "year_only": asked.year_only, "known": asked.known}
    kinds = [kind.value for kind in ExperienceKind]
    rows = await sql.variety(tx, None if rounds(tx.caller) else only, period, kinds)
    return market.counted(rows, schools, market.varied_of, rounds=rounds(tx.caller), known=asked.known)


@dataclass(frozen=True, slots=True)
class Supply:
    """What is lacking, and what is open; None where it is not known of that moment."""

    lacking: Counted[Lacking]
    capacity: Capacity | None


async def supply(
    tx: Door, asked: Period, schools: Schools, only: Sequence[UUID] | None, until: date | None
) -> Supply:
    """Shortfall and open capacity. Two statements; one of any day but today."""
    found = await shortfall(tx, asked, schools, only)
    return Supply(found, await capacity(tx, asked, found, schools, until))


def is_present(tx: Door, asked: Period) -> bool:
    """Whether it is asked of now: what is open is known of no other moment."""
    return asked.known is None and asked.on == school_day(tx.caller.now)


async def capacity(
    tx: Door, asked: Period, found: Counted[Lacking], schools: Schools, until: date | None
) -> Capacity | None:
    """What is open to the schools of these pupils until a day; None of any day but today. One statement."""
    if not is_present(tx, asked):
        return None
    masks = market.masks_of(found.table)
    rows = await sql.open_to(tx, masks, _open_asked(tx, schools, until), by_employer=False)
    return market.capacity_of(rows, list(masks))


async def employers(
    tx: Door, asked: Period, schools: Schools, only: Sequence[UUID] | None, until: date | None
) -> Market:
    """The employers around these schools. Three statements; two of any day but today."""
    wanted = [one for one in schools if only is None or one in only or rounds(tx.caller)]
    since = first_day(asked.year) if asked.year_only else None
    table = figures.Table(schools, {}, {}, frozenset(), rounds(tx.caller), asked.known)
    rows = []
    if is_present(tx, asked):
        masks = dict.fromkeys(wanted, _EVERY_YEAR)
        rows = list(await sql.open_to(tx, masks, _open_asked(tx, schools, until), by_employer=True))
    dealings = [
        market.dealing_of(row) for row in await sql.dealings(tx, wanted, since, asked.on, asked.known)
    ]
    ids = {one.employer_id for one in dealings} | {row["employer_id"] for row in rows}
    period = {"since": since, "day": asked.on, "known": asked.known}
    known = await sql.employers(tx, sorted(ids), wanted, period)
    return Market(
        table,
        {school: at for at, school in enumerate(wanted)},
        market.profiles_of(known),
        dealings,
        market.offered_of(known) if asked.known is None else None,
        [market.open_of(row) for row in rows] if is_present(tx, asked) else None,
    )


def _open_asked(tx: Door, schools: Schools, until: date | None) -> dict[str, Any]:
    """What decides whether a slot is open to a school: the law of its last day, and the policy of today."""
    today = school_day(tx.caller.now)
    latest = last_day(academic_year(today))
    if until is not None and not today <= until <= latest:
        raise invalid(
            "/until", "out_of_range", f"A day from {today} to {latest}, the end of the academic year."
        )
    rules = schools.cover
    return {
        "until": london_midnight((until or latest) + timedelta(days=1)),
        "lawful": year_mask(ExperienceKind.PLACEMENT, ()),
        "cap": schools.policy.daily_cap or _NO_CAP,
        "kinds": [one.kind.value for one in rules],
        "liabilities": [one.liability.value for one in rules],
        "pounds": [one.minimum_pounds for one in rules],
        "begins": [one.valid_from for one in rules],
        "ends": [one.valid_until for one in rules],
    }
