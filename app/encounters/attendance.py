"""Arrivals and attendance: what either side says of each pupil, kept side by side; the law is `rules.attendance`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.bookings import sql as bookings
from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound, invalid
from app.core.ids import new_id
from app.encounters import news, sql
from app.encounters.settlement import settle
from app.encounters.standings import after, before, reports_of, sitting_of, take, with_times, written
from app.outbox.service import Event
from app.rules.attendance import (
    ATTENDING,
    EARLY,
    Report,
    problem_with_report,
    raises_no_show,
    settles_where,
    standing,
)
from app.rules.words import (
    REASONS_FOR,
    Actor,
    AttendanceStatus,
    BookingAction,
    BookingReason,
    BookingState,
    NoShowResolution,
    Reporter,
)

AHEAD: Final = timedelta(minutes=5)
"""How far ahead of our clock a reported time may be."""
CLOSE: Final = "close_sitting"
"""A closure, as the history of a booking calls it."""
REPORTABLE: Final = frozenset({BookingState.CONFIRMED, BookingState.ON_HOLD, BookingState.COMPLETED})

_S = AttendanceStatus
_ABOUT: Final = {
    "arrived_outside_sitting": "/arrived_at",
    "left_outside_sitting": "/left_at",
    "times_reversed": "/left_at",
    "status_contradicts_times": "/status",
}
"""The member of a row that a refusal is about."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one side says of one pupil at one sitting. `pointer` is where it stands in the request's body."""

    participation_id: UUID
    status: AttendanceStatus
    pointer: str
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row: `recorded`, or refused with faults. `status` and `disputed` are what is held now."""

    participation_id: UUID | None
    faults: tuple[Fault, ...] = ()
    row: Row | None = None


@dataclass(slots=True)
class Outcome:
    """The whole answer: row by row, the booking's state, and whether minutes have been credited."""

    sitting_id: UUID
    state: str
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True)
class _Day:
    """One request at work: the rows of the day, what was written and what is told."""

    booking: Row
    rows: list[dict[str, Any]]
    reports: list[dict[str, Any]] = field(default_factory=list)
    touched: list[dict[str, Any]] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    resolved: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


async def report_arrivals(
    tx: Writer, booking_id: UUID, said: Sequence[Said], sitting_id: UUID | None = None
) -> Outcome:
    """Who is there and who is missing, row by row; a missing pupil opens a no-show and is told at once.

    Without `sitting_id` the sitting is the one under way (the last that has begun, or begins within the hour).
    Refuses with NotFound `booking`, `sitting`, Conflict `not_from_this_state`, `nobody_named`; rows as
    `report_attendance` does.
    """
    day = await _begin(tx, booking_id)
    chosen = sitting_id or _under_way(day.rows, tx.caller.now)
    return await _report(tx, day, chosen, said, whole=False)


async def report_attendance(tx: Writer, booking_id: UUID, sitting_id: UUID, said: Sequence[Said]) -> Outcome:
    """How it went, row by row; good rows are kept. When everything has an outcome the visit is settled.

    Refuses with NotFound `booking`, `sitting`, Conflict `not_from_this_state`, `nobody_named`. A row is refused with
    `unknown_participation`, `duplicate`, `in_the_future`, and the codes of `rules.attendance.problem_with_report`.
    """
    day = await _begin(tx, booking_id)
    return await _report(tx, day, sitting_id, said, whole=True)


