"""Suspensions over REST: a hub, a trust or the national body stops an employer for its schools, at once."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.employers import service, sql
from app.rest.employers_models import SuspensionIn, SuspensionOut, SuspensionPage
from app.rest.frame import Pulled, Read, Write, framed, needs, one_answer, page_of_pull

router = framed("/v1", "suspensions")
_SHOWN = (
    "id", "employer_id", "suspended_at", "lifted_at", "private_note", "version", "created_at", "updated_at",
)  # fmt: skip


def shown(row: Row) -> dict[str, Any]:
    """A suspension; only the organisation that made it ever gets here."""
    return {name: row[name] for name in _SHOWN}


@router.post(
    "/suspensions",
    status_code=201,
    response_model=SuspensionOut,
    summary="Suspend an employer",
    operation_id="suspend_employer",
)
@needs("suspensions:write")
async def suspend_employer(body: SuspensionIn, tx: Write) -> Response:
    """Your schools' new requests stop at once; confirmed bookings go on hold; schools are told without the reason."""
    row = await service.suspend(tx, body.employer_id, body.private_note)
    return one_answer(shown(row), version=row["version"], location=f"/v1/suspensions/{row['id']}", status=201)


@router.post(
    "/suspensions/{suspension_id}/lift",
    response_model=SuspensionOut,
    summary="Lift a suspension",
    operation_id="lift_suspension",
)
@needs("suspensions:write")
async def lift_suspension(suspension_id: UUID, tx: Write) -> Response:
    """Requests are possible again at once; bookings on hold are released."""
    row = await service.lift_suspension(tx, suspension_id)
    return one_answer(shown(row), version=row["version"])


@router.get(
    "/suspensions",
    response_model=SuspensionPage,
    summary="List your suspensions",
    operation_id="list_suspensions",
)
@needs("suspensions:read")
async def list_suspensions(
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="Those of one employer.")] = None,
) -> Response:
    """Your own suspensions in the order they were made, the lifted ones too."""
    rows = await sql.suspensions_page(tx, tx.caller.org_id, employer_id, turn.pull("suspensions"))
    return page_of_pull(turn, "suspensions", rows, shown)


@router.get(
    "/suspensions/{suspension_id}",
    response_model=SuspensionOut,
    summary="Read a suspension",
    operation_id="read_suspension",
)
@needs("suspensions:read")
async def read_suspension(suspension_id: UUID, tx: Read) -> Response:
    """One suspension of yours."""
    row = await sql.suspension(tx, tx.caller.org_id, suspension_id)
    if row is None:
        raise NotFound("suspension")
    return one_answer(shown(row), version=row["version"])
