"""An employer's profile, sites and contacts over HTTP: references, versions, strangers."""

from typing import Any
from uuid import uuid4

import pytest

from tests.world import World

SITE = {"name": "Works", "address": "2 Gunnels Wood Road", "town": "Stevenage", "postcode": "sg12fx"}


def without_time(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "updated_at"}


async def events(world: World, kind: str, audience: str) -> int:
    return await world.count("events", "type = $1 AND audience_id = $2", kind, world[audience])


async def test_an_employer_keeps_its_profile(world: World) -> None:
    read = await world.get("employer_a", "/v1/employer")
    assert read.json()["size_band"] == "small"
    assert read.json()["name"] == "Employer A"
    assert (await world.send("employer_a", "PATCH", "/v1/employer", {"about": "x"})).status_code == 428
    changed = await world.send(
        "employer_a",
        "PATCH",
        "/v1/employer",
        {"about": "We make reagents.", "sic_section": "C"},
        If_Match=read.headers["etag"],
    )
    assert changed.json()["about"] == "We make reagents."
    stale = await world.send(
        "employer_a", "PATCH", "/v1/employer", {"about": "y"}, If_Match=read.headers["etag"]
    )
    assert stale.status_code == 412
    assert (await world.get("school_a", "/v1/employer")).status_code == 404
    assert (await world.post("employer_a", "/v1/employer", {"size_band": "micro"})).json()[
        "code"
    ] == "already_registered"


async def test_a_new_size_band_is_what_schools_search_by(world: World) -> None:
    slot = await world.slot("employer_b")
    version = (await world.get("employer_b", "/v1/employer")).headers["etag"]
    done = await world.send("employer_b", "PATCH", "/v1/employer", {"size_band": "large"}, If_Match=version)
    assert done.status_code == 200, done.text
    found = (
        await world.get("school_a", f"/v1/open-slots?size_band=large&employer_id={world['employer_b']}")
    ).json()
    assert [one["slot_id"] for one in found["data"]] == [str(slot)]


async def test_a_site_is_added_once_under_its_reference(world: World) -> None:
    made = await world.post("employer_a", "/v1/sites", {**SITE, "external_ref": "S-1"})
    assert made.status_code == 201, made.text
    assert made.json()["postcode"] == "SG1 2FX"
    assert made.headers["location"] == f"/v1/sites/{made.json()['id']}"
    again = await world.post("employer_a", "/v1/sites", {**SITE, "external_ref": "S-1"})
    assert (again.status_code, again.json()["code"]) == (409, "external_ref_taken")
    assert again.json()["errors"][0]["pointer"] == "/external_ref"
    assert (await world.post("employer_b", "/v1/sites", {**SITE, "external_ref": "S-1"})).status_code == 201
    found = (await world.get("employer_a", "/v1/sites?external_ref=S-1")).json()["data"]
    assert [one["id"] for one in found] == [made.json()["id"]]


async def test_put_by_reference_makes_changes_and_then_leaves_alone(world: World) -> None:
    path = "/v1/sites/by-ref/HR%2F77"
    made = await world.send("employer_a", "PUT", path, SITE)
    assert (made.status_code, made.json()["external_ref"]) == (201, "HR/77")
    told = await events(world, "site.changed", "employer_a")
    same = await world.send("employer_a", "PUT", path, SITE)
    assert (same.status_code, without_time(same)) == (200, without_time(made))
    assert await events(world, "site.changed", "employer_a") == told
    moved = await world.send("employer_a", "PUT", path, {**SITE, "town": "Hitchin", "access": "Ramp"})
    assert (moved.status_code, moved.json()["version"], moved.json()["id"]) == (200, 2, made.json()["id"])
    whole = await world.send("employer_a", "PUT", path, SITE)
    assert whole.json()["access"] is None
    assert await events(world, "site.changed", "employer_a") == told + 2


async def test_a_site_is_changed_at_its_version_and_a_taken_reference_is_refused(world: World) -> None:
    one = (await world.post("employer_a", "/v1/sites", {**SITE, "external_ref": "P-1"})).json()
    await world.post("employer_a", "/v1/sites", {**SITE, "external_ref": "P-2"})
    path = f"/v1/sites/{one['id']}"
    assert (await world.send("employer_a", "PATCH", path, {"name": "N"}, If_Match='"v9"')).status_code == 412
    taken = await world.send("employer_a", "PATCH", path, {"external_ref": "P-2"}, If_Match='"v1"')
    assert taken.json()["code"] == "external_ref_taken"
    changed = await world.send("employer_a", "PATCH", path, {"access": "Ramp"}, If_Match='"v1"')
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"v2"')
    nothing = await world.send("employer_a", "PATCH", path, {"access": "Ramp"}, If_Match='"v2"')
    assert nothing.json()["version"] == 2
    seen = await world.get("school_a", path)
    assert (seen.json()["access"], seen.json()["external_ref"]) == ("Ramp", None)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({**SITE, "postcode": "12345"}, "/postcode", "postcode_format"),
        ({**SITE, "colour": "red"}, "/colour", "unknown_field"),
        ({"name": "Works"}, "/address", "required"),
        ({**SITE, "name": "x" * 201}, "/name", "too_long"),
        ({**SITE, "state": "gone"}, "/state", "not_one_of"),
    ],
)
async def test_what_is_wrong_with_a_site_is_pointed_at(
    world: World, body: Any, pointer: str, code: str
) -> None:
    before = await world.fingerprint()
    refused = await world.post("employer_a", "/v1/sites", body)
    assert refused.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= refused.json()["errors"][0].items()
    assert await world.fingerprint() == before


