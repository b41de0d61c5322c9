"""The roll read back: under grant and scope only, every look from outside written down, strangers find nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

Make = Callable[..., dict[str, Any]]
Send = Callable[..., Any]


def roll(world: World, school: str, rest: str = "") -> str:
    return f"/v1/schools/{world[school]}/pupils{rest}"


async def test_a_vendor_sees_the_granted_groups_and_each_pupil_it_sees_is_written_down(
    world: World, pupil: Make, send: Send
) -> None:
    rows = [pupil(characteristics={"sen": {"value": "E"}}, access_needs="Step-free") for _ in range(3)]
    ids = {row["pupil_id"] for row in (await send("school_a", "school_a", rows))["data"]}
    answer = await world.get("vendor", roll(world, "school_a"))
    assert answer.status_code == 200, answer.text
    seen = answer.json()["data"]
    assert {row["id"] for row in seen} == ids
    for row in seen:
        assert (row["given_name"], row["nc_year"], row["characteristics"]) == ("Ada", "8", {})
        assert "access_needs" not in row
        assert "upn" not in row
        assert row["external_ref"] is None  # the school's own reference is not the vendor's to see
    listed = (await world.get("school_a", "/v1/disclosures")).json()["data"]
    assert {row["pupil_id"] for row in listed} == ids
    assert {row["to_org_id"] for row in listed} == {str(world["vendor"])}
    assert {row["route"] for row in listed} == {"GET /v1/schools/{school_id}/pupils"}
    grant = await world.owner.fetchval("SELECT id FROM grants WHERE grantee_id = $1", world["vendor"])
    assert {row["basis_id"] for row in listed} == {str(grant)}
    assert {"given_name", "nc_year", "date_of_birth"} <= set(listed[0]["fields"])
    assert not {"sen", "access_needs", "upn", "known_as"} & set(listed[0]["fields"])


async def test_the_school_and_its_trust_see_all_and_that_is_no_disclosure(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil(characteristics={"looked_after": {"value": True}}, access_needs="Step-free")
    made = (await send("school_b", "school_b", [row]))["data"][0]
    before = await world.count("disclosures")
    for who in ("school_b", "trust"):
        shown = await world.get(who, roll(world, "school_b", f"/{made['pupil_id']}?include=upn"))
        assert shown.status_code == 200, shown.text
        assert (shown.json()["upn"], shown.json()["access_needs"]) == (row["upn"], "Step-free")
        assert shown.json()["characteristics"]["looked_after"]["value"] is True
        assert shown.headers["etag"] == '"v1"'
    assert await world.count("disclosures") == before


async def test_a_scope_that_is_missing_closes_a_group_even_for_the_school(
    world: World, pupil: Make, send: Send
) -> None:
    made = (await send("school_b", "school_b", [pupil(characteristics={"sen": {"value": "K"}})]))["data"][0]
    bare = {"Authorization": f"Bearer {world.token('school_b', frozenset({'pupils:read'}))}"}
    shown = await world.get("school_b", roll(world, "school_b", f"/{made['pupil_id']}"), **bare)
    assert shown.json()["characteristics"] == {}
    none = {"Authorization": f"Bearer {world.token('school_b', frozenset({'bookings:read'}))}"}
    assert (await world.get("school_b", roll(world, "school_b"), **none)).status_code == 403


async def test_a_vendor_that_asks_for_the_number_is_written_down_as_having_seen_it(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    shown = await world.get("vendor", roll(world, "school_a", f"/{made['pupil_id']}?include=upn"))
    assert shown.json()["upn"] == row["upn"]
    listed = await world.owner.fetchrow(
        "SELECT * FROM disclosures WHERE enrolment_id = $1 ORDER BY id DESC LIMIT 1", made["pupil_id"]
    )
    assert "upn" in listed["fields"]
    wrong = await world.get("vendor", roll(world, "school_a", "?include=everything"))
    assert wrong.json()["errors"][0]["pointer"] == "?include"


async def test_a_list_is_filtered_and_goes_on(world: World, pupil: Make, send: Send) -> None:
    rows = [pupil(nc_year="10") for _ in range(3)] + [pupil(nc_year="11")]
    await send("school_c", "school_c", rows)
    found = (await world.get("school_c", roll(world, "school_c", "?nc_year=10&limit=2"))).json()
    more = (await world.get("school_c", roll(world, "school_c", f"?nc_year=10&after={found['next']}"))).json()
    assert len(found["data"]) == 2
    assert len(more["data"]) == 1
    assert more["next"] is None
    last_year = await world.get("school_c", roll(world, "school_c", "?nc_year=10&academic_year=2020"))
    assert last_year.json()["data"] == []
    since = await world.owner.fetchval(
        "SELECT to_json(max(updated_at))#>>'{}' FROM enrolments WHERE school_id = $1", world["school_c"]
    )
    later = await world.get(
        "school_c", roll(world, "school_c", f"?updated_after={since.replace('+', '%2B')}")
    )
    assert len(later.json()["data"]) == len(rows), "within the overlap everything comes again"
    await send("school_c", "school_c", [{**rows[3], "known_as": "New"}])
    later = await world.get(
        "school_c", roll(world, "school_c", f"?updated_after={since.replace('+', '%2B')}")
    )
    assert later.json()["data"][-1]["known_as"] == "New", "in the order of changes"


@pytest.mark.parametrize("query", ["nc_year=99", "updated_after=2026-09-01T00:00:00", "after=x", "limit=0"])
async def test_a_wrong_query_is_named(world: World, query: str) -> None:
    answer = await world.get("school_a", roll(world, "school_a", f"?{query}"))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"


async def test_one_pupil_is_changed_under_its_etag(world: World, pupil: Make, send: Send) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    path = roll(world, "school_a", f"/{made['pupil_id']}")
    body = {"family_name": "Lovelace", "nc_year": "9", "ends_on": None}
    assert (await world.send("vendor", "PATCH", path, body)).status_code == 428
    assert (await world.send("vendor", "PATCH", path, body, If_Match='"v7"')).status_code == 412
    done = await world.send("vendor", "PATCH", path, body, If_Match='"v1"')
    assert done.status_code == 200, done.text
    assert (done.json()["family_name"], done.json()["nc_year"], done.headers["etag"]) == (
        "Lovelace",
        "9",
        '"v2"',
    )
    same = await world.send("vendor", "PATCH", path, body, If_Match='"v2"')
    assert same.headers["etag"] == '"v2"'
    listed = await world.owner.fetchval(
        "SELECT route FROM disclosures WHERE enrolment_id = $1 ORDER BY id DESC LIMIT 1", made["pupil_id"]
    )
    assert listed == "PATCH /v1/schools/{school_id}/pupils/{pupil_id}"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"family_name": None}, "/family_name", "required"),
        ({"access_needs": "Step-free"}, "/access_needs", "field_group_not_granted"),
        ({"characteristics": {"eal": {"value": True}}}, "/characteristics/eal", "field_group_not_granted"),
        ({"upn": "B801200005002"}, "/upn", "upn_check_letter"),
        ({"ends_on": "2001-01-01"}, "/ends_on", "ends_before_start"),
        ({"external_ref": "x"}, "/external_ref", "unknown_field"),
        ({"starts_on": None, "ends_on": "2026-01-01"}, "/starts_on", "required"),
    ],
)
async def test_a_change_that_is_not_one(
    world: World, pupil: Make, send: Send, body: dict[str, Any], pointer: str, code: str
) -> None:
    made = (await send("vendor", "school_a", [pupil()]))["data"][0]
    before = await world.fingerprint()
    answer = await world.send(
        "vendor", "PATCH", roll(world, "school_a", f"/{made['pupil_id']}"), body, If_Match='"v1"'
    )
    assert answer.status_code == 422, answer.text
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [(pointer, code)]
    assert await world.fingerprint() == before


async def test_a_number_of_another_pupil_is_not_taken(world: World, pupil: Make, send: Send) -> None:
    one, other = pupil(), pupil()
    made = (await send("vendor", "school_a", [one, other]))["data"]
    path = roll(world, "school_a", f"/{made[0]['pupil_id']}")
    answer = await world.send("vendor", "PATCH", path, {"upn": other["upn"]}, If_Match='"v1"')
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "upn_of_another_pupil")
    assert other["upn"] not in answer.text


async def test_strangers_find_no_pupil_of_another_school_and_change_nothing(
    world: World, pupil: Make, send: Send
) -> None:
    theirs = (await send("school_c", "school_c", [pupil()]))["data"][0]["pupil_id"]
    before = await world.fingerprint()
    for who, home in (
        ("school_a", "school_a"),
        ("trust", "school_a"),
        ("vendor", "school_a"),
        ("school_a", "school_c"),
    ):
        for path in (
            roll(world, home, f"/{theirs}"),
            roll(world, "school_c"),
            roll(world, "school_c", f"/{theirs}"),
        ):
            if path == roll(world, home):
                continue
            assert (await world.get(who, path)).status_code == 404, (who, path)
        changed = await world.send(
            who, "PATCH", roll(world, home, f"/{theirs}"), {"known_as": "X"}, If_Match='"v1"'
        )
        assert changed.status_code == 404
    for who in ("school_a", "vendor", "stranger_vendor", "trust"):
        bulk = await world.post(who, roll(world, "school_c", "/bulk"), {"pupils": [pupil()]})
        assert bulk.status_code == 404, (who, bulk.text)
    for who in ("hub_a", "employer_a", "authority", "national"):
        assert (await world.get(who, roll(world, "school_c"))).status_code == 403
    assert (await world.get("school_a", roll(world, "school_a", f"/{uuid4()}"))).status_code == 404
    assert (await world.get("school_a", roll(world, "school_a", "/nonsense"))).status_code == 404
    assert await world.fingerprint() == before


@pytest.mark.parametrize("who", ["hub_a", "employer_a"])
async def test_a_token_with_too_much_in_it_still_finds_no_school(world: World, who: str) -> None:
    scopes = frozenset({"pupils:read", "pupils:write", "disclosures:read"})
    forged = {"Authorization": f"Bearer {world.token(who, scopes)}"}
    before = await world.fingerprint()
    assert (await world.get(who, roll(world, "school_a"), **forged)).status_code == 404
    assert (
        await world.post(who, roll(world, "school_a", "/bulk"), {"pupils": [{}]}, **forged)
    ).status_code == 404
    assert (
        await world.get(who, f"/v1/disclosures?school_id={world['school_a']}", **forged)
    ).status_code == 404
    assert await world.fingerprint() == before


async def test_disclosures_are_the_schools_and_its_trusts_to_read(world: World) -> None:
    of_a = f"/v1/disclosures?school_id={world['school_a']}"
    mine = await world.get("school_a", "/v1/disclosures?limit=1")
    assert (mine.status_code, len(mine.json()["data"])) == (200, 1)
    rest = await world.get("school_a", f"/v1/disclosures?after={mine.json()['next']}")
    assert rest.json()["data"][0]["id"] < mine.json()["data"][0]["id"]
    assert (await world.get("trust", of_a)).json()["data"]
    assert (await world.get("trust", "/v1/disclosures")).status_code == 404
    for who, status in (("school_c", 404), ("vendor", 403), ("hub_a", 403), ("employer_a", 403)):
        assert (await world.get(who, of_a)).status_code == status, who
    forged = {"Authorization": f"Bearer {world.token('vendor', frozenset({'disclosures:read'}))}"}
    assert (await world.get("vendor", of_a, **forged)).status_code == 404


async def test_one_who_has_left_by_date_reads_as_left(world: World, pupil: Make, send: Send) -> None:
    row = pupil(starts_on="2025-09-01", ends_on=TODAY)
    made = (await send("school_a", "school_a", [row]))["data"][0]
    assert made["state"] == "active"
    await world.owner.execute(
        "UPDATE enrolments SET ends_on = $2 WHERE id = $1", made["pupil_id"], TODAY - timedelta(days=1)
    )
    shown = await world.get("school_a", roll(world, "school_a", f"/{made['pupil_id']}"))
    assert shown.json()["state"] == "left"
