"""Webhook endpoints and deliveries over REST."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.outbox import service as outbox
from app.outbox.catalogue import side_of
from app.rest.frame import (
    IfMatch,
    InHouse,
    Match,
    Paged,
    Read,
    Write,
    framed,
    json_answer,
    known,
    needs,
    one_answer,
    page_of,
    version_of,
)
from app.rest.models import Flag, Moment
from app.rest.patches import changes
from app.rest.webhook_models import (
    AttemptsOut,
    DeliveryOut,
    DeliveryPage,
    EndpointIn,
    EndpointOut,
    EndpointPage,
    EndpointPatch,
    EndpointSecretOut,
    Nothing,
    ReplayIn,
    ReplayOut,
    RotateIn,
    StatsOut,
)
from app.webhooks import replays, service, stats
from app.webhooks.sql import deliveries, endpoints
from app.webhooks.sql import replays as jobs

router = framed("/v1", "webhooks")
_ENDPOINT = tuple(EndpointOut.model_fields)
_DELIVERY = tuple(DeliveryOut.model_fields)
_STATES = ("pending", "delivered", "failed", "revoked", "cancelled")


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _ENDPOINT}


def _with_secret(made: service.Registered, status: int) -> Response:
    row = made.endpoint
    location = f"/v1/webhook-endpoints/{row['id']}"
    return one_answer(
        _shown(row) | {"secret": made.secret}, version=row["version"], location=location, status=status
    )


@router.post(
    "/webhook-endpoints",
    status_code=201,
    response_model=EndpointSecretOut,
    summary="Register a receiver",
    operation_id="register_endpoint",
)
@needs("webhooks:write", secret=True)
async def register_endpoint(body: EndpointIn, tx: Write, house: InHouse) -> Response:
    """Register where events are sent. The secret is shown in this answer and never again."""
    asked = service.NewEndpoint(**body.model_dump())
    made = await service.register(tx, tx.caller, house.keyring, house.webhook_policy, asked)
    return _with_secret(made, 201)


@router.get(
    "/webhook-endpoints",
    response_model=EndpointPage,
    summary="List your receivers",
    operation_id="list_endpoints",
)
@needs("webhooks:read")
async def list_endpoints(tx: Read, turn: Paged) -> Response:
    """Your organisation's endpoints, the oldest first."""
    rows = await endpoints.page(tx, tx.caller, after=turn.after_id("endpoints"), limit=turn.limit + 1)
    return page_of(turn, "endpoints", rows, ("id",), _shown)


@router.get(
    "/webhook-endpoints/{endpoint_id}",
    response_model=EndpointOut,
    summary="Read a receiver",
    operation_id="read_endpoint",
)
@needs("webhooks:read")
async def read_endpoint(endpoint_id: UUID, tx: Read) -> Response:
    """One endpoint of yours, without its secret."""
    row = await endpoints.by_id(tx, tx.caller, endpoint_id)
    if row is None:
        raise NotFound("webhook endpoint")
    return one_answer(_shown(row), version=row["version"])


@router.get(
    "/webhook-endpoints/{endpoint_id}/stats",
    response_model=StatsOut,
    summary="How a receiver is doing",
    operation_id="read_endpoint_stats",
)
@needs("webhooks:read")
async def read_endpoint_stats(endpoint_id: UUID, tx: Read) -> Response:
    """Deliveries, attempts and times of the last 24 hours and 7 days, and what is still to be sent. Wall time."""
    row = await endpoints.by_id(tx, tx.caller, endpoint_id)
    if row is None:
        raise NotFound("webhook endpoint")
    shown = {name: row[name] for name in ("state", "failing_since", "warned", "last_success_at")}
    return json_answer({"endpoint_id": endpoint_id, **shown, **await stats.of(tx, tx.caller, endpoint_id)})


@router.patch(
    "/webhook-endpoints/{endpoint_id}",
    response_model=EndpointOut,
    summary="Change a receiver",
    operation_id="change_endpoint",
)
@needs("webhooks:write")
async def change_endpoint(
    endpoint_id: UUID, body: EndpointPatch, expected: IfMatch, tx: Write, house: InHouse
) -> Response:
    """Change the fields that are sent. What is on its way already stays on its way."""
    row = await service.update(
        tx,
        tx.caller,
        house.webhook_policy,
        endpoint_id,
        changes(body, "description", "rate_per_second"),
        version=expected,
    )
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/webhook-endpoints/{endpoint_id}/pause",
    response_model=EndpointOut,
    summary="Pause a receiver",
    operation_id="pause_endpoint",
)
@needs("webhooks:write")
async def pause_endpoint(endpoint_id: UUID, tx: Write, body: Nothing | None = None) -> Response:  # noqa: ARG001
    """Send nothing until it is resumed. Nothing is missed."""
    row = await service.pause(tx, tx.caller, endpoint_id)
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/webhook-endpoints/{endpoint_id}/resume",
    response_model=EndpointOut,
    summary="Resume a receiver",
    operation_id="resume_endpoint",
)
@needs("webhooks:write")
async def resume_endpoint(endpoint_id: UUID, tx: Write, body: Nothing | None = None) -> Response:  # noqa: ARG001
    """Go on after a pause or a switch-off: all that happened meanwhile is delivered, in order."""
    row = await service.resume(tx, tx.caller, endpoint_id)
    return one_answer(_shown(row), version=row["version"])


@router.post(
    "/webhook-endpoints/{endpoint_id}/rotate-secret",
    response_model=EndpointSecretOut,
    summary="Rotate its secret",
    operation_id="rotate_endpoint_secret",
)
@needs("webhooks:write", secret=True)
async def rotate_secret(endpoint_id: UUID, body: RotateIn, tx: Write, house: InHouse) -> Response:
    """A new secret and key pair, shown once. Old and new sign together for `grace_days`."""
    made = await service.rotate(tx, tx.caller, house.keyring, endpoint_id, grace_days=body.grace_days)
    return _with_secret(made, 200)


