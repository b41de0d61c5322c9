"""A made-up school's years: pupils whose characteristics go together, and experiences they share. Pure, from a seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from app.demo.data import BM5, BM6
from app.demo.data import FAMILY_NAMES as FAMILY
from app.demo.data import GIVEN_NAMES as GIVEN
from app.encounters.records import judged
from app.rules.school_calendar import first_day, london_midnight
from app.rules.words import CHARACTERISTIC_GROUPS, ExperienceKind, LedgerEntryKind

_YEAR_GROUPS: Final = (("7", 20), ("8", 20), ("9", 20), ("10", 19), ("11", 19))
_SIXTH_FORM: Final = (("12", 12), ("13", 10))
_ID_SPAN: Final = 26
"""Each school has 2**26 ids of its own."""


class Employer(NamedTuple):
    """Who experiences are with."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Pupil:
    """One pupil of a school, here since the academic year `joined`."""

    id: UUID
    person_id: UUID
    nc_year: int
    joined: int
    given_name: str
    family_name: str
    date_of_birth: date
    true: Mapping[str, str]


class Happening(NamedTuple):
    """An experience that several pupils share: what their encounters and ledger entries have in common."""

    encounter: tuple[Any, ...]
    entries: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]


class Ids:
    """UUIDv7s of one school, the same for the same seed: each greater than the one before."""

    def __init__(self, chance: random.Random, number: int, year: int) -> None:
        self._bits = chance.getrandbits
        self._tick = (int(london_midnight(first_day(year)).timestamp() * 1000) << 12) + (number << _ID_SPAN)

    def __call__(self) -> UUID:
        """The next one."""
        self._tick = tick = self._tick + 1
        return UUID(
            int=((tick >> 12) << 80) | ((0x7000 | (tick & 0xFFF)) << 64) | (0b10 << 62) | self._bits(62)
        )


# --- pupils ---------------------------------------------------------------------------------------


def roll(chance: random.Random, ids: Ids, count: int, year: int, *, sixth_form: bool) -> list[Pupil]:
    """The pupils of a school in the academic year `year`; most came in Year 7."""
    groups = (*_YEAR_GROUPS, *_SIXTH_FORM) if sixth_form else _YEAR_GROUPS
    poverty = min(0.6, max(0.04, chance.gauss(0.257, 0.12)))
    chosen = chance.choices([int(name) for name, _ in groups], [share for _, share in groups], k=count)
    return [_pupil(chance, ids, nc_year, year, poverty) for nc_year in sorted(chosen)]


def _pupil(chance: random.Random, ids: Ids, nc_year: int, year: int, poverty: float) -> Pupil:
    since_7 = year - nc_year + 7
    late = chance.random() < 0.08  # noqa: PLR2004  (moved here in the middle of the school)
    return Pupil(
        id=ids(),
        person_id=ids(),
        nc_year=nc_year,
        joined=chance.randint(since_7, year) if late else since_7,
        given_name=chance.choice(GIVEN),
        family_name=chance.choice(FAMILY),
        date_of_birth=first_day(year - nc_year - 5) + timedelta(days=chance.randrange(365)),
        true=_characteristics(chance, poverty),
    )


def _characteristics(chance: random.Random, poverty: float) -> dict[str, str]:
    """Shares of national statistics, 2024/25: plans 5 %, SEN support 14 %; persistent absence 31.7 % of those with
    free meals, 14.4 % of the others. Behaviour goes with absence, premium with meals, now or once.
    """
    toss = chance.random
    meals = toss() < poverty
    ever = meals or toss() < 0.06  # noqa: PLR2004
    need = toss() / (1.5 if meals else 0.87)
    care = toss() < 0.007  # noqa: PLR2004
    absent = toss() < (0.317 if meals else 0.144)
    said = {
        "sen": "E" if need < 0.05 else "K" if need < 0.19 else "N",  # noqa: PLR2004
        "free_school_meals": "current" if meals else "ever_6" if ever else "none",
        "pupil_premium": ever or care,
        "eal": toss() < 0.186,  # noqa: PLR2004
        "looked_after": care,
        "service_child": toss() < 0.009,  # noqa: PLR2004
        "young_carer": toss() < (0.02 if meals else 0.006),
        "attendance": "severe" if absent and toss() < 0.12 else "persistent" if absent else "none",  # noqa: PLR2004
        "behaviour": toss() < (0.14 if absent else 0.02),
    }
    return {
        group.value: str(said[group.value]).lower()
        if isinstance(said[group.value], bool)
        else str(said[group.value])
        for group in CHARACTERISTIC_GROUPS
    }


