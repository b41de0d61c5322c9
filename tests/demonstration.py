"""The demonstration, loaded once for the whole run; whoever needs it gets a copy of the database and of its folder."""

import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns, clone_database, drop_database
from app.demo.loader import load
from app.settings import Settings
from tests.conftest import TEMPLATE

LOADED = "tendays_demonstration"
_PORT = free_port()
_number = itertools.count(1)


@dataclass(frozen=True)
class Demonstration:
    """A database with both pilots, the settings that belong to it, and how long loading took (once, in seconds)."""

    dsns: Dsns
    settings: Settings
    seconds: float


def settings_for(dsns: Dsns, folder: Path) -> Settings:
    """Settings of a system on this database, with its key and credentials in `folder`. One port for all: they take turns,
    and the credentials name it.
    """
    return Settings(
        database_url=dsns.app,
        worker_database_url=dsns.worker,
        owner_database_url=dsns.owner,
        data_dir=folder,
        port=_PORT,
        rate_limit=1_000_000,
    )


@pytest_asyncio.fixture(scope="session")
async def loaded(cluster: EmbeddedPostgres) -> AsyncIterator[tuple[Path, float]]:
    """The folder of the demonstration that was loaded into the database LOADED, and the seconds it took."""
    folder = Path(tempfile.mkdtemp(prefix="tendays-demonstration-"))
    await clone_database(cluster.admin_dsn, TEMPLATE, LOADED)
    began = time.monotonic()
    await load(settings_for(cluster.dsns(LOADED), folder))
    try:
        yield folder, time.monotonic() - began
    finally:
        await drop_database(cluster.admin_dsn, LOADED)
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module")
async def demonstration(
    cluster: EmbeddedPostgres, loaded: tuple[Path, float]
) -> AsyncIterator[Demonstration]:
    """A copy of its own for each module."""
    name = f"{LOADED}_{next(_number)}"
    folder = Path(tempfile.mkdtemp(prefix="tendays-demonstration-"))
    shutil.copytree(loaded[0], folder, dirs_exist_ok=True)
    await clone_database(cluster.admin_dsn, LOADED, name)
    dsns = cluster.dsns(name)
    try:
        yield Demonstration(dsns, settings_for(dsns, folder), loaded[1])
    finally:
        await drop_database(cluster.admin_dsn, name)
        shutil.rmtree(folder, ignore_errors=True)
