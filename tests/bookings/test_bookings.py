"""Bookings over HTTP: requested, confirmed, declined, cancelled; names; places; both sides."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.today import TODAY, YEAR
from tests.world import World

pytestmark = pytest.mark.calendar


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


async def test_a_pupil_withdrawn_and_a_request_moved_are_named_again(world: World) -> None:
    booking = await world.booking(places=2)
    pupils = [{"pupil_id": await world.pupil("school_a")} for _ in range(2)]
    path = f"/v1/bookings/{booking['id']}"
    named = (await world.post("school_a", f"{path}/participants", {"pupils": pupils})).json()["data"]
    twice = await world.post("school_a", f"{path}/participants", {"pupils": pupils[:1]})
    assert (twice.status_code, twice.json()["code"]) == (409, "too_many_names")
    gone = next(one for one in named if one["pupil_id"] == str(pupils[0]["pupil_id"]))
    await world.post("school_a", f"{path}/participants/{gone['id']}/withdraw")
    again = await world.post("school_a", f"{path}/participants", {"pupils": pupils[:1]})
    assert again.status_code == 200, again.text
    other = await world.slot()
    moved = await world.post("school_a", f"{path}/reschedule", {"slot_id": other})
    assert (moved.json()["state"], moved.json()["named"]) == ("requested", 0), moved.text
    anew = await world.post("school_a", f"{path}/participants", {"pupils": pupils})
    assert anew.status_code == 200, anew.text
    assert sorted(one["state"] for one in anew.json()["data"]) == ["named"] * 2 + ["withdrawn"] * 3
    await world.post("employer_a", f"{path}/confirm")
    told = (await world.get("employer_a", f"{path}/participants")).json()["data"]
    assert len(told) == 2


async def test_a_pupil_named_already_a_pupil_elsewhere_and_a_reference_used_have_codes_of_their_own(
    world: World,
) -> None:
    booking = await world.booking(places=5)
    pupil = await world.pupil("school_a")
    path = f"/v1/bookings/{booking['id']}/participants"
    assert (await world.post("school_a", path, {"pupils": [{"pupil_id": pupil}]})).status_code == 200
    named = await world.post("school_a", path, {"pupils": [{"pupil_id": pupil}]})
    assert (named.status_code, named.json()["code"]) == (409, "already_named")
    no = await world.owner.fetchval("SELECT person_no FROM enrolments WHERE id = $1", pupil)
    person = await world.owner.fetchval("SELECT person_id FROM enrolments WHERE id = $1", pupil)
    second = await world.pupil("school_c")
    await world.owner.execute(
        "UPDATE enrolments SET person_id = $1, person_no = $2, kind = 'subsidiary' WHERE id = $3",
        person,
        no,
        second,
    )
    other = await world.booking(school="school_c")
    elsewhere = await world.post(
        "school_c", f"/v1/bookings/{other['id']}/participants", {"pupils": [{"pupil_id": second}]}
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "overlap")
    body = {
        "school_id": world["school_a"],
        "slot_id": await world.slot(),
        "places": 1,
        "external_ref": "once",
    }
    assert (await world.post("school_a", "/v1/bookings", body)).status_code == 201
    used = await world.post("school_a", "/v1/bookings", body)
    assert (used.status_code, used.json()["code"]) == (409, "external_ref_taken")


async def test_parents_who_withdraw_their_agreement_free_the_place_and_the_employer_reads_nothing_of_it(
    world: World,
) -> None:
    slot = await world.slot(kind="placement", years=())
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "11"}
    booking = (await world.post("school_a", "/v1/bookings", body)).json()
    pupil = await world.pupil("school_a", "11")
    path = f"/v1/bookings/{booking['id']}/participants"
    given = {"pupils": [{"pupil_id": pupil, "parental_agreement": "given"}]}
    named = (await world.post("school_a", path, given)).json()["data"]
    gone = f"{path}/{named[0]['id']}/withdraw"
    stranger = await world.post("school_b", gone, {"parental_agreement": "withdrawn"})
    assert stranger.status_code == 404
    withdrawn = await world.post("school_a", gone, {"parental_agreement": "withdrawn"})
    assert (withdrawn.status_code, withdrawn.json()["named"]) == (200, 0)
    assert (
        await world.owner.fetchval("SELECT state FROM parental_agreements WHERE enrolment_id = $1", pupil)
        == "withdrawn"
    )
    silent = await world.post("school_a", path, {"pupils": [{"pupil_id": pupil}]})
    assert silent.json()["errors"][0]["code"] == "parental_agreement_missing", silent.text
    bodies = await world.owner.fetch(
        "SELECT convert_from(body, 'UTF8') AS body FROM events WHERE order_key = $1", booking["id"]
    )
    assert bodies
    assert not any("parental" in row["body"] for row in bodies)
    assert (await world.post("school_a", path, given)).status_code == 200, "they may change their minds"


async def test_a_booking_enters_another_slot_on_the_terms_of_a_request(world: World) -> None:
    booking = await world.booking(places=2)
    path = f"/v1/bookings/{booking['id']}"
    placement = await world.slot(kind="placement", years=())
    elders = await world.slot(years=("10", "11"))
    unapproved = await world.slot(kind="work_shadowing")
    closed = await world.slot(starts=datetime.now(UTC) + timedelta(days=1))
    refusals = [
        (await world.post("school_a", f"{path}/reschedule", {"slot_id": slot})).json()
        for slot in (placement, elders, unapproved, closed)
    ]
    assert [(one["code"], [each["code"] for each in one.get("reasons", [])]) for one in refusals] == [
        ("not_eligible", ["placement_unlawful"]),
        ("not_eligible", ["year_group_not_offered"]),
        ("not_eligible", ["approval_missing"]),
        ("booking_closed", []),
    ]
    proposed = await world.post("employer_a", f"{path}/counter", {"slot_id": placement})
    assert [one["code"] for one in proposed.json()["reasons"]] == ["placement_unlawful"]
    fitting = await world.slot()
    assert (await world.post("employer_a", f"{path}/counter", {"slot_id": fitting})).status_code == 200
    await world.owner.execute("DELETE FROM approval_acceptances WHERE school_id = $1", world["school_a"])
    try:
        refused = await world.post("school_a", f"{path}/accept-counter")
        assert [one["code"] for one in refused.json()["reasons"]] == ["approval_not_accepted"]
    finally:
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)",
            world["school_a"],
            world["hub_a"],
        )
    assert (await world.post("school_a", f"{path}/accept-counter")).json()["state"] == "confirmed"


async def test_what_is_confirmed_is_judged_anew(world: World) -> None:
    site = await world.insert(
        "sites", employer_id=world["employer_a"], name="Annex", address="2 High Street", town="Ware", postcode="SG1 1AB"
    )  # fmt: skip
    approval = await _approved(world, site)
    first, second = [await world.booking(slot=await world.slot(site=site)) for _ in range(2)]
    confirm = f"/v1/bookings/{first['id']}/confirm"

    async def refused() -> tuple[int, list[str], str]:
        answer = await world.post("employer_a", confirm)
        state = await world.owner.fetchval("SELECT state FROM bookings WHERE id = $1", first["id"])
        return answer.status_code, [one["code"] for one in answer.json().get("reasons", [])], state

    await world.owner.execute("UPDATE approvals SET expires_on = current_date WHERE id = $1", approval)
    assert await refused() == (409, ["approval_lapsed"], "requested")
    gone = await world.post("hub_a", f"/v1/approvals/{approval}/withdraw", {"reason": "building work"})
    assert gone.status_code == 200, gone.text
    assert await refused() == (409, ["approval_missing"], "requested")
    await _approved(world, site, approver="hub_b")
    assert await refused() == (409, ["approval_not_accepted"], "requested")
    await _approved(world, site, approver="school_a")
    assert await refused() == (200, [], "confirmed")
    other = await world.post("employer_a", f"/v1/bookings/{second['id']}/confirm")
    assert other.status_code == 200, "the school's own approval is for all of its bookings"


async def _approved(world: World, site: UUID, *, approver: str = "hub_a") -> UUID:
    return await world.insert(
        "approvals", approver_id=world[approver], employer_id=world["employer_a"], site_id=site, kind="workplace_tour",
        activity_band="low", approved_on=TODAY, expires_on=TODAY + timedelta(days=300),
    )  # fmt: skip


async def test_a_change_of_the_law_is_a_row_of_dated_data(world: World) -> None:
    slot = await world.slot()
    await world.owner.execute(
        "UPDATE offers SET hazards = '{ships}' WHERE id = (SELECT offer_id FROM slots WHERE id = $1)", slot
    )
    twelve = await world.pupil("school_a", "8", born=date(YEAR - 13, 10, 1))  # or thirteen, on any day
    pupil = {"pupils": [{"pupil_id": twelve}]}
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "8"}
    booking = (await world.post("school_a", "/v1/bookings", body)).json()
    path = f"/v1/bookings/{booking['id']}/participants"
    young = await world.post("school_a", path, pupil)
    assert [one["code"] for one in young.json()["errors"]] == ["too_young"]
    lifted = await world.insert(
        "dated_policies",
        topic="age_prohibition",
        name="Ships",
        starts_on=TODAY,
        source="An Act of next year",
        body='{"hazard": "ships", "minimum_age": 12}',
    )
    dearer = await world.insert(
        "dated_policies",
        topic="cover",
        name="Tours",
        starts_on=TODAY,
        body='{"kind": "workplace_tour", "liability": "public_liability", "minimum_pounds": 900000000}',
    )
    try:
        assert (await world.post("school_a", path, pupil)).status_code == 200
        refused = (await world.post("school_a", "/v1/bookings", body)).json()
        assert [one["code"] for one in refused["reasons"]] == ["cover_too_low"]
    finally:
        await world.owner.execute("DELETE FROM dated_policies WHERE id = ANY ($1)", [lifted, dearer])


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


async def test_a_booking_for_a_school_that_is_not_yours_is_404_before_anything_is_told(world: World) -> None:
    closed = await world.slot(starts=datetime.now(UTC) + timedelta(days=1))
    full, elders = await world.slot(capacity=1), await world.slot(years=("10", "11"))
    await world.booking(slot=full, places=1)
    for slot in (closed, full, elders, await world.slot()):
        for wait in (False, True):
            body = {
                "school_id": world["school_b"], "slot_id": slot, "places": 1, "nc_year": "8", "join_waiting_list": wait,
            }  # fmt: skip
            for who in ("school_a", "stranger_vendor"):
                answer = await world.post(who, "/v1/bookings", body)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text


async def test_an_employer_has_one_booking_by_one_reference(world: World) -> None:
    first, second = await world.booking(), await world.booking()
    used = await world.post("employer_a", f"/v1/bookings/{first['id']}/confirm", {"external_ref": "WEX-one"})
    assert used.status_code == 200, used.text
    path = f"/v1/bookings/{second['id']}/confirm"
    twice = await world.post("employer_a", path, {"external_ref": "WEX-one"})
    assert (twice.status_code, twice.json()["code"]) == (409, "external_ref_taken")
    assert (await world.get("school_a", f"/v1/bookings/{second['id']}")).json()["state"] == "requested"
    assert (await world.post("employer_a", path, {"external_ref": "WEX-two"})).status_code == 200
