"""What was acceptable is kept, all of it at once; then everything still works for everybody: no row poisons another."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio

from app.core.db import Database
from app.worker import CHORES
from tests.proof.test_strangers import OPERATIONS, Operation
from tests.sweep.conftest import Sweep
from tests.sweep.places import places
from tests.sweep.test_bodies import WITH_BODY, wrong_at
from tests.today import time_in

pytestmark = pytest.mark.slow_suite
KEEPING = [
    one
    for one in WITH_BODY
    if one.method in {"PUT", "PATCH"} or "201" in one.document["responses"] or one.path.endswith("/bulk")
]
"""Operations that keep the values of their bodies."""
TURNS = 3
_numbers = itertools.count(700_000)


def _unique() -> dict[str, str]:
    """Members of a body that no two things may share."""
    number = next(_numbers)
    return {"external_ref": f"kept-{number}", "code": f"kept-{number}", "urn": str(number)}


def _own(body: bytes, place: str) -> bytes:
    """The body with references of its own, unless the odd value stands there."""
    whole = orjson.loads(body)
    own = {name: one for name, one in _unique().items() if whole.get(name) and place != f"/{name}"}
    return orjson.dumps(whole | own)


@pytest_asyncio.fixture(scope="module")
async def kept(sweep: Sweep) -> AsyncIterator[dict[str, list[str]]]:
    """The answers to everything that was acceptable, by operation, in transactions that were not undone."""
    for operation in KEEPING:
        await _find_taken(sweep, operation)
    answers: dict[str, list[str]] = {}
    with sweep.keeping():
        for operation in KEEPING:
            answers[str(operation)] = [
                await _keep(sweep, operation, *one) for one in sweep.taken[str(operation)]
            ]
        yield answers


async def _find_taken(sweep: Sweep, operation: Operation) -> None:
    """Where this module runs alone nobody has asked yet."""
    request = sweep.requests[str(operation)]
    if str(operation) not in sweep.taken and request.schema is not None:
        sweep.taken[str(operation)] = []
        for place, schema in places(request.schema):
            await wrong_at(sweep, request, place, schema)


async def _keep(sweep: Sweep, operation: Operation, place: str, body: bytes) -> str:
    request = sweep.requests[str(operation)]
    if request.if_match is not None:
        request = replace(request, if_match="*")
    answer = await sweep.sender.send(request, _own(body, place))
    return f"{answer.status_code} {place} {body[:300]!r} {answer.text[:200] if answer.status_code >= 300 else ''}"


@pytest.mark.parametrize("operation", KEEPING, ids=str)
async def test_what_was_acceptable_is_kept(kept: dict[str, list[str]], operation: Operation) -> None:
    answers = kept[str(operation)]
    assert not [one for one in answers if one.startswith("5")]
    assert [one for one in answers if one.startswith("2")], answers


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.method == "GET"], ids=str)
async def test_everything_can_be_read(sweep: Sweep, kept: Any, operation: Operation) -> None:
    answer = await sweep.sender.send(sweep.requests[str(operation)])
    assert answer.status_code < 300, answer.text[:500]


async def test_every_task_does_its_work(sweep: Sweep, kept: Any) -> None:
    database = await Database(sweep.world.dsns.worker, development=True).open()
    try:
        for _ in range(TURNS):
            for task in CHORES:
                await task.run(database)
    finally:
        await database.close()
    ours, _ = sweep.logs.checked()
    failed = [line for line in ours.splitlines() if '"worker.' in line or '"level": "error"' in line]
    assert not failed, "\n".join(failed)


async def test_another_school_books_and_comes(sweep: Sweep, kept: Any) -> None:
    """At the same employer's, of whom so much was said by others: from the search to the arrival."""
    world = sweep.world
    starts = time_in(14)
    slot = str(await world.slot(starts=starts))
    found = await world.get("school_b", f"/v1/open-slots/{slot}")
    assert found.status_code == 200, found.text
    listed = await world.get("school_b", f"/v1/open-slots?employer_id={world['employer_a']}&limit=200")
    assert listed.status_code == 200, listed.text
    asked = {"school_id": world["school_b"], "slot_id": slot, "places": 1, "nc_year": "8"}
    booking = await world.post("school_b", "/v1/bookings", asked)
    assert booking.status_code == 201, booking.text
    path = f"/v1/bookings/{booking.json()['id']}"
    confirmed = await world.post("employer_a", f"{path}/confirm")
    assert confirmed.status_code == 200, confirmed.text
    pupil = await world.pupil("school_b")
    named = await world.post("school_b", f"{path}/participants", {"pupils": [{"pupil_id": str(pupil)}]})
    assert named.status_code == 200, named.text
    await world.move_clock(starts + timedelta(minutes=5))
    there = {"arrivals": [{"participation_id": named.json()["data"][0]["id"]}], "missing": []}
    arrived = await world.post("employer_a", f"{path}/arrivals", there)
    await world.move_clock(None)
    assert arrived.status_code == 200, arrived.text
