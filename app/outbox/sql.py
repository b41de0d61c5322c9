"""The statements of the outbox: write events through `app.emit`, read the feed by position."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import Door, Row, Writer
from app.core.tables import change_marks
from app.outbox.positions import Kept
from app.outbox.tables import events, sequencer

_EMIT = select(func.app.emit(cast(bindparam("events", type_=JSONB), JSONB)))
_BY_ID = select(events.c.id, events.c.type, events.c.body, events.c.position).where(
    events.c.id == bindparam("id")
)
_KEPT = select(
    change_marks.c.epoch,
    change_marks.c.dropped,
    select(sequencer.c.last).order_by(sequencer.c.last.desc()).limit(1).scalar_subquery().label("newest"),
)

# One index range per audience, merged: a school with few events does not read through everybody's. Distinct, for a
# school is among its own schools.
# With what is kept, in the same snapshot: there is always a first row, without an event if there is none.
_AFTER = text(
    """
    SELECT k.epoch, k.dropped, k.newest, e.id, e.type, e.position, e.body
      FROM (SELECT m.epoch, m.dropped, (SELECT last FROM sequencer ORDER BY last DESC LIMIT 1) AS newest
              FROM change_marks m) AS k
      LEFT JOIN (
        SELECT e.id, e.type, e.position, e.body
          FROM (SELECT DISTINCT unnest(app.schools() || app.org()) AS audience_id) AS a
         CROSS JOIN LATERAL (
           SELECT id, type, position, body FROM events
            WHERE audience_id = a.audience_id AND position > :after
            ORDER BY position LIMIT :most) AS e
         ORDER BY e.position LIMIT :most) AS e ON true
     ORDER BY e.position
    """
).bindparams(bindparam("after", type_=BigInteger), bindparam("most", type_=BigInteger))


async def add(tx: Writer, written: Sequence[dict[str, Any]]) -> None:
    """Write events in this transaction (one statement, however many)."""
    await tx.run(_EMIT, {"events": written})


async def after(tx: Door, position: int, most: int) -> tuple[Kept, Sequence[Row]]:
    """What is kept; up to `most` numbered events after `position` that the caller may see, in the order of position."""
    rows = await tx.rows(_AFTER, {"after": position, "most": most})
    return _kept(rows[0]), [row for row in rows if row["id"] is not None]


async def kept(tx: Door) -> Kept:
    """Which positions the feed holds."""
    return _kept((await tx.rows(_KEPT))[0])


def _kept(row: Row) -> Kept:
    return Kept(row["epoch"], row["dropped"], row["newest"])


async def by_id(tx: Door, event_id: UUID) -> Row | None:
    """One event, if the caller may see it."""
    return await tx.one_or_none(_BY_ID, {"id": event_id})
