"""Bodies and answers of the roll."""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool

from app.rest.booking_models import NcYear
from app.rest.models import AcademicYear, BirthDay, Body, Day, HorizonOut, Line, MoreErrors, Out, Ref
from app.rules.characteristics import FreeSchoolMeals
from app.rules.words import AbsenceBand, EnrolmentKind, EnrolmentState, Sen

_PUPIL: dict[str, Any] = {
    "external_ref": "mis-48213",
    "upn": "B801200005001",
    "given_name": "Ada",
    "family_name": "Example",
    "known_as": None,
    "date_of_birth": "2014-03-09",
    "nc_year": "8",
    "kind": "main",
    "starts_on": "2025-09-01",
    "characteristics": {"sen": {"value": "K", "valid_from": "2026-09-01"}},
}
_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"


def _example(values: Any) -> ConfigDict:  # noqa: ANN401
    return ConfigDict(json_schema_extra={"examples": [values]})


Value = TypeVar("Value")


class DatedIn(Body, Generic[Value]):
    """A characteristic, and since when it is so."""

    value: Value
    valid_from: Day | None = Field(None, description="The first day on which it is true; today, if left out.")


class DatedOut(Out, Generic[Value]):
    """A characteristic, and since when it is so."""

    value: Value
    valid_from: date = Field(description="The first day on which it is true.")


class CharacteristicsIn(Body):
    """Each its own field group: off until granted, refused by name."""

    sen: DatedIn[Sen] | None = Field(
        None, description="N, K (support) or E (education, health and care plan)."
    )
    free_school_meals: DatedIn[FreeSchoolMeals] | None = Field(
        None, description="Now, in the last six years, or neither."
    )
    pupil_premium: DatedIn[StrictBool] | None = Field(None, description="Yes or no.")
    eal: DatedIn[StrictBool] | None = Field(None, description="Yes or no.")
    looked_after: DatedIn[StrictBool] | None = Field(None, description="Yes or no.")
    service_child: DatedIn[StrictBool] | None = Field(None, description="Yes or no.")
    young_carer: DatedIn[StrictBool] | None = Field(None, description="Yes or no.")
    attendance: DatedIn[AbsenceBand] | None = Field(
        None, description="Sessions missed: persistent 10 %, severe 50 % up."
    )
    behaviour: DatedIn[StrictBool] | None = Field(None, description="The school's own flag.")


class CharacteristicsOut(Out):
    """Those that scope and grant open; others are absent."""

    sen: DatedOut[Sen] | None = None
    free_school_meals: DatedOut[FreeSchoolMeals] | None = None
    pupil_premium: DatedOut[bool] | None = None
    eal: DatedOut[bool] | None = None
    looked_after: DatedOut[bool] | None = None
    service_child: DatedOut[bool] | None = None
    young_carer: DatedOut[bool] | None = None
    attendance: DatedOut[AbsenceBand] | None = None
    behaviour: DatedOut[bool] | None = None


Upn = Annotated[
    Line,
    Field(
        max_length=30,
        description="Checked by its letter; a temporary one is taken. Answered on request only.",
    ),
]
Given = Annotated[Line, Field(min_length=1, max_length=100)]
AccessNeeds = Annotated[
    str, Field(max_length=2000, description="What the pupil needs on site. Field group `access_needs`.")
]
Year = Annotated[AcademicYear, Field(description="That of `nc_year`: 2026 is 2026/27. Today's, if left out.")]
Correction = Annotated[
    StrictBool,
    Field(
        description="It is the same pupil, and what we held was wrong. Needed where number, names and date of birth "
        "contradict the pupil we hold (`identity_conflict`); written down for the school."
    ),
]
LastDay = Annotated[
    Day, Field(description="The last day on the roll; from the day after the pupil has left.")
]


class PupilIn(Body):
    """One pupil of a bulk. Fields left out stay as they are; null empties those that may be empty."""

    model_config = _example(_PUPIL)

    external_ref: Annotated[Ref, Field(description="Your own: it says who is meant.")]
    upn: Upn | None = None
    former_upn: Upn | None = Field(None, description="Matches within this school only.")
    given_name: Given
    family_name: Given
    known_as: Given | None = None
    date_of_birth: BirthDay
    nc_year: NcYear = Field(description="As the MIS has it; never counted up by us.")
    academic_year: Year | None = None
    kind: EnrolmentKind = Field(default=EnrolmentKind.MAIN)
    starts_on: Day | None = Field(
        None, description="The first day on the roll; today for a new pupil, if left out."
    )
    ends_on: LastDay | None = None
    identity_protected: StrictBool = Field(
        default=False, description="Adopted or at risk: never matched to or moved from another school."
    )
    correction: Correction = False
    access_needs: AccessNeeds | None = None
    characteristics: CharacteristicsIn | None = Field(
        None, description="Each its own field group, off until granted."
    )


