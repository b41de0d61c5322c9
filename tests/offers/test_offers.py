"""Offers over HTTP: references, audiences, versions, strangers."""

from typing import Any
from uuid import uuid4

import pytest

from tests.world import World


def offer(world: World, employer: str = "employer_a", **more: Any) -> dict[str, Any]:
    return {
        "site_id": world[f"{employer}.site"],
        "title": "A tour",
        "kind": "workplace_tour",
        "grouping": "group",
        "tier": 1,
        "sector": "life_sciences",
        "year_groups": ["7", "8"],
        **more,
    }


async def made(world: World, **more: Any) -> dict[str, Any]:
    answer = await world.post("employer_a", "/v1/offers", offer(world, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_offer_is_added_by_the_sites_reference_and_seen_by_schools(world: World) -> None:
    site = (
        await world.send(
            "employer_a",
            "PUT",
            "/v1/sites/by-ref/LAB",
            {"name": "L", "address": "1", "town": "T", "postcode": "SG1 1AA"},
        )
    ).json()
    one = await made(
        world, site_id=None, site_ref="LAB", external_ref="O-1", skills=["listening"], hazards=["ships"]
    )
    assert (one["site_id"], one["state"], one["mode"], one["version"]) == (site["id"], "open", "in_person", 1)
    seen = (await world.get("school_b", f"/v1/offers/{one['id']}")).json()
    assert (seen["title"], seen["external_ref"]) == ("A tour", None)
    mask = await world.owner.fetchval("SELECT year_mask FROM offers WHERE id = $1", one["id"])
    assert mask == 1 << 7 | 1 << 8
    again = await world.post("employer_a", "/v1/offers", offer(world, external_ref="O-1"))
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (409, "/external_ref")
    assert (
        await world.count("events", "type = 'offer.changed' AND audience_id = $1", world["employer_a"]) == 1
    )


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"site_id": None}, "/site_id", "required"),
        ({"site_ref": "x"}, "/site_id", "required"),
        ({"site_id": str(uuid4())}, "/site_id", "unknown"),
        ({"site_id": None, "site_ref": "nowhere"}, "/site_ref", "unknown"),
        ({"kind": "placement"}, "/year_groups/0", "placement_unlawful"),
        ({"kind": "innovative"}, "/description", "required"),
        ({"visibility": "named_hubs"}, "/audience_ids", "required"),
        ({"tier": 4}, "/tier", None),
        ({"year_groups": ["6"]}, "/year_groups/0", "not_one_of"),
        ({"skills": ["juggling"]}, "/skills/0", "not_one_of"),
        ({"hours": 3}, "/hours", "unknown_field"),
    ],
)
async def test_what_is_wrong_with_an_offer_is_pointed_at(
    world: World, changed: Any, pointer: str, code: str | None
) -> None:
    before = await world.fingerprint()
    refused = await world.post("employer_a", "/v1/offers", offer(world, **changed))
    assert refused.status_code == 422, refused.text
    first = refused.json()["errors"][0]
    assert first["pointer"] == pointer
    assert code is None or first["code"] == code
    assert await world.fingerprint() == before


async def test_put_by_reference_makes_changes_and_then_leaves_alone(world: World) -> None:
    path, body = "/v1/offers/by-ref/P-1", offer(world)
    first = await world.send("employer_a", "PUT", path, body)
    assert first.status_code == 201, first.text
    same = await world.send("employer_a", "PUT", path, body)
    assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await world.send("employer_a", "PUT", path, {**body, "title": "Another"})
    assert (changed.json()["version"], changed.json()["id"]) == (2, first.json()["id"])
    fixed = await world.send("employer_a", "PUT", path, {**body, "kind": "placement", "year_groups": ["10"]})
    assert (fixed.status_code, fixed.json()["code"]) == (409, "offer_fixed")
    assert fixed.json()["errors"][0]["pointer"] == "/kind"


async def test_an_offer_is_changed_at_its_version_and_the_search_follows(world: World) -> None:
    one = await made(world)
    slot = await world.slot(offer=one["id"])
    path = f"/v1/offers/{one['id']}"
    assert (await world.send("employer_a", "PATCH", path, {"title": "New"})).status_code == 428
    assert (
        await world.send("employer_a", "PATCH", path, {"title": "New"}, If_Match='"v7"')
    ).status_code == 412
    changed = await world.send(
        "employer_a", "PATCH", path, {"title": "New", "year_groups": ["9"]}, If_Match='"v1"'
    )
    assert changed.json()["version"] == 2, changed.text
    shown = (await world.get("school_a", f"/v1/open-slots/{slot}")).json()
    assert (shown["title"], shown["year_groups"]) == ("New", ["9"])
    await world.send("employer_a", "PATCH", path, {"state": "paused"}, If_Match='"v2"')
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).status_code == 404
    gone = await world.send("employer_a", "PATCH", path, {"state": "withdrawn"}, If_Match='"v3"')
    assert gone.json()["state"] == "withdrawn"
    back = await world.send("employer_a", "PATCH", path, {"state": "open"}, If_Match='"v4"')
    assert (back.status_code, back.json()["code"]) == (409, "offer_withdrawn")


