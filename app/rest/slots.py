"""Slots over REST: dated chances with a capacity, one by one, by your own references, or 500 at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import Fault, NotFound, invalid
from app.core.turns import each, weighed
from app.offers import service, sql
from app.rest import bulk
from app.rest.frame import (
    IfMatch,
    Match,
    Pulled,
    Read,
    Write,
    framed,
    json_answer,
    needs,
    one_answer,
    page_of_pull,
    version_of,
)
from app.rest.models import Flag, Moment, Ref
from app.rest.offers_models import (
    CancelSlotIn,
    SlotByRef,
    SlotIn,
    SlotOut,
    SlotPage,
    SlotPatch,
    SlotsIn,
    SlotsOut,
)
from app.rest.patches import changes
from app.rest.sites import ByRef, whose
from app.rules.answers import Reason
from app.rules.words import SlotState

router = framed("/v1", "slots")
_SHOWN = (
    "id", "offer_id", "employer_id", "site_id", "starts_at", "ends_at", "minutes", "capacity", "taken", "book_by",
    "name_by", "reply_within_hours", "state", "cancel_reason", "version", "created_at", "updated_at",
)  # fmt: skip
STATUSES = ("created", "updated", "unchanged", "refused")
_SITTING = ("id", "break_minutes", "virtual")
_SITTINGS_AT_ONCE = 250
_BULK_BODY = bulk.document(SlotsIn)


def shown(row: Row, org_id: UUID, warnings: Sequence[Reason] | None = None) -> dict[str, Any]:
    """A slot; its reference is for its own employer."""
    view = {name: row[name] for name in _SHOWN}
    view["places_left"] = row["capacity"] - row["taken"]
    view["external_ref"] = row["external_ref"] if row["employer_id"] == org_id else None
    view["sittings"] = sittings_shown(row["sittings"])
    view["warnings"] = None if warnings is None else _told(warnings)
    return view


def sittings_shown(rows: Sequence[Row] | None) -> list[dict[str, Any]]:
    """The sittings in order, with times in UTC."""
    views = [
        {
            **{name: row[name] for name in _SITTING},
            "starts_at": _moment(row["starts_at"]),
            "ends_at": _moment(row["ends_at"]),
        }
        for row in rows or ()
    ]
    return sorted(views, key=lambda view: view["starts_at"])


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _told(warnings: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"code": one.code, "detail": one.detail} for one in warnings]


def _answer(row: Row, org_id: UUID, warnings: Sequence[Reason] | None = None, status: int = 200) -> Response:
    location = f"/v1/slots/{row['id']}" if status == 201 else None  # noqa: PLR2004
    answer = one_answer(shown(row, org_id, warnings), location=location, status=status)
    # Places come and go without a new version: the second number keeps a cached answer from being called fresh.
    answer.headers["ETag"] = f'"v{row["version"]}.{row["taken"]}"'
    return answer


@router.post("/slots", status_code=201, response_model=SlotOut, summary="Add a slot", operation_id="add_slot")
@needs("slots:write")
async def add_slot(body: SlotIn, tx: Write) -> Response:
    """Add a dated chance to one of your offers. What is unusual about its times comes back in `warnings`."""
    row, warnings = await service.add_slot(tx, body.model_dump())
    return _answer(row, tx.caller.org_id, warnings, 201)


@router.post(
    "/slots/bulk",
    response_model=SlotsOut,
    summary="Add or change up to 500 slots",
    operation_id="add_slots",
    openapi_extra=_BULK_BODY,
)
@needs("slots:write", rows=("slots", service.MOST))
async def add_slots(
    request: Request,
    tx: Write,
    *,
    atomic: Annotated[Flag, Query(description="All of them, or none (422).")] = False,
) -> Response:
    """By your own `external_ref`, the same rows as often as you like: each is `created`, `updated`, `unchanged` or `refused`
    for itself, and a refused one says why. With `atomic=true` all or none. A request has 5,000 sittings at most.
    """
    sent: bulk.Rows = request.state.rows
    _refuse_occurrences(sent.rows)
    read = await each(sent.rows, _read_row)
    bulk.refuse_twins(sent.rows, read, "slots")
    planned: dict[int, service.Planned] = {}
    good = [(at, one) for at, one in enumerate(read) if isinstance(one, dict)]
    # However small the body is: what a slot asks of the rules grows with its sittings, not with its bytes.
    for part in weighed(good, lambda one: len(one[1]["sittings"]), _SITTINGS_AT_ONCE):
        places = [f"/slots/{at}" for at, _ in part]
        made = await service.add_slots(tx, [one for _, one in part], places, atomic=False)
        planned |= dict(zip((at for at, _ in part), made, strict=True))
    faults = [one if isinstance(one, list) else planned[at].faults for at, one in enumerate(read)]
    if atomic:
        service.refuse([fault for row in faults for fault in row])
    listed = bulk.Listed()
    unread = [row.text("external_ref") for row in sent.rows if row.index not in planned]
    known = await service.ids_of(tx, [ref for ref in unread if ref])
    results = [_result(row, listed.of(faults[row.index]), planned.get(row.index), known) for row in sent.rows]
    counts = {status: sum(one["status"] == status for one in results) for status in STATUSES}
    return json_answer({**counts, "more_errors": listed.more, "results": results})


def _refuse_occurrences(rows: Sequence[bulk.Row]) -> None:
    lists = (row.value.get("sittings") for row in rows if isinstance(row.value, dict))
    if sum(len(one) for one in lists if isinstance(one, list)) > service.MOST_SITTINGS:
        detail = f"A request has {service.MOST_SITTINGS} sittings at most. Send the slots in several."
        raise invalid("/slots", "too_many_occurrences", detail)


def _read_row(row: bulk.Row) -> dict[str, Any] | list[Fault]:
    one = bulk.validated(row, SlotIn, f"/slots/{row.index}")
    return one if isinstance(one, list) else one.model_dump()


def _result(
    sent: bulk.Row, errors: list[dict[str, str]], planned: service.Planned | None, known: Mapping[str, UUID]
) -> dict[str, Any]:
    ref = sent.text("external_ref")
    status = planned.status if planned else "refused"
    return {
        "index": sent.index,
        "external_ref": ref,
        "status": status,
        "id": planned.slot_id if planned else known.get(ref or ""),
        "errors": errors,
        "warnings": _told(planned.warnings) if planned and status != "refused" else [],
    }


@router.put(
    "/slots/by-ref/{external_ref:path}",
    response_model=SlotOut,
    responses={201: {"model": SlotOut, "description": "Made."}},
    summary="Make or change a slot by your reference",
    operation_id="put_slot",
)
@needs("slots:write")
async def put_slot(external_ref: ByRef, body: SlotByRef, tx: Write, match: Match = None) -> Response:
    """Send a slot whole under your own reference: 201 if it is new, 200 if not. The same again changes nothing.

    What is left out has its default. `If-Match` makes it a change only: 412 if it is another version, or not there.
    """
    row, warnings, made = await service.put_slot(
        tx, external_ref, body.model_dump(), version_of(match), there=match is not None
    )
    return _answer(row, tx.caller.org_id, warnings, 201 if made else 200)


@router.get("/slots", response_model=SlotPage, summary="List slots", operation_id="list_slots")
@needs("slots:read")
async def list_slots(
    *,
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="One employer; an employer lists its own.")] = None,
    offer_id: Annotated[UUID | None, Query(description="Those of one offer.")] = None,
    state: Annotated[SlotState | None, Query(description="One state.")] = None,
    external_ref: Annotated[Ref | None, Query(description="Your own reference.")] = None,
    starts_from: Annotated[Moment | None, Query(description="Start, from (inclusive).")] = None,
    starts_to: Annotated[Moment | None, Query(description="Start, until (exclusive).")] = None,
) -> Response:
    """Slots in the order they were made: an employer's own, else those you may see. To book, search `open-slots`."""
    caller = tx.caller
    wanted = {
        "employer_id": whose(caller.org_kind, caller.org_id, employer_id),
        "offer_id": offer_id,
        "state": state,
        "external_ref": external_ref if caller.org_kind == "employer" else None,
    }
    rows = await sql.slots_page(
        tx,
        wanted,
        starts_from=starts_from,
        starts_to=starts_to,
        pull=turn.pull("slots"),
    )
    return page_of_pull(turn, "slots", rows, lambda row: shown(row, caller.org_id))


