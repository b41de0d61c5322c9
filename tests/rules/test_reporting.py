"""The days and moments of which hubs are told figures of the past."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.reporting import closing_until, is_closing, is_reporting_day, reporting_day_until

START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2026, 11, 29), True),  # a Sunday
        (date(2026, 11, 28), False),
        (date(2026, 11, 30), False),
        (date(2026, 12, 31), True),  # a Thursday
        (date(2027, 3, 31), True),
        (date(2027, 7, 31), True),
        (date(2027, 6, 30), False),
    ],
)
def test_reporting_days_end_weeks_or_are_formal_dates(day: date, *, found: bool) -> None:
    assert is_reporting_day(day) is found


def test_the_latest_reporting_day() -> None:
    assert reporting_day_until(date(2026, 12, 30)) == date(2026, 12, 27)
    assert reporting_day_until(date(2027, 1, 2)) == date(2026, 12, 31)
    assert reporting_day_until(date(2027, 1, 3)) == date(2027, 1, 3)


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        (datetime(2027, 1, 1, tzinfo=UTC), True),
        (datetime(2027, 7, 31, 23, tzinfo=UTC), True),  # summer time: midnight in London
        (datetime(2027, 8, 1, 0, tzinfo=UTC), False),
        (datetime(2027, 8, 1, 0, tzinfo=timezone(timedelta(hours=1))), True),
        (datetime(2026, 11, 30, tzinfo=UTC), True),
        (datetime(2026, 12, 1, tzinfo=UTC), False),
        (datetime(2026, 11, 30, 0, 0, 0, 1, tzinfo=UTC), False),
    ],
)
def test_a_closing_is_the_midnight_in_london_at_the_end_of_a_reporting_day(
    moment: datetime, *, found: bool
) -> None:
    assert is_closing(moment) is found


@given(st.integers(0, 20 * 366 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)))
def test_the_latest_closing_is_one_and_no_later_one_is_over(moment: datetime) -> None:
    found = closing_until(moment)
    assert is_closing(found)
    assert moment - timedelta(days=7, hours=1) < found <= moment
    later = found + timedelta(hours=1)
    while later <= moment:
        assert not is_closing(later)
        later += timedelta(hours=1)


def test_a_moment_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        is_closing(datetime(2027, 1, 1))  # noqa: DTZ001
