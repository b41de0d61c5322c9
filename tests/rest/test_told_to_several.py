"""One change told to several audiences, over HTTP: an endpoint that hears all of them gets every event, in order."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio
from aiohttp import web

from app.core.db import Database
from app.core.egress import Egress, Policy
from app.webhooks.voice import Worker
from tests.world import World


@dataclass
class Sent:
    """What arrived at the endpoints, by their path, and the worker that sends it."""

    worker: Worker
    url: str
    arrived: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def told(self, path: str, about: object) -> list[tuple[str, str, int]]:
        """(type, side, sequence) of what came about one thing."""
        came = [one for one in self.arrived.get(path, []) if one["order_key"] == str(about)]
        return [(one["type"], one["audience"]["side"], one["sequence"]) for one in came]


@pytest_asyncio.fixture(scope="module")
async def sent(world: World) -> AsyncIterator[Sent]:
    arrived: dict[str, list[dict[str, Any]]] = {}

    async def take(request: web.Request) -> web.Response:
        arrived.setdefault(request.path, []).append(json.loads(await request.read()))
        return web.Response(status=204)

    receiver = web.Application()
    receiver.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(receiver, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    db = await Database(world.dsns.worker).open()
    async with Egress(Policy.development()) as egress:
        worker = Worker(db, egress, world.app.state.house.keyring)
        yield Sent(worker, f"http://127.0.0.1:{runner.addresses[0][1]}", arrived)
        await worker.close()
    await db.close()
    await runner.cleanup()


async def _listen(world: World, sent: Sent, who: str) -> None:
    made = await world.post(who, "/v1/webhook-endpoints", {"url": f"{sent.url}/{who}"})
    assert made.status_code == 201, made.text


async def _everything_sent(world: World, sent: Sent) -> None:
    while await sent.worker.step():
        pass
    assert await world.count("deliveries", "state <> 'delivered'") == 0, "nothing waits without a reason"


async def test_two_schools_on_one_slot_and_a_vendor_that_hears_both(world: World, sent: Sent) -> None:
    await _listen(world, sent, "vendor")
    await _listen(world, sent, "employer_a")
    slot = await world.slot(capacity=30)
    for school in ("school_a", "school_b"):
        await world.booking(school=school, slot=slot, places=4)
    path = f"/v1/slots/{slot}"
    for capacity in (29, 28):
        etag = (await world.get("employer_a", path)).headers["etag"]
        changed = await world.send("employer_a", "PATCH", path, {"capacity": capacity}, If_Match=etag)
        assert changed.status_code == 200, changed.text
    cancelled = await world.post("employer_a", f"{path}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    await _everything_sent(world, sent)
    assert sent.told("/vendor", slot) == [("slot.changed", "school", no) for no in (1, 1, 2, 2, 3, 3)]
    assert sent.told("/employer_a", slot) == [("slot.changed", "employer", no) for no in (1, 2, 3)]


async def test_the_vendor_is_told_of_a_grant_and_of_its_end_as_a_vendor(world: World, sent: Sent) -> None:
    await _listen(world, sent, "stranger_vendor")
    await _listen(world, sent, "trust")
    asked = {
        "grantee_id": world["stranger_vendor"],
        "school_id": world["school_a"],
        "field_groups": ["enrolment"],
    }
    grant = (await world.post("trust", "/v1/grants", asked)).json()["id"]
    await _everything_sent(world, sent)
    assert (await world.post("trust", f"/v1/grants/{grant}/revoke")).status_code == 200
    await _everything_sent(world, sent)
    assert [one for one in sent.told("/stranger_vendor", grant) if one[1] == "vendor"] == [
        ("grant.recorded", "vendor", 1),
        ("grant.revoked", "vendor", 2),
    ]
    assert sent.told("/trust", grant) == [
        (what, side, no)
        for no, what in ((1, "grant.recorded"), (2, "grant.revoked"))
        for side in ("hub", "school")
    ]


async def test_a_test_event_of_a_vendor_says_vendor(world: World, sent: Sent) -> None:
    made = await world.post("vendor", "/v1/webhook-endpoints", {"url": f"{sent.url}/of-a-vendor"})
    endpoint = made.json()["id"]
    await world.post("vendor", f"/v1/webhook-endpoints/{endpoint}/test")
    await _everything_sent(world, sent)
    assert sent.told("/of-a-vendor", endpoint) == [("webhook.test", "vendor", 1)]
