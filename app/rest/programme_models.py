"""Bodies and answers of programmes. Money is in whole pence (GBP)."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.rest.models import Body, Out

_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_PROGRAMME = "01a2013a-0000-7000-8000-00000000000b"
_STRAND = "01a2013a-0000-7000-8000-00000000000c"
_SCHOOL = "01a2013a-0000-7000-8000-000000000001"
_KEPT = {"version": 1, "created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}
_PART = {"id": _ID, "programme_id": _PROGRAMME}

ProgrammeState = Literal["draft", "running", "closed"]
Measure = Literal["schools", "young_people", "minutes", "share"]
OwnBudget = Literal["none", "too_little", "sufficient", "unknown"]
Pence = Annotated[int, Field(ge=0, le=10**14, description="Whole pence.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401
    return ConfigDict(json_schema_extra={"examples": [values]})


class ProgrammeIn(Body):
    """A programme to run."""

    model_config = _example(
        external_ref="ks3-pilot", name="Key Stage 3 pilot", funder="Example Careers Hub", starts_on="2026-09-01",
        ends_on="2027-07-31", budget_pence=25_000_00,
    )  # fmt: skip

    external_ref: Annotated[
        str | None, Field(min_length=1, max_length=200, description="Your own reference.")
    ] = None
    name: Name
    funder: Annotated[str | None, Field(max_length=200)] = None
    starts_on: date
    ends_on: date = Field(description="The last day.")
    budget_pence: Pence | None = None
    state: ProgrammeState = "running"


class ProgrammeChange(Body):
    """What changes of a programme; fields left out stay."""

    model_config = _example(state="closed")

    name: Name = Field(default="")
    funder: Annotated[str | None, Field(max_length=200)] = None
    starts_on: date = Field(default=date.min)
    ends_on: date = Field(default=date.max)
    budget_pence: Pence | None = None
    state: ProgrammeState = "running"


class ProgrammeOut(Out):
    """A programme. A school that takes part reads neither funder nor budget."""

    model_config = _example(
        id=_PROGRAMME, owner_id="01a2013a-0000-7000-8000-00000000000d", external_ref="ks3-pilot",
        name="Key Stage 3 pilot", funder="Example Careers Hub", starts_on="2026-09-01", ends_on="2027-07-31",
        budget_pence=25_000_00, state="running", **_KEPT,
    )  # fmt: skip

    id: UUID
    owner_id: UUID
    external_ref: str | None
    name: str
    funder: str | None
    starts_on: date
    ends_on: date
    budget_pence: int | None
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

    code: Annotated[str, Field(min_length=1, max_length=60, description="Unique in the programme.")]
    name: Name
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
    """A school that takes part."""

    model_config = _example(
        school_id=_SCHOOL, strand_id=_STRAND, joined_on="2026-09-01", own_budget="too_little"
    )

    school_id: UUID = Field(description="A school of yours.")
    strand_id: UUID | None = Field(None, description="In this strand, or in the programme as a whole.")
    state: Literal["invited", "enrolled", "left"] = "enrolled"
    joined_on: date | None = None
    own_budget: OwnBudget = Field(default="unknown", description="What the school has of its own.")


class EnrolledOut(Out):
    """A school's part."""

    model_config = _example(
        **_PART, school_id=_SCHOOL, strand_id=_STRAND, state="enrolled", joined_on="2026-09-01", left_on=None,
        own_budget="too_little", **_KEPT,
    )  # fmt: skip

    id: UUID
    programme_id: UUID
    school_id: UUID
    strand_id: UUID | None
    state: Literal["invited", "enrolled", "left"]
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
        int, Field(ge=0, le=10**12, description="Schools, people or minutes; for `share` per cent, 0 to 100.")
    ]
    strand_id: UUID | None = None
    characteristic: Annotated[
        str | None, Field(max_length=40, description="Of whom: a field group such as `sen`.")
    ] = None
    due_on: date | None = None

    @model_validator(mode="after")
    def a_share_is_at_most_all(self) -> "TargetIn":
        """A share is 0 to 100."""
        if self.measure == "share" and self.value > 100:  # noqa: PLR2004
            raise ValueError("a share is 0 to 100 per cent")
        return self


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


class AllocationIn(Body):
    """Money set aside for a school."""

    model_config = _example(school_id=_SCHOOL, amount_pence=500_00)

    school_id: UUID = Field(description="A school of yours.")
    amount_pence: Pence


class AllocationOut(Out):
    """An allocation."""

    model_config = _example(**_PART, school_id=_SCHOOL, amount_pence=500_00, **_KEPT)

    id: UUID
    programme_id: UUID
    school_id: UUID
    amount_pence: int
    version: int
    created_at: datetime
    updated_at: datetime


class AllocationPage(Out):
    """A page of allocations."""

    data: list[AllocationOut]
    next: str | None
