"""Who may move a booking, from which state to which. The table `MOVES` is the whole of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from app.rules.answers import Refusal
from app.rules.school_calendar import london_date
from app.rules.words import (
    PRIVATE_TO_SCHOOL,
    REASON_REQUIRED,
    REASONS_FOR,
    Actor,
    BookingAction,
    BookingReason,
    BookingState,
)


@dataclass(frozen=True)
class Facts:
    """What a move depends on beside the state. Times are UTC.

    `first_start`, `last_end`, `places_free` and `employer_blocked` are about the slot that the booking will
    be in after the move: the new one when it is rescheduled or countered with another slot. `places_free`
    excludes what this booking already holds in that slot. `employer_blocked`: suspended, or cover lapsed.
    `agreed_start` is the start of the slot that the booking is in before the move. `proposed_by` and
    `proposal_expires_at` are of the proposal that stands beside a confirmed booking, if there is one.
    """

    first_start: datetime
    last_end: datetime
    places: int = 1
    places_free: int = 0
    capacity: int | None = None
    expires_at: datetime | None = None
    reason: BookingReason | None = None
    employer_blocked: bool = False
    attendance_recorded: bool = False
    sittings_settled: bool = False
    changes_slot: bool = False
    agreed_start: datetime | None = None
    proposed_by: Actor | None = None
    proposal_expires_at: datetime | None = None


Condition = Callable[[Facts, datetime], Refusal | None]


def _before_start(facts: Facts, now: datetime) -> Refusal | None:
    return Refusal("slot_started", "The first sitting has begun.") if now >= facts.first_start else None


def _before_end(facts: Facts, now: datetime) -> Refusal | None:
    return Refusal("slot_over", "The last sitting is over.") if now >= facts.last_end else None


def _has_places(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.places < 1:
        return Refusal("no_places_asked", "A booking asks for at least one place.")
    if facts.places > facts.places_free:
        return Refusal("no_places", f"{facts.places} places asked, {facts.places_free} free.")
    return None


def _within_capacity(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.capacity is not None and facts.places > facts.capacity:
        return Refusal("over_capacity", f"{facts.places} places asked, the slot has {facts.capacity} in all.")
    return None


def _has_places_if_moved(facts: Facts, now: datetime) -> Refusal | None:
    return _has_places(facts, now) if facts.changes_slot else None


def _not_blocked(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.employer_blocked:
        return Refusal("employer_unavailable", "This employer cannot take bookings at present.")
    return None


def _in_time(facts: Facts, now: datetime) -> Refusal | None:
    if facts.expires_at is not None and now >= facts.expires_at:
        return Refusal("deadline_passed", "The time for an answer has passed.")
    return None


def _due(facts: Facts, now: datetime) -> Refusal | None:
    if now >= facts.first_start or _in_time(facts, now):
        return None
    return Refusal("not_due", "The time for an answer has not passed.")


def _started(facts: Facts, now: datetime) -> Refusal | None:
    return None if now >= facts.first_start else Refusal("not_due", "The first sitting has not begun.")


def _nobody_came_yet(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.attendance_recorded:
        return Refusal(
            "attendance_recorded", "Attendance is recorded; close the sittings that remain instead."
        )
    return None


def _visit_ahead(facts: Facts, now: datetime) -> Refusal | None:
    if facts.agreed_start is not None and now >= facts.agreed_start:
        return Refusal("slot_started", "The agreed visit has begun: it is not moved any more.")
    return None


def _to_another_slot(facts: Facts, _now: datetime) -> Refusal | None:
    return None if facts.changes_slot else Refusal("same_slot", "The booking is in this slot already.")


def _nothing_proposed(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.proposed_by is None:
        return None
    return Refusal("proposal_open", "A proposal is open: it is answered or withdrawn before the next one.")


def _proposed_by(side: Actor) -> Condition:
    def asked(facts: Facts, _now: datetime) -> Refusal | None:
        if facts.proposed_by == side:
            return None
        return Refusal("no_proposal", f"There is no open proposal by the {side.value}.")

    return asked


def _proposal_in_time(facts: Facts, now: datetime) -> Refusal | None:
    if facts.proposal_expires_at is not None and now >= facts.proposal_expires_at:
        return Refusal("deadline_passed", "The time to answer the proposal has passed.")
    return None


def _proposal_over(facts: Facts, now: datetime) -> Refusal | None:
    if facts.proposed_by is None:
        return Refusal("no_proposal", "There is no open proposal.")
    if facts.reason == BookingReason.SLOT_CANCELLED or _proposal_in_time(facts, now):
        return None
    return Refusal("not_due", "The time to answer the proposal has not passed.")


def _all_settled(facts: Facts, _now: datetime) -> Refusal | None:
    if facts.sittings_settled:
        return None
    return Refusal("attendance_outstanding", "A sitting has neither attendance nor a closure.")


@dataclass(frozen=True)
class Move:
    """One line of the table: an action, by whom, from any of these states to one, and on what conditions."""

    action: BookingAction
    actor: Actor
    sources: tuple[BookingState | None, ...]
    target: BookingState
    conditions: tuple[Condition, ...] = ()


_A, _S = BookingAction, BookingState
_SCHOOL, _EMPLOYER, _OVERSEER, _SYSTEM = Actor.SCHOOL, Actor.EMPLOYER, Actor.OVERSEER, Actor.SYSTEM

_UNANSWERED: Final = (_S.WAITING, _S.REQUESTED, _S.COUNTERED)
_ASKED: Final = (_S.REQUESTED, _S.COUNTERED)
_RUNNING: Final = (_S.CONFIRMED, _S.ON_HOLD)
_OPEN: Final = (*_UNANSWERED, *_RUNNING)

_QUEUE: Final = (_before_start, _not_blocked, _within_capacity)
_NEW: Final = (*_QUEUE, _has_places)
_YES: Final = (_before_start, _in_time, _not_blocked)
_YES_BUT: Final = (*_YES, _has_places_if_moved)
_MOVED: Final = (_nobody_came_yet, _before_start, _not_blocked, _has_places)
_PROPOSED: Final = (_nothing_proposed, _to_another_slot, _visit_ahead, *_MOVED)
_BY_SCHOOL: Final = (_proposed_by(Actor.SCHOOL),)
_BY_EMPLOYER: Final = (_proposed_by(Actor.EMPLOYER),)
_SWAP: Final = (_proposal_in_time, _nobody_came_yet, _visit_ahead, _before_start, _not_blocked)
_OFF: Final = (_before_end, _nobody_came_yet)
_HELD: Final = (_before_end,)
_FREED: Final = (_before_end, _not_blocked)
_NEVER_FREED: Final = (_started, _nobody_came_yet)
_DONE: Final = (_started, _all_settled)

# fmt: off
MOVES: Final[tuple[Move, ...]] = (
    #    action                who        from                       to             provided
    Move(_A.REQUEST,           _SCHOOL,   (None,),                   _S.REQUESTED,  _NEW),
    Move(_A.JOIN_WAITING_LIST, _SCHOOL,   (None,),                   _S.WAITING,    _QUEUE),
    Move(_A.PROMOTE,           _SYSTEM,   (_S.WAITING,),             _S.REQUESTED,  _NEW),

    Move(_A.CONFIRM,           _EMPLOYER, (_S.REQUESTED,),           _S.CONFIRMED,  _YES),
    Move(_A.COUNTER,           _EMPLOYER, (_S.REQUESTED,),           _S.COUNTERED,  _YES_BUT),
    Move(_A.ACCEPT_COUNTER,    _SCHOOL,   (_S.COUNTERED,),           _S.CONFIRMED,  _YES),
    Move(_A.DECLINE,           _EMPLOYER, (_S.WAITING, _S.REQUESTED), _S.DECLINED),
    Move(_A.DECLINE,           _SCHOOL,   (_S.COUNTERED,),           _S.DECLINED),
    Move(_A.EXPIRE,            _SYSTEM,   _UNANSWERED,               _S.EXPIRED,    (_due,)),

    Move(_A.RESCHEDULE,        _SCHOOL,   _ASKED,                    _S.REQUESTED,  _MOVED),
    # What is agreed stands while another slot is proposed:
    Move(_A.RESCHEDULE,        _SCHOOL,   (_S.CONFIRMED,),           _S.CONFIRMED,  _PROPOSED),
    Move(_A.RESCHEDULE,        _EMPLOYER, (_S.CONFIRMED,),           _S.CONFIRMED,  _PROPOSED),
    Move(_A.ACCEPT_PROPOSAL,   _SCHOOL,   (_S.CONFIRMED,),           _S.CONFIRMED,  (*_BY_EMPLOYER, *_SWAP)),
    Move(_A.ACCEPT_PROPOSAL,   _EMPLOYER, (_S.CONFIRMED,),           _S.CONFIRMED,  (*_BY_SCHOOL, *_SWAP)),
    Move(_A.DECLINE_PROPOSAL,  _SCHOOL,   (_S.CONFIRMED,),           _S.CONFIRMED,  _BY_EMPLOYER),
    Move(_A.DECLINE_PROPOSAL,  _EMPLOYER, (_S.CONFIRMED,),           _S.CONFIRMED,  _BY_SCHOOL),
    Move(_A.WITHDRAW_PROPOSAL, _SCHOOL,   (_S.CONFIRMED,),           _S.CONFIRMED,  _BY_SCHOOL),
    Move(_A.WITHDRAW_PROPOSAL, _EMPLOYER, (_S.CONFIRMED,),           _S.CONFIRMED,  _BY_EMPLOYER),
    Move(_A.END_PROPOSAL,      _SYSTEM,   (_S.CONFIRMED,),           _S.CONFIRMED,  (_proposal_over,)),

    Move(_A.CANCEL,            _SCHOOL,   _OPEN,                     _S.CANCELLED,  _OFF),
    Move(_A.CANCEL,            _EMPLOYER, (_S.COUNTERED, *_RUNNING), _S.CANCELLED,  _OFF),
    Move(_A.CANCEL,            _SYSTEM,   _OPEN,                     _S.CANCELLED,  (_nobody_came_yet,)),

    Move(_A.HOLD,              _OVERSEER, (_S.CONFIRMED,),           _S.ON_HOLD,    _HELD),
    Move(_A.HOLD,              _SYSTEM,   (_S.CONFIRMED,),           _S.ON_HOLD,    _HELD),
    Move(_A.RELEASE,           _OVERSEER, (_S.ON_HOLD,),             _S.CONFIRMED,  _FREED),
    Move(_A.RELEASE,           _SYSTEM,   (_S.ON_HOLD,),             _S.CONFIRMED,  _FREED),
    Move(_A.EXPIRE,            _SYSTEM,   (_S.ON_HOLD,),             _S.EXPIRED,    _NEVER_FREED),

    Move(_A.COMPLETE,          _SYSTEM,   _RUNNING,                  _S.COMPLETED,  _DONE),
)
# fmt: on

TERMINAL: Final = frozenset({_S.DECLINED, _S.EXPIRED, _S.CANCELLED, _S.COMPLETED})
HOLDING: Final = frozenset({_S.REQUESTED, _S.COUNTERED, _S.CONFIRMED, _S.ON_HOLD, _S.COMPLETED})


def move(
    state: BookingState | None, action: BookingAction, actor: Actor, *, now: datetime, facts: Facts
) -> BookingState | Refusal:
    """The state after a move, or why not. `state` is None for a booking that is yet to be made.

    Refusal codes, in the order they are looked for: `not_yours` (this side never makes this move),
    `not_from_this_state`, `reason_required`, `reason_not_allowed`, then the conditions of the line in
    `MOVES`: `slot_started`, `slot_over`, `deadline_passed`, `employer_unavailable`, `over_capacity`,
    `no_places`, `no_places_asked`, `not_due`, `attendance_recorded`, `attendance_outstanding`, `proposal_open`,
    `no_proposal`, `same_slot`.
    """
    line = _line(state, action, actor)
    if isinstance(line, Refusal):
        return line
    if refusal := _problem_with_reason(action, actor, facts.reason):
        return refusal
    refusals = (condition(facts, now) for condition in line.conditions)
    return next((refusal for refusal in refusals if refusal), line.target)


def _line(state: BookingState | None, action: BookingAction, actor: Actor) -> Move | Refusal:
    lines = [line for line in MOVES if line.action == action and line.actor == actor]
    if not lines:
        return Refusal("not_yours", f"{action.value} is not a move of this side ({actor.value}).")
    for line in lines:
        if state in line.sources:
            return line
    where = f"A booking that is {state.value}" if state else "A booking that does not exist"
    return Refusal(
        "not_from_this_state", f"{where} cannot take the move {action.value} by the {actor.value}."
    )


def _problem_with_reason(action: BookingAction, actor: Actor, reason: BookingReason | None) -> Refusal | None:
    if reason is None:
        required = action in REASON_REQUIRED
        return Refusal("reason_required", f"{action.value} needs a reason code.") if required else None
    if reason not in REASONS_FOR.get((action, actor), ()):
        return Refusal("reason_not_allowed", f"{reason.value} is no reason for {action.value} here.")
    return None


CHOOSES_SLOT: Final = frozenset({_A.RESCHEDULE, _A.COUNTER})
_SOME_SLOT: Final = datetime.max.replace(tzinfo=UTC)


def possible(state: BookingState, actor: Actor, *, now: datetime, facts: Facts) -> tuple[BookingAction, ...]:
    """The actions of this side that the table lets through now, given a reason it may use.

    `facts` are about the booking as it stands, in its own slot. An action that names another slot is possible if
    there can be one: it is taken to lie ahead, with places.
    """
    there = replace(
        facts, first_start=_SOME_SLOT, last_end=_SOME_SLOT, places_free=facts.places, changes_slot=True
    )
    found = []
    for line in MOVES:
        if line.actor == actor and state in line.sources:
            known = there if line.action in CHOOSES_SLOT else facts
            if not any(condition(known, now) for condition in line.conditions):
                found.append(line.action)
    return tuple(found)


def holds_places(state: BookingState | None) -> bool:
    """Whether a booking in this state holds its places. `completed` does: the places were used."""
    return state in HOLDING


def places_taken_by(before: BookingState | None, after: BookingState, places: int) -> int:
    """What a move within one slot adds to `slots.taken`: `places`, its negative, or 0.

    A move to another slot gives back `places` in the old one if it held them, and takes them in the new one.
    """
    return places * (holds_places(after) - holds_places(before))


def is_terminal(state: BookingState) -> bool:
    """Whether no move leads out of this state."""
    return state in TERMINAL


def is_same_day(now: datetime, first_start: datetime) -> bool:
    """Whether, in London, it is the day of the first sitting, or a later one: people may be on their way."""
    return london_date(now) >= london_date(first_start)


def needs_safety_lane(action: BookingAction, now: datetime, first_start: datetime) -> bool:
    """Whether the news of a move must not wait: every hold, and what falls through on the day itself."""
    if action in (BookingAction.CANCEL, BookingAction.RESCHEDULE, BookingAction.ACCEPT_PROPOSAL):
        return is_same_day(now, first_start)
    return action == BookingAction.HOLD


def reason_told_to_employer(actor: Actor, reason: BookingReason | None) -> BookingReason | None:
    """What the employer reads: a school's reason about a pupil becomes `withdrawn_by_school`."""
    if actor in (Actor.SCHOOL, Actor.SYSTEM) and reason in PRIVATE_TO_SCHOOL:
        return BookingReason.WITHDRAWN_BY_SCHOOL
    return reason


def reason_told_to_school(
    action: BookingAction, actor: Actor, reason: BookingReason | None
) -> BookingReason | None:
    """What the school reads: a hold, its release and an overseer's move come without a reason."""
    if action in (BookingAction.HOLD, BookingAction.RELEASE) or actor == Actor.OVERSEER:
        return None
    return None if reason == BookingReason.EMPLOYER_SUSPENDED else reason
