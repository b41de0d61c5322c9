"""In the headers that routes read: on one route of each method."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.sweep.answers import fault_of
from tests.sweep.conftest import Sweep
from tests.sweep.requests import Request

pytestmark = pytest.mark.slow_suite
ROUTES = (
    "GET /v1/bookings/{booking_id}",
    "POST /v1/bookings",
    "PUT /v1/sites/by-ref/{external_ref}",
    "PATCH /v1/sites/{site_id}",
    "DELETE /v1/contacts/{contact_id}",
    "POST /v1/schools/{school_id}/pupils/bulk",
    "POST /v1/programmes/{programme_id}/import",
)
HEADERS = ("If-Match", "If-None-Match", "Idempotency-Key", "Content-Type", "Content-Encoding", "Accept", "Authorization",
           "Accept-Encoding", "traceparent", "Last-Event-ID")  # fmt: skip
VALUES = (
    b"", b" ", b"*", b"qzx9", b'"qzx9"', b'"v1"', b'W/"v1"', b'"v0"', b'"v-1"', b'"v01"', b'"v99999999999999999999"', b'"v1',
    b'v1"', b'"v1",', b',"v1"', b'"v1" "v2"', b'""', b"qzx9\x00", b"qzx9\x07", b"qzx9\xff", "qzx9\u202e".encode(),
    b"\xed\xa0\x80", b"qzx9" * 2000, b",".join([b'"v1"'] * 1000), b"gzip", b"gzip, gzip", b"deflate", b"br",
    b"identity", b"zstd",
    b"application/json; charset=utf-16", b"application/json; charset=\xff", b"application/json;charset=",
    b"text/plain",
    b"application/x-ndjson", b"text/csv", b"multipart/form-data",
    b"application/x-www-form-urlencoded", b"application/json, text/csv",
    b"00-00000000000000000000000000000000-0000000000000000-01", b"Bearer", b"Bearer qzx9", b"Bearer a.b.c",
    b"Basic qzx9", b"Basic /w==",
    b"infinity", b"-1", b"9" * 400, b"%00", b"\t", b'"\\"', b"2026-11-30", b"a" * 255,
    b"a" * 256,
)  # fmt: skip

MATCHING = {b"", b" ", b"*", b'"v1"', b'"v1",', b',"v1"', b",".join([b'"v1"'] * 1000)}
"""What If-Match may be where a version is 1: nothing where it may be left out, that version, or a list that names it."""


def _asked(sweep: Sweep, request: Request, name: str, value: bytes) -> httpx.Request:
    """The request with one header more, or another one in its place."""
    method = request.operation.method
    headers: dict[bytes, bytes] = {
        b"authorization": f"Bearer {sweep.sender.token(request.who, request.operation.scope)}".encode()
    }
    content = request.body if isinstance(request.body, bytes) else orjson.dumps(request.body, default=str)
    if method in {"POST", "PUT", "PATCH"}:
        headers[b"content-type"] = request.media.encode()
    if method == "POST":
        headers[b"idempotency-key"] = b"sweep-of-headers"
    if request.if_match is not None:
        headers[b"if-match"] = request.if_match.encode()
    headers[name.lower().encode()] = value
    return sweep.world.http.build_request(
        method, request.path, headers=list(headers.items()), content=content if method in {"POST", "PUT", "PATCH"} else None
    )  # fmt: skip


@pytest.mark.parametrize("name", ROUTES)
async def test_a_value_in_a_header(sweep: Sweep, name: str) -> None:
    request = sweep.requests[name]
    wrong = []
    for header in HEADERS:
        sweep.places += 1
        for value in VALUES:
            sweep.sender.sent += 1
            answer = await sweep.world.http.send(_asked(sweep, request, header, value))
            wrong += [f"{header}: {value[:60]!r}: {found}" for found in _faults(answer, header, value)]
    assert not wrong, "\n".join(wrong)


def _faults(answer: Any, header: str, value: bytes) -> Iterator[str]:
    matched = header != "If-Match" or value in MATCHING or answer.request.method in {"GET", "POST"}
    if header == "Authorization" and answer.status_code == 401:
        return
    if found := fault_of(answer, allowed=header != "Authorization" and matched):
        yield found
