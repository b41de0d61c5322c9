"""What an encounter is made of: minutes by school day, the benchmarks' judgement, the credits that follow."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from app.core.clock import as_date
from app.core.db import Row
from app.core.ids import new_id
from app.encounters.standings import minutes_of
from app.ledger.service import Credit
from app.rules.benchmarks import judge
from app.rules.hours import ATTENDED
from app.rules.school_calendar import academic_year, london_date, london_midnight
from app.rules.words import Criterion, ExperienceKind, Mode


def per_day_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The minutes of attended sittings by London date, in order: `{on, in_person, virtual}`."""
    days: defaultdict[date, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row["status"] in ATTENDED and not row["disputed"]:
            earned = minutes_of(row)
            sums = days[london_date(row["starts_at"])]
            sums[0] += earned.in_person
            sums[1] += earned.virtual
    return [
        {"on": on.isoformat(), "in_person": here, "virtual": there}
        for on, (here, there) in sorted(days.items())
    ]


def summed(per_day: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns that follow from minutes by day. Refuses an empty list with ValueError."""
    days = sorted(as_date(one["on"]) or date.min for one in per_day)
    if not days:
        raise ValueError("an encounter has a day")
    return {
        "starts_on": days[0],
        "ends_on": days[-1],
        "in_person_minutes": sum(one["in_person"] for one in per_day),
        "virtual_minutes": sum(one["virtual"] for one in per_day),
        "days": sum(bool(one["in_person"] or one["virtual"]) for one in per_day),
        "per_day": list(per_day),
    }


def judged(row: Mapping[str, Any]) -> dict[str, bool]:
    """BM5 and BM6 as offered and as confirmed. Nothing is confirmed of an encounter that does not stand."""
    kind, mode = ExperienceKind(row["kind"]), Mode(row["mode"])
    said = judge(kind, mode, [Criterion(one) for one in row["criteria_offered"]])
    kept = judge(kind, mode, [Criterion(one) for one in row["criteria_confirmed"]])
    stands = row["state"] == "credited"
    return {
        "bm5_offered": said.bm5,
        "bm6_offered": said.bm6,
        "bm5": stands and kept.bm5,
        "bm6": stands and kept.bm6,
    }


def from_visit(visit: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """The encounter of one participation: `rows` are its sittings, at least one attended."""
    first, totals = rows[0], summed(per_day_of(rows))
    row = {
        "academic_year": academic_year(totals["starts_on"]),
        "id": new_id(),
        "school_id": first["school_id"],
        "enrolment_id": first["enrolment_id"],
        "person_no": first["person_no"],
        "participation_id": first["participation_id"],
        "booking_id": first["booking_id"],
        "employer_id": first["employer_id"],
        "employer_name": visit["employer_name"],
        "title": visit["title"],
        "kind": visit["kind"],
        "mode": visit["mode"],
        "activity_band": visit["activity_band"],
        "nc_year": first["nc_year"],
        "criteria_offered": visit["criteria"] or [],
        "criteria_confirmed": first["criteria_confirmed"],
        "evidence": None,
        "state": "credited",
        **totals,
    }
    return row | judged(row)


def credits_of(row: Row) -> list[Credit]:
    """What the ledger takes of an encounter: an entry per day, none for one that does not stand."""
    if row["state"] != "credited":
        return []
    return [_credit(row, one) for one in row["per_day"]]


def _credit(row: Row, one: Mapping[str, Any]) -> Credit:
    on = as_date(one["on"]) or date.min
    employer: UUID | None = row["employer_id"]
    return Credit(
        school_id=row["school_id"],
        enrolment_id=row["enrolment_id"],
        person_no=row["person_no"],
        encounter_id=row["id"],
        on=on,
        nc_year=row["nc_year"],
        kind=ExperienceKind(row["kind"]),
        mode=Mode(row["mode"]),
        in_person=one["in_person"],
        virtual=one["virtual"],
        happened_at=london_midnight(on),
        bm5=row["bm5"],
        bm6=row["bm6"],
        employer_id=employer,
    )
