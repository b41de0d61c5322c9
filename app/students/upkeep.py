"""Pupils whose state changes by the date alone: a task of the worker."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.core import by_date, sql
from app.core.db import Database, Writer, system
from app.core.one_by_one import each_step
from app.outbox import service as outbox
from app.outbox.service import Event


async def turn_pupils(db: Database) -> int:
    """`left` after the last day; a claim is `active` when no other main enrolment runs; characteristics of today.

    Each is told to its school. Gives how many.
    """

    async def characteristics() -> int:
        async with db.write(system()) as tx:
            return await sql.number_characteristics_of_today(tx)

    steps = {what: partial(by_date.turn, db, what, _tell) for what in ("pupils", "claims")}
    return await each_step("turn_pupils", {**steps, "characteristics": characteristics})


async def _tell(tx: Writer, row: Mapping[str, Any]) -> None:
    data = {"pupil_id": row["id"], "state": row["state"], "version": row["version"]}
    await outbox.emit(tx, [Event("pupil.state_changed", "school", row["school_id"], row["id"], data)])
