"""The made-up rolls and histories, before anything is stored: the same each time, and true on whatever Monday."""

from datetime import date, timedelta

import pytest

from app.demo import hub_pilot, trust_pilot
from app.demo.data import ACADEMIES, MAINTAINED, SCHOOLS, sizes
from app.demo.pilots import HUB, TRUST, allocations
from app.demo.pupils import Pupil, roll
from app.demo.stage import term_days
from app.demo.terms import anchor_of, is_term_day, term_of
from app.demo.visits import History
from app.rules.school_calendar import academic_year, age_on, placements_lawful_from
from app.rules.upn import is_valid
from app.rules.words import BookingState

TODAY = date(2026, 11, 23)
DAYS = (TODAY, date(2027, 1, 5), date(2027, 4, 14), date(2027, 7, 7), date(2027, 8, 20), date(2027, 9, 1))


def rolls(keys: tuple[str, ...], today: date) -> dict[str, list[Pupil]]:
    return {one.key: roll(one.number or 0, sizes(one), today) for one in SCHOOLS if one.key in keys}


@pytest.mark.parametrize("day", [date(2027, 8, 31), *(date(2027, 9, at) for at in (1, 2, 5, 6))], ids=str)
def test_on_every_day_pupils_are_in_the_year_groups_of_that_day(day: date) -> None:
    """1 September 2027 is a Wednesday: the Monday of its week lies in the academic year before."""
    begins = date(academic_year(day), 8, 31)
    pupils = [one for mine in rolls(ACADEMIES, day).values() for one in mine]
    assert {one.year for one in pupils} == {7, 8, 9, 10, 11}
    assert all(age_on(one.born, begins) == one.year + 4 for one in pupils)


def test_every_pupil_has_a_valid_number_of_its_own_and_an_age_that_fits() -> None:
    pupils = [one for mine in rolls((*MAINTAINED, *ACADEMIES), TODAY).values() for one in mine]
    assert len({one.upn for one in pupils}) == len(pupils)
    assert all(is_valid(one.upn) for one in pupils)
    assert all(age_on(one.born, date(2026, 8, 31)) == one.year + 4 for one in pupils)
    assert sum(len(mine) for mine in rolls(ACADEMIES, TODAY).values()) == 3000


def test_rolls_and_histories_are_the_same_on_each_day_of_a_week() -> None:
    friday = TODAY + timedelta(days=4)
    mine, again = rolls(MAINTAINED, TODAY), rolls(MAINTAINED, friday)
    assert mine == again
    assert hub_pilot.history(mine, TODAY) == hub_pilot.history(again, friday)
    theirs = rolls(ACADEMIES, TODAY)
    assert trust_pilot.history(theirs, TODAY) == trust_pilot.history(rolls(ACADEMIES, friday), friday)


@pytest.mark.parametrize("today", DAYS, ids=str)
def test_on_whatever_day_exactly_2000_young_people_have_been_somewhere_with_the_hub(today: date) -> None:
    told = hub_pilot.history(rolls(MAINTAINED, today), today)
    assert len({one.pupil.upn for visit in _over(told) for one in visit.comers if one.came}) == 2000
    assert {visit.form for visit in _over(told)} == {"tour", "project", "placement", "innovative"}
    _lawful(told, today)
    terms: dict[tuple[int, int], list[bool]] = {}
    for visit in _over(told):
        terms.setdefault(term_of(visit.days[0]), []).extend(one.year in range(7, 10) for one in visit.comers)
    shares = [sum(young) / len(young) for _, young in sorted(terms.items()) if len(young) > 150]
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert shares[-1] > 0.4


@pytest.mark.parametrize("today", DAYS, ids=str)
def test_on_whatever_day_the_trusts_pupils_are_on_their_way_to_ten_days(today: date) -> None:
    told = trust_pilot.history(rolls(ACADEMIES, today), today)
    _lawful(told, today)
    minutes: dict[str, int] = {}
    for visit in _over(told):
        for one in visit.comers:
            there = sum(mark.status == "present" for mark in one.marks) * visit.shape.minutes
            minutes[one.pupil.upn] = minutes.get(one.pupil.upn, 0) + there
    for own in told.owns:
        minutes[own.pupil.upn] = minutes.get(own.pupil.upn, 0) + 300 * len(own.days)
    assert sum(each >= 3000 for each in minutes.values()) > 50
    assert 3000 - len(minutes) > 100


@pytest.mark.parametrize("today", DAYS, ids=str)
def test_on_whatever_day_what_is_set_aside_is_within_the_budget(today: date) -> None:
    for pilot, schools, told in ((HUB, MAINTAINED, hub_pilot), (TRUST, ACADEMIES, trust_pilot)):
        aside = sum(allocations(told.history(rolls(schools, today), today)).values())
        assert 0 < aside <= pilot.budget_pence, (pilot.name, aside)


def _over(told: History) -> list:  # type: ignore[type-arg]  # visits
    return [visit for visit in told.visits if visit.end == BookingState.COMPLETED]


def _lawful(told: History, today: date) -> None:
    """No placement too early, nobody in two places on a day, nothing in this week, everything in term."""
    seen: set[tuple[str, date]] = set()
    monday = anchor_of(today)
    for visit in told.visits:
        assert all(is_term_day(day) for day in visit.days)
        ahead = visit.end in {BookingState.CONFIRMED, BookingState.REQUESTED}
        assert visit.days[0] > monday + timedelta(days=7) if ahead else visit.days[-1] < monday
        assert visit.asked.date() < monday
        assert visit.places <= visit.shape.capacity
    gone = [(visit.form, one.pupil, visit.days) for visit in told.visits for one in visit.comers]
    gone += [(own.form, own.pupil, own.days) for own in told.owns]
    for form, pupil, days in gone:
        if form == "placement":
            assert days[0] >= placements_lawful_from(pupil.born)
        for day in days:
            assert (pupil.upn, day) not in seen
            seen.add((pupil.upn, day))


def test_days_of_the_story_are_free_days_in_term() -> None:
    found = term_days(date(2026, 12, 17), frozenset({date(2027, 1, 5)}), 3)
    assert found == [date(2026, 12, 17), date(2026, 12, 18), date(2027, 1, 6)]
    assert not is_term_day(date(2027, 8, 3))
    assert not is_term_day(date(2026, 10, 28))
    assert not is_term_day(date(2027, 3, 29))
