"""Tables of a programme as CSV (RFC 4180): the columns of each part, cells read and written, and what is refused.

Money is pounds with at most two decimals; schools are named by URN (or by our id), strands by code. A text that a
spreadsheet would run as a formula is written with an apostrophe before it, which is taken away when it comes back.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar, get_args
from uuid import UUID

from app.core import values
from app.core.errors import Fault, Invalid, invalid
from app.core.values import BadValue
from app.programmes.parts import MOST, Sent
from app.rest.problems import refusal
from app.rest.programme_models import Measure, OwnBudget, SchoolState
from app.rest.programme_money_models import CostKind, Payer, Stage

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_HELD_BACK: Final = re.compile(r"'+[=+\-@\t\r]")
_POUNDS: Final = re.compile(r"(\d{1,13})(?:\.(\d{1,2}))?")
_DECIMALS: Final = re.compile(r"\d+\.\d{3,}")
_LARGEST: Final = 10**12
_MOST_PENCE: Final = 10**14

T = TypeVar("T")


class CellError(Exception):
    """A cell that cannot be read: a stable code, and words for people."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.fault = Fault("", code, detail)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the header, the field it is, and how a cell is read. A blank cell is null."""

    name: str
    field: str
    read: Callable[[str], Any]
    required: bool = True
    skipped: bool = False
    """A blank cell leaves the field as it is."""


def _text(longest: int, taken: Callable[[str], str] = values.line) -> Callable[[str], str]:
    def read(cell: str) -> str:
        text = _taken(taken, _plain(cell))
        if len(text) > longest:
            raise CellError("too_long", f"At most {longest} characters.")
        return text

    return read


def _plain(cell: str) -> str:
    return cell[1:] if _HELD_BACK.match(cell) else cell


def _taken(read: Callable[[str], T], cell: str) -> T:
    """What the other routes read in the same way."""
    try:
        return read(cell)
    except BadValue as bad:
        raise CellError(bad.code, bad.detail) from None


def _one_of(words: Any) -> Callable[[str], str]:  # noqa: ANN401  (a Literal)
    allowed = get_args(words)

    def read(cell: str) -> str:
        if cell not in allowed:
            raise CellError("not_one_of", f"One of: {', '.join(allowed)}.")
        return cell

    return read


def _day(cell: str) -> date:
    return _taken(values.day, cell)


def _whole(cell: str) -> int:
    if not re.fullmatch(r"[0-9]{1,13}", cell):
        raise CellError("wrong_type", "A whole number, 0 or more.")
    if int(cell) > _LARGEST:
        raise CellError("out_of_range", f"At most {_LARGEST}.")
    return int(cell)


def _pence(cell: str) -> int:
    if _DECIMALS.fullmatch(cell):
        raise CellError("too_many_decimals", "Pounds with at most two decimals, as 1250.50.")
    found = _POUNDS.fullmatch(cell) if cell.isascii() else None
    if found is None:
        raise CellError("not_an_amount", "Pounds without sign or separators, as 1250.50.")
    pence = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if pence > _MOST_PENCE:
        raise CellError("out_of_range", f"At most {_MOST_PENCE // 100} pounds.")
    return pence


def _sterling(cell: str) -> str:
    if cell != "GBP":
        raise CellError("unsupported_currency", "Money is in pounds sterling (GBP).")
    return cell


def _id(cell: str) -> UUID:
    try:
        return UUID(cell)
    except ValueError:
        raise CellError("wrong_type", "An id, as it was answered.") from None


def _school(cell: str) -> UUID | str:
    if re.fullmatch(r"[0-9]{6}", cell):
        return cell
    try:
        return UUID(cell)
    except ValueError:
        raise CellError("wrong_type", "A URN of six digits, or our id.") from None


_SCHOOL = Column("school", "school_id", _school)
_STRAND = Column("strand", "strand_id", _text(60), required=False)
_AMOUNT = Column("amount", "amount_pence", _pence)
_CURRENCY = Column("currency", "currency", _sterling)
COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "strands": (
        Column("code", "code", _text(60)),
        Column("name", "name", _text(200)),
        Column("model", "model", _text(2000, values.fit), required=False),
    ),
    "schools": (
        _SCHOOL,
        _STRAND,
        Column("state", "state", _one_of(SchoolState)),
        Column("joined_on", "joined_on", _day, required=False, skipped=True),
        Column("own_budget", "own_budget", _one_of(OwnBudget)),
    ),
    "targets": (
        _STRAND,
        Column("measure", "measure", _one_of(Measure)),
        Column("characteristic", "characteristic", _text(40), required=False),
        Column("value", "value", _whole),
        Column("due_on", "due_on", _day, required=False),
    ),
    "allocations": (_SCHOOL, _AMOUNT, _CURRENCY),
    "costs": (
        Column("id", "id", _id, required=False),
        Column("external_ref", "external_ref", _text(200, values.reference), required=False),
        Column("on_date", "on_date", _day),
        _SCHOOL,
        _STRAND,
        Column("booking", "booking_id", _id, required=False),
        Column("kind", "kind", _one_of(CostKind)),
        Column("stage", "stage", _one_of(Stage)),
        Column("paid_by", "paid_by", _one_of(Payer)),
        _AMOUNT,
        _CURRENCY,
    ),
}
"""The columns of each part, in their order."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it came: the rows, and the line on which each begins."""

    rows: list[Sent]
    lines: list[int]


