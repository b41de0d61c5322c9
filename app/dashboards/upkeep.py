"""What the house does by itself for dashboards: it keeps the figures of schools that have moved."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Database, system
from app.core.one_by_one import OneByOne
from app.dashboards import service, sql
from app.ledger.policies import policy_in_force

REST_SECONDS: Final = 3
"""A school in a rush is kept no more often than this; in between it is counted at each question."""
AT_ONCE: Final = 40
"""Schools of one turn: each in a transaction of its own."""
_TURNS = OneByOne("keep_figures")


async def keep_figures(db: Database) -> int:
    """Keep the figures of schools that have moved or whose day is over, the longest waiting first; gives how many.

    Questions do not wait for it: a school that has not been kept since it moved is counted live. Several workers may
    do this at once: whoever comes second to a school leaves it.
    """

    async def find(most: int) -> Sequence[UUID]:
        async with db.write(system()) as tx:
            today = school_day(tx.caller.now)
            marks = service.marks(await policy_in_force(tx, today))
            return await sql.schools_to_keep(tx, today, marks, rest=REST_SECONDS, most=most)

    async def keep(school: UUID) -> bool:
        async with db.write(system()) as tx:
            return bool(await service.keep(tx, school))

    return await _TURNS.turn(db, find, keep, most=AT_ONCE)
