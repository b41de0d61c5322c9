"""What becomes true by the date alone: found, written down and told row by row, so that a bad row stops no other."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import structlog

from app.core import sql
from app.core.db import Database, Writer, system
from app.core.errors import Overloaded, Unavailable

MOST = 500
_FIRST = UUID(int=0)
_log = structlog.get_logger("tendays.worker")


async def turn(db: Database, what: str, tell: Callable[[Writer, Mapping[str, Any]], Awaitable[None]]) -> int:
    """Write down all that is due of one kind, each row in a transaction of its own with what `tell` announces of it.

    `what` is a kind of app.due_by_date. Gives how many; a row that fails is logged and tried again at the next turn.
    Raises Unavailable and Overloaded.
    """
    done, after = 0, _FIRST
    while True:
        async with db.read(system()) as tx:
            due = await sql.due_by_date(tx, what, after, MOST)
        for one in due:
            done += await _turn_one(db, what, one, tell)
        if len(due) < MOST:
            return done
        after = due[-1]


async def _turn_one(
    db: Database, what: str, one: UUID, tell: Callable[[Writer, Mapping[str, Any]], Awaitable[None]]
) -> bool:
    try:
        async with db.write(system()) as tx:
            row = await sql.turn_by_date(tx, what, one)
            if row is None:
                return False
            await tell(tx, row)
            return True
    except (Unavailable, Overloaded):
        raise
    except Exception as error:  # noqa: BLE001  (whatever is wrong with this row, the others have their turn)
        # Its text is left out: a broken constraint quotes the row, and this one may be a pupil's.
        _log.error("worker.row", task="turn_by_date", kind=what, row=str(one), error=type(error).__name__)
        return False
