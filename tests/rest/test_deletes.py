"""What is deleted may be named with the version that was read: an old one is refused, and nothing is gone."""

from collections.abc import Awaitable, Callable

import pytest

from tests.programmes.pilot import pilot
from tests.world import World

pytestmark = pytest.mark.calendar

Made = Callable[[World], Awaitable[tuple[str, str]]]
STRANGERS = ("hub_b", "school_b", "school_c", "employer_b", "stranger_vendor")


async def _strand(world: World) -> tuple[str, str]:
    run = await pilot(world)
    return "hub_a", f"{run.path}/strands/{await run.strand('tours')}"


async def _target(world: World) -> tuple[str, str]:
    run = await pilot(world)
    target = await run.made("targets", {"measure": "schools", "value": 3})
    return "hub_a", f"{run.path}/targets/{target['id']}"


async def _allocation(world: World) -> tuple[str, str]:
    run = await pilot(world)
    await run.enrol("school_a")
    made = await run.made("allocations", {"school_id": world["school_a"], "amount_pence": 500})
    return "hub_a", f"{run.path}/allocations/{made['id']}"


async def _contact(world: World) -> tuple[str, str]:
    made = await world.post(
        "employer_a", "/v1/contacts", {"name": "Sam Reed", "role": "Manager", "email": "sam@example.org"}
    )
    assert made.status_code == 201, made.text
    return "employer_a", f"/v1/contacts/{made.json()['id']}"


async def _endpoint(world: World) -> tuple[str, str]:
    body = {"url": "https://receiver.example/hooks", "school_id": world["school_a"]}
    made = await world.post("school_a", "/v1/webhook-endpoints", body)
    assert made.status_code == 201, made.text
    return "school_a", f"/v1/webhook-endpoints/{made.json()['id']}"


@pytest.mark.parametrize("make", [_strand, _target, _allocation, _contact, _endpoint])
async def test_a_version_that_is_not_the_present_one_deletes_nothing(world: World, make: Made) -> None:
    who, path = await make(world)
    etag = (await world.get(who, path)).headers["etag"]
    before = await world.fingerprint()
    for old in ('"v9"', 'W/"v9"', '"no version"'):
        answer = await world.send(who, "DELETE", path, If_Match=old)
        assert (answer.status_code, answer.json()["code"]) == (412, "stale_etag"), answer.text
    for stranger in STRANGERS:
        for named in (etag, '"v9"'):
            answer = await world.send(stranger, "DELETE", path, If_Match=named)
            assert answer.status_code in {403, 404}, f"{stranger}: {answer.text}"
    assert await world.fingerprint() == before
    assert (await world.send(who, "DELETE", path, If_Match=etag)).status_code == 204
    assert (await world.get(who, path)).status_code == 404


async def test_any_version_that_there_is_may_be_meant(world: World) -> None:
    who, path = await _contact(world)
    assert (await world.send(who, "DELETE", path, If_Match="*")).status_code == 204
    assert (await world.send(who, "DELETE", path, If_Match="*")).status_code == 404
