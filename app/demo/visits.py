"""What the made-up history consists of: visits that were booked, experiences that schools recorded, what visits cost."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final

from app.core.clock import LONDON
from app.demo.businesses import BY_KEY, EMPLOYERS, FORMS, Employer, Form
from app.demo.pupils import Pupil
from app.demo.terms import is_term_day, term_days, whole_weeks
from app.rules.school_calendar import academic_year
from app.rules.words import AttendanceStatus, BookingReason, BookingState

REPLY_HOURS: Final = 120
_S = AttendanceStatus
_DAY: Final = timedelta(days=1)
_MEDIAN_HOURS: Final = {"micro": 50.0, "small": 28.0, "medium": 18.0, "large": 66.0}
"""How long employers of each size take to answer."""

# Shares of sittings.
_LATE, _EARLY = 0.03, 0.02
_ABSENT_LATER: Final = 0.03
_NO_SHOW_OF_ABSENT: Final = 0.4


@dataclass(frozen=True, slots=True)
class Mark:
    """How one pupil did at one sitting; `minutes` is how late, or how much too early they left."""

    status: AttendanceStatus
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Comer:
    """A pupil named in a visit: the NC year then, and a mark for each sitting (none yet for a visit ahead)."""

    pupil: Pupil
    year: int
    marks: tuple[Mark, ...] = ()

    @property
    def came(self) -> bool:
        """Whether they were there at all."""
        return any(mark.status in (_S.PRESENT, _S.LATE, _S.LEFT_EARLY) for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of money: committed when the visit was agreed, spent when it was over."""

    kind: str
    paid_by: str
    pence: int


@dataclass(slots=True)
class Visit:
    """One booking with the slot that was made for it. Times are London's; `end` is where the booking stands today."""

    ref: str
    school: str
    employer: str
    form: str
    days: tuple[date, ...]
    end: BookingState
    asked: datetime
    programme: str | None = None
    strand: str | None = None
    answered: datetime | None = None
    ended: datetime | None = None
    reason: BookingReason | None = None
    places: int = 0
    comers: list[Comer] = field(default_factory=list)
    reflected: bool = True
    costs: list[Cost] = field(default_factory=list)

    @property
    def shape(self) -> Form:
        """The form of the experience."""
        return FORMS[self.form]

    @property
    def nc_year(self) -> str | None:
        """The one year group that goes, if it is one."""
        years = {comer.year for comer in self.comers}
        return str(years.pop()) if len(years) == 1 else None

    def sittings(self) -> list[tuple[datetime, datetime]]:
        """From when to when, day by day."""
        return [(at(day, self.shape.begins), at(day, self.shape.ends)) for day in self.days]


@dataclass(frozen=True, slots=True)
class Own:
    """An experience that a school arranged and recorded by itself, without a booking."""

    school: str
    pupil: Pupil
    year: int
    employer: str | None
    form: str
    title: str
    days: tuple[date, ...]


@dataclass(slots=True)
class History:
    """All that happened at a pilot's schools, and what is agreed ahead."""

    visits: list[Visit] = field(default_factory=list)
    owns: list[Own] = field(default_factory=list)


def at(day: date, clock: time) -> datetime:
    """The instant at which a London clock shows this on that day."""
    return datetime.combine(day, clock, LONDON)


# --- when ------------------------------------------------------------------------------------------


def starts(form: str, first: date, last: date) -> list[date]:
    """The first days that an experience of this form can have between two days, all its days in term."""
    shape = FORMS[form]
    if form == "placement":
        return whole_weeks(first, last)
    found = (day for day in term_days(first, last) if days_of(shape, day)[-1] <= last)
    if form == "innovative":
        found = (day for day in found if day.weekday() == 4)  # noqa: PLR2004
    return [day for day in found if all(is_term_day(one) for one in days_of(shape, day))]


def days_of(shape: Form, first: date) -> tuple[date, ...]:
    """The days of its sittings."""
    return tuple(first + number * shape.gap * _DAY for number in range(shape.days))


