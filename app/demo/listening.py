"""The story's side of the receiver: a process of its own, and what it has received so far."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson

START_SECONDS = 10.0
LONGEST_LINE = 1_000_000


class NotReceived(Exception):
    """A webhook that was awaited did not come."""


@dataclass(frozen=True, slots=True)
class Received:
    """One verified message; `at` is when its last byte had come, in unix seconds."""

    at: float
    type: str
    body: Mapping[str, Any]


class Listener:
    """`async with Listener() as listener`: `listener.url` is where to post; `trust(secret)` before anything comes."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.url = ""
        self.received: list[Received] = []
        self.refused: list[str] = []
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the receiver and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.demo.receiver",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=LONGEST_LINE, start_new_session=True,
        )  # fmt: skip
        first = await asyncio.wait_for(self._stdout.readline(), START_SECONDS)
        if not first:
            raise NotReceived("The receiver did not start.")
        self.url = orjson.loads(first)["url"]
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it: its standard input ends."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    @property
    def _stdout(self) -> asyncio.StreamReader:
        if self._process is None or self._process.stdout is None:
            raise NotReceived("The receiver is not running.")
        return self._process.stdout

    async def trust(self, secret: str) -> None:
        """Accept what is signed with this secret (`whsec_...`)."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(secret.encode() + b"\n")
            await self._process.stdin.drain()

    async def _read(self) -> None:
        while line := await self._stdout.readline():
            told = orjson.loads(line)
            async with self._news:
                if "refused" in told:
                    self.refused.append(told["refused"])
                else:
                    self.received.append(Received(told["at"], told["type"], told["body"]))
                self._news.notify_all()

    async def until(
        self,
        kind: str,
        fits: Callable[[Mapping[str, Any]], bool],
        *,
        count: int = 1,
        seconds: float = 20.0,
    ) -> list[Received]:
        """The first `count` messages of a type whose `data` fits. Raises NotReceived after so many seconds."""

        def found() -> list[Received]:
            return [one for one in self.received if one.type == kind and fits(one.body["data"])]

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            why = f"; refused: {', '.join(sorted(set(self.refused)))}" if self.refused else ""
            text = f"{kind} came {len(found())} times of {count} within {seconds:.0f} s{why}."
            raise NotReceived(text) from None
        return found()[:count]
