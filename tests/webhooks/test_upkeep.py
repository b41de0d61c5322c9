"""What the house does by itself with endpoints and deliveries: warned, switched off, raised; each of it once."""

import json
from datetime import timedelta

import pytest
from aiohttp import web

from app.webhooks import service, upkeep
from app.webhooks.sql import deliveries
from tests.webhooks.test_voice import says


@pytest.fixture
def said(world):
    """The operational events an organisation was told, oldest first, as (type, data)."""

    async def of(caller):
        rows = await world.owner.fetch(
            "SELECT body FROM events WHERE audience_id = $1 AND (type LIKE 'endpoint.%' OR type LIKE 'delivery.%')"
            " ORDER BY seq",
            caller.org_id,
        )
        return [(one["type"], one["data"]) for one in (json.loads(row["body"]) for row in rows)]

    return of


async def _failing_for(world, endpoint, days):
    await world.owner.execute(
        "UPDATE webhook_endpoints SET failing_since = now() - $2::interval WHERE id = $1",
        endpoint,
        timedelta(days=days),
    )


async def test_an_owner_is_warned_at_50_70_and_90_per_cent_once_each_and_then_the_endpoint_is_off(
    world, said
):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    world.receiver.answers["/a"] = says(500)
    await world.emit(school)
    await world.worker().step()
    shares = []
    for days in (2.4, 2.6, 2.7, 3.6, 4.6, 4.9, 5.1, 9.0):
        await _failing_for(world, endpoint, days)
        await upkeep.watch_endpoints(world.work)
        await upkeep.watch_endpoints(world.work)
        shares.append([data.get("share", data.get("reason")) for _, data in await said(school)])
    assert shares == [
        [],
        [50],
        [50],
        [50, 70],
        [50, 70, 90],
        [50, 70, 90],
        [50, 70, 90, "failing"],
        [50, 70, 90, "failing"],
    ]
    row = await world.row(endpoint)
    assert (row["state"], row["off_reason"]) == ("off", "failing")
    assert [kind for kind, _ in await said(school)] == ["endpoint.failing"] * 3 + ["endpoint.switched_off"]


async def test_the_way_back_from_five_days_of_failures_misses_nothing(world, said):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    world.receiver.answers["/a"] = says(500)
    before = await world.emit(school)
    worker = world.worker()
    await worker.step()
    await _failing_for(world, endpoint, 6)
    await upkeep.watch_endpoints(world.work)
    meanwhile = await world.emit(school, count=20)
    await worker.step()
    assert len(world.receiver.got) == 1
    world.receiver.answers.clear()
    world.receiver.got.clear()
    async with world.app.write(school) as tx:
        await service.resume(tx, school, endpoint)
    for _ in range(5):
        await world.make_due(worker)
    assert sorted(world.receiver.ids("/a")) == sorted(before + meanwhile)
    assert await upkeep.watch_endpoints(world.work) == 0
    row = await world.row(endpoint)
    assert (row["state"], row["failing_since"], row["warned"]) == ("active", None, 0)


async def test_a_success_takes_every_warning_back(world, said):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    world.receiver.answers["/a"] = says(500)
    await world.emit(school)
    worker = world.worker()
    await worker.step()
    await _failing_for(world, endpoint, 4)
    await upkeep.watch_endpoints(world.work)
    world.receiver.answers["/a"] = lambda _got: web.Response(status=204)
    await world.make_due(worker)
    row = await world.row(endpoint)
    assert (row["failing_since"], row["warned"]) == (None, 0)
    assert len(await said(school)) == 1


async def test_an_endpoint_with_nothing_to_send_for_days_is_not_switched_off(world, said):
    """One failure and then silence: nothing was tried, so nothing failed."""
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    await _failing_for(world, endpoint, 30)
    assert await upkeep.watch_endpoints(world.work) == 0
    assert (await world.row(endpoint))["state"] == "active"
    assert await said(school) == []


async def test_who_asked_to_be_switched_off_with_410_is_told_once_as_well(world, said):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["booking.*"])
    world.receiver.answers["/a"] = says(410)
    await world.emit(school)
    await world.worker().step()
    assert await upkeep.watch_endpoints(world.work) == 1
    assert await upkeep.watch_endpoints(world.work) == 0
    assert await said(school) == [("endpoint.switched_off", {"endpoint_id": str(endpoint), "reason": "gone"})]


async def test_a_removed_endpoint_is_nobodys_news(world, said):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    async with world.app.write(school) as tx:
        await service.delete(tx, school, endpoint)
    assert await upkeep.watch_endpoints(world.work) == 0
    assert await said(school) == []


# --- the safety lane ------------------------------------------------------------------------------


async def _older(world, minutes):
    await world.owner.execute(
        "UPDATE deliveries SET created_at = created_at - $1::interval", timedelta(minutes=minutes)
    )


