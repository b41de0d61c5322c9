"""An employer's own profile and its sites over REST."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.employers import service, sql
from app.rest.employers_models import (
    EmployerIn,
    EmployerOut,
    EmployerPatch,
    SiteByRef,
    SiteIn,
    SiteOut,
    SitePage,
    SitePatch,
)
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
from app.rest.models import Ref
from app.rest.patches import changes, whole

router = framed("/v1", "sites")
_STAMPS = ("version", "created_at", "updated_at")
_PROFILE = ("id", "name", "size_band", "sic_section", "sectors", "about", *_STAMPS)
_SITE = (
    "id", "employer_id", "name", "address", "town", "postcode", "access", "travel", "state", *_STAMPS,
)  # fmt: skip
ByRef = Annotated[Ref, Path(description="Your own reference.")]


def whose(org_kind: str, org_id: UUID, employer_id: UUID | None) -> UUID | None:
    """The employer a list is about: an employer sees its own things only."""
    if org_kind != "employer":
        return employer_id
    if employer_id not in (None, org_id):
        raise NotFound("employer")
    return org_id


def shown(row: Row, org_id: UUID) -> dict[str, Any]:
    """A site; its reference is for its own employer."""
    view = {"bookings": row.get("bookings")} | {name: row[name] for name in _SITE}
    view["external_ref"] = row["external_ref"] if row["employer_id"] == org_id else None
    return view


def _answer(row: Row, org_id: UUID, status: int = 200) -> Response:
    location = f"/v1/sites/{row['id']}" if status == 201 else None  # noqa: PLR2004
    return one_answer(shown(row, org_id), version=row["version"], location=location, status=status)


async def _profile(tx: Read | Write, status: int = 200) -> Response:
    row = await sql.employer(tx, service.the_employer(tx.caller))
    if row is None:
        raise NotFound("employer")
    location = "/v1/employer" if status == 201 else None  # noqa: PLR2004
    view = {name: row[name] for name in _PROFILE}
    return one_answer(view, version=row["version"], location=location, status=status)


@router.get(
    "/employer", response_model=EmployerOut, summary="Read your profile", operation_id="read_employer"
)
@needs("sites:read")
async def read_employer(tx: Read) -> Response:
    """The profile of the employer that you are."""
    return await _profile(tx)


@router.post(
    "/employer",
    status_code=201,
    response_model=EmployerOut,
    summary="Register your profile",
    operation_id="register_employer",
)
@needs("sites:write")
async def register_employer(body: EmployerIn, tx: Write) -> Response:
    """Give your organisation its profile, once. 409 `already_registered` if it has one."""
    await service.register(tx, service.the_employer(tx.caller), **body.model_dump())
    return await _profile(tx, 201)


@router.patch(
    "/employer", response_model=EmployerOut, summary="Change your profile", operation_id="change_employer"
)
@needs("sites:write")
async def change_employer(body: EmployerPatch, tx: Write, expected: IfMatch) -> Response:
    """Change what you say of yourself. Open slots follow."""
    await service.change_employer(tx, expected, changes(body, "sic_section", "sectors", "about"))
    return await _profile(tx)


@router.post("/sites", status_code=201, response_model=SiteOut, summary="Add a site", operation_id="add_site")
@needs("sites:write")
async def add_site(body: SiteIn, tx: Write) -> Response:
    """Add a site. 409 `external_ref_taken` if you have used its reference: PUT by-ref instead."""
    row = await service.add_site(tx, whole(body, "state"))
    return _answer(row, tx.caller.org_id, 201)


@router.put(
    "/sites/by-ref/{external_ref:path}",
    response_model=SiteOut,
    responses={201: {"model": SiteOut, "description": "Made."}},
    summary="Make or change a site by your reference",
    operation_id="put_site",
)
@needs("sites:write")
async def put_site(external_ref: ByRef, body: SiteByRef, tx: Write, match: Match = None) -> Response:
    """Send a site whole under your own reference: 201 if it is new, 200 if not. The same again changes nothing.

    What is left out has its default. `If-Match` makes it a change only: 412 if it is another version, or not there.
    """
    row, made = await service.put_site(
        tx, external_ref, body.model_dump(), version_of(match), there=match is not None
    )
    return _answer(row, tx.caller.org_id, 201 if made else 200)


@router.get("/sites", response_model=SitePage, summary="List sites", operation_id="list_sites")
@needs("sites:read")
async def list_sites(
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="One employer; an employer lists its own.")] = None,
    external_ref: Annotated[Ref | None, Query(description="Your own reference.")] = None,
) -> Response:
    """Sites in the order they were made."""
    caller = tx.caller
    owner = whose(caller.org_kind, caller.org_id, employer_id)
    ref = external_ref if caller.org_kind == "employer" else None
    rows = await sql.sites_page(tx, owner, ref, turn.pull("sites"))
    return page_of_pull(turn, "sites", rows, lambda row: shown(row, caller.org_id))


@router.get("/sites/{site_id}", response_model=SiteOut, summary="Read a site", operation_id="read_site")
@needs("sites:read")
async def read_site(site_id: UUID, tx: Read) -> Response:
    """One site."""
    row = await sql.site(tx, site_id)
    if row is None:
        raise NotFound("site")
    return _answer(row, tx.caller.org_id)


@router.patch("/sites/{site_id}", response_model=SiteOut, summary="Change a site", operation_id="change_site")
@needs("sites:write")
async def change_site(site_id: UUID, body: SitePatch, tx: Write, expected: IfMatch) -> Response:
    """Change a site of yours. Open slots follow; those of a closed site are not found. Closing it keeps what is agreed and
    cancels what is not: `bookings` says how many.
    """
    row = await service.change_site(tx, site_id, expected, changes(body, "external_ref", "access", "travel"))
    return _answer(row, tx.caller.org_id)
