"""Keeps processes of ours alive side by side: started again when they die, stopped in order when told to."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

QUICK_DEATH_SECONDS = 5.0
QUICK_DEATHS_ALLOWED = 5
LONGEST_PAUSE_SECONDS = 8.0
STOP_SECONDS = 20.0


class GaveUp(Exception):
    """A part died again and again as soon as it was started."""


@dataclass
class Part:
    """One process of ours. It stops on SIGTERM, and when its standard input ends (as it does if we die)."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = field(default=None, init=False)


class Supervisor:
    """`await keep(part)` for each part side by side; `stop()` ends them in the order they are named in."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._parts: list[Part] = []
        self._stopping = asyncio.Event()

    async def keep(self, part: Part) -> None:
        """Run the part until we are told to stop. Raises `GaveUp` after five quick deaths in a row."""
        self._parts.append(part)
        quick_deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._live(part)
            if self._stopping.is_set():
                return
            quick_deaths = quick_deaths + 1 if time.monotonic() - began < QUICK_DEATH_SECONDS else 0
            if quick_deaths >= QUICK_DEATHS_ALLOWED:
                raise GaveUp(f"{part.name} {_ending(code)} {quick_deaths} times as soon as it was started.")
            self._say(f"{part.name} {_ending(code)}; it is started again.")
            await asyncio.sleep(min(0.25 * 2**quick_deaths, LONGEST_PAUSE_SECONDS))

    async def _live(self, part: Part) -> int:
        part.process = await asyncio.create_subprocess_exec(
            *part.argv,
            env={**os.environ, **part.environment},
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to hear, and to pass on in order
        )
        code = await part.process.wait()
        _sweep(part)
        return code

    async def stop(self) -> None:
        """End the parts one after the other; each has twenty seconds to finish what it holds."""
        self._stopping.set()
        for part in self._parts:
            await self._end(part)

    async def _end(self, part: Part) -> None:
        if part.process is None:
            return
        _signal(part, signal.SIGTERM)
        try:
            await asyncio.wait_for(part.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._say(f"{part.name} did not stop in {STOP_SECONDS:.0f} s and is killed.")
            _signal(part, signal.SIGKILL)
            await part.process.wait()
        _sweep(part)


def _sweep(part: Part) -> None:
    """What the part itself started does not outlive it (and hold its port)."""
    if part.process is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(part.process.pid, signal.SIGKILL)


def _signal(part: Part, number: signal.Signals) -> None:
    if part.process is not None and part.process.returncode is None:
        with suppress(ProcessLookupError):
            part.process.send_signal(number)


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
