"""What a request's body is before anybody reads it: gzip undone within bounds, other encodings refused by name."""

import asyncio
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from app.core.errors import Fault, Problem
from app.core.json_reader import Found, NotJson, read, token

WHOLE_AT_MOST: Final = 256 * 1024
"""Bytes that are read in one go; a larger body is cut into rows first (rest/bulk.py)."""
_PIECE: Final = 64 * 1024
_GZIP: Final = 31  # zlib's word for a gzip header
_AS_IT_IS: Final = ("", "identity")


async def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before `Content-Encoding`.

    Problem `unsupported_encoding` (415), `bad_encoding` (400), `body_too_large` (413): decoded, too, it has `limit` bytes
    at most, and no more than that is ever decoded.
    """
    name = encoding.strip().lower()
    if name in _AS_IT_IS:
        return body
    if name not in ("gzip", "x-gzip"):
        refused = Problem("unsupported_encoding", "Send the body as it is, or with Content-Encoding: gzip.")
        refused.extra |= {"status": 415, "headers": {"Accept-Encoding": "gzip"}}
        raise refused
    parts: list[bytes] = []
    size = 0
    for part in _unzipped(body):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise too_large(limit)
        await asyncio.sleep(0)
    return b"".join(parts)


def _unzipped(body: bytes) -> Iterator[bytes]:
    """Piece by piece: a member of gzip may follow another one."""
    rest = body
    while rest:
        unzip = zlib.decompressobj(_GZIP)
        while not unzip.eof:
            try:
                part = unzip.decompress(rest, _PIECE)
            except zlib.error:
                raise _not_gzip() from None
            if not part and not unzip.unconsumed_tail and not unzip.eof:
                raise _not_gzip()  # it ends early
            rest = unzip.unconsumed_tail
            yield part
        rest = unzip.unused_data


def _not_gzip() -> Problem:
    return Problem("bad_encoding", "The body is not whole gzip.", extra={"status": 400})


def too_large(limit: int) -> Problem:
    """The refusal of a body over the limit (413)."""
    detail = f"The body may have {limit} bytes at most."
    return Problem("body_too_large", detail, extra={"status": 413})


def as_json(raw: bytes) -> Found:
    """What `json_reader.read` reads. Problem `bad_json` (400)."""
    try:
        return read(raw)
    except NotJson as wrong:
        raise Problem("bad_json", str(wrong), extra={"status": 400}) from None


def by_row(faults: Sequence[Fault], name: str) -> tuple[list[Fault], dict[int, list[Fault]]]:
    """The faults around the rows, and those of each row, whose pointers then begin at the row."""
    around: list[Fault] = []
    within: dict[int, list[Fault]] = {}
    inside = re.compile(rf"/{re.escape(token(name))}/([0-9]+)(/.*)?", re.DOTALL)
    for fault in faults:
        place = inside.fullmatch(fault.pointer)
        if place is None:
            around.append(fault)
        else:
            within.setdefault(int(place[1]), []).append(Fault(place[2] or "", fault.code, fault.detail))
    return around, within
