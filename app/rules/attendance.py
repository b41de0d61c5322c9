"""The day itself: who reports what, what is overdue, what conflicts, who resolves a no-show, what is
complete.

Silence is the danger, so what is not reported is `expected`, never assumed. Every report is kept; the
employer's and the school's stand side by side, and where they disagree the school decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.rules.answers import Refusal
from app.rules.hours import Sitting
from app.rules.school_calendar import london_date
from app.rules.words import Actor, AttendanceStatus, NoShowResolution, Reporter

OVERDUE_AFTER: Final = timedelta(minutes=20)
GRACE: Final = timedelta(minutes=5)
"""Arriving or leaving within this of the plan is `present`, with the planned minutes."""
EARLY: Final = timedelta(minutes=60)
"""How long before the start a pupil may arrive."""
OVERRUN: Final = timedelta(minutes=120)
"""How long after the end a pupil may leave."""

_S = AttendanceStatus
_AWAY: Final = (_S.NO_SHOW,)
_THERE: Final = (_S.PRESENT, _S.LATE, _S.LEFT_EARLY)
_DAY: Final = (_S.ARRIVED, *_THERE, *_AWAY)
_NOT_HELD: Final = (_S.EXCUSED, _S.CLOSED)

TRANSITIONS: Final[Mapping[AttendanceStatus, tuple[AttendanceStatus, ...]]] = {
    _S.EXPECTED: (*_DAY, *_NOT_HELD),
    _S.ARRIVED: (*_DAY, *_NOT_HELD),
    _S.NO_SHOW: (*_DAY, *_NOT_HELD),  # turned up after all, or was known to be away
    _S.PRESENT: (*_DAY, *_NOT_HELD),  # corrections: the earlier report is kept
    _S.LATE: (*_DAY, *_NOT_HELD),
    _S.LEFT_EARLY: (*_DAY, *_NOT_HELD),
    _S.EXCUSED: _DAY,
    _S.CLOSED: (),
}
"""From what one side last said to what it may say next. `expected` is never said again; a closure is final.
"""

ATTENDING: Final = frozenset({_S.ARRIVED, *_THERE})
OUTCOMES: Final = frozenset({*_THERE, _S.NO_SHOW, _S.EXCUSED, _S.CLOSED})
_ELSEWHERE: Final = frozenset({NoShowResolution.IN_SCHOOL, NoShowResolution.KNOWN_ABSENCE})
"""Resolutions that say where a pupil is, and that is not at the visit."""


@dataclass(frozen=True)
class Report:
    """What one side said of one pupil at one sitting. `decides`: the school settles a conflict with it."""

    reporter: Reporter
    status: AttendanceStatus
    reported_at: datetime
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    decides: bool = False


@dataclass(frozen=True)
class Standing:
    """What is held true of one pupil at one sitting. In conflict nothing is credited until the school
    decides.
    """

    status: AttendanceStatus
    conflict: bool = False
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    resolution: NoShowResolution | None = None

    @property
    def open_no_show(self) -> bool:
        """Whether somebody is missing and the school has not said where."""
        return self.status == AttendanceStatus.NO_SHOW and self.resolution is None

    @property
    def has_outcome(self) -> bool:
        """Whether this pupil's part of the sitting is settled: an open no-show or a conflict is not."""
        return self.status in OUTCOMES and not self.conflict and not self.open_no_show


def problem_with_report(before: Sequence[Report], report: Report, sitting: Sitting) -> Refusal | None:
    """Why a report is not taken, or None. `before` are all earlier reports of this pupil at this sitting.

    Codes: `school_only` (`excused` and deciding are the school's), `status_not_reportable`,
    `too_early` (before the start, judged by `reported_at`; `excused` and `closed` may come earlier),
    `time_required`, `status_contradicts_times`, `arrived_outside_sitting`, `left_outside_sitting`, `times_reversed`,
    `already_closed` (the school may decide otherwise where the employer closed it).
    """
    school = report.reporter == Reporter.SCHOOL
    if not school and (report.decides or report.status == _S.EXCUSED):
        return Refusal("school_only", "Only the school says this.")
    if report.status == _S.EXPECTED:
        return Refusal("status_not_reportable", "Expected is what nobody has reported on yet.")
    if report.status not in _NOT_HELD and report.reported_at < sitting.starts_at:
        return Refusal("too_early", "Attendance is reported from the start of the visit.")
    return (
        _problem_with_status(report, sitting)
        or _problem_with_bounds(report, sitting)
        or _problem_with_recorded(before, report)
        or _problem_with_order(before, report)
    )


