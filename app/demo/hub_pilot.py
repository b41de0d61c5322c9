"""The hub's pilot: fifty schools, four models, two thousand young people in a year. Key Stage 3 is scarce, and grows."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Final

from app.demo.businesses import FORMS
from app.demo.data import MAINTAINED
from app.demo.pupils import Pupil
from app.demo.terms import anchor_of, term_of
from app.demo.visits import Cost, Diary, History, Own, Visit, days_of, employers_for, starts, turn_down
from app.rules.school_calendar import academic_year
from app.rules.words import BookingState

YOUNG_PEOPLE: Final = 2000
PROGRAMME: Final = "experience-of-workplace"
HUB: Final = "hub"
KS3, KS4 = range(7, 10), range(10, 12)
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_KS3_AT_FIRST, _KS3_AT_LAST = 0.08, 0.66
_FORM_OF: Final = {
    "tours": "tour",
    "projects": "project",
    "placements": "placement",
    "innovate": "innovative",
}
_HELPED: Final = {"none": 1.0, "too_little": 0.6, "sufficient": 0.0, "unknown": 0.3}
"""How often the programme pays for a visit, by what the school has of its own."""
_GROUP: Final = {"tour": (16, 22), "project": (11, 15), "placement": (2, 4), "innovative": (11, 15)}
_EACH: Final[Mapping[str, tuple[int, ...]]] = {
    "tours": (50,) * 22,
    "projects": (40,) * 12,
    "placements": (22,) * 8,
    "innovate": (30, 31) * 4,
}
"""How many young people each school of a strand gives a place: 2,000 in all."""


@cache
def strands() -> Mapping[str, str]:
    """The strand of each school. The story's school is on the tours."""
    others = list(MAINTAINED[1:])
    random.Random("strands").shuffle(others)  # noqa: S311
    codes = [code for code, each in _EACH.items() for _ in each][1:]
    return {MAINTAINED[0]: "tours", **dict(zip(others, codes, strict=True))}


@cache
def budgets() -> Mapping[str, str]:
    """What each school has of its own for visits. Two have not said; of the 48 others 38 % have nothing, 25 % too little."""
    schools = list(MAINTAINED)
    random.Random("budgets").shuffle(schools)  # noqa: S311
    said = ["none"] * 18 + ["too_little"] * 12 + ["sufficient"] * 18 + ["unknown"] * 2
    return dict(zip(schools, said, strict=True))


def history(rolls: Mapping[str, Sequence[Pupil]], today: date) -> History:
    """A year of the pilot up to the Monday of this week, and what is agreed ahead. The same each time in a week."""
    return _Year(rolls, anchor_of(today)).told()


