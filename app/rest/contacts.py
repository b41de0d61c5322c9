"""An employer's contacts over REST: schools see them once a booking of theirs is confirmed."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.employers import service, sql
from app.rest.employers_models import ContactIn, ContactOut, ContactPage, ContactPatch
from app.rest.frame import (
    IfMatch,
    Match,
    Pulled,
    Read,
    Write,
    framed,
    needs,
    one_answer,
    page_of_pull,
    version_of,
)
from app.rest.patches import changes
from app.rest.sites import whose

router = framed("/v1", "contacts")
_SHOWN = (
    "id", "employer_id", "site_id", "name", "role", "email", "phone", "supervises", "version", "created_at",
    "updated_at",
)  # fmt: skip


def shown(row: Row) -> dict[str, Any]:
    """A contact."""
    return {name: row[name] for name in _SHOWN}


@router.post(
    "/contacts",
    status_code=201,
    response_model=ContactOut,
    summary="Add a contact",
    operation_id="add_contact",
)
@needs("sites:write")
async def add_contact(body: ContactIn, tx: Write) -> Response:
    """Add a person to ask for."""
    row = await service.add_contact(tx, body.model_dump())
    return one_answer(shown(row), version=row["version"], location=f"/v1/contacts/{row['id']}", status=201)


@router.get("/contacts", response_model=ContactPage, summary="List contacts", operation_id="list_contacts")
@needs("sites:read")
async def list_contacts(
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="One employer; an employer lists its own.")] = None,
    site_id: Annotated[UUID | None, Query(description="Those of one site.")] = None,
) -> Response:
    """Contacts in the order they were made: your own, or of employers that confirmed a booking of yours."""
    owner = whose(tx.caller.org_kind, tx.caller.org_id, employer_id)
    rows = await sql.contacts_page(tx, owner, site_id, turn.pull("contacts"))
    return page_of_pull(turn, "contacts", rows, shown)


@router.get(
    "/contacts/{contact_id}",
    response_model=ContactOut,
    summary="Read a contact",
    operation_id="read_contact",
)
@needs("sites:read")
async def read_contact(contact_id: UUID, tx: Read) -> Response:
    """One contact."""
    row = await sql.contact(tx, contact_id)
    if row is None:
        raise NotFound("contact")
    return one_answer(shown(row), version=row["version"])


@router.patch(
    "/contacts/{contact_id}",
    response_model=ContactOut,
    summary="Change a contact",
    operation_id="change_contact",
)
@needs("sites:write")
async def change_contact(contact_id: UUID, body: ContactPatch, tx: Write, expected: IfMatch) -> Response:
    """Change a contact of yours."""
    given = changes(body, "site_id", "email", "phone")
    row = await service.change_contact(tx, contact_id, expected, given)
    return one_answer(shown(row), version=row["version"])


@router.delete(
    "/contacts/{contact_id}", status_code=204, summary="Delete a contact", operation_id="delete_contact"
)
@needs("sites:write")
async def delete_contact(contact_id: UUID, tx: Write, match: Match = None) -> Response:
    """Delete a contact for good. 409 `contact_in_use` while an offer names it."""
    await service.drop_contact(tx, contact_id, version_of(match))
    return Response(status_code=204)
