"""At every place of every request, values that one layer might take and the next one choke on.

The places come from the contract at test time, each in a request that is acceptable but for that one value. No answer
is a fault of ours, nothing is coerced silently, and no value is found in a log.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_required_argument,
)

from app.core.embedded import EmbeddedPostgres
from app.graphql.ids import node_id
from app.published import documents
from tests.proof.test_strangers import OPERATIONS, Operation
from tests.sweep.conftest import Sweep
from tests.sweep.requests import COMPONENTS, Place, Request, Schema, _at, _resolved, _with, places, sample
from tests.sweep.values import ALL, EVERYWHERE, MARK, TIMES, may_be_taken, values_for

WITH_BODY = [
    one
    for one in OPERATIONS
    if "application/json" in one.document.get("requestBody", {}).get("content", {})
]
WITH_QUERY = [
    one for one in OPERATIONS if any(said["in"] == "query" for said in one.document.get("parameters", ()))
]


def test_each_operation_has_a_request_that_works(sweep: Sweep) -> None:
    assert not sweep.refused
    assert set(sweep.requests) == {str(one) for one in OPERATIONS}


def faults(answer: Any, *, allowed: bool) -> str | None:
    """What is wrong with an answer to one value, None if nothing."""
    if answer.status_code >= 500:
        return f"{answer.status_code} {answer.text[:200]}"
    if len(answer.content) > 100_000:
        return f"{len(answer.content)} bytes of answer"
    if answer.status_code < 300 and not allowed:
        return f"{answer.status_code}: taken"
    if answer.status_code >= 400 and answer.headers["content-type"] != "application/problem+json":
        return f"{answer.status_code} {answer.headers['content-type']}"
    return None


def shown(value: bytes) -> str:
    return repr(value[:60])


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_a_value_in_a_body(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    assert request.schema is not None
    wrong = []
    for place, schema in places(request.schema):
        for value in values_for(schema):
            answer = await sweep.sender.send(request, request.raw(place, value))
            by_row = answer.status_code == 200 and operation.path.endswith("/bulk")
            allowed = by_row or may_be_taken(schema, COMPONENTS, value)
            if found := faults(answer, allowed=allowed):
                wrong.append(f"/{'/'.join(map(str, place))} {shown(value)}: {found}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_every_place_of_a_body_is_reached_by_an_acceptable_request(sweep: Sweep, operation: Operation) -> None:
    """With what the contract gives as an example at that place, the request is taken, or refused for what it means."""
    request = sweep.requests[str(operation)]
    assert request.schema is not None
    unread = []
    for place, schema in places(request.schema):
        present = _at(request.body, place)
        body = request.body if present is not None else _with(request.schema, request.body, place, sample(schema))
        answer = await sweep.sender.send(request, orjson.dumps(body, default=str))
        codes = {one["code"] for one in answer.json().get("errors", ())} if answer.status_code == 422 else set()
        if answer.status_code >= 500 or codes & {"wrong_type", "required", "bad_json", "unknown_field"}:
            unread.append(f"/{'/'.join(map(str, place))}: {answer.status_code} {answer.text[-300:]}")
    assert not unread, "\n".join(unread)


@pytest.mark.parametrize("operation", WITH_QUERY, ids=str)
async def test_a_value_in_a_query(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    wrong = []
    for said in operation.document["parameters"]:
        if said["in"] != "query":
            continue
        for value in values_for(said["schema"]):
            text = query_text(value)
            if text is None or len(text) > 4000:
                continue
            answer = await sweep.sender.send(request, query=f"{said['name']}={text}")
            if found := faults(answer, allowed=True):
                wrong.append(f"?{said['name']}={text[:60]}: {found}")
    assert not wrong, "\n".join(wrong)


def query_text(value: bytes) -> str | None:
    """A JSON value as it would stand in a query: text without its quotation marks, and odd bytes as they are."""
    if value.startswith(b'"'):
        try:
            return quote(orjson.loads(value))
        except orjson.JSONDecodeError:
            return quote(value.strip(b'"'))
    return quote(value)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.parameters], ids=str)
async def test_a_value_in_a_path(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    wrong = []
    for name in operation.parameters:
        at = operation.path.replace(":path}", "}").split("/").index("{" + name + "}")
        for value in EVERYWHERE + TIMES[:1]:
            text = query_text(value)
            if not text or len(text) > 2000:
                continue
            parts = request.path.split("/")
            parts[at] = text
            answer = await sweep.sender.send(request, path="/".join(parts))
            if found := faults(answer, allowed=name == "external_ref"):
                wrong.append(f"{{{name}}}={text[:60]}: {found}")
    assert not wrong, "\n".join(wrong)


# --- rows -------------------------------------------------------------------------------------------

BULKS = {
    "POST /v1/schools/{school_id}/pupils/bulk": "pupils",
    "POST /v1/schools/{school_id}/encounters/bulk": "encounters",
    "POST /v1/slots/bulk": "slots",
}
"""Every route that answers row by row, and the member that holds the rows."""


def test_no_bulk_route_is_forgotten() -> None:
    assert set(BULKS) == {str(one) for one in OPERATIONS if one.path.endswith("/bulk")}


@pytest.mark.parametrize("name", BULKS)
async def test_a_bad_row_never_takes_the_others(sweep: Sweep, name: str) -> None:
    request, member = sweep.requests[name], BULKS[name]
    assert request.schema is not None
    schema = _resolved(_resolved(request.schema)["properties"][member]["items"])
    good = orjson.dumps(request.body[member][0], default=str)
    wrong = []
    for place, inner in places(schema):
        for value in values_for(inner):
            row = orjson.dumps(_with(schema, request.body[member][0], place, "@@value@@"), default=str)
            row = row.replace(b'"@@value@@"', value)
            rows = [_numbered(good, 1), _numbered(row, 2), _numbered(good, 3)]
            body = b'{"%s": [%s]}' % (member.encode(), b",".join(rows))
            for problem in _rows_wrong(await sweep.sender.send(request, body)):
                wrong.append(f"/{'/'.join(map(str, place))} {shown(value)}: {problem}")
    assert not wrong, "\n".join(wrong)


async def test_a_bad_line_never_takes_the_others(sweep: Sweep) -> None:
    """The same in NDJSON, where the line itself may be no JSON at all."""
    name = "POST /v1/schools/{school_id}/pupils/bulk"
    request = replace(sweep.requests[name], media="application/x-ndjson")
    good = orjson.dumps(sweep.requests[name].body["pupils"][0])
    wrong = []
    for value in (*ALL, b"", b"{", b"}", b'{"external_ref": "x"', b"\xef\xbb\xbf{}", b"\x00"):
        if b"\n" in value or not value.strip():
            continue
        body = b"\n".join([_numbered(good, 1), value, _numbered(good, 3)])
        for problem in _rows_wrong(await sweep.sender.send(request, body)):
            wrong.append(f"{shown(value)}: {problem}")
    assert not wrong, "\n".join(wrong)


def _numbered(row: bytes, at: int) -> bytes:
    """Rows that mean different things: each its own reference, and its own number."""
    return re.sub(rb'"external_ref":("[^"]*"|null)', b'"external_ref":"sweep-%d"' % (7000 + at), row).replace(
        b'"B801200005001"', b"null"
    )


def _rows_wrong(answer: Any) -> Iterator[str]:
    if answer.status_code != 200:
        yield f"{answer.status_code} {answer.text[:200]}"
        return
    told = answer.json()
    rows = told.get("data") or told.get("results")
    if [one["index"] for one in rows] != [0, 1, 2]:
        yield f"rows {rows}"
    for at in (0, 2):
        if rows[at]["status"] == "refused":
            yield f"row {at} refused: {rows[at]['errors']}"
    for fault in rows[1]["errors"]:
        if "/1" not in fault["pointer"]:
            yield f"pointer {fault['pointer']}"


# --- tables in CSV ------------------------------------------------------------------------------------

_CELLS = (
    b"", b" ", b" qzx9", b"qzx9\x00", b"qzx9\x07", b"qzx9\xff", "qzx9\u202e".encode(), "qzx9\u200b".encode(), b"qzx9" * 5000,
    b"infinity", b"NaN", b"9999-12-31", b"0001-01-01", b"2026-02-30", b"1394323200", b"20270105", b"-1", b"1e400",
    b"9223372036854775808", b"1.005", b"true", b"null", b"[]", b"{}", b"=1+1", b'"', b'""""', b'"a\nb"', b"\xed\xa0\x80",
)  # fmt: skip


