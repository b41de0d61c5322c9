"""The entitlement by band, under a dated policy."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.entitlement import DEFAULT_POLICY, Entry, policy_on, progress
from app.rules.words import NC_YEARS, ExperienceKind

TOUR, PLACEMENT, VIRTUAL = (
    ExperienceKind.WORKPLACE_TOUR,
    ExperienceKind.PLACEMENT,
    ExperienceKind.VIRTUAL_EXPERIENCE,
)
MONDAY = date(2026, 6, 15)


def days(
    number: int, nc_year: str, kind: ExperienceKind, in_person: int = 0, virtual: int = 0
) -> list[Entry]:
    return [Entry(MONDAY + timedelta(days=n), nc_year, kind, in_person, virtual) for n in range(number)]


def test_a_week_of_each_fills_both_bands_and_the_total() -> None:
    result = progress([*days(5, "8", TOUR, 300), *days(5, "10", PLACEMENT, 0)], DEFAULT_POLICY)
    assert [band.met for band in result.bands] == [True, False]
    later = [replace(each, on=each.on + timedelta(days=800)) for each in days(5, "10", PLACEMENT, 300)]
    both = progress([*days(5, "8", TOUR, 300), *later], DEFAULT_POLICY)
    assert both.met
    assert both.credited == 3_000
    assert both.calendar_days == 10


def test_surplus_counts_to_the_total_and_never_to_the_other_band() -> None:
    result = progress(days(10, "8", TOUR, 300), DEFAULT_POLICY)
    lower, upper = result.bands
    assert (lower.counted, lower.surplus, upper.counted) == (1_500, 1_500, 0)
    assert result.credited == 3_000
    assert not result.met


def test_virtual_minutes_fill_at_most_half_of_a_band() -> None:
    result = progress(days(5, "9", VIRTUAL, virtual=300), DEFAULT_POLICY)
    assert result.bands[0].counted == 750
    assert result.credited == 1_500


def test_only_in_person_placement_fills_the_upper_band() -> None:
    visits = progress(days(5, "10", TOUR, 300), DEFAULT_POLICY).bands[1]
    hybrid = progress(days(5, "10", PLACEMENT, 200, 100), DEFAULT_POLICY).bands[1]
    assert (visits.counted, visits.raw) == (0, 0)
    assert (hybrid.counted, hybrid.raw, hybrid.calendar_days) == (1_000, 1_500, 5)


def test_a_day_is_credited_up_to_the_cap_and_shown_raw() -> None:
    result = progress(days(4, "10", PLACEMENT, 420), DEFAULT_POLICY).bands[1]
    assert (result.raw, result.credited, result.met) == (1_680, 1_200, False)
    uncapped = progress(days(4, "10", PLACEMENT, 420), replace(DEFAULT_POLICY, daily_cap=None)).bands[1]
    assert uncapped.credited == 1_680


def test_the_cap_of_a_day_is_filled_with_placement_first() -> None:
    entries = [Entry(MONDAY, "10", VIRTUAL, 0, 200), Entry(MONDAY, "10", PLACEMENT, 240, 0)]
    result = progress(entries, DEFAULT_POLICY)
    assert (result.bands[1].counted, result.credited, result.raw) == (240, 300, 440)


def test_a_reversal_takes_back_exactly_what_was_credited() -> None:
    credit = Entry(MONDAY, "8", TOUR, 120)
    assert progress([credit, replace(credit, in_person=-120)], DEFAULT_POLICY).raw == 0
    result = progress(
        [credit, replace(credit, in_person=-120), replace(credit, in_person=90)], DEFAULT_POLICY
    )
    assert (result.raw, result.calendar_days) == (90, 1)


def test_year_x_is_banded_by_date_of_birth() -> None:
    entries = days(1, "X", TOUR, 100)
    assert progress(entries, DEFAULT_POLICY, date_of_birth=date(2013, 1, 1)).bands[0].counted == 100
    assert progress(entries, DEFAULT_POLICY, date_of_birth=date(2011, 1, 1)).bands[0].counted == 0
    unknown = progress(entries, DEFAULT_POLICY)
    assert (unknown.bands[0].counted, unknown.credited) == (0, 100)


def test_the_policy_is_the_one_in_force_on_the_day() -> None:
    later = replace(DEFAULT_POLICY, code="later", valid_from=date(2027, 9, 1))
    policies = (later, DEFAULT_POLICY)
    assert policy_on(date(2027, 8, 31), policies) is DEFAULT_POLICY
    assert policy_on(date(2027, 9, 1), policies) is later
    assert policy_on(date(2020, 1, 1), policies) is DEFAULT_POLICY
    with pytest.raises(ValueError, match="no policy"):
        policy_on(MONDAY, ())


entries_of_any_kind = st.lists(
    st.builds(
        Entry,
        on=st.dates(date(2025, 9, 1), date(2025, 9, 20)),
        nc_year=st.sampled_from(NC_YEARS),
        kind=st.sampled_from(ExperienceKind),
        in_person=st.integers(-100, 500),
        virtual=st.integers(-100, 500),
    ),
    max_size=25,
)


@given(entries_of_any_kind)
def test_no_more_is_credited_than_was_attended_nor_counted_than_is_asked(entries: list[Entry]) -> None:
    result = progress(entries, DEFAULT_POLICY, date_of_birth=date(2012, 5, 5))
    assert 0 <= result.credited <= result.raw
    assert result.credited <= 300 * result.calendar_days
    for band in result.bands:
        assert 0 <= band.counted <= min(band.target, band.credited)
        assert band.credited <= band.raw
        assert band.counted + band.surplus == band.credited


@given(entries_of_any_kind, st.randoms())
def test_the_order_of_entries_does_not_matter(entries: list[Entry], random: Random) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert progress(entries, DEFAULT_POLICY) == progress(shuffled, DEFAULT_POLICY)
