"""The supervisor keeps real processes alive, stops them in order, and gives up on what cannot live."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import Callable

import psutil
import pytest

from app.core.embedded import living
from app.supervisor import GaveUp, Part, Supervisor


def part(name: str, script: str) -> Part:
    return Part(name, [sys.executable, "-c", textwrap.dedent(script)], {"NAME": name})


def sleeper(name: str) -> Part:
    return part(name, "import time; time.sleep(60)")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it watches processes
            await asyncio.sleep(0.01)


async def test_a_part_that_is_killed_is_started_again_and_said() -> None:
    said: list[str] = []
    supervisor, kept = Supervisor(said.append), sleeper("worker")
    keeping = asyncio.ensure_future(supervisor.keep(kept))
    await until(lambda: kept.process)
    first = kept.process
    assert first
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: kept.process is not first)
    assert said == ["worker was ended by SIGKILL; it is started again."]
    await supervisor.stop()
    await keeping
    assert kept.process
    assert kept.process.returncode == -signal.SIGTERM
    assert len(said) == 1, "what we stop ourselves is no news"


async def test_what_a_part_started_itself_does_not_outlive_it() -> None:
    supervisor = Supervisor(lambda _line: None)
    parent = part("api", "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)")
    keeping = asyncio.ensure_future(supervisor.keep(parent))
    await until(lambda: parent.process)
    assert parent.process
    started = psutil.Process(parent.process.pid)
    await until(started.children)
    (child,) = started.children()
    await supervisor.stop()
    await keeping
    await until(lambda: living(child.pid) is None)


async def test_parts_stop_in_the_order_they_were_named_in() -> None:
    supervisor, said = Supervisor(lambda _line: None), list[str]()
    parts = [sleeper("api"), sleeper("worker")]

    async def keep(kept: Part) -> None:
        await supervisor.keep(kept)
        said.append(kept.name)

    both = asyncio.gather(*(keep(each) for each in parts))
    await until(lambda: all(each.process for each in parts))
    await supervisor.stop()
    await both
    assert said == ["api", "worker"]


async def test_a_part_that_cannot_live_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.supervisor.LONGEST_PAUSE_SECONDS", 0.01)
    said: list[str] = []
    with pytest.raises(GaveUp, match="api ended with code 3 5 times"):
        await Supervisor(said.append).keep(part("api", "raise SystemExit(3)"))
    assert len(said) == 4


async def test_a_part_hears_of_our_death_by_the_end_of_its_standard_input() -> None:
    supervisor = Supervisor(lambda _line: None)
    listening = part("worker", "import os, signal\nos.read(0, 1)\nos.kill(os.getpid(), signal.SIGTERM)")
    keeping = asyncio.ensure_future(supervisor.keep(listening))
    await until(lambda: listening.process)
    process = listening.process
    assert process
    assert process.stdin
    process.stdin.close()  # what the system does for us when we are killed
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGTERM
    await supervisor.stop()
    await keeping
