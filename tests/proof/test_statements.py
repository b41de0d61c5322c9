"""How many SQL statements each main request sends, asserted exactly: none grows with the number of rows.

Counted by the doors of `core/db`: the entry of the transaction and the two statements of idempotency are among them,
BEGIN and COMMIT are not, and in development each read asks for the domain time. A figure that changes is changed here,
on purpose.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.rules.upn import check_letter
from tests.encounters.day import said, visit
from tests.world import World

STATEMENTS = {
    "request a booking": 8,
    "confirm": 9,
    "list bookings": 2,
    "read a booking": 2,
    "search slots": 2,
    "name pupils": 11,
    "arrivals, one is missing": 8,
    "resolve a no-show": 10,
    "attendance, credited": 20,
    "a bulk of pupils, new": 11,
    "a bulk of pupils, unchanged": 7,
    "list pupils, as the school": 3,
    "list pupils, as a vendor": 4,
    "read the feed": 2,
    "coverage of a hub by school": 4,
    "gaps of a hub by school": 5,
}
COVERAGE = """{ hub { name coverage(by: SCHOOL) { totalCount edges { node { label figures { pupils minutes hours
  reached { count percent } bm5 { percent } bm6 { percent } } standsOn { rollComplete newestSync } } } } } }"""

GAPS = """{ hub { name gaps(by: SCHOOL) { totalCount edges { node { group value gap figures { pupils atZero { percent } }
  peers { pupils } schoolsTold schoolsUnknown standsOn { rollComplete } } } } } }"""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def signed(world: World) -> None:
    await world.insert(
        "agreements",
        controller_id=world["trust"],
        agreement_version="1",
        signed_on=date(2026, 9, 1),
        signatory_role="Head",
        lawful_basis="public task",
        recorded_by=world.clients["trust"],
    )


async def _count(
    world: World, what: str, send: Callable[[], Awaitable[httpx.Response]], status: int = 200
) -> Any:
    db = world.app.state.house.db
    before = db.statements
    answer = await send()
    sent = db.statements - before
    assert answer.status_code == status, answer.text
    assert sent == STATEMENTS[what], f"{what}: {sent} statements"
    return answer.json()


async def test_a_booking_is_requested_confirmed_listed_and_read(world: World) -> None:
    for _ in range(2):  # the second time, when every shape has been compiled
        slot = await world.slot()
        body = {"school_id": world["school_a"], "slot_id": slot, "places": 5, "nc_year": "8"}
        made = await _count(
            world, "request a booking", lambda body=body: world.post("school_a", "/v1/bookings", body), 201
        )
        path = f"/v1/bookings/{made['id']}"
        await _count(world, "confirm", lambda path=path: world.post("employer_a", f"{path}/confirm"))
        await _count(world, "read a booking", lambda path=path: world.get("school_a", path))
    for who in ("school_a", "employer_a"):
        await _count(world, "list bookings", lambda who=who: world.get(who, "/v1/bookings"))


async def test_slots_are_searched(world: World) -> None:
    query = "kind=workplace_tour&from=2026-11-22&to=2027-07-01&sector=life_sciences&year_group=8"
    found = await _count(world, "search slots", lambda: world.get("school_a", f"/v1/open-slots?{query}"))
    assert found["data"]


@pytest.mark.parametrize("pupils", [1, 25])
async def test_pupils_are_named(world: World, pupils: int) -> None:
    booking = await world.booking(state="confirmed", places=pupils)
    body = {"pupils": [{"pupil_id": await world.pupil("school_a")} for _ in range(pupils)]}
    path = f"/v1/bookings/{booking['id']}/participants"
    named = await _count(world, "name pupils", lambda: world.post("school_a", path, body))
    assert len(named["data"]) == pupils


@pytest.mark.parametrize("pupils", [2, 25])
async def test_they_arrive_and_attend(world: World, pupils: int) -> None:
    async with visit(world, pupils) as day:
        await day.at(5)
        there, missing = day.parts[1:], (day.parts[0],)
        await _count(world, "arrivals, one is missing", lambda: day.arrivals("employer_a", there, missing))
        asked = "SELECT id FROM no_shows WHERE booking_id = $1::uuid"
        path = f"/v1/no-shows/{await world.owner.fetchval(asked, day.booking)}/resolve"
        where = {"resolution": "in_school"}
        await _count(world, "resolve a no-show", lambda: world.post("school_a", path, where))
        await day.at(130)
        reports = [said(one, "present") for one in there]
        await _count(world, "attendance, credited", lambda: day.attendance("employer_a", reports))
        credited = await world.count("encounters", "booking_id = $1::uuid", day.booking)
        assert credited == pupils - 1


@pytest.mark.parametrize("pupils", [1, 500])
async def test_a_roll_is_sent(world: World, pupils: int) -> None:
    rows = [_row(pupils * 1000 + at) for at in range(pupils)]
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    for what, status in (("new", "created"), ("unchanged", "unchanged")):
        done = await _count(
            world, f"a bulk of pupils, {what}", lambda: world.post("vendor", path, {"pupils": rows})
        )
        assert done[status] == pupils


def _row(at: int) -> dict[str, Any]:
    number = f"9{at:011d}"
    return {
        "external_ref": f"P{at}",
        "upn": check_letter(number) + number,
        "given_name": "Ada",
        "family_name": "Example",
        "date_of_birth": "2014-03-09",
        "nc_year": "8",
    }


@pytest.mark.parametrize(("who", "what"), [("school_a", "the school"), ("vendor", "a vendor")])
async def test_pupils_are_listed(world: World, who: str, what: str) -> None:
    path = f"/v1/schools/{world['school_a']}/pupils?limit=100"
    found = await _count(world, f"list pupils, as {what}", lambda: world.get(who, path))
    assert len(found["data"]) > 10


async def test_the_feed_is_read(world: World) -> None:
    await world.owner.execute("SELECT app.number_events(1000)")
    found = await _count(world, "read the feed", lambda: world.get("school_a", "/v1/events?limit=100"))
    assert found["data"]


async def test_the_coverage_document_is_answered(world: World) -> None:
    found = await _count(
        world, "coverage of a hub by school", lambda: world.post("hub_a", "/graphql", {"query": COVERAGE})
    )
    assert "errors" not in found, found


async def test_gaps_are_answered_with_one_statement_more_than_coverage(world: World) -> None:
    found = await _count(
        world, "gaps of a hub by school", lambda: world.post("hub_a", "/graphql", {"query": GAPS})
    )
    assert "errors" not in found, found
