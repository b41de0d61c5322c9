"""The statistics of an endpoint: counted from what was really sent, and nobody else's."""

from datetime import timedelta

from app.webhooks import stats
from tests.webhooks.test_voice import says


async def figures(world, caller, endpoint):
    async with world.app.read(caller) as tx:
        return await stats.of(tx, caller, endpoint)


async def test_what_was_sent_is_counted_by_state_outcome_and_time(world):
    school = await world.org()
    endpoint, other = await world.endpoint(school, "/a"), await world.endpoint(school, "/other")
    world.receiver.answers["/other"] = says(503)
    worker = world.worker()
    await world.emit(school, count=4)
    await worker.step()
    for status in (500, 404, 302):
        world.receiver.answers["/a"] = says(status)
        await world.emit(school)
        await worker.step()
    found = await figures(world, school, endpoint)
    for window in ("last_24_hours", "last_7_days"):
        one = found[window]
        assert one["deliveries"] == {"pending": 3, "delivered": 4, "failed": 0, "revoked": 0, "cancelled": 0}
        assert one["attempts"] == {
            "success": 4, "redirect": 1, "client_error": 1, "server_error": 1, "none": 0, "other": 0
        }  # fmt: skip
        assert 0 <= one["elapsed_ms"]["p50"] <= one["elapsed_ms"]["p99"] < 1_000
        times = one["commit_to_receipt_ms"]
        assert 0 < times["p50"] <= times["p99"] < 5_000
    assert found["oldest_pending_seconds"] in range(30)
    theirs = (await figures(world, school, other))["last_24_hours"]
    assert theirs["attempts"]["success"] == 0
    assert theirs["commit_to_receipt_ms"] == {"p50": None, "p99": None}


async def test_what_is_older_than_the_window_is_not_counted(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    await world.worker().step()
    await world.month(1)  # where two days ago may be
    for table in ("attempts", "deliveries"):
        await world.owner.execute(f"""
            UPDATE {table} SET id = (left(app.uuid7_floor(now() - interval '2 days')::text, 13) || right(id::text, 23))::uuid
             WHERE endpoint_id = '{endpoint}'""")
    found = await figures(world, school, endpoint)
    assert (found["last_24_hours"]["attempts"]["success"], found["last_7_days"]["attempts"]["success"]) == (
        0,
        1,
    )
    assert sum(found["last_24_hours"]["deliveries"].values()) == 0
    assert found["oldest_pending_seconds"] is None
    await world.owner.execute(
        "UPDATE deliveries SET state = 'pending', created_at = now() - $1::interval", timedelta(hours=2)
    )
    assert 7_190 <= (await figures(world, school, endpoint))["oldest_pending_seconds"] <= 7_300


async def test_a_stranger_counts_nothing(world):
    school, stranger = await world.org(), await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    await world.worker().step()
    found = await figures(world, stranger, endpoint)
    assert sum(found["last_7_days"]["attempts"].values()) == 0
    assert found["oldest_pending_seconds"] is None
