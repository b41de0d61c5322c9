"""Gatsby benchmarks 5 and 6, offered and confirmed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.rules import benchmarks
from app.rules.answers import Refusal
from app.rules.benchmarks import Count, Encounter
from app.rules.words import BM5_CRITERIA, BM6_CRITERIA, Criterion, ExperienceKind, Mode

ALL_FIVE, ALL_SIX = frozenset(BM5_CRITERIA), frozenset(BM6_CRITERIA)
K, M = ExperienceKind, Mode


@pytest.mark.parametrize(
    ("kind", "mode", "criteria", "bm5", "bm6"),
    [
        (K.WORKPLACE_TOUR, M.IN_PERSON, ALL_FIVE, True, False),  # a bare tour
        (K.PLACEMENT, M.IN_PERSON, ALL_SIX, True, True),  # extensive interaction is interaction
        (K.WORKPLACE_VISIT, M.HYBRID, ALL_SIX, True, True),
        (K.INNOVATIVE, M.IN_PERSON, ALL_SIX, True, True),
        (K.VIRTUAL_EXPERIENCE, M.VIRTUAL, ALL_SIX, True, False),
        (K.SCHOOL_BASED_ENCOUNTER, M.IN_PERSON, ALL_SIX, True, False),
        (K.PLACEMENT, M.VIRTUAL, ALL_SIX, True, False),
        (K.PLACEMENT, M.IN_PERSON, frozenset(), False, False),
    ],
)
def test_what_counts_towards_which(
    kind: ExperienceKind, mode: Mode, criteria: frozenset[Criterion], *, bm5: bool, bm6: bool
) -> None:
    judged = benchmarks.judge(kind, mode, criteria)
    assert (judged.bm5, judged.bm6) == (bm5, bm6)


@pytest.mark.parametrize("lacking", BM6_CRITERIA)
def test_each_of_the_seven_is_needed_and_named(lacking: Criterion) -> None:
    judged = benchmarks.judge(K.PLACEMENT, M.IN_PERSON, ALL_SIX - {lacking})
    assert not judged.bm6
    assert judged.missing_for_bm6 == (lacking,)


@pytest.mark.parametrize("lacking", BM5_CRITERIA)
def test_each_of_the_four_is_needed_and_named(lacking: Criterion) -> None:
    assert benchmarks.judge(K.PLACEMENT, M.IN_PERSON, ALL_FIVE - {lacking}).missing_for_bm5 == (lacking,)


def encounter(on: date, *, said: bool = True, there: bool = True) -> Encounter:
    return Encounter(on, K.PLACEMENT, M.IN_PERSON, ALL_SIX, ALL_SIX if said else None, attended=there)


def test_what_an_employer_offers_counts_only_when_the_school_confirms() -> None:
    waiting = encounter(date(2026, 6, 15), said=False)
    assert benchmarks.offered(waiting).bm6
    assert not benchmarks.confirmed(waiting).bm6
    assert not benchmarks.confirmed(encounter(date(2026, 6, 15), there=False)).bm5


def test_encounters_are_counted_by_academic_year() -> None:
    found = benchmarks.by_year(
        [
            encounter(date(2026, 8, 31)),
            encounter(date(2026, 9, 1)),
            encounter(date(2026, 9, 2), said=False),
            encounter(date(2026, 9, 3), there=False),
        ]
    )
    assert found == {2025: Count(1, 1, 1, 1), 2026: Count(2, 1, 2, 1)}


def test_a_year_without_an_encounter_is_a_year_missed() -> None:
    each = [encounter(date(2025, 10, 1)), encounter(date(2026, 10, 1))]
    assert benchmarks.bm5_met_each_year(each, [2025, 2026])
    assert not benchmarks.bm5_met_each_year(each, [2025, 2026, 2027])


def test_several_by_16_and_one_more_by_18() -> None:
    born = date(2010, 1, 1)  # turns 16 in 2025/26
    young = [encounter(date(2025, 3, 1)), encounter(date(2026, 8, 31))]
    assert benchmarks.bm6_met_by_16(young, born)
    assert not benchmarks.bm6_met_by_16(young, born, several=3)
    assert not benchmarks.bm6_met_by_18(young, born)
    assert benchmarks.bm6_met_by_18([encounter(date(2027, 3, 1))], born)


def test_nothing_is_confirmed_before_the_visit_is_over() -> None:
    end = datetime(2026, 6, 15, 15, tzinfo=UTC)
    early = benchmarks.problem_with_confirming(now=end - timedelta(minutes=1), last_end=end)
    assert isinstance(early, Refusal)
    assert benchmarks.problem_with_confirming(now=end, last_end=end) is None


def test_every_criterion_has_its_text() -> None:
    assert set(benchmarks.CRITERION_TEXTS) == set(Criterion)
