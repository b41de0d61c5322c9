"""Intervals against values worked out elsewhere, and their edges."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dashboards import market, programmes, targets
from app.dashboards.programmes import share_of
from app.rules import intervals
from app.rules.coverage import FigureState
from app.rules.intervals import Interval


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    found = intervals.of_share(10, 50)  # Newcombe 1998: 0.1124 to 0.3304
    assert found is not None
    assert found == pytest.approx((0.1124, 0.3304), abs=0.0001)


@pytest.mark.parametrize(("part", "base"), [(0, 10), (10, 10), (1, 1), (0, 1)])
def test_a_share_of_nobody_or_everybody_still_has_a_width_and_stays_between_0_and_1(
    part: int, base: int
) -> None:
    found = intervals.of_share(part, base)
    assert found is not None
    assert 0 <= found.lower < found.upper <= 1
    assert found.lower <= part / base <= found.upper


def test_an_empty_base_has_no_interval() -> None:
    assert intervals.of_share(0, 0) is None
    assert intervals.of_mean(1, 5, 25) is None
    assert intervals.of_ratio([1], [2]) is None
    assert intervals.of_ratio([1, 2], [0, 0]) is None
    assert intervals.median([]) is None


def test_the_mean_of_three_values_has_students_interval() -> None:
    # 120, 240, 300: mean 220, s = 91.6515, t(2) = 4.302653, half = 227.677
    found = intervals.of_mean(3, 660, 120**2 + 240**2 + 300**2)
    assert found == pytest.approx((-7.677, 447.677), abs=0.01)


def test_student_goes_smoothly_from_the_table_into_the_series() -> None:
    assert intervals.student(31) == pytest.approx(2.039513, abs=0.00002)
    assert intervals.student(120) == pytest.approx(1.979930, abs=0.00001)
    assert all(intervals.student(n) > intervals.student(n + 1) for n in range(1, 200))
    with pytest.raises(ValueError, match="at least one"):
        intervals.student(0)


@pytest.mark.parametrize("count", range(1, 40))
def test_the_medians_interval_covers_at_least_95_per_cent_and_no_narrower_one_would(count: int) -> None:
    values = [float(one) for one in range(count)]
    found = intervals.of_median(values)
    if count < 6:
        assert found is None
        return
    assert found is not None
    rank = int(found.lower) + 1
    assert found.upper == count - rank
    missed = 2 * sum(comb(count, k) for k in range(rank)) / 2**count
    narrower = 2 * sum(comb(count, k) for k in range(rank + 1)) / 2**count
    assert missed <= 0.05 < narrower


def test_the_median_is_the_middle_or_between_the_two() -> None:
    assert intervals.median([1, 2, 9]) == 2
    assert intervals.median([1, 2, 4, 9]) == 3


def test_a_ratio_without_spread_is_certain() -> None:
    assert intervals.of_ratio([2, 4, 6], [1, 2, 3]) == pytest.approx(0)
    # 100/10 and 100/30: R = 5; residuals 50 and -50; sqrt(2/1 * 5000) / 40 = 2.5, t(1) = 12.706205
    assert intervals.of_ratio([100, 100], [10, 30]) == pytest.approx(12.706205 * 2.5)


@pytest.mark.parametrize(("n", "low"), [(5, None), (6, 1), (8, 1), (9, 2), (25, 8), (100, 40), (1_001, 469)])
def test_the_ranks_of_a_medians_interval_are_those_of_the_tables(n: int, low: int | None) -> None:
    values = list(range(1, n + 1))
    found = intervals.of_median(values)
    assert found == (None if low is None else (low, n + 1 - low))


# --- as they are shown ----------------------------------------------------------------------------------

NUMBERS = st.floats(0, 1e7, allow_nan=False)


@given(NUMBERS, st.one_of(st.just(0.0), st.floats(0, 1e5)), st.integers(0, 3), st.sampled_from([1.0, 5.0]))
def test_an_interval_is_rounded_outwards_and_has_a_width(
    lower: float, width: float, digits: int, step: float
) -> None:
    unit = step / 10**digits
    shown = intervals.outwards(Interval(lower, lower + width), digits, step=step)
    assert 0 <= shown.lower < shown.upper
    assert shown.lower <= lower + unit / 1e6
    assert shown.upper >= lower + width - unit / 1e6
    assert shown.upper - shown.lower <= width + 2 * unit * (1 + 1e-6)
    assert shown.lower <= round(lower, digits) <= shown.upper or step != 1, "what is shown lies within"
    for end in shown:
        assert end / unit == pytest.approx(round(end / unit))


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_of_any_base_has_a_width_as_it_is_shown(part: int, base: int) -> None:
    part = min(part, base)
    shown = share_of(part, base, FigureState.KNOWN, exact=True)
    assert shown.lower is not None
    assert shown.upper is not None
    assert 0 <= shown.lower < shown.upper <= 100
    assert shown.lower <= 100 * part / base <= shown.upper


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=40).map(sorted))
def test_a_median_has_a_width_as_it_is_shown(seconds: list[int]) -> None:
    for shown in (
        programmes._response(seconds, FigureState.KNOWN),
        programmes._response(seconds[:1] * len(seconds), FigureState.KNOWN),
    ):
        assert shown.lower is not None
        assert shown.upper is not None
        assert shown.value is not None
        assert 0 <= shown.lower < shown.upper
        assert shown.lower <= shown.value <= shown.upper
    answers = market.response(seconds, rounds=False)
    assert answers.low_hours is not None
    assert answers.high_hours is not None
    assert 0 <= answers.low_hours < answers.high_hours


@given(st.lists(st.integers(0, 5_000), min_size=2, max_size=60), st.booleans(), st.booleans())
def test_a_mean_has_a_width_as_it_is_shown(values: list[int], exact: bool, alike: bool) -> None:  # noqa: FBT001
    values = values[:1] * len(values) if alike else values
    row = {
        "young_people": len(values), "minutes": sum(values), "squares": sum(one * one for one in values),
        "days": sum(values), "day_squares": sum(one * one for one in values), "exact": exact,
        "costed_minutes": [one + 60 for one in values],
    }  # fmt: skip
    total, people = sum(values), len(values)
    for shown in (
        programmes._minutes_each(row, FigureState.KNOWN, people, total),
        programmes._days_each(row, FigureState.KNOWN, people, total),
        programmes._cost(row, [100 * (one + 60) for one in values], FigureState.KNOWN),
    ):
        if shown.value is None:
            continue
        assert shown.lower is not None
        assert shown.upper is not None
        assert 0 <= shown.lower < shown.upper
        assert shown.lower <= shown.value <= shown.upper


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.sampled_from([5, 300]))
def test_a_forecast_of_rounded_numbers_has_a_width(reached: int, least: int, more: int, step: int) -> None:
    lower, upper = reached + least, reached + least + more
    low, high = targets._apart(lower, upper, reached, step)
    assert low is not None
    assert high is not None
    assert reached <= low <= lower
    assert upper <= high
    assert low < high
