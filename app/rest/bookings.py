"""Bookings over REST: request, answer, move, name pupils, read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from app.bookings import naming, programmes, service, sql
from app.bookings.facts import standing_facts
from app.bookings.steps import Step
from app.core.db import Door, Row
from app.core.errors import Forbidden, NotFound, invalid
from app.rest.booking_models import (
    AssignIn,
    BookingIn,
    BookingOut,
    BookingPage,
    ConfirmIn,
    CounterIn,
    DeclineProposalIn,
    HistoryOut,
    NoteIn,
    ParticipantsIn,
    ParticipationsOut,
    ReasonIn,
    RescheduleIn,
    WithdrawIn,
)
from app.rest.frame import (
    Match,
    Pulled,
    Read,
    Write,
    framed,
    json_answer,
    known,
    needs,
    one_answer,
    page_of_pull,
    version_of,
)
from app.rest.models import Moment, Ref
from app.rules import booking as law
from app.rules.words import Actor, BookingAction, BookingReason, BookingState, ParentalAgreement, values

router = framed("/v1", "bookings")
_SHOWN = (
    "id", "school_id", "employer_id", "site_id", "offer_id", "slot_id", "state", "kind", "nc_year", "places", "named",
    "starts_at", "ends_at", "expires_at", "name_by", "requested_at", "confirmed_at", "ended_at", "counter_slot_id",
    "version",
)  # fmt: skip
_PROPOSAL = ("slot_id", "places", "starts_at", "ends_at", "expires_at", "by")
_MOVE = (
    "no", "action", "actor", "from_state", "to_state", "from_slot_id", "to_slot_id", "sitting_id",
    "proposed_slot_id",
    "places", "at",
)  # fmt: skip


def shown(row: Row, side: str, now: datetime) -> dict[str, Any]:
    """A booking as `side` sees it: its own reference, the reason it may read, the moves that would succeed now."""
    school = side == "school"
    view = {name: row[name] for name in _SHOWN}
    view["external_ref"] = row["school_ref"] if school else row["employer_ref"]
    view |= {name: row[name] if school else None for name in ("programme_id", "strand_id")}
    view["reason_code"] = _reason(row["reason_code"], row["reason_actor"], row["state"], school=school)
    view["proposal"] = _proposal(row, school=school)
    moves = law.possible(BookingState(row["state"]), Actor(side), now=now, facts=standing_facts(row))
    view["possible"] = [one.value for one in moves]
    return view


def _proposal(row: Row, *, school: bool) -> dict[str, Any] | None:
    """The proposal beside a confirmed booking, with the reason that this side may read."""
    if row["proposal_slot_id"] is None:
        return None
    view = {name: row[f"proposal_{name}"] for name in _PROPOSAL}
    reason = _reason(row["proposal_reason"], row["proposal_by"], row["state"], school=school)
    return view | {"reason_code": reason}


def _reason(code: str | None, who: str | None, state: str, *, school: bool) -> str | None:
    if code is None or who is None:
        return None
    reason, actor = BookingReason(code), Actor(who)
    if school:
        held = BookingAction.HOLD if state == BookingState.ON_HOLD else BookingAction.CANCEL
        told = law.reason_told_to_school(held, actor, reason)
    else:
        told = law.reason_told_to_employer(actor, reason)
    return told.value if told else None


def _answer(row: Row, tx: Door, *, status: int = 200) -> Response:
    location = f"/v1/bookings/{row['id']}" if status == 201 else None  # noqa: PLR2004
    return one_answer(
        shown(row, tx.caller.side, tx.caller.now), version=row["version"], location=location, status=status
    )


@router.post(
    "/bookings",
    status_code=201,
    response_model=BookingOut,
    summary="Ask for places",
    operation_id="request_booking",
)
@needs("bookings:write")
async def request_booking(body: BookingIn, tx: Write) -> Response:
    """Ask for places in a slot. They are held until `expires_at`; the employer confirms, counters or declines.

    409 `not_eligible` names every reason; 409 `no_places` when there are not enough (or wait for them).
    """
    row = await service.request(tx, service.Request(**body.model_dump()))
    return _answer(row, tx, status=201)


@router.get(
    "/bookings", response_model=BookingPage, summary="List your bookings", operation_id="list_bookings"
)
@needs("bookings:read")
async def list_bookings(
    tx: Read,
    turn: Pulled,
    school_id: Annotated[UUID | None, Query(description="One school of those you act for.")] = None,
    state: Annotated[str | None, Query(description="One state.")] = None,
    slot_id: Annotated[UUID | None, Query(description="One slot.")] = None,
    external_ref: Annotated[Ref | None, Query(description="Your side's own reference.")] = None,
    starts_from: Annotated[Moment | None, Query(description="First start, from (inclusive).")] = None,
    starts_to: Annotated[Moment | None, Query(description="First start, until (exclusive).")] = None,
    programme_id: Annotated[UUID | None, Query(description="One programme; school's side only.")] = None,
    strand_id: Annotated[UUID | None, Query(description="One strand; school's side only.")] = None,
) -> Response:
    """Your side's bookings, in the order they were made: an employer's requests, or a school's bookings."""
    known(state, values(BookingState), "?state")
    side = tx.caller.side
    if side == "employer" and (programme_id or strand_id):
        raise Forbidden("not_yours", "What a booking is part of is the school's side's to know.")
    rows = await sql.page(
        tx,
        school_id=school_id,
        employer_id=tx.caller.org_id if side == "employer" else None,
        state=state,
        slot_id=slot_id,
        external_ref=external_ref,
        starts_from=starts_from,
        starts_to=starts_to,
        programme_id=programme_id,
        strand_id=strand_id,
        pull=turn.pull("bookings"),
    )
    return page_of_pull(turn, "bookings", rows, lambda row: shown(row, side, tx.caller.now))


