"""What `tendays generate` makes: the totals asked for, the same from the same seed, and balances a rebuild would give."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.embedded import EmbeddedPostgres
from app.core.roles import Dsns, clone_database, drop_database
from app.demo import generate as making
from app.demo.generate import Refused, Wanted, generate, planned, what_is_there
from app.demo.made_up import shared_out
from app.ledger import service as ledger
from app.rules.entitlement import Entry, credited, policy_on
from app.rules.words import ExperienceKind
from tests.conftest import TEMPLATE

WANTED = Wanted(schools=3, pupils=30, encounters=300, years=2, seed=7, today=date(2026, 11, 22))
MINUTES = ("in_person_minutes", "virtual_minutes")
KEPT = ("balances", "yearly_balances", "summaries")
# The numbers that Postgres gives, and the moments at which rows were written, are not the seed's.
LEFT_OUT = {"no", "person_no", "member_no", "created_at", "updated_at", "changed_seq", "recorded_at", "known_at",
            "roll_complete_at", "last_sync_at"}  # fmt: skip
TABLES = ("organisations", "memberships", "employers", "persons", "enrolments", "nc_years", "characteristics",
          "encounters", "ledger_entries", *KEPT, "school_states")  # fmt: skip


def _quiet(_pupils: int, _encounters: int) -> None:
    """Nobody watches."""


async def _rows(owner: asyncpg.Connection, table: str, left_out: set[str] = LEFT_OUT) -> list[dict[str, Any]]:
    rows = await owner.fetch(f"SELECT to_jsonb(x) AS row FROM {table} x ORDER BY to_jsonb(x)::text")
    found = [orjson.loads(row["row"]) for row in rows]
    return sorted(
        [{key: value for key, value in row.items() if key not in left_out} for row in found],
        key=lambda row: str(sorted(row.items())),
    )


@pytest_asyncio.fixture(scope="module")
async def owner(dsns: Dsns) -> AsyncIterator[asyncpg.Connection]:
    """The module's database with the set in it."""
    db = await Database(dsns.owner, pool=making.SIDE_BY_SIDE).open()
    made = await generate(db, WANTED, _quiet)
    assert (made.schools, made.pupils, made.encounters) == (3, 30, 300)
    await db.close()
    connection = await asyncpg.connect(dsns.owner)
    yield connection
    await connection.close()


async def test_the_totals_are_those_asked_for(owner: asyncpg.Connection) -> None:
    async def count(what: str) -> int:
        return int(await owner.fetchval(f"SELECT count(*) FROM {what}"))

    assert await count("organisations WHERE kind = 'school'") == 3
    assert await count("enrolments") == await count("persons") == 30
    assert await count("encounters") == 300
    assert await count("encounters WHERE academic_year NOT IN (2025, 2026)") == 0
    assert await count("events") == 0, "history tells nobody"
    assert await count("(SELECT DISTINCT kind FROM encounters) k") > 4


async def test_each_encounter_stands_in_the_ledger_with_its_minutes_on_its_days(
    owner: asyncpg.Connection,
) -> None:
    rows = await owner.fetch(
        "SELECT e.*, (SELECT jsonb_agg(jsonb_build_object('on', l.on_date, 'in_person', l.in_person_minutes, 'virtual',"
        " l.virtual_minutes) ORDER BY l.on_date) FROM ledger_entries l WHERE l.encounter_id = e.id AND l.bm5 = e.bm5"
        " AND l.bm6 = e.bm6 AND l.kind = e.kind AND l.mode = e.mode AND l.nc_year = e.nc_year AND l.entry = 'credit'"
        " AND l.academic_year = e.academic_year AND l.enrolment_id = e.enrolment_id AND l.employer_id = e.employer_id)"
        " AS entries FROM encounters e"
    )
    for row in rows:
        per_day = orjson.loads(row["per_day"])
        assert orjson.loads(row["entries"]) == per_day
        assert row["days"] == len(per_day)
        assert row["in_person_minutes"] + row["virtual_minutes"] == sum(
            one["in_person"] + one["virtual"] for one in per_day
        )
        assert (row["starts_on"].isoformat(), row["ends_on"].isoformat()) == (
            per_day[0]["on"],
            per_day[-1]["on"],
        )


async def test_no_placement_is_unlawful_and_every_nc_year_is_that_of_the_day(
    owner: asyncpg.Connection,
) -> None:
    assert not await owner.fetch("SELECT 1 FROM encounters WHERE kind = 'placement' AND nc_year::int < 10")
    assert not await owner.fetch(
        "SELECT 1 FROM encounters e LEFT JOIN nc_years n ON n.enrolment_id = e.enrolment_id"
        " AND n.academic_year = e.academic_year WHERE n.nc_year IS DISTINCT FROM e.nc_year"
    )


async def test_a_rebuild_changes_no_balance_and_no_summary(owner: asyncpg.Connection, dsns: Dsns) -> None:
    async def kept() -> dict[str, list[dict[str, Any]]]:
        return {table: await _rows(owner, table, {"updated_at"}) for table in KEPT}

    before = await kept()
    assert all(before.values())
    db = await Database(dsns.owner, pool=1).open()
    for school in planned(WANTED).schools:
        async with db.write(None) as tx:
            await ledger.rebuild(tx, school.id)
    await db.close()
    assert await kept() == before


