"""What the worker looks for by itself: endpoints that only fail, and deliveries that do not arrive or are not sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Uuid, and_, bindparam, exists, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL

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
            deliveries.c.lane,
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


_BEFORE_IT = """
  SELECT 1 FROM deliveries p
   WHERE p.endpoint_id = d.endpoint_id AND p.order_key = d.order_key AND p.state = 'pending' AND NOT p.replay
     AND (p.sequence, p.position) < (d.sequence, d.position)
"""

# One look into the index of each endpoint's due deliveries: what waits for one that is paused or off is not read.
_UNSENT = text(
    f"""
    SELECT x.id FROM webhook_endpoints w
     CROSS JOIN unnest(ARRAY['normal', 'safety']) AS l (lane)
     CROSS JOIN LATERAL (
       SELECT d.id FROM deliveries d
        WHERE d.state = 'pending' AND d.due_at IS NOT NULL AND d.lane = l.lane AND d.endpoint_id = w.id
          AND d.due_at <= clock_timestamp() - :patience AND d.undelivered_raised_at IS NULL
          AND (d.lane = 'safety' OR d.replay OR NOT EXISTS ({_BEFORE_IT}))
        ORDER BY d.due_at LIMIT :most) x
     WHERE w.state = 'active'
    """
).bindparams(bindparam("patience", type_=INTERVAL), bindparam("most", type_=Integer))

_WAITING = text(
    f"""
    WITH seen AS MATERIALIZED (
      SELECT d.id, d.endpoint_id, d.order_key, d.sequence, d.position FROM deliveries d
       WHERE d.state = 'pending' AND d.due_at IS NULL AND d.id > :after
       ORDER BY d.id LIMIT :most
    )
    SELECT (SELECT count(*) FROM seen) AS looked, (SELECT s.id FROM seen s ORDER BY s.id DESC LIMIT 1) AS last,
           coalesce((SELECT array_agg(d.id) FROM seen d WHERE NOT EXISTS ({_BEFORE_IT})), '{{}}') AS ids
    """
).bindparams(bindparam("after", type_=Uuid), bindparam("most", type_=Integer))

_RAISE = text(
    """
    WITH held AS MATERIALIZED (
      SELECT d.id FROM deliveries d
       WHERE d.id = ANY (:ids) AND d.state = 'pending' AND (:freed = (d.due_at IS NULL))
         AND (d.undelivered_raised_at IS NULL OR :freed)
       ORDER BY d.id FOR UPDATE SKIP LOCKED
    ), known AS MATERIALIZED (
      SELECT d.id, EXISTS (
               SELECT 1 FROM deliveries o
                WHERE o.org_id = d.org_id AND o.endpoint_id = d.endpoint_id AND o.undelivered_raised_at IS NOT NULL
                  AND o.state = 'pending' AND o.lane = 'normal') AS already
        FROM deliveries d WHERE d.id = ANY (ARRAY(SELECT id FROM held))
    ), raised AS (
      UPDATE deliveries d
         SET undelivered_raised_at = clock_timestamp(), due_at = coalesce(d.due_at, clock_timestamp())
       WHERE d.id = ANY (ARRAY(SELECT id FROM held))
      RETURNING d.id, d.endpoint_id, d.org_id, d.event_id, d.event_type, d.lane
    )
    SELECT r.*, o.kind, k.already FROM raised r
      JOIN organisations o ON o.id = r.org_id JOIN known k ON k.id = r.id
     ORDER BY r.id
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))


async def unsent(tx: Writer, patience: timedelta, most: int) -> Sequence[UUID]:
    """Up to `most` deliveries per endpoint and lane that are due for longer than `patience`, not raised yet.

    The endpoint is on and not paused, and no delivery before them is open: somebody should have sent them.
    """
    return [row["id"] for row in await tx.rows(_UNSENT, {"patience": patience, "most": most})]


async def waiting_for_nothing(tx: Writer, after: UUID, most: int) -> tuple[Sequence[UUID], UUID | None]:
    """Of up to `most` deliveries without a due time, after the id `after`: those that wait for no other one.

    And the last id that was looked at; None if there is nothing more.
    """
    row = (await tx.rows(_WAITING, {"after": after, "most": most}))[0]
    return row["ids"], row["last"] if row["looked"] == most else None


async def raise_these(tx: Writer, ids: Sequence[UUID], *, freed: bool) -> Sequence[Row]:
    """List deliveries as undelivered; with `freed` they had no due time, and are due now. Those that it was done to.

    `already`: others of the normal lane were listed of this endpoint before, and are so still.
    """
    return await tx.rows(_RAISE, {"ids": list(ids), "freed": freed}) if ids else ()


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
