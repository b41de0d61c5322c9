"""The only place that opens outbound connections: guarded HTTP posts to addresses that strangers chose."""

import asyncio
import errno
import functools
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from httpx_aiohttp import AiohttpTransport
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from app.core.addresses import Kind, Policy, address_refusal, faults_in, host_of, problems_with_url
from app.core.answers import FINAL, Head, final_head, has_too_many_lines

__all__ = ["Answer", "Egress", "EgressError", "Kind", "Policy", "Timeouts", "problems_with_url"]

USER_AGENT = "TenDays"
KEPT_BYTES = 4 * 1024
READ_BYTES = 64 * 1024
READ_SECONDS = 2.0
HEAD_SECONDS = 2.0  # for which the headers are waited for once the status line has come
CHUNK_BYTES = 16 * 1024
_FRAMING = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"}
)
IDLE_SECONDS = 15.0  # shorter than most servers keep a line, so that few posts meet a closed one
MOST_ADDRESSES = 8
MOST_AGAIN = 3
LOOK_UPS = 32
PIECES = 20
MOST_KNOWN = 10_000

# A name that is not there and a name that points inside are told alike: the difference would map our network.
_NOWHERE = ("address", "The host has no public address that we may call.")
_TOLD: Mapping[Kind, tuple[str, str]] = {
    Kind.REFUSED_URL: ("url", "The URL is not one that we may call."),
    Kind.REFUSED_PORT: ("port", "The port is not one that we may call."),
    Kind.REFUSED_ADDRESS: _NOWHERE,
    Kind.DNS: _NOWHERE,
    Kind.CONNECT: ("connect", "The connection could not be opened."),
    Kind.TLS: ("tls", "No secure connection: check the certificate, its chain and its name."),
    Kind.TIMEOUT_CONNECT: ("timeout_connect", "The connection was not opened in time."),
    Kind.TIMEOUT_READ: ("timeout_read", "The receiver fell silent."),
    Kind.TIMEOUT_TOTAL: ("timeout_total", "The whole exchange took too long."),
    Kind.PROTOCOL: ("protocol", "The receiver broke off, or did not answer in HTTP."),
    Kind.TOO_LARGE: ("too_large", "The head of the answer was too large."),
}


@dataclass(frozen=True)
class Timeouts:
    """Seconds for a name to be found, a connection to stand (with TLS), a silence, the whole exchange."""

    dns: float = 5.0
    connect: float = 5.0
    read: float = 15.0
    total: float = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back. `headers` has lower-case names; `body` holds the first 4 KiB, undecoded.

    The status line is the answer, after `elapsed_ms`. What follows is read only to be kept, up to 64 KiB and for 2 s;
    `truncated` says that there was more than `body` holds, or that it never came to its end. The connection is then dropped.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    elapsed_ms: int


class EgressError(Exception):
    """No answer. `kind` is exact and ours; `told` and the text are for callers and hide the inside."""

    def __init__(self, kind: Kind, elapsed_ms: int) -> None:
        self.kind = kind
        self.elapsed_ms = elapsed_ms
        self.told, text = _TOLD[kind]
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class _Where:
    """What is known of a URL by its spelling: its host, and why it is refused (None: it is not)."""

    host: str
    refused: Kind | None


@dataclass
class _Attempt:
    """What the guard has to know of the post it works for, and what it has to say of it."""

    host: str
    dns_seconds: float
    refused: bool = False
    opened: bool = False
    again: int = 0


# A connection is opened in the context of the post that needs it (its tasks inherit it); outside of one the
# guard has no attempt to ask and fails with LookupError, so nothing can be opened past it.
_attempt: ContextVar[_Attempt] = ContextVar("egress_attempt")


class _SystemResolver(AbstractResolver):
    """getaddrinfo in threads of its own: names that hang must not use up the event loop's few threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="egress-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [_found(host, port, kin, str(where[0])) for kin, _, _, _, where in found]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _found(host: str, port: int, family: int, address: str) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=int(flags))


class _Guard(AbstractResolver):
    """Refuses, after DNS and again at the socket, what the policy does not let us call."""

    def __init__(self, policy: Policy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the name, or OSError if one is refused: a name that is half inside is a trap."""
        try:
            async with asyncio.timeout(_attempt.get().dns_seconds):
                found = await self._inner.resolve(host, port, family)
        except TimeoutError:
            raise OSError(errno.EHOSTUNREACH, "no answer from DNS") from None
        if not found:
            raise OSError(errno.EHOSTUNREACH, "no address")
        for one in found:
            self._check(one["host"])
        return found[:MOST_ADDRESSES]

    def open_socket(self, where: aiohttp.AddrInfoType) -> socket.socket:
        """The last door: whatever the spelling was, the address about to be connected is judged here."""
        family, kind, protocol, _, sockaddr = where
        self._check(str(sockaddr[0]))
        _attempt.get().opened = True
        return socket.socket(family, kind, protocol)

    def _check(self, address: str) -> None:
        attempt = _attempt.get()
        if address_refusal(address, self._policy, attempt.host) is not None:
            attempt.refused = True
            raise OSError(errno.EACCES, "refused")

    async def close(self) -> None:
        await self._inner.close()


