"""A worker that is not fit to send does not start, or stops sending; it says why in a line, and no attempt is spent."""

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from app.access.tokens import Tokens
from app.checks import KEY, MOST_SECONDS, Guard
from app.core.clock import wall_now
from app.core.embedded import free_port
from app.core.roles import Dsns
from app.core.secrets import Keyring, new_master
from app.settings import Settings, SettingsRefused, load
from app.worker import READERS, WRITERS, serve
from tests.webhooks.conftest import MASTER, World, doors, world

__all__ = ["doors", "world"]
ROOT = Path(__file__).parents[2]
QUEUES = 6
"""Connections of the queue (webhooks/sql/queue.py), one of them opened once a minute."""
RIGHT, OTHER = b64encode(MASTER).decode(), new_master()


def settings_with(dsns: Dsns, **more: object) -> Settings:
    given = {"worker_database_url": dsns.worker, "database_url": dsns.app, "secret_key": RIGHT, "env": "test"}
    return load(**given | more)


@pytest_asyncio.fixture
async def owner(world: World) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(world.dsns.owner)
    yield connection
    await connection.close()


async def begun(part: str, dsns: Dsns, seconds: float = 90.0, **more: str) -> tuple[int | None, str]:
    """`tendays worker` or `tendays api` as a process: its exit code (None: it went on working), and what it said."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TENDAYS_")}
    settings = {"ENV": "production", "SECRET_KEY": RIGHT, "BASE_URL": "https://tendays.example", "LOG_LEVEL": "error",
                "DATABASE_URL": dsns.app, "WORKER_DATABASE_URL": dsns.worker, "PORT": str(free_port())} | more  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", part, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=plain | {f"TENDAYS_{name}": value for name, value in settings.items()},
    )  # fmt: skip
    try:
        _, said = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.terminate()
        await process.wait()
        return None, ""
    return process.returncode, said.decode()


async def spent(world: World) -> int:
    return int(await world.owner.fetchval("SELECT count(*) FROM attempts"))


# --- it does not start ----------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", ["an endpoint", "a signing key"])
async def test_a_worker_with_another_master_key_does_not_start_and_spends_no_attempt(
    world: World, sealed: str
) -> None:
    school = await world.org()
    if sealed == "an endpoint":
        await world.endpoint(school, "/a")
        await world.emit(school, count=3)
    else:
        tokens = Tokens(world.app, Keyring([MASTER]), issuer="https://tendays.example")
        await (await tokens.open()).close()
    code, said = await begun("worker", world.dsns, SECRET_KEY=OTHER)
    await world.owner.execute("DELETE FROM signing_keys")
    assert code == 1, said
    assert "TENDAYS_SECRET_KEY" in said
    assert len(said.strip().splitlines()) == 1, said
    assert OTHER not in said
    assert await spent(world) == 0


@pytest.mark.parametrize("part", ["worker", "api"])
async def test_neither_part_starts_on_a_schema_that_is_older_than_its_code(
    world: World, owner: asyncpg.Connection, part: str
) -> None:
    head = await owner.fetchval("SELECT version_num FROM alembic_version")
    await owner.execute("UPDATE alembic_version SET version_num = '20261130_0100'")
    try:
        code, said = await begun(part, world.dsns)
    finally:
        await owner.execute("UPDATE alembic_version SET version_num = $1", head)
    assert code == 1, said
    assert f"older than this release, which needs {head}: `tendays migrate`" in said
    assert len(said.strip().splitlines()) == 1, said


async def test_a_schema_that_is_newer_only_adds_and_is_worked_on(
    world: World, owner: asyncpg.Connection
) -> None:
    head = await owner.fetchval("SELECT version_num FROM alembic_version")
    await owner.execute("UPDATE alembic_version SET version_num = '29991231_0000'")
    try:
        await Guard(settings_with(world.dsns), world.keyring).refuse(world.work)
    finally:
        await owner.execute("UPDATE alembic_version SET version_num = $1", head)


@pytest.mark.parametrize("seconds", [-3600, -MOST_SECONDS - 2, MOST_SECONDS + 2, 3600])
async def test_a_worker_whose_clock_is_off_does_not_start(world: World, seconds: float) -> None:
    guard = Guard(settings_with(world.dsns), world.keyring, lambda: wall_now() + timedelta(seconds=seconds))
    way = "ahead of" if seconds > 0 else "behind"
    with pytest.raises(
        SettingsRefused, match=rf"clock of this machine is \d+ seconds {way} that of Postgres"
    ):
        await guard.refuse(world.work)


@pytest.mark.parametrize("seconds", [-MOST_SECONDS + 2, 0, MOST_SECONDS - 2])
async def test_a_clock_that_is_nearly_right_is_right(world: World, seconds: float) -> None:
    guard = Guard(settings_with(world.dsns), world.keyring, lambda: wall_now() + timedelta(seconds=seconds))
    await guard.refuse(world.work)
    await guard.turn(world.work)
    assert not guard.held


async def test_a_slow_answer_is_no_difference_of_clocks(world: World) -> None:
    """Postgres is asked between two readings: were the answer's delay counted, a busy database would stop a worker."""
    read: list[datetime] = []

    def slow() -> datetime:
        read.append(wall_now() + (timedelta(minutes=5) if read else timedelta()))
        return read[-1]

    await Guard(settings_with(world.dsns), world.keyring, slow).refuse(world.work)


