"""The worker's side of the queue: one call, one round trip, each a function of ours that is let past row security.

These connections stand beside the doors of `core/db`: they hold no transaction, so nothing is open while something
is being posted, and a call costs no BEGIN and no COMMIT. A broken one is opened again at the next call.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import func, select

from app.core.db import Writer
from app.webhooks.heads import Head
from app.webhooks.outcomes import Claimed, Outcome

OUTBOX, FEED = "tendays_outbox", "tendays_feed"
_SEQUENCE = "SELECT newest, made, more FROM app.sequence_and_fan_out($1)"
_CLAIM = "SELECT * FROM app.claim_deliveries($1, $2, $3, $4, $5, $6, $7)"
_DUE = "SELECT endpoint_id, low, looked FROM app.due_endpoints($1)"
_RECORD = "SELECT app.record_attempts($1, $2::jsonb)"
_RENEW = "SELECT app.renew_leases($1, $2, $3)"
_RELEASE = "SELECT app.release_leases($1)"
_PATIENCE, _LOOK_PATIENCE = 30.0, 600.0
_DOWN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class QueueDown(Exception):
    """Postgres did not answer as it should; the same call may be made again after a moment."""


class QueueRefused(Exception):
    """Postgres will not take what it was given, now or later: a fault of ours in the data of one call."""


class Line:
    """One connection of the worker's own, one call at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = asyncio.Lock()
        self._connection: Any = None

    async def rows(self, sql: str, *args: Any, patience: float = _PATIENCE) -> Sequence[Any]:  # noqa: ANN401
        """The rows of one statement. Raises QueueDown or QueueRefused."""
        async with self._lock:
            try:
                connection = await self._open()
                found: Sequence[Any] = await connection.fetch(sql, *args, timeout=patience)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                raise QueueRefused(f"{type(error).__name__}: {error}") from error
            except _DOWN as error:
                raise QueueDown(f"{type(error).__name__}: {error}") from error
            return found

    async def hear(
        self, channels: Sequence[str], told: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """LISTEN, and call `told(channel)` for each notice until the connection is `lost`. Raises QueueDown."""
        async with self._lock:
            try:
                connection = await self._open()
                connection.add_termination_listener(lambda _: lost())
                for channel in channels:
                    await connection.add_listener(channel, lambda _c, _p, heard, _t: told(heard))
            except _DOWN as error:
                raise QueueDown(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close it; a later call opens it again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=2.0)
            except _DOWN:
                connection.terminate()

    async def _open(self) -> Any:  # noqa: ANN401
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=5.0,
                server_settings={"timezone": "UTC", "jit": "off", "lock_timeout": "5000"},
            )
        return self._connection


@dataclass(frozen=True, slots=True)
class Step:
    """What a call of `sequence` did: deliveries made, and whether there is more to do at once."""

    newest: int
    made: int
    more: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a call of `claim` brought: leased deliveries; where endpoints begin, as it was found and seen on visiting.

    `looked` is the moment at which it looked around, if it was to; `again` after how many seconds to ask again, if
    another worker was at an endpoint, or a rate held something back.
    """

    deliveries: list[Claimed]
    found: list[Head]
    seen: list[tuple[UUID, datetime | None]]
    looked: datetime | None
    again: float | None


class Queue:
    """The calls of one worker. `worker` is the name its leases carry."""

    def __init__(self, dsn: str, worker: UUID) -> None:
        self.worker = worker
        self._lines = {name: Line(dsn) for name in ("ears", "sequence", "normal", "safety", "look", "record")}

    async def close(self) -> None:
        """Close every line."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))

    async def hear(self, told: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Be told of commits that emitted (`OUTBOX`) and of new positions or due deliveries (`FEED`)."""
        await self._lines["ears"].hear((OUTBOX, FEED), told, lost)

    async def sequence(self, most: int) -> Step | None:
        """Number what was committed and fan it out; None when another worker is at it."""
        found = await self._lines["sequence"].rows(_SEQUENCE, most)
        return Step(*found[0]) if found else None

    async def due_endpoints(self, lane: str, *, beside: bool) -> tuple[list[Head], datetime]:
        """Every endpoint with something due in a lane and since when, and the moment at which it was so.

        `beside` the claims of the lane, which go on meanwhile; otherwise in their place.
        """
        *heads, last = await self._lines["look" if beside else lane].rows(_DUE, lane, patience=_LOOK_PATIENCE)
        return [(row["endpoint_id"], row["low"]) for row in heads], last["looked"]

    async def claim(
        self, lane: str, most: int, lease: float, heads: Sequence[Head], since: datetime | None
    ) -> Claim:
        """Up to `most` due deliveries of a lane under a lease of so many seconds.

        From the endpoints given, in their order, then from those for which something became due after `since`; None
        does not look for any.
        """
        endpoints, lows = [one for one, _ in heads], [low for _, low in heads]
        rows = await self._lines[lane].rows(_CLAIM, self.worker, lane, most, lease, endpoints, lows, since)
        *others, last = [row for row in rows if row["delivery_id"] is None]
        claimed = [Claimed(*tuple(row)[:-1]) for row in rows if row["delivery_id"] is not None]
        found = [(row["endpoint_id"], row["low"]) for row in others if row["event_type"] == "found"]
        seen = [(row["endpoint_id"], row["low"]) for row in others if row["event_type"] == "seen"]
        return Claim(claimed, found, seen, last["low"], last["age"])

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write attempts, the state of their deliveries and the health of their endpoints, in one transaction."""
        written = orjson.dumps([one.written() for one in outcomes]).decode()
        await self._lines["record"].rows(_RECORD, self.worker, written)

    async def renew(self, deliveries: Sequence[UUID], lease: float) -> int:
        """Keep these leases for so many seconds from now; how many were still ours."""
        # On the line of the records: two statements of one worker never lock the same rows in two orders.
        return int((await self._lines["record"].rows(_RENEW, self.worker, list(deliveries), lease))[0][0])

    async def release(self) -> int:
        """Give back every lease of this worker."""
        return int((await self._lines["record"].rows(_RELEASE, self.worker))[0][0])


async def partitioned_tables(tx: Writer) -> Sequence[str]:
    """The tables whose partitions are made ahead."""
    return list(await tx.value(select(func.app.partitioned_tables())) or ())


async def keep_partitions(tx: Writer, table: str) -> int:
    """Make, or attach again, the partitions of this table for the present period and those ahead; how many."""
    return int(await tx.value(select(func.app.keep_partitions_of(table))) or 0)


async def give_up_old(tx: Writer, days: int) -> int:
    """Cancel deliveries of what is older than so many days to endpoints that are paused or off; how many."""
    return int(await tx.value(select(func.app.give_up_old(days))) or 0)


async def old_partitions(tx: Writer, days: int, most: int) -> Sequence[str]:
    """The partitions of what is older than so many days, in the order in which they can be dropped."""
    found = await tx.rows(select(func.app.old_partitions(days).label("name")).limit(most))
    return [row["name"] for row in found]


async def drop_partition(tx: Writer, days: int, name: str) -> bool:
    """Drop one of them, unless something in it is still needed or another worker is at it; whether it went."""
    return bool(await tx.value(select(func.app.drop_old_partition(days, name))))
