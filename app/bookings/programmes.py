"""Bookings as parts of programmes: whether one may be, and making it part of another. The school's side alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from app.bookings import sql
from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Forbidden, NotFound, Stale, invalid
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.outbox import service as outbox
from app.outbox.service import Event
from app.programmes import parts
from app.rules.words import Actor, BookingState

ASSIGN: Final = "assign"
"""The action of a line in a booking's history that moves it between programmes, and not from state to state."""
_OFF: Final = frozenset({BookingState.DECLINED, BookingState.EXPIRED, BookingState.CANCELLED})
_TOLD: Final = (
    "slot_id", "school_id", "employer_id", "state", "places", "starts_at", "ends_at", "programme_id", "strand_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assignment:
    """The programme and strand a booking is to be part of; neither, to be part of none."""

    programme_id: UUID | None
    strand_id: UUID | None
    expected: Expected = None


async def fit(
    tx: Writer, school_id: UUID, programme_id: UUID | None, strand_id: UUID | None, starts_at: datetime
) -> None:
    """Refuse a booking that may not be part of a programme; no statement without one, else one.

    Invalid `programme_missing` (a strand without its programme), `unknown_programme`, `unknown_strand`; Conflict
    `not_enrolled` (in the programme, or on that strand), `outside_programme` (not running, or not on that day).
    """
    if programme_id is None:
        if strand_id is not None:
            raise invalid("/programme_id", "programme_missing", "A strand is named with its programme.")
        return
    held = await sql.programme_for(tx, programme_id, strand_id, school_id)
    if held is None:
        raise invalid("/programme_id", "unknown_programme", "There is no such programme.")
    if not held["strand_known"]:
        raise invalid("/strand_id", "unknown_strand", "This programme has no such strand.")
    if not held["enrolled"]:
        _refuse(
            "/strand_id" if strand_id else "/programme_id", "not_enrolled", "The school takes no part in it."
        )
    if held["state"] != "running" or not held["starts_on"] <= school_day(starts_at) <= held["ends_on"]:
        detail = f"The programme is {held['state']}, from {held['starts_on']} to {held['ends_on']}."
        _refuse("/programme_id", "outside_programme", detail)


def _refuse(pointer: str, code: str, detail: str) -> None:
    raise Conflict(code, detail, [Fault(pointer, code, detail)])


async def assign(tx: Writer, booking_id: UUID, to: Assignment) -> Row:
    """Make a booking part of a programme, of another, or of none; written down in its history. What it has cost follows
    it to another strand; a programme that it leaves keeps what it has paid.

    NotFound, Forbidden `not_yours` for the employer, Stale, Conflict `not_from_this_state`, and as `fit`. Nothing
    happens, and nobody is told, where it is so already. Emits booking.assigned to the school's side.
    """
    held = await sql.lock(tx, booking_id)
    if held is None:
        if await sql.by_id(tx, booking_id) is None:
            raise NotFound("booking")
        raise Forbidden("grant_read_only", "The grant you hold is for reading only.")
    if tx.caller.side != "school":
        raise Forbidden("not_yours", "Only a school's side says what a booking is part of.")
    if not is_expected(held["version"], to.expected):
        raise Stale
    if held["state"] in _OFF:
        raise Conflict("not_from_this_state", f"A booking that is {held['state']} stays as it is.")
    if (held["programme_id"], held["strand_id"]) == (to.programme_id, to.strand_id):
        return held
    within = to.programme_id if to.programme_id == held["programme_id"] else None
    if within is not None:
        await parts.hold(tx, within)
    await fit(tx, held["school_id"], to.programme_id, to.strand_id, held["starts_at"])
    row = await sql.change(tx, booking_id, {"programme_id": to.programme_id, "strand_id": to.strand_id})
    await _write_down(tx, row)
    if within is not None:
        await parts.follow(tx, within, booking_id, to.strand_id)
    data = {"booking_id": booking_id, "reason_code": None} | {name: row[name] for name in _TOLD}
    await outbox.emit(tx, [Event("booking.assigned", "school", row["school_id"], booking_id, data)])
    return row


async def _write_down(tx: Writer, row: Row) -> None:
    so_far = await sql.so_far(tx, row["id"])
    line = {name: row[name] for name in ("school_id", "employer_id", "places", "programme_id", "strand_id")}
    await sql.add_move(
        tx,
        {
            **line,
            "id": new_id(),
            "booking_id": row["id"],
            "no": so_far["moves"] + 1,
            "action": ASSIGN,
            "actor": Actor.SCHOOL.value,
            "client_id": tx.caller.client_id,
            "from_state": row["state"],
            "to_state": row["state"],
            "from_slot_id": row["slot_id"],
            "to_slot_id": row["slot_id"],
            "at": tx.caller.now,
        },
    )
