"""Organisations and memberships over HTTP: registered, changed, joined, left; strangers find nothing."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

NEXT_YEAR = TODAY + timedelta(days=365)


async def events(world: World, kind: str, about: object) -> set[tuple[str, str]]:
    rows = await world.owner.fetch(
        "SELECT audience, audience_id::text FROM events WHERE type = $1 AND order_key = $2", kind, about
    )
    return {(row["audience"], row["audience_id"]) for row in rows}


async def test_an_organisation_knows_of_itself_and_of_those_it_is_related_to(world: World) -> None:
    found = (await world.get("trust", "/v1/organisations?kind=school")).json()["data"]
    assert {row["id"] for row in found} == {str(world["school_a"]), str(world["school_b"])}
    own = await world.get("school_c", f"/v1/organisations/{world['school_c']}")
    assert (own.status_code, own.headers["etag"], own.json()["urn"]) == (200, '"v1"', "900007")
    everybody = (await world.get("national", "/v1/organisations?kind=vendor")).json()["data"]
    assert {row["id"] for row in everybody} == {str(world["vendor"]), str(world["stranger_vendor"])}


async def test_a_list_goes_on_where_the_page_before_ended(world: World) -> None:
    first = await world.get("national", "/v1/organisations?limit=5")
    assert 'rel="next"' in first.headers["link"]
    second = await world.get("national", f"/v1/organisations?limit=200&after={first.json()['next']}")
    ids = [row["id"] for row in first.json()["data"] + second.json()["data"]]
    assert len(ids) == len(set(ids)) == await world.count("organisations")
    bad = await world.get("national", "/v1/memberships?after=" + first.json()["next"])
    assert (bad.status_code, bad.json()["errors"][0]["code"]) == (422, "bad_cursor")


async def test_a_hub_registers_an_employer_and_finds_it_again(world: World) -> None:
    body = {"kind": "employer", "name": "Instruments Ltd", "companies_house": "sc12345"}
    made = await world.post("hub_a", "/v1/organisations", body)
    assert made.status_code == 201, made.text
    assert made.json()["companies_house"] == "SC012345"
    assert (await world.get("hub_a", made.headers["location"])).status_code == 200
    again = await world.post("hub_a", "/v1/organisations", body)
    assert (again.status_code, again.json()["code"]) == (409, "companies_house_taken")
    renamed = await world.send(
        "hub_a", "PATCH", made.headers["location"], {"name": "New Ltd"}, If_Match='"v1"'
    )
    assert (renamed.status_code, renamed.json()["name"], renamed.headers["etag"]) == (200, "New Ltd", '"v2"')


async def test_a_hub_reads_a_school_it_registered_before_anybody_belongs_to_anybody(world: World) -> None:
    made = await world.post(
        "hub_b", "/v1/organisations", {"kind": "school", "name": "New School", "urn": "123456"}
    )
    assert made.status_code == 201, made.text
    assert (await world.get("hub_b", made.headers["location"])).status_code == 200
    assert (await world.get("hub_a", made.headers["location"])).status_code == 404


@pytest.mark.parametrize(
    ("who", "kind", "status"),
    [
        ("school_a", "employer", 403),
        ("hub_a", "trust", 403),
        ("national", "trust", 201),
        ("vendor", "school", 403),
    ],
)
async def test_who_registers_what(world: World, who: str, kind: str, status: int) -> None:
    answer = await world.post(who, "/v1/organisations", {"kind": kind, "name": "One more"})
    assert answer.status_code == status, answer.text


async def test_every_wrong_number_is_named_at_once(world: World) -> None:
    body = {"kind": "school", "name": "S", "urn": "12", "laestab": "x", "companies_house": "1"}
    answer = await world.post("hub_a", "/v1/organisations", body)
    assert answer.status_code == 422
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
        ("/urn", "urn_format"),
        ("/laestab", "laestab_format"),
        ("/companies_house", "wrong_kind"),
    ]


async def test_an_entry_is_changed_by_its_own_organisation_and_by_a_fresh_etag(world: World) -> None:
    path = f"/v1/organisations/{world['employer_b']}"
    assert (await world.send("employer_b", "PATCH", path, {"region": "East"})).status_code == 428
    stale = await world.send("employer_b", "PATCH", path, {"region": "East"}, If_Match='"v9"')
    assert stale.status_code == 412
    done = await world.send("employer_b", "PATCH", path, {"region": "East"}, If_Match='"v1"')
    assert (done.status_code, done.json()["region"], done.json()["version"]) == (200, "East", 2)
    unknown = await world.send("employer_b", "PATCH", path, {"kind": "hub"}, If_Match='"v2"')
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/kind")
    urn = await world.send(
        "school_c", "PATCH", f"/v1/organisations/{world['school_c']}", {"urn": "123457"}, If_Match='"v1"'
    )
    assert (urn.status_code, urn.json()["code"]) == (403, "not_yours")


async def test_a_hub_takes_a_school_by_its_urn_and_lets_it_go(world: World) -> None:
    made = await world.post(
        "national", "/v1/organisations", {"kind": "school", "name": "A School", "urn": "123458"}
    )
    school = made.json()["id"]
    joined = await world.post("hub_a", "/v1/memberships", {"member_urn": "123458", "starts_on": TODAY})
    assert joined.status_code == 201, joined.text
    row = joined.json()
    assert (row["kind"], row["member_id"], row["ends_on"]) == ("hub", school, None)
    told = await events(world, "membership.changed", row["id"])
    assert told == {("school", school), ("hub", str(world["hub_a"]))}
    second = await world.post("hub_b", "/v1/memberships", {"member_id": school, "starts_on": NEXT_YEAR})
    assert (second.status_code, second.json()["code"]) == (409, "membership_overlaps")
    path = f"/v1/memberships/{row['id']}"
    before_start = await world.post("hub_a", f"{path}/end", {"ends_on": TODAY})
    assert (before_start.status_code, before_start.json()["errors"][0]["code"]) == (422, "not_after_start")
    left = await world.post("hub_a", f"{path}/end", {"ends_on": NEXT_YEAR})
    assert (left.status_code, left.json()["ends_on"]) == (200, NEXT_YEAR.isoformat())
    moved = await world.post("hub_b", "/v1/memberships", {"member_id": school, "starts_on": NEXT_YEAR})
    assert moved.status_code == 201, moved.text
    assert (await world.get("hub_a", f"/v1/memberships?on={TODAY}&member_id={school}")).json()["data"][0][
        "id"
    ] == row["id"]


async def test_a_trust_takes_a_school_only_once_the_school_has_said_so(world: World) -> None:
    path, body = "/v1/memberships", {"member_id": world["school_c"], "starts_on": TODAY}
    before = await world.fingerprint()
    refused = await world.post("trust", path, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "school_has_not_agreed")
    assert await world.fingerprint() == before
    roll = f"/v1/schools/{world['school_c']}/pupils"
    assert (await world.get("trust", roll)).status_code == 404
    granted = await world.post(
        "school_c", "/v1/grants", {"grantee_id": world["trust"], "field_groups": ["enrolment"]}
    )
    assert granted.status_code == 201, granted.text
    joined = await world.post("trust", path, body)
    assert joined.status_code == 201, joined.text
    assert (await world.get("trust", roll)).status_code == 200
    as_controller = await world.post(
        "school_c", "/v1/grants", {"grantee_id": world["vendor"], "field_groups": ["enrolment"]}
    )
    assert (as_controller.status_code, as_controller.json()["code"]) == (403, "not_the_controller")
    revoked = await world.post("trust", f"/v1/grants/{granted.json()['id']}/revoke")
    assert revoked.status_code == 200, revoked.text


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"starts_on": "2026-09-01"}, 422, ""),
        ({"member_urn": "12", "starts_on": "2026-09-01"}, 422, "/member_urn"),
        ({"member_urn": "999999", "starts_on": "2026-09-01"}, 404, None),
        ({"member_id": str(uuid4()), "starts_on": "2026-09-01"}, 404, None),
        ({"member_urn": "900005", "starts_on": "2026-09-01", "ends_on": "2026-09-01"}, 422, "/ends_on"),
        ({"member_urn": "900005", "starts_on": "x"}, 422, "/starts_on"),
    ],
)
async def test_a_membership_that_is_not_one(
    world: World, body: dict[str, str], status: int, pointer: str | None
) -> None:
    answer = await world.post("hub_a", "/v1/memberships", body)
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_only_the_national_body_names_another_parent(world: World) -> None:
    made = await world.post(
        "national", "/v1/organisations", {"kind": "school", "name": "B School", "urn": "123459"}
    )
    body = {"member_id": made.json()["id"], "parent_id": world["trust"], "starts_on": TODAY}
    assert (await world.post("hub_a", "/v1/memberships", body)).status_code == 404
    done = await world.post("national", "/v1/memberships", body)
    assert (done.status_code, done.json()["kind"]) == (201, "trust"), done.text


async def test_strangers_find_neither_organisations_nor_memberships_and_change_nothing(world: World) -> None:
    membership = await world.owner.fetchval("SELECT id FROM memberships WHERE parent_id = $1", world["hub_b"])
    before = await world.fingerprint()
    for who in ("hub_a", "employer_a", "stranger_vendor"):
        for method, path, body in (
            ("GET", f"/v1/organisations/{world['school_b']}", None),
            ("PATCH", f"/v1/organisations/{world['school_b']}", {"name": "Mine"}),
        ):
            answer = await world.send(who, method, path, body, If_Match='"v1"')
            assert answer.status_code == 404, (who, method, answer.text)
        assert (await world.get(who, f"/v1/memberships/{membership}")).status_code == 404
    ended = await world.post("hub_a", f"/v1/memberships/{membership}/end", {"ends_on": NEXT_YEAR})
    assert ended.status_code == 404
    member = await world.get("school_b", f"/v1/memberships/{membership}")
    assert member.status_code == 200
    assert (await world.get("school_a", "/v1/organisations/nonsense")).status_code == 404
    assert await world.fingerprint() == before


async def test_without_the_scope_nothing_opens(world: World) -> None:
    bare = {"Authorization": f"Bearer {world.token('hub_a', frozenset({'organisations:read'}))}"}
    assert (await world.send("hub_a", "GET", "/v1/organisations", **bare)).status_code == 200
    for method, path in (
        ("POST", "/v1/organisations"),
        ("POST", "/v1/memberships"),
        ("GET", "/v1/memberships"),
    ):
        answer = await world.send("hub_a", method, path, {}, **bare)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
