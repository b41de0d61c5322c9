"""What happened before the first start: experiences that schools recorded, so that coverage is neither empty nor even."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from app.core.db import Row, Writer
from app.core.ids import new_id
from app.demo import sql
from app.demo.data import BM5, BM6
from app.encounters.records import judged, summed
from app.encounters.settlement import add
from app.outbox import service as outbox
from app.rules.school_calendar import academic_year
from app.rules.words import ExperienceKind


@dataclass(frozen=True, slots=True)
class Occasion:
    """An experience of a year group: when (years back, month, day), what, and the share of pupils that came."""

    years_back: int
    month: int
    day: int
    nc_year: str
    kind: ExperienceKind
    employer: str
    title: str
    days: int
    minutes: int
    share: float
    criteria: tuple[str, ...]


_K = ExperienceKind
OCCASIONS: Final[tuple[Occasion, ...]] = (
    Occasion(1, 3, 11, "7", _K.SCHOOL_BASED_ENCOUNTER, "studio", "What a map is made of", 1, 60, 0.5, BM5),
    Occasion(1, 5, 20, "8", _K.WORKPLACE_VISIT, "engineer", "A day in the works", 1, 300, 0.55, BM6),
    Occasion(1, 6, 16, "9", _K.EMPLOYER_PROJECT, "studio", "A map of the school", 3, 300, 0.4, BM6),
    Occasion(1, 7, 5, "10", _K.PLACEMENT, "engineer", "A week in the works", 5, 330, 0.6, BM6),
    Occasion(0, 10, 7, "7", _K.WORKPLACE_TOUR, "robotics", "Who programs the robots?", 1, 120, 0.25, BM5),
    Occasion(0, 10, 14, "9", _K.WORKPLACE_TOUR, "employer", "From sample to result", 1, 120, 0.35, BM5),
)
_KEENNESS: Final = (0.8, 1.2, 0.3, 1.0, 1.4, 0.6)
"""How much each school has done, against the shares above: differences are what a dashboard is for."""


async def record(tx: Writer, school_id: UUID, at: int, today: date, ids: Mapping[str, UUID]) -> None:
    """Record the past of one school as the school itself, which the transaction has entered."""
    chance = random.Random(f"past {at}")  # noqa: S311  (made-up attendance)
    pupils = await sql.pupils(tx, [school_id], sorted({_year(one, today) for one in OCCASIONS}))
    rows: list[Mapping[str, Any]] = []
    for occasion in OCCASIONS:
        there = [row for row in pupils if _was_there(row, occasion, today)]
        came = chance.sample(there, int(len(there) * min(0.95, occasion.share * _KEENNESS[at])))
        rows += [_encounter(row, occasion, today, ids[occasion.employer]) for row in came]
    await outbox.emit(tx, await add(tx, rows))


def _year(occasion: Occasion, today: date) -> int:
    return academic_year(today) - occasion.years_back


def _first_day(occasion: Occasion, today: date) -> date:
    """The day, moved to a Monday where it takes a week, else to the next weekday."""
    year = _year(occasion, today)
    day = date(year if occasion.month >= 9 else year + 1, occasion.month, occasion.day)  # noqa: PLR2004
    if occasion.days > 1 or day.weekday() >= 5:  # noqa: PLR2004
        day += timedelta(days=(7 - day.weekday()) % 7)
    return day


def _was_there(row: Row, occasion: Occasion, today: date) -> bool:
    happened = _first_day(occasion, today) + timedelta(days=occasion.days) < today
    in_year = bool(row["academic_year"] == _year(occasion, today) and row["nc_year"] == occasion.nc_year)
    return happened and in_year


def _encounter(row: Row, occasion: Occasion, today: date, employer_id: UUID) -> Mapping[str, Any]:
    made = {
        "academic_year": row["academic_year"],
        "id": new_id(),
        **{name: row[name] for name in ("school_id", "person_no", "nc_year")},
        "enrolment_id": row["id"],
        "participation_id": None,
        "booking_id": None,
        "employer_id": employer_id,
        "employer_name": None,
        "title": occasion.title,
        "kind": occasion.kind.value,
        "mode": "in_person",
        "activity_band": "low",
        "criteria_offered": list(occasion.criteria),
        "criteria_confirmed": list(occasion.criteria),
        "evidence": None,
        "state": "credited",
        **summed(list(_per_day(occasion, today))),
    }
    return made | judged(made)


def _per_day(occasion: Occasion, today: date) -> Iterator[Mapping[str, Any]]:
    first = _first_day(occasion, today)
    for day in range(occasion.days):
        yield {"on": (first + timedelta(days=day)).isoformat(), "in_person": occasion.minutes, "virtual": 0}
