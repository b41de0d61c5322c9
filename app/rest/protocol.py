"""HTTP/1.1 as uvicorn reads it, within limits of ours: how large and how slow a request may be, on every route.

The limits hold before any code of the application runs; what goes beyond them is answered as a problem where an answer is
possible, and the connection is closed. uvicorn is pinned, as this builds on its protocol class.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 16 * 1024
HEAD_LINES: Final = 100
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
BODY_RATE: Final = 64 * 1024
"""A body has 60 seconds and a second more for each 64 KB."""
LINGER_SECONDS: Final = 1.0
BODY_CLAIMED: Final = 8 * 1024 * 1024
"""What a Content-Length promises counts up to here; beyond, only what has arrived."""
_Refusal = tuple[int, str, str]


def _refusal(status: int, code: str, detail: str) -> _Refusal:
    return status, code, detail


_BAD: Final = _refusal(400, "bad_request", "The request is not valid HTTP/1.1.")
_HOST: Final = _refusal(400, "bad_request", "Send exactly one Host header.")
_LARGE: Final = _refusal(
    431,
    "head_too_large",
    f"The request line and headers may have {HEAD_BYTES} bytes and {HEAD_LINES} headers at most.",
)
_SLOW_HEAD: Final = _refusal(
    408,
    "request_too_slow",
    f"The request line and headers did not arrive within {HEAD_SECONDS:.0f} s.",
)
_SLOW_BODY: Final = _refusal(
    408,
    "request_too_slow",
    f"The body may take {BODY_SECONDS:.0f} s and 1 s more for each {BODY_RATE // 1024} KB.",
)


class Limited(HttpToolsProtocol):
    """One connection. In a head it counts bytes, lines and seconds; in a body, seconds and bytes."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self._timer: asyncio.TimerHandle | None = None
        self._refused: _Refusal | None = None
        self._in_head, self._begun, self._over = True, False, False
        self._head_bytes = self._raw_bytes = self._received = self._claimed = 0
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, in pieces that a head fits into."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._begun = True
        for at in range(0, len(data), HEAD_BYTES):
            piece = data[at : at + HEAD_BYTES]
            if not self._read(piece):
                return
        if self._in_head and self._timer is None:
            self._wait_for_head()

    def _read(self, piece: bytes) -> bool:
        """Whether there is to be read on."""
        if self.transport.is_closing() or self.parser is None:
            return False
        was_in_head, self._ended_here = self._in_head, False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self._refused = self._refused or _BAD
        if self._in_head and was_in_head and not self._ended_here:
            self._raw_bytes += len(piece)
            if self._raw_bytes > HEAD_BYTES:
                self._refused = self._refused or _LARGE
        if self._refused:
            self._refuse(self._refused)
            return False
        return True

    # --- what the parser calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = self._received = self._claimed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or of what follows a chunked body, which nobody reads."""
        self._count(len(name) + len(value) + 4)
        if len(self.headers) >= HEAD_LINES:
            self._refused = self._refused or _LARGE
        if not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: begin with the request unless it is refused."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._refused = self._refused or _HOST
        if self._refused:
            return
        self._in_head, self._raw_bytes = False, 0
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self._claimed = min(int(length), BODY_CLAIMED) if length.isdigit() else 0
        self._began = self.loop.time()
        self._clock(self.body_seconds, self._body_is_late)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._received += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; another one may follow."""
        if self._refused:
            return
        self._in_head, self._ended_here, self._raw_bytes = True, True, 0
        self._stop_clock()
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refused = self._refused or _LARGE

    # --- time -------------------------------------------------------------------------------------

    def _wait_for_head(self) -> None:
        self._clock(self.head_seconds, self._head_is_late)

    def _clock(self, seconds: float, late: Any) -> None:  # noqa: ANN401
        self._stop_clock()
        self._timer = self.loop.call_later(seconds, late)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        if self._begun:
            self._refuse(_SLOW_HEAD)
        else:  # nobody has asked for anything
            self.transport.close()

    def _body_is_late(self) -> None:
        allowed = self.body_seconds + max(self._received, self._claimed) / BODY_RATE
        left = self._began + allowed - self.loop.time()
        if left > 0:
            self._clock(left, self._body_is_late)
        else:
            self._refuse(_SLOW_BODY)

    # --- the answer -------------------------------------------------------------------------------

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer if nothing is being answered, and close. What is under way is told that its caller is gone."""
        self._stop_clock()
        if self._over or self.transport.is_closing():
            return
        self._over = True
        cycle: Any = self.cycle
        busy = cycle is not None and not cycle.response_complete
        # An answer to the request before this one is never cut into; the one that is too slow is this one.
        answered = not busy or (not self._in_head and not cycle.response_started and not self.pipeline)
        if answered:
            self.transport.write(_answer(refusal, self.server_state.default_headers))
        if busy:
            cycle.disconnected = True
            cycle.message_event.set()
        if answered and self.transport.can_write_eof():
            # Closed with bytes unread, a connection is reset, and the answer is lost to who is still sending.
            self.transport.write_eof()
            self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()


def _answer(refusal: _Refusal, headers: list[tuple[bytes, bytes]]) -> bytes:
    status, code, detail = refusal
    title = HTTPStatus(status).phrase
    body = orjson.dumps(
        {
            "type": f"https://tendays.example/problems/{code}",
            "title": title,
            "status": status,
            "code": code,
            "detail": detail,
        }
    )
    head = f"HTTP/1.1 {status} {title}\r\n".encode()
    head += b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    head += b"content-type: application/problem+json\r\nconnection: close\r\n"
    return head + f"content-length: {len(body)}\r\n\r\n".encode() + body
