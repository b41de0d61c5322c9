"""A real streaming replica: it answers a read once it has all that was committed, and else the primary does."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest_asyncio
from sqlalchemy import literal, select

import migrations
from app.core import metrics
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres, free_port
from app.core.secrets import new_master
from app.main import create_app
from app.settings import Settings
from tests.world import World, _populate

PROGRAMS = Path(os.environ["TENDAYS_PG_BIN"]) if os.environ.get("TENDAYS_PG_BIN") else None
STREAMS = {"wal_level": "replica", "max_wal_senders": "4"}
PAUSE, RESUME = "SELECT pg_wal_replay_pause()", "SELECT pg_wal_replay_resume()"
BYS = ("replica", "behind", "away", "not_a_replica")


class Primary(EmbeddedPostgres):
    """An embedded server that a replica can follow."""

    def _launch(self) -> int:
        written = self._folder.write_settings
        self._folder.write_settings = lambda settings: written(settings | STREAMS)  # type: ignore[method-assign]
        return super()._launch()


class Standby:
    """A copy of the primary's data, made by pg_basebackup, that follows it."""

    def __init__(self, primary: Primary, folder: Path) -> None:
        self._primary, self._folder, self.port = primary, folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self._primary._programs / program), *arguments],
            **self._primary._folder.process_options(self._folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    async def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            copying = self._run("pg_basebackup", "-D", str(data), "-d", self._primary.admin_dsn, "-R", "-X", "stream",
                                "--checkpoint=fast", "--no-sync")  # fmt: skip
            assert await asyncio.to_thread(copying.wait, 120) == 0
        self._process = self._run("postgres", "-D", str(data), "-p", str(self.port))
        for _ in range(600):
            try:
                await self.ask("SELECT 1")
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.1)
            else:
                return
        raise TimeoutError

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(3)  # immediate shutdown: as a crash
        self._process.wait(30)
        self._process = None

    def at(self, dsn: str) -> str:
        """The same address on this server."""
        return dsn.replace(f":{urlsplit(dsn).port}/", f":{self.port}/")

    async def ask(self, sql: str) -> Any:
        connection = await asyncpg.connect(self.at(self._primary.admin_dsn), timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()


@dataclass
class Stand:
    world: World
    other: httpx.AsyncClient  # of a second API process on the same database
    standby: Standby

    async def read(self, who: str, path: str, *, other: bool = False) -> tuple[httpx.Response, str]:
        """The answer, and who gave it."""
        before = {by: _read_by(by) for by in BYS}
        http = self.other if other else self.world.http
        answer = await http.get(path, headers={"Authorization": f"Bearer {self.world.tokens[who]}"})
        return answer, next((by for by in BYS if _read_by(by) > before[by]), "nobody")

    async def follows(self) -> None:
        """Wait until reads are answered by the replica."""
        async with asyncio.timeout(60):
            for other in (False, True):
                while (await self.read("school_a", "/v1/bookings", other=other))[1] != "replica":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        await self.follows()
        await self.standby.ask(PAUSE)
        try:
            yield
        finally:
            await self.standby.ask(RESUME)


def _read_by(by: str) -> float:
    return metrics.REGISTRY.get_sample_value("tendays_reads_with_replica_total", {"by": by}) or 0.0


@pytest_asyncio.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    folder = Path(tempfile.mkdtemp(prefix="tendays-replica-"))
    folder.chmod(0o711)
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        primary = await stack.enter_async_context(
            Primary(folder / "primary", durable=False, bin_dir=PROGRAMS)
        )
        dsns = await primary.prepare()
        await asyncio.to_thread(migrations.upgrade, dsns.owner)
        copy = folder / "standby"
        copy.mkdir(mode=0o700)
        primary._user.take(copy)
        standby = Standby(primary, copy)
        await standby.start()
        stack.callback(standby.stop)
        clients, secret = [], new_master()
        for name in ("one", "other"):
            app = create_app(
                Settings(
                    env="test",
                    database_url=dsns.app,
                    replica_url=standby.at(dsns.app),
                    secret_key=secret,
                    data_dir=folder / name,
                    rate_limit=1_000_000,
                    base_url="http://tendays.test",
                )
            )
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            http = httpx.AsyncClient(transport=transport, base_url="http://tendays.test")
            clients.append((app, await stack.enter_async_context(http)))
        owner = await asyncpg.connect(dsns.owner)
        stack.push_async_callback(owner.close)
        made = World(clients[0][0], clients[0][1], owner, dsns, folder)
        await _populate(made)
        yield Stand(made, clients[1][1], standby)


async def test_who_writes_reads_it_at_once_in_whichever_process_and_the_replica_answers(stand: Stand) -> None:
    await stand.follows()
    answered = []
    for _ in range(20):
        booking = await stand.world.booking()
        answer, by = await stand.read("school_a", f"/v1/bookings/{booking['id']}", other=True)
        assert answer.status_code == 200, answer.text
        answered.append(by)
    assert set(answered) <= {"replica", "behind"}
    await stand.follows()


async def test_while_the_replica_lags_everything_written_is_read_from_the_primary(stand: Stand) -> None:
    async with stand.paused():
        booking = await stand.world.booking()
        for other in (False, True):
            answer, by = await stand.read("school_a", f"/v1/bookings/{booking['id']}", other=other)
            assert (answer.status_code, by) == (200, "behind")
        confirmed = await stand.world.post("employer_a", f"/v1/bookings/{booking['id']}/confirm")
        answer, _ = await stand.read("school_a", f"/v1/bookings/{booking['id']}", other=True)
        assert (confirmed.status_code, answer.json()["state"]) == (200, "confirmed")
    await stand.follows()


async def test_a_client_revoked_while_the_replica_lags_reads_nothing_more(stand: Stand) -> None:
    world = stand.world
    async with stand.paused():
        before, _ = await stand.read("employer_b", "/v1/bookings")
        assert before.status_code == 200
        await world.owner.execute(
            "UPDATE clients SET revoked_at = now() WHERE id = $1", world.clients["employer_b"]
        )
        for other in (False, True):
            answer, _ = await stand.read("employer_b", "/v1/bookings", other=other)
            assert (answer.status_code, answer.json()["code"]) == (401, "client_revoked")


async def test_a_token_revoked_while_the_replica_lags_reads_nothing_more(stand: Stand) -> None:
    world, token = stand.world, stand.world.tokens["school_b"]
    async with stand.paused():
        claims = world.app.state.house.doorkeeper.verify(token)
        await world.owner.execute(
            "INSERT INTO revoked_tokens (jti, client_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')",
            str(claims.token_id), world.clients["school_b"],
        )  # fmt: skip
        for other in (False, True):
            assert (await stand.read("school_b", "/v1/bookings", other=other))[0].status_code == 401


async def test_a_grant_revoked_while_the_replica_lags_shows_nothing_more(stand: Stand) -> None:
    world = stand.world
    path = f"/v1/schools/{world['school_a']}/pupils"
    assert (await stand.read("vendor", path))[0].status_code == 200
    async with stand.paused():
        await world.owner.execute(
            "UPDATE grants SET revoked_at = now() WHERE grantee_id = $1", world["vendor"]
        )
        for other in (False, True):
            assert (await stand.read("vendor", path, other=other))[0].status_code == 404


async def test_a_replica_that_is_gone_keeps_nobody_from_reading_nor_from_starting(stand: Stand) -> None:
    await stand.follows()
    stand.standby.kill()
    try:
        for other in (False, True):
            for _ in range(3):
                answer, by = await stand.read("school_a", "/v1/bookings", other=other)
                assert (answer.status_code, by) == (200, "away")
        await _starts_with(stand, stand.standby.at(stand.world.dsns.app), "away")
    finally:
        await stand.standby.start()
    await stand.follows()


async def test_an_address_that_is_no_replica_of_this_primary_is_never_read(stand: Stand) -> None:
    await _starts_with(stand, stand.world.dsns.app, "not_a_replica")


async def _starts_with(stand: Stand, replica: str, by: str) -> None:
    """A process that begins now reads all the same."""
    caller = stand.world.app.state.house.doorkeeper.caller_of(stand.world.tokens["school_a"])
    before = _read_by(by)
    db = await Database(stand.world.dsns.app, pool=1, replica_dsn=replica).open()
    try:
        async with db.read(caller) as tx:
            assert await tx.value(select(literal(1))) == 1
    finally:
        await db.close()
    assert _read_by(by) == before + 1
