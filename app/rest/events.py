"""The pull feed, byte for byte what is pushed, and the catalogue of event types."""

from dataclasses import asdict
from typing import Annotated

import orjson
from fastapi import Query
from fastapi.responses import Response

from app.core.errors import invalid
from app.outbox import sql
from app.outbox.catalogue import TYPES, data_schema
from app.outbox.positions import Position
from app.rest.frame import Read, framed, json_answer, needs
from app.rest.models import WholeNumber
from app.rest.webhook_models import CatalogueOut, FeedOut

router = framed("/v1", "events")


@router.get("/events", response_model=FeedOut, summary="The event feed", operation_id="read_feed")
@needs("events:read")
async def read_feed(
    tx: Read,
    after: Annotated[
        str,
        Query(
            max_length=40,
            description="The `position` reached last (or `last`, a number, which does not tell whether the data have been "
            "restored since); 0 for all that is kept. 410 `position_gone` if it is older than what is kept or the data "
            "have been restored since, 409 `position_ahead` if it is ahead of the feed.",
        ),
    ] = "0",
    limit: Annotated[WholeNumber, Query(ge=1, le=1000, description="Events per page.")] = 100,
) -> Response:
    """All you may see, in the order of commits, with the same ids and bytes as the webhooks: a receiver that was away
    catches up here. Whether you may still see an event is asked at each read.
    """
    asked = Position.read(after)
    if asked is None:
        raise invalid("?after", "bad_position", "Send the `position` of the page before, or 0.")
    kept, rows = await sql.after(tx, asked.number, limit + 1)
    kept.check(asked, "?after")
    shown = rows[:limit]
    last = shown[-1]["position"] if shown else asked.number
    told = {"last": last, "position": str(Position(last, kept.epoch)), "more": len(rows) > limit}
    tail = orjson.dumps(told)
    body = b'{"data":[' + b",".join(bytes(row["body"]) for row in shown) + b"]," + tail[1:]
    return Response(body, media_type="application/json")


@router.get(
    "/event-types",
    response_model=CatalogueOut,
    summary="The event catalogue",
    operation_id="list_event_types",
)
@needs("events:read")
async def list_event_types(tx: Read) -> Response:  # noqa: ARG001
    """Every event type: whom it is told, its order key and lane, and the JSON Schema of what is sent."""
    lines = [
        {
            "name": one.name,
            "version": one.version,
            "audiences": list(one.audiences),
            "order_key": one.order_key,
            "lane": one.lane,
            "description": one.description,
            "deprecation": None if one.deprecation is None else asdict(one.deprecation),
            "schema": data_schema(one),
        }
        for one in TYPES.values()
    ]
    return json_answer({"data": lines})
