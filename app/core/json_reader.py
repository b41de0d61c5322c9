"""The one way from bytes to JSON, for every route: single bodies, bulks, lines of NDJSON, GraphQL requests.

UTF-8 only, one BOM before it is dropped. Refused by JSON pointer: members that an object has twice, NaN and infinite
numbers, whole numbers over 64 bits, halves of characters, characters that nobody sees, what is nested too deeply, and
objects with too many members. The cost is linear in the size.

Ordinary text takes the short way: orjson parses it, and what orjson lets pass is looked for with a few scans that run
in C. Where one of them finds anything, the standard library reads the text again and says where it stands.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from app.core.errors import Fault
from app.core.values import unfit

DEEPEST: Final = 32
"""How deeply objects and lists may be nested."""
MOST_MEMBERS: Final = 1000
"""Of one object."""
MOST_FAULTS: Final = 100
"""That an answer lists; the rest is counted."""
_BOM: Final = b"\xef\xbb\xbf"
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ODD_NUMBER: Final = re.compile(rb"[0-9][eE]|[0-9]{18}")
_ODD_TEXT: Final = re.compile(
    rb"\\[ubf]|\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe1\xa0\x8e|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]"
    rb"|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]"
)
"""Escapes (most of which are harmless), and the bytes of what `values.UNFIT` has."""
_LEAST, _MOST = -(2**63), 2**64 - 1


class NotJson(Exception):
    """The bytes are not JSON in UTF-8. The text says what is wrong, for people; it repeats nothing that was sent."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read, and everything that is wrong with it (its pointers begin at the root)."""

    value: Any
    faults: tuple[Fault, ...] = ()


