"""A pupil who has left is expected nowhere after the last day, and the place is another's."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from app.bookings.leavers import withdraw_leavers
from app.core.db import Database
from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

VISIT = TODAY + timedelta(days=21)


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


async def send(world: World, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = await world.post("school_a", f"/v1/schools/{world['school_a']}/pupils/bulk", {"pupils": rows})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    assert all(one["status"] != "refused" for one in found), found
    return found


def roll(size: int) -> list[dict[str, Any]]:
    year = TODAY.year if TODAY.month >= 9 else TODAY.year - 1
    return [
        {
            "external_ref": str(uuid4()), "given_name": "Ada", "family_name": "Example", "date_of_birth": "2014-03-09",
            "nc_year": "8", "academic_year": year, "starts_on": "2020-09-01",
        }
        for _ in range(size)
    ]  # fmt: skip


async def named(
    world: World, size: int, places: int | None = None, **more: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A confirmed booking with so many pupils named; gives it and the rows of the roll, with their ids."""
    rows = roll(size)
    for row, answer in zip(rows, await send(world, rows), strict=True):
        row["id"] = answer["pupil_id"]
        await world.owner.execute(
            "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)"
            " SELECT $1, y, $2, '8' FROM unnest($3::int[]) y ON CONFLICT DO NOTHING",
            row["id"], world["school_a"], [VISIT.year - 1, VISIT.year],
        )  # fmt: skip
    booking = await world.booking(state="confirmed", places=places or size, **more)
    answer = await name(world, booking, rows)
    assert answer.status_code == 200, answer.text
    return booking, rows