@router.get("/slots/{slot_id}", response_model=SlotOut, summary="Read a slot", operation_id="read_slot")
@needs("slots:read")
async def read_slot(slot_id: UUID, tx: Read) -> Response:
    """One slot, as its employer keeps it."""
    row = await sql.slot(tx, slot_id)
    if row is None:
        raise NotFound("slot")
    return _answer(row, tx.caller.org_id)


@router.patch("/slots/{slot_id}", response_model=SlotOut, summary="Change a slot", operation_id="change_slot")
@needs("slots:write")
async def change_slot(slot_id: UUID, body: SlotPatch, tx: Write, expected: IfMatch) -> Response:
    """Change a slot of yours. 409 `capacity_below_taken` under what is booked; 409 `slot_has_bookings` for its times."""
    row, warnings = await service.change_slot(tx, slot_id, expected, changes(body))
    return _answer(row, tx.caller.org_id, warnings)


@router.post(
    "/slots/{slot_id}/close", response_model=SlotOut, summary="Close a slot", operation_id="close_slot"
)
@needs("slots:write")
async def close_slot(slot_id: UUID, tx: Write) -> Response:
    """No new requests. What is booked stands."""
    return _answer(await service.move_slot(tx, slot_id, "close"), tx.caller.org_id)


@router.post(
    "/slots/{slot_id}/reopen", response_model=SlotOut, summary="Reopen a slot", operation_id="reopen_slot"
)
@needs("slots:write")
async def reopen_slot(slot_id: UUID, tx: Write) -> Response:
    """Take requests again."""
    return _answer(await service.move_slot(tx, slot_id, "reopen"), tx.caller.org_id)


@router.post(
    "/slots/{slot_id}/cancel", response_model=SlotOut, summary="Cancel a slot", operation_id="cancel_slot"
)
@needs("slots:write")
async def cancel_slot(slot_id: UUID, tx: Write, body: CancelSlotIn | None = None) -> Response:
    """For good: its bookings are cancelled, and their schools told for which reason; their histories name you.

    409 `slot_started` once it has begun.
    """
    reason = body.reason_code if body else None
    return _answer(await service.move_slot(tx, slot_id, "cancel", reason), tx.caller.org_id)
