"""School time of the demonstration: days in term, and the terms they lie in. England's usual holidays, no one county's."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from app.rules.school_calendar import academic_year, first_day

_DAY: Final = timedelta(days=1)
_SUMMER: Final = ((7, 18), (9, 4))
_CHRISTMAS: Final = ((12, 19), (1, 4))
_MONDAY, _FRIDAY = 0, 4


def monday_of(day: date) -> date:
    """The Monday of the week of a day."""
    return day - timedelta(days=day.weekday())


def anchor_of(day: date) -> date:
    """What made-up dates are anchored to: the Monday of the week, or 1 September where the academic year begins within it.

    So that the pupils of that week are in the year groups of their day.
    """
    return max(monday_of(day), first_day(academic_year(day)))


@lru_cache(maxsize=4096)
def is_term_day(day: date) -> bool:
    """Monday to Friday, outside holidays, half-terms and the May holidays."""
    sign = (day.month, day.day)
    away = _SUMMER[0] <= sign <= _SUMMER[1] or sign >= _CHRISTMAS[0] or sign <= _CHRISTMAS[1]
    return day.weekday() <= _FRIDAY and not away and not _in_a_break(day)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the rule of Meeus, Jones and Butcher)."""
    golden, century, rest = year % 19, year // 100, year % 100
    leap = century - century // 4 - (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + leap + 15) % 30
    sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    shift = (golden + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _in_a_break(day: date) -> bool:
    monday = monday_of(day)
    half_terms = {_last_monday(day.year, 10), monday_of(date(day.year, 2, 17)), _last_monday(day.year, 5)}
    around_easter = easter(day.year)
    weeks = {monday_of(around_easter), monday_of(around_easter) + 7 * _DAY}
    may_day = date(day.year, 5, 1)
    return monday in half_terms | weeks or day == may_day + (-may_day.weekday() % 7) * _DAY


def _last_monday(year: int, month: int) -> date:
    last = date(year + month // 12, month % 12 + 1, 1) - _DAY
    return monday_of(last)


def term_days(first: date, last: date) -> Iterator[date]:
    """The term days from one day to another, both included."""
    day = first
    while day <= last:
        if is_term_day(day):
            yield day
        day += _DAY


def whole_weeks(first: date, last: date) -> list[date]:
    """The Mondays of weeks of five term days that lie between."""
    mondays = (day for day in term_days(first, last) if day.weekday() == _MONDAY)
    week = range(5)
    return [
        day for day in mondays if day + 4 * _DAY <= last and all(is_term_day(day + n * _DAY) for n in week)
    ]


def term_of(day: date) -> tuple[int, int]:
    """The academic year, and 1 for autumn, 2 for spring (to Easter), 3 for summer: terms in the order of time."""
    if day.month >= 9:  # noqa: PLR2004
        return academic_year(day), 1
    return academic_year(day), 2 if day < easter(day.year) else 3