async def close_sitting(
    tx: Writer, booking_id: UUID, sitting_id: UUID, reason: BookingReason | None
) -> Outcome:
    """Either side says that a sitting does not take place: whoever is still expected at it has `closed` as outcome, and
    no minutes. The booking goes on with the sittings that remain, and is completed when there are none.

    An employer gives a reason, closes no sitting that is over, and leaves a missing pupil for the school to find; that
    nobody comes at all is a cancellation. Refuses with NotFound `booking`, `sitting`, Invalid `/reason_code`
    `reason_required` or `reason_not_allowed`, Conflict `attendance_recorded` where somebody was there, `sitting_closed`,
    `sitting_over`, `nothing_left`.
    """
    day = await _begin(tx, booking_id)
    mine = _at(day.rows, sitting_id)
    if mine[0]["closed"]:
        raise Conflict("sitting_closed", "This sitting is closed already.")
    if any(_S(row["status"]) in ATTENDING for row in mine):
        raise Conflict("attendance_recorded", "Somebody was there: report attendance instead.")
    _check_reason(tx, reason)
    closes = {_S.EXPECTED, _S.NO_SHOW}
    if tx.caller.side == "employer":
        _check_employer_closes(tx, day, mine)
        closes = {_S.EXPECTED}
        await sql.act_on_booking(tx, booking_id)
    code = reason.value if reason else None
    await sql.close_sitting(tx, day.booking, sitting_id, code, tx.caller.now)
    for row in mine:
        row["closed"] = True
    await _write_closure(tx, day, sitting_id, code)
    day.events += news.closed(day.booking, mine[0], Actor(tx.caller.side), reason, tx.caller.now)
    said = [Said(row["participation_id"], _S.CLOSED, "") for row in mine if row["status"] in closes]
    return await _report(tx, day, sitting_id, said, whole=True)


def _check_reason(tx: Writer, reason: BookingReason | None) -> None:
    """The reasons of a cancellation; an employer gives one."""
    who = Actor(tx.caller.side)
    if reason is None:
        if who == Actor.EMPLOYER:
            raise invalid("/reason_code", "reason_required", "Closing a sitting needs a reason code.")
    elif reason not in REASONS_FOR[BookingAction.CANCEL, who]:
        raise invalid("/reason_code", "reason_not_allowed", f"{reason.value} is no reason for closing here.")


def _check_employer_closes(tx: Writer, day: _Day, mine: Sequence[Row]) -> None:
    if tx.caller.now >= mine[0]["ends_at"]:
        raise Conflict(
            "sitting_over", "This sitting is over: report attendance, or ask the school to close it."
        )
    others = [row for row in day.rows if row["sitting_id"] != mine[0]["sitting_id"]]
    if all(row["closed"] for row in others):
        raise Conflict("nothing_left", "No sitting would be left: cancel the booking instead.")


async def _write_closure(tx: Writer, day: _Day, sitting_id: UUID, code: str | None) -> None:
    """A line of the booking's history."""
    booking = day.booking
    moves = (await bookings.so_far(tx, booking["id"]))["moves"]
    names = ("school_id", "employer_id", "places", "programme_id", "strand_id")
    await bookings.add_move(
        tx,
        {
            **{name: booking[name] for name in names},
            "id": new_id(),
            "booking_id": booking["id"],
            "no": moves + 1,
            "action": CLOSE,
            "actor": tx.caller.side,
            "client_id": tx.caller.client_id,
            "from_state": booking["state"],
            "to_state": booking["state"],
            "from_slot_id": booking["slot_id"],
            "to_slot_id": booking["slot_id"],
            "sitting_id": sitting_id,
            "reason_code": code,
            "at": tx.caller.now,
        },
    )


async def _begin(tx: Writer, booking_id: UUID) -> _Day:
    booking = await bookings.lock(tx, booking_id)
    if booking is None:
        raise NotFound("booking")
    if booking["state"] not in REPORTABLE:
        raise Conflict("not_from_this_state", f"A booking that is {booking['state']} has no attendance.")
    rows = await sql.day(tx, booking_id)
    if not rows:
        raise Conflict("nobody_named", "No pupils are named in this booking.")
    return _Day(booking, rows)


def _under_way(rows: Sequence[Row], now: datetime) -> UUID:
    begun = [row for row in rows if row["starts_at"] - EARLY <= now]
    sitting: UUID = (begun[-1] if begun else rows[0])["sitting_id"]
    return sitting


def _at(rows: Sequence[dict[str, Any]], sitting_id: UUID) -> list[dict[str, Any]]:
    mine = [row for row in rows if row["sitting_id"] == sitting_id]
    if not mine:
        raise NotFound("sitting")
    return mine


