"""Deliveries and their attempts, as their organisation reads them; and one more delivery of an event it has had."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, literal, select

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.core.ids import new_id
from app.webhooks.tables import attempts, deliveries

_SHOWN = tuple(
    deliveries.c[name]
    for name in (
        "id", "endpoint_id", "event_id", "event_type", "order_key", "sequence", "position", "lane", "state", "replay",
        "attempts", "due_at", "leased_until", "last_status", "last_error", "created_at", "ended_at",
    )
)  # fmt: skip
_TRIED = tuple(
    attempts.c[name]
    for name in (
        "id", "delivery_id", "no", "at", "elapsed_ms", "status", "error", "request_headers", "response_body",
    )
)  # fmt: skip


async def page(
    tx: Door,
    caller: Caller,
    *,
    endpoint_id: UUID | None = None,
    state: str | None = None,
    event_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Sequence[Row]:
    """Up to `limit` deliveries of the caller's organisation, the newest first, below the id `before`."""
    filters: list[Any] = [deliveries.c.org_id == caller.org_id]
    if endpoint_id is not None:
        filters.append(deliveries.c.endpoint_id == endpoint_id)
    if state is not None:
        filters.append(deliveries.c.state == state)
    if event_id is not None:
        filters.append(deliveries.c.event_id == event_id)
    if before is not None:
        filters.append(deliveries.c.id < before)
    return await tx.rows(select(*_SHOWN).where(*filters).order_by(deliveries.c.id.desc()).limit(limit))


async def by_id(tx: Door, caller: Caller, delivery_id: UUID) -> Row | None:
    """One delivery of the caller's organisation."""
    mine = deliveries.c.org_id == caller.org_id
    return await tx.one_or_none(select(*_SHOWN).where(mine, deliveries.c.id == delivery_id))


async def attempts_of(tx: Door, caller: Caller, delivery_id: UUID, *, limit: int = 200) -> Sequence[Row]:
    """The attempts of a delivery in order: what was sent (headers), what came back (status, up to 2,000 characters)."""
    mine = attempts.c.org_id == caller.org_id
    found = select(*_TRIED).where(mine, attempts.c.delivery_id == delivery_id).order_by(attempts.c.id)
    return await tx.rows(found.limit(limit))


async def add_replay(tx: Writer, caller: Caller, delivery_id: UUID) -> Row | None:
    """The same event to the same endpoint once more, due now, outside of any order; None for a stranger's."""
    copied = ("endpoint_id", "org_id", "event_id", "event_type", "order_key", "sequence", "position", "lane")
    source = select(
        literal(new_id(), deliveries.c.id.type),
        *(deliveries.c[name] for name in copied),
        literal(True),
        func.clock_timestamp(),
    ).where(deliveries.c.org_id == caller.org_id, deliveries.c.id == delivery_id)
    made = insert(deliveries).from_select(["id", *copied, "replay", "due_at"], source).returning(*_SHOWN)
    return await tx.one_or_none(made)
