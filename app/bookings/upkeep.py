"""What the house does by itself with bookings: the worker's chores. Each booking in a transaction of its own."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from app.bookings import news, service, sql
from app.bookings.facts import cover_rules
from app.core.db import Database, Row, Writer, system
from app.core.errors import Problem
from app.outbox import service as outbox
from app.rules.statutes import CoverRule
from app.rules.words import Actor, BookingAction, BookingReason, BookingState

MOST = 200


async def expire_due(db: Database) -> int:
    """Expire what nobody answered in time, and what is still unanswered when its slot begins. Gives how many."""
    async with db.read(system()) as tx:
        now = tx.caller.now
        due = [row["id"] for row in await sql.due_to_expire(tx, now, MOST)]
    return await each(db, due, _expire)


async def _expire(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    if row is None:
        return
    await service.take_step(
        tx, booking_id, service.Step(BookingAction.EXPIRE, _silent(row, tx.caller.now)), Actor.SYSTEM
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
    async with db.read(system()) as tx:
        rules = [_rule(one) for one in cover_rules(await sql.statutes(tx))]
        suspended, uncovered, free = [
            list(await sql.waiting_for(tx, what, tx.caller.now, MOST, rules))
            for what in ("hold", "hold_uncovered", "release")
        ]
    held = await each(db, suspended, _hold_suspended) + await each(db, uncovered, _hold_uncovered)
    return held + await each(db, free, _release)


def _rule(one: CoverRule) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "liability": one.liability.value,
        "minimum_pence": one.minimum_pounds * 100,
        "valid_from": one.valid_from.isoformat(),
        "valid_until": one.valid_until.isoformat() if one.valid_until else None,
    }


async def _hold_suspended(tx: Writer, booking_id: UUID) -> None:
    step = service.Step(BookingAction.HOLD, BookingReason.EMPLOYER_SUSPENDED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def _hold_uncovered(tx: Writer, booking_id: UUID) -> None:
    step = service.Step(BookingAction.HOLD, BookingReason.COVER_LAPSED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def _release(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    renewed = row is not None and row["reason_code"] == BookingReason.COVER_LAPSED
    step = service.Step(
        BookingAction.RELEASE, BookingReason.COVER_RENEWED if renewed else BookingReason.HOLD_LIFTED
    )
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def cancel_with_slot(db: Database) -> int:
    """Cancel the bookings of slots that their employer cancelled."""
    return await each(db, await _found(db, "slot_cancelled"), _cancel_with_slot)


async def _cancel_with_slot(tx: Writer, booking_id: UUID) -> None:
    step = service.Step(BookingAction.CANCEL, BookingReason.SLOT_CANCELLED)
    await service.take_step(tx, booking_id, step, Actor.SYSTEM)


async def cancel_with_offer(db: Database) -> int:
    """Cancel what nobody has agreed of offers that were withdrawn, and at sites that were closed."""
    return await each(db, await _found(db, "offer_ended"), _cancel_with_offer)


async def _cancel_with_offer(tx: Writer, booking_id: UUID) -> None:
    booking = await sql.lock(tx, booking_id)
    reason = await sql.why_ended(tx, booking_id) if booking and booking["state"] in _NOT_AGREED else None
    if reason is not None:
        step = service.Step(BookingAction.CANCEL, BookingReason(reason))
        await service.take_step(tx, booking_id, step, Actor.SYSTEM)


_NOT_AGREED = (BookingState.WAITING, BookingState.REQUESTED, BookingState.COUNTERED)


async def promote_waiting(db: Database) -> int:
    """Turn the longest waiting booking that fits into a request, slot by slot."""
    return await each(db, await _found(db, "promote"), _promote)


async def _promote(tx: Writer, booking_id: UUID) -> None:
    await service.take_step(tx, booking_id, service.Step(BookingAction.PROMOTE), Actor.SYSTEM)


async def hand_back_unnamed(db: Database) -> int:
    """After the deadline for names, places without one are given back; a booking without any name is cancelled."""
    return await each(db, await _found(db, "hand_back"), _hand_back)


async def _hand_back(tx: Writer, booking_id: UUID) -> None:
    row = await sql.lock(tx, booking_id)
    if row is None or row["state"] != "confirmed" or tx.caller.now < row["name_by"]:
        return
    if not row["named"]:
        step = service.Step(BookingAction.CANCEL, BookingReason.PARTICIPANTS_NOT_NAMED)
        await service.take_step(tx, booking_id, step, Actor.SYSTEM)
        return
    await _shrink(tx, row)


async def _shrink(tx: Writer, row: Row) -> None:
    await sql.give_places(tx, row["id"], row["places"] - row["named"])
    changed = await sql.change(tx, row["id"], {"places": row["named"]})
    await outbox.emit(tx, news.participants_named(changed))


async def _found(db: Database, what: str) -> list[UUID]:
    async with db.read(system()) as tx:
        return list(await sql.waiting_for(tx, what, tx.caller.now, MOST))


async def each(db: Database, ids: list[UUID], act: Callable[[Writer, UUID], Awaitable[None]]) -> int:
    """Do `act` for each booking in a transaction of its own. Gives for how many it was done."""
    done = 0
    for booking_id in ids:
        try:
            async with db.write(system()) as tx:
                await act(tx, booking_id)
            done += 1
        except Problem:  # somebody else moved it meanwhile: nothing to do
            continue
    return done