async def _report(tx: Writer, day: _Day, sitting_id: UUID, said: Sequence[Said], *, whole: bool) -> Outcome:
    mine = {row["participation_id"]: row for row in _at(day.rows, sitting_id)}
    overdue = any(row["overdue"] for row in mine.values())
    answers: list[Answer] = []
    seen: set[UUID] = set()
    for one in said:
        row = mine.get(one.participation_id)
        faults = _faults(tx, one, row, seen)
        if row is not None and not faults:
            faults = _hear(tx, day, row, one)
        seen.add(one.participation_id)
        answers.append(Answer(one.participation_id, tuple(faults), row))
    await _write(tx, day)
    if overdue and not any(row["status"] == _S.EXPECTED for row in mine.values()):
        await sql.act_on_booking(tx, day.booking["id"])
        await sql.clear_alarm(tx, day.booking["id"], [sitting_id], tx.caller.now)
    if whole and day.touched:
        day.events.append(news.reported(day.booking, sitting_id, _reporter(tx), day.touched))
    completed = await settle(tx, day.booking, day.rows, day.events)
    state = BookingState.COMPLETED.value if completed else day.booking["state"]
    return Outcome(sitting_id, state, answers)


def _reporter(tx: Writer) -> Reporter:
    return Reporter(tx.caller.side)


def _faults(tx: Writer, one: Said, row: Row | None, seen: set[UUID]) -> list[Fault]:
    if row is None:
        return [
            _fault(one, "/participation_id", "unknown_participation", "No such participant at this sitting.")
        ]
    if one.participation_id in seen:
        return [_fault(one, "/participation_id", "duplicate", "This participant is reported twice.")]
    times = (("/arrived_at", one.arrived_at), ("/left_at", one.left_at))
    late = tx.caller.now + AHEAD
    return [
        _fault(one, where, "in_the_future", "This time has not come yet.")
        for where, at in times
        if at and at > late
    ]


def _fault(one: Said, where: str, code: str, detail: str) -> Fault:
    return Fault(f"{one.pointer}{where}", code, detail)


def _hear(tx: Writer, day: _Day, row: dict[str, Any], one: Said) -> list[Fault]:
    """Take one report, or say why not."""
    now, by = tx.caller.now, _reporter(tx)
    arrived_at = one.arrived_at or (now if one.status == _S.ARRIVED else None)
    report = Report(by, one.status, now, arrived_at, one.left_at, decides=one.decides)
    report = with_times(row, report)
    early = report.status == _S.ARRIVED and row["starts_at"] - EARLY <= now < row["starts_at"]
    judged = replace(report, reported_at=row["starts_at"]) if early else report
    if refusal := problem_with_report(reports_of(row), judged, sitting_of(row)):
        return [_fault(one, _ABOUT.get(refusal.code, ""), refusal.code, refusal.detail)]
    was, holds = before(row), after(row, report)
    take(row, holds)
    day.touched.append(row)
    day.reports.append(_as_written(tx, row, report))
    row["reports"] = [*row["reports"], _as_said(report)]
    if raises_no_show(was, holds):
        _open(day, row, by, now)
    elif by == Reporter.SCHOOL and row["no_show_id"] and row["resolution"] is None and not holds.conflict:
        _accounted_for(day, row, holds.status, now)
    if report.status == _S.ARRIVED and report.arrived_at:
        day.events.append(news.arrived(row, report.arrived_at, by))
    return []


def _as_said(report: Report) -> dict[str, Any]:
    names = ("reporter", "status", "reported_at", "arrived_at", "left_at", "decides")
    return {name: getattr(report, name) for name in names}


def _as_written(tx: Writer, row: Row, report: Report) -> dict[str, Any]:
    who = {name: row[name] for name in ("booking_id", "school_id", "employer_id")}
    return {
        "id": new_id(),
        "participation_sitting_id": row["id"],
        "client_id": tx.caller.client_id,
        **who,
        **_as_said(report),
    }


