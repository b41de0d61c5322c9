"""Minutes: planned and attended, in person and virtual, in summer and in winter."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import hours
from app.rules.hours import Break, Minutes, Sitting
from app.rules.words import AttendanceStatus

NINE = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)  # 09:00 in London
S = AttendanceStatus


def at(hour: float) -> datetime:
    return NINE + timedelta(hours=hour - 9)


WITH_LUNCH = Sitting(at(9), at(15), breaks=(Break(at(12), at(13)),))


def test_planned_minutes_leave_breaks_out() -> None:
    assert hours.planned(WITH_LUNCH) == 300
    assert hours.planned(Sitting(at(9), at(15), break_minutes=45)) == 315


@pytest.mark.parametrize(
    ("status", "arrived", "left", "minutes"),
    [
        (S.PRESENT, None, None, 300),
        (S.PRESENT, 10, None, 300),
        (S.LATE, 10, None, 240),
        (S.LATE, 12.5, None, 120),  # in the middle of lunch
        (S.LATE, 8, None, 300),
        (S.LATE, 16, None, 0),
        (S.LEFT_EARLY, None, 12, 180),
        (S.LEFT_EARLY, 10, 14, 180),
        (S.NO_SHOW, None, None, 0),
        (S.EXCUSED, None, None, 0),
        (S.ARRIVED, 9, None, 0),
        (S.EXPECTED, None, None, 0),
        (S.CLOSED, None, None, 0),
    ],
)
def test_minutes_are_those_between_the_real_times(
    status: AttendanceStatus, arrived: float | None, left: float | None, minutes: int
) -> None:
    earned = hours.attended(
        WITH_LUNCH,
        status,
        arrived_at=None if arrived is None else at(arrived),
        left_at=None if left is None else at(left),
    )
    assert earned == Minutes(minutes, 0)


def test_a_break_without_a_time_is_taken_off_in_proportion() -> None:
    day = Sitting(at(9), at(15), break_minutes=60)
    assert hours.attended(day, S.LEFT_EARLY, left_at=at(12)).total == 150


def test_a_hybrid_carries_both_parts() -> None:
    day = Sitting(at(9), at(15), break_minutes=60, virtual_minutes=100)
    assert hours.attended(day, S.PRESENT) == Minutes(200, 100)
    assert hours.attended(day, S.LATE, arrived_at=at(12)) == Minutes(100, 50)


@pytest.mark.parametrize("status", [S.LATE, S.LEFT_EARLY])
def test_a_time_that_is_missing_is_not_guessed(status: AttendanceStatus) -> None:
    with pytest.raises(ValueError, match="needs the time"):
        hours.attended(WITH_LUNCH, status)


SIX_HOURS = Sitting(at(9), at(15))
OUTSIDE, EARLY, LATER = Break(at(8), at(10)), Break(at(10), at(12)), Break(at(11), at(13))


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: replace(SIX_HOURS, ends_at=at(9)),
        lambda: replace(SIX_HOURS, break_minutes=400),
        lambda: replace(SIX_HOURS, break_minutes=-1),
        lambda: replace(SIX_HOURS, virtual_minutes=361),
        lambda: replace(SIX_HOURS, breaks=(OUTSIDE,)),
        lambda: replace(SIX_HOURS, breaks=(EARLY, LATER)),
    ],
)
def test_a_sitting_that_cannot_be_is_refused(impossible: Callable[[], Sitting]) -> None:
    with pytest.raises(ValueError, match=r"sitting|breaks"):
        impossible()


@st.composite
def sittings(draw: st.DrawFn) -> Sitting:
    length = draw(st.integers(1, 720))
    edges = sorted(draw(st.lists(st.integers(0, length), min_size=4, max_size=4)))
    first, second, third, fourth = (NINE + timedelta(minutes=edge) for edge in edges)
    whole = length - (edges[1] - edges[0]) - (edges[3] - edges[2])
    off = draw(st.integers(0, whole))
    return Sitting(
        NINE,
        NINE + timedelta(minutes=length),
        breaks=(Break(first, second), Break(third, fourth)),
        break_minutes=off,
        virtual_minutes=draw(st.integers(0, whole - off)),
    )


times = st.none() | st.integers(-90_000, 90_000).map(lambda seconds: NINE + timedelta(seconds=seconds))


@given(sittings(), st.sampled_from(AttendanceStatus), times, times)
def test_minutes_are_never_negative_nor_above_the_plan(
    sitting: Sitting, status: AttendanceStatus, arrived: datetime | None, left: datetime | None
) -> None:
    if (status == S.LATE and arrived is None) or (status == S.LEFT_EARLY and left is None):
        return
    earned = hours.attended(sitting, status, arrived_at=arrived, left_at=left)
    plan = hours.planned_parts(sitting)
    assert 0 <= earned.virtual <= plan.virtual
    assert earned.in_person >= 0
    assert earned.total <= plan.total


@given(sittings(), st.integers(0, 720), st.integers(0, 720))
def test_staying_longer_never_earns_less(sitting: Sitting, one: int, other: int) -> None:
    shorter, longer = (
        hours.attended(sitting, S.LEFT_EARLY, left_at=NINE + timedelta(minutes=minutes)).total
        for minutes in sorted((one, other))
    )
    assert shorter <= longer


def test_days_are_london_days_and_counted_once() -> None:
    late = datetime(2026, 6, 15, 23, 30, tzinfo=UTC)  # 00:30 on the 16th in London
    days = hours.calendar_days(
        [WITH_LUNCH, Sitting(at(16), at(17)), Sitting(late, late + timedelta(hours=1))]
    )
    assert days == (date(2026, 6, 15), date(2026, 6, 16))


def test_end_to_start_is_no_overlap() -> None:
    assert not hours.overlap(Sitting(at(9), at(10)), Sitting(at(10), at(11)))
    assert hours.overlap(Sitting(at(9), at(10)), Sitting(at(9.5), at(11)))


def test_five_hours_are_a_day() -> None:
    assert hours.as_days(1_500) == 5.0
    assert hours.as_hours(75) == 1.25
    assert hours.capped(360, 300) == 300
    assert hours.capped(360, None) == 360
    assert hours.total([Minutes(10, 5), Minutes(20, 0)]) == Minutes(30, 5)
