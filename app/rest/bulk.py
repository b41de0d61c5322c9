"""Bulk requests: the rows of a body one by one, in slices with the event loop free between them.

A row that cannot be read is refused by itself, with its index and pointers; what is wrong around the rows refuses the
request. A body over 256 KB is cut into its rows before anything is parsed, and its rows are written in slices, too.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.core import bodies
from app.core.bodies import WHOLE_AT_MOST
from app.core.errors import Fault, Invalid, invalid
from app.core.json_reader import MOST_FAULTS, Cutter, NotJson, read, token, without_bom
from app.core.turns import SLICE, each
from app.rest.problems import fault_of, refusal
from app.rest.urls import media_of

NDJSON: Final = "application/x-ndjson"
LARGEST_ROW: Final = 64 * 1024
_LINE: Final = re.compile(rb"[^\r\n]*[^\s][^\r\n]*")
_BROKEN: Final = Fault("", "bad_json", "This line is not valid JSON.")
_LARGE: Final = Fault("", "too_long", f"A row has {LARGEST_ROW} bytes at most.")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(slots=True)
class Row:
    """One row as it was sent. `faults` is what was wrong with its JSON; pointers begin at the row."""

    index: int
    value: Any
    faults: tuple[Fault, ...] = ()

    def text(self, name: str) -> str | None:
        """One of its members, where it is a text: what names the row in the answer."""
        said = self.value.get(name) if isinstance(self.value, dict) and not self.faults else None
        return said if isinstance(said, str) else None


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a request. `large`: they are written in slices."""

    rows: list[Row]
    large: bool

    @property
    def at_once(self) -> int:
        """How many rows are written together."""
        return SLICE if self.large else len(self.rows)


async def rows_of(request: Request, name: str, most: int) -> Rows:
    """The rows of `{"<name>": [...]}`, or the lines of NDJSON.

    Problem `bad_json` (400); Invalid `required`, `unknown_field`, `row_count`, and what is wrong outside of the rows.
    """
    body = without_bom(await request.body())
    large = len(body) > WHOLE_AT_MOST
    if media_of(request)[0] == NDJSON:
        lines = _lines(body, most)
        _refuse_count(name, len(lines), most)
        return Rows(await each(enumerate(lines), _one_line), large)
    if not large:
        return Rows(_whole(body, name, most), large=False)
    found = await _cut(body, name, most)
    return Rows(await each(enumerate(found), _one_piece), large=True)


