"""School time: London dates, academic years, ages, compulsory schooling, key stages."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import school_calendar
from app.rules.words import (
    NC_YEARS,
    EntitlementBand,
    KeyStage,
    SizeBand,
    entitlement_band,
    key_stage,
    size_band,
)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 6, 15, 22, 59, tzinfo=UTC), date(2026, 6, 15)),
        (datetime(2026, 6, 15, 23, 0, tzinfo=UTC), date(2026, 6, 16)),
        (datetime(2026, 1, 15, 23, 0, tzinfo=UTC), date(2026, 1, 15)),
    ],
)
def test_a_date_is_a_london_date(instant: datetime, day: date) -> None:
    assert school_calendar.london_date(instant) == day


def test_a_time_without_a_zone_names_no_instant() -> None:
    with pytest.raises(ValueError, match="time zone"):
        school_calendar.london_date(datetime(2026, 6, 15, 9))  # noqa: DTZ001 -- the point of the test


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_a_day_begins_at_midnight_in_london(day: date) -> None:
    begins = school_calendar.london_midnight(day)
    assert school_calendar.london_date(begins) == day
    assert school_calendar.london_date(begins - timedelta(seconds=1)) == day - timedelta(days=1)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_every_day_lies_in_its_academic_year(day: date) -> None:
    year = school_calendar.academic_year(day)
    assert school_calendar.first_day(year) <= day <= school_calendar.last_day(year)


def test_the_academic_year_turns_on_the_first_of_september() -> None:
    assert school_calendar.academic_year(date(2026, 8, 31)) == 2025
    assert school_calendar.academic_year(date(2026, 9, 1)) == 2026
    assert school_calendar.label(2025) == "2025/26"
    assert school_calendar.label(2099) == "2099/00"


@pytest.mark.parametrize(
    ("day", "age"), [(date(2026, 2, 28), 13), (date(2026, 3, 1), 14), (date(2028, 2, 29), 16)]
)
def test_a_leap_day_birthday_is_kept_in_march(day: date, age: int) -> None:
    assert school_calendar.age_on(date(2012, 2, 29), day) == age


def test_nobody_has_an_age_before_birth() -> None:
    with pytest.raises(ValueError, match="before the birth"):
        school_calendar.age_on(date(2012, 1, 2), date(2012, 1, 1))


@pytest.mark.parametrize(
    ("born", "lawful_from", "leaves"),
    [
        (date(2010, 8, 31), date(2024, 9, 1), date(2026, 6, 26)),
        (date(2010, 9, 1), date(2025, 9, 1), date(2027, 6, 25)),
    ],
)
def test_compulsory_schooling_goes_by_the_school_year(born: date, lawful_from: date, leaves: date) -> None:
    assert school_calendar.placements_lawful_from(born) == lawful_from
    assert school_calendar.leaving_date(born) == leaves
    assert school_calendar.of_compulsory_school_age(born, leaves)
    assert not school_calendar.of_compulsory_school_age(born, leaves + timedelta(days=1))


def test_compulsory_school_age_begins_on_the_prescribed_day_after_the_fifth_birthday() -> None:
    born = date(2010, 9, 1)
    assert not school_calendar.of_compulsory_school_age(born, date(2015, 12, 30))
    assert school_calendar.of_compulsory_school_age(born, date(2015, 12, 31))


@given(st.dates(date(2000, 1, 1), date(2020, 12, 31)))
def test_the_last_friday_in_june_is_a_friday_in_its_last_week(born: date) -> None:
    day = school_calendar.leaving_date(born)
    assert (day.weekday(), day.month) == (4, 6)
    assert (day + timedelta(days=7)).month == 7


@pytest.mark.parametrize(
    ("nc_year", "stage", "band"),
    [
        ("E1", KeyStage.EARLY_YEARS, None),
        ("R", KeyStage.EARLY_YEARS, None),
        ("2", KeyStage.KS1, None),
        ("6", KeyStage.KS2, None),
        ("7", KeyStage.KS3, EntitlementBand.YEARS_7_9),
        ("9", KeyStage.KS3, EntitlementBand.YEARS_7_9),
        ("10", KeyStage.KS4, EntitlementBand.YEARS_10_11),
        ("11", KeyStage.KS4, EntitlementBand.YEARS_10_11),
        ("12", KeyStage.KS5, EntitlementBand.POST_16),
        ("14", KeyStage.KS5, EntitlementBand.POST_16),
        ("X", None, None),
    ],
)
def test_nc_years_fall_into_stages_and_bands(
    nc_year: str, stage: KeyStage | None, band: EntitlementBand | None
) -> None:
    assert key_stage(nc_year) == stage
    assert entitlement_band(nc_year) == band


@pytest.mark.parametrize("text", ["", "15", "0", "07", "Year 7", "²"])
def test_no_nc_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NC year"):
        key_stage(text)


def test_year_x_goes_by_date_of_birth() -> None:
    assert school_calendar.key_stage_on("X", date(2011, 3, 1), date(2026, 6, 15)) == KeyStage.KS4
    assert school_calendar.band_on("X", date(2013, 3, 1), date(2026, 6, 15)) == EntitlementBand.YEARS_7_9
    assert school_calendar.band_on("X", None, date(2026, 6, 15)) is None
    assert school_calendar.band_on("9", date(2011, 3, 1), date(2026, 6, 15)) == EntitlementBand.YEARS_7_9


@given(st.dates(date(2000, 1, 1), date(2020, 12, 31)), st.dates(date(2021, 1, 1), date(2040, 12, 31)))
def test_a_usual_year_is_an_nc_year(born: date, day: date) -> None:
    assert school_calendar.usual_nc_year(born, day) in NC_YEARS


@pytest.mark.parametrize(
    ("employees", "band"),
    [(0, "micro"), (9, "micro"), (10, "small"), (49, "small"), (50, "medium"), (249, "medium")],
)
def test_size_bands_turn_at_10_50_and_250(employees: int, band: str) -> None:
    assert size_band(employees) == band
    assert size_band(250) == SizeBand.LARGE