@router.post(
    "/webhook-endpoints/{endpoint_id}/test",
    response_model=EndpointOut,
    summary="Send a test event",
    operation_id="test_endpoint",
)
@needs("webhooks:write")
async def send_test_event(endpoint_id: UUID, tx: Write, body: Nothing | None = None) -> Response:  # noqa: ARG001
    """Emit `webhook.test` to your organisation: it arrives at every endpoint of yours that wants it, and in the feed."""
    row = await endpoints.by_id(tx, tx.caller, endpoint_id)
    if row is None:
        raise NotFound("webhook endpoint")
    side, data = side_of(tx.caller.org_kind), {"endpoint_id": endpoint_id}
    await outbox.emit(tx, [outbox.Event("webhook.test", side, tx.caller.org_id, endpoint_id, data)])
    return one_answer(_shown(row), version=row["version"])


@router.delete(
    "/webhook-endpoints/{endpoint_id}",
    status_code=204,
    summary="Remove a receiver",
    operation_id="remove_endpoint",
)
@needs("webhooks:write")
async def remove_endpoint(endpoint_id: UUID, tx: Write, match: Match = None) -> Response:
    """Remove it. What was still to be sent is cancelled; the feed still has it."""
    await service.delete(tx, tx.caller, endpoint_id, version=version_of(match))
    return Response(status_code=204)


@router.get(
    "/webhook-deliveries",
    response_model=DeliveryPage,
    summary="List deliveries",
    operation_id="list_deliveries",
)
@needs("webhooks:read")
async def list_deliveries(
    tx: Read,
    turn: Paged,
    endpoint_id: Annotated[UUID | None, Query(description="One endpoint.")] = None,
    state: Annotated[
        str | None, Query(description="pending, delivered, failed, revoked or cancelled.")
    ] = None,
    event_type: Annotated[
        str | None, Query(max_length=80, description="A name of the catalogue, or `booking.*`.")
    ] = None,
    created_from: Annotated[Moment | None, Query(description="Made from (inclusive).")] = None,
    created_to: Annotated[Moment | None, Query(description="Made until (exclusive).")] = None,
    undelivered: Annotated[
        Flag | None,
        Query(
            description="Safety deliveries without a 2xx for ten minutes or more, and deliveries that were due for five"
            " minutes and not sent though their endpoint was on; to this day."
        ),
    ] = None,
) -> Response:
    """What was and will be sent to your endpoints, the newest first. `state=failed` are the dead letters."""
    known(state, _STATES, "?state")
    wanted = deliveries.Wanted(
        endpoint_id=endpoint_id,
        state=state,
        event_type=event_type,
        created_from=created_from,
        created_to=created_to,
        undelivered=undelivered,
    )
    rows = await deliveries.page(
        tx, tx.caller, wanted, before=turn.after_id("deliveries"), limit=turn.limit + 1
    )
    return page_of(turn, "deliveries", rows, ("id",), lambda row: {name: row[name] for name in _DELIVERY})


@router.get(
    "/webhook-deliveries/{delivery_id}/attempts",
    response_model=AttemptsOut,
    summary="The attempts of a delivery",
    operation_id="list_attempts",
)
@needs("webhooks:read")
async def list_attempts(delivery_id: UUID, tx: Read) -> Response:
    """What was sent each time, and what came back."""
    if await deliveries.by_id(tx, tx.caller, delivery_id) is None:
        raise NotFound("delivery")
    names = ("no", "at", "elapsed_ms", "status", "error", "request_headers", "response_body")
    rows = await deliveries.attempts_of(tx, tx.caller, delivery_id)
    return json_answer({"data": [{name: row[name] for name in names} for row in rows]})


@router.post(
    "/webhook-deliveries/{delivery_id}/resend",
    response_model=DeliveryOut,
    status_code=202,
    summary="Send it once more",
    operation_id="resend_delivery",
)
@needs("webhooks:write")
async def resend_delivery(delivery_id: UUID, tx: Write, body: Nothing | None = None) -> Response:  # noqa: ARG001
    """The same event with the same id and bytes once more, at once, outside of any order."""
    row = await service.resend(tx, tx.caller, delivery_id)
    return json_answer({name: row[name] for name in _DELIVERY}, 202)


@router.post(
    "/webhook-endpoints/{endpoint_id}/replay",
    response_model=ReplayOut,
    status_code=202,
    summary="Send a range once more",
    operation_id="replay_endpoint",
)
@needs("webhooks:write")
async def replay_endpoint(endpoint_id: UUID, body: ReplayIn, tx: Write) -> Response:
    """A range of events, or all that was missed, once more: the same ids and bytes, outside of any order, as a job."""
    row = await replays.start(tx, tx.caller, endpoint_id, replays.Range(**body.model_dump()))
    return one_answer(_replay(row), location=f"/v1/webhook-replays/{row['id']}", status=202)


@router.get(
    "/webhook-replays/{replay_id}",
    response_model=ReplayOut,
    summary="The progress of a replay",
    operation_id="read_replay",
)
@needs("webhooks:read")
async def read_replay(replay_id: UUID, tx: Read) -> Response:
    """How far a replay of yours has come."""
    row = await jobs.by_id(tx, tx.caller, replay_id)
    if row is None:
        raise NotFound("replay")
    return one_answer(_replay(row))


def _replay(row: Row) -> dict[str, Any]:
    first = row["from_position"]
    counted = {"only": row["picks"], "done": row["reached"] - first, "total": row["to_position"] - first}
    return {name: counted[name] if name in counted else row[name] for name in ReplayOut.model_fields}
