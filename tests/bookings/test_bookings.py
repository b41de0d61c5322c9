"""Bookings over HTTP: requested, confirmed, declined, cancelled; names; places; both sides."""

from uuid import uuid4

import asyncpg
import pytest

from tests.world import World


async def test_a_school_asks_and_an_employer_confirms(world: World) -> None:
    slot = await world.slot(capacity=30)
    made = await world.post(
        "vendor",
        "/v1/bookings",
        {
            "school_id": world["school_a"],
            "slot_id": slot,
            "places": 25,
            "nc_year": "8",
            "external_ref": "trip-1",
        },
    )
    assert made.status_code == 201, made.text
    booking = made.json()
    assert (booking["state"], booking["external_ref"], booking["places"]) == ("requested", "trip-1", 25)
    assert made.headers["location"] == f"/v1/bookings/{booking['id']}"
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 25
    confirmed = await world.post("employer_a", f"/v1/bookings/{booking['id']}/confirm")
    assert confirmed.json()["state"] == "confirmed", confirmed.text
    read = await world.get("school_a", f"/v1/bookings/{booking['id']}")
    assert read.json()["state"] == "confirmed"
    assert read.headers["etag"] == '"v2"'
    history = (await world.get("school_a", f"/v1/bookings/{booking['id']}/history")).json()["data"]
    assert [move["action"] for move in history] == ["request", "confirm"]


async def test_pupils_are_named_and_only_the_employer_reads_names_with_a_disclosure(world: World) -> None:
    booking = await world.booking(state="confirmed", places=2)
    pupils = [await world.pupil("school_a") for _ in range(2)]
    path = f"/v1/bookings/{booking['id']}/participants"
    named = await world.post("school_a", path, {"pupils": [{"pupil_id": one} for one in pupils]})
    assert named.status_code == 200, named.text
    assert {row["pupil_id"] for row in named.json()["data"]} == {str(one) for one in pupils}
    before = await world.count("disclosures")
    told = await world.get("employer_a", path)
    assert told.status_code == 200, told.text
    assert [(row["known_as"], row["family_initial"], row["pupil_id"]) for row in told.json()["data"]] == [
        ("Ada", "E", None),
        ("Ada", "E", None),
    ]
    assert await world.count("disclosures") == before + 2


async def test_a_pupil_cannot_be_in_two_places_at_once(world: World) -> None:
    pupil = await world.pupil("school_a")
    for expected in (200, 422):
        booking = await world.booking()
        path = f"/v1/bookings/{booking['id']}/participants"
        answer = await world.post("school_a", path, {"pupils": [{"pupil_id": pupil}]})
        assert answer.status_code == expected, answer.text
    assert answer.json()["errors"][0]["code"] == "overlap"
    assert answer.json()["errors"][0]["pointer"] == "/pupils/0"


async def test_a_refusal_gives_every_place_back(world: World) -> None:
    slot = await world.slot(capacity=10)
    booking = await world.booking(slot=slot, places=10)
    full = await world.post(
        "school_c", "/v1/bookings", {"school_id": world["school_c"], "slot_id": slot, "places": 1}
    )
    assert (full.status_code, full.json()["code"]) == (409, "no_places")
    no_reason = await world.post("employer_a", f"/v1/bookings/{booking['id']}/decline", {})
    assert (no_reason.status_code, no_reason.json()["errors"][0]["pointer"]) == (422, "/reason_code")
    path = f"/v1/bookings/{booking['id']}/decline"
    declined = await world.post("employer_a", path, {"reason_code": "no_supervisor"})
    assert declined.json()["reason_code"] == "no_supervisor"
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 0


async def test_a_private_reason_of_the_school_is_not_told_to_the_employer(world: World) -> None:
    booking = await world.booking()
    path = f"/v1/bookings/{booking['id']}"
    await world.post("school_a", f"{path}/cancel", {"reason_code": "safeguarding"})
    assert (await world.get("school_a", path)).json()["reason_code"] == "safeguarding"
    assert (await world.get("employer_a", path)).json()["reason_code"] == "withdrawn_by_school"
    body = await world.owner.fetchval(
        "SELECT convert_from(body, 'UTF8') FROM events WHERE audience = 'employer' AND type = 'booking.cancelled'"
        " ORDER BY seq DESC LIMIT 1"
    )
    assert "safeguarding" not in body


async def test_the_same_key_gives_the_same_booking_once(world: World) -> None:
    slot = await world.slot()
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 3}
    key = str(uuid4())
    first = await world.post("school_a", "/v1/bookings", body, key=key)
    again = await world.post("school_a", "/v1/bookings", body, key=key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = await world.post("school_a", "/v1/bookings", {**body, "places": 4}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 3


async def test_neither_party_can_hand_a_booking_to_another(world: World) -> None:
    """The policies pass on one party's id: a trigger keeps the other from being rewritten."""
    booking = await world.booking()
    for name, stranger in (("school_id", "school_b"), ("employer_id", "employer_b")):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.owner.execute(
                f"UPDATE bookings SET {name} = $1 WHERE id = $2", world[stranger], booking["id"]
            )


async def test_a_change_of_a_slot_is_told_to_the_schools_booked_in_it(world: World) -> None:
    booking = await world.booking()
    slot = (await world.get("employer_a", f"/v1/slots/{booking['slot_id']}")).headers["etag"]
    path = f"/v1/slots/{booking['slot_id']}"
    changed = await world.send("employer_a", "PATCH", path, {"capacity": 29}, If_Match=slot)
    assert changed.status_code == 200, changed.text
    told = await world.owner.fetch(
        "SELECT audience, audience_id FROM events WHERE type = 'slot.changed' AND order_key = $1",
        booking["slot_id"],
    )
    assert {(row["audience"], row["audience_id"]) for row in told} == {
        ("employer", world["employer_a"]),
        ("school", world["school_a"]),
    }


async def test_each_side_finds_a_booking_by_its_own_reference(world: World) -> None:
    slot = await world.slot()
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "external_ref": "ours-7"}
    made = (await world.post("school_a", "/v1/bookings", body)).json()
    path = f"/v1/bookings/{made['id']}/confirm"
    confirmed = await world.post("employer_a", path, {"external_ref": "theirs-7"})
    assert confirmed.json()["external_ref"] == "theirs-7"
    for who, ref in (("school_a", "ours-7"), ("employer_a", "theirs-7")):
        found = (await world.get(who, f"/v1/bookings?external_ref={ref}")).json()["data"]
        assert [(one["id"], one["external_ref"]) for one in found] == [(made["id"], ref)]
    assert (await world.get("employer_a", "/v1/bookings?external_ref=ours-7")).json()["data"] == []


async def test_confirming_needs_no_body(world: World) -> None:
    booking = await world.booking()
    answer = await world.send("employer_a", "POST", f"/v1/bookings/{booking['id']}/confirm")
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
