"""Cover, approvals, whose approvals a school accepts, bars and suspensions over HTTP."""

from datetime import date, timedelta
from typing import Any

import pytest

from app.employers.service import problems_with_cover
from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar

TODAY = date(2026, 11, 22)
POLICY = {
    "kind": "policy",
    "liability": "public_liability",
    "insurer": "Mutual",
    "policy_number": "P-9",
    "limit_pence": 500_000_000,
    "starts_on": TODAY,
    "expires_on": TODAY + timedelta(days=300),
}
EXEMPT = {
    "kind": "nhs_indemnity",
    "liability": "employers_liability",
    "starts_on": TODAY,
    "attested_on": TODAY,
    "attested_by": "Head of Legal",
}
IN_A_YEAR = date_in(365)


async def told(world: World, kind: str) -> list[tuple[str, Any]]:
    rows = await world.owner.fetch(
        "SELECT audience, audience_id FROM events WHERE type = $1 ORDER BY seq", kind
    )
    return [(row["audience"], row["audience_id"]) for row in rows]


@pytest.mark.parametrize(
    ("cover", "expected"),
    [
        (POLICY, []),
        (EXEMPT, []),
        (
            {**POLICY, "insurer": None, "limit_pence": None},
            [("/insurer", "required"), ("/limit_pence", "required")],
        ),
        ({**POLICY, "attested_by": "Me"}, [("/attested_by", "not_here")]),
        ({**POLICY, "expires_on": TODAY - timedelta(days=1)}, [("/expires_on", "out_of_order")]),
        (
            {**POLICY, "starts_on": date(2025, 1, 1), "expires_on": date(2025, 12, 31)},
            [("/expires_on", "in_the_past")],
        ),
        ({**EXEMPT, "attested_by": None}, [("/attested_by", "required")]),
        ({**EXEMPT, "attested_on": TODAY + timedelta(days=1)}, [("/attested_on", "in_the_future")]),
        ({**EXEMPT, "insurer": "Mutual"}, [("/insurer", "not_here")]),
        ({**EXEMPT, "kind": "taken_out_for_this_booking", "insurer": "Mutual"}, []),
    ],
)
def test_a_cover_has_what_its_kind_needs(cover: Any, expected: Any) -> None:
    assert [(one.pointer, one.code) for one in problems_with_cover(cover, TODAY)] == expected


async def test_cover_is_recorded_read_and_withdrawn(world: World) -> None:
    body = {**POLICY, "starts_on": None, "expires_on": IN_A_YEAR, "external_ref": "PL-1"}
    made = await world.post("employer_a", "/v1/cover", body)
    assert made.status_code == 201, made.text
    path = f"/v1/cover/{made.json()['id']}"
    assert (await world.post("employer_a", "/v1/cover", body)).json()["code"] == "external_ref_taken"
    assert (await world.post("employer_a", "/v1/cover", {**body, "insurer": None})).json()["errors"] == [
        {"pointer": "/insurer", "code": "required", "detail": "Needed."}
    ]
    seen = (await world.get("school_a", path)).json()
    assert (seen["insurer"], seen["external_ref"]) == ("Mutual", None)
    listed = (await world.get("hub_a", f"/v1/cover?employer_id={world['employer_a']}")).json()["data"]
    assert seen["id"] in {one["id"] for one in listed}
    assert (await world.get("employer_b", path)).status_code == 404
    before = await world.fingerprint()
    assert (await world.post("employer_b", f"{path}/withdraw")).status_code == 404
    assert await world.fingerprint() == before
    assert (await world.post("employer_a", f"{path}/withdraw")).json()["withdrawn_at"]
    assert (await world.post("employer_a", f"{path}/withdraw")).json()["code"] == "already_withdrawn"
    assert await told(world, "cover.changed") == [("employer", world["employer_a"])] * 2


