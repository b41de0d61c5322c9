"""How large and how slow a request may be, at a raw socket before the server that `tendays api` starts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress

import pytest
import pytest_asyncio
import uvicorn

from app.rest import protocol
from app.rest.serving import Served


async def _app(scope, receive, send):
    """Reads the whole body and says how long it was; `/quick` answers without."""
    size, more = 0, scope["path"] != "/quick"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    said = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]}
    )
    await send({"type": "http.response.body", "body": said})


class Here(protocol.Limited):
    """With seconds that a test can wait for."""

    head_seconds = 0.5
    body_seconds = 0.6


@pytest_asyncio.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    config = Served("x:y", "127.0.0.1", 0).config()
    assert config.http == "app.rest.protocol:Limited"
    config = uvicorn.Config(
        _app,
        host="127.0.0.1",
        port=0,
        http=Here,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign]
    work = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await work


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def all(self) -> bytes:
        """Everything until the other side closes."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@pytest_asyncio.fixture
async def wire(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Wire(reader, writer)
    writer.close()


def _problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:300]
    said = json.loads(body)
    assert int(head.split()[1]) == said["status"]
    return said["status"], said["code"]


GET = b"GET /quick HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GET + b"A: b\r\n" * 98 + CLOSE, 200),
        (GET + b"A: b\r\n" * 99 + CLOSE, 431),
        (GET + b"A: " + b"b" * 16_200 + b"\r\n" + CLOSE, 200),
        (GET + b"A: " + b"b" * 16_400 + b"\r\n" + CLOSE, 431),
        (GET + b"A: " + b"b" * 200_000, 431),
        (GET + b"A" * 40_000, 431),
        (b"GET /" + b"q" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE, 431),
        (b"GET /" + b"q" * 400_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
         + b"T: u\r\n" * 150 + b"\r\n", 431),
    ],
)  # fmt: skip
async def test_a_head_has_16_kb_and_100_lines_at_most(wire: Wire, sent: bytes, status: int) -> None:
    await wire.send(sent)
    answer = await wire.all()
    if status == 200:
        assert answer.startswith(b"HTTP/1.1 200"), answer
    else:
        assert _problem(answer) == (431, "head_too_large")


BAD = [
    b"GET /quick HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nA: b\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n",
    b"GET /quick HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /quick HTTP/1.1\nHost: x\x00\n\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /quick HTTP/9.9\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("sent", BAD)
async def test_what_frames_are_made_of_is_refused_when_it_can_be_read_in_two_ways(
    wire: Wire, sent: bytes
) -> None:
    await wire.send(sent)
    assert _problem(await wire.all()) == (400, "bad_request")


async def test_a_head_that_drips_is_cut(wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    dripping = asyncio.create_task(_drip(wire, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 500))
    assert _problem(await wire.all()) == (408, "request_too_slow")
    assert loop.time() - began >= 0.4
    dripping.cancel()


async def test_nobody_who_says_nothing_is_answered(wire: Wire) -> None:
    assert await wire.all() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n",
    ],
)
async def test_a_body_that_drips_is_cut_on_any_route(wire: Wire, head: bytes) -> None:
    await wire.send(head)
    dripping = asyncio.create_task(_drip(wire, b"b" * 500))
    assert _problem(await wire.all()) == (408, "request_too_slow")
    dripping.cancel()


async def test_a_body_that_nobody_reads_is_cut_too(wire: Wire) -> None:
    await wire.send(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
    dripping = asyncio.create_task(_drip(wire, b"b" * 500))
    answer = await wire.all()
    assert answer.startswith(b"HTTP/1.1 200")
    dripping.cancel()


async def test_a_large_body_has_the_time_of_its_size(wire: Wire) -> None:
    size = 128 * 1024
    await wire.send(
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
    )
    for _ in range(8):
        await wire.send(b"b" * (size // 8))
        await asyncio.sleep(0.15)
    answer = await wire.all()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert answer.endswith(str(size).encode())


async def test_one_connection_takes_many_requests_each_with_limits_of_its_own(wire: Wire) -> None:
    one = b"GET /quick HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9_000 + b"\r\n\r\n"
    await wire.send(one * 4 + b"GET /quick HTTP/1.1\r\nHost: x\r\n" + CLOSE)
    assert (await wire.all()).count(b"HTTP/1.1 200") == 5


async def test_after_a_request_a_slow_one_is_cut_all_the_same(wire: Wire) -> None:
    await wire.send(GET + b"\r\n")
    assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    await wire.reader.readexactly(1)
    dripping = asyncio.create_task(_drip(wire, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 500))
    assert _problem(await wire.all()) == (408, "request_too_slow")
    dripping.cancel()


async def test_a_refusal_never_cuts_into_the_answer_before_it(wire: Wire) -> None:
    """The second request is refused while the first has no answer yet: none of it can be taken for the first one's."""
    await wire.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\naGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    )
    answer = await wire.all()
    assert answer.count(b"HTTP/1.1") <= 2
    assert not answer or answer.startswith((b"HTTP/1.1 200",)), answer


async def _drip(wire: Wire, data: bytes) -> None:
    for at in range(len(data)):
        await wire.send(data[at : at + 1])
        await asyncio.sleep(0.05)


def test_the_numbers_are_those_of_the_handbook() -> None:
    numbers = (
        protocol.HEAD_BYTES,
        protocol.HEAD_LINES,
        protocol.HEAD_SECONDS,
        protocol.BODY_SECONDS,
        protocol.BODY_RATE,
    )
    assert numbers == (16_384, 100, 10.0, 60.0, 65_536)
    assert (protocol.Limited.head_seconds, protocol.Limited.body_seconds) == (10.0, 60.0)
