"""Memberships that begin or end by their dates: a task of the worker."""

from collections.abc import Mapping
from typing import Any

from app.core import by_date
from app.core.db import Database, Writer
from app.organisations.service import told
from app.outbox import service as outbox


async def turn_memberships(db: Database) -> int:
    """Tell of each membership on the day on which it begins or has ended. Gives how many."""
    return await by_date.turn(db, "memberships", _tell)


async def _tell(tx: Writer, row: Mapping[str, Any]) -> None:
    await outbox.emit(tx, told(row, row["told_kind"]))