def read(raw: bytes) -> Found:
    """Read one JSON text. NotJson."""
    raw = without_bom(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _slowly(raw)
    return Found(value) if _is_plain(raw, value) else _slowly(raw)


def without_bom(raw: bytes) -> bytes:
    """The text without the byte order mark that some programs write before it."""
    return raw.removeprefix(_BOM)


def _is_plain(raw: bytes, value: Any) -> bool:  # noqa: ANN401
    """Whether there is nothing in the text that the short way does not see."""
    if _ODD_TEXT.search(raw):
        return False
    bare = _STRING.sub(b"", raw)
    return not _ODD_NUMBER.search(bare) and _members(value) == bare.count(b":")


def _members(value: Any) -> int:  # noqa: ANN401
    """How many members all objects have together; -1 where one has too many or the nesting is too deep.

    Fewer than there are colons in the text: an object has one twice.
    """
    members, level, depth = 0, [value], 0
    while level:
        depth += 1
        below: list[Any] = []
        for one in level:
            if one.__class__ is dict:
                if len(one) > MOST_MEMBERS:
                    return -1
                members += len(one)
                below.extend(one.values())
            elif one.__class__ is list:
                below.extend(one)
        if depth > DEEPEST:
            return -1
        level = [one for one in below if one.__class__ is dict or one.__class__ is list]
    return members


# --- the long way -------------------------------------------------------------------------------------


class _Twice(dict[str, Any]):
    """An object that has some members twice."""

    twice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Number:
    """A number that is not taken."""

    detail: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name, _ in pairs:
        if name in seen:
            again[name] = None
        seen.add(name)
    found = _Twice(made)
    found.twice = tuple(again)
    return found


def _whole(text: str) -> int | _Number:
    if len(text) <= len(str(_LEAST)) and _LEAST <= int(text) <= _MOST:
        return int(text)
    return _Number("A whole number has 64 bits at most.")


def _fraction(text: str) -> float | _Number:
    found = float(text)
    return _Number("This number is too large.") if found in (float("inf"), float("-inf")) else found


def _constant(_text: str) -> _Number:
    return _Number("There are no NaN and no infinite numbers in JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)


def _slowly(raw: bytes) -> Found:
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        raise NotJson("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"The body is not valid JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        return Found(None, (_too_deep(""),))
    return Found(value, tuple(_faults(value)))


def _faults(root: Any) -> Iterator[Fault]:  # noqa: ANN401
    """Everything that is wrong, in no order; each place is looked at once."""
    waiting: list[tuple[str, int, Any]] = [("", 1, root)]
    while waiting:
        where, depth, one = waiting.pop()
        if isinstance(one, str):
            wrong = unfit(one)
            if wrong:
                yield Fault(where, "unfit_value", wrong)
        elif isinstance(one, _Number):
            yield Fault(where, "out_of_range", one.detail)
        elif isinstance(one, dict | list) and depth > DEEPEST:
            yield _too_deep(where)
        elif isinstance(one, dict):
            yield from _with_object(where, one)
            if len(one) <= MOST_MEMBERS:
                waiting += [(f"{where}/{token(name)}", depth + 1, below) for name, below in one.items()]
        elif isinstance(one, list):
            waiting += [(f"{where}/{at}", depth + 1, below) for at, below in enumerate(one)]


def _with_object(where: str, one: dict[str, Any]) -> Iterator[Fault]:
    if len(one) > MOST_MEMBERS:
        yield Fault(where, "too_long", f"An object has {MOST_MEMBERS} members at most.")
        return
    for name in getattr(one, "twice", ()):
        yield Fault(f"{where}/{token(name)}", "duplicate_member", "This object has the member twice.")
    for name in one:
        wrong = unfit(name)
        if wrong:
            yield Fault(where, "unfit_value", f"The name of a member: {wrong}")


def _too_deep(where: str) -> Fault:
    return Fault(where, "too_deep", f"Objects and lists are nested {DEEPEST} deep at most.")


def token(name: object) -> str:
    """A member's name in a JSON pointer (RFC 6901); what cannot be shown is replaced."""
    shown = str(name)[:100].encode("utf-8", "replace").decode()
    return shown.replace("~", "~0").replace("/", "~1")


# --- a list cut into its rows -----------------------------------------------------------------------


_MARK: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)


@dataclass(slots=True)
class Cut:
    """The rows of a list inside an object, as bytes, and the object without them."""

    rows: list[bytes]
    rest: bytes


class Cutter:
    """Cuts `{"name": [row, row, ...], ...}` into its rows without parsing them, some at a time."""

    def __init__(self, raw: bytes, name: str, most: int) -> None:
        """`raw` has no BOM; `name` is the member with the list. Of more than `most` rows one more is cut, and no further."""
        self._raw, self._most = raw, most
        self._start = re.compile(rb'\s*\{\s*"' + name.encode() + rb'"\s*:\s*\[')
        self.cut: Cut | None = None
        """What was found, at the end; None where the text has another form, and has to be read whole."""

    def steps(self, at_once: int = 500) -> Iterator[None]:
        """Yields after every `at_once` marks, so that others can have their turn; then `cut` is there."""
        opening = self._start.match(self._raw)
        if opening is None:
            return
        rows: list[bytes] = []
        begins, depth = opening.end(), 0
        for count, mark in enumerate(_MARK.finditer(self._raw, opening.end()), 1):
            sign = mark[0]
            if sign in (b"{", b"["):
                depth += 1
            elif sign == b"}" or (sign == b"]" and depth):
                depth -= 1
            elif depth == 0 and sign in (b",", b"]"):
                rows.append(self._raw[begins : mark.start()])
                begins = mark.end()
                if sign == b"]" or len(rows) > self._most:
                    self._end(rows, opening.end(), begins if sign == b"]" else None)
                    return
            if count % at_once == 0:
                yield

    def _end(self, rows: list[bytes], opens: int, ends: int | None) -> None:
        if len(rows) == 1 and not rows[0].strip():
            rows.clear()
        self.cut = Cut(rows, self._raw[:opens] + b"]" + (b"}" if ends is None else self._raw[ends:]))
