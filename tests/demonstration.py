"""The demonstration, loaded once for the whole run; whoever needs it gets a copy of the database and of its folder."""

import itertools
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest_asyncio

from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns, clone_database, drop_database
from app.demo.loader import load
from app.settings import Settings
from tests import servers
from tests.conftest import TEMPLATE, migrated

LOADED = "tendays_demonstration"
KEPT, TOOK = "kept", "seconds.json"
_number = itertools.count(1)


@dataclass(frozen=True)
class Demonstration:
    """A database with both pilots, the settings that belong to it, and how long loading took (once, in seconds)."""

    dsns: Dsns
    settings: Settings
    seconds: float


@dataclass(frozen=True)
class Loaded:
    """This process's server with the database LOADED, the folder that belongs to it, and the seconds it took."""

    server: EmbeddedPostgres
    folder: Path
    seconds: float


def settings_for(dsns: Dsns, folder: Path, port: int | None = None) -> Settings:
    """Settings of a system on this database, with its key and credentials in `folder`."""
    return Settings(
        env="development",
        database_url=dsns.app,
        worker_database_url=dsns.worker,
        owner_database_url=dsns.owner,
        data_dir=folder,
        port=port or free_port(),
        rate_limit=1_000_000,
    )


async def _load(server: EmbeddedPostgres, folder: Path) -> None:
    await clone_database(server.admin_dsn, TEMPLATE, LOADED)
    began = time.monotonic()
    await load(settings_for(server.dsns(LOADED), folder / KEPT))
    (folder / TOOK).write_text(json.dumps(time.monotonic() - began))


@pytest_asyncio.fixture(scope="session")
async def loaded() -> AsyncIterator[Loaded]:
    """A server of this process with the demonstration, which the first process that asked has loaded."""
    made = await servers.made_once("demonstration", _load, start_from=await migrated())
    async with servers.server_on_copy(made) as server:
        yield Loaded(server, made / KEPT, json.loads((made / TOOK).read_text()))


def _name_port(settings: Settings) -> None:
    """Let the credentials name the address of these settings; the file keeps its mode."""
    path = settings.credentials_path
    was = orjson.loads(path.read_bytes())["base_url"]
    path.write_text(path.read_text().replace(was, settings.issuer))


@pytest_asyncio.fixture(scope="module")
async def demonstration(loaded: Loaded) -> AsyncIterator[Demonstration]:
    """A copy of its own for each module, with a port of its own, which its credentials name."""
    name = f"{LOADED}_{next(_number)}"
    folder = Path(tempfile.mkdtemp(prefix="tendays-demonstration-"))
    shutil.copytree(loaded.folder, folder, dirs_exist_ok=True)
    admin, dsns = loaded.server.admin_dsn, loaded.server.dsns(name)
    await clone_database(admin, LOADED, name)
    settings = settings_for(dsns, folder)
    _name_port(settings)
    try:
        yield Demonstration(dsns, settings, loaded.seconds)
    finally:
        await drop_database(admin, name)
        shutil.rmtree(folder, ignore_errors=True)
