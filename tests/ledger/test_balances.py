"""Balances day by day are what the law makes of the whole history: the cap is of a day, a band of a year group."""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.ledger.balances import come_to, entries_of
from app.rules.entitlement import DEFAULT_POLICY, Policy, credited, toward
from app.rules.school_calendar import academic_year

BORN = date(2012, 3, 3)
KINDS = ("placement", "virtual_experience", "workplace_tour", "workplace_visit")


def _history(chance: random.Random) -> list[dict[str, Any]]:
    """Net rows of one pupil around the turn of a year: several a day, over the cap, taken back, without NC year."""
    rows = []
    for _ in range(chance.randint(1, 12)):
        encounter, kind = UUID(int=chance.getrandbits(128)), chance.choice(KINDS)
        first = date(2025, 8, 20) + timedelta(days=chance.randint(0, 20))
        nc_year = chance.choice(("8", "9", "10", "12", "X"))
        for at in range(chance.randint(1, 3)):
            stands = chance.choice((1, 1, 1, 0))
            on = first + timedelta(days=at)
            rows.append(
                {
                    "enrolment_id": UUID(int=1), "school_id": UUID(int=2), "person_no": 3, "encounter_id": encounter,
                    "academic_year": academic_year(on), "on_date": on, "nc_year": nc_year, "kind": kind,
                    "in_person": stands * chance.choice((0, 60, 120, 300, 330)),
                    "virtual": stands * chance.choice((0, 0, 60, 200)),
                    "net": stands, "bm5": stands * chance.randint(0, 1), "bm6": 0, "date_of_birth": BORN,
                }
            )  # fmt: skip
    return sorted(rows, key=lambda row: (row["on_date"], row["encounter_id"]))


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, replace(DEFAULT_POLICY, daily_cap=None)])
def test_a_balance_is_what_the_law_makes_of_all_entries_at_once(policy: Policy) -> None:
    chance = random.Random(5)
    for _ in range(1_000):
        rows = _history(chance)
        balance, yearly = come_to(rows, policy)
        kept = [one for one in credited(entries_of(rows), policy) if one.in_person or one.virtual]
        bands = [toward(rule, kept, date_of_birth=BORN) for rule in policy.bands]
        assert balance["minutes"] == sum(one.in_person + one.virtual for one in kept)
        assert balance["days"] == len({one.on for one in kept})
        assert [balance["activity_minutes"], balance["placement_minutes"]] == bands
        assert balance["encounters"] == len({row["encounter_id"] for row in rows if row["net"]})
        minutes: defaultdict[tuple[Any, ...], int] = defaultdict(int)
        days: defaultdict[tuple[Any, ...], set[date]] = defaultdict(set)
        for one in kept:
            key = academic_year(one.on), one.nc_year, one.kind.value
            minutes[key] += one.in_person + one.virtual
            days[key].add(one.on)
        for row in yearly:
            key = row["academic_year"], row["nc_year"], row["kind"]
            assert (row["minutes"], row["days"]) == (minutes[key], len(days[key]))
        assert sum(row["minutes"] for row in yearly) == balance["minutes"]
