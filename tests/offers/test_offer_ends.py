"""What becomes of bookings when an offer is withdrawn or a site closed, and whom an offer may name."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from app.bookings.upkeep import cancel_with_offer
from app.core.db import Database
from app.rules.words import Sector
from tests.world import YEAR_AGO, World

STATES = ("waiting", "requested", "countered", "confirmed", "on_hold")


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


async def a_site(world: World) -> Any:
    site = await world.insert(
        "sites", employer_id=world["employer_a"], name="Works", address="1 Road", town="Town", postcode="SG1 2FX",
    )  # fmt: skip
    await world.insert(
        "approvals", site_id=site, employer_id=world["employer_a"], approver_id=world["hub_a"], kind="workplace_tour",
        activity_band="low", approved_on=YEAR_AGO, expires_on=date(2090, 1, 1),
    )  # fmt: skip
    return site


async def booked(world: World) -> tuple[Any, Any, dict[str, dict[str, Any]]]:
    """A site, an offer there, and a booking of it in each state that lies ahead."""
    site = await a_site(world)
    found, offer = {}, None
    for state in STATES:
        slot = await world.slot(site=site, offer=offer)
        offer = offer or await world.owner.fetchval("SELECT offer_id FROM slots WHERE id = $1", slot)
        found[state] = await world.booking(
            slot=slot, state="confirmed" if state == "confirmed" else "requested"
        )
        await world.owner.execute("UPDATE bookings SET state = $2 WHERE id = $1", found[state]["id"], state)
        if state == "waiting":
            await world.owner.execute("UPDATE slots SET taken = 0 WHERE id = $1", slot)
    return site, offer, found


async def end(world: World, what: str, site: Any, offer: Any) -> Any:
    path, state = (f"/v1/offers/{offer}", "withdrawn") if what == "offer" else (f"/v1/sites/{site}", "closed")
    return await world.send("employer_a", "PATCH", path, {"state": state}, If_Match='"v1"')


@pytest.mark.parametrize(("what", "reason"), [("offer", "offer_withdrawn"), ("site", "site_closed")])
async def test_what_is_agreed_is_kept_what_is_not_is_cancelled_and_the_answer_says_so(
    world: World, db: Database, what: str, reason: str
) -> None:
    site, offer, bookings = await booked(world)
    found = await world.get("school_a", f"/v1/open-slots?offer_id={offer}")
    assert found.json()["data"]
    seq = await world.owner.fetchval("SELECT coalesce(max(seq), 0) FROM events")
    done = await end(world, what, site, offer)
    assert done.status_code == 200, done.text
    assert done.json()["bookings"] == {
        "kept": {"confirmed": 1, "on_hold": 1},
        "cancelled": {"waiting": 1, "requested": 1, "countered": 1},
    }
    told = await world.owner.fetch("SELECT audience, type FROM events WHERE seq > $1", seq)
    assert Counter(tuple(one) for one in told) == {
        ("employer", f"{what}.changed"): 1, ("school", f"{what}.changed"): 1,
    }  # fmt: skip
    assert (await world.get("school_a", f"/v1/open-slots?offer_id={offer}")).json()["data"] == []
    assert await cancel_with_offer(db) == 3
    states = {}
    for name, one in bookings.items():
        row = await world.owner.fetchrow(
            "SELECT b.state, b.reason_code, s.taken FROM bookings b JOIN slots s ON s.id = b.slot_id WHERE b.id = $1",
            one["id"],
        )
        states[name] = tuple(row)
    assert states == {
        **dict.fromkeys(("waiting", "requested", "countered"), ("cancelled", reason, 0)),
        "confirmed": ("confirmed", None, 5),
        "on_hold": ("on_hold", None, 5),
    }
    for one in (bookings["requested"], bookings["waiting"]):
        audiences = await world.owner.fetch(
            "SELECT audience FROM events WHERE order_key = $1 AND type = 'booking.cancelled'", one["id"]
        )
        assert sorted(row["audience"] for row in audiences) == ["employer", "school"]
    assert await cancel_with_offer(db) == 0
    asked = {
        "school_id": world["school_a"],
        "slot_id": bookings["requested"]["slot_id"],
        "places": 1,
        "nc_year": "8",
    }
    refused = await world.post("school_a", "/v1/bookings", asked)
    assert (refused.status_code, refused.json()["code"]) == (409, "booking_closed")
    path = f"/v1/offers/{offer}" if what == "offer" else f"/v1/sites/{site}"
    assert (await world.get("employer_a", path)).json()["bookings"] is None


async def test_a_site_that_is_opened_again_in_time_keeps_all(world: World, db: Database) -> None:
    site, _, bookings = await booked(world)
    assert (await end(world, "site", site, None)).status_code == 200
    again = await world.send("employer_a", "PATCH", f"/v1/sites/{site}", {"state": "open"}, If_Match='"v2"')
    assert (again.status_code, again.json()["bookings"]) == (200, None)
    assert await cancel_with_offer(db) == 0
    assert await world.count("bookings", "state = 'requested' AND id = $1", bookings["requested"]["id"]) == 1


def an_offer(world: World, **more: Any) -> dict[str, Any]:
    return {
        "site_id": world["employer_a.site"], "title": "T", "kind": "workplace_tour", "grouping": "group", "tier": 1, **more,
    }  # fmt: skip


async def refusal(world: World, offer: dict[str, Any]) -> list[tuple[str, str]]:
    """The same by POST, by PUT and by PATCH of an offer that is sound: refused alike, and nothing changed."""
    sound = await world.send(
        "employer_a",
        "PUT",
        "/v1/offers/by-ref/SOUND",
        an_offer(world, visibility="named_hubs", audience_ids=[world["hub_a"]]),
    )
    before = await world.fingerprint()
    answers = [
        await world.post("employer_a", "/v1/offers", offer),
        await world.send("employer_a", "PUT", f"/v1/offers/by-ref/{uuid4()}", offer),
        await world.send("employer_a", "PUT", "/v1/offers/by-ref/SOUND", offer),
        await world.send(
            "employer_a", "PATCH", f"/v1/offers/{sound.json()['id']}",
            {name: offer[name] for name in ("contact_id", "visibility", "audience_ids", "sector") if name in offer},
            If_Match=sound.headers["etag"],
        ),
    ]  # fmt: skip
    assert {one.status_code for one in answers} == {422}, [one.text for one in answers]
    assert await world.fingerprint() == before
    (found,) = {tuple((fault["pointer"], fault["code"]) for fault in one.json()["errors"]) for one in answers}
    return list(found)


AUDIENCES = {
    "an empty list": ("named_schools", []),
    "nobody has this id": ("named_schools", [uuid4()]),
    "a hub is no school": ("named_schools", ["hub_a"]),
    "a school is no hub": ("named_hubs", ["school_a"]),
    "an employer is no hub": ("named_hubs", ["employer_b"]),
    "a hub is no programme": ("named_programmes", ["hub_a"]),
    "the hubs of before, as schools": ("named_schools", None),
}


@pytest.mark.parametrize("why", AUDIENCES)
async def test_an_audience_of_nobody_is_refused(world: World, why: str) -> None:
    visibility, named = AUDIENCES[why]
    ids = [world[one] if isinstance(one, str) else one for one in (["hub_a"] if named is None else named)]
    found = await refusal(world, an_offer(world, visibility=visibility, audience_ids=ids))
    assert found == [("/audience_ids/0", "unknown") if ids else ("/audience_ids", "required")]


async def test_one_stranger_among_an_audience_is_pointed_at(world: World) -> None:
    ids = [world["school_a"], world["school_c"], world["hub_a"]]
    found = await refusal(world, an_offer(world, visibility="named_schools", audience_ids=ids))
    assert found == [("/audience_ids/2", "unknown")]
    kept = await world.post(
        "employer_a", "/v1/offers", an_offer(world, visibility="named_schools", audience_ids=ids[:2])
    )
    assert kept.status_code == 201, kept.text


async def test_a_contact_of_another_site_is_refused(world: World) -> None:
    other = await a_site(world)
    body = {"name": "Pat", "role": "Manager", "site_id": other}
    contact = (await world.post("employer_a", "/v1/contacts", body)).json()
    found = await refusal(world, an_offer(world, contact_id=contact["id"]))
    assert found == [("/contact_id", "contact_of_another_site")]
    anywhere = (await world.post("employer_a", "/v1/contacts", {**body, "site_id": None})).json()
    made = await world.post("employer_a", "/v1/offers", an_offer(world, contact_id=anywhere["id"]))
    assert made.status_code == 201, made.text
    path = f"/v1/contacts/{anywhere['id']}"
    moved = await world.send("employer_a", "PATCH", path, {"site_id": other}, If_Match='"v1"')
    assert (moved.status_code, moved.json()["code"]) == (409, "contact_in_use")
    here = await world.send(
        "employer_a", "PATCH", path, {"site_id": world["employer_a.site"]}, If_Match='"v1"'
    )
    assert here.status_code == 200, here.text


async def test_an_unknown_sector_is_refused_wherever_one_is_told_or_asked(world: World) -> None:
    assert await refusal(world, an_offer(world, sector="lifescience")) == [("/sector", "not_one_of")]
    etag = (await world.get("employer_a", "/v1/employer")).headers["etag"]
    body = {"sectors": ["defence", "lifescience"]}
    profile = await world.send("employer_a", "PATCH", "/v1/employer", body, If_Match=etag)
    assert [(one["pointer"], one["code"]) for one in profile.json()["errors"]] == [
        ("/sectors/1", "not_one_of")
    ]
    asked = await world.get("school_a", "/v1/open-slots?sector=lifescience")
    assert [(one["pointer"], one["code"]) for one in asked.json()["errors"]] == [("?sector", "not_one_of")]
    for sector in Sector:
        assert (
            await world.post("employer_a", "/v1/offers", an_offer(world, sector=sector))
        ).status_code == 201
        assert (await world.get("school_a", f"/v1/open-slots?sector={sector}")).status_code == 200


async def test_a_sector_of_a_hub_s_own_is_dated_data(world: World) -> None:
    assert await refusal(world, an_offer(world, sector="construction")) == [("/sector", "not_one_of")]
    kept = await world.insert(
        "dated_policies", topic="sector", name="construction", starts_on=YEAR_AGO, body="{}"
    )
    made = await world.post("employer_a", "/v1/offers", an_offer(world, sector="construction"))
    assert made.status_code == 201, made.text
    assert (await world.get("school_a", "/v1/open-slots?sector=construction")).status_code == 200
    await world.owner.execute("UPDATE dated_policies SET ends_on = current_date WHERE id = $1", kept)
    assert await refusal(world, an_offer(world, sector="construction")) == [("/sector", "not_one_of")]
    same = await world.send(
        "employer_a", "PATCH", f"/v1/offers/{made.json()['id']}", {"title": "New"}, If_Match='"v1"'
    )
    assert same.status_code == 200, "what was recorded stays, and does not stop other changes"
