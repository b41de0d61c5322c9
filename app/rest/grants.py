"""`/v1/grants`: which field groups a controller opens to whom. Revoked at once."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.organisations import consent, sql
from app.rest.frame import Pulled, Read, Write, framed, needs, one_answer, page_of_pull
from app.rest.models import Flag
from app.rest.organisation_models import GrantIn, GrantOut, GrantPage

router = framed("/v1/grants", "grants")


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in GrantOut.model_fields}


@router.get(
    "",
    response_model=GrantPage,
    summary="List grants",
    description="Those you gave, those you were given, and those that bind your schools.",
    operation_id="list_grants",
)
@needs("grants:read")
async def index(
    tx: Read,
    turn: Pulled,
    grantor_id: Annotated[UUID | None, Query(description="Only those this controller gave.")] = None,
    grantee_id: Annotated[UUID | None, Query(description="Only those given to this organisation.")] = None,
    live: Annotated[Flag | None, Query(description="Only those that run, or only the revoked.")] = None,
) -> Response:
    """One statement."""
    wanted = sql.grants_where(grantor_id=grantor_id, grantee_id=grantee_id, live=live)
    rows = await sql.page(tx, "grant", wanted, turn.pull("grants"))
    return page_of_pull(turn, "grants", rows, _shown)


@router.post(
    "",
    status_code=201,
    response_model=GrantOut,
    summary="Grant field groups",
    description="The controller's to do: the trust's, or a school's outside any trust.",
    operation_id="grant",
)
@needs("grants:write")
async def grant(body: GrantIn, tx: Write) -> Response:
    """Three statements."""
    row = await consent.grant(tx, body.model_dump())
    return one_answer(_shown(row), version=row["version"], location=f"/v1/grants/{row['id']}", status=201)


@router.get("/{grant_id}", response_model=GrantOut, summary="Read a grant", operation_id="read_grant")
@needs("grants:read")
async def read(grant_id: UUID, tx: Read) -> Response:
    """One statement."""
    row = await sql.one(tx, "grant", grant_id)
    if row is None:
        raise NotFound("grant")
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/{grant_id}/revoke",
    response_model=GrantOut,
    summary="Revoke a grant",
    description="At once: the grantee's next request finds nothing, and what was due to be sent to it is dropped.",
    operation_id="revoke_grant",
)
@needs("grants:write")
async def revoke(grant_id: UUID, tx: Write) -> Response:
    """Four statements."""
    row = await consent.revoke(tx, grant_id)
    return one_answer(_shown(row), version=row["version"])
