"""Fair between endpoints, by any number of workers; and a claim costs the same however much is over."""

import asyncio
import contextlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web

from app.webhooks.heads import NARROW, WIDE, Heads
from app.webhooks.sender import Sender

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))


@contextlib.asynccontextmanager
async def at_work(*workers):
    """Running workers, stopped in the end."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


# --- one that hangs, limits over two workers ------------------------------------------------------


async def test_one_that_hangs_keeps_forty_others_waiting_for_no_time_at_all(world):
    """Two workers with eight posts each: the one that hangs could hold all sixteen, and holds its four."""
    hang, now, most = asyncio.Event(), 0, 0

    async def hangs(_got):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await hang.wait()
        now -= 1
        return web.Response(status=204)

    slow = await world.org()
    await world.endpoint(slow, "/hangs", concurrency=4)
    world.receiver.answers["/hangs"] = hangs
    await world.emit(slow, count=200)
    schools = [await world.org() for _ in range(40)]
    for number, school in enumerate(schools):
        await world.endpoint(school, f"/{number}")
    workers = [world.worker(posts=8) for _ in range(2)]
    for worker in workers:
        worker.sender = Sender(world.egress, world.keyring)  # that waits as long as in production
    async with at_work(*workers):
        await world.until(lambda: most == 4)
        sent = [event for school in schools for event in await world.emit(school, count=5)]
        await world.until(lambda: len(world.receiver.got) - len(world.receiver.at("/hangs")) == 200, 8.0)
        hang.set()
    assert sorted(one.id for one in world.receiver.got if one.path != "/hangs") == sorted(sent)
    assert most == 4, "its concurrency, over both workers"


async def test_a_rate_is_kept_over_two_workers(world):
    """The bucket is one row in the database: 25 after a first five, at 20 a second, whoever sends them."""
    school = await world.org()
    await world.endpoint(school, "/a", rate_per_second=20, concurrency=64)
    async with at_work(world.worker(poll=0.1), world.worker(poll=0.1)):
        await world.emit(school, count=30)
        await world.until(lambda: len(world.receiver.got) == 30)
    times = sorted(one.at for one in world.receiver.got)
    assert times[-1] - times[0] > 1.1
    assert max(Counter(int((at - times[0]) / 0.5) for at in times).values()) <= 5 + 10 + 2


async def test_who_has_little_is_served_beside_who_has_much(world):
    """A backlog of a thousand does not go before the few of another: they take turns."""
    much, little = await world.org(), await world.org()
    await world.endpoint(much, "/much")
    await world.endpoint(little, "/little")
    worker = world.worker(posts=16)
    await world.emit(much, count=300)
    await worker.sequence()
    await world.emit(little, count=8)
    await worker.sequence()
    await worker.step()
    assert (len(world.receiver.at("/much")), len(world.receiver.at("/little"))) == (8, 8)


# --- where claims begin ---------------------------------------------------------------------------


def test_endpoints_take_turns_and_one_without_anything_due_is_forgotten():
    heads = Heads()
    heads.found([(ONE, NOON), (TWO, NOON), (THREE, NOON)])
    heads.visited(ONE, NOON + timedelta(seconds=1))
    heads.visited(TWO, None)
    assert heads.first(5) == [(THREE, NOON), (ONE, NOON + timedelta(seconds=1))]
    assert len(heads) == 2


def test_what_became_due_earlier_than_known_moves_the_beginning_back_and_never_forward():
    heads = Heads()
    heads.found([(ONE, NOON)])
    heads.found([(ONE, NOON + timedelta(minutes=1))])
    assert heads.first(1) == [(ONE, NOON)]
    heads.found([(ONE, NOON - timedelta(minutes=1))])
    assert heads.first(1) == [(ONE, NOON - timedelta(minutes=1))]


def test_a_look_overlaps_the_one_before_it_a_little_and_each_second_a_lot():
    heads = Heads()
    assert not heads.complete
    assert heads.since(100.0, wanted=True) is None, "the whole queue is looked through first"
    heads.looked(NOON)
    assert heads.since(100.0, wanted=False) == NOON - WIDE
    assert heads.since(100.01, wanted=False) is None, "there is enough to do without it"
    assert heads.since(100.01, wanted=True) == NOON - NARROW
    assert heads.since(101.5, wanted=False) == NOON - WIDE
    heads.looked(None)
    assert heads.complete


A_SECOND_LATER = "UPDATE sequencer SET marked_at = marked_at - interval '1.2 seconds'"
"""Numbering settles what is a second old: here that second has passed."""

AGAIN = """
    INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position, replay, due_at)
    SELECT app.uuid7(), endpoint_id, org_id, event_id, event_type, order_key, sequence, position, true,
           clock_timestamp() - $1::interval FROM deliveries LIMIT 1
