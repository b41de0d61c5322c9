"""What is told of a visit and of encounters. Thin: ids, states, times and minutes; never a name."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.db import Row
from app.outbox.service import Event, to_both
from app.rules import booking as law
from app.rules.words import Actor, BookingReason, NoShowResolution, Reporter


def _pupil(row: Row) -> dict[str, Any]:
    names = ("booking_id", "participation_id", "sitting_id", "starts_at")
    return {name: row[name] for name in names}


def arrived(row: Row, at: datetime, by: Reporter) -> Event:
    """A pupil is there."""
    data = {**_pupil(row), "arrived_at": at, "reported_by": by.value}
    return Event("participation.arrived", "school", row["school_id"], row["booking_id"], data)


def missing(row: Row, no_show_id: UUID, by: Reporter) -> Event:
    """A pupil is not there: the safety lane."""
    data = {**_pupil(row), "no_show_id": no_show_id, "reported_by": by.value}
    return Event("participation.no_show", "school", row["school_id"], row["booking_id"], data)


def resolved(row: Row, no_show_id: UUID, resolution: NoShowResolution) -> list[Event]:
    """The school said where the pupil is."""
    return to_both(
        "participation.no_show_resolved",
        school_id=row["school_id"],
        employer_id=row["employer_id"],
        order_key=row["booking_id"],
        data={**_pupil(row), "no_show_id": no_show_id, "resolution": resolution.value},
    )


def reported(booking: Row, sitting_id: UUID, by: Reporter, rows: Iterable[Row]) -> Event:
    """Attendance of a sitting was reported: of how many, and how many are in dispute."""
    told = list(rows)
    data = {
        "booking_id": booking["id"],
        "sitting_id": sitting_id,
        "reported_by": by.value,
        "reported": len(told),
        "disputed": sum(row["disputed"] for row in told),
    }
    return Event("attendance.reported", "school", booking["school_id"], booking["id"], data)


def closed(booking: Row, sitting: Row, by: Actor, reason: BookingReason | None, now: datetime) -> list[Event]:
    """A sitting does not take place. On the day itself people may be on their way: the safety lane."""
    told = law.reason_told_to_employer(by, reason)
    data = {
        "booking_id": booking["id"],
        "sitting_id": sitting["sitting_id"],
        "starts_at": sitting["starts_at"],
        "closed_by": by.value,
    }
    return to_both(
        "attendance.closed",
        school_id=booking["school_id"],
        employer_id=booking["employer_id"],
        order_key=booking["id"],
        data={**data, "reason_code": reason.value if reason else None},
        employer_data={**data, "reason_code": told.value if told else None},
        lane="safety" if law.is_same_day(now, sitting["starts_at"]) else None,
    )


def overdue(booking: Row, sitting_id: UUID, starts_at: datetime, expected: int) -> list[Event]:
    """Silence about a sitting."""
    return to_both(
        "attendance.overdue",
        school_id=booking["school_id"],
        employer_id=booking["employer_id"],
        order_key=booking["id"],
        data={
            "booking_id": booking["id"],
            "sitting_id": sitting_id,
            "starts_at": starts_at,
            "expected": expected,
        },
    )


def _minutes(row: Row) -> int:
    return int(row["in_person_minutes"] + row["virtual_minutes"])


def _event(kind: str, row: Row, data: Mapping[str, Any]) -> Event:
    """About one encounter; the order key is the booking, or else the pupil."""
    facts = {"encounter_id": row["id"], "pupil_id": row["enrolment_id"]}
    order_key = row["booking_id"] or row["enrolment_id"]
    return Event(kind, "school", row["school_id"], order_key, {**facts, **data})


def recorded(row: Row) -> Event:
    """A new encounter."""
    data = {name: row[name] for name in ("booking_id", "kind", "bm5", "bm6")}
    return _event("encounter.recorded", row, {**data, "minutes": _minutes(row)})


def corrected(row: Row) -> Event:
    """An encounter says something else now, or its criteria were confirmed."""
    data = {name: row[name] for name in ("version", "bm5", "bm6")}
    return _event("encounter.corrected", row, {**data, "minutes": _minutes(row)})


def credited(row: Row, balance: Row) -> Event:
    """Minutes as attended, and the pupil's balance after (which is under the daily cap)."""
    data = {name: row[name] for name in ("participation_id", "booking_id", "academic_year")}
    data |= {"minutes": _minutes(row), "total_minutes": balance["minutes"]}
    return _event("hours.credited", row, data)


def reversed_(was: Row, balance: Row) -> Event:
    """Minutes taken back: those that the encounter had; the balance is the one after the whole correction."""
    data = {
        "booking_id": was["booking_id"],
        "minutes": _minutes(was),
        "total_minutes": balance["minutes"],
    }
    return _event("hours.reversed", was, data)
