"""Whose minutes they are: a description that contradicts the pupil we hold is refused until somebody says it is right."""

from collections.abc import Callable
from datetime import date
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from app.rules.identity import Description, contradicts
from tests.students.conftest import new_upn
from tests.world import World

Make = Callable[..., dict[str, Any]]
Send = Callable[..., Any]
OTHER_CHILD = {"given_name": "Bea", "family_name": "Another", "date_of_birth": "2013-05-01"}


def code(row: dict[str, Any]) -> str:
    return str(row["errors"][0]["code"] if row["errors"] else row["status"])


async def held(world: World, pupil_id: str) -> dict[str, Any]:
    return dict(await world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", pupil_id))


async def earn(world: World, pupil_id: str, minutes: int = 300) -> None:
    body = {
        "school_id": world["school_a"], "pupil_id": pupil_id, "external_ref": str(uuid4()), "kind": "workplace_visit",
        "employer_name": "Bakery", "per_day": [{"on": "2026-11-02", "in_person_minutes": minutes}],
    }  # fmt: skip
    answer = await world.post("school_a", "/v1/encounters", body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("number", [None, "new", ...], ids=["emptied", "replaced", "left out"])
async def test_another_child_under_a_reference_that_was_used_again_inherits_no_minutes(
    world: World, pupil: Make, send: Send, number: Any
) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    await earn(world, made["pupil_id"])
    before = await held(world, made["pupil_id"])
    other = {**row, **OTHER_CHILD, "upn": new_upn() if number == "new" else number}
    other = {name: value for name, value in other.items() if value is not ...}
    answer = await send("vendor", "school_a", [other, pupil()])
    assert [code(one) for one in answer["data"]] == ["identity_conflict", "created"]
    assert answer["data"][0]["errors"][0]["pointer"] == "/pupils/0/external_ref"
    assert await held(world, made["pupil_id"]) == before
    # nor on the vendor's word that it is a correction: there are minutes
    answer = await send("vendor", "school_a", [{**other, "correction": True}])
    assert code(answer["data"][0]) == "identity_conflict"
    assert await held(world, made["pupil_id"]) == before
    assert await world.count("identity_corrections", "enrolment_id = $1", made["pupil_id"]) == 0
    # under a reference of its own the other child is a pupil of its own
    mine = (await send("vendor", "school_a", [{**other, "external_ref": str(uuid4())}]))["data"][0]
    assert (mine["status"], mine["pupil_id"] != made["pupil_id"]) == ("created", True)
    progress = await world.get(
        "school_a", f"/v1/schools/{world['school_a']}/pupils/{mine['pupil_id']}/progress"
    )
    assert progress.json()["total"]["credited_minutes"] == 0


@pytest.mark.parametrize("who", ["school_a", "trust"])
async def test_with_the_school_s_word_it_passes_and_is_written_down(
    world: World, pupil: Make, send: Send, who: str
) -> None:
    row = pupil()
    made = (await send(who, "school_a", [row]))["data"][0]
    await earn(world, made["pupil_id"])
    told = {**row, "family_name": "Married", "given_name": "Adele"}
    assert code((await send(who, "school_a", [told | {"upn": new_upn()}]))["data"][0]) == "identity_conflict"
    answer = await send(who, "school_a", [{**told, "upn": new_upn(), "correction": True}])
    assert answer["data"][0]["status"] == "updated"
    listed = await world.get("school_a", f"/v1/schools/{world['school_a']}/identity-corrections")
    line = listed.json()["data"][0]
    assert line | {"id": 0, "corrected_at": 0} == {
        "id": 0, "school_id": str(world["school_a"]), "pupil_id": made["pupil_id"], "by_org_id": str(world[who]),
        "client_id": str(world.clients[who]), "fields": ["upn", "given_name", "family_name"],
        "has_encounters": True, "corrected_at": 0,
    }  # fmt: skip
    told = await world.count(
        "events",
        "type = 'pupil.identity_corrected' AND audience_id = $1 AND position($2 in convert_from(body, 'UTF8')) > 0",
        world["school_a"],
        line["id"],
    )
    assert told == 1


async def test_the_same_row_once_more_is_unchanged_and_no_second_correction(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    right = {**row, "upn": new_upn(), "family_name": "Right", "correction": True}
    assert (
        code((await send("vendor", "school_a", [right]))["data"][0]) == "updated"
    )  # no minutes: the vendor may
    assert code((await send("vendor", "school_a", [right]))["data"][0]) == "unchanged"
    assert await world.count("identity_corrections", "enrolment_id = $1", made["pupil_id"]) == 1


async def test_attendance_that_has_no_encounter_yet_counts_as_minutes(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    slot = await world.slot()
    booking = (
        await world.post(
            "school_a",
            "/v1/bookings",
            {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "8"},
        )
    ).json()
    assert (await world.post("employer_a", f"/v1/bookings/{booking['id']}/confirm", {})).status_code == 200
    named = await world.post(
        "school_a", f"/v1/bookings/{booking['id']}/participants", {"pupils": [{"pupil_id": made["pupil_id"]}]}
    )
    assert named.status_code == 200, named.text
    await world.owner.execute(
        "UPDATE participation_sittings SET status = 'present' WHERE booking_id = $1", booking["id"]
    )
    answer = await send("vendor", "school_a", [{**row, **OTHER_CHILD, "upn": None, "correction": True}])
    assert code(answer["data"][0]) == "identity_conflict"


async def test_a_correction_never_takes_the_number_from_a_person_whom_another_school_teaches(
    world: World, pupil: Make, send: Send
) -> None:
    row = pupil()
    here = (await send("vendor", "school_a", [row]))["data"][0]
    await send("school_c", "school_c", [pupil(upn=row["upn"])])
    number = "SELECT p.upn_hash FROM persons p JOIN enrolments e ON e.person_id = p.id WHERE e.id = $1"
    before = await world.owner.fetchval(number, here["pupil_id"])
    right = {**row, **OTHER_CHILD, "upn": new_upn(), "correction": True}
    assert code((await send("vendor", "school_a", [right]))["data"][0]) == "updated"
    assert await world.owner.fetchval(number, here["pupil_id"]) == before
    alone = pupil()
    made = (await send("vendor", "school_a", [alone]))["data"][0]
    before = await world.owner.fetchval(number, made["pupil_id"])
    right = {**alone, "family_name": "Right", "upn": new_upn(), "correction": True}
    assert code((await send("vendor", "school_a", [right]))["data"][0]) == "updated"
    assert await world.owner.fetchval(number, made["pupil_id"]) != before


@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        ({"family_name": "Married"}, "updated"),
        ({"given_name": "Adele"}, "updated"),
        ({"date_of_birth": "2014-09-03"}, "updated"),
        ({"family_name": "Married", "given_name": "Adele"}, "updated"),  # the number agrees
        ({"upn": ..., "family_name": "Married"}, "updated"),
        ({"upn": ..., "family_name": "Married", "given_name": "Adele"}, "identity_conflict"),
        ({"upn": "new"}, "updated"),  # nothing else differs: a temporary number became a permanent one
        ({"upn": "new", "family_name": "Married"}, "identity_conflict"),
        ({"upn": "new", "former_upn": "own", "family_name": "Married"}, "updated"),
        ({"upn": "new", "former_upn": "own", **OTHER_CHILD}, "updated"),
        ({"upn": None}, "updated"),
        ({"upn": None, "given_name": "Bea"}, "identity_conflict"),  # a twin
        (
            {"upn": ..., "given_name": "ADA", "family_name": "Éxample-"},
            "updated",
        ),  # the same in other letters
        ({"upn": ..., "known_as": "Addie", "nc_year": "9"}, "updated"),
    ],
)
async def test_what_the_roll_may_change_by_itself(
    pupil: Make, send: Send, change: dict[str, Any], becomes: str
) -> None:
    row = pupil()
    first = (await send("vendor", "school_a", [row]))["data"][0]
    numbers = {"new": new_upn(), "own": row["upn"]}
    told = row | {name: numbers.get(value, value) if value else value for name, value in change.items()}
    told = {name: value for name, value in told.items() if value is not ...}
    answer = (await send("vendor", "school_a", [told]))["data"][0]
    assert code(answer) == becomes
    assert answer["pupil_id"] == (first["pupil_id"] if becomes != "identity_conflict" else None)


async def test_a_number_that_comes_where_there_was_none_contradicts_nothing(pupil: Make, send: Send) -> None:
    row = pupil(upn=...)
    await send("vendor", "school_a", [row])
    told = {**row, "upn": new_upn(), "family_name": "Married"}
    assert code((await send("vendor", "school_a", [told]))["data"][0]) == "updated"


async def test_of_a_protected_identity_no_hint_is_given(world: World, pupil: Make, send: Send) -> None:
    """After an adoption: names and number are new, the old number proves nothing, and the refusal is the same text."""
    plain, protected = pupil(), pupil(identity_protected=True)
    await send("vendor", "school_a", [plain, protected])
    answers = []
    for row in (plain, protected):
        told = {**row, **OTHER_CHILD, "upn": new_upn()}
        answers.append((await send("vendor", "school_a", [told]))["data"][0])
        told["former_upn"] = row["upn"]
        answers.append((await send("vendor", "school_a", [told]))["data"][0])
    plain_other, by_former, protected_other, protected_by_former = answers
    assert by_former["status"] == "updated"
    assert plain_other["errors"] == protected_other["errors"] == protected_by_former["errors"]
    told = {**protected, **OTHER_CHILD, "upn": new_upn(), "correction": True}
    assert code((await send("school_a", "school_a", [told | {"external_ref": "x"}]))["data"][0]) == "created"
    told["upn"] = new_upn()
    assert code((await send("vendor", "school_a", [told]))["data"][0]) == "updated"
    kept = await world.owner.fetchval(
        "SELECT count(*) FROM identity_corrections c WHERE c::text ILIKE '%Another%' OR c::text ILIKE '%Example%'"
    )
    assert kept == 0


async def test_a_patch_is_asked_the_same(world: World, pupil: Make, send: Send) -> None:
    row = pupil()
    made = (await send("vendor", "school_a", [row]))["data"][0]
    path = f"/v1/schools/{world['school_a']}/pupils/{made['pupil_id']}"
    change = {**OTHER_CHILD, "upn": None}
    refused = await world.send("vendor", "PATCH", path, change, If_Match='"v1"')
    assert (refused.status_code, refused.json()["code"]) == (409, "identity_conflict")
    assert refused.json()["errors"][0]["code"] == "identity_conflict"
    done = await world.send("vendor", "PATCH", path, {**change, "correction": True}, If_Match='"v1"')
    assert (done.status_code, done.json()["given_name"]) == (200, "Bea")
    assert await world.count("identity_corrections", "enrolment_id = $1", made["pupil_id"]) == 1
    await earn(world, made["pupil_id"])
    back = {"given_name": "Ada", "family_name": "Example", "correction": True}
    refused = await world.send("vendor", "PATCH", path, back, If_Match='"v2"')
    assert (refused.status_code, refused.json()["code"]) == (409, "identity_conflict")
    done = await world.send("trust", "PATCH", path, back, If_Match='"v2"')
    assert done.status_code == 200, done.text


async def test_corrections_are_read_by_the_school_and_its_trust_and_never_changed(
    world: World, pupil: Make, send: Send
) -> None:
    path = f"/v1/schools/{world['school_a']}/identity-corrections"
    for who in ("school_a", "trust"):
        assert (await world.get(who, path)).status_code == 200
    for who in ("school_b", "school_c"):
        assert (await world.get(who, path)).status_code == 404
    for who in ("vendor", "employer_a"):
        assert (await world.get(who, path)).status_code == 403
    rights = await world.owner.fetch(
        "SELECT grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_name = 'identity_corrections' AND grantee <> 'tendays_owner'"
    )
    assert {tuple(one) for one in rights} == {("tendays_app", "SELECT"), ("tendays_app", "INSERT")}


async def test_corrections_of_many_pupils_take_no_more_statements_than_of_one(
    world: World, pupil: Make, send: Send
) -> None:
    db, taken = world.app.state.house.db, []
    for size in (1, 200):
        roll = [pupil() for _ in range(size)]
        await send("vendor", "school_a", roll)
        before = db.statements
        right = [{**row, "upn": new_upn(), "family_name": "Right", "correction": True} for row in roll]
        answer = await send("vendor", "school_a", right)
        assert answer["updated"] == size
        taken.append(db.statements - before)
    assert taken[0] == taken[1], taken


def test_the_rule_over_every_combination() -> None:
    """Agreement of a number always wins; without it one fact may differ where no number is replaced, else none."""
    base = ("Ada", "Example", date(2014, 3, 9))
    other = ("Bea", "Another", date(2013, 5, 1))
    numbers = (None, "1", "2")
    for flips in product((False, True), repeat=3):
        facts = [b if flip else a for a, b, flip in zip(base, other, flips, strict=True)]
        for held_upn, told_upn, former, sent, protected in product(
            numbers, numbers, numbers, (False, True), (False, True)
        ):
            found = contradicts(
                Description(*base, upn=held_upn),
                Description(*facts, upn=told_upn, former_upn=former),
                number_told=sent,
                protected=protected,
            )
            agrees = sent and held_upn is not None and told_upn == held_upn
            agrees |= not protected and former is not None and former == held_upn
            replaced = sent and held_upn is not None and told_upn != held_upn
            expected = not agrees and sum(flips) > (0 if replaced else 1)
            assert found is expected, (flips, held_upn, told_upn, former, sent, protected)
