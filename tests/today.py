"""What day it is for the tests: read once, here, and by nobody else.

It is the date in London, as it is for the product: late on a summer's evening UTC still has the day before. Dates in
tests are made from `TODAY`; a test that needs a certain kind of day (in term, in this academic year) looks for it from
there, so that it does not depend on the day on which it runs. `make test-calendar` runs them on other days.
"""

from datetime import UTC, date, datetime, time, timedelta

from app.core.clock import school_day, wall_now
from app.rules.school_calendar import academic_year, last_day

TODAY = school_day(wall_now())
YEAR = academic_year(TODAY)
YEAR_AGO = TODAY - timedelta(days=365)


def time_in(days: int, hour: int = 10) -> datetime:
    """An hour, in UTC, of the day so many days from today."""
    return datetime.combine(date_in(days), time(hour), UTC)


def date_in(days: int) -> date:
    """The date so many days from today."""
    return TODAY + timedelta(days=days)


def end_of(days: int) -> date:
    """Today; or the end of the last academic year, if this one has not had so many days before today."""
    return TODAY if academic_year(date_in(-days)) == YEAR else last_day(YEAR - 1)
