"""The story with real processes: an API, a worker and a receiver, on a real Postgres with the demonstration loaded."""

import asyncio
import io
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import orjson
import pytest
import pytest_asyncio
from rich.console import Console

from app.core.roles import Dsns, set_clock_door
from app.demo.loader import load
from app.demo.party import Party
from app.demo.stage import http_to
from app.demo.story import play
from app.demo.welcome import requests_to_copy
from app.running import answers
from app.settings import Settings
from tests.demonstration import Demonstration

pytestmark = pytest.mark.slow_suite
GREEN = 24
UNTIL_NAMED = 14


@dataclass
class Running:
    """A system of two processes, and its database as the owner."""

    settings: Settings
    owner: asyncpg.Connection
    dsns: Dsns

    @property
    def url(self) -> str:
        return self.settings.local_url

    async def play(self, credentials: Path | None = None) -> tuple[int, str]:
        out = io.StringIO()
        console = Console(file=out, width=400, highlight=False)
        code = await play(self.url, credentials or self.settings.credentials_path, console)
        return code, out.getvalue()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture(scope="module")
async def running(demonstration: Demonstration) -> AsyncIterator[Running]:
    settings, dsns = demonstration.settings, demonstration.dsns
    parts = [await _start(name, settings) for name in ("api", "worker")]
    owner = await asyncpg.connect(dsns.owner)
    try:
        async with asyncio.timeout(60):
            while not await answers(settings.local_url):
                assert all(part.returncode is None for part in parts), "a process ended at once"
                await asyncio.sleep(0.1)
        yield Running(settings, owner, dsns)
    finally:
        await owner.close()
        for part in parts:
            if part.returncode is None:
                part.terminate()
            await asyncio.wait_for(part.wait(), 30)


async def _start(name: str, settings: Settings) -> asyncio.subprocess.Process:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TENDAYS_")}
    given = {
        "TENDAYS_ENV": settings.env,
        "TENDAYS_DATA_DIR": str(settings.data_dir),
        "TENDAYS_PORT": str(settings.port),
        "TENDAYS_DATABASE_URL": settings.database_url or "",
        "TENDAYS_WORKER_DATABASE_URL": settings.worker_database_url or "",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", name, env=plain | given, stdin=subprocess.DEVNULL
    )


async def test_the_story_is_green_from_the_offer_to_the_dashboard_twice_in_a_row(running: Running) -> None:
    await set_clock_door(running.dsns.owner, is_open=True)
    refs, completed = set(), "SELECT count(*) FROM bookings WHERE state = 'completed'"
    before = await running.owner.fetchval(completed)
    for _ in range(2):
        code, told = await running.play()
        assert code == 0, told
        assert "✗" not in told
        assert told.count("✓") >= GREEN, told
        assert "hours.credited" in told
        assert "24 encounters, 2880 minutes" in told
        refs.add(told.split("end in ")[1][:6])
    assert len(refs) == 2
    assert await running.owner.fetchval("SELECT offset_seconds FROM clock") == 0
    assert await running.owner.fetchval("SELECT count(*) FROM webhook_endpoints WHERE state <> 'off'") == 0
    assert await running.owner.fetchval(completed) == before + 2


async def test_without_a_clock_door_it_stops_after_step_4_and_says_so(running: Running) -> None:
    await set_clock_door(running.dsns.owner, is_open=False)
    code, told = await running.play()
    assert code == 0, told
    assert "no clock door" in told
    assert "names its 25 pupils" in told
    assert "✓ 5" not in told


async def test_a_step_that_fails_on_the_day_prints_its_problem_and_the_clock_goes_back(
    running: Running,
) -> None:
    await set_clock_door(running.dsns.owner, is_open=True)
    school = orjson.loads(running.settings.credentials_path.read_bytes())["clients"]["school"]["client_id"]
    change = "UPDATE clients SET scopes = $2 WHERE id = $1"
    scopes = await running.owner.fetchval("SELECT scopes FROM clients WHERE id = $1", school)
    await running.owner.execute(change, school, ["approvals:write"])
    try:
        code, told = await running.play()
    finally:
        await running.owner.execute(change, school, scopes)
    assert code == 1
    assert "The clock is moved" in told
    assert '"code": "insufficient_scope"' in told
    assert '"required_scope": "attendance:write"' in told
    assert await running.owner.fetchval("SELECT offset_seconds FROM clock") == 0
    assert await running.owner.fetchval("SELECT count(*) FROM webhook_endpoints WHERE state <> 'off'") == 0


async def test_the_command_exits_1_where_nobody_answers(running: Running) -> None:
    command = [sys.executable, "-m", "app.cli", "story", "--base-url", f"http://127.0.0.1:{_free_port()}"]
    command += ["--credentials", str(running.settings.credentials_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert "✗" in out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the requests are for curl")
async def test_the_three_requests_to_copy_work_as_they_stand(running: Running) -> None:
    define, *asked = requests_to_copy(running.url, running.settings.credentials_path)
    assert len(asked) == 3
    for line in asked:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f"{define}\n{line}", stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        answer = orjson.loads(out)
        assert process.returncode == 0
        assert answer["data"], line
        assert "errors" not in answer


async def test_listening_with_the_credentials_registers_verifies_both_ways_and_leaves_nothing(
    running: Running,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "listen", "--port", "0", "--credentials", "--client", "employer",
        env=os.environ | {"TENDAYS_DATA_DIR": str(running.settings.data_dir)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    assert ", endpoint " in said, said
    endpoint = said.partition(", endpoint ")[2].split()[0]
    async with http_to(running.url) as http:
        clients = orjson.loads(running.settings.credentials_path.read_bytes())["clients"]
        employer = Party(http, "employer", clients["employer"])
        await employer.sign_in()
        await employer.post(f"/v1/webhook-endpoints/{endpoint}/test")
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        assert line.startswith("✓  webhook.test")
        assert "verified v1+v1a" in line
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 15) == 0
        assert (await employer.get("/v1/webhook-endpoints"))["data"] == []


async def test_credentials_are_for_their_owner_alone_and_loading_again_changes_nothing(
    running: Running,
) -> None:
    path = running.settings.credentials_path
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = await running.owner.fetchval("SELECT count(*) FROM enrolments")
    await load(running.settings)
    assert path.read_bytes() == before
    assert await running.owner.fetchval("SELECT count(*) FROM enrolments") == rows


async def test_lost_credentials_are_made_anew_for_the_same_organisations(running: Running) -> None:
    path = running.settings.credentials_path
    before = orjson.loads(path.read_bytes())
    path.unlink()
    await load(running.settings)
    after = orjson.loads(path.read_bytes())
    assert after["ids"] == before["ids"]
    assert after["clients"]["hub"]["client_id"] != before["clients"]["hub"]["client_id"]
