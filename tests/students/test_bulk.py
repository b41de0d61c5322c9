"""The roll in bulk: created, updated, refused row by row, and nothing of another school shown or touched."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.today import TODAY, YEAR
from tests.world import World

pytestmark = pytest.mark.calendar

Make = Callable[..., dict[str, Any]]
Send = Callable[..., Any]
BAD_LETTER = "B801200005002"


def statuses(answer: dict[str, Any]) -> list[str]:
    return [row["status"] for row in answer["data"]]


def codes(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["code"]) for fault in row["errors"]]


async def test_the_same_rows_are_created_once_then_unchanged_then_updated(
    world: World, pupil: Make, send: Send
) -> None:
    rows = [pupil(given_name=f"P{at}") for at in range(5)]
    first = await send("vendor", "school_a", rows)
    assert statuses(first) == ["created"] * 5
    assert [row["external_ref"] for row in first["data"]] == [row["external_ref"] for row in rows]
    again = await send("vendor", "school_a", rows)
    assert statuses(again) == ["unchanged"] * 5
    assert [row["pupil_id"] for row in again["data"]] == [row["pupil_id"] for row in first["data"]]
    rows[2] |= {"nc_year": "9", "known_as": "Addie"}
    third = await send("vendor", "school_a", rows)
    assert statuses(third) == ["unchanged", "unchanged", "updated", "unchanged", "unchanged"]
    held = await world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", third["data"][2]["pupil_id"])
    assert (held["known_as"], held["version"], held["state"]) == ("Addie", 2, "active")
    assert await world.count("pupil_refs", "external_ref = $1", rows[2]["external_ref"]) == 1


async def test_good_rows_are_kept_and_every_bad_one_says_where_it_is_wrong(pupil: Make, send: Send) -> None:
    rows = [
        pupil(),
        pupil(date_of_birth=..., shoe_size=43),
        pupil(upn=BAD_LETTER),
        "not a pupil",
        pupil(nc_year="15", date_of_birth="2099-01-01"),
        pupil(starts_on="2026-09-01", ends_on="2026-08-31"),
        pupil(date_of_birth="2099-01-01", former_upn="x"),
        pupil(given_name=None),
    ]
    answer = await send("vendor", "school_a", rows)
    assert (answer["created"], answer["refused"]) == (1, 7)
    assert codes(answer["data"][1]) == [
        ("/pupils/1/date_of_birth", "required"),
        ("/pupils/1/shoe_size", "unknown_field"),
    ]
    assert codes(answer["data"][2]) == [("/pupils/2/upn", "upn_check_letter")]
    assert BAD_LETTER not in orjson.dumps(answer).decode()
    assert answer["data"][3]["errors"][0]["pointer"] == "/pupils/3"
    assert codes(answer["data"][4]) == [("/pupils/4/nc_year", "not_one_of")]
    assert codes(answer["data"][5]) == [("/pupils/5/ends_on", "ends_before_start")]
    assert codes(answer["data"][6]) == [
        ("/pupils/6/former_upn", "upn_format"),
        ("/pupils/6/date_of_birth", "not_a_birth_date"),
    ]
    assert answer["data"][7]["errors"][0]["pointer"] == "/pupils/7/given_name"


async def test_atomic_keeps_nothing_when_one_row_is_refused(world: World, pupil: Make) -> None:
    before = await world.fingerprint()
    rows = [pupil(), pupil(date_of_birth=...), pupil(upn=BAD_LETTER)]
    path = f"/v1/schools/{world['school_a']}/pupils/bulk?atomic=true"
    answer = await world.post("vendor", path, {"pupils": rows})
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/pupils/1/date_of_birth", "/pupils/2/upn"]
    assert await world.fingerprint() == before


async def test_ndjson_is_taken_and_a_broken_line_is_answered_by_itself(world: World, pupil: Make) -> None:
    body = b"\n".join([orjson.dumps(pupil()), b"{broken", orjson.dumps(pupil()), b""])
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    answer = await world.post("vendor", path, body, Content_Type="application/x-ndjson")
    assert answer.status_code == 200, answer.text
    assert statuses(answer.json()) == ["created", "refused", "created"]
    assert codes(answer.json()["data"][1]) == [("/pupils/1", "bad_json")]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b"[]", 422, "/pupils"),
        (b'{"pupils": []}', 422, "/pupils"),
        (b'{"pupils": [{}], "more": 1}', 422, "/more"),
        (orjson.dumps({"pupils": [{}] * 501}), 422, "/pupils"),
    ],
)
async def test_a_body_that_is_no_bulk(world: World, body: bytes, status: int, pointer: str | None) -> None:
    answer = await world.post("vendor", f"/v1/schools/{world['school_a']}/pupils/bulk", body)
    assert answer.status_code == status, answer.text
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_another_media_type_is_refused(world: World) -> None:
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    answer = await world.post("vendor", path, b"a,b", Content_Type="text/csv")
    assert answer.status_code == 415


async def test_twins_in_one_request_are_refused(pupil: Make, send: Send) -> None:
    first = pupil()
    answer = await send(
        "vendor", "school_a", [first, pupil(external_ref=first["external_ref"]), pupil(upn=first["upn"])]
    )
    assert statuses(answer) == ["created", "refused", "refused"]
    assert codes(answer["data"][1]) == [("/pupils/1/external_ref", "duplicate_in_request")]
    assert codes(answer["data"][2]) == [("/pupils/2/upn", "duplicate_in_request")]


async def test_an_ungranted_field_group_is_refused_by_name_and_not_stored(
    world: World, pupil: Make, send: Send
) -> None:
    rows = [pupil(characteristics={"sen": {"value": "K"}}, access_needs="Step-free"), pupil()]
    answer = await send("vendor", "school_a", rows)
    assert statuses(answer) == ["refused", "created"]
    assert codes(answer["data"][0]) == [
        ("/pupils/0/access_needs", "field_group_not_granted"),
        ("/pupils/0/characteristics/sen", "field_group_not_granted"),
    ]
    assert await world.count("enrolments", "access_needs IS NOT NULL") == 0
    assert await world.count("characteristics") == 0


async def test_a_granted_group_still_needs_the_scope(world: World, pupil: Make) -> None:
    token = {"Authorization": f"Bearer {world.token('school_a', frozenset({'pupils:write'}))}"}
    row = pupil(characteristics={"eal": {"value": True}})
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    answer = await world.post("school_a", path, {"pupils": [row]}, **token)
    assert codes(answer.json()["data"][0]) == [("/pupils/0/characteristics/eal", "insufficient_scope")]


async def test_a_grant_to_read_is_none_to_write(world: World, pupil: Make) -> None:
    body = {"grantee_id": world["stranger_vendor"], "field_groups": ["identity", "enrolment"], "write": False}
    grant = (await world.post("trust", "/v1/grants", body)).json()
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    answer = await world.post("stranger_vendor", path, {"pupils": [pupil()]})
    assert (answer.status_code, answer.json()["code"]) == (403, "grant_read_only")
    assert (await world.post("trust", f"/v1/grants/{grant['id']}/revoke")).status_code == 200


async def test_characteristics_are_dated_and_what_was_known_stays(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil(characteristics={"sen": {"value": "N", "valid_from": "2025-09-01"}, "eal": {"value": True}})
    made = (await send("school_a", "school_a", [row]))["data"][0]
    assert made["status"] == "created", made
    assert statuses(await send("school_a", "school_a", [row])) == ["unchanged"]
    row["characteristics"] = {"sen": {"value": "K", "valid_from": "2026-02-01"}}
    assert statuses(await send("school_a", "school_a", [row])) == ["updated"]
    held = await world.owner.fetch(
        "SELECT value, valid_from::text AS since, valid_to::text AS until, superseded_at IS NOT NULL AS old"
        " FROM characteristics WHERE enrolment_id = $1 AND field_group = 'sen' ORDER BY recorded_at, valid_from",
        made["pupil_id"],
    )
    assert [tuple(one.values()) for one in held] == [
        ("N", "2025-09-01", None, True),
        ("N", "2025-09-01", "2026-02-01", False),
        ("K", "2026-02-01", None, False),
    ]
    shown = (await world.get("school_a", f"/v1/schools/{world['school_a']}/pupils/{made['pupil_id']}")).json()
    assert shown["characteristics"] == {
        "eal": {"value": True, "valid_from": TODAY.isoformat()},
        "sen": {"value": "K", "valid_from": "2026-02-01"},
    }


async def test_the_nc_year_is_kept_as_sent_by_academic_year(world: World, pupil: Make, send: Send) -> None:
    row = pupil(nc_year="7", academic_year=YEAR - 1)
    made = (await send("vendor", "school_a", [row]))["data"][0]
    await send("vendor", "school_a", [{**row, "nc_year": "X", "academic_year": YEAR}])
    held = await world.owner.fetch(
        "SELECT academic_year, nc_year FROM nc_years WHERE enrolment_id = $1 ORDER BY 1", made["pupil_id"]
    )
    assert [tuple(one.values()) for one in held] == [(YEAR - 1, "7"), (YEAR, "X")]


async def test_a_second_vendor_links_by_number_and_birth_date_and_makes_no_duplicate(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    linked = (await send("school_a", "school_a", [{**row, "external_ref": "sims-1"}]))["data"][0]
    assert (linked["pupil_id"], linked["status"]) == (made["pupil_id"], "updated")
    other = await send(
        "school_a", "school_a", [{**row, "external_ref": "sims-2", "date_of_birth": "2014-03-10"}]
    )
    assert codes(other["data"][0]) == [("/pupils/0/upn", "upn_of_another_pupil")]
    read = await world.get("vendor", f"/v1/schools/{world['school_a']}/pupils/{made['pupil_id']}")
    assert read.json()["external_ref"] == row["external_ref"]


async def test_a_changed_number_follows_the_pupil_by_its_former_one(
    world: World, pupil: Make, send: Send
) -> None:
    row, new = pupil(), pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    moved = {**row, "external_ref": "other", "upn": new["upn"], "former_upn": row["upn"]}
    linked = (await send("vendor", "school_a", [moved]))["data"][0]
    assert linked["pupil_id"] == made["pupil_id"]
    shown = await world.get(
        "vendor", f"/v1/schools/{world['school_a']}/pupils/{made['pupil_id']}?include=upn"
    )
    assert shown.json()["upn"] == new["upn"]
    # the person has followed: another school that sends the new number meets the same person
    claimed = (await send("school_c", "school_c", [pupil(upn=new["upn"])]))["data"][0]
    persons = await world.owner.fetch(
        "SELECT DISTINCT person_id FROM enrolments WHERE id::text = ANY ($1)",
        [made["pupil_id"], claimed["pupil_id"]],
    )
    assert (len(persons), claimed["state"]) == (1, "claimed")


async def test_a_second_school_claims_and_learns_nothing_of_the_first(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil(given_name="Grace", known_as="Gracie")
    first = (await send("school_a", "school_a", [row]))["data"][0]
    before = await world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", first["pupil_id"])
    second = (await send("school_c", "school_c", [pupil(upn=row["upn"], given_name="G")]))["data"][0]
    assert (second["status"], second["state"]) == ("created", "claimed")
    assert second["pupil_id"] != first["pupil_id"]
    shown = await world.get("school_c", f"/v1/schools/{world['school_c']}/pupils/{second['pupil_id']}")
    assert "Gracie" not in shown.text
    assert str(world["school_a"]) not in shown.text
    assert await world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", first["pupil_id"]) == before


async def test_a_claim_stands_once_the_other_school_has_let_go(world: World, pupil: Make, send: Send) -> None:
    here, there = pupil(starts_on="2025-09-01"), pupil()
    there["upn"] = here["upn"]
    await send("school_a", "school_a", [here])
    assert (await send("school_c", "school_c", [there]))["data"][0]["state"] == "claimed"
    left = await send("school_a", "school_a", [{**here, "ends_on": TODAY - timedelta(days=1)}])
    assert left["data"][0]["state"] == "left"
    settled = (await send("school_c", "school_c", [there]))["data"][0]
    assert (settled["status"], settled["state"]) == ("updated", "active")


async def test_a_protected_identity_never_links(world: World, pupil: Make, send: Send) -> None:
    row = pupil(identity_protected=True)
    first = (await send("school_a", "school_a", [row]))["data"][0]
    second = (await send("school_c", "school_c", [pupil(upn=row["upn"])]))["data"][0]
    assert second["state"] == "active"
    persons = await world.owner.fetch(
        "SELECT DISTINCT person_id FROM enrolments WHERE id::text = ANY ($1)",
        [first["pupil_id"], second["pupil_id"]],
    )
    assert len(persons) == 2
    old = pupil(identity_protected=True, former_upn=pupil()["upn"])
    made = (await send("school_a", "school_a", [old]))["data"][0]
    assert (
        await world.owner.fetchval("SELECT former_upn_hash FROM enrolments WHERE id = $1", made["pupil_id"])
        is None
    )


async def test_protection_that_comes_later_takes_the_key_from_the_person(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    first = (await send("school_a", "school_a", [row]))["data"][0]
    assert statuses(await send("school_a", "school_a", [{**row, "identity_protected": True}])) == ["updated"]
    person = await world.owner.fetchrow(
        "SELECT p.* FROM persons p JOIN enrolments e ON e.person_id = p.id WHERE e.id = $1", first["pupil_id"]
    )
    assert (person["identity_protected"], person["upn_hash"]) == (True, None)
    assert (await send("school_c", "school_c", [pupil(upn=row["upn"])]))["data"][0]["state"] == "active"


async def test_the_number_lies_sealed_and_hashed_under_a_key(world: World, pupil: Make, send: Send) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    held = await world.owner.fetchrow(
        "SELECT e::text AS whole, * FROM enrolments e WHERE id = $1", made["pupil_id"]
    )
    assert row["upn"] not in held["whole"]
    assert row["upn"].encode() not in bytes(held["upn_sealed"])
    assert await world.count("events", "position(convert_to($1, 'UTF8') IN body) > 0", row["upn"]) == 0


async def test_outside_development_no_pupil_is_taken_without_an_agreement(
    world: World, pupil: Make, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await send("school_c", "school_c", [pupil()]))["data"][0]
    agreement = await world.owner.fetchval(
        "SELECT id FROM agreements WHERE controller_id = $1", world["school_c"]
    )
    await world.owner.execute("UPDATE agreements SET ended_at = now() WHERE id = $1", agreement)
    path = f"/v1/schools/{world['school_c']}/pupils"
    assert (await send("school_c", "school_c", [pupil()]))["created"] == 1  # in development
    before = await world.fingerprint()
    monkeypatch.setattr(world.app.state.house, "development", False)
    answer = await world.post("school_c", f"{path}/bulk", {"pupils": [pupil()]})
    assert (answer.status_code, answer.json()["code"]) == (403, "agreement_missing")
    one = await world.send(
        "school_c", "PATCH", f"{path}/{made['pupil_id']}", {"known_as": "X"}, If_Match='"v1"'
    )
    assert (one.status_code, one.json()["code"]) == (403, "agreement_missing")
    assert await world.fingerprint() == before
    await world.owner.execute("UPDATE agreements SET ended_at = NULL WHERE id = $1", agreement)


async def test_a_bulk_of_500_takes_as_few_statements_as_a_bulk_of_one(
    world: World, pupil: Make, send: Send
) -> None:
    db = world.app.state.house.db
    taken = []
    for size in (1, 500):
        before = db.statements
        made = await send(
            "school_a", "school_a", [pupil(characteristics={"eal": {"value": True}}) for _ in range(size)]
        )
        assert made["created"] == size
        taken.append(db.statements - before)
    assert taken[0] == taken[1] <= 12, taken


async def test_two_bulks_of_the_same_new_pupil_at_once_make_one(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    both = await asyncio.gather(*(send("vendor", "school_a", [row]) for _ in range(4)))
    assert len({answer["data"][0]["pupil_id"] for answer in both}) == 1
    assert sorted(status for answer in both for status in statuses(answer)) == ["created", *["unchanged"] * 3]


async def test_two_schools_that_send_the_same_pupils_at_once_do_not_lock_each_other_out(
    pupil: Make, send: Send
) -> None:
    rows = [pupil() for _ in range(60)]
    others = [{**row, "external_ref": f"c-{at}"} for at, row in enumerate(reversed(rows))]
    here, there = await asyncio.gather(
        send("school_a", "school_a", rows), send("school_c", "school_c", others)
    )
    assert here["created"] == there["created"] == 60
    claimed = sum(row["state"] == "claimed" for answer in (here, there) for row in answer["data"])
    assert claimed == 60


async def test_a_bulk_says_so_once_and_counts_only(world: World, pupil: Make, send: Send) -> None:
    last = "SELECT convert_from(body, 'UTF8') FROM events WHERE type = 'pupils.changed' ORDER BY seq DESC LIMIT 1"
    before = await world.count("events", "type = 'pupils.changed'")
    row = pupil()
    await send("vendor", "school_b", [row, pupil(date_of_birth=...)])
    data = orjson.loads(await world.owner.fetchval(last))["data"]
    assert data == {"created": 1, "updated": 0, "unchanged": 0, "refused": 1}
    await send("vendor", "school_b", [row])
    assert await world.count("events", "type = 'pupils.changed'") == before + 1


async def test_figures_are_told_when_the_roll_came_and_whether_it_was_whole(
    world: World, pupil: Make, send: Send
) -> None:
    school = "SELECT * FROM school_states WHERE school_id = $1"
    await world.owner.execute("DELETE FROM school_states WHERE school_id = $1", world["school_b"])
    await send("school_b", "school_b", [pupil(characteristics={"sen": {"value": "K"}})])
    state = await world.owner.fetchrow(school, world["school_b"])
    assert (state["roll_complete_at"], state["field_groups"]) == (None, ["sen"])
    assert state["last_sync_at"] is not None
    await send("school_b", "school_b", [pupil(), pupil(date_of_birth=...)], "?complete=true")
    assert (await world.owner.fetchrow(school, world["school_b"]))["roll_complete_at"] is None
    await send("school_b", "school_b", [pupil(characteristics={"eal": {"value": False}})], "?complete=true")
    await send("school_b", "school_b", [pupil()])
    later = await world.owner.fetchrow(school, world["school_b"])
    assert later["roll_complete_at"] > state["last_sync_at"]
    assert later["field_groups"] == ["eal", "sen"]
