"""The made-up rolls: the same each time, with numbers whose check letters are right."""

from datetime import date

from app.demo.pupils import PER_YEAR, YEARS, roll
from app.demo.stage import is_term_day, term_days
from app.rules.school_calendar import age_on
from app.rules.upn import is_valid

TODAY = date(2026, 11, 23)


def test_every_pupil_has_a_valid_number_of_its_own_and_an_age_that_fits() -> None:
    pupils = [one for school in (1, 2) for one in roll(school, TODAY)]
    assert len(pupils) == 2 * len(YEARS) * PER_YEAR
    assert len({one["upn"] for one in pupils}) == len(pupils)
    assert all(is_valid(one["upn"]) for one in pupils)
    assert all(age_on(one["date_of_birth"], date(2026, 8, 31)) == int(one["nc_year"]) + 4 for one in pupils)


def test_a_roll_is_the_same_each_time() -> None:
    assert list(roll(3, TODAY)) == list(roll(3, TODAY))


def test_days_of_the_story_are_free_days_in_term() -> None:
    found = term_days(date(2026, 12, 17), frozenset({date(2027, 1, 5)}), 3)
    assert found == [date(2026, 12, 17), date(2026, 12, 18), date(2027, 1, 6)]
    assert not is_term_day(date(2027, 8, 3))
