"""Pupils counted from balances and from the ledger are the same pupils with the same minutes, and both are the rules'.

Random histories of credits, corrections and reversals, by the service that keeps balances; then every pupil's figures
are asked for in both ways, and worked out again by `rules.entitlement` from the entries themselves.
"""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from app.core.clock import wall_now
from app.core.db import Database, system
from app.core.ids import new_id
from app.core.roles import Dsns
from app.ledger import service
from app.ledger.service import Credit
from app.rules import entitlement
from app.rules.entitlement import DEFAULT_POLICY, Entry, progress, toward
from app.rules.school_calendar import academic_year, last_day, usual_nc_year
from app.rules.words import EntitlementBand, ExperienceKind, Mode
from tests.today import TODAY, YEAR

pytestmark = pytest.mark.calendar

KINDS = (ExperienceKind.PLACEMENT, ExperienceKind.WORKPLACE_TOUR, ExperienceKind.VIRTUAL_EXPERIENCE)
YEARS = ("6", "8", "9", "10", "11", "X")
WANTED = ("minutes", "days", "activity", "placement", "bm5", "bm6")


@dataclass
class Lives:
    """Schools, pupils, and what happened to them."""

    owner: asyncpg.Connection
    db: Database
    chance: random.Random
    schools: list[UUID] = field(default_factory=list)
    mains: dict[UUID, list[UUID]] = field(default_factory=dict)
    who: dict[UUID, tuple[UUID, int]] = field(default_factory=dict)
    open: list[UUID] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)

    async def insert(self, table: str, **values: Any) -> UUID:
        row = {"id": new_id(), **values}
        marks = ", ".join(f"${at}" for at in range(1, len(row) + 1))
        await self.owner.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
        return UUID(str(row["id"]))

    async def enrol(self, person: UUID, no: int, school: UUID, kind: str) -> UUID:
        born = date(YEAR - self.chance.randint(10, 17), self.chance.choice((5, 10)), 1)
        pupil = await self.insert(
            "enrolments", school_id=school, person_id=person, person_no=no, kind=kind, given_name="A", family_name="B",
            starts_on=date(YEAR - 4, 9, 1), date_of_birth=born,
        )  # fmt: skip
        self.who[pupil] = (school, no)
        return pupil

    def credit(self, pupil: UUID, encounter: UUID) -> list[Credit]:
        """An encounter on one or two days, at random, perhaps over the end of an academic year."""
        first = TODAY - timedelta(
            days=self.chance.choice((0, 1, 2, 30, 31, 400, (TODAY - last_day(YEAR - 1)).days))
        )
        kind, parts, bm5 = self.chance.choice(KINDS), self.chance.randint(1, 2), self.chance.random() < 0.5
        here, there = self.chance.choice((0, 90, 300, 420)), self.chance.choice((0, 0, 60, 240))
        return [
            Credit(
                self.who[pupil][0],
                pupil,
                self.who[pupil][1],
                encounter,
                day,
                self.chance.choice(YEARS),
                kind,
                Mode.HYBRID,
                here,
                there,
                wall_now(),
                bm5=bm5,
                bm6=bm5 and here > 100,
            )
            for day in (first - timedelta(days=at) for at in range(parts))
        ]

    async def step(self) -> None:
        """Credit several pupils, correct one, or take one back; and note the moment after."""
        async with self.db.write(system()) as tx:
            what = self.chance.random()
            if what < 0.6 or not self.open:
                chosen = self.chance.sample(sorted(self.who), 3)
                made = [(pupil, new_id()) for pupil in chosen]
                await service.credit(tx, [one for pupil, key in made for one in self.credit(pupil, key)])
                self.open += [key for _, key in made]
            else:
                key = self.chance.choice(self.open)
                pupil = await self.owner.fetchval(
                    "SELECT enrolment_id FROM ledger_entries WHERE encounter_id = $1 LIMIT 1", key
                )
                again = self.credit(pupil, key) if what < 0.85 else []
                await service.move(tx, entries=again, reversed_ids=[key])
        self.moments.append(await self.owner.fetchval("SELECT clock_timestamp()"))


@pytest_asyncio.fixture(scope="module", params=[1, 2])
async def lives(request: pytest.FixtureRequest, dsns: Dsns) -> AsyncIterator[Lives]:
    owner = await asyncpg.connect(dsns.owner)
    db = await Database(dsns.owner, pool=1).open()
    made = Lives(owner, db, random.Random(request.param))
    for at in range(3):
        made.schools.append(await made.insert("organisations", kind="school", name=f"School {at}"))
    for at in range(12):
        person = new_id()
        no = await owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
        main = await made.enrol(person, no, made.schools[at % 2], "main")
        made.mains[main] = [main]
        if at % 3 == 0:
            made.mains[main].append(await made.enrol(person, no, made.schools[2], "guest"))
    for _ in range(60):
        await made.step()
    yield made
    await db.close()
    await owner.close()


