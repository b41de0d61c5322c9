"""From a pupil's net entries to balances: pure arithmetic on rows, the law is `rules.entitlement`.

A net row is what one encounter comes to on one day: enrolment_id, school_id, person_no, encounter_id, academic_year,
on_date, nc_year, kind, in_person, virtual, net (1 while the credit stands), bm5, bm6, date_of_birth.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from app.core.db import Row
from app.rules.entitlement import Entry, Policy, credited, toward
from app.rules.words import EntitlementBand, ExperienceKind

_Key = tuple[int, str, str]


def entries_of(rows: Iterable[Row]) -> list[Entry]:
    """The rows as the rules read them."""
    return [
        Entry(row["on_date"], row["nc_year"], ExperienceKind(row["kind"]), row["in_person"], row["virtual"])
        for row in rows
    ]


@dataclass(slots=True)
class _Sum:
    """What comes to one academic year, NC year and kind; `on` is a day of it."""

    on: date
    in_person: int = 0
    virtual: int = 0
    days: int = 0
    encounters: int = 0
    bm5: int = 0
    bm6: int = 0


def come_to(rows: Sequence[Row], policy: Policy) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One pupil's balance, and the same by academic year, NC year and kind.

    Minutes after the daily cap, distinct days with minutes, standing encounters; what has come to nothing is given
    too, so that it is written as such.
    """
    sums: dict[_Key, _Sum] = {}
    by_day: defaultdict[date, list[Row]] = defaultdict(list)
    for row in rows:
        by_day[row["on_date"]].append(row)
        sums.setdefault(_key(row), _Sum(row["on_date"]))
    days = sorted(on for on, todays in by_day.items() if _add(sums, todays, policy))
    for row in _standing(rows):
        mine = sums[_key(row)]
        mine.encounters += 1
        mine.bm5 += row["bm5"] > 0
        mine.bm6 += row["bm6"] > 0
    return _balance(rows[0], sums, days, policy), _yearly(rows[0], sums)


def _add(sums: dict[_Key, _Sum], rows: list[Row], policy: Policy) -> bool:
    """Add what one day comes to; whether it has any minutes."""
    with_minutes = set()
    for key, in_person, virtual in _after_the_cap(rows, policy):
        if in_person or virtual:
            mine = sums[key]
            mine.in_person += in_person
            mine.virtual += virtual
            with_minutes.add(key)
    for key in with_minutes:
        sums[key].days += 1
    return bool(with_minutes)


def _after_the_cap(rows: list[Row], policy: Policy) -> Iterator[tuple[_Key, int, int]]:
    """One day's minutes. The cap is of a day: where a day keeps within it, nothing has to be shared out."""
    total = sum(row["in_person"] + row["virtual"] for row in rows)
    least = min(min(row["in_person"], row["virtual"]) for row in rows)
    if least >= 0 and (policy.daily_cap is None or total <= policy.daily_cap):
        for row in rows:
            yield _key(row), row["in_person"], row["virtual"]
        return
    for each in credited(entries_of(rows), policy):
        yield (rows[0]["academic_year"], each.nc_year, each.kind.value), each.in_person, each.virtual


def _balance(first: Row, sums: dict[_Key, _Sum], days: list[date], policy: Policy) -> dict[str, Any]:
    # A band is a matter of the NC year, or of the academic year for `X`: a key lies in one band as a whole.
    kept = [
        Entry(one.on, nc_year, ExperienceKind(kind), one.in_person, one.virtual)
        for (_, nc_year, kind), one in sums.items()
    ]
    born = first["date_of_birth"]
    toward_band = {rule.band: toward(rule, kept, date_of_birth=born) for rule in policy.bands}
    return {
        "enrolment_id": first["enrolment_id"],
        "minutes": sum(one.in_person + one.virtual for one in sums.values()),
        "virtual_minutes": sum(one.virtual for one in sums.values()),
        "activity_minutes": toward_band.get(EntitlementBand.YEARS_7_9, 0),
        "placement_minutes": toward_band.get(EntitlementBand.YEARS_10_11, 0),
        "days": len(days),
        "encounters": sum(one.encounters for one in sums.values()),
        "bm5": sum(one.bm5 for one in sums.values()),
        "bm6": sum(one.bm6 for one in sums.values()),
        "first_on": days[0] if days else None,
        "last_on": days[-1] if days else None,
    }


def _yearly(first: Row, sums: dict[_Key, _Sum]) -> list[dict[str, Any]]:
    who = {name: first[name] for name in ("enrolment_id", "school_id", "person_no")}
    return [
        {
            **who,
            "academic_year": year,
            "nc_year": nc_year,
            "kind": kind,
            "minutes": one.in_person + one.virtual,
            "virtual_minutes": one.virtual,
            "encounters": one.encounters,
            "days": one.days,
            "bm5": one.bm5,
            "bm6": one.bm6,
        }
        for (year, nc_year, kind), one in sums.items()
    ]


def _key(row: Row) -> _Key:
    return row["academic_year"], row["nc_year"], row["kind"]


def _standing(rows: Iterable[Row]) -> list[Row]:
    """The first standing row of each encounter: it counts once, under its first day's year and kind."""
    first: dict[UUID, Row] = {}
    for row in rows:
        if row["net"] > 0:
            first.setdefault(row["encounter_id"], row)
    return list(first.values())
