"""When every participant of every sitting has an outcome: encounters, minutes, and the booking is completed.

An encounter sums its sittings, so minutes are credited when the whole visit is settled, in the transaction of the
report that settles it. A later correction is a reversal and a new credit.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from app.bookings.service import take_step
from app.bookings.steps import Step
from app.core.db import Row, Writer
from app.core.ids import new_id
from app.encounters import news, sql
from app.encounters.records import credits_of, from_visit, judged, per_day_of, summed
from app.encounters.standings import held
from app.ledger import service as ledger
from app.outbox import service as outbox
from app.outbox.service import Event
from app.rules.attendance import booking_settled, sitting_complete
from app.rules.hours import ATTENDED
from app.rules.words import Actor, BookingAction, BookingState

_CORRECTED = "Attendance was corrected."


async def settle(tx: Writer, booking: Row, rows: Sequence[Row], told: Sequence[Event] = ()) -> bool:
    """Settle a booking if it can be, and emit `told` with what follows. True if it is completed (by now).

    `booking` is locked, `rows` is its whole day as it is held true now. Refuses nothing: what is not settled waits.
    """
    completed = bool(booking["state"] == BookingState.COMPLETED)
    if not _settled(tx, rows):
        await outbox.emit(tx, told)
        return completed
    visit = await sql.visit(tx, booking["id"])
    events = await _record(tx, booking, visit, _by_participation(rows), again=completed)
    await outbox.emit(tx, [*told, *events])
    if not completed:
        await take_step(tx, booking["id"], Step(BookingAction.COMPLETE), Actor.SYSTEM)
    return True


def _settled(tx: Writer, rows: Sequence[Row]) -> bool:
    """Whether nothing is open: no silence, no conflict, no pupil missing of whom the school has not said where."""
    if any(row["no_show_id"] and row["resolution"] is None for row in rows):
        return False
    complete, closed = [], []
    for _, group in groupby(rows, key=lambda row: row["sitting_id"]):
        each = list(group)
        complete.append(sitting_complete(map(held, each), ends_at=each[0]["ends_at"], now=tx.caller.now))
        closed.append(each[0]["closed"])
    return booking_settled(complete, closed)


def _by_participation(rows: Sequence[Row]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row["participation_id"], []).append(row)
    return found


async def _record(
    tx: Writer, booking: Row, visit: Row, mine: Mapping[UUID, list[Row]], *, again: bool
) -> list[Event]:
    """Encounters of those who came, corrections of those recorded before, and whether each attended."""
    known = {row["participation_id"]: row for row in await sql.of_booking(tx, booking["id"])} if again else {}
    came = {one for one, rows in mine.items() if any(row["status"] in ATTENDED for row in rows)}
    outcomes = [{"id": one, "state": "attended" if one in came else "absent"} for one in mine]
    await sql.set_outcomes(tx, outcomes)
    fresh = [from_visit(visit, rows) for one, rows in mine.items() if one in came and one not in known]
    changed = [
        (was, _recounted(was, mine[one])) for one, was in known.items() if _differs(was, mine.get(one, []))
    ]
    return [*await add(tx, fresh), *await correct(tx, changed, _CORRECTED)]


def _differs(was: Row, rows: Sequence[Row]) -> bool:
    per_day = per_day_of(rows)
    return bool(rows) and per_day != (was["per_day"] if was["state"] == "credited" else [])


def _recounted(was: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """An encounter with the minutes of today's attendance; one that did not take place is `reversed`."""
    per_day = per_day_of(rows)
    row = {**was, "state": "credited" if per_day else "reversed"}
    if per_day:
        row |= summed(per_day)
    return row | judged(row)


async def add(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Insert encounters and credit their minutes; gives the events. Six statements, however many."""
    if not rows:
        return []
    added = await sql.add(tx, rows)
    balances = await ledger.credit(tx, [one for row in added for one in credits_of(row)])
    return [
        event
        for row in added
        for event in (news.recorded(row), news.credited(row, balances[row["enrolment_id"]]))
    ]


async def correct(
    tx: Writer, changes: Sequence[tuple[Row, Mapping[str, Any]]], reason: str | None
) -> list[Event]:
    """Change locked encounters: what each said is kept, its minutes are reversed and credited anew.

    `changes` are pairs of the row as it was and as it is to be. Eight statements, however many.
    """
    if not changes:
        return []
    kept = [_version(was) for was, _ in changes]
    rows = {row["id"]: row for row in await sql.change(tx, [will for _, will in changes], kept, reason)}
    entries = [one for row in rows.values() for one in credits_of(row)]
    balances = await ledger.move(tx, entries=entries, reversed_ids=list(rows))
    events: list[Event] = []
    for was, _ in changes:
        row = rows[was["id"]]
        events += _told(was, row, balances[row["enrolment_id"]])
    return events


def _version(was: Row) -> dict[str, Any]:
    return {"id": new_id(), "academic_year": was["academic_year"], "encounter_id": was["id"]}


def _told(was: Row, row: Row, balance: Row) -> list[Event]:
    """Hours are news only where they moved; a confirmation of criteria moves none."""
    names = ("per_day", "kind", "mode", "state")
    moved = any(was[name] != row[name] for name in names)
    events = [news.corrected(row)]
    if moved and was["state"] == "credited":
        events.append(news.reversed_(was, balance))
    if moved and row["state"] == "credited":
        events.append(news.credited(row, balance))
    return events
