"""Bodies and answers of the day itself: arrivals, attendance, no-shows."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, SkipValidation, StrictBool

from app.rest.models import HORIZON, Body, HorizonOut, Moment, MoreErrors, Out
from app.rules.words import AttendanceStatus, BookingReason, BookingState, NoShowResolution, Reporter

_PART = "01a2013a-0000-7000-8000-000000000009"
_OTHER = "01a2013a-0000-7000-8000-00000000000c"
_SITTING = "01a2013a-0000-7000-8000-00000000000b"
_BOOKING = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_NO_SHOW = "01a2013a-0000-7000-8000-00000000000d"

ReportStatus = Literal["present", "late", "left_early", "no_show", "excused"]


class ArrivalIn(Body):
    """One pupil who is there."""

    participation_id: UUID = Field(description="As listed among the booking's participants.")
    arrived_at: Moment | None = Field(None, description="When (UTC or with an offset); now, if left out.")


class ArrivalsIn(Body):
    """Who is there and who is missing. Those you do not name stay expected."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sitting_id": _SITTING,
                    "arrivals": [{"participation_id": _PART, "arrived_at": "2027-01-12T09:58:00Z"}],
                    "missing": [_OTHER],
                }
            ]
        }
    )

    sitting_id: UUID | None = Field(None, description="The sitting; the one under way, if left out.")
    arrivals: list[SkipValidation[ArrivalIn]] = Field([], max_length=500, description="Who is there.")
    missing: list[SkipValidation[UUID]] = Field(
        [],
        max_length=500,
        description="Participations of pupils who are not there: told to the school at once.",
    )


class ReportIn(Body):
    """How it went for one pupil."""

    participation_id: UUID = Field(description="As listed among the booking's participants.")
    status: ReportStatus = Field(description="`excused` is the school's to say.")
    arrived_at: Moment | None = Field(
        None, description="Needed for `late`, unless the arrival was reported when it happened."
    )
    left_at: Moment | None = Field(None, description="Needed for `left_early`.")
    decides: StrictBool = Field(
        default=False, description="School only: this settles it, whatever was said before by either side."
    )


class AttendanceIn(Body):
    """How a sitting went."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sitting_id": _SITTING,
                    "reports": [
                        {"participation_id": _PART, "status": "present"},
                        {
                            "participation_id": _OTHER,
                            "status": "late",
                            "arrived_at": "2027-01-12T10:20:00Z",
                        },
                    ],
                }
            ]
        }
    )

    sitting_id: UUID = Field(description="The sitting.")
    reports: Annotated[
        list[SkipValidation[ReportIn]], Field(min_length=1, max_length=500, description="Pupil by pupil.")
    ]


class CloseIn(Body):
    """A sitting that did not take place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason_code": "weather"}]})

    reason_code: BookingReason | None = Field(
        None, description="Why: a reason of your side for cancelling. An employer gives one."
    )


class ResolveIn(Body):
    """Where the pupil is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"resolution": "in_school", "note": "Was in the sick room."}]}
    )

    resolution: NoShowResolution = Field(
        description="An employer may say `located` only, with `arrived_at`; the school then still resolves it."
    )
    note: Annotated[
        str | None, Field(max_length=2000, description="The school's own; no employer ever reads it.")
    ] = None
    arrived_at: Moment | None = Field(None, description="When the pupil turned up: an employer's `located`.")


class FaultOut(Out):
    """What is wrong with a row."""

    pointer: str = Field(description="JSON pointer into your request.")
    code: str
    detail: str


_RECORDED: dict[str, Any] = {
    "participation_id": _PART,
    "result": "recorded",
    "status": "present",
    "minutes": 120,
    "disputed": False,
    "errors": [],
}


class RowOut(Out):
    """What became of one row, in the order sent."""

    participation_id: UUID | None = Field(description="Null where the row did not say it.")
    result: Literal["recorded", "refused"]
    status: AttendanceStatus | None = Field(description="What is held true of the pupil now.")
    minutes: int | None = Field(description="Whole minutes, once there is an outcome.")
    disputed: bool = Field(description="The two sides contradict each other: the school decides.")
    errors: list[FaultOut]


class ReportedOut(Out):
    """The answer, row by row. Good rows are kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "booking_id": _BOOKING,
                    "sitting_id": _SITTING,
                    "booking_state": "completed",
                    "recorded": 1,
                    "refused": 0,
                    "more_errors": 0,
                    "data": [_RECORDED],
                }
            ]
        }
    )

    booking_id: UUID
    sitting_id: UUID
    booking_state: BookingState = Field(
        description="`completed` once everything has an outcome: minutes are credited then."
    )
    recorded: int
    refused: int
    more_errors: MoreErrors
    data: list[RowOut]


class SaidOut(Out):
    """One report, as it was made."""

    reporter: Reporter
    status: AttendanceStatus
    arrived_at: datetime | None
    left_at: datetime | None
    decides: bool
    reported_at: datetime


class AttendanceRowOut(Out):
    """One pupil at one sitting: what is held true, and all that was said."""

    participation_id: UUID
    sitting_id: UUID
    starts_at: datetime
    ends_at: datetime
    status: AttendanceStatus
    arrived_at: datetime | None
    left_at: datetime | None
    minutes: int | None = Field(description="Whole minutes, once there is an outcome.")
    disputed: bool
    no_show_id: UUID | None
    resolution: NoShowResolution | None
    reports: list[SaidOut]


class AttendanceOut(Out):
    """The attendance of a booking."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "participation_id": _PART,
                            "sitting_id": _SITTING,
                            "starts_at": "2027-01-12T10:00:00Z",
                            "ends_at": "2027-01-12T12:00:00Z",
                            "status": "present",
                            "arrived_at": None,
                            "left_at": None,
                            "minutes": 120,
                            "disputed": False,
                            "no_show_id": None,
                            "resolution": None,
                            "reports": [
                                {
                                    "reporter": "employer",
                                    "status": "present",
                                    "arrived_at": None,
                                    "left_at": None,
                                    "decides": False,
                                    "reported_at": "2027-01-12T12:05:00Z",
                                }
                            ],
                        }
                    ]
                }
            ]
        }
    )

    data: list[AttendanceRowOut]


_MISSING: dict[str, Any] = {
    "id": _NO_SHOW,
    "booking_id": _BOOKING,
    "participation_id": _OTHER,
    "opened_at": "2027-01-12T10:06:00Z",
    "opened_by": "employer",
    "resolution": None,
    "resolved_at": None,
    "note": None,
}


class NoShowOut(Out):
    """A pupil who was expected and is not there."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MISSING]})

    id: UUID
    booking_id: UUID
    participation_id: UUID
    opened_at: datetime
    opened_by: Reporter
    resolution: NoShowResolution | None = Field(description="Null while it is open.")
    resolved_at: datetime | None
    note: str | None = Field(description="The school's side only.")


class NoShowPage(Out):
    """A page of no-shows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_MISSING], "next": None, "horizon": HORIZON}]}
    )

    data: list[NoShowOut]
    next: str | None = Field(description="Send it as `after`; null on the last page.")
    horizon: HorizonOut
