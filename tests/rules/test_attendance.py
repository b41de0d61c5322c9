"""The day itself: reports, conflicts, silence, no-shows, completeness."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import attendance
from app.rules.answers import Refusal
from app.rules.attendance import Report, Standing, standing
from app.rules.hours import Sitting
from app.rules.words import Actor, AttendanceStatus, NoShowResolution, Reporter

START = datetime(2026, 6, 15, 9, tzinfo=UTC)
SITTING = Sitting(START, START + timedelta(hours=2))
S = AttendanceStatus


def said(who: Reporter, status: AttendanceStatus, minute: int = 5, *, decides: bool = False) -> Report:
    at = START + timedelta(minutes=minute)
    late = at if status == S.LATE else None
    early = at if status == S.LEFT_EARLY else None
    return Report(who, status, at, arrived_at=late, left_at=early, decides=decides)


def employer(status: AttendanceStatus, minute: int = 5) -> Report:
    return said(Reporter.EMPLOYER, status, minute)


def school(status: AttendanceStatus, minute: int = 5, *, decides: bool = False) -> Report:
    return said(Reporter.SCHOOL, status, minute, decides=decides)


@pytest.mark.parametrize(
    ("before", "report", "code"),
    [
        ([], employer(S.EXCUSED), "school_only"),
        ([], said(Reporter.EMPLOYER, S.PRESENT, decides=True), "school_only"),
        ([], employer(S.EXPECTED), "status_not_reportable"),
        ([], employer(S.ARRIVED, -1), "too_early"),
        ([], employer(S.NO_SHOW, -1), "too_early"),
        ([], Report(Reporter.EMPLOYER, S.LATE, START), "time_required"),
        ([], Report(Reporter.EMPLOYER, S.LEFT_EARLY, START), "time_required"),
        (
            [],
            Report(
                Reporter.SCHOOL,
                S.PRESENT,
                START,
                arrived_at=START + timedelta(minutes=9),
                left_at=START + timedelta(minutes=8),
            ),
            "times_reversed",
        ),
        ([school(S.CLOSED)], employer(S.ARRIVED, 6), "already_closed"),
    ],
)
def test_a_refused_report_says_why(before: list[Report], report: Report, code: str) -> None:
    problem = attendance.problem_with_report(before, report, SITTING)
    assert isinstance(problem, Refusal)
    assert problem.code == code


@pytest.mark.parametrize(
    ("before", "report"),
    [
        ([], employer(S.ARRIVED, 0)),
        ([], school(S.ARRIVED, 0)),
        ([], school(S.EXCUSED, -600)),
        ([], employer(S.CLOSED, -600)),
        ([employer(S.CLOSED)], school(S.PRESENT, 60, decides=True)),
        ([employer(S.NO_SHOW)], employer(S.LATE, 30)),
        ([employer(S.PRESENT)], employer(S.LEFT_EARLY, 60)),
        ([school(S.PRESENT, decides=True)], employer(S.NO_SHOW, 30)),
    ],
)
def test_a_sensible_report_is_taken(before: list[Report], report: Report) -> None:
    assert attendance.problem_with_report(before, report, SITTING) is None


@pytest.mark.parametrize(
    ("reports", "status", "conflict"),
    [
        ([], S.EXPECTED, False),
        ([employer(S.ARRIVED)], S.ARRIVED, False),
        ([employer(S.ARRIVED), employer(S.PRESENT, 120)], S.PRESENT, False),
        ([employer(S.NO_SHOW), school(S.NO_SHOW)], S.NO_SHOW, False),
        ([employer(S.NO_SHOW), school(S.ARRIVED)], S.NO_SHOW, True),
        ([employer(S.PRESENT), school(S.NO_SHOW)], S.NO_SHOW, True),
        ([employer(S.PRESENT), school(S.LATE)], S.LATE, True),
        ([employer(S.PRESENT), school(S.ARRIVED)], S.PRESENT, False),
        ([school(S.EXCUSED, -60), employer(S.NO_SHOW)], S.EXCUSED, False),
        ([school(S.EXCUSED, -60), employer(S.ARRIVED)], S.EXCUSED, True),
        ([employer(S.NO_SHOW), school(S.PRESENT, 9, decides=True)], S.PRESENT, False),
        ([school(S.PRESENT, 9, decides=True), employer(S.NO_SHOW, 30)], S.NO_SHOW, True),
    ],
)
def test_two_sides_are_weighed_and_the_school_decides(
    reports: list[Report], status: AttendanceStatus, *, conflict: bool
) -> None:
    held = standing(reports)
    assert (held.status, held.conflict) == (status, conflict)


def test_a_conflict_is_not_an_outcome() -> None:
    assert not standing([employer(S.PRESENT), school(S.LATE)]).has_outcome


def test_a_no_show_stays_open_until_the_school_resolves_it() -> None:
    held = standing([employer(S.NO_SHOW)])
    assert held.open_no_show
    assert not held.has_outcome
    assert attendance.raises_no_show(Standing(S.EXPECTED), held)
    resolved = attendance.resolve_no_show(held, NoShowResolution.IN_SCHOOL, Actor.SCHOOL)
    assert isinstance(resolved, Standing)
    assert resolved.has_outcome
    assert not attendance.raises_no_show(held, held)


@pytest.mark.parametrize("actor", [Actor.EMPLOYER, Actor.OVERSEER, Actor.SYSTEM])
def test_nobody_but_the_school_resolves_a_no_show(actor: Actor) -> None:
    answer = attendance.resolve_no_show(standing([employer(S.NO_SHOW)]), NoShowResolution.LOCATED, actor)
    assert isinstance(answer, Refusal)
    assert answer.code == "not_yours"


def test_only_an_escalated_no_show_is_resolved_again() -> None:
    escalated = standing([employer(S.NO_SHOW)], NoShowResolution.ESCALATED)
    located = attendance.resolve_no_show(escalated, NoShowResolution.LOCATED, Actor.SCHOOL)
    assert isinstance(located, Standing)
    again = attendance.resolve_no_show(located, NoShowResolution.IN_SCHOOL, Actor.SCHOOL)
    assert isinstance(again, Refusal)
    nobody_missing = attendance.resolve_no_show(
        standing([employer(S.PRESENT)]), NoShowResolution.LOCATED, Actor.SCHOOL
    )
    assert isinstance(nobody_missing, Refusal)


def test_saying_where_a_pupil_is_settles_a_conflict_about_the_no_show() -> None:
    reports = [employer(S.NO_SHOW), school(S.ARRIVED)]
    assert standing(reports, NoShowResolution.IN_SCHOOL).has_outcome


@pytest.mark.parametrize("resolution", [NoShowResolution.IN_SCHOOL, NoShowResolution.KNOWN_ABSENCE])
@pytest.mark.parametrize("school_said", [[], [school(S.NO_SHOW, 6)], [school(S.ARRIVED, 4)]])
def test_attendance_reported_after_the_school_said_where_a_pupil_is_contradicts_it(
    resolution: NoShowResolution, school_said: list[Report]
) -> None:
    at = START + timedelta(minutes=10)
    before = [employer(S.NO_SHOW), *school_said]
    assert standing(before, resolution, at).has_outcome
    later = [*before, employer(S.PRESENT, 120)]
    held = standing(later, resolution, at)
    assert (held.status, held.conflict, held.open_no_show) == (S.NO_SHOW, True, False)
    for status in (S.PRESENT, S.NO_SHOW):
        decided = standing([*later, school(status, 130, decides=True)], resolution, at)
        assert (decided.status, decided.has_outcome) == (status, True)
    assert standing([*later, school(S.PRESENT, 130)], resolution, at).has_outcome, "the sides agree"


def test_what_was_said_before_a_resolution_is_settled_by_it() -> None:
    at = START + timedelta(minutes=130)
    held = standing([employer(S.NO_SHOW), employer(S.PRESENT, 120)], NoShowResolution.IN_SCHOOL, at)
    assert (held.status, held.has_outcome) == (S.NO_SHOW, True)


def test_a_pupil_who_was_located_may_have_come() -> None:
    at = START + timedelta(minutes=10)
    held = standing([employer(S.NO_SHOW), employer(S.PRESENT, 120)], NoShowResolution.LOCATED, at)
    assert (held.status, held.conflict) == (S.PRESENT, False)


def test_silence_becomes_an_alarm_after_twenty_minutes() -> None:
    def alarm(minutes: int, *statuses: AttendanceStatus) -> bool:
        now = START + timedelta(minutes=minutes)
        return attendance.any_overdue(statuses, starts_at=START, now=now)

    assert not alarm(19, S.EXPECTED)
    assert alarm(20, S.EXPECTED)
    assert alarm(20, S.ARRIVED, S.EXPECTED)
    assert not alarm(90, S.ARRIVED, S.NO_SHOW)


@pytest.mark.parametrize(
    ("arrived", "left", "status"),
    [
        (None, None, S.PRESENT),
        (5, 118, S.PRESENT),
        (6, None, S.LATE),
        (None, 60, S.LEFT_EARLY),
        (30, 60, S.LEFT_EARLY),
    ],
)
def test_times_amount_to_an_outcome(arrived: int | None, left: int | None, status: AttendanceStatus) -> None:
    came, went = (None if each is None else START + timedelta(minutes=each) for each in (arrived, left))
    assert attendance.status_from_times(SITTING, came, went) == status


def test_a_sitting_is_complete_when_it_is_over_and_everyone_has_an_outcome() -> None:
    everyone = [Standing(S.PRESENT), Standing(S.NO_SHOW, resolution=NoShowResolution.LOCATED)]
    end = SITTING.ends_at

    def complete(*standings: Standing, now: datetime = end) -> bool:
        return attendance.sitting_complete(standings, ends_at=end, now=now)

    assert complete(*everyone)
    assert not complete(*everyone, now=end - timedelta(minutes=1))
    assert not complete(*everyone, Standing(S.ARRIVED))
    assert not complete(*everyone, Standing(S.NO_SHOW))
    assert not complete()


def test_a_booking_is_settled_when_each_sitting_is_complete_or_closed() -> None:
    assert attendance.booking_settled([True, False], [False, True])
    assert not attendance.booking_settled([True, False], [False, False])
    assert not attendance.booking_settled([], [])


reports_of_any_kind = st.lists(
    st.builds(
        said,
        st.sampled_from(Reporter),
        st.sampled_from(sorted(set(S) - {S.EXPECTED})),
        st.integers(-30, 200),
    ),
    max_size=8,
)


@given(reports_of_any_kind)
def test_no_report_is_ever_hidden_by_good_news(reports: list[Report]) -> None:
    held = standing(reports)
    last = {report.reporter: report.status for report in sorted(reports, key=lambda each: each.reported_at)}
    excused = last.get(Reporter.SCHOOL) in (S.EXCUSED, S.CLOSED)
    if S.NO_SHOW in last.values() and not excused:
        assert held.status == S.NO_SHOW
    assert (held.status == S.EXPECTED) == (not reports)