async def test_balances_are_what_the_law_makes_of_the_ledger(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch("SELECT * FROM ledger_entries")
    policy = policy_on(WANTED.today)
    pupils = {row["enrolment_id"] for row in rows}
    for pupil in pupils:
        entries = [
            Entry(
                row["on_date"], row["nc_year"], ExperienceKind(row["kind"]), *(row[name] for name in MINUTES)
            )
            for row in rows
            if row["enrolment_id"] == pupil
        ]
        total = sum(one.in_person + one.virtual for one in credited(entries, policy))
        assert total == await owner.fetchval("SELECT minutes FROM balances WHERE enrolment_id = $1", pupil)
    assert await owner.fetchval("SELECT count(*) FROM balances") == len(pupils) < 30


async def test_the_same_seed_makes_the_same_and_another_seed_another(
    owner: asyncpg.Connection, cluster: EmbeddedPostgres
) -> None:
    async def made(seed: int) -> dict[str, list[dict[str, Any]]]:
        await clone_database(cluster.admin_dsn, TEMPLATE, "generated_again")
        again = cluster.dsns("generated_again")
        db = await Database(again.owner, pool=making.SIDE_BY_SIDE).open()
        try:
            await generate(db, replace(WANTED, seed=seed), _quiet)
            connection = await asyncpg.connect(again.owner)
            found = {table: await _rows(connection, table) for table in TABLES}
            await connection.close()
        finally:
            await db.close()
            await drop_database(cluster.admin_dsn, "generated_again")
        return found

    first = {table: await _rows(owner, table) for table in TABLES}
    assert await made(7) == first
    assert (await made(8))["balances"] != first["balances"]


async def test_what_was_interrupted_is_whole_and_the_same_command_goes_on(cluster: EmbeddedPostgres) -> None:
    wanted = replace(WANTED, schools=6, pupils=120, encounters=2_000)
    await clone_database(cluster.admin_dsn, TEMPLATE, "interrupted")
    dsns = cluster.dsns("interrupted")
    db = await Database(dsns.owner, pool=making.SIDE_BY_SIDE).open()
    owner = await asyncpg.connect(dsns.owner)
    told = asyncio.Event()

    def tell(_pupils: int, encounters: int) -> None:
        if encounters:
            told.set()

    work = asyncio.create_task(generate(db, wanted, tell))
    await told.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    there = await what_is_there(db, wanted)
    assert there < 6
    by_school = {one.id: one.encounters for one in planned(wanted).schools}
    for row in await owner.fetch("SELECT school_id, count(*) AS n FROM encounters GROUP BY 1"):
        assert row["n"] == by_school[row["school_id"]]
    with pytest.raises(Refused, match="Another set of 6 schools"):
        await generate(db, replace(wanted, seed=8), _quiet)
    await generate(db, wanted, _quiet)
    assert await what_is_there(db, wanted) == 6
    assert await owner.fetchval("SELECT count(*) FROM encounters") == 2_000
    await owner.close()
    await db.close()
    await drop_database(cluster.admin_dsn, "interrupted")


async def test_a_set_stands_beside_what_is_there(cluster: EmbeddedPostgres) -> None:
    await clone_database(cluster.admin_dsn, TEMPLATE, "beside")
    dsns = cluster.dsns("beside")
    owner = await asyncpg.connect(dsns.owner)
    await owner.execute(
        "INSERT INTO organisations (id, kind, name, urn) VALUES (gen_random_uuid(), 'school', 'A real one', '123456')"
    )
    before = await owner.fetchrow("SELECT * FROM organisations")
    db = await Database(dsns.owner, pool=making.SIDE_BY_SIDE).open()
    await generate(db, replace(WANTED, encounters=0), _quiet)
    assert await owner.fetchrow("SELECT * FROM organisations WHERE urn = '123456'") == before
    assert await owner.fetchval("SELECT count(*) FROM organisations WHERE kind = 'school'") == 4
    assert await owner.fetchval("SELECT count(*) FROM balances") == 0
    await owner.close()
    await db.close()
    await drop_database(cluster.admin_dsn, "beside")


@pytest.mark.parametrize(
    ("unfit", "told"),
    [({"pupils": 2}, "--pupils"), ({"years": 0}, "--years"), ({"years": 11}, "--years"), ({"schools": 0}, "--schools")],
)  # fmt: skip
def test_numbers_that_fit_nothing_are_refused_by_name(unfit: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        planned(replace(WANTED, **unfit))


@pytest.mark.parametrize("total", [0, 1, 7, 1_000])
def test_a_whole_is_shared_out_without_rest_and_nothing_goes_to_who_gets_nothing(total: int) -> None:
    parts = shared_out(total, [0.0, 0.3, 0.0, 2.5, 1.0, 0.0])
    assert sum(parts) == total
    assert parts[0] == parts[2] == parts[5] == 0
    assert min(parts) >= 0
