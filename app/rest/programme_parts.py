"""`/v1/programmes/{programme_id}/...`: strands, schools that take part, and targets, each with its way in and out."""

from dataclasses import replace
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Door, Row, Writer
from app.core.errors import NotFound, Problem
from app.core.versions import Expected
from app.programmes import parts, sql
from app.rest.frame import (
    IfMatch,
    Match,
    Paged,
    Read,
    Turn,
    Write,
    framed,
    known,
    needs,
    one_answer,
    page_of,
    version_of,
)
from app.rest.models import Body, Out
from app.rest.programme_models import (
    EnrolledChange,
    EnrolledIn,
    EnrolledOut,
    EnrolledPage,
    LeaveIn,
    StrandChange,
    StrandIn,
    StrandOut,
    StrandPage,
    TargetChange,
    TargetIn,
    TargetOut,
    TargetPage,
)

router = framed("/v1/programmes/{programme_id}", "programmes")


def shown(row: Row, out: type[Out]) -> dict[str, Any]:
    """A row as its model says; money is in pounds sterling."""
    return {name: "GBP" if name == "currency" else row[name] for name in out.model_fields}


async def seen(tx: Door, programme_id: UUID) -> Row:
    """A programme that the caller may see; NotFound otherwise."""
    row = await sql.one(tx, programme_id)
    if row is None:
        raise NotFound("programme")
    return row


async def listed(
    tx: Door,
    turn: Turn,
    part: str,
    programme_id: UUID,
    out: type[Out],
    **only: Any,  # noqa: ANN401
) -> Response:
    """A page of a part; `only` are the columns asked for, those that are not None."""
    await seen(tx, programme_id)
    scope = f"programmes.{part}.{programme_id}"
    asked = {name: value for name, value in only.items() if value is not None}
    rows = await sql.parts(tx, part, programme_id, turn.after_id(scope), turn.limit, asked)
    return page_of(turn, scope, rows, ("id",), lambda row: shown(row, out))


async def read_one(tx: Door, part: str, programme_id: UUID, part_id: UUID, out: type[Out]) -> Response:
    """One row of a part, with its ETag."""
    row = await sql.part(tx, part, programme_id, part_id)
    if row is None:
        raise NotFound(part)
    return one_answer(shown(row, out), version=row["version"])


async def added(tx: Writer, part: str, programme_id: UUID, body: Body, out: type[Out]) -> Response:
    """One row more."""
    row = await parts.add(tx, programme_id, part, body.given())
    where = f"/v1/programmes/{programme_id}/{part}/{row['id']}"
    return one_answer(shown(row, out), version=row["version"], location=where, status=201)


async def changed(
    tx: Writer, part: str, programme_id: UUID, part_id: UUID, body: Body, expected: Expected, out: type[Out]
) -> Response:
    """One row changed."""
    row = await parts.change(tx, programme_id, part, part_id, body.given(), expected)
    return one_answer(shown(row, out), version=row["version"])


async def removed(
    tx: Writer, part: str, programme_id: UUID, part_id: UUID, match: str | None = None
) -> Response:
    """One row less; the history keeps it."""
    await parts.remove(tx, programme_id, part, part_id, version_of(match))
    return Response(status_code=204)


# --- strands ----------------------------------------------------------------------------------------------------------


