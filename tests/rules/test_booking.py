"""Bookings: the table of moves, and what no sequence of moves can do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import booking
from app.rules.answers import Refusal
from app.rules.booking import Facts, move
from app.rules.words import REASONS_FOR, Actor, BookingAction, BookingReason, BookingState

START = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
BEFORE = START - timedelta(days=20)
FACTS = Facts(
    first_start=START,
    last_end=START + timedelta(hours=2),
    places=25,
    places_free=25,
    expires_at=START - timedelta(days=5),
)
A, S, R = BookingAction, BookingState, BookingReason
ELSEWHERE = replace(
    FACTS,
    changes_slot=True,
    agreed_start=START,
    first_start=START + timedelta(days=9),
    last_end=START + timedelta(days=10),
)
"""Of a booking that is to be moved to a later slot."""


def proposed(by: Actor) -> Facts:
    return replace(FACTS, agreed_start=START, proposed_by=by, proposal_expires_at=START - timedelta(days=5))


def with_reason(reason: BookingReason) -> Facts:
    return replace(FACTS, reason=reason)


@pytest.mark.parametrize(
    ("state", "action", "actor", "facts", "expected"),
    [
        (None, A.REQUEST, Actor.SCHOOL, FACTS, S.REQUESTED),
        (None, A.JOIN_WAITING_LIST, Actor.SCHOOL, replace(FACTS, places_free=0), S.WAITING),
        (S.WAITING, A.PROMOTE, Actor.SYSTEM, FACTS, S.REQUESTED),
        (S.REQUESTED, A.CONFIRM, Actor.EMPLOYER, FACTS, S.CONFIRMED),
        (S.REQUESTED, A.COUNTER, Actor.EMPLOYER, FACTS, S.COUNTERED),
        (S.COUNTERED, A.ACCEPT_COUNTER, Actor.SCHOOL, FACTS, S.CONFIRMED),
        (S.REQUESTED, A.DECLINE, Actor.EMPLOYER, with_reason(R.NO_SUPERVISOR), S.DECLINED),
        (S.COUNTERED, A.DECLINE, Actor.SCHOOL, with_reason(R.TIMETABLE_CLASH), S.DECLINED),
        (S.CONFIRMED, A.CANCEL, Actor.SCHOOL, with_reason(R.TRANSPORT), S.CANCELLED),
        (S.CONFIRMED, A.CANCEL, Actor.EMPLOYER, with_reason(R.SITE_CLOSED), S.CANCELLED),
        (S.COUNTERED, A.RESCHEDULE, Actor.SCHOOL, FACTS, S.REQUESTED),
        (S.CONFIRMED, A.RESCHEDULE, Actor.SCHOOL, ELSEWHERE, S.CONFIRMED),
        (S.CONFIRMED, A.RESCHEDULE, Actor.EMPLOYER, ELSEWHERE, S.CONFIRMED),
        (S.CONFIRMED, A.ACCEPT_PROPOSAL, Actor.SCHOOL, proposed(Actor.EMPLOYER), S.CONFIRMED),
        (S.CONFIRMED, A.ACCEPT_PROPOSAL, Actor.EMPLOYER, proposed(Actor.SCHOOL), S.CONFIRMED),
        (S.CONFIRMED, A.DECLINE_PROPOSAL, Actor.SCHOOL, proposed(Actor.EMPLOYER), S.CONFIRMED),
        (S.CONFIRMED, A.WITHDRAW_PROPOSAL, Actor.EMPLOYER, proposed(Actor.EMPLOYER), S.CONFIRMED),
        (
            S.CONFIRMED,
            A.END_PROPOSAL,
            Actor.SYSTEM,
            replace(proposed(Actor.SCHOOL), reason=R.SLOT_CANCELLED),
            S.CONFIRMED,
        ),
        (S.CONFIRMED, A.HOLD, Actor.OVERSEER, with_reason(R.EMPLOYER_SUSPENDED), S.ON_HOLD),
        (S.ON_HOLD, A.RELEASE, Actor.OVERSEER, with_reason(R.HOLD_LIFTED), S.CONFIRMED),
    ],
)
def test_a_move_leads_where_the_table_says(
    state: BookingState | None, action: BookingAction, actor: Actor, facts: Facts, expected: BookingState
) -> None:
    assert move(state, action, actor, now=BEFORE, facts=facts) == expected


@pytest.mark.parametrize(
    ("state", "action", "actor", "facts", "now", "code"),
    [
        (S.REQUESTED, A.CONFIRM, Actor.SCHOOL, FACTS, BEFORE, "not_yours"),
        (S.CONFIRMED, A.RESCHEDULE, Actor.SCHOOL, FACTS, BEFORE, "same_slot"),
        (S.CONFIRMED, A.RESCHEDULE, Actor.SCHOOL, ELSEWHERE, START, "slot_started"),
        (
            S.CONFIRMED,
            A.RESCHEDULE,
            Actor.SCHOOL,
            replace(proposed(Actor.SCHOOL), changes_slot=True),
            BEFORE,
            "proposal_open",
        ),
        (S.CONFIRMED, A.ACCEPT_PROPOSAL, Actor.SCHOOL, proposed(Actor.SCHOOL), BEFORE, "no_proposal"),
        (S.CONFIRMED, A.ACCEPT_PROPOSAL, Actor.SCHOOL, FACTS, BEFORE, "no_proposal"),
        (
            S.CONFIRMED,
            A.ACCEPT_PROPOSAL,
            Actor.SCHOOL,
            proposed(Actor.EMPLOYER),
            START - timedelta(days=5),
            "deadline_passed",
        ),
        (S.CONFIRMED, A.END_PROPOSAL, Actor.SYSTEM, proposed(Actor.SCHOOL), BEFORE, "not_due"),
        (S.CONFIRMED, A.CONFIRM, Actor.EMPLOYER, FACTS, BEFORE, "not_from_this_state"),
        (S.REQUESTED, A.CANCEL, Actor.EMPLOYER, with_reason(R.CAPACITY), BEFORE, "not_from_this_state"),
        (S.REQUESTED, A.DECLINE, Actor.EMPLOYER, FACTS, BEFORE, "reason_required"),
        (S.REQUESTED, A.DECLINE, Actor.EMPLOYER, with_reason(R.TRANSPORT), BEFORE, "reason_not_allowed"),
        (None, A.REQUEST, Actor.SCHOOL, replace(FACTS, places_free=24), BEFORE, "no_places"),
        (None, A.REQUEST, Actor.SCHOOL, replace(FACTS, places=0), BEFORE, "no_places_asked"),
        (
            None,
            A.REQUEST,
            Actor.SCHOOL,
            replace(FACTS, employer_blocked=True),
            BEFORE,
            "employer_unavailable",
        ),
        (None, A.REQUEST, Actor.SCHOOL, FACTS, START, "slot_started"),
        (S.REQUESTED, A.CONFIRM, Actor.EMPLOYER, FACTS, START - timedelta(days=5), "deadline_passed"),
        (S.REQUESTED, A.EXPIRE, Actor.SYSTEM, FACTS, BEFORE, "not_due"),
        (S.ON_HOLD, A.EXPIRE, Actor.SYSTEM, FACTS, BEFORE, "not_due"),
        (S.CONFIRMED, A.CANCEL, Actor.SCHOOL, with_reason(R.WEATHER), FACTS.last_end, "slot_over"),
        (S.CONFIRMED, A.COMPLETE, Actor.SYSTEM, FACTS, FACTS.last_end, "attendance_outstanding"),
        (
            S.ON_HOLD,
            A.RELEASE,
            Actor.SYSTEM,
            replace(FACTS, employer_blocked=True),
            BEFORE,
            "employer_unavailable",
        ),
    ],
)
def test_a_refused_move_says_why(
    *,
    state: BookingState | None,
    action: BookingAction,
    actor: Actor,
    facts: Facts,
    now: datetime,
    code: str,
) -> None:
    answer = move(state, action, actor, now=now, facts=facts)
    assert isinstance(answer, Refusal)
    assert answer.code == code
    assert answer.detail


def test_a_booking_that_somebody_attended_is_closed_and_not_cancelled() -> None:
    facts = replace(with_reason(R.ILLNESS), attendance_recorded=True)
    answer = move(S.CONFIRMED, A.CANCEL, Actor.SCHOOL, now=START, facts=facts)
    assert isinstance(answer, Refusal)
    assert answer.code == "attendance_recorded"


def test_an_unanswered_request_expires_when_its_time_or_its_slot_has_come() -> None:
    assert move(S.REQUESTED, A.EXPIRE, Actor.SYSTEM, now=START - timedelta(days=5), facts=FACTS) == S.EXPIRED
    no_deadline = replace(FACTS, expires_at=None)
    assert move(S.WAITING, A.EXPIRE, Actor.SYSTEM, now=START, facts=no_deadline) == S.EXPIRED


facts_of_any_kind = st.builds(
    Facts,
    first_start=st.just(START),
    last_end=st.just(START + timedelta(days=4)),
    places=st.just(5),
    places_free=st.integers(0, 10),
    expires_at=st.none() | st.just(START - timedelta(days=5)),
    reason=st.none() | st.sampled_from(BookingReason),
    employer_blocked=st.booleans(),
    attendance_recorded=st.booleans(),
    sittings_settled=st.booleans(),
    changes_slot=st.booleans(),
)
moments = st.integers(-20, 10).map(lambda days: START + timedelta(days=days))
attempts = st.tuples(st.sampled_from(BookingAction), st.sampled_from(Actor), facts_of_any_kind, moments)


@given(st.sampled_from(sorted(booking.TERMINAL)), attempts)
def test_no_move_leaves_a_terminal_state(
    state: BookingState, attempt: tuple[BookingAction, Actor, Facts, datetime]
) -> None:
    action, actor, facts, now = attempt
    assert isinstance(move(state, action, actor, now=now, facts=facts), Refusal)


@given(st.lists(attempts, max_size=30))
def test_places_are_conserved_and_never_oversold_whatever_is_tried(
    tries: list[tuple[BookingAction, Actor, Facts, datetime]],
) -> None:
    capacity, places, taken = 12, 5, [0]
    states: list[BookingState | None] = [None, None, None]
    for number, (action, actor, facts, now) in enumerate(tries):
        at = number % len(states)
        free = capacity - taken[0] + (places if booking.holds_places(states[at]) else 0)
        after = move(states[at], action, actor, now=now, facts=replace(facts, places_free=free))
        if not isinstance(after, Refusal):
            taken[0] += booking.places_taken_by(states[at], after, places)
            states[at] = after
        assert taken[0] == places * sum(booking.holds_places(state) for state in states)
        assert 0 <= taken[0] <= capacity


@given(st.data())
def test_a_walk_of_legal_moves_keeps_the_counter_right_and_ends_where_nothing_follows(
    data: st.DataObject,
) -> None:
    state: BookingState | None = None
    proposed_by: Actor | None = None
    taken, now = 0, BEFORE
    for _ in range(12):
        lines = [line for line in booking.MOVES if state in line.sources]
        if not lines:
            break
        line = data.draw(st.sampled_from(lines))
        reasons = REASONS_FOR.get((line.action, line.actor), (None,))
        facts = replace(FACTS, reason=data.draw(st.sampled_from(reasons)), sittings_settled=True)
        facts = replace(facts, proposed_by=proposed_by, proposal_expires_at=START, changes_slot=True)
        late = line.action in (A.EXPIRE, A.COMPLETE, A.END_PROPOSAL)
        after = move(state, line.action, line.actor, now=START if late else now, facts=facts)
        if isinstance(after, Refusal):
            assert after.code == ("proposal_open" if line.action == A.RESCHEDULE else "no_proposal")
            continue
        assert after == line.target
        asks = state == S.CONFIRMED and line.action == A.RESCHEDULE
        proposed_by = line.actor if asks else None
        taken += booking.places_taken_by(state, line.target, 25)
        state = line.target
        assert taken == (25 if booking.holds_places(state) else 0)
    assert state not in booking.TERMINAL or not any(state in line.sources for line in booking.MOVES)


@pytest.mark.parametrize("state", [S.REQUESTED, S.COUNTERED, S.CONFIRMED, S.ON_HOLD, S.COMPLETED])
def test_what_is_asked_agreed_or_used_holds_its_places(state: BookingState) -> None:
    assert booking.holds_places(state)


@pytest.mark.parametrize("state", [None, S.WAITING, S.DECLINED, S.EXPIRED, S.CANCELLED])
def test_what_waits_or_is_over_holds_none(state: BookingState | None) -> None:
    assert not booking.holds_places(state)


@pytest.mark.parametrize("actor", [Actor.SCHOOL, Actor.EMPLOYER])
@pytest.mark.parametrize(
    ("facts", "now", "code"),
    [
        (replace(FACTS, employer_blocked=True), BEFORE, "employer_unavailable"),
        (replace(FACTS, places_free=1), BEFORE, "no_places"),
        (replace(FACTS, attendance_recorded=True), BEFORE, "attendance_recorded"),
        (FACTS, START, "slot_started"),
    ],
)
def test_a_booking_moves_only_to_a_slot_that_could_be_booked(
    actor: Actor, facts: Facts, now: datetime, code: str
) -> None:
    answer = move(S.CONFIRMED, A.RESCHEDULE, actor, now=now, facts=replace(facts, changes_slot=True))
    assert isinstance(answer, Refusal)
    assert answer.code == code


def test_a_suspended_employer_confirms_nothing_and_its_counter_is_not_accepted() -> None:
    blocked = replace(FACTS, employer_blocked=True)
    for state, action, actor in (
        (S.REQUESTED, A.CONFIRM, Actor.EMPLOYER),
        (S.COUNTERED, A.ACCEPT_COUNTER, Actor.SCHOOL),
    ):
        answer = move(state, action, actor, now=BEFORE, facts=blocked)
        assert isinstance(answer, Refusal)
        assert answer.code == "employer_unavailable"


def test_every_state_is_reached_and_every_live_one_has_a_way_out() -> None:
    assert {line.target for line in booking.MOVES} == set(BookingState)
    sources = {source for line in booking.MOVES for source in line.sources if source}
    assert sources == set(BookingState) - booking.TERMINAL


def test_every_action_has_a_line_and_no_two_lines_compete() -> None:
    assert {line.action for line in booking.MOVES} == set(BookingAction)
    keys = [(line.action, line.actor, source) for line in booking.MOVES for source in line.sources]
    assert len(keys) == len(set(keys))


def test_reasons_are_listed_only_for_moves_that_exist() -> None:
    assert set(REASONS_FOR) <= {(line.action, line.actor) for line in booking.MOVES}


def test_the_faces_can_list_what_is_open_to_a_side() -> None:
    open_to = booking.possible(S.REQUESTED, Actor.EMPLOYER, now=BEFORE, facts=FACTS)
    assert open_to == (A.CONFIRM, A.COUNTER, A.DECLINE)
    late = booking.possible(S.REQUESTED, Actor.EMPLOYER, now=START - timedelta(days=5), facts=FACTS)
    assert late == (A.DECLINE,), "the time for an answer has passed"


@pytest.mark.parametrize(
    ("now", "same_day"),
    [
        (datetime(2026, 6, 14, 22, 59, tzinfo=UTC), False),  # 23:59 in London, in summer
        (datetime(2026, 6, 14, 23, 0, tzinfo=UTC), True),
        (datetime(2026, 6, 15, 8, 0, tzinfo=UTC), True),
    ],
)
def test_the_day_of_a_cancellation_is_a_london_day(now: datetime, *, same_day: bool) -> None:
    assert booking.is_same_day(now, START) is same_day
    assert booking.needs_safety_lane(A.CANCEL, now, START) is same_day
    assert booking.needs_safety_lane(A.HOLD, now, START)
    assert not booking.needs_safety_lane(A.CONFIRM, now, START)


def test_an_employer_never_reads_a_reason_about_a_pupil() -> None:
    private = booking.reason_told_to_employer(Actor.SCHOOL, R.SAFEGUARDING)
    assert private == R.WITHDRAWN_BY_SCHOOL
    assert booking.reason_told_to_employer(Actor.SCHOOL, R.TRANSPORT) == R.TRANSPORT


def test_a_school_is_told_of_a_hold_without_its_reason() -> None:
    assert booking.reason_told_to_school(A.HOLD, Actor.OVERSEER, R.SAFEGUARDING) is None
    assert booking.reason_told_to_school(A.HOLD, Actor.SYSTEM, R.COVER_LAPSED) is None
    assert booking.reason_told_to_school(A.DECLINE, Actor.EMPLOYER, R.NO_SUPERVISOR) == R.NO_SUPERVISOR
