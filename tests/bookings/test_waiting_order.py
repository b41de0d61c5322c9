"""Waiting: free places go to those who wait, in their order among those who fit; no newcomer passes them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bookings import upkeep
from app.core.db import Database
from app.worker import Chore, keep_house
from tests.world import World


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


async def _ask(
    world: World, slot: UUID, places: int = 1, *, wait: bool = False, school: str = "school_c"
) -> Any:
    body = {"school_id": world[school], "slot_id": slot, "places": places, "join_waiting_list": wait}
    return await world.post(school, "/v1/bookings", body)


async def _full(world: World, capacity: int = 1) -> tuple[UUID, dict[str, Any]]:
    """A slot, and the booking that has all of it."""
    slot = await world.slot(capacity=capacity)
    return slot, await world.booking(slot=slot, places=capacity)


async def _cancel(world: World, booking: dict[str, Any]) -> None:
    answer = await world.post(
        "school_a", f"/v1/bookings/{booking['id']}/cancel", {"reason_code": "transport"}
    )
    assert answer.status_code == 200, answer.text


async def _states(world: World, bookings: list[Any]) -> list[str]:
    rows = await world.owner.fetch(
        "SELECT id, state FROM bookings WHERE id = ANY ($1)", [UUID(one["id"]) for one in bookings]
    )
    by_id = {str(row["id"]): row["state"] for row in rows}
    return [by_id[one["id"]] for one in bookings]


async def test_case_16_the_place_goes_to_who_waits(world: World, db: Database) -> None:
    slot, first = await _full(world)
    waits = (await _ask(world, slot, wait=True)).json()
    assert waits["state"] == "waiting"
    await _cancel(world, first)
    shown = (await world.get("school_a", f"/v1/open-slots/{slot}")).json()
    assert (shown["places_left"], shown["bookable"]) == (0, False)
    late = await _ask(world, slot, school="school_a")
    assert (late.status_code, late.json()["code"]) == (409, "no_places")
    last = (await _ask(world, slot, wait=True, school="school_a")).json()
    assert last["state"] == "waiting", "behind the one who waits already"
    await upkeep.promote_waiting(db)
    assert await _states(world, [waits, last]) == ["requested", "waiting"]


async def test_of_many_newcomers_none_passes_the_one_who_waits(world: World, db: Database) -> None:
    slot, first = await _full(world, 3)
    waits = (await _ask(world, slot, 2, wait=True)).json()
    newcomers = [_ask(world, slot, school=("school_a", "school_c")[at % 2]) for at in range(40)]
    answers, *_ = await asyncio.gather(asyncio.gather(*newcomers), _cancel(world, first))
    assert {one.status_code for one in answers} == {409}, (
        "before, the waiting one did not fit; since, it comes first"
    )
    await upkeep.promote_waiting(db)
    assert await _states(world, [waits]) == ["requested"]
    again = await asyncio.gather(*[_ask(world, slot) for _ in range(8)])
    assert sorted(one.status_code for one in again) == [201] + [409] * 7, "the place that is left"
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 3


async def test_the_worker_is_woken_when_places_come_free(world: World, db: Database) -> None:
    slot, first = await _full(world)
    waits = (await _ask(world, slot, wait=True)).json()
    stop, turns = asyncio.Event(), asyncio.Queue[int]()

    async def promote(database: Database) -> None:
        turns.put_nowait(await upkeep.promote_waiting(database))

    chore = Chore("promote_waiting", 3600, promote, "tendays_places")
    house = asyncio.create_task(keep_house(db, stop, [chore]))
    try:
        async with asyncio.timeout(120):
            await turns.get()  # at the start
            await turns.get()  # when it has begun to listen
            await _cancel(world, first)
            assert await turns.get() >= 1
    finally:
        stop.set()
        await house
    assert await _states(world, [waits]) == ["requested"]


async def test_more_places_than_the_slot_has_are_not_waited_for(world: World) -> None:
    slot, _ = await _full(world, 2)
    for wait in (True, False):
        refused = await _ask(world, slot, 3, wait=wait)
        assert (refused.status_code, refused.json()["code"]) == (409, "over_capacity")


async def test_who_cannot_be_promoted_holds_nobody_up(world: World, db: Database) -> None:
    slot, first = await _full(world)
    barred = (await _ask(world, slot, wait=True)).json()
    behind = (await _ask(world, slot, wait=True, school="school_a")).json()
    await world.owner.execute("DELETE FROM approval_acceptances WHERE school_id = $1", world["school_c"])
    try:
        await _cancel(world, first)
        await upkeep.promote_waiting(db)
        assert await _states(world, [barred, behind]) == ["waiting", "requested"]
        await world.post("school_a", f"/v1/bookings/{behind['id']}/cancel", {"reason_code": "transport"})
        await upkeep.promote_waiting(db)
        newcomer = await _ask(world, slot, school="school_a")
        assert newcomer.status_code == 201, "the one set aside is passed"
        await world.post(
            "school_a", f"/v1/bookings/{newcomer.json()['id']}/cancel", {"reason_code": "transport"}
        )
    finally:
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)",
            world["school_c"], world["hub_a"],
        )  # fmt: skip
    await upkeep.promote_waiting(db)
    assert await _states(world, [barred]) == ["requested"], "and is promoted when it can be"


async def test_a_waiting_booking_is_passed_by_no_proposal_either(world: World, db: Database) -> None:
    slot, first = await _full(world)
    waits = (await _ask(world, slot, wait=True)).json()
    other = await world.booking(state="confirmed", places=1)
    await _cancel(world, first)
    moved = await world.post("school_a", f"/v1/bookings/{other['id']}/reschedule", {"slot_id": slot})
    assert (moved.status_code, moved.json()["code"]) == (409, "no_places")
    await upkeep.promote_waiting(db)
    assert await _states(world, [waits]) == ["requested"]


wishes = st.lists(st.integers(1, 4), min_size=1, max_size=5)


async def test_places_are_given_in_the_order_of_waiting_among_those_who_fit(
    world: World, db: Database
) -> None:
    drawn: list[tuple[list[int], int]] = []

    @given(wishes, st.integers(1, 4))
    @settings(max_examples=12, database=None, derandomize=True)
    def draw(asked: list[int], capacity: int) -> None:
        drawn.append((asked, capacity))

    draw()
    for asked, capacity in drawn:
        slot, first = await _full(world, capacity)
        waiting = [
            (await _ask(world, slot, places, wait=True)).json() for places in asked if places <= capacity
        ]
        await _cancel(world, first)
        await upkeep.promote_waiting(db)
        free, expected = capacity, []
        for one in waiting:
            fits = one["places"] <= free
            free -= one["places"] if fits else 0
            expected.append("requested" if fits else "waiting")
        assert await _states(world, waiting) == expected, (asked, capacity)
        rest = await world.owner.fetchval("SELECT places_left FROM open_slots WHERE slot_id = $1", slot)
        assert rest == free
        await world.owner.execute("UPDATE bookings SET state = 'cancelled' WHERE slot_id = $1", slot)
