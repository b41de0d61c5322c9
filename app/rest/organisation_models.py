"""Bodies and answers of organisations, memberships, agreements and grants."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, model_validator

from app.rest.models import Body, Day, HorizonOut, Line, Out
from app.rules.words import FieldGroup, OrganisationKind

_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_SCHOOL = "01a2013a-0000-7000-8000-000000000001"
_TRUST = "01a2013a-0000-7000-8000-000000000006"
_VENDOR = "01a2013a-0000-7000-8000-000000000007"
_KEPT = {"version": 1, "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401
    return ConfigDict(json_schema_extra={"examples": [values]})


Name = Annotated[Line, Field(min_length=1, max_length=200, description="As people know it.")]
Urn = Annotated[Line, Field(max_length=20, description="Six digits; a school's only.")]
Laestab = Annotated[Line, Field(max_length=20, description="Seven digits, `919/4001` too; a school's only.")]
Company = Annotated[
    Line, Field(max_length=20, description="Companies House number; zeros are added. Never a school's.")
]
Region = Annotated[Line, Field(max_length=100, description="Free text.")]


class OrganisationIn(Body):
    """An organisation to register."""

    model_config = _example(kind="employer", name="Stevenage Instruments Ltd", companies_house="1234567")

    kind: OrganisationKind = Field(
        description="A hub registers employers and schools, the national body others too."
    )
    name: Name
    urn: Urn | None = None
    laestab: Laestab | None = None
    companies_house: Company | None = None
    region: Region | None = None
    predecessor_id: UUID | None = Field(
        None, description="Whom it follows, as when a school becomes an academy."
    )


class OrganisationChange(Body):
    """What changes of an organisation; fields left out stay."""

    model_config = _example(name="Stevenage Instruments and Sensors Ltd")

    name: Name = Field(default="")
    urn: Urn | None = Field(None, description="The registrar's to change.")
    laestab: Laestab | None = None
    companies_house: Company | None = None
    region: Region | None = None


class OrganisationOut(Out):
    """An organisation."""

    model_config = _example(
        id=_SCHOOL, kind="school", name="Example Academy", urn="900001", laestab="9194001", companies_house=None,
        region="East of England", status="active", predecessor_id=None, **_KEPT,
    )  # fmt: skip

    id: UUID
    kind: OrganisationKind
    name: str
    urn: str | None
    laestab: str | None
    companies_house: str | None
    region: str | None
    status: Literal["active", "closed"]
    predecessor_id: UUID | None
    version: int = Field(description='The ETag is `"v<version>"`.')
    created_at: datetime
    updated_at: datetime


class OrganisationPage(Out):
    """A page of organisations."""

    data: list[OrganisationOut]
    next: str | None = Field(description="The cursor of the next page.")
    horizon: HorizonOut


class MembershipIn(Body):
    """A member that joins; the parent is you."""

    model_config = _example(member_urn="900001", starts_on="2026-09-01")

    member_id: UUID | None = Field(None, description="The member, by our id; or give `member_urn`.")
    member_urn: Annotated[str, Field(pattern=r"^[1-9][0-9]{5}$")] | None = Field(
        None, description="A school, by its URN."
    )
    parent_id: UUID | None = Field(
        None, description="You, if left out. Only the national body names another."
    )
    starts_on: Day = Field(description="The first day.")
    ends_on: Day | None = Field(None, description="The first day on which it no longer runs.")

    @model_validator(mode="after")
    def one_member(self) -> "MembershipIn":
        """Exactly one of the two ways to name the member."""
        if (self.member_id is None) == (self.member_urn is None):
            raise ValueError("name the member by member_id or by member_urn")
        return self


class MembershipEnd(Body):
    """When a membership ends."""

    model_config = _example(ends_on="2027-09-01")

    ends_on: Day = Field(description="The first day on which it no longer runs.")


class MembershipOut(Out):
    """A dated membership."""

    model_config = _example(
        id=_ID,
        member_id=_SCHOOL,
        parent_id=_TRUST,
        kind="trust",
        starts_on="2026-09-01",
        ends_on=None,
        **_KEPT,
    )

    id: UUID
    member_id: UUID
    parent_id: UUID
    kind: Literal["hub", "trust", "authority", "national"] = Field(description="The kind of the parent.")
    starts_on: date
    ends_on: date | None = Field(description="The first day on which it no longer runs.")
    version: int
    created_at: datetime
    updated_at: datetime


class MembershipPage(Out):
    """A page of memberships."""

    data: list[MembershipOut]
    next: str | None
    horizon: HorizonOut


class AgreementIn(Body):
    """What the controller signed."""

    model_config = _example(
        agreement_version="2026-1", signed_on="2026-09-01", signatory_role="Chief executive",
        lawful_basis="public task (UK GDPR article 6(1)(e))", processors=["Example MIS Ltd"], except_school_ids=[],
    )  # fmt: skip

    agreement_version: Annotated[Line, Field(min_length=1, max_length=40)] = Field(
        description="Which text was signed."
    )
    signed_on: Day = Field(description="Not in the future.")
    signatory_role: Annotated[Line, Field(min_length=1, max_length=120)] = Field(
        description="A role, not a name."
    )
    lawful_basis: Annotated[Line, Field(min_length=1, max_length=120)]
    processors: list[Annotated[Line, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list, max_length=100, description="Who processes for you."
    )
    except_school_ids: list[UUID] = Field(
        default_factory=list, max_length=500, description="Academies that it does not cover."
    )


class AgreementOut(Out):
    """A controller's agreement."""

    model_config = _example(
        id=_ID, controller_id=_TRUST, agreement_version="2026-1", signed_on="2026-09-01", signatory_role="Chief executive",
        lawful_basis="public task (UK GDPR article 6(1)(e))", processors=["Example MIS Ltd"], except_school_ids=[],
        ended_at=None, **_KEPT,
    )  # fmt: skip

    id: UUID
    controller_id: UUID
    agreement_version: str
    signed_on: date
    signatory_role: str
    lawful_basis: str
    processors: list[str]
    except_school_ids: list[UUID]
    ended_at: datetime | None = Field(description="Domain time, UTC.")
    version: int
    created_at: datetime
    updated_at: datetime