async def test_a_value_in_a_cell(sweep: Sweep) -> None:
    name = "POST /v1/programmes/{programme_id}/import"
    request = sweep.requests[name]
    tables = next(
        one["schema"]["enum"] for one in request.operation.document["parameters"] if one["name"] == "table"
    )
    wrong, reached = [], set()
    for table in tables:
        exported = await sweep.sender.send(
            replace(sweep.requests["GET /v1/programmes/{programme_id}/export"], query={"table": table})
        )
        assert exported.status_code == 200, exported.text
        head, *rows = exported.content.removeprefix(b"\xef\xbb\xbf").splitlines()
        assert rows, f"{table}: nothing to start from"
        cells = rows[0].split(b",")
        for at in range(len(cells)):
            for value in _CELLS:
                line = b",".join([*cells[:at], value, *cells[at + 1 :]])
                answer = await sweep.sender.send(request, head + b"\r\n" + line + b"\r\n", query=f"table={table}")
                reached.add(answer.status_code)
                if found := faults(answer, allowed=True):
                    wrong.append(f"{table} {head.split(b',')[at]!r} {shown(value)}: {found}")
    assert not wrong, "\n".join(wrong)
    assert {200, 422} <= reached


# --- GraphQL --------------------------------------------------------------------------------------------


def _given(name: str, argument: GraphQLArgument) -> str:
    kind = get_named_type(argument.type)
    if isinstance(kind, GraphQLEnumType):
        value = next(iter(kind.values))
        return f"[{value}]" if isinstance(get_nullable_type(argument.type), GraphQLList) else value
    assert name == "id", f"say here what {name} may be"
    return '"ID-OF-ROOT"'


