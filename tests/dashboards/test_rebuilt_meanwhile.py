"""A rebuild, keepers and writers at once: no credit is lost, nobody is refused, and what is kept is the ledger's."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.dashboards import service, sql, upkeep
from app.ledger import service as ledger
from app.ledger.service import Credit
from app.rules.entitlement import DEFAULT_POLICY
from app.rules.school_calendar import london_midnight
from app.rules.words import ExperienceKind, Mode
from app.running import rebuild
from app.settings import Settings
from tests.dashboards import recount
from tests.today import TODAY, YEAR
from tests.world import World

pytestmark = pytest.mark.calendar

SCHOOLS = ("school_a", "school_b")


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True, pool=8).open()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module")
async def worker(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


def caller(world: World, who: str) -> Caller:
    return Caller(world.clients[who], world[who], "school", frozenset(), wall_now())


async def registered_twice(world: World, pupil: UUID) -> UUID:
    """A pupil of School A who is a guest at School B as well."""
    was = await world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", pupil)
    return await world.insert(
        "enrolments", school_id=world["school_b"], person_id=was["person_id"], person_no=was["person_no"], kind="guest",
        starts_on=was["starts_on"], given_name="Ada", family_name="Example", date_of_birth=was["date_of_birth"],
    )  # fmt: skip


async def picture(world: World) -> dict[str, list[str]]:
    names = {"balances": "updated_at", "yearly_balances": "", "summaries": ""}
    return {
        name: [
            row["row"]
            for row in await world.owner.fetch(f"SELECT (to_jsonb(x) - '{but}')::text AS row FROM {name} x ORDER BY 1")
        ]
        for name, but in names.items()
    }  # fmt: skip


@dataclass
class Rush:
    """Writers of two schools, keepers and rebuilds at once."""

    world: World
    db: Database
    worker: Database
    pupils: dict[str, list[UUID]]
    numbers: dict[UUID, int]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    made: dict[str, list[UUID]] = field(default_factory=lambda: {who: [] for who in SCHOOLS})
    over: bool = False

    def credit_of(self, who: str, pupil: UUID, encounter: UUID) -> Credit:
        on = TODAY - timedelta(days=self.chance.randint(1, 4))
        kind = self.chance.choice((ExperienceKind.WORKPLACE_VISIT, ExperienceKind.PLACEMENT))
        return Credit(
            self.world[who], pupil, self.numbers[pupil], encounter, on, "8", kind, Mode.IN_PERSON,
            self.chance.choice((60, 290)), 0, london_midnight(on), bm5=self.chance.random() < 0.5,
        )  # fmt: skip

    async def credit(self, who: str) -> None:
        for _ in range(15):
            given = {new_id(): one for one in self.chance.sample(self.pupils[who], 3)}
            async with self.db.write(caller(self.world, who)) as tx:
                await ledger.credit(tx, [self.credit_of(who, one, key) for key, one in given.items()])
            self.made[who] += given

    async def correct(self, who: str) -> None:
        for _ in range(20):
            if self.made[who]:
                one = self.chance.choice(self.made[who])
                async with self.db.write(caller(self.world, who)) as tx:
                    await ledger.reverse(tx, [one])
            await asyncio.sleep(0.01)

    async def keep(self) -> None:
        while not self.over:
            await upkeep.keep_figures(self.worker)
            await asyncio.sleep(0.01)

    async def rebuild(self) -> int:
        settings, times = Settings(env="test", owner_database_url=self.world.dsns.owner), 0
        while not self.over:
            await rebuild(settings)
            times += 1
        return times

    async def run(self) -> int:
        """Gives how many rebuilds there were meanwhile."""
        kept, rebuilt = asyncio.create_task(self.keep()), asyncio.create_task(self.rebuild())
        acts = (self.credit, self.credit, self.correct, self.correct)
        await asyncio.gather(*(act(who) for who in SCHOOLS for act in acts))
        self.over = True
        await kept
        return await rebuilt


async def test_a_rebuild_while_writes_go_on_loses_nothing(
    world: World, db: Database, worker: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "REST_SECONDS", 0)
    mine = [await world.pupil("school_a") for _ in range(6)]
    guests = [await registered_twice(world, one) for one in mine[:4]]
    theirs = [await world.pupil("school_b") for _ in range(2)]
    rows = await world.owner.fetch("SELECT id, person_no FROM enrolments")
    pupils = {"school_a": mine, "school_b": [*theirs, *guests]}
    rush = Rush(world, db, worker, pupils, {row["id"]: row["person_no"] for row in rows})
    assert await rush.run() > 1
    state, entries = await recount.state_of(world.owner), await recount.ledger_of(world.owner)
    taken = [row["reverses_id"] for row in entries if row["reverses_id"]]
    assert len(taken) == len(set(taken)), "nothing is taken back twice"
    for who in SCHOOLS:
        found = recount.pupils(state, entries, {world[who]}, TODAY, YEAR, only=False)
        async with db.read(caller(world, who)) as tx:
            cells = await sql.cells(tx, None, TODAY, YEAR, service.marks(DEFAULT_POLICY), year_only=False)
        assert {tuple(row)[:3]: tuple(row)[3:] for row in cells} == recount.cells(found), who
    before = await picture(world)
    await rebuild(Settings(env="test", owner_database_url=world.dsns.owner))
    assert await picture(world) == before
