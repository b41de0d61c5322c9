"""The statements of idempotency: claim a key, record an answer, forget what has expired."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, and_, delete, func, insert, literal, select

from app.core.db import Row, Writer
from app.idempotency.tables import idempotency_keys as kept

_BATCH = 5_000


async def claim(tx: Writer, client_id: UUID, key: str, lock: int) -> Row:
    """`free` (the key's lock is ours until the transaction ends) beside what is recorded; one statement.

    The lock is *tried*: a second claim would otherwise wait for the first, never told that it is under way.
    """
    tried = select(
        func.pg_try_advisory_xact_lock(literal(lock, BigInteger)).label("free"), func.now().label("now")
    ).subquery()
    mine = and_(kept.c.client_id == client_id, kept.c.key == key)
    row = await tx.one_or_none(
        select(
            tried.c.free,
            kept.c.request_hash,
            kept.c.status,
            kept.c.headers,
            kept.c.body_sealed,
            (kept.c.expires_at <= tried.c.now).label("expired"),
        ).select_from(tried.outerjoin(kept, mine))
    )
    if row is None:
        raise RuntimeError("an outer join from one row gives one")
    return row


async def add(tx: Writer, values: dict[str, Any], keep: timedelta) -> None:
    """One recorded answer, kept for so long."""
    await tx.run(insert(kept).values(**values, expires_at=func.now() + keep))


async def forget_expired(tx: Writer) -> int:
    """Delete what has expired, a few thousand at a time; how many went. What somebody holds is left for the next time."""
    some = (
        select(kept.c.client_id, kept.c.key)
        .where(kept.c.expires_at < func.now())
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
        .subquery()
    )
    return await tx.run(delete(kept).where(kept.c.client_id == some.c.client_id, kept.c.key == some.c.key))