def _problem_with_status(report: Report, sitting: Sitting) -> Refusal | None:
    """A status and the times that are said with it fit each other."""
    if report.status == _S.LATE and report.arrived_at is None:
        return Refusal("time_required", "A late arrival needs `arrived_at`.")
    if report.status == _S.LEFT_EARLY and report.left_at is None:
        return Refusal("time_required", "Leaving early needs `left_at`.")
    if report.status not in ATTENDING and (report.arrived_at or report.left_at):
        return Refusal("status_contradicts_times", "A pupil who was not there did not arrive or leave.")
    if report.status == _S.LATE and report.arrived_at and report.arrived_at <= sitting.starts_at:
        return Refusal("status_contradicts_times", "A late arrival is after the start.")
    if report.status == _S.LEFT_EARLY and report.left_at and report.left_at >= sitting.ends_at:
        return Refusal("status_contradicts_times", "Leaving early is before the end.")
    return None


def _problem_with_bounds(report: Report, sitting: Sitting) -> Refusal | None:
    """A pupil arrives from an hour before the start until the end, and leaves from the start until two hours after
    the end, on the day itself.
    """
    days = {london_date(sitting.starts_at), london_date(sitting.ends_at)}
    arrived, left = report.arrived_at, report.left_at
    if arrived and not (
        sitting.starts_at - EARLY <= arrived <= sitting.ends_at and london_date(arrived) in days
    ):
        return Refusal(
            "arrived_outside_sitting",
            "An arrival is at most an hour before the start, and not after the end.",
        )
    if left and not (sitting.starts_at <= left <= sitting.ends_at + OVERRUN and london_date(left) in days):
        return Refusal(
            "left_outside_sitting", "A pupil leaves after the start, and at most two hours after the end."
        )
    return None


def _problem_with_recorded(before: Sequence[Report], report: Report) -> Refusal | None:
    """Nobody leaves before arriving, be it said now or recorded before."""
    arrived = report.arrived_at or last_arrival(before)
    if arrived and report.left_at and report.left_at < arrived:
        return Refusal(
            "times_reversed", "Nobody leaves before arriving; an arrival is recorded or said here."
        )
    return None


def last_arrival(reports: Iterable[Report], reporter: Reporter | None = None) -> datetime | None:
    """When a pupil was last said to have arrived, by this side or by either."""
    said = [
        one.arrived_at for one in reports if one.arrived_at is not None and reporter in (None, one.reporter)
    ]
    return said[-1] if said else None


def _problem_with_order(before: Sequence[Report], report: Report) -> Refusal | None:
    if report.status in TRANSITIONS[standing(before).status]:
        return None
    theirs = before[-1].reporter == Reporter.EMPLOYER if before else False
    if report.decides and theirs and report.status in TRANSITIONS[_S.EXPECTED]:
        return None
    return Refusal("already_closed", "This is closed for this pupil.")


def standing(
    reports: Iterable[Report],
    resolution: NoShowResolution | None = None,
    resolved_at: datetime | None = None,
) -> Standing:
    """What is held true, given every report and how the no-show that stands was resolved.

    A decision of the school sets aside all that was said before it. Else each side's latest word: where the
    sides differ the worse holds (`no_show` before any attendance) and `conflict` is set, until the school
    decides or says where the pupil is. `arrived` agrees with every way of attending.

    A resolution settles what was said by `resolved_at` (None: everything). One that says that the pupil is elsewhere
    is the school's word from then on: an employer that reports attendance later contradicts it.
    """
    latest: dict[Reporter, Report] = {}
    for report in sorted(reports, key=lambda report: report.reported_at):
        latest = {} if report.decides else latest
        latest[report.reporter] = report
    mine, theirs = latest.get(Reporter.SCHOOL), latest.get(Reporter.EMPLOYER)
    mine = _word_of_school(mine, resolution, resolved_at)
    if mine is None or theirs is None:
        only = mine or theirs
        return _as_said(only, resolution) if only else Standing(AttendanceStatus.EXPECTED)
    return _of_two(mine, theirs, resolution, resolved_at)


def _word_of_school(
    report: Report | None, resolution: NoShowResolution | None, at: datetime | None
) -> Report | None:
    """The school's latest word: its report, or a later resolution that says that the pupil is elsewhere."""
    if resolution not in _ELSEWHERE or at is None:
        return report
    if report and (report.reported_at >= at or report.status in _NOT_HELD):
        return report
    return Report(Reporter.SCHOOL, AttendanceStatus.NO_SHOW, at)


