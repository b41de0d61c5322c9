"""In every query parameter and every part of a path, values that no route may choke on."""

import re
from typing import Any
from urllib.parse import quote, unquote

import orjson
import pytest

from tests.proof.test_strangers import OPERATIONS, Operation
from tests.sweep.answers import fault_of
from tests.sweep.conftest import Sweep
from tests.sweep.places import COMPONENTS, sample
from tests.sweep.requests import Request
from tests.sweep.values import EVERYWHERE, TIMES, may_be_taken, values_for
from tests.today import YEAR

pytestmark = pytest.mark.slow_suite
WITH_QUERY = [
    one for one in OPERATIONS if any(said["in"] == "query" for said in one.document.get("parameters", ()))
]
WITH_PATH = [one for one in OPERATIONS if one.parameters]
LONGEST = 4000
"""Of a text in a URL: the server takes no longer one."""
OPAQUE = {"after", "changed_since"}
"""Texts that only the API makes."""
ONE_OF = re.compile(r"One of: (\w+)")


def query_of(operation: Operation) -> list[dict[str, Any]]:
    """The query parameters, as the contract has them."""
    return [said for said in operation.document["parameters"] if said["in"] == "query"]


def url_text(value: bytes) -> str | None:
    """A JSON value as it would stand in a URL: text without its quotation marks, and odd bytes as they are."""
    if value.startswith(b'"'):
        try:
            found = quote(orjson.loads(value), safe="")
        except orjson.JSONDecodeError:
            found = quote(value.strip(b'"'), safe="")
    else:
        found = quote(value, safe="")
    return found if len(found) <= LONGEST else None


@pytest.mark.parametrize("operation", WITH_QUERY, ids=str)
async def test_a_value_in_a_query(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    wrong = []
    for said in query_of(operation):
        sweep.places += 1
        texts = {url_text(value) for value in values_for(said["schema"])} - {None}
        for one in sorted(map(str, texts)):
            answer = await sweep.sender.send(request, query=f"{said['name']}={one}")
            if found := fault_of(answer, allowed=_may_be(said["schema"], one)):
                wrong.append(f"?{said['name']}={one[:60]}: {found}")
    assert not wrong, "\n".join(wrong)


def _may_be(schema: dict[str, Any], text: str) -> bool:
    """Whether a text in a URL may be a value of this kind: strict where the kind is a date, a moment or an id."""
    said = orjson.dumps(schema).decode()
    if '"format"' not in said:
        return True
    return may_be_taken(schema, COMPONENTS, orjson.dumps(unquote(text, errors="replace")))


@pytest.mark.parametrize("operation", WITH_QUERY, ids=str)
async def test_every_parameter_is_reached(sweep: Sweep, operation: Operation) -> None:
    """With a value of its kind the request is taken, so that what was refused was refused for its value."""
    request = sweep.requests[str(operation)]
    told = [
        await _not_read(sweep, request, said) for said in query_of(operation) if said["name"] not in OPAQUE
    ]
    unread = [one for one in told if one]
    assert not unread, "\n".join(unread)


async def _not_read(sweep: Sweep, request: Request, said: dict[str, Any]) -> str | None:
    """What was answered to a value of the parameter's kind, if it was not taken.

    Where only some words are taken the refusal names them, and the first is sent.
    """
    value = _acceptable(sweep, request.operation, said)
    answer = await sweep.sender.send(request, query=f"{said['name']}={value}")
    if answer.status_code == 422 and (words := ONE_OF.search(answer.text)):
        answer = await sweep.sender.send(request, query=f"{said['name']}={words[1]}")
    return (
        None
        if answer.status_code < 300
        else f"?{said['name']}={value}: {answer.status_code} {answer.text[-300:]}"
    )


def _acceptable(sweep: Sweep, operation: Operation, said: dict[str, Any]) -> str:
    """A value of a parameter's kind as text for a URL; an id is one that the asker knows."""
    name = said["name"]
    thing = operation.thing(name)
    if thing is not None:
        return str(thing.id_in(sweep.full))
    value = {"academic_year": YEAR, "part": "schools"}.get(name) or sample(said["schema"])
    return quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")


@pytest.mark.parametrize("operation", WITH_PATH, ids=str)
async def test_a_value_in_a_path(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    wrong = []
    for name in operation.parameters:
        sweep.places += 1
        for value in EVERYWHERE + TIMES[:1]:
            if text := url_text(value):
                answer = await sweep.sender.send(request, path=_with_part(request, name, text))
                if found := fault_of(answer, allowed=name == "external_ref"):
                    wrong.append(f"{{{name}}}={text[:60]}: {found}")
    assert not wrong, "\n".join(wrong)


def _with_part(request: Request, name: str, text: str) -> str:
    at = request.operation.path.replace(":path}", "}").split("/").index("{" + name + "}")
    parts = request.path.split("/")
    parts[at] = text
    return "/".join(parts)
