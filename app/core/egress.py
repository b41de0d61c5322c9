"""The only place that opens outbound connections: guarded HTTP posts to addresses that strangers chose."""

import asyncio
import errno
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import LineTooLong
from httpx_aiohttp import AiohttpTransport

from app.core.addresses import Kind, Policy, address_refusal, faults_in, host_of, problems_with_url

__all__ = ["Answer", "Egress", "EgressError", "Kind", "Policy", "Timeouts", "problems_with_url"]

USER_AGENT = "TenDays"
KEPT_BYTES = 4 * 1024
READ_BYTES = 64 * 1024
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

    `truncated` says that there was more than `body` holds; reading stops at 64 KiB and the connection is
    dropped.
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
    """What is known of a URL by its spelling: its host, why it is refused (None: it is not), and its parts."""

    host: str
    refused: Kind | None
    url: httpx.URL | None


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
        """Post `body` and bring back the answer, whatever its status. Raises EgressError if none came.

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
        stream = _Trickle(body, over_seconds) if over_seconds else None
        mark = _attempt.set(attempt)
        try:
            async with asyncio.timeout(timeouts.total) as limit:
                request = _request(where.url or url, headers, body, timeouts, stream)
                return await self._exchange(request, attempt, started)
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as error:
            kind = Kind.TIMEOUT_TOTAL if limit.expired() else _kind_of(error, attempt)
            raise EgressError(kind, _since(started)) from error
        finally:
            _attempt.reset(mark)

    def _where(self, url: str) -> "_Where":
        """What its spelling says, judged once: the policy of an Egress never changes. Addresses are judged at each post."""
        where = self._known.get(url)
        if where is None:
            faults = faults_in(url, self.policy)
            where = _Where(host_of(url), faults[0].kind if faults else None, _parsed(url))
            self._known[url] = where
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return where

    async def _exchange(self, request: httpx.Request, attempt: _Attempt, started: float) -> Answer:
        if self._transport is None:
            raise RuntimeError("Egress is used inside `async with`")
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.HTTPError, aiohttp.ClientError) as error:
            if not _line_was_stale(error, attempt) or attempt.again >= MOST_AGAIN:
                raise
            attempt.again += 1
            return await self._exchange(request, attempt, started)
        try:
            body, truncated = await _read(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, dict(response.headers), body, truncated, _since(started))


def _public_trust() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)  # the usual roots, where the system has none
    context.load_default_certs()  # and the system's, so that a self-hoster can add one
    return context


def _parsed(url: str) -> httpx.URL | None:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def _request(
    url: httpx.URL | str,
    headers: Mapping[str, str],
    body: bytes,
    timeouts: Timeouts,
    stream: "_Trickle | None",
) -> httpx.Request:
    # "identity": what we store of an answer should be readable without unpacking a stranger's parcel.
    ours = {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    given = {name.lower(): value for name, value in headers.items() if name.lower() not in _FRAMING}
    limits = {"connect": timeouts.connect, "read": timeouts.read, "pool": None}
    sent = {**given, **ours, "content-length": str(len(body))}  # not chunked, even if it is sent in pieces
    source = httpx.ByteStream(body) if stream is None else stream
    request = httpx.Request("POST", url, headers=sent, stream=source, extensions={"timeout": limits})
    if stream is None:
        request.read()  # to be sent as one piece
    return request


class _Trickle(httpx.AsyncByteStream):
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


async def _read(response: httpx.Response) -> tuple[bytes, bool]:
    kept, seen = b"", 0
    async for chunk in response.aiter_raw():
        kept += chunk[: KEPT_BYTES - len(kept)]
        seen += len(chunk)
        if seen >= READ_BYTES:
            break
    return kept, seen > len(kept)


def _line_was_stale(error: Exception, attempt: _Attempt) -> bool:
    """Whether a kept connection broke, rather than one that was opened (or could not be) for this post."""
    cause = _cause(error)
    if attempt.opened or isinstance(cause, aiohttp.ClientConnectorError):
        return False
    return isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)


def _cause(error: Exception) -> BaseException:
    """The exception of aiohttp: what the transport makes of a broken line is a ConnectTimeout."""
    return error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _kind_of(error: Exception, attempt: _Attempt) -> Kind:
    cause = _cause(error)
    if attempt.refused:
        return Kind.REFUSED_ADDRESS
    if any(isinstance(one, LineTooLong) for one in _behind(cause)):
        return Kind.TOO_LARGE
    for types, kind in _KINDS:
        if isinstance(cause, types):
            return kind
    return Kind.PROTOCOL


# The order matters: the first are kinds of the later ones.
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Kind], ...] = (
    (aiohttp.ClientConnectorDNSError, Kind.DNS),
    ((aiohttp.ClientSSLError, ssl.SSLError), Kind.TLS),
    (aiohttp.ConnectionTimeoutError, Kind.TIMEOUT_CONNECT),
    (aiohttp.SocketTimeoutError, Kind.TIMEOUT_READ),
    (aiohttp.ClientConnectorError, Kind.CONNECT),
    ((aiohttp.InvalidURL, httpx.InvalidURL, httpx.UnsupportedProtocol), Kind.REFUSED_URL),
)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