class Egress:
    """Posts to the outside: `async with Egress(policy) as egress: answer = await egress.post(...)`.

    No redirect is followed, no proxy is taken from the environment, no cookie is kept, connections are kept
    alive for 15 s, and every new one passes the policy after DNS, in both families. How many posts run at
    once is the caller's business. `tls` replaces the usual roots of trust; `resolver` replaces the system's
    DNS, not the guard.
    """

    def __init__(
        self, policy: Policy, *, tls: ssl.SSLContext | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        self.policy = policy
        self._tls = tls
        self._resolver = resolver
        self._transport: AiohttpTransport | None = None
        self._known: OrderedDict[str, _Where] = OrderedDict()

    async def __aenter__(self) -> Self:
        guard = _Guard(self.policy, self._resolver or _SystemResolver())
        tls = self._tls or _public_trust()
        connector = aiohttp.TCPConnector(
            resolver=guard,
            socket_factory=guard.open_socket,
            use_dns_cache=False,  # a cached answer is not one that this attempt has checked
            ssl=tls,
            limit=0,  # a pool with a limit lets endpoints that hang keep the others waiting
            keepalive_timeout=IDLE_SECONDS,
        )
        connector._factory = functools.partial(StatusFirst, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001
        jar = aiohttp.DummyCookieJar()
        session = aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False)
        self._guard = guard
        self._transport = AiohttpTransport(verify=tls, trust_env=False, client=session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            await self._guard.close()
            self._transport = None

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeouts: Timeouts = Timeouts(),
        over_seconds: float = 0.0,
    ) -> Answer:
        """Post `body` and bring back the answer, whatever its status. Raises EgressError if no status line came.

        What is called is the URL byte for byte: nothing in it is decoded, encoded or resolved.
        `headers` cannot set the host, the framing, the user agent or what is accepted: those are ours.
        On a kept connection that the receiver had closed meanwhile the post is sent again at once, so a
        receiver may see it twice: at least once is the promise of webhooks anyway. With `over_seconds` the
        body is sent in small pieces over that time, which counts into `timeouts.total`.
        """
        started = time.monotonic()
        where = self._where(url)
        if where.refused is not None:
            raise EgressError(where.refused, 0)
        attempt = _Attempt(where.host, timeouts.dns)
        sent = _Trickle(body, over_seconds) if over_seconds else body
        mark = _attempt.set(attempt)
        try:
            async with asyncio.timeout(timeouts.total) as limit:
                response = await self._exchange(url, _headers(headers, body), sent, timeouts, attempt)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = Kind.TIMEOUT_TOTAL if limit.expired() else _kind_of(error, attempt)
            raise EgressError(kind, _since(started)) from error
        finally:
            _attempt.reset(mark)
        elapsed_ms = _since(started)
        try:
            kept, truncated = await _read(response)
        finally:
            response.close()  # does nothing to a connection that was read to the end of the answer
        return Answer(response.status, _lower(response), kept, truncated, elapsed_ms)

    def _where(self, url: str) -> "_Where":
        """What its spelling says, judged once: the policy of an Egress never changes. Addresses are judged at each post."""
        where = self._known.get(url)
        if where is None:
            faults = faults_in(url, self.policy)
            where = _Where(host_of(url), faults[0].kind if faults else None)
            self._known[url] = where
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return where

    async def _exchange(
        self,
        url: str,
        headers: Mapping[str, str],
        body: "bytes | _Trickle",
        timeouts: Timeouts,
        attempt: _Attempt,
    ) -> aiohttp.ClientResponse:
        """The answer, as soon as its head has come."""
        session = self._transport.client if self._transport is not None else None
        if not isinstance(session, aiohttp.ClientSession):
            raise RuntimeError("Egress is used inside `async with`")  # noqa: TRY004
        limits = aiohttp.ClientTimeout(sock_connect=timeouts.connect, sock_read=timeouts.read)
        try:
            return await session.request(
                "POST", URL(url, encoded=True), headers=headers, data=body or None, timeout=limits,
                allow_redirects=False, auto_decompress=False,
            )  # fmt: skip
        except aiohttp.ClientError as error:
            if not _line_was_stale(error, attempt) or attempt.again >= MOST_AGAIN:
                raise
            attempt.again += 1
            return await self._exchange(url, headers, body, timeouts, attempt)


class StatusFirst(ResponseHandler):
    """A connection as aiohttp's own, but that an answer which fails after its status line is an answer with that status.

    Its body is then what came after the head, as it came, and the connection is not used again. A head that is too large
    (a line of over 8 KB, over 128 lines) stays a failure.
    """

    _raw = b""
    _told = True
    _waiting: asyncio.TimerHandle | None = None

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401  (aiohttp's own)
        """A new exchange begins on this connection."""
        self._raw, self._told = b"", False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Keep what comes until aiohttp has made a message of it."""
        if not self._told:
            self._raw += data[: READ_BYTES - len(self._raw)]
        super().data_received(data)
        if not self._told and self._waiting is None and final_head(self._raw) is not None:
            self._waiting = self._loop.call_later(HEAD_SECONDS, self._head_is_late)

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """A head was parsed; the final one is the answer."""
        if data[0].code >= FINAL:
            self._done()
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:  # noqa: ANN401  (aiohttp's own)
        """Something broke: if a status line had come, it is the answer."""
        too_large = any(isinstance(one, LineTooLong) for one in cause) or has_too_many_lines(self._raw)
        head = None if self._told or too_large else final_head(self._raw)
        if head is None:
            self._done()
            super().set_exception(exc, *cause)
            return
        self._drop_timeout()
        self._should_close = True
        payload = aiohttp.StreamReader(self, READ_BYTES, loop=self._loop)
        payload.feed_data(head.rest)
        payload.feed_eof()
        self.feed_data((_message(head), payload))

    def _done(self) -> None:
        self._raw, self._told = b"", True
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _head_is_late(self) -> None:
        self._waiting = None
        self.set_exception(aiohttp.SocketTimeoutError("the headers did not end"))


def _message(head: Head) -> RawResponseMessage:
    """As aiohttp would have made it."""
    named = CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.fields)
    return RawResponseMessage(
        version=HttpVersion11, code=head.status, reason="", headers=CIMultiDictProxy(named), raw_headers=head.fields,
        should_close=True, compression=None, upgrade=False, chunked=False,
    )  # fmt: skip


def _public_trust() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)  # the usual roots, where the system has none
    context.load_default_certs()  # and the system's, so that a self-hoster can add one
    return context


def _headers(given: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Those given, but for what is ours."""
    # "identity": what we store of an answer should be readable without unpacking a stranger's parcel.
    ours = {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    passed = {name.lower(): value for name, value in given.items() if name.lower() not in _FRAMING}
    return {**passed, **ours, "content-length": str(len(body))}  # not chunked, even if it is sent in pieces


def _lower(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer as text; of one that came more than once, all values."""
    found: dict[str, str] = {}
    for raw_name, raw_value in response.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


class _Trickle(AsyncIterable[bytes]):
    """A body that is sent in pieces, evenly over so many seconds; each pass begins anew."""

    def __init__(self, body: bytes, seconds: float) -> None:
        self._body = body
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = -(-len(self._body) // PIECES) or 1
        starts = range(0, len(self._body), size)
        for at in starts:
            if at:  # between two pieces: the last one leaves when the time is over
                await asyncio.sleep(self._seconds / (len(starts) - 1))
            yield self._body[at : at + size]


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """What is kept of a body, and whether that is not all of it. However it fails, the answer stands."""
    kept, seen, whole = b"", 0, False
    with suppress(aiohttp.ClientError, HttpProcessingError, OSError, ValueError):
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                kept += chunk[: KEPT_BYTES - len(kept)]
                seen += len(chunk)
                if seen >= READ_BYTES:
                    break
            else:
                whole = True
    return kept, seen > len(kept) or not whole


def _line_was_stale(error: Exception, attempt: _Attempt) -> bool:
    """Whether a kept connection broke, rather than one that was opened (or could not be) for this post."""
    if attempt.opened or isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _kind_of(error: Exception, attempt: _Attempt) -> Kind:
    if attempt.refused:
        return Kind.REFUSED_ADDRESS
    if any(isinstance(one, LineTooLong) for one in _behind(error)):
        return Kind.TOO_LARGE
    for types, kind in _KINDS:
        if isinstance(error, types):
            return kind
    return Kind.PROTOCOL


# The order matters: the first are kinds of the later ones.
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Kind], ...] = (
    (aiohttp.ClientConnectorDNSError, Kind.DNS),
    ((aiohttp.ClientSSLError, ssl.SSLError), Kind.TLS),
    (aiohttp.ConnectionTimeoutError, Kind.TIMEOUT_CONNECT),
    (aiohttp.SocketTimeoutError, Kind.TIMEOUT_READ),
    (aiohttp.ClientConnectorError, Kind.CONNECT),
    (aiohttp.InvalidURL, Kind.REFUSED_URL),
)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
