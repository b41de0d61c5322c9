"""`/v1/agreements`: what a controller signed. Without one that covers a school no pupil of it is taken."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.organisations import consent, sql
from app.rest.frame import Pulled, Read, Write, framed, needs, one_answer, page_of_pull
from app.rest.models import Flag
from app.rest.organisation_models import AgreementIn, AgreementOut, AgreementPage

router = framed("/v1/agreements", "agreements")


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in AgreementOut.model_fields}


@router.get(
    "",
    response_model=AgreementPage,
    summary="List agreements",
    description="Your own, your schools', and those of the trusts over them.",
    operation_id="list_agreements",
)
@needs("agreements:read")
async def index(
    tx: Read,
    turn: Pulled,
    controller_id: Annotated[UUID | None, Query(description="Only of this controller.")] = None,
    live: Annotated[Flag | None, Query(description="Only those that run, or only those that ended.")] = None,
) -> Response:
    """One statement."""
    wanted = sql.agreements_where(controller_id=controller_id, live=live)
    rows = await sql.page(tx, "agreement", wanted, turn.pull("agreements"))
    return page_of_pull(turn, "agreements", rows, _shown)


@router.post(
    "",
    status_code=201,
    response_model=AgreementOut,
    summary="Record an agreement",
    description="The controller's to do: the trust's, or a school's outside any trust.",
    operation_id="record_agreement",
)
@needs("agreements:write")
async def record(body: AgreementIn, tx: Write) -> Response:
    """Three statements."""
    row = await consent.record_agreement(tx, body.model_dump())
    return one_answer(_shown(row), version=row["version"], location=f"/v1/agreements/{row['id']}", status=201)


@router.get(
    "/{agreement_id}", response_model=AgreementOut, summary="Read an agreement", operation_id="read_agreement"
)
@needs("agreements:read")
async def read(agreement_id: UUID, tx: Read) -> Response:
    """One statement."""
    row = await sql.one(tx, "agreement", agreement_id)
    if row is None:
        raise NotFound("agreement")
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/{agreement_id}/end",
    response_model=AgreementOut,
    summary="End an agreement",
    description="At once. What was taken under it stays; nothing more is taken.",
    operation_id="end_agreement",
)
@needs("agreements:write")
async def end(agreement_id: UUID, tx: Write) -> Response:
    """Four statements."""
    row = await consent.end_agreement(tx, agreement_id)
    return one_answer(_shown(row), version=row["version"])
