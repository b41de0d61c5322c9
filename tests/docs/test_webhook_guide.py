"""The webhook guide takes a receiver's developer from nothing to a certified endpoint: each step as it stands there."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.egress import Egress, Policy
from app.core.embedded import free_port
from app.webhooks.certifier import Certifier
from app.worker import Chore, keep_house
from tests.docs.conftest import Desk
from tests.docs.guide import DOCS, ROOT, Values, blocks

pytestmark = pytest.mark.calendar

GUIDE = DOCS / "webhooks.md"
SECTION = "## A message"


@pytest_asyncio.fixture
async def certifying(desk: Desk) -> AsyncIterator[Desk]:
    """The desk, and somebody behind it who certifies, as a worker does."""
    db = await Database(desk.world.dsns.worker, development=True).open()
    stop = asyncio.Event()
    async with Egress(Policy.development()) as egress:
        certifier = Certifier(egress, desk.world.app.state.house.keyring)
        work = asyncio.create_task(keep_house(db, stop, [Chore("certify", 0.2, certifier.turn)]))
        yield desk
        stop.set()
        await work
        await certifier.close(db)
    await db.close()


async def _started(command: str) -> asyncio.subprocess.Process:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TENDAYS_")}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=ROOT, env=plain,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    streams: Any = process
    first = await asyncio.wait_for(streams.stderr.readline(), 20)
    assert first.startswith(b"listening on "), first
    return process


async def test_from_nothing_to_a_certified_endpoint(certifying: Desk) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    ends = text.count("\n", 0, text.index(SECTION))
    port = str(free_port())
    values: Values = await certifying.values("school_a")
    receiver = None
    steps = 0
    try:
        for block in blocks(GUIDE, "http", "sh"):
            if block.line > ends:
                break
            steps += 1
            if block.language == "sh":
                receiver = await _started(values.put_into(block.text.replace("9000", port)))
            else:
                await certifying.take(GUIDE, block, values, lambda said: said.replace(":9000/", f":{port}/"))
    finally:
        if receiver is not None:
            receiver.kill()
    assert steps > 14
    assert receiver is not None
    out, _ = await receiver.communicate()
    printed = out.decode().splitlines()
    assert sum('"webhook.test"' in line for line in printed) >= 3, printed
