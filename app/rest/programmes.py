"""`/v1/programmes`: what a hub or a trust runs, its strands, schools, targets and money."""

from typing import Any
from uuid import UUID

from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.programmes import service, sql
from app.rest.frame import IfMatch, Paged, Read, Write, framed, needs, one_answer, page_of
from app.rest.models import Body, Out
from app.rest.programme_models import (
    AllocationIn,
    AllocationOut,
    AllocationPage,
    EnrolledIn,
    EnrolledOut,
    EnrolledPage,
    ProgrammeChange,
    ProgrammeIn,
    ProgrammeOut,
    ProgrammePage,
    StrandIn,
    StrandOut,
    StrandPage,
    TargetIn,
    TargetOut,
    TargetPage,
)

router = framed("/v1/programmes", "programmes")


def _shown(row: Row, org_id: UUID) -> dict[str, Any]:
    view = {name: row[name] for name in ProgrammeOut.model_fields}
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
    """Three statements."""
    row = await service.change(tx, programme_id, body.given(), expected)
    return one_answer(_shown(row, tx.caller.org_id), version=row["version"])


async def _page(tx: Read, turn: Paged, part: str, programme_id: UUID, out: type[Out]) -> Response:
    if await sql.one(tx, programme_id) is None:
        raise NotFound("programme")
    scope = f"programmes.{part}.{programme_id}"
    rows = await sql.parts(tx, part, programme_id, turn.after_id(scope), turn.limit)
    return page_of(turn, scope, rows, ("id",), lambda row: {name: row[name] for name in out.model_fields})


async def _add(tx: Write, part: str, programme_id: UUID, body: Body, out: type[Out]) -> Response:
    row = await service.add(tx, programme_id, part, body.given())
    return one_answer({name: row[name] for name in out.model_fields}, status=201)


@router.get(
    "/{programme_id}/strands",
    response_model=StrandPage,
    summary="List a programme's strands",
    operation_id="list_programme_strands",
)
@needs("programmes:read")
async def strands(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    return await _page(tx, turn, "strands", programme_id, StrandOut)


@router.post(
    "/{programme_id}/strands",
    status_code=201,
    response_model=StrandOut,
    summary="Add a strand",
    operation_id="add_programme_strand",
)
@needs("programmes:write")
async def add_strand(programme_id: UUID, body: StrandIn, tx: Write) -> Response:
    """Four to six statements, one in a savepoint."""
    return await _add(tx, "strands", programme_id, body, StrandOut)


@router.get(
    "/{programme_id}/schools",
    response_model=EnrolledPage,
    summary="List a programme's schools that take part",
    description="A school reads its own line only.",
    operation_id="list_programme_schools",
)
@needs("programmes:read")
async def schools(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    return await _page(tx, turn, "schools", programme_id, EnrolledOut)


@router.post(
    "/{programme_id}/schools",
    status_code=201,
    response_model=EnrolledOut,
    summary="Enrol a school",
    operation_id="add_programme_school",
)
@needs("programmes:write")
async def add_school(programme_id: UUID, body: EnrolledIn, tx: Write) -> Response:
    """Four to six statements, one in a savepoint."""
    return await _add(tx, "schools", programme_id, body, EnrolledOut)


@router.get(
    "/{programme_id}/targets",
    response_model=TargetPage,
    summary="List a programme's targets",
    description="The owner's only.",
    operation_id="list_programme_targets",
)
@needs("programmes:read")
async def targets(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    return await _page(tx, turn, "targets", programme_id, TargetOut)


@router.post(
    "/{programme_id}/targets",
    status_code=201,
    response_model=TargetOut,
    summary="Set a target",
    operation_id="add_programme_target",
)
@needs("programmes:write")
async def add_target(programme_id: UUID, body: TargetIn, tx: Write) -> Response:
    """Four to six statements, one in a savepoint."""
    return await _add(tx, "targets", programme_id, body, TargetOut)


@router.get(
    "/{programme_id}/allocations",
    response_model=AllocationPage,
    summary="List a programme's allocations",
    description="A school reads its own only.",
    operation_id="list_programme_allocations",
)
@needs("programmes:read")
async def allocations(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    return await _page(tx, turn, "allocations", programme_id, AllocationOut)


@router.post(
    "/{programme_id}/allocations",
    status_code=201,
    response_model=AllocationOut,
    summary="Set money aside for a school",
    operation_id="add_programme_allocation",
)
@needs("programmes:write")
async def add_allocation(programme_id: UUID, body: AllocationIn, tx: Write) -> Response:
    """Four to six statements, one in a savepoint."""
    return await _add(tx, "allocations", programme_id, body, AllocationOut)
