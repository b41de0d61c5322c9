"""A pupil who has left is not expected at what comes after the last day: the worker's task."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from app.bookings import news, sql
from app.bookings.service import take_step
from app.bookings.steps import Step
from app.bookings.upkeep import each
from app.core.db import Database, Row, Writer, system
from app.core.one_by_one import each_step
from app.outbox import service as outbox
from app.rules.words import Actor, BookingAction, BookingReason


async def withdraw_leavers(db: Database) -> int:
    """Withdraw pupils from bookings after their last day, give their places back and tell both sides. Gives how many
    bookings were changed.

    Each booking in a transaction of its own, however many of its pupils left. An enrolment that is corrected back in
    time is not touched.
    """

    async def forget() -> int:
        async with db.write(system()) as tx:
            await sql.forget_leavers(tx)
        return 0

    withdraw = partial(each, db, "leavers", partial(_found, db), _withdraw)
    return await each_step("withdraw_leavers", {"withdraw": withdraw, "forget": forget})


async def _found(db: Database, most: int) -> Sequence[UUID]:
    async with db.read(system()) as tx:
        return await sql.with_leavers(tx, most)


async def _withdraw(tx: Writer, booking_id: UUID) -> None:
    booking = await sql.lock(tx, booking_id)
    leavers = await sql.leavers(tx, booking_id) if booking else []
    if booking is None or not leavers:
        return
    if booking["starts_at"] <= tx.caller.now:
        await _end_early(tx, booking, leavers)
    elif booking["places"] == len(leavers):
        step = Step(BookingAction.CANCEL, BookingReason.PUPIL_WITHDRAWN)
        await take_step(tx, booking_id, step, Actor.SYSTEM)
    else:
        await _give_back(tx, booking, leavers)


async def _end_early(tx: Writer, booking: Row, leavers: Sequence[Row]) -> None:
    """A visit that has begun: what was attended stands, and the days that remain are closed for these pupils."""
    await sql.close_days(tx, [day for one in leavers for day in one["days"]])
    await outbox.emit(tx, news.pupils_left(await sql.change(tx, booking["id"], {})))


async def _give_back(tx: Writer, booking: Row, leavers: Sequence[Row]) -> None:
    gone = len(leavers)
    await sql.withdraw_many(tx, [one["id"] for one in leavers])
    await sql.give_places(tx, booking["id"], gone)
    values = {"places": booking["places"] - gone, "named": booking["named"] - gone}
    await outbox.emit(tx, news.pupils_left(await sql.change(tx, booking["id"], values)))
