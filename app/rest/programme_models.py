"""Bodies and answers of programmes. Money is in whole pence (GBP)."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictInt

from app.core.errors import invalid
from app.rest.models import Body, Day, Line, Out, Ref

_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_PROGRAMME = "01a2013a-0000-7000-8000-00000000000b"
_STRAND = "01a2013a-0000-7000-8000-00000000000c"
_SCHOOL = "01a2013a-0000-7000-8000-000000000001"
_KEPT = {"version": 1, "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}
_PART = {"id": _ID, "programme_id": _PROGRAMME}

ProgrammeState = Literal["draft", "running", "closed"]
Measure = Literal["schools", "young_people", "minutes", "share"]
SchoolState = Literal["invited", "enrolled", "left"]
OwnBudget = Literal["none", "too_little", "sufficient", "unknown"]
Pence = Annotated[StrictInt, Field(ge=0, le=10**14, description="Whole pence.")]
Currency = Annotated[Line, Field(max_length=10, description="GBP; no other is taken.")]
Name = Annotated[Line, Field(min_length=1, max_length=200)]


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401
    return ConfigDict(json_schema_extra={"examples": [values]})


class MoneyBody(Body):
    """A body with money in it: in pounds sterling, or refused."""

    currency: Currency = "GBP"

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent. Invalid `unsupported_currency`."""
        fields = super().given()
        if fields.pop("currency", "GBP") != "GBP":
            raise invalid("/currency", "unsupported_currency", "Money is in pounds sterling (GBP).")
        return fields


class ProgrammeIn(MoneyBody):
    """A programme to run."""

    model_config = _example(
        external_ref="ks3-pilot", name="Key Stage 3 pilot", funder="Example Careers Hub", starts_on="2026-09-01",
        ends_on="2027-07-31", budget_pence=25_000_00,
    )  # fmt: skip

    external_ref: Annotated[Ref | None, Field(description="Your own reference.")] = None
    name: Name
    funder: Annotated[Line | None, Field(max_length=200)] = None
    starts_on: Day
    ends_on: Day = Field(description="The last day.")
    budget_pence: Pence | None = None
    state: ProgrammeState = "running"


class ProgrammeChange(MoneyBody):
    """What changes of a programme; fields left out stay."""

    model_config = _example(state="closed")

    name: Name = Field(default="")
    funder: Annotated[Line | None, Field(max_length=200)] = None
    starts_on: Day = Field(default=date.min)
    ends_on: Day = Field(default=date.max)
    budget_pence: Pence | None = None
    state: ProgrammeState = "running"


class ProgrammeOut(Out):
    """A programme. A school that takes part reads neither funder nor budget."""

    model_config = _example(
        id=_PROGRAMME, owner_id="01a2013a-0000-7000-8000-00000000000d", external_ref="ks3-pilot",
        name="Key Stage 3 pilot", funder="Example Careers Hub", starts_on="2026-09-01", ends_on="2027-07-31",
        budget_pence=25_000_00, currency="GBP", state="running", **_KEPT,
    )  # fmt: skip

    id: UUID
    owner_id: UUID
    external_ref: str | None
    name: str
    funder: str | None
    starts_on: date
    ends_on: date
    budget_pence: int | None
    currency: Literal["GBP"]
    state: ProgrammeState
    version: int
    created_at: datetime
    updated_at: datetime


class ProgrammePage(Out):
    """A page of programmes."""

    data: list[ProgrammeOut]
    next: str | None


class StrandIn(Body):
    """A model under test."""

    model_config = _example(
        code="group-tour", name="Two-hour group tours", model="Ten to thirty pupils, several employees."
    )

    code: Annotated[Line, Field(min_length=1, max_length=60, description="Unique in the programme.")]
    name: Name
    model: Annotated[str | None, Field(max_length=2000, description="What is tried, in words.")] = None


class StrandChange(Body):
    """What changes of a strand; its code stays."""

    model_config = _example(name="Group tours of two hours")

    name: Name = Field(default="")
    model: Annotated[str | None, Field(max_length=2000, description="What is tried, in words.")] = None


class StrandOut(Out):
    """A strand."""

    model_config = _example(
        **_PART,
        code="group-tour",
        name="Two-hour group tours",
        model="Ten to thirty pupils.",
        removed_at=None,
        **_KEPT,
    )

    id: UUID
    programme_id: UUID
    code: str
    name: str
    model: str | None
    removed_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class StrandPage(Out):
    """A page of strands."""

    data: list[StrandOut]
    next: str | None


