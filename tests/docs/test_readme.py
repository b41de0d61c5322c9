"""The README, followed by a newcomer: its shell and its receiver, against a system of real processes."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.core.embedded import free_port
from app.running import answers
from tests.demonstration import Demonstration
from tests.docs.guide import ROOT, blocks

README = ROOT / "README.md"
STANDARD = {"base64", "hmac", "http.server", "json", "sys", "time"}
pytestmark = pytest.mark.slow_suite


@pytest_asyncio.fixture(scope="module")
async def checkout(demonstration: Demonstration) -> AsyncIterator[tuple[Path, str]]:
    """A folder as a newcomer has it after the first start, and where the API is."""
    folder = Path(tempfile.mkdtemp(prefix="tendays-readme-"))
    given = demonstration.settings
    shutil.copytree(given.data_dir, folder / ".tendays")
    settings = given.model_copy(update={"data_dir": folder / ".tendays", "with_worker": True})
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TENDAYS_")}
    names = ("env", "database_url", "worker_database_url", "data_dir", "port", "with_worker")
    named = {f"TENDAYS_{name.upper()}": str(getattr(settings, name)) for name in names}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "api", cwd=ROOT, stdin=subprocess.DEVNULL,
        env=plain | named,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not await answers(settings.local_url):
                assert process.returncode is None, "the API ended at once"
                await asyncio.sleep(0.1)
        yield folder, settings.local_url
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the requests are for curl")
async def test_a_newcomer_gets_from_nothing_to_a_received_webhook(checkout: tuple[Path, str]) -> None:
    folder, url = checkout
    port = str(free_port())
    (receiver,) = blocks(README, "python")
    (folder / "receiver.py").write_text(receiver.text.replace("9000", port), encoding="utf-8")
    script = "set -eo pipefail\n" + "".join(block.text for block in blocks(README, "bash"))
    script = script.replace("http://127.0.0.1:8000", url).replace("9000", port)
    script = script.replace('receiver.py "$SECRET" &', 'receiver.py "$SECRET" > received.txt 2> said.txt &')
    script += (
        "for _ in $(seq 100); do grep -q booking.confirmed received.txt && break; sleep 0.2; done\nkill %1\n"
    )
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    received = (folder / "received.txt").read_text()
    assert '"state": "confirmed"' in out.decode()
    assert received.index("booking.requested") < received.index("booking.confirmed")


async def test_its_receiver_is_twenty_lines_of_the_standard_library() -> None:
    (receiver,) = blocks(README, "python")
    imports = next(line for line in receiver.text.splitlines() if line.startswith("import "))
    assert set(imports.removeprefix("import ").split(", ")) <= STANDARD
    assert len([line for line in receiver.text.splitlines() if line.strip()]) <= 22
