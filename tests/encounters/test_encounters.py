"""Encounters over HTTP: without a booking, in bulk, corrected, their criteria confirmed; progress and ledger."""

from typing import Any
from uuid import UUID

import pytest

from tests.encounters.day import visit
from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar

BM5 = ["clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection"]
BM6 = [
    "clear_shared_purpose",
    "learning_outcomes",
    "extensive_two_way_interaction",
    "range_of_people",
    "task_set_by_employer",
    "employer_feedback",
    "reflection",
]


def told(pupil: UUID | None, minutes: int = 150, *, back: int = 10, **more: Any) -> dict[str, Any]:
    on = date_in(-back)
    return {
        "pupil_id": pupil,
        "kind": "workplace_visit",
        "employer_name": "Bakery",
        "per_day": [{"on": on, "in_person_minutes": minutes}],
    } | more


async def test_an_encounter_without_a_booking_is_credited_and_its_evidence_kept(world: World) -> None:
    pupil = await world.pupil("school_a")
    body = told(pupil, criteria_confirmed=BM5, evidence={"form": 7}, external_ref="e-1")
    made = await world.post("vendor", "/v1/encounters", {"school_id": world["school_a"], **body})
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["minutes"], one["bm5"], one["bm6"], one["nc_year"]) == (150, True, False, "8")
    assert one["evidence"] == {"form": 7}
    read = await world.get("school_a", made.headers["location"])
    assert read.json() == {**one, "versions": []}
    vendors = await world.get("vendor", made.headers["location"])
    assert vendors.json() == {**one, "evidence": None, "versions": []}
    listed = await world.get("vendor", f"/v1/encounters?pupil_id={pupil}")
    assert [each["evidence"] for each in listed.json()["data"]] == [None]
    assert read.headers["etag"] == '"v1"'
    twice = await world.post("vendor", "/v1/encounters", {"school_id": world["school_a"], **body})
    assert twice.json()["errors"] == [
        {
            "pointer": "/external_ref",
            "code": "external_ref_taken",
            "detail": "You have recorded an encounter with this external_ref already.",
        }
    ]
    events = await world.owner.fetch("SELECT type FROM events WHERE order_key = $1 ORDER BY sequence", pupil)
    assert [row["type"] for row in events] == ["encounter.recorded", "hours.credited"]


async def test_a_bulk_is_answered_row_by_row_with_a_pointer_for_each_fault(world: World) -> None:
    pupil, young = await world.pupil("school_a"), await world.pupil("school_a", "7")
    theirs = await world.pupil("school_b")
    tomorrow = date_in(2)
    rows = [
        told(pupil, external_ref="b-1"),
        told(theirs),
        told(young, kind="placement"),
        told(pupil, per_day=[{"on": tomorrow, "in_person_minutes": 60}]),
        told(pupil, external_ref="b-1"),
        told(pupil, back=3000),
        told(pupil, colour="red"),
        told(pupil, mode="virtual"),
        told(pupil, 60, back=11),
    ]
    path = f"/v1/schools/{world['school_a']}/encounters/bulk"
    refused = await world.post("school_a", f"{path}?atomic=true", {"encounters": rows})
    assert refused.status_code == 422
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 0
    answer = await world.post("school_a", path, {"encounters": rows})
    assert (answer.json()["recorded"], answer.json()["refused"]) == (2, 7), answer.text
    faults = {
        row["index"]: (row["errors"][0]["pointer"], row["errors"][0]["code"])
        for row in answer.json()["data"]
        if row["errors"]
    }
    assert faults == {
        1: ("/encounters/1/pupil_id", "unknown_pupil"),
        2: ("/encounters/2/kind", "placement_unlawful"),
        3: ("/encounters/3/per_day/0/on", "in_the_future"),
        4: ("/encounters/4/external_ref", "duplicate"),
        5: ("/encounters/5/per_day", "nc_year_unknown"),
        6: ("/encounters/6/colour", "unknown_field"),
        7: ("/encounters/7/per_day/0", "not_in_this_mode"),
    }
    balance = await world.owner.fetchrow("SELECT minutes, days FROM balances WHERE enrolment_id = $1", pupil)
    assert tuple(balance) == (210, 2)


async def test_a_correction_reverses_and_credits_anew_and_what_it_said_is_kept(world: World) -> None:
    pupil = await world.pupil("school_a")
    made = await world.post("school_a", "/v1/encounters", {"school_id": world["school_a"], **told(pupil)})
    path = f"{made.headers['location']}/corrections"
    on = made.json()["starts_on"]
    body = {"reason": "It ended earlier.", "per_day": [{"on": on, "in_person_minutes": 90}]}
    assert (await world.post("school_a", path, body)).status_code == 428
    assert (await world.post("school_a", path, body, If_Match='"v7"')).status_code == 412
    corrected = await world.post("school_a", path, body, If_Match='"v1"')
    assert corrected.status_code == 200, corrected.text
    assert (corrected.json()["minutes"], corrected.headers["etag"]) == (90, '"v2"')
    read = (await world.get("school_a", made.headers["location"])).json()
    assert [(one["version"], one["was"]["minutes"], one["reason"]) for one in read["versions"]] == [
        (1, 150, "It ended earlier.")
    ]
    voided = await world.post("school_a", path, {"reason": "Never happened.", "void": True}, If_Match='"v2"')
    assert (voided.json()["state"], voided.json()["bm5"]) == ("reversed", False)
    ledger = (await world.get("school_a", f"/v1/schools/{world['school_a']}/pupils/{pupil}/ledger")).json()
    assert [row["in_person_minutes"] for row in ledger["data"]] == [150, -150, 90, -90]
    balance = await world.owner.fetchrow(
        "SELECT minutes, encounters FROM balances WHERE enrolment_id = $1", pupil
    )
    assert tuple(balance) == (0, 0)
    again = await world.post("school_a", path, body, If_Match='"v3"')
    assert (again.status_code, again.json()["code"]) == (409, "voided")