def eagerness(chance: random.Random, pupil: Pupil, years: Mapping[int, float]) -> float:
    """How much of the school's experiences come a pupil's way; nothing for more than one in ten, and for more of
    those who are poor, absent, in trouble or have special needs.
    """
    true = pupil.true
    against = [
        (true["free_school_meals"] == "current", 0.07),
        (true["attendance"] != "none", 0.10),
        (true["behaviour"] == "true", 0.12),
        (true["sen"] != "N", 0.06),
    ]
    nothing = 0.06 + sum(share for applies, share in against if applies)
    if chance.random() < nothing:
        return 0.0
    return time_here(pupil, years) * chance.lognormvariate(0, 0.6) * (0.8 if against[0][0] else 1.0)


def time_here(pupil: Pupil, years: Mapping[int, float]) -> float:
    """Years of school, of those given with their lengths, in which this pupil was here."""
    return sum(length for year, length in years.items() if year >= pupil.joined)


# --- experiences ----------------------------------------------------------------------------------

_K = ExperienceKind
# kind, title, weight in Years 7-9, in 10-11, in 12-13, days, minutes a day in person, online
_SORTS: Final = (
    (_K.WORKPLACE_TOUR, "A tour of {}", (28, 12, 6), 1, 120, 0),
    (_K.SCHOOL_BASED_ENCOUNTER, "{} in school", (22, 18, 16), 1, 60, 0),
    (_K.EMPLOYER_TALK_ON_SITE, "A talk at {}", (14, 10, 12), 1, 90, 0),
    (_K.VIRTUAL_EXPERIENCE, "Online with {}", (12, 12, 14), 1, 0, 120),
    (_K.VIRTUAL_EXPERIENCE, "Half a day with {}, half online", (2, 3, 3), 1, 120, 120),
    (_K.WORKPLACE_VISIT, "A day at {}", (12, 16, 14), 1, 300, 0),
    (_K.EMPLOYER_PROJECT, "A project for {}", (6, 10, 12), 2, 240, 0),
    (_K.WORK_SHADOWING, "Behind the scenes at {}", (2, 10, 12), 1, 330, 0),
    (_K.PLACEMENT, "A week at {}", (0, 7, 9), 5, 300, 0),
    (_K.INNOVATIVE, "Something new with {}", (2, 2, 2), 1, 180, 0),
)
_BM6_SHARE, _BM5_SHARE = 0.12, 0.45


def happening(chance: random.Random, employer: Employer, nc_year: int, days: "Days") -> Happening:
    """One experience of a year group, on `days` of an academic year."""
    stage = 0 if nc_year <= 9 else 1 if nc_year <= 11 else 2  # noqa: PLR2004
    kind, title, _, length, here, there = chance.choices(_SORTS, [sort[2][stage] for sort in _SORTS])[0]
    when = days.some(chance, length)
    mode = "hybrid" if here and there else "virtual" if there else "in_person"
    toss = chance.random()
    criteria = BM6 if toss < _BM6_SHARE else BM5 if toss < _BM5_SHARE else ()
    said = {"kind": kind.value, "mode": mode, "criteria_offered": criteria, "criteria_confirmed": criteria}
    facts = judged({**said, "state": "credited"})
    per_day = [{"on": on.isoformat(), "in_person": here, "virtual": there} for on in when]
    encounter = (
        employer.id, employer.name, title.format(employer.name), kind.value, mode, when[0], when[-1], str(nc_year),
        here * len(when), there * len(when), len(when), criteria, criteria, facts["bm5_offered"], facts["bm5"],
        facts["bm6_offered"], facts["bm6"], orjson.Fragment(orjson.dumps(per_day)),
    )  # fmt: skip
    after = (str(nc_year), kind.value, mode, here, there, facts["bm5"], facts["bm6"], employer.id)
    entries = [((LedgerEntryKind.CREDIT.value, on), (*after, days.begins[on])) for on in when]
    return Happening(encounter, tuple(entries))


