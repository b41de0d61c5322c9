"""What a nightly job sends again: slots in bulk by reference, and first PUTs of one reference at once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest

from app.rest.routes import ROUTERS
from tests.offers.test_slots import SOON, an_offer, sitting
from tests.world import World

pytestmark = pytest.mark.calendar

BY_REF = sorted(
    route.path
    for router in ROUTERS
    for route in router.routes
    if "/by-ref/" in getattr(route, "path", "") and "PUT" in getattr(route, "methods", ())
)


async def send(world: World, rows: list[Any], query: str = "") -> list[dict[str, Any]]:
    answer = await world.post("employer_a", f"/v1/slots/bulk{query}", {"slots": rows})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    counted = Counter(one["status"] for one in body["results"])
    assert {name: body[name] for name in ("created", "updated", "unchanged", "refused")} == {
        name: counted[name] for name in ("created", "updated", "unchanged", "refused")
    }
    found: list[dict[str, Any]] = body["results"]
    return found


def said(results: list[dict[str, Any]]) -> list[str]:
    return [one["errors"][0]["code"] if one["errors"] else one["status"] for one in results]


async def rows_of(world: World, name: str, size: int) -> list[dict[str, Any]]:
    offer = await an_offer(world)
    return [
        {
            "offer_id": offer,
            "external_ref": f"{name}-{at}",
            "capacity": 5,
            "sittings": [sitting(at), sitting(at + 0.2)],
        }
        for at in range(size)
    ]


async def test_the_same_rows_again_are_unchanged_with_their_ids_and_no_news(world: World) -> None:
    rows = await rows_of(world, "N", 20)
    first = await send(world, rows)
    assert said(first) == ["created"] * 20
    before = await world.fingerprint()
    again = await send(world, rows)
    after = await world.fingerprint()
    assert said(again) == ["unchanged"] * 20
    assert [one["id"] for one in again] == [one["id"] for one in first]
    assert {table for table in before if before[table] != after[table]} <= {"idempotency_keys", "clients"}


async def test_what_changed_is_updated_and_told_and_what_cannot_be_is_refused_by_name(world: World) -> None:
    rows = await rows_of(world, "C", 9)
    made = await send(world, rows)
    booked = (
        await world.booking(places=3, slot=made[3]["id"]) if await _as_a_tour(world, made[3]["id"]) else None
    )
    assert booked
    await world.post("employer_a", f"/v1/slots/{made[6]['id']}/cancel")
    rows[1]["capacity"] = 7
    rows[2]["sittings"] = [sitting(40)]
    rows[3] |= {"sittings": [sitting(41)]}  # places are taken
    rows[4] |= {"sittings": [sitting(1, -1)]}
    rows[5] |= {"offer_id": await an_offer(world)}
    rows[6] |= {"capacity": 9}
    rows[7] |= {"capacity": "many"}
    rows.append(dict(rows[8]))
    rows.append({**rows[0], "external_ref": "C-new"})
    rows.append({**rows[0], "external_ref": "C-unknown", "capacity": 0})
    results = await send(world, rows)
    assert said(results) == [
        "unchanged", "updated", "updated", "slot_has_bookings", "out_of_order", "slot_fixed", "slot_cancelled",
        "wrong_type", "unchanged", "duplicate_in_request", "created", "out_of_range",
    ]  # fmt: skip
    assert [one["id"] for one in results[:9]] == [one["id"] for one in made]
    assert (results[9]["id"], results[11]["id"], results[10]["id"] is None) == (made[8]["id"], None, False)
    assert results[3]["errors"][0]["pointer"] == "/slots/3/sittings"
    assert all(
        one["errors"][0]["pointer"].startswith(f"/slots/{one['index']}") for one in results if one["errors"]
    )
    held = await world.owner.fetch(
        "SELECT s.version, s.capacity, s.starts_at, count(t.id) AS sittings FROM slots s JOIN sittings t ON t.slot_id = s.id"
        " WHERE s.id = ANY ($1::uuid[]) GROUP BY s.id ORDER BY s.external_ref", [one["id"] for one in made[:4]],
    )  # fmt: skip
    assert [(one["version"], one["capacity"], one["sittings"]) for one in held] == [
        (1, 5, 2), (2, 7, 2), (2, 5, 1), (1, 5, 2),
    ]  # fmt: skip
    shown = await world.get("school_a", f"/v1/open-slots/{made[2]['id']}")
    assert [one["starts_at"] for one in shown.json()["sittings"]] == [sitting(40)["starts_at"]]
    rows[3] = {**rows[3], "sittings": [sitting(3), sitting(3.2)], "capacity": 2}
    assert said(await send(world, rows[3:4])) == ["capacity_below_taken"]
    rows[3]["capacity"] = 6
    assert said(await send(world, rows[3:4])) == ["updated"]
    told = await world.owner.fetch(
        "SELECT audience FROM events WHERE type = 'slot.changed' AND order_key = $1 ORDER BY seq DESC LIMIT 2", made[3]["id"]
    )  # fmt: skip
    assert {one["audience"] for one in told} == {"school", "employer"}


async def _as_a_tour(world: World, slot: str) -> None:
    """Of a kind that the site is approved for."""
    await world.owner.execute(
        "UPDATE offers SET kind = 'workplace_tour' WHERE id = (SELECT offer_id FROM slots WHERE id = $1)",
        slot,
    )
    return True


async def test_times_stay_where_somebody_was_named_though_no_place_is_taken(world: World) -> None:
    (row,) = await rows_of(world, "W", 1)
    (made,) = await send(world, [row])
    await _as_a_tour(world, made["id"])
    booking = await world.booking(places=1, slot=made["id"], state="confirmed")
    pupil = await world.pupil("school_a")
    named = await world.post(
        "school_a", f"/v1/bookings/{booking['id']}/participants", {"pupils": [{"pupil_id": pupil}]}
    )
    assert named.status_code == 200, named.text
    await world.post("school_a", f"/v1/bookings/{booking['id']}/cancel", {"reason_code": "transport"})
    assert said(await send(world, [{**row, "sittings": [sitting(50)]}, {**row, "external_ref": "W-2"}])) == [
        "slot_has_bookings",
        "created",
    ]


async def test_atomic_keeps_all_changes_or_none(world: World) -> None:
    rows = await rows_of(world, "A", 3)
    await send(world, rows)
    rows[0]["capacity"], rows[1]["sittings"] = 8, [sitting(0, -1)]
    before = await world.fingerprint()
    refused = await world.post("employer_a", "/v1/slots/bulk?atomic=true", {"slots": rows})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (
        422,
        "/slots/1/sittings/0/ends_at",
    )
    assert await world.fingerprint() == before


async def test_slots_that_lie_in_the_past_meanwhile_are_unchanged_and_do_not_stop_the_rest(
    world: World,
) -> None:
    rows = await rows_of(world, "P", 2)
    await send(world, rows)
    await world.move_clock(SOON.replace(hour=20))
    try:
        assert said(await send(world, rows)) == ["unchanged", "unchanged"]
        rows[1]["capacity"] = 6
        assert said(await send(world, rows)) == ["unchanged", "updated"]
    finally:
        await world.move_clock(None)


async def test_each_slice_of_50_rows_takes_as_many_statements_as_few_rows(world: World) -> None:
    db, costs = world.app.state.house.db, []
    for size in (2, 300):
        rows = await rows_of(world, f"S{size}", size)
        cost = []
        for change in ({}, {}, {"capacity": 6}, {"sittings": [sitting(60)]}):
            before = db.statements
            await send(world, [{**row, **change} for row in rows])
            cost.append(db.statements - before)
        costs.append(cost)
    few, many = costs
    assert max(few) <= 14, costs
    assert all(six <= 6 * one for one, six in zip(few, many, strict=True)), costs


async def _until_waiting(world: World, table: str, count: int) -> None:
    for _ in range(500):
        waiting = await world.owner.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass", table
        )
        if waiting >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{table}: nobody waits")


async def _at_once(world: World, table: str, requests: list[Awaitable[Any]]) -> list[Any]:
    """Requests that have all looked before any of them writes: inserts wait for the lock, selects do not."""
    async with world.owner.transaction():
        await world.owner.execute(f"LOCK TABLE {table} IN SHARE MODE")
        tasks = [asyncio.ensure_future(one) for one in requests]
        await _until_waiting(world, table, len(tasks))
    return list(await asyncio.gather(*tasks))


@pytest.mark.parametrize("path", BY_REF)
async def test_two_first_puts_of_one_reference_at_once_are_201_and_200(world: World, path: str) -> None:
    table = path.split("/")[2]
    offer = await an_offer(world)
    body = {
        "sites": {"name": "N", "address": "A", "town": "T", "postcode": "SG1 1AA"},
        "offers": {
            "site_id": world["employer_a.site"], "title": "T", "kind": "workplace_visit", "grouping": "group", "tier": 2,
        },
        "slots": {"offer_id": offer, "capacity": 5, "sittings": [sitting()]},
    }[table]  # fmt: skip
    at = path.replace("{external_ref:path}", "at-once")
    answers = await _at_once(world, table, [world.send("employer_a", "PUT", at, body) for _ in range(2)])
    assert sorted(one.status_code for one in answers) == [200, 201], [one.text for one in answers]
    assert len({one.json()["id"] for one in answers}) == 1
    assert {one.json()["version"] for one in answers} == {1}
    assert await world.count(table, "external_ref = 'at-once'") == 1


async def test_two_first_bulks_of_the_same_references_at_once_make_each_slot_once(world: World) -> None:
    rows = await rows_of(world, "R", 5)
    both = await _at_once(world, "slots", [send(world, rows), send(world, rows[::-1])])
    assert Counter(one for answer in both for one in said(answer)) == {"created": 5, "unchanged": 5}
    assert len({one["id"] for answer in both for one in answer}) == 5


def test_every_route_by_reference_is_here() -> None:
    assert [path.split("/")[2] for path in BY_REF] == ["offers", "sites", "slots"]
