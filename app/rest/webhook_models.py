"""Bodies and answers of the webhook and event routes."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StrictInt

from app.core.values import MOST_WHOLE
from app.rest.models import Body, Moment, Out

_ENDPOINT: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c30",
    "school_id": None,
    "url": "https://mis.example/tendays",
    "description": "Production receiver",
    "event_types": ["booking.*", "participation.no_show", "hours.credited"],
    "signatures": ["v1"],
    "state": "active",
    "off_reason": None,
    "public_key": None,
    "rate_per_second": None,
    "concurrency": 8,
    "last_success_at": None,
    "created_at": "2026-11-22T09:30:00Z",
    "version": 1,
}
_SECRET: dict[str, Any] = {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
_DELIVERY: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c31",
    "endpoint_id": _ENDPOINT["id"],
    "event_id": "01a2013a-9643-713b-a2d5-339b6a0a0c32",
    "event_type": "booking.confirmed",
    "lane": "normal",
    "state": "delivered",
    "replay": False,
    "attempts": 1,
    "due_at": None,
    "last_status": 204,
    "last_error": None,
    "created_at": "2026-11-22T09:31:00Z",
    "ended_at": "2026-11-22T09:31:00Z",
    "undelivered_raised_at": None,
}
_ATTEMPT: dict[str, Any] = {
    "no": 1,
    "at": "2026-11-22T09:31:00Z",
    "elapsed_ms": 12,
    "status": 204,
    "error": None,
    "request_headers": {"webhook-id": _DELIVERY["event_id"], "webhook-timestamp": "1795339860"},
    "response_body": "",
}
_REPLAY: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c33",
    "endpoint_id": _ENDPOINT["id"],
    "only": "missed",
    "state": "running",
    "done": 5000,
    "total": 12345,
    "queued": 310,
    "from_position": 41,
    "to_position": 12386,
    "from_time": None,
    "to_time": None,
    "created_at": "2026-11-22T09:35:00Z",
    "ended_at": None,
}
_WINDOW: dict[str, Any] = {
    "deliveries": {"pending": 2, "delivered": 480, "failed": 0, "revoked": 0, "cancelled": 0},
    "attempts": {
        "success": 480,
        "redirect": 0,
        "client_error": 0,
        "server_error": 3,
        "none": 1,
        "other": 0,
    },
    "elapsed_ms": {"p50": 12, "p99": 240},
    "commit_to_receipt_ms": {"p50": 14, "p99": 96},
}
_STATS: dict[str, Any] = {
    "endpoint_id": _ENDPOINT["id"],
    "state": "active",
    "failing_since": None,
    "warned": 0,
    "last_success_at": "2026-11-22T09:31:00Z",
    "oldest_pending_seconds": 4,
    "last_24_hours": _WINDOW,
    "last_7_days": _WINDOW,
}
Types = Annotated[
    list[str], Field(min_length=1, max_length=100, description="Names of the catalogue, `booking.*`, or `*`.")
]
Signatures = Annotated[list[Literal["v1", "v1a"]], Field(min_length=1, max_length=2)]


class EndpointIn(Body):
    """A receiver of events."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": _ENDPOINT["url"],
                    "event_types": _ENDPOINT["event_types"],
                    "description": "Production",
                }
            ]
        }
    )

    url: Annotated[str, Field(max_length=2000, description="https, a public address, port 443 or 8443.")]
    event_types: Types = ["*"]  # noqa: RUF012  (pydantic copies defaults)
    description: Annotated[str | None, Field(max_length=500, description="For your own eyes.")] = None
    signatures: Signatures = ["v1"]  # noqa: RUF012
    rate_per_second: Annotated[
        StrictInt | None, Field(ge=1, description="At most so many posts a second.")
    ] = None
    concurrency: Annotated[StrictInt, Field(ge=1, description="At most so many posts at a time.")] = 8
    school_id: UUID | None = Field(None, description="Limit it to one school; none: all you may see.")
    from_position: Annotated[
        StrictInt | None,
        Field(
            ge=0,
            le=MOST_WHOLE,
            description="Send what came after this position of the feed; none: from now on.",
        ),
    ] = None


