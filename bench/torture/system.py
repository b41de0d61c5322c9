"""The system under torture: Postgres with fsync, an API and workers under the supervisor of `tendays run`, a receiver."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self
from unittest.mock import patch

import asyncpg
import httpx
import psutil

import migrations
from app.access.scopes import allowed_for
from app.access.tokens import Tokens
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns
from app.core.secrets import Keyring, new_master
from app.supervisor import Part, Supervisor
from bench.torture import stage as stages

HOME = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 60.0
DATABASE = ("postgres", "backend")
LOGGED = 'exec "$@" >>"$0" 2>&1'


@dataclass
class System:
    """What runs. Parts that die are started again, and so is Postgres, as `tendays run` does it."""

    folder: Path
    server: EmbeddedPostgres
    dsns: Dsns
    stage: stages.Stage
    receiver: subprocess.Popen[bytes]
    receiver_port: int
    parts: dict[str, Part]
    port: int
    tokens: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def notes(self) -> Path:
        """Where the receiver writes down what comes."""
        return self.folder / "received"

    async def ready(self) -> None:
        """Wait for an API that is well."""
        async with httpx.AsyncClient() as http, asyncio.timeout(READY_SECONDS):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.base}/health")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    def calm(self) -> None:
        """From now on the receiver takes everything at once."""
        if self.receiver.stdin is not None:
            self.receiver.stdin.write(b"calm\n")
            self.receiver.stdin.flush()

    async def owner(self) -> asyncpg.Connection:
        """A connection as the owner of the tables."""
        return await asyncpg.connect(self.dsns.owner)


@asynccontextmanager
async def system(folder: Path, *, workers: int, seed: int) -> AsyncIterator[System]:
    """Start it all in `folder`, and stop it."""
    programs = os.environ.get("TENDAYS_PG_BIN")
    server = EmbeddedPostgres(folder / "postgres", bin_dir=Path(programs) if programs else None)
    async with server:
        dsns = await server.prepare()
        await asyncio.to_thread(migrations.upgrade, dsns.owner)
        owner = await asyncpg.connect(dsns.owner)
        stage = await stages.make(owner)
        await owner.close()
        port, receiver_port, master = free_port(), free_port(), new_master()
        environment = _environment(folder, dsns, master, port)
        names = {"api": "api"} | {f"worker{number}": "worker" for number in range(1, workers + 1)}
        parts = {name: _part(name, command, folder, environment) for name, command in names.items()}
        tokens = await _sign_in(dsns, stage, master, port)
        receiver = _receiver(folder, receiver_port, seed)
        up = System(folder, server, dsns, stage, receiver, receiver_port, parts, port, tokens)
        try:
            async with _kept(up):
                await up.ready()
                yield up
        finally:
            if receiver.stdin is not None:
                receiver.stdin.close()
            receiver.wait(10)


@asynccontextmanager
async def _kept(up: System) -> AsyncIterator[None]:
    """Everybody is kept alive until the block ends, by what keeps them alive in `tendays run`."""
    supervisor = Supervisor(up.said.append)
    try:
        # What is killed this often, and dies again while Postgres recovers, is not to be given up for it.
        with patch("app.supervisor.QUICK_DEATHS_ALLOWED", 1000):
            async with asyncio.TaskGroup() as group:
                for part in up.parts.values():
                    group.create_task(supervisor.keep(part))
                database = group.create_task(_keep_database(up))
                try:
                    yield
                finally:
                    await supervisor.stop()
                    database.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _keep_database(up: System) -> None:
    port = up.server.port
    while True:
        await up.server.wait()
        up.said.append("The database server ended; it is started again.")
        await up.server.restart()
        if up.server.port != port:
            raise RuntimeError("somebody took the port of the database while it was down")


def _environment(folder: Path, dsns: Dsns, master: str, port: int) -> dict[str, str]:
    return {
        "TENDAYS_ENV": "test",
        "TENDAYS_SUPERVISED": "1",
        "TENDAYS_DATABASE_URL": dsns.app,
        "TENDAYS_WORKER_DATABASE_URL": dsns.worker,
        "TENDAYS_OWNER_DATABASE_URL": "",
        "TENDAYS_DATA_DIR": str(folder / "data"),
        "TENDAYS_SECRET_KEY": master,
        "TENDAYS_BASE_URL": "",
        "TENDAYS_HOST": "127.0.0.1",
        "TENDAYS_PORT": str(port),
        "TENDAYS_RATE_LIMIT": "100000000",
        "TENDAYS_LOG_LEVEL": "warning",
    }


def _part(name: str, command: str, folder: Path, environment: dict[str, str]) -> Part:
    """A process whose words go to a file of its own: the shell becomes it, so its number is the process's."""
    argv = ["/bin/sh", "-c", LOGGED, str(folder / f"{name}.log"), sys.executable, "-m", "app.cli", command]
    return Part(name, argv, {**environment, "PYTHONPATH": str(HOME)})


