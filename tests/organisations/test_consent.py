"""Agreements and grants over HTTP: only the controller speaks, and what it takes back is gone at once."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

AGREEMENT = {
    "agreement_version": "2026-1",
    "signed_on": "2026-09-01",
    "signatory_role": "Chief executive",
    "lawful_basis": "public task",
    "processors": ["Example MIS Ltd"],
}


async def told(world: World, kind: str, about: object) -> set[str]:
    rows = await world.owner.fetch(
        "SELECT audience_id::text AS whom FROM events WHERE type = $1 AND order_key = $2", kind, about
    )
    return {row["whom"] for row in rows}


async def test_a_trust_records_an_agreement_for_its_academies_but_the_carved_out(world: World) -> None:
    body = {**AGREEMENT, "except_school_ids": [world["school_b"]]}
    made = await world.post("trust", "/v1/agreements", body)
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["controller_id"], row["ended_at"]) == (str(world["trust"]), None)
    assert await told(world, "agreement.recorded", row["id"]) == {str(world["trust"]), str(world["school_a"])}
    for who, status in (("trust", 200), ("school_a", 200), ("vendor", 200), ("school_c", 404)):
        assert (await world.get(who, f"/v1/agreements/{row['id']}")).status_code == status, who
    covered = "SELECT app.has_agreement($1, current_date)"
    assert await world.owner.fetchval(covered, world["school_a"]) is True
    assert await world.owner.fetchval(covered, world["school_b"]) is False
    ended = await world.post("trust", f"/v1/agreements/{row['id']}/end")
    assert ended.json()["ended_at"] is not None
    assert await world.owner.fetchval(covered, world["school_a"]) is False
    again = await world.post("trust", f"/v1/agreements/{row['id']}/end")
    assert (again.status_code, again.json()["code"]) == (409, "agreement_ended")
    assert [one["id"] for one in (await world.get("trust", "/v1/agreements?live=false")).json()["data"]] == [
        row["id"]
    ]


async def test_an_academy_of_a_trust_is_not_the_controller(world: World) -> None:
    before = await world.fingerprint()
    for path, body in (
        ("/v1/agreements", AGREEMENT),
        ("/v1/grants", {"grantee_id": world["vendor"], "field_groups": ["sen"]}),
    ):
        answer = await world.post("school_a", path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_the_controller")
    assert await world.fingerprint() == before


async def test_a_school_outside_any_trust_speaks_for_itself(world: World) -> None:
    made = await world.post("school_c", "/v1/agreements", AGREEMENT)
    assert made.status_code == 201, made.text
    late = {**AGREEMENT, "signed_on": TODAY + timedelta(days=2), "except_school_ids": [world["school_a"]]}
    refused = await world.post("school_c", "/v1/agreements", late)
    assert [one["code"] for one in refused.json()["errors"]] == ["not_your_school", "in_the_future"]


async def test_a_grant_for_one_school_opens_that_school_and_is_revoked_at_once(world: World) -> None:
    body = {
        "grantee_id": world["stranger_vendor"], "school_id": world["school_a"],
        "field_groups": ["identity", "enrolment", "sen"], "write": False,
    }  # fmt: skip
    made = await world.post("trust", "/v1/grants", body)
    assert made.status_code == 201, made.text
    grant = made.json()
    parties = {str(world[name]) for name in ("trust", "school_a", "stranger_vendor")}
    assert await told(world, "grant.recorded", grant["id"]) == parties
    lists = {
        who: {row["id"] for row in (await world.get(who, "/v1/grants?live=true")).json()["data"]}
        for who in ("trust", "school_a", "school_b", "vendor", "stranger_vendor")
    }
    assert {who for who, ids in lists.items() if grant["id"] in ids} == {
        "trust",
        "school_a",
        "stranger_vendor",
    }
    assert (await world.get("stranger_vendor", f"/v1/schools/{world['school_a']}/pupils")).status_code == 200
    assert (await world.get("stranger_vendor", f"/v1/schools/{world['school_b']}/pupils")).status_code == 404
    revoked = await world.post("trust", f"/v1/grants/{grant['id']}/revoke")
    assert revoked.status_code == 200, revoked.text
    assert await told(world, "grant.revoked", grant["id"]) == parties
    assert (await world.get("stranger_vendor", f"/v1/schools/{world['school_a']}/pupils")).status_code == 404
    again = await world.post("trust", f"/v1/grants/{grant['id']}/revoke")
    assert (again.status_code, again.json()["code"]) == (409, "grant_revoked")


async def test_a_carve_out_stays_closed(world: World) -> None:
    body = {
        "grantee_id": world["stranger_vendor"], "field_groups": ["enrolment"],
        "except_school_ids": [world["school_b"]],
    }  # fmt: skip
    grant = (await world.post("trust", "/v1/grants", body)).json()
    assert (await world.get("stranger_vendor", f"/v1/schools/{world['school_a']}/pupils")).status_code == 200
    assert (await world.get("stranger_vendor", f"/v1/schools/{world['school_b']}/pupils")).status_code == 404
    assert (await world.post("trust", f"/v1/grants/{grant['id']}/revoke")).status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"grantee": "employer_a"}, "/grantee_id", "not_a_grantee"),
        ({"grantee": "trust"}, "/grantee_id", "not_a_grantee"),
        ({"grantee": "nobody"}, "/grantee_id", "unknown_organisation"),
        ({"school": "school_c"}, "/school_id", "not_your_school"),
        ({"field_groups": ["shoe_size"]}, "/field_groups/0", "not_one_of"),
        ({"field_groups": []}, "/field_groups", "too_short"),
        ({"shoes": 1}, "/shoes", "unknown_field"),
    ],
)
async def test_a_grant_that_is_not_one(world: World, change: dict[str, Any], pointer: str, code: str) -> None:
    ids: dict[str, Any] = {**world.ids, "nobody": uuid4()}
    body: dict[str, Any] = {"grantee_id": world["vendor"], "field_groups": ["sen"]}
    body |= {name: value for name, value in change.items() if name not in {"grantee", "school"}}
    if "grantee" in change:
        body["grantee_id"] = ids[change["grantee"]]
    if "school" in change:
        body["school_id"] = ids[change["school"]]
    answer = await world.post("trust", "/v1/grants", body)
    assert answer.status_code == 422, answer.text
    found = answer.json()["errors"][0]
    assert found["pointer"] == pointer
    assert code in {found["code"], "too_short"}


async def test_a_trust_revokes_what_its_academy_granted_before_it_joined(world: World) -> None:
    old = await world.insert(
        "grants", grantor_id=world["school_b"], grantee_id=world["stranger_vendor"], field_groups=["enrolment"],
        starts_on=TODAY, recorded_by=world.clients["school_b"],
    )  # fmt: skip
    assert (await world.post("school_c", f"/v1/grants/{old}/revoke")).status_code == 404
    done = await world.post("trust", f"/v1/grants/{old}/revoke")
    assert done.status_code == 200, done.text
    parties = {str(world[name]) for name in ("trust", "school_b", "stranger_vendor")}
    assert await told(world, "grant.revoked", old) == parties


async def test_strangers_find_neither_agreements_nor_grants_and_change_nothing(world: World) -> None:
    agreement = (await world.post("trust", "/v1/agreements", AGREEMENT)).json()["id"]
    grant = await world.owner.fetchval("SELECT id FROM grants WHERE grantee_id = $1", world["vendor"])
    before = await world.fingerprint()
    for path in (f"/v1/agreements/{agreement}", f"/v1/grants/{grant}"):
        for who in ("school_c", "stranger_vendor"):
            assert (await world.get(who, path)).status_code == 404, (who, path)
    for who in ("school_a", "school_c"):
        assert (await world.post(who, f"/v1/agreements/{agreement}/end")).status_code == 404
        assert (await world.post(who, f"/v1/grants/{grant}/revoke")).status_code == 404
    for who in ("vendor", "hub_a", "employer_a"):
        assert (await world.post(who, f"/v1/grants/{grant}/revoke")).status_code == 403
    assert await world.fingerprint() == before
