"""`tendays run` under `kill -9`: of API, worker, Postgres and itself. It comes back, the story is green, nothing lost.

Only processes are killed that are children of the one started here.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio

from app.core.embedded import free_port, living, running_dsns
from app.running import answers

pytestmark = pytest.mark.slow_suite
START_SECONDS = 90.0
BACK_SECONDS = 45.0
STORY_SECONDS = 120.0
HOME = Path(__file__).resolve().parent.parent.parent


class Run:
    """`python -m app.cli run --no-story` in a folder and on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TENDAYS_")}
        kept = {name: os.environ[name] for name in ("TENDAYS_PG_BIN",) if name in os.environ}
        given = {
            "TENDAYS_ENV": "development",
            "TENDAYS_DATA_DIR": str(folder),
            "TENDAYS_PORT": str(self.port),
            "PYTHONPATH": str(HOME),
        }
        self.environment = plain | kept | given

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "run", "--no-story"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        await self.until_well(START_SECONDS)

    async def until_well(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not (await answers(self.url) and self.find("worker") and self.find("postgres")):
                assert self.process
                assert self.process.poll() is None, (self.folder / "said").read_text()
                await asyncio.sleep(0.1)

    def find(self, name: str) -> psutil.Process | None:
        """The child of ours that is the API, the worker or the database server."""
        assert self.process
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess):
                    is_it = (
                        child.name().startswith("postgres")
                        if name == "postgres"
                        else child.cmdline()[-1:] == [name]
                    )
                    if is_it and child.status() != psutil.STATUS_ZOMBIE:
                        return child
        return None

    def kill(self, name: str) -> int:
        """Kill it with -9; its number."""
        found = self.find(name)
        assert found, f"there is no {name}"
        found.kill()
        return found.pid

    async def back(self, name: str, killed: int) -> None:
        """Wait until another process is there in its place, and the API answers."""
        await until(lambda: (found := self.find(name)) is not None and found.pid != killed, BACK_SECONDS)
        await self.until_well(BACK_SECONDS)

    def tell(self) -> subprocess.Popen[bytes]:
        """Begin to tell the story."""
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", "story"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    async def story(self) -> tuple[int, str]:
        return await told(self.tell())

    async def counts(self) -> dict[str, int]:
        """What there is of what must not be lost."""
        found = running_dsns(self.folder / "postgres")
        assert found
        owner = await asyncpg.connect(found.owner)
        try:
            tables = ("events", "bookings", "booking_moves", "participations", "encounters", "deliveries")
            return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
        finally:
            await owner.close()

    async def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.process.wait, 60)


async def told(story: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The end of a story: its exit code, and what it printed."""
    out, _ = await asyncio.wait_for(asyncio.to_thread(story.communicate), STORY_SECONDS)
    return story.returncode, out.decode()


async def until(condition: Callable[[], object], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it watches processes
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module")
async def run() -> AsyncIterator[Run]:
    folder = Path(tempfile.mkdtemp(prefix="tendays-survives-"))
    folder.chmod(0o711)
    found = Run(folder)
    try:
        await found.start()
        yield found
    finally:
        await found.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("victim", ["api", "worker", "postgres"])
async def test_the_story_survives(run: Run, victim: str) -> None:
    """One is killed in the middle of a story, which may fail; the next one may not."""
    interrupted = run.tell()
    await asyncio.sleep(3)
    before = await run.counts()
    killed = run.kill(victim)
    await run.back(victim, killed)
    _, first = await told(interrupted)
    code, second = await run.story()
    assert code == 0, (
        f"{first}\n--- after the kill:\n{second}\n--- said:\n{(run.folder / 'said').read_text()}"
    )
    after = await run.counts()
    assert all(after[table] >= before[table] for table in before)


async def test_a_kill_of_the_supervisor_itself_loses_nothing(run: Run) -> None:
    assert run.process
    children = psutil.Process(run.process.pid).children(recursive=True)
    before = await run.counts()
    assert before["bookings"] >= 3
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait(10)
    await until(lambda: not any(living(child.pid) for child in children), BACK_SECONDS)
    await run.start()
    assert await run.counts() == before
    code, said = await run.story()
    assert code == 0, said


async def test_a_kill_of_the_supervisor_and_a_new_start_at_once(run: Run) -> None:
    """Nobody waits until what was left behind has ended: the new start does, or says that it cannot yet."""
    assert run.process
    before = await run.counts()
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait(10)
    await run.start()
    assert await run.counts() == before
    code, said = await run.story()
    assert code == 0, said
