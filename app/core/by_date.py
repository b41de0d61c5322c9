"""What becomes true by the date alone: found, written down and told row by row, so that a bad row stops no other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Database, Writer, system
from app.core.one_by_one import OneByOne

MOST = 500
_FIRST = UUID(int=0)
_TURNS = {
    what: OneByOne(task)
    for what, task in (
        ("pupils", "turn_pupils"),
        ("claims", "turn_pupils"),
        ("memberships", "turn_memberships"),
        ("covers", "turn_cover"),
        ("approvals", "turn_approvals"),
    )
}


async def turn(db: Database, what: str, tell: Callable[[Writer, Mapping[str, Any]], Awaitable[None]]) -> int:
    """Write down all that is due of one kind, each row in a transaction of its own with what `tell` announces of it.

    `what` is a kind of app.due_by_date. Gives how many; a row that fails is logged, counted and tried again later.
    Raises Unavailable and Overloaded.
    """

    async def find(most: int) -> Sequence[UUID]:
        async with db.read(system()) as tx:
            return await sql.due_by_date(tx, what, _FIRST, most)

    async def act(one: UUID) -> int:
        async with db.write(system()) as tx:
            row = await sql.turn_by_date(tx, what, one)
            if row is not None:
                await tell(tx, row)
            return row is not None

    done = 0
    while handled := await _TURNS[what].turn(db, find, act, most=MOST):
        done += handled
        if handled < MOST:
            break
    return done
