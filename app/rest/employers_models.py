"""Bodies and answers of the employer routes: profile, sites, contacts, cover, approvals, suspensions, bars."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from app.rest.models import HORIZON, Body, Day, HorizonOut, Line, Out, Ref, Text
from app.rules.words import ActivityBand, ApprovalState, CoverKind, ExperienceKind, Liability, SizeBand

Name = Annotated[Line, Field(min_length=1, max_length=200)]
SectorWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
SicSection = Annotated[str, Field(pattern=r"^[A-U]$", description="SIC 2007 section, A to U.")]
Sectors = Annotated[
    list[SectorWord],
    Field(
        max_length=20,
        description="Industrial Strategy sectors, or a hub's own priority sectors. Empty: none; null: not recorded.",
    ),
]
About = Annotated[str, Field(max_length=2000, description="For schools to read.")]
Version = Annotated[int, Field(description='The ETag is `"v<version>"`.')]

_EMPLOYER_ID = "01a2013a-0000-7000-8000-000000000002"
_SITE_ID = "01a2013a-0000-7000-8000-000000000003"
_HUB_ID = "01a2013a-0000-7000-8000-000000000006"
_SCHOOL_ID = "01a2013a-0000-7000-8000-000000000001"
_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_STAMPS = {"version": 1, "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}


def example(*shown: dict[str, Any]) -> ConfigDict:
    """The configuration of a model with examples."""
    return ConfigDict(json_schema_extra={"examples": [*shown]})


def page_example(shown: dict[str, Any]) -> ConfigDict:
    """The configuration of a page of such things."""
    return example({"data": [shown], "next": None})


def pull_example(shown: dict[str, Any]) -> ConfigDict:
    """The configuration of a page of a list that tells what changed."""
    return example({"data": [shown], "next": None, "horizon": HORIZON})


Next = Annotated[str | None, Field(description="Send it as `after`; null on the last page.")]

# --- the profile ------------------------------------------------------------------------------

_PROFILE = {
    "size_band": "small",
    "sic_section": "C",
    "sectors": ["life_sciences"],
    "about": "We make reagents for hospitals.",
}
_EMPLOYER = {"id": _EMPLOYER_ID, "name": "Reagents Ltd", **_PROFILE, **_STAMPS}


class EmployerIn(Body):
    """An employer's profile."""

    model_config = example(_PROFILE)

    size_band: SizeBand = Field(
        description="Employees: micro 0-9, small 10-49, medium 50-249, large 250 or more."
    )
    sic_section: SicSection | None = None
    sectors: Sectors | None = None
    about: About | None = None


class EmployerPatch(Body):
    """What changes of the profile."""

    model_config = example({"size_band": "medium"})

    size_band: SizeBand | None = Field(None, description="Employees: micro, small, medium or large.")
    sic_section: SicSection | None = None
    sectors: Sectors | None = None
    about: About | None = None


class EmployerOut(Out):
    """An employer's profile."""

    model_config = example(_EMPLOYER)

    id: UUID
    name: str
    size_band: SizeBand
    sic_section: str | None
    sectors: list[str] | None = Field(description="Null: not recorded.")
    about: str | None
    version: Version
    created_at: datetime
    updated_at: datetime


# --- sites ------------------------------------------------------------------------------------

_SITE_BODY = {
    "name": "Stevenage works",
    "address": "1 Gunnels Wood Road",
    "town": "Stevenage",
    "postcode": "SG1 2FX",
    "access": "Step-free from the car park; ask for Gate 2.",
    "travel": "Bus 4 from the station, 12 minutes.",
}
_SITE = {
    "id": _SITE_ID,
    "employer_id": _EMPLOYER_ID,
    "external_ref": "SITE-7",
    **_SITE_BODY,
    "state": "open",
    "bookings": None,
    **_STAMPS,
}
Address = Annotated[Text, Field(min_length=1, max_length=400)]
Town = Annotated[Line, Field(min_length=1, max_length=100)]
Postcode = Annotated[Line, Field(min_length=5, max_length=10, description="Kept upper case with one space.")]
Access = Annotated[str, Field(max_length=2000, description="Access for people with disabilities.")]
Travel = Annotated[str, Field(max_length=2000, description="How to get there.")]
SiteState = Literal["open", "closed"]


class SiteByRef(Body):
    """A site, under the reference in the path: sent whole."""

    model_config = example(_SITE_BODY)

    name: Name
    address: Address
    town: Town
    postcode: Postcode
    access: Access | None = None
    travel: Travel | None = None


class SiteIn(SiteByRef):
    """A site."""

    model_config = example({"external_ref": "SITE-7", **_SITE_BODY})

    external_ref: Ref | None = None
    state: SiteState | None = Field(
        None, description="A closed site's slots are not found. Open unless said."
    )