async def test_an_approval_is_given_told_to_both_and_withdrawn_by_its_approver_alone(world: World) -> None:
    body = {
        "site_id": world["employer_a.site"], "kind": "work_shadowing", "activity_band": "medium", "expires_on": IN_A_YEAR,
    }  # fmt: skip
    made = await world.post("hub_b", "/v1/approvals", body)
    assert made.status_code == 201, made.text
    path = f"/v1/approvals/{made.json()['id']}"
    assert made.json()["employer_id"] == str(world["employer_a"])
    assert (await world.get("employer_a", path)).json()["state"] == "approved"
    assert (await world.get("employer_b", path)).status_code == 404
    listed = (
        await world.get("school_a", f"/v1/approvals?site_id={world['employer_a.site']}&kind=work_shadowing")
    ).json()
    assert [one["id"] for one in listed["data"]] == [made.json()["id"]]
    assert (await world.get("school_a", "/v1/approvals")).json()["data"] == []
    before = await world.fingerprint()
    for who in ("hub_a", "school_a", "trust"):
        assert (await world.post(who, f"{path}/withdraw")).status_code == 404
    assert await world.fingerprint() == before
    assert (await world.post("hub_b", f"{path}/withdraw")).json()["state"] == "withdrawn"
    assert (await world.post("hub_b", f"{path}/withdraw")).json()["code"] == "already_withdrawn"
    both = [("employer", world["employer_a"]), ("hub", world["hub_b"])]
    assert await told(world, "approval.changed") == both * 2


async def test_what_is_wrong_with_an_approval_is_said_at_once(world: World) -> None:
    body = {
        "site_id": world["hub_a"], "kind": "placement", "activity_band": "low", "approved_on": "2100-01-01",
        "expires_on": "2020-01-01",
    }  # fmt: skip
    refused = (await world.post("school_a", "/v1/approvals", body)).json()
    assert [one["pointer"] for one in refused["errors"]] == ["/approved_on", "/expires_on", "/site_id"]
    for who in ("employer_a", "vendor", "national"):
        assert (await world.post(who, "/v1/approvals", body)).status_code == 403


async def test_a_school_chooses_whose_approvals_it_accepts(world: World) -> None:
    school = world["school_b"]
    path = f"/v1/schools/{school}/accepted-approvers/{world['hub_b']}"
    made = await world.send("school_b", "PUT", path)
    assert made.status_code == 201, made.text
    assert (await world.send("trust", "PUT", path)).status_code == 200
    assert (await world.send("school_b", "PUT", path)).json() == made.json()
    listed = (await world.get("school_b", f"/v1/schools/{school}/accepted-approvers")).json()["data"]
    assert {one["approver_id"] for one in listed} == {str(world["hub_a"]), str(world["hub_b"])}
    for nobody in (world["employer_a"], world["vendor"], world["school_c"]):
        unknown = await world.send("school_b", "PUT", f"/v1/schools/{school}/accepted-approvers/{nobody}")
        assert unknown.status_code == 404
    before = await world.fingerprint()
    for who in ("school_a", "school_c", "hub_b"):
        for method in ("PUT", "DELETE"):
            assert (await world.send(who, method, path)).status_code == 404, (who, method)
        assert (await world.get(who, f"/v1/schools/{school}/accepted-approvers")).status_code == 404
    assert await world.fingerprint() == before
    assert (await world.send("school_b", "DELETE", path)).status_code == 204
    assert (await world.send("school_b", "DELETE", path)).status_code == 204
    assert await world.count("approval_acceptances", "approver_id = $1", world["hub_b"]) == 0


async def test_an_approver_that_has_approved_something_can_be_accepted_though_not_ones_own_hub(
    world: World,
) -> None:
    body = {
        "site_id": world["employer_b.site"],
        "kind": "placement",
        "activity_band": "low",
        "expires_on": IN_A_YEAR,
    }
    path = f"/v1/schools/{world['school_c']}/accepted-approvers/{world['school_b']}"
    assert (await world.send("school_c", "PUT", path)).status_code == 404
    await world.post("school_b", "/v1/approvals", body)
    assert (await world.send("school_c", "PUT", path)).status_code == 201


