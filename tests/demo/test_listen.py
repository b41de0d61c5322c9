"""`tendays listen`, as a process: what arrives is verified and told in a line each, and Ctrl-C ends it."""

import asyncio
import base64
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.core.secrets import new_webhook_key_pair, new_webhook_secret
from app.webhooks.signing import signed_headers, signing_key, verifying_key

ROOT = Path(__file__).parents[2]
SECRET, PAIR = new_webhook_secret(), new_webhook_key_pair()


@asynccontextmanager
async def listening(*options: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "listen", "--port", "0", *options, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        first = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert first.startswith("Listening at "), first
        yield first.split()[2], process
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def event(**more: object) -> bytes:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": "booking.confirmed", "timestamp": now, "sequence": 7, **more}).encode()


async def send(url: str, body: bytes, *keys: str, at: float | None = None) -> int:
    headers = signed_headers("m-1", int(at or time.time()), body, [signing_key(one) for one in keys])
    async with httpx.AsyncClient() as http:
        return (await http.post(url, content=body, headers=headers)).status_code


async def line_of(process: asyncio.subprocess.Process) -> str:
    return (await asyncio.wait_for(process.stdout.readline(), 10)).decode().strip()


async def test_each_post_is_a_line_that_says_whether_it_is_genuine() -> None:
    public = verifying_key(PAIR.secret).text
    async with listening("--secret", SECRET, "--secret", public) as (url, process):
        assert await send(url, event(), SECRET) == 204
        line = await line_of(process)
        assert line.split()[:6] == ["✓", "booking.confirmed", "m-1", "#7", "verified", "v1"]
        assert 0 <= int(line.split()[-2]) < 5000
        assert await send(url, event(), PAIR.secret, SECRET) == 204
        assert "verified v1+v1a (again)" in await line_of(process)
        assert await send(url, event(), new_webhook_secret()) == 401
        assert "NOT verified: no signature fits" in await line_of(process)
        assert await send(url, event(), SECRET, at=time.time() - 400) == 401
        assert "more than 300 seconds ago" in await line_of(process)
        assert await send(url, b"\x1b[2J no json", SECRET) == 204
        assert "\x1b" not in (nothing := await line_of(process))
        assert nothing.endswith("- ms")


async def test_as_json_it_gives_the_bytes() -> None:
    async with listening("--secret", SECRET, "--json") as (url, process):
        body = event(note="é")
        await send(url, body, SECRET)
        told = json.loads(await line_of(process))
        assert base64.b64decode(told["body_base64"]) == body
        assert (told["verified"], told["refused"], told["sequence"]) == (["v1"], None, 7)
        assert told["headers"]["webhook-id"] == "m-1"


@pytest.mark.parametrize("secret", ["whsec_***", "nothing"])
async def test_a_key_that_is_none_is_refused_in_a_line_without_being_told(secret: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "listen",
        "--secret",
        secret,
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "webhook key" in said.decode()
    assert secret not in said.decode()
