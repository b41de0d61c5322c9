"""The one JSON reader: what it takes is what was meant, and what it refuses is named, whichever way it reads."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.json_reader import DEEPEST, MOST_MEMBERS, Cutter, NotJson, read
from app.core.values import UNFIT

TEXT = st.text(st.characters(codec="utf-8")).filter(lambda text: not UNFIT.search(text))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(TEXT, below, max_size=5),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.booleans())
def test_what_can_be_sent_is_read_as_it_is(value: Any, escaped: bool, marked: bool) -> None:  # noqa: FBT001
    text = json.dumps(value, ensure_ascii=escaped).encode()
    found = read(b"\xef\xbb\xbf" + text if marked else text)
    assert (found.value, found.faults) == (value, ())


HOSTILE = {
    b'{"a": 1, "b": 2, "a": 3}': ("/a", "duplicate_member"),
    b'{"x": [{"a": {}, "\\u0061": 1}]}': ("/x/0/a", "duplicate_member"),
    b'{"a": NaN}': ("/a", "out_of_range"),
    b'{"a": [1, -Infinity]}': ("/a/1", "out_of_range"),
    b'{"a": 1e400}': ("/a", "out_of_range"),
    b'{"a": 18446744073709551616}': ("/a", "out_of_range"),
    b'{"a": -9223372036854775809}': ("/a", "out_of_range"),
    b'{"a": ' + b"9" * 5000 + b"}": ("/a", "out_of_range"),
    b'{"a": "\\ud800"}': ("/a", "unfit_value"),
    b'{"a": "\\ud83d"}': ("/a", "unfit_value"),
    b'{"a": "x\\u0000"}': ("/a", "unfit_value"),
    b'{"a": "x\\b"}': ("/a", "unfit_value"),
    b'{"a": "\x7f"}': ("/a", "unfit_value"),
    '{"a": "\u202eevil"}'.encode(): ("/a", "unfit_value"),
    '{"a": "zero\u200bwidth"}'.encode(): ("/a", "unfit_value"),
    '{"a": "\ufeff"}'.encode(): ("/a", "unfit_value"),
    '{"a": "\u2066"}'.encode(): ("/a", "unfit_value"),
    '{"a": "\x85"}'.encode(): ("/a", "unfit_value"),
    '{"a/b~": "\u061c"}'.encode(): ("/a~1b~0", "unfit_value"),
    b'{"x": {"\\u200b": 1}}': ("/x", "unfit_value"),
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1): ("/0" * DEEPEST, "too_deep"),
    b"[" * 252 + b"]" * 252: ("/0" * DEEPEST, "too_deep"),
    b"[" * 100_000 + b"]" * 100_000: ("", "too_deep"),
    orjson.dumps({str(at): at for at in range(MOST_MEMBERS + 1)}): ("", "too_long"),
}


@pytest.mark.parametrize(("raw", "fault"), HOSTILE.items(), ids=lambda one: repr(one)[:40])
def test_what_is_not_taken_is_named(raw: bytes, fault: tuple[str, str]) -> None:
    assert [(one.pointer, one.code) for one in read(raw).faults] == [fault]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"{}x", b'{"a":}', b'{"a":1,}', b"{'a':1}", b'{"a": 01}', b'"\xe9"', b'"a\nb"', b'"\x00"',
        '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-32-le"), b"\xff\xfe{}", b'"\xed\xa0\x80"',
    ],
)  # fmt: skip
def test_what_is_not_json_in_utf_8_is_not_read(raw: bytes) -> None:
    with pytest.raises(NotJson) as told:
        read(raw)
    assert "\xe9" not in str(told.value)


@given(st.lists(VALUES, max_size=8), st.sampled_from([None, 2, "  "]))
def test_a_list_is_cut_into_the_rows_that_it_has(rows: list[Any], indent: int | str | None) -> None:
    whole = json.dumps({"rows": rows}, indent=indent).encode()
    cutter = Cutter(whole, "rows", 10)
    for _ in cutter.steps(3):
        pass
    assert cutter.cut is not None
    assert [read(row).value for row in cutter.cut.rows] == rows
    assert read(cutter.cut.rest).value == {"rows": []}


def test_no_more_rows_are_cut_than_are_taken_and_one() -> None:
    cutter = Cutter(b'{"rows": [' + b"1," * 1_000 + b"1]}", "rows", 10)
    for _ in cutter.steps():
        pass
    assert cutter.cut is not None
    assert len(cutter.cut.rows) == 11


@pytest.mark.parametrize(
    "raw", [b'{"rows": [1, {"a": [2}, 3]}', b'{"rows": [1,,2]}', b'{"rows": [1 2]}', b'{"rows": [1,]}']
)
def test_a_list_that_is_not_json_has_a_row_that_is_none(raw: bytes) -> None:
    cutter = Cutter(raw, "rows", 10)
    for _ in cutter.steps():
        pass
    if cutter.cut is None:
        return
    with pytest.raises(NotJson):
        [read(one) for one in (*cutter.cut.rows, cutter.cut.rest)]


def test_the_cost_of_reading_is_linear() -> None:
    """Faults by the thousand, each with its own pointer: nothing is looked at twice."""
    found = read(b'{"a": [' + b'"\\u0000",' * 20_000 + b"1]}")
    assert len(found.faults) == 20_000