def _open(day: _Day, row: dict[str, Any], by: Reporter, now: datetime) -> None:
    """A no-show: a new one, unless an earlier one is still open (the pupil came, and is missing again)."""
    if row["no_show_id"] is None or row["resolution"] is not None:
        row |= {"no_show_id": new_id(), "resolution": None, "resolved_at": None}
        who = ("participation_id", "booking_id", "school_id", "employer_id")
        opened = {"id": row["no_show_id"], "participation_sitting_id": row["id"], "opened_at": now}
        day.opened.append({**opened, "opened_by": by.value, **{name: row[name] for name in who}})
    day.events.append(news.missing(row, row["no_show_id"], by))


def _accounted_for(day: _Day, row: dict[str, Any], status: AttendanceStatus, now: datetime) -> None:
    """The school itself says what became of a pupil who was missing: that resolves the no-show."""
    if status == _S.NO_SHOW:
        return
    resolution = NoShowResolution.LOCATED if status in ATTENDING else NoShowResolution.KNOWN_ABSENCE
    row |= {"resolution": resolution.value, "resolved_at": now}
    day.resolved.append({"id": row["no_show_id"], "resolution": resolution.value, "note": None})
    day.events += news.resolved(row, row["no_show_id"], resolution)


async def _write(tx: Writer, day: _Day) -> None:
    if day.reports:
        await sql.report(tx, day.reports, written(day.touched))
    if day.opened:
        await sql.open_no_shows(tx, day.opened)
    if day.resolved:
        await sql.resolve_no_shows(tx, day.resolved, tx.caller.now)


async def resolve_no_show(
    tx: Writer,
    no_show_id: UUID,
    resolution: NoShowResolution,
    *,
    note: str | None = None,
    arrived_at: datetime | None = None,
) -> Row:
    """The school says where a missing pupil is; an employer may say only that the pupil turned up (`located`).

    What the employer says is an arrival report: the no-show stays open until the school resolves it. Refuses with
    NotFound `no-show`, Forbidden `not_yours`, Conflict `no_open_no_show`, Invalid `/arrived_at` `required`.
    """
    found = await sql.no_show(tx, no_show_id)
    if found is None:
        raise NotFound("no-show")
    day = await _begin(tx, found["booking_id"])
    row = next((one for one in day.rows if one["no_show_id"] == no_show_id), None)
    if row is None or row["resolution"] not in {None, NoShowResolution.ESCALATED.value}:
        raise Conflict("no_open_no_show", "There is no open no-show for this pupil.")
    if tx.caller.side == "employer":
        _turned_up(tx, day, row, resolution, arrived_at)
        await _write(tx, day)
    else:
        await _resolve(tx, day, row, resolution, note)
    await settle(tx, day.booking, day.rows, day.events)
    return await sql.no_show(tx, no_show_id) or {}


def _turned_up(
    tx: Writer, day: _Day, row: dict[str, Any], resolution: NoShowResolution, arrived_at: datetime | None
) -> None:
    if resolution != NoShowResolution.LOCATED:
        raise Forbidden(
            "not_yours", "Only the school resolves a no-show; you may say that the pupil is located."
        )
    if arrived_at is None:
        raise Invalid(
            "invalid",
            "The request is not acceptable.",
            [Fault("/arrived_at", "required", "When did the pupil turn up?")],
        )
    one = Said(row["participation_id"], _S.ARRIVED, "", arrived_at=arrived_at)
    if faults := _faults(tx, one, row, set()) or _hear(tx, day, row, one):
        raise Invalid("invalid", "The request is not acceptable.", faults)


async def _resolve(
    tx: Writer, day: _Day, row: dict[str, Any], resolution: NoShowResolution, note: str | None
) -> None:
    row |= {"resolution": resolution.value, "resolved_at": tx.caller.now}
    if row["status"] == _S.NO_SHOW or settles_where(resolution):  # with it a conflict is decided
        take(row, standing(reports_of(row), resolution, tx.caller.now))
        await sql.report(tx, [], written([row]))
    settled = {"id": row["no_show_id"], "resolution": resolution.value, "note": note}
    await sql.resolve_no_shows(tx, [settled], tx.caller.now)
    day.events += news.resolved(row, row["no_show_id"], resolution)
