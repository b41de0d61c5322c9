"""A world to send in: real Postgres, a real receiver that listens and verifies, workers that can be stepped.

Time is not waited for: what is due later is moved to now in the database.
"""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio
from aiohttp import web

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.egress import Egress, Policy, Timeouts
from app.core.ids import new_id
from app.core.roles import Dsns
from app.core.secrets import Keyring
from app.webhooks import service
from app.webhooks.sender import Sender
from app.webhooks.signing import key_from_text, verify
from app.webhooks.voice import Pace, Worker

MASTER = os.urandom(32)
QUICK = Timeouts(dns=1.0, connect=1.0, read=0.4, total=0.5)


@dataclass
class Received:
    """One post as it arrived; `verified` by the keys of its endpoint."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    verified: bool

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


Answer = Callable[[Received], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass
class Receiver:
    """A real server. `answers[path]` decides what it says; 204 otherwise."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    keys: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, Answer] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [one for one in self.got if one.path == path]

    def ids(self, path: str) -> list[str]:
        return [one.id for one in self.at(path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body, path = await request.read(), request.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            verify(headers, body, self.keys[path], now=wall_now().timestamp())
            verified = True
        except Exception:  # noqa: BLE001 - whatever it is, the test wants to see it
            verified = False
        got = Received(path, headers, body, asyncio.get_running_loop().time(), verified)
        self.got.append(got)
        answer = self.answers.get(path)
        if answer is None:
            return web.Response(status=204)
        said = answer(got)
        return said if isinstance(said, web.StreamResponse) else await said


@dataclass
class World:
    """Everything a test needs to emit, send and look."""

    owner: Any
    app: Database
    work: Database
    egress: Egress
    receiver: Receiver
    dsns: Dsns
    keyring: Keyring = field(default_factory=lambda: Keyring([MASTER]))
    policy: Policy = field(default_factory=Policy.development)
    workers: list[Worker] = field(default_factory=list)

    async def org(self, kind: str = "school") -> Caller:
        org, client = new_id(), new_id()
        await self.owner.execute("INSERT INTO organisations (id, kind, name) VALUES ($1, $2, $2)", org, kind)
        await self.owner.execute("INSERT INTO clients (id, org_id, name) VALUES ($1, $2, 'c')", client, org)
        return Caller(client, org, kind, frozenset(), wall_now())

    async def grant(self, school: Caller, vendor: Caller) -> UUID:
        grant = new_id()
        await self.owner.execute(
            "INSERT INTO grants (id, grantor_id, grantee_id, starts_on, recorded_by)"
            " VALUES ($1, $2, $3, current_date - 1, $4)",
            grant, school.org_id, vendor.org_id, school.client_id,
        )  # fmt: skip
        return grant

    async def endpoint(self, caller: Caller, path: str, **more: Any) -> UUID:
        new = service.NewEndpoint(url=self.receiver.url(path), **more)
        async with self.app.write(caller) as tx:
            made = await service.register(tx, caller, self.keyring, self.policy, new)
        self.receiver.keys[path] = [
            key_from_text(made.secret), key_from_text(made.endpoint["public_key"])
        ]  # fmt: skip
        return made.endpoint["id"]

    async def emit(
        self, audience: Caller, *, key: UUID | None = None, kind: str = "booking.confirmed", lane: str = "normal",
        count: int = 1, as_caller: Caller | None = None, fail: bool = False,
    ) -> list[str]:  # fmt: skip
        """Events through app.emit, in one transaction of a client; with `fail` it is rolled back."""
        written = []
        for _ in range(count):
            identifier = str(new_id())
            written.append({
                "id": identifier, "type": kind, "audience": "school", "audience_id": str(audience.org_id),
                "order_key": str(key or new_id()), "lane": lane,
                "head": json.dumps({"id": identifier, "type": kind, "note": "é"})[:-1] + ',"sequence":', "tail": "}",
                "occurred_at": wall_now().isoformat(),
            })  # fmt: skip
        connection = await asyncpg.connect(self.dsns.app)
        transaction = connection.transaction()
        try:
            await transaction.start()
            await connection.execute("SELECT app.enter($1, NULL, NULL)", (as_caller or audience).client_id)
            await connection.execute("SELECT app.emit($1::jsonb)", json.dumps(written))
            await (transaction.rollback() if fail else transaction.commit())
        finally:
            await connection.close()
        return [one["id"] for one in written]

    def worker(self, **pace: Any) -> Worker:
        sender = Sender(
            self.egress, self.keyring, timeouts={"normal": QUICK, "safety": QUICK}, chance=lambda: 0.0
        )
        worker = Worker(self.work, self.egress, self.keyring, pace=replace(Pace(), **pace), sender=sender)
        self.workers.append(worker)
        return worker

    async def make_due(self, worker: Worker) -> int:
        """Let the time pass that a retry waits for, and send."""
        await self.owner.execute(
            "UPDATE deliveries SET due_at = now() WHERE state = 'pending' AND due_at > now() AND leased_by IS NULL"
        )
        await self.owner.execute("UPDATE webhook_endpoints SET slow_until = NULL")
        return await worker.step()

    async def deliveries(self, endpoint: UUID) -> list[Any]:
        return await self.owner.fetch(
            "SELECT * FROM deliveries WHERE endpoint_id = $1 ORDER BY position, id", endpoint
        )

    async def states(self, endpoint: UUID) -> list[str]:
        return [row["state"] for row in await self.deliveries(endpoint)]

    async def row(self, endpoint: UUID) -> Any:
        return await self.owner.fetchrow("SELECT * FROM webhook_endpoints WHERE id = $1", endpoint)

    async def month(self, back: int) -> datetime:
        """The beginning of the month so many months ago, for which there are partitions now."""
        begins = await self.owner.fetchval(
            "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - make_interval(months => $1)",
            back,
        )
        for table in ("events", "deliveries", "attempts"):
            await self.owner.execute(f"""
                DO $$ DECLARE b timestamptz := '{begins.isoformat()}'; BEGIN
                  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF {table} FOR VALUES FROM (%L) TO (%L)',
                    '{table}_{begins:%Y%m}', app.uuid7_floor(b), app.uuid7_floor(b + interval '1 month'));
                END $$""")
        return begins

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - the receiver is a real server, there is no event to wait for
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture(scope="module")
async def doors(dsns: Dsns) -> AsyncIterator[World]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    owner = await asyncpg.connect(dsns.owner)
    app, work = await Database(dsns.app).open(), await Database(dsns.worker).open()
    async with Egress(Policy.development()) as egress:
        yield World(owner, app, work, egress, receiver, dsns)
    await owner.close()
    await app.close()
    await work.close()
    await runner.cleanup()


@pytest_asyncio.fixture
async def world(doors: World) -> AsyncIterator[World]:
    """The module's world, emptied: nothing to send, nobody to send to."""
    await doors.owner.execute(
        "DELETE FROM attempts; DELETE FROM deliveries; DELETE FROM webhook_replays; DELETE FROM webhook_endpoints"
    )
    doors.receiver.got.clear()
    doors.receiver.answers.clear()
    yield doors
    for worker in doors.workers:
        await worker.close()
    doors.workers.clear()
