"""What happened in the past, with its minutes: the bulk door for history. Nothing is announced, balances are exact."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.db import Row, Writer
from app.core.ids import new_id
from app.encounters import sql
from app.encounters.records import credits_of, from_visit, judged, summed
from app.ledger import service as ledger
from app.rules.attendance import OVERDUE_AFTER
from app.rules.hours import ATTENDED
from app.rules.school_calendar import academic_year
from app.rules.words import AttendanceStatus, NoShowResolution, Reporter

_S = AttendanceStatus
_BY_SCHOOL = frozenset({_S.EXCUSED, _S.CLOSED})


@dataclass(frozen=True, slots=True)
class Settled:
    """A visit that is over. `visit`: kind, mode, activity_band, criteria, title, employer_name; `rows`: every sitting
    of every participant (as `bookings.history` gives them); the clients that spoke for the two sides.
    """

    visit: Row
    rows: Sequence[Row]
    school_client: UUID
    employer_client: UUID
    resolutions: Mapping[UUID, NoShowResolution]
    """How the school resolved who was missing, by the id of the sitting's row."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An experience that a school recorded without a booking; `days` with the minutes in person on each."""

    school_id: UUID
    pupil: Row
    nc_year: str
    kind: str
    title: str
    days: Sequence[tuple[date, int]]
    criteria: Sequence[str]
    employer_id: UUID | None
    client_id: UUID
    mode: str = "in_person"


async def add(tx: Writer, settled: Sequence[Settled], recorded: Iterable[Recorded] = ()) -> int:
    """Add what happened: reports, no-shows, encounters and minutes of visits whose bookings are completed, and
    experiences without bookings. Gives how many encounters.

    A fixed number of statements. As live: an encounter for each who was there at all, minutes as attended.
    """
    rows = [row for one in settled for row in _encounters(one)] + [_recorded(one) for one in recorded]
    reports = [report for one in settled for report in _reports(one)]
    missing = [row for one in settled for row in _missing(one)]
    await sql.add_past(tx, rows, reports=reports, missing=missing)
    await ledger.credit(tx, [entry for row in rows for entry in credits_of(row)])
    return len(rows)


def _encounters(one: Settled) -> Iterator[dict[str, Any]]:
    mine: dict[UUID, list[Row]] = {}
    for row in one.rows:
        mine.setdefault(row["participation_id"], []).append(row)
    for rows in mine.values():
        if any(row["status"] in ATTENDED for row in rows):
            yield {**from_visit(one.visit, rows), "recorded_by": one.employer_client}


def _reports(one: Settled) -> Iterator[dict[str, Any]]:
    """The employer says how it went when it is over, the school beforehand who is excused."""
    for row in one.rows:
        school = row["status"] in _BY_SCHOOL
        yield {
            "id": new_id(),
            "participation_sitting_id": row["id"],
            **_whose(row),
            "reporter": (Reporter.SCHOOL if school else Reporter.EMPLOYER).value,
            "client_id": one.school_client if school else one.employer_client,
            "status": row["status"],
            "arrived_at": row["arrived_at"],
            "left_at": row["left_at"],
            "decides": False,
            "reported_at": _reported_at(row),
        }


def _reported_at(row: Row) -> datetime:
    begins: datetime = row["starts_at"]
    ends: datetime = row["ends_at"]
    if row["status"] in _BY_SCHOOL:
        return begins - timedelta(hours=1)
    return begins + OVERDUE_AFTER / 2 if row["status"] == _S.NO_SHOW else ends + timedelta(minutes=10)


def _missing(one: Settled) -> Iterator[dict[str, Any]]:
    for row in one.rows:
        if row["status"] == _S.NO_SHOW:
            opened = _reported_at(row)
            yield {
                "id": new_id(),
                "participation_sitting_id": row["id"],
                "participation_id": row["participation_id"],
                **_whose(row),
                "opened_at": opened,
                "opened_by": Reporter.EMPLOYER.value,
                "resolution": one.resolutions[row["id"]].value,
                "resolved_at": opened + timedelta(minutes=35),
                "resolved_by": one.school_client,
            }


def _whose(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("booking_id", "school_id", "employer_id")}


def _recorded(one: Recorded) -> dict[str, Any]:
    virtual = one.mode == "virtual"
    per_day = [
        {"on": day.isoformat(), "in_person": 0 if virtual else minutes, "virtual": minutes if virtual else 0}
        for day, minutes in one.days
    ]
    row: dict[str, Any] = {
        "academic_year": academic_year(one.days[0][0]),
        "id": new_id(),
        "school_id": one.school_id,
        "enrolment_id": one.pupil["id"],
        "person_no": one.pupil["person_no"],
        "participation_id": None,
        "booking_id": None,
        "employer_id": one.employer_id,
        "employer_name": None,
        "title": one.title,
        "kind": one.kind,
        "mode": one.mode,
        "activity_band": "low",
        "nc_year": one.nc_year,
        "criteria_offered": list(one.criteria),
        "criteria_confirmed": list(one.criteria),
        "evidence": None,
        "state": "credited",
        **summed(per_day),
    }
    return {**row, **judged(row), "recorded_by": one.client_id}
