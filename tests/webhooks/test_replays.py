"""Replays: a range or all that was missed, once more, in slices that a kill neither repeats nor loses."""

from datetime import timedelta

import pytest

from app.core.clock import wall_now
from app.core.db import system
from app.core.errors import Conflict, Invalid, NotFound
from app.webhooks import replays, service, upkeep
from app.webhooks.sql import replays as jobs
from tests.webhooks.test_voice import says


async def start(world, caller, endpoint, **asked):
    async with world.app.write(caller) as tx:
        return await replays.start(tx, caller, endpoint, replays.Range(**asked))


async def job(world, caller, row):
    async with world.app.read(caller) as tx:
        return await jobs.by_id(tx, caller, row["id"])


async def send(world, worker):
    """All that is due, and what becomes due of it."""
    while await worker.step():
        pass


async def delivered(world, worker, school, count, **more):
    events = await world.emit(school, count=count, **more)
    await send(world, worker)
    return events


async def position_of(world, event):
    return await world.owner.fetchval("SELECT position FROM events WHERE id = $1", event)


async def test_a_range_is_sent_once_more_with_the_same_ids_and_bytes(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    worker = world.worker()
    events = await delivered(world, worker, school, 5)
    await delivered(world, worker, school, 1, kind="hours.credited")
    first = {one.id: one.body for one in world.receiver.at("/a")}
    world.receiver.got.clear()
    positions = [await position_of(world, one) for one in events]
    row = await start(
        world, school, endpoint, only="all", from_position=positions[0], to_position=positions[3]
    )
    assert (row["state"], row["reached"], row["queued"]) == ("running", positions[0], 0)
    assert await upkeep.go_on_with_replays(world.work) == 1
    await send(world, worker)
    assert {one.id: one.body for one in world.receiver.at("/a")} == {one: first[one] for one in events[1:4]}
    done = await job(world, school, row)
    assert (done["state"], done["queued"], done["reached"]) == ("done", 3, positions[3])
    assert done["ended_at"] is not None


async def test_failed_takes_what_was_given_up_and_missed_also_what_was_never_made(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", from_position=0, event_types=["booking.*"])
    worker = world.worker()
    events = await delivered(world, worker, school, 4)
    await world.owner.execute("UPDATE deliveries SET state = 'failed' WHERE event_id = $1", events[0])
    await world.owner.execute("DELETE FROM attempts")
    await world.owner.execute("DELETE FROM deliveries WHERE event_id = $1", events[1])
    world.receiver.got.clear()
    for only, expected in (("failed", events[:1]), ("missed", events[1:2]), ("missed", [])):
        row = await start(world, school, endpoint, only=only)
        await upkeep.go_on_with_replays(world.work)
        await send(world, worker)
        assert world.receiver.ids("/a") == expected
        assert (await job(world, school, row))["queued"] == len(expected)
        world.receiver.got.clear()


async def test_a_range_of_time_is_taken_exactly(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    worker = world.worker()
    events = await delivered(world, worker, school, 4)
    times = [
        await world.owner.fetchval("SELECT occurred_at FROM events WHERE id = $1", one) for one in events
    ]
    world.receiver.got.clear()
    await start(world, school, endpoint, only="all", from_time=times[1], to_time=times[3])
    await upkeep.go_on_with_replays(world.work)
    await send(world, worker)
    wanted = [one for one, at in zip(events, times, strict=True) if times[1] <= at < times[3]]
    assert sorted(world.receiver.ids("/a")) == sorted(wanted)


async def test_a_receiver_that_was_away_for_a_month_is_sent_all_it_missed(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    worker = world.worker()
    world.receiver.answers["/a"] = says(500)
    events = await delivered(world, worker, school, 30)
    await world.owner.execute("UPDATE deliveries SET state = 'failed', due_at = NULL WHERE state = 'pending'")
    world.receiver.answers.clear()
    world.receiver.got.clear()
    async with world.app.write(school) as tx:
        await service.resume(tx, school, endpoint)
    await send(world, worker)
    await start(world, school, endpoint)
    await upkeep.go_on_with_replays(world.work)
    await send(world, worker)
    assert sorted(world.receiver.ids("/a")) == sorted(events)
    assert all(one.verified for one in world.receiver.got)


async def test_a_slice_is_committed_with_its_progress_so_that_a_kill_repeats_and_loses_nothing(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    worker = world.worker()
    events = await delivered(world, worker, school, 25)
    world.receiver.got.clear()
    row = await start(world, school, endpoint, only="all")
    seen = []
    for turn in range(30):
        try:
            async with world.work.write(system()) as tx:
                made = await jobs.take_slice(tx, row["id"], 4, 1_000)
                if made and turn % 2:  # the worker dies before it commits
                    backend = await tx.value(jobs.select(jobs.func.pg_backend_pid()))
                    await world.owner.execute("SELECT pg_terminate_backend($1)", backend)
                    await tx.value(jobs.select(jobs.func.now()))
        except Exception:  # noqa: BLE001, S112  (that is what the test is about)
            continue
        if made is None:
            break
        seen.append((await job(world, school, row))["reached"])
    assert seen == sorted(set(seen))
    await send(world, worker)
    assert sorted(world.receiver.ids("/a")) == sorted(events), "each once"
    found = await job(world, school, row)
    assert (found["state"], found["queued"]) == ("done", 25)


async def test_a_replay_makes_way_for_what_is_due_and_ends_when_its_endpoint_goes_off(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    worker = world.worker()
    await delivered(world, worker, school, 20)
    row = await start(world, school, endpoint, only="all")
    assert await upkeep.go_on_with_replays(world.work, slice_of=5, backlog=8) == 2
    assert await upkeep.go_on_with_replays(world.work, slice_of=5, backlog=8) == 0
    assert (await job(world, school, row))["state"] == "running"
    await send(world, worker)
    assert await upkeep.go_on_with_replays(world.work, slice_of=5, backlog=8) == 2
    async with world.app.write(school) as tx:
        await service.delete(tx, school, endpoint)
    await upkeep.go_on_with_replays(world.work)
    assert (await job(world, school, row))["state"] in {"cancelled", "done"}
    assert await upkeep.go_on_with_replays(world.work) == 0


async def test_what_a_vendor_may_no_longer_see_is_not_replayed(world):
    school, vendor = await world.org(), await world.org("vendor")
    grant = await world.grant(school, vendor)
    endpoint = await world.endpoint(vendor, "/a", event_types=["booking.*"])
    worker = world.worker()
    await delivered(world, worker, school, 3)
    world.receiver.got.clear()
    await world.owner.execute("UPDATE grants SET revoked_at = now() WHERE id = $1", grant)
    row = await start(world, vendor, endpoint, only="all")
    await upkeep.go_on_with_replays(world.work)
    await send(world, worker)
    assert world.receiver.got == []
    assert ((await job(world, vendor, row))["state"], (await job(world, vendor, row))["queued"]) == (
        "done",
        0,
    )


async def test_a_stranger_starts_none_and_sees_none(world):
    school, stranger = await world.org(), await world.org()
    endpoint = await world.endpoint(school, "/a")
    row = await start(world, school, endpoint, only="all")
    with pytest.raises(NotFound):
        await start(world, stranger, endpoint, only="all")
    assert await job(world, stranger, row) is None
    assert await world.owner.fetchval("SELECT count(*) FROM webhook_replays") == 1


async def test_one_replay_at_a_time_and_none_of_what_is_off_or_cannot_be(world):
    school, now = await world.org(), wall_now()
    endpoint = await world.endpoint(school, "/a")
    for wrong, pointer in (
        ({"only": "some"}, "/only"),
        ({"from_position": 10**9}, "/from_position"),
        ({"to_position": 10**9}, "/to_position"),
        ({"from_position": 0, "from_time": now}, "/from_time"),
        ({"from_time": now, "to_time": now - timedelta(days=1)}, "/to_time"),
    ):
        with pytest.raises((Invalid, Conflict)) as refused:
            await start(world, school, endpoint, **wrong)
        assert pointer in [one.pointer for one in refused.value.faults]
    await start(world, school, endpoint)
    with pytest.raises(Conflict, match="under way"):
        await start(world, school, endpoint)
    await world.owner.execute("UPDATE webhook_endpoints SET state = 'off', off_reason = 'gone'")
    with pytest.raises(Conflict, match="off"):
        await start(world, school, endpoint)
