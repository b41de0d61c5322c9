"""`tendays api` as an operator runs it: two processes, one truth at /metrics, JSON on standard error, stopped in order."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.world import World

PAUSE = 1.5


@pytest_asyncio.fixture(scope="module")
async def served(
    world: World, tmp_path_factory
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = tmp_path_factory.mktemp("said") / "stderr"
    environment = {
        "TENDAYS_ENV": "test", "TENDAYS_DATABASE_URL": world.dsns.app, "TENDAYS_DATA_DIR": str(world.data_dir),
        "TENDAYS_PORT": str(port), "TENDAYS_PROCESSES": "2", "TENDAYS_METRICS": "true",
        "TENDAYS_STOP_PAUSE_SECONDS": str(PAUSE), "TENDAYS_BASE_URL": "http://tendays.test",
    }  # fmt: skip
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.cli", "api", env={**os.environ, **environment}, stdin=asyncio.subprocess.DEVNULL,
            stdout=out, stderr=out,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    for _ in range(900):
        if await _ready(base):
            break
        assert process.returncode is None, said.read_text()
        await asyncio.sleep(0.2)
    else:
        process.kill()
        raise AssertionError(said.read_text())
    yield base, process, str(said)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _ready(base: str) -> bool:
    with suppress(httpx.TransportError):
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{base}/health/ready")).status_code == 200
    return False


async def _counted(base: str) -> tuple[float, int]:
    """How many requests for /health/live one scrape speaks of, and of how many processes there are files."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{base}/metrics")).text
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    mine = [
        one.value
        for one in samples
        if one.name == "tendays_requests_total" and one.labels["route"] == "/health/live"
    ]
    return sum(mine), len(mine)


async def test_each_scrape_tells_the_sum_of_all_processes(served) -> None:
    base, *_ = served
    for _ in range(60):
        async with httpx.AsyncClient() as http:  # a connection each, so that both processes have some
            assert (await http.get(f"{base}/health/live")).status_code == 200
    seen = {await _counted(base) for _ in range(12)}
    assert seen == {(60.0, 1)}, "whichever process answers"


async def test_it_stops_in_order_and_every_line_is_json(served) -> None:
    base, process, said = served
    async with httpx.AsyncClient() as kept:
        assert (await kept.get(f"{base}/health/ready")).status_code == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        states, refused_at = [], None
        while process.returncode is None and time.monotonic() - began < 30:
            try:
                async with httpx.AsyncClient(timeout=5) as http:
                    states.append((await http.get(f"{base}/health/ready")).json()["status"])
            except httpx.TransportError:
                refused_at = refused_at or time.monotonic() - began
            await asyncio.sleep(0.05)
        await asyncio.wait_for(process.wait(), 30)
    assert "stopping" in states, "it is said before the listener closes"
    assert states.index("stopping") < len(states) - 1
    assert refused_at is not None
    assert refused_at >= PAUSE * 0.8, "not before the pause is over"
    lines = [line for line in open(said, encoding="utf-8").read().splitlines() if line.strip()]  # noqa: ASYNC230, PTH123, SIM115
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict), line
