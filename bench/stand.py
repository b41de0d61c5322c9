"""Where it is measured: a durable Postgres, API and worker in processes of their own, and tokens to ask with."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx

import migrations
from app.access.scopes import allowed_for
from app.access.tokens import Tokens
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns
from app.core.secrets import Keyring, new_master
from bench import data

ISSUER = "https://tendays.example"
FOLDER = Path(__file__).resolve().parent.parent


class Stand:
    """A running system: Postgres, API and worker in processes of their own, a receiver, and tokens."""

    def __init__(self, dsns: Dsns, made: data.Made, port: int, master: str) -> None:
        self.dsns, self.made, self.port, self.master = dsns, made, port, master
        self.base = f"http://127.0.0.1:{port}"
        self.tokens: dict[str, str] = {}

    def headers(self, who: str, **more: str) -> dict[str, str]:
        """What a client of this organisation sends."""
        return {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json", **more}


@contextlib.asynccontextmanager
async def stand(where: Path, env: str) -> AsyncIterator[Stand]:
    """Start it all on a durable embedded Postgres (fsync on), and stop it. In `production` no clock can be moved."""
    server = EmbeddedPostgres(where / "postgres")
    async with server:
        await _note_commits(server)
        dsns = await server.prepare()
        await asyncio.to_thread(migrations.upgrade, dsns.owner)
        owner = await asyncpg.connect(dsns.owner)
        made = await data.make(owner)
        await owner.close()
        async with serving(dsns, made, where, env) as up:
            yield up


@contextlib.asynccontextmanager
async def serving(dsns: Dsns, made: data.Made, where: Path, env: str) -> AsyncIterator[Stand]:
    """API and worker on a database that is filled already, until the block ends."""
    master, port = new_master(), free_port()
    up = Stand(dsns, made, port, master)
    environment = {
        **os.environ,
        "TENDAYS_ENV": env,
        "TENDAYS_BASE_URL": ISSUER,
        "TENDAYS_DATABASE_URL": dsns.app,
        "TENDAYS_WORKER_DATABASE_URL": dsns.worker,
        "TENDAYS_DATA_DIR": str(where / "data"),
        "TENDAYS_SECRET_KEY": master,
        "TENDAYS_PORT": str(port),
        "TENDAYS_RATE_LIMIT": "100000000",
        "TENDAYS_LOG_LEVEL": "warning",
    }
    processes = [
        subprocess.Popen([sys.executable, "-m", "app.cli", part], env=environment, cwd=FOLDER)
        for part in ("api", "worker")
    ]
    try:
        await _ready(up)
        await _sign_in(up)
        yield up
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


async def _note_commits(server: EmbeddedPostgres) -> None:
    """Let Postgres keep the moment of each commit: the one clock that no busy event loop can put back."""
    admin = await asyncpg.connect(server.admin_dsn)
    await admin.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await admin.close()
    await server.restart()


async def _ready(up: Stand) -> None:
    async with httpx.AsyncClient() as http:
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{up.base}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise RuntimeError("the API did not come up")


async def _sign_in(up: Stand) -> None:
    db = await Database(up.dsns.app).open()
    tokens = await Tokens(db, Keyring.from_text(up.master), issuer=ISSUER).open()
    for kind, client in up.made.clients.items():
        org = getattr(up.made, kind)
        issued = tokens.issue(
            client_id=client, org_id=org, org_kind=kind, scopes=allowed_for(kind, development=True)
        )
        up.tokens[kind] = issued.token
    await tokens.close()
    await db.close()


@contextlib.asynccontextmanager
async def fresh(env: str) -> AsyncIterator[tuple[Stand, Path]]:
    """A stand in a folder of its own, which goes with it."""
    async with folder() as made, stand(made, env) as up:
        yield up, made


@contextlib.asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """A folder in which Postgres may lie, deleted afterwards."""
    made = Path(tempfile.mkdtemp(prefix="tendays-bench-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
