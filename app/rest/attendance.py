"""The day itself over REST: arrivals, attendance, closures, no-shows."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import Fault, NotFound, invalid
from app.encounters import attendance, sql
from app.encounters.attendance import Answer, Outcome, Said
from app.rest import bulk
from app.rest.attendance_models import (
    ArrivalIn,
    ArrivalsIn,
    AttendanceIn,
    AttendanceOut,
    CloseIn,
    NoShowOut,
    NoShowPage,
    ReportedOut,
    ReportIn,
    ResolveIn,
)
from app.rest.frame import Pulled, Read, Write, framed, json_answer, needs, one_answer, page_of_pull
from app.rest.models import Flag
from app.rules.words import AttendanceStatus

router = framed("/v1", "attendance")
_ROW = (
    "participation_id", "sitting_id", "starts_at", "ends_at", "status", "arrived_at", "left_at", "minutes", "disputed",
    "no_show_id", "resolution", "reports",
)  # fmt: skip
_NO_SHOW = ("id", "booking_id", "participation_id", "opened_at", "opened_by", "resolution", "resolved_at")


Heard = Said | list[Fault]
"""A row as it was understood, or why it was not."""


def _answered(
    booking_id: UUID, outcome: Outcome, rows: Sequence[bulk.Row], read: Sequence[Heard]
) -> Response:
    answers = iter(outcome.answers)
    listed = bulk.Listed()
    shown = [
        _row(next(answers) if isinstance(one, Said) else _refused(row, one), listed)
        for row, one in zip(rows, read, strict=True)
    ]
    return _reported(booking_id, outcome, shown, listed.more)


def _reported(
    booking_id: UUID, outcome: Outcome, rows: Sequence[dict[str, Any]], more_errors: int = 0
) -> Response:
    recorded = sum(row["result"] == "recorded" for row in rows)
    return json_answer(
        {
            "booking_id": booking_id,
            "sitting_id": outcome.sitting_id,
            "booking_state": outcome.state,
            "recorded": recorded,
            "refused": len(rows) - recorded,
            "more_errors": more_errors,
            "data": rows,
        }
    )


def _refused(row: bulk.Row, faults: list[Fault]) -> Answer:
    return Answer(_id_of(row), tuple(faults))


def _id_of(row: bulk.Row) -> UUID | None:
    said = row.text("participation_id") if isinstance(row.value, dict) else row.value
    try:
        return UUID(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _row(one: Answer, listed: bulk.Listed) -> dict[str, Any]:
    held = one.row or {"status": None, "minutes": None, "disputed": False}
    return {
        "participation_id": one.participation_id,
        "result": "refused" if one.faults else "recorded",
        **{name: held[name] for name in ("status", "minutes", "disputed")},
        "errors": listed.of(one.faults),
    }


@router.post(
    "/bookings/{booking_id}/arrivals",
    response_model=ReportedOut,
    summary="Report arrivals",
    operation_id="report_arrivals",
)
@needs("attendance:write", lists=("arrivals", "missing"))
async def report_arrivals(booking_id: UUID, body: ArrivalsIn, request: Request, tx: Write) -> Response:
    """By the employer or the school's staff, from the start of the visit (an early arrival up to an hour before it).

    A missing pupil opens a no-show, which the school is told at once, and stays open until the school resolves it.
    """
    if not body.arrivals and not body.missing:
        raise invalid("/arrivals", "required", "Say who is there, or who is missing.")
    rows = bulk.listed_in(request, "arrivals", body.arrivals)
    read = [_arrival(row) for row in rows]
    absent = bulk.listed_in(request, "missing", body.missing)
    read += [_missing(row) for row in absent]
    said = [one for one in read if isinstance(one, Said)]
    outcome = await attendance.report_arrivals(tx, booking_id, said, body.sitting_id)
    return _answered(booking_id, outcome, [*rows, *absent], read)


def _arrival(row: bulk.Row) -> Heard:
    where = f"/arrivals/{row.index}"
    one = bulk.validated(row, ArrivalIn, where)
    if isinstance(one, list):
        return one
    return Said(one.participation_id, AttendanceStatus.ARRIVED, where, one.arrived_at)


def _missing(row: bulk.Row) -> Heard:
    where = f"/missing/{row.index}"
    one = bulk.validated(bulk.Row(row.index, {"participation_id": row.value}, row.faults), ArrivalIn, "")
    if isinstance(one, list):
        return [Fault(where, fault.code, fault.detail) for fault in one]
    return Said(one.participation_id, AttendanceStatus.NO_SHOW, where)


@router.post(
    "/bookings/{booking_id}/attendance",
    response_model=ReportedOut,
    summary="Report attendance",
    operation_id="report_attendance",
)
@needs("attendance:write", lists=("reports",))
async def report_attendance(booking_id: UUID, body: AttendanceIn, request: Request, tx: Write) -> Response:
    """By either side; conflicting reports are both kept, nothing is credited until the school decides.

    When every pupil has an outcome at every sitting, encounters are made, minutes credited, the booking completed.
    Sent again later it is a correction: minutes are reversed and credited anew.
    """
    rows = bulk.listed_in(request, "reports", body.reports)
    read = [_report(row) for row in rows]
    said = [one for one in read if isinstance(one, Said)]
    outcome = await attendance.report_attendance(tx, booking_id, body.sitting_id, said)
    return _answered(booking_id, outcome, rows, read)


def _report(row: bulk.Row) -> Heard:
    where = f"/reports/{row.index}"
    one = bulk.validated(row, ReportIn, where)
    if isinstance(one, list):
        return one
    return Said(
        one.participation_id, AttendanceStatus(one.status), where, one.arrived_at, one.left_at, one.decides
    )


@router.get(
    "/bookings/{booking_id}/attendance",
    response_model=AttendanceOut,
    summary="Read attendance",
    operation_id="read_attendance",
)
@needs("attendance:read")
async def read_attendance(booking_id: UUID, tx: Read) -> Response:
    """What is held true of each pupil at each sitting, with every report of both sides."""
    rows = await sql.day(tx, booking_id)
    if not rows and not await sql.booking_known(tx, booking_id):
        raise NotFound("booking")
    return json_answer({"data": [{name: row[name] for name in _ROW} for row in rows]})


@router.post(
    "/bookings/{booking_id}/sittings/{sitting_id}/close",
    response_model=ReportedOut,
    summary="Close a sitting",
    operation_id="close_sitting",
)
@needs("attendance:write")
async def close_sitting(booking_id: UUID, sitting_id: UUID, body: CloseIn, tx: Write) -> Response:
    """Either side says that one sitting of a visit does not take place: no attendance is asked for, no minutes are
    credited for it, and the booking goes on with the others.

    The employer gives a reason, and closes what is not over: 409 `sitting_over`, `nothing_left` (cancel the booking
    instead). 409 `attendance_recorded` where somebody was there. Told to both sides: `attendance.closed`.
    """
    outcome = await attendance.close_sitting(tx, booking_id, sitting_id, body.reason_code)
    listed = bulk.Listed()
    return _reported(booking_id, outcome, [_row(one, listed) for one in outcome.answers], listed.more)


@router.get("/no-shows", response_model=NoShowPage, summary="List no-shows", operation_id="list_no_shows")
@needs("attendance:read")
async def list_no_shows(
    tx: Read,
    turn: Pulled,
    *,
    school_id: Annotated[UUID | None, Query(description="One school of those you act for.")] = None,
    only_open: Annotated[
        Flag | None, Query(alias="open", description="true: unresolved only; false: resolved only.")
    ] = None,
) -> Response:
    """Your side's no-shows, in the order they were opened."""
    side = tx.caller.side
    rows = await sql.no_show_page(
        tx,
        school_id=school_id,
        employer_id=tx.caller.org_id if side == "employer" else None,
        only_open=only_open,
        pull=turn.pull("no_shows"),
    )
    return page_of_pull(turn, "no_shows", rows, lambda row: _no_show(row, side))


@router.post(
    "/no-shows/{no_show_id}/resolve",
    response_model=NoShowOut,
    summary="Resolve a no-show",
    operation_id="resolve_no_show",
)
@needs("attendance:write")
async def resolve_no_show(no_show_id: UUID, body: ResolveIn, tx: Write) -> Response:
    """The school says where the pupil is. An employer may say that the pupil turned up; the school still resolves it."""
    row = await attendance.resolve_no_show(
        tx, no_show_id, body.resolution, note=body.note, arrived_at=body.arrived_at
    )
    return one_answer(_no_show(row, tx.caller.side))


def _no_show(row: Row, side: str) -> dict[str, Any]:
    view = {name: row[name] for name in _NO_SHOW}
    return view | {"note": row["note"] if side == "school" else None}
