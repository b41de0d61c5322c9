"""In every cell of every table in CSV that can be imported."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.rest.programme_sheets import COLUMNS
from tests.sweep.answers import fault_of, shown
from tests.sweep.conftest import Sweep

pytestmark = pytest.mark.slow_suite
IMPORT, EXPORT = "POST /v1/programmes/{programme_id}/import", "GET /v1/programmes/{programme_id}/export"
UNFIT = (
    b"qzx9\x00", b"qzx9\x07", b"qzx9\x7f", b"qzx9\xff", b"qzx9\xc3(", b"\xed\xa0\x80",
    "qzx9\u202e".encode(), "qzx9\u200b".encode(),
    "qzx9\ufeff".encode(), "qzx9\u0085".encode(), b'"qzx9',
)  # fmt: skip
"""What no cell takes, whatever its column."""
ODD = (
    b"", b" ", b" qzx9", b"qzx9 ", b"qzx9" * 5000, b"infinity", b"NaN", b"9999-12-31", b"0001-01-01",
    b"1899-12-31", b"2101-01-01",
    b"2026-02-30", b"1394323200", b"20270105", b"2027-01-05T00:00:00Z", b"-1", b"0", b"1e400",
    b"1e2", b"9223372036854775808",
    b"18446744073709551616", b"1.005", b"-0", b"1_000", "\uff11".encode(), b"true", b"null", b"[]", b"{}", b"=1+1", b'"',
    b'""""',
    b'"a\nb"', "qzx9e\u0301".encode(),
)  # fmt: skip


@pytest.mark.parametrize("part", COLUMNS)
async def test_a_value_in_a_cell(sweep: Sweep, part: str) -> None:
    head, cells = await _first_row(sweep, part)
    wrong, reached = [], set()
    for at, column in enumerate(head.split(b",")):
        sweep.places += 1
        for value in (*UNFIT, *ODD):
            answer = await _import(sweep, part, [head, _row(cells, at, value)])
            told = set(_statuses(answer))
            reached |= told or {str(answer.status_code)}
            found = fault_of(answer, allowed=value not in UNFIT or told == {"refused"})
            if found:
                wrong.append(f"{column!r} {shown(value)}: {found}")
    assert not wrong, "\n".join(wrong)
    assert "refused" in reached
    assert reached & {"created", "updated", "unchanged"}, f"{part}: no row was taken, so no cell was reached"


async def _first_row(sweep: Sweep, part: str) -> tuple[bytes, list[bytes]]:
    """The header, and the cells of a row that an import takes."""
    exported = await sweep.sender.send(replace(sweep.requests[EXPORT], query={"part": part}))
    assert exported.status_code == 200, exported.text
    head, *rows = exported.content.removeprefix(b"\xef\xbb\xbf").splitlines()
    assert rows, f"{part}: nothing to start from"
    answer = await _import(sweep, part, [head, rows[0]])
    assert set(_statuses(answer)) & {"created", "updated", "unchanged"}, answer.text
    return head, rows[0].split(b",")


def _row(cells: list[bytes], at: int, value: bytes) -> bytes:
    return b",".join([*cells[:at], value, *cells[at + 1 :]])


async def _import(sweep: Sweep, part: str, lines: list[bytes]) -> Any:
    return await sweep.sender.send(sweep.requests[IMPORT], b"\r\n".join([*lines, b""]), query=f"part={part}")


def _statuses(answer: Any) -> Iterator[str]:
    """What became of each row."""
    if answer.status_code == 200:
        yield from (one["status"] for one in answer.json()["data"])
