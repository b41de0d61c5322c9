"""`/v1/organisations` and `/v1/memberships`: who there is, and who belongs to whom since when."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.organisations import service, sql
from app.rest.frame import IfMatch, Pulled, Read, Write, framed, known, needs, one_answer, page_of_pull
from app.rest.models import Day
from app.rest.organisation_models import (
    MembershipEnd,
    MembershipIn,
    MembershipOut,
    MembershipPage,
    OrganisationChange,
    OrganisationIn,
    OrganisationOut,
    OrganisationPage,
)
from app.rules.words import OrganisationKind, values

router = framed("/v1", "organisations")
_PARENTS = ("hub", "trust", "authority", "national")


def _organisation(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in OrganisationOut.model_fields}


def _membership(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in MembershipOut.model_fields}


@router.get(
    "/organisations",
    response_model=OrganisationPage,
    summary="List organisations you may know of",
    description="Your own, those you belong to or that belong to you, grantors and grantees, and employers.",
    operation_id="list_organisations",
)
@needs("organisations:read")
async def index(
    tx: Read,
    turn: Pulled,
    *,
    kind: Annotated[str | None, Query(description="Only of this kind.")] = None,
    urn: Annotated[str | None, Query(max_length=20, description="Only the school with this URN.")] = None,
    companies_house: Annotated[str | None, Query(max_length=20, description="Eight characters.")] = None,
) -> Response:
    """One statement."""
    known(kind, values(OrganisationKind), "?kind")
    wanted = sql.organisations_where(kind=kind, urn=urn, companies_house=companies_house)
    rows = await sql.page(tx, "organisation", wanted, turn.pull("organisations"))
    return page_of_pull(turn, "organisations", rows, _organisation)


@router.post(
    "/organisations",
    status_code=201,
    response_model=OrganisationOut,
    summary="Register an organisation",
    operation_id="register_organisation",
)
@needs("organisations:write")
async def register(body: OrganisationIn, tx: Write) -> Response:
    """One statement, in a savepoint."""
    row = await service.register(tx, body.given())
    return one_answer(
        _organisation(row), version=row["version"], location=f"/v1/organisations/{row['id']}", status=201
    )


@router.get(
    "/organisations/{organisation_id}",
    response_model=OrganisationOut,
    summary="Read an organisation",
    operation_id="read_organisation",
)
@needs("organisations:read")
async def read(organisation_id: UUID, tx: Read) -> Response:
    """One statement."""
    row = await sql.one(tx, "organisation", organisation_id)
    if row is None:
        raise NotFound("organisation")
    return one_answer(_organisation(row), version=row["version"])


@router.patch(
    "/organisations/{organisation_id}",
    response_model=OrganisationOut,
    summary="Change your own entry",
    description="Or one that you registered.",
    operation_id="change_organisation",
)
@needs("organisations:write")
async def change(organisation_id: UUID, body: OrganisationChange, tx: Write, expected: IfMatch) -> Response:
    """Three statements, the last in a savepoint."""
    row = await service.change(tx, organisation_id, body.given(), expected)
    return one_answer(_organisation(row), version=row["version"])


@router.get(
    "/memberships",
    response_model=MembershipPage,
    summary="List memberships",
    description="Yours as a member or as a parent, and your schools'.",
    operation_id="list_memberships",
)
@needs("memberships:read")
async def list_memberships(
    tx: Read,
    turn: Pulled,
    *,
    member_id: Annotated[UUID | None, Query(description="Only of this member.")] = None,
    parent_id: Annotated[UUID | None, Query(description="Only of this parent.")] = None,
    kind: Annotated[
        str | None, Query(description="Only of this kind: hub, trust, authority, national.")
    ] = None,
    on: Annotated[Day | None, Query(description="Only those that run on this date.")] = None,
) -> Response:
    """One statement."""
    known(kind, _PARENTS, "?kind")
    wanted = sql.memberships_where(member_id=member_id, parent_id=parent_id, kind=kind, on=on)
    rows = await sql.page(tx, "membership", wanted, turn.pull("memberships"))
    return page_of_pull(turn, "memberships", rows, _membership)


@router.post(
    "/memberships",
    status_code=201,
    response_model=MembershipOut,
    summary="Take a member",
    description="A trust takes a school that has granted it something, or that it registered.",
    operation_id="add_membership",
)
@needs("memberships:write")
async def join(body: MembershipIn, tx: Write) -> Response:
    """Three statements, one in a savepoint."""
    row = await service.let_join(tx, body.given())
    return one_answer(
        _membership(row), version=row["version"], location=f"/v1/memberships/{row['id']}", status=201
    )


@router.get(
    "/memberships/{membership_id}",
    response_model=MembershipOut,
    summary="Read a membership",
    operation_id="read_membership",
)
@needs("memberships:read")
async def read_membership(membership_id: UUID, tx: Read) -> Response:
    """One statement."""
    row = await sql.one(tx, "membership", membership_id)
    if row is None:
        raise NotFound("membership")
    return one_answer(_membership(row), version=row["version"])


@router.post(
    "/memberships/{membership_id}/end",
    response_model=MembershipOut,
    summary="End a membership",
    operation_id="end_membership",
)
@needs("memberships:write")
async def leave(membership_id: UUID, body: MembershipEnd, tx: Write) -> Response:
    """Four statements, one in a savepoint."""
    row = await service.let_go(tx, membership_id, body.ends_on)
    return one_answer(_membership(row), version=row["version"])
