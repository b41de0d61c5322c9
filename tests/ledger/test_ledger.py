"""The ledger on a real Postgres: balances and summaries are what the entries come to, whatever the history."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database, system
from app.core.ids import new_id
from app.ledger import service
from app.ledger.service import Credit
from app.rules.entitlement import DEFAULT_POLICY, Entry, credited
from app.rules.school_calendar import academic_year, london_midnight
from app.rules.words import ExperienceKind, Mode
from tests.world import World

KINDS = (ExperienceKind.WORKPLACE_VISIT, ExperienceKind.PLACEMENT, ExperienceKind.VIRTUAL_EXPERIENCE)


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True).open()
    yield made
    await made.close()


def _caller(world: World, who: str = "school_a") -> Caller:
    return Caller(world.clients[who], world[who], "school", frozenset(), wall_now())


async def _pupils(world: World, count: int, nc_year: str = "8") -> dict[UUID, int]:
    ids = [await world.pupil("school_a", nc_year) for _ in range(count)]
    rows = await world.owner.fetch("SELECT id, person_no FROM enrolments WHERE id = ANY ($1)", ids)
    return {row["id"]: row["person_no"] for row in rows}


def _credit(world: World, pupil: UUID, no: int, encounter: UUID, **more: Any) -> Credit:
    given: dict[str, Any] = {
        "on": date(2026, 10, 5),
        "nc_year": "8",
        "kind": KINDS[0],
        "mode": Mode.IN_PERSON,
        "in_person": 60,
        "virtual": 0,
    } | more
    return Credit(world["school_a"], pupil, no, encounter, happened_at=london_midnight(given["on"]), **given)


async def _recomputed(world: World, pupil: UUID) -> dict[str, int]:
    """The balance by plain arithmetic over the ledger's rows, encounter by encounter."""
    rows = await world.owner.fetch("SELECT * FROM ledger_entries WHERE enrolment_id = $1 ORDER BY id", pupil)
    gone = {row["reverses_id"] for row in rows if row["reverses_id"]}
    standing = [row for row in rows if row["entry"] != "reversal" and row["id"] not in gone]
    entries = [
        Entry(row["on_date"], row["nc_year"], ExperienceKind(row["kind"]), row["in_person_minutes"], row["virtual_minutes"])
        for row in standing
    ]  # fmt: skip
    kept = credited(entries, DEFAULT_POLICY)
    return {
        "minutes": sum(one.in_person + one.virtual for one in kept),
        "virtual_minutes": sum(one.virtual for one in kept),
        "days": len({one.on for one in kept if one.in_person + one.virtual}),
        "encounters": len({row["encounter_id"] for row in standing}),
        "bm5": len({row["encounter_id"] for row in standing if row["bm5"]}),
        "bm6": len({row["encounter_id"] for row in standing if row["bm6"]}),
    }


