"""From a pupil's net entries to balances: pure arithmetic on rows, the law is `rules.entitlement`.

A net row is what one encounter comes to on one day: enrolment_id, school_id, person_no, encounter_id, academic_year,
on_date, nc_year, kind, in_person, virtual, net (1 while the credit stands), bm5, bm6, date_of_birth.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from app.core.db import Row
from app.rules.entitlement import Entry, Policy, credited, toward
from app.rules.school_calendar import academic_year
from app.rules.words import EntitlementBand, ExperienceKind

_Key = tuple[int, str, str]


def entries_of(rows: Iterable[Row]) -> list[Entry]:
    """The rows as the rules read them."""
    return [
        Entry(row["on_date"], row["nc_year"], ExperienceKind(row["kind"]), row["in_person"], row["virtual"])
        for row in rows
    ]


def balance_of(rows: Sequence[Row], policy: Policy) -> dict[str, Any]:
    """One pupil's balance: minutes after the daily cap, distinct days with minutes, standing encounters."""
    kept = credited(entries_of(rows), policy)
    born = rows[0]["date_of_birth"]
    toward_band = {rule.band: toward(rule, kept, date_of_birth=born) for rule in policy.bands}
    days = sorted({each.on for each in kept if each.in_person or each.virtual})
    standing = _standing(rows)
    return {
        "enrolment_id": rows[0]["enrolment_id"],
        "minutes": sum(each.in_person + each.virtual for each in kept),
        "virtual_minutes": sum(each.virtual for each in kept),
        "activity_minutes": toward_band.get(EntitlementBand.YEARS_7_9, 0),
        "placement_minutes": toward_band.get(EntitlementBand.YEARS_10_11, 0),
        "days": len(days),
        "encounters": len(standing),
        "bm5": sum(row["bm5"] > 0 for row in standing),
        "bm6": sum(row["bm6"] > 0 for row in standing),
        "first_on": days[0] if days else None,
        "last_on": days[-1] if days else None,
    }


def yearly_of(rows: Sequence[Row], policy: Policy) -> list[dict[str, Any]]:
    """The same by academic year, NC year and kind; also what has come to nothing, so that it is written as such."""
    who = {name: rows[0][name] for name in ("enrolment_id", "school_id", "person_no")}
    counted = {_key(row): _nothing() for row in rows}
    days: defaultdict[_Key, set[Any]] = defaultdict(set)
    for each in credited(entries_of(rows), policy):
        key = (academic_year(each.on), each.nc_year, each.kind.value)
        counted[key]["minutes"] += each.in_person + each.virtual
        counted[key]["virtual_minutes"] += each.virtual
        if each.in_person or each.virtual:
            days[key].add(each.on)
    for row in _standing(rows):
        counted[_key(row)]["encounters"] += 1
        counted[_key(row)]["bm5"] += row["bm5"] > 0
        counted[_key(row)]["bm6"] += row["bm6"] > 0
    return [
        {**who, "academic_year": year, "nc_year": nc_year, "kind": kind, **count, "days": len(days[key])}
        for key, count in counted.items()
        for year, nc_year, kind in [key]
    ]


def _key(row: Row) -> _Key:
    return row["academic_year"], row["nc_year"], row["kind"]


def _nothing() -> dict[str, int]:
    return dict.fromkeys(("minutes", "virtual_minutes", "encounters", "bm5", "bm6"), 0)


def _standing(rows: Iterable[Row]) -> list[Row]:
    """The first standing row of each encounter: it counts once, under its first day's year and kind."""
    first: dict[UUID, Row] = {}
    for row in rows:
        if row["net"] > 0:
            first.setdefault(row["encounter_id"], row)
    return list(first.values())