async def test_a_null_where_there_must_be_a_value_is_refused(world: World) -> None:
    site = world["employer_a.site"]
    refused = await world.send("employer_a", "PATCH", f"/v1/sites/{site}", {"name": None}, If_Match='"v1"')
    assert refused.json()["errors"][0]["code"] == "required"


async def test_a_closed_site_takes_its_slots_out_of_the_search(world: World) -> None:
    site = (await world.post("employer_a", "/v1/sites", SITE)).json()["id"]
    slot = await world.slot(site=site)
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).status_code == 200
    await world.send("employer_a", "PATCH", f"/v1/sites/{site}", {"state": "closed"}, If_Match='"v1"')
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).status_code == 404


async def test_contacts_are_seen_once_a_booking_is_confirmed(world: World) -> None:
    made = await world.post(
        "employer_a", "/v1/contacts", {"name": "Pat", "role": "Manager", "site_id": world["employer_a.site"]}
    )
    assert made.status_code == 201, made.text
    path = f"/v1/contacts/{made.json()['id']}"
    assert (await world.get("school_c", path)).status_code == 404
    await world.booking(school="school_c", state="confirmed")
    assert (await world.get("school_c", path)).json()["name"] == "Pat"
    changed = await world.send("employer_a", "PATCH", path, {"phone": "01438 1"}, If_Match='"v1"')
    assert changed.json()["phone"] == "01438 1"
    assert len((await world.get("employer_a", "/v1/contacts")).json()["data"]) == 1
    assert (await world.get("hub_b", f"/v1/contacts?employer_id={world['employer_a']}")).json()["data"] == []
    assert (await world.send("employer_a", "DELETE", path)).status_code == 204
    assert (await world.get("employer_a", path)).status_code == 404


async def test_a_contact_stays_while_an_offer_names_it_and_is_at_ones_own_site(world: World) -> None:
    elsewhere = await world.post(
        "employer_a", "/v1/contacts", {"name": "Pat", "role": "Boss", "site_id": world["employer_b.site"]}
    )
    assert elsewhere.json()["errors"][0] == {
        "pointer": "/site_id", "code": "unknown", "detail": "You have no such site.",
    }  # fmt: skip
    contact = (await world.post("employer_a", "/v1/contacts", {"name": "Pat", "role": "Boss"})).json()["id"]
    offer = {
        "site_id": world["employer_a.site"],
        "title": "T",
        "kind": "workplace_tour",
        "grouping": "group",
        "tier": 1,
    }
    assert (await world.post("employer_a", "/v1/offers", {**offer, "contact_id": contact})).status_code == 201
    kept = await world.send("employer_a", "DELETE", f"/v1/contacts/{contact}")
    assert (kept.status_code, kept.json()["code"]) == (409, "contact_in_use")
    theirs = await world.post(
        "employer_b", "/v1/offers", {**offer, "site_id": world["employer_b.site"], "contact_id": contact}
    )
    assert theirs.json()["errors"][0]["pointer"] == "/contact_id"


async def test_a_stranger_finds_nothing_and_changes_nothing(world: World) -> None:
    contact = (await world.post("employer_a", "/v1/contacts", {"name": "Pat", "role": "Boss"})).json()["id"]
    site = world["employer_a.site"]
    before = await world.fingerprint()
    for who, method, path, body in (
        ("employer_b", "GET", f"/v1/sites/{site}", None),
        ("employer_b", "PATCH", f"/v1/sites/{site}", {"name": "Mine"}),
        ("employer_b", "GET", f"/v1/sites?employer_id={world['employer_a']}", None),
        ("employer_b", "GET", f"/v1/contacts/{contact}", None),
        ("employer_b", "PATCH", f"/v1/contacts/{contact}", {"name": "Mine"}),
        ("employer_b", "DELETE", f"/v1/contacts/{contact}", None),
        ("employer_a", "GET", f"/v1/sites/{uuid4()}", None),
        ("employer_a", "PATCH", f"/v1/sites/{uuid4()}", {"name": "Mine"}),
    ):
        refused = await world.send(who, method, path, body, If_Match='"v1"')
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), (who, method, path)
    for who in ("school_a", "hub_a", "vendor", "trust", "national", "authority"):
        assert (await world.post(who, "/v1/sites", SITE)).status_code == 403
        assert (await world.send(who, "PUT", "/v1/sites/by-ref/x", SITE)).status_code == 403
        assert (
            await world.send(who, "PATCH", f"/v1/sites/{site}", {"name": "M"}, If_Match='"v1"')
        ).status_code == 403
    assert await world.fingerprint() == before


async def test_sites_are_paged_in_the_order_they_were_made(world: World) -> None:
    for at in range(3):
        await world.post("employer_b", "/v1/sites", {**SITE, "name": f"Page {at}"})
    seen: list[str] = []
    path: str | None = "/v1/sites?limit=2"
    while path:
        page = (await world.get("employer_b", path)).json()
        seen += [one["id"] for one in page["data"]]
        path = f"/v1/sites?limit=2&after={page['next']}" if page["next"] else None
    assert seen == sorted(seen)
    assert len(seen) == await world.count("sites", "employer_id = $1", world["employer_b"])