async def _summaries(world: World, table: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    rows = await world.owner.fetch(
        "SELECT academic_year, nc_year, kind, sum(minutes)::int, sum(virtual_minutes)::int, sum(encounters)::int,"
        f" sum(bm5)::int, sum(bm6)::int FROM {table} WHERE school_id = $1 GROUP BY 1, 2, 3",
        world["school_a"],
    )
    return {tuple(row)[:3]: tuple(row)[3:] for row in rows if any(tuple(row)[3:])}


async def _stands(world: World, pupils: dict[UUID, int]) -> None:
    for pupil in pupils:
        row = await world.owner.fetchrow("SELECT * FROM balances WHERE enrolment_id = $1", pupil)
        if row is None:
            continue
        wanted = await _recomputed(world, pupil)
        assert {name: row[name] for name in wanted} == wanted
    assert await _summaries(world, "summaries") == await _summaries(world, "yearly_balances")


@pytest.mark.parametrize("seed", range(5))
async def test_random_histories_give_balances_equal_to_a_recomputation(
    world: World, db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    pupils = await _pupils(world, 4)
    alive: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for _ in range(15):
        async with db.write(_caller(world)) as tx:
            if alive and chance.random() < 0.4:
                chosen = chance.sample(sorted(alive), k=min(len(alive), chance.randint(1, 2)))
                await service.reverse(tx, chosen)
                for one in chosen:
                    del alive[one]
                continue
            entries = []
            for pupil, no in chance.sample(sorted(pupils.items()), k=chance.randint(1, 4)):
                encounter = new_id()
                alive[encounter].append(pupil)
                facts = {"bm5": chance.random() < 0.5, "bm6": chance.random() < 0.3}
                kind, year = chance.choice(KINDS), chance.choice(("8", "10", "X"))
                for back in chance.sample(range(30), k=chance.randint(1, 3)):
                    minutes = {"in_person": chance.randint(0, 400), "virtual": chance.choice((0, 0, 90))}
                    on = date(2026, 9, 20) - timedelta(days=back)
                    more = {"on": on, "kind": kind, "nc_year": year, **minutes, **facts}
                    entries.append(_credit(world, pupil, no, encounter, **more))
            balances = await service.credit(tx, entries)
            assert set(balances) == {one.enrolment_id for one in entries}
        await _stands(world, pupils)


async def test_a_reversal_is_done_once_however_often_it_is_asked(world: World, db: Database) -> None:
    ((pupil, no),) = (await _pupils(world, 1)).items()
    encounter = new_id()
    async with db.write(_caller(world)) as tx:
        await service.credit(tx, [_credit(world, pupil, no, encounter)])

    async def undo() -> None:
        async with db.write(_caller(world)) as tx:
            await service.reverse(tx, [encounter])

    await asyncio.gather(*(undo() for _ in range(5)))
    entries = await world.owner.fetch("SELECT entry FROM ledger_entries WHERE encounter_id = $1", encounter)
    assert Counter(row["entry"] for row in entries) == {"credit": 1, "reversal": 1}
    await _stands(world, {pupil: no})


async def test_many_writers_over_the_same_pupils_lose_no_minute(world: World, db: Database) -> None:
    pupils = await _pupils(world, 6)
    chance = random.Random(7)

    async def work(at: int) -> None:
        mine = list(pupils.items())
        random.Random(at).shuffle(mine)
        async with db.write(_caller(world)) as tx:
            day = date(2026, 10, 1) + timedelta(days=at)
            await service.credit(
                tx, [_credit(world, p, no, new_id(), on=day, in_person=10) for p, no in mine]
            )

    jobs = list(range(20))
    chance.shuffle(jobs)
    await asyncio.gather(*(work(at) for at in jobs))
    rows = await world.owner.fetch(
        "SELECT minutes, days FROM balances WHERE enrolment_id = ANY ($1)", list(pupils)
    )
    assert [tuple(row) for row in rows] == [(200, 20)] * 6
    await _stands(world, pupils)


async def test_a_rebuild_restores_what_was_damaged_from_the_ledger_alone(world: World, db: Database) -> None:
    pupils = await _pupils(world, 3)
    async with db.write(_caller(world)) as tx:
        await service.credit(tx, [_credit(world, p, no, new_id(), bm5=True) for p, no in pupils.items()])
    names = ("balances", "yearly_balances", "summaries")

    async def picture() -> list[Any]:
        found = []
        for name in names:
            rows = await world.owner.fetch(
                f"SELECT to_jsonb(x) - 'updated_at' AS row FROM {name} x ORDER BY 1"
            )
            found.append([row["row"] for row in rows])
        return found

    before = await picture()
    await world.owner.execute("UPDATE balances SET minutes = 7, days = 9, bm5 = 4")
    await world.owner.execute("UPDATE yearly_balances SET minutes = minutes + 5, encounters = 0")
    await world.owner.execute("UPDATE summaries SET minutes = 1, bm6 = 3")
    assert await picture() != before
    owner = await Database(world.dsns.owner).open()
    try:
        async with owner.write(system()) as tx:
            assert await service.rebuild(tx, world["school_a"]) >= 3
    finally:
        await owner.close()
    assert await picture() == before


async def test_a_credit_of_25_pupils_takes_five_statements(world: World, db: Database) -> None:
    pupils = await _pupils(world, 25)
    async with db.write(_caller(world)) as tx:
        before = tx.statements
        await service.credit(tx, [_credit(world, p, no, new_id()) for p, no in pupils.items()])
        assert tx.statements - before == 5


async def test_nobody_credits_another_schools_pupils(world: World, db: Database) -> None:
    pupils = await _pupils(world, 1)
    before = await world.fingerprint()
    with pytest.raises(Exception, match="No such"):
        async with db.write(_caller(world, "school_b")) as tx:
            await service.credit(tx, [_credit(world, p, no, new_id()) for p, no in pupils.items()])
    assert await world.fingerprint() == before


async def test_the_academic_year_of_an_entry_is_that_of_its_day(world: World, db: Database) -> None:
    ((pupil, no),) = (await _pupils(world, 1)).items()
    days = (date(2026, 8, 31), date(2026, 9, 1))
    async with db.write(_caller(world)) as tx:
        await service.credit(tx, [_credit(world, pupil, no, new_id(), on=day) for day in days])
    rows = await world.owner.fetch(
        "SELECT academic_year FROM yearly_balances WHERE enrolment_id = $1 ORDER BY 1", pupil
    )
    assert [row["academic_year"] for row in rows] == [academic_year(day) for day in days] == [2025, 2026]


async def test_a_dated_policy_in_the_tables_goes_before_the_default(world: World, db: Database) -> None:
    ((pupil, no),) = (await _pupils(world, 1)).items()
    body = {
        "code": "trial",
        "total_minutes": 3000,
        "day_minutes": 300,
        "daily_cap": 100,
        "bands": [
            {"band": "years_7_9", "minutes": 60, "kinds": ["workplace_visit"], "virtual_share": "1/2"},
            {"band": "years_10_11", "minutes": 1500, "kinds": ["placement"], "virtual_share": "0"},
        ],
    }
    policy = await world.insert(
        "dated_policies", topic="entitlement", name="Trial", starts_on=date(2026, 9, 1), body=orjson.dumps(body).decode()
    )  # fmt: skip
    try:
        async with db.write(_caller(world)) as tx:
            balances = await service.credit(
                tx, [_credit(world, pupil, no, new_id(), in_person=40, virtual=200)]
            )
    finally:
        await world.owner.execute("DELETE FROM dated_policies WHERE id = $1", policy)
    found = balances[pupil]
    assert (found["minutes"], found["virtual_minutes"], found["activity_minutes"]) == (100, 60, 70)
