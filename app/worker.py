"""The worker process: the voice of the house, and its chores, side by side on one loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from app.access import sql as access
from app.bookings import upkeep as bookings
from app.core import metrics
from app.core.db import Database, system
from app.core.egress import Egress
from app.core.errors import Overloaded, Unavailable
from app.dashboards import upkeep as dashboards
from app.encounters import upkeep as encounters
from app.idempotency import service as idempotency
from app.settings import Settings
from app.webhooks import upkeep as webhooks
from app.webhooks.certifier import Certifier
from app.webhooks.sql import measures
from app.webhooks.sql.queue import keep_partitions
from app.webhooks.voice import Pace, Worker

_log = structlog.get_logger("tendays.worker")


@dataclass(frozen=True, slots=True)
class Chore:
    """Something the house does by itself. `run` opens its own transactions as `system()`, whose `now` is domain time.

    Several workers may run the same chore at once: it locks what it touches and takes nothing twice. It begins when
    the worker does, and again so many seconds after it ended. A failure is logged and the next turn comes as usual.
    """

    name: str
    every_seconds: float
    run: Callable[[Database], Awaitable[object]]


async def make_partitions(db: Database) -> int:
    """Keep three periods ahead; without them nothing could be written when the month ends."""
    async with db.write(system()) as tx:
        return await keep_partitions(tx)


async def measure(db: Database) -> None:
    """Look how the queue stands, for the metrics."""
    async with db.write(system()) as tx:
        metrics.state_of_queue(await measures.lanes(tx), await measures.endpoints(tx))
        metrics.undelivered(await measures.undelivered(tx))


async def forget(db: Database) -> int:
    """Drop recorded answers, revocations and assertion ids that have expired."""
    async with db.write(system()) as tx:
        return await idempotency.forget_expired(tx) + await access.forget_expired(tx)


CHORES: tuple[Chore, ...] = (
    Chore("keep_partitions", 300, make_partitions),
    Chore("hold_and_release", 1, bookings.hold_and_release),
    Chore("cancel_with_slot", 2, bookings.cancel_with_slot),
    Chore("raise_overdue", 10, encounters.raise_overdue),
    Chore("raise_undelivered", 5, webhooks.raise_undelivered),
    Chore("raise_unsent", 30, webhooks.Unsent().turn),
    Chore("go_on_with_replays", 1, webhooks.go_on_with_replays),
    Chore("settle_due", 10, encounters.settle_due),
    Chore("expire_due", 15, bookings.expire_due),
    Chore("watch_endpoints", 30, webhooks.watch_endpoints),
    Chore("promote_waiting", 15, bookings.promote_waiting),
    Chore("hand_back_unnamed", 60, bookings.hand_back_unnamed),
    Chore("keep_figures", 1, dashboards.keep_figures),
    Chore("forget_expired", 600, forget),
)
"""What the house does by itself, and every how many seconds of wall time. What matters for a child comes first."""


def retention(days: int) -> Chore:
    """What is older than this in feed and deliveries goes, by whole months."""

    async def drop(db: Database) -> int:
        return await webhooks.drop_old(db, days)

    return Chore("drop_old", 3600, drop)


async def run(settings: Settings) -> None:
    """Work until cancelled (SIGTERM and SIGINT, as the command line translates them), then stop in order."""
    stop = asyncio.Event()
    work = asyncio.create_task(serve(settings, stop))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await work
        raise


async def serve(settings: Settings, stop: asyncio.Event, chores: Sequence[Chore] = CHORES) -> None:
    """Work until `stop`: in a process of its own, or beside an API on its loop.

    Stopping claims nothing more, lets posts under way end for up to 15 s, and gives back what is leased.
    """
    settings.require("worker_database_url")
    db = await Database(
        settings.worker_database_url or "", development=settings.development, pool=settings.database_pool
    ).open()
    port = None if settings.with_worker else settings.metrics_port  # beside an API its /metrics tells all
    try:
        with metrics.serve(port, settings.host):
            async with Egress(settings.webhook_policy()) as egress:
                await _work(settings, db, egress, stop, (*chores, retention(settings.event_days)))
    finally:
        await db.close()


async def _work(
    settings: Settings, db: Database, egress: Egress, stop: asyncio.Event, chores: Sequence[Chore]
) -> None:
    pace = Pace(posts=settings.webhook_concurrency, poll=settings.poll_seconds)
    voice = Worker(db, egress, settings.keyring(), pace=pace)
    certifier = Certifier(egress, settings.keyring())
    own = [Chore("certify", 1, certifier.turn)]
    if settings.metrics or settings.metrics_port:
        own.append(Chore("measure", 10, measure))
    try:
        await asyncio.gather(voice.run(stop), keep_house(db, stop, (*chores, *own)))
    finally:
        await certifier.close(db)


async def keep_house(db: Database, stop: asyncio.Event, chores: Sequence[Chore]) -> None:
    """Every chore in its own time until `stop`; none waits for another, and one under way is let finish."""
    await asyncio.gather(*(_keep(db, stop, chore) for chore in chores))


async def _keep(db: Database, stop: asyncio.Event, chore: Chore) -> None:
    while not stop.is_set():
        try:
            await chore.run(db)
        except (
            Unavailable,
            Overloaded,
        ) as away:  # said once a turn, and without a traceback: it is no fault of ours
            _log.warning("worker.waits", chore=chore.name, why=away.code)
        except Exception:  # noqa: BLE001  (a chore that fails once is done again, not given up)
            _log.exception("worker.chore", chore=chore.name)
        # Two workers drift apart instead of meeting at every turn.
        await _asleep(stop, chore.every_seconds * random.uniform(0.9, 1.1))  # noqa: S311


async def _asleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
