"""What the house does by itself with webhooks: the worker's chores. All of it by wall time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.core import metrics
from app.core.clock import wall_now
from app.core.db import Database, Row, system
from app.outbox import service as outbox
from app.outbox.catalogue import side_of
from app.webhooks.sql import endpoints, queue, replays, watch

_log = structlog.get_logger("tendays.upkeep")

PATIENCE: Final = timedelta(days=5)
"""After so long of nothing but failures an endpoint is switched off."""
WARNINGS: Final = (90, 70, 50)
"""Per cent of it after which the owner is warned, once each."""
TRIED_WITHIN: Final = timedelta(days=2)
"""The longest pause of the schedule is a day and a tenth: what was not tried for longer has nothing to send."""
REMOVED_WITHIN: Final = timedelta(hours=1)
"""So long after its removal nothing is being queued any more for an endpoint."""
UNDELIVERED_AFTER: Final = timedelta(minutes=10)
"""After so long without a 2xx a safety delivery is raised."""
UNSENT_AFTER: Final = timedelta(minutes=5)
"""What is due for so long, at an endpoint that is on and not paused, should have been sent."""
LOOKED_AT: Final = 5_000
"""So many deliveries without a due time are looked at in a turn."""
MOST: Final = 200
SLICE: Final = 500
SLICES: Final = 20
BACKLOG: Final = 1_000
"""A replay looks through events in slices, and waits while its endpoint has so many deliveries due."""


async def watch_endpoints(db: Database) -> int:
    """Warn the owners of endpoints that only fail, switch those off whose time is up, and say so. Gives how many.

    What was still being queued for an endpoint when it was removed is cancelled.
    """
    async with db.write(system()) as tx:
        await watch.cancel_at_removed(tx, wall_now() - REMOVED_WITHIN)
    done = await _switch_off(db)
    for share in WARNINGS:
        done += await _warn(db, share)
    return done + await _say_off(db)


async def raise_undelivered(db: Database) -> int:
    """List safety deliveries without a 2xx for ten minutes as undelivered, and tell their owners. Gives how many.

    They go on being retried. Whatever holds them up counts: a receiver that fails, a pause, a switch-off. Nothing is
    said of an endpoint that is off if the owner has the event by another one.
    """
    async with db.write(system()) as tx:
        due = await watch.overdue(tx, wall_now() - UNDELIVERED_AFTER, MOST)
        if due:
            await watch.note_raised(tx, [row["id"] for row in due])
            await outbox.emit(tx, [_undelivered(row, "not_received") for row in due if not row["known"]])
    _count(due, "not_received")
    return len(due)


class Unsent:
    """Lists deliveries that nobody sends although they could be sent, says so, and heals those that wait for nothing.

    `not_sent`: due for five minutes, the endpoint on and not paused, no delivery before it open. `no_due_time`: neither
    a due time nor a delivery before it to wait for, which is a fault of ours; it becomes due. The owner is told of each
    delivery of the safety lane, and otherwise once per endpoint for as long as any is listed: a receiver that cannot keep
    up is not sent a message more for each that it is behind.
    """

    def __init__(self) -> None:
        """Begins with the oldest; where it stands is a hint, each worker has its own."""
        self._after = _NONE

    async def turn(self, db: Database) -> int:
        """One look; how many were listed."""
        async with db.write(system()) as tx:
            late = await watch.raise_these(tx, await watch.unsent(tx, UNSENT_AFTER, MOST), freed=False)
            await outbox.emit(tx, _told_once(late, "not_sent"))
        async with db.write(system()) as tx:
            ids, last = await watch.waiting_for_nothing(tx, self._after, LOOKED_AT)
            freed = await watch.raise_these(tx, ids, freed=True)
            await outbox.emit(tx, _told_once(freed, "no_due_time"))
            if freed:
                await endpoints.wake_worker(tx)
        self._after = last or _NONE
        _count(late, "not_sent")
        _count(freed, "no_due_time")
        return len(late) + len(freed)


_NONE: Final = UUID(int=0)


def _told_once(rows: Sequence[Row], reason: str) -> list[outbox.Event]:
    """Of the safety lane each; of the normal lane the first of an endpoint. Never of an event that is such news itself."""
    told, seen = [], {row["endpoint_id"] for row in rows if row["already"]}
    for row in rows:
        if row["event_type"].startswith(("delivery.", "endpoint.")):
            continue
        if row["lane"] == "normal":
            if row["endpoint_id"] in seen:
                continue
            seen.add(row["endpoint_id"])
        told.append(_undelivered(row, reason))
    return told


def _count(rows: Sequence[Row], reason: str) -> None:
    for row in rows:
        metrics.raised(row["lane"], reason)
        _log.warning(
            "webhook.undelivered", reason=reason, lane=row["lane"], delivery_id=str(row["id"]),
            endpoint_id=str(row["endpoint_id"]), event_type=row["event_type"],
        )  # fmt: skip


def _undelivered(row: Row, reason: str) -> outbox.Event:
    data = {"delivery_id": row["id"], "event_id": row["event_id"], "event_type": row["event_type"]}
    return _to_owner("delivery.undelivered", row, row["endpoint_id"], {**data, "reason": reason})


async def go_on_with_replays(db: Database, *, slice_of: int = SLICE, backlog: int = BACKLOG) -> int:
    """Do up to 20 slices of the replays under way, each committed with its progress. Gives how many were done."""
    for done in range(SLICES):
        async with db.write(system()) as tx:
            if await replays.take_slice(tx, slice_of, backlog) is None:
                return done
    return SLICES


async def drop_old(db: Database, days: int) -> int:
    """Drop the partitions of events, deliveries and attempts that are older than what is kept. Gives how many.

    Each in a transaction of its own; one that readers hold raises Conflict, and the next turn tries again.
    """
    done = 0
    while True:
        async with db.write(system()) as tx:
            name = await queue.drop_old_partition(tx, days)
        if name is None:
            return done
        _log.info("worker.partition_dropped", partition=name)
        done += 1


async def _switch_off(db: Database) -> int:
    now = wall_now()
    async with db.write(system()) as tx:
        due = await watch.failing(tx, now - PATIENCE, watch.ALL_SAID, now - TRIED_WITHIN, MOST)
        for row in due:
            await watch.switch_off(tx, row["id"], "failing")
    return len(due)


async def _warn(db: Database, share: int) -> int:
    now = wall_now()
    async with db.write(system()) as tx:
        due = await watch.failing(tx, now - PATIENCE * share / 100, share, now - TRIED_WITHIN, MOST)
        await watch.note_warned(tx, [row["id"] for row in due], share)
        await outbox.emit(
            tx,
            _told(
                "endpoint.failing", due, lambda row: {"failing_since": row["failing_since"], "share": share}
            ),
        )
    return len(due)


async def _say_off(db: Database) -> int:
    async with db.write(system()) as tx:
        due = await watch.off_unsaid(tx, MOST)
        await watch.note_warned(tx, [row["id"] for row in due], watch.ALL_SAID)
        await outbox.emit(
            tx, _told("endpoint.switched_off", due, lambda row: {"reason": row["off_reason"] or "failing"})
        )
    return len(due)


def _told(kind: str, rows: Iterable[Row], more: Any) -> list[outbox.Event]:  # noqa: ANN401
    return [_to_owner(kind, row, row["id"], more(row)) for row in rows]


def _to_owner(kind: str, row: Row, endpoint_id: Any, data: Mapping[str, Any]) -> outbox.Event:  # noqa: ANN401
    """An operational event to the organisation whose endpoint it is."""
    return outbox.Event(
        kind, side_of(row["kind"]), row["org_id"], endpoint_id, {"endpoint_id": endpoint_id, **data}
    )