class Days:
    """The school days of an academic year that are over: weekdays outside the holidays, before `until`."""

    def __init__(self, year: int, until: date) -> None:
        first = first_day(year)
        days = (first + timedelta(days=at) for at in range(7, 322))
        self.days = [day for day in days if day.weekday() < 5 and day < until and not _holiday(day)]  # noqa: PLR2004
        self.begins: dict[date, datetime] = {day: london_midnight(day) for day in self.days}
        there = set(self.days)
        self._mondays = [
            day
            for day in self.days
            if day.weekday() == 0 and all(day + timedelta(days=at) in there for at in range(5))
        ]

    def __len__(self) -> int:
        return len(self.days)

    def some(self, chance: random.Random, length: int) -> Sequence[date]:
        """So many days in a row, from a Monday if more than one; a single day where no such week is over."""
        if length == 1 or not self._mondays:
            return [chance.choice(self.days)]
        monday = chance.choice(self._mondays)
        return [monday + timedelta(days=at) for at in range(length)]


def _holiday(day: date) -> bool:
    """Roughly: the last week of October, two weeks at Christmas, one in February, two at Easter, one in May."""
    at = (day.month, day.day)
    return any(
        begins <= at <= ends
        for begins, ends in (
            ((10, 25), (10, 31)),
            ((12, 20), (12, 31)),
            ((1, 1), (1, 4)),
            ((2, 14), (2, 20)),
            ((4, 1), (4, 14)),
            ((5, 25), (5, 31)),
        )
    )


def shared_out(total: int, weights: Sequence[float], phase: float = 0.5) -> list[int]:
    """`total` in whole parts after these weights, exactly; a weight of nothing gets nothing."""
    whole = sum(weights)
    if not whole:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    parts, run, given = [], 0.0, 0
    for weight in weights:
        run += weight
        upto = min(total, int(total * run / whole + phase)) if weight else given
        parts.append(upto - given)
        given = upto
    last = max(at for at, weight in enumerate(weights) if weight)
    parts[last] += total - given
    return parts


@dataclass(frozen=True, slots=True)
class Share:
    """How many encounters a pupil had in one academic year, in which they were in `nc_year`."""

    year: int
    nc_year: int
    count: int


def shares(
    chance: random.Random, pupil: Pupil, count: int, years: Mapping[int, float], year: int
) -> list[Share]:
    """A pupil's encounters over the academic years (with their lengths) in which they were here."""
    there = [(one, length) for one, length in years.items() if one >= pupil.joined and length]
    if not there or not count:
        return []
    counts = shared_out(count, [length * chance.uniform(0.5, 1.5) for _, length in there])
    return [
        Share(one, pupil.nc_year - (year - one), some)
        for (one, _), some in zip(there, counts, strict=True)
        if some
    ]


def names() -> Iterator[str]:
    """Names of employers and schools that nobody has, without end."""
    first = ("Alder", "Birch", "Cedar", "Copper", "Ember", "Fallow", "Granite", "Harrow", "Juniper", "Kestrel", "Linden",
             "Meadow", "Northgate", "Orchard", "Pembury", "Quarry", "Rowan", "Silver", "Thorn", "Willow")  # fmt: skip
    second = ("brook", "dale", "field", "ford", "gate", "ham", "hurst", "ley", "mere", "stead", "ton", "wick")
    for at in range(1_000_000):
        yield f"{first[at % 20]}{second[at // 20 % 12]}{f' {at // 240 + 1}' if at >= 240 else ''}"  # noqa: PLR2004
