"""`/v1/clients`: an organisation's own API clients, their secrets (shown once) and their end; how another one begins."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi.responses import Response
from pydantic import ConfigDict, Field, StrictInt

from app.access import service, sql
from app.access.service import Environment, NewSecret
from app.core.db import Door, Row
from app.core.errors import NotFound
from app.organisations import service as organisations
from app.rest.frame import House, InHouse, Paged, Read, Write, framed, needs, one_answer, page_of
from app.rest.models import Body, Line

router = framed("/v1", "clients")
_SCOPE: Final = "clients"  # what the cursor is bound to

_ID: Final = "0198c0de-0000-7000-8000-000000000001"
_CLIENT: Final[dict[str, Any]] = {
    "id": _ID,
    "name": "MIS, production",
    "scopes": ["bookings:read", "bookings:write", "slots:search"],
    "authenticates_by": "secret",
    "jwks": None,
    "secrets": [
        {
            "id": "0198c0de-0000-7000-8000-000000000002",
            "hint": "…4fQz",
            "created_at": "2026-11-22T09:00:00Z",
            "expires_at": None,
        }
    ],
    "created_by": "0198c0de-0000-7000-8000-000000000003",
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z",
    "revoked_at": None,
}
_FIRST: Final[dict[str, Any]] = {
    "id": _ID,
    "organisation_id": "0198c0de-0000-7000-8000-000000000004",
    "name": "HR system, production",
    "scopes": ["bookings:write", "slots:write"],
    "authenticates_by": "secret",
    "client_secret": "tds_live_…",
}
_SECRET: Final[dict[str, Any]] = {
    "id": "0198c0de-0000-7000-8000-000000000002",
    "client_secret": "tds_live_…",
    "hint": "…4fQz",
}


class NewClientBody(Body):
    """A client to make. With `jwks` it signs its token requests and gets no secret."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "MIS, production", "scopes": ["bookings:read", "slots:search"]}]
        }
    )

    name: Annotated[Line, Field(min_length=1, max_length=200, examples=["MIS, production"])]
    scopes: Annotated[
        list[Annotated[str, Field(max_length=60)]],
        Field(min_length=1, max_length=100, examples=[["bookings:read", "slots:search"]]),
    ]
    jwks: Annotated[
        dict[str, Any] | None,
        Field(description="1 to 5 public keys: P-256, Ed25519, or RSA of 2,048 bits and more."),
    ] = None


class FirstClientBody(Body):
    """The first client of an organisation. Without `scopes` it has all that the organisation's kind may have."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "HR system, production"}]})

    name: Annotated[Line, Field(min_length=1, max_length=200, examples=["HR system, production"])]
    scopes: Annotated[
        list[Annotated[str, Field(max_length=60)]] | None,
        Field(min_length=1, max_length=100, examples=[["bookings:write", "slots:write"]]),
    ] = None
    jwks: Annotated[
        dict[str, Any] | None,
        Field(description="1 to 5 public keys: P-256, Ed25519, or RSA of 2,048 bits and more."),
    ] = None


class NewSecretBody(Body):
    """A secret to make. Those before it end after the overlap."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: Annotated[
        StrictInt,
        Field(ge=0, le=720, description="Hours; 0 ends the secrets before it at once.", examples=[24]),
    ] = 24


def _answers(status: int, example: Any, text: str = "OK") -> dict[int | str, dict[str, Any]]:  # noqa: ANN401
    return {status: {"description": text, "content": {"application/json": {"example": example}}}}


@router.post(
    "/clients",
    status_code=201,
    summary="Make a client",
    description="The secret is in this answer and in no other; a replay gives it for 24 hours.",
    operation_id="create_client",
    responses=_answers(201, {**_CLIENT, "client_secret": "tds_live_…"}, "Made."),
)
@needs("clients:write", secret=True)
async def create(body: NewClientBody, tx: Write, house: InHouse) -> Response:
    """Three statements, two for a client that signs."""
    made = await service.create_client(
        tx,
        name=body.name,
        wanted=body.scopes,
        jwks=body.jwks,
        environment=_environment(house),
        development=house.development,
    )
    row = await _found(tx, made.id)
    shown = {**_shown(row), "client_secret": made.secret.secret if made.secret else None}
    return one_answer(shown, version=row["version"], location=f"/v1/clients/{made.id}", status=201)