async def test_a_pupil_is_barred_from_a_site_by_its_own_school_only(world: World) -> None:
    pupil, site = await world.pupil("school_a"), world["employer_a.site"]
    path = f"/v1/schools/{world['school_a']}/pupils/{pupil}/barred-sites/{site}"
    assert (await world.send("school_a", "PUT", path)).status_code == 201
    assert (await world.send("trust", "PUT", path)).status_code == 200
    listed = await world.get("school_a", path.rpartition("/")[0])
    assert listed.json()["data"] == [{"pupil_id": str(pupil), "site_id": str(site)}]
    before = await world.fingerprint()
    stolen = f"/v1/schools/{world['school_b']}/pupils/{pupil}/barred-sites/{site}"
    for who, where in (("school_b", path), ("school_b", stolen), ("trust", stolen), ("hub_a", path)):
        assert (await world.send(who, "PUT", where)).status_code == 404, (who, where)
    for who in ("school_b", "hub_a"):
        assert (await world.send(who, "DELETE", path)).status_code == 404
        assert (await world.get(who, path.rpartition("/")[0])).status_code == 404
    nowhere = f"/v1/schools/{world['school_a']}/pupils/{pupil}/barred-sites/{world['hub_a']}"
    assert (await world.send("school_a", "PUT", nowhere)).status_code == 404
    assert await world.fingerprint() == before
    assert (await world.send("school_a", "DELETE", path)).status_code == 204
    assert await world.count("site_bars") == 0


async def test_a_suspension_hides_the_employer_from_its_own_schools_at_once(world: World) -> None:
    slot = await world.slot()
    made = await world.post(
        "hub_a", "/v1/suspensions", {"employer_id": world["employer_a"], "private_note": "Accident"}
    )
    assert made.status_code == 201, made.text
    path = f"/v1/suspensions/{made.json()['id']}"
    again = await world.post("hub_a", "/v1/suspensions", {"employer_id": world["employer_a"]})
    assert again.json()["code"] == "already_suspended"
    for who, status in (("school_a", 404), ("school_c", 404), ("school_b", 200)):
        assert (await world.get(who, f"/v1/open-slots/{slot}")).status_code == status, who
    asked = await world.post(
        "school_a", "/v1/bookings", {"school_id": world["school_a"], "slot_id": slot, "places": 1}
    )
    assert asked.status_code == 409
    before = await world.fingerprint()
    for who in ("hub_b", "trust", "national"):
        assert (await world.get(who, path)).status_code == 404
        assert (await world.post(who, f"{path}/lift")).status_code == 404
        assert (await world.get(who, "/v1/suspensions")).json()["data"] == []
    for who in ("school_a", "employer_a", "vendor", "authority"):
        assert (
            await world.post(who, "/v1/suspensions", {"employer_id": world["employer_b"]})
        ).status_code == 403
        assert (await world.get(who, path)).status_code == 403
    assert await world.fingerprint() == before
    assert [one["private_note"] for one in (await world.get("hub_a", "/v1/suspensions")).json()["data"]] == [
        "Accident"
    ]
    assert (await world.post("hub_a", f"{path}/lift")).json()["lifted_at"]
    assert (await world.post("hub_a", f"{path}/lift")).json()["code"] == "already_lifted"
    assert (await world.get("school_a", f"/v1/open-slots/{slot}")).status_code == 200
    hub = [("hub", world["hub_a"])]
    assert (await told(world, "employer.suspended"), await told(world, "employer.suspension_lifted")) == (
        hub,
        hub,
    )


async def test_the_national_body_suspends_for_all_and_a_trust_for_its_academies(world: World) -> None:
    slot = await world.slot("employer_b")
    for who, hidden in (
        ("national", {"school_a", "school_b", "school_c"}),
        ("trust", {"school_a", "school_b"}),
    ):
        made = await world.post(who, "/v1/suspensions", {"employer_id": world["employer_b"]})
        for school in ("school_a", "school_b", "school_c"):
            found = await world.get(school, f"/v1/open-slots/{slot}")
            assert found.status_code == (404 if school in hidden else 200), (who, school)
        await world.post(who, f"/v1/suspensions/{made.json()['id']}/lift")
    unknown = await world.post("hub_a", "/v1/suspensions", {"employer_id": world["school_a"]})
    assert unknown.json()["errors"][0]["pointer"] == "/employer_id"