def _refuse_count(name: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise invalid(f"/{name}", "row_count", f"Send 1 to {most} rows.")


def _lines(body: bytes, most: int) -> list[bytes]:
    """The lines that are not blank, one more than `most` if there are too many."""
    found: list[bytes] = []
    for line in _LINE.finditer(body):
        found.append(line[0])
        if len(found) > most:
            break
    return found


def _whole(body: bytes, name: str, most: int) -> list[Row]:
    found = bodies.as_json(body)
    around, within = bodies.by_row(found.faults, name)
    rows = _list_in(found.value, name, around)
    _refuse_count(name, len(rows), most)
    return [Row(at, value, tuple(within.get(at, ()))) for at, value in enumerate(rows)]


def _list_in(whole: Any, name: str, around: Sequence[Fault]) -> list[Any]:  # noqa: ANN401
    if around:
        raise Invalid("invalid", "The request is not acceptable.", around)
    if not isinstance(whole, dict) or not isinstance(whole.get(name), list):
        raise invalid(f"/{name}", "required", f"An object with a list `{name}`.")
    unknown = [
        Fault(f"/{token(one)}", "unknown_field", "There is no such field.") for one in whole if one != name
    ]
    if unknown:
        raise Invalid("invalid", "The request is not acceptable.", unknown)
    rows: list[Any] = whole[name]
    return rows


def listed_in(request: Request, name: str, values: Sequence[Any]) -> list[Row]:
    """The rows of a list that the route's model has taken as it is (`needs(..., lists=...)`), with their faults."""
    within: Mapping[int, list[Fault]] = request.state.within.get(name, {})
    return [Row(at, value, tuple(within.get(at, ()))) for at, value in enumerate(values)]


async def _cut(body: bytes, name: str, most: int) -> list[bytes]:
    cutter = Cutter(body, name, most)
    for _ in cutter.steps():
        await asyncio.sleep(0)
    if cutter.cut is None or len(cutter.cut.rest.strip()) > LARGEST_ROW:
        raise invalid(
            "", "required", f"A body of this size is an object with a list `{name}` and nothing else."
        )
    rest = bodies.as_json(cutter.cut.rest)
    _list_in(rest.value, name, rest.faults)
    _refuse_count(name, len(cutter.cut.rows), most)
    return cutter.cut.rows


def _one_line(numbered: tuple[int, bytes]) -> Row:
    at, line = numbered
    if len(line) > LARGEST_ROW:
        return Row(at, None, (_LARGE,))
    try:
        found = read(line)
    except NotJson:
        return Row(at, None, (_BROKEN,))
    return Row(at, found.value, found.faults)


def _one_piece(numbered: tuple[int, bytes]) -> Row:
    """A row of one JSON text: where the row is not JSON, the whole text is not."""
    at, piece = numbered
    if len(piece) > LARGEST_ROW:
        return Row(at, None, (_LARGE,))
    try:
        found = read(piece)
    except NotJson:
        raise refusal(400, "bad_json", f"The body is not valid JSON at or after row {at}.") from None
    return Row(at, found.value, found.faults)


def document(model: type[BaseModel], more: dict[str, Any] | None = None) -> dict[str, Any]:
    """What OpenAPI is told of the body: no endpoint takes it whole as a model, for a broken row is answered by itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    return {
        "x-schemas": {**schema.pop("$defs"), model.__name__: schema},
        "requestBody": {"required": True, "content": {**content, **(more or {})}},
    }


# --- one row ------------------------------------------------------------------------------------------


def validated(row: Row, model: type[Model], where: str = "") -> Model | list[Fault]:
    """The row as a model, or its faults, whose pointers begin with `where`."""
    if row.faults:
        return [Fault(f"{where}{one.pointer}", one.code, one.detail) for one in row.faults[:MOST_FAULTS]]
    unknown = _unknown(row.value, model)
    if len(unknown) >= MOST_FAULTS:  # it is another thing altogether, and not worth looking into
        detail = "There is no such field."
        return [Fault(f"{where}/{token(one)}", "unknown_field", detail) for one in unknown[:MOST_FAULTS]]
    try:
        return model.model_validate(row.value)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        faults = [fault_of({**one, "loc": ("body", *one["loc"])}) for one in found[:MOST_FAULTS]]
        return [Fault(f"{where}{one.pointer}", one.code, one.detail) for one in faults]


def _unknown(value: Any, model: type[BaseModel]) -> list[str]:  # noqa: ANN401
    return [name for name in value if name not in model.model_fields] if isinstance(value, dict) else []


def refuse_twins(rows: Sequence[Row], read: list[Any], name: str) -> None:
    """In place of each row whose `external_ref` an earlier row has, its fault: it cannot be told which one is meant."""
    seen: set[str] = set()
    for row in rows:
        ref = row.text("external_ref")
        if ref is None or isinstance(read[row.index], list):
            continue
        if ref in seen:
            where, detail = (
                f"/{name}/{row.index}/external_ref",
                "An earlier row of this request has the same.",
            )
            read[row.index] = [Fault(where, "duplicate_in_request", detail)]
        seen.add(ref)


class Listed:
    """The faults that an answer lists: MOST_FAULTS of all rows together, and of every further row the first one."""

    def __init__(self) -> None:
        """Nothing is listed yet."""
        self._left, self.more = MOST_FAULTS, 0

    def of(self, faults: Sequence[Fault], where: str = "") -> list[dict[str, str]]:
        """The faults of the next row that are listed, their pointers after `where`; `more` counts those that are not."""
        shown = faults[: max(self._left, 1)]
        self._left -= len(shown)
        self.more += len(faults) - len(shown)
        return [{"pointer": where + one.pointer, "code": one.code, "detail": one.detail} for one in shown]
