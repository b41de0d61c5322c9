"""A real Postgres for each process of the run, migrated once; each test module gets a copy of the database of its own.

Fixtures to build on: `cluster` (session) is the server, `dsns` (module) the addresses of the roles in this
module's own database: `.app`, `.worker`, `.owner`, `.admin`. TENDAYS_PG_BIN runs it all on another Postgres.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import migrations
from app.core.embedded import EmbeddedPostgres
from app.core.roles import Dsns, clone_database, drop_database
from tests import servers

TEMPLATE = "tendays_template"
FIRST = ("test_pilots.py", "test_voice.py", "test_exact.py")
"""The files that take longest begin, so that at the end no process waits for another. (xdist gives out whole files.)"""
_number = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of xdist has one, and uses the run of its controller
        servers.begin_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        servers.end_run(Path(os.environ[servers.RUN]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


async def migrated() -> Path:
    """The run's data folder with the migrated database TEMPLATE."""
    return await servers.made_once("migrated", _migrate)


async def _migrate(server: EmbeddedPostgres, _folder: Path) -> None:
    template = await server.prepare(TEMPLATE)
    await asyncio.to_thread(migrations.upgrade, template.owner)


@pytest_asyncio.fixture(scope="session")
async def cluster() -> AsyncIterator[EmbeddedPostgres]:
    """The server of this process, with the migrated database TEMPLATE on it. Everything goes when the run ends."""
    async with servers.server_on_copy(await migrated()) as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def dsns(cluster: EmbeddedPostgres) -> AsyncIterator[Dsns]:
    """The addresses of the roles in a fresh, migrated database that belongs to this module."""
    name = f"tendays_{next(_number)}"
    await clone_database(cluster.admin_dsn, TEMPLATE, name)
    yield cluster.dsns(name)
    await drop_database(cluster.admin_dsn, name)


pytest_plugins = ["tests.world", "tests.demonstration"]
