"""Bodies and answers about encounters."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from app.rest.attendance_models import FaultOut
from app.rest.models import HORIZON, Body, Day, HorizonOut, Line, MoreErrors, Out, Ref, Text
from app.rules.words import ActivityBand, Criterion, ExperienceKind, Mode

_PUPIL = "01a2013a-0000-7000-8000-00000000000a"
_SCHOOL = "01a2013a-0000-7000-8000-000000000001"
_ENCOUNTER: dict[str, Any] = {
    "id": "01a2013a-0000-7000-8000-00000000000e",
    "school_id": _SCHOOL,
    "pupil_id": _PUPIL,
    "booking_id": None,
    "participation_id": None,
    "employer_id": None,
    "employer_name": "Stevenage Bakery",
    "title": "Morning at the bakery",
    "kind": "workplace_visit",
    "mode": "in_person",
    "activity_band": "low",
    "starts_on": "2026-11-10",
    "ends_on": "2026-11-10",
    "academic_year": 2026,
    "nc_year": "8",
    "minutes": 150,
    "in_person_minutes": 150,
    "virtual_minutes": 0,
    "days": 1,
    "per_day": [{"on": "2026-11-10", "in_person_minutes": 150, "virtual_minutes": 0}],
    "criteria_offered": [],
    "criteria_confirmed": ["clear_shared_purpose", "reflection"],
    "bm5_offered": False,
    "bm5": False,
    "bm6_offered": False,
    "bm6": False,
    "evidence": {"form": "2026-88"},
    "state": "credited",
    "version": 1,
    "recorded_at": "2026-11-22T09:30:00Z",
    "updated_at": "2026-11-22T09:30:00Z",
}

Minutes = Annotated[StrictInt, Field(ge=0, le=1440, description="Whole minutes.")]


class DayIn(Body):
    """Minutes of one school day."""

    on: Day = Field(description="The date in London.")
    in_person_minutes: Minutes = 0
    virtual_minutes: Minutes = 0


PerDay = Annotated[
    list[DayIn],
    Field(min_length=1, max_length=60, description="Minutes by school day, within one academic year."),
]
Criteria = Annotated[list[Criterion], Field(max_length=8)]


class EncounterRow(Body):
    """One encounter without a booking."""

    pupil_id: UUID | None = Field(None, description="Our id of the pupil.")
    pupil_external_ref: Annotated[
        Ref | None, Field(description="Your own reference of the pupil, instead of `pupil_id`.")
    ] = None
    external_ref: Annotated[
        Ref | None, Field(description="Your own reference of the encounter; unique in the school.")
    ] = None
    kind: ExperienceKind = Field(description="What it was. A placement has to be lawful at the pupil's age.")
    mode: Mode = Field(Mode.IN_PERSON, description="Where it took place; a hybrid has both kinds of minutes.")
    employer_id: UUID | None = Field(None, description="An employer known here.")
    employer_name: Annotated[
        Line | None,
        Field(min_length=1, max_length=200, description="Or its name, where it is not known here."),
    ] = None
    title: Annotated[Line | None, Field(max_length=200, description="What it is called.")] = None
    activity_band: ActivityBand = Field(ActivityBand.LOW, description="How risky the activity was.")
    per_day: PerDay
    criteria_offered: Criteria = Field([], description="What the employer had stated.")
    criteria_confirmed: Criteria = Field([], description="What the school confirms, reflection included.")
    evidence: dict[str, Any] | None = Field(
        None,
        description="Whatever you hold as evidence, as JSON of at most 10,000 bytes; for the school and its trust to read.",
    )


_ROW: dict[str, Any] = {
    "pupil_external_ref": "A1042",
    "external_ref": "visit-2026-88",
    "kind": "workplace_visit",
    "employer_name": "Stevenage Bakery",
    "per_day": [{"on": "2026-11-10", "in_person_minutes": 150}],
    "criteria_confirmed": ["clear_shared_purpose", "reflection"],
    "evidence": {"form": "2026-88"},
}


class EncounterIn(EncounterRow):
    """One encounter without a booking, and the school that had it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"school_id": _SCHOOL, **_ROW}]})

    school_id: UUID = Field(description="The school it is for. A vendor or a trust names one it acts for.")


