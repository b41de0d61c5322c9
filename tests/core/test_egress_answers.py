"""A status line that was received is the answer, whatever follows it; and the URL that is stored is the one called."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from app.core import egress
from app.core.addresses import problems_with_url
from app.core.egress import Answer, Egress, EgressError, Kind, Policy, Timeouts

OPEN = Policy.development()
PATIENT = Timeouts(read=5.0, total=8.0)
STATUSES = (200, 201, 204, 205, 299, 304, 404, 410, 500, 503)
NEVER_ENDS = {
    "length of more than comes": b"Content-Length: 1000\r\n\r\nhello",
    "chunks without an end": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "headers without an end": b"X-One: 1\r\nX-Tw",
    "nothing": b"",
}
ODD = {
    "no body": b"\r\n",
    "chunked without a chunk": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked with a body": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "body without framing": b"Connection: close\r\n\r\nhello there",
    "body and a length": b"Content-Length: 5\r\n\r\nhello",
    "more than its length": b"Content-Length: 2\r\n\r\nhello there",
    "another answer at once": b"Content-Length: 0\r\n\r\nHTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length of letters": b"Content-Length: many\r\n\r\nhello",
    "negative length": b"Content-Length: -1\r\n\r\nhello",
    "chunk size of letters": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "unknown coding": b"Transfer-Encoding: rot13\r\n\r\nhello",
    "header without a colon": b"nonsense\r\nContent-Length: 0\r\n\r\n",
    "header beyond ASCII": b"X-Odd: \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    "packed, says it": b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    "upgrade": b"Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
}


def at_once(head: bytes, tail: bytes) -> list[bytes]:
    return [head + tail]


def head_first(head: bytes, tail: bytes) -> list[bytes]:
    return [head, tail]


def byte_by_byte(head: bytes, tail: bytes) -> list[bytes]:
    return [head, *(tail[at : at + 1] for at in range(len(tail)))]


@asynccontextmanager
async def saying(pieces: list[bytes], *, then_close: bool = True) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A raw server that answers each post with these pieces; its address, and the request lines it has read."""
    lines: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.split(b"\r\n")[0])
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if not then_close:
                await done.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines
    finally:
        done.set()
        server.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends is given up after a moment."""
    monkeypatch.setattr(egress, "READ_SECONDS", 0.1)
    monkeypatch.setattr(egress, "HEAD_SECONDS", 0.1)


@pytest_asyncio.fixture(scope="module")
async def out() -> AsyncIterator[Egress]:
    async with Egress(OPEN) as opened:
        yield opened


async def _answer(out: Egress, pieces: list[bytes], *, then_close: bool) -> Answer:
    async with saying(pieces, then_close=then_close) as (url, _):
        return await out.post(f"{url}/", {}, b"{}", timeouts=PATIENT)


async def _said(out: Egress, pieces: list[bytes], *, then_close: bool) -> int | Kind:
    try:
        return (await _answer(out, pieces, then_close=then_close)).status
    except EgressError as error:
        return error.kind


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("way", [at_once, head_first, byte_by_byte])
@pytest.mark.parametrize("tail", [*ODD.values(), *NEVER_ENDS.values()], ids=[*ODD, *NEVER_ENDS])
async def test_the_status_line_decides_whatever_follows(
    out: Egress, tail: bytes, way: Callable[[bytes, bytes], list[bytes]]
) -> None:
    asked = [*itertools.product(STATUSES, (True, False))]
    said = [
        _said(out, way(b"HTTP/1.1 %d Said\r\n" % status, tail), then_close=then_close)
        for status, then_close in asked
    ]
    got = await asyncio.gather(*said)
    assert [(*one, found) for one, found in zip(asked, got, strict=True) if found != one[0]] == []


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("tail", [ODD["no body"], ODD["two lengths"], NEVER_ENDS["headers without an end"]])
async def test_an_interim_answer_is_passed_over_and_is_none(out: Egress, tail: bytes) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    got = await _answer(out, [early + b"HTTP/1.1 204 No Content\r\n" + tail], then_close=False)
    assert got.status == 204
    with pytest.raises(EgressError) as caught:
        await _answer(out, [early], then_close=True)
    assert caught.value.kind is Kind.PROTOCOL


async def test_what_can_be_read_of_a_broken_answer_is_kept(out: Egress) -> None:
    head = b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nX-Two: a\r\nX-Two: b\r\n"
    got = await _answer(out, [head + ODD["two lengths"]], then_close=True)
    assert (got.status, got.body, got.headers["retry-after"], got.headers["x-two"]) == (
        429,
        b"hello",
        "7",
        "a, b",
    )


async def test_a_connection_that_said_something_odd_is_not_used_again(out: Egress) -> None:
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n")
            await reader.readexactly(1)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    got = [(await out.post(url, {}, b"{}", timeouts=PATIENT)).status for _ in range(4)]
    server.close()
    assert got == [204] * 4, "the second answer of a packet is never taken for that of the next post"
    assert len(connections) == 4


async def test_a_body_that_trickles_is_read_for_a_moment_and_no_longer(
    out: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "READ_SECONDS", 0.2)
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    got = await out.post(url, {}, b"{}", timeouts=PATIENT)
    assert (got.status, got.truncated, got.body.strip(b"x")) == (200, True, b"")
    await asyncio.wait_for(gone.wait(), 5)
    server.close()


# --- the URL --------------------------------------------------------------------------------------------------------

TARGETS = (
    "/", "/hook", "/a//b", "//a", "/a/", "/%41%62", "/%c3%a9", "/%C3%A9", "/%2F%2f", "/a%20b", "/a+b", "/a;v=1", "/a,b",
    "/a=b", "/a:b", "/a@b", "/~a", "/%7Ea", "/a!b", "/a$b&c", "/'a'", "/(a)", "/a*", "/a.b", "/...", "/.a", "/a./", "/%25",
    "/%00", "/?a=1", "/?a=%20b", "/?a=b+c", "/?a=%2B", "/?a=%26&b=%3D", "/?a=/x/../y", "/?a=b?c", "/?a", "/?a=&a=", "/?=",
    "/?a[]=1", "/?a=%c3%a9&b=%C3%A9", "/?a=1;b=2", "/?a=http://x/y", "/?x='1'",
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
async def test_the_url_that_is_stored_is_the_one_called_byte_for_byte(out: Egress, target: str) -> None:
    async with saying([b"HTTP/1.1 204 No Content\r\n\r\n"]) as (url, lines):
        assert problems_with_url(url + target, OPEN) == []
        await out.post(url + target, {}, b"{}")
    assert lines == [f"POST {target} HTTP/1.1".encode()]


REWRITTEN = (
    "/a/../b", "/..", "/../", "/a/..", "/./a", "/a/.", "/.", "/%2e%2e/a", "/%2E./a", "/.%2e", "/%2e", "/a/%2E/b",
    "/%", "/a%", "/%4", "/%zz", "/%4g", "/%%41", "/?a=%", "/?a=100%&b=1", "/?a=%e", "/?%u00e9", "/a?",
    "/é", "/a/ü", "/?a=é", "/日本", "/\u202e", "/a\u00a0b", "/\udcff",
)  # fmt: skip


@pytest.mark.parametrize("target", REWRITTEN)
def test_what_would_be_rewritten_on_the_way_is_refused_when_it_is_registered(target: str) -> None:
    assert len(problems_with_url("https://hooks.example.com" + target, Policy())) == 1


@pytest.mark.parametrize("target", ["/a/../b", "/%2e/a", "/100%"])
async def test_what_was_registered_before_is_called_as_it_stands(out: Egress, target: str) -> None:
    async with saying([b"HTTP/1.1 204 No Content\r\n\r\n"]) as (url, lines):
        await out.post(url + target, {}, b"{}")
    assert lines == [f"POST {target} HTTP/1.1".encode()]
