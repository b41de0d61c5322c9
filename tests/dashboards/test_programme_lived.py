"""A programme lived through the API, from the strand to the day at the employer's: its figures move with each request."""

from typing import Any

import pytest

from tests.encounters.day import Visit, said, visit
from tests.programmes.pilot import Pilot, cost, pilot
from tests.world import World

pytestmark = pytest.mark.calendar

QUERY = """query One($id: ID!) { programme(id: $id) {
  strands { code figures { state rounded youngPeople minutes days noShows { count base } bm5 { count base }
    costPerPupilHour { value n } employerResponseHours { n value } requestsAnswered { count base } } }
  progress { measure reached lower upper expected outlook } } }"""


async def _asked(world: World, who: str, of: Pilot) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only strand's figures, and the only target."""
    token = world.token(who, frozenset({"coverage:read", "programmes:read"}))
    body = {"query": QUERY, "variables": {"id": of.id}}
    answer = await world.send(who, "POST", "/graphql", body, Authorization=f"Bearer {token}")
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]["programme"]
    return found["strands"][0]["figures"], found["progress"][0]


async def _begun(world: World) -> tuple[Pilot, str]:
    run = await pilot(world)
    strand = await run.strand("tour")
    await run.enrol("school_a", strand)
    await run.allocate("school_a", 10_000)
    await run.made("targets", {"measure": "young_people", "value": 3})
    return run, strand


async def _part_of(world: World, day: Visit, run: Pilot, strand: str) -> None:
    said_so = {"programme_id": run.id, "strand_id": strand}
    answer = await world.post("school_a", f"/v1/bookings/{day.booking}/assign", said_so)
    assert answer.status_code == 200, answer.text


async def test_a_booking_is_forecast_until_its_day_and_counted_after_it(world: World) -> None:
    run, strand = await _begun(world)
    async with visit(world, 3) as day:
        await _part_of(world, day, run, strand)
        ahead, target = await _asked(world, "school_a", run)
        assert (ahead["state"], ahead["youngPeople"], ahead["noShows"]["base"]) == ("KNOWN", 0, None)
        assert (ahead["requestsAnswered"], ahead["employerResponseHours"]["n"]) == (
            {"count": 1, "base": 1},
            1,
        )
        assert (target["reached"], target["lower"], target["upper"], target["expected"]) == (0, 3, 3, None)

        await day.at(5)
        told = await day.arrivals("employer_a", day.parts[:2], (day.parts[2],))
        assert told.status_code == 200, told.text
        _, target = await _asked(world, "school_a", run)
        assert (target["reached"], target["lower"], target["upper"], target["expected"]) == (0, 3, 3, 2), (
            "on the morning of the visit it is booked still"
        )
        await day.at(125)
        await day.attendance(
            "employer_a", [said(one, "present") for one in day.parts[:2]] + [said(day.parts[2], "no_show")]
        )
        listed = (await world.get("school_a", "/v1/no-shows?open=true")).json()["data"]
        (mine,) = [one for one in listed if one["booking_id"] == day.booking]
        await world.post("school_a", f"/v1/no-shows/{mine['id']}/resolve", {"resolution": "in_school"})
        assert await day.state() == "completed"
        spent = cost(world, "school_a", 4_000, stage="spend", booking_id=day.booking)
        assert (await run.add("costs", spent)).status_code == 201

        after, target = await _asked(world, "school_a", run)
        assert (after["youngPeople"], after["minutes"], after["days"], after["rounded"]) == (2, 240, 2, False)
        assert (after["noShows"], after["bm5"]) == ({"count": 1, "base": 3}, {"count": 0, "base": 2})
        assert after["costPerPupilHour"] == {"value": 1_000, "n": 1}
        assert (target["reached"], target["lower"], target["upper"], target["expected"]) == (2, 2, 2, 2)

        hub, target = await _asked(world, "hub_a", run)
        assert (hub["state"], hub["youngPeople"], hub["rounded"]) == ("WITHHELD", None, True)
        assert (target["reached"], target["outlook"]) == (None, "UNKNOWN")


async def test_a_visit_of_several_days_is_forecast_whole_while_it_lasts(world: World) -> None:
    run, strand = await _begun(world)
    await run.made("targets", {"measure": "minutes", "value": 10_000})
    async with visit(world, 2, sittings=3, kind="workplace_visit") as day:
        await _part_of(world, day, run, strand)
        for at in range(3):
            await day.at(at * 1440 + 30)
            ahead = await _minutes(world, run)
            assert (ahead["reached"], ahead["lower"], ahead["upper"]) == (0, 720, 720), at
            await day.at(at * 1440 + 125)
            await day.all_present("employer_a", at)
        assert await day.state() == "completed"
        after = await _minutes(world, run)
        assert (after["reached"], after["lower"], after["upper"]) == (720, 720, 720)
        await day.at(1440 + 30)
        amid = await _minutes(world, run)
        assert (amid["reached"], amid["lower"]) == (480, 720), "what is credited of a past day is not booked"


async def _minutes(world: World, run: Pilot) -> dict[str, Any]:
    token = world.token("school_a", frozenset({"coverage:read", "programmes:read"}))
    body = {"query": QUERY, "variables": {"id": run.id}}
    answer = await world.send("school_a", "POST", "/graphql", body, Authorization=f"Bearer {token}")
    progress = answer.json()["data"]["programme"]["progress"]
    return next(one for one in progress if one["measure"] == "MINUTES")
