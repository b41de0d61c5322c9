"""One world for the whole sweep, in which every request works and nothing is kept."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest
import pytest_asyncio
import structlog

from app.core.embedded import EmbeddedPostgres
from tests.proof.rows import Row, fill
from tests.sweep.requests import Request, Sender, requests_that_work, scene_of, undo_all
from tests.world import World


@dataclass
class Sweep:
    """The requests that work, by operation; what was refused where none does; and who sends."""

    world: World
    requests: dict[str, Request]
    refused: dict[str, Any]
    sender: Sender
    full: dict[str, Row]
    _ours: Path
    _postgres: Path
    _began: int

    async def ask(self, who: str, body: bytes) -> Any:
        """A GraphQL request with every scope that an organisation of this kind may have."""
        token = self.sender.token(who, "coverage:read")
        more = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        return await self.world.send(None, "POST", "/graphql", body, **more)

    def logged(self) -> tuple[str, str]:
        """What has been written since the sweep began: our own log, and that of Postgres."""
        with self._postgres.open("rb") as log:
            log.seek(self._began)
            return self._ours.read_text(errors="replace"), log.read().decode(errors="replace")


@pytest_asyncio.fixture(scope="module")
async def sweep(
    world: World, cluster: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sweep]:
    ours, postgres = tmp_path_factory.mktemp("logs") / "api.log", cluster._folder.log
    began = postgres.stat().st_size
    full = await fill(world)
    with ours.open("w") as log, _logging_to(log):
        async for made in _swept(world, full, ours, postgres, began):
            yield made


@contextmanager
def _logging_to(log: TextIO) -> Iterator[None]:
    handler, known = logging.StreamHandler(log), structlog.get_config()
    logging.getLogger().addHandler(handler)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.configure(**known)


async def _swept(
    world: World, full: dict[str, Row], ours: Path, postgres: Path, began: int
) -> AsyncIterator[Sweep]:
    async with scene_of(world, full) as scene:
        keep_again = undo_all(world.app.state.house.db)
        found, refused = await requests_that_work(world, full, scene)
        by_name = {str(one.operation): one for one in found}
        yield Sweep(world, by_name, refused, Sender(world), full, ours, postgres, began)
        keep_again()
