"""Dated data that the eligibility rules apply: prohibitions by age, cover by kind, years of lawful
placements.

Held here as defaults and passed in by whoever keeps them in tables, so that a change of law is a new row with
dates, not a release. The wording is for legal review: sources are named, ages are as we understand them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeVar

from app.rules.words import NC_YEARS, ExperienceKind, Hazard, Liability

PLACEMENT_NC_YEARS: Final = frozenset({"10", "11", "12", "13", "14", "X"})
"""Year groups that a placement may be offered to; `X` is decided by each pupil's date of birth."""

KINDS_WITHOUT_PLACEMENT: Final = tuple(kind for kind in ExperienceKind if kind != ExperienceKind.PLACEMENT)
"""What is possible where a placement is not: visits, tours, shadowing as observation, set tasks."""

YEAR_GROUPS: Final = frozenset(NC_YEARS[NC_YEARS.index("7") :])
"""Year groups that any experience may be offered to: secondary, and `X`."""


@dataclass(frozen=True)
class AgeProhibition:
    """Work that no one under `minimum_age` may do, valid from a day until (and without) another."""

    hazard: Hazard
    minimum_age: int
    source: str
    valid_from: date
    valid_until: date | None = None


AGE_PROHIBITIONS: Final[tuple[AgeProhibition, ...]] = (
    AgeProhibition(Hazard.ALCOHOL_SALES, 18, "Licensing Act 2003 s.153", date(2005, 11, 24)),
    AgeProhibition(Hazard.GAMBLING_PREMISES, 18, "Gambling Act 2005 s.55", date(2007, 9, 1)),
    AgeProhibition(Hazard.LEAD_PROCESSES, 18, "Control of Lead at Work Regulations 2002", date(2002, 11, 21)),
    AgeProhibition(
        Hazard.CLASSIFIED_RADIATION_WORK, 18, "Ionising Radiations Regulations 2017", date(2018, 1, 1)
    ),
    AgeProhibition(
        Hazard.AGRICULTURAL_VEHICLES,
        13,
        "Prevention of Accidents to Children in Agriculture Regulations 1998",
        date(1998, 7, 31),
    ),
    AgeProhibition(Hazard.SHIPS, 16, "Merchant Shipping Act 1995 s.55", date(1996, 1, 1)),
)


@dataclass(frozen=True)
class CoverRule:
    """The cover that a kind needs on site: which liability, the least limit in pounds, since when."""

    kind: ExperienceKind
    liability: Liability
    minimum_pounds: int
    valid_from: date
    valid_until: date | None = None


_EMPLOYERS: Final = (
    ExperienceKind.PLACEMENT,
    ExperienceKind.EMPLOYER_PROJECT,
    ExperienceKind.WORK_SHADOWING,
)
_PUBLIC: Final = (
    ExperienceKind.WORKPLACE_TOUR,
    ExperienceKind.WORKPLACE_VISIT,
    ExperienceKind.EMPLOYER_TALK_ON_SITE,
    ExperienceKind.INNOVATIVE,
)
_SINCE: Final = date(1972, 1, 1)  # the Employers' Liability (Compulsory Insurance) Act 1969 in force
COVER_RULES: Final[tuple[CoverRule, ...]] = (
    *(CoverRule(kind, Liability.EMPLOYERS, 5_000_000, _SINCE) for kind in _EMPLOYERS),
    *(CoverRule(kind, Liability.PUBLIC, 0, _SINCE) for kind in _PUBLIC),
)


def in_force(valid_from: date, valid_until: date | None, day: date) -> bool:
    """Whether a day lies in `[valid_from, valid_until)`."""
    return valid_from <= day and (valid_until is None or day < valid_until)


def prohibitions_on(
    day: date, rows: Iterable[AgeProhibition] = AGE_PROHIBITIONS
) -> tuple[AgeProhibition, ...]:
    """The prohibitions in force on a day; of one hazard the one that came into force last."""
    begun = sorted(
        (row for row in rows if in_force(row.valid_from, row.valid_until, day)),
        key=lambda row: row.valid_from,
    )
    return tuple({row.hazard: row for row in begun}.values())


def cover_rule_for(
    kind: ExperienceKind, day: date, rows: Iterable[CoverRule] = COVER_RULES
) -> CoverRule | None:
    """The cover that a kind needs on a day, by the rule that came into force last; None for what takes place at
    school or on a screen.
    """
    fitting = (row for row in rows if row.kind == kind and in_force(row.valid_from, row.valid_until, day))
    return max(fitting, key=lambda row: row.valid_from, default=None)


# --- what is kept as data ----------------------------------------------------------------------


def prohibitions_with(kept: Iterable[AgeProhibition]) -> tuple[AgeProhibition, ...]:
    """Ours and those kept as data: of a hazard that data speak of, ours end where the data begin.

    A prohibition that a law has lifted is kept with a `minimum_age` of 0.
    """
    kept = tuple(kept)
    begins = _begins((row.hazard, row.valid_from) for row in kept)
    ours = (_until(row, begins.get(row.hazard)) for row in AGE_PROHIBITIONS)
    return (*(row for row in ours if row), *kept)


def cover_rules_with(kept: Iterable[CoverRule]) -> tuple[CoverRule, ...]:
    """Ours and those kept as data: of a kind that data speak of, ours end where the data begin."""
    kept = tuple(kept)
    begins = _begins((row.kind, row.valid_from) for row in kept)
    ours = (_until(row, begins.get(row.kind)) for row in COVER_RULES)
    return (*(row for row in ours if row), *kept)


_Dated = TypeVar("_Dated", AgeProhibition, CoverRule)
_Key = TypeVar("_Key")


def _begins(rows: Iterable[tuple[_Key, date]]) -> dict[_Key, date]:
    found: dict[_Key, date] = {}
    for key, day in rows:
        found[key] = min(day, found.get(key, day))
    return found


def _until(row: _Dated, day: date | None) -> _Dated | None:
    """The row as long as nothing takes its place; None if something always did."""
    if day is None:
        return row
    return replace(row, valid_until=day) if row.valid_from < day else None
