"""`tendays generate`: schools, pupils and years of encounters by the hundred thousand, for measuring. Made up, from a seed.

One set to a database in development, beside whatever is there. A school is one transaction: what is interrupted is
whole as far as it goes, and the same command goes on with the schools that are missing. Emits no events.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import islice
from uuid import UUID

from app.core.clock import wall_now
from app.core.db import SYSTEM, Database, Writer
from app.demo import sql
from app.demo.made_up import (
    Days,
    Employer,
    Happening,
    Ids,
    Pupil,
    Share,
    eagerness,
    happening,
    names,
    roll,
    shared_out,
    shares,
    time_here,
)
from app.employers import sql as employers
from app.encounters import sql as encounters
from app.ledger import history
from app.ledger.history import Account, Earned
from app.organisations import sql as organisations
from app.rules.school_calendar import academic_year, first_day
from app.rules.words import CHARACTERISTIC_GROUPS, Sector
from app.students import sql as students

AT_ONCE = 20_000
"""Encounters held in memory at a time, for each school under way."""
SIDE_BY_SIDE = 2
"""Schools under way: while Postgres writes the rows of one, those of another are made."""
FIRST_URN, LAST_URN = 800_000, 899_999
"""A range of URNs that no school has, and nothing else of ours uses."""
PER_HUB, PER_TRUST = 100, 8


class Refused(Exception):
    """Nothing was made; the message says why, in one line."""


@dataclass(frozen=True)
class Wanted:
    """How much: all of them totals. `today` anchors it; encounters lie in its academic year and the `years` - 1 before."""

    schools: int
    pupils: int
    encounters: int
    years: int
    seed: int
    today: date

    @property
    def year(self) -> int:
        """The present academic year."""
        return academic_year(self.today)

    @cached_property
    def name(self) -> str:
        """What makes this set another than that: the same name, the same rows."""
        return f"{self.schools}/{self.pupils}/{self.encounters}/{self.years}/{self.seed}/{self.year}"

    @cached_property
    def days(self) -> Mapping[int, Days]:
        """The school days that are over, by academic year."""
        # A set begun yesterday goes on today with the same days: those before the first of this month.
        until = max(self.today.replace(day=1), first_day(self.year) + timedelta(days=14))
        first = self.year - self.years + 1
        return {
            year: Days(year, min(until, self.today) if year == self.year else date.max)
            for year in range(first, self.year + 1)
        }

    @cached_property
    def lengths(self) -> Mapping[int, float]:
        """How long each of these years has been, 1 for a whole one."""
        return {year: min(1.0, len(days) / 170) for year, days in self.days.items()}

    def chance(self, what: str) -> random.Random:
        """A source of chance of its own for each part, so that parts can be made in any order."""
        return random.Random(f"{self.name} {what}")  # noqa: S311  (made-up people, not secrets)


@dataclass(frozen=True, slots=True)
class School:
    """One school to be made, with its parts of the whole."""

    number: int
    id: UUID
    name: str
    pupils: int
    encounters: int


@dataclass(frozen=True)
class Plan:
    """Who there will be: everything but pupils and what they do."""

    wanted: Wanted
    hubs: list[UUID]
    trusts: list[UUID]
    schools: list[School]
    employers: list[Employer]


@dataclass(frozen=True)
class Made:
    """What is there afterwards."""

    hubs: list[UUID]
    schools: int
    pupils: int
    encounters: int


Told = Callable[[int, int], None]
"""Told as it goes: pupils and encounters that have been added."""


def planned(wanted: Wanted) -> Plan:
    """The plan of a set. Refuses numbers that fit nothing."""
    _refuse_unfit(wanted)
    chance = wanted.chance("plan")
    ids = Ids(chance, 0, wanted.year)
    hubs = [ids() for _ in range(-(-wanted.schools // PER_HUB))]
    trusts = [ids() for _ in range(-(-wanted.schools * 2 // 5 // PER_TRUST))]
    sizes = [chance.uniform(0.5, 1.5) for _ in range(wanted.schools)]
    pupils = [1 + more for more in shared_out(wanted.pupils - wanted.schools, sizes)]
    keen = [size * chance.lognormvariate(0, 0.25) for size in pupils]
    counts = shared_out(wanted.encounters, keen)
    called = names()
    schools = [
        School(at + 1, ids(), f"{next(called)} School", pupils[at], counts[at])
        for at in range(wanted.schools)
    ]
    firms = [
        Employer(ids(), f"{name} Ltd") for name in islice(names(), max(20, min(2_000, 3 * wanted.schools)))
    ]
    return Plan(wanted, hubs, trusts, schools, firms)


def _refuse_unfit(wanted: Wanted) -> None:
    if not 1 <= wanted.schools <= LAST_URN - FIRST_URN + 1:
        raise Refused(f"--schools is between 1 and {LAST_URN - FIRST_URN + 1}.")
    if wanted.pupils < wanted.schools:
        raise Refused("--pupils is of all schools together: each has one at least.")
    if not 1 <= wanted.years <= 10:  # noqa: PLR2004  (what has partitions)
        raise Refused("--years is between 1 and 10.")
    if not any(wanted.lengths.values()):
        raise Refused("No school day of these years is over yet: take more --years.")


async def generate(db: Database, wanted: Wanted, told: Told) -> Made:
    """Make what is missing of a set, as the database's owner; `db` has SIDE_BY_SIDE connections at least.

    Raises Refused where there is another set. Cancelled, it leaves whole schools.
    """
    plan = planned(wanted)
    async with db.write(None) as tx:
        await sql.alone(tx)
        others = await sql.schools_between(tx, str(FIRST_URN), str(LAST_URN))
        if others and not set(others) <= {school.id for school in plan.schools}:
            raise Refused(
                f"Another set of {len(others)} schools is there, and a database holds one: "
                "`tendays reset`, or take another database."
            )
        if not others:
            await _begin(tx, plan)
        done = await sql.with_rolls(tx, [school.id for school in plan.schools])
    for school in plan.schools:
        if school.id in done:
            told(school.pupils, school.encounters)
    missing = [school for school in plan.schools if school.id not in done]
    waiting = iter(missing)
    async with asyncio.TaskGroup() as side_by_side:
        for _ in range(SIDE_BY_SIDE):
            side_by_side.create_task(_fill_schools(db, plan, waiting, told))
    if missing:
        async with db.write(None) as tx:
            await sql.analyse(tx)
    return Made(plan.hubs, wanted.schools, wanted.pupils, wanted.encounters)


async def what_is_there(db: Database, wanted: Wanted) -> int:
    """How many schools of a set are there, whole."""
    async with db.write(None) as tx:
        return len(await sql.with_rolls(tx, [school.id for school in planned(wanted).schools]))


async def _fill_schools(db: Database, plan: Plan, waiting: Iterator[School], told: Told) -> None:
    for school in waiting:
        async with db.write(None) as tx:
            await _fill(tx, plan, school, told)


# --- organisations --------------------------------------------------------------------------------


async def _begin(tx: Writer, plan: Plan) -> None:
    year = plan.wanted.year
    chance, ids = plan.wanted.chance("organisations"), Ids(plan.wanted.chance("memberships"), 1 << 20, year)
    since = first_day(year - 9)
    region = "Hertfordshire"
    orgs = [
        *((one, "hub", f"Generated hub {at}", region, None) for at, one in enumerate(plan.hubs, 1)),
        *((one, "trust", f"Generated trust {at}", None, None) for at, one in enumerate(plan.trusts, 1)),
        *((one.id, "employer", one.name, None, None) for one in plan.employers),
        *((one.id, "school", one.name, region, str(FIRST_URN + one.number - 1)) for one in plan.schools),
    ]
    in_hubs = [(ids(), one.id, plan.hubs[at // PER_HUB], "hub", since) for at, one in enumerate(plan.schools)]
    trusted = plan.schools[: len(plan.schools) * 2 // 5]
    in_trusts = [
        (ids(), one.id, plan.trusts[at // PER_TRUST], "trust", since) for at, one in enumerate(trusted)
    ]
    await organisations.copy(tx, orgs, [*in_hubs, *in_trusts])
    await employers.copy(tx, [_profile(chance, one) for one in plan.employers])


def _profile(chance: random.Random, one: Employer) -> tuple[UUID, str, str, list[str]]:
    size = chance.choices(("micro", "small", "medium", "large"), (35, 35, 20, 10))[0]
    return one.id, size, chance.choice("CFGHIJKMPQR"), [chance.choice(list(Sector)).value]


# --- a school -------------------------------------------------------------------------------------


async def _fill(tx: Writer, plan: Plan, school: School, told: Told) -> None:
    wanted = plan.wanted
    chance = wanted.chance(f"school {school.number}")
    ids = Ids(chance, school.number, wanted.year)
    pupils = roll(chance, ids, school.pupils, wanted.year, sixth_form=chance.random() < 0.5)  # noqa: PLR2004
    numbers = await _enrol(tx, school, pupils, ids, wanted)
    told(school.pupils, 0)
    shared = _shared(chance, school, pupils, wanted)
    made = _Making(chance, ids, school, plan, numbers)
    for pupil, mine in zip(pupils, shared, strict=True):
        made.add(pupil, mine)
        if len(made.encounters) >= AT_ONCE:
            told(0, await made.write(tx))
    told(0, await made.write(tx))
    await sql.mark_rolls_complete(
        tx, [school.id], wall_now(), [group.value for group in CHARACTERISTIC_GROUPS]
    )


async def _enrol(
    tx: Writer, school: School, pupils: list[Pupil], ids: Ids, wanted: Wanted
) -> Mapping[UUID, int]:
    """Write the roll; gives the persons' numbers."""
    numbers = await students.copy_persons(tx, [one.person_id for one in pupils])
    enrolled = (
        (one.id, school.id, one.person_id, numbers[one.person_id], first_day(one.joined), one.given_name,
         one.family_name, one.date_of_birth)
        for one in pupils
    )  # fmt: skip
    years = (
        (one.id, year, school.id, str(one.nc_year - (wanted.year - year)))
        for one in pupils
        for year in range(one.joined, wanted.year + 1)
    )
    true = (
        (ids(), school.id, one.id, group, value, first_day(one.joined))
        for one in pupils
        for group, value in one.true.items()
    )
    await students.copy_roll(tx, enrolled, years, true)
    return numbers