class EndpointPatch(Body):
    """What to change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_types": ["booking.*"]}]})

    url: Annotated[str | None, Field(max_length=2000, description="https, a public address.")] = None
    event_types: Types | None = None
    description: Annotated[str | None, Field(max_length=500, description="For your own eyes.")] = None
    signatures: Signatures | None = None
    rate_per_second: Annotated[
        StrictInt | None, Field(ge=1, description="At most so many posts a second.")
    ] = None
    concurrency: Annotated[StrictInt | None, Field(ge=1, description="At most so many posts at a time.")] = (
        None
    )


class RotateIn(Body):
    """How long the old secret goes on signing beside the new one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_days": 1}]})

    grace_days: Annotated[StrictInt, Field(ge=0, le=7, description="Days for which both secrets sign.")] = 1


class Nothing(Body):
    """No fields."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class EndpointOut(Out):
    """An endpoint. Its secret is shown once, when it is made or rotated."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    id: UUID
    school_id: UUID | None
    url: str
    description: str | None
    event_types: list[str]
    signatures: list[str]
    state: Literal["active", "paused", "off"]
    off_reason: str | None
    public_key: str | None = Field(description="`whpk_...`, for `v1a`.")
    rate_per_second: int | None
    concurrency: int
    last_success_at: datetime | None
    created_at: datetime
    version: int


class EndpointSecretOut(EndpointOut):
    """An endpoint with its secret, shown now and never again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT | _SECRET]})

    secret: str = Field(description="`whsec_...`: the key of the `v1` signatures.")


class DeliveryCounts(Out):
    """Deliveries made in the window, by their state now."""

    pending: int
    delivered: int
    failed: int
    revoked: int
    cancelled: int


class AttemptCounts(Out):
    """Attempts made in the window, by what came back; `none` is no answer at all."""

    success: int = Field(description="2xx.")
    redirect: int = Field(description="3xx.")
    client_error: int = Field(description="4xx.")
    server_error: int = Field(description="5xx.")
    none: int = Field(description="No answer: refused, unreachable, timed out.")
    other: int


class Percentiles(Out):
    """Milliseconds; null where there was none."""

    p50: int | None
    p99: int | None


class WindowOut(Out):
    """What happened in one window."""

    deliveries: DeliveryCounts
    attempts: AttemptCounts
    elapsed_ms: Percentiles = Field(description="From the beginning of a post to its answer.")
    commit_to_receipt_ms: Percentiles = Field(
        description="From the writing of an event to the 2xx of the first attempt, where that was one."
    )


class StatsOut(Out):
    """How an endpoint is doing."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STATS]})

    endpoint_id: UUID
    state: Literal["active", "paused", "off"]
    failing_since: datetime | None = Field(description="Since then every attempt has failed.")
    warned: int = Field(description="Per cent of the time to the switch-off of which you were told.")
    last_success_at: datetime | None
    oldest_pending_seconds: int | None = Field(description="Age of the oldest delivery still to be sent.")
    last_24_hours: WindowOut
    last_7_days: WindowOut


class PublicKeysOut(Out):
    """The keys that verify an endpoint's `v1a` signatures at this moment, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"keys": ["whpk_Z2gYsBVzbJPl1kbQNcLyrNvbMBQcvEzJDTIMpbT4yRA="]}]}
    )

    keys: list[str] = Field(description="`whpk_...`: ed25519; one fitting signature is enough.")


class EndpointPage(Out):
    """A page of endpoints."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_ENDPOINT], "next": None}]})

    data: list[EndpointOut]
    next: str | None


class DeliveryOut(Out):
    """One event on its way to one endpoint."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    lane: Literal["normal", "safety"]
    state: Literal["pending", "delivered", "failed", "revoked", "cancelled"]
    replay: bool = Field(description="Sent again on request: outside of any order.")
    attempts: int
    due_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    undelivered_raised_at: datetime | None = Field(
        description="When it was listed as undelivered: a safety event without a 2xx for ten minutes, or any delivery that"
        " was due for five minutes and not sent, though its endpoint was on and not paused."
    )


class DeliveryPage(Out):
    """A page of deliveries, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_DELIVERY], "next": None}]})

    data: list[DeliveryOut]
    next: str | None


