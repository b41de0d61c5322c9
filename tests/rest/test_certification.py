"""Certification: both receivers of the docs get an A through real HTTP; others get what they deserve; nobody else sees."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web

from app.core.db import Database
from app.core.egress import Egress, Policy
from app.core.ids import new_id
from app.webhooks import certification
from app.webhooks.certification import LARGE, UNKNOWN_TYPE, cases, grade_of
from app.webhooks.certifier import Certifier
from tests.webhooks.receivers import NODE, running
from tests.world import World

ALL = [
    "valid",
    "duplicate",
    "unknown_type",
    "out_of_order",
    "large",
    "trickled",
    "wrong_signature",
    "stale_timestamp",
]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def certifying(world: World) -> AsyncIterator[tuple[Certifier, Database]]:
    db = await Database(world.dsns.worker, development=True).open()
    async with Egress(Policy.development()) as egress:
        certifier = Certifier(egress, world.app.state.house.keyring)
        try:
            yield certifier, db
        finally:
            await certifier.close(db)
            await db.close()


@pytest_asyncio.fixture(scope="module")
async def play(world: World) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    async with certifying(world) as (certifier, db):

        async def run() -> None:
            await certifier.turn(db)
            await certifier.settled()

        yield run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the five seconds of the slow body are not what is asked."""
    monkeypatch.setattr(certification, "TRICKLE_SECONDS", 0.2)


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def endpoint_at(world: World, url: str, **more: Any) -> dict[str, Any]:
    made = await world.post("school_a", "/v1/webhook-endpoints", {"url": url, **more})
    assert made.status_code == 201, made.text
    return made.json()


async def asked(world: World, endpoint: str, **more: Any) -> Any:
    return await world.post("school_a", f"/v1/webhook-endpoints/{endpoint}/certify", **more)


