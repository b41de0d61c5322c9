"""Made-up pupils: names, birth dates, valid UPNs, and characteristics that go together as they do in England."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from app.demo.data import FAMILY_NAMES, GIVEN_NAMES
from app.demo.terms import anchor_of
from app.rules.school_calendar import academic_year, first_day
from app.rules.upn import check_letter

# Shares of national statistics, 2024/25: meals 25.7 %, EHC plans 5 %, SEN support 14 %; persistent absence
# 31.7 % of those with free meals, 14.4 % of the others. The rare ones are rounded.
_FREE_MEALS: Final = 0.257
_EHC, _SUPPORT = 0.05, 0.14
_ABSENT: Final = {True: 0.317, False: 0.144}
_SEVERE: Final = 0.15
_EVER_6: Final = 0.05
_EAL, _LOOKED_AFTER, _SERVICE, _CARER = 0.18, 0.009, 0.008, 0.015
_BEHAVIOUR: Final = 0.03

# How much less likely a place is, for those whom schools name as the hardest to place.
_HARDER: Final[Mapping[tuple[str, str | bool], float]] = {
    ("sen", "E"): 0.25,
    ("sen", "K"): 0.45,
    ("attendance", "persistent"): 0.45,
    ("attendance", "severe"): 0.2,
    ("behaviour", True): 0.3,
    ("free_school_meals", "current"): 0.55,
}


@dataclass(frozen=True, slots=True)
class Pupil:
    """One made-up pupil of the school with this number; `year` is today's NC year, `place` how easily one is found."""

    school: int
    ref: str
    upn: str
    given_name: str
    family_name: str
    born: date
    joined: date
    year: int
    traits: Mapping[str, str | bool]
    place: float

    def year_in(self, year: int, this_year: int) -> int:
        """The NC year in an academic year."""
        return self.year - (this_year - year)

    def as_sent(self, this_year: int, groups: Sequence[str]) -> dict[str, Any]:
        """The row as a MIS sends it, with the characteristics that the school's controller has granted."""
        return {
            "upn": self.upn,
            "given_name": self.given_name,
            "family_name": self.family_name,
            "date_of_birth": self.born,
            "starts_on": self.joined,
            "nc_year": str(self.year),
            "academic_year": this_year,
            "characteristics": {
                group: {"value": value, "valid_from": self.joined}
                for group, value in self.traits.items()
                if group in groups
            },
        }


def roll(school: int, sizes: Mapping[int, int], today: date) -> list[Pupil]:
    """The pupils of one school, the same ones each week: so many of each NC year, of the academic year of its Monday."""
    chance = random.Random(f"roll {school}")  # noqa: S311  (made-up people, not secrets)
    year = academic_year(anchor_of(today))
    return [
        _pupil(chance, school, nc_year, number, year)
        for nc_year, count in sizes.items()
        for number in range(count)
    ]


def _pupil(chance: random.Random, school: int, nc_year: int, number: int, year: int) -> Pupil:
    born = first_day(year - nc_year - 5) + timedelta(days=chance.randrange(365))
    joined = first_day(year - nc_year + 7)
    given, family = chance.choice(GIVEN_NAMES), chance.choice(FAMILY_NAMES)
    traits = _traits(chance)
    return Pupil(
        school, f"P{school:02d}-{joined.year}-{number + 1:03d}", _upn(school, joined.year, number),
        given, family, born, joined, nc_year, traits, _place(traits),
    )  # fmt: skip


def _upn(school: int, joined: int, number: int) -> str:
    body = f"999{4000 + school:04d}{joined % 100:02d}{number + 1:03d}"
    return check_letter(body) + body


def _traits(chance: random.Random) -> dict[str, str | bool]:
    meals = chance.random() < _FREE_MEALS
    need = chance.random()
    absent = chance.random() < _ABSENT[meals]
    severe = absent and chance.random() < _SEVERE
    sen = "E" if need < _EHC else "K" if need < _EHC + _SUPPORT else "N"
    trouble = _BEHAVIOUR * (2.5 if meals else 1) * (2 if absent else 1) * (2 if sen != "N" else 1)
    return {
        "sen": sen,
        "free_school_meals": "current" if meals else "ever_6" if chance.random() < _EVER_6 else "none",
        "pupil_premium": meals,
        "eal": chance.random() < _EAL,
        "looked_after": chance.random() < _LOOKED_AFTER,
        "service_child": chance.random() < _SERVICE,
        "young_carer": chance.random() < _CARER * (2 if meals else 1),
        "attendance": "severe" if severe else "persistent" if absent else "none",
        "behaviour": chance.random() < trouble,
    }


def _place(traits: Mapping[str, str | bool]) -> float:
    easy = 1.0
    for trait in traits.items():
        easy *= _HARDER.get(trait, 1.0)
    return easy
