"""Offers over REST: what an employer offers, by its own references."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.offers import service, sql
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
from app.rest.offers_models import OfferByRef, OfferIn, OfferOut, OfferPage, OfferPatch
from app.rest.patches import changes, whole
from app.rest.sites import ByRef, whose
from app.rules.words import ExperienceKind, OfferState

router = framed("/v1", "offers")
_MAY_BE_NULL = (
    "contact_id", "description", "sector", "skills", "criteria", "hazards", "dress_code", "lunch", "tasks", "objectives",
)  # fmt: skip
_SHOWN = (
    "id", "employer_id", "site_id", "contact_id", "title", "description", "kind", "mode", "grouping", "tier", "sector",
    "skills", "year_groups", "criteria", "hazards", "activity_band", "dress_code", "lunch", "tasks", "objectives",
    "visibility", "audience_ids", "state", "version", "created_at", "updated_at",
)  # fmt: skip


def shown(row: Row, org_id: UUID) -> dict[str, Any]:
    """An offer; its reference is for its own employer."""
    view = {"bookings": row.get("bookings")} | {name: row[name] for name in _SHOWN}
    view["external_ref"] = row["external_ref"] if row["employer_id"] == org_id else None
    return view


def _answer(row: Row, org_id: UUID, status: int = 200) -> Response:
    location = f"/v1/offers/{row['id']}" if status == 201 else None  # noqa: PLR2004
    return one_answer(shown(row, org_id), version=row["version"], location=location, status=status)


@router.post(
    "/offers", status_code=201, response_model=OfferOut, summary="Add an offer", operation_id="add_offer"
)
@needs("offers:write")
async def add_offer(body: OfferIn, tx: Write) -> Response:
    """Add an offer at one of your sites. 409 `external_ref_taken` if you have used its reference."""
    row = await service.add_offer(tx, whole(body, "state"))
    return _answer(row, tx.caller.org_id, 201)


@router.put(
    "/offers/by-ref/{external_ref:path}",
    response_model=OfferOut,
    responses={201: {"model": OfferOut, "description": "Made."}},
    summary="Make or change an offer by your reference",
    operation_id="put_offer",
)
@needs("offers:write")
async def put_offer(external_ref: ByRef, body: OfferByRef, tx: Write, match: Match = None) -> Response:
    """Send an offer whole under your own reference: 201 if it is new, 200 if not. The same again changes nothing.

    What is left out has its default. `If-Match` makes it a change only: 412 if it is another version, or not there.
    """
    row, made = await service.put_offer(
        tx, external_ref, body.model_dump(), version_of(match), there=match is not None
    )
    return _answer(row, tx.caller.org_id, 201 if made else 200)


@router.get("/offers", response_model=OfferPage, summary="List offers", operation_id="list_offers")
@needs("offers:read")
async def list_offers(
    *,
    tx: Read,
    turn: Pulled,
    employer_id: Annotated[UUID | None, Query(description="One employer; an employer lists its own.")] = None,
    site_id: Annotated[UUID | None, Query(description="Those at one site.")] = None,
    kind: Annotated[ExperienceKind | None, Query(description="One kind of experience.")] = None,
    state: Annotated[OfferState | None, Query(description="One state.")] = None,
    external_ref: Annotated[Ref | None, Query(description="Your own reference.")] = None,
) -> Response:
    """Offers in the order they were made: an employer's own, else those you may see."""
    caller = tx.caller
    wanted = {
        "employer_id": whose(caller.org_kind, caller.org_id, employer_id),
        "site_id": site_id,
        "kind": kind,
        "state": state,
        "external_ref": external_ref if caller.org_kind == "employer" else None,
    }
    rows = await sql.offers_page(tx, wanted, turn.pull("offers"))
    return page_of_pull(turn, "offers", rows, lambda row: shown(row, caller.org_id))


@router.get("/offers/{offer_id}", response_model=OfferOut, summary="Read an offer", operation_id="read_offer")
@needs("offers:read")
async def read_offer(offer_id: UUID, tx: Read) -> Response:
    """One offer. A draft, and what you are not shown, is not found."""
    row = await sql.offer(tx, offer_id)
    if row is None:
        raise NotFound("offer")
    return _answer(row, tx.caller.org_id)


@router.patch(
    "/offers/{offer_id}", response_model=OfferOut, summary="Change an offer", operation_id="change_offer"
)
@needs("offers:write")
async def change_offer(offer_id: UUID, body: OfferPatch, tx: Write, expected: IfMatch) -> Response:
    """Change an offer of yours; what schools find follows. Bookings that are agreed stand; `withdrawn` cancels those that
    are not: `bookings` says how many.
    """
    row = await service.change_offer(tx, offer_id, expected, changes(body, "external_ref", *_MAY_BE_NULL))
    return _answer(row, tx.caller.org_id)
