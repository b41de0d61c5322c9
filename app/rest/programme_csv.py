"""`/v1/programmes/{programme_id}/export` and `/import`: the parts of a programme as CSV, answered row by row."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from app.core.errors import Fault, Invalid
from app.programmes import parts, sql
from app.rest.frame import Read, Write, framed, json_answer, known, needs
from app.rest.models import Flag
from app.rest.problems import refusal
from app.rest.programme_money_models import ImportOut
from app.rest.programme_parts import seen
from app.rest.programme_sheets import COLUMNS, Table, column_of, read, write

router = framed("/v1/programmes/{programme_id}", "programmes")
CSV: Final = "text/csv"
_STATUSES: Final = ("created", "updated", "unchanged", "refused")
_SHEET: Final[dict[str, Any]] = {
    "schema": {
        "type": "string",
        "description": "A header line, then one row in each line (RFC 4180), UTF-8.",
    },
    "example": "school,strand,state,joined_on,own_budget\r\n900001,group-tour,enrolled,2026-09-01,none\r\n",
}
_BODY: Final[dict[str, Any]] = {"requestBody": {"required": True, "content": {CSV: _SHEET}}}
Part = Annotated[
    str, Query(description="`strands`, `schools`, `targets`, `allocations` or `costs`; each has its columns.")
]


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"description": "The table.", "content": {CSV: _SHEET}}},
    summary="Export a part of a programme as CSV",
    operation_id="export_programme",
)
@needs("programmes:read")
async def export(programme_id: UUID, tx: Read, part: Part = "schools") -> Response:
    """What stands, in the columns that an import takes. A school's export has its own rows. Four statements."""
    await seen(tx, programme_id)
    known(part, tuple(COLUMNS), "?part")
    rows = await sql.standing(tx, part, programme_id)
    strands = await sql.standing(tx, "strands", programme_id)
    schools = await sql.schools_named(tx, [row["school_id"] for row in rows if row.get("school_id")])
    urns = {row["id"]: row["urn"] for row in schools if row["urn"]}
    table = write(part, rows, urns, {row["id"]: row["code"] for row in strands})
    named = {"Content-Disposition": f'attachment; filename="programme-{part}.csv"'}
    return Response(table.encode(), media_type="text/csv; charset=utf-8", headers=named)


@router.post(
    "/import",
    response_model=ImportOut,
    summary="Import a part of a programme from CSV",
    openapi_extra=_BODY,
    operation_id="import_programme",
)
@needs("programmes:write", media=(CSV,))
async def import_(
    programme_id: UUID,
    request: Request,
    tx: Write,
    *,
    part: Part = "schools",
    atomic: Annotated[Flag, Query(description="One refused row refuses them all.")] = False,
) -> Response:
    """Up to 5,000 rows, added or changed by what they are about, answered row by row; no row is removed for being left
    out. 422 `wrong_header` names what is missing and what is unknown. At most 16 statements, however many rows.
    """
    await seen(tx, programme_id)
    known(part, tuple(COLUMNS), "?part")
    table = read(part, await _utf8(request))
    try:
        answers = await parts.keep(tx, programme_id, part, table.rows, atomic=atomic)
    except Invalid as problem:
        raise _by_column(problem, part, table) from problem
    data = [_line(one, part, table) for one in answers]
    counts = {status: sum(one.status == status for one in answers) for status in _STATUSES}
    return json_answer({**counts, "data": data})


async def _utf8(request: Request) -> bytes:
    _, _, said = request.headers.get("content-type", "").lower().partition("charset=")
    charset = said.partition(";")[0].strip(' "')
    if charset and charset not in {"utf-8", "utf8", "us-ascii"}:
        raise refusal(415, "unsupported_media_type", "Send text/csv in UTF-8.")
    return await request.body()


def _by_column(problem: Invalid, part: str, table: Table) -> Invalid:
    """The faults of a table that was refused whole, each with its line and its column."""
    found = []
    for fault in problem.faults:
        index, _, field = fault.pointer.removeprefix("/").partition("/")
        if not index.isdigit():
            return problem
        column = column_of(part, field)
        pointer = f"/{index}/{column}" if column else f"/{index}"
        found.append(Fault(pointer, fault.code, f"Line {table.lines[int(index)]}: {fault.detail}"))
    return Invalid(problem.code, problem.detail, found, problem.extra)


def _line(one: parts.Answer, part: str, table: Table) -> dict[str, Any]:
    return {
        "index": one.index,
        "line": table.lines[one.index],
        "id": one.id,
        "status": one.status,
        "errors": [_fault(one.index, fault, part) for fault in one.errors],
    }


def _fault(index: int, fault: Fault, part: str) -> dict[str, Any]:
    column = column_of(part, fault.pointer)
    pointer = f"/{index}/{column}" if column else f"/{index}"
    return {"pointer": pointer, "field": column, "code": fault.code, "detail": fault.detail}
