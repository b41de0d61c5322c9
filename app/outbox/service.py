"""Announce a change in the transaction that makes it: committed together, or not at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson

from app.core import announced
from app.core.clock import rfc3339, wall_now
from app.core.db import Writer
from app.core.ids import new_id
from app.outbox import sql
from app.outbox.catalogue import TYPES


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one side. If two sides are told, two of them are written, with two ids.

    `audience` is `school`, `employer`, `vendor` or `hub` (organisations that oversee); `audience_id` the organisation.
    `order_key` is the booking if there is one, else the pupil or the thing itself.
    """

    type: str
    audience: str
    audience_id: UUID
    order_key: UUID
    data: Mapping[str, Any]
    lane: str | None = None


def to_both(
    kind: str,
    *,
    school_id: UUID,
    employer_id: UUID,
    order_key: UUID,
    data: Mapping[str, Any],
    employer_data: Mapping[str, Any] | None = None,
    lane: str | None = None,
) -> list[Event]:
    """The two events that tell both sides of a booking; `employer_data` where the employer reads something else."""
    return [
        Event(kind, "school", school_id, order_key, data, lane),
        Event(
            kind, "employer", employer_id, order_key, data if employer_data is None else employer_data, lane
        ),
    ]


_hushed: ContextVar[bool] = ContextVar("hushed", default=False)


@contextmanager
def hushed() -> Iterator[None]:
    """Announce nothing inside: what is loaded as history is no news to anybody. For loaders of made-up data alone."""
    token = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(token)


async def emit(tx: Writer, events: Iterable[Event]) -> None:
    """Write events in this transaction: one statement. Hold the row lock of what changed when calling.

    Raises ValueError when an event does not match the catalogue: a fault of ours, caught by every test that emits.
    Writes none where history is loaded (`hushed`).
    """
    if _hushed.get():
        return
    written = [_written(one) for one in events]
    if written:
        await sql.add(tx, written)
        announced.note((one["id"], one["type"]) for one in written)


def _written(event: Event) -> dict[str, Any]:
    kind = TYPES[event.type]
    if set(event.data) != set(kind.fields) or event.audience not in kind.audiences:
        msg = f"{event.type} for {event.audience} does not match the catalogue: {set(event.data) ^ set(kind.fields)}"
        raise ValueError(msg)
    identifier, now = new_id(), rfc3339(wall_now())
    head = orjson.dumps(
        {
            "id": identifier,
            "type": kind.name,
            "version": kind.version,
            "timestamp": now,
            "audience": {"side": event.audience, "id": event.audience_id},
            "order_key": event.order_key,
            "data": {name: _plain(event.data[name]) for name in kind.fields},
        },
        default=str,
    ).decode()
    return {
        "id": str(identifier),
        "type": kind.name,
        "audience": event.audience,
        "audience_id": str(event.audience_id),
        "order_key": str(event.order_key),
        "lane": event.lane or kind.lane,
        "head": head[:-1] + ',"sequence":',
        "tail": "}",
        "occurred_at": now,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date | UUID):
        return str(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
