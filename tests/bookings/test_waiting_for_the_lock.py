"""Two sides move one booking at the same moment: whoever waited for the lock judges and counts what is there now."""

import asyncio
from typing import Any

import httpx

from tests.world import World


async def both(
    world: World, booking: dict[str, Any], *sent: tuple[str, str, dict[str, Any]]
) -> list[httpx.Response]:
    """All at once: held back by a lock on the booking until each of them waits for it, in the order given."""
    path = f"/v1/bookings/{booking['id']}"
    tasks = []
    async with world.owner.transaction():
        await world.owner.execute("SELECT 1 FROM bookings WHERE id = $1 FOR UPDATE", booking["id"])
        for number, (who, action, body) in enumerate(sent, start=1):
            tasks.append(asyncio.create_task(world.post(who, f"{path}/{action}", body)))
            async with asyncio.timeout(4):
                while await waiting(world) < number:  # noqa: ASYNC110 - it watches the database
                    await asyncio.sleep(0.01)
    return await asyncio.gather(*tasks)


async def waiting(world: World) -> int:
    return int(await world.owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_a_confirmation_and_a_cancellation_are_both_written_down(world: World) -> None:
    booking = await world.booking()
    confirmed, cancelled = await both(
        world, booking, ("employer_a", "confirm", {}), ("school_a", "cancel", {"reason_code": "transport"})
    )
    assert (confirmed.status_code, cancelled.status_code) == (200, 200), cancelled.text
    history = (await world.get("school_a", f"/v1/bookings/{booking['id']}/history")).json()["data"]
    assert [(one["no"], one["action"]) for one in history] == [(1, "request"), (2, "confirm"), (3, "cancel")]


async def test_the_second_of_two_cancellations_is_told_the_state(world: World) -> None:
    booking = await world.booking(state="confirmed")
    first, second = await both(
        world,
        booking,
        ("school_a", "cancel", {"reason_code": "transport"}),
        ("employer_a", "cancel", {"reason_code": "no_supervisor"}),
    )
    assert first.status_code == 200, first.text
    assert (second.status_code, second.json()["code"]) == (409, "not_from_this_state")
