"""What the house does by itself with webhooks: the worker's chores. All of it by wall time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from app.core import metrics
from app.core.clock import wall_now
from app.core.db import Database, Row, Writer, system
from app.core.one_by_one import OneByOne, each_step
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
_UNDELIVERED = OneByOne("raise_undelivered")
_NOT_SENT, _NO_DUE_TIME = OneByOne("raise_unsent"), OneByOne("raise_unsent")
_REPLAYS = OneByOne("go_on_with_replays")
_PARTITIONS = OneByOne("drop_old")
_ENDPOINTS = {
    what: OneByOne("watch_endpoints")
    for what in ("cancel", "switch_off", *(f"warn_{share}" for share in WARNINGS), "say_off")
}


async def watch_endpoints(db: Database) -> int:
    """Warn the owners of endpoints that only fail, switch those off whose time is up, and say so. Gives how many.

    What was still being queued for an endpoint when it was removed is cancelled.
    """
    steps: dict[str, Callable[[], Awaitable[int]]] = {"cancel": partial(_cancel_at_removed, db)}
    steps["switch_off"] = partial(_switch_off, db)
    steps |= {f"warn_{share}": partial(_warn, db, share) for share in WARNINGS}
    return await each_step("watch_endpoints", steps | {"say_off": partial(_say_off, db)})


async def raise_undelivered(db: Database) -> int:
    """List safety deliveries without a 2xx for ten minutes as undelivered, and tell their owners. Gives how many.

    They go on being retried. Whatever holds them up counts: a receiver that fails, a pause, a switch-off. Nothing is
    said of an endpoint that is off if the owner has the event by another one.
    """

    async def find(most: int) -> Sequence[UUID]:
        async with db.write(system()) as tx:
            return [row["id"] for row in await watch.overdue(tx, wall_now() - UNDELIVERED_AFTER, most)]

    async def tell(delivery_id: UUID) -> int:
        async with db.write(system()) as tx:
            due = await watch.overdue(tx, wall_now() - UNDELIVERED_AFTER, 1, delivery_id)
            if due:
                await watch.note_raised(tx, [delivery_id])
                await outbox.emit(tx, [_undelivered(row, "not_received") for row in due if not row["known"]])
        _count(due, "not_received")
        return len(due)

    return await _UNDELIVERED.turn(db, find, tell, most=MOST)


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
        looks = {"not_sent": partial(self._not_sent, db), "no_due_time": partial(self._no_due_time, db)}
        return await each_step("raise_unsent", looks)

    async def _not_sent(self, db: Database) -> int:
        async def find(most: int) -> Sequence[UUID]:
            async with db.write(system()) as tx:
                return await watch.unsent(tx, UNSENT_AFTER, most)

        return await _NOT_SENT.turn(db, find, partial(_list_one, db, "not_sent"), most=MOST)

    async def _no_due_time(self, db: Database) -> int:
        async def find(_most: int) -> Sequence[UUID]:
            async with db.write(system()) as tx:
                ids, last = await watch.waiting_for_nothing(tx, self._after, LOOKED_AT)
            self._after = last or _NONE
            return ids

        freed = await _NO_DUE_TIME.turn(db, find, partial(_list_one, db, "no_due_time"), most=LOOKED_AT)
        if freed:
            async with db.write(system()) as tx:
                await endpoints.wake_worker(tx)
        return freed


async def _list_one(db: Database, reason: str, delivery_id: UUID) -> int:
    async with db.write(system()) as tx:
        rows = await watch.raise_these(tx, [delivery_id], freed=reason == "no_due_time")
        await outbox.emit(tx, _told_once(rows, reason))
    _count(rows, reason)
    return len(rows)


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
            "undelivered", reason=reason, lane=row["lane"], delivery_id=str(row["id"]),
            endpoint_id=str(row["endpoint_id"]), event_type=row["event_type"],
        )  # fmt: skip


def _undelivered(row: Row, reason: str) -> outbox.Event:
    data = {"delivery_id": row["id"], "event_id": row["event_id"], "event_type": row["event_type"]}
    return _to_owner("delivery.undelivered", row, row["endpoint_id"], {**data, "reason": reason})


async def go_on_with_replays(db: Database, *, slice_of: int = SLICE, backlog: int = BACKLOG) -> int:
    """Do up to 20 slices of the replays under way, each committed with its progress. Gives how many were done."""

    async def due(most: int) -> Sequence[UUID]:
        async with db.read(system()) as tx:
            return await replays.due(tx, backlog, most)

    async def work(replay_id: UUID) -> int:
        async with db.write(system()) as tx:
            return int(await replays.take_slice(tx, replay_id, slice_of, backlog) is not None)

    done = 0
    while done < SLICES and (more := await _REPLAYS.turn(db, due, work, most=SLICES - done)):
        done += more
    return done


async def drop_old(db: Database, days: int) -> int:
    """Drop the partitions of events, deliveries and attempts that are older than what is kept. Gives how many.

    Each in a transaction of its own; one that cannot be dropped is tried again later, and the others go.
    """

    async def give_up() -> int:
        async with db.write(system()) as tx:
            await queue.give_up_old(tx, days)
        return 0

    async def old(most: int) -> Sequence[str]:
        async with db.write(system()) as tx:
            return await queue.old_partitions(tx, days, most)

    async def drop(name: str) -> bool:
        async with db.write(system()) as tx:
            dropped = await queue.drop_partition(tx, days, name)
        if dropped:
            _log.info("worker.partition_dropped", partition=name)
        return dropped

    async def drop_each() -> int:
        return await _PARTITIONS.turn(db, old, drop, most=MOST)

    return await each_step("drop_old", {"give_up": give_up, "drop": drop_each})


async def _cancel_at_removed(db: Database) -> int:
    async def find(most: int) -> Sequence[UUID]:
        async with db.read(system()) as tx:
            return await watch.removed(tx, wall_now() - REMOVED_WITHIN, most)

    async def cancel(endpoint_id: UUID) -> None:
        async with db.write(system()) as tx:
            await watch.cancel_at(tx, endpoint_id)

    await _ENDPOINTS["cancel"].turn(db, find, cancel, most=MOST)
    return 0


async def _switch_off(db: Database) -> int:
    async def act(tx: Writer, row: Row) -> None:
        await watch.switch_off(tx, row["id"], "failing")

    return await _each_endpoint(db, "switch_off", partial(_failing, 100, watch.ALL_SAID), act)


async def _warn(db: Database, share: int) -> int:
    async def act(tx: Writer, row: Row) -> None:
        await watch.note_warned(tx, [row["id"]], share)
        data = {"failing_since": row["failing_since"], "share": share}
        await outbox.emit(tx, [_to_owner("endpoint.failing", row, row["id"], data)])

    return await _each_endpoint(db, f"warn_{share}", partial(_failing, share, share), act)


async def _say_off(db: Database) -> int:
    async def act(tx: Writer, row: Row) -> None:
        await watch.note_warned(tx, [row["id"]], watch.ALL_SAID)
        data = {"reason": row["off_reason"] or "failing"}
        await outbox.emit(tx, [_to_owner("endpoint.switched_off", row, row["id"], data)])

    return await _each_endpoint(db, "say_off", watch.off_unsaid, act)


async def _failing(
    share: int, warned_below: int, tx: Writer, most: int, only: UUID | None = None
) -> Sequence[Row]:
    now = wall_now()
    return await watch.failing(tx, now - PATIENCE * share / 100, warned_below, now - TRIED_WITHIN, most, only)


class _Look(Protocol):
    async def __call__(self, tx: Writer, most: int, only: UUID | None = None, /) -> Sequence[Row]: ...


async def _each_endpoint(
    db: Database, what: str, look: _Look, act: Callable[[Writer, Row], Awaitable[None]]
) -> int:
    """Do it with each endpoint that `look` finds: found at first, then held, looked at again and done with."""

    async def find(most: int) -> Sequence[UUID]:
        async with db.write(system()) as tx:
            return [row["id"] for row in await look(tx, most)]

    async def one(endpoint_id: UUID) -> int:
        async with db.write(system()) as tx:
            rows = await look(tx, 1, endpoint_id)
            for row in rows:
                await act(tx, row)
        return len(rows)

    return await _ENDPOINTS[what].turn(db, find, one, most=MOST)


def _to_owner(kind: str, row: Row, endpoint_id: Any, data: Mapping[str, Any]) -> outbox.Event:  # noqa: ANN401
    """An operational event to the organisation whose endpoint it is."""
    return outbox.Event(
        kind, side_of(row["kind"]), row["org_id"], endpoint_id, {"endpoint_id": endpoint_id, **data}
    )
