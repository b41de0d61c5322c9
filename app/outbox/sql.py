"""The statements of the outbox: write events through `app.emit`, read the feed by position."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import Door, Row, Writer
from app.outbox.tables import events, sequencer

_EMIT = select(func.app.emit(cast(bindparam("events", type_=JSONB), JSONB)))
_BY_ID = select(events.c.id, events.c.type, events.c.body, events.c.position).where(
    events.c.id == bindparam("id")
)
_LAST = select(sequencer.c.last).order_by(sequencer.c.last.desc()).limit(1)

# One index range per audience, merged: a school with few events does not read through everybody's. Distinct, for a
# school is among its own schools.
_AFTER = text(
    """
    SELECT e.id, e.type, e.position, e.body
      FROM (SELECT DISTINCT unnest(app.schools() || app.org()) AS audience_id) AS a
     CROSS JOIN LATERAL (
       SELECT id, type, position, body FROM events
        WHERE audience_id = a.audience_id AND position > :after
        ORDER BY position LIMIT :most) AS e
     ORDER BY e.position LIMIT :most
    """
).bindparams(bindparam("after", type_=BigInteger), bindparam("most", type_=BigInteger))


async def add(tx: Writer, written: Sequence[dict[str, Any]]) -> None:
    """Write events in this transaction (one statement, however many)."""
    await tx.run(_EMIT, {"events": written})


async def after(tx: Door, position: int, most: int) -> Sequence[Row]:
    """Up to `most` numbered events after `position` that the caller may see, in the order of position."""
    return await tx.rows(_AFTER, {"after": position, "most": most})


async def by_id(tx: Door, event_id: UUID) -> Row | None:
    """One event, if the caller may see it."""
    return await tx.one_or_none(_BY_ID, {"id": event_id})


async def last_position(tx: Door) -> int:
    """The newest position given to any event."""
    return int(await tx.value(_LAST) or 0)
