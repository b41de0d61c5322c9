"""Slots of the past (and some ahead that are taken already): the bulk door for history. Nothing is announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.db import Row, Writer
from app.core.ids import new_id
from app.offers import sql
from app.rules import offering
from app.rules.offering import Timing


@dataclass(frozen=True, slots=True)
class PastSlot:
    """A slot of an offer (a row of offers) as it was posted at `posted`, with the places taken today."""

    offer: Row
    external_ref: str
    posted: datetime
    timings: Sequence[Timing]
    capacity: int
    taken: int
    reply_within_hours: int


async def add_slots(tx: Writer, slots: Sequence[PastSlot]) -> list[Row]:
    """Add slots with their sittings; gives them in the same order, each with its `sittings`.

    They are judged as of the moment at which each was posted: raises ValueError with what stands against one.
    """
    made = [_row(one) for one in slots]
    sittings = [
        sitting for slot, given in zip(made, slots, strict=True) for sitting in _sittings(slot, given)
    ]
    await sql.add_past(tx, made, sittings)
    return [
        {**slot, "sittings": list(mine)} for slot, mine in zip(made, _by_slot(sittings, made), strict=True)
    ]


def _row(given: PastSlot) -> dict[str, Any]:
    mode = given.offer["mode"]
    if problems := offering.problems_with_sittings(given.timings, mode, given.posted):
        msg = f"{given.external_ref}: {problems}"
        raise ValueError(msg)
    timings = offering.sittings_of(given.timings, mode)
    book_by, name_by = offering.deadlines(timings[0].starts_at, given.posted, None, None)
    return {
        "id": new_id(),
        "offer_id": given.offer["id"],
        "employer_id": given.offer["employer_id"],
        "site_id": given.offer["site_id"],
        "external_ref": given.external_ref,
        "starts_at": timings[0].starts_at,
        "ends_at": max(one.ends_at for one in timings),
        "capacity": given.capacity,
        "taken": given.taken,
        "minutes": offering.minutes_of(timings),
        "book_by": book_by,
        "name_by": name_by,
        "reply_within_hours": given.reply_within_hours,
        "restricted": given.offer["restricted"],
    }


def _sittings(slot: Row, given: PastSlot) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(),
            "slot_id": slot["id"],
            "employer_id": slot["employer_id"],
            "no": no,
            "starts_at": one.starts_at,
            "ends_at": one.ends_at,
            "break_minutes": one.break_minutes,
            "virtual": offering.is_virtual(one, given.offer["mode"]),
        }
        for no, one in enumerate(sorted(given.timings, key=lambda timing: timing.starts_at), 1)
    ]


def _by_slot(sittings: Sequence[Row], slots: Sequence[Row]) -> list[list[Row]]:
    found: dict[Any, list[Row]] = {slot["id"]: [] for slot in slots}
    for sitting in sittings:
        found[sitting["slot_id"]].append(sitting)
    return list(found.values())
