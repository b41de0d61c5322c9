"""In every argument of every field of GraphQL, as a variable and as a literal."""

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest

from app.graphql.ids import node_id
from tests.sweep.answers import LARGEST, shown
from tests.sweep.asked import ROOTS, Argument, arguments, every_argument
from tests.sweep.conftest import Sweep
from tests.sweep.values import ALL, EVERYWHERE, may_be_taken
from tests.today import TODAY, YEAR, date_in

pytestmark = pytest.mark.slow_suite
ARGUMENTS = arguments()
FIRST = {(one.name, one.kind): one for one in reversed(ARGUMENTS.values())}
"""One of each name and type: that one gets all values, also as literals."""
ASKERS = {"trust": "trust", "school": "school_a", "node": "school_a"}
"""Who asks for a root; the others are asked for by a hub."""
ALLOCATE = "POST /v1/programmes/{programme_id}/allocations"
"""Goes to a programme that was made through the API, with its history."""
KNOWN = datetime.combine(date_in(-7 - TODAY.weekday()), time(), ZoneInfo("Europe/London"))
"""When a Sunday had ended: a hub may ask what was known then."""
STRICT = {"Date": {"type": "string", "format": "date"}, "DateTime": {"type": "string", "format": "date-time"}}
"""The types that are ours. GraphQL's own have coercions of their own (1.0 is an Int, 1 is an ID)."""


def test_every_argument_of_the_schema_is_reached() -> None:
    assert set(ARGUMENTS) == every_argument()


@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=str)
async def test_an_argument_is_reached(sweep: Sweep, argument: Argument) -> None:
    """With a value of its kind there is an answer without an error, so that what was refused was refused for its value."""
    answer = await _ask(sweep, argument, orjson.dumps(_example(sweep, argument)))
    assert "errors" not in answer.json(), (argument.document, answer.text)


@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=str)
async def test_a_value_in_an_argument(sweep: Sweep, argument: Argument) -> None:
    sweep.places += 1
    first = FIRST[argument.name, argument.kind] == argument
    wrong = []
    for value in ALL if first else EVERYWHERE:
        answers = [await _ask(sweep, argument, value)]
        if first and (literal := _literal(value)):
            answers.append(await _ask(sweep, argument, b"null", literal))
        wrong += [f"{shown(value)}: {found}" for one in answers for found in _faults(argument, value, one)]
    assert not wrong, "\n".join([argument.document, *wrong])


def _literal(value: bytes) -> str | None:
    """The same in the language of GraphQL, where it has it: no objects, and no text that is not UTF-8."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return None if isinstance(found, dict) else value.decode()


def _faults(argument: Argument, value: bytes, answer: Any) -> Iterator[str]:
    if answer.status_code >= 500 or answer.status_code in {401, 429} or len(answer.content) > LARGEST:
        yield f"{answer.status_code} {answer.text[:300]}"
        return
    told = answer.json()
    if "internal" in {one.get("extensions", {}).get("code") for one in told.get("errors", ())}:
        yield answer.text[:300]
    strict = STRICT.get(argument.base)
    if (
        strict
        and "data" in told
        and "errors" not in told
        and value != b"null"
        and not may_be_taken(strict, {}, value)
    ):
        yield "taken"


async def _ask(sweep: Sweep, argument: Argument, value: bytes, literal: str | None = None) -> Any:
    """Ask with raw bytes as the variable, or with a literal in its place."""
    declared = [] if literal is not None else [f"$value: {argument.kind}"]
    document = argument.document if literal is None else argument.document.replace("$value", literal)
    if "$id" in document:
        declared.append("$id: ID!")
    query = f"query({', '.join(declared)}) {document}" if declared else document
    variables = [b'"id": %s' % orjson.dumps(_id(sweep, argument.root))] if "$id" in document else []
    variables += [b'"value": ' + value] if literal is None else []
    body = b'{"query": %s, "variables": {%s}}' % (orjson.dumps(query), b", ".join(variables))
    return await sweep.ask(ASKERS.get(argument.root, "hub_a"), body)


def _id(sweep: Sweep, root: str) -> str:
    kind = ROOTS.get(root, "School")
    ids = {"School": sweep.world["school_a"], "Hub": sweep.world["hub_a"], "Trust": sweep.world["trust"],
           "Programme": UUID(sweep.requests[ALLOCATE].path.split("/")[3])}  # fmt: skip
    return node_id(kind, ids[kind])


def _example(sweep: Sweep, argument: Argument) -> Any:
    meant = {"@year": YEAR, "@day": date_in(0).isoformat(), "@moment": KNOWN.isoformat(),
             "@urn": "900005", "@id": _id(sweep, argument.root)}  # fmt: skip
    value = argument.example()
    return meant.get(value, value) if isinstance(value, str) else value
