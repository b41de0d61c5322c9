"""Values that one layer might take and the next one choke on, as raw JSON, and whether a field may take one."""

import math
import re
import unicodedata
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]
MARK = "qzx9"
"""Stands in every text below: it must never be found in a log."""

TEXTS = (
    b'""',
    b'" "',
    b'" qzx9"',
    b'"qzx9 "',
    b'"qzx9\\u0000"',
    b'"\\u0000"',
    b'"qzx9\\u0007"',
    b'"qzx9\\u007f"',
    b'"qzx9\\u0085"',
    b'"qzx9\\ud83d"',
    b'"\\udc00qzx9"',
    b'"qzx9\\u202e"',
    b'"\\u2066qzx9"',
    b'"qzx9\\u200b"',
    b'"\\ufeffqzx9"',
    b'"qzx9e\\u0301"',
    b'"qzx9\\u2028"',
    b'"qzx9\xff"',
    b'"qzx9\xc3("',
    b'"qzx9\xed\xa0\x80"',
    b'"' + b"qzx9" * 5000 + b'"',
    b'"qzx9\'; DROP TABLE x; --"',
    b'"null"',
    b'"infinity"',
    b'"-infinity"',
    b'"NaN"',
)
TIMES = (
    b'"9999-12-31"',
    b'"0001-01-01"',
    b'"1899-12-31"',
    b'"2101-01-01"',
    b'"2014-02-30"',
    b'"2014-03-09 00:00:00"',
    b'"2014-03-09T00:00:00Z"',
    b'"9999-12-31T23:59:59Z"',
    b'"9999-12-31T23:59:59.9999999Z"',
    b'"0001-01-01T00:00:00Z"',
    b'"2027-01-05T00:00:00"',
    b'"2027-01-20T10:00:00+16:00"',
    b'"2027-01-20T10:00:00-23:59"',
    b'"2027-01-20T24:00:00Z"',
    b'"1394323200"',
    b'"20270105"',
    b'"2027-W01-1"',
)
NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"1.0",
    b"1.5",
    b"-0.0",
    b"1e2",
    b"2026.0",
    b"1394323200",
    b"2147483647",
    b"2147483648",
    b"-2147483649",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"NaN",
    b"Infinity",
    b"-Infinity",
)
WORDS = (b'"yes"', b'"off"', b'"N"', b'"1"', b'"2026"', b'"true"', b'"2026.0"', b"true", b"false", b"null")
SHAPES = (
    b"[]",
    b"{}",
    b"[[]]",
    b"[null]",
    b'[""]',
    b'{"a": 1, "a": 2}',
    b'{"qzx9": 1}',
    b'{"\\u0000": 1}',
    b"[" * 300 + b"]" * 300,
    b"[" * 100_000 + b"]" * 100_000,
    b"[" + b",".join([b"1"] * 2000) + b"]",
    b'{"a": 18446744073709551616}',
    b'{"a": "\\ud800"}',
    b'{"a": NaN}',
    b'{"a": 1e400}',
    b"00000000-0000-0000-0000-000000000000".join((b'"', b'"')),
    b'"00000000000000000000000000000000"',
    b'"{00000000-0000-7000-8000-000000000000}"',
    b'"urn:uuid:00000000-0000-7000-8000-000000000000"',
)
EVERYWHERE = (
    *TEXTS[:6], TEXTS[9], TEXTS[11], TEXTS[13], TEXTS[17], TEXTS[20], *TEXTS[22:24],
    b"0", b"-1", b"1.0", b"1.5", b"9223372036854775808", b"1e400", b"NaN", b'"1"', b"true", b"null",
    b"[]", b"{}", b'{"a": 1, "a": 2}', b"[" * 100_000 + b"]" * 100_000, b"[" + b",".join([b"1"] * 2000) + b"]",
)  # fmt: skip
assert len(EVERYWHERE) >= 25
ALL = TEXTS + TIMES + NUMBERS + WORDS + SHAPES


def values_for(schema: Schema) -> tuple[bytes, ...]:
    """At least 25 values: those that are odd anywhere, and those that are odd for a field of this kind."""
    said = orjson.dumps(schema).decode()
    own: tuple[bytes, ...] = ()
    if '"date' in said:
        own += TIMES
    if '"integer"' in said or '"number"' in said:
        own += NUMBERS
    if '"boolean"' in said:
        own += WORDS
    if '"string"' in said and '"date' not in said:
        own += TEXTS
    if '"array"' in said or '"object"' in said or '"uuid"' in said or '"properties"' in said:
        own += SHAPES
    return tuple(dict.fromkeys(EVERYWHERE + own))


_FIRST, _LAST = date(1900, 1, 1), date(2100, 12, 31)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})")
_CHECKER = FormatChecker()


@_CHECKER.checks("date")
def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return bool(_DATE.fullmatch(value)) and _FIRST <= date.fromisoformat(value) <= _LAST
    except ValueError:
        return False


@_CHECKER.checks("date-time")
def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return bool(_INSTANT.fullmatch(value)) and 2000 <= datetime.fromisoformat(value).year <= 2100
    except (ValueError, OverflowError):
        return False


@_CHECKER.checks("uuid")
def _is_uuid(value: object) -> bool:
    """In every spelling that has one meaning: without hyphens, in braces, and as a URN it names the same thing."""
    if not isinstance(value, str):
        return True
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def may_be_taken(schema: Schema, components: Schema, raw: bytes) -> bool:
    """Whether a field of this schema may answer 2xx to this value: it is JSON by one strict reading, and fits the schema."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    if b'"a": 1, "a"' in raw or not _plain(value):
        return False
    return Draft202012Validator(
        {**_strict(schema), "components": components}, format_checker=_CHECKER
    ).is_valid(value) and (not _is_float_for_integer(value, schema))


def _strict(schema: Schema) -> Schema:
    return {name: part for name, part in schema.items() if name != "default"}


def _is_float_for_integer(value: Any, schema: Schema) -> bool:
    kinds = {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", ()))}
    return isinstance(value, float) and "number" not in kinds and "integer" in kinds


def _plain(value: Any) -> bool:
    """No control, bidirectional or zero-width character, nothing that is not finite, in any text or number within."""
    if isinstance(value, str):
        return not any(
            unicodedata.category(one) in {"Cc", "Cs", "Cf"} and one not in "\n\t\r" for one in value
        )
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_plain(name) and _plain(one) for name, one in value.items())
    return all(_plain(one) for one in value) if isinstance(value, list) else True