@router.get(
    "/strands",
    response_model=StrandPage,
    summary="List a programme's strands",
    operation_id="list_programme_strands",
)
@needs("programmes:read")
async def strands(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    return await listed(tx, turn, "strands", programme_id, StrandOut)


@router.post(
    "/strands",
    status_code=201,
    response_model=StrandOut,
    summary="Add a strand",
    operation_id="add_programme_strand",
)
@needs("programmes:write")
async def add_strand(programme_id: UUID, body: StrandIn, tx: Write) -> Response:
    """A model under test, under a code of its own."""
    return await added(tx, "strands", programme_id, body, StrandOut)


@router.get(
    "/strands/{strand_id}",
    response_model=StrandOut,
    summary="Read a strand",
    operation_id="read_programme_strand",
)
@needs("programmes:read")
async def read_strand(programme_id: UUID, strand_id: UUID, tx: Read) -> Response:
    """One statement."""
    return await read_one(tx, "strands", programme_id, strand_id, StrandOut)


@router.patch(
    "/strands/{strand_id}",
    response_model=StrandOut,
    summary="Change a strand",
    operation_id="change_programme_strand",
)
@needs("programmes:write")
async def change_strand(
    programme_id: UUID, strand_id: UUID, body: StrandChange, tx: Write, expected: IfMatch
) -> Response:
    """Its name and what is tried; the code stays."""
    return await changed(tx, "strands", programme_id, strand_id, body, expected, StrandOut)


@router.delete(
    "/strands/{strand_id}", status_code=204, summary="Remove a strand", operation_id="remove_programme_strand"
)
@needs("programmes:write")
async def remove_strand(programme_id: UUID, strand_id: UUID, tx: Write, match: Match = None) -> Response:
    """409 `strand_in_use` while bookings, schools, targets or costs use it."""
    return await removed(tx, "strands", programme_id, strand_id, match)


# --- schools ----------------------------------------------------------------------------------------------------------


@router.get(
    "/schools",
    response_model=EnrolledPage,
    summary="List a programme's schools that take part",
    operation_id="list_programme_schools",
)
@needs("programmes:read")
async def schools(
    programme_id: UUID,
    tx: Read,
    turn: Paged,
    state: Annotated[
        str | None, Query(description="`invited`, `enrolled` or `left`; all, if left out.")
    ] = None,
) -> Response:
    """A school reads its own line only."""
    known(state, ("invited", "enrolled", "left"), "?state")
    return await listed(tx, turn, "schools", programme_id, EnrolledOut, state=state)


@router.post(
    "/schools",
    status_code=201,
    response_model=EnrolledOut,
    summary="Enrol or invite a school",
    operation_id="add_programme_school",
)
@needs("programmes:write")
async def add_school(programme_id: UUID, body: EnrolledIn, tx: Write) -> Response:
    """Enrol a member of yours, or invite any school: it is told, and accepts or declines."""
    try:
        return await added(tx, "schools", programme_id, body, EnrolledOut)
    except Problem as problem:
        if body.school_id is None and body.urn is not None:  # the field that was sent
            problem.faults = tuple(
                replace(one, pointer="/urn") if one.pointer == "/school_id" else one for one in problem.faults
            )
        raise


@router.get(
    "/schools/{enrolled_id}",
    response_model=EnrolledOut,
    summary="Read a school's part",
    operation_id="read_programme_school",
)
@needs("programmes:read")
async def read_school(programme_id: UUID, enrolled_id: UUID, tx: Read) -> Response:
    """One statement."""
    return await read_one(tx, "schools", programme_id, enrolled_id, EnrolledOut)


@router.patch(
    "/schools/{enrolled_id}",
    response_model=EnrolledOut,
    summary="Change a school's part",
    operation_id="change_programme_school",
)
@needs("programmes:write")
async def change_school(
    programme_id: UUID, enrolled_id: UUID, body: EnrolledChange, tx: Write, expected: IfMatch
) -> Response:
    """What it has of its own, and since when it takes part."""
    return await changed(tx, "schools", programme_id, enrolled_id, body, expected, EnrolledOut)


@router.post(
    "/schools/{enrolled_id}/accept",
    response_model=EnrolledOut,
    summary="Accept an invitation",
    operation_id="accept_programme_invitation",
)
@needs("programmes:write")
async def accept(programme_id: UUID, enrolled_id: UUID, tx: Write) -> Response:
    """The school that is invited, or its trust, accepts: it is enrolled from today."""
    return _part(await parts.answer(tx, programme_id, enrolled_id, accepts=True))


@router.post(
    "/schools/{enrolled_id}/decline",
    response_model=EnrolledOut,
    summary="Decline an invitation",
    operation_id="decline_programme_invitation",
)
@needs("programmes:write")
async def decline(programme_id: UUID, enrolled_id: UUID, tx: Write) -> Response:
    """The school that is invited, or its trust, declines. It can be invited again."""
    return _part(await parts.answer(tx, programme_id, enrolled_id, accepts=False))


@router.post(
    "/schools/{enrolled_id}/leave",
    response_model=EnrolledOut,
    summary="Leave a programme",
    operation_id="leave_programme",
)
@needs("programmes:write")
async def leave(programme_id: UUID, enrolled_id: UUID, tx: Write, body: LeaveIn | None = None) -> Response:
    """By the school's own word or the owner's. What has happened stays counted; no more bookings name the programme."""
    day: date | None = body.left_on if body else None
    return _part(await parts.leave(tx, programme_id, enrolled_id, day))


def _part(row: Row) -> Response:
    return one_answer(shown(row, EnrolledOut), version=row["version"])


# --- targets ----------------------------------------------------------------------------------------------------------


@router.get(
    "/targets",
    response_model=TargetPage,
    summary="List a programme's targets",
    operation_id="list_programme_targets",
)
@needs("programmes:read")
async def targets(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """The owner's only."""
    return await listed(tx, turn, "targets", programme_id, TargetOut)


@router.post(
    "/targets",
    status_code=201,
    response_model=TargetOut,
    summary="Set a target",
    operation_id="add_programme_target",
)
@needs("programmes:write")
async def add_target(programme_id: UUID, body: TargetIn, tx: Write) -> Response:
    """409 `below_reached` names what is reached already; to a hub, rounded."""
    return await added(tx, "targets", programme_id, body, TargetOut)


@router.get(
    "/targets/{target_id}",
    response_model=TargetOut,
    summary="Read a target",
    operation_id="read_programme_target",
)
@needs("programmes:read")
async def read_target(programme_id: UUID, target_id: UUID, tx: Read) -> Response:
    """One statement."""
    return await read_one(tx, "targets", programme_id, target_id, TargetOut)


@router.patch(
    "/targets/{target_id}",
    response_model=TargetOut,
    summary="Change a target",
    operation_id="change_programme_target",
)
@needs("programmes:write")
async def change_target(
    programme_id: UUID, target_id: UUID, body: TargetChange, tx: Write, expected: IfMatch
) -> Response:
    """Its value and its day. 409 `below_reached`."""
    return await changed(tx, "targets", programme_id, target_id, body, expected, TargetOut)


@router.delete(
    "/targets/{target_id}", status_code=204, summary="Remove a target", operation_id="remove_programme_target"
)
@needs("programmes:write")
async def remove_target(programme_id: UUID, target_id: UUID, tx: Write, match: Match = None) -> Response:
    """The history keeps it."""
    return await removed(tx, "targets", programme_id, target_id, match)