async def _undelivered(world, caller):
    async with world.app.read(caller) as tx:
        return [row["id"] for row in await deliveries.page(tx, caller, deliveries.Wanted(undelivered=True))]


async def test_a_safety_delivery_without_a_2xx_for_ten_minutes_is_listed_and_raised_once(world, said):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["participation.*", "booking.*"])
    world.receiver.answers["/a"] = says(500)
    [urgent] = await world.emit(school, lane="safety", kind="participation.no_show")
    await world.emit(school)
    worker = world.worker()
    await worker.step()
    await _older(world, 9)
    assert await upkeep.raise_undelivered(world.work) == 0
    await _older(world, 2)
    assert await _undelivered(world, school) == []
    assert [await upkeep.raise_undelivered(world.work) for _ in range(3)] == [1, 0, 0]
    [listed] = await _undelivered(world, school)
    told = {
        "endpoint_id": str(endpoint),
        "delivery_id": str(listed),
        "event_id": urgent,
        "event_type": "participation.no_show",
        "reason": "not_received",
    }
    assert await said(school) == [("delivery.undelivered", told)]
    stranger = await world.org()
    assert await _undelivered(world, stranger) == []
    world.receiver.answers.clear()
    await world.make_due(worker)
    assert await _undelivered(world, school) == [], "it has arrived"


async def test_a_child_is_not_forgotten_at_a_paused_endpoint_and_its_owners_other_endpoint_hears_of_it(
    world, said
):
    vendor, school = await world.org("vendor"), await world.org()
    await world.grant(school, vendor)
    paused = await world.endpoint(vendor, "/paused", event_types=["participation.*"])
    await world.endpoint(vendor, "/ops", event_types=["delivery.*"])
    async with world.app.write(vendor) as tx:
        await service.pause(tx, vendor, paused)
    await world.emit(school, lane="safety", kind="participation.no_show")
    worker = world.worker()
    await worker.step()
    await _older(world, 11)
    assert await upkeep.raise_undelivered(world.work) == 1
    assert await said(school) == [], "the school has no endpoint: it is the vendor's business"
    await worker.step()
    [got] = world.receiver.at("/ops")
    assert (got.event["type"], got.event["audience"]["side"]) == ("delivery.undelivered", "vendor")


async def _off(world, endpoint):
    await world.owner.execute("SELECT app.switch_off_endpoint($1, 'failing')", endpoint)


async def test_a_child_is_not_forgotten_at_an_endpoint_that_is_off_and_is_the_first_thing_sent_when_it_is_back(
    world, said
):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a", event_types=["participation.*", "booking.*"])
    worker = world.worker()
    await worker.step()
    await _off(world, endpoint)
    calm = await world.emit(school, count=3)
    [urgent] = await world.emit(school, lane="safety", kind="participation.no_show")
    await worker.step()
    assert await world.states(endpoint) == ["pending"], "the safety event alone is queued, and not sent"
    assert world.receiver.got == []
    await _older(world, 11)
    assert await upkeep.raise_undelivered(world.work) == 1
    assert len(await _undelivered(world, school)) == 1
    assert [kind for kind, _ in await said(school) if kind == "delivery.undelivered"] == [
        "delivery.undelivered"
    ]
    async with world.app.write(school) as tx:
        await service.resume(tx, school, endpoint)
    for lane in ("safety", "normal"):
        for claimed in await worker.claim(lane):
            await worker._deliver_and_note(claimed)
    await worker.flush()
    assert world.receiver.ids("/a") == [urgent], "before anything is caught up with"
    await worker.step()
    assert sorted(world.receiver.ids("/a")) == sorted([*calm, urgent]), "and everything once"


async def test_nothing_is_raised_of_an_endpoint_that_is_off_if_another_one_of_its_owner_has_the_event(
    world, said
):
    school = await world.org()
    left = await world.endpoint(school, "/left", event_types=["participation.*"])
    await world.endpoint(school, "/new", event_types=["participation.*"])
    worker = world.worker()
    await worker.step()
    await _off(world, left)
    await world.emit(school, lane="safety", kind="participation.no_show")
    await worker.step()
    assert len(world.receiver.at("/new")) == 1
    await _older(world, 11)
    assert [await upkeep.raise_undelivered(world.work) for _ in range(2)] == [1, 0]
    assert len(await _undelivered(world, school)) == 1, "listed, for it did not arrive there"
    assert "delivery.undelivered" not in [kind for kind, _ in await said(school)]


async def test_what_was_queued_for_an_endpoint_while_it_was_removed_is_cancelled(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school, count=2)
    await world.worker().sequence()
    await world.owner.execute("UPDATE webhook_endpoints SET state = 'off', off_reason = 'deleted'")
    await world.emit(school, lane="safety", kind="participation.no_show")
    await world.worker().sequence()
    assert await world.states(endpoint) == ["pending"] * 2, "nothing more is queued for it"
    await upkeep.watch_endpoints(world.work)
    assert await world.states(endpoint) == ["cancelled"] * 2
