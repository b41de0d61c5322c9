"""Slots over HTTP: one, by reference, 500 at a time; capacity, times, states, strangers."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.today import time_in
from tests.world import World

pytestmark = pytest.mark.calendar

SOON = time_in(30)


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def sitting(days: float = 0, hours: float = 2, **more: Any) -> dict[str, Any]:
    start = SOON + timedelta(days=days)
    return {"starts_at": text(start), "ends_at": text(start + timedelta(hours=hours)), **more}


async def an_offer(world: World, employer: str = "employer_a", **more: Any) -> str:
    body = {
        "site_id": world[f"{employer}.site"],
        "title": "T",
        "kind": "workplace_visit",
        "grouping": "group",
        "tier": 2,
    }
    answer = await world.post(employer, "/v1/offers", {**body, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def a_slot(world: World, **more: Any) -> dict[str, Any]:
    body = {
        "offer_id": more.pop("offer_id", None) or await an_offer(world),
        "capacity": 10,
        "sittings": [sitting()],
    }
    answer = await world.post("employer_a", "/v1/slots", {**body, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_slot_has_its_sittings_minutes_and_deadlines(world: World) -> None:
    await an_offer(world, external_ref="V-1")
    made = await world.post(
        "employer_a",
        "/v1/slots",
        {
            "offer_ref": "V-1",
            "capacity": 12,
            "sittings": [sitting(1, 5, break_minutes=30), sitting()],
            "external_ref": "S",
        },
    )
    assert made.status_code == 201, made.text
    slot = made.json()
    assert (slot["minutes"], slot["taken"], slot["places_left"], slot["state"]) == (120 + 270, 0, 12, "open")
    assert (slot["starts_at"], slot["ends_at"]) == (text(SOON), text(SOON + timedelta(days=1, hours=5)))
    assert (slot["book_by"], slot["name_by"]) == (
        text(SOON - timedelta(days=2)),
        text(SOON - timedelta(days=7)),
    )
    assert [one["starts_at"] for one in slot["sittings"]] == [text(SOON), text(SOON + timedelta(days=1))]
    assert slot["warnings"] == []
    read = await world.get("employer_a", f"/v1/slots/{slot['id']}")
    assert read.json() == {**slot, "warnings": None}
    assert made.headers["etag"] == read.headers["etag"] == '"v1.0"'
    shown = (await world.get("school_a", f"/v1/open-slots/{slot['id']}")).json()
    assert (shown["minutes"], len(shown["sittings"]), shown["address"], shown["bookable"]) == (
        390,
        2,
        "1 High Street",
        True,
    )


async def test_unusual_times_are_warned_of_not_refused(world: World) -> None:
    slot = await a_slot(world, sittings=[sitting(0, 10)])
    assert {one["code"] for one in slot["warnings"]} == {
        "more_than_8_hours", "no_break_after_4_5_hours", "outside_7_to_19",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"sittings": []}, "/sittings", "too_short"),
        (
            {"sittings": [{"starts_at": "2030-01-01T10:00:00", "ends_at": "2030-01-01T11:00:00Z"}]},
            "/sittings/0/starts_at",
            None,
        ),
        ({"sittings": [sitting(0, -1)]}, "/sittings/0/ends_at", "out_of_order"),
        ({"sittings": [sitting(-40)]}, "/sittings/0/starts_at", "in_the_past"),
        ({"sittings": [sitting(), sitting(0.01)]}, "/sittings/1/starts_at", "overlap"),
        ({"sittings": [sitting(virtual=True)]}, "/sittings/0/virtual", "not_in_this_mode"),
        ({"book_by": text(SOON + timedelta(days=1))}, "/book_by", "out_of_order"),
        ({"name_by": "2020-01-01T00:00:00Z"}, "/name_by", "in_the_past"),
        ({"capacity": 0}, "/capacity", None),
        ({"offer_ref": "x"}, "/offer_id", "required"),
        ({"places": 3}, "/places", "unknown_field"),
    ],
)
async def test_what_is_wrong_with_a_slot_is_pointed_at(
    world: World, changed: Any, pointer: str, code: str | None
) -> None:
    body = {"offer_id": await an_offer(world), "capacity": 10, "sittings": [sitting()], **changed}
    before = await world.fingerprint()
    refused = await world.post("employer_a", "/v1/slots", body)
    assert refused.status_code == 422, refused.text
    first = refused.json()["errors"][0]
    assert first["pointer"] == pointer
    assert code is None or first["code"] == code
    assert await world.fingerprint() == before


async def test_put_by_reference_makes_changes_and_then_leaves_alone(world: World) -> None:
    offer = await an_offer(world)
    path, body = "/v1/slots/by-ref/2027-01", {"offer_id": offer, "capacity": 10, "sittings": [sitting()]}
    made = await world.send("employer_a", "PUT", path, body)
    assert made.status_code == 201, made.text
    same = await world.send("employer_a", "PUT", path, body)
    assert (same.status_code, same.json()["version"]) == (200, 1)
    later = await world.send("employer_a", "PUT", path, {**body, "capacity": 11, "sittings": [sitting(3)]})
    assert (later.status_code, later.json()["version"], later.json()["capacity"]) == (200, 2, 11)
    assert later.json()["starts_at"] == text(SOON + timedelta(days=3))
    assert later.json()["book_by"] == text(SOON + timedelta(days=1))
    other = await world.send("employer_a", "PUT", path, {**body, "offer_id": await an_offer(world)})
    assert (other.status_code, other.json()["code"]) == (409, "slot_fixed")
    taken = await world.post("employer_a", "/v1/slots", {**body, "external_ref": "2027-01"})
    assert (taken.status_code, taken.json()["code"]) == (409, "external_ref_taken")


async def test_capacity_stays_above_what_is_taken_and_times_stay_under_bookings(world: World) -> None:
    slot = await world.slot(capacity=10)
    await world.booking(slot=slot, places=6)
    path = f"/v1/slots/{slot}"
    read = await world.get("employer_a", path)
    assert read.headers["etag"] == '"v1.6"'
    below = await world.send("employer_a", "PATCH", path, {"capacity": 5}, If_Match=read.headers["etag"])
    assert (below.status_code, below.json()["code"], below.json()["taken"]) == (
        409,
        "capacity_below_taken",
        6,
    )
    moved = await world.send(
        "employer_a", "PATCH", path, {"sittings": [sitting()]}, If_Match=read.headers["etag"]
    )
    assert (moved.status_code, moved.json()["code"]) == (409, "slot_has_bookings")
    full = await world.send("employer_a", "PATCH", path, {"capacity": 6}, If_Match=read.headers["etag"])
    assert (full.status_code, full.json()["places_left"]) == (200, 0)
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).json()["bookable"] is False
    cached = await world.get("employer_a", path, If_None_Match=full.headers["etag"])
    assert cached.status_code == 304


async def test_a_slot_is_closed_reopened_and_cancelled_for_good(world: World) -> None:
    slot = await a_slot(world)
    path = f"/v1/slots/{slot['id']}"
    for move, state, found in (
        ("close", "closed", 404),
        ("reopen", "open", 200),
        ("cancel", "cancelled", 404),
    ):
        done = await world.post("employer_a", f"{path}/{move}")
        assert (done.status_code, done.json()["state"]) == (200, state)
        assert (await world.get("school_a", f"/v1/open-slots/{slot['id']}")).status_code == found
    for move in ("close", "reopen", "cancel"):
        refused = await world.post("employer_a", f"{path}/{move}")
        assert (refused.status_code, refused.json()["state"]) == (409, "cancelled")
    late = await world.send("employer_a", "PATCH", path, {"capacity": 3}, If_Match='"v4"')
    assert late.json()["code"] == "slot_cancelled"
    count = await world.count("events", "type = 'slot.changed' AND order_key = $1", slot["id"])
    assert count == 4


async def test_a_slot_that_has_begun_is_not_cancelled(world: World) -> None:
    slot = await a_slot(world)
    try:
        await world.move_clock(SOON + timedelta(minutes=5))
        refused = await world.post("employer_a", f"/v1/slots/{slot['id']}/cancel")
        assert (refused.status_code, refused.json()["code"]) == (409, "slot_started")
    finally:
        await world.move_clock(None)


async def test_a_bulk_is_answered_row_by_row(world: World) -> None:
    offer = await an_offer(world, external_ref="BULK")
    good = {"offer_ref": "BULK", "capacity": 5, "sittings": [sitting(), sitting(1)]}
    rows: list[Any] = [{**good, "external_ref": f"B-{at}"} for at in range(200)]
    rows += [
        {**good, "external_ref": "B-1"},
        {**good, "offer_ref": "NONE"},
        {**good, "capacity": "many", "colour": "red"},
        {**good, "sittings": [sitting(0, -1)]},
        "nonsense",
        {**good, "offer_ref": None, "offer_id": offer},
    ]
    answer = await world.post("employer_a", "/v1/slots/bulk", {"slots": rows})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["created"], body["refused"]) == (201, 5)
    refused = {
        one["index"]: [fault["pointer"] for fault in one["errors"]]
        for one in body["results"]
        if one["errors"]
    }
    assert refused == {
        200: ["/slots/200/external_ref"],
        201: ["/slots/201/offer_ref"],
        202: ["/slots/202/capacity", "/slots/202/colour"],
        203: ["/slots/203/sittings/0/ends_at"],
        204: ["/slots/204"],
    }
    assert body["results"][199]["external_ref"] == "B-199"
    assert (
        await world.count("sittings", "slot_id IN (SELECT id FROM slots WHERE offer_id = $1)", offer) == 402
    )
    assert await world.count("open_slots", "offer_id = $1", offer) == 201


async def test_an_atomic_bulk_is_kept_whole_or_not_at_all(world: World) -> None:
    offer = await an_offer(world)
    good = {"offer_id": offer, "capacity": 5, "sittings": [sitting()]}
    before = await world.fingerprint()
    broken = await world.post(
        "employer_a", "/v1/slots/bulk?atomic=true", {"slots": [good, {**good, "capacity": 0}]}
    )
    late = await world.post(
        "employer_a",
        "/v1/slots/bulk?atomic=true",
        {"slots": [{**good, "external_ref": "A"}, {**good, "external_ref": "A"}]},
    )
    assert [one["pointer"] for one in broken.json()["errors"]] == ["/slots/1/capacity"]
    assert [one["pointer"] for one in late.json()["errors"]] == ["/slots/1/external_ref"]
    assert (broken.status_code, late.status_code) == (422, 422)
    assert await world.fingerprint() == before
    too_many = await world.post("employer_a", "/v1/slots/bulk", {"slots": [good] * 501})
    assert too_many.status_code == 422


async def test_a_stranger_finds_nothing_and_changes_nothing(world: World) -> None:
    slot = await a_slot(world, external_ref="OWN")
    path, offer = f"/v1/slots/{slot['id']}", slot["offer_id"]
    body = {"offer_id": offer, "capacity": 10, "sittings": [sitting()]}
    before = await world.fingerprint()
    assert (await world.get("employer_b", path)).status_code == 404
    assert (await world.get("employer_b", f"/v1/slots?employer_id={world['employer_a']}")).status_code == 404
    assert (await world.get("employer_b", f"/v1/slots?offer_id={offer}")).json()["data"] == []
    assert (
        await world.send("employer_b", "PATCH", path, {"capacity": 3}, If_Match='"v1"')
    ).status_code == 404
    for move in ("close", "reopen", "cancel"):
        assert (await world.post("employer_b", f"{path}/{move}")).status_code == 404
        assert (await world.post("school_a", f"{path}/{move}")).status_code == 403
    foreign = await world.post("employer_b", "/v1/slots", body)
    assert foreign.json()["errors"][0] == {
        "pointer": "/offer_id",
        "code": "unknown",
        "detail": "You have no such offer.",
    }
    bulk = await world.post("employer_b", "/v1/slots/bulk", {"slots": [body]})
    assert bulk.json()["refused"] == 1
    for who in ("school_a", "hub_a", "vendor", "trust", "national"):
        assert (await world.post(who, "/v1/slots", body)).status_code == 403
        assert (await world.post(who, "/v1/slots/bulk", {"slots": [body]})).status_code == 403
        assert (await world.send(who, "PUT", "/v1/slots/by-ref/OWN", body)).status_code == 403
        assert (await world.send(who, "PATCH", path, {"capacity": 3}, If_Match='"v1"')).status_code == 403
    stored = {
        name: value for name, value in (await world.fingerprint()).items() if name != "idempotency_keys"
    }
    assert stored == {name: value for name, value in before.items() if name != "idempotency_keys"}


async def test_what_each_request_costs_in_statements(world: World) -> None:
    offer = await an_offer(world)
    body = {"offer_id": offer, "capacity": 10, "sittings": [sitting()]}
    cost: dict[str, int] = {}
    house = world.app.state.house

    async def spent(name: str, who: str, method: str, path: str, sent: Any = None, **more: str) -> Any:
        before = house.db.statements
        answer = await world.send(who, method, path, sent, **more)
        assert answer.status_code < 300, answer.text
        cost[name] = house.db.statements - before
        return answer.json()

    slot = await spent("add", "employer_a", "POST", "/v1/slots", body)
    await spent("bulk", "employer_a", "POST", "/v1/slots/bulk", {"slots": [body] * 100})
    await spent("put new", "employer_a", "PUT", "/v1/slots/by-ref/cost", body)
    await spent("put same", "employer_a", "PUT", "/v1/slots/by-ref/cost", body)
    await spent("patch", "employer_a", "PATCH", f"/v1/slots/{slot['id']}", {"capacity": 9}, If_Match='"v1"')
    await spent("search", "school_a", "GET", "/v1/open-slots?kind=workplace_visit")
    await spent("open slot", "school_a", "GET", f"/v1/open-slots/{slot['id']}")
    await spent("offers", "employer_a", "GET", "/v1/offers")
    print(cost)  # noqa: T201
    assert max(cost["search"], cost["open slot"], cost["offers"]) <= 2
    assert cost["add"] <= 8
    assert cost["bulk"] <= 2 * cost["add"]  # 100 rows are two slices
