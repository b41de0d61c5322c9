"""`/v1/programmes`: what a hub or a trust runs. Its parts are in programme_parts, its money in programme_money."""

from typing import Any
from uuid import UUID

from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.programmes import service, sql
from app.rest.frame import IfMatch, Paged, Read, Write, framed, needs, one_answer, page_of
from app.rest.programme_models import ProgrammeChange, ProgrammeIn, ProgrammeOut, ProgrammePage

router = framed("/v1/programmes", "programmes")


def _shown(row: Row, org_id: UUID) -> dict[str, Any]:
    view = {name: row.get(name, "GBP") for name in ProgrammeOut.model_fields}  # all but the currency is there
    return (
        view
        if row["owner_id"] == org_id
        else {**view, "funder": None, "budget_pence": None, "external_ref": None}
    )


@router.get("", response_model=ProgrammePage, summary="List programmes", operation_id="list_programmes")
@needs("programmes:read")
async def index(tx: Read, turn: Paged) -> Response:
    """One statement."""
    rows = await sql.page(tx, turn.after_id("programmes"), turn.limit)
    return page_of(turn, "programmes", rows, ("id",), lambda row: _shown(row, tx.caller.org_id))


@router.post(
    "",
    status_code=201,
    response_model=ProgrammeOut,
    summary="Begin a programme",
    operation_id="add_programme",
)
@needs("programmes:write")
async def begin(body: ProgrammeIn, tx: Write) -> Response:
    """Two statements, one in a savepoint."""
    row = await service.begin(tx, body.given())
    shown = _shown(row, tx.caller.org_id)
    return one_answer(shown, version=row["version"], location=f"/v1/programmes/{row['id']}", status=201)


@router.get(
    "/{programme_id}", response_model=ProgrammeOut, summary="Read a programme", operation_id="read_programme"
)
@needs("programmes:read")
async def read(programme_id: UUID, tx: Read) -> Response:
    """One statement."""
    row = await sql.one(tx, programme_id)
    if row is None:
        raise NotFound("programme")
    return one_answer(_shown(row, tx.caller.org_id), version=row["version"])


@router.patch(
    "/{programme_id}",
    response_model=ProgrammeOut,
    summary="Change a programme",
    operation_id="change_programme",
)
@needs("programmes:write")
async def change(programme_id: UUID, body: ProgrammeChange, tx: Write, expected: IfMatch) -> Response:
    """Three statements; four where the budget is changed. Close a programme by its state: costs are recorded still.

    409 `below_allocated`: the budget would be less than what is set aside for schools.
    """
    row = await service.change(tx, programme_id, body.given(), expected)
    return one_answer(_shown(row, tx.caller.org_id), version=row["version"])
