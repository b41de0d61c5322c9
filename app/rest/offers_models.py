"""Bodies and answers of the routes of offers, slots and the search."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StrictBool, StrictInt

from app.rest.employers_models import (
    Bookings,
    Name,
    Next,
    SectorWord,
    Version,
    example,
    page_example,
    pull_example,
)
from app.rest.models import Body, HorizonOut, Moment, MoreErrors, Out, Ref
from app.rules.words import (
    ActivityBand,
    BookingReason,
    Criterion,
    ExperienceKind,
    Grouping,
    Hazard,
    Mode,
    OfferState,
    SizeBand,
    Skill,
    SlotState,
    Visibility,
)

_EMPLOYER_ID = "01a2013a-0000-7000-8000-000000000002"
_SITE_ID = "01a2013a-0000-7000-8000-000000000003"
_OFFER_ID = "01a2013a-0000-7000-8000-000000000004"
_SLOT_ID = "01a2013a-0000-7000-8000-000000000005"
_STAMPS = {"version": 1, "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}

YearGroup = Literal["7", "8", "9", "10", "11", "12", "13", "14", "X"]
YearGroups = Annotated[
    list[YearGroup], Field(max_length=9, description="NC years it is for; none is every lawful one.")
]
TierNo = Annotated[StrictInt, Field(ge=1, le=3, description="1 inspire, 2 explore roles, 3 apply.")]
Description = Annotated[str, Field(max_length=5000)]
Short = Annotated[str, Field(max_length=1000)]
Audience = Annotated[
    list[UUID], Field(max_length=500, description="The hubs, programmes or schools that are shown the offer.")
]
Skills = Annotated[
    list[Skill],
    Field(max_length=8, description="Essential skills it practises. Empty: none; null: not recorded."),
]
Criteria = Annotated[
    list[Criterion],
    Field(
        max_length=8,
        description="Offered; they count when the school confirms them. Empty: none; null: not recorded.",
    ),
]
Hazards = Annotated[
    list[Hazard],
    Field(max_length=6, description="What some law forbids below an age. Empty: none; null: not recorded."),
]

# --- offers -----------------------------------------------------------------------------------

_OFFER_BODY: dict[str, Any] = {
    "title": "Two hours in a working laboratory",
    "description": "A tour in small groups, with five people who work here.",
    "kind": "workplace_tour",
    "mode": "in_person",
    "grouping": "group",
    "tier": 1,
    "sector": "life_sciences",
    "skills": ["listening", "speaking"],
    "year_groups": ["7", "8", "9"],
    "criteria": ["clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection"],
    "hazards": [],
    "activity_band": "low",
    "dress_code": "Closed shoes.",
    "lunch": "None needed.",
    "tasks": "Read a plate with us.",
    "objectives": "See four roles in one place.",
    "visibility": "all_schools",
    "audience_ids": [],
}
_OFFER = {
    "id": _OFFER_ID,
    "employer_id": _EMPLOYER_ID,
    "site_id": _SITE_ID,
    "contact_id": None,
    "external_ref": "TOUR-1",
    **_OFFER_BODY,
    "state": "open",
    "bookings": None,
    "cancel_reason": None,
    **_STAMPS,
}


class OfferByRef(Body):
    """An offer, under the reference in the path: sent whole."""

    model_config = example({"site_ref": "SITE-7", **_OFFER_BODY})

    site_id: UUID | None = Field(None, description="The site, by our id.")
    site_ref: Ref | None = Field(None, description="The site, by your own reference, instead of `site_id`.")
    contact_id: UUID | None = Field(None, description="Whom to ask for.")
    title: Name
    description: Description | None = Field(None, description="Needed where the kind is `innovative`.")
    kind: ExperienceKind
    mode: Mode = Mode.IN_PERSON
    grouping: Grouping
    tier: TierNo
    sector: SectorWord | None = None
    skills: Skills | None = None
    year_groups: YearGroups = Field(default_factory=list)
    criteria: Criteria | None = None
    hazards: Hazards | None = None
    activity_band: ActivityBand = ActivityBand.LOW
    dress_code: Short | None = None
    lunch: Short | None = None
    tasks: Description | None = None
    objectives: Description | None = None
    visibility: Visibility = Visibility.ALL_SCHOOLS
    audience_ids: Audience = Field(default_factory=list)


class OfferIn(OfferByRef):
    """An offer."""

    model_config = example({"external_ref": "TOUR-1", "site_ref": "SITE-7", **_OFFER_BODY})

    external_ref: Ref | None = None
    state: OfferState | None = Field(
        None, description="Only slots of an `open` offer are found. Open unless said."
    )


class OfferPatch(Body):
    """What changes of an offer. Its kind and its site stay; mode too, for its slots are timed by it."""

    model_config = example({"title": "Two hours in our laboratory", "state": "paused"})

    external_ref: Ref | None = None
    contact_id: UUID | None = None
    title: Name | None = None
    description: Description | None = None
    grouping: Grouping | None = None
    tier: TierNo | None = None
    sector: SectorWord | None = None
    skills: Skills | None = None
    year_groups: YearGroups | None = None
    criteria: Criteria | None = None
    hazards: Hazards | None = None
    activity_band: ActivityBand | None = None
    dress_code: Short | None = None
    lunch: Short | None = None
    tasks: Description | None = None
    objectives: Description | None = None
    visibility: Visibility | None = None
    audience_ids: Audience | None = None
    state: OfferState | None = Field(None, description="`withdrawn` is for good.")


class OfferOut(Out):
    """An offer."""

    model_config = example(_OFFER)

    id: UUID
    employer_id: UUID
    site_id: UUID
    contact_id: UUID | None
    external_ref: str | None = Field(description="Yours; null for everybody else.")
    title: str
    description: str | None
    kind: ExperienceKind
    mode: Mode
    grouping: Grouping
    tier: int
    sector: str | None
    skills: list[str] | None = Field(description="Null: not recorded.")
    year_groups: list[str]
    criteria: list[str] | None = Field(description="Offered. Null: not recorded.")
    hazards: list[str] | None = Field(description="Null: not recorded.")
    activity_band: ActivityBand
    dress_code: str | None
    lunch: str | None
    tasks: str | None
    objectives: str | None
    visibility: Visibility
    audience_ids: list[UUID] = Field(description="Who is shown it; for its own employer.")
    state: OfferState
    bookings: Bookings
    version: Version
    created_at: datetime
    updated_at: datetime


class OfferPage(Out):
    """A page of offers."""

    model_config = pull_example(_OFFER)

    data: list[OfferOut]
    next: Next
    horizon: HorizonOut


# --- slots ------------------------------------------------------------------------------------

_SITTING = {
    "starts_at": "2027-01-12T10:00:00Z",
    "ends_at": "2027-01-12T12:00:00Z",
    "break_minutes": 0,
    "virtual": False,
}
_SITTING_OUT = {"id": "01a2013a-0000-7000-8000-000000000007", **_SITTING}
_SLOT_BODY: dict[str, Any] = {"offer_ref": "TOUR-1", "capacity": 30, "sittings": [_SITTING]}
_WARNING = {"code": "outside_7_to_19", "detail": "Outside 07:00 to 19:00 on 2027-01-12."}
_SLOT = {
    "id": _SLOT_ID,
    "offer_id": _OFFER_ID,
    "employer_id": _EMPLOYER_ID,
    "site_id": _SITE_ID,
    "external_ref": "TOUR-1-JAN",
    "starts_at": _SITTING["starts_at"],
    "ends_at": _SITTING["ends_at"],
    "minutes": 120,
    "capacity": 30,
    "taken": 0,
    "places_left": 30,
    "book_by": "2027-01-10T10:00:00Z",
    "name_by": "2027-01-05T10:00:00Z",
    "reply_within_hours": 120,
    "state": "open",
    "sittings": [_SITTING_OUT],
    "warnings": [],
    **_STAMPS,
}
Capacity = Annotated[StrictInt, Field(ge=1, le=10_000, description="Places.")]
Reply = Annotated[StrictInt, Field(ge=1, le=720, description="Hours within which you answer a request.")]


class SittingIn(Body):
    """One stretch of a slot, without a night in it."""

    model_config = example(_SITTING)

    starts_at: Moment = Field(description="With an offset, such as Z.")
    ends_at: Moment = Field(description="With an offset, such as Z.")
    break_minutes: Annotated[StrictInt, Field(ge=0, le=1440, description="Minutes of break in it.")] = 0
    virtual: StrictBool | None = Field(None, description="On a screen; as the offer's mode unless said.")


Sittings = Annotated[list[SittingIn], Field(min_length=1, max_length=100)]


class SlotByRef(Body):
    """A slot, under the reference in the path: sent whole."""

    model_config = example(_SLOT_BODY)

    offer_id: UUID | None = Field(None, description="The offer, by our id.")
    offer_ref: Ref | None = Field(
        None, description="The offer, by your own reference, instead of `offer_id`."
    )
    sittings: Sittings
    capacity: Capacity
    book_by: Moment | None = Field(None, description="Until when schools book; two days before unless said.")
    name_by: Moment | None = Field(
        None,
        description="Until when pupils are named; seven days before unless said, or when booking ends if that is past.",
    )
    reply_within_hours: Reply = 120


class SlotIn(SlotByRef):
    """A slot: a dated chance with a capacity."""

    model_config = example({"external_ref": "TOUR-1-JAN", **_SLOT_BODY})

    external_ref: Ref | None = None


class SlotPatch(Body):
    """What changes of a slot. Its times stay once places are taken."""

    model_config = example({"capacity": 25})

    external_ref: Ref | None = None
    sittings: Sittings | None = None
    capacity: Capacity | None = None
    book_by: Moment | None = Field(None, description="Until when schools book.")
    name_by: Moment | None = Field(None, description="Until when pupils are named.")
    reply_within_hours: Reply | None = None


class SlotsIn(Body):
    """Up to 500 slots, each for itself."""

    model_config = example({"slots": [{"external_ref": "TOUR-1-JAN", **_SLOT_BODY}]})

    slots: Annotated[list[SlotIn], Field(min_length=1, max_length=500)]


class SittingOut(Out):
    """One stretch of a slot."""

    model_config = example(_SITTING_OUT)

    id: UUID
    starts_at: datetime
    ends_at: datetime
    break_minutes: int
    virtual: bool


class WarningOut(Out):
    """What a school will be warned of; nothing is refused for it."""

    model_config = example(_WARNING)

    code: str
    detail: str


class CancelSlotIn(Body):
    """Why a slot is cancelled."""

    model_config = example({"reason_code": "site_closed"})

    reason_code: BookingReason | None = Field(
        None,
        description="A reason of an employer for cancelling; the schools that booked are told it. Left out, they read "
        "`slot_cancelled`.",
    )


class SlotOut(Out):
    """A slot."""

    model_config = example(_SLOT)

    id: UUID
    offer_id: UUID
    employer_id: UUID
    site_id: UUID
    external_ref: str | None = Field(description="Yours; null for everybody else.")
    starts_at: datetime
    ends_at: datetime
    minutes: int = Field(description="Planned minutes: all sittings, breaks left out.")
    capacity: int
    taken: int = Field(description="Places held or booked.")
    places_left: int
    book_by: datetime
    name_by: datetime
    reply_within_hours: int
    state: SlotState
    cancel_reason: BookingReason | None = Field(description="Why it was cancelled, if that was said.")
    sittings: list[SittingOut]
    warnings: list[WarningOut] | None = Field(description="On a write; null where it was not judged.")
    version: Version
    created_at: datetime
    updated_at: datetime


class SlotPage(Out):
    """A page of slots."""

    model_config = pull_example({**_SLOT, "warnings": None})

    data: list[SlotOut]
    next: Next
    horizon: HorizonOut


class RowFault(Out):
    """One thing wrong with one field of one row."""

    pointer: str = Field(description="JSON pointer into the request.")
    code: str
    detail: str


class SlotResult(Out):
    """What became of one row."""

    index: int
    external_ref: str | None
    status: Literal["created", "updated", "unchanged", "refused"]
    id: UUID | None = Field(description="The slot; of a refused row too, where its reference is known.")
    errors: list[RowFault]
    warnings: list[WarningOut]


class SlotsOut(Out):
    """What became of each row, in the order sent."""

    model_config = example(
        {
            "created": 1,
            "updated": 0,
            "unchanged": 0,
            "refused": 1,
            "more_errors": 0,
            "results": [
                {
                    "index": 0,
                    "external_ref": "TOUR-1-JAN",
                    "status": "created",
                    "id": _SLOT_ID,
                    "errors": [],
                    "warnings": [],
                },
                {
                    "index": 1,
                    "external_ref": "TOUR-1-FEB",
                    "status": "refused",
                    "id": None,
                    "errors": [
                        {
                            "pointer": "/slots/1/sittings/0/ends_at",
                            "code": "out_of_order",
                            "detail": "A sitting ends after it starts.",
                        }
                    ],
                    "warnings": [],
                },
            ],
        }
    )

    created: int
    updated: int
    unchanged: int
    refused: int
    more_errors: MoreErrors
    results: list[SlotResult]


# --- what schools search ----------------------------------------------------------------------

_OPEN = {
    "slot_id": _SLOT_ID,
    "offer_id": _OFFER_ID,
    "employer_id": _EMPLOYER_ID,
    "site_id": _SITE_ID,
    "employer_name": "Reagents Ltd",
    "size_band": "small",
    "site_name": "Stevenage works",
    "town": "Stevenage",
    "postcode_area": "SG1",
    **{
        name: _OFFER_BODY[name]
        for name in (
            "title", "kind", "mode", "grouping", "tier", "sector", "activity_band", "skills", "year_groups", "criteria",
        )
    },
    "starts_at": _SITTING["starts_at"],
    "ends_at": _SITTING["ends_at"],
    "minutes": 120,
    "book_by": "2027-01-10T10:00:00Z",
    "capacity": 30,
    "places_left": 30,
}  # fmt: skip
_OPEN_WHOLE = {
    **_OPEN,
    **{
        name: _OFFER_BODY[name]
        for name in ("description", "hazards", "dress_code", "lunch", "tasks", "objectives")
    },
    "name_by": "2027-01-05T10:00:00Z",
    "reply_within_hours": 120,
    "address": "1 Gunnels Wood Road",
    "postcode": "SG1 2FX",
    "access": "Step-free from the car park; ask for Gate 2.",
    "travel": "Bus 4 from the station, 12 minutes.",
    "sittings": [_SITTING_OUT],
    "bookable": True,
}


class OpenSlotOut(Out):
    """A slot that can be booked now."""

    model_config = example(_OPEN)

    slot_id: UUID
    offer_id: UUID
    employer_id: UUID
    site_id: UUID
    employer_name: str
    size_band: SizeBand
    site_name: str
    town: str
    postcode_area: str = Field(description="The first half of the postcode.")
    title: str
    kind: ExperienceKind
    mode: Mode
    grouping: Grouping
    tier: int
    sector: str | None
    activity_band: ActivityBand
    skills: list[str] | None = Field(description="Null: not recorded.")
    year_groups: list[str] = Field(description="Empty is every lawful one.")
    criteria: list[str] | None = Field(description="Offered. Null: not recorded.")
    starts_at: datetime
    ends_at: datetime
    minutes: int = Field(description="Planned minutes.")
    book_by: datetime
    capacity: int
    places_left: int


class OpenSlotPage(Out):
    """A page of what can be booked, by start."""

    model_config = page_example(_OPEN)

    data: list[OpenSlotOut]
    next: Next


class OpenSlotWhole(OpenSlotOut):
    """A slot as a school sees it before booking, with sittings and access."""

    model_config = example(_OPEN_WHOLE)

    description: str | None
    hazards: list[str] | None = Field(description="Null: not recorded.")
    dress_code: str | None
    lunch: str | None
    tasks: str | None
    objectives: str | None
    name_by: datetime
    reply_within_hours: int
    address: str
    postcode: str
    access: str | None
    travel: str | None
    sittings: list[SittingOut]
    bookable: bool = Field(description="False once it is full or `book_by` has passed.")
