"""Made-up pupils: names, birth dates, valid UPNs, and characteristics that go together as they do in England."""

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

from app.demo.data import FAMILY_NAMES, GIVEN_NAMES
from app.rules.school_calendar import academic_year, first_day
from app.rules.upn import check_letter

YEARS: Final = ("7", "8", "9", "10", "11")
PER_YEAR: Final = 60

# Shares of national statistics, 2024/25: meals 25.7 %, EHC plans 5 %, SEN support 14 %; persistent absence
# 31.7 % of those with free meals, 14.4 % of the others.
_FREE_MEALS: Final = 0.257
_EHC, _SUPPORT = 0.05, 0.14
_ABSENT: Final = {True: 0.317, False: 0.144}
_SEVERE: Final = 0.15
_EVER_6: Final = 0.05


def roll(school: int, today: date) -> Iterator[Mapping[str, Any]]:
    """The pupils of one school, the same ones each time: rows as a MIS sends them, with `external_ref`."""
    chance = random.Random(school)  # noqa: S311  (made-up people, not secrets)
    year = academic_year(today)
    for nc_year in YEARS:
        for number in range(PER_YEAR):
            yield _pupil(chance, school, nc_year, number, year)


def _pupil(chance: random.Random, school: int, nc_year: str, number: int, year: int) -> dict[str, Any]:
    born = first_day(year - int(nc_year) - 5) + timedelta(days=chance.randrange(365))
    joined = first_day(year - int(nc_year) + 7)
    return {
        "external_ref": f"P{school:02d}-{year - int(nc_year) + 7}-{number + 1:03d}",
        "upn": _upn(school, joined.year, number),
        "given_name": chance.choice(GIVEN_NAMES),
        "family_name": chance.choice(FAMILY_NAMES),
        "date_of_birth": born,
        "starts_on": joined,
        "nc_year": nc_year,
        "academic_year": year,
        "characteristics": {
            group: {"value": value, "valid_from": first_day(year)}
            for group, value in _characteristics(chance).items()
        },
    }


def _upn(school: int, joined: int, number: int) -> str:
    body = f"999{4000 + school:04d}{joined % 100:02d}{number + 1:03d}"
    return check_letter(body) + body


def _characteristics(chance: random.Random) -> dict[str, str | bool]:
    meals = chance.random() < _FREE_MEALS
    need = chance.random()
    absent = chance.random() < _ABSENT[meals]
    severe = absent and chance.random() < _SEVERE
    return {
        "sen": "E" if need < _EHC else "K" if need < _EHC + _SUPPORT else "N",
        "free_school_meals": "current" if meals else "ever_6" if chance.random() < _EVER_6 else "none",
        "pupil_premium": meals,
        "attendance": "severe" if severe else "persistent" if absent else "none",
    }