# --- it stops sending -----------------------------------------------------------------------------


async def test_a_clock_that_goes_wrong_stops_the_sending_until_it_is_right(world: World) -> None:
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    off = timedelta(minutes=2)
    guard = Guard(settings_with(world.dsns), world.keyring, lambda: wall_now() + off)
    worker = world.worker()
    worker.held = lambda: guard.held
    await world.emit(school, count=3)
    await guard.turn(world.work)
    assert guard.held
    assert await worker.step() == 0
    assert (await spent(world), world.receiver.got) == (0, [])
    off = timedelta()
    await guard.turn(world.work)
    assert await worker.step() == 3
    assert await world.states(endpoint) == ["delivered"] * 3


async def test_an_endpoint_sealed_with_a_newer_key_waits_and_the_others_are_sent_to(world: World) -> None:
    """In a rotation of the master key the API seals with the new one before this worker has been restarted."""
    old, new = await world.org(), await world.org()
    known, unknown = await world.endpoint(old, "/old"), None
    right, world.keyring = world.keyring, Keyring([os.urandom(32), MASTER])
    unknown = await world.endpoint(new, "/new")
    ring, world.keyring = world.keyring, right
    worker = world.worker()
    for each in (old, new):
        await world.emit(each)
    await worker.step()
    assert await world.states(known) == ["delivered"]
    [waiting] = await world.deliveries(unknown)
    assert (waiting["state"], waiting["attempts"]) == ("pending", 0)
    guard = Guard(settings_with(world.dsns), right)
    await guard.turn(world.work)
    assert KEY in guard._faults
    assert not guard.held
    world.keyring = ring
    await world.owner.execute(
        "UPDATE deliveries SET leased_until = now(), due_at = now() WHERE state = 'pending'"
    )
    assert await world.worker().step() == 1
    assert await world.states(unknown) == ["delivered"]
    world.keyring = right


async def test_a_worker_holds_a_handful_of_connections(world: World) -> None:
    counting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tendays_worker' AND datname = current_database()"
    before, most, stop = await world.owner.fetchval(counting), 0, asyncio.Event()
    work = asyncio.create_task(serve(settings_with(world.dsns), stop))
    for _ in range(60):
        most = max(most, await world.owner.fetchval(counting) - before)
        await asyncio.sleep(0.05)
    stop.set()
    await work
    assert QUEUES <= most <= QUEUES + WRITERS + READERS, most
