"""School time in England: the date in London, academic years, ages, compulsory schooling.

A school year is taken to run from 1 September to 31 August. The Act's own school year begins with the first
term that begins after July; a school whose term begins in August is treated a few days too strictly, which is
the safe side. For legal review.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from app.rules.words import EntitlementBand, KeyStage, entitlement_band, key_stage

LONDON: Final = ZoneInfo("Europe/London")
YEAR_BEGINS: Final = (9, 1)


def london_date(instant: datetime) -> date:
    """The date in London at an instant. Refuses a naive time with ValueError: it names no instant."""
    return london_time(instant).date()


def london_time(instant: datetime) -> datetime:
    """The same instant on a London clock. Refuses a naive time with ValueError."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(LONDON)


def london_midnight(day: date) -> datetime:
    """The instant, in UTC, at which a day begins in London."""
    return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)


def academic_year(day: date) -> int:
    """The year in which this academic year began: 2025 for 31 August 2026, 2026 for the day after."""
    return day.year if (day.month, day.day) >= YEAR_BEGINS else day.year - 1


def first_day(year: int) -> date:
    """1 September of an academic year."""
    return date(year, *YEAR_BEGINS)


def last_day(year: int) -> date:
    """31 August that ends an academic year."""
    return first_day(year + 1) - timedelta(days=1)


def label(year: int) -> str:
    """`2025/26` for 2025."""
    return f"{year}/{(year + 1) % 100:02d}"


def birthday(date_of_birth: date, age: int) -> date:
    """The day on which an age is reached. Born on 29 February: 1 March in a common year."""
    try:
        return date_of_birth.replace(year=date_of_birth.year + age)
    except ValueError:
        return date(date_of_birth.year + age, 3, 1)


def age_on(date_of_birth: date, day: date) -> int:
    """Full years of age on a day. Refuses a day before birth with ValueError."""
    if day < date_of_birth:
        raise ValueError("the day is before the birth")
    years = day.year - date_of_birth.year
    return years if birthday(date_of_birth, years) <= day else years - 1


def year_turning(date_of_birth: date, age: int) -> int:
    """The academic year in which an age is reached."""
    return academic_year(birthday(date_of_birth, age))


def placements_lawful_from(date_of_birth: date) -> date:
    """The first day of the last two years of compulsory schooling: of the school year in which 15 is reached.

    Education Act 1996 s.560(2).
    """
    return first_day(year_turning(date_of_birth, 15))


def leaving_date(date_of_birth: date) -> date:
    """The end of compulsory schooling: the last Friday in June of the school year in which 16 is reached.

    Education Act 1996 s.8 and the School Leaving Date Order 1997.
    """
    end_of_june = date(year_turning(date_of_birth, 16) + 1, 6, 30)
    return end_of_june - timedelta(days=(end_of_june.weekday() - 4) % 7)


def of_compulsory_school_age(date_of_birth: date, day: date) -> bool:
    """From the first prescribed day (31 December, 31 March, 31 August) on or after the fifth birthday, to the
    leaving date. Education Act 1996 s.8.
    """
    fifth = birthday(date_of_birth, 5)
    prescribed = ((fifth.year, 3, 31), (fifth.year, 8, 31), (fifth.year, 12, 31))
    begins = next(start for start in (date(*parts) for parts in prescribed) if start >= fifth)
    return begins <= day <= leaving_date(date_of_birth)


def usual_nc_year(date_of_birth: date, day: date) -> str:
    """The NC year in which a child of this birth date usually is: for banding `X`, never for a pupil who has
    one.

    Below Year 1 it answers `R`; above Year 14, `14`.
    """
    year = academic_year(day) - year_turning(date_of_birth, 5)
    return "R" if year < 1 else str(min(year, 14))


def key_stage_on(nc_year: str, date_of_birth: date | None, day: date) -> KeyStage | None:
    """The key stage of a pupil on a day; `X` by date of birth, None where that is not known."""
    return key_stage(_settled(nc_year, date_of_birth, day))


def band_on(nc_year: str, date_of_birth: date | None, day: date) -> EntitlementBand | None:
    """The entitlement band of a pupil on a day; `X` by date of birth, None where that is not known or below
    Year 7.
    """
    return entitlement_band(_settled(nc_year, date_of_birth, day))


def _settled(nc_year: str, date_of_birth: date | None, day: date) -> str:
    if nc_year == "X" and date_of_birth is not None:
        return usual_nc_year(date_of_birth, day)
    return nc_year
