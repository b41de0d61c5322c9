"""A delivery that could be sent and is not: listed, told to its owner, counted; and healed if it waits for nothing."""

import json
from datetime import timedelta

import pytest

from app.core import metrics
from app.core.db import system
from app.webhooks import service
from app.webhooks.sql import deliveries, measures
from app.webhooks.upkeep import Unsent, raise_undelivered
from app.worker import CHORES, measure
from tests.webhooks.test_voice import says

KIND = "booking.confirmed"


async def _queued(world, *, count=1, key=None, lane="normal"):
    """An endpoint of a school with so many deliveries, none of them sent."""
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*", "participation.*"])
    kind = KIND if lane == "normal" else "participation.no_show"
    await world.emit(school, count=count, key=key, lane=lane, kind=kind)
    worker = world.worker()
    await worker.sequence()
    return school, endpoint, worker


async def _due_since(world, endpoint, minutes):
    await world.owner.execute(
        "UPDATE deliveries SET due_at = now() - $2::interval WHERE endpoint_id = $1 AND due_at IS NOT NULL",
        endpoint,
        timedelta(minutes=minutes),
    )


async def _listed(world, caller):
    async with world.app.read(caller) as tx:
        return {row["id"] for row in await deliveries.page(tx, caller, deliveries.Wanted(undelivered=True))}


async def _told(world, caller):
    rows = await world.owner.fetch(
        "SELECT body FROM events WHERE audience_id = $1 AND type = 'delivery.undelivered' ORDER BY seq",
        caller.org_id,
    )
    return [
        (one["data"]["delivery_id"], one["data"]["reason"])
        for one in (json.loads(row["body"]) for row in rows)
    ]


async def test_what_was_due_for_five_minutes_and_not_sent_is_listed_and_told_once_until_it_arrives(world):
    school, endpoint, worker = await _queued(world)
    [row] = await world.deliveries(endpoint)
    await _due_since(world, endpoint, 4)
    assert await Unsent().turn(world.work) == 0
    await _due_since(world, endpoint, 6)
    assert [await Unsent().turn(world.work) for _ in range(3)] == [1, 0, 0]
    assert await _listed(world, school) == {row["id"]}
    assert await _told(world, school) == [(str(row["id"]), "not_sent")]
    stranger = await world.org()
    assert await _listed(world, stranger) == set()
    await worker.step()
    assert world.receiver.ids("/a")
    assert await _listed(world, school) == set(), "it has arrived"


@pytest.mark.parametrize(
    "reason", ["paused", "off", "under way", "waits for the one before it", "to be tried later"]
)
async def test_what_waits_for_a_reason_is_not_listed(world, reason):
    school, endpoint, worker = await _queued(world)
    if reason == "waits for the one before it":
        [first] = await world.deliveries(endpoint)
        await world.emit(school, key=first["order_key"])
        await worker.sequence()
    await _due_since(world, endpoint, 60)
    if reason == "paused":
        async with world.app.write(school) as tx:
            await service.pause(tx, school, endpoint)
    elif reason == "off":
        await world.owner.execute("SELECT app.switch_off_endpoint($1, 'failing')", endpoint)
    else:
        if reason == "to be tried later":
            world.receiver.answers["/a"] = says(500)
        claimed = await worker.claim("normal")
        assert len(claimed) == 1
        if reason == "to be tried later":
            await worker._deliver_and_note(claimed[0])
            await worker.flush()
    assert await Unsent().turn(world.work) == 0
    assert await _listed(world, school) == set()


async def test_what_is_due_behind_an_open_one_is_not_listed_and_the_open_one_is(world):
    school, endpoint, worker = await _queued(world)
    [first] = await world.deliveries(endpoint)
    await world.emit(school, key=first["order_key"])
    await worker.sequence()
    await world.owner.execute("UPDATE deliveries SET due_at = now()")
    await _due_since(world, endpoint, 6)
    assert await Unsent().turn(world.work) == 1
    assert await _listed(world, school) == {first["id"]}


@pytest.mark.parametrize("lane", ["normal", "safety"])
async def test_what_has_no_due_time_and_waits_for_nothing_is_told_and_becomes_due(world, lane):
    school, endpoint, worker = await _queued(world, lane=lane)
    await world.owner.execute("UPDATE deliveries SET due_at = NULL WHERE endpoint_id = $1", endpoint)
    assert await worker.step() == 0, "nobody sends it"
    [row] = await world.deliveries(endpoint)
    assert await Unsent().turn(world.work) == 1
    assert await _told(world, school) == [(str(row["id"]), "no_due_time")]
    assert await _listed(world, school) == {row["id"]}
    await worker.step()
    assert await world.states(endpoint) == ["delivered"]
    assert await _listed(world, school) == set()


async def test_what_waits_for_the_one_before_it_is_left_alone_and_all_are_looked_at_by_and_by(
    world, monkeypatch
):
    monkeypatch.setattr("app.webhooks.upkeep.LOOKED_AT", 2)
    school, endpoint, worker = await _queued(world)
    [first] = await world.deliveries(endpoint)
    await world.emit(school, key=first["order_key"], count=5)
    await worker.sequence()
    lone = await world.emit(school)
    await worker.sequence()
    await world.owner.execute("UPDATE deliveries SET due_at = NULL WHERE event_id = $1", lone[0])
    unsent = Unsent()
    assert sum([await unsent.turn(world.work) for _ in range(4)]) == 1
    assert sum(row["due_at"] is None for row in await world.deliveries(endpoint)) == 5


async def test_an_endpoint_that_is_far_behind_is_told_once_and_not_of_the_telling(world):
    school, endpoint, worker = await _queued(world, count=7)
    await _due_since(world, endpoint, 6)
    assert await Unsent().turn(world.work) == 7
    assert len(await _listed(world, school)) == 7
    assert len(await _told(world, school)) == 1
    every = await world.endpoint(school, "/every")
    await world.owner.execute(
        "UPDATE webhook_endpoints SET from_position = 0, filled_to = 0 WHERE id = $1", every
    )
    await worker.sequence()
    for _ in range(3):
        await world.owner.execute(
            "UPDATE deliveries SET due_at = now() - interval '6 min' WHERE due_at IS NOT NULL"
        )
        await Unsent().turn(world.work)
        await worker.sequence()
    assert len(await _told(world, school)) == 2, "once per endpoint, and of no delivery.undelivered"


async def test_of_the_safety_lane_each_is_told_and_raised_but_once(world):
    school, endpoint, _ = await _queued(world, count=3, lane="safety")
    await _due_since(world, endpoint, 6)
    assert await Unsent().turn(world.work) == 3
    assert [reason for _, reason in await _told(world, school)] == ["not_sent"] * 3
    await world.owner.execute("UPDATE deliveries SET created_at = created_at - interval '1 hour'")
    assert await raise_undelivered(world.work) == 0


async def test_it_is_counted_and_measured(world):
    _, endpoint, _ = await _queued(world, count=2)
    await _due_since(world, endpoint, 6)
    await Unsent().turn(world.work)
    await measure(world.work)
    text = metrics.text().decode()
    assert 'tendays_webhook_raised_total{lane="normal",reason="not_sent"}' in text
    assert 'tendays_webhook_undelivered{lane="normal"} 2.0' in text
    async with world.work.write(system()) as tx:
        assert await measures.undelivered(tx) == {"normal": 2, "safety": 0}


def test_every_worker_looks_for_it():
    assert "raise_unsent" in {chore.name for chore in CHORES}
