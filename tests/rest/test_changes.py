"""What changed is told without loss: whenever a pull begins, whatever is open, and in whatever order it is committed."""

import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.ids import new_id
from app.core.paging import Horizon
from app.core.roles import Dsns
from app.worker import settle_changes
from tests.world import World

WRITERS, STEPS = 4, 120


@pytest_asyncio.fixture(scope="module")
async def worker(dsns: Dsns) -> AsyncIterator[Database]:
    db = await Database(dsns.worker, development=True, pool=2).open()
    await settle_changes(db)  # a copied database is another history: it gets its own epoch first
    yield db
    await db.close()


def changing_lists(world: World) -> dict[str, str]:
    """The lists of the contract that tell what changed, with an organisation that may read each."""
    readers = {"approvals": "hub_a", "suspensions": "hub_a", "contacts": "employer_a", "cover": "employer_a"}
    paths = world.app.openapi()["paths"]
    found = {
        path: readers.get(path.rpartition("/")[2], "school_a")
        for path, methods in paths.items()
        if any(one.get("name") == "changed_since" for one in methods.get("get", {}).get("parameters", ()))
    }
    assert len(found) >= 15, sorted(found)
    return found


async def pull(world: World, who: str, path: str, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """Every page of a list, and its horizon."""
    rows: list[dict[str, Any]] = []
    told: set[str] = set()
    while True:
        asked = "&".join(f"{name}={quote(str(value))}" for name, value in query.items() if value is not None)
        answer = await world.get(who, f"{path}?{asked}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["data"]
        told.add(page["horizon"])
        if page["next"] is None:
            assert len(told) == 1, told
            return rows, told.pop()
        query["after"] = page["next"]


class Writer:
    """A connection that adds and changes pupils of one school, and leaves its transactions open for as long as it likes."""

    def __init__(self, world: World, connection: asyncpg.Connection, chance: random.Random) -> None:
        self.world, self.connection, self.chance = world, connection, chance
        self.open: Any = None

    async def step(self, pupils: list[UUID]) -> None:
        if self.open is None:
            self.open = self.connection.transaction()
            await self.open.start()
        deed = self.chance.choice(
            (self.add, self.change, self.year, self.characteristic, self.reference, self.finish)
        )
        await deed(pupils)

    async def add(self, pupils: list[UUID]) -> None:
        person, pupil = new_id(), new_id()
        no = await self.connection.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
        await self.connection.execute(
            "INSERT INTO enrolments (id, school_id, person_id, person_no, starts_on, given_name, family_name,"
            " date_of_birth) VALUES ($1, $2, $3, $4, '2026-09-01', 'Ada', 'Example', '2014-03-09')",
            pupil,
            self.world["school_a"],
            person,
            no,
        )
        pupils.append(pupil)

    async def change(self, pupils: list[UUID]) -> None:
        await self._one(pupils, "UPDATE enrolments SET known_as = $2 WHERE id = $1", uuid4().hex[:8])

    async def year(self, pupils: list[UUID]) -> None:
        await self._one(
            pupils,
            "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)"
            " SELECT id, 2026, school_id, $2 FROM enrolments WHERE id = $1"
            " ON CONFLICT (enrolment_id, academic_year) DO UPDATE SET nc_year = excluded.nc_year",
            self.chance.choice("789"),
        )

    async def characteristic(self, pupils: list[UUID]) -> None:
        await self._one(
            pupils,
            "WITH old AS (UPDATE characteristics SET superseded_at = now()"
            " WHERE enrolment_id = $1 AND superseded_at IS NULL)"
            " INSERT INTO characteristics (id, school_id, enrolment_id, field_group, value, valid_from)"
            " SELECT gen_random_uuid(), school_id, id, 'sen', $2, '2026-09-01' FROM enrolments WHERE id = $1",
            self.chance.choice(("none", "support", "ehcp")),
        )

    async def reference(self, pupils: list[UUID]) -> None:
        await self._one(
            pupils,
            "WITH old AS (DELETE FROM pupil_refs WHERE enrolment_id = $1 AND org_id = school_id)"
            " INSERT INTO pupil_refs (school_id, org_id, external_ref, enrolment_id)"
            " SELECT school_id, school_id, $2, id FROM enrolments WHERE id = $1",
            uuid4().hex,
        )

    async def finish(self, _pupils: list[UUID]) -> None:
        ending, self.open = self.open, None
        if ending is not None:
            await (ending.rollback() if self.chance.random() < 0.2 else ending.commit())

    async def _one(self, pupils: list[UUID], statement: str, value: str) -> None:
        """Change a pupil that nobody else is changing: a writer that waited here would wait for itself."""
        if not pupils:
            return
        locked = await self.connection.fetchval(
            "SELECT id FROM enrolments WHERE id = $1 FOR UPDATE SKIP LOCKED", self.chance.choice(pupils)
        )
        if locked:
            await self.connection.execute(statement, locked, value)


@pytest.mark.parametrize("seed", range(6))
async def test_no_change_is_missed_whatever_is_open_when_a_pull_begins(
    world: World, worker: Database, dsns: Dsns, seed: int
) -> None:
    chance = random.Random(seed)
    path = f"/v1/schools/{world['school_a']}/pupils"
    copy: dict[str, Any] = {}
    horizon: str | None = None
    moment: datetime | None = None
    pupils: list[UUID] = []

    async def look() -> None:
        nonlocal horizon, moment
        begun = datetime.now(UTC)
        query = (
            {"changed_since": horizon}
            if seed % 2 == 0 or moment is None
            else {"updated_after": moment.isoformat()}
        )
        rows, horizon = await pull(world, "school_a", path, limit=chance.choice((1, 3, 50)), **query)
        copy.update({row["id"]: row for row in rows})
        moment = begun

    async with AsyncExitStack() as open_ones:
        writers = []
        for _ in range(WRITERS):
            connection = await asyncpg.connect(dsns.owner)
            open_ones.push_async_callback(connection.close)
            writers.append(Writer(world, connection, chance))
        for _ in range(STEPS):
            drawn = chance.random()
            if drawn < 0.75:
                await chance.choice(writers).step(pupils)
            elif drawn < 0.87:
                await settle_changes(worker)
            else:
                await look()
        for writer in writers:
            if writer.open is not None:
                await writer.open.commit()
    await look()
    whole, _ = await pull(world, "school_a", path)
    assert copy == {row["id"]: row for row in whole}
    await settle_changes(worker)
    _, horizon = await pull(world, "school_a", path, changed_since=horizon)
    again, _ = await pull(world, "school_a", path, changed_since=horizon)
    assert again == [], "once all is settled nothing comes again"


async def test_rows_of_a_transaction_that_was_open_are_seen_by_the_next_pull(
    world: World, dsns: Dsns
) -> None:
    """Case 14: `updated_at` is the beginning of the transaction, which the first pull has passed already."""
    path = f"/v1/schools/{world['school_b']}/pupils"
    writer = await asyncpg.connect(dsns.owner)
    try:
        async with writer.transaction():
            ids = []
            for _ in range(5):
                person, pupil = new_id(), new_id()
                no = await writer.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
                await writer.execute(
                    "INSERT INTO enrolments (id, school_id, person_id, person_no, starts_on, given_name, family_name,"
                    " date_of_birth) VALUES ($1, $2, $3, $4, '2026-09-01', 'Ada', 'Example', '2014-03-09')",
                    pupil, world["school_b"], person, no,
                )  # fmt: skip
                ids.append(str(pupil))
            begun = datetime.now(UTC)
            first = (await world.get("school_b", path)).json()["data"]
            assert not {row["id"] for row in first} & set(ids)
    finally:
        await writer.close()
    then = await world.get("school_b", f"{path}?updated_after={quote(begun.isoformat())}")
    assert set(ids) <= {row["id"] for row in then.json()["data"]}, "lost for good"


async def test_a_time_is_answered_by_the_mark_of_before_it(world: World, worker: Database) -> None:
    path = f"/v1/schools/{world['school_c']}/pupils"
    old = await world.pupil("school_c")
    await settle_changes(worker)
    settled = await world.owner.fetchval("SELECT settled FROM change_marks")
    now = datetime.now(UTC)
    await world.owner.execute("DELETE FROM change_moments")
    await world.owner.execute(
        "INSERT INTO change_moments (at, settled) VALUES ($1, $2)", now - timedelta(minutes=7), settled
    )
    new = await world.pupil("school_c")
    found, _ = await pull(world, "school_c", path, updated_after=now.isoformat())
    assert [row["id"] for row in found] == [str(new)]
    before, _ = await pull(world, "school_c", path, updated_after=(now - timedelta(minutes=3)).isoformat())
    assert {str(old), str(new)} <= {row["id"] for row in before}, "older than any mark kept: everything"


async def test_a_pull_on_a_list_of_every_kind(world: World, worker: Database) -> None:
    """Each list of the contract that takes `changed_since`, with every horizon that is not one of these data."""
    for path, who in changing_lists(world).items():
        at = path.replace("{school_id}", str(world["school_a"]))
        _, horizon = await pull(world, who, at)
        rows, _ = await pull(world, who, at, changed_since=horizon)
        mark = Horizon.read(horizon)
        assert mark is not None
        for sent, status, code in (
            (f"e1.{mark.settled}", 410, "position_gone"),
            (f"{mark.epoch}.{mark.settled + 1_000_000}", 409, "position_ahead"),
            ("17", 422, "invalid"),
            (f"{mark.epoch}.0{mark.settled}", 422, "invalid"),
        ):
            answer = await world.get(who, f"{at}?changed_since={sent}")
            assert (answer.status_code, answer.json()["code"]) == (status, code), (path, sent, answer.text)
        both = await world.get(who, f"{at}?changed_since={horizon}&updated_after=2026-09-01T00:00:00Z")
        assert both.status_code == 422, (path, rows)


async def test_what_every_such_list_shows_is_numbered(world: World) -> None:
    """Every table with a `changed_seq` has the trigger, and every list of the contract with a horizon has such a table."""
    numbered = {
        row["table"]
        for row in await world.owner.fetch(
            "SELECT tgrelid::regclass::text AS table FROM pg_trigger WHERE tgfoid = 'app.number_change'::regproc"
            " AND tgparentid = 0"
        )
    }
    having = {
        row["table"]
        for row in await world.owner.fetch(
            "SELECT attrelid::regclass::text AS table FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE attname = 'changed_seq' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        )
    }
    assert numbered == having
    named = {re.sub(r".*/", "", path).replace("-", "_") for path in changing_lists(world)}
    assert named - {"pupils", "cover"} == having - {"enrolments", "covers"}


async def test_a_horizon_of_data_that_were_restored_since_is_refused(world: World, worker: Database) -> None:
    """A restore makes the table of the mark anew, a failover changes the timeline, a copy the database: another epoch."""
    path = f"/v1/schools/{world['school_a']}/pupils"
    _, horizon = await pull(world, "school_a", path)
    page = (await world.get("school_a", f"{path}?limit=1")).json()
    await world.owner.execute("UPDATE change_marks SET identity = 'of another cluster'")
    await settle_changes(worker)
    refused = await world.get("school_a", f"{path}?changed_since={horizon}")
    assert (refused.status_code, refused.json()["code"]) == (410, "position_gone")
    if page["next"]:
        within = await world.get("school_a", f"{path}?limit=1&after={page['next']}")
        assert (within.status_code, within.json()["code"]) == (410, "position_gone")
    _, later = await pull(world, "school_a", path)
    assert (await world.get("school_a", f"{path}?changed_since={later}")).status_code == 200
