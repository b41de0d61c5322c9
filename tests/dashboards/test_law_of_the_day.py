"""Figures are reckoned by the dated policies that are kept as data, from the day they begin and once they are known."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.roles import Dsns
from app.dashboards import figures, market, market_reading, service, upkeep
from app.dashboards.figures import Figures
from app.rules.entitlement import DEFAULT_POLICY, Policy, policies_with, policy_on
from app.rules.words import KeyStage
from tests.market_made import AHEAD, TODAY, furnish, reading
from tests.pupils_counted import LONG_AGO, Counted, build

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture(scope="module")
async def counted(dsns: Dsns) -> AsyncIterator[Counted]:
    owner = await asyncpg.connect(dsns.owner)
    try:
        made = await build(owner)
        await furnish(made)
        yield made
    finally:
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns, counted: Counted) -> AsyncIterator[Database]:
    opened = await reading(dsns, pool=3).open()
    yield opened
    await opened.close()


@asynccontextmanager
async def law(
    counted: Counted, topic: str, begins: date, body: dict[str, Any], **more: Any
) -> AsyncIterator[None]:
    made = await counted.insert(
        "dated_policies", topic=topic, name="Trial", starts_on=begins, body=json.dumps(body), **more
    )
    try:
        yield
    finally:
        await counted.owner.execute("DELETE FROM dated_policies WHERE id = $1", made)


def entitlement(week: int, total: int, cap: int = 300) -> dict[str, Any]:
    bands = [
        {"band": "years_7_9", "minutes": week, "kinds": None, "virtual_share": "1/2"},
        {"band": "years_10_11", "minutes": week, "kinds": ["placement"], "virtual_share": "0"},
    ]
    return {"code": "trial", "total_minutes": total, "day_minutes": 300, "daily_cap": cap, "bands": bands}


async def ash(db: Database, counted: Counted, known: datetime | None = None) -> Figures:
    async with db.read(counted.caller("ash")) as tx:
        table = await service.table(tx, service.period(tx.caller, None, None, known))
        schools = await service.counted(tx, TODAY, known)
        again = await service.table(tx, service.period(tx.caller, None, None, known), known=schools)
        assert again.groups == table.groups, "with the schools known already the marks are the same"
        split = await service.by_characteristic(tx, service.period(tx.caller, None, None, known), table)
        assert split.coverage.policy == table.policy
    return figures.whole(table, figures.everywhere(table)).figures


def at(found: Figures) -> tuple[int | None, int | None]:
    assert found.at_total
    assert found.at_activity
    return found.at_total.reached, found.at_activity.reached


async def lacks(db: Database, counted: Counted) -> tuple[int | None, int | None]:
    """Minutes that Ash's key stage 3 lacks, and the places open to it."""
    async with db.read(counted.caller("ash")) as tx:
        asked = service.period(tx.caller, None)
        found = await market_reading.supply(
            tx, asked, await service.counted(tx, asked.on, asked.known), None, None
        )
    table = found.lacking.table
    line = market.narrowed(figures.whole(table, figures.everywhere(table)), KeyStage.KS3)
    assert found.capacity
    room = found.capacity.of([group for group, _ in found.lacking.within(line, KeyStage.KS3)])
    return market.shortfall(found.lacking, line, KeyStage.KS3).minutes, room.places


async def test_the_marks_are_those_of_the_policy_in_force(db: Database, counted: Counted) -> None:
    assert at(await ash(db, counted)) == (5, 15)
    async with law(counted, "entitlement", LONG_AGO, entitlement(1_700, 1_600)):
        assert at(await ash(db, counted)) == (25, 3), (
            "1,600 minutes are enough in all, and too few of activity"
        )
        assert (await lacks(db, counted))[0] == 15 * 1_700 + 12 * 100
    async with law(counted, "entitlement", TODAY + timedelta(days=1), entitlement(60, 60)):
        assert at(await ash(db, counted)) == (5, 15), "it has not begun"
        assert (await lacks(db, counted))[0] == 15 * 1_500


async def test_a_policy_that_was_not_known_yet_does_not_count(db: Database, counted: Counted) -> None:
    hour = timedelta(hours=1)
    known = datetime.now(UTC) - hour
    for recorded, total in ((known - hour, 1_234), (known + hour / 2, DEFAULT_POLICY.total_minutes)):
        body = entitlement(60, 1_234)
        async with (
            law(counted, "entitlement", LONG_AGO, body, recorded_at=recorded),
            db.read(counted.caller("ash")) as tx,
        ):
            found = await service.table(tx, service.period(tx.caller, None, None, known))
        assert found.policy.total_minutes == total


async def test_schools_are_kept_by_the_policy_in_force(db: Database, counted: Counted, dsns: Dsns) -> None:
    worker = await Database(dsns.worker).open()
    marks = "SELECT marks FROM kept_schools WHERE school_id = $1"
    try:
        await upkeep.keep_figures(worker)
        assert await counted.owner.fetchval(marks, counted.ids["ash"]) == [1_500, 1_500, 1_500, 3_000]
        await counted.owner.execute("UPDATE kept_schools SET kept_at = kept_at - interval '1 minute'")
        async with law(counted, "entitlement", LONG_AGO, entitlement(1_700, 1_600)):
            await upkeep.keep_figures(worker)
            assert await counted.owner.fetchval(marks, counted.ids["ash"]) == [1_700, 1_700, 1_500, 1_600]
            assert at(await ash(db, counted)) == (25, 3)
        assert at(await ash(db, counted)) == (5, 15)
    finally:
        await worker.close()


async def test_what_is_open_is_covered_by_the_law_of_its_last_day(db: Database, counted: Counted) -> None:
    """The tour has 20 places, the visit 5, the virtual experience 50."""
    day = AHEAD.date()
    dear = {"kind": "workplace_tour", "liability": "public_liability", "minimum_pounds": 900_000_000}
    assert (await lacks(db, counted))[1] == 75
    async with law(counted, "cover", day, dear):
        assert (await lacks(db, counted))[1] == 55, "in force on the day of the tour, and not today"
    async with law(counted, "cover", day + timedelta(days=1), dear):
        assert (await lacks(db, counted))[1] == 75
    async with (
        law(counted, "cover", LONG_AGO, dear),
        law(counted, "cover", day, {**dear, "minimum_pounds": 1}),
    ):
        assert (await lacks(db, counted))[1] == 75, (
            "of two the one that came into force last, and each place once"
        )


async def test_the_cap_of_a_past_moment_is_that_of_a_policy_that_had_begun(counted: Counted) -> None:
    cap = "SELECT app.daily_cap($1, NULL)"
    async with law(counted, "entitlement", TODAY, entitlement(1_500, 3_000, cap=120)):
        assert await counted.owner.fetchval(cap, TODAY) == 120
        assert await counted.owner.fetchval(cap, TODAY - timedelta(days=1)) == 300


def test_ours_ends_where_the_data_begin() -> None:
    later = Policy("later", date(2027, 9, 1), None, (), daily_cap=60)
    earlier = Policy("earlier", date(2024, 9, 1), None, ())
    days = {day: policy_on(day, policies_with([later])).code for day in (date(2026, 9, 1), date(2027, 9, 1))}
    assert list(days.values()) == [DEFAULT_POLICY.code, "later"]
    assert policy_on(date(2020, 1, 1), policies_with([later])).code == DEFAULT_POLICY.code
    assert policy_on(date(2026, 9, 1), policies_with([earlier])).code == "earlier"
    assert policies_with([]) == (DEFAULT_POLICY,)