def read(part: str, body: bytes) -> Table:
    """The rows of a part. 400 `not_utf8`, `bad_csv`; Invalid `wrong_header`, `row_count`. What is wrong with a cell is
    kept with its row.
    """
    records = _records(body)
    columns = COLUMNS[part]
    _refuse_header(records[0][1] if records else [], [column.name for column in columns])
    found = records[1:]
    if len(found) > MOST:
        raise invalid("", "row_count", f"At most {MOST} rows below the header.")
    rows = [_row(index, cells, columns) for index, (_, cells) in enumerate(found)]
    return Table(rows, [line for line, _ in found])


def _records(body: bytes) -> list[tuple[int, list[str]]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise refusal(400, "not_utf8", f"The body is not UTF-8: line {line} cannot be read.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found, line = [], 1
    try:
        for cells in reader:
            # a spreadsheet leaves `,,` behind where a row was emptied
            if any(cell.strip() for cell in cells):
                found.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        # where the row begins: a quotation mark that is not closed runs to the end of the file
        raise refusal(400, "bad_csv", f"The row that begins on line {line}: {error}.") from None
    return found


def _refuse_header(said: Sequence[str], wanted: Sequence[str]) -> None:
    if list(said) == list(wanted):
        return
    missing = [name for name in wanted if name not in said]
    unknown = [name[:60] for name in dict.fromkeys(said) if name not in wanted]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"unknown: {', '.join(name or '(no name)' for name in unknown)}"] if unknown else []
    if len(said) == 1 and len(wanted) > 1 and re.search(r"[;\t]", said[0]):
        parts.append("cells are separated by commas")
    detail = f"The header is `{','.join(wanted)}`; {'; '.join(parts) or 'each once, in this order'}."
    raise Invalid(
        "wrong_header",
        detail,
        [Fault("", "wrong_header", detail)],
        {"missing": missing, "unknown": unknown, "expected": list(wanted)},
    )


def _row(index: int, cells: Sequence[str], columns: Sequence[Column]) -> Sent:
    if len(cells) != len(columns):
        wrong = Fault("", "wrong_cell_count", f"{len(cells)} cells instead of {len(columns)}.")
        return Sent(index, {}, [wrong])
    given: dict[str, Any] = {}
    faults = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            value = _cell(column, cell)
        except CellError as error:
            faults.append(Fault(f"/{column.field}", error.fault.code, error.fault.detail))
            continue
        if column is not _CURRENCY and not (value is None and column.skipped):
            given[column.field] = value
    return Sent(index, given, faults)


def _cell(column: Column, cell: str) -> Any:  # noqa: ANN401
    if cell and not cell.isspace():
        return column.read(cell)
    if column.required:
        raise CellError("required", "This cell may not be blank.")
    return None


def column_of(part: str, pointer: str) -> str | None:
    """The column that a fault's pointer (`/amount_pence`) is about; None for the row as a whole."""
    field = pointer.removeprefix("/")
    return next((column.name for column in COLUMNS[part] if column.field == field), None)


def write(
    part: str, rows: Iterable[Mapping[str, Any]], urns: Mapping[UUID, str], codes: Mapping[UUID, str]
) -> str:
    """The table with its header line, lines ended by CRLF, in the order of its cells."""
    columns = COLUMNS[part]
    shown = sorted([_shown(column, row, urns, codes) for column in columns] for row in rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.name for column in columns])
    writer.writerows(shown)
    return out.getvalue()


def _shown(
    column: Column, row: Mapping[str, Any], urns: Mapping[UUID, str], codes: Mapping[UUID, str]
) -> str:
    if column is _CURRENCY:
        return "GBP"
    value = row[column.field]
    if value is None:
        return ""
    if column is _AMOUNT:
        return f"{value // 100}.{value % 100:02}"
    if column is _SCHOOL:
        return urns.get(value, str(value))
    text = codes.get(value, str(value)) if column is _STRAND else str(value)
    return f"'{text}" if _FORMULA.match(text) else text