async def name(world: World, booking: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    pupils = [{"pupil_id": row["id"]} for row in rows]
    return await world.post("school_a", f"/v1/bookings/{booking['id']}/participants", {"pupils": pupils})


def leaving(rows: list[dict[str, Any]], day: date | None) -> list[dict[str, Any]]:
    return [{**{k: v for k, v in row.items() if k != "id"}, "ends_on": day} for row in rows]


async def stands(world: World, booking: dict[str, Any]) -> tuple[Any, ...]:
    row = await world.owner.fetchrow(
        "SELECT b.state, b.places, b.named, s.taken FROM bookings b JOIN slots s ON s.id = b.slot_id WHERE b.id = $1",
        booking["id"],
    )
    return tuple(row)


async def states(world: World, booking: dict[str, Any]) -> list[str]:
    rows = await world.owner.fetch(
        "SELECT state FROM participations WHERE booking_id = $1 ORDER BY state", booking["id"]
    )
    return [row["state"] for row in rows]


async def last_events(world: World, booking: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = await world.owner.fetch(
        "SELECT audience, type, convert_from(body, 'UTF8') AS body FROM events"
        " WHERE order_key = $1 ORDER BY seq DESC LIMIT 2",
        booking["id"],
    )  # fmt: skip
    return {row["audience"]: {"type": row["type"], **orjson.loads(row["body"])["data"]} for row in rows}


@pytest.mark.parametrize(
    "day", [TODAY - timedelta(3), TODAY, VISIT - timedelta(1)], ids=["past", "today", "future"]
)
async def test_a_leaver_is_withdrawn_the_place_given_back_and_both_sides_told(
    world: World, db: Database, day: date
) -> None:
    booking, rows = await named(world, 3)
    await send(world, leaving(rows[:1], day))
    assert await withdraw_leavers(db) == 1
    assert await stands(world, booking) == ("confirmed", 2, 2, 2)
    assert await states(world, booking) == ["named", "named", "withdrawn"]
    told = await last_events(world, booking)
    assert {
        side: (one["type"], one["places"], one["named"], one["reason_code"]) for side, one in told.items()
    } == {
        "school": ("booking.participants_named", 2, 2, "pupil_withdrawn"),
        "employer": ("booking.participants_named", 2, 2, "withdrawn_by_school"),
    }
    assert await withdraw_leavers(db) == 0


async def test_who_is_there_on_the_day_itself_stays(world: World, db: Database) -> None:
    booking, rows = await named(world, 2)
    await send(world, leaving(rows[:1], VISIT))
    assert await withdraw_leavers(db) == 0
    assert await stands(world, booking) == ("confirmed", 2, 2, 2)


async def test_without_the_only_pupil_the_booking_is_cancelled(world: World, db: Database) -> None:
    booking, rows = await named(world, 1)
    await send(world, leaving(rows, TODAY))
    assert await withdraw_leavers(db) == 1
    assert await stands(world, booking) == ("cancelled", 1, 0, 0)
    told = await last_events(world, booking)
    assert {side: (one["type"], one["reason_code"]) for side, one in told.items()} == {
        "school": ("booking.cancelled", "pupil_withdrawn"),
        "employer": ("booking.cancelled", "withdrawn_by_school"),
    }


async def test_an_enrolment_that_is_corrected_back_in_time_is_not_touched_and_later_is_named_again(
    world: World, db: Database
) -> None:
    booking, rows = await named(world, 2)
    await send(world, leaving(rows[:1], TODAY))
    await send(world, leaving(rows[:1], None))
    assert await withdraw_leavers(db) == 0
    assert await stands(world, booking) == ("confirmed", 2, 2, 2)
    booking, rows = await named(world, 2, places=3)
    await send(world, leaving(rows[:1], TODAY - timedelta(1)))
    await withdraw_leavers(db)
    assert await stands(world, booking) == ("confirmed", 2, 1, 2)
    await send(world, leaving(rows[:1], None))
    assert (await name(world, booking, rows[:1])).status_code == 200
    assert await withdraw_leavers(db) == 0
    assert await stands(world, booking) == ("confirmed", 2, 2, 2)


@pytest.mark.parametrize("day", [TODAY - timedelta(3), VISIT - timedelta(1)], ids=["left", "leaving"])
async def test_naming_a_leaver_says_why_not(world: World, day: date) -> None:
    booking, _ = await named(world, 1, places=2)
    gone = roll(1)
    gone[0]["id"] = (await send(world, gone))[0]["pupil_id"]
    await world.owner.execute(
        "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)"
        " SELECT $1, y, $2, '8' FROM unnest($3::int[]) y ON CONFLICT DO NOTHING",
        gone[0]["id"], world["school_a"], [VISIT.year - 1, VISIT.year],
    )  # fmt: skip
    await send(world, leaving(gone, day))
    answer = await name(world, booking, gone)
    assert answer.status_code == 422
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
        ("/pupils/0", "after_last_day")
    ]
    assert day.isoformat() in answer.json()["errors"][0]["detail"]


async def test_of_a_visit_under_way_the_days_that_remain_are_closed_and_what_was_attended_stands(
    world: World, db: Database
) -> None:
    slot = await world.slot()
    day = datetime.combine(VISIT, datetime.min.time(), UTC).replace(hour=10)
    for at in (1, 2):
        await world.insert(
            "sittings", slot_id=slot, employer_id=world["employer_a"], no=at + 1, starts_at=day + timedelta(days=at),
            ends_at=day + timedelta(days=at, hours=2),
        )  # fmt: skip
    await world.owner.execute(
        "UPDATE slots SET ends_at = $2 WHERE id = $1", slot, day + timedelta(days=2, hours=2)
    )
    booking, rows = await named(world, 2, slot=slot)
    await world.move_clock(day + timedelta(hours=3))
    try:
        await world.owner.execute(
            "UPDATE participation_sittings SET status = 'present' WHERE booking_id = $1 AND lower(during) < $2",
            booking["id"], day + timedelta(hours=3),
        )  # fmt: skip
        await send(world, leaving(rows[:1], VISIT))
        assert await withdraw_leavers(db) == 1
    finally:
        await world.move_clock(None)
    assert await stands(world, booking) == ("confirmed", 2, 2, 2)
    held = await world.owner.fetch(
        "SELECT array_agg(t.status ORDER BY lower(t.during)) AS days FROM participation_sittings t"
        " JOIN participations p ON p.id = t.participation_id WHERE t.booking_id = $1 GROUP BY p.enrolment_id"
        " ORDER BY p.enrolment_id = $2 DESC", booking["id"], rows[0]["id"],
    )  # fmt: skip
    assert [one["days"] for one in held] == [
        ["present", "closed", "closed"],
        ["present", "expected", "expected"],
    ]


async def test_a_name_that_was_written_while_the_last_day_was_is_found_at_the_next_turn(
    world: World, db: Database
) -> None:
    booking, rows = await named(world, 2)
    await send(world, leaving(rows[:1], TODAY))
    await withdraw_leavers(db)
    late = await world.owner.fetchrow(
        "SELECT * FROM participations WHERE booking_id = $1 AND state = 'withdrawn'", booking["id"]
    )
    await world.owner.execute("UPDATE participations SET state = 'named' WHERE id = $1", late["id"])
    await world.owner.execute(
        "UPDATE participation_sittings SET status = 'expected', active = true WHERE participation_id = $1",
        late["id"],
    )
    await world.owner.execute("UPDATE bookings SET places = 2, named = 2 WHERE id = $1", booking["id"])
    await world.owner.execute("UPDATE slots SET taken = 2 WHERE id = $1", booking["slot_id"])
    assert await withdraw_leavers(db) == 1
    assert await stands(world, booking) == ("confirmed", 1, 1, 1)
    await world.owner.execute("UPDATE pupils_leaving SET noted_at = now() - interval '6 minutes'")
    await withdraw_leavers(db)
    assert await world.count("pupils_leaving") == 0


async def test_many_leavers_of_one_visit_take_no_more_statements_than_one(world: World, db: Database) -> None:
    api, in_request, in_worker = world.app.state.house.db, [], []
    for gone in (1, 20):
        booking, rows = await named(world, gone + 1)
        before = api.statements
        await send(world, leaving(rows[:gone], TODAY))
        in_request.append(api.statements - before)
        before = db.statements
        assert await withdraw_leavers(db) == 1
        in_worker.append(db.statements - before)
        assert await stands(world, booking) == ("confirmed", 1, 1, 1)
    assert in_request[0] == in_request[1], in_request
    assert in_worker[0] == in_worker[1], in_worker


async def test_a_poisoned_booking_does_not_stop_the_others(world: World, db: Database) -> None:
    """Another change holds one booking: the rest go on, and it is done at the next turn."""
    first, rows = await named(world, 2)
    second, more = await named(world, 2)
    await send(world, leaving(rows[:1] + more[:1], TODAY))
    await world.owner.execute(
        "UPDATE slots SET taken = 0 WHERE id = $1", first["slot_id"]
    )  # below what is given back
    assert await withdraw_leavers(db) == 1
    assert await stands(world, second) == ("confirmed", 1, 1, 1)
    await world.owner.execute("UPDATE slots SET taken = 2 WHERE id = $1", first["slot_id"])
    assert await withdraw_leavers(db) == 1
    assert await stands(world, first) == ("confirmed", 1, 1, 1)