async def test_the_schools_confirmation_makes_the_benchmarks_count(world: World) -> None:
    async with visit(world, 2) as day:
        path = f"/v1/bookings/{day.booking}/criteria"
        early = await world.post("school_a", path, {"criteria": BM5})
        assert (early.status_code, early.json()["code"]) == (409, "too_early")
        await day.at(125)
        await day.all_present("employer_a")
        mine = (await world.get("school_a", f"/v1/encounters?booking_id={day.booking}")).json()["data"]
        assert [(one["bm5_offered"], one["bm5"]) for one in mine] == [(True, False)] * 2
        confirmed = await world.post("school_a", path, {"criteria": BM5})
        assert confirmed.json()["encounters_changed"] == 2, confirmed.text
        assert (await world.post("school_a", path, {"criteria": BM5})).json()["encounters_changed"] == 0
        balance = await day.balance()
        assert (balance["bm5"], balance["bm6"], balance["minutes"], balance["encounters"]) == (1, 0, 120, 1)
        one = f"/v1/encounters/{mine[0]['id']}/criteria"
        put = await world.send("school_a", "PUT", one, {"criteria": BM6}, If_Match='"v2"')
        assert (put.status_code, put.json()["bm6"], put.json()["bm5"]) == (200, True, True), put.text
        stale = await world.send("school_a", "PUT", one, {"criteria": []}, If_Match='"v2"')
        assert stale.status_code == 412
        assert (await day.events()).count("hours.reversed") == 0
        from_booking = await world.post(
            "school_a",
            f"/v1/encounters/{mine[0]['id']}/corrections",
            {"reason": "x", "title": "y"},
            If_Match='"v3"',
        )
        assert (from_booking.status_code, from_booking.json()["code"]) == (409, "from_a_booking")


async def test_criteria_confirmed_before_a_visit_is_settled_are_kept_for_then(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(125)
        first = await world.post("school_a", f"/v1/bookings/{day.booking}/criteria", {"criteria": BM5})
        assert first.json()["encounters_changed"] == 0
        await day.all_present("employer_a")
        assert (await day.balance())["bm5"] == 1


async def test_progress_shows_minutes_hours_and_days_by_band_and_what_is_planned(world: World) -> None:
    async with visit(world, 1) as day:
        pupil = day.pupils[0]
        path = f"/v1/schools/{world['school_a']}/pupils/{pupil}/progress"
        for back in (10, 11):
            body = told(pupil, 420, back=back, criteria_confirmed=BM5)
            made = await world.post("school_a", "/v1/encounters", {"school_id": world["school_a"], **body})
            assert made.status_code == 201, made.text
        shown = (await world.get("school_a", path)).json()
        band = shown["bands"][0]
        assert (band["band"], band["raw_minutes"], band["counted_minutes"]) == ("years_7_9", 840, 600)
        assert (band["counted_hours"], band["counted_days"], band["calendar_days"]) == (10.0, 2.0, 2)
        assert shown["planned_minutes"] == 120
        assert [one["bm5_confirmed"] for one in shown["benchmarks"]["years"]] == [2]
        assert (await day.balance())["minutes"] == 600
        assert (await day.balance())["activity_minutes"] == 600


@pytest.mark.parametrize("who", ["school_b", "stranger_vendor", "school_c"])
async def test_a_stranger_finds_no_encounter_no_progress_and_changes_nothing(world: World, who: str) -> None:
    pupil = await world.pupil("school_a")
    made = await world.post("school_a", "/v1/encounters", {"school_id": world["school_a"], **told(pupil)})
    here, school = made.headers["location"], world["school_a"]
    before = await world.fingerprint()
    answers = [
        await world.get(who, here),
        await world.post(who, "/v1/encounters", {"school_id": school, **told(pupil)}),
        await world.post(who, f"/v1/schools/{school}/encounters/bulk", {"encounters": [told(pupil)]}),
        await world.post(who, f"{here}/corrections", {"reason": "x"}, If_Match='"v1"'),
        await world.send(who, "PUT", f"{here}/criteria", {"criteria": []}, If_Match='"v1"'),
        await world.get(who, f"/v1/schools/{school}/pupils/{pupil}/progress"),
        await world.get(who, f"/v1/schools/{school}/pupils/{pupil}/ledger"),
        await world.get(who, f"/v1/encounters?school_id={school}"),
        await world.get(who, f"/v1/schools/{world['school_b']}/pupils/{pupil}/progress"),
    ]
    assert [one.status_code for one in answers] == [404] * len(answers), [one.text for one in answers]
    assert await world.fingerprint() == before
    assert (await world.get(who, f"/v1/encounters?pupil_id={pupil}")).json()["data"] == []


@pytest.mark.parametrize("who", ["employer_a", "hub_a"])
async def test_employers_and_hubs_have_no_scope_for_encounters_and_ledgers(world: World, who: str) -> None:
    pupil = await world.pupil("school_a")
    answers = [
        await world.get(who, "/v1/encounters"),
        await world.get(who, f"/v1/schools/{world['school_a']}/pupils/{pupil}/progress"),
        await world.post(who, "/v1/encounters", {"school_id": world["school_a"], **told(pupil)}),
    ]
    assert [one.status_code for one in answers] == [403] * 3
