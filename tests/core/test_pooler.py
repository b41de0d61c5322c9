"""PgBouncer in transaction mode: the API works through it with one session for all, and who needs a session refuses it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from sqlalchemy import func, literal, select

from app.core.connecting import SETTINGS, is_pooled
from app.core.db import Database
from app.core.embedded import free_port
from app.core.roles import Dsns
from app.core.secrets import new_master
from tests.pooled import PgBouncer
from tests.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pooler(dsns: Dsns) -> Iterator[PgBouncer]:
    made = PgBouncer(dsns, pool=1)
    yield made
    made.stop()


@pytest_asyncio.fixture(scope="module")
async def db(pooler: PgBouncer, dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(pooler.at(dsns.app), pool=8, wait=120.0, pooling=True).open()
    yield opened
    await opened.close()


async def test_a_pooler_is_told_from_postgres(pooler: PgBouncer, dsns: Dsns) -> None:
    assert await is_pooled(pooler.at(dsns.app))
    assert not await is_pooled(dsns.app)


async def test_every_transaction_has_its_settings_and_leaves_nothing_to_the_next(
    db: Database, world: World
) -> None:
    """One session for all: what a transaction left would be there for the next caller."""
    asked = [func.current_setting(name).label(name) for name in SETTINGS]
    client, caller = func.current_setting("app.client", literal(True)), world.app.state.house.doorkeeper
    expected = {"timezone": "UTC", "statement_timeout": "30s", "lock_timeout": "5s",
                "idle_in_transaction_session_timeout": "1min", "jit": "off"}  # fmt: skip
    for who in ("school_a", "employer_a"):
        entered = caller.caller_of(world.tokens[who])
        async with db.read(entered) as tx:
            assert dict((await tx.rows(select(*asked)))[0]) == expected
            assert await tx.value(select(client)) == str(world.clients[who])
        async with db.write(None) as writer:
            assert dict((await writer.rows(select(*asked)))[0]) == expected
            assert not await writer.value(select(client))
        async with db.write(entered) as writer:
            assert dict((await writer.rows(select(*asked)))[0]) == expected


async def test_many_callers_at_once_share_one_session_and_each_sees_its_own(
    db: Database, world: World
) -> None:
    client, keeper = func.current_setting("app.client"), world.app.state.house.doorkeeper

    async def turn(who: str, number: int) -> None:
        caller = keeper.caller_of(world.tokens[who])
        async with db.read(caller) as tx:
            assert await tx.value(select(client, literal(number))) == str(world.clients[who])
        async with db.write(caller) as writer, writer.attempt():
            assert await writer.value(select(client)) == str(world.clients[who])

    names = ("school_a", "school_b", "employer_a", "hub_a", "vendor")
    await asyncio.gather(*(turn(who, number) for number in range(10) for who in names))


@pytest.mark.parametrize(
    ("asked", "variable", "said"),
    [
        ("worker", "TENDAYS_WORKER_DATABASE_URL", "a pooler"),
        ("migrate", "TENDAYS_OWNER_DATABASE_URL", "a pooler"),
        ("api", "TENDAYS_DATABASE_URL", "TENDAYS_DATABASE_POOLING=transaction"),
    ],
)
async def test_who_needs_a_session_refuses_a_pooler_by_name(
    pooler: PgBouncer, dsns: Dsns, asked: str, variable: str, said: str
) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TENDAYS_")}
    settings = {
        "TENDAYS_ENV": "production",
        "TENDAYS_SECRET_KEY": new_master(),
        "TENDAYS_BASE_URL": "https://tendays.example",
        "TENDAYS_PORT": str(free_port()),
        "TENDAYS_DATABASE_URL": pooler.at(dsns.app),
        "TENDAYS_WORKER_DATABASE_URL": pooler.at(dsns.worker),
        "TENDAYS_OWNER_DATABASE_URL": pooler.at(dsns.owner),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", asked, cwd=ROOT, env=plain | settings,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, told = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    [line] = told.decode().strip().splitlines()
    assert variable in line
    assert said in line
    assert (urlsplit(dsns.app).password or "none") not in line
