"""The worker process: the voice of the house, and its chores, side by side on one loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from app.access import sql as access
from app.bookings import leavers
from app.bookings import upkeep as bookings
from app.checks import HEARS, Guard, address
from app.core import metrics
from app.core import sql as core
from app.core.db import RECOVERY_SECONDS, Database, Writer, system
from app.core.egress import Egress
from app.core.one_by_one import AWAY, OneByOne, each_step
from app.dashboards import upkeep as dashboards
from app.employers import upkeep as employers
from app.encounters import upkeep as encounters
from app.idempotency import service as idempotency
from app.organisations import upkeep as organisations
from app.settings import Settings, SettingsRefused
from app.students import upkeep as students
from app.webhooks import upkeep as webhooks
from app.webhooks.certifier import Certifier
from app.webhooks.sql import measures, queue
from app.webhooks.sql.queue import Line, QueueDown
from app.webhooks.voice import Pace, Worker

CHECK_SECONDS = 15.0
WRITERS, READERS, PATIENCE_SECONDS = 4, 1, 60.0
"""Connections of the chores, and how long one waits for its turn; six more are the queue's (webhooks/sql/queue.py)."""
_log = structlog.get_logger("tendays.worker")
_PARTITIONED = OneByOne("keep_partitions")
_MOST_TABLES = 100


@dataclass(frozen=True, slots=True)
class Chore:
    """Something the house does by itself. `run` opens its own transactions as `system()`, whose `now` is domain time.

    Several workers may run the same chore at once: it locks what it touches and takes nothing twice. It begins when
    the worker does, and again so many seconds after it ended. A failure is logged and counted, and the next turn comes
    as usual; what it does with many rows it does by `core/one_by_one`, so that one row stops no other.
    """

    name: str
    every_seconds: float
    run: Callable[[Database], Awaitable[object]]
    channel: str | None = None
    """A NOTIFY on this channel brings the next turn forward."""


async def make_partitions(db: Database) -> int:
    """Keep three periods ahead; without them nothing could be written when the month ends. Table by table."""

    async def tables(_most: int) -> Sequence[str]:
        async with db.write(system()) as tx:
            return await queue.partitioned_tables(tx)

    async def keep(table: str) -> None:
        async with db.write(system()) as tx:
            await queue.keep_partitions(tx, table)

    return await _PARTITIONED.turn(db, tables, keep, most=_MOST_TABLES)


async def settle_changes(db: Database) -> int | None:
    """Move the mark up to which every change has been committed: what a pull of changes goes by."""
    async with db.write(system()) as tx:
        return await core.settle_changes(tx)


async def measure(db: Database) -> int:
    """Look how the queue stands, for the metrics."""

    async def lanes() -> int:
        async with db.write(system()) as tx:
            metrics.state_of_queue(await measures.lanes(tx))
        return 0

    async def endpoints() -> int:
        async with db.write(system()) as tx:
            metrics.state_of_endpoints(await measures.endpoints(tx))
        return 0

    async def undelivered() -> int:
        async with db.write(system()) as tx:
            metrics.undelivered(await measures.undelivered(tx))
        return 0

    return await each_step("measure", {"lanes": lanes, "endpoints": endpoints, "undelivered": undelivered})


async def forget(db: Database) -> int:
    """Drop recorded answers, revocations and assertion ids that have expired."""

    async def broom(expired: Callable[[Writer], Awaitable[int]]) -> int:
        async with db.write(system()) as tx:
            return await expired(tx)

    brooms = {
        "answers": idempotency.forget_expired,
        "assertions": access.forget_assertions,
        "revocations": access.forget_revocations,
    }
    return await each_step("forget_expired", {name: partial(broom, one) for name, one in brooms.items()})


CHORES: tuple[Chore, ...] = (
    Chore("keep_partitions", 300, make_partitions),
    Chore("hold_and_release", 1, bookings.hold_and_release),
    Chore("settle_changes", 1, settle_changes),
    Chore("cancel_with_slot", 2, bookings.cancel_with_slot),
    Chore("cancel_with_offer", 2, bookings.cancel_with_offer),
    Chore("withdraw_leavers", 2, leavers.withdraw_leavers),
    Chore("raise_overdue", 10, encounters.raise_overdue),
    Chore("raise_undelivered", 5, webhooks.raise_undelivered),
    Chore("raise_unsent", 30, webhooks.Unsent().turn),
    Chore("go_on_with_replays", 1, webhooks.go_on_with_replays),
    Chore("settle_due", 10, encounters.settle_due),
    Chore("expire_due", 15, bookings.expire_due),
    Chore("end_proposals", 5, bookings.end_proposals),
    Chore("watch_endpoints", 30, webhooks.watch_endpoints),
    Chore("promote_waiting", 15, bookings.promote_waiting, "tendays_places"),
    Chore("hand_back_unnamed", 60, bookings.hand_back_unnamed),
    Chore("keep_figures", 1, dashboards.keep_figures),
    Chore("turn_pupils", 30, students.turn_pupils),
    Chore("turn_memberships", 30, organisations.turn_memberships),
    Chore("turn_cover", 30, employers.turn_cover),
    Chore("turn_approvals", 30, employers.turn_approvals),
    Chore("forget_expired", 600, forget),
)
"""What the house does by itself, and every how many seconds of wall time. What matters for a child comes first."""