@router.get(
    "/bookings/{booking_id}", response_model=BookingOut, summary="Read a booking", operation_id="read_booking"
)
@needs("bookings:read")
async def read_booking(booking_id: UUID, tx: Read) -> Response:
    """One booking of yours."""
    row = await sql.by_id(tx, booking_id)
    if row is None:
        raise NotFound("booking")
    return _answer(row, tx)


@router.get(
    "/bookings/{booking_id}/history",
    response_model=HistoryOut,
    summary="Its history",
    operation_id="booking_history",
)
@needs("bookings:read")
async def booking_history(booking_id: UUID, tx: Read) -> Response:
    """Every move, oldest first: who, when, from, to, why. A note is shown to the side that wrote it."""
    rows = await sql.moves(tx, booking_id)
    if not rows:
        raise NotFound("booking")
    side = tx.caller.side
    shown_to = [row for row in rows if side == "school" or row["action"] != programmes.ASSIGN]
    return json_answer({"data": [_move(row, side) for row in shown_to]})


def _move(row: Row, side: str) -> dict[str, Any]:
    view = {name: row[name] for name in _MOVE}
    view["reason_code"] = _reason(row["reason_code"], row["actor"], row["to_state"], school=side == "school")
    view["note"] = row["note"] if row["actor"] == side else None
    view |= {name: row[name] if side == "school" else None for name in ("programme_id", "strand_id")}
    return view


async def _step(tx: Write, booking_id: UUID, step: Step) -> Response:
    row = await service.take_step(tx, booking_id, step)
    return _answer(row, tx)


@router.post(
    "/bookings/{booking_id}/confirm",
    response_model=BookingOut,
    summary="Confirm",
    operation_id="confirm_booking",
)
@needs("bookings:write")
async def confirm_booking(
    booking_id: UUID, tx: Write, body: ConfirmIn | None = None, match: Match = None
) -> Response:
    """The employer confirms a request. The school's system is told at once: `booking.confirmed`.

    409 `not_eligible` with the reasons if the request would not be taken any more, as when an approval was withdrawn.
    """
    said = body or ConfirmIn()
    step = Step(
        BookingAction.CONFIRM, note=said.note, expected=version_of(match), external_ref=said.external_ref
    )
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/decline",
    response_model=BookingOut,
    summary="Decline",
    operation_id="decline_booking",
)
@needs("bookings:write")
async def decline_booking(booking_id: UUID, body: ReasonIn, tx: Write, match: Match = None) -> Response:
    """The employer declines a request, or the school a counter-proposal. The places are free again."""
    step = Step(BookingAction.DECLINE, body.reason_code, body.note, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/cancel",
    response_model=BookingOut,
    summary="Cancel",
    operation_id="cancel_booking",
)
@needs("bookings:write")
async def cancel_booking(booking_id: UUID, body: ReasonIn, tx: Write, match: Match = None) -> Response:
    """Either side cancels. On the day itself the news takes the safety lane."""
    step = Step(BookingAction.CANCEL, body.reason_code, body.note, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/counter",
    response_model=BookingOut,
    summary="Counter",
    operation_id="counter_booking",
)
@needs("bookings:write")
async def counter_booking(booking_id: UUID, body: CounterIn, tx: Write, match: Match = None) -> Response:
    """The employer proposes another slot of its own; the school accepts or declines."""
    step = Step(BookingAction.COUNTER, body.reason_code, body.note, body.slot_id, version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/accept-counter",
    response_model=BookingOut,
    summary="Accept the counter-proposal",
    operation_id="accept_counter",
)
@needs("bookings:write")
async def accept_counter(
    booking_id: UUID, tx: Write, body: NoteIn | None = None, match: Match = None
) -> Response:
    """The school accepts what the employer proposed: the booking is confirmed in that slot."""
    step = Step(BookingAction.ACCEPT_COUNTER, note=body.note if body else None, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/reschedule",
    response_model=BookingOut,
    summary="Reschedule",
    operation_id="reschedule_booking",
)
@needs("bookings:write")
async def reschedule_booking(
    booking_id: UUID, body: RescheduleIn, tx: Write, match: Match = None
) -> Response:
    """Move to another slot of the same employer. Of a request the school moves its own wish: it is a request again.

    A confirmed booking stays confirmed, with its slot, places and names, and has a `proposal` beside it: places in the
    other slot are held until the other side accepts or declines it, or `expires_at`. 409 `proposal_open`, `same_slot`,
    `no_places`; the other slot is entered on the terms of a request (409 `not_eligible`, `booking_closed`).
    """
    step = Step(BookingAction.RESCHEDULE, body.reason_code, body.note, body.slot_id, version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/proposal/accept",
    response_model=BookingOut,
    summary="Accept the proposal",
    operation_id="accept_proposal",
)
@needs("bookings:write")
async def accept_proposal(
    booking_id: UUID, tx: Write, body: NoteIn | None = None, match: Match = None
) -> Response:
    """The other side accepts: the booking moves to the proposed slot at once, and the places of the old one are free.

    Pupils who can come then stay named; the others are withdrawn and their places can be named anew until `name_by`.
    409 `no_proposal` if the other side has none open, `deadline_passed`, `not_eligible`.
    """
    step = Step(BookingAction.ACCEPT_PROPOSAL, note=body.note if body else None, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/proposal/decline",
    response_model=BookingOut,
    summary="Decline the proposal",
    operation_id="decline_proposal",
)
@needs("bookings:write")
async def decline_proposal(
    booking_id: UUID, tx: Write, body: DeclineProposalIn | None = None, match: Match = None
) -> Response:
    """The other side declines: the booking stands as it was agreed, and the proposed places are free. 409 `no_proposal`."""
    said = body or DeclineProposalIn()
    step = Step(BookingAction.DECLINE_PROPOSAL, said.reason_code, said.note, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/proposal/withdraw",
    response_model=BookingOut,
    summary="Withdraw the proposal",
    operation_id="withdraw_proposal",
)
@needs("bookings:write")
async def withdraw_proposal(
    booking_id: UUID, tx: Write, body: NoteIn | None = None, match: Match = None
) -> Response:
    """The side that proposed takes it back: the booking stands as it was agreed. 409 `no_proposal`."""
    step = Step(BookingAction.WITHDRAW_PROPOSAL, note=body.note if body else None, expected=version_of(match))
    return await _step(tx, booking_id, step)


