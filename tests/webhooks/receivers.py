"""The receivers of docs/receivers and of the README as processes: `async with running("receiver.py", keys) as receiver`."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.core.embedded import free_port
from tests.docs.guide import ROOT, blocks

FOLDER = ROOT / "docs" / "receivers"
README = "README.md"
NODE = shutil.which("node")
BOTH = [
    "receiver.py",
    pytest.param("receiver.mjs", marks=pytest.mark.skipif(NODE is None, reason="Node is not installed")),
]
ALL = [*BOTH, README]
"""The receiver of the README takes one secret, and prints type and data instead of the event."""


@dataclass
class Running:
    """Where it listens, and the lines it has printed: one for each event it has stored."""

    port: int
    printed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tendays"


@asynccontextmanager
async def running(name: str, keys: list[str]) -> AsyncIterator[Running]:
    """One receiver on a free port, ended with the block."""
    if name == README:
        async with _of_the_readme(keys[0]) as made:
            yield made
        return
    program = sys.executable if name.endswith(".py") else str(NODE)
    process = await asyncio.create_subprocess_exec(
        program, str(FOLDER / name), "0", env={"PATH": os.environ["PATH"], "TENDAYS_KEYS": " ".join(keys)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    reading = []
    try:
        first = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
        assert first.startswith("listening on "), first
        made = Running(int(first.split()[-1]))
        reading = _reading(process, made)
        yield made
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(*reading)


def _reading(process: asyncio.subprocess.Process, made: Running) -> list[asyncio.Task[None]]:
    async def read(stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            lines.append(line.decode())

    return [
        asyncio.create_task(read(process.stdout, made.printed)),
        asyncio.create_task(read(process.stderr, made.complaints)),
    ]


@asynccontextmanager
async def _of_the_readme(secret: str) -> AsyncIterator[Running]:
    """As a newcomer saves it, but for the port."""
    (block,) = blocks(ROOT / README, "python")
    port = free_port()
    with TemporaryDirectory() as folder:
        program = Path(folder) / "receiver.py"
        program.write_text(block.text.replace("9000", str(port)), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            secret,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        made = Running(port)
        reading = _reading(process, made)
        try:
            await _listens(port)
            yield made
        finally:
            process.kill()
            await process.wait()
            await asyncio.gather(*reading)


async def _listens(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
