"""What the house does by itself about visits: the worker's chores. Each booking in a transaction of its own."""

from typing import Final

from app.bookings import sql as bookings
from app.core.db import Database, Row, system
from app.core.errors import Problem
from app.encounters import news, sql
from app.encounters.settlement import settle
from app.outbox import service as outbox
from app.rules.attendance import OVERDUE_AFTER
from app.rules.words import AttendanceStatus, BookingState

MOST: Final = 200


async def raise_overdue(db: Database) -> int:
    """Raise `attendance.overdue`, once, over each sitting that began 20 minutes ago and has a pupil of whom nobody
    spoke; take back alarms over bookings that no longer stand. Gives how many were raised.
    """
    async with db.read(system()) as tx:
        found = await sql.silent(tx, tx.caller.now - OVERDUE_AFTER, MOST)
        moot = await sql.moot_alarms(tx, MOST)
    for row in moot:
        async with db.write(system()) as writing:
            await sql.clear_alarm(writing, row["booking_id"], row["sittings"], writing.caller.now)
    return sum([await _raise(db, row) for row in found])


async def _raise(db: Database, found: Row) -> bool:
    try:
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
    except Problem:  # somebody else holds the booking: the next round looks again
        return False


async def settle_due(db: Database) -> int:
    """Settle visits that were reported whole before their end, now that it has come. Gives how many."""
    async with db.read(system()) as tx:
        due = await sql.to_settle(tx, tx.caller.now, MOST)
    done = 0
    for booking_id in due:
        try:
            async with db.write(system()) as writing:
                booking = await bookings.lock(writing, booking_id)
                if booking is not None and booking["state"] == BookingState.CONFIRMED:
                    done += await settle(writing, booking, await sql.day(writing, booking_id))
        except Problem:  # as above
            continue
    return done