async def counted(
    lives: Lives, on: date, year: int, known: datetime | None, *, only: bool
) -> dict[UUID, Any]:
    rows = await lives.owner.fetch(
        "SELECT * FROM app.counted_pupils($1, $2, $3, $4, $5, 1500)", lives.schools, on, year, only, known
    )
    return {row["enrolment_id"]: tuple(row[name] for name in WANTED) for row in rows}


async def by_the_rules(
    lives: Lives, on: date, year: int, known: datetime | None, *, only: bool
) -> dict[UUID, tuple[int, ...]]:
    """Every entry as it is, through `rules.entitlement`, registration by registration."""
    rows = await lives.owner.fetch(
        "SELECT l.*, e.date_of_birth FROM ledger_entries l JOIN enrolments e ON e.id = l.enrolment_id"
        " WHERE on_date <= $1 AND ($2::timestamptz IS NULL OR known_at <= $2)", on, known,
    )  # fmt: skip
    of: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        of[row["enrolment_id"]].append(row)
    return {
        main: tuple(map(sum, zip(*(_one(of[each], year, only=only) for each in every), strict=True)))
        for main, every in lives.mains.items()
    }


def _one(rows: list[Any], year: int, *, only: bool) -> tuple[int, ...]:
    born = rows[0]["date_of_birth"] if rows else None
    all_entries = [
        Entry(
            row["on_date"],
            row["nc_year"],
            ExperienceKind(row["kind"]),
            row["in_person_minutes"],
            row["virtual_minutes"],
        )
        for row in rows
    ]
    entries = [one for one in all_entries if not only or academic_year(one.on) == year]
    way = progress(entries, DEFAULT_POLICY, date_of_birth=born)
    kept = [one for one in entitlement.credited(entries, DEFAULT_POLICY) if one.in_person or one.virtual]
    days = len({(one.on, one.nc_year, one.kind) if only else one.on for one in kept})
    rules = {rule.band: toward(rule, kept, date_of_birth=born) for rule in DEFAULT_POLICY.bands}
    undone = {row["reverses_id"] for row in rows if row["entry"] == "reversal"}
    standing = [row for row in rows if row["entry"] != "reversal" and row["id"] not in undone]
    first: dict[UUID, Any] = {}
    for row in sorted(standing, key=lambda row: (row["encounter_id"], row["on_date"])):
        first.setdefault(row["encounter_id"], row)
    mine = [row for row in first.values() if not only or row["academic_year"] == year]
    return (
        way.credited, days, rules[EntitlementBand.YEARS_7_9], rules[EntitlementBand.YEARS_10_11],
        sum(row["bm5"] for row in mine), sum(row["bm6"] for row in mine),
    )  # fmt: skip


@pytest.mark.parametrize("only", [False, True])
async def test_balances_the_ledger_and_the_rules_agree_on_every_pupil_today(lives: Lives, only: bool) -> None:  # noqa: FBT001
    kept = await counted(lives, TODAY, YEAR, None, only=only)
    ledger = await counted(lives, TODAY, YEAR, wall_now() + timedelta(days=1), only=only)
    assert set(kept) == set(lives.mains)
    assert sum(one[0] for one in kept.values()) > 0
    assert kept == ledger
    assert _single(lives, kept) == _single(lives, await by_the_rules(lives, TODAY, YEAR, None, only=only))


@pytest.mark.parametrize("only", [False, True])
async def test_the_ledger_and_the_rules_agree_on_any_day_as_known_at_any_moment(
    lives: Lives,
    only: bool,  # noqa: FBT001
) -> None:
    for ago in (0, 1, 2, 35, 300, 450):
        on = TODAY - timedelta(days=ago)
        for known in (None, *lives.moments[::20]):
            found = await counted(lives, on, academic_year(on), known, only=only)
            said = await by_the_rules(lives, on, academic_year(on), known, only=only)
            assert _single(lives, found) == _single(lives, said), (on, known)


def _single(lives: Lives, found: dict[UUID, tuple[int, ...]]) -> dict[UUID, tuple[int, ...]]:
    """Virtual minutes of one year are capped over a person's registrations together: told apart below."""
    return {pupil: one for pupil, one in found.items() if len(lives.mains[pupil]) == 1 or one[2] < 750}


async def test_the_year_x_is_banded_by_the_date_of_birth_as_the_rules_do_it(lives: Lives) -> None:
    for born in (date(YEAR - 20, 1, 5), date(YEAR - 12, 8, 31), date(YEAR - 12, 9, 1), date(YEAR - 2, 3, 3)):
        said = await lives.owner.fetchval("SELECT app.settled_year('X', $1, $2)", born, YEAR)
        assert said == usual_nc_year(born, date(YEAR, 9, 1))
    assert await lives.owner.fetchval("SELECT app.settled_year(NULL, $1, $2)", TODAY, YEAR) is None
