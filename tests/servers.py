"""The Postgres servers of a test run: what takes long is made once, and each process gets a server of its own.

A run is one pytest, or a controller with its workers (pytest-xdist). The run has a folder, in which data folders are
made once, by the first process that needs them: `migrated`, and what is built on it. Every process copies the data
folder and starts its own server on the copy. One server for all would couple the tests: Postgres counts the
transactions of all its databases, so a long one in one worker delays the numbering of events in the other.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.core.embedded import EmbeddedPostgres, forget

RUN = "TENDAYS_TEST_RUN"  # an environment variable: xdist's workers inherit it

Fill = Callable[[EmbeddedPostgres, Path], Awaitable[None]]


def begin_run() -> Path:
    """Make the folder of this run; said by the controller, or by pytest where there are no workers."""
    # Not under tmp_path: its folders are closed to the user that runs Postgres when we are root.
    folder = Path(tempfile.mkdtemp(prefix="tendays-tests-"))
    folder.chmod(0o711)
    os.environ[RUN] = str(folder)
    return folder


def end_run(folder: Path) -> None:
    """Remove the run's folder, and data that went elsewhere because Postgres' user cannot enter it."""
    for data in folder.glob("*/postgres"):
        forget(data)
    shutil.rmtree(folder, ignore_errors=True)


def server_in(folder: Path) -> EmbeddedPostgres:
    """A server that forgets quickly, on the programs that TENDAYS_PG_BIN names."""
    programs = os.environ.get("TENDAYS_PG_BIN")
    return EmbeddedPostgres(
        folder / "postgres", durable=False, bin_dir=Path(programs) if programs else None, say=print
    )


async def made_once(name: str, fill: Fill, *, start_from: Path | None = None) -> Path:
    """The folder `name` of this run; `fill` gets its server when nobody has made it yet.

    `start_from` is another such folder, of which the data are copied first. Others wait meanwhile; if making it
    fails, the next one tries again.
    """
    run = Path(os.environ[RUN])
    folder, done = run / name, run / f"{name}.done"
    with (run / f"{name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o711)
            if start_from is not None:
                await asyncio.to_thread(_copy, start_from, folder)
            async with server_in(folder) as server:
                await fill(server, folder)
            done.touch()
    return folder


@asynccontextmanager
async def server_on_copy(made: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server of this process alone, on a copy of the data in `made`."""
    folder = Path(tempfile.mkdtemp(prefix=f"{made.name}-", dir=made.parent))
    folder.chmod(0o711)
    await asyncio.to_thread(_copy, made, folder)
    try:
        async with server_in(folder) as server:
            yield server
    finally:
        forget(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy the data and passwords of a stopped server, with their owner; its port stays behind."""
    there, here = server_in(source).path, server_in(target).path
    subprocess.run(["cp", "-a", there / "pgdata", there / "passwords.json", here], check=True)
