"""`possible` names the moves that would succeed, and no other: each side tries each move, in each state, at each moment."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.bookings import service
from app.bookings.steps import Step
from app.core.caller import Caller
from app.core.db import Database
from app.core.errors import Problem
from app.rules.words import REASONS_FOR, Actor, BookingAction
from tests.world import KINDS, World

A = BookingAction
SIDES = {"school_a": Actor.SCHOOL, "employer_a": Actor.EMPLOYER}
MOVES = (
    A.CONFIRM, A.COUNTER, A.ACCEPT_COUNTER, A.DECLINE, A.RESCHEDULE, A.CANCEL, A.ACCEPT_PROPOSAL, A.DECLINE_PROPOSAL,
    A.WITHDRAW_PROPOSAL,
)  # fmt: skip
MOMENTS = {
    "asked": timedelta(days=-21),
    "late": timedelta(days=-12),
    "begun": timedelta(minutes=30),
    "over": timedelta(hours=3),
}
"""From the start of the visit; the time to answer ends in between the first two."""


class _Undo(Exception):
    """What was tried is not kept."""


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True).open()
    yield made
    await made.close()


async def _step(world: World, who: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = await world.post(who, path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _waiting(world: World) -> Any:
    slot = await world.slot(capacity=1)
    await world.booking(slot=slot, places=1)
    body = {
        "school_id": world["school_a"],
        "slot_id": slot,
        "places": 1,
        "nc_year": "8",
        "join_waiting_list": True,
    }
    return (await world.post("school_a", "/v1/bookings", body)).json()


async def _requested(world: World) -> Any:
    return await world.booking(places=1)


async def _countered(world: World) -> Any:
    made = await world.booking(places=1)
    return await _step(
        world, "employer_a", f"/v1/bookings/{made['id']}/counter", {"slot_id": await _later(world)}
    )


async def _confirmed(world: World) -> Any:
    return await world.booking(state="confirmed", places=1)


async def _proposed_by_school(world: World) -> Any:
    made = await _confirmed(world)
    return await _step(
        world, "school_a", f"/v1/bookings/{made['id']}/reschedule", {"slot_id": await _later(world)}
    )


async def _proposed_by_employer(world: World) -> Any:
    made = await _confirmed(world)
    return await _step(
        world, "employer_a", f"/v1/bookings/{made['id']}/reschedule", {"slot_id": await _later(world)}
    )


async def _attended(world: World) -> Any:
    made = await _confirmed(world)
    pupil = await world.pupil("school_a")
    path = f"/v1/bookings/{made['id']}"
    named = await _step(world, "school_a", f"{path}/participants", {"pupils": [{"pupil_id": pupil}]})
    await world.move_clock(datetime.fromisoformat(made["starts_at"]) + timedelta(minutes=1))
    await _step(
        world, "employer_a", f"{path}/arrivals", {"arrivals": [{"participation_id": named["data"][0]["id"]}]}
    )
    await world.move_clock(None)
    return made


async def _on_hold(world: World) -> Any:
    made = await _confirmed(world)
    await world.owner.execute(
        "UPDATE bookings SET state = 'on_hold', reason_code = 'under_review', reason_actor = 'system' WHERE id = $1",
        UUID(made["id"]),
    )
    return made


async def _cancelled(world: World) -> Any:
    made = await _requested(world)
    return await _step(world, "school_a", f"/v1/bookings/{made['id']}/cancel", {"reason_code": "transport"})


STATES = {
    make.__name__.strip("_"): make
    for make in (
        _waiting, _requested, _countered, _confirmed, _proposed_by_school, _proposed_by_employer, _attended, _on_hold,
        _cancelled,
    )
}  # fmt: skip


async def _later(world: World) -> UUID:
    """A slot that lies ahead at every moment that is tried."""
    starts = (datetime.now(UTC) + timedelta(days=60)).replace(hour=10, minute=0, second=0, microsecond=0)
    return await world.slot(starts=starts)


async def _succeeds(
    db: Database, caller: Caller, booking: str, action: BookingAction, slot: UUID, side: Actor
) -> bool:
    reason = next(iter(REASONS_FOR.get((action, side), ())), None)
    other = slot if action in (A.RESCHEDULE, A.COUNTER) else None
    try:
        async with db.write(caller) as tx:
            await service.take_step(tx, UUID(booking), Step(action, reason, slot_id=other))
            raise _Undo  # noqa: TRY301 - it has to leave the transaction
    except _Undo:
        return True
    except Problem:
        return False


@pytest.mark.parametrize("state", STATES)
async def test_what_is_possible_is_what_succeeds(world: World, db: Database, state: str) -> None:
    booking = await STATES[state](world)
    slot, starts = await _later(world), datetime.fromisoformat(booking["starts_at"])
    try:
        for name, moment in MOMENTS.items():
            await world.move_clock(starts + moment if name != "asked" else None)
            for who, side in SIDES.items():
                caller = Caller(
                    world.clients[who],
                    world[who],
                    KINDS[who],
                    frozenset({"bookings:write"}),
                    datetime.now(UTC),
                )
                read = (await world.get(who, f"/v1/bookings/{booking['id']}")).json()
                listed = (await world.get(who, f"/v1/bookings?slot_id={read['slot_id']}")).json()["data"]
                works = [
                    one.value for one in MOVES if await _succeeds(db, caller, booking["id"], one, slot, side)
                ]
                assert sorted(read["possible"]) == sorted(works), (state, name, who)
                assert [one["possible"] for one in listed if one["id"] == booking["id"]] == [read["possible"]]
    finally:
        await world.move_clock(None)
