"""Intervals against values worked out elsewhere, and their edges."""

from math import comb

import pytest

from app.rules import intervals


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