@dataclass(slots=True)
class _Year:
    rolls: Mapping[str, Sequence[Pupil]]
    monday: date
    chance: random.Random = field(default_factory=lambda: random.Random("hub pilot"))  # noqa: S311
    told_of: History = field(default_factory=History)
    went: dict[str, dict[str, Pupil]] = field(default_factory=dict)
    diary: Diary = field(init=False)

    def __post_init__(self) -> None:
        self.diary = Diary(self.chance, self.monday)
        self.went = {school: {} for school in self.rolls}

    def told(self) -> History:
        for visit, size, years in self._with_years(sorted(self._planned(), key=lambda one: one[0].days)):
            self._fill(visit, size, years)
            self.told_of.visits.append(visit)
        for school in self.rolls:
            self._in_vain(school)
            self._by_itself(school)
            self._ahead(school)
        for visit in self.told_of.visits:
            visit.costs = list(self._costs(visit))
        return self.told_of

    # --- what took place ----------------------------------------------------------------------------

    def _planned(self) -> Iterator[tuple[Visit, int]]:
        """Visits without pupils yet, and how many new ones each is to take."""
        first, last = self.monday - 52 * _WEEK, self.monday - 3 * _DAY
        on_strand = strands()
        for code, each in _EACH.items():
            schools = [school for school in self.rolls if on_strand[school] == code]
            form = _FORM_OF[code]
            days = starts(form, first, last)
            weights = [0.5 + number / len(days) for number in range(len(days))]
            for school, people in zip(schools, each, strict=True):
                for number, size in enumerate(_parts(self.chance, people, *_GROUP[form]), 1):
                    day = self.chance.choices(days, weights)[0]
                    yield self._visit(school, code, f"{number:02d}", day), size

    def _visit(self, school: str, code: str, number: str, day: date) -> Visit:
        form = _FORM_OF[code]
        employer = self.chance.choice(employers_for(form, HUB)).key
        asked = self.diary.ask(day)
        visit = Visit(
            f"EOW-{school}-{number}",
            school,
            employer,
            form,
            (),
            BookingState.COMPLETED,
            asked,
            PROGRAMME,
            code,
        )
        visit.days = days_of(visit.shape, day)
        visit.answered = self.diary.answer(asked, employer)
        visit.reflected = self.chance.random() < 0.85  # noqa: PLR2004
        return visit

    def _with_years(self, planned: Sequence[tuple[Visit, int]]) -> Iterator[tuple[Visit, int, range]]:
        """Key Stage 3 gets its part of each term's groups: little of the first term's, most of the last one's."""
        terms = sorted({term_of(visit.days[0]) for visit, _ in planned})
        for number, term in enumerate(terms):
            mine = [one for one in planned if term_of(one[0].days[0]) == term]
            share = _KS3_AT_FIRST + (_KS3_AT_LAST - _KS3_AT_FIRST) * number / max(1, len(terms) - 1)
            groups = [one for one in mine if one[0].form != "placement"]
            young = self.chance.sample(range(len(groups)), round(len(groups) * share))
            chosen = {id(groups[at][0]) for at in young}
            for visit, size in mine:
                yield visit, size, KS3 if id(visit) in chosen else KS4

    def _fill(self, visit: Visit, size: int, years: range) -> None:
        """Exactly `size` who have not been anywhere with the programme, some who have, some who stay away."""
        been = self.went[visit.school]
        new = self._new(visit, size, years)
        been |= {one.upn: one for one in new}
        visit.comers = [self.diary.come(one, visit.days) for one in new]
        room = visit.shape.capacity - size
        again = self.diary.free(
            (one for upn, one in been.items() if upn not in {n.upn for n in new}), visit.days, years
        )
        more = min(room, self.chance.choice((0, 0, 0, 1, 2, 4)))
        visit.comers += [self.diary.come(one, visit.days) for one in self.diary.choose(again, more)]
        absent = sum(self.chance.random() < 0.045 for _ in visit.comers)  # noqa: PLR2004
        away = self.diary.free(
            (one for one in self.rolls[visit.school] if one.upn not in been), visit.days, years
        )
        missing = self.diary.choose(away, min(absent, visit.shape.capacity - len(visit.comers)), harder=True)
        visit.comers += [self.diary.stay_away(one, visit.days) for one in missing]
        visit.places = len(visit.comers)

    def _new(self, visit: Visit, size: int, years: range) -> list[Pupil]:
        been = self.went[visit.school]
        fresh = [one for one in self.rolls[visit.school] if one.upn not in been]
        alone = self.diary.free(fresh, visit.days, [self.chance.choice(years)])
        pool = alone if len(alone) >= size else self.diary.free(fresh, visit.days, years)
        found = self.diary.choose(pool, size)
        if len(found) < size and visit.form != "placement":
            others = set(range(7, 12)) - set(years)
            found += self.diary.choose(self.diary.free(fresh, visit.days, others), size - len(found))
        if len(found) < size:
            msg = f"{visit.ref} finds {len(found)} of {size}"
            raise ValueError(msg)
        return found

    # --- what did not -------------------------------------------------------------------------------

    def _in_vain(self, school: str) -> None:
        """Requests that came to nothing: declined, not answered, or called off."""
        for number in range(self.chance.choice((0, 1, 1, 2))):
            first, last = self.monday - 48 * _WEEK, self.monday - 3 * _DAY
            code = strands()[school]
            day = self.chance.choice(starts(_FORM_OF[code], first, last))
            visit = self._visit(school, code, f"X{number + 1}", day)
            visit.places = self.chance.randint(*_GROUP[visit.form])
            turn_down(self.chance, visit)
            self.told_of.visits.append(visit)

    # --- beside the programme -----------------------------------------------------------------------

    def _by_itself(self, school: str) -> None:
        """What most schools do anyway: a week in Year 10, a day in Year 12, hardly ever anything earlier."""
        first, last = self.monday - 52 * _WEEK, self.monday - 3 * _DAY
        keen = self.chance.random()
        if keen < 0.6:  # noqa: PLR2004
            weeks = [one for one in starts("placement", first, last) if one.month in (6, 7)]
            self._record(school, "placement", weeks[-1], [10], 0.7, "A week at work")
        if keen > 0.3:  # noqa: PLR2004
            days = [
                one
                for one in starts("shadowing", first, last)
                if academic_year(one) == academic_year(self.monday)
            ]
            if days:
                self._record(school, "shadowing", self.chance.choice(days), [12], 0.7, "A day at work")
        if keen > 0.9:  # noqa: PLR2004
            day = self.chance.choice(starts("talk", first, last))
            self._record(school, "talk", day, [9], 0.5, "Meet an employer")

    def _record(self, school: str, form: str, day: date, years: list[int], share: float, title: str) -> None:
        hosts = employers_for(form, HUB)
        days = days_of(FORMS[form], day)
        then, now = academic_year(day), academic_year(self.monday)
        for pupil in self.diary.free(self.rolls[school], days, years):
            if self.chance.random() < share * pupil.place**0.8:
                self.diary.taken |= {(pupil.upn, one) for one in days}
                host = self.chance.choice(hosts).key
                own = Own(school, pupil, pupil.year_in(then, now), host, form, title, days)
                self.told_of.owns.append(own)

    # --- ahead --------------------------------------------------------------------------------------

    def _ahead(self, school: str) -> None:
        """What is agreed, or asked, for the weeks to come: mostly for the youngest."""
        luck = self.chance.random()
        code = strands()[school]
        days = starts(_FORM_OF[code], self.monday + 8 * _WEEK, self.monday + 26 * _WEEK)
        if luck > 0.7 or not days:  # noqa: PLR2004
            return
        visit = self._visit(school, code, "A1", self.chance.choice(days))
        visit.places = self.chance.randint(*_GROUP[visit.form])
        if luck > 0.5:  # noqa: PLR2004
            visit.end, visit.answered = BookingState.REQUESTED, None
        else:
            visit.end = BookingState.CONFIRMED
            years = KS4 if visit.form == "placement" else KS3
            free = self.diary.free(self.rolls[school], visit.days, years)
            named = self.diary.choose(free, visit.places // 2)
            visit.comers = [self.diary.come(one, visit.days, marked=False) for one in named]
        self.told_of.visits.append(visit)

    # --- money --------------------------------------------------------------------------------------

    def _costs(self, visit: Visit) -> Iterator[Cost]:
        """What a visit costs, and who pays: the programme where the school has nothing."""
        if visit.end not in {BookingState.COMPLETED, BookingState.CONFIRMED}:
            return
        said = budgets()[visit.school]
        helped = self.chance.random() < _HELPED[said]
        payer = "programme" if helped else "school"
        if visit.form != "placement":
            yield Cost("coach", payer, 100 * self.chance.randrange(180, 420, 5))
            yield Cost("supply_cover", payer, 19_500 * (2 if visit.places > 16 else 1))  # noqa: PLR2004
        if visit.form in {"project", "innovative"}:
            yield Cost("kit", "programme", 600 * visit.places)
        if visit.form in {"project", "placement"}:
            eaters = visit.places * len(visit.days)
            yield Cost("lunch", payer if said == "none" else "parent", 380 * eaters)


def _parts(chance: random.Random, people: int, least: int, most: int) -> Iterable[int]:
    """Groups of between `least` and `most` that come to `people`; the last may be smaller."""
    left = people
    while left > most:
        size = min(chance.randint(least, most), left - 1)
        yield size
        left -= size
    yield left