def _graphql_places() -> Iterator[tuple[str, str]]:
    """Every argument of every field that can be asked, as the document around it with a hole."""
    schema = build_schema(documents()["schema.graphql"])
    seen: set[tuple[str, str]] = set()
    found: dict[tuple[str, str, str], str] = {}
    todo: list[tuple[Any, str]] = [(schema.query_type, "{%s}")]
    while todo:
        kind, around = todo.pop(0)
        if isinstance(kind, GraphQLInterfaceType):
            todo += [(one, around % ("... on %s{%%s}" % one.name)) for one in schema.get_possible_types(kind)]
            continue
        for name, said in kind.fields.items():
            for argument, about in said.args.items():
                if (kind.name, name, argument) not in found:
                    others = [one for one in said.args if one != argument and is_required_argument(said.args[one])]
                    given = ", ".join([f"{argument}: @@", *(f"{one}: {_given(one, said.args[one])}" for one in others)])
                    below = get_named_type(said.type)
                    leaf = "" if not hasattr(below, "fields") else "{__typename}"
                    found[kind.name, name, argument] = around % f"{name}({given}){leaf}"
            below = get_named_type(said.type)
            if isinstance(below, GraphQLObjectType | GraphQLInterfaceType) and (kind.name, name) not in seen:
                seen.add((kind.name, name))
                needed = [one for one in said.args if is_required_argument(said.args[one])]
                given = f"({', '.join(f'{one}: {_given(one, said.args[one])}' for one in needed)})" if needed else ""
                if len(seen) < 400 and around.count("{") < 8:
                    todo.append((below, around % (f"{name}{given}{{%s}}")))
    for (kind, name, argument), document in sorted(found.items()):
        yield f"{kind}.{name}({argument}:)", document


_ROOTS = {"school": "School", "hub": "Hub", "trust": "Trust", "programme": "Programme", "node": "School"}
GRAPHQL = dict(_graphql_places())


def _graphql_values(document: str) -> Iterator[tuple[str, bytes]]:
    """The document with each value as a literal, and as a variable where JSON has it and GraphQL has not."""
    for value in ALL:
        if len(value) > 4000:
            continue
        yield document.replace("@@", "$value"), value
        try:
            literal = orjson.loads(value)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(literal, dict):
            yield document.replace("@@", orjson.dumps(literal).decode()), b"null"


@pytest.mark.parametrize("name", GRAPHQL)
async def test_a_value_in_an_argument_of_graphql(sweep: Sweep, name: str) -> None:
    wrong, understood = [], False
    for document, value in _graphql_values(GRAPHQL[name]):
        for who in ("hub_a", "school_a"):
            body = _graphql_body(sweep, document, value, name)
            answer = await sweep.ask(who, body)
            if answer.status_code >= 500 or len(answer.content) > 100_000:
                wrong.append(f"{document[:80]} {shown(value)}: {answer.status_code}")
                continue
            codes = {one.get("extensions", {}).get("code") for one in answer.json().get("errors", ())}
            understood = understood or "data" in answer.json()
            if "internal" in codes:
                wrong.append(f"{document[:200]} {shown(value)}: {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert understood, "no value was understood at all: the document around it is wrong"


def _graphql_body(sweep: Sweep, document: str, value: bytes, name: str) -> bytes:
    root = re.match(r"\{(\w+)", document)
    assert root
    kind = _ROOTS.get(root[1], "School")
    ids = {"School": sweep.world["school_a"], "Hub": sweep.world["hub_a"], "Trust": sweep.world["trust"],
           "Programme": sweep.full["programmes"]["id"]}  # fmt: skip
    text = document.replace('"ID-OF-ROOT"', f'"{node_id(kind, ids[kind])}"')
    if "$value" in text:
        said = _TYPES[name]
        text = f"query($value: {said}) {text}"
    return b'{"query": %s, "variables": {"value": %s}}' % (orjson.dumps(text), value)


def _argument_types() -> Iterator[tuple[str, str]]:
    schema = build_schema(documents()["schema.graphql"])
    for kind in schema.type_map.values():
        for field, said in getattr(kind, "fields", {}).items():
            for argument, about in getattr(said, "args", {}).items():
                yield f"{kind.name}.{field}({argument}:)", str(about.type)


_TYPES = dict(_argument_types())


def test_every_argument_of_the_schema_is_reached() -> None:
    reachable = {name for name in _TYPES if not name.startswith("__")}
    assert set(GRAPHQL) == reachable


# --- logs -----------------------------------------------------------------------------------------------


def test_no_value_is_found_in_a_log(sweep: Sweep) -> None:
    """Neither in ours nor in Postgres's: texts that were sent have a mark, pupils have names, and values are parameters."""
    ours, postgres = sweep.logged()
    assert '"request"' in ours, "our log was not found, so this proves nothing"
    for log, marks in ((ours, (MARK, "Ada", "Example")), (postgres, (MARK, "Ada", "Example", "parameter $"))):
        for mark in marks:
            assert mark not in log, log[max(0, log.index(mark) - 300) : log.index(mark) + 100]