class SitePatch(Body):
    """What changes of a site."""

    model_config = example({"access": "Step-free throughout."})

    external_ref: Ref | None = None
    name: Name | None = None
    address: Address | None = None
    town: Town | None = None
    postcode: Postcode | None = None
    access: Access | None = None
    travel: Travel | None = None
    state: SiteState | None = Field(None, description="A closed site's slots are not found.")


class BookingsKeptOut(Out):
    """Bookings that were agreed, and stand."""

    confirmed: int
    on_hold: int


class BookingsCancelledOut(Out):
    """Bookings that nobody has agreed: they are cancelled within seconds."""

    waiting: int
    requested: int
    countered: int


class BookingsAheadOut(Out):
    """How many bookings ahead are affected, by state, and what becomes of them."""

    model_config = example(
        {
            "kept": {"confirmed": 2, "on_hold": 0},
            "cancelled": {"waiting": 1, "requested": 3, "countered": 0},
        }
    )

    kept: BookingsKeptOut
    cancelled: BookingsCancelledOut


Bookings = Annotated[
    BookingsAheadOut | None,
    Field(
        description="In the answer to the change that closes or withdraws it: what becomes of its bookings."
    ),
]


class SiteOut(Out):
    """A site."""

    model_config = example(_SITE)

    id: UUID
    employer_id: UUID
    external_ref: str | None = Field(description="Yours; null for everybody else.")
    name: str
    address: str
    town: str
    postcode: str
    access: str | None
    travel: str | None
    state: SiteState
    bookings: Bookings
    version: Version
    created_at: datetime
    updated_at: datetime


class SitePage(Out):
    """A page of sites."""

    model_config = pull_example(_SITE)

    data: list[SiteOut]
    next: Next
    horizon: HorizonOut


# --- contacts ---------------------------------------------------------------------------------

_CONTACT_BODY = {
    "site_id": _SITE_ID,
    "name": "Pat Example",
    "role": "Laboratory manager",
    "email": "pat@example.org",
    "phone": "01438 000000",
    "supervises": True,
}
_CONTACT = {"id": _ID, "employer_id": _EMPLOYER_ID, **_CONTACT_BODY, **_STAMPS}
Role = Annotated[Line, Field(min_length=1, max_length=120)]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Phone = Annotated[str, Field(max_length=40, pattern=r"^[0-9+() -]{3,40}$")]


class ContactIn(Body):
    """A person to ask for. Schools see them once a booking is confirmed."""

    model_config = example(_CONTACT_BODY)

    site_id: UUID | None = Field(None, description="The site they are at; none for all.")
    name: Name
    role: Role
    email: Email | None = None
    phone: Phone | None = None
    supervises: StrictBool = Field(default=False, description="Supervises young people.")


class ContactPatch(Body):
    """What changes of a contact."""

    model_config = example({"phone": "01438 000001"})

    site_id: UUID | None = Field(None, description="The site they are at; null for all.")
    name: Name | None = None
    role: Role | None = None
    email: Email | None = None
    phone: Phone | None = None
    supervises: StrictBool | None = Field(None, description="Supervises young people.")


class ContactOut(Out):
    """A contact."""

    model_config = example(_CONTACT)

    id: UUID
    employer_id: UUID
    site_id: UUID | None
    name: str
    role: str
    email: str | None
    phone: str | None
    supervises: bool
    version: Version
    created_at: datetime
    updated_at: datetime


class ContactPage(Out):
    """A page of contacts."""

    model_config = pull_example(_CONTACT)

    data: list[ContactOut]
    next: Next
    horizon: HorizonOut


# --- cover ------------------------------------------------------------------------------------

_COVER_BODY = {
    "external_ref": "EL-2027",
    "kind": "policy",
    "liability": "employers_liability",
    "insurer": "Mutual Insurance",
    "policy_number": "EL/4711",
    "limit_pence": 1_000_000_000,
    "starts_on": "2026-09-01",
    "expires_on": "2027-08-31",
}
_COVER = {
    "id": _ID,
    "employer_id": _EMPLOYER_ID,
    "site_id": None,
    **_COVER_BODY,
    "attested_on": None,
    "attested_by": None,
    "withdrawn_at": None,
    **_STAMPS,
}


class CoverIn(Body):
    """Insurance, or why there need be none. A renewed policy is a new cover."""

    model_config = example(
        _COVER_BODY,
        {
            "kind": "nhs_indemnity",
            "liability": "employers_liability",
            "attested_on": "2026-11-01",
            "attested_by": "Head of Legal",
        },
    )

    external_ref: Ref | None = None
    site_id: UUID | None = Field(None, description="The one site it covers; none for all.")
    kind: CoverKind = Field(
        description="`policy` needs insurer, number, limit and last day; others an attestation."
    )
    liability: Liability
    insurer: Name | None = None
    policy_number: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    limit_pence: (
        Annotated[StrictInt, Field(ge=0, le=10**15, description="Limit of indemnity in pence.")] | None
    ) = None
    starts_on: Day | None = Field(None, description="First day; today unless said.")
    expires_on: Day | None = Field(
        None,
        description="Last day on which it is valid; null for an attestation that stands until it is withdrawn.",
    )
    attested_on: Day | None = Field(None, description="When the exemption was attested.")
    attested_by: Name | None = Field(None, description="Who attests it, by role.")