class PupilChange(Body):
    """What changes of one pupil."""

    model_config = _example({"known_as": "Addie", "nc_year": "9"})

    upn: Upn | None = None
    former_upn: Upn | None = None
    given_name: Given | None = None
    family_name: Given | None = None
    known_as: Given | None = None
    date_of_birth: BirthDay | None = None
    nc_year: NcYear | None = None
    academic_year: Year | None = None
    kind: EnrolmentKind | None = None
    starts_on: Day | None = None
    ends_on: LastDay | None = None
    identity_protected: StrictBool | None = None
    correction: Correction = False
    access_needs: AccessNeeds | None = None
    characteristics: CharacteristicsIn | None = None


class BulkIn(Body):
    """Up to 500 pupils."""

    model_config = _example({"pupils": [_PUPIL]})

    pupils: list[PupilIn] = Field(min_length=1, max_length=500)


class PupilOut(Out):
    """A pupil: the field groups that your scopes and the controller's grant open; others are absent."""

    model_config = _example(
        {
            "id": _ID,
            "school_id": "01a2013a-0000-7000-8000-000000000001",
            "external_ref": "mis-48213",
            "state": "active",
            "version": 3,
            "created_at": "2026-09-02T06:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "given_name": "Ada",
            "family_name": "Example",
            "known_as": None,
            "date_of_birth": "2014-03-09",
            "identity_protected": False,
            "kind": "main",
            "starts_on": "2025-09-01",
            "ends_on": None,
            "academic_year": 2026,
            "nc_year": "8",
            "characteristics": {"sen": {"value": "K", "valid_from": "2026-09-01"}},
        }
    )

    id: UUID
    school_id: UUID
    external_ref: str | None = Field(description="Your own reference, and nobody else's.")
    state: EnrolmentState = Field(
        description="`claimed`: the pupil has a main enrolment elsewhere that still runs."
    )
    version: int
    created_at: datetime
    updated_at: datetime = Field(description="Wall time, UTC; what `updated_after` is compared with.")
    given_name: str = Field(default="")
    family_name: str = Field(default="")
    known_as: str | None = None
    date_of_birth: date | None = None
    identity_protected: bool = False
    upn: str | None = Field(None, description="With `include=upn` only.")
    kind: EnrolmentKind = EnrolmentKind.MAIN
    starts_on: date | None = None
    ends_on: date | None = None
    academic_year: int | None = None
    nc_year: NcYear | None = Field(None, description="In that academic year; null if none was sent for it.")
    access_needs: str | None = None
    characteristics: CharacteristicsOut


class PupilPage(Out):
    """A page of pupils."""

    data: list[PupilOut]
    next: str | None
    horizon: HorizonOut


_CORRECTION: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c31",
    "school_id": "01a2013a-0000-7000-8000-000000000001",
    "pupil_id": _ID,
    "by_org_id": "01a2013a-0000-7000-8000-000000000007",
    "client_id": "01a2013a-0000-7000-8000-000000000009",
    "fields": ["upn", "family_name"],
    "has_encounters": False,
    "corrected_at": "2026-11-22T09:30:00Z",
}


class IdentityCorrectionOut(Out):
    """Who a pupil is was corrected, against what contradicted it."""

    model_config = _example(_CORRECTION)

    id: UUID
    school_id: UUID
    pupil_id: UUID
    by_org_id: UUID = Field(description="Who corrected it.")
    client_id: UUID = Field(description="With which client.")
    fields: list[str] = Field(description="What was changed, by name; never the values.")
    has_encounters: bool = Field(description="Whether the pupil had encounters then: they stay this pupil's.")
    corrected_at: datetime


class IdentityCorrectionPage(Out):
    """A page of corrections of identity."""

    model_config = _example({"data": [_CORRECTION], "next": None})

    data: list[IdentityCorrectionOut]
    next: str | None


class RowFault(Out):
    """What is wrong with one field of a row."""

    pointer: str = Field(
        description="JSON pointer into the body; in NDJSON the line takes the place of the index."
    )
    code: str
    detail: str


class RowOut(Out):
    """What became of one row."""

    index: int = Field(description="Its place in the request, from 0.")
    external_ref: str | None
    pupil_id: UUID | None
    status: Literal["created", "updated", "unchanged", "refused"]
    state: EnrolmentState | None
    errors: list[RowFault]


class BulkOut(Out):
    """The answer to a bulk, row by row."""

    model_config = _example(
        {
            "created": 1, "updated": 0, "unchanged": 0, "refused": 1, "more_errors": 0,
            "data": [
                {
                    "index": 0, "external_ref": "mis-48213", "pupil_id": _ID, "status": "created", "state": "active",
                    "errors": [],
                },
                {
                    "index": 1, "external_ref": "mis-48214", "pupil_id": None, "status": "refused", "state": None,
                    "errors": [{"pointer": "/pupils/1/date_of_birth", "code": "required", "detail": "Field required"}],
                },
            ],
        }
    )  # fmt: skip

    created: int
    updated: int
    unchanged: int
    refused: int
    more_errors: MoreErrors
    data: list[RowOut]