class AgreementPage(Out):
    """A page of agreements."""

    data: list[AgreementOut]
    next: str | None
    horizon: HorizonOut


class GrantIn(Body):
    """Field groups opened to another organisation."""

    model_config = _example(
        grantee_id=_VENDOR,
        field_groups=["identity", "enrolment", "sen"],
        school_id=None,
        except_school_ids=[],
        write=True,
    )

    grantee_id: UUID = Field(description="A vendor, a hub, a trust or an authority. Never an employer.")
    field_groups: Annotated[
        list[FieldGroup], Field(min_length=1, max_length=12, description="Every other is closed.")
    ]
    school_id: UUID | None = Field(
        None, description="One school only; left out: all of yours but the carved out."
    )
    except_school_ids: list[UUID] = Field(
        default_factory=list, max_length=500, description="Academies carved out."
    )
    write: StrictBool = Field(
        default=True, description="Whether the grantee may send these field groups, too."
    )
    starts_on: Day | None = Field(None, description="Today, if left out.")


class GrantOut(Out):
    """A grant."""

    model_config = _example(
        id=_ID, grantor_id=_TRUST, grantee_id=_VENDOR, school_id=None, except_school_ids=[],
        field_groups=["identity", "enrolment", "sen"], write=True, starts_on="2026-09-01", revoked_at=None, **_KEPT,
    )  # fmt: skip

    id: UUID
    grantor_id: UUID
    grantee_id: UUID
    school_id: UUID | None
    except_school_ids: list[UUID]
    field_groups: list[FieldGroup]
    write: bool
    starts_on: date
    revoked_at: datetime | None = Field(description="Domain time, UTC.")
    version: int
    created_at: datetime
    updated_at: datetime


class GrantPage(Out):
    """A page of grants."""

    data: list[GrantOut]
    next: str | None
    horizon: HorizonOut