@router.post(
    "/bookings/{booking_id}/assign",
    response_model=BookingOut,
    summary="Make it part of a programme",
    operation_id="assign_booking",
)
@needs("bookings:write")
async def assign_booking(booking_id: UUID, body: AssignIn, tx: Write, match: Match = None) -> Response:
    """The school says which programme and strand a booking is part of, or that it is part of none.

    409 `not_enrolled`, `outside_programme`. The history has a line of it; the employer is told nothing.
    """
    to = programmes.Assignment(body.programme_id, body.strand_id, version_of(match))
    return _answer(await programmes.assign(tx, booking_id, to), tx)


@router.post(
    "/bookings/{booking_id}/participants",
    response_model=ParticipationsOut,
    summary="Name pupils",
    operation_id="name_participants",
)
@needs("bookings:write")
async def name_participants(booking_id: UUID, body: ParticipantsIn, tx: Write) -> Response:
    """Name pupils by our ids or your own references: all of them, or none, with a fault for each that cannot be."""
    for at, one in enumerate(body.pupils):
        if (one.pupil_id is None) == (one.external_ref is None):
            raise invalid(f"/pupils/{at}", "one_of", "Give pupil_id or external_ref, one of the two.")
    names = [naming.Name(**one.model_dump()) for one in body.pupils]
    _booking, rows = await naming.name_participants(tx, booking_id, names)
    return json_answer({"data": [_participation(row) for row in rows]})


@router.get(
    "/bookings/{booking_id}/participants",
    response_model=ParticipationsOut,
    summary="Who is named",
    operation_id="list_participants",
)
@needs("participants:read", discloses=True)
async def list_participants(booking_id: UUID, tx: Write, request: Request) -> Response:
    """To the school its own pupils' ids; to the employer of a confirmed booking the name to call, written down as a
    disclosure for each pupil.
    """
    rows = await naming.participants(tx, booking_id, request.url.path)
    return json_answer({"data": [_participation(row) for row in rows]})


@router.post(
    "/bookings/{booking_id}/participants/{participation_id}/withdraw",
    response_model=BookingOut,
    summary="Withdraw a pupil",
    operation_id="withdraw_participant",
)
@needs("bookings:write")
async def withdraw_participant(
    booking_id: UUID,
    participation_id: UUID,
    tx: Write,
    body: WithdrawIn | None = None,
) -> Response:
    """The school withdraws one pupil before the visit, with what the parents answer now if it is they who say so.

    The place can be named for another pupil, and is free again when the time for names is over. The employer is told
    only that a place is without a name.
    """
    said = ParentalAgreement(body.parental_agreement) if body and body.parental_agreement else None
    row = await naming.withdraw_participant(tx, booking_id, participation_id, said)
    return _answer(row, tx)


def _participation(row: Row) -> dict[str, Any]:
    view = {
        name: row[name] for name in ("id", "pupil_id", "state", "nc_year", "criteria_confirmed", "sittings")
    }
    return view | {name: row.get(name) for name in ("known_as", "family_initial", "access_needs")}
