"""What the house does by itself with bookings, as the worker's role."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from app.bookings import upkeep
from app.core.db import Database
from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


async def _state(world: World, booking: dict[str, object]) -> str:
    return str((await world.get("school_a", f"/v1/bookings/{booking['id']}")).json()["state"])


async def _taken(world: World, booking: dict[str, object]) -> int:
    return int(await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", booking["slot_id"]))


async def test_a_request_nobody_answers_expires_and_frees_its_places(world: World, db: Database) -> None:
    booking = await world.booking(places=4)
    assert await upkeep.expire_due(db) == 0
    await world.move_clock(datetime.now(UTC) + timedelta(days=6))
    try:
        assert await upkeep.expire_due(db) >= 1
        assert (await _state(world, booking), await _taken(world, booking)) == ("expired", 0)
        assert await upkeep.expire_due(db) == 0
    finally:
        await world.move_clock(None)
    types = [
        row["type"]
        for row in await world.owner.fetch(
            "SELECT type FROM events WHERE order_key = $1 ORDER BY seq", booking["id"]
        )
    ]
    assert types == ["booking.requested"] * 2 + ["booking.expired"] * 2


async def test_a_suspension_holds_only_the_bookings_of_its_own_schools_and_lifting_releases_them(
    world: World, db: Database
) -> None:
    mine = await world.booking(school="school_a", state="confirmed")
    other = await world.booking(school="school_b", state="confirmed")
    made = await world.post(
        "hub_a", "/v1/suspensions", {"employer_id": world["employer_a"], "private_note": "a leak"}
    )
    assert made.status_code == 201, made.text
    await upkeep.hold_and_release(db)
    assert await _state(world, mine) == "on_hold"
    assert (await world.get("school_b", f"/v1/bookings/{other['id']}")).json()["state"] == "confirmed"
    told = (await world.get("school_a", f"/v1/bookings/{mine['id']}")).json()
    assert told["reason_code"] is None
    refused = await world.post(
        "school_a", "/v1/bookings", {"school_id": world["school_a"], "slot_id": mine["slot_id"], "places": 1}
    )
    assert refused.status_code in {404, 409}, refused.text
    lifted = await world.post("hub_a", f"/v1/suspensions/{made.json()['id']}/lift")
    assert lifted.status_code == 200, lifted.text
    await upkeep.hold_and_release(db)
    assert await _state(world, mine) == "confirmed"


async def test_withdrawn_cover_holds_the_coming_bookings_and_a_new_one_releases_them(
    world: World, db: Database
) -> None:
    booking = await world.booking(state="confirmed")
    other = await world.insert(
        "covers",
        employer_id=world["employer_a"],
        kind="policy",
        liability="public_liability",
        insurer="Mutual",
        policy_number="P-2",
        limit_pence=1_000_000_000,
        starts_on=date_in(-9),
        expires_on=date_in(9),  # ends before the visit
    )
    covers = (await world.get("employer_a", "/v1/cover")).json()["data"]
    mine = [one["id"] for one in covers if one["liability"] == "public_liability" and one["id"] != str(other)]
    rules = [
        await world.insert("dated_policies", topic="cover", name="Tours", starts_on=begins, body=orjson.dumps(
            {"kind": "workplace_tour", "liability": "public_liability", "minimum_pounds": pounds}).decode())
        for begins, pounds in ((date(2020, 1, 1), 900_000_000), (date(2021, 1, 1), 1))
    ]  # fmt: skip
    spare = await world.insert(
        "covers", employer_id=world["employer_a"], kind="public_body_exempt", liability="public_liability",
        attested_on=date(2026, 1, 5), starts_on=date(2026, 1, 5),
    )  # fmt: skip
    assert (await world.post("employer_a", f"/v1/cover/{spare}/withdraw")).status_code == 200
    await upkeep.hold_and_release(db)
    assert await _state(world, booking) == "confirmed", "the rule that came last asks for little"
    await world.owner.execute("DELETE FROM dated_policies WHERE id = ANY ($1)", rules)
    for one in mine:
        assert (await world.post("employer_a", f"/v1/cover/{one}/withdraw")).status_code == 200
    await upkeep.hold_and_release(db)
    read = {
        who: (await world.get(who, f"/v1/bookings/{booking['id']}")).json()
        for who in ("school_a", "employer_a")
    }
    assert {who: (one["state"], one["reason_code"]) for who, one in read.items()} == {
        "school_a": ("on_hold", None),
        "employer_a": ("on_hold", "cover_lapsed"),
    }
    lane = await world.owner.fetchval(
        "SELECT lane FROM events WHERE order_key = $1 AND audience = 'school' AND type = 'booking.on_hold'",
        booking["id"],
    )
    assert lane == "safety"
    suspended = await world.post("hub_a", "/v1/suspensions", {"employer_id": world["employer_a"]})
    cover = {
        "kind": "policy",
        "liability": "public_liability",
        "insurer": "Mutual",
        "policy_number": "P-3",
        "limit_pence": 500_000_000,
        "expires_on": date_in(400).isoformat(),
    }
    assert (await world.post("employer_a", "/v1/cover", cover)).status_code == 201
    await upkeep.hold_and_release(db)
    assert await _state(world, booking) == "on_hold", "it is suspended now"
    await world.post("hub_a", f"/v1/suspensions/{suspended.json()['id']}/lift")
    assert await upkeep.hold_and_release(db) >= 1
    assert await _state(world, booking) == "confirmed"
    assert await upkeep.hold_and_release(db) == 0


async def test_who_waits_does_so_until_the_slot_begins_and_silence_is_laid_at_the_right_door(
    world: World, db: Database
) -> None:
    slot = await world.slot(capacity=5)
    asked = await world.booking(slot=slot, places=5)
    body = {"school_id": world["school_c"], "slot_id": slot, "places": 5, "join_waiting_list": True}
    waiting = (await world.post("school_c", "/v1/bookings", body)).json()
    countered = await world.booking(places=1)
    proposal = await world.post("employer_a", f"/v1/bookings/{countered['id']}/counter", {})
    assert proposal.json()["state"] == "countered", proposal.text
    assert waiting["expires_at"] == waiting["starts_at"]
    await world.move_clock(datetime.now(UTC) + timedelta(days=6))
    try:
        await upkeep.expire_due(db)
        found = [
            (await world.get("school_a", f"/v1/bookings/{one['id']}")).json() for one in (asked, countered)
        ]
        assert [(one["state"], one["reason_code"]) for one in found] == [
            ("expired", "no_answer_from_employer"),
            ("expired", "no_answer_from_school"),
        ]
        still = (await world.get("school_c", f"/v1/bookings/{waiting['id']}")).json()
        assert still["state"] == "waiting"
        await world.move_clock(datetime.fromisoformat(waiting["starts_at"]) + timedelta(minutes=1))
        await upkeep.expire_due(db)
        over = (await world.get("school_c", f"/v1/bookings/{waiting['id']}")).json()
        assert (over["state"], over["reason_code"]) == ("expired", "slot_started")
    finally:
        await world.move_clock(None)


async def test_places_without_a_name_are_given_back_after_the_deadline(world: World, db: Database) -> None:
    slot = await world.slot(capacity=10)
    booking = await world.booking(slot=slot, places=8, state="confirmed")
    nameless = await world.booking(places=3, state="confirmed")
    pupils = [await world.pupil("school_a") for _ in range(2)]
    path = f"/v1/bookings/{booking['id']}/participants"
    assert (
        await world.post("school_a", path, {"pupils": [{"pupil_id": one} for one in pupils]})
    ).status_code == 200
    await world.move_clock(datetime.fromisoformat(booking["name_by"]) + timedelta(minutes=1))
    try:
        assert await upkeep.hand_back_unnamed(db) >= 2
        assert await _taken(world, booking) == 2
        assert await _state(world, booking) == "confirmed"
        assert (await _state(world, nameless), await _taken(world, nameless)) == ("cancelled", 0)
    finally:
        await world.move_clock(None)


async def test_whoever_waits_is_promoted_when_places_come_free(world: World, db: Database) -> None:
    slot = await world.slot(capacity=5)
    first = await world.booking(slot=slot, places=5)
    body = {"school_id": world["school_c"], "slot_id": slot, "places": 5, "join_waiting_list": True}
    waiting = (await world.post("school_c", "/v1/bookings", body)).json()
    assert waiting["state"] == "waiting"
    await upkeep.promote_waiting(db)
    assert (await world.get("school_c", f"/v1/bookings/{waiting['id']}")).json()["state"] == "waiting"
    await world.post("school_a", f"/v1/bookings/{first['id']}/cancel", {"reason_code": "not_needed"})
    await upkeep.promote_waiting(db)
    assert (await world.get("school_c", f"/v1/bookings/{waiting['id']}")).json()["state"] == "requested"
    assert await _taken(world, first) == 5


async def test_whoever_waits_for_a_site_that_is_approved_no_more_goes_on_waiting(
    world: World, db: Database
) -> None:
    slot = await world.slot(capacity=5)
    first = await world.booking(slot=slot, places=5)
    body = {"school_id": world["school_c"], "slot_id": slot, "places": 5, "join_waiting_list": True}
    waiting = (await world.post("school_c", "/v1/bookings", body)).json()
    await world.post("school_a", f"/v1/bookings/{first['id']}/cancel", {"reason_code": "not_needed"})

    async def promoted() -> tuple[str, int]:
        await upkeep.promote_waiting(db)
        read = await world.get("school_c", f"/v1/bookings/{waiting['id']}")
        return read.json()["state"], await _taken(world, first)

    accepted = world["school_c"], world["hub_a"]
    await world.owner.execute(
        "DELETE FROM approval_acceptances WHERE school_id = $1 AND approver_id = $2", *accepted
    )
    try:
        assert await promoted() == ("waiting", 0)
    finally:
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)", *accepted
        )
    assert await promoted() == ("requested", 5)


async def test_bookings_that_cannot_be_promoted_do_not_stand_in_the_way_of_others(
    world: World, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = {}
    for school in ("school_a", "school_c"):
        slot = await world.slot(capacity=5)
        first = await world.booking(slot=slot, places=5)
        body = {"school_id": world[school], "slot_id": slot, "places": 5, "join_waiting_list": True}
        waiting[school] = (await world.post(school, "/v1/bookings", body)).json()["id"]
        await world.post("school_a", f"/v1/bookings/{first['id']}/cancel", {"reason_code": "not_needed"})
    monkeypatch.setattr(upkeep, "MOST", 1)
    accepted = world["school_a"], world["hub_a"]
    await world.owner.execute(
        "DELETE FROM approval_acceptances WHERE school_id = $1 AND approver_id = $2", *accepted
    )
    try:
        await upkeep.promote_waiting(db)
        states = [
            (await world.get(who, f"/v1/bookings/{one}")).json()["state"] for who, one in waiting.items()
        ]
        assert states == ["waiting", "requested"]
    finally:
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)", *accepted
        )


async def test_a_cancelled_slot_cancels_its_bookings(world: World, db: Database) -> None:
    booking = await world.booking(state="confirmed")
    await world.owner.execute("UPDATE slots SET state = 'cancelled' WHERE id = $1", booking["slot_id"])
    assert await upkeep.cancel_with_slot(db) >= 1
    assert await _state(world, booking) == "cancelled"


@pytest.mark.parametrize("reason", ["site_closed", "safeguarding", None])
async def test_the_reason_of_a_cancelled_slot_is_told_and_the_history_names_the_employer(
    world: World, db: Database, reason: str | None
) -> None:
    booking = await world.booking()
    path = f"/v1/slots/{booking['slot_id']}/cancel"
    wrong = await world.post("employer_a", path, {"reason_code": "transport"})
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "reason_not_allowed")
    cancelled = await world.post("employer_a", path, {"reason_code": reason} if reason else None)
    assert (cancelled.status_code, cancelled.json()["cancel_reason"]) == (200, reason), cancelled.text
    assert await upkeep.cancel_with_slot(db) >= 1
    for who in ("school_a", "employer_a"):
        found = (await world.get(who, f"/v1/bookings/{booking['id']}")).json()
        assert (found["state"], found["reason_code"]) == ("cancelled", reason or "slot_cancelled")
        last = (await world.get(who, f"/v1/bookings/{booking['id']}/history")).json()["data"][-1]
        assert (last["action"], last["actor"], last["reason_code"]) == (
            "cancel",
            "employer",
            reason or "slot_cancelled",
        )
    client = await world.owner.fetchval(
        "SELECT client_id FROM booking_moves WHERE booking_id = $1 AND action = 'cancel'", UUID(booking["id"])
    )
    assert client == world.clients["employer_a"]


async def test_a_booking_is_countered_accepted_and_its_move_proposed(world: World) -> None:
    slot, other = await world.slot(), await world.slot()
    booking = await world.booking(slot=slot, places=2)
    path = f"/v1/bookings/{booking['id']}"
    countered = await world.post(
        "employer_a", f"{path}/counter", {"slot_id": other, "reason_code": "date_unsuitable"}
    )
    assert (countered.json()["state"], countered.json()["counter_slot_id"]) == ("countered", str(other))
    accepted = await world.post("school_a", f"{path}/accept-counter")
    assert (accepted.json()["state"], accepted.json()["slot_id"]) == ("confirmed", str(other)), accepted.text
    taken = {
        row["id"]: row["taken"]
        for row in await world.owner.fetch("SELECT id, taken FROM slots WHERE id = ANY($1)", [slot, other])
    }
    assert taken == {slot: 0, other: 2}
    back = await world.post("school_a", f"{path}/reschedule", {"slot_id": slot})
    now = back.json()
    assert (now["state"], now["slot_id"], now["proposal"]["slot_id"]) == ("confirmed", str(other), str(slot))
    wrong = await world.post("employer_a", f"{path}/accept-counter")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "not_yours")


async def test_a_year_8_placement_is_refused_and_the_possible_kinds_are_named(world: World) -> None:
    slot = await world.slot(kind="placement", years=())
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "8"}
    refused = (await world.post("school_a", "/v1/bookings", body)).json()
    assert refused["code"] == "not_eligible"
    assert refused["reasons"][0]["code"] == "placement_unlawful"
    assert "work_shadowing" in refused["reasons"][0]["possible_kinds"]
