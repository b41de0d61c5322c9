"""Steps 5 and 6 of the story: the day of the visit, by the development clock, and what the hub sees of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from app.demo.booked import CRITERIA, after
from app.demo.party import Refused
from app.demo.stage import PLACES, Stage, moment

MISSING: Final = 1
CAME: Final = PLACES - MISSING
MINUTES: Final = 120
_NOT_FOUND: Final = 404
_COVERAGE: Final = """
{ hub { coverage(by: SCHOOL) { edges { node {
  school { uuid name } figures { pupils minutes reached { count percent } bm5 { count } }
  standsOn { rollComplete attendanceOverdue rounded }
} } } } }
"""


async def clock_door(stage: Stage) -> bool:
    """Whether domain time can be moved here: asked by moving it to where it is."""
    if stage.offset is None:
        return False
    try:
        await stage.hub.put("/v1/dev/clock", {"offset_seconds": stage.offset})
    except Refused as refused:
        if refused.status == _NOT_FOUND:
            stage.offset = None
            return False
        raise
    return True


async def put_clock_back(stage: Stage) -> None:
    """To where it was before the story."""
    if stage.offset is not None:
        await stage.hub.put("/v1/dev/clock", {"offset_seconds": stage.offset})


async def _move(stage: Stage, to: datetime) -> None:
    async with stage.step(5, "The clock is moved") as done:
        moved = await stage.hub.put("/v1/dev/clock", {"now": to.isoformat()})
        done(f"to {moment(moved['now']):%a %d %b %Y %H:%M} UTC")


async def ask_before(stage: Stage) -> None:
    """What the hub sees before the day."""
    async with stage.step(5, f"{stage.hub.name} asks GraphQL for coverage, before the day") as done:
        stage.before = await _coverage(stage)
        done(_said(stage.before))


async def _coverage(stage: Stage) -> dict[str, Any]:
    data = await stage.hub.ask(_COVERAGE)
    lines = [edge["node"] for edge in data["hub"]["coverage"]["edges"]]
    return dict(next(line for line in lines if line["school"]["uuid"] == stage.school_id))


def _said(line: Mapping[str, Any]) -> str:
    figures = line["figures"]
    reached, bm5 = figures["reached"]["count"], figures["bm5"]["count"]
    return f"{reached} of {figures['pupils']} pupils reached, {figures['minutes']} minutes, BM5 {bm5}"


async def arrive(stage: Stage) -> None:
    """Five minutes after the start the employer reports who is there; the missing pupil is told at once."""
    await _move(stage, moment(stage.booking["starts_at"]) + timedelta(minutes=5))
    employer, path = stage.employer, f"/v1/bookings/{stage.booking['id']}"
    async with stage.step(5, f"{employer.name} asks who is coming") as done:
        coming = (await employer.get(f"{path}/participants"))["data"]
        stage.booking["participants"] = [one["id"] for one in coming]
        done(f"{len(coming)}, by the names they are called, each disclosure written down")
    async with stage.step(5, f"{employer.name} reports {CAME} arrivals, one pupil missing") as done:
        there = [{"participation_id": one} for one in stage.booking["participants"][:CAME]]
        missing = stage.booking["participants"][CAME:]
        told = await employer.post(f"{path}/arrivals", {"arrivals": there, "missing": missing})
        done(_recorded(told))
    async with stage.step(5, f"{stage.school.name}'s receiver gets participation.no_show") as done:
        (got,) = await stage.listener.until("participation.no_show", stage.about)
        stage.booking["no_show"] = got.body["data"]
        done(f"by the safety lane, {after(got.at, got.body)}")
    async with stage.step(5, f"{stage.school.name} resolves it") as done:
        resolution = {"resolution": "known_absence"}
        no_show = f"/v1/no-shows/{stage.booking['no_show']['no_show_id']}"
        await stage.school.post(f"{no_show}/resolve", resolution)
        done("known_absence")


def _recorded(told: Mapping[str, Any]) -> str:
    return f"{told['recorded']} recorded, {told['refused']} refused"


async def complete(stage: Stage) -> None:
    """At the end attendance is complete: encounters and minutes are credited, and the school is told."""
    await _move(stage, moment(stage.booking["ends_at"]) + timedelta(minutes=5))
    employer, path = stage.employer, f"/v1/bookings/{stage.booking['id']}"
    sitting = stage.booking["no_show"]["sitting_id"]
    async with stage.step(5, f"{employer.name} reports attendance of {CAME}") as done:
        rows = [
            {"participation_id": one, "status": "present"} for one in stage.booking["participants"][:CAME]
        ]
        told = await employer.post(f"{path}/attendance", {"sitting_id": sitting, "reports": rows})
        done(f"{_recorded(told)}; the booking is {told['booking_state']}")
    async with stage.step(5, f"{stage.school.name}'s receiver gets hours.credited") as done:
        got = await stage.listener.until("hours.credited", stage.about, count=CAME)
        minutes = sum(one.body["data"]["minutes"] for one in got)
        last = max(got, key=lambda one: one.at)
        done(f"{len(got)} times, {minutes} minutes in all; the last {after(last.at, last.body)}")
    async with stage.step(5, f"{stage.vendor.name} reads what was credited") as done:
        done(await _credited(stage, got[0].body["data"]["pupil_id"]))
    async with stage.step(5, f"{stage.school.name} confirms the criteria, reflection included") as done:
        confirmed = await stage.school.post(f"{path}/criteria", {"criteria": list(CRITERIA)})
        done(f"{confirmed['encounters_changed']} encounters count for benchmark 5 now")


async def _credited(stage: Stage, pupil_id: str) -> str:
    asked = {"school_id": stage.school_id, "booking_id": stage.booking["id"]}
    encounters = (await stage.vendor.get("/v1/encounters", **asked, limit=PLACES))["data"]
    progress = await stage.vendor.get(f"/v1/schools/{stage.school_id}/pupils/{pupil_id}/progress")
    minutes = sum(one["minutes"] for one in encounters)
    if (len(encounters), minutes) != (CAME, CAME * MINUTES):
        raise Refused("GET /v1/encounters", 200, f'{{"encounters": {len(encounters)}, "minutes": {minutes}}}')
    return f"{len(encounters)} encounters, {minutes} minutes; one pupil has {progress['total']['hours']} hours by now"


async def ask_after(stage: Stage) -> None:
    """The hub sees the change: more minutes than before, rounded as a hub's figures are."""
    async with stage.step(6, f"{stage.hub.name} asks GraphQL for coverage, per school") as done:
        now = await _coverage(stage)
        if not now["figures"]["minutes"] > stage.before["figures"]["minutes"]:
            raise Refused("POST /graphql", 200, '{"detail": "The figures did not change."}')
        done(f"{_said(stage.before)} → {_said(now)}")
