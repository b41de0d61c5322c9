"""What both sides are told of a move: two events, the employer's with the reason it may read."""

from dataclasses import replace
from typing import Any

from app.core.db import Row
from app.outbox.service import Event, to_both
from app.rules import booking as law
from app.rules.words import Actor, BookingAction, BookingReason

TYPE_OF = {
    BookingAction.REQUEST: "booking.requested",
    BookingAction.JOIN_WAITING_LIST: "booking.waiting",
    BookingAction.PROMOTE: "booking.promoted",
    BookingAction.COUNTER: "booking.countered",
    BookingAction.ACCEPT_COUNTER: "booking.confirmed",
    BookingAction.CONFIRM: "booking.confirmed",
    BookingAction.DECLINE: "booking.declined",
    BookingAction.CANCEL: "booking.cancelled",
    BookingAction.EXPIRE: "booking.expired",
    BookingAction.HOLD: "booking.on_hold",
    BookingAction.RELEASE: "booking.released",
    BookingAction.RESCHEDULE: "booking.rescheduled",
    BookingAction.ACCEPT_PROPOSAL: "booking.rescheduled",
    BookingAction.DECLINE_PROPOSAL: "booking.proposal_ended",
    BookingAction.WITHDRAW_PROPOSAL: "booking.proposal_ended",
    BookingAction.END_PROPOSAL: "booking.proposal_ended",
    BookingAction.COMPLETE: "booking.completed",
}
_MORE = {
    "booking.requested": ("expires_at",),
    "booking.promoted": ("expires_at",),
    "booking.countered": ("counter_slot_id", "expires_at"),
    "booking.confirmed": ("name_by",),
}
_PROPOSED = {
    "proposed_by": "proposal_by",
    "proposed_slot_id": "proposal_slot_id",
    "proposed_places": "proposal_places",
    "proposed_starts_at": "proposal_starts_at",
    "proposed_ends_at": "proposal_ends_at",
    "proposal_expires_at": "proposal_expires_at",
}
"""The members that tell of a proposal, and where a booking has them."""
_OUTCOMES = {
    BookingAction.DECLINE_PROPOSAL: "declined",
    BookingAction.WITHDRAW_PROPOSAL: "withdrawn",
    BookingAction.END_PROPOSAL: "expired",
}
NOT_CONFIRMED = "booking_not_confirmed"
"""The outcome of a proposal whose booking was cancelled, held or completed."""
_ALWAYS = ("slot_id", "school_id", "employer_id", "state", "places", "starts_at", "ends_at")


def of_move(
    booking: Row,
    action: BookingAction,
    actor: Actor,
    reason: BookingReason | None,
    *,
    before: Row | None,
    safety: bool,
) -> list[Event]:
    """The events of one move of `booking` (as it is after it); `before` as it was."""
    kind = type_of(action, booking)
    data: dict[str, Any] = {"booking_id": booking["id"]} | {name: booking[name] for name in _ALWAYS}
    data |= {name: booking[name] for name in _MORE.get(kind, ())}
    if kind == "booking.rescheduled":
        data["from_slot_id"] = before["slot_id"] if before else booking["slot_id"]
    elif kind == "booking.proposed":
        data |= {name: booking[column] for name, column in _PROPOSED.items()}
    elif kind == "booking.proposal_ended" and before:
        outcome = "slot_cancelled" if reason == BookingReason.SLOT_CANCELLED else _OUTCOMES[action]
        data |= {"proposed_slot_id": before["proposal_slot_id"], "outcome": outcome}
    school_reason = law.reason_told_to_school(action, actor, reason)
    employer_reason = law.reason_told_to_employer(actor, reason)
    return to_both(
        kind,
        school_id=booking["school_id"],
        employer_id=booking["employer_id"],
        order_key=booking["id"],
        data={**data, "reason_code": school_reason},
        employer_data={**data, "reason_code": employer_reason},
        lane="safety" if safety else None,
    )


def type_of(action: BookingAction, booking: Row) -> str:
    """The event that tells of a move, given the booking after it."""
    if action == BookingAction.RESCHEDULE and booking["proposal_slot_id"] is not None:
        return "booking.proposed"
    return TYPE_OF[action]


def proposal_dropped(before: Row) -> list[Event]:
    """The proposal beside a booking (as it was) ended because the booking is no longer confirmed."""
    data = {"booking_id": before["id"], "reason_code": None, "outcome": NOT_CONFIRMED}
    data |= {name: before[name] for name in _ALWAYS}
    return to_both(
        "booking.proposal_ended",
        school_id=before["school_id"],
        employer_id=before["employer_id"],
        order_key=before["id"],
        data={**data, "proposed_slot_id": before["proposal_slot_id"]},
    )


def participants_named(booking: Row) -> list[Event]:
    """How many of the places have a name now."""
    data = {"booking_id": booking["id"], "reason_code": None, "named": booking["named"]}
    data |= {name: booking[name] for name in _ALWAYS}
    return to_both(
        "booking.participants_named",
        school_id=booking["school_id"],
        employer_id=booking["employer_id"],
        order_key=booking["id"],
        data=data,
    )


def pupils_left(booking: Row) -> list[Event]:
    """As `participants_named`, with the reason: pupils have left. The employer reads it as the school's withdrawal."""
    school, employer = participants_named(booking)
    return [
        replace(school, data={**school.data, "reason_code": BookingReason.PUPIL_WITHDRAWN}),
        replace(employer, data={**employer.data, "reason_code": BookingReason.WITHDRAWN_BY_SCHOOL}),
    ]
