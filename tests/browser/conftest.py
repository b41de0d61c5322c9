"""The application behind a real uvicorn on a loopback port, and a real browser in front of it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import pytest_asyncio
import uvicorn

from app.access import service
from app.access.service import NewClient
from app.core.db import Database
from tests.browser import chromium
from tests.browser.chromium import LOOPBACK, Browser, Tab
from tests.world import World

PUPILS = 3


class _Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = chromium.program()
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.PROGRAMS)} is in PATH")
    async with chromium.running(found) as started:
        yield started


@pytest_asyncio.fixture(scope="module")
async def address(browser: Browser, world: World) -> AsyncIterator[str]:
    """Where this module's world is served, by its own application (which is open already)."""
    server = _Server(uvicorn.Config(world.app, lifespan="off", log_config=None))
    with socket.create_server((LOOPBACK, 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@pytest_asyncio.fixture
async def tab(browser: Browser) -> AsyncIterator[Tab]:
    """A fresh tab. Whatever a test does in it, no other host was asked and nothing but the expected was complained of."""
    async with browser.tab() as opened:
        yield opened
        assert opened.strangers == []
        assert opened.complaints == []


@pytest_asyncio.fixture(scope="module")
async def school(world: World) -> NewClient:
    """A client of School A with a secret; the school has three pupils and has sent its whole roll."""
    for _ in range(PUPILS):
        await world.pupil("school_a")
    await world.owner.execute(
        "INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, field_groups)"
        " VALUES ($1, $2, $2, '{identity,enrolment}')",
        world["school_a"],
        datetime.now(UTC),
    )
    db = await Database(world.dsns.owner, pool=1).open()
    try:
        async with db.write(None) as tx:
            return await service.register_client(
                tx, org_id=world["school_a"], org_kind="school", name="in a browser"
            )
    finally:
        await db.close()
