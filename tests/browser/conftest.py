"""The application behind a real uvicorn on a loopback port, and a real browser in front of it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
import uvicorn

from tests.browser import chromium
from tests.browser.chromium import LOOPBACK, Browser, Tab
from tests.world import World


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
async def address(world: World) -> AsyncIterator[str]:
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
    async with browser.tab() as opened:
        yield opened