class ReplayIn(Body):
    """What to send once more: a range by position or by time, and which of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"only": "missed", "from_time": "2026-10-22T00:00:00Z"}]}
    )

    only: Literal["all", "failed", "missed"] = Field(
        "missed",
        description="`all` that it takes; `failed`: given up; `missed`: neither delivered nor under way.",
    )
    from_position: Annotated[
        StrictInt | None,
        Field(
            ge=0,
            le=MOST_WHOLE,
            description="After this position of the feed; none: where the endpoint began.",
        ),
    ] = None
    to_position: Annotated[
        StrictInt | None, Field(ge=0, le=MOST_WHOLE, description="Up to this position; none: to now.")
    ] = None
    from_time: Moment | None = Field(None, description="From this moment (inclusive), instead.")
    to_time: Moment | None = Field(None, description="Until this moment (exclusive), instead.")


class ReplayOut(Out):
    """A replay: how far it has come, in positions of the feed, and how many deliveries it has made."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLAY]})

    id: UUID
    endpoint_id: UUID
    only: Literal["all", "failed", "missed"]
    state: Literal["running", "done", "cancelled"] = Field(
        description="`done`: every delivery is made, not necessarily sent. `cancelled`: its endpoint went off."
    )
    done: int = Field(description="Positions looked through.")
    total: int = Field(description="Positions in the range.")
    queued: int = Field(description="Deliveries made.")
    from_position: int
    to_position: int
    from_time: datetime | None
    to_time: datetime | None
    created_at: datetime
    ended_at: datetime | None


class AttemptOut(Out):
    """One attempt: what was sent, what came back."""

    no: int
    at: datetime
    elapsed_ms: int
    status: int | None
    error: str | None
    request_headers: dict[str, Any] | None
    response_body: str | None


class AttemptsOut(Out):
    """The attempts of a delivery, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_ATTEMPT]}]})

    data: list[AttemptOut]


class FeedOut(Out):
    """Events in the order of their position; each is byte for byte what was or will be pushed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "id": _DELIVERY["event_id"],
                            "type": "booking.confirmed",
                            "version": 1,
                            "timestamp": "2026-11-22T09:31:00.000Z",
                            "audience": {"side": "school", "id": "01a2013a-0000-7000-8000-000000000001"},
                            "order_key": "01a2013a-9643-713b-a2d5-339b6a0a0c26",
                            "data": {
                                "booking_id": "01a2013a-9643-713b-a2d5-339b6a0a0c26",
                                "state": "confirmed",
                            },
                            "sequence": 2,
                        }
                    ],
                    "last": 41,
                    "position": "e1d3a95f7b2.41",
                    "more": False,
                }
            ]
        }
    )

    data: list[dict[str, Any]]
    last: int = Field(description="The position reached, as a number.")
    position: str = Field(
        description="The position reached, with the history of the data that it is of: send it as `after`. It is opaque."
    )
    more: bool = Field(description="Whether there are more now.")


class DeprecationOut(Out):
    """An event type on its way out."""

    since: date = Field(description="Deprecated from this day.")
    sunset: date = Field(description="Sent until this day, at least a year later.")
    successor: str | None = Field(
        description="The event type that tells it instead, sent beside it until then."
    )


class EventTypeOut(Out):
    """One line of the catalogue."""

    name: str
    version: int
    audiences: list[str]
    order_key: str
    lane: str
    description: str
    deprecation: DeprecationOut | None = Field(description="null: it stays.")
    schema_: dict[str, Any] = Field(alias="schema")


class CatalogueOut(Out):
    """Every event type."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "name": "booking.confirmed",
                            "version": 1,
                            "audiences": ["school", "employer"],
                            "order_key": "booking",
                            "lane": "normal",
                            "description": "The employer confirmed, or the school accepted the employer's proposal.",
                            "deprecation": None,
                            "schema": {"type": "object"},
                        }
                    ]
                }
            ]
        }
    )

    data: list[EventTypeOut]
