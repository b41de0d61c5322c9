"""One world for the whole sweep, in which every request works and nothing is kept."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pytest
import pytest_asyncio
import structlog

from app.core.embedded import EmbeddedPostgres
from app.core.roles import clone_database, drop_database
from tests.conftest import TEMPLATE
from tests.proof.rows import Row, fill
from tests.sweep.requests import Request, Sender, requests_that_work, undo_all
from tests.sweep.scene import scene_of
from tests.sweep.values import MARK
from tests.world import World, a_world

DATABASE = "tendays_sweep"
PUPIL = ("Ada", "Example")
"""The names of every pupil of this world."""
LAST = "test_taken.py"
"""Keeps what the other modules found to be acceptable, and so comes after them."""


@dataclass
class Logs:
    """What is written while the sweep runs: our own log, and that of Postgres."""

    ours: Path
    postgres: Path
    _read: dict[Path, int] = field(default_factory=dict)

    def new(self) -> tuple[str, str]:
        """What has come to each since this was asked last."""
        return self._more(self.ours), self._more(self.postgres)

    def checked(self) -> tuple[str, str]:
        """As `new`, after a look that nothing of it may not stand there.

        Texts that were sent have a mark, pupils have names, and Postgres says `parameter $1` before it tells a value.
        """
        found = self.new()
        for log, marks in zip(found, ((MARK, *PUPIL), (MARK, *PUPIL, "parameter $")), strict=True):
            for mark in marks:
                assert mark not in log, log[max(0, log.index(mark) - 500) : log.index(mark) + 200]
        return found

    def _more(self, path: Path) -> str:
        with path.open("rb") as log:
            log.seek(self._read.get(path, 0))
            more = log.read()
        self._read[path] = self._read.get(path, 0) + len(more)
        return more.decode(errors="replace")


@dataclass
class Sweep:
    """The requests that work, by operation; what was refused where none does; and who sends."""

    world: World
    requests: dict[str, Request]
    refused: dict[str, Any]
    sender: Sender
    full: dict[str, Row]
    logs: Logs
    database: Any
    keeps: Any
    """How the API writes when nobody undoes it."""
    taken: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    """Bodies with one odd value that were acceptable, by operation, each with the place of the value."""
    places: int = 0

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """What is written inside is kept."""
        undoing, self.database.write = self.database.write, self.keeps
        try:
            yield
        finally:
            self.database.write = undoing

    async def ask(self, who: str, body: bytes) -> Any:
        """A GraphQL request with every scope that an organisation of this kind may have."""
        token = self.sender.token(who, "coverage:read")
        more = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        self.sender.sent += 1
        return await self.world.send(None, "POST", "/graphql", body, **more)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST and item.path.parent.name == "sweep")


@pytest_asyncio.fixture(scope="session")
async def sweep(cluster: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    logs = Logs(tmp_path_factory.mktemp("logs") / "api.log", cluster._folder.log)
    await clone_database(cluster.admin_dsn, TEMPLATE, DATABASE)
    async with a_world(cluster.dsns(DATABASE), tmp_path_factory.mktemp("data")) as world:
        with logs.ours.open("w", buffering=1) as log, _logging_to(log):  # the API has set up its own by now
            async for made in _swept(world, logs):
                yield made
                counts = (made.sender.sent, made.places, len(made.requests))
                structlog.get_logger("tests.sweep").info("sweep", counts=counts)
    await drop_database(cluster.admin_dsn, DATABASE)


@contextmanager
def _logging_to(log: TextIO) -> Iterator[None]:
    """Everything as a process of ours logs it, to a file."""
    handler, known = logging.StreamHandler(log), structlog.get_config()
    logging.getLogger().addHandler(handler)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.configure(**known)


async def _swept(world: World, logs: Logs) -> AsyncIterator[Sweep]:
    full = await fill(world)
    async with scene_of(world, full) as scene:
        logs.new()  # what our own preparations have written
        database = world.app.state.house.db
        keeps = database.write
        keep_again = undo_all(database)
        found, refused = await requests_that_work(world, full, scene)
        by_name = {str(one.operation): one for one in found}
        yield Sweep(world, by_name, refused, Sender(world), full, logs, database, keeps)
        keep_again()


@pytest_asyncio.fixture(autouse=True)
async def nothing_in_a_log(sweep: Sweep) -> AsyncIterator[None]:
    """After every test."""
    yield
    sweep.logs.checked()
