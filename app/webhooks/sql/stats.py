"""How an endpoint is doing: counts and times of its deliveries and attempts since a moment, by their UUIDv7 ids."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Uuid, bindparam, func, select, text

from app.core.caller import Caller
from app.core.db import Door, Row
from app.webhooks.tables import deliveries

_GIVEN = (
    bindparam("org", type_=Uuid),
    bindparam("endpoint", type_=Uuid),
    bindparam("since", type_=DateTime(timezone=True)),
)
_ATTEMPTS = text(
    """
    SELECT CASE a.status / 100 WHEN 2 THEN 'success' WHEN 3 THEN 'redirect' WHEN 4 THEN 'client_error'
                               WHEN 5 THEN 'server_error' ELSE CASE WHEN a.status IS NULL THEN 'none' ELSE 'other' END
           END AS outcome, count(*) AS many
      FROM attempts a
     WHERE a.org_id = :org AND a.endpoint_id = :endpoint AND a.id >= app.uuid7_floor(:since) GROUP BY 1
    """
).bindparams(*_GIVEN)
_ELAPSED = text(
    """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a.elapsed_ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY a.elapsed_ms) AS p99
      FROM attempts a
     WHERE a.org_id = :org AND a.endpoint_id = :endpoint AND a.id >= app.uuid7_floor(:since)
    """
).bindparams(*_GIVEN)
# An event's id holds the millisecond in which it was written, just before its commit.
_RECEIPT = text(
    """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY r.ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY r.ms) AS p99
      FROM (SELECT greatest(0, (extract(epoch FROM a.at) * 1000)::bigint + a.elapsed_ms
                     - ('x' || left(replace(d.event_id::text, '-', ''), 12))::bit(48)::bigint) AS ms
              FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
             WHERE a.org_id = :org AND a.endpoint_id = :endpoint AND a.id >= app.uuid7_floor(:since)
               AND d.endpoint_id = :endpoint AND d.org_id = :org AND NOT d.replay
               AND a.no = 1 AND a.status BETWEEN 200 AND 299) r
    """
).bindparams(*_GIVEN)


async def delivery_states(tx: Door, caller: Caller, endpoint_id: UUID, since: datetime) -> Sequence[Row]:
    """How many deliveries made since then are in which `state`, as `many`."""
    found = select(deliveries.c.state, func.count().label("many")).where(
        deliveries.c.org_id == caller.org_id,
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.id >= func.app.uuid7_floor(since),
    )
    return await tx.rows(found.group_by(deliveries.c.state))


async def attempt_outcomes(tx: Door, caller: Caller, endpoint_id: UUID, since: datetime) -> Sequence[Row]:
    """How many attempts since then had which `outcome`, as `many`."""
    return await tx.rows(_ATTEMPTS, _given(caller, endpoint_id, since))


async def elapsed(tx: Door, caller: Caller, endpoint_id: UUID, since: datetime) -> Row | None:
    """`p50` and `p99` of the milliseconds an attempt took."""
    return await tx.one_or_none(_ELAPSED, _given(caller, endpoint_id, since))


async def commit_to_receipt(tx: Door, caller: Caller, endpoint_id: UUID, since: datetime) -> Row | None:
    """`p50` and `p99` of the milliseconds from the writing of an event to the 2xx of its first attempt."""
    return await tx.one_or_none(_RECEIPT, _given(caller, endpoint_id, since))


async def oldest_pending(tx: Door, caller: Caller, endpoint_id: UUID) -> datetime | None:
    """When the oldest delivery that is still to be sent was made."""
    found: datetime | None = await tx.value(
        select(func.min(deliveries.c.created_at)).where(
            deliveries.c.org_id == caller.org_id,
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.state == "pending",
        )
    )
    return found


def _given(caller: Caller, endpoint_id: UUID, since: datetime) -> dict[str, object]:
    return {"org": caller.org_id, "endpoint": endpoint_id, "since": since}