class EncountersIn(Body):
    """Up to 500 encounters."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"encounters": [_ROW]}]})

    encounters: Annotated[list[EncounterRow], Field(min_length=1, max_length=500)]


class CorrectionIn(Body):
    """What it should say instead. What you leave out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reason": "It ended an hour earlier.",
                    "per_day": [{"on": "2026-11-10", "in_person_minutes": 90}],
                }
            ]
        }
    )

    reason: Annotated[
        Text, Field(min_length=1, max_length=1000, description="Kept with what it said before.")
    ]
    void: StrictBool = Field(default=False, description="It did not take place: its minutes are taken back.")
    per_day: PerDay | None = None
    kind: ExperienceKind | None = Field(None, description="What it was.")
    mode: Mode | None = Field(None, description="Where it took place.")
    title: Annotated[Line | None, Field(max_length=200, description="What it is called.")] = None
    employer_name: Annotated[
        Line | None, Field(min_length=1, max_length=200, description="The employer's name.")
    ] = None
    criteria_confirmed: Criteria | None = Field(None, description="What the school confirms.")
    evidence: dict[str, Any] | None = Field(None, description="JSON of at most 10,000 bytes.")


class CriteriaIn(Body):
    """The criteria that were met."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "criteria": [
                        "clear_shared_purpose",
                        "learning_outcomes",
                        "two_way_interaction",
                        "reflection",
                    ]
                }
            ]
        }
    )

    criteria: Criteria = Field(description="All that were met; an empty list takes a confirmation back.")


class BookingCriteriaIn(CriteriaIn):
    """The criteria that were met, by all pupils of a booking or by some."""

    participation_ids: Annotated[
        list[UUID] | None, Field(min_length=1, max_length=500, description="Only these; all, if left out.")
    ] = None


class ConfirmedOut(Out):
    """What a confirmation changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"booking_id": "01a2013a-9643-713b-a2d5-339b6a0a0c26", "encounters_changed": 24}]
        }
    )

    booking_id: UUID
    encounters_changed: int = Field(
        description="Encounters that say something else now; before the visit is settled it is kept for then."
    )


class DayOut(Out):
    """Minutes of one school day."""

    on: date
    in_person_minutes: int
    virtual_minutes: int


class EncounterOut(Out):
    """One pupil's experience as a whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENCOUNTER]})

    id: UUID
    school_id: UUID
    pupil_id: UUID
    booking_id: UUID | None
    participation_id: UUID | None
    employer_id: UUID | None
    employer_name: str | None
    title: str | None
    kind: ExperienceKind
    mode: Mode
    activity_band: ActivityBand
    starts_on: date
    ends_on: date
    academic_year: int = Field(description="2026 is 2026/27.")
    nc_year: str = Field(description="The pupil's NC year on the date.")
    minutes: int = Field(description="As attended, before any daily cap.")
    in_person_minutes: int
    virtual_minutes: int
    days: int = Field(description="Calendar days with minutes.")
    per_day: list[DayOut]
    criteria_offered: list[Criterion]
    criteria_confirmed: list[Criterion]
    bm5_offered: bool
    bm5: bool = Field(description="Confirmed by the school.")
    bm6_offered: bool
    bm6: bool = Field(description="Confirmed by the school.")
    evidence: dict[str, Any] | None = Field(description="Null to a vendor that reads it.")
    state: Literal["credited", "reversed"]
    version: int
    recorded_at: datetime
    updated_at: datetime


class VersionOut(Out):
    """What it said before a correction."""

    version: int
    reason: str | None
    client_id: UUID
    recorded_at: datetime = Field(description="When it was corrected (wall time, UTC).")
    was: EncounterOut


class EncounterWithVersions(EncounterOut):
    """An encounter with what it said before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_ENCOUNTER, "versions": []}]})

    versions: list[VersionOut]


class EncounterPage(Out):
    """A page of encounters."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_ENCOUNTER], "next": None, "horizon": HORIZON}]}
    )

    data: list[EncounterOut]
    next: str | None = Field(description="Send it as `after`; null on the last page.")
    horizon: HorizonOut


class EncounterAnswer(Out):
    """What became of one row."""

    index: int
    external_ref: str | None
    result: Literal["recorded", "refused"]
    id: UUID | None
    errors: list[FaultOut]


class EncounterAnswers(Out):
    """The answer, row by row. Good rows are kept unless `atomic=true`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recorded": 1,
                    "refused": 0,
                    "more_errors": 0,
                    "data": [
                        {
                            "index": 0,
                            "external_ref": "visit-2026-88",
                            "result": "recorded",
                            "id": _ENCOUNTER["id"],
                            "errors": [],
                        }
                    ],
                }
            ]
        }
    )

    recorded: int
    refused: int
    more_errors: MoreErrors
    data: list[EncounterAnswer]