def _shared(
    chance: random.Random, school: School, pupils: list[Pupil], wanted: Wanted
) -> Iterator[list[Share]]:
    """Each pupil's encounters by academic year; together they are the school's."""
    weights = [eagerness(chance, one, wanted.lengths) for one in pupils]
    if not any(weights):
        weights = [time_here(one, wanted.lengths) for one in pupils]
    for pupil, count in zip(pupils, shared_out(school.encounters, weights), strict=True):
        yield shares(chance, pupil, count, wanted.lengths, wanted.year)


class _Making:
    """The rows of some pupils of one school, until they are written."""

    def __init__(
        self, chance: random.Random, ids: Ids, school: School, plan: Plan, numbers: Mapping[UUID, int]
    ) -> None:
        self._chance, self._ids, self._school, self._plan, self._numbers = chance, ids, school, plan, numbers
        self._happened: defaultdict[tuple[int, int], list[Happening]] = defaultdict(list)
        self.encounters: list[tuple[object, ...]] = []
        self.accounts: list[Account] = []

    def add(self, pupil: Pupil, mine: list[Share]) -> None:
        """Make what a pupil took part in: for each year some of what their year group did, none of it twice."""
        who = (self._school.id, pupil.id, self._numbers[pupil.person_id])
        entries: list[Earned] = []
        for share in mine:
            happened = self._at_least(share)
            begin = self._chance.randrange(len(happened))
            for at in range(begin, begin + share.count):
                self._add_one(who, share.year, happened[at % len(happened)], entries)
        if entries:
            self.accounts.append(Account(pupil.date_of_birth, entries))

    def _add_one(self, who: tuple[UUID, UUID, int], year: int, one: Happening, entries: list[Earned]) -> None:
        encounter_id = self._ids()
        self.encounters.append((year, encounter_id, *who, *one.encounter, SYSTEM))
        for before, after in one.entries:
            entries.append(Earned(year, self._ids(), *who, encounter_id, *before, *after))

    def _at_least(self, share: Share) -> list[Happening]:
        """What a year group did in an academic year: as much as its busiest pupil took part in, and some more."""
        happened = self._happened[share.year, share.nc_year]
        while len(happened) < max(8, share.count + 4):
            employer, days = self._chance.choice(self._plan.employers), self._plan.wanted.days[share.year]
            happened.append(happening(self._chance, employer, share.nc_year, days))
        return happened

    async def write(self, tx: Writer) -> int:
        """Write and forget them; gives how many encounters."""
        count = await encounters.copy_history(tx, self.encounters)
        await history.bring_in(tx, self.accounts)
        self.encounters.clear()
        self.accounts.clear()
        return count
