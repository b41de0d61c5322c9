"""In every field of a row of every bulk route: a bad row is refused by itself, with its pointer, and no other one."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.proof.test_strangers import OPERATIONS
from tests.sweep.answers import shown
from tests.sweep.conftest import Sweep
from tests.sweep.places import COMPONENTS, HOLE, Place, Schema, places, resolved, shown_place, with_value
from tests.sweep.values import ALL, may_be_taken, values_for

pytestmark = pytest.mark.slow_suite
PUPILS = "POST /v1/schools/{school_id}/pupils/bulk"
BULKS = {
    PUPILS: "pupils",
    "POST /v1/schools/{school_id}/encounters/bulk": "encounters",
    "POST /v1/slots/bulk": "slots",
}
"""Every route that answers row by row, and the member that holds the rows."""
BROKEN = (b"{", b"}", b'{"external_ref": "x"', b"\xef\xbb\xbf{}", b"\x00", b"\xff", b"{}{}", b"//", b"nul")
"""Lines that are no JSON."""


def test_no_bulk_route_is_forgotten() -> None:
    assert set(BULKS) == {str(one) for one in OPERATIONS if one.path.endswith("/bulk")}


@pytest.mark.parametrize("name", BULKS)
async def test_a_bad_row_never_takes_the_others(sweep: Sweep, name: str) -> None:
    request, member = sweep.requests[name], BULKS[name]
    schema = _row_schema(request.schema, member)
    good = request.body[member][0]
    wrong = []
    for place, inner in places(schema):
        sweep.places += 1
        for value in values_for(inner):
            rows = [_numbered(orjson.dumps(good, default=str), 1), _bad_row(schema, good, place, value),
                    _numbered(orjson.dumps(good, default=str), 3)]  # fmt: skip
            body = b'{"%s": [%s]}' % (member.encode(), b",".join(rows))
            allowed = may_be_taken(inner, COMPONENTS, value)
            answer = await sweep.sender.send(request, body)
            problems = () if _is_no_text(value, answer) else _wrong_rows(answer, allowed=allowed)
            wrong += [f"{shown_place(place)} {shown(value)}: {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)


def _is_no_text(value: bytes, answer: Any) -> bool:
    """Bytes that are not UTF-8 make the one JSON text around all rows none, and it is refused whole.

    In NDJSON each line is a text of its own.
    """
    try:
        value.decode()
    except UnicodeDecodeError:
        return bool(answer.status_code == 400 and answer.json()["code"] == "bad_json")
    return False


def _row_schema(schema: Schema | None, member: str) -> Schema:
    assert schema is not None
    return resolved(resolved(schema)["properties"][member]["items"])


def _bad_row(schema: Schema, good: Any, place: Place, value: bytes) -> bytes:
    row = _numbered(orjson.dumps(with_value(schema, good, place, HOLE), default=str), 2)
    return row.replace(orjson.dumps(HOLE), value)


async def test_a_bad_line_never_takes_the_others(sweep: Sweep) -> None:
    """The same in NDJSON, where the line itself may be no JSON at all."""
    request = replace(sweep.requests[PUPILS], media="application/x-ndjson")
    schema = _row_schema(request.schema, "pupils")
    good = request.body["pupils"][0]
    lines = [(value, False) for value in (*ALL, *BROKEN)]
    for place, inner in places(schema):
        sweep.places += 1
        lines += [
            (_bad_row(schema, good, place, value), may_be_taken(inner, COMPONENTS, value))
            for value in values_for(inner)
        ]
    wrong = []
    for line, allowed in lines:
        plain = orjson.dumps(good)
        body = b"\n".join([_numbered(plain, 1), line, _numbered(plain, 3)])
        problems = _wrong_rows(await sweep.sender.send(request, body), allowed=allowed)
        wrong += [f"{shown(line[-60:])}: {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)


def _numbered(row: bytes, at: int) -> bytes:
    """Rows that mean different things: each its own reference, and no number of a person."""
    row = re.sub(rb'"external_ref":("[^"@]*"|null)', b'"external_ref":"sweep-%d"' % (7000 + at), row)
    return re.sub(rb'"upn":"[^"@]*"', b'"upn":null', row)


def _became(row: Any) -> str:
    """What became of a row."""
    return str(row.get("status") or row["result"])


def _wrong_rows(answer: Any, *, allowed: bool) -> Iterator[str]:
    """What is wrong with an answer to three rows of which the second has an odd value."""
    if answer.status_code != 200:
        yield f"{answer.status_code} {answer.text[:300]}"
        return
    told = answer.json()
    rows = told.get("data") or told.get("results")
    if [one["index"] for one in rows] != [0, 1, 2]:
        yield f"rows {rows}"
        return
    for at in (0, 2):
        if _became(rows[at]) == "refused":
            yield f"row {at} refused: {rows[at]['errors']}"
    if _became(rows[1]) != "refused" and not allowed:
        yield f"taken: {_became(rows[1])}"
    for fault in rows[1]["errors"]:
        if fault["code"] == "internal" or "/1" not in fault["pointer"]:
            yield f"fault {fault}"
