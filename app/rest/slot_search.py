"""The search of schools: what can be booked now, by start. One statement each."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core import values
from app.core.db import Row
from app.core.errors import NotFound, invalid
from app.employers.service import unknown_sectors
from app.offers import sql
from app.rest.frame import Paged, Read, framed, json_answer, needs, page_of
from app.rest.models import DayOrMoment, WholeNumber
from app.rest.offers_models import OpenSlotPage, OpenSlotWhole, YearGroup
from app.rest.slots import sittings_shown
from app.rules.offering import year_bit
from app.rules.school_calendar import london_midnight
from app.rules.words import ExperienceKind, Grouping, Mode, SizeBand, Skill

router = framed("/v1", "open-slots")
_SCOPE = "open-slots"
_AREA = re.compile(r"[A-Z]{1,2}")


def shown(row: Row) -> dict[str, Any]:
    """One result: what a school it is shown to may see."""
    return dict(row)


def _when(name: str, value: datetime | date | None, *, days: int = 0) -> datetime | None:
    """A time as it is; a date is that day in London, from its first moment (`days` later)."""
    if value is None or isinstance(value, datetime):
        return value
    first = values.FIRST_MOMENT.date()
    if value < first:
        raise invalid(f"?{name}", "out_of_range", f"The first day that is taken here is {first}.")
    return london_midnight(value + timedelta(days=days))


def _place(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    area = text.strip().upper()
    return {"postcode_area" if _AREA.fullmatch(area) else "outcode": area}


@router.get(
    "/open-slots", response_model=OpenSlotPage, summary="Search open slots", operation_id="search_open_slots"
)
@needs("slots:search")
async def search_open_slots(
    *,
    tx: Read,
    turn: Paged,
    kind: Annotated[ExperienceKind | None, Query(description="One kind of experience.")] = None,
    starts_from: Annotated[
        DayOrMoment | None, Query(alias="from", description="Start, from: a time, or a date in London.")
    ] = None,
    starts_to: Annotated[
        DayOrMoment | None,
        Query(alias="to", description="Start, before this time, or on or before this date in London."),
    ] = None,
    sector: Annotated[str | None, Query(max_length=60, description="One sector.")] = None,
    year_group: Annotated[YearGroup | None, Query(description="Offered to this NC year.")] = None,
    mode: Annotated[Mode | None, Query(description="In person, virtual or hybrid.")] = None,
    grouping: Annotated[Grouping | None, Query(description="Individual, group or class.")] = None,
    tier: Annotated[
        WholeNumber | None, Query(ge=1, le=3, description="1 inspire, 2 explore roles, 3 apply.")
    ] = None,
    size_band: Annotated[SizeBand | None, Query(description="Size of the employer.")] = None,
    town: Annotated[str | None, Query(max_length=100, description="Town, whatever its case.")] = None,
    postcode_area: Annotated[
        str | None, Query(max_length=4, description="`SG` (area) or `SG1` (first half of the postcode).")
    ] = None,
    employer_id: Annotated[UUID | None, Query(description="One employer.")] = None,
    offer_id: Annotated[UUID | None, Query(description="One offer.")] = None,
    skill: Annotated[Skill | None, Query(description="One essential skill.")] = None,
    min_places: Annotated[
        WholeNumber, Query(ge=1, le=10_000, description="At least so many places left.")
    ] = 1,
    school_id: Annotated[  # noqa: ARG001  (the frame narrows the caller to it)
        UUID | None, Query(description="The school you search for, where you act for several.")
    ] = None,
) -> Response:
    """What can be booked now, by start: open, in time, with places left, and shown to your school.

    Employers suspended for your school are not found. Approval, cover and age are judged when you book.
    """
    if sector is not None:
        for _, detail in await unknown_sectors(tx, [sector]):
            raise invalid("?sector", "not_one_of", detail)
    wanted: dict[str, Any] = {
        "kind": kind,
        "to": _when("to", starts_to, days=1),
        "sector": sector,
        "year_bit": year_bit(year_group) if year_group else None,
        "mode": mode,
        "grouping": grouping,
        "tier": tier,
        "size_band": size_band,
        "town": town,
        "employer_id": employer_id,
        "offer_id": offer_id,
        "skill": skill,
        **_place(postcode_area),
    }
    key = turn.after(_SCOPE)
    rows = await sql.search(
        tx,
        wanted,
        starts_from=_when("from", starts_from),
        places=min_places,
        after=(datetime.fromisoformat(key[0]), UUID(key[1])) if key else None,
        limit=turn.limit,
    )
    return page_of(turn, _SCOPE, rows, ("starts_at", "slot_id"), shown)


@router.get(
    "/open-slots/{slot_id}",
    response_model=OpenSlotWhole,
    summary="Read an open slot",
    operation_id="read_open_slot",
)
@needs("slots:search")
async def read_open_slot(slot_id: UUID, tx: Read) -> Response:
    """One open slot with its sittings, the site's access and how to get there. Full ones are shown too: one can wait."""
    row = await sql.open_slot(tx, slot_id)
    if row is None:
        raise NotFound("slot")
    view = shown(row)
    view["sittings"] = sittings_shown(row["sittings"])
    view["bookable"] = row["places_left"] > 0 and row["book_by"] > tx.caller.now
    return json_answer(view)