async def test_a_draft_is_its_employers_own_affair(world: World) -> None:
    one = await made(world, state="draft")
    slot = await world.slot(offer=one["id"])
    for path in (f"/v1/offers/{one['id']}", f"/v1/slots/{slot}"):
        assert (await world.get("school_a", path)).status_code == 404
        assert (await world.get("employer_a", path)).status_code == 200
    for path in ("/v1/offers", "/v1/slots"):
        theirs = (await world.get("school_a", f"{path}?employer_id={world['employer_a']}&limit=200")).json()[
            "data"
        ]
        assert not {one["id"], str(slot)} & {each["id"] for each in theirs}


@pytest.mark.parametrize(
    ("visibility", "audience", "seen_by"),
    [
        ("named_schools", "school_a", {"school_a", "trust", "vendor"}),
        ("named_hubs", "hub_b", {"school_b", "trust", "vendor", "hub_b"}),
    ],
)
async def test_a_restricted_offer_is_not_found_by_those_not_named(
    world: World, visibility: str, audience: str, seen_by: set[str]
) -> None:
    one = await made(world, visibility=visibility, audience_ids=[world[audience]])
    assert one["audience_ids"] == [str(world[audience])]
    slot = await world.slot(offer=one["id"], visibility=visibility)
    for who in ("school_a", "school_b", "school_c", "trust", "vendor", "stranger_vendor", "hub_a", "hub_b"):
        wanted = 200 if who in seen_by else 404
        for path in (f"/v1/offers/{one['id']}", f"/v1/slots/{slot}", f"/v1/open-slots/{slot}"):
            assert (await world.get(who, path)).status_code == wanted, (who, path)
        listed = (await world.get(who, f"/v1/open-slots?offer_id={one['id']}")).json()["data"]
        assert [each["slot_id"] for each in listed] == ([str(slot)] if wanted == 200 else []), who
        if wanted == 200:
            assert (await world.get(who, f"/v1/offers/{one['id']}")).json()["audience_ids"] == []
    asked = await world.post(
        "school_c", "/v1/bookings", {"school_id": world["school_c"], "slot_id": slot, "places": 1}
    )
    assert asked.status_code == 404


async def test_a_vendor_that_names_a_school_searches_for_that_school_alone(world: World) -> None:
    one = await made(world, visibility="named_schools", audience_ids=[world["school_a"]])
    slot = await world.slot(offer=one["id"], visibility="named_schools")
    path = f"/v1/open-slots?offer_id={one['id']}&school_id="
    assert [
        x["slot_id"] for x in (await world.get("vendor", path + str(world["school_a"]))).json()["data"]
    ] == [str(slot)]
    assert (await world.get("vendor", path + str(world["school_b"]))).json()["data"] == []
    assert (await world.get("vendor", path + str(world["school_c"]))).status_code == 404


async def test_an_audience_is_replaced_and_lifted(world: World) -> None:
    one = await made(world, visibility="named_schools", audience_ids=[world["school_a"]])
    slot = await world.slot(offer=one["id"], visibility="named_schools")
    path = f"/v1/offers/{one['id']}"
    moved = await world.send(
        "employer_a", "PATCH", path, {"audience_ids": [world["school_b"]]}, If_Match='"v1"'
    )
    assert (moved.status_code, moved.json()["version"]) == (200, 2)
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).status_code == 404
    assert (await world.get("school_b", f"/v1/open-slots/{slot}")).status_code == 200
    opened = await world.send("employer_a", "PATCH", path, {"visibility": "all_schools"}, If_Match='"v2"')
    assert opened.json()["audience_ids"] == []
    assert (await world.get("school_c", f"/v1/open-slots/{slot}")).status_code == 200
    assert (await world.get("school_c", f"/v1/slots/{slot}")).status_code == 200


async def test_a_stranger_finds_nothing_and_changes_nothing(world: World) -> None:
    one = await made(world, external_ref="MINE")
    path = f"/v1/offers/{one['id']}"
    before = await world.fingerprint()
    assert (await world.get("employer_b", path)).status_code == 404
    assert (await world.send("employer_b", "PATCH", path, {"title": "M"}, If_Match='"v1"')).status_code == 404
    assert (await world.get("employer_b", f"/v1/offers?employer_id={world['employer_a']}")).status_code == 404
    assert (await world.get("employer_b", "/v1/offers?external_ref=MINE")).json()["data"] == []
    foreign = await world.post("employer_b", "/v1/offers", offer(world))
    assert foreign.json()["errors"][0]["pointer"] == "/site_id"
    for who in ("school_a", "hub_a", "vendor", "trust", "national"):
        assert (await world.post(who, "/v1/offers", offer(world))).status_code == 403
        assert (await world.send(who, "PUT", "/v1/offers/by-ref/MINE", offer(world))).status_code == 403
        assert (await world.send(who, "PATCH", path, {"title": "M"}, If_Match='"v1"')).status_code == 403
    assert await world.fingerprint() == before
