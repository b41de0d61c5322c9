"""What the house does by itself about visits: the worker's chores. Each booking in a transaction of its own."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.bookings import sql as bookings
from app.core.db import Database, Row, system
from app.core.one_by_one import OneByOne, each_step
from app.encounters import news, sql
from app.encounters.settlement import settle
from app.outbox import service as outbox
from app.rules.attendance import OVERDUE_AFTER
from app.rules.words import AttendanceStatus, BookingState

MOST: Final = 200
_RAISED = OneByOne("raise_overdue")
_TAKEN_BACK = OneByOne("raise_overdue")
_SETTLED = OneByOne("settle_due")


async def raise_overdue(db: Database) -> int:
    """Raise `attendance.overdue`, once, over each sitting that began 20 minutes ago and has a pupil of whom nobody
    spoke; take back alarms over bookings that no longer stand. Gives how many were raised.
    """

    async def silent(most: int) -> Sequence[Row]:
        async with db.read(system()) as tx:
            return await sql.silent(tx, tx.caller.now - OVERDUE_AFTER, most)

    async def moot(most: int) -> Sequence[Row]:
        async with db.read(system()) as tx:
            return await sql.moot_alarms(tx, most)

    async def clear(row: Row) -> None:
        async with db.write(system()) as tx:
            await sql.clear_alarm(tx, row["booking_id"], row["sittings"], tx.caller.now)

    async def take_back() -> int:
        await _TAKEN_BACK.turn(db, moot, clear, most=MOST, key=lambda row: row["booking_id"])
        return 0

    async def speak_up() -> int:
        return await _RAISED.turn(db, silent, lambda row: _raise(db, row), most=MOST, key=_sitting)

    return await each_step("raise_overdue", {"take_back": take_back, "raise": speak_up})


def _sitting(row: Row) -> tuple[UUID, UUID]:
    return row["booking_id"], row["sitting_id"]


async def _raise(db: Database, found: Row) -> bool:
    async with db.write(system()) as tx:
        booking = await bookings.lock(tx, found["booking_id"])
        rows = await sql.day(tx, found["booking_id"])
        silent = [
            row
            for row in rows
            if row["sitting_id"] == found["sitting_id"] and row["status"] == AttendanceStatus.EXPECTED
        ]
        if booking is None or booking["state"] != BookingState.CONFIRMED or not silent:
            return False
        if not await sql.raise_alarm(tx, booking, found["sitting_id"], tx.caller.now):
            return False
        told = news.overdue(booking, found["sitting_id"], silent[0]["starts_at"], len(silent))
        await outbox.emit(tx, told)
        return True


async def settle_due(db: Database) -> int:
    """Settle visits that were reported whole before their end, now that it has come. Gives how many."""

    async def due(most: int) -> Sequence[UUID]:
        async with db.read(system()) as tx:
            return await sql.to_settle(tx, tx.caller.now, most)

    async def close(booking_id: UUID) -> int:
        async with db.write(system()) as tx:
            booking = await bookings.lock(tx, booking_id)
            if booking is None or booking["state"] != BookingState.CONFIRMED:
                return 0
            return int(await settle(tx, booking, await sql.day(tx, booking_id)))

    return await _SETTLED.turn(db, due, close, most=MOST)
