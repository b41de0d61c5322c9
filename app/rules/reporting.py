"""The days of which hubs are told figures of the past: the ends of weeks, and the formal dates.

Figures of every day and every moment would show, one after the other, what a single pupil did: the difference of two
neighbouring ones is a handful of events.
"""

from datetime import date, datetime, timedelta
from typing import Final

from app.rules.school_calendar import london_date, london_midnight

FORMAL_DATES: Final = ((12, 31), (3, 31), (7, 31))
"""On which hubs take formal measures: 31 December, 31 March, 31 July."""

_SUNDAY: Final = 7


def is_reporting_day(day: date) -> bool:
    """Whether it ends a week (a Sunday) or is a formal date."""
    return day.isoweekday() == _SUNDAY or (day.month, day.day) in FORMAL_DATES


def reporting_day_until(day: date) -> date:
    """The latest reporting day that is not after a day."""
    return next(one for at in range(_SUNDAY) if is_reporting_day(one := day - timedelta(days=at)))


def is_closing(moment: datetime) -> bool:
    """Whether a moment is the end of a reporting day: the midnight in London. Refuses a naive time with ValueError."""
    day = london_date(moment)
    return moment == london_midnight(day) and is_reporting_day(day - timedelta(days=1))


def closing_until(moment: datetime) -> datetime:
    """The latest end of a reporting day that is not after a moment, in UTC. Refuses a naive time with ValueError."""
    ended = london_date(moment) - timedelta(days=1)
    return london_midnight(reporting_day_until(ended) + timedelta(days=1))