def _receiver(folder: Path, port: int, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.torture.receiver", str(port), str(folder / "received"), str(seed)]
    return subprocess.Popen(command, cwd=HOME, stdin=subprocess.PIPE, start_new_session=True)


async def _sign_in(dsns: Dsns, stage: stages.Stage, master: str, port: int) -> dict[str, str]:
    db = await Database(dsns.app).open()
    keyring, issuer = Keyring.from_text(master), f"http://127.0.0.1:{port}"
    tokens = await Tokens(db, keyring, issuer=issuer, life=timedelta(hours=12)).open()
    found = {}
    for name, kind in stages.KINDS.items():
        scopes = allowed_for(kind, development=True)
        client, org = stage.clients[name], stage.orgs[name]
        found[name] = tokens.issue(client_id=client, org_id=org, org_kind=kind, scopes=scopes).token
    await tokens.close()
    await db.close()
    return found


class Killer:
    """`kill -9` at moments and of victims chosen by the seed. It kills what this harness has started, by number."""

    PAUSES = (0.4, 2.6)
    SPARED_SECONDS, AT_MOST = 12.0, 2
    """A part is not killed more than twice in so many seconds: after each quick death the supervisor waits longer."""
    AGAIN, RECOVERED = 0.1, 6.0
    """How often the database is killed once more before it is well again, so many seconds after the last time."""

    def __init__(self, up: System, seed: int) -> None:
        self._up = up
        self._chance = random.Random(f"{seed} killer")
        self.kills: list[tuple[float, str]] = []

    async def work(self, seconds: float) -> Self:
        """Kill for so many seconds. API, worker and Postgres come first: until each of them was killed once it goes on, at
        most twice as long.
        """
        began = time.monotonic()
        pending = self._chance.sample(["api", "worker1", "postgres", "backend"], 4)
        while True:
            pause = self._chance.uniform(*self.PAUSES)
            if time.monotonic() - began + pause > (2 * seconds if pending else seconds):
                return self
            await asyncio.sleep(pause)
            victim = pending[-1] if pending else self._chance.choice([*self._up.parts, *DATABASE])
            if await self._spared(victim, time.monotonic() - began):
                continue
            if self._kill(victim):
                self.kills.append((round(time.monotonic() - began, 2), victim))
                del pending[-1:]

    async def _spared(self, victim: str, at: float) -> bool:
        if victim in DATABASE:
            last = max((when for when, name in self.kills if name in DATABASE), default=-self.RECOVERED)
            well = at - last >= self.RECOVERED and await self._up.server.healthy()
            return not well and self._chance.random() > self.AGAIN
        lately = sum(name == victim and at - when < self.SPARED_SECONDS for when, name in self.kills)
        return lately >= self.AT_MOST

    def _kill(self, victim: str) -> bool:
        pid = self._pid(victim)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _pid(self, victim: str) -> int | None:
        """The number of a living process of ours; a backend is any child of our Postgres, also its writers."""
        if part := self._up.parts.get(victim):
            process = part.process
            return process.pid if process is not None and process.returncode is None else None
        if not self._up.server.running():
            return None
        if victim == "postgres":
            return self._up.server.pid
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._up.server.pid).children()
            return self._chance.choice(children).pid if children else None
        return None
