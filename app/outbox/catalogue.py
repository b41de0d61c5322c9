"""The event types: what each tells, to which side, under which order key, and the fields its `data` may hold.

Payloads are thin: ids, states, times and counts. Never a name, a UPN, a characteristic or free text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

UUID = {"type": "string", "format": "uuid"}
TIME = {"type": "string", "format": "date-time"}
DATE = {"type": "string", "format": "date"}
COUNT = {"type": "integer", "minimum": 0}
WORD = {"type": "string"}
WORDS = {"type": "array", "items": {"type": "string"}}
FLAG = {"type": "boolean"}


def maybe(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    return {**schema, "type": [schema["type"], "null"]}


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An event type on its way out: it is sent until `sunset` (at least a year after `since`), beside its successor."""

    since: date
    sunset: date
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class EventType:
    """One line of the catalogue. `fields` are the JSON Schemas of the members of `data`; all are required."""

    name: str
    audiences: tuple[str, ...]
    order_key: str
    description: str
    fields: Mapping[str, Mapping[str, Any]]
    lane: str = "normal"
    version: int = 1
    deprecation: Deprecation | None = None


_BOOKING: Final[Mapping[str, Mapping[str, Any]]] = {
    "booking_id": UUID,
    "slot_id": UUID,
    "school_id": UUID,
    "employer_id": UUID,
    "state": WORD,
    "places": COUNT,
    "starts_at": TIME,
    "ends_at": TIME,
    "reason_code": maybe(WORD),
}
_BOTH = ("school", "employer")
SIDES: Final = ("school", "employer", "hub", "vendor")
"""Every `audience.side` there is."""


def side_of(org_kind: str) -> str:
    """The `audience.side` of an organisation's own events: its kind, or `hub` for all that oversee."""
    return str(org_kind) if org_kind in SIDES else "hub"


_ONE_PUPIL: Final[Mapping[str, Mapping[str, Any]]] = {
    "booking_id": UUID,
    "participation_id": UUID,
    "sitting_id": UUID,
    "starts_at": TIME,
}


def _booking(what: str, description: str, **more: Mapping[str, Any]) -> EventType:
    return EventType(f"booking.{what}", _BOTH, "booking", description, {**_BOOKING, **more})


def _thing(name: str, audiences: tuple[str, ...], description: str, **fields: Mapping[str, Any]) -> EventType:
    return EventType(name, audiences, name.split(".", maxsplit=1)[0], description, fields)


