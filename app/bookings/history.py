"""Bookings of the past, with all their moves and who was named: the bulk door for history. Nothing is announced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.bookings import sql
from app.core.db import Row, Writer
from app.core.ids import new_id
from app.rules import booking as law
from app.rules.answers import Refusal
from app.rules.words import (
    Actor,
    AttendanceStatus,
    BookingAction,
    BookingReason,
    BookingState,
    ParentalAgreement,
)


@dataclass(frozen=True, slots=True)
class Made:
    """One move: who made it, when (domain time), and why."""

    action: BookingAction
    actor: Actor
    client_id: UUID
    at: datetime
    reason: BookingReason | None = None


@dataclass(frozen=True, slots=True)
class Stood:
    """How one pupil's part of one sitting stands today."""

    status: AttendanceStatus = AttendanceStatus.EXPECTED
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A pupil (a row of enrolments: id, person_no) named in a booking, with how each sitting stands, in their order."""

    pupil: Row
    nc_year: str
    state: str
    stood: Sequence[Stood]
    criteria_confirmed: Sequence[str] = ()
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A booking in a slot (a row of slots with its `sittings`) of an offer of this kind, as it went."""

    slot: Row
    kind: str
    school_id: UUID
    external_ref: str
    places: int
    moves: Sequence[Made]
    named: Sequence[Named] = ()
    nc_year: str | None = None
    programme_id: UUID | None = None
    strand_id: UUID | None = None
    parents_agreed_on: date | None = None


@dataclass(slots=True)
class _Rows:
    bookings: list[dict[str, Any]] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    participations: list[dict[str, Any]] = field(default_factory=list)
    agreements: list[dict[str, Any]] = field(default_factory=list)
    sittings: list[dict[str, Any]] = field(default_factory=list)


async def add_bookings(tx: Writer, past: Sequence[Past]) -> tuple[list[Row], list[list[Row]]]:
    """Add bookings; gives their rows, and for each the rows of its pupils' sittings, with enrolment and NC year.

    Every move is one of `rules.booking`: ValueError for one that is not. The slots' `taken` is not touched.
    """
    rows, days = _Rows(), []
    for one in past:
        booking = _booking(one, rows)
        days.append(list(_name(one, booking, rows)))
    rows.sittings.sort(key=lambda row: row["person_no"])
    await sql.add_past(
        tx,
        {
            "bookings": rows.bookings,
            "moves": rows.moves,
            "participations": rows.participations,
            "agreements": rows.agreements,
            "sittings": rows.sittings,
        },
    )
    return list(rows.bookings), days


def _booking(one: Past, rows: _Rows) -> dict[str, Any]:
    slot, identifier = one.slot, new_id()
    whose = {"booking_id": identifier, "school_id": one.school_id, "employer_id": slot["employer_id"]}
    state: BookingState | None = None
    for no, made in enumerate(one.moves, 1):
        before, state = state, _moved(one, state, made)
        rows.moves.append(_move(one, whose, made, no, before, state))
    first, last = one.moves[0], one.moves[-1]
    confirmed = [made.at for made in one.moves if made.action == BookingAction.CONFIRM]
    ended = last.at if state in law.TERMINAL else None
    row = {
        "id": identifier,
        "school_id": one.school_id,
        **{
            name: slot[name]
            for name in ("employer_id", "site_id", "offer_id", "starts_at", "ends_at", "name_by")
        },
        "slot_id": slot["id"],
        "programme_id": one.programme_id,
        "strand_id": one.strand_id,
        "school_ref": one.external_ref,
        "state": str(state),
        "kind": one.kind,
        "nc_year": one.nc_year,
        "places": one.places,
        "named": len(one.named),
        "expires_at": _expiry(one) if state == BookingState.REQUESTED else None,
        "requested_at": first.at,
        "confirmed_at": confirmed[0] if confirmed else None,
        "ended_at": ended,
        "reason_code": last.reason.value if last.reason else None,
        "reason_actor": last.actor.value if last.reason else None,
        "requested_by": first.client_id,
    }
    rows.bookings.append(row)
    return row


def _expiry(one: Past) -> datetime:
    starts: datetime = one.slot["starts_at"]
    return min(one.moves[0].at + timedelta(hours=one.slot["reply_within_hours"]), starts)


def _moved(one: Past, state: BookingState | None, made: Made) -> BookingState:
    facts = law.Facts(
        first_start=one.slot["starts_at"],
        last_end=one.slot["ends_at"],
        places=one.places,
        places_free=one.slot["capacity"],
        expires_at=_expiry(one) if state == BookingState.REQUESTED else None,
        reason=made.reason,
        sittings_settled=made.action == BookingAction.COMPLETE,
    )
    after = law.move(state, made.action, made.actor, now=made.at, facts=facts)
    if not isinstance(after, Refusal):
        return after
    msg = f"{one.external_ref}, {made.action.value}: {after.code}"
    raise ValueError(msg)


def _move(
    one: Past, whose: Row, made: Made, no: int, before: BookingState | None, after: BookingState
) -> dict[str, Any]:
    return {
        "id": new_id(),
        **whose,
        "no": no,
        "action": made.action.value,
        "actor": made.actor.value,
        "client_id": made.client_id,
        "from_state": before.value if before else None,
        "to_state": after.value,
        "from_slot_id": one.slot["id"] if before else None,
        "to_slot_id": one.slot["id"],
        "places": one.places,
        "reason_code": made.reason.value if made.reason else None,
        "at": made.at,
    }


def _name(one: Past, booking: Row, rows: _Rows) -> Iterable[Row]:
    """Participations and their sittings; gives each sitting as a day of attendance has it."""
    for named in one.named:
        who = {
            "booking_id": booking["id"],
            "school_id": one.school_id,
            "employer_id": booking["employer_id"],
            "person_no": named.pupil["person_no"],
        }
        place = {"id": new_id(), **who, "slot_id": booking["slot_id"], "enrolment_id": named.pupil["id"]}
        rows.participations.append(
            {
                **place,
                "nc_year": named.nc_year,
                "state": named.state,
                "criteria_confirmed": list(named.criteria_confirmed),
                "criteria_confirmed_at": named.confirmed_at,
            }
        )
        if one.parents_agreed_on:
            rows.agreements.append(_agreement(one, booking, named))
        for sitting, stood in zip(one.slot["sittings"], named.stood, strict=True):
            row = _sitting(who, place["id"], sitting, stood)
            rows.sittings.append(row)
            yield {
                **row,
                "starts_at": sitting["starts_at"],
                "ends_at": sitting["ends_at"],
                "enrolment_id": named.pupil["id"],
                "nc_year": named.nc_year,
                "criteria_confirmed": list(named.criteria_confirmed),
            }


def _agreement(one: Past, booking: Row, named: Named) -> dict[str, Any]:
    return {
        "id": new_id(),
        "school_id": one.school_id,
        "enrolment_id": named.pupil["id"],
        "booking_id": booking["id"],
        "state": ParentalAgreement.GIVEN.value,
        "answered_on": one.parents_agreed_on,
    }


def _sitting(who: Row, participation_id: UUID, sitting: Row, stood: Stood) -> dict[str, Any]:
    return {
        "id": new_id(),
        "participation_id": participation_id,
        "sitting_id": sitting["id"],
        **who,
        "during": (sitting["starts_at"], sitting["ends_at"]),
        "break_minutes": sitting["break_minutes"],
        "virtual": sitting["virtual"],
        "status": stood.status.value,
        "arrived_at": stood.arrived_at,
        "left_at": stood.left_at,
        "minutes": stood.minutes,
        "disputed": False,
    }