def retention(days: int) -> Chore:
    """What is older than this in feed and deliveries goes, by whole months."""

    async def drop(db: Database) -> int:
        return await webhooks.drop_old(db, days)

    return Chore("drop_old", 3600, drop)


def all_chores(
    settings: Settings, certifier: Certifier, guard: Guard, chores: Sequence[Chore] = CHORES
) -> tuple[Chore, ...]:
    """What a worker with these settings does."""
    own = [
        Chore("check", CHECK_SECONDS, guard.turn),
        retention(settings.event_days),
        Chore("certify", 1, certifier.turn),
    ]
    if settings.metrics or settings.metrics_port:
        own.append(Chore("measure", 10, measure))
    return (*chores, *own)


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
    guard = Guard(settings, settings.keyring())
    db = await _opened(settings, guard)
    port = None if settings.with_worker else settings.metrics_port  # beside an API its /metrics tells all
    try:
        with _metrics_at(port, settings.host):
            async with Egress(settings.webhook_policy()) as egress:
                await _work(settings, db, egress, stop, guard, chores)
    finally:
        await db.close()


@contextmanager
def _metrics_at(port: int | None, host: str) -> Iterator[None]:
    served = metrics.serve(port, host)
    try:
        served.__enter__()
    except OSError as error:
        raise SettingsRefused(f"TENDAYS_METRICS_PORT: {host}:{port}: {error.strerror}") from None
    try:
        yield
    finally:
        served.__exit__()


async def _opened(settings: Settings, guard: Guard) -> Database:
    """The worker's connections, a handful, once all is in order. SettingsRefused if it is not."""
    await address(
        settings,
        "worker_database_url",
        direct=HEARS,
        patience=RECOVERY_SECONDS,
    )
    db = Database(
        settings.worker_database_url or "",
        development=settings.development,
        pool=WRITERS,
        readers=READERS,
        wait=PATIENCE_SECONDS,
    )
    try:
        await db.open()
        await guard.refuse(db)
    except BaseException:
        await db.close()
        raise
    return db


async def _work(
    settings: Settings,
    db: Database,
    egress: Egress,
    stop: asyncio.Event,
    guard: Guard,
    chores: Sequence[Chore],
) -> None:
    pace = Pace(posts=settings.webhook_concurrency, poll=settings.poll_seconds)
    voice = Worker(db, egress, settings.keyring(), pace=pace)
    voice.held = lambda: guard.held
    certifier = Certifier(egress, settings.keyring())
    try:
        every = all_chores(settings, certifier, guard, chores)
        await asyncio.gather(voice.run(stop), keep_house(db, stop, every))
    finally:
        await certifier.close(db)


async def keep_house(db: Database, stop: asyncio.Event, chores: Sequence[Chore]) -> None:
    """Every chore in its own time until `stop`; none waits for another, and one under way is let finish."""
    woken = {chore.channel: asyncio.Event() for chore in chores if chore.channel}
    listening = asyncio.create_task(_listen(db, woken))
    try:
        await asyncio.gather(
            *(_keep(db, stop, chore, woken[chore.channel] if chore.channel else None) for chore in chores)
        )
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _listen(db: Database, woken: Mapping[str, asyncio.Event]) -> None:
    """Set the event of each channel when it is notified; when the connection is lost, open another one."""
    line = Line(db.dsn)
    while woken:
        lost = asyncio.Event()
        try:
            await line.hear(list(woken), lambda channel: woken[channel].set(), lost.set)
            for event in woken.values():  # what was told while nobody listened
                event.set()
            await lost.wait()
        except QueueDown:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            await line.close()
            raise


async def _keep(db: Database, stop: asyncio.Event, chore: Chore, woken: asyncio.Event | None = None) -> None:
    while not stop.is_set():
        if woken is not None:
            woken.clear()
        await take_turn(db, chore)
        # Two workers drift apart instead of meeting at every turn.
        pause = chore.every_seconds * random.uniform(0.9, 1.1)  # noqa: S311
        await _asleep([stop, woken] if woken else [stop], pause)


async def take_turn(db: Database, chore: Chore) -> None:
    """One turn. A failure is logged and counted, and raises nothing."""
    try:
        await chore.run(db)
        metrics.turn_ended(chore.name)
    except AWAY as away:  # said once a turn, and without a traceback: it is no fault of ours
        _log.warning("worker.waits", chore=chore.name, why=away.code)
    except Exception:  # noqa: BLE001  (a chore that fails once is done again, not given up)
        metrics.task_failed(chore.name)
        _log.exception("worker.chore", chore=chore.name)


async def _asleep(events: Sequence[asyncio.Event], seconds: float) -> None:
    """Wait for one of the events, for so many seconds at most."""
    waits = [asyncio.create_task(one.wait()) for one in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
