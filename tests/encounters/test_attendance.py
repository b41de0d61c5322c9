"""The day itself over HTTP: arrivals, no-shows, conflicts, settling, corrections, strangers."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.encounters.day import said, visit
from tests.world import World

pytestmark = pytest.mark.calendar


async def test_a_missing_pupil_is_told_at_once_and_stays_open_until_the_school_resolves_it(
    world: World,
) -> None:
    async with visit(world, 3) as day:
        await day.at(5)
        told = await day.arrivals("employer_a", day.parts[:2], (day.parts[2],))
        assert told.status_code == 200, told.text
        assert [row["status"] for row in told.json()["data"]] == ["arrived", "arrived", "no_show"]
        events = await day.events()
        assert events[-3:] == ["participation.arrived", "participation.arrived", "participation.no_show"]
        lane = await world.owner.fetchval(
            "SELECT lane FROM events WHERE type = 'participation.no_show' AND order_key = $1",
            UUID(day.booking),
        )
        assert lane == "safety"
        listed = (await world.get("school_a", "/v1/no-shows?open=true")).json()["data"]
        (mine,) = [one for one in listed if one["booking_id"] == day.booking]
        assert mine["participation_id"] == day.parts[2]

        await day.at(125)
        ended = await day.attendance(
            "employer_a", [said(one, "present") for one in day.parts[:2]] + [said(day.parts[2], "no_show")]
        )
        assert ended.json()["booking_state"] == "confirmed", "the no-show is open: nothing is settled"
        resolved = await world.post(
            "school_a",
            f"/v1/no-shows/{mine['id']}/resolve",
            {"resolution": "in_school", "note": "Sick room."},
        )
        assert resolved.status_code == 200, resolved.text
        assert (resolved.json()["resolution"], resolved.json()["note"]) == ("in_school", "Sick room.")
        assert await day.state() == "completed"
        assert (await day.balance(0))["minutes"] == 120
        assert await day.balance(2) == {}
        assert (await day.events())[-6:] == [
            "participation.no_show_resolved",
            "encounter.recorded",
            "hours.credited",
            "encounter.recorded",
            "hours.credited",
            "booking.completed",
        ]
        again = await world.post("school_a", f"/v1/no-shows/{mine['id']}/resolve", {"resolution": "located"})
        assert (again.status_code, again.json()["code"]) == (409, "no_open_no_show")


async def test_an_employer_may_say_only_that_the_pupil_turned_up_and_the_school_still_decides(
    world: World,
) -> None:
    async with visit(world, 1) as day:
        await day.at(5)
        await day.arrivals("employer_a", [], (day.parts[0],))
        (mine,) = [
            one
            for one in (await world.get("employer_a", "/v1/no-shows?open=true")).json()["data"]
            if one["booking_id"] == day.booking
        ]
        path = f"/v1/no-shows/{mine['id']}/resolve"
        refused = await world.post("employer_a", path, {"resolution": "in_school"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
        untimed = await world.post("employer_a", path, {"resolution": "located"})
        assert untimed.json()["errors"][0]["pointer"] == "/arrived_at"
        await day.at(30)
        at = day.starts + timedelta(minutes=25)
        located = await world.post("employer_a", path, {"resolution": "located", "arrived_at": at})
        assert located.status_code == 200, located.text
        assert located.json()["resolution"] is None
        await day.at(125)
        late = await day.attendance("employer_a", [said(day.parts[0], "late")])
        assert late.json()["data"][0]["minutes"] == 95, late.text
        assert await day.state() == "confirmed"
        school = await world.post("school_a", path, {"resolution": "located", "note": "Bus."})
        assert school.status_code == 200, school.text
        assert await day.state() == "completed"
        assert (await day.balance())["minutes"] == 95
        seen = (await world.get("employer_a", "/v1/no-shows")).json()["data"]
        assert [one["note"] for one in seen if one["id"] == mine["id"]] == [None]


async def test_conflicting_reports_are_both_kept_and_the_school_decides(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(125)
        await day.all_present("school_a")
        assert await day.state() == "completed"
    async with visit(world, 1) as day:
        await day.at(10)
        await day.arrivals("school_a", day.parts)
        await day.at(125)
        told = await day.attendance("employer_a", [said(day.parts[0], "no_show")])
        assert told.json()["data"][0] | {"errors": []} == told.json()["data"][0]
        assert (told.json()["data"][0]["disputed"], told.json()["data"][0]["minutes"]) == (True, None)
        assert await day.state() == "confirmed"
        employers = await day.attendance("employer_a", [said(day.parts[0], "present", decides=True)])
        assert employers.json()["data"][0]["errors"][0]["code"] == "school_only"
        decided = await day.attendance("school_a", [said(day.parts[0], "present", decides=True)])
        assert decided.json()["booking_state"] == "completed", decided.text
        shown = (await world.get("school_a", f"/v1/bookings/{day.booking}/attendance")).json()["data"][0]
        assert [one["status"] for one in shown["reports"]] == ["arrived", "no_show", "present"]
        assert (shown["disputed"], shown["resolution"]) == (False, "located")


@pytest.mark.parametrize(("decision", "minutes"), [("present", 120), ("no_show", None), ("excused", None)])
async def test_a_pupil_whom_the_school_has_in_school_and_the_employer_as_present_is_in_dispute(
    world: World, decision: str, minutes: int | None
) -> None:
    async with visit(world, 2) as day:
        await day.at(10)
        await day.arrivals("employer_a", day.parts[1:], (day.parts[0],))
        no_show = await world.owner.fetchval(
            "SELECT id FROM no_shows WHERE booking_id = $1", UUID(day.booking)
        )
        path = f"/v1/no-shows/{no_show}/resolve"
        assert (await world.post("school_a", path, {"resolution": "in_school"})).status_code == 200
        await day.at(125)
        told = (await day.all_present("employer_a")).json()
        assert [(row["disputed"], row["minutes"]) for row in told["data"]] == [(True, None), (False, 120)]
        assert (told["booking_state"], await day.balance(0)) == ("confirmed", {})
        assert (await day.events()).count("participation.no_show") == 1, "nobody is missing anew"
        again = await world.post("school_a", path, {"resolution": "located"})
        assert (again.status_code, again.json()["code"]) == (409, "no_open_no_show")
        await day.attendance("school_a", [said(day.parts[0], decision, decides=True)])
        assert await day.state() == "completed"
        assert (await day.balance(0)).get("minutes") == minutes
        assert (await day.balance(1))["minutes"] == 120


async def test_an_employer_that_has_a_resolved_no_show_as_present_when_all_is_settled_credits_nothing(
    world: World,
) -> None:
    async with visit(world, 2) as day:
        await day.at(10)
        await day.arrivals("employer_a", day.parts[1:], (day.parts[0],))
        no_show = await world.owner.fetchval(
            "SELECT id FROM no_shows WHERE booking_id = $1", UUID(day.booking)
        )
        known = {"resolution": "known_absence"}
        assert (await world.post("school_a", f"/v1/no-shows/{no_show}/resolve", known)).status_code == 200
        await day.at(125)
        await day.attendance("employer_a", [said(day.parts[1], "present")])
        assert await day.state() == "completed"
        late = (await day.attendance("employer_a", [said(day.parts[0], "present")])).json()
        assert (late["data"][0]["disputed"], late["data"][0]["minutes"]) == (True, None)
        assert await day.balance(0) == {}
        await day.attendance("school_a", [said(day.parts[0], "present", decides=True)])
        assert (await day.balance(0))["minutes"] == 120


async def test_late_and_left_early_count_what_was_attended_and_a_correction_is_a_reversal(
    world: World,
) -> None:
    async with visit(world, 3) as day:
        await day.at(130)
        ended = await day.attendance(
            "employer_a",
            [
                said(day.parts[0], "late", arrived_at=day.starts + timedelta(minutes=30)),
                said(day.parts[1], "left_early", left_at=day.starts + timedelta(minutes=45)),
                said(day.parts[2], "present", arrived_at=day.starts + timedelta(minutes=20)),
            ],
        )
        assert [row["minutes"] for row in ended.json()["data"]] == [90, 45, 100]
        assert [row["status"] for row in ended.json()["data"]] == ["late", "left_early", "late"]
        assert await day.state() == "completed"
        before = (await day.balance(0))["minutes"]
        corrected = await day.attendance("school_a", [said(day.parts[0], "present", decides=True)])
        assert corrected.status_code == 200, corrected.text
        assert (before, (await day.balance(0))["minutes"]) == (90, 120)
        gone = await day.attendance("school_a", [said(day.parts[1], "excused", decides=True)])
        assert gone.status_code == 200, gone.text
        balance = await day.balance(1)
        assert (balance["minutes"], balance["days"], balance["encounters"]) == (0, 0, 0)
        entries = await world.owner.fetch(
            "SELECT entry, in_person_minutes FROM ledger_entries WHERE enrolment_id = $1 ORDER BY id",
            day.pupils[0],
        )
        assert [tuple(row) for row in entries] == [("credit", 90), ("reversal", -90), ("credit", 120)]
        kept = await world.count("encounter_versions", "was->>'enrolment_id' = $1", str(day.pupils[0]))
        assert kept == 1
        assert (await day.events())[-5:] == [
            "hours.reversed", "hours.credited", "attendance.reported", "encounter.corrected", "hours.reversed",
        ]  # fmt: skip


async def test_rows_are_answered_one_by_one_and_good_ones_are_kept(world: World) -> None:
    async with visit(world, 2) as day:
        await day.at(10)
        stranger = str(uuid4())
        told = await world.post(
            "employer_a",
            f"/v1/bookings/{day.booking}/arrivals",
            {
                "arrivals": [
                    {"participation_id": day.parts[0]},
                    {"participation_id": stranger},
                    {"participation_id": day.parts[1], "arrived_at": day.starts + timedelta(hours=1)},
                ],
                "missing": [day.parts[0]],
            },
        )
        rows = told.json()["data"]
        assert [row["result"] for row in rows] == ["recorded", "refused", "refused", "refused"]
        assert [(row["errors"][0]["pointer"], row["errors"][0]["code"]) for row in rows[1:]] == [
            ("/arrivals/1/participation_id", "unknown_participation"),
            ("/arrivals/2/arrived_at", "in_the_future"),
            ("/missing/0/participation_id", "duplicate"),
        ]


@pytest.mark.parametrize(
    ("minutes", "there", "missing"), [(-90, "refused", "refused"), (-30, "recorded", "refused")]
)
async def test_nobody_is_reported_before_the_visit_but_an_early_arrival(
    world: World, minutes: int, there: str, missing: str
) -> None:
    async with visit(world, 2) as day:
        await day.at(minutes)
        told = (await day.arrivals("employer_a", day.parts[:1], (day.parts[1],))).json()["data"]
        assert [row["result"] for row in told] == [there, missing]
        assert told[1]["errors"][0]["code"] == "too_early"


async def test_a_visit_of_two_sittings_is_settled_when_both_are_and_a_closed_one_counts_as_such(
    world: World,
) -> None:
    async with visit(world, 2, sittings=2, kind="workplace_visit") as day:
        await day.at(125)
        first = await day.all_present("employer_a")
        assert first.json()["booking_state"] == "confirmed"
        refused = await world.post(
            "employer_a", f"/v1/bookings/{day.booking}/sittings/{day.sittings[1]}/close", {}
        )
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "reason_required")
        there = await world.post(
            "school_a", f"/v1/bookings/{day.booking}/sittings/{day.sittings[0]}/close", {}
        )
        assert (there.status_code, there.json()["code"]) == (409, "attendance_recorded")
        closed = await world.post(
            "school_a",
            f"/v1/bookings/{day.booking}/sittings/{day.sittings[1]}/close",
            {"reason_code": "weather"},
        )
        assert closed.json()["booking_state"] == "completed", closed.text
        balance = await day.balance()
        assert (balance["minutes"], balance["days"], balance["encounters"]) == (120, 1, 1)


async def test_days_are_distinct_calendar_days(world: World) -> None:
    async with visit(world, 1, sittings=3, kind="workplace_visit") as day:
        for sitting in range(3):
            await day.at(sitting * 1440 + 125)
            ended = await day.all_present("employer_a", sitting)
        assert ended.json()["booking_state"] == "completed"
        balance = await day.balance()
        assert (balance["minutes"], balance["days"], balance["encounters"]) == (360, 3, 1)
        assert (await day.events()).count("encounter.recorded") == 1


@pytest.mark.parametrize("who", ["employer_b", "school_b", "stranger_vendor", "school_c"])
async def test_a_strangers_report_finds_no_booking_and_changes_nothing(world: World, who: str) -> None:
    async with visit(world, 1) as day:
        await day.at(5)
        await day.arrivals("employer_a", [], tuple(day.parts))
        no_show = await world.owner.fetchval(
            "SELECT id FROM no_shows WHERE booking_id = $1", UUID(day.booking)
        )
        before = await world.fingerprint()
        answers = [
            await day.arrivals(who, day.parts),
            await day.all_present(who),
            await world.post(who, f"/v1/bookings/{day.booking}/sittings/{day.sittings[0]}/close", {}),
            await world.post(who, f"/v1/no-shows/{no_show}/resolve", {"resolution": "located", "arrived_at": day.starts}),
            await world.get(who, f"/v1/bookings/{day.booking}/attendance"),
        ]  # fmt: skip
        if who != "employer_b":
            answers.append(
                await world.post(who, f"/v1/bookings/{day.booking}/criteria", {"criteria": ["reflection"]})
            )
        assert [one.status_code for one in answers] == [404] * len(answers), [one.text for one in answers]
        assert await world.fingerprint() == before
        listed = await world.get(who, "/v1/no-shows")
        assert listed.json()["data"] == []


async def test_the_employer_learns_no_pupil_from_attendance(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(125)
        answer = await day.all_present("employer_a")
        shown = await world.get("employer_a", f"/v1/bookings/{day.booking}/attendance")
        assert str(day.pupils[0]) not in answer.text + shown.text
        assert shown.json()["data"][0]["minutes"] == 120


async def test_attendance_of_25_pupils_takes_few_statements(world: World) -> None:
    async with visit(world, 25) as day:
        await day.at(10)
        arrivals = await day.arrivals("employer_a", day.parts[:24], (day.parts[24],))
        no_show = await world.owner.fetchval(
            "SELECT id FROM no_shows WHERE booking_id = $1", UUID(day.booking)
        )
        await world.post("school_a", f"/v1/no-shows/{no_show}/resolve", {"resolution": "known_absence"})
        await day.at(125)
        reports = [said(one, "present") for one in day.parts[:24]]
        ended = await day.attendance("employer_a", reports)
        assert ended.json()["booking_state"] == "completed", ended.text
        counts = [int(one.headers["server-timing"].split('"')[1].split()[0]) for one in (arrivals, ended)]
        print("statements: arrivals, settling attendance", counts)  # noqa: T201
        assert counts[0] <= 10
        assert counts[1] <= 24
        assert await world.count("encounters", "booking_id = $1", UUID(day.booking)) == 24


async def test_reports_that_come_at_once_settle_the_visit_once(world: World) -> None:
    async with visit(world, 5) as day:
        await day.at(125)
        told = await asyncio.gather(
            *(day.attendance("employer_a", [said(one, "present")]) for one in day.parts),
            *(day.all_present("school_a") for _ in range(3)),
        )
        assert {one.status_code for one in told} == {200}, [one.text for one in told]
        assert await day.state() == "completed"
        assert await world.count("encounters", "booking_id = $1", UUID(day.booking)) == 5
        assert [(await day.balance(at))["minutes"] for at in range(5)] == [120] * 5
        assert (await day.events()).count("booking.completed") == 1


async def test_a_school_closes_no_booking_of_nobody_and_nothing_is_reported_of_a_request(
    world: World,
) -> None:
    asked = await world.booking(state="requested", places=1)
    answer = await world.post(
        "employer_a", f"/v1/bookings/{asked['id']}/arrivals", {"missing": [str(uuid4())]}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "not_from_this_state")
    nobody = await world.booking(state="confirmed", places=1)
    answer = await world.post(
        "employer_a", f"/v1/bookings/{nobody['id']}/arrivals", {"missing": [str(uuid4())]}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "nobody_named")


@pytest.mark.parametrize("who", ["employer_a", "school_a"])
async def test_case_18_what_remains_of_a_placement_is_closed_by_either_side(world: World, who: str) -> None:
    async with visit(world, 2, sittings=5, kind="placement", nc_year="11") as day:
        for sitting in range(2):
            await day.at(sitting * 1440 + 125)
            assert (await day.all_present("employer_a", sitting)).status_code == 200
        await day.at(2 * 1440 + 10)
        path = f"/v1/bookings/{day.booking}"
        for sitting in (2, 3, 4):
            closed = await world.post(
                who, f"{path}/sittings/{day.sittings[sitting]}/close", {"reason_code": "illness"}
            )
            assert closed.status_code == 200, closed.text
        assert (closed.json()["booking_state"], await day.state()) == ("completed", "completed")
        balance = await day.balance()
        assert (balance["minutes"], balance["days"]) == (240, 2), "closed sittings earn nothing"
        told = await world.owner.fetch(
            "SELECT audience, lane, convert_from(body, 'UTF8')::jsonb->'data'->>'reason_code' AS reason FROM events"
            " WHERE type = 'attendance.closed' AND order_key = $1 ORDER BY seq", UUID(day.booking),
        )  # fmt: skip
        assert [row["lane"] for row in told] == ["safety"] * 2 + ["normal"] * 4, "today's, and the later ones"
        seen = "illness" if who == "employer_a" else "withdrawn_by_school"
        assert [(row["audience"], row["reason"]) for row in told[:2]] == [
            ("school", "illness"),
            ("employer", seen),
        ]
        history = (await world.get("school_a", f"{path}/history")).json()["data"]
        lines = [(one["actor"], one["sitting_id"]) for one in history if one["action"] == "close_sitting"]
        assert lines == [(who.split("_", maxsplit=1)[0], one) for one in day.sittings[2:]]
        assert [one["no"] for one in history] == list(range(1, len(history) + 1))


async def test_an_employer_closes_nothing_that_hides_a_pupil(world: World) -> None:
    async with visit(world, 2, sittings=2, kind="workplace_visit") as day:
        path, why = f"/v1/bookings/{day.booking}/sittings", {"reason_code": "site_closed"}
        await day.at(10)
        await day.arrivals("employer_a", [], (day.parts[0],))
        closed = await world.post("employer_a", f"{path}/{day.sittings[0]}/close", why)
        rows = (await world.get("school_a", f"/v1/bookings/{day.booking}/attendance")).json()["data"]
        today = {
            row["participation_id"]: row["status"] for row in rows if row["sitting_id"] == day.sittings[0]
        }
        assert (closed.status_code, today) == (200, {day.parts[0]: "no_show", day.parts[1]: "closed"})
        twice = await world.post("school_a", f"{path}/{day.sittings[0]}/close", {})
        assert (twice.status_code, twice.json()["code"]) == (409, "sitting_closed")
        last = await world.post("employer_a", f"{path}/{day.sittings[1]}/close", why)
        assert (last.status_code, last.json()["code"]) == (409, "nothing_left")
        wrong = await world.post(
            "employer_a", f"{path}/{day.sittings[1]}/close", {"reason_code": "transport"}
        )
        assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "reason_not_allowed")
        there = await day.attendance("school_a", [said(day.parts[1], "present")])
        assert there.json()["data"][0]["errors"][0]["code"] == "already_closed"
        await day.at(125)
        there = await day.attendance("school_a", [said(day.parts[1], "present", decides=True)])
        assert there.json()["data"][0]["minutes"] == 120, "the school knows better"
        await day.at(1440 + 125)
        over = await world.post("employer_a", f"{path}/{day.sittings[1]}/close", why)
        assert (over.status_code, over.json()["code"]) == (409, "sitting_over")


@pytest.mark.parametrize(
    ("status", "times", "code", "pointer"),
    [
        ("left_early", {"left_at": -36 * 365 * 1440}, "out_of_range", "/reports/0/left_at"),
        ("left_early", {"left_at": -1}, "left_outside_sitting", "/reports/0/left_at"),
        ("present", {"left_at": 241}, "left_outside_sitting", "/reports/0/left_at"),
        ("late", {"arrived_at": -365 * 1440}, "status_contradicts_times", "/reports/0/status"),
        ("late", {"arrived_at": 0}, "status_contradicts_times", "/reports/0/status"),
        ("late", {"arrived_at": 121}, "arrived_outside_sitting", "/reports/0/arrived_at"),
        ("present", {"arrived_at": -33 * 60}, "arrived_outside_sitting", "/reports/0/arrived_at"),
        ("left_early", {"left_at": 120}, "status_contradicts_times", "/reports/0/status"),
        ("left_early", {"left_at": 10}, "times_reversed", "/reports/0/left_at"),
        ("left_early", {"arrived_at": 60, "left_at": 50}, "times_reversed", "/reports/0/left_at"),
        ("no_show", {"arrived_at": 30}, "status_contradicts_times", "/reports/0/status"),
        ("excused", {"left_at": 30}, "status_contradicts_times", "/reports/0/status"),
    ],
)
async def test_case_19_a_time_that_cannot_be_is_refused_by_name_and_the_other_row_is_kept(
    world: World, status: str, times: dict[str, float], code: str, pointer: str
) -> None:
    async with visit(world, 2) as day:
        await day.at(20)
        at = {"participation_id": day.parts[0], "arrived_at": day.starts + timedelta(minutes=15)}
        await world.post("school_a", f"/v1/bookings/{day.booking}/arrivals", {"arrivals": [at]})
        await day.at(300)
        sent = {name: day.starts + timedelta(minutes=value) for name, value in times.items()}
        rows = [said(day.parts[0], status, **sent), said(day.parts[1], "present")]
        told = (await day.attendance("school_a", rows)).json()["data"]
        assert [row["result"] for row in told] == ["refused", "recorded"]
        assert (told[0]["errors"][0]["code"], told[0]["errors"][0]["pointer"]) == (code, pointer)


async def test_an_arrival_33_hours_before_is_refused_wherever_it_is_said(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(30)
        before = day.starts - timedelta(hours=33)
        arrivals = {"arrivals": [{"participation_id": day.parts[0], "arrived_at": before}]}
        told = await world.post("employer_a", f"/v1/bookings/{day.booking}/arrivals", arrivals)
        assert told.json()["data"][0]["errors"][0]["code"] == "arrived_outside_sitting"
        await day.arrivals("employer_a", [], tuple(day.parts))
        no_show = await world.owner.fetchval(
            "SELECT id FROM no_shows WHERE booking_id = $1", UUID(day.booking)
        )
        located = {"resolution": "located", "arrived_at": before}
        single = await world.post("employer_a", f"/v1/no-shows/{no_show}/resolve", located)
        assert (single.status_code, single.json()["errors"][0]["code"]) == (422, "arrived_outside_sitting")


@pytest.mark.parametrize(("first", "then"), [("employer_a", "employer_a"), ("employer_a", "school_a")])
async def test_present_keeps_the_arrival_that_was_recorded(world: World, first: str, then: str) -> None:
    async with visit(world, 1) as day:
        await day.at(15)
        await day.arrivals(first, day.parts)
        await day.at(125)
        told = (await day.attendance(then, [said(day.parts[0], "present")])).json()["data"][0]
        assert (told["status"], told["minutes"]) == ("present", 120)
        shown = (await world.get("school_a", f"/v1/bookings/{day.booking}/attendance")).json()["data"][0]
        assert shown["arrived_at"] is not None
        early = said(day.parts[0], "left_early", left_at=day.starts + timedelta(minutes=75))
        again = (await day.attendance(first, [early])).json()["data"][0]
        assert again["result"] == "recorded", again
