"""What becomes true by the date alone: the clock is moved, the worker's task writes it down and tells it, once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.roles import Dsns
from app.employers.upkeep import turn_approvals, turn_cover
from app.organisations.upkeep import turn_memberships
from app.students.upkeep import turn_pupils
from app.worker import settle_changes
from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

NOON = datetime.now(UTC).replace(hour=12)


@pytest_asyncio.fixture(scope="module")
async def worker(dsns: Dsns) -> AsyncIterator[Database]:
    db = await Database(dsns.worker, development=True, pool=4).open()
    yield db
    await db.close()


@pytest_asyncio.fixture(autouse=True)
async def clock(world: World, worker: Database) -> AsyncIterator[None]:
    for turn in (turn_pupils, turn_memberships, turn_cover, turn_approvals):
        await turn(worker)
    yield
    await world.move_clock(None)


async def events(world: World, kind: str, key: UUID) -> list[dict[str, Any]]:
    rows = await world.owner.fetch(
        "SELECT convert_from(body, 'UTF8') AS body FROM events WHERE type = $1 AND order_key = $2 ORDER BY seq",
        kind,
        key,
    )
    return [orjson.loads(row["body"]) for row in rows]


async def later(world: World, days: int) -> None:
    await world.move_clock(NOON + timedelta(days=days))


async def test_a_pupil_has_left_after_the_last_day(world: World, worker: Database) -> None:
    pupil, other = await world.pupil("school_a"), await world.pupil("school_a")
    await world.owner.execute(
        "UPDATE enrolments SET ends_on = $2 WHERE id = $1", pupil, TODAY + timedelta(days=10)
    )
    await settle_changes(worker)
    await settle_changes(worker)
    path = f"/v1/schools/{world['school_a']}/pupils"
    horizon = (await world.get("school_a", path)).json()["horizon"]
    await later(world, 10)
    assert await turn_pupils(worker) == 0, "the last day is not over"
    await later(world, 11)
    assert await turn_pupils(worker) == 1
    assert await turn_pupils(worker) == 0, "once"
    stored = await world.owner.fetchrow("SELECT state, version FROM enrolments WHERE id = $1", pupil)
    assert tuple(stored) == ("left", 2)
    (told,) = await events(world, "pupil.state_changed", pupil)
    assert told["data"] == {"pupil_id": str(pupil), "state": "left", "version": 2}
    assert told["audience"] == {"side": "school", "id": str(world["school_a"])}
    assert await world.owner.fetchval("SELECT state FROM enrolments WHERE id = $1", other) == "active"
    changed = (await world.get("school_a", f"{path}?changed_since={horizon}")).json()["data"]
    assert [row["id"] for row in changed] == [str(pupil)]


async def test_a_claim_becomes_the_enrolment_when_the_other_has_ended(world: World, worker: Database) -> None:
    """Case 22: by itself, with an event; of two claims one, whoever works on them at once."""
    first = await world.pupil("school_a")
    person = await world.owner.fetchrow("SELECT person_id, person_no FROM enrolments WHERE id = $1", first)
    await world.owner.execute(
        "UPDATE enrolments SET ends_on = $2 WHERE id = $1", first, TODAY + timedelta(days=5)
    )
    claims = [
        await world.insert(
            "enrolments", school_id=world[school], person_id=person["person_id"], person_no=person["person_no"],
            starts_on=TODAY, given_name="Ada", family_name="Example", date_of_birth=TODAY.replace(year=2014),
            state="claimed",
        )
        for school in ("school_b", "school_c")
    ]  # fmt: skip
    assert await turn_pupils(worker) == 0
    await later(world, 6)
    both = await asyncio.gather(turn_pupils(worker), turn_pupils(worker))
    assert sum(both) == 2, "one has left, and one claim is active"
    states = await world.owner.fetch("SELECT id, state FROM enrolments WHERE id = ANY ($1)", claims)
    assert sorted(row["state"] for row in states) == ["active", "claimed"]
    active = next(row["id"] for row in states if row["state"] == "active")
    assert [one["data"]["state"] for one in await events(world, "pupil.state_changed", active)] == ["active"]


async def test_a_characteristic_recorded_ahead_changes_its_pupil_on_its_day(
    world: World, worker: Database
) -> None:
    pupil = await world.pupil("school_a")
    await world.insert(
        "characteristics", school_id=world["school_a"], enrolment_id=pupil, field_group="sen", value="K",
        valid_from=TODAY + timedelta(days=3),
    )  # fmt: skip
    before = await world.owner.fetchval("SELECT changed_seq FROM enrolments WHERE id = $1", pupil)
    await later(world, 2)
    await turn_pupils(worker)
    assert await world.owner.fetchval("SELECT changed_seq FROM enrolments WHERE id = $1", pupil) == before
    await later(world, 4)
    await turn_pupils(worker)
    assert await world.owner.fetchval("SELECT changed_seq FROM enrolments WHERE id = $1", pupil) > before


async def test_a_membership_begins_and_ends_by_its_dates(world: World, worker: Database) -> None:
    member = await world.insert("organisations", kind="school", name="New School", urn="987654")
    no = await world.owner.fetchval("SELECT no FROM organisations WHERE id = $1", member)
    row = await world.insert(
        "memberships", member_id=member, member_no=no, parent_id=world["hub_a"], kind="hub",
        starts_on=TODAY + timedelta(days=2), ends_on=TODAY + timedelta(days=4),
    )  # fmt: skip
    assert await turn_memberships(worker) == 0
    for day, told in ((1, 0), (2, 1), (3, 1), (4, 2), (9, 2)):
        await later(world, day)
        await turn_memberships(worker)
        found = await events(world, "membership.changed", row)
        assert len(found) == 2 * told, day
    assert {one["audience"]["id"] for one in found} == {str(member), str(world["hub_a"])}


async def test_cover_and_approvals_run_out_by_their_dates(world: World, worker: Database) -> None:
    employer = world["employer_a"]
    cover = await world.insert(
        "covers", employer_id=employer, kind="policy", liability="public_liability", insurer="Mutual",
        policy_number="P-2", limit_pence=1_000, starts_on=TODAY + timedelta(days=1), expires_on=TODAY + timedelta(days=3),
    )  # fmt: skip
    approval = await world.insert(
        "approvals", approver_id=world["hub_a"], employer_id=employer, site_id=world["employer_a.site"],
        kind="placement", activity_band="low", approved_on=TODAY, expires_on=TODAY + timedelta(days=3),
    )  # fmt: skip
    for day, of_cover, of_approval in ((0, 0, 0), (1, 1, 0), (3, 1, 0), (4, 2, 2), (5, 2, 2)):
        await later(world, day)
        await turn_cover(worker)
        await turn_approvals(worker)
        assert len(await events(world, "cover.changed", cover)) == of_cover, day
        assert len(await events(world, "approval.changed", approval)) == of_approval, day
    told = await events(world, "approval.changed", approval)
    assert [one["data"]["state"] for one in told] == ["expired"] * 2
    assert {one["audience"]["side"] for one in told} == {"employer", "hub"}


async def test_a_bad_row_stops_no_other(world: World, worker: Database) -> None:
    pupils = [await world.pupil("school_c") for _ in range(3)]
    await world.owner.execute("UPDATE enrolments SET ends_on = $2 WHERE id = ANY ($1)", pupils, TODAY)
    bad = min(pupils)
    await world.owner.execute(f"""
        CREATE FUNCTION app.refuse_one() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN IF NEW.id = '{bad}' THEN RAISE EXCEPTION 'bad row'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER zz_bad BEFORE UPDATE ON enrolments FOR EACH ROW EXECUTE FUNCTION app.refuse_one()""")
    try:
        await later(world, 1)
        assert await turn_pupils(worker) == 2
    finally:
        await world.owner.execute("DROP TRIGGER zz_bad ON enrolments; DROP FUNCTION app.refuse_one()")
    assert await turn_pupils(worker) == 1
