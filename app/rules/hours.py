"""Minutes of a sitting: planned, attended, in person and virtual; days and hours.

Everything is whole minutes, rounded down. A break is an interval where the employer says when it is, or a
bare number of minutes (`break_minutes`) where it does not; the bare number is taken off in proportion to the
time spent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from app.rules.school_calendar import london_date
from app.rules.words import AttendanceStatus

DAY_MINUTES: Final = 300
ATTENDED: Final = frozenset({AttendanceStatus.PRESENT, AttendanceStatus.LATE, AttendanceStatus.LEFT_EARLY})


@dataclass(frozen=True)
class Break:
    """A break that lies at a known time."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Sitting:
    """One stretch of a slot, in UTC. `virtual_minutes` is the planned part that is not in person.

    Refuses with ValueError what cannot be: an end that is not after the start, breaks outside the sitting or
    over each other, more break or virtual time than there is.
    """

    starts_at: datetime
    ends_at: datetime
    breaks: tuple[Break, ...] = ()
    break_minutes: int = 0
    virtual_minutes: int = 0

    def __post_init__(self) -> None:
        if fault := _fault(self):
            raise ValueError(fault)


@dataclass(frozen=True)
class Minutes:
    """Minutes of an experience: what was in person and what was virtual."""

    in_person: int = 0
    virtual: int = 0

    @property
    def total(self) -> int:
        """Both parts together."""
        return self.in_person + self.virtual


def _fault(sitting: Sitting) -> str | None:
    if sitting.ends_at <= sitting.starts_at:
        return "a sitting ends after it starts"
    edges = [sitting.starts_at]
    for pause in sorted(sitting.breaks, key=lambda pause: pause.starts_at):
        edges += [pause.starts_at, pause.ends_at]
    if [*edges, sitting.ends_at] != sorted([*edges, sitting.ends_at]):
        return "breaks lie inside their sitting and apart from each other"
    if sitting.break_minutes < 0 or planned(sitting) < 0:
        return "a sitting is longer than its breaks"
    if not 0 <= sitting.virtual_minutes <= planned(sitting):
        return "the virtual part is no longer than the sitting"
    return None


def planned(sitting: Sitting) -> int:
    """Planned minutes: from start to end, less the breaks."""
    return _working(sitting, sitting.starts_at, sitting.ends_at) - sitting.break_minutes


def planned_parts(sitting: Sitting) -> Minutes:
    """Planned minutes, in person and virtual."""
    return Minutes(planned(sitting) - sitting.virtual_minutes, sitting.virtual_minutes)


def attended(
    sitting: Sitting,
    status: AttendanceStatus,
    *,
    arrived_at: datetime | None = None,
    left_at: datetime | None = None,
) -> Minutes:
    """Minutes earned at a sitting: never negative, never above what was planned.

    `present` earns the planned minutes. `late` counts from `arrived_at`, `left_early` until `left_at` (and
    from `arrived_at` if it is given); a time outside the sitting counts as its edge. Every other status earns
    nothing. Refuses `late` without `arrived_at` and `left_early` without `left_at` with ValueError: nothing
    is guessed.
    """
    if status not in ATTENDED:
        return Minutes()
    if status == AttendanceStatus.PRESENT:
        return planned_parts(sitting)
    if status == AttendanceStatus.LATE and arrived_at is None:
        raise ValueError("a late arrival needs the time of arrival")
    if status == AttendanceStatus.LEFT_EARLY and left_at is None:
        raise ValueError("leaving early needs the time of leaving")
    return _split(sitting, _between(sitting, arrived_at, left_at))


def _between(sitting: Sitting, arrived_at: datetime | None, left_at: datetime | None) -> int:
    start = max(sitting.starts_at, arrived_at or sitting.starts_at)
    end = min(sitting.ends_at, left_at or sitting.ends_at)
    whole = _working(sitting, sitting.starts_at, sitting.ends_at)
    if end <= start or not whole:
        return 0
    return _working(sitting, start, end) * planned(sitting) // whole


def _working(sitting: Sitting, start: datetime, end: datetime) -> int:
    time = end - start
    for pause in sitting.breaks:
        time -= max(timedelta(0), min(end, pause.ends_at) - max(start, pause.starts_at))
    return max(0, time // timedelta(minutes=1))


def _split(sitting: Sitting, minutes: int) -> Minutes:
    full = planned(sitting)
    virtual = minutes * sitting.virtual_minutes // full if full else 0
    return Minutes(minutes - virtual, virtual)


def total(parts: Iterable[Minutes]) -> Minutes:
    """The sum of several sittings: an encounter's minutes."""
    parts = tuple(parts)
    return Minutes(sum(part.in_person for part in parts), sum(part.virtual for part in parts))


def overlap(one: Sitting, other: Sitting) -> bool:
    """Whether two sittings share any instant; end to start does not count."""
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def calendar_days(sittings: Iterable[Sitting]) -> tuple[date, ...]:
    """The distinct days, in London, on which sittings begin, in order."""
    return tuple(sorted({london_date(sitting.starts_at) for sitting in sittings}))


def capped(minutes: int, cap: int | None) -> int:
    """What is credited of one calendar day's minutes under a daily cap; None is no cap."""
    return minutes if cap is None else min(minutes, cap)


def as_hours(minutes: int) -> float:
    """Minutes as hours, to two places: 75 is 1.25."""
    return round(minutes / 60, 2)


def as_days(minutes: int, day_minutes: int = DAY_MINUTES) -> float:
    """Minutes as days' worth, to two places: 1,500 is 5.0. Not calendar days."""
    return round(minutes / day_minutes, 2)
