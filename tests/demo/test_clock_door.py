"""The door to the domain clock: open where the owner granted it, shut by the database everywhere else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from app.core.roles import set_clock_door
from app.main import create_app
from app.settings import Settings
from tests.world import World


@pytest_asyncio.fixture
async def opened(world: World) -> AsyncIterator[World]:
    await set_clock_door(world.dsns.owner, is_open=True)
    yield world
    await set_clock_door(world.dsns.owner, is_open=False)


async def test_the_clock_moves_for_everybody_and_goes_back(opened: World) -> None:
    wanted = datetime.now(UTC) + timedelta(days=23)
    moved = await opened.send("hub_a", "PUT", "/v1/dev/clock", {"now": wanted.isoformat()})
    assert moved.status_code == 200, moved.text
    seen = (await opened.get("employer_a", "/v1/dev/clock")).json()
    assert abs(datetime.fromisoformat(seen["now"]) - wanted) < timedelta(seconds=5)
    back = await opened.send("employer_a", "PUT", "/v1/dev/clock", {"offset_seconds": 0})
    assert back.json()["offset_seconds"] == 0


async def test_what_cannot_be_a_time_is_refused_with_a_pointer(opened: World) -> None:
    for body, code in (
        ({}, "one_of"),
        ({"now": "2026-12-01T10:00:00", "offset_seconds": None}, "offset_required"),
        ({"offset_seconds": 10**12}, "out_of_range"),
    ):
        refused = await opened.send("hub_a", "PUT", "/v1/dev/clock", body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"] == code


async def test_the_database_itself_shuts_the_door(world: World) -> None:
    refused = await world.send("hub_a", "PUT", "/v1/dev/clock", {"offset_seconds": 3600})
    assert refused.status_code == 404
    application = await asyncpg.connect(world.dsns.app)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await application.execute("SELECT app.move_clock(3600)")
    finally:
        await application.close()
    assert await world.count("clock", "offset_seconds = 0") == 1


async def test_shutting_the_door_puts_the_clock_back(world: World) -> None:
    await world.move_clock(datetime.now(UTC) + timedelta(days=3))
    await set_clock_door(world.dsns.owner, is_open=False)
    assert await world.count("clock", "offset_seconds = 0") == 1


async def test_in_production_there_is_no_such_route(world: World) -> None:
    settings = Settings(
        env="production",
        database_url=world.dsns.app,
        base_url="https://tendays.test",
        secret_key="a" * 43 + "=",
    )
    paths = {getattr(route, "path", "") for route in create_app(settings).routes}
    assert "/v1/dev/clock" not in paths
