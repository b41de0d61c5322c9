"""What is older than what is kept goes by whole months, and nothing goes that somebody still needs."""

import pytest
import pytest_asyncio

from app.core.db import system
from app.core.sql import periods_ahead
from app.webhooks import upkeep
from app.webhooks.sql.queue import keep_partitions
from tests.webhooks.test_voice import says

BACK = 8


@pytest_asyncio.fixture
async def old(world):
    """A month eight months ago, of which everything is there; its name as partitions have it."""
    begins = await world.month(BACK)
    yield f"{begins:%Y%m}"
    for table in ("attempts", "deliveries", "events"):
        await world.owner.execute(f"DROP TABLE IF EXISTS {table}_{begins:%Y%m}")


async def parts(world, month):
    rows = await world.owner.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND right(relname, 7) = $1 ORDER BY 1", f"_{month}"
    )
    return [row["relname"].rpartition("_")[0] for row in rows]


async def age(world, month, *tables):
    """Make what is in these tables as old as the month; a delivery still names its event."""
    floor = f"to_date('{month}15', 'YYYYMMDD')::timestamptz"
    moved = f"(left(app.uuid7_floor({floor})::text, 13) || right(%s::text, 23))::uuid"
    for table in tables:
        await world.owner.execute(f"UPDATE {table} SET id = {moved % 'id'}")
    if "deliveries" in tables:
        await world.owner.execute(f"UPDATE attempts SET delivery_id = {moved % 'delivery_id'}")
    if "events" in tables:
        await world.owner.execute(f"UPDATE deliveries SET event_id = {moved % 'event_id'}")


async def sent(world, school, status=204):
    world.receiver.answers["/a"] = says(status)
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school, count=2)
    await world.worker().step()
    return endpoint


async def test_a_month_that_is_too_old_goes_and_what_is_kept_stays(world, old):
    school = await world.org()
    await sent(world, school)
    await age(world, old, "events", "deliveries", "attempts")
    kept = await world.emit(school)
    assert await upkeep.drop_old(world.work, 400) == 0
    assert await parts(world, old) == ["attempts", "deliveries", "events"]
    assert await upkeep.drop_old(world.work, 90) == 3
    assert await parts(world, old) == []
    assert await world.owner.fetchval("SELECT count(*) FROM events WHERE id = $1", kept[0]) == 1
    assert await upkeep.drop_old(world.work, 90) == 0


async def test_what_is_still_to_be_sent_keeps_its_month_with_its_attempts_and_its_event(world, old):
    school = await world.org()
    endpoint = await sent(world, school, 500)
    await age(world, old, "events", "deliveries", "attempts")
    assert await upkeep.drop_old(world.work, 90) == 0
    assert await parts(world, old) == ["attempts", "deliveries", "events"]
    world.receiver.answers.clear()
    await world.make_due(world.worker())
    assert await world.states(endpoint) == ["delivered"] * 2
    assert await upkeep.drop_old(world.work, 90) == 3


async def test_an_event_that_a_younger_delivery_is_about_to_send_again_stays(world, old):
    school = await world.org()
    await sent(world, school, 500)
    await age(world, old, "events")
    assert await upkeep.drop_old(world.work, 90) == 2, (
        "deliveries and attempts of that month, which are empty"
    )
    assert await parts(world, old) == ["events"]


@pytest.mark.parametrize("state", ["paused", "off"])
async def test_an_endpoint_that_nobody_comes_back_to_keeps_nothing_for_ever(world, old, state):
    school = await world.org()
    endpoint = await sent(world, school, 500)
    await age(world, old, "events", "deliveries", "attempts")
    key = await world.owner.fetchval("SELECT order_key FROM deliveries LIMIT 1")
    await world.emit(school, key=key)
    worker = world.worker()
    await worker.step()
    await world.owner.execute("UPDATE webhook_endpoints SET state = $1", state)
    assert (await world.deliveries(endpoint))[2]["due_at"] is None, "it waits for its predecessor"
    assert await upkeep.drop_old(world.work, 90) == 3
    [kept] = await world.deliveries(endpoint)
    assert kept["state"] == "pending", "what is younger is kept"
    assert kept["due_at"] is not None, "and waits for nothing that is gone"
    world.receiver.answers.clear()
    world.receiver.got.clear()
    await world.owner.execute("UPDATE webhook_endpoints SET state = 'active'")
    await world.worker().step()
    assert world.receiver.ids("/a") == [str(kept["event_id"])]


async def test_an_event_not_numbered_or_not_given_to_an_endpoint_that_is_behind_stays(world, old):
    school = await world.org()
    await world.emit(school)
    await age(world, old, "events")
    await upkeep.drop_old(world.work, 90)
    assert await parts(world, old) == ["events"], "not numbered"
    await world.worker().step()
    endpoint = await world.endpoint(school, "/a", from_position=0)
    await upkeep.drop_old(world.work, 90)
    assert await parts(world, old) == ["events"], "an endpoint is behind"
    await world.owner.execute("UPDATE webhook_endpoints SET state = 'off', off_reason = 'gone'")
    assert await upkeep.drop_old(world.work, 90) == 1, "one that is off holds nothing up for ever"
    assert endpoint


async def test_nothing_younger_than_a_week_goes_whatever_is_asked(world, old):
    await upkeep.drop_old(world.work, 0)
    now = await world.owner.fetchval("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')")
    assert await parts(world, now) == ["attempts", "deliveries", "events"]


async def test_a_drop_waits_two_seconds_for_readers_and_not_more(world, old):
    reading = world.owner.transaction()
    await reading.start()
    await world.owner.execute("SELECT count(*) FROM deliveries")
    try:
        assert await upkeep.drop_old(world.work, 90) == 0
    finally:
        await reading.rollback()
    assert await upkeep.drop_old(world.work, 90) == 3


async def test_the_periods_ahead_are_counted_and_made_again_when_they_are_missing(world):
    async def ahead():
        async with world.app.write(None) as tx:
            return await periods_ahead(tx)

    assert await ahead() >= 3
    last = await world.owner.fetchval(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYYMM')"
    )
    await world.owner.execute(f"DROP TABLE attempts_{last}")
    try:
        assert await ahead() == 2
    finally:
        async with world.work.write(system()) as tx:
            await keep_partitions(tx, "attempts")
    assert await ahead() >= 3
