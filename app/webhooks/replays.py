"""Replays: a range of the feed, or all that was missed, sent to one endpoint once more as a job of the worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.core.caller import Caller
from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Invalid, NotFound
from app.core.ids import new_id
from app.outbox import sql as outbox
from app.outbox.positions import Position
from app.webhooks.sql import endpoints
from app.webhooks.sql import replays as sql

PICKS: Final = ("all", "failed", "missed")
_MARGIN: Final = timedelta(minutes=5)
"""An event gets its position when it is committed, at most so long after it was written."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked for: from where (exclusive as a position, inclusive as a time), to where, and which of it.

    Without a beginning it is the endpoint's own, without an end what has happened by now. `only`: `all` the endpoint
    takes and may see; `failed`, given up and not delivered since; `missed`, neither delivered nor on its way.
    """

    only: str = "missed"
    from_position: int | None = None
    to_position: int | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None


async def start(tx: Writer, caller: Caller, endpoint_id: UUID, asked: Range) -> Row:
    """A new job. Its deliveries have the same ids and bytes as ever, and stand outside of any order.

    Invalid names the faulty fields; Conflict if the endpoint is off (resume it first) or has a replay under way.
    """
    endpoint = await endpoints.lock(tx, caller, endpoint_id)
    if endpoint is None:
        raise NotFound("webhook endpoint")
    kept = await outbox.kept(tx)
    if faults := list(problems_with(asked)):
        raise Invalid("invalid", "The request is not acceptable.", faults)
    for end in ("from_position", "to_position"):
        if (position := getattr(asked, end)) is not None:
            kept.check(Position(position), f"/{end}")
    if endpoint["state"] == "off":
        raise Conflict("endpoint_off", "The endpoint is switched off; resume it first.")
    if await sql.is_running(tx, caller, endpoint_id):
        raise Conflict("replay_running", "This endpoint has a replay under way; wait until it is done.")
    first, last = await _bounds(tx, endpoint, asked)
    values = {
        "id": new_id(),
        "endpoint_id": endpoint_id,
        "picks": asked.only,
        "from_position": first,
        "to_position": last,
        "from_time": asked.from_time,
        "to_time": asked.to_time,
        "reached": first,
    }
    return await sql.add(tx, caller, values)


async def _bounds(tx: Writer, endpoint: Row, asked: Range) -> tuple[int, int]:
    """As positions. What the endpoint is still to be given for the first time is none of a replay's business."""
    first = endpoint["from_position"] if asked.from_position is None else asked.from_position
    if asked.from_time is not None:
        first = await sql.position_before(tx, asked.from_time - _MARGIN)
    last = endpoint["filled_to"] if endpoint["filled_to"] is not None else await sql.fanned_out(tx)
    if asked.to_position is not None:
        last = min(last, asked.to_position)
    if asked.to_time is not None:
        last = min(last, await sql.position_before(tx, asked.to_time + _MARGIN))
    return first, max(first, last)


def problems_with(asked: Range) -> Iterator[Fault]:
    """What is wrong with a range, whatever the feed holds."""
    for end in ("from", "to"):
        position, moment = getattr(asked, f"{end}_position"), getattr(asked, f"{end}_time")
        if position is not None and moment is not None:
            yield Fault(f"/{end}_time", "not_here", f"Send {end}_position or {end}_time, not both.")
        if position is not None and position < 0:
            yield Fault(f"/{end}_position", "out_of_range", "Between 0 and the newest position of the feed.")
    if asked.only not in PICKS:
        yield Fault("/only", "not_one_of", f"One of: {', '.join(PICKS)}.")
    first, last = asked.from_position, asked.to_position
    if first is not None and last is not None and first > last:
        yield Fault("/to_position", "out_of_order", "Not before from_position.")
    if asked.from_time and asked.to_time and asked.from_time >= asked.to_time:
        yield Fault("/to_time", "out_of_order", "After from_time.")
