"""One real Postgres for the whole run, migrated once; each test module gets a copy of the database of its own.

Fixtures to build on: `cluster` (session) is the server, `dsns` (module) the addresses of the roles in this
module's own database: `.app`, `.worker`, `.owner`, `.admin`. TENDAYS_PG_BIN runs it all on another Postgres.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

import migrations
from app.core.embedded import EmbeddedPostgres
from app.core.roles import Dsns, clone_database, drop_database

TEMPLATE = "tendays_template"
_number = itertools.count(1)


@pytest_asyncio.fixture(scope="session")
async def cluster() -> AsyncIterator[EmbeddedPostgres]:
    """The server, with the migrated database `tendays_template` on it. Everything goes when the run ends."""
    # Not under tmp_path: its folders are closed to the user that runs Postgres when we are root.
    folder = Path(tempfile.mkdtemp(prefix="tendays-tests-"))
    folder.chmod(0o711)
    programs = os.environ.get("TENDAYS_PG_BIN")
    server = EmbeddedPostgres(
        folder / "postgres", durable=False, bin_dir=Path(programs) if programs else None, say=print
    )
    try:
        async with server:
            template = await server.prepare(TEMPLATE)
            await asyncio.to_thread(migrations.upgrade, template.owner)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module")
async def dsns(cluster: EmbeddedPostgres) -> AsyncIterator[Dsns]:
    """The addresses of the roles in a fresh, migrated database that belongs to this module."""
    name = f"tendays_{next(_number)}"
    await clone_database(cluster.admin_dsn, TEMPLATE, name)
    yield cluster.dsns(name)
    await drop_database(cluster.admin_dsn, name)


pytest_plugins = ["tests.world", "tests.demonstration"]
