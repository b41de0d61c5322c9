"""Kept cells: used while nothing has moved, exact the moment something has, kept again, restored by a rebuild."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import select

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.dashboards import service, sql, upkeep
from app.ledger import service as ledger
from app.ledger.service import Credit
from app.rules.entitlement import DEFAULT_POLICY
from app.rules.school_calendar import academic_year, london_midnight
from app.rules.words import ExperienceKind, Mode
from app.running import rebuild
from app.settings import Settings
from app.students.tables import enrolments
from tests.today import TODAY, YEAR, end_of
from tests.world import World

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True).open()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module")
async def worker(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REST_SECONDS", 0)


def caller(world: World, who: str = "school_a") -> Caller:
    return Caller(world.clients[who], world[who], "school", frozenset(), wall_now())


async def cells(db: Database, world: World, who: str = "school_a", day: date = TODAY) -> Any:
    async with db.read(caller(world, who)) as tx:
        rows = await sql.cells(
            tx, None, day, academic_year(day), service.marks(DEFAULT_POLICY), year_only=False
        )
    return sorted((tuple(row) for row in rows), key=str)


async def minutes(db: Database, world: World, who: str = "school_a", day: date = TODAY) -> int:
    return sum(row[5] for row in await cells(db, world, who, day))


async def credit(db: Database, world: World, pupil: UUID, how_much: int = 60, who: str = "school_a") -> None:
    async with db.write(caller(world, who)) as tx:
        no = await tx.value(select(enrolments.c.person_no).where(enrolments.c.id == pupil))
    one = Credit(
        world[who], pupil, no, new_id(), TODAY - timedelta(days=1), "8", ExperienceKind.WORKPLACE_VISIT, Mode.IN_PERSON,
        how_much, 0, london_midnight(TODAY),
    )  # fmt: skip
    async with db.write(caller(world, who)) as tx:
        await ledger.credit(tx, [one])


async def kept_is_used(world: World, who: str = "school_a") -> bool:
    asked = world[who], TODAY, YEAR, list(service.marks(DEFAULT_POLICY).values())
    return bool(
        await world.owner.fetchval("SELECT app.kept_of(ARRAY[$1::uuid], $2, $3, false, NULL, $4)", *asked)
    )


async def marks_of(world: World, who: str = "school_a") -> int:
    return await world.count("moved_schools", "school_id = $1", world[who])


async def test_a_credit_marks_its_school_once_and_counts_in_the_next_question(
    world: World, db: Database, worker: Database
) -> None:
    pupil = await world.pupil("school_a")
    await upkeep.keep_figures(worker)
    before = await minutes(db, world)
    assert await kept_is_used(world)
    await credit(db, world, pupil)
    assert (await marks_of(world), await kept_is_used(world)) == (1, False)
    assert await minutes(db, world) == before + 60
    assert await upkeep.keep_figures(worker) == 1
    assert (await marks_of(world), await kept_is_used(world)) == (0, True)
    assert await minutes(db, world) == before + 60


async def test_kept_rows_are_what_is_read(world: World, db: Database, worker: Database) -> None:
    await upkeep.keep_figures(worker)
    true = await cells(db, world)
    await world.owner.execute("UPDATE kept_cells SET minutes = minutes + 7")
    assert await cells(db, world) != true
    await world.owner.execute("UPDATE kept_cells SET minutes = minutes - 7")
    assert await cells(db, world) == true


async def test_no_pupil_balance_or_entry_is_read_for_a_question_of_today(
    world: World, worker: Database
) -> None:
    """So how many there are does not matter."""
    await upkeep.keep_figures(worker)
    app = await asyncpg.connect(world.dsns.app)
    try:
        async with app.transaction():
            await app.execute("SELECT app.enter($1, NULL, NULL)", world.clients["school_a"])
            asked = TODAY, YEAR, *service.marks(DEFAULT_POLICY).values()
            cells = await app.fetch(
                "SELECT * FROM app.coverage_cells(NULL, $1, $2, false, NULL, $3, $4, $5, $6)", *asked
            )
            await app.execute("SELECT * FROM app.coverage_kinds(NULL, $1, $2, true, NULL)", TODAY, YEAR)
            await app.execute("SELECT * FROM app.coverage_basis($1, NULL)", TODAY)
            touched = await app.fetch(
                "SELECT relname FROM pg_stat_xact_user_tables WHERE coalesce(seq_scan, 0) + coalesce(idx_scan, 0) > 0"
            )
    finally:
        await app.close()
    names = {row["relname"] for row in touched}
    assert cells
    assert "kept_cells" in names
    assert not [
        one for one in names if one.startswith(("ledger", "balances", "yearly", "enrolments", "nc_years"))
    ]


async def test_a_reader_that_began_before_a_credit_goes_on_seeing_what_was(
    world: World, db: Database, worker: Database
) -> None:
    pupil = await world.pupil("school_a")
    await upkeep.keep_figures(worker)
    async with db.read(caller(world)) as tx:
        first = await sql.cells(tx, None, TODAY, YEAR, service.marks(DEFAULT_POLICY), year_only=False)
        await credit(db, world, pupil)
        await upkeep.keep_figures(worker)
        again = await sql.cells(tx, None, TODAY, YEAR, service.marks(DEFAULT_POLICY), year_only=False)
    assert [tuple(row) for row in first] == [tuple(row) for row in again]


async def test_a_credit_that_commits_while_its_school_is_kept_leaves_the_school_to_be_counted_live(
    world: World, db: Database, worker: Database
) -> None:
    pupil = await world.pupil("school_a")
    await upkeep.keep_figures(worker)
    before = await minutes(db, world)
    async with db.write(caller(world)) as tx:
        no = await world.owner.fetchval("SELECT person_no FROM enrolments WHERE id = $1", pupil)
        one = Credit(
            world["school_a"], pupil, no, new_id(), TODAY, "8", ExperienceKind.WORKPLACE_VISIT, Mode.IN_PERSON, 30, 0,
            london_midnight(TODAY),
        )  # fmt: skip
        await ledger.credit(tx, [one])
        async with worker.write(upkeep.system()) as other:
            assert await service.keep(other, world["school_a"])  # does not see the credit, nor its mark
    assert (await marks_of(world), await kept_is_used(world)) == (1, False)
    assert await minutes(db, world) == before + 30


async def test_what_is_rolled_back_leaves_no_mark_and_what_follows_in_the_transaction_does(
    world: World, db: Database, worker: Database
) -> None:
    await upkeep.keep_figures(worker)
    pupil = await world.pupil("school_a")
    await upkeep.keep_figures(worker)
    change = "UPDATE nc_years SET nc_year = $2 WHERE enrolment_id = $1"
    async with world.owner.transaction():
        savepoint = world.owner.transaction()
        await savepoint.start()
        await world.owner.execute(change, pupil, "9")
        await savepoint.rollback()
        assert await marks_of(world) == 0
        await world.owner.execute(change, pupil, "9")
        await world.owner.execute(change, pupil, "10")
    assert await marks_of(world) == 1


async def test_a_second_registration_moves_the_main_school_too(
    world: World, db: Database, worker: Database
) -> None:
    main = await world.pupil("school_a")
    person = await world.owner.fetchrow("SELECT person_id, person_no FROM enrolments WHERE id = $1", main)
    guest = await world.insert(
        "enrolments", school_id=world["school_b"], **person, kind="guest", starts_on=TODAY,
        given_name="A", family_name="B", date_of_birth=date(YEAR - 12, 10, 1),
    )  # fmt: skip
    await upkeep.keep_figures(worker)
    before = await minutes(db, world)
    await credit(db, world, guest, 45, "school_b")
    assert (await marks_of(world), await marks_of(world, "school_b")) == (1, 1)
    assert await minutes(db, world) == before + 45


async def test_a_name_or_an_account_opened_with_nothing_moves_nobody(world: World, worker: Database) -> None:
    pupil = await world.pupil("school_a")
    await upkeep.keep_figures(worker)
    await world.owner.execute("UPDATE enrolments SET given_name = 'Bo' WHERE id = $1", pupil)
    await world.owner.execute(
        "INSERT INTO balances (enrolment_id, school_id, person_no) SELECT id, school_id, person_no FROM enrolments"
        " WHERE id = $1",
        pupil,
    )
    await world.owner.execute("UPDATE balances SET updated_at = now() WHERE enrolment_id = $1", pupil)
    assert await marks_of(world) == 0
    versions = await world.count("enrolments_known", "enrolment_id = $1", pupil)
    assert versions == 1


async def test_figures_change_by_the_calendar_alone_on_their_day(
    world: World, db: Database, worker: Database
) -> None:
    pupil = await world.pupil("school_a")
    await world.owner.execute(
        "UPDATE enrolments SET ends_on = $2 WHERE id = $1", pupil, TODAY + timedelta(days=5)
    )
    await upkeep.keep_figures(worker)
    here = sum(row[3] for row in await cells(db, world))
    try:
        await world.move_clock(datetime.now(UTC) + timedelta(days=4))
        assert sum(row[3] for row in await cells(db, world, day=TODAY + timedelta(days=4))) == here
        await world.move_clock(datetime.now(UTC) + timedelta(days=5))
        assert sum(row[3] for row in await cells(db, world, day=TODAY + timedelta(days=5))) == here - 1
        assert await upkeep.keep_figures(worker) >= 1  # its day is over
        assert sum(row[3] for row in await cells(db, world, day=TODAY + timedelta(days=5))) == here - 1
    finally:
        await world.move_clock(None)
    assert sum(row[3] for row in await cells(db, world)) == here


async def test_a_school_in_a_rush_is_kept_at_intervals_and_others_are_not_held_up(
    world: World, db: Database, worker: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, calm = await world.pupil("school_a"), await world.pupil("school_b")
    await upkeep.keep_figures(worker)
    monkeypatch.setattr(upkeep, "REST_SECONDS", 3600)
    await credit(db, world, busy)
    await world.owner.execute(
        "UPDATE kept_schools SET kept_at = now() - interval '2 hours' WHERE school_id = $1", world["school_b"]
    )
    await credit(db, world, calm, 60, "school_b")
    assert await upkeep.keep_figures(worker) == 1
    assert (await kept_is_used(world), await kept_is_used(world, "school_b")) == (False, True)


async def test_writers_and_keepers_at_once_leave_exact_figures_and_nobody_waits(
    world: World, db: Database, worker: Database
) -> None:
    pupils = [await world.pupil("school_c") for _ in range(4)]
    before = await minutes(db, world, "school_c")

    async def write(pupil: UUID) -> None:
        for _ in range(5):
            await credit(db, world, pupil, 10, "school_c")

    async def keep() -> None:
        for _ in range(10):
            await upkeep.keep_figures(worker)

    async def read() -> None:
        seen = before
        for _ in range(15):
            now = await minutes(db, world, "school_c")
            assert seen <= now <= before + 200
            seen = now

    await asyncio.gather(*(write(one) for one in pupils), keep(), keep(), read())
    assert await minutes(db, world, "school_c") == before + 200
    await upkeep.keep_figures(worker)
    assert await kept_is_used(world, "school_c")
    assert await minutes(db, world, "school_c") == before + 200
    doubled = await world.owner.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM kept_cells GROUP BY school_id, period, cut, nc_year, settled_year, kind,"
        " field_group, value HAVING count(*) > 1) x"
    )
    assert doubled == 0


async def test_a_rebuild_restores_balances_summaries_and_kept_figures_from_the_ledger(
    world: World, db: Database, worker: Database
) -> None:
    await credit(db, world, await world.pupil("school_a"), 300)
    await upkeep.keep_figures(worker)
    names = {
        "balances": "updated_at", "yearly_balances": "", "summaries": "", "kept_cells": "id", "kept_schools": "kept_at",
    }  # fmt: skip

    async def picture() -> dict[str, list[str]]:
        return {
            name: [
                row["row"]
                for row in await world.owner.fetch(
                    f"SELECT (to_jsonb(x) - '{but}')::text AS row FROM {name} x ORDER BY 1"
                )
            ]
            for name, but in names.items()
        }

    before = await picture()
    await world.owner.execute("UPDATE balances SET minutes = 7, activity_minutes = 9, bm5 = 4")
    await world.owner.execute("UPDATE yearly_balances SET minutes = minutes + 5, days = 0")
    await world.owner.execute("UPDATE summaries SET minutes = 1, bm6 = 3")
    await world.owner.execute("UPDATE kept_cells SET minutes = 1, reached = 0")
    await world.owner.execute("DELETE FROM moved_schools")
    assert await picture() != before
    settings = Settings(env="test", owner_database_url=world.dsns.owner)
    assert await rebuild(settings) == 3
    after = await picture()
    for name, rows in after.items():
        assert rows == before[name], name
    assert await kept_is_used(world)


@pytest.mark.parametrize(("age", "activity", "placement"), [(13, 300 + 750, 0), (15, 0, 300), (10, 0, 0)])
async def test_a_date_of_birth_that_is_put_right_bands_the_year_x_anew(
    world: World, db: Database, age: int, activity: int, placement: int
) -> None:
    last = end_of(4)  # the band is that of the academic year, so all days are to lie in one
    year = academic_year(last)
    pupil = await world.pupil("school_a", "8", born=date(year - 18, 10, 1))
    no = await world.owner.fetchval("SELECT person_no FROM enrolments WHERE id = $1", pupil)
    earned = [
        Credit(
            world["school_a"], pupil, no, new_id(), last - timedelta(days=at), "X", ExperienceKind.PLACEMENT, mode,
            here, there, london_midnight(TODAY),
        )
        for at, (mode, here, there) in enumerate([(Mode.IN_PERSON, 300, 0), *[(Mode.VIRTUAL, 0, 300)] * 3], 1)
    ]  # fmt: skip
    async with db.write(caller(world)) as tx:
        await ledger.credit(tx, earned)
    banded = "SELECT activity_minutes, placement_minutes FROM balances WHERE enrolment_id = $1"
    assert tuple(await world.owner.fetchrow(banded, pupil)) == (0, 0)
    path = f"/v1/schools/{world['school_a']}/pupils/{pupil}"
    etag = (await world.get("school_a", path)).headers["etag"]
    body = {"date_of_birth": date(year - age, 10, 1)}
    assert (await world.send("school_a", "PATCH", path, body, If_Match=etag)).status_code == 200
    assert tuple(await world.owner.fetchrow(banded, pupil)) == (activity, placement)
    await rebuild(Settings(env="test", owner_database_url=world.dsns.owner))
    assert tuple(await world.owner.fetchrow(banded, pupil)) == (activity, placement)


async def test_nobody_but_the_worker_keeps_and_nobody_reads_what_is_kept(world: World) -> None:
    app = await asyncpg.connect(world.dsns.app)
    try:
        for statement in (
            "SELECT * FROM kept_cells",
            "INSERT INTO moved_schools (school_id) VALUES (gen_random_uuid())",
            "SELECT app.keep_cells(gen_random_uuid(), current_date, 2026, 1, 1, 1, 1)",
            "SELECT * FROM app.cells_of('{}', current_date, 2026, false, NULL, 1, 1, 1, 1)",
            "SELECT * FROM app.counted_pupils('{}', current_date, 2026, false, NULL, 1)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
    finally:
        await app.close()