TYPES: Final[Mapping[str, EventType]] = {
    one.name: one
    for one in (
        _booking(
            "requested",
            "A school asks for places in a slot. The places are held until `expires_at`.",
            expires_at=TIME,
        ),
        _booking("waiting", "A school joined the waiting list of a full slot."),
        _booking("promoted", "Places came free: a waiting booking is now a request.", expires_at=TIME),
        _booking(
            "countered", "The employer proposes something else.", counter_slot_id=maybe(UUID), expires_at=TIME
        ),
        _booking(
            "confirmed",
            "The employer confirmed, or the school accepted the employer's proposal.",
            name_by=TIME,
        ),
        _booking("declined", "Declined, with a reason code."),
        _booking(
            "cancelled",
            "Cancelled by either side, with a reason code. On the day itself it takes the safety lane.",
        ),
        _booking("expired", "Nobody answered in time; the places are free again."),
        _booking("on_hold", "Put on hold. Schools are told without the reason."),
        _booking("released", "The hold is lifted: the booking stands again."),
        _booking(
            "rescheduled",
            "Moved to another slot: a request by the school, or a confirmed booking whose proposal was accepted.",
            from_slot_id=UUID,
        ),
        _booking(
            "proposed",
            "One side proposes another slot for a confirmed booking, which stands meanwhile. The proposed places are held "
            "until `proposal_expires_at`.",
            proposed_by=WORD,
            proposed_slot_id=UUID,
            proposed_places=COUNT,
            proposed_starts_at=TIME,
            proposed_ends_at=TIME,
            proposal_expires_at=TIME,
        ),
        _booking(
            "proposal_ended",
            "A proposal ended without being accepted; the booking is as it was. `outcome` is `declined`, `withdrawn`, "
            "`expired`, `slot_cancelled` or `booking_not_confirmed`.",
            proposed_slot_id=UUID,
            outcome=WORD,
        ),
        _booking(
            "participants_named",
            "Pupils were named or withdrawn; `named` of `places` are filled.",
            named=COUNT,
        ),
        _booking("completed", "Every sitting has attendance or is closed."),
        EventType(
            "participation.arrived",
            ("school",),
            "booking",
            "A pupil was reported as arrived.",
            {**_ONE_PUPIL, "arrived_at": TIME, "reported_by": WORD},
        ),
        EventType(
            "participation.no_show",
            ("school",),
            "booking",
            "A pupil who was expected is not there. Open until the school resolves it.",
            {**_ONE_PUPIL, "no_show_id": UUID, "reported_by": WORD},
            lane="safety",
        ),
        EventType(
            "participation.no_show_resolved",
            _BOTH,
            "booking",
            "The school resolved an open no-show.",
            {**_ONE_PUPIL, "no_show_id": UUID, "resolution": WORD},
        ),
        EventType(
            "attendance.closed",
            _BOTH,
            "booking",
            "One side says that an occurrence of the visit does not take place. On the day itself it takes the safety lane.",
            {
                "booking_id": UUID,
                "sitting_id": UUID,
                "starts_at": TIME,
                "closed_by": WORD,
                "reason_code": maybe(WORD),
            },
        ),
        EventType(
            "attendance.reported",
            ("school",),
            "booking",
            "Attendance of a sitting was reported or corrected.",
            {
                "booking_id": UUID,
                "sitting_id": UUID,
                "reported_by": WORD,
                "reported": COUNT,
                "disputed": COUNT,
            },
        ),
        EventType(
            "attendance.overdue",
            _BOTH,
            "booking",
            "No report 20 minutes after a visit began.",
            {"booking_id": UUID, "sitting_id": UUID, "starts_at": TIME, "expected": COUNT},
            lane="safety",
        ),
        EventType(
            "hours.credited",
            ("school",),
            "booking",
            "Minutes were credited to a pupil's ledger. The order key is the booking, or the pupil where there is none.",
            {
                "encounter_id": UUID,
                "pupil_id": UUID,
                "participation_id": maybe(UUID),
                "booking_id": maybe(UUID),
                "minutes": COUNT,
                "total_minutes": COUNT,
                "academic_year": COUNT,
            },
        ),
        EventType(
            "hours.reversed",
            ("school",),
            "booking",
            "Minutes credited before were taken back by a correction.",
            {
                "encounter_id": UUID,
                "pupil_id": UUID,
                "booking_id": maybe(UUID),
                "minutes": COUNT,
                "total_minutes": COUNT,
            },
        ),
        EventType(
            "encounter.recorded",
            ("school",),
            "booking",
            "An encounter was recorded, with or without a booking. The order key is the booking, or else the pupil.",
            {
                "encounter_id": UUID,
                "pupil_id": UUID,
                "booking_id": maybe(UUID),
                "kind": WORD,
                "minutes": COUNT,
                "bm5": FLAG,
                "bm6": FLAG,
            },
        ),
        EventType(
            "encounter.corrected",
            ("school",),
            "booking",
            "An encounter was corrected, or its criteria confirmed. The order key is the booking, or else the pupil.",
            {
                "encounter_id": UUID,
                "pupil_id": UUID,
                "version": COUNT,
                "minutes": COUNT,
                "bm5": FLAG,
                "bm6": FLAG,
            },
        ),
        _thing(
            "site.changed",
            _BOTH,
            "A site was added or changed; told to schools with bookings there when it is closed or opened.",
            site_id=UUID,
            state=WORD,
            version=COUNT,
        ),
        _thing(
            "cover.changed",
            ("employer",),
            "Insurance cover was recorded, changed or withdrawn, began or ran out.",
            cover_id=UUID,
            version=COUNT,
        ),
        _thing(
            "approval.changed",
            ("employer", "hub", "school"),
            "An approval was given or withdrawn, or has run out (`expired`).",
            approval_id=UUID,
            site_id=UUID,
            kind=WORD,
            activity_band=WORD,
            state=WORD,
        ),
        _thing(
            "offer.changed",
            _BOTH,
            "An offer was added or changed; told to schools with bookings of it when it is withdrawn.",
            offer_id=UUID,
            state=WORD,
            version=COUNT,
        ),
        _thing(
            "slot.changed",
            _BOTH,
            "A slot was added or changed: told to its employer and to schools booked or waiting on it.",
            slot_id=UUID,
            offer_id=UUID,
            state=WORD,
            starts_at=TIME,
            ends_at=TIME,
            capacity=COUNT,
        ),
        EventType(
            "employer.suspended",
            ("school", "employer", "hub"),
            "employer",
            "Bookings with this employer are on hold. The reason is not told.",
            {"employer_id": UUID},
            lane="safety",
        ),
        EventType(
            "employer.suspension_lifted",
            ("school", "employer", "hub"),
            "employer",
            "The suspension is lifted.",
            {"employer_id": UUID},
        ),
        _thing(
            "pupils.changed",
            ("school",),
            "A bulk of pupils was sent: how many were created, updated, refused.",
            created=COUNT,
            updated=COUNT,
            unchanged=COUNT,
            refused=COUNT,
        ),
        EventType(
            "pupil.identity_corrected",
            ("school",),
            "pupil",
            "Number, names or date of birth of a pupil were corrected against what contradicted them: which, not to what.",
            {"correction_id": UUID, "pupil_id": UUID, "fields": WORDS},
        ),
        _thing(
            "pupil.state_changed",
            ("school",),
            "A pupil has left, or a claim has become the main enrolment, by the date alone.",
            pupil_id=UUID,
            state=WORD,
            version=COUNT,
        ),
        _thing(
            "agreement.recorded",
            ("school", "hub"),
            "A controller's agreement was recorded.",
            agreement_id=UUID,
            controller_id=UUID,
        ),
        _thing(
            "agreement.ended",
            ("school", "hub"),
            "A controller's agreement ended.",
            agreement_id=UUID,
            controller_id=UUID,
        ),
        _thing(
            "grant.recorded",
            ("school", "hub", "vendor"),
            "A controller granted field groups to another organisation.",
            grant_id=UUID,
            grantor_id=UUID,
            grantee_id=UUID,
            field_groups=WORDS,
        ),
        _thing(
            "grant.revoked",
            ("school", "hub", "vendor"),
            "A grant was revoked, at once.",
            grant_id=UUID,
            grantor_id=UUID,
            grantee_id=UUID,
        ),
        _thing(
            "membership.changed",
            ("school", "hub"),
            "A membership of a hub, a trust or an authority was recorded, began or ended.",
            membership_id=UUID,
            member_id=UUID,
            parent_id=UUID,
            kind=WORD,
            starts_on=DATE,
            ends_on=maybe(DATE),
        ),
        EventType(
            "booking.assigned",
            ("school",),
            "booking",
            "The school made a booking part of a programme, of another, or of none.",
            {**_BOOKING, "programme_id": maybe(UUID), "strand_id": maybe(UUID)},
        ),
        _thing(
            "programme.changed",
            ("hub", "school"),
            "A programme, its strands or schools changed.",
            programme_id=UUID,
            version=COUNT,
        ),
        _thing(
            "webhook.test",
            SIDES,
            "A test event, asked for by the endpoint's owner.",
            endpoint_id=UUID,
        ),
        EventType(
            "endpoint.failing",
            SIDES,
            "endpoint",
            "A webhook endpoint has only failed since `failing_since`; at a `share` of 100 % it is switched off.",
            {"endpoint_id": UUID, "failing_since": TIME, "share": COUNT},
        ),
        EventType(
            "endpoint.switched_off",
            SIDES,
            "endpoint",
            "A webhook endpoint was switched off: `failing` for five days, or `gone`. Resume it; nothing is missed.",
            {"endpoint_id": UUID, "reason": WORD},
        ),
        EventType(
            "delivery.undelivered",
            SIDES,
            "endpoint",
            "A safety event was `not_received` for ten minutes; or an event was `not_sent` for five minutes after it was"
            " due, or had `no_due_time`, though its endpoint was on.",
            {
                "endpoint_id": UUID,
                "delivery_id": UUID,
                "event_id": UUID,
                "event_type": WORD,
                "reason": {"type": "string", "enum": ["not_received", "not_sent", "no_due_time"]},
            },
        ),
    )
}
"""The `hub` audience stands for organisations that oversee: hubs, trusts, authorities, the national body."""


