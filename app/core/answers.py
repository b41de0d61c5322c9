"""What can be read of the head of an HTTP answer that a parser has given up on. Pure: bytes in, a head out.

What a receiver has said with its status line stands, whatever follows: a body where none belongs, framing that contradicts
itself, headers that break off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST_LINES: Final = 128
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
FINAL: Final = 200


@dataclass(frozen=True, slots=True)
class Head:
    """A final status, the header fields that can be read, and what came after the head, as it came."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    rest: bytes


def final_head(raw: bytes) -> Head | None:
    """Of what came, the head with the final status line; None while there is none. Interim answers are passed over."""
    while match := _STATUS.match(raw):
        ended = _END.search(raw)
        if int(match[1]) >= FINAL:
            rest = raw[ended.end() :] if ended else b""
            return Head(int(match[1]), tuple(_fields(raw[match.end() :])), rest)
        if ended is None:
            return None
        raw = raw[ended.end() :]
    return None


def has_too_many_lines(raw: bytes) -> bool:
    """Whether a head of so many lines is not read to its end."""
    ended = _END.search(raw)
    return raw.count(b"\n", 0, ended.start() if ended else len(raw)) > MOST_LINES


def _fields(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in re.split(rb"\r?\n", raw):
        if not line:
            return
        if field := _FIELD.fullmatch(line.rstrip()):
            yield field[1], field[2]