class CoverOut(Out):
    """A cover."""

    model_config = example(_COVER)

    id: UUID
    employer_id: UUID
    site_id: UUID | None
    external_ref: str | None = Field(description="Yours; null for everybody else.")
    kind: CoverKind
    liability: Liability
    insurer: str | None
    policy_number: str | None
    limit_pence: int | None
    starts_on: date
    expires_on: date | None
    attested_on: date | None
    attested_by: str | None
    withdrawn_at: datetime | None
    version: Version
    created_at: datetime
    updated_at: datetime


class CoverPage(Out):
    """A page of covers."""

    model_config = pull_example(_COVER)

    data: list[CoverOut]
    next: Next
    horizon: HorizonOut


# --- approvals --------------------------------------------------------------------------------

_APPROVAL_BODY = {
    "site_id": _SITE_ID,
    "kind": "workplace_tour",
    "activity_band": "low",
    "approved_on": "2026-11-20",
    "expires_on": "2028-11-19",
    "basis": "Visited 20 November; risk assessment read.",
}
_APPROVAL = {
    "id": _ID,
    "approver_id": _HUB_ID,
    "employer_id": _EMPLOYER_ID,
    **_APPROVAL_BODY,
    "state": "approved",
    "withdrawn_at": None,
    **_STAMPS,
}


class ApprovalIn(Body):
    """Your approval of a site for one kind of experience and one activity band."""

    model_config = example(_APPROVAL_BODY)

    site_id: UUID
    kind: ExperienceKind
    activity_band: ActivityBand
    approved_on: Day | None = Field(None, description="Today unless said.")
    expires_on: Day | None = Field(
        description="The last day on which it counts; null: until you withdraw it."
    )
    basis: Annotated[str, Field(max_length=1000, description="What it stands on.")] | None = None


class ApprovalOut(Out):
    """An approval. Whether a school relies on it is the school's own choice."""

    model_config = example(_APPROVAL)

    id: UUID
    approver_id: UUID
    employer_id: UUID
    site_id: UUID
    kind: ExperienceKind
    activity_band: ActivityBand
    state: ApprovalState
    approved_on: date
    expires_on: date | None = Field(description="Null: until it is withdrawn.")
    basis: str | None
    withdrawn_at: datetime | None
    version: Version
    created_at: datetime
    updated_at: datetime


class ApprovalPage(Out):
    """A page of approvals."""

    model_config = pull_example(_APPROVAL)

    data: list[ApprovalOut]
    next: Next
    horizon: HorizonOut


_ACCEPTANCE = {"school_id": _SCHOOL_ID, "approver_id": _HUB_ID, "accepted_at": "2026-11-22T09:30:00Z"}


class AcceptanceOut(Out):
    """A school relies on the approvals of this organisation."""

    model_config = example(_ACCEPTANCE)

    school_id: UUID
    approver_id: UUID
    accepted_at: datetime


class AcceptancePage(Out):
    """A page of those whose approvals a school accepts. Its own always count."""

    model_config = page_example(_ACCEPTANCE)

    data: list[AcceptanceOut]
    next: Next


_BAR = {"pupil_id": _ID, "site_id": _SITE_ID}


class BarOut(Out):
    """A pupil does not go to this site. No reason is stored."""

    model_config = example(_BAR)

    pupil_id: UUID
    site_id: UUID


class BarsOut(Out):
    """The sites a pupil does not go to."""

    model_config = example({"data": [_BAR]})

    data: list[BarOut]


# --- suspensions ------------------------------------------------------------------------------

_SUSPENSION = {
    "id": _ID,
    "employer_id": _EMPLOYER_ID,
    "suspended_at": "2026-11-22T09:30:00Z",
    "lifted_at": None,
    "private_note": "Accident on 21 November, under review.",
    **_STAMPS,
}


class SuspensionIn(Body):
    """Suspend an employer for your schools."""

    model_config = example({"employer_id": _EMPLOYER_ID, "private_note": _SUSPENSION["private_note"]})

    employer_id: UUID
    private_note: (
        Annotated[str, Field(max_length=2000, description="Never leaves your organisation.")] | None
    ) = None


class SuspensionOut(Out):
    """A suspension, as the organisation that made it sees it. Nobody else does."""

    model_config = example(_SUSPENSION)

    id: UUID
    employer_id: UUID
    suspended_at: datetime
    lifted_at: datetime | None
    private_note: str | None
    version: Version
    created_at: datetime
    updated_at: datetime


class SuspensionPage(Out):
    """A page of suspensions."""

    model_config = pull_example(_SUSPENSION)

    data: list[SuspensionOut]
    next: Next
    horizon: HorizonOut
