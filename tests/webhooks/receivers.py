"""The receivers of docs/receivers as processes: `async with running("receiver.py", keys) as receiver`."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "receivers"
NODE = shutil.which("node")
BOTH = [
    "receiver.py",
    pytest.param("receiver.mjs", marks=pytest.mark.skipif(NODE is None, reason="Node is not installed")),
]


@dataclass
class Running:
    """Where it listens, and the lines it has printed: one for each event it has stored."""

    port: int
    printed: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tendays"


@asynccontextmanager
async def running(name: str, keys: list[str]) -> AsyncIterator[Running]:
    """One receiver on a free port, ended with the block."""
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

        async def read(stream: asyncio.StreamReader, lines: list[str]) -> None:
            while line := await stream.readline():
                lines.append(line.decode())

        reading = [asyncio.create_task(read(process.stdout, made.printed))]
        reading.append(asyncio.create_task(read(process.stderr, [])))
        yield made
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(*reading)