def data_schema(kind: EventType) -> dict[str, Any]:
    """The JSON Schema of one event as sent."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name,
        "description": kind.description,
        **({"deprecated": True} if kind.deprecation else {}),
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "type", "version", "timestamp", "audience", "order_key", "data", "sequence"],
        "properties": {
            "id": {
                **UUID,
                "description": "The same as the header `webhook-id`; stable over every attempt and the feed.",
            },
            "type": {"const": kind.name},
            "version": {"const": kind.version},
            "timestamp": {**TIME, "description": "Wall time of the change, UTC."},
            "audience": {
                "type": "object",
                "additionalProperties": False,
                "required": ["side", "id"],
                "properties": {"side": {"enum": list(kind.audiences)}, "id": UUID},
            },
            "order_key": {
                **UUID,
                "description": f"Events of one {kind.order_key} come to each audience in the order of its `sequence`.",
            },
            "data": {
                "type": "object",
                "additionalProperties": False,
                "required": list(kind.fields),
                "properties": dict(kind.fields),
            },
            "sequence": {
                "type": "integer",
                "minimum": 1,
                "description": "Counts the events of this `order_key` for this `audience`. Drop an id you have seen; of the"
                " others of a key, one with a lower `sequence` is old, one with an equal `sequence` is not: it tells"
                " another audience.",
            },
        },
        "examples": [_example(kind)],
    }


_SHOWN: Final[Mapping[str, Any]] = {
    "uuid": "01a2013a-9643-713b-a2d5-339b6a0a0c26",
    "date-time": "2026-11-22T09:30:00Z",
    "date": "2026-11-22",
    "string": "confirmed",
    "array": ["confirmed"],
    "integer": 25,
    "boolean": True,
    "object": {},
}


def _example(kind: EventType) -> dict[str, Any]:
    """One event of this type, made from the schemas of its fields."""
    return {
        "id": _SHOWN["uuid"],
        "type": kind.name,
        "version": kind.version,
        "timestamp": _SHOWN["date-time"],
        "audience": {"side": kind.audiences[0], "id": "01a2013a-0000-7000-8000-000000000001"},
        "order_key": "01a2013a-0000-7000-8000-000000000006",
        "data": {name: _value(name, schema) for name, schema in kind.fields.items()},
        "sequence": 1,
    }


def _value(name: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401  (any JSON)
    if "enum" in schema:
        return schema["enum"][0]
    if name == "reason_code":
        return None if "null" in schema["type"] else "other"
    word = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    if word == "array" and schema.get("items", {}).get("format") == "uuid":
        return [_SHOWN["uuid"]]
    return _SHOWN[schema.get("format") or word]
