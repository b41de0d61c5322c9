"""Bodies and answers of the booking routes."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from app.rest.models import HORIZON, Body, HorizonOut, Out, Ref
from app.rules.words import (
    AttendanceStatus,
    BookingAction,
    BookingReason,
    BookingState,
    ExperienceKind,
    ParentalAgreement,
)

NcYear = Literal[
    "E1",
    "E2",
    "N1",
    "N2",
    "R",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "13",
    "14",
    "X",
]
_BOOKING: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c26",
    "school_id": "01a2013a-0000-7000-8000-000000000001",
    "employer_id": "01a2013a-0000-7000-8000-000000000002",
    "site_id": "01a2013a-0000-7000-8000-000000000003",
    "offer_id": "01a2013a-0000-7000-8000-000000000004",
    "slot_id": "01a2013a-0000-7000-8000-000000000005",
    "programme_id": None,
    "strand_id": None,
    "external_ref": "trip-2026-114",
    "state": "requested",
    "kind": "workplace_tour",
    "nc_year": "8",
    "places": 25,
    "named": 0,
    "starts_at": "2027-01-12T10:00:00Z",
    "ends_at": "2027-01-12T12:00:00Z",
    "expires_at": "2026-11-27T09:30:00Z",
    "name_by": "2027-01-08T17:00:00Z",
    "requested_at": "2026-11-22T09:30:00Z",
    "confirmed_at": None,
    "ended_at": None,
    "counter_slot_id": None,
    "reason_code": None,
    "proposal": None,
    "possible": ["reschedule", "cancel"],
    "version": 1,
}


class BookingIn(Body):
    """Places asked for in a slot."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "school_id": _BOOKING["school_id"],
                    "slot_id": _BOOKING["slot_id"],
                    "places": 25,
                    "nc_year": "8",
                    "external_ref": "trip-2026-114",
                }
            ]
        }
    )

    school_id: UUID = Field(description="The school it is for. A vendor or a trust names one it acts for.")
    slot_id: UUID = Field(description="A slot of the search.")
    places: Annotated[
        StrictInt, Field(ge=1, le=1000, description="Places asked for; held until `expires_at`.")
    ]
    nc_year: NcYear | None = Field(
        None, description="The NC year the places are for, in the slot's academic year."
    )
    external_ref: Annotated[Ref | None, Field(description="Your own reference; unique in the school.")] = None
    programme_id: UUID | None = Field(None, description="The programme it is part of.")
    strand_id: UUID | None = Field(None, description="The programme's strand.")
    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None
    join_waiting_list: StrictBool = Field(
        default=False, description="Wait where there are not enough places."
    )


class AssignIn(Body):
    """The programme and strand a booking is part of; both null, or left out, for none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "programme_id": "01a2013a-0000-7000-8000-00000000000b",
                    "strand_id": "01a2013a-0000-7000-8000-00000000000c",
                }
            ]
        }
    )

    programme_id: UUID | None = Field(None, description="A programme that the school is enrolled in.")
    strand_id: UUID | None = Field(None, description="A strand of it on which the school is.")


class ConfirmIn(Body):
    """Confirm a request; an employer may give the booking its own reference."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"external_ref": "WEX-2027-014"}]})

    external_ref: Annotated[Ref | None, Field(description="The employer's own reference.")] = None

    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class NoteIn(Body):
    """Nothing but a note, if that."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})

    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class WithdrawIn(Body):
    """Why a pupil is withdrawn, where it is the parents who say so."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parental_agreement": "withdrawn"}]})

    parental_agreement: Literal["refused", "withdrawn"] | None = Field(
        None,
        description="What the parents answer now; kept for your side. Naming the pupil again needs `given`.",
    )
    note: Annotated[str | None, Field(max_length=2000, description="Taken, and not kept.")] = None


class ReasonIn(Body):
    """A move with its reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason_code": "no_supervisor"}]})

    reason_code: BookingReason = Field(description="Why; which codes a side may use is in the guide.")
    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class CounterIn(Body):
    """What an employer proposes instead."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"slot_id": _BOOKING["slot_id"], "reason_code": "date_unsuitable"}]}
    )

    slot_id: UUID | None = Field(
        None, description="Another slot of yours; none to propose the same one anew."
    )
    reason_code: BookingReason | None = Field(None, description="Why.")
    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class RescheduleIn(Body):
    """Move the booking to another slot of the same employer, or propose that if it is confirmed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"slot_id": _BOOKING["slot_id"], "reason_code": "timetable_clash"}]}
    )

    slot_id: UUID = Field(description="The slot to move to.")
    reason_code: BookingReason | None = Field(None, description="Why.")
    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class DeclineProposalIn(Body):
    """Decline what the other side proposed; what is agreed stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason_code": "date_unsuitable"}]})

    reason_code: BookingReason | None = Field(None, description="Why.")
    note: Annotated[
        str | None, Field(max_length=2000, description="Kept in the history, for your side only.")
    ] = None


class ParticipantIn(Body):
    """One pupil, by our id or by your own reference."""

    pupil_id: UUID | None = Field(None, description="Our id of the pupil.")
    external_ref: Ref | None = Field(
        None, description="Your own reference of the pupil, instead of `pupil_id`."
    )
    parental_agreement: ParentalAgreement | None = Field(
        None, description="What the parents answered about this placement; a placement needs `given`."
    )


