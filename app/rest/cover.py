"""Insurance cover over REST: recorded and withdrawn by the employer, read by those who send pupils."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.employers import service, sql
from app.rest.employers_models import CoverIn, CoverOut, CoverPage
from app.rest.frame import Pulled, Read, Write, framed, needs, one_answer, page_of_pull
from app.rest.sites import whose

router = framed("/v1", "cover")
_SHOWN = (
    "id", "employer_id", "site_id", "kind", "liability", "insurer", "policy_number", "limit_pence", "starts_on",
    "expires_on", "attested_on", "attested_by", "withdrawn_at", "version", "created_at", "updated_at",
)  # fmt: skip


def shown(row: Row, org_id: UUID) -> dict[str, Any]:
    """A cover; its reference is for its own employer."""
    view = {name: row[name] for name in _SHOWN}
    view["external_ref"] = row["external_ref"] if row["employer_id"] == org_id else None
    return view


@router.post(
    "/cover", status_code=201, response_model=CoverOut, summary="Record cover", operation_id="add_cover"
)
@needs("cover:write")
async def add_cover(body: CoverIn, tx: Write) -> Response:
    """Record a policy, or attest why there need be none. A renewed policy is a new cover."""
    row = await service.add_cover(tx, body.model_dump())
    return one_answer(
        shown(row, tx.caller.org_id), version=row["version"], location=f"/v1/cover/{row['id']}", status=201
    )


@router.get("/cover", response_model=CoverPage, summary="List cover", operation_id="list_cover")
@needs("cover:read")
async def list_cover(
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="One employer; an employer lists its own.")] = None,
    site_id: Annotated[UUID | None, Query(description="What is for this one site.")] = None,
) -> Response:
    """Cover in the order it was recorded, the withdrawn and the lapsed too."""
    caller = tx.caller
    owner = whose(caller.org_kind, caller.org_id, employer_id)
    rows = await sql.covers_page(tx, owner, site_id, turn.pull("cover"))
    return page_of_pull(turn, "cover", rows, lambda row: shown(row, caller.org_id))


@router.get("/cover/{cover_id}", response_model=CoverOut, summary="Read cover", operation_id="read_cover")
@needs("cover:read")
async def read_cover(cover_id: UUID, tx: Read) -> Response:
    """One cover."""
    row = await sql.cover(tx, cover_id)
    if row is None:
        raise NotFound("cover")
    return one_answer(shown(row, tx.caller.org_id), version=row["version"])


@router.post(
    "/cover/{cover_id}/withdraw",
    response_model=CoverOut,
    summary="Withdraw cover",
    operation_id="withdraw_cover",
)
@needs("cover:write")
async def withdraw_cover(cover_id: UUID, tx: Write) -> Response:
    """Withdraw a cover of yours: from now on nothing stands on it."""
    row = await service.withdraw_cover(tx, cover_id)
    return one_answer(shown(row, tx.caller.org_id), version=row["version"])
