"""Cover and approvals that begin or run out by their dates: a task of the worker."""

from collections.abc import Mapping
from typing import Any

from app.core import by_date
from app.core.db import Database, Writer
from app.outbox import service as outbox
from app.outbox.service import Event


async def turn_cover(db: Database) -> int:
    """Tell the employer on the day on which a cover begins or has run out. Gives how many."""
    return await by_date.turn(db, "covers", _tell_of_cover)


async def _tell_of_cover(tx: Writer, row: Mapping[str, Any]) -> None:
    data = {"cover_id": row["id"], "version": row["version"]}
    await outbox.emit(tx, [Event("cover.changed", "employer", row["employer_id"], row["id"], data)])


async def turn_approvals(db: Database) -> int:
    """Tell employer and approver on the day on which an approval has run out. Gives how many."""
    return await by_date.turn(db, "approvals", _tell_of_approval)


async def _tell_of_approval(tx: Writer, row: Mapping[str, Any]) -> None:
    data = {name: row[name] for name in ("site_id", "kind", "activity_band")}
    data |= {"approval_id": row["id"], "state": "expired"}
    side = "school" if row["told_kind"] == "school" else "hub"
    told = (("employer", row["employer_id"]), (side, row["approver_id"]))
    await outbox.emit(tx, [Event("approval.changed", one, whom, row["id"], data) for one, whom in told])
