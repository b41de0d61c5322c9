"""Endpoints, as their organisation reads and changes them. What is sealed never leaves by a read."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, cast, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.webhooks.tables import deliveries
from app.webhooks.tables import webhook_endpoints as endpoints

DELETED = "deleted"
_SHOWN = tuple(
    endpoints.c[name]
    for name in (
        "id", "org_id", "client_id", "school_id", "url", "description", "event_types", "signatures", "state",
        "off_reason", "public_key", "old_until", "rate_per_second", "concurrency", "from_position", "filled_to",
        "failing_since", "warned", "slow_until", "last_success_at", "version", "created_at", "updated_at",
    )
)  # fmt: skip
_KEPT = or_(endpoints.c.off_reason.is_(None), endpoints.c.off_reason != DELETED)


def _of(caller: Caller) -> Any:  # noqa: ANN401
    return and_(endpoints.c.org_id == caller.org_id, _KEPT)


async def page(tx: Door, caller: Caller, *, after: UUID | None = None, limit: int = 50) -> Sequence[Row]:
    """Up to `limit` endpoints of the caller's organisation after the id `after`, the oldest first."""
    found = select(*_SHOWN).where(_of(caller)).order_by(endpoints.c.id).limit(limit)
    return await tx.rows(found if after is None else found.where(endpoints.c.id > after))


async def seals(tx: Door) -> Sequence[bytes]:
    """The heads (5 bytes, of which four name a master key) of what endpoints that are not off sign with, each once."""
    head = func.substring(endpoints.c.secret_sealed, 1, 5).label("head")
    return [
        bytes(row["head"]) for row in await tx.rows(select(head).where(endpoints.c.state != "off").distinct())
    ]


async def by_id(tx: Door, caller: Caller, endpoint_id: UUID) -> Row | None:
    """One endpoint, if it is the caller's and has not been deleted."""
    return await tx.one_or_none(select(*_SHOWN).where(_of(caller), endpoints.c.id == endpoint_id))


async def lock(tx: Writer, caller: Caller, endpoint_id: UUID) -> Row | None:
    """The same row with its sealed keys, held until the transaction ends."""
    return await tx.one_or_none(
        select(endpoints).where(_of(caller), endpoints.c.id == endpoint_id).with_for_update(key_share=True)
    )


async def count(tx: Writer, caller: Caller) -> int:
    """How many endpoints the organisation has; endpoints are made one at a time per organisation from here on."""
    await tx.run(
        select(
            func.pg_advisory_xact_lock(func.hashtextextended(cast(literal(str(caller.org_id)), Text), 731))
        )
    )
    return int(await tx.value(select(func.count()).select_from(endpoints).where(_of(caller))) or 0)


async def add(tx: Writer, caller: Caller, values: Mapping[str, Any]) -> Row:
    """A new endpoint of the caller's organisation."""
    made = (
        insert(endpoints)
        .values(org_id=caller.org_id, client_id=caller.client_id, **values)
        .returning(*_SHOWN)
    )
    return (await tx.rows(made))[0]


async def change(tx: Writer, caller: Caller, endpoint_id: UUID, values: Mapping[str, Any]) -> Row | None:
    """Set columns of an endpoint, with a new version."""
    stmt = (
        update(endpoints)
        .where(_of(caller), endpoints.c.id == endpoint_id)
        .values(**values, version=endpoints.c.version + 1, updated_at=func.clock_timestamp())
        .returning(*_SHOWN)
    )
    return await tx.one_or_none(stmt)


async def cancel_pending(tx: Writer, caller: Caller, endpoint_id: UUID) -> int:
    """What was still to be sent to an endpoint that goes; how many deliveries."""
    return await tx.run(
        update(deliveries)
        .where(
            deliveries.c.org_id == caller.org_id,
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.state == "pending",
        )
        .values(state="cancelled", ended_at=func.clock_timestamp(), due_at=None)
    )


async def reaches_school(tx: Door, caller: Caller, school_id: UUID) -> bool:
    """Whether the caller acts for this school, which must be the one it has named if it has named one."""
    if caller.school_id not in (None, school_id):
        return False
    return school_id in (await tx.value(select(cast(func.app.schools(), ARRAY(Uuid)))) or ())


async def wake_worker(tx: Writer) -> None:
    """Tell the workers, when this transaction commits, that something became due."""
    await tx.run(select(func.pg_notify("tendays_feed", "")))


async def public_keys(tx: Door, endpoint_id: UUID) -> Sequence[str]:
    """The keys that verify its `v1a` signatures now, for anybody; none if it is off, gone or signs otherwise."""
    return await tx.value(select(cast(func.app.webhook_keys(endpoint_id), ARRAY(Text)))) or ()
