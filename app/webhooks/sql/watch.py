"""What the worker looks for by itself: endpoints that only fail, and safety deliveries that do not arrive."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, func, literal, or_, select, update

from app.core.db import Door, Row, Writer
from app.organisations.tables import organisations
from app.webhooks.sql.endpoints import DELETED
from app.webhooks.tables import attempts, deliveries
from app.webhooks.tables import webhook_endpoints as endpoints

ALL_SAID = 100
"""What `warned` holds when the owner has been told that the endpoint is off."""


async def failing(
    tx: Writer,
    before: datetime,
    warned_below: int,
    tried_after: datetime,
    most: int,
    only: UUID | None = None,
) -> Sequence[Row]:
    """Active endpoints (or this one) that have only failed since `before` or longer, warned of less, held until the end.

    Only what was still tried after `tried_after` counts: an endpoint with nothing to send is not failing.
    """
    tried = exists(
        select(literal(1)).where(
            attempts.c.endpoint_id == endpoints.c.id,
            attempts.c.org_id == endpoints.c.org_id,
            attempts.c.id >= func.app.uuid7_floor(tried_after),
        )
    )
    found = (
        select(endpoints.c.id, endpoints.c.org_id, endpoints.c.failing_since, organisations.c.kind)
        .join(organisations, organisations.c.id == endpoints.c.org_id)
        .where(
            endpoints.c.state == "active",
            endpoints.c.failing_since <= before,
            endpoints.c.warned < warned_below,
            tried,
        )
    )
    held = _only(found, endpoints.c.id, only).order_by(endpoints.c.id).limit(most)
    return await tx.rows(held.with_for_update(of=endpoints, skip_locked=True, key_share=True))


def _only(found: Any, column: Any, only: UUID | None) -> Any:  # noqa: ANN401
    return found if only is None else found.where(column == only)


async def off_unsaid(tx: Writer, most: int, only: UUID | None = None) -> Sequence[Row]:
    """Endpoints (or this one) that we switched off and whose owners have not been told, held until the end."""
    found = (
        select(endpoints.c.id, endpoints.c.org_id, endpoints.c.off_reason, organisations.c.kind)
        .join(organisations, organisations.c.id == endpoints.c.org_id)
        .where(
            endpoints.c.state == "off",
            endpoints.c.warned < ALL_SAID,
            or_(endpoints.c.off_reason.is_(None), endpoints.c.off_reason != DELETED),
        )
    )
    held = _only(found, endpoints.c.id, only).order_by(endpoints.c.id).limit(most)
    return await tx.rows(held.with_for_update(of=endpoints, skip_locked=True, key_share=True))


async def note_warned(tx: Writer, endpoint_ids: Sequence[UUID], share: int) -> None:
    """Their owners have been told of this share."""
    stmt = update(endpoints).where(endpoints.c.id == func.any(list(endpoint_ids))).values(warned=share)
    await tx.run(stmt)


async def switch_off(tx: Writer, endpoint_id: UUID, reason: str) -> None:
    """Switch it off where it stands, so that a way back misses nothing."""
    await tx.run(select(func.app.switch_off_endpoint(endpoint_id, reason)))


async def overdue(tx: Writer, before: datetime, most: int, only: UUID | None = None) -> Sequence[Row]:
    """Safety deliveries (or this one) made before this moment, without a 2xx, not raised yet, held until the end; oldest
    first.

    What was sent again by hand is left out: its event has been raised already, or has arrived. `known`: the endpoint
    is off, and another one of the same organisation has taken the event.
    """
    other = deliveries.alias("other")
    arrived = exists(
        select(literal(1)).where(
            other.c.event_id == deliveries.c.event_id,
            other.c.org_id == deliveries.c.org_id,
            other.c.state == "delivered",
        )
    )
    found = (
        select(
            deliveries.c.id,
            deliveries.c.endpoint_id,
            deliveries.c.org_id,
            deliveries.c.event_id,
            deliveries.c.event_type,
            organisations.c.kind,
            and_(endpoints.c.state == "off", arrived).label("known"),
        )
        .join(organisations, organisations.c.id == deliveries.c.org_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(
            deliveries.c.lane == "safety",
            deliveries.c.state == "pending",
            deliveries.c.undelivered_raised_at.is_(None),
            deliveries.c.created_at <= before,
            deliveries.c.replay.is_(False),
        )
    )
    held = _only(found, deliveries.c.id, only).order_by(deliveries.c.created_at).limit(most)
    return await tx.rows(held.with_for_update(of=deliveries, skip_locked=True, key_share=True))


async def note_raised(tx: Writer, delivery_ids: Sequence[UUID]) -> None:
    """They are listed as undelivered from now on."""
    await tx.run(
        update(deliveries)
        .where(deliveries.c.id == func.any(list(delivery_ids)))
        .values(undelivered_raised_at=func.clock_timestamp())
    )


async def removed(tx: Door, removed_after: datetime, most: int) -> Sequence[UUID]:
    """Endpoints removed since, for which something is still queued (fanned out, replayed, resent meanwhile)."""
    queued = exists(
        select(literal(1)).where(deliveries.c.endpoint_id == endpoints.c.id, deliveries.c.state == "pending")
    )
    found = select(endpoints.c.id).where(
        endpoints.c.off_reason == DELETED, endpoints.c.updated_at >= removed_after, queued
    )
    return [row["id"] for row in await tx.rows(found.order_by(endpoints.c.id).limit(most))]


async def cancel_at(tx: Writer, endpoint_id: UUID) -> int:
    """Cancel what is queued for an endpoint that was removed; how many deliveries."""
    return await tx.run(
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "pending")
        .values(state="cancelled", ended_at=func.clock_timestamp(), due_at=None)
    )
