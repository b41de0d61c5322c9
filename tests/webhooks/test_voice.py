"""The voice against a real receiver: once and in order, retried, taken over, stopped, and never by the wrong ear."""

import asyncio
import contextlib
import os
import sys
from base64 import b64encode

import asyncpg
import pytest
from aiohttp import web

from app.core.ids import new_id
from app.settings import load
from app.webhooks import service
from app.webhooks.sender import Sender
from app.webhooks.voice import SAFETY
from app.worker import run


def says(status, **headers):
    return lambda _got: web.Response(status=status, headers=headers)


@contextlib.asynccontextmanager
async def at_work(*workers):
    """Workers that run as they do in production, told to stop at the end."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


# --- delivered ------------------------------------------------------------------------------------


async def test_a_committed_event_arrives_once_signed_and_with_the_very_bytes_of_the_outbox(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", signatures=["v1", "v1a"])
    [event] = await world.emit(school)
    worker = world.worker()
    assert await worker.step() == 1
    [got] = world.receiver.at("/a")
    assert (got.id, got.verified, got.headers["content-type"]) == (event, True, "application/json")
    assert got.headers["webhook-signature"].split(",")[0] == "v1"
    assert " v1a," in got.headers["webhook-signature"]
    assert got.body == await world.owner.fetchval("SELECT body FROM events WHERE id = $1", event)
    assert await worker.step() == 0
    [row] = await world.deliveries(endpoint)
    assert (row["state"], row["attempts"], row["last_status"]) == ("delivered", 1, 204)
    attempt = await world.owner.fetchrow("SELECT * FROM attempts WHERE delivery_id = $1", row["id"])
    assert (attempt["no"], attempt["status"], attempt["error"]) == (1, 204, None)


async def test_a_running_worker_needs_no_poll_to_deliver_in_milliseconds(world):
    school = await world.org()
    await world.endpoint(school, "/a")
    async with at_work(world.worker(poll=30.0)):
        await asyncio.sleep(0.3)
        for n in range(1, 21):
            await world.emit(school)
            await world.until(lambda n=n: len(world.receiver.got) == n, 2.0)


async def test_an_event_of_a_rolled_back_transaction_never_leaves(world):
    school = await world.org()
    await world.endpoint(school, "/a")
    await world.emit(school, fail=True)
    [kept] = await world.emit(school)
    await world.worker().step()
    assert world.receiver.ids("/a") == [kept]


async def test_the_events_of_one_key_arrive_in_order_and_other_keys_do_not_wait(world):
    school, key = await world.org(), new_id()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = lambda got: web.Response(status=500 if got.id == first else 204)
    first, second, third = [(await world.emit(school, key=key))[0] for _ in range(3)]
    [other] = await world.emit(school)
    worker = world.worker()
    await worker.step()
    assert sorted(world.receiver.ids("/a")) == sorted([first, other])
    world.receiver.answers.clear()
    world.receiver.got.clear()
    await world.make_due(worker)
    assert world.receiver.ids("/a") == [first]
    await worker.step()
    await worker.step()
    assert world.receiver.ids("/a") == [first, second, third]
    assert [one.event["sequence"] for one in world.receiver.at("/a")] == [1, 2, 3]
    assert set(await world.states(endpoint)) == {"delivered"}


async def test_a_hundred_events_on_ten_keys_keep_their_order_while_a_third_of_the_posts_fail(world):
    school, keys = await world.org(), [new_id() for _ in range(10)]
    endpoint = await world.endpoint(school, "/a", concurrency=32)
    tries = 0

    def moody(_got):
        nonlocal tries
        tries += 1
        return web.Response(status=500 if tries % 3 == 0 else 204)

    world.receiver.answers["/a"] = moody
    workers = world.worker(), world.worker()
    async with at_work(*workers):
        for _ in range(10):
            for key in keys:
                await world.emit(school, key=key)
        async with asyncio.timeout(30):
            while (
                set(await world.states(endpoint)) != {"delivered"} or len(await world.states(endpoint)) < 100
            ):
                await world.owner.execute(
                    "UPDATE deliveries SET due_at = now() WHERE state = 'pending' AND due_at > now() AND leased_by IS NULL"
                )
                await asyncio.sleep(0.05)
    seen = {}
    for one in world.receiver.at("/a"):
        row = await world.owner.fetchrow("SELECT order_key, sequence FROM events WHERE id = $1", one.id)
        key, sequence = row["order_key"], row["sequence"]
        assert sequence in (seen.get(key, 0), seen.get(key, 0) + 1), "a successor overtook"
        seen[key] = sequence
    assert sorted(seen.values()) == [10] * 10


async def test_a_filter_with_a_wildcard_takes_its_family_alone(world):
    school = await world.org()
    await world.endpoint(school, "/a", event_types=["booking.*", "hours.credited"])
    taken = await world.emit(school) + await world.emit(school, kind="hours.credited")
    await world.emit(school, kind="participation.arrived")
    await world.worker().step()
    assert sorted(world.receiver.ids("/a")) == sorted(taken)


# --- failed ---------------------------------------------------------------------------------------


async def test_a_failing_receiver_is_tried_ten_times_by_the_schedule_and_then_given_up(world):
    school, key = await world.org(), new_id()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(500)
    await world.emit(school, key=key)
    worker, pauses = world.worker(), []
    await worker.step()
    for _ in range(9):
        row = (await world.deliveries(endpoint))[0]
        ended = await world.owner.fetchval("SELECT max(at) FROM attempts WHERE delivery_id = $1", row["id"])
        pauses.append(round((row["due_at"] - ended).total_seconds()))
        assert await world.make_due(worker) == 1
    assert pauses == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert await world.states(endpoint) == ["failed"]
    assert len(set(world.receiver.ids("/a"))) == 1
    assert len({one.body for one in world.receiver.at("/a")}) == 1
    assert all(one.verified for one in world.receiver.at("/a"))
    world.receiver.answers.clear()
    await world.emit(school, key=key)
    await worker.step()
    assert await world.states(endpoint) == ["failed", "delivered"]


async def test_a_redirect_is_a_failure_and_is_never_followed(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(302, location=world.receiver.url("/b"))
    await world.emit(school)
    await world.worker().step()
    assert world.receiver.at("/b") == []
    [row] = await world.deliveries(endpoint)
    assert (row["state"], row["last_status"]) == ("pending", 302)
    assert "not followed" in row["last_error"]


@pytest.mark.parametrize(
    ("status", "header", "least"), [(503, "120", 120), (429, "7200", 7200), (500, "1", 5)]
)
async def test_retry_after_is_honoured_when_it_asks_for_more_than_the_schedule(world, status, header, least):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(status, **{"retry-after": header})
    await world.emit(school)
    await world.worker().step()
    [wait] = await world.owner.fetch(
        "SELECT extract(epoch FROM due_at - clock_timestamp())::float AS s FROM deliveries WHERE endpoint_id = $1",
        endpoint,
    )
    assert least - 2 < wait["s"] <= least + 1


async def test_an_overloaded_endpoint_is_left_alone_but_not_by_the_safety_lane(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(429, **{"retry-after": "60"})
    await world.emit(school)
    worker = world.worker()
    await worker.step()
    world.receiver.answers.clear()
    [waits] = await world.emit(school)
    [urgent] = await world.emit(school, lane="safety", kind="participation.no_show")
    await worker.step()
    assert world.receiver.ids("/a")[1:] == [urgent]
    assert (await world.row(endpoint))["slow_level"] in (0, 1)
    await world.owner.execute("UPDATE webhook_endpoints SET slow_until = now()")
    await worker.step()
    assert waits in world.receiver.ids("/a")


async def test_after_an_overload_posts_go_one_at_a_time_until_one_succeeds(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(502)
    await world.emit(school)
    worker = world.worker()
    await worker.step()
    assert (await world.row(endpoint))["slow_level"] == 1
    world.receiver.answers.clear()
    await world.emit(school, count=5)
    await worker.sequence()
    await world.owner.execute("UPDATE webhook_endpoints SET slow_until = NULL")
    assert await worker.step() == 1
    assert (await world.row(endpoint))["slow_level"] == 0
    assert await worker.step() == 4


async def test_410_switches_a_schools_endpoint_off_and_resuming_it_misses_nothing(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(410)
    first = await world.emit(school)
    worker = world.worker()
    await worker.step()
    row = await world.row(endpoint)
    assert (row["state"], row["off_reason"]) == ("off", "gone")
    missed = await world.emit(school, count=3)
    await worker.step()
    assert len(world.receiver.got) == 1
    world.receiver.answers.clear()
    world.receiver.got.clear()
    async with world.app.write(school) as tx:
        await service.resume(tx, school, endpoint)
    await world.make_due(worker)
    await worker.step()
    assert sorted(world.receiver.ids("/a")) == sorted(first + missed)
    assert len(await world.deliveries(endpoint)) == 4


async def test_410_does_not_switch_off_the_endpoint_that_a_vendor_has_for_all_its_schools(world):
    school, vendor = await world.org(), await world.org("vendor")
    await world.grant(school, vendor)
    for_all = await world.endpoint(vendor, "/all")
    for_one = await world.endpoint(vendor, "/one", school_id=school.org_id)
    world.receiver.answers |= {"/all": says(410), "/one": says(410)}
    await world.emit(school)
    await world.worker().step()
    assert (await world.row(for_all))["state"] == "active"
    assert await world.states(for_all) == ["pending"]
    assert (await world.row(for_one))["state"] == "off"


async def test_what_a_receiver_says_is_kept_short_and_without_nul(world):
    school = await world.org()
    await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = lambda _got: web.Response(status=500, body=b"\x00\xff" + b"x" * 10_000)
    await world.emit(school)
    worker = world.worker()
    await worker.step()
    kept = await world.owner.fetchval("SELECT response_body FROM attempts")
    assert len(kept) == 2000
    assert "\0" not in kept


# --- the safety lane ------------------------------------------------------------------------------


async def test_the_safety_lane_is_not_held_behind_a_stuck_predecessor_of_its_own_key(world):
    school, key = await world.org(), new_id()
    await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = lambda got: web.Response(status=500 if got.id == stuck else 204)
    [stuck] = await world.emit(school, key=key)
    worker = world.worker()
    await worker.step()
    [behind] = await world.emit(school, key=key)
    [urgent] = await world.emit(school, key=key, lane="safety", kind="participation.no_show")
    await worker.step()
    assert world.receiver.ids("/a") == [stuck, urgent]
    world.receiver.answers.clear()
    await world.make_due(worker)
    await worker.step()
    assert world.receiver.ids("/a") == [stuck, urgent, stuck, behind]


async def test_the_safety_lane_passes_a_thousand_posts_that_hang(world):
    school = await world.org()
    await world.endpoint(school, "/a", concurrency=4)
    hang = asyncio.Event()

    async def hangs(got):
        if got.event["type"] == "booking.confirmed":
            await hang.wait()
        return web.Response(status=204)

    world.receiver.answers["/a"] = hangs
    async with at_work(world.worker(posts=4)):
        await world.emit(school, count=1000)
        await world.until(lambda: len(world.receiver.got) >= 4)
        [urgent] = await world.emit(school, lane="safety", kind="attendance.overdue")
        await world.until(lambda: urgent in world.receiver.ids("/a"), 0.35)
        hang.set()


async def test_the_safety_lane_is_retried_at_5_15_30_60_seconds_and_then_every_two_minutes(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(500, **{"retry-after": "9000"})
    await world.emit(school, lane="safety", kind="participation.no_show")
    worker, pauses = world.worker(), []
    world.receiver.answers["/a"] = says(500)
    await worker.step()
    for _ in range(6):
        [row] = await world.deliveries(endpoint)
        ended = await world.owner.fetchval("SELECT max(at) FROM attempts WHERE delivery_id = $1", row["id"])
        pauses.append(round((row["due_at"] - ended).total_seconds()))
        await world.make_due(worker)
    assert pauses == [5, 10, 15, 30, 120, 120]


# --- the right to see -----------------------------------------------------------------------------


async def test_a_vendor_hears_of_the_schools_that_granted_it_and_of_no_other(world):
    school, stranger, vendor = await world.org(), await world.org(), await world.org("vendor")
    await world.grant(school, vendor)
    await world.endpoint(vendor, "/v")
    await world.endpoint(stranger, "/s")
    [told] = await world.emit(school)
    [other] = await world.emit(stranger)
    await world.worker().step()
    assert world.receiver.ids("/v") == [told]
    assert world.receiver.ids("/s") == [other]


async def test_a_trust_hears_of_its_academies(world):
    academy, trust = await world.org(), await world.org("trust")
    await world.owner.execute(
        "INSERT INTO memberships (id, member_id, member_no, parent_id, kind, starts_on)"
        " SELECT $1, $2, no, $3, 'trust', current_date - 9 FROM organisations WHERE id = $2",
        new_id(), academy.org_id, trust.org_id,
    )  # fmt: skip
    await world.endpoint(trust, "/t")
    [told] = await world.emit(academy)
    await world.worker().step()
    assert world.receiver.ids("/t") == [told]


async def test_a_revoked_vendors_pending_deliveries_are_dropped_but_it_learns_of_the_revocation(world):
    school, vendor = await world.org(), await world.org("vendor")
    grant = await world.grant(school, vendor)
    endpoint = await world.endpoint(vendor, "/v")
    world.receiver.answers["/v"] = says(500)
    key = new_id()
    await world.emit(school, key=key)
    await world.emit(school, key=key)
    worker = world.worker()
    await worker.step()
    assert len(world.receiver.at("/v")) == 1
    await world.owner.execute("UPDATE grants SET revoked_at = now() WHERE id = $1", grant)
    await world.emit(school)
    [told] = await world.emit(vendor, kind="grant.revoked")
    world.receiver.answers.clear()
    world.receiver.got.clear()
    await world.make_due(worker)
    await world.make_due(worker)
    assert world.receiver.ids("/v") == [told]
    assert await world.states(endpoint) == ["revoked", "revoked", "delivered"]


async def test_a_closed_organisation_is_sent_nothing_more(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    worker = world.worker()
    await worker.sequence()
    await world.owner.execute("UPDATE organisations SET status = 'closed' WHERE id = $1", school.org_id)
    await worker.step()
    assert world.receiver.got == []
    assert await world.states(endpoint) == ["revoked"]


# --- many workers, and none -----------------------------------------------------------------------


async def test_two_workers_share_the_work_and_never_claim_the_same_delivery(world):
    school = await world.org()
    await world.endpoint(school, "/a", concurrency=64)
    events = await world.emit(school, count=300)
    one, two = world.worker(), world.worker()
    for worker in (one, two):
        worker.sender = Sender(world.egress, world.keyring)  # on a busy machine a post may take its time
    await one.sequence()
    claims = []

    async def take(worker):
        while got := await worker.claim("normal", 7):
            claims.extend(got)
            for claimed in got:
                await worker._deliver_and_note(claimed)
            await worker.flush()

    await asyncio.gather(take(one), take(two))
    await take(one)  # what was passed over while the other held the endpoint
    assert sorted(str(claimed.event_id) for claimed in claims) == sorted(events)
    assert sorted(world.receiver.ids("/a")) == sorted(events)


async def test_two_running_workers_deliver_everything_once(world):
    schools = [await world.org() for _ in range(5)]
    for number, school in enumerate(schools):
        await world.endpoint(school, f"/{number}")
    async with at_work(world.worker(), world.worker()):
        sent = [event for school in schools for event in await world.emit(school, count=60)]
        await world.until(lambda: len(world.receiver.got) >= 300)
        await asyncio.sleep(0.3)
    assert sorted(one.id for one in world.receiver.got) == sorted(sent)
    assert all(one.verified for one in world.receiver.got)


async def test_an_endpoint_never_has_more_posts_at_once_than_it_asked_for_with_two_workers(world):
    school = await world.org()
    await world.endpoint(school, "/a", concurrency=3)
    now = most = 0

    async def count(_got):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response(status=204)

    world.receiver.answers["/a"] = count
    async with at_work(world.worker(), world.worker()):
        await world.emit(school, count=60)
        await world.until(lambda: len(world.receiver.got) == 60)
    assert most == 3


async def test_a_rate_is_kept_on_average(world):
    school = await world.org()
    await world.endpoint(school, "/a", rate_per_second=20)
    async with at_work(world.worker(poll=1.0)):
        await world.emit(school, count=30)
        await world.until(lambda: len(world.receiver.got) == 30)
    took = world.receiver.got[-1].at - world.receiver.got[0].at
    assert 1.1 < took < 2.2  # 25 after a first five, at 20 a second


async def test_an_endpoint_that_hangs_slows_no_other(world):
    slow, quick = await world.org(), await world.org()
    await world.endpoint(slow, "/hangs")
    await world.endpoint(quick, "/quick")
    hang = asyncio.Event()

    async def hangs(_got):
        await hang.wait()
        return web.Response(status=204)

    world.receiver.answers["/hangs"] = hangs
    async with at_work(world.worker(posts=16)):
        await world.emit(slow, count=500)
        await world.until(lambda: len(world.receiver.at("/hangs")) >= 8)
        events = await world.emit(quick, count=100)
        await world.until(lambda: len(world.receiver.at("/quick")) == 100, 1.5)
        hang.set()
    assert len(world.receiver.at("/hangs")) <= 40
    assert sorted(world.receiver.ids("/quick")) == sorted(events)


async def test_what_a_worker_killed_in_mid_send_held_is_sent_again_with_the_same_id_and_bytes(world):
    """A real process, a real kill -9 while the receiver has the post; the end of the lease is moved to now."""
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    hang = asyncio.Event()

    async def hangs(_got):
        await hang.wait()
        return web.Response(status=204)

    world.receiver.answers["/a"] = hangs
    program = (
        "import asyncio; from app.settings import load; from app.worker import run; asyncio.run(run(load()))"
    )
    environment = {**os.environ, **settings_of(world)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    [event] = await world.emit(school)
    await world.until(lambda: len(world.receiver.got) == 1, 20.0)
    process.kill()
    await process.wait()
    hang.set()
    successor = world.worker()
    assert await successor.step() == 0, "the lease still stands"
    assert await world.owner.execute(
        "UPDATE deliveries SET leased_until = now(), due_at = now() WHERE leased_by IS NOT NULL"
    ) == "UPDATE 1"  # fmt: skip
    assert await successor.step() == 1
    first, second = world.receiver.at("/a")
    assert (first.id, first.body) == (second.id, second.body) == (event, second.body)
    assert second.verified
    assert await world.states(endpoint) == ["delivered"]


def settings_of(world):
    return {
        "TENDAYS_ENV": "test",
        "TENDAYS_WORKER_DATABASE_URL": world.dsns.worker,
        "TENDAYS_SECRET_KEY": b64encode(world.keyring._masters[0]).decode(),
    }


async def test_told_to_stop_it_finishes_what_is_under_way_records_it_and_holds_nothing(world, monkeypatch):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", concurrency=2)

    async def takes_its_time(_got):
        await asyncio.sleep(0.3)
        return web.Response(status=204)

    world.receiver.answers["/a"] = takes_its_time
    for name, value in settings_of(world).items():
        monkeypatch.setenv(name, value)
    work = asyncio.create_task(run(load()))
    await world.emit(school, count=5)
    await world.until(lambda: len(world.receiver.got) == 2)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    assert sorted(await world.states(endpoint)) == ["delivered"] * 2 + ["pending"] * 3
    assert await world.owner.fetchval("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL") == 0


async def test_posts_that_hang_on_many_endpoints_take_no_room_from_a_healthy_one(world):
    hang = asyncio.Event()

    async def hangs(_got):
        await hang.wait()
        return web.Response(status=204)

    for number in range(6):
        slow = await world.org()
        await world.endpoint(slow, f"/hangs/{number}", concurrency=4)
        world.receiver.answers[f"/hangs/{number}"] = hangs
        await world.emit(slow, count=20)
    quick = await world.org()
    await world.endpoint(quick, "/quick")
    async with at_work(world.worker(posts=4, patience=0.05)):
        await world.until(lambda: len(world.receiver.got) >= 4)
        await world.emit(quick, count=20)
        await world.until(lambda: len(world.receiver.at("/quick")) == 20, 1.5)
        hang.set()


async def test_a_worker_that_is_told_and_stopped_at_the_same_moment_stops(world):
    for _ in range(25):
        worker, stop = world.worker(), asyncio.Event()
        work = asyncio.create_task(worker.run(stop))
        await asyncio.sleep(0.02)
        worker._wake()
        stop.set()
        async with asyncio.timeout(5):
            await work


async def test_a_worker_that_lost_its_lease_records_its_success_and_nothing_is_sent_a_third_time(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    late, other = world.worker(), world.worker()
    await late.sequence()
    [claimed] = await late.claim("normal")
    await world.owner.execute("UPDATE deliveries SET leased_until = now(), due_at = now()")
    [again] = await other.claim("normal")
    assert again.delivery_id == claimed.delivery_id
    await late._deliver_and_note(claimed)
    await late.flush()
    assert await world.states(endpoint) == ["delivered"]
    await other._deliver_and_note(again)
    await other.flush()
    assert await world.states(endpoint) == ["delivered"]
    assert await world.owner.fetchval("SELECT count(*) FROM attempts") == 2
    assert await other.step() == 0


async def test_an_attempt_recorded_twice_counts_once(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    worker = world.worker()
    await worker.sequence()
    [claimed] = await worker.claim("normal")
    outcome = await worker.deliver(claimed)
    await worker.queue.record([outcome])
    await worker.queue.record([outcome])
    [row] = await world.deliveries(endpoint)
    assert (row["attempts"], row["state"]) == (1, "delivered")


async def test_a_lease_is_renewed_while_a_post_is_under_way_and_by_its_holder_alone(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    hang = asyncio.Event()

    async def hangs(_got):
        await hang.wait()
        return web.Response(status=204)

    world.receiver.answers["/a"] = hangs
    holder, other = world.worker(lease=0.3), world.worker()
    await world.emit(school)
    await holder.sequence()
    [claimed] = await holder.claim("normal", 1)
    before = (await world.deliveries(endpoint))[0]["leased_until"]
    assert await other.queue.renew([claimed.delivery_id], 60.0) == 0
    holder._start(claimed)
    await holder._renew_in_time()
    assert (await world.deliveries(endpoint))[0]["leased_until"] > before
    hang.set()
    await holder._finish()
    await holder.flush()
    assert await world.states(endpoint) == ["delivered"]


async def test_the_voice_goes_on_after_its_connections_are_cut(world):
    school = await world.org()
    await world.endpoint(school, "/a")
    async with at_work(world.worker(pause=0.05)):
        await world.emit(school)
        await world.until(lambda: len(world.receiver.got) == 1)
        admin = await asyncpg.connect(world.dsns.admin)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'tendays_worker' AND datname = current_database()"
        )
        await admin.close()
        await world.emit(school)
        await world.until(lambda: len(world.receiver.got) == 2)


# --- paused, behind, fed --------------------------------------------------------------------------


async def test_a_paused_endpoint_gets_its_deliveries_when_it_is_resumed_in_order(world):
    school, key = await world.org(), new_id()
    endpoint = await world.endpoint(school, "/a")
    async with world.app.write(school) as tx:
        await service.pause(tx, school, endpoint)
    events = [(await world.emit(school, key=key))[0] for _ in range(3)]
    worker = world.worker()
    await worker.step()
    assert world.receiver.got == []
    assert len(await world.deliveries(endpoint)) == 3
    async with world.app.write(school) as tx:
        await service.resume(tx, school, endpoint)
    for _ in range(3):
        await worker.step()
    assert world.receiver.ids("/a") == events


async def test_a_new_endpoint_begins_where_it_was_registered_or_where_it_asks_to(world):
    school = await world.org()
    before = await world.emit(school, count=4)
    worker = world.worker(batch=3)
    await worker.step()
    await world.endpoint(school, "/new")
    await world.endpoint(school, "/all", from_position=0)
    after = await world.emit(school)
    for _ in range(3):
        await worker.step()
    assert world.receiver.ids("/new") == after
    assert sorted(world.receiver.ids("/all")) == sorted(before + after)


async def test_an_endpoint_registered_while_events_are_being_numbered_misses_none_of_them(world):
    school = await world.org()
    worker = world.worker()
    new = service.NewEndpoint(url=world.receiver.url("/a"))
    async with world.app.write(school) as tx:
        await service.register(tx, school, world.keyring, world.policy, new)
        [meanwhile] = await world.emit(school)
        await worker.step()
        assert world.receiver.got == []
    await worker.step()
    assert world.receiver.ids("/a") == [meanwhile]


async def test_the_safety_lane_has_posts_of_its_own(world):
    worker = world.worker(posts=0)
    school = await world.org()
    await world.endpoint(school, "/a")
    await world.emit(school)
    await world.emit(school, lane="safety", kind="participation.no_show")
    await worker.sequence()
    assert await worker.claim("normal") == []
    assert len(await worker.claim(SAFETY)) == 1


async def test_an_endpoint_that_is_slowed_down_is_given_one_at_a_time_but_the_safety_lane_whole(world):
    worker = world.worker()
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.owner.execute("UPDATE webhook_endpoints SET slow_level = 3 WHERE id = $1", endpoint)
    await world.emit(school, count=3)
    await world.emit(school, lane="safety", kind="participation.no_show", count=3)
    await worker.sequence()
    assert len(await worker.claim("normal")) == 1
    assert len(await worker.claim(SAFETY)) == 3


async def test_what_was_long_due_when_it_was_committed_is_found_at_once_and_not_at_the_next_look(world):
    """As if the call that numbers had taken a minute: a claim looks back for seconds."""
    school = await world.org()
    await world.endpoint(school, "/a")
    await world.owner.execute("""
        CREATE FUNCTION public.a_minute_ago() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN NEW.due_at := NEW.due_at - interval '1 minute'; RETURN NEW; END $$;
        CREATE TRIGGER a_minute_ago BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION public.a_minute_ago()
        """)
    try:
        async with at_work(world.worker(slow=0.0, look=600.0)):
            await asyncio.sleep(0.5)  # it has looked through everything, and there was nothing
            sent = await world.emit(school)
            await world.until(lambda: world.receiver.ids("/a") == sent)
    finally:
        await world.owner.execute("DROP FUNCTION public.a_minute_ago() CASCADE")


async def test_a_retry_after_that_no_clock_can_hold_is_an_attempt_like_any_other(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    world.receiver.answers["/a"] = says(
        503, **{"retry-after": "Mon, 01 Jan 2020 00:00:00 +99999999999999999999"}
    )
    await world.emit(school)
    await world.worker().step()
    [row] = await world.deliveries(endpoint)
    assert (row["state"], row["attempts"], row["last_status"]) == ("pending", 1, 503)


async def test_the_safety_lane_does_not_wait_for_an_endpoint_to_catch_up_and_nothing_is_sent_twice(world):
    school = await world.org()
    calm = await world.emit(school, count=7)
    worker = world.worker(batch=2)
    while (await worker.sequence()).more:
        pass
    endpoint = await world.endpoint(school, "/a", from_position=0)
    [urgent] = await world.emit(school, lane="safety", kind="participation.no_show")
    await worker.sequence()
    assert "safety" in [row["lane"] for row in await world.deliveries(endpoint)]
    assert (await world.row(endpoint))["filled_to"] is not None, "it has not caught up yet"
    for _ in range(3):
        await worker.step()
    got = world.receiver.ids("/a")
    assert sorted(got) == sorted(set(got)), "nothing twice"
    assert {*calm, urgent} <= set(got)
