"""Bookings as parts of programmes: named when asked for, changed later by the school alone, written down."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.ids import new_id
from tests.programmes.pilot import TODAY, Pilot, pilot
from tests.world import World

pytestmark = pytest.mark.calendar


async def _ask(world: World, run: Pilot | None, who: str = "school_a", **more: Any) -> Any:
    asked = {"school_id": world["school_a"], "places": 2, "nc_year": "8"}
    asked |= {"slot_id": await world.slot()} if "slot_id" not in more else {}
    return await world.post(who, "/v1/bookings", asked | ({"programme_id": run.id} if run else {}) | more)


async def test_a_booking_names_the_programme_and_the_strand_it_is_of(world: World) -> None:
    run = await pilot(world, "trust")
    strand, other = await run.strand("tours"), await run.strand("projects")
    await run.enrol("school_a", strand)
    for who in ("school_a", "trust", "vendor"):
        made = await _ask(world, run, who, strand_id=strand)
        assert made.status_code == 201, made.text
    assert (await _ask(world, run)).status_code == 201  # of the programme, and of no strand of it
    assert (made.json()["programme_id"], made.json()["strand_id"]) == (run.id, strand)
    at_employers = await world.get("employer_a", f"/v1/bookings/{made.json()['id']}")
    assert (at_employers.json()["programme_id"], at_employers.json()["strand_id"]) == (None, None)
    for query, found in (
        (f"programme_id={run.id}", 4),
        (f"strand_id={strand}", 3),
        (f"strand_id={other}", 0),
    ):
        listed = await world.get("school_a", f"/v1/bookings?{query}")
        assert len(listed.json()["data"]) == found, query
    spying = await world.get("employer_a", f"/v1/bookings?programme_id={run.id}")
    assert (spying.status_code, spying.json()["code"]) == (403, "not_yours")


async def test_a_school_on_the_programme_as_a_whole_may_name_any_strand_of_it(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    await run.enrol("school_a")
    assert (await _ask(world, run, strand_id=strand)).status_code == 201


@pytest.mark.parametrize(
    ("case", "status", "code", "pointer"),
    [
        ("nowhere", 422, "unknown_programme", "/programme_id"),
        ("foreign", 422, "unknown_programme", "/programme_id"),
        ("no programme", 422, "programme_missing", "/programme_id"),
        ("no such strand", 422, "unknown_strand", "/strand_id"),
        ("another's strand", 422, "unknown_strand", "/strand_id"),
        ("removed strand", 422, "unknown_strand", "/strand_id"),
        ("other strand", 409, "not_enrolled", "/strand_id"),
        ("invited only", 409, "not_enrolled", "/programme_id"),
        ("left", 422, "unknown_programme", "/programme_id"),
        ("closed", 409, "outside_programme", "/programme_id"),
        ("over by then", 409, "outside_programme", "/programme_id"),
    ],
)
async def test_what_a_booking_may_not_be_part_of(
    world: World, case: str, status: int, code: str, pointer: str
) -> None:
    ends = TODAY + timedelta(days=20) if case == "over by then" else TODAY + timedelta(days=300)
    run, other = await pilot(world, ends_on=ends), await pilot(world)
    tours, gone, projects = [await run.strand(one) for one in ("tours", "gone", "projects")]
    theirs = await other.strand("tours")
    if case != "foreign":
        on = tours if case == "other strand" else None
        state = "invited" if case == "invited only" else "enrolled"
        part = await run.enrol("school_a", on, state=state)
    await world.send("hub_a", "DELETE", f"{run.path}/strands/{gone}")
    if case == "left":
        await world.post("hub_a", f"{run.path}/schools/{part['id']}/leave", {})
    if case == "closed":
        version = (await world.get("hub_a", run.path)).headers["etag"]
        await world.send("hub_a", "PATCH", run.path, {"state": "closed"}, If_Match=version)
    named: dict[str, Any] = {
        "nowhere": {"programme_id": str(uuid4())},
        "no programme": {"programme_id": None, "strand_id": tours},
        "no such strand": {"strand_id": str(new_id())},
        "another's strand": {"strand_id": theirs},
        "removed strand": {"strand_id": gone},
        "other strand": {"strand_id": projects},
    }
    slot = await world.slot()
    plain = await _ask(world, None, slot_id=slot)
    before = await world.fingerprint()
    given = {"programme_id": run.id} | named.get(case, {})
    await run.refused(await _ask(world, None, slot_id=slot, **given), status, code, pointer)
    later = await world.post("school_a", f"/v1/bookings/{plain.json()['id']}/assign", given)
    await run.refused(later, status, code, pointer)
    assert await world.fingerprint() == before


async def test_a_school_assigns_a_booking_later_and_its_history_says_so(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    await run.enrol("school_a", strand)
    made = (await _ask(world, None)).json()
    path = f"/v1/bookings/{made['id']}"
    given = {"programme_id": run.id, "strand_id": strand}
    before = await world.fingerprint()
    assert (await world.post("school_a", f"{path}/assign", given, If_Match='"v7"')).status_code == 412
    for who, status in (("employer_a", 403), ("school_c", 404), ("hub_a", 404), ("employer_b", 404)):
        token = world.token(who, frozenset({"bookings:write"}))
        answer = await world.post(who, f"{path}/assign", given, Authorization=f"Bearer {token}")
        assert answer.status_code == status, (who, answer.text)
    assert await world.fingerprint() == before
    done = await world.post("school_a", f"{path}/assign", given, If_Match='"v1"')
    assert (done.json()["programme_id"], done.headers["etag"]) == (run.id, '"v2"'), done.text
    again = await world.post("school_a", f"{path}/assign", given)
    assert (again.status_code, again.headers["etag"]) == (
        200,
        '"v2"',
    )  # it was so already: nobody is told twice
    await world.post("employer_a", f"{path}/confirm")
    none = await world.post("trust", f"{path}/assign", {})
    assert (none.json()["programme_id"], none.json()["state"]) == (None, "confirmed")
    lines = (await world.get("school_a", f"{path}/history")).json()["data"]
    assert [(one["no"], one["action"], one["programme_id"]) for one in lines] == [
        (1, "request", None), (2, "assign", run.id), (3, "confirm", run.id), (4, "assign", None),
    ]  # fmt: skip
    theirs = (await world.get("employer_a", f"{path}/history")).json()["data"]
    assert [(one["action"], one["programme_id"]) for one in theirs] == [("request", None), ("confirm", None)]
    told = await world.owner.fetch(
        "SELECT audience_id, count(*) AS n FROM events WHERE type = 'booking.assigned'"
        " AND order_key::text = $1 GROUP BY 1",
        made["id"],
    )
    assert [(row["audience_id"], row["n"]) for row in told] == [(world["school_a"], 2)]


async def test_what_fell_through_is_assigned_no_more(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    made = (await _ask(world, None)).json()
    await world.post("school_a", f"/v1/bookings/{made['id']}/cancel", {"reason_code": "not_needed"})
    answer = await world.post("school_a", f"/v1/bookings/{made['id']}/assign", {"programme_id": run.id})
    await run.refused(answer, 409, "not_from_this_state", None)


async def test_the_day_of_the_visit_in_london_is_what_counts(world: World) -> None:
    """A visit that begins on the last evening of a programme is still of it."""
    ends = TODAY + timedelta(days=25)
    run = await pilot(world, ends_on=ends)
    await run.enrol("school_a")
    for days, status in ((0, 201), (1, 409)):
        starts = datetime(ends.year, ends.month, ends.day, 10, tzinfo=UTC) + timedelta(days=days)
        assert (await _ask(world, run, slot_id=await world.slot(starts=starts))).status_code == status