"""


async def test_what_was_committed_long_after_it_became_due_is_found_all_the_same(world):
    """As by a transaction that took its time: seconds later by a wide look, an hour later by the next look at everything."""
    school = await world.org()
    await world.endpoint(school, "/a")
    async with at_work(world.worker(poll=0.1, look=0.5)):
        await world.emit(school)
        await world.until(lambda: len(world.receiver.got) == 1)
        await asyncio.sleep(0.3)
        await world.owner.execute(AGAIN, timedelta(seconds=3))
        await world.until(lambda: len(world.receiver.got) == 2, 3.0)
        await world.owner.execute(AGAIN, timedelta(hours=1))
        await world.until(lambda: len(world.receiver.got) == 3, 3.0)


# --- under an old snapshot ------------------------------------------------------------------------


async def _pages_read(world, sql, *args):
    """How many pages a call of the worker's touches, all statements within it; the second one, catalogues being known."""
    connection = await asyncpg.connect(world.dsns.worker)
    try:
        for _ in range(2):
            [[told]] = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
    finally:
        await connection.close()
    plan = json.loads(told)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@pytest.mark.parametrize("analyzed", ["never", "when it was empty", "since"])
async def test_a_claim_and_a_numbering_read_no_more_when_much_is_over_that_cannot_be_cleared_away(
    world, analyzed
):
    """What a snapshot from before still sees cannot leave the indexes, whatever the statistics say of them."""
    for table in ("deliveries", "events"):  # not only emptied: the statistics are forgotten, too
        await world.owner.execute(f"TRUNCATE {table} CASCADE")
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", concurrency=32)
    if analyzed == "when it was empty":  # with the pages of what was there
        await world.emit(school, count=200)
        await world.worker().sequence()
        await world.owner.execute("DELETE FROM deliveries; DELETE FROM events; ANALYZE deliveries, events")
    reader = await asyncpg.connect(world.dsns.owner)
    await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries")
    worker, read = world.worker(lease=1.0), []
    worker.sender = Sender(world.egress, world.keyring)
    for _ in range(3):
        for _ in range(16):
            await world.emit(school, count=32)
            while await worker.step():
                pass
        if analyzed == "since":
            await world.owner.execute("ANALYZE deliveries, events")
        await world.owner.execute(A_SECOND_LATER)
        for _ in range(2):
            await world.emit(school)
            await worker.sequence()
        idle = await _pages_read(world, "SELECT * FROM app.sequence_and_fan_out(500)")
        lately = datetime.now(UTC) - NARROW
        claim = "SELECT * FROM app.claim_deliveries($1, 'normal', 1, 1, $2, $3, $4)"
        read.append((idle, await _pages_read(world, claim, worker.id, [endpoint], [lately], lately)))
        await worker.queue.release()
    await reader.close()
    for first, last in zip(read[0], read[-1], strict=True):
        assert last < first + 60, read


async def test_an_event_whose_transaction_took_long_is_numbered_although_later_ones_were(world):
    """Numbering goes on from what is settled, and nothing is settled while a transaction that began before is open."""
    school = await world.org()
    worker = world.worker()
    slow = await asyncpg.connect(world.dsns.owner)
    await slow.execute("BEGIN")
    await slow.execute(
        "INSERT INTO events (id, type, audience, audience_id, order_key, sequence, body, occurred_at)"
        " VALUES (app.uuid7(), 'slow.one', 'school', $1, app.uuid7(), 1, '', now())".replace(
            "$1", f"'{school.org_id}'"
        )
    )
    for _ in range(4):
        await world.emit(school, count=3)
        await worker.sequence()
        await world.owner.execute(A_SECOND_LATER)
    seq = await slow.fetchval("SELECT seq FROM events WHERE type = 'slow.one'")
    assert await world.owner.fetchval("SELECT low FROM sequencer") < seq
    await slow.execute("COMMIT")
    await worker.sequence()
    assert await world.owner.fetchval("SELECT position FROM events WHERE type = 'slow.one'") is not None
    for _ in range(4):
        await world.emit(school)
        await worker.sequence()
        await world.owner.execute(A_SECOND_LATER)
    assert await world.owner.fetchval("SELECT low FROM sequencer") > seq
    await slow.close()
