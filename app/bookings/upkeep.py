"""What the house does by itself with bookings: the worker's chores. Each booking in a transaction of its own."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from app.bookings import news, service, sql
from app.bookings.facts import cover_rules
from app.bookings.steps import Step
from app.core.db import Database, Row, Writer, system
from app.core.errors import Conflict
from app.core.one_by_one import OneByOne, each_step
from app.outbox import service as outbox
from app.rules.statutes import CoverRule
from app.rules.words import Actor, BookingAction, BookingReason, BookingState

MOST = 200
Act = Callable[[Writer, UUID], Awaitable[None]]
_TURNS = {
    name: OneByOne(task)
    for name, task in (
        ("expire", "expire_due"),
        ("proposal_over", "end_proposals"),
        ("hold", "hold_and_release"),
        ("hold_uncovered", "hold_and_release"),
        ("release", "hold_and_release"),
        ("slot_cancelled", "cancel_with_slot"),
        ("offer_ended", "cancel_with_offer"),
        ("promote", "promote_waiting"),
        ("hand_back", "hand_back_unnamed"),
        ("leavers", "withdraw_leavers"),
    )
}
_NOT_NOW = frozenset({"not_eligible", "employer_unavailable"})
"""Why a waiting booking cannot be promoted although there are places: others need not wait for it."""


async def expire_due(db: Database) -> int:
    """Expire what nobody answered in time, and what is still unanswered when its slot begins. Gives how many."""

    async def due(most: int) -> Sequence[UUID]:
        async with db.read(system()) as tx:
            return [row["id"] for row in await sql.due_to_expire(tx, tx.caller.now, most)]

    return await each(db, "expire", due, _expire)


async def _expire(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    if row is None:
        return
    await service.take_step(
        tx, booking_id, Step(BookingAction.EXPIRE, _silent(row, tx.caller.now)), Actor.SYSTEM
    )


def _silent(row: Row, now: datetime) -> BookingReason:
    """Who did not answer; nobody owed an answer to a booking that waited, nor in time to one whose slot has begun."""
    late = row["expires_at"] is not None and row["expires_at"] <= now and row["expires_at"] < row["starts_at"]
    if row["state"] == BookingState.WAITING or not late:
        return BookingReason.SLOT_STARTED
    if row["state"] == BookingState.COUNTERED:
        return BookingReason.NO_ANSWER_FROM_SCHOOL
    return BookingReason.NO_ANSWER_FROM_EMPLOYER


async def hold_and_release(db: Database) -> int:
    """Put on hold the coming bookings of employers that are suspended or without cover, and release those of which
    neither is true any more.
    """
    steps = {"hold": _hold_suspended, "hold_uncovered": _hold_uncovered, "release": _release}
    return await each_step(
        "hold_and_release",
        {what: partial(each, db, what, partial(_covered, db, what), act) for what, act in steps.items()},
    )


async def _covered(db: Database, what: str, most: int) -> Sequence[UUID]:
    """What there is to hold or release, the rules of cover at hand."""
    async with db.read(system()) as tx:
        rules = [] if what == "hold" else [_rule(one) for one in cover_rules(await sql.statutes(tx))]
        return await sql.waiting_for(tx, what, tx.caller.now, most, rules)


def _rule(one: CoverRule) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "liability": one.liability.value,
        "minimum_pence": one.minimum_pounds * 100,
        "valid_from": one.valid_from.isoformat(),
        "valid_until": one.valid_until.isoformat() if one.valid_until else None,
    }


async def _hold_suspended(tx: Writer, booking_id: UUID) -> None:
    step = Step(BookingAction.HOLD, BookingReason.EMPLOYER_SUSPENDED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def _hold_uncovered(tx: Writer, booking_id: UUID) -> None:
    step = Step(BookingAction.HOLD, BookingReason.COVER_LAPSED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def _release(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    renewed = row is not None and row["reason_code"] == BookingReason.COVER_LAPSED
    step = Step(BookingAction.RELEASE, BookingReason.COVER_RENEWED if renewed else BookingReason.HOLD_LIFTED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def cancel_with_slot(db: Database) -> int:
    """Cancel the bookings of slots that their employer cancelled."""
    return await each(db, "slot_cancelled", partial(_found, db, "slot_cancelled"), _cancel_with_slot)


async def _cancel_with_slot(tx: Writer, booking_id: UUID) -> None:
    slot = await sql.cancelled_slot_of(tx, booking_id)
    reason = slot["cancel_reason"] if slot else None
    step = Step(
        BookingAction.CANCEL,
        BookingReason(reason) if reason else BookingReason.SLOT_CANCELLED,
        for_whom=Actor.EMPLOYER,
        client_id=slot["cancelled_by"] if slot else None,
    )
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def end_proposals(db: Database) -> int:
    """End the proposals that nobody answered in time, and those to a slot that was cancelled. Gives how many."""
    return await each(db, "proposal_over", partial(_found, db, "proposal_over"), _end_proposal)


async def _end_proposal(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    if row is None or row["proposal_slot_id"] is None:
        return
    step = Step(BookingAction.END_PROPOSAL, _unanswered(row, tx.caller.now))
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


def _unanswered(row: Row, now: datetime) -> BookingReason:
    """Why a proposal ends: its slot was cancelled (then its time is not over), a slot begins, or nobody answered."""
    if now < row["proposal_expires_at"]:
        return BookingReason.SLOT_CANCELLED
    if row["proposal_expires_at"] >= min(row["starts_at"], row["proposal_starts_at"]):
        return BookingReason.SLOT_STARTED
    if row["proposal_by"] == Actor.SCHOOL:
        return BookingReason.NO_ANSWER_FROM_EMPLOYER
    return BookingReason.NO_ANSWER_FROM_SCHOOL


async def cancel_with_offer(db: Database) -> int:
    """Cancel what nobody has agreed of offers that were withdrawn, and at sites that were closed."""
    return await each(db, "offer_ended", partial(_found, db, "offer_ended"), _cancel_with_offer)


async def _cancel_with_offer(tx: Writer, booking_id: UUID) -> None:
    booking = await sql.lock(tx, booking_id)
    reason = await sql.why_ended(tx, booking_id) if booking and booking["state"] in _NOT_AGREED else None
    if reason is not None:
        step = Step(BookingAction.CANCEL, BookingReason(reason))
        await service.take_step(tx, booking_id, step, Actor.SYSTEM)


_NOT_AGREED = (BookingState.WAITING, BookingState.REQUESTED, BookingState.COUNTERED)


async def promote_waiting(db: Database) -> int:
    """Turn waiting bookings that fit into requests, in the order of waiting; set aside those that cannot be promoted."""
    done = 0
    # Each look brings at most so many; those that are set aside are not in the way of the next look.
    while handled := await each(db, "promote", partial(_found, db, "promote"), _promote):
        done += handled
        if handled < MOST:
            break
    return done


async def _promote(tx: Writer, booking_id: UUID) -> None:
    try:
        await service.take_step(tx, booking_id, Step(BookingAction.PROMOTE), Actor.SYSTEM)
    except Conflict as refused:
        if refused.code not in _NOT_NOW:
            raise
        await sql.set_aside(tx, booking_id, tx.caller.now)


async def hand_back_unnamed(db: Database) -> int:
    """After the deadline for names, places without one are given back; a booking without any name is cancelled."""
    return await each(db, "hand_back", partial(_found, db, "hand_back"), _hand_back)


async def _hand_back(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    if row is None or row["state"] != "confirmed" or tx.caller.now < row["name_by"]:
        return
    if not row["named"]:
        step = Step(BookingAction.CANCEL, BookingReason.PARTICIPANTS_NOT_NAMED)
        await service.take_step(tx, booking_id, step, Actor.SYSTEM)
        return
    await _shrink(tx, row)


async def _shrink(tx: Writer, row: Row) -> None:
    await sql.give_places(tx, row["id"], row["places"] - row["named"])
    changed = await sql.change(tx, row["id"], {"places": row["named"]})
    await outbox.emit(tx, news.participants_named(changed))


async def _found(db: Database, what: str, most: int) -> Sequence[UUID]:
    async with db.read(system()) as tx:
        return await sql.waiting_for(tx, what, tx.caller.now, most)


async def each(db: Database, what: str, find: Callable[[int], Awaitable[Sequence[UUID]]], act: Act) -> int:
    """Do `act` for each booking found, in a transaction of its own. Gives for how many it was done."""

    async def one(booking_id: UUID) -> None:
        async with db.write(system()) as tx:
            await act(tx, booking_id)

    return await _TURNS[what].turn(db, find, one, most=MOST)