class EnrolledIn(Body):
    """A school to enrol or to invite."""

    model_config = _example(
        school_id=_SCHOOL, strand_id=_STRAND, joined_on="2026-09-01", own_budget="too_little"
    )

    school_id: UUID | None = Field(None, description="A member of yours to enrol; any school to invite.")
    urn: Annotated[
        str | None, Field(pattern=r"^[0-9]{6}$", description="Its URN, instead of `school_id`.")
    ] = None
    strand_id: UUID | None = Field(None, description="In this strand, or in the programme as a whole.")
    state: Literal["invited", "enrolled"] = Field(
        "enrolled", description="`invited`: the school accepts or declines."
    )
    joined_on: Day | None = Field(None, description="Today, if left out.")
    own_budget: OwnBudget = Field(default="unknown", description="What the school has of its own.")

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent; a URN stands for the school. Invalid `one_of`."""
        fields = super().given()
        urn, school = fields.pop("urn", None), fields.get("school_id")
        if (urn is None) == (school is None):
            raise invalid("/school_id", "one_of", "Give school_id or urn, one of the two.")
        return {**fields, "school_id": school or urn}


class EnrolledChange(Body):
    """What changes of a school's part."""

    model_config = _example(own_budget="none")

    joined_on: Day = Field(default=date.min)
    own_budget: OwnBudget = Field(default="unknown", description="What the school has of its own.")


class LeaveIn(Body):
    """The day on which a school leaves."""

    model_config = _example(left_on="2027-03-31")

    left_on: Day | None = Field(None, description="Today, if left out.")


class EnrolledOut(Out):
    """A school's part. One that declined has `left` without ever having joined."""

    model_config = _example(
        **_PART, school_id=_SCHOOL, strand_id=_STRAND, state="enrolled", joined_on="2026-09-01", left_on=None,
        own_budget="too_little", **_KEPT,
    )  # fmt: skip

    id: UUID
    programme_id: UUID
    school_id: UUID
    strand_id: UUID | None
    state: SchoolState
    joined_on: date | None
    left_on: date | None
    own_budget: OwnBudget
    version: int
    created_at: datetime
    updated_at: datetime


class EnrolledPage(Out):
    """A page of schools."""

    data: list[EnrolledOut]
    next: str | None


class TargetIn(Body):
    """What is to be reached."""

    model_config = _example(measure="young_people", value=2000, due_on="2027-07-31")

    measure: Measure
    value: Annotated[
        StrictInt,
        Field(ge=0, le=10**12, description="Schools, people or minutes; for `share` per cent, 0 to 100."),
    ]
    strand_id: UUID | None = None
    characteristic: Annotated[
        str | None,
        Field(
            max_length=40,
            description="Of whom: a field group such as `sen`, or a value such as `sen:K`. A `share` needs it, "
            "`young_people` may have it, `schools` and `minutes` have none.",
        ),
    ] = None
    due_on: Day | None = None


class TargetChange(Body):
    """What changes of a target. What it measures stays: remove it and set another."""

    model_config = _example(value=2500)

    value: Annotated[StrictInt, Field(ge=0, le=10**12)] = 0
    due_on: Day | None = None


class TargetOut(Out):
    """A target."""

    model_config = _example(
        **_PART,
        strand_id=None,
        measure="young_people",
        value=2000,
        characteristic=None,
        due_on="2027-07-31",
        **_KEPT,
    )

    id: UUID
    programme_id: UUID
    strand_id: UUID | None
    measure: Measure
    value: int
    characteristic: str | None
    due_on: date | None
    version: int
    created_at: datetime
    updated_at: datetime


class TargetPage(Out):
    """A page of targets."""

    data: list[TargetOut]
    next: str | None


class AllocationIn(MoneyBody):
    """Money set aside for a school."""

    model_config = _example(school_id=_SCHOOL, amount_pence=500_00)

    school_id: UUID = Field(description="A school that takes part or is invited.")
    amount_pence: Pence


class AllocationChange(MoneyBody):
    """Another amount."""

    model_config = _example(amount_pence=600_00)

    amount_pence: Pence


class AllocationOut(Out):
    """An allocation."""

    model_config = _example(**_PART, school_id=_SCHOOL, amount_pence=500_00, currency="GBP", **_KEPT)

    id: UUID
    programme_id: UUID
    school_id: UUID
    amount_pence: int
    currency: Literal["GBP"]
    version: int
    created_at: datetime
    updated_at: datetime


class AllocationPage(Out):
    """A page of allocations."""

    data: list[AllocationOut]
    next: str | None
