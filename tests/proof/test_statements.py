"""How many SQL statements each main request sends, asserted exactly: none grows with the number of rows.

Counted by the doors of `core/db`: the entry of the transaction and the two statements of idempotency are among them,
BEGIN and COMMIT are not, and in development each read asks for the domain time. A figure that changes is changed here, on purpose.
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
    "request a booking": 0,
    "confirm": 0,
    "list bookings": 0,
    "read a booking": 0,
    "search slots": 0,
    "name 25 pupils": 0,
    "arrivals of 25": 0,
    "attendance of 25": 0,
    "a bulk of 500 pupils, new": 0,
    "a bulk of 500 pupils, unchanged": 0,
    "list pupils, as the school": 0,
    "list pupils, as a vendor": 0,
    "read the feed": 0,
    "coverage of a hub by school": 0,
}
COVERAGE = """{ hub { name coverage(by: SCHOOL) { totalCount edges { node { label figures { pupils minutes hours
  reached { count percent } bm5 { percent } bm6 { percent } } standsOn { rollComplete newestSync } } } } } }"""


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


async def _count(world: World, what: str, send: Callable[[], Awaitable[httpx.Response]], status: int = 200) -> Any:
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


@pytest.mark.parametrize("pupils", [25])
async def test_twenty_five_are_named(world: World, pupils: int) -> None:
    booking = await world.booking(state="confirmed", places=pupils)
    body = {"pupils": [{"pupil_id": await world.pupil("school_a")} for _ in range(pupils)]}
    path = f"/v1/bookings/{booking['id']}/participants"
    named = await _count(world, "name 25 pupils", lambda: world.post("school_a", path, body))
    assert len(named["data"]) == pupils


async def test_twenty_five_arrive_and_attend(world: World) -> None:
    async with visit(world, 25) as day:
        await day.at(5)
        await _count(world, "arrivals of 25", lambda: day.arrivals("employer_a", day.parts[1:], (day.parts[0],)))
        await day.at(130)
        reports = [said(one, "present") for one in day.parts]
        await _count(world, "attendance of 25", lambda: day.attendance("employer_a", reports))


async def test_five_hundred_pupils_are_sent(world: World) -> None:
    rows = [_row(at) for at in range(500)]
    path = f"/v1/schools/{world['school_a']}/pupils/bulk"
    for what, status in (("new", "created"), ("unchanged", "unchanged")):
        done = await _count(
            world, f"a bulk of 500 pupils, {what}", lambda: world.post("vendor", path, {"pupils": rows})
        )
        assert done[status] == 500


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
