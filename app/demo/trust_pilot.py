"""The trust's pilot: thirteen academies, 3,000 pupils, ten days that add up from Year 7 on. Years of it lie behind them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Final

from app.demo.businesses import FORMS, Employer
from app.demo.data import ACADEMIES, HUB_OF
from app.demo.pupils import Pupil
from app.demo.terms import anchor_of
from app.demo.visits import Cost, Diary, History, Own, Visit, days_of, employers_for, starts, turn_down
from app.rules.school_calendar import academic_year
from app.rules.words import BookingState

PROGRAMME: Final = "ten-days"
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)

JOURNEY: Final[tuple[tuple[int, int, str], ...]] = (
    (7, 11, "tour"),
    (7, 6, "visit"),
    (8, 2, "project"),
    (8, 5, "visit"),
    (9, 10, "tour"),
    (9, 3, "project"),
    (9, 6, "project"),
    (10, 11, "visit"),
    (10, 6, "placement"),
    (11, 10, "shadowing"),
)
"""NC year, month, form: 420 minutes in Year 7, 1,020 by the end of Year 8, 1,740 of Year 9, 3,540 of Year 10."""

_STRANDS: Final = (
    "build-up", "build-up", "build-up", "small-firms", "small-firms", "small-firms", "sectors", "sectors", "sectors",
    "skills", "skills", "early", "early",
)  # fmt: skip
_FOCUS: Final = ("life_sciences", "advanced_manufacturing", "digital_and_technologies")
_AT_ONCE: Final = {"tour": 27, "visit": 18, "project": 18, "placement": 5, "shadowing": 5}
_YEARS_BEFORE: Final = 4
_YEARS_BOOKED: Final = 1


@cache
def strands() -> Mapping[str, str]:
    """The strand of each academy: neighbours test different parts."""
    codes = list(_STRANDS)
    random.Random("trust strands").shuffle(codes)  # noqa: S311
    return dict(zip(ACADEMIES, codes, strict=True))


def history(rolls: Mapping[str, Sequence[Pupil]], today: date) -> History:
    """What the academies' pupils have done since Year 7, up to the Monday of this week, and what is agreed ahead.

    Bookings of the programme since it began, a year before this one; what was before, schools recorded themselves.
    """
    return _Years(rolls, anchor_of(today)).told()


@dataclass(slots=True)
class _Years:
    rolls: Mapping[str, Sequence[Pupil]]
    monday: date
    chance: random.Random = field(default_factory=lambda: random.Random("trust pilot"))  # noqa: S311
    told_of: History = field(default_factory=History)
    diary: Diary = field(init=False)
    school: str = ""
    keen: float = 1.0
    number: int = 0

    def __post_init__(self) -> None:
        self.diary = Diary(self.chance, self.monday)

    def told(self) -> History:
        for school, pupils in self.rolls.items():
            self.school, self.keen, self.number = school, self.chance.uniform(0.78, 1.0), 0
            self._of_school([one for one in pupils if not self._never(one)])
        for visit in self.told_of.visits:
            visit.costs = list(self._costs(visit))
        return self.told_of

    def _of_school(self, pupils: Sequence[Pupil]) -> None:
        this_year = academic_year(self.monday)
        for year in range(this_year - _YEARS_BEFORE, this_year + 1):
            for step in JOURNEY:
                self._step(pupils, year, *step, booked=year >= this_year - _YEARS_BOOKED)
        self._in_vain()
        self._ahead(pupils)

    def _never(self, pupil: Pupil) -> bool:
        return self.chance.random() < (0.04 if pupil.place >= 0.5 else 0.16)  # noqa: PLR2004

    def _step(
        self, pupils: Sequence[Pupil], year: int, nc_year: int, month: int, form: str, *, booked: bool
    ) -> None:
        """One step of a year group's journey, where it is over by now."""
        if nc_year == 7 and strands()[self.school] == "early" and form == "tour":  # noqa: PLR2004
            form = "project"
        first = date(year if month >= 9 else year + 1, month, 1)  # noqa: PLR2004
        days = starts(form, first, min(first + 29 * _DAY, self.monday - 3 * _DAY))
        if not days:
            return
        # A year group has one step a month, so whoever is free on its first day is free on all of them.
        group = [one for one in self.diary.free(pupils, [days[0]], [nc_year]) if self._comes(one)]
        if booked:
            self._booked(group, form, days)
        else:
            self._recorded(group, form, days)

    def _comes(self, pupil: Pupil) -> bool:
        likely: float = 0.97 * self.keen * pupil.place**0.35
        return self.chance.random() < likely

    def _booked(self, group: Sequence[Pupil], form: str, days: Sequence[date]) -> None:
        size = _AT_ONCE[form]
        for begins in range(0, len(group), size):
            visit = self._visit(form, self.chance.choice(days))
            for pupil in group[begins : begins + size]:
                away = self.chance.random() < 0.03  # noqa: PLR2004
                visit.comers.append((self.diary.stay_away if away else self.diary.come)(pupil, visit.days))
            visit.places = len(visit.comers)
            self.told_of.visits.append(visit)

    def _visit(self, form: str, day: date) -> Visit:
        self.number += 1
        host, asked = self._host(form).key, self.diary.ask(day)
        visit = Visit(
            f"TEN-{self.school}-{self.number:03d}", self.school, host, form, days_of(FORMS[form], day),
            BookingState.COMPLETED, asked, PROGRAMME, strands()[self.school],
        )  # fmt: skip
        visit.answered = self.diary.answer(asked, host)
        visit.reflected = self.chance.random() < 0.9  # noqa: PLR2004
        return visit

    def _host(self, form: str) -> Employer:
        """An employer near by that fits the strand; on every strand small firms are asked first."""
        near = employers_for(form, HUB_OF[self.school])
        strand = strands()[self.school]
        if strand == "small-firms":
            fitting = tuple(one for one in near if one.size_band in {"micro", "small"})
        elif strand == "sectors":
            fitting = tuple(one for one in near if one.sector in _FOCUS)
        else:
            fitting = near
        return self.chance.choice(fitting or near)

    def _recorded(self, group: Sequence[Pupil], form: str, days: Sequence[date]) -> None:
        size = _AT_ONCE[form] * 4
        for begins in range(0, len(group), size):
            host, on = self._host(form), days_of(FORMS[form], self.chance.choice(days))
            title = str(host.offer(form)["title"])
            for pupil in group[begins : begins + size]:
                self.diary.taken |= {(pupil.upn, day) for day in on}
                year = pupil.year_in(academic_year(on[0]), academic_year(self.monday))
                self.told_of.owns.append(Own(self.school, pupil, year, host.key, form, title, on))

    def _in_vain(self) -> None:
        days = starts("visit", self.monday - 40 * _WEEK, self.monday - 3 * _DAY)
        for _ in range(self.chance.choice((1, 2, 3))):
            visit = self._visit("visit", self.chance.choice(days))
            visit.places = self.chance.randint(10, 18)
            turn_down(self.chance, visit)
            self.told_of.visits.append(visit)

    def _ahead(self, pupils: Sequence[Pupil]) -> None:
        for form, years in (("project", [8]), ("visit", [7]), ("tour", [9])):
            days = starts(form, self.monday + 8 * _WEEK, self.monday + 26 * _WEEK)
            if not days:
                continue
            visit = self._visit(form, self.chance.choice(days))
            visit.places = _AT_ONCE[form]
            if form == "tour":
                visit.end, visit.answered = BookingState.REQUESTED, None
            else:
                visit.end = BookingState.CONFIRMED
                free = self.diary.free(pupils, visit.days, years)
                named = self.diary.choose(free, visit.places - 5)
                visit.comers = [self.diary.come(one, visit.days, marked=False) for one in named]
            self.told_of.visits.append(visit)

    def _costs(self, visit: Visit) -> Iterator[Cost]:
        if visit.end not in {BookingState.COMPLETED, BookingState.CONFIRMED}:
            return
        if visit.form in {"tour", "visit", "project"}:
            yield Cost("coach", "trust", 100 * self.chance.randrange(160, 360, 5) * len(visit.days))
            yield Cost("supply_cover", "school", 19_500 * len(visit.days))
        if visit.form == "project":
            yield Cost("kit", "programme", 450 * visit.places)
        if visit.form == "placement":
            yield Cost("lunch", "parent", 380 * visit.places * len(visit.days))