@router.get(
    "/clients",
    summary="List your clients",
    operation_id="list_clients",
    responses=_answers(200, {"data": [_CLIENT], "next": None}),
)
@needs("clients:read")
async def index(tx: Read, turn: Paged) -> Response:
    """Your organisation's clients in the order they were made, ended ones too."""
    rows = await sql.page(tx, turn.after_id(_SCOPE), turn.limit)
    return page_of(turn, _SCOPE, rows, ("id",), _shown)


@router.get(
    "/clients/{client_id}",
    summary="Read a client",
    operation_id="read_client",
    responses=_answers(200, _CLIENT),
)
@needs("clients:read")
async def read(client_id: UUID, tx: Read) -> Response:
    """One of your organisation's clients, with the hints of its live secrets."""
    row = await _found(tx, client_id)
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/clients/{client_id}/revoke",
    summary="End a client",
    description="At once and for good, with every token it holds. To end it twice changes nothing.",
    operation_id="revoke_client",
    responses=_answers(200, {**_CLIENT, "secrets": [], "revoked_at": "2026-11-22T10:00:00Z"}),
)
@needs("clients:write")
async def revoke(client_id: UUID, tx: Write) -> Response:
    """Three statements."""
    await service.revoke_client(tx, client_id)
    row = await _found(tx, client_id)
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/clients/{client_id}/secrets",
    status_code=201,
    summary="Make a new secret",
    description="The secret is in this answer and in no other; a replay gives it for 24 hours.",
    operation_id="rotate_client_secret",
    responses=_answers(201, _SECRET, "Made."),
)
@needs("clients:write", secret=True)
async def rotate(client_id: UUID, body: NewSecretBody, tx: Write, house: InHouse) -> Response:
    """Four statements."""
    made = await service.rotate_secret(
        tx, client_id, overlap=timedelta(hours=body.overlap_hours), environment=_environment(house)
    )
    return one_answer(_new(made), location=f"/v1/clients/{client_id}", status=201)


@router.post(
    "/organisations/{organisation_id}/clients",
    status_code=201,
    summary="Make the first client of an organisation that you registered",
    description="Hand id and secret to the organisation: they are in this answer and in no other (a replay gives them for "
    "24 hours), and every further client is its own to make.",
    operation_id="create_first_client",
    responses=_answers(201, _FIRST, "Made."),
)
@needs("clients:write", secret=True)
async def begin(organisation_id: UUID, body: FirstClientBody, tx: Write, house: InHouse) -> Response:
    """Four statements, three for a client that signs."""
    organisation = await organisations.registered(tx, organisation_id)
    made = await service.begin_organisation(
        tx,
        org_id=organisation_id,
        org_kind=organisation["kind"],
        name=body.name,
        wanted=body.scopes,
        jwks=body.jwks,
        environment=_environment(house),
        development=house.development,
    )
    shown = {
        "id": made.id,
        "organisation_id": organisation_id,
        "name": body.name,
        "scopes": made.scopes,
        "authenticates_by": "private_key_jwt" if made.secret is None else "secret",
        "client_secret": made.secret.secret if made.secret else None,
    }
    return one_answer(shown, location=f"/v1/clients/{made.id}", status=201)


def _environment(house: House) -> Environment:
    return "test" if house.development else "live"


async def _found(tx: Door, client_id: UUID) -> Row:
    row = await sql.by_id(tx, client_id)
    if row is None:
        raise NotFound("client")
    return row


def _new(made: NewSecret) -> dict[str, Any]:
    return {"id": made.id, "client_secret": made.secret, "hint": made.hint}


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "scopes": row["scopes"],
        "authenticates_by": "secret" if row["jwks"] is None else "private_key_jwt",
        "jwks": row["jwks"],
        "secrets": [] if row["revoked_at"] else [_secret(one) for one in row["secrets"]],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "revoked_at": row["revoked_at"],
    }


def _secret(kept: dict[str, Any]) -> dict[str, Any]:
    ends = kept["expires_at"]
    return {
        **kept,
        "created_at": datetime.fromisoformat(kept["created_at"]),
        "expires_at": datetime.fromisoformat(ends) if ends else None,
    }
