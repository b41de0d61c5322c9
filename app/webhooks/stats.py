"""The statistics of one endpoint, by wall time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Door, Row
from app.webhooks.sql import stats as sql

WINDOWS: Final = {"last_24_hours": timedelta(days=1), "last_7_days": timedelta(days=7)}
STATES: Final = ("pending", "delivered", "failed", "revoked", "cancelled")
OUTCOMES: Final = ("success", "redirect", "client_error", "server_error", "none", "other")


async def of(tx: Door, caller: Caller, endpoint_id: UUID) -> dict[str, Any]:
    """Counts and times (milliseconds) by window, and the age in seconds of the oldest delivery still to be sent."""
    now = wall_now()
    oldest = await sql.oldest_pending(tx, caller, endpoint_id)
    waits = None if oldest is None else max(0, int((now - oldest).total_seconds()))
    windows = {name: await _window(tx, caller, endpoint_id, now - length) for name, length in WINDOWS.items()}
    return {"oldest_pending_seconds": waits, **windows}


async def _window(tx: Door, caller: Caller, endpoint_id: UUID, since: datetime) -> dict[str, Any]:
    asked = (tx, caller, endpoint_id, since)
    return {
        "deliveries": _counted(await sql.delivery_states(*asked), "state", STATES),
        "attempts": _counted(await sql.attempt_outcomes(*asked), "outcome", OUTCOMES),
        "elapsed_ms": _times(await sql.elapsed(*asked)),
        "commit_to_receipt_ms": _times(await sql.commit_to_receipt(*asked)),
    }


def _counted(rows: Iterable[Row], name: str, words: tuple[str, ...]) -> dict[str, int]:
    found = {row[name]: row["many"] for row in rows}
    return {word: found.get(word, 0) for word in words}


def _times(row: Row | None) -> dict[str, int | None]:
    return {name: row[name] if row else None for name in ("p50", "p99")}
