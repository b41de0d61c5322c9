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
from tests.programmes.pilot import ENDS, STARTS, cost
from tests.today import TODAY, date_in
from tests.world import World

pytestmark = pytest.mark.calendar

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
    "request a booking of a programme": 9,
    "assign a booking": 11,
    "begin a programme": 5,
    "add a strand": 8,
    "enrol a school": 10,
    "set a target": 10,
    "set money aside": 11,
    "record a cost": 14,
    "record a cost, as the school": 13,
    "a programme's money": 3,
    "a programme's history": 3,
    "export a programme's costs": 5,
    "import schools": 11,
    "import costs": 15,
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
    query = f"kind=workplace_tour&from={TODAY}&to={date_in(200)}&sector=life_sciences&year_group=8"
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


async def test_a_programme_is_run(world: World) -> None:
    begun = {"name": "Pilot", "starts_on": STARTS, "ends_on": ENDS, "budget_pence": 10_000}

    def hub(path: str, body: Any) -> Callable[[], Awaitable[httpx.Response]]:
        return lambda: world.post("hub_a", path, body)

    made = await _count(world, "begin a programme", hub("/v1/programmes", begun), 201)
    path, school = f"/v1/programmes/{made['id']}", world["school_a"]
    strand = await _count(world, "add a strand", hub(f"{path}/strands", {"code": "a", "name": "A"}), 201)
    part = {"school_id": school, "strand_id": strand["id"]}
    await _count(world, "enrol a school", hub(f"{path}/schools", part), 201)
    await _count(world, "set a target", hub(f"{path}/targets", {"measure": "schools", "value": 9}), 201)
    aside = {"school_id": school, "amount_pence": 5_000}
    await _count(world, "set money aside", hub(f"{path}/allocations", aside), 201)
    line = cost(world, "school_a", 10)
    for who in ("hub_a", "school_a"):
        counted = "record a cost" if who == "hub_a" else "record a cost, as the school"
        await _count(world, counted, lambda who=who: world.post(who, f"{path}/costs", line), 201)
    await _count(world, "a programme's money", lambda: world.get("hub_a", f"{path}/money"))
    await _count(world, "a programme's history", lambda: world.get("hub_a", f"{path}/changes"))
    await _count_export(world, f"{path}/export?part=costs")
    asked = {"school_id": school, "slot_id": await world.slot(), "places": 5, "nc_year": "8"}
    asked |= {"programme_id": made["id"], "strand_id": strand["id"]}
    booked = await _count(
        world, "request a booking of a programme", lambda: world.post("school_a", "/v1/bookings", asked), 201
    )
    assign = f"/v1/bookings/{booked['id']}/assign"
    await _count(
        world, "assign a booking", lambda: world.post("school_a", assign, {"programme_id": made["id"]})
    )


async def _count_export(world: World, path: str) -> None:
    db = world.app.state.house.db
    before = db.statements
    answer = await world.get("hub_a", path)
    assert (answer.status_code, db.statements - before) == (200, STATEMENTS["export a programme's costs"])


@pytest.mark.parametrize("rows", [2, 200])
async def test_tables_of_a_programme_are_imported(world: World, rows: int) -> None:
    begun = {"name": "Pilot", "starts_on": STARTS, "ends_on": ENDS, "budget_pence": 10_000_000}
    path = (await world.post("hub_a", "/v1/programmes", begun)).headers["location"]
    urn = await world.owner.fetchval("SELECT urn FROM organisations WHERE id = $1", world["school_a"])
    strands = "code,name,model\r\n" + "".join(f"s{at},Strand,\r\n" for at in range(rows))

    def send(part: str, table: str) -> Callable[[], Awaitable[httpx.Response]]:
        where = f"{path}/import?part={part}"
        return lambda: world.post("hub_a", where, table.encode(), Content_Type="text/csv")

    assert (await send("strands", strands)()).json()["created"] == rows
    schools = "school,strand,state,joined_on,own_budget\r\n"
    schools += "".join(f"{urn},s{at},enrolled,,none\r\n" for at in range(rows))
    assert (await _count(world, "import schools", send("schools", schools)))["created"] == rows
    costs = "id,external_ref,on_date,school,strand,booking,kind,stage,paid_by,amount,currency\r\n"
    costs += "".join(f",r{at},{STARTS},{urn},s{at},,kit,spend,school,1.50,GBP\r\n" for at in range(rows))
    assert (await _count(world, "import costs", send("costs", costs)))["created"] == rows


async def test_gaps_are_answered_with_one_statement_more_than_coverage(world: World) -> None:
    found = await _count(
        world, "gaps of a hub by school", lambda: world.post("hub_a", "/graphql", {"query": GAPS})
    )
    assert "errors" not in found, found
