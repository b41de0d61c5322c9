"""What the examples of the contract cannot know: bookings in every state, a visit under way, a programme of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.core.ids import new_id
from tests.encounters.day import visit
from tests.proof.rows import Row
from tests.proof.test_strangers import OPERATIONS
from tests.sweep.requests import Scene
from tests.world import World


@asynccontextmanager
async def scene_of(world: World, full: dict[str, Row]) -> AsyncIterator[Scene]:
    """Bookings in every state, a visit under way, and bodies where the example speaks of what is not there."""
    scene = Scene()
    async with AsyncExitStack() as stack:
        await _bookings(world, scene)
        await _the_day(world, scene, stack)
        await _programmes(world, full, scene)
        await _others(world, full, scene)
        await world.move_clock(None)
        yield scene


def _on(scene: Scene, move: str, booking: str, who: str) -> None:
    name = f"POST /v1/bookings/{{booking_id}}/{move}"
    scene.who[name], scene.ids[name] = who, {"booking_id": booking}


async def _bookings(world: World, scene: Scene) -> None:
    for move, who, state in (
        ("confirm", "employer_a", "requested"),
        ("decline", "employer_a", "requested"),
        ("cancel", "school_a", "confirmed"),
        ("counter", "employer_a", "requested"),
        ("accept-counter", "school_a", "requested"),
        ("reschedule", "school_a", "confirmed"),
        ("proposal/accept", "school_a", "confirmed"),
        ("proposal/decline", "school_a", "confirmed"),
        ("proposal/withdraw", "employer_a", "confirmed"),
        ("participants", "school_a", "confirmed"),
    ):
        _on(scene, move, (await world.booking(state=state))["id"], who)
    other = await world.slot()
    counter = "POST /v1/bookings/{booking_id}/counter"
    scene.body[counter] = {"reason_code": "date_unsuitable", "slot_id": str(other)}
    scene.body["POST /v1/bookings/{booking_id}/cancel"] = {"reason_code": "transport"}
    scene.body["POST /v1/bookings/{booking_id}/reschedule"] = {"slot_id": str(await world.slot())}
    booking = scene.ids["POST /v1/bookings/{booking_id}/accept-counter"]["booking_id"]
    asked = await world.post(
        "employer_a",
        f"/v1/bookings/{booking}/counter",
        {"reason_code": "date_unsuitable", "slot_id": str(await world.slot())},
    )
    assert asked.status_code == 200, asked.text
    for move in ("accept", "decline", "withdraw"):
        booking = scene.ids[f"POST /v1/bookings/{{booking_id}}/proposal/{move}"]["booking_id"]
        body = {"slot_id": str(await world.slot()), "reason_code": "date_unsuitable"}
        proposed = await world.post("employer_a", f"/v1/bookings/{booking}/reschedule", body)
        assert proposed.status_code == 200, proposed.text
    pupils = [{"pupil_id": str(await world.pupil("school_a"))} for _ in range(2)]
    scene.body["POST /v1/bookings/{booking_id}/participants"] = {"pupils": pupils}
    named = (await world.booking(state="confirmed"))["id"]
    answer = await world.post(
        "school_a",
        f"/v1/bookings/{named}/participants",
        {"pupils": [{"pupil_id": str(await world.pupil("school_a"))}]},
    )
    name = "POST /v1/bookings/{booking_id}/participants/{participation_id}/withdraw"
    scene.who[name] = "school_a"
    scene.ids[name] = {"booking_id": named, "participation_id": answer.json()["data"][0]["id"]}


async def _the_day(world: World, scene: Scene, stack: AsyncExitStack) -> None:
    day = await stack.enter_async_context(visit(world, 3))
    arrivals = "POST /v1/bookings/{booking_id}/arrivals"
    attendance = "POST /v1/bookings/{booking_id}/attendance"
    close = "POST /v1/bookings/{booking_id}/sittings/{sitting_id}/close"
    criteria = "POST /v1/bookings/{booking_id}/criteria"
    for name, who, minutes in (
        (arrivals, "employer_a", 5),
        (attendance, "employer_a", 130),
        (close, "school_a", 130),
        (criteria, "school_a", 200),
    ):
        scene.who[name], scene.ids[name] = who, {"booking_id": day.booking, "sitting_id": day.sittings[0]}
        scene.clock[name] = day.starts + timedelta(minutes=minutes)
    (
        scene.ids[arrivals].pop("sitting_id"),
        scene.ids[attendance].pop("sitting_id"),
        scene.ids[criteria].pop("sitting_id"),
    )
    there = (day.starts + timedelta(minutes=2)).isoformat()
    scene.body[arrivals] = {
        "arrivals": [{"participation_id": day.parts[0], "arrived_at": there}],
        "missing": [day.parts[1]],
        "sitting_id": day.sittings[0],
    }
    scene.body[attendance] = {
        "sitting_id": day.sittings[0],
        "reports": [
            {"participation_id": day.parts[0], "status": "present"},
            {
                "participation_id": day.parts[1],
                "status": "late",
                "arrived_at": (day.starts + timedelta(minutes=20)).isoformat(),
            },
        ],
    }
    over = await stack.enter_async_context(visit(world, 1))
    await over.at(130)
    reported = await over.all_present("employer_a")
    assert reported.status_code == 200, reported.text
    scene.ids[criteria]["booking_id"] = over.booking
    scene.clock[criteria] = over.starts + timedelta(minutes=200)


async def _programmes(world: World, full: dict[str, Row], scene: Scene) -> None:
    base = "/v1/programmes/{programme_id}"
    body = {"name": "Sweep", "starts_on": "2026-09-01", "ends_on": "2027-07-31", "budget_pence": 10_000_000}
    path = (await world.post("hub_a", "/v1/programmes", body)).headers["location"]
    programme = path.rpartition("/")[2]
    strand = (await world.post("hub_a", f"{path}/strands", {"code": "tours", "name": "Tours"})).json()
    assert "id" in strand, strand
    spare = (await world.post("hub_a", f"{path}/strands", {"code": "spare", "name": "Spare"})).json()["id"]
    scene.ids[f"DELETE {base}/strands/{{strand_id}}"] = {"programme_id": programme, "strand_id": spare}
    scene.ids[f"POST {base}/schools"] = {"programme_id": programme}
    scene.body[f"POST {base}/schools"] = {
        "school_id": str(world["school_c"]),
        "joined_on": "2026-09-01",
        "own_budget": "too_little",
        "strand_id": strand["id"],
    }
    scene.ids[f"POST {base}/allocations"] = {"programme_id": programme}
    invited = (
        await world.post(
            "hub_a", f"{path}/schools", {"school_id": str(world["school_b"]), "state": "invited"}
        )
    ).json()
    joined = await world.post("hub_a", f"{path}/schools", {"school_id": str(world["school_a"])})
    assert joined.status_code == 201, joined.text
    for move in ("accept", "decline"):
        name = f"POST {base}/schools/{{enrolled_id}}/{move}"
        scene.who[name], scene.ids[name] = (
            "school_b",
            {"programme_id": programme, "enrolled_id": invited.get("id")},
        )
    scene.body[f"POST {base}/allocations"] = {"amount_pence": 50_000, "school_id": str(world["school_a"])}
    other = await world.post("hub_a", f"{path}/schools", {"school_id": str(world["school_c"])})
    allocated = await world.post(
        "hub_a", f"{path}/allocations", {"amount_pence": 50_000, "school_id": str(world["school_c"])}
    )
    assert allocated.status_code == 201, (allocated.text, other.text)
    scene.ids[f"DELETE {base}/allocations/{{allocation_id}}"] = {
        "programme_id": programme,
        "allocation_id": allocated.json()["id"],
    }
    await _tables(world, path, scene)


async def _tables(world: World, path: str, scene: Scene) -> None:
    """The programme has something of every part, so that each table in CSV has a row."""
    base = "/v1/programmes/{programme_id}"
    for part, more in (("targets", {}), ("costs", {"school_id": str(world["school_a"])})):
        made = await world.post("hub_a", f"{path}/{part}", example_of(f"POST {base}/{part}") | more)
        assert made.status_code == 201, made.text
    for name in (f"GET {base}/export", f"POST {base}/import"):
        scene.who[name], scene.ids[name] = "hub_a", {"programme_id": path.rpartition("/")[2]}
    scene.body[f"POST {base}/import"] = (await world.get("hub_a", f"{path}/export?part=schools")).content


async def _others(world: World, full: dict[str, Row], scene: Scene) -> None:
    scene.body["PATCH /v1/clients/{client_id}"] = {"name": "Renamed"}  # this one has secrets, and so no keys
    offer = example_of("POST /v1/offers") | {"site_ref": None, "site_id": str(world["employer_a.site"])}
    offer = {
        name: value
        for name, value in offer.items()
        if name not in {"site_ref", "supervisor_id", "contact_id"}
    }
    made = await world.post("employer_a", "/v1/offers", {**offer, "external_ref": "TOUR-9"})
    assert made.status_code == 201, made.text
    offer_id = made.json()["id"]
    scene.body["POST /v1/offers"] = offer
    scene.body["PUT /v1/offers/by-ref/{external_ref}"] = {
        k: v for k, v in offer.items() if k != "external_ref"
    }
    slot = {k: v for k, v in example_of("POST /v1/slots").items() if k != "offer_ref"} | {
        "offer_id": offer_id
    }
    scene.body["POST /v1/slots"] = slot
    scene.body["POST /v1/slots/bulk"] = {"slots": [{**slot, "external_ref": None}]}
    scene.body["PUT /v1/slots/by-ref/{external_ref}"] = {k: v for k, v in slot.items() if k != "external_ref"}
    for name in ("POST /v1/offers", "PUT /v1/offers/by-ref/{external_ref}", "POST /v1/slots", "POST /v1/slots/bulk",
                 "PUT /v1/slots/by-ref/{external_ref}"):  # fmt: skip
        scene.who[name] = "employer_a"
    closed = await world.slot()
    assert (await world.post("employer_a", f"/v1/slots/{closed}/close")).status_code == 200
    scene.ids["POST /v1/slots/{slot_id}/reopen"] = {"slot_id": closed}
    scene.ids["POST /v1/slots/{slot_id}/cancel"] = {"slot_id": await world.slot()}
    contact = await world.post(
        "employer_a",
        "/v1/contacts",
        example_of("POST /v1/contacts") | {"site_id": str(world["employer_a.site"])},
    )
    assert contact.status_code == 201, contact.text
    scene.ids["DELETE /v1/contacts/{contact_id}"] = {"contact_id": contact.json()["id"]}
    await _agreement(world, "school_c")
    scene.who["POST /v1/grants"] = "school_c"
    scene.body["POST /v1/grants"] = example_of("POST /v1/grants") | {
        "grantee_id": str(world["stranger_vendor"]),
        "field_groups": ["identity"],
    }
    scene.body["POST /v1/suspensions"] = {"employer_id": str(world["employer_a"]), "private_note": "qzx9"}
    pupil = await world.pupil("school_a")
    encounter = example_of("POST /v1/encounters") | {
        "pupil_id": str(pupil),
        "school_id": str(world["school_a"]),
    }
    encounter.pop("pupil_external_ref")
    scene.body["POST /v1/encounters"] = encounter
    scene.who["POST /v1/encounters"] = scene.who["POST /v1/schools/{school_id}/encounters/bulk"] = "school_a"
    row = {k: v for k, v in encounter.items() if k != "school_id"}
    scene.body["POST /v1/schools/{school_id}/encounters/bulk"] = {
        "encounters": [{**row, "external_ref": "sweep-0"}]
    }
    recorded = await world.post("school_a", "/v1/encounters", {**encounter, "external_ref": "sweep-1"})
    assert recorded.status_code == 201, recorded.text
    name = "POST /v1/encounters/{encounter_id}/corrections"
    scene.ids[name] = {"encounter_id": recorded.json()["id"]}
    scene.ids["POST /v1/webhook-endpoints/{endpoint_id}/replay"] = {"endpoint_id": await _endpoint(world)}
    scene.ids["POST /v1/webhook-endpoints/{endpoint_id}/certify"] = {"endpoint_id": await _endpoint(world)}
    world.ids["newcomer"] = await world.insert("organisations", kind="employer", name="Newcomer", urn=None)
    world.clients["newcomer"] = await world.insert("clients", org_id=world.ids["newcomer"], name="newcomer")
    scene.who["POST /v1/employer"] = "newcomer"
    school = await world.insert("organisations", kind="school", name="New School", urn="912345")
    made = await world.post(
        "hub_a", "/v1/organisations", {"kind": "school", "name": "Newest School", "urn": "912346"}
    )
    assert made.status_code == 201, made.text
    scene.who["POST /v1/memberships"] = "hub_b"
    scene.body["POST /v1/memberships"] = {"member_id": str(school), "starts_on": "2026-09-01"}
    first = "POST /v1/organisations/{organisation_id}/clients"
    scene.who[first], scene.ids[first] = "hub_a", {"organisation_id": made.json()["id"]}
    scene.who["POST /v1/bookings"] = "school_a"
    scene.body["POST /v1/bookings"] = example_of("POST /v1/bookings") | {
        "school_id": str(world["school_a"]), "slot_id": str(await world.slot()), "places": 2,
    }  # fmt: skip
    for name in ("programme_id", "strand_id"):
        scene.body["POST /v1/bookings"].pop(name, None)


async def _agreement(world: World, who: str) -> None:
    body = example_of("POST /v1/agreements")
    made = await world.post(who, "/v1/agreements", {k: v for k, v in body.items() if k != "controller_id"})
    assert made.status_code in {201, 409}, made.text


async def _endpoint(world: World) -> UUID:
    body = {"url": f"http://127.0.0.1:9/{new_id()}", "school_id": str(world["school_a"])}
    made = await world.post("school_a", "/v1/webhook-endpoints", body)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


def example_of(name: str) -> dict[str, Any]:
    found = next(one for one in OPERATIONS if str(one) == name).body
    assert isinstance(found, dict)
    return dict(found)
