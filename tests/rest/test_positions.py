"""A place in the feed or in a list belongs to one history, one caller and one question: any other is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.ids import new_id
from app.core.roles import Dsns
from app.webhooks.sql.queue import Queue
from app.worker import settle_changes
from tests.world import World


@pytest_asyncio.fixture(scope="module", autouse=True)
async def told(world: World, dsns: Dsns) -> AsyncIterator[None]:
    """Some events with positions, and an epoch of this database."""
    db = await Database(dsns.worker, development=True, pool=1).open()
    await settle_changes(db)
    await db.close()
    for _ in range(3):
        await world.booking(state="confirmed")
    queue = Queue(dsns.worker, new_id())
    while (step := await queue.sequence(1_000)) and step.more:
        pass
    await queue.close()
    yield


async def _feed(world: World, after: Any) -> Any:
    return await world.get("school_a", f"/v1/events?after={after}&limit=2")


async def test_the_position_of_an_answer_goes_on_where_it_ended(world: World) -> None:
    seen: list[str] = []
    page = (await _feed(world, 0)).json()
    while True:
        seen += [one["id"] for one in page["data"]]
        assert page["position"].endswith(f".{page['last']}")
        if not page["more"]:
            break
        page = (await _feed(world, page["position"])).json()
    whole = (await world.get("school_a", "/v1/events?after=0&limit=1000")).json()
    assert seen == [one["id"] for one in whole["data"]]
    assert len(seen) >= 6
    assert (await _feed(world, page["position"])).json()["position"] == page["position"]


async def test_a_position_that_the_feed_does_not_hold_is_refused_with_what_it_holds(world: World) -> None:
    newest = await world.owner.fetchval("SELECT last FROM sequencer")
    epoch = await world.owner.fetchval("SELECT epoch FROM change_marks")
    await world.owner.execute("UPDATE change_marks SET dropped = 3")
    try:
        for after, status, code in (
            (99_999_999, 409, "position_ahead"),
            (newest + 1, 409, "position_ahead"),
            (f"{epoch}.{newest + 1}", 409, "position_ahead"),
            (2, 410, "position_gone"),
            (f"{epoch}.2", 410, "position_gone"),
            (f"e1.{newest}", 410, "position_gone"),
        ):
            refused = await _feed(world, after)
            assert (refused.status_code, refused.json()["code"]) == (status, code), after
            assert (refused.json()["oldest"], refused.json()["newest"]) == (4, newest)
            assert refused.json()["errors"][0]["pointer"] == "?after"
        for after in (0, 3, newest, f"{epoch}.{newest}"):
            assert (await _feed(world, after)).status_code == 200, after
        url = {"url": "https://hooks.example.org/"}
        made = await world.post("school_a", "/v1/webhook-endpoints", url)
        for body, status in (({"from_position": newest + 1}, 409), ({"from_position": 2}, 410)):
            replayed = await world.post("school_a", f"/v1/webhook-endpoints/{made.json()['id']}/replay", body)
            assert (replayed.status_code, replayed.json()["newest"]) == (status, newest), replayed.text
            new = await world.post("school_a", "/v1/webhook-endpoints", url | body)
            assert (new.status_code, new.json()["errors"][0]["pointer"]) == (status, "/from_position")
    finally:
        await world.owner.execute("UPDATE change_marks SET dropped = 0")


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "e1.", "1e3", str(10**30)])
async def test_what_is_no_position_is_named(world: World, after: str) -> None:
    refused = await _feed(world, after)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "bad_position"


async def test_dropping_a_partition_notes_what_was_dropped(world: World, dsns: Dsns) -> None:
    before = await world.owner.fetchval("SELECT dropped FROM change_marks")
    await world.owner.execute(
        "CREATE TABLE events_200001 PARTITION OF events FOR VALUES"
        " FROM (app.uuid7_floor('2000-01-01Z')) TO (app.uuid7_floor('2000-02-01Z'))"
    )
    await world.owner.execute(
        "INSERT INTO events (id, seq, position, type, audience, audience_id, order_key, sequence, body, occurred_at)"
        " SELECT app.uuid7_floor('2000-01-02Z'), 0, $2, 'x', 'school', $1, $1, 1, '', now()",
        world["school_a"],
        before + 1,
    )
    await world.owner.execute("UPDATE fanout SET position = greatest(position, $1)", before + 1)
    assert await world.owner.fetchval("SELECT app.drop_old_partition(90, 'events_200001')")
    assert await world.owner.fetchval("SELECT dropped FROM change_marks") == before + 1
    await world.owner.execute("UPDATE change_marks SET dropped = 0")


async def test_a_cursor_is_of_one_caller_one_list_and_one_filter(world: World) -> None:
    for school in ("school_a", "school_b"):
        for _ in range(2):
            await world.pupil(school)
    for who in ("trust", "school_c"):
        await world.insert(
            "agreements", controller_id=world[who], agreement_version="1", signed_on=await world.owner.fetchval(
                "SELECT current_date - 30"), signatory_role="Head", lawful_basis="public task",
            recorded_by=world.clients[who],
        )  # fmt: skip
    a, b = (f"/v1/schools/{world[one]}/pupils" for one in ("school_a", "school_b"))
    first = await world.get("trust", f"{a}?limit=1&nc_year=8")
    cursor = first.json()["next"]
    assert cursor
    assert (await world.get("trust", f"{a}?limit=5&nc_year=8&after={cursor}")).status_code == 200
    assert (await world.get("trust", first.headers["link"].split(";")[0].strip("<>"))).status_code == 200
    for who, where in (
        ("trust", f"{b}?nc_year=8&after={cursor}"),
        ("school_a", f"{a}?nc_year=8&after={cursor}"),
        ("trust", f"{a}?nc_year=7&after={cursor}"),
        ("trust", f"{a}?after={cursor}"),
        ("trust", f"{a}?nc_year=8&updated_after=2026-09-01T00:00:00Z&after={cursor}"),
        ("trust", f"/v1/bookings?after={cursor}"),
        ("trust", f"/v1/open-slots?after={cursor}"),
    ):
        refused = await world.get(who, where)
        assert refused.status_code == 422, where
        assert refused.json()["errors"][0]["code"] == "bad_cursor", where
