"""Gatsby benchmarks 5 and 6: what makes an experience count, as offered and as confirmed, and how many a
year.

BM5 is a meaningful encounter with an employer: four criteria. BM6 is a meaningful experience of a workplace:
seven criteria, on an employer's premises. What the employer states is *offered*; what the school confirms
afterwards counts. Source: the Gatsby benchmarks as DfE statutory guidance has them (2025).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from app.rules.answers import Refusal
from app.rules.school_calendar import academic_year, year_turning
from app.rules.words import BM5_CRITERIA, BM6_CRITERIA, Criterion, ExperienceKind, Mode

CRITERION_TEXTS: Final[Mapping[Criterion, str]] = {
    Criterion.CLEAR_SHARED_PURPOSE: "Employer, school and pupil know what it is for.",
    Criterion.LEARNING_OUTCOMES: "It is built on learning outcomes that fit the pupil's needs.",
    Criterion.TWO_WAY_INTERACTION: "Pupil and employer talk with each other.",
    Criterion.EXTENSIVE_TWO_WAY_INTERACTION: "Pupil and employer talk with each other at length.",
    Criterion.RANGE_OF_PEOPLE: "The pupil meets a range of people from the workplace.",
    Criterion.TASK_SET_BY_EMPLOYER: "The pupil performs a task that the employer has set.",
    Criterion.EMPLOYER_FEEDBACK: "The employer tells the pupil how the work was.",
    Criterion.REFLECTION: "The pupil reflects on it afterwards, with the school.",
}

NOT_A_WORKPLACE: Final = frozenset({ExperienceKind.VIRTUAL_EXPERIENCE, ExperienceKind.SCHOOL_BASED_ENCOUNTER})
SEVERAL_BY_16: Final = 2
"""How many experiences are "several": the guidance gives no number. A figure may pass its own."""


@dataclass(frozen=True)
class Judgement:
    """Whether an experience meets each benchmark, and what it lacks. No missing criterion may still be no
    workplace.
    """

    bm5: bool
    bm6: bool
    missing_for_bm5: tuple[Criterion, ...]
    missing_for_bm6: tuple[Criterion, ...]
    is_workplace: bool


@dataclass(frozen=True)
class Encounter:
    """One pupil's experience as the benchmarks see it. `confirmed` None: the school has not said yet."""

    on: date
    kind: ExperienceKind
    mode: Mode
    offered: frozenset[Criterion] = frozenset()
    confirmed: frozenset[Criterion] | None = None
    attended: bool = True


@dataclass(frozen=True)
class Count:
    """Encounters of a year that meet each benchmark."""

    bm5_offered: int = 0
    bm5_confirmed: int = 0
    bm6_offered: int = 0
    bm6_confirmed: int = 0


def judge(kind: ExperienceKind, mode: Mode, criteria: Collection[Criterion]) -> Judgement:
    """What a set of criteria makes of an experience. Extensive interaction is interaction too."""
    have = set(criteria)
    if Criterion.EXTENSIVE_TWO_WAY_INTERACTION in have:
        have.add(Criterion.TWO_WAY_INTERACTION)
    missing_5 = tuple(each for each in BM5_CRITERIA if each not in have)
    missing_6 = tuple(each for each in BM6_CRITERIA if each not in have)
    workplace = mode != Mode.VIRTUAL and kind not in NOT_A_WORKPLACE
    return Judgement(not missing_5, workplace and not missing_6, missing_5, missing_6, workplace)


def offered(encounter: Encounter) -> Judgement:
    """What the employer's word makes of it."""
    return judge(encounter.kind, encounter.mode, encounter.offered)


def confirmed(encounter: Encounter) -> Judgement:
    """What the school's word makes of it; nothing before the school has spoken, nothing for who was not
    there.
    """
    known = encounter.confirmed if encounter.attended and encounter.confirmed is not None else ()
    return judge(encounter.kind, encounter.mode, known)


def problem_with_confirming(*, now: datetime, last_end: datetime) -> Refusal | None:
    """Criteria, reflection among them, are confirmed after the visit: `too_early` before its last end."""
    if now < last_end:
        return Refusal("too_early", "Criteria are confirmed after the visit.")
    return None


def by_year(encounters: Iterable[Encounter]) -> dict[int, Count]:
    """Counts per academic year (its first calendar year), of encounters attended."""
    years: defaultdict[int, list[tuple[Judgement, Judgement]]] = defaultdict(list)
    for each in encounters:
        if each.attended:
            years[academic_year(each.on)].append((offered(each), confirmed(each)))
    return {year: _count(pairs) for year, pairs in sorted(years.items())}


def _count(pairs: Iterable[tuple[Judgement, Judgement]]) -> Count:
    pairs = tuple(pairs)
    return Count(
        bm5_offered=sum(said.bm5 for said, _ in pairs),
        bm5_confirmed=sum(kept.bm5 for _, kept in pairs),
        bm6_offered=sum(said.bm6 for said, _ in pairs),
        bm6_confirmed=sum(kept.bm6 for _, kept in pairs),
    )


def bm5_met_each_year(encounters: Iterable[Encounter], years: Iterable[int]) -> bool:
    """BM5: at least one confirmed meaningful encounter in each of these academic years (a pupil's from age
    11).
    """
    counts = by_year(encounters)
    return all(counts.get(year, Count()).bm5_confirmed for year in years)


def bm6_met_by_16(
    encounters: Iterable[Encounter], date_of_birth: date, *, several: int = SEVERAL_BY_16
) -> bool:
    """BM6 by 16: several confirmed meaningful experiences by the end of the school year in which 16 is
    reached.
    """
    end = year_turning(date_of_birth, 16)
    return _confirmed_experiences(encounters, range(end + 1)) >= several


def bm6_met_by_18(encounters: Iterable[Encounter], date_of_birth: date) -> bool:
    """BM6 by 18: one more, in the two school years after that."""
    end = year_turning(date_of_birth, 16)
    return _confirmed_experiences(encounters, range(end + 1, end + 3)) >= 1


def _confirmed_experiences(encounters: Iterable[Encounter], years: range) -> int:
    return sum(count.bm6_confirmed for year, count in by_year(encounters).items() if year in years)
