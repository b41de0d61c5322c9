"""The database dies and comes back: what is said meanwhile is true, and the first request afterwards is served."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

import migrations
from app.access.scopes import allowed_for
from app.core.embedded import EmbeddedPostgres
from app.core.errors import Unavailable
from app.main import create_app
from app.settings import Settings
from bench.torture import stage as stages

pytestmark = pytest.mark.slow_suite
PROGRAMS = Path(os.environ["TENDAYS_PG_BIN"]) if os.environ.get("TENDAYS_PG_BIN") else None


class KilledAtBirth(EmbeddedPostgres):
    """A server whose first process is killed before it is healthy."""

    killed = 0

    async def healthy(self) -> bool:
        if not self.killed and self.pid:
            self.killed = self.pid
            os.kill(self.pid, signal.SIGKILL)
            return False
        return await super().healthy()


@pytest_asyncio.fixture(scope="module")
async def server() -> AsyncIterator[KilledAtBirth]:
    folder = Path(tempfile.mkdtemp(prefix="tendays-away-"))
    folder.chmod(0o711)
    try:
        async with KilledAtBirth(folder / "postgres", durable=False, bin_dir=PROGRAMS) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_server_that_is_killed_while_it_starts_is_started_again(server: KilledAtBirth) -> None:
    assert server.killed
    assert server.pid != server.killed
    assert await server.healthy()


async def test_a_dead_database_is_a_503_that_claims_nothing_and_its_return_is_noticed_at_once(
    server: KilledAtBirth, tmp_path: Path
) -> None:
    dsns = await server.prepare()
    await asyncio.to_thread(migrations.upgrade, dsns.owner)
    owner = await asyncpg.connect(dsns.owner)
    stage = await stages.make(owner)
    await owner.close()
    app = create_app(
        Settings(env="test", database_url=dsns.app, data_dir=tmp_path, base_url="http://tendays.test")
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
            http.headers["authorization"] = f"Bearer {_token(app, stage)}"
            assert [one.status_code for one in await _asked(http, stage)] == [200, 201]
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            await asyncio.sleep(0.5)
            for answer in await _asked(http, stage):
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["detail"] == Unavailable().detail
            await server.restart()
            assert [one.status_code for one in await _asked(http, stage)] == [200, 201]


def _token(app: object, stage: stages.Stage) -> str:
    issued = app.state.house.doorkeeper.issue(  # type: ignore[attr-defined] # FastAPI's state holds anything
        client_id=stage.clients["school1"],
        org_id=stage.orgs["school1"],
        org_kind="school",
        scopes=allowed_for("school", development=True),
    )
    return str(issued.token)


async def _asked(http: httpx.AsyncClient, stage: stages.Stage) -> list[httpx.Response]:
    """A read and a write, each by its own door."""
    body = {
        "school_id": str(stage.orgs["school1"]),
        "slot_id": str(stage.slots[0]),
        "places": 1,
        "nc_year": "8",
    }
    return [
        await http.get("/v1/bookings"),
        await http.post("/v1/bookings", json=body, headers={"Idempotency-Key": str(uuid4())}),
    ]
