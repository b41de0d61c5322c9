"""Where the voice is measured: Postgres, one worker in a process of its own, a sink, and deliveries made by the owner."""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

import migrations
from app.core.embedded import EmbeddedPostgres, free_port
from app.core.ids import new_id
from app.core.roles import Dsns
from app.core.secrets import Keyring, new_master
from app.webhooks.keys import new_keys

FOLDER = Path(__file__).resolve().parent.parent
BODY = 420
"""Bytes of an event, as a confirmation has them."""

# Events of the past are numbered and fanned out already; those of `fresh` are left to the worker.
_EVENTS = """
    INSERT INTO events (id, position, type, audience, audience_id, order_key, sequence, lane, body, occurred_at)
    SELECT app.uuid7(), CASE WHEN $5 THEN NULL ELSE $1 + n END, 'booking.confirmed', 'school',
           ($2::uuid[])[1 + n % cardinality($2::uuid[])],
           gen_random_uuid(), 1, 'normal', convert_to(rpad('{"n":' || n || ',"x":"', $4 - 2, 'x') || '"}', 'UTF8'), now()
      FROM generate_series(1, $3::integer) n
"""
_DELIVERIES = """
    INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position, due_at)
    SELECT app.uuid7(), w.id, w.org_id, v.id, v.type, v.order_key, v.sequence, v.position, now()
      FROM events v JOIN webhook_endpoints w ON w.org_id = v.audience_id WHERE v.position > $1 ORDER BY v.position
"""


@dataclass
class Sinkhole:
    """The receiver's process: where it listens, and what it noted."""

    port: int
    notes: Path
    _read: int = 0
    _rest: bytes = b""

    @property
    def base(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.port}"

    def fresh(self) -> list[tuple[float, str]]:
        """What was received since the last time: when (unix seconds), and the path."""
        with self.notes.open("rb") as notes:
            notes.seek(self._read)
            found = notes.read()
        self._read += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [(float(at), path.decode()) for at, _, path in (line.partition(b" ") for line in lines)]