class ParticipantsIn(Body):
    """The pupils to name: all of them are, or none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pupils": [{"external_ref": "A1042"}, {"external_ref": "A1043"}]}]}
    )

    pupils: Annotated[list[ParticipantIn], Field(min_length=1, max_length=500)]


class ProposalOut(Out):
    """Another slot that one side proposes for a confirmed booking. The booking stands until the other side accepts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "by": "employer",
                    "slot_id": "01a2013a-0000-7000-8000-000000000006",
                    "places": 25,
                    "starts_at": "2027-01-19T10:00:00Z",
                    "ends_at": "2027-01-19T12:00:00Z",
                    "expires_at": "2026-11-27T09:30:00Z",
                    "reason_code": "date_unsuitable",
                }
            ]
        }
    )

    by: Literal["school", "employer"] = Field(
        description="The side that proposes it; the other side accepts or declines."
    )
    slot_id: UUID = Field(description="The slot proposed.")
    places: int = Field(description="Places held in that slot.")
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime = Field(description="Until when it can be accepted; then it ends.")
    reason_code: BookingReason | None = Field(description="Why it is proposed, as your side may read it.")


class BookingOut(Out):
    """A booking, as its side sees it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BOOKING]})

    id: UUID
    school_id: UUID
    employer_id: UUID
    site_id: UUID
    offer_id: UUID
    slot_id: UUID
    programme_id: UUID | None = Field(description="School's side only.")
    strand_id: UUID | None = Field(description="School's side only.")
    external_ref: str | None = Field(description="Your side's own reference.")
    state: BookingState
    kind: ExperienceKind
    nc_year: str | None
    places: int = Field(description="Places held, or waited for.")
    named: int = Field(description="How many of them have a name.")
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime | None = Field(description="Until when an answer is awaited.")
    name_by: datetime = Field(
        description="Until when pupils are named; places without a name are then given back."
    )
    requested_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    counter_slot_id: UUID | None = Field(description="The slot the employer proposes instead.")
    reason_code: BookingReason | None = Field(
        description="The reason of the last move, as your side may read it."
    )
    proposal: ProposalOut | None = Field(
        description="Another slot that one side proposes for a confirmed booking; null if none is proposed."
    )
    possible: list[BookingAction] = Field(
        description="The moves of your side that the state of the booking and the time allow now."
    )
    version: int


class BookingPage(Out):
    """A page of bookings."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_BOOKING], "next": None, "horizon": HORIZON}]}
    )

    data: list[BookingOut]
    next: str | None = Field(description="Send it as `after`; null on the last page.")
    horizon: HorizonOut


_MOVE: dict[str, Any] = {
    "no": 1,
    "action": "request",
    "actor": "school",
    "from_state": None,
    "to_state": "requested",
    "from_slot_id": None,
    "to_slot_id": _BOOKING["slot_id"],
    "sitting_id": None,
    "proposed_slot_id": None,
    "places": 25,
    "reason_code": None,
    "note": None,
    "programme_id": None,
    "strand_id": None,
    "at": "2026-11-22T09:30:00Z",
}


class MoveOut(Out):
    """One line of a booking's history."""

    no: int
    action: BookingAction | Literal["assign", "close_sitting"] = Field(
        description="`assign`: it became part of another programme, which its school's side alone reads. `close_sitting`: "
        "`sitting_id` does not take place."
    )
    actor: str
    from_state: BookingState | None
    to_state: BookingState
    from_slot_id: UUID | None
    to_slot_id: UUID | None
    sitting_id: UUID | None = Field(description="The sitting that was closed.")
    proposed_slot_id: UUID | None = Field(description="The slot of the proposal that was made or ended.")
    places: int
    reason_code: BookingReason | None
    note: str | None = Field(description="Shown to the side that wrote it.")
    programme_id: UUID | None = Field(description="Of which programme it was since. School's side only.")
    strand_id: UUID | None = Field(description="School's side only.")
    at: datetime


class HistoryOut(Out):
    """The moves of a booking, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_MOVE]}]})

    data: list[MoveOut]


_PARTICIPATION: dict[str, Any] = {
    "id": "01a2013a-0000-7000-8000-000000000009",
    "pupil_id": "01a2013a-0000-7000-8000-00000000000a",
    "state": "named",
    "nc_year": "8",
    "known_as": None,
    "family_initial": None,
    "access_needs": None,
    "criteria_confirmed": [],
    "sittings": [
        {
            "sitting_id": "01a2013a-0000-7000-8000-00000000000b",
            "status": "expected",
            "arrived_at": None,
            "left_at": None,
            "minutes": None,
            "disputed": False,
        }
    ],
}


class SittingPlaceOut(Out):
    """One pupil at one sitting."""

    sitting_id: UUID
    status: AttendanceStatus
    arrived_at: datetime | None
    left_at: datetime | None
    minutes: int | None = Field(description="Minutes credited, whole.")
    disputed: bool = Field(description="The two sides' reports contradict each other; the school decides.")


class ParticipationOut(Out):
    """One pupil in one booking. The employer never sees `pupil_id`, the school never needs the names."""

    id: UUID
    pupil_id: UUID | None
    state: str
    nc_year: str | None
    known_as: str | None
    family_initial: str | None
    access_needs: str | None
    criteria_confirmed: list[str]
    sittings: list[SittingPlaceOut]


class ParticipationsOut(Out):
    """The pupils of a booking."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_PARTICIPATION]}]})

    data: list[ParticipationOut]
