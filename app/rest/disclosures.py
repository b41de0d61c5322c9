"""`/v1/disclosures`: what left a school's tenant, newest first, for the school and its trust."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from app.core.errors import NotFound
from app.disclosures import service, sql
from app.organisations import sql as organisations
from app.rest.frame import Paged, Read, framed, needs, page_of
from app.rest.models import Out
from app.rules.words import OrganisationKind

router = framed("/v1/disclosures", "disclosures")
_LINE: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c26",
    "school_id": "01a2013a-0000-7000-8000-000000000001",
    "pupil_id": "01a2013a-0000-7000-8000-000000000008",
    "to_org_id": "01a2013a-0000-7000-8000-000000000007",
    "client_id": "01a2013a-0000-7000-8000-000000000009",
    "fields": ["given_name", "family_name", "nc_year"],
    "basis": "grant",
    "basis_id": "01a2013a-0000-7000-8000-00000000000a",
    "route": "GET /v1/schools/{school_id}/pupils",
    "disclosed_at": "2026-11-22T09:30:00Z",
}


class DisclosureOut(Out):
    """One pupil, one recipient, one occasion."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    id: UUID
    school_id: UUID
    pupil_id: UUID
    to_org_id: UUID = Field(description="Who saw it.")
    client_id: UUID = Field(description="With which client.")
    fields: list[str] = Field(description="What was seen, by name; never the values.")
    basis: str = Field(description="`grant` for a vendor's reading, `release` for the names of a booking.")
    basis_id: UUID | None = Field(description="The grant, or the booking.")
    route: str
    disclosed_at: str = Field(description="Wall time, UTC.")


class DisclosurePage(Out):
    """A page of disclosures."""

    data: list[DisclosureOut]
    next: str | None


@router.get(
    "",
    response_model=DisclosurePage,
    summary="List disclosures",
    description="The school's and its trust's to read. A trust names the school.",
    operation_id="list_disclosures",
)
@needs("disclosures:read")
async def index(
    tx: Read,
    turn: Paged,
    school_id: Annotated[UUID | None, Query(description="Your own, if left out.")] = None,
) -> Response:
    """Two statements."""
    stand = await organisations.standing(tx)
    school = school_id or tx.caller.org_id
    if school not in stand["schools"] or stand["kind"] == OrganisationKind.VENDOR:
        raise NotFound("school")
    rows = await sql.page(tx, school, before=turn.after_id("disclosures"), limit=turn.limit)
    return page_of(turn, "disclosures", rows, ("id",), service.shown)
