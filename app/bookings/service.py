"""Bookings: request, counter, confirm, decline, cancel, reschedule, expire, hold. The law is `rules.booking`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.bookings import news, proposals, sql
from app.bookings.facts import booking_facts, employer_blocked, reply_by, standing_facts, time_to_name
from app.bookings.programmes import fit
from app.bookings.refusals import not_yours_to_move
from app.bookings.steps import Step
from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Forbidden, NotFound, Stale, invalid
from app.core.ids import new_id
from app.core.versions import is_expected
from app.outbox import service as outbox
from app.outbox.service import Event
from app.rules import booking as law
from app.rules.answers import Reason, Refusal
from app.rules.eligibility import reasons_against
from app.rules.words import Actor, BookingAction, BookingState


@dataclass(frozen=True, slots=True)
class Request:
    """What a school asks: places in a slot, for year groups, by its own reference."""

    school_id: UUID
    slot_id: UUID
    places: int
    nc_year: str | None = None
    external_ref: str | None = None
    programme_id: UUID | None = None
    strand_id: UUID | None = None
    note: str | None = None
    join_waiting_list: bool = False


async def request(tx: Writer, asked: Request) -> Row:
    """Ask for places; they are held until `expires_at`. Statements: facts, places, booking, move, events.

    Refuses with NotFound `slot` (not to be seen, or not the caller's school), Conflict `not_eligible` with the
    reasons, Conflict `no_places` (with `join_waiting_list` the booking waits instead), Conflict `booking_closed`,
    Conflict `over_capacity` for more places than the slot has at all.
    With a programme, one statement more, and as `app.bookings.programmes.fit` says.
    """
    now = tx.caller.now
    if tx.caller.side != "school":
        raise Forbidden("not_yours", "Only a school's side asks for places.")
    slot = await _slot(tx, asked.slot_id, asked.school_id)
    if not slot["acts_for"]:  # before anything that could tell of it
        raise NotFound("school")
    years = (asked.nc_year,) if asked.nc_year else ()
    reasons = reasons_against(booking_facts(slot, places=asked.places, year_groups=years, holds_places=False))
    full = [one for one in reasons if one.code == "no_places"]
    _refuse([one for one in reasons if one not in full])
    _still_open(slot, now)
    await fit(tx, asked.school_id, asked.programme_id, asked.strand_id, slot["starts_at"])
    action, state = await _taken_or_awaited(tx, asked, slot, full=bool(full))
    values = _new_row(tx, asked, slot, state)
    try:
        row = await sql.add(tx, values)
    except ConstraintBroken as broken:
        raise _translated(broken) from broken
    await _write_down(tx, row, action, Actor.SCHOOL, Step(action, note=asked.note), before=None, moves=0)
    await outbox.emit(tx, news.of_move(row, action, Actor.SCHOOL, None, before=None, safety=False))
    return row


async def _taken_or_awaited(
    tx: Writer, asked: Request, slot: Row, *, full: bool
) -> tuple[BookingAction, BookingState]:
    """Take the places; if there are none, or they are for those who wait already, wait if that is wanted."""
    facts = _facts(slot, places=asked.places)
    if not (full and asked.join_waiting_list):
        state = _moved(None, BookingAction.REQUEST, Actor.SCHOOL, tx.caller.now, facts)
        if await sql.take_places(tx, slot["id"], asked.school_id, asked.places):
            return BookingAction.REQUEST, state
        if not asked.join_waiting_list:
            raise _no_places()
    action = BookingAction.JOIN_WAITING_LIST
    return action, _moved(None, action, Actor.SCHOOL, tx.caller.now, facts)


def _no_places() -> Conflict:
    return Conflict(
        "no_places",
        "There are not enough places left, or those that are free go to schools that wait already.",
    )


def _new_row(tx: Writer, asked: Request, slot: Row, state: BookingState) -> dict[str, Any]:
    now = tx.caller.now
    return {
        "id": new_id(),
        "school_id": asked.school_id,
        "employer_id": slot["employer_id"],
        "site_id": slot["site_id"],
        "offer_id": slot["offer_id"],
        "slot_id": slot["id"],
        "programme_id": asked.programme_id,
        "strand_id": asked.strand_id,
        "school_ref": asked.external_ref,
        "state": state.value,
        "kind": slot["kind"],
        "nc_year": asked.nc_year,
        "places": asked.places,
        "starts_at": slot["starts_at"],
        "ends_at": slot["ends_at"],
        # Nobody owes an answer to whoever waits: that lasts until the slot begins, or places come free.
        "expires_at": slot["starts_at"] if state == BookingState.WAITING else reply_by(slot, now),
        "name_by": time_to_name(slot, now),
        "requested_at": now,
        "requested_by": tx.caller.client_id,
    }


async def take_step(tx: Writer, booking_id: UUID, step: Step, actor: Actor | None = None) -> Row:
    """Move a booking. Statements: lock, so far, facts, (places), booking, move, events.

    An employer that confirms, or accepts a proposal, acts on both sides from there on: the approvals that the school
    accepts are asked again, and its pupils' names go to the other slot.

    Refuses with NotFound `booking`, Forbidden `not_yours`, Conflict with the code of `rules.booking.move`
    (`extra["possible"]` names what this side may do now), Stale when `expected` is not its version. What is agreed,
    and another slot that is entered, are on the terms of a request: Conflict `not_eligible`, `booking_closed`.
    """
    held = await sql.lock(tx, booking_id)
    if held is None:
        raise await not_yours_to_move(tx, booking_id)
    who = actor or Actor(tx.caller.side)
    agrees = step.action in _AGREES and who == Actor.EMPLOYER
    before = {**held, **await sql.so_far(tx, booking_id, acts=agrees)}
    if not is_expected(before["version"], step.expected):
        raise Stale
    target = await _target(tx, before, step)
    facts = _facts(target, places=before["places"], step=step, booking=before)
    after = _moved(BookingState(before["state"]), step.action, who, tx.caller.now, facts, before)
    _may_enter(tx, before, step, target)
    try:
        row = await _carry_out(tx, before, after, step, who, target)
    except ConstraintBroken as broken:
        raise _translated(broken) from broken
    await _write_down(tx, row, step.action, step.for_whom or who, step, before=before, moves=before["moves"])
    safety = law.needs_safety_lane(step.action, tx.caller.now, before["starts_at"])
    told = news.of_move(row, step.action, step.for_whom or who, step.reason, before=before, safety=safety)
    await outbox.emit(tx, [*_proposal_dropped(before, row), *told, *_names_lost(before, row, step)])
    return row


def _proposal_dropped(before: Row, row: Row) -> list[Event]:
    """A booking that is no longer confirmed has no proposal beside it: that is told before the move itself."""
    if before["proposal_slot_id"] is None or row["state"] == BookingState.CONFIRMED:
        return []
    return news.proposal_dropped(before)


def _names_lost(before: Row, row: Row, step: Step) -> list[Event]:
    """Of a booking that was swapped, how many names it still has, where some could not come along."""
    swapped = step.action == BookingAction.ACCEPT_PROPOSAL
    return news.participants_named(row) if swapped and row["named"] < before["named"] else []


_AGREES = frozenset({BookingAction.CONFIRM, BookingAction.ACCEPT_PROPOSAL})
_WITHOUT_SLOT = frozenset(
    {
        *proposals.ENDS,
        BookingAction.DECLINE,
        BookingAction.CANCEL,
        BookingAction.EXPIRE,
        BookingAction.HOLD,
        BookingAction.COMPLETE,
    }
)
"""Moves that ask nothing of the slot beyond what the booking knows: its offer may be hidden from the school by now."""


async def _target(tx: Writer, before: Row, step: Step) -> Row:
    """The slot in which the booking will be: its own, the one it is moved to, or the one proposed to it."""
    if step.action in _WITHOUT_SLOT:
        return {**before, "id": before["slot_id"]}
    wanted = step.slot_id
    if step.action == BookingAction.ACCEPT_COUNTER:
        wanted = before["counter_slot_id"]
    elif step.action == BookingAction.ACCEPT_PROPOSAL:
        wanted = before["proposal_slot_id"]
    slot = await _slot(tx, wanted or before["slot_id"], before["school_id"])
    if slot["employer_id"] != before["employer_id"]:
        raise invalid("/slot_id", "other_employer", "A booking moves between slots of one employer only.")
    return slot


_JUDGED_AGAIN = frozenset(
    {
        BookingAction.PROMOTE,
        BookingAction.CONFIRM,
        BookingAction.RESCHEDULE,
        BookingAction.COUNTER,
        BookingAction.ACCEPT_COUNTER,
        BookingAction.ACCEPT_PROPOSAL,
    }
)
"""Moves by which something is agreed, or another slot entered: an approval may have been withdrawn since the request."""
_SCHOOLS_OWN = frozenset({"approval_not_accepted"})
"""Reasons that stand on what a school decides for itself: an employer that proposes a slot is not told of them, as the
school judges the proposal; who confirms is told, as that would be the last word.
"""


def _may_enter(tx: Writer, before: Row, step: Step, target: Row) -> None:
    """Of a slot in which a booking is agreed, or which it enters, the same is asked as of one that is requested."""
    if step.action not in _JUDGED_AGAIN:
        return
    years = (before["nc_year"],) if before["nc_year"] else ()
    facts = booking_facts(target, places=before["places"], year_groups=years, holds_places=True)
    mine = tx.caller.side == "school"
    told = mine or step.action in _AGREES
    _refuse([one for one in reasons_against(facts) if told or one.code not in _SCHOOLS_OWN])
    if mine and step.action == BookingAction.RESCHEDULE:
        _still_open(target, tx.caller.now)


def _still_open(slot: Row, now: datetime) -> None:
    if slot["state"] != "open" or slot["offer_state"] != "open" or now > slot["book_by"]:
        raise Conflict(
            "booking_closed", "This slot takes no more bookings.", extra={"book_by": slot["book_by"]}
        )


async def _carry_out(
    tx: Writer, before: Row, after: BookingState, step: Step, who: Actor, target: Row
) -> Row:
    """Places, participants and the row itself."""
    if step.action == BookingAction.ACCEPT_PROPOSAL:
        return await proposals.accept(tx, before, target)
    if step.action in proposals.ENDS:
        return await proposals.end(tx, before)
    if step.action == BookingAction.RESCHEDULE and after == BookingState.CONFIRMED:
        return await proposals.propose(tx, before, step, who, target)
    return await _move(tx, before, after, step, who, target)


async def _move(tx: Writer, before: Row, after: BookingState, step: Step, who: Actor, target: Row) -> Row:
    """A move of the booking itself; a proposal beside it ends where it is no longer confirmed."""
    proposed = before["proposal_slot_id"] is not None and after != BookingState.CONFIRMED
    moves_slot = target["id"] != before["slot_id"] and step.action != BookingAction.COUNTER
    held = law.holds_places(BookingState(before["state"]))
    holds = law.holds_places(after)
    if (moves_slot and holds) or (holds and not held):
        await _take(tx, target["id"], before, in_turn=step.action == BookingAction.PROMOTE)
    if held and (moves_slot or not holds):
        await proposals.give_all_places(tx, before)
    elif proposed:
        await sql.give_proposed_places(tx, before["id"])
    values = _changes(before, after, step, who, target, tx.caller.now) | (
        dict(proposals.NONE) if proposed else {}
    )
    if moves_slot or (law.is_terminal(after) and after != BookingState.COMPLETED):
        if before["named"]:
            await sql.withdraw(tx, before["id"])
        values["named"] = 0 if after != BookingState.COMPLETED else before["named"]
    return await sql.change(tx, before["id"], values)


async def _take(tx: Writer, slot_id: UUID, before: Row, *, in_turn: bool) -> None:
    if in_turn:
        taken = await sql.take_places_in_turn(tx, before["id"])
    else:
        taken = await sql.take_places(tx, slot_id, before["school_id"], before["places"])
    if not taken:
        raise _no_places()


def _changes(
    before: Row, after: BookingState, step: Step, who: Actor, target: Row, now: datetime
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": after.value,
        "reason_code": step.reason.value if step.reason else None,
        "reason_actor": (step.for_whom or who).value if step.reason else None,
        "counter_slot_id": None,
        "set_aside_at": None,
    }
    if step.external_ref and who == Actor.EMPLOYER:
        values["employer_ref"] = step.external_ref
    if step.action == BookingAction.COUNTER:
        values["counter_slot_id"] = target["id"] if target["id"] != before["slot_id"] else None
    elif (
        "sittings" in target
    ):  # the slot itself was read: its times may have moved since the booking was made
        values |= {name: target[name] for name in ("offer_id", "site_id", "starts_at", "ends_at", "kind")}
        values |= {"slot_id": target["id"], "name_by": time_to_name(target, now)}
    if after in {BookingState.REQUESTED, BookingState.COUNTERED}:
        values["expires_at"] = reply_by(target, now)
    elif after == BookingState.CONFIRMED:
        values |= {"expires_at": None, "confirmed_at": before["confirmed_at"] or now}
    elif law.is_terminal(after):
        values |= {"expires_at": None, "ended_at": now}
    return values


async def _write_down(
    tx: Writer, row: Row, action: BookingAction, who: Actor, step: Step, *, before: Row | None, moves: int
) -> None:
    await sql.add_move(
        tx,
        {
            "id": new_id(),
            "booking_id": row["id"],
            "school_id": row["school_id"],
            "employer_id": row["employer_id"],
            "no": moves + 1,
            "action": action.value,
            "actor": who.value,
            "client_id": step.client_id or tx.caller.client_id,
            "from_state": before["state"] if before else None,
            "to_state": row["state"],
            "from_slot_id": before["slot_id"] if before else None,
            "to_slot_id": row["slot_id"],
            "places": row["places"],
            "reason_code": step.reason.value if step.reason else None,
            "note": step.note,
            "at": tx.caller.now,
            "proposed_slot_id": _proposed_slot(before, row),
            "programme_id": row["programme_id"],
            "strand_id": row["strand_id"],
        },
    )


def _proposed_slot(before: Row | None, row: Row) -> UUID | None:
    """The slot of the proposal that a move made or ended."""
    was = before["proposal_slot_id"] if before else None
    now: UUID | None = row["proposal_slot_id"]
    return None if was == now else now or was


async def _slot(tx: Writer, slot_id: UUID, school_id: UUID) -> Row:
    slot = await sql.slot_facts(tx, slot_id, school_id)
    if slot is None:
        raise NotFound("slot")
    return slot


def _facts(slot: Row, *, places: int, step: Step | None = None, booking: Row | None = None) -> law.Facts:
    changes = booking is not None and slot["id"] != booking["slot_id"]
    known = "sittings" in slot
    return law.Facts(
        first_start=slot["starts_at"],
        last_end=slot["ends_at"],
        places=places,
        capacity=slot["capacity"] if booking is None else None,
        places_free=slot["capacity"] - slot["taken"] if booking is None or changes else places,
        expires_at=booking["expires_at"] if booking else None,
        reason=step.reason if step else None,
        employer_blocked=known and employer_blocked(slot),
        attendance_recorded=bool(booking and booking.get("attendance_recorded")),
        sittings_settled=bool(step and step.action == BookingAction.COMPLETE),
        changes_slot=changes,
        agreed_start=booking["starts_at"] if booking else None,
        proposed_by=Actor(booking["proposal_by"]) if booking and booking["proposal_by"] else None,
        proposal_expires_at=booking["proposal_expires_at"] if booking else None,
    )


def _moved(
    state: BookingState | None,
    action: BookingAction,
    who: Actor,
    now: datetime,
    facts: law.Facts,
    booking: Row | None = None,
) -> BookingState:
    """The new state, or the refusal of the rules as a Problem that says what is possible instead."""
    after = law.move(state, action, who, now=now, facts=facts)
    if not isinstance(after, Refusal):
        return after
    open_moves = law.possible(state, who, now=now, facts=standing_facts(booking)) if state and booking else ()
    extra = {
        "possible": [one.value for one in open_moves],
        "state": state.value if state else None,
    }
    if after.code == "not_yours":
        raise Forbidden(after.code, after.detail, extra=extra)
    if after.code in {"reason_required", "reason_not_allowed"}:
        problem = invalid("/reason_code", after.code, after.detail)
        raise problem
    raise Conflict(after.code, after.detail, extra=extra)


def _refuse(reasons: list[Reason]) -> None:
    if reasons:
        raise Conflict(
            "not_eligible",
            "This booking may not be.",
            extra={
                "reasons": [
                    {"code": one.code, "detail": one.detail, "possible_kinds": list(one.possible_kinds)}
                    for one in reasons
                ]
            },
        )


def _translated(broken: ConstraintBroken) -> Conflict:
    if broken.constraint == "uq_bookings_school_ref":
        return Conflict("external_ref_taken", "This school has a booking with this external_ref already.")
    if broken.constraint == "uq_bookings_employer_ref":
        return Conflict("external_ref_taken", "You have another booking with this external_ref already.")
    return broken
