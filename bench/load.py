"""A small HTTP/1.1 load: so many connections, each asking again as soon as it was answered, for so many seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """What one run gave."""

    requests: int
    seconds: float
    failures: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


async def press(
    host: str,
    port: int,
    path: str,
    headers: Mapping[str, str],
    *,
    connections: int,
    seconds: float,
    body: bytes = b"",
) -> Run:
    """GET (or POST with a body) `path` for some seconds."""
    verb = "POST" if body else "GET"
    lines = [f"{verb} {path} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    message = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    began = time.perf_counter()
    results = await asyncio.gather(*(_one(host, port, message, began + seconds) for _ in range(connections)))
    took = time.perf_counter() - began
    return Run(sum(done for done, _ in results), took, sum(failed for _, failed in results))


async def _one(host: str, port: int, message: bytes, until: float) -> tuple[int, int]:
    reader, writer = await asyncio.open_connection(host, port)
    done = failed = 0
    try:
        while time.perf_counter() < until:
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            at = lowered.find(b"content-length:")
            length = int(lowered[at + 15 : lowered.index(b"\r", at)])
            await reader.readexactly(length)
            done += 1
            failed += not head.startswith(b"HTTP/1.1 200")
    finally:
        writer.close()
    return done, failed


@asynccontextmanager
async def line(
    host: str, port: int, path: str, headers: Mapping[str, str], body: bytes
) -> AsyncIterator[Callable[[], Awaitable[tuple[float, bytes]]]]:
    """One kept connection; each call POSTs once and gives milliseconds to the last byte, and the answer's body."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    message = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    reader, writer = await asyncio.open_connection(host, port)

    async def ask() -> tuple[float, bytes]:
        began = time.perf_counter()
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length:")
        answer = await reader.readexactly(int(head[at + 15 : head.index(b"\r", at)]))
        took = (time.perf_counter() - began) * 1000
        if not head.startswith(b"http/1.1 200") or b'"errors"' in answer:
            raise RuntimeError(answer[:500].decode())
        return took, answer

    try:
        yield ask
    finally:
        writer.close()