async def read(world: World, path: str, who: str = "school_a") -> dict[str, Any]:
    answer = await world.get(who, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_both_receivers_of_the_docs_are_certified_with_an_a(world: World, play: Any) -> None:
    async with AsyncExitStack() as stack:
        wanted = []
        for name, signatures in (
            ("receiver.py", ["v1"]),
            ("receiver.mjs", ["v1", "v1a"]),
            ("receiver.mjs", ["v1a"]),
        ):
            if name.endswith(".mjs") and NODE is None:
                continue
            made = await endpoint_at(world, "http://127.0.0.1:1/", signatures=signatures)
            key = made["secret"] if "v1" in signatures else made["public_key"]
            receiver = await stack.enter_async_context(running(name, [key]))
            await world.owner.execute(
                "UPDATE webhook_endpoints SET url = $2 WHERE id = $1", UUID(made["id"]), receiver.url
            )
            begun = await asked(world, made["id"])
            assert begun.status_code == 202, begun.text
            assert (begun.json()["state"], begun.json()["grade"]) == ("queued", None)
            wanted.append((begun.headers["Location"], receiver))
        await play()
        for path, receiver in wanted:
            found = await read(world, path)
            assert [one["case"] for one in found["cases"]] == ALL
            assert [one for one in found["cases"] if not one["passed"]] == []
            assert (found["state"], found["grade"]) == ("done", "A")
            assert found["cases"][5]["elapsed_ms"] >= 4_990
            assert len(receiver.printed) == 6  # the duplicate, the forged and the stale one are not stored


async def test_a_receiver_that_takes_everything_fails_and_one_that_moved_is_not_followed(
    world: World, play: Any, quick: None
) -> None:
    async def anything(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=200)

    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:9/")

    async with answering(anything) as one, answering(moved) as two:
        paths = [
            (await asked(world, (await endpoint_at(world, url))["id"])).headers["Location"]
            for url in (one, two)
        ]
        await play()
    everything, elsewhere = [await read(world, path) for path in paths]
    assert everything["grade"] == elsewhere["grade"] == "F"
    assert [one["case"] for one in everything["cases"] if not one["passed"]] == [
        "wrong_signature",
        "stale_timestamp",
    ]
    assert {one["got"] for one in elsewhere["cases"]} == {302}


async def test_nobody_listening_is_reported_case_by_case_without_a_word_of_the_inside(
    world: World, play: Any, quick: None
) -> None:
    path = (await asked(world, (await endpoint_at(world, "http://127.0.0.1:1/"))["id"])).headers["Location"]
    await play()
    found = await read(world, path)
    assert found["grade"] == "F"
    assert {(one["got"], one["error"]) for one in found["cases"]} == {
        (None, "The connection could not be opened.")
    }


async def test_no_transaction_is_open_while_the_suite_is_played(world: World, play: Any, quick: None) -> None:
    admin = await asyncpg.connect(world.dsns.admin)
    seen: list[str] = []

    async def look(request: web.Request) -> web.Response:
        await request.read()
        seen.extend(
            row["usename"]
            for row in await admin.fetch(
                "SELECT usename FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND usename = 'tendays_worker' AND xact_start IS NOT NULL"
            )
        )
        return web.Response(status=204)

    async with answering(look) as url:
        path = (await asked(world, (await endpoint_at(world, url))["id"])).headers["Location"]
        await play()
    await admin.close()
    assert (await read(world, path))["state"] == "done"
    assert seen == []


async def test_only_one_is_under_way_for_an_endpoint_and_a_repeated_request_is_the_same_one(
    world: World,
) -> None:
    endpoint = (await endpoint_at(world, "http://127.0.0.1:1/"))["id"]
    first = await asked(world, endpoint, key="once")
    again = await asked(world, endpoint, key="once")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    another = await asked(world, endpoint)
    assert (another.status_code, another.json()["code"]) == (409, "certification_under_way")
    await world.owner.execute("UPDATE certifications SET state = 'cancelled' WHERE state = 'queued'")
    assert (await asked(world, endpoint)).status_code == 202
    await world.owner.execute("UPDATE certifications SET state = 'cancelled' WHERE state = 'queued'")


async def test_it_is_nobody_elses_business(world: World) -> None:
    endpoint = (await endpoint_at(world, "http://127.0.0.1:1/"))["id"]
    path = (await asked(world, endpoint)).headers["Location"]
    for stranger in ("school_b", "trust", "vendor", "employer_a", "hub_a"):
        assert (await world.get(stranger, path)).status_code == 404
        assert (await world.post(stranger, f"/v1/webhook-endpoints/{endpoint}/certify")).status_code == 404
    reader = world.token("school_a", frozenset({"webhooks:read"}))
    refused = await world.post(
        "school_a", f"/v1/webhook-endpoints/{endpoint}/certify", Authorization=f"Bearer {reader}"
    )
    assert refused.status_code == 403
    assert (await world.get("school_a", path, Authorization=f"Bearer {reader}")).status_code == 200
    await world.owner.execute("UPDATE certifications SET state = 'cancelled' WHERE state = 'queued'")


async def test_a_removed_endpoint_is_not_posted_to(world: World, play: Any) -> None:
    endpoint = (await endpoint_at(world, "http://127.0.0.1:1/"))["id"]
    path = (await asked(world, endpoint)).headers["Location"]
    assert (await world.send("school_a", "DELETE", f"/v1/webhook-endpoints/{endpoint}")).status_code == 204
    await play()
    found = await read(world, path)
    assert (found["state"], found["grade"], found["cases"]) == ("cancelled", None, [])


async def test_what_a_stopped_worker_broke_off_is_played_by_the_next(
    world: World, play: Any, quick: None
) -> None:
    came = asyncio.Event()
    hang = True

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        came.set()
        await asyncio.sleep(60 if hang else 0)
        return web.Response(status=204)

    async with answering(handle) as url:
        path = (await asked(world, (await endpoint_at(world, url))["id"])).headers["Location"]
        async with certifying(world) as (certifier, db):
            assert await certifier.turn(db) == 1
            await came.wait()
            assert await certifier.turn(db) == 0
            assert (await read(world, path))["state"] == "running"
        assert (await read(world, path))["state"] == "queued"
        hang = False
        await play()
    assert (await read(world, path))["state"] == "done"


def test_the_grade_says_what_is_safe_before_what_is_convenient() -> None:
    def graded(*failed: str) -> str:
        return grade_of([{"case": name, "passed": name not in failed} for name in ALL])

    assert graded() == "A"
    assert graded("large", "trickled", "out_of_order", "unknown_type") == "B"
    assert graded("duplicate") == "C"
    for one in ("valid", "wrong_signature", "stale_timestamp"):
        assert graded(one) == "F"


def test_the_suite_is_the_one_that_is_promised() -> None:
    suite = {one.name: one for one in cases(new_id(), new_id(), "school", datetime.now(UTC))}
    assert list(suite) == ALL
    assert suite["duplicate"].posts == suite["valid"].posts
    assert len(suite["large"].posts[0].body) >= LARGE
    assert UNKNOWN_TYPE.encode() in suite["unknown_type"].posts[0].body
    assert [b'"sequence":2' in one.body for one in suite["out_of_order"].posts] == [True, False]
