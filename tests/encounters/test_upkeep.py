"""What the worker does by itself about visits: alarms over silence, visits that were reported whole too early."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.db import Database
from app.encounters import upkeep
from tests.encounters.day import said, visit
from tests.world import World

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


async def _overdue(world: World) -> int:
    found = await world.owner.fetchval(
        "SELECT attendance_overdue FROM school_states WHERE school_id = $1", world["school_a"]
    )
    return int(found or 0)


async def test_silence_raises_the_alarm_once_for_both_sides_and_a_whole_report_takes_it_back(
    world: World, db: Database
) -> None:
    async with visit(world, 2) as day:
        await day.at(19)
        assert await upkeep.raise_overdue(db) == 0
        await day.at(21)
        assert await upkeep.raise_overdue(db) == 1
        assert await upkeep.raise_overdue(db) == 0
        for side in ("school_a", "employer_a"):
            assert (await day.events(side))[-1] == "attendance.overdue"
        lanes = await world.owner.fetch(
            "SELECT lane FROM events WHERE type = 'attendance.overdue' AND order_key = $1", UUID(day.booking)
        )
        assert [row["lane"] for row in lanes] == ["safety", "safety"]
        assert await _overdue(world) == 1
        await day.arrivals("employer_a", day.parts[:1])
        assert await _overdue(world) == 1, "of one pupil nobody has spoken yet"
        await day.arrivals("employer_a", [], (day.parts[1],))
        assert await _overdue(world) == 0
        assert await upkeep.raise_overdue(db) == 0


async def test_an_alarm_over_a_booking_that_no_longer_stands_is_taken_back(
    world: World, db: Database
) -> None:
    async with visit(world, 1) as day:
        await day.at(21)
        assert await upkeep.raise_overdue(db) == 1
        before = await _overdue(world)
        cancelled = await world.post(
            "school_a", f"/v1/bookings/{day.booking}/cancel", {"reason_code": "transport"}
        )
        assert cancelled.status_code == 200, cancelled.text
        await upkeep.raise_overdue(db)
        assert await _overdue(world) == before - 1


async def test_a_visit_reported_whole_before_its_end_is_settled_when_the_end_has_come(
    world: World, db: Database
) -> None:
    async with visit(world, 2) as day:
        await day.at(110)
        told = await day.attendance("employer_a", [said(one, "present") for one in day.parts])
        assert told.json()["booking_state"] == "confirmed"
        assert await upkeep.settle_due(db) == 0
        await day.at(121)
        assert await upkeep.settle_due(db) == 1
        assert await day.state() == "completed"
        assert (await day.balance())["minutes"] == 120
        assert await upkeep.settle_due(db) == 0