@dataclass
class Field:
    """One database with endpoints in it; their worker sends when `open_gates` lets it."""

    dsns: Dsns
    master: str
    sink: Sinkhole
    owner: asyncpg.Connection
    orgs: list[UUID] = field(default_factory=list)

    async def endpoints(self, number: int, *, hanging: int = 0, concurrency: int = 8) -> None:
        """So many organisations with a paused endpoint each, at paths of their own; the last ones can be told to hang."""
        keyring = Keyring.from_text(self.master)
        for at in range(number):
            org, client, endpoint = new_id(), new_id(), new_id()
            await self.owner.execute(
                "INSERT INTO organisations (id, kind, name) VALUES ($1, 'school', $2)", org, f"School {at}"
            )
            await self.owner.execute(
                "INSERT INTO clients (id, org_id, name) VALUES ($1, $2, 'c')", client, org
            )
            values = {
                "id": endpoint,
                "org_id": org,
                "client_id": client,
                "url": f"{self.sink.base}{self.path(at, number, hanging)}",
                "event_types": ["*"],
                "signatures": ["v1"],
                "state": "paused",
                "concurrency": concurrency,
                "from_position": 0,
                **new_keys(keyring, endpoint).columns(),
            }
            marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
            await self.owner.execute(
                f"INSERT INTO webhook_endpoints ({', '.join(values)}) VALUES ({marks})", *values.values()
            )
            self.orgs.append(org)

    @staticmethod
    def path(at: int, number: int, hanging: int) -> str:
        """Where endpoint number `at` is posted to."""
        return f"/hang/{at}" if at >= number - hanging else f"/{at}"

    async def due(self, number: int) -> None:
        """So many deliveries, due now, spread over the endpoints evenly; numbered and fanned out already."""
        async with self.owner.transaction():
            last = await self.owner.fetchval("SELECT last FROM sequencer")
            await self.owner.execute(_EVENTS, last, self.orgs, number, BODY, False)
            await self.owner.execute(_DELIVERIES, last)
            await self.owner.execute("UPDATE sequencer SET last = $1", last + number)
            await self.owner.execute("UPDATE fanout SET position = $1", last + number)

    async def emitted(self, number: int) -> None:
        """So many events, committed and not yet numbered."""
        await self.owner.execute(_EVENTS, 0, self.orgs, number, BODY, True)
        await self.owner.execute("SELECT pg_notify('tendays_outbox', '')")

    async def open_gates(self, *, opened: bool = True) -> float:
        """Resume every endpoint, or pause it again; gives the moment, in unix seconds."""
        await self.owner.execute("UPDATE webhook_endpoints SET state = $1", "active" if opened else "paused")
        at = time.time()
        await self.owner.execute("SELECT pg_notify('tendays_feed', '')")
        return at

    async def until_recorded(self, number: int, *, seconds: float = 600.0) -> float:
        """Wait until so many attempts are recorded in all; gives the moment of it, as the database has it."""
        async with asyncio.timeout(seconds):
            while True:
                row = await self.owner.fetchrow(
                    "SELECT count(*) AS many, extract(epoch FROM max(ended_at))::float AS last FROM deliveries"
                    " WHERE state = 'delivered' AND id > $1",
                    self.since,
                )
                if row["many"] >= number:
                    return float(row["last"])
                await asyncio.sleep(0.25)

    since: UUID = field(default_factory=lambda: UUID(int=0))

    async def drained(self, number: int) -> float:
        """Make so many due, let the worker send them all; how many a second, from the gates' opening to the last record."""
        self.since = new_id()
        await self.due(number)
        began = await self.open_gates()
        ended = await self.until_recorded(number)
        await self.open_gates(opened=False)
        return number / (ended - began)


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A durable Postgres: fsync on."""
    programs = os.environ.get("TENDAYS_PG_BIN")
    async with EmbeddedPostgres(folder / "postgres", bin_dir=Path(programs) if programs else None) as started:
        yield started


@contextlib.asynccontextmanager
async def sinkhole(folder: Path) -> AsyncIterator[Sinkhole]:
    """The receiver."""
    sink = Sinkhole(free_port(), folder / f"notes-{new_id()}")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", str(sink.port), str(sink.notes)], cwd=FOLDER
    )
    try:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", sink.port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield sink
    finally:
        process.terminate()
        process.wait(10)


@contextlib.asynccontextmanager
async def prepared(started: EmbeddedPostgres, sink: Sinkhole, name: str = "tendays") -> AsyncIterator[Field]:
    """A migrated database, empty but for what migrations put in."""
    dsns = await started.prepare(name)
    await asyncio.to_thread(migrations.upgrade, dsns.owner)
    owner = await asyncpg.connect(dsns.owner)
    try:
        yield Field(dsns, new_master(), sink, owner)
    finally:
        await owner.close()


@contextlib.asynccontextmanager
async def worker(made: Field, folder: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """One worker process on this database."""
    environment = {
        **os.environ,
        "TENDAYS_ENV": "test",
        "TENDAYS_WORKER_DATABASE_URL": made.dsns.worker,
        "TENDAYS_DATABASE_URL": made.dsns.app,
        "TENDAYS_DATA_DIR": str(folder / "data"),
        "TENDAYS_SECRET_KEY": made.master,
        "TENDAYS_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "worker"], env=environment, cwd=FOLDER)
    try:
        await asyncio.sleep(2.0)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def ceiling(sink: Sinkhole, paths: int, posts: int) -> float:
    """Posts a second of the transport alone, in a process of its own, to the same sink."""
    command = [sys.executable, "-m", "bench.transport", sink.base, str(paths), str(posts), str(BODY)]
    process = await asyncio.create_subprocess_exec(*command, cwd=FOLDER, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the transport alone failed")
    return float(said)


async def past(made: Field, number: int) -> None:
    """So many events, deliveries and attempts in all, a third each, in the three months before this one; endpoints come first."""
    each = -(-number // 9)
    for back in (3, 2, 1):
        begins = await made.owner.fetchval(
            "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - make_interval(months => $1)",
            back,
        )
        await _month(made, begins.astimezone(UTC), each)
    await made.owner.execute("VACUUM (ANALYZE) events")
    await made.owner.execute("VACUUM (ANALYZE) deliveries")
    await made.owner.execute("VACUUM (ANALYZE) attempts")


async def _month(made: Field, begins: datetime, each: int) -> None:
    """One transaction: what is loaded into a table made by it needs no journal; indexes come after the rows."""
    stamp = f"{begins:%Y%m}"
    async with made.owner.transaction():
        for table in ("events", "deliveries", "attempts"):
            await made.owner.execute(
                f"CREATE TABLE {table}_{stamp} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
        await made.owner.execute(
            f"""
            CREATE TEMPORARY TABLE made ON COMMIT DROP AS
            SELECT n, (left(lower(replace(app.uuid7_floor('{begins.isoformat()}'::timestamptz + n * interval '26 days' / {each})::text,
                   '-', '')), 13) || lpad(to_hex(n), 19, '0'))::uuid AS id
              FROM generate_series(1, {each}) n
            """
        )
        await made.owner.execute(
            "CREATE TEMPORARY TABLE whose ON COMMIT DROP AS"
            " SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, org_id FROM webhook_endpoints"
        )
        endpoints = await made.owner.fetchval("SELECT count(*) FROM whose")
        last = await made.owner.fetchval("SELECT last FROM sequencer")
        who = f"FROM made m JOIN whose w ON w.n = m.n % {endpoints}"
        await made.owner.execute(
            f"""
            INSERT INTO events_{stamp} (id, position, type, audience, audience_id, order_key, sequence, lane, body, occurred_at)
            SELECT m.id, {last} + m.n, 'booking.confirmed', 'school', w.org_id, m.id, 1, 'normal',
                   convert_to(rpad('', {BODY}, 'x'), 'UTF8'), now() {who}
            """
        )
        await made.owner.execute(
            f"""
            INSERT INTO deliveries_{stamp} (id, endpoint_id, org_id, event_id, event_type, order_key, sequence, position,
                   state, attempts, last_status, created_at, ended_at)
            SELECT m.id, w.id, w.org_id, m.id, 'booking.confirmed', m.id, 1, {last} + m.n, 'delivered', 1, 204, now(), now()
                   {who}
            """
        )
        await made.owner.execute(
            f"""
            INSERT INTO attempts_{stamp} (id, delivery_id, endpoint_id, org_id, no, at, elapsed_ms, status, request_headers)
            SELECT m.id, m.id, w.id, w.org_id, 1, now(), 7, 204,
                   '{{"webhook-id": "01a2013a-9643-713b-a2d5-339b6a0a0c26", "webhook-timestamp": "1700000000"}}'::jsonb {who}
            """
        )
        for table in ("events", "deliveries", "attempts"):
            await made.owner.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {table}_{stamp} FOR VALUES"
                f" FROM ('{await _floor(made, begins, 0)}') TO ('{await _floor(made, begins, 1)}')"
            )
        await made.owner.execute("UPDATE sequencer SET last = $1", last + each)
        await made.owner.execute("UPDATE fanout SET position = $1", last + each)


async def _floor(made: Field, begins: datetime, months: int) -> UUID:
    found: UUID = await made.owner.fetchval(
        "SELECT app.uuid7_floor(($1::timestamptz AT TIME ZONE 'UTC' + make_interval(months => $2)) AT TIME ZONE 'UTC')",
        begins,
        months,
    )
    return found


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