def _of_two(
    school: Report, employer: Report, resolution: NoShowResolution | None, resolved_at: datetime | None
) -> Standing:
    if school.status in _NOT_HELD and employer.status not in ATTENDING:
        return _as_said(school, resolution)
    said = {school.status, employer.status}
    if len(said) == 1 or (said <= ATTENDING and _S.ARRIVED in said):
        chosen, other = (employer, school) if school.status == _S.ARRIVED else (school, employer)
        return _as_said(_with_arrival(chosen, other), resolution)
    worse = next((each for each in (employer, school) if each.status == _S.NO_SHOW), school)
    kept = resolution if worse.status == _S.NO_SHOW else None
    said_since = resolved_at is not None and max(school.reported_at, employer.reported_at) > resolved_at
    return _as_said(worse, kept, conflict=kept is None or said_since)


def _with_arrival(report: Report, other: Report) -> Report:
    """A report of a pupil who came, with the arrival that the other side recorded if it has none."""
    if report.status not in ATTENDING or report.arrived_at is not None:
        return report
    return replace(report, arrived_at=other.arrived_at)


def _as_said(report: Report, resolution: NoShowResolution | None, *, conflict: bool = False) -> Standing:
    kept = resolution if report.status == AttendanceStatus.NO_SHOW else None
    return Standing(report.status, conflict, report.arrived_at, report.left_at, kept)


def settles_where(resolution: NoShowResolution) -> bool:
    """Whether a resolution says that the pupil is not at the visit, whatever was reported before."""
    return resolution in _ELSEWHERE


def status_from_times(
    sitting: Sitting, arrived_at: datetime | None, left_at: datetime | None
) -> AttendanceStatus:
    """The outcome that the times of a pupil who came amount to. Leaving early outranks arriving late."""
    if left_at is not None and left_at < sitting.ends_at - GRACE:
        return AttendanceStatus.LEFT_EARLY
    if arrived_at is not None and arrived_at > sitting.starts_at + GRACE:
        return AttendanceStatus.LATE
    return AttendanceStatus.PRESENT


def overdue_at(starts_at: datetime) -> datetime:
    """When silence about a sitting becomes an alarm: 20 minutes after its start."""
    return starts_at + OVERDUE_AFTER


def is_overdue(status: AttendanceStatus, *, starts_at: datetime, now: datetime) -> bool:
    """Whether nobody has said anything of this pupil 20 minutes after the start."""
    return status == AttendanceStatus.EXPECTED and now >= overdue_at(starts_at)


def any_overdue(statuses: Iterable[AttendanceStatus], *, starts_at: datetime, now: datetime) -> bool:
    """Whether a booking's sitting is to raise the alarm: one pupil that nobody spoke of is enough."""
    return any(is_overdue(status, starts_at=starts_at, now=now) for status in statuses)


def raises_no_show(before: Standing, after: Standing) -> bool:
    """Whether a report is news of somebody missing: to be told to the school at once."""
    return after.open_no_show and not before.open_no_show


def resolve_no_show(now_holds: Standing, resolution: NoShowResolution, actor: Actor) -> Standing | Refusal:
    """The standing after the school has said where the pupil is.

    Codes: `not_yours` (only the school resolves), `no_open_no_show`. An `escalated` one may be resolved
    again; any other resolution is corrected by a new report.
    """
    if actor != Actor.SCHOOL:
        return Refusal("not_yours", "Only the school resolves a no-show.")
    again = now_holds.resolution in (None, NoShowResolution.ESCALATED)
    if now_holds.status != AttendanceStatus.NO_SHOW or not again:
        return Refusal("no_open_no_show", "There is no open no-show for this pupil.")
    return Standing(now_holds.status, now_holds.conflict, now_holds.arrived_at, now_holds.left_at, resolution)


def sitting_complete(standings: Iterable[Standing], *, ends_at: datetime, now: datetime) -> bool:
    """Whether a sitting is over and every participant has an outcome. One without participants is not
    complete.
    """
    each = tuple(standings)
    return bool(each) and now >= ends_at and all(one.has_outcome for one in each)


def booking_settled(sittings: Iterable[bool], closed: Iterable[bool]) -> bool:
    """Whether every sitting of a booking is complete or closed: two lists of one flag each per sitting."""
    pairs = tuple(zip(sittings, closed, strict=True))
    return bool(pairs) and all(complete or shut for complete, shut in pairs)
