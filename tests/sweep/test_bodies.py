"""At every place of every body, values that one layer might take and the next one choke on.

The places come from the contract at test time, each in a request that is acceptable but for that one value. No answer
is a fault of ours, and nothing is coerced silently.
"""

from typing import Any

import orjson
import pytest

from tests.proof.test_strangers import OPERATIONS, Operation
from tests.sweep.answers import fault_of, refuses_a_row, shown
from tests.sweep.conftest import Sweep
from tests.sweep.places import COMPONENTS, Place, Schema, at_place, places, sample, shown_place
from tests.sweep.requests import Request
from tests.sweep.values import may_be_taken, values_for

pytestmark = pytest.mark.slow_suite
WITH_BODY = [
    one for one in OPERATIONS if "application/json" in one.document.get("requestBody", {}).get("content", {})
]
NOT_READ = {"wrong_type", "required", "bad_json", "unknown_field"}
"""Codes that say that a value never reached the field."""


def test_each_operation_has_a_request_that_works(sweep: Sweep) -> None:
    assert not sweep.refused, "\n".join(f"{name}: {told}" for name, told in sweep.refused.items())
    assert set(sweep.requests) == {str(one) for one in OPERATIONS}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_a_value_in_a_body(sweep: Sweep, operation: Operation) -> None:
    request = sweep.requests[str(operation)]
    assert request.schema is not None
    sweep.taken[str(operation)] = []
    wrong: list[str] = []
    for place, schema in places(request.schema):
        sweep.places += 1
        wrong += await wrong_at(sweep, request, place, schema)
    assert not wrong, "\n".join(wrong)


async def wrong_at(sweep: Sweep, request: Request, place: Place, schema: Schema) -> list[str]:
    """What is wrong with the answers to the values at one place; what was taken is kept for `test_taken`."""
    wrong = []
    for value in values_for(schema):
        body = request.raw(place, value)
        answer = await sweep.sender.send(request, body)
        found = fault_of(answer, allowed=refuses_a_row(answer) or may_be_taken(schema, COMPONENTS, value))
        if found:
            wrong.append(f"{shown_place(place)} {shown(value)}: {found}")
        elif answer.status_code < 300 and not refuses_a_row(answer):
            sweep.taken[str(request.operation)].append((shown_place(place), body))
    return wrong


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_every_place_of_a_body_is_reached(sweep: Sweep, operation: Operation) -> None:
    """With what the contract gives as an example at that place, the request is taken, or refused for what it means."""
    request = sweep.requests[str(operation)]
    assert request.schema is not None
    unread = []
    for place, schema in places(request.schema):
        answer = await sweep.sender.send(
            request, orjson.dumps(_acceptable(request, place, schema), default=str)
        )
        faults = answer.json().get("errors", ()) if answer.status_code == 422 else ()
        if answer.status_code >= 500 or NOT_READ & {one["code"] for one in faults}:
            unread.append(f"{shown_place(place)}: {answer.status_code} {answer.text[-300:]}")
    assert not unread, "\n".join(unread)


def _acceptable(request: Request, place: Place, schema: Schema) -> Any:
    return (
        request.body if at_place(request.body, place) is not None else request.having(place, sample(schema))
    )