# --- who, where ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Diary:
    """Who is away on which day: nobody is in two places at once."""

    chance: random.Random
    today: date
    taken: set[tuple[str, date]] = field(default_factory=set)

    def free(self, pupils: Iterable[Pupil], days: Sequence[date], years: Iterable[int]) -> list[Pupil]:
        """Those who are in one of these NC years then, and nowhere else on those days."""
        wanted, then = frozenset(years), academic_year(days[0])
        return [
            one
            for one in pupils
            if one.year_in(then, academic_year(self.today)) in wanted
            and one.joined <= days[0]
            and not any((one.upn, day) in self.taken for day in days)
        ]

    def choose(self, pupils: Sequence[Pupil], count: int, *, harder: bool = False) -> list[Pupil]:
        """So many of them, those who are easily placed more often; `harder` the other way round."""
        keys = {one.upn: self.chance.random() ** (one.place if harder else 1 / one.place) for one in pupils}
        return sorted(pupils, key=lambda one: -keys[one.upn])[:count]

    def come(self, pupil: Pupil, days: Sequence[date], *, marked: bool = True) -> Comer:
        """Name one who comes, on the first day at least."""
        self.taken |= {(pupil.upn, day) for day in days}
        marks = (self._mark(first=number == 0) for number in range(len(days)))
        return Comer(pupil, self._year(pupil, days), tuple(marks) if marked else ())

    def stay_away(self, pupil: Pupil, days: Sequence[date]) -> Comer:
        """Name one who does not come on any day."""
        self.taken |= {(pupil.upn, day) for day in days}
        return Comer(pupil, self._year(pupil, days), (self._absence(),) * len(days))

    def _year(self, pupil: Pupil, days: Sequence[date]) -> int:
        return pupil.year_in(academic_year(days[0]), academic_year(self.today))

    def _mark(self, *, first: bool) -> Mark:
        if not first and self.chance.random() < _ABSENT_LATER:
            return self._absence()
        luck = self.chance.random()
        if luck < _LATE:
            return Mark(_S.LATE, self.chance.randrange(8, 35))
        if luck < _LATE + _EARLY:
            return Mark(_S.LEFT_EARLY, self.chance.randrange(10, 45))
        return Mark(_S.PRESENT)

    def _absence(self) -> Mark:
        return Mark(_S.NO_SHOW if self.chance.random() < _NO_SHOW_OF_ABSENT else _S.EXCUSED)

    # --- how it was agreed -------------------------------------------------------------------------

    def ask(self, first: date, lead: tuple[int, int] = (20, 50)) -> datetime:
        """A moment in office hours some weeks before, and before the Monday of this week."""
        day = min(first - self.chance.randrange(*lead) * _DAY, self.today - (self.today.weekday() + 3) * _DAY)
        day -= max(0, day.weekday() - 4) * _DAY
        return at(day, time(self.chance.randrange(8, 16), self.chance.randrange(60)))

    def answer(self, asked: datetime, employer: str) -> datetime:
        """When the employer answers: in time, the sooner the more people it has for it."""
        median = _MEDIAN_HOURS[BY_KEY[employer].size_band]
        hours = min(median * self.chance.lognormvariate(0, 0.5), REPLY_HOURS - 6)
        return asked + timedelta(minutes=round(hours * 60))


@cache
def employers_for(form: str, hub: str) -> tuple[Employer, ...]:
    """Who offers this form in a hub's area."""
    return tuple(one for one in EMPLOYERS if one.hub == hub and form in one.forms)


_DECLINES: Final = (
    BookingReason.TOO_TIME_CONSUMING, BookingReason.TOO_TIME_CONSUMING, BookingReason.NO_SUITABLE_TASKS,
    BookingReason.NO_SUPERVISOR, BookingReason.DATE_UNSUITABLE,
)  # fmt: skip


def turn_down(chance: random.Random, visit: Visit) -> None:
    """Let a request come to nothing: half are declined, some never answered, some called off by the school."""
    luck = chance.random()
    if luck < 0.5:  # noqa: PLR2004
        visit.end, visit.ended, visit.reason = BookingState.DECLINED, visit.answered, chance.choice(_DECLINES)
        visit.answered = None
    elif luck < 0.7:  # noqa: PLR2004
        visit.end, visit.answered = BookingState.EXPIRED, None
        visit.ended, visit.reason = (
            visit.asked + timedelta(hours=REPLY_HOURS),
            BookingReason.NO_ANSWER_FROM_EMPLOYER,
        )
    else:
        visit.end, visit.ended = BookingState.CANCELLED, visit.sittings()[0][0] - timedelta(days=3)
        visit.reason = chance.choice((BookingReason.TRANSPORT, BookingReason.STAFFING, BookingReason.COST))
