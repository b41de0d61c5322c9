"""API and worker in one process: what is confirmed through it is numbered and in the feed, without a second one."""

import asyncio

import httpx

from app.main import create_app
from app.settings import Settings
from tests.world import World


async def test_one_process_can_hold_both(world: World) -> None:
    settings = Settings(
        env="test",
        database_url=world.dsns.app,
        worker_database_url=world.dsns.worker,
        data_dir=world.data_dir,
        with_worker=True,
        base_url="http://tendays.test",
    )
    booking = await world.booking(state="confirmed")
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        for _ in range(100):
            numbered = await world.count("events", "order_key = $1 AND position IS NOT NULL", booking["id"])
            if numbered == 4:
                break
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as http:
            assert (await http.get("/health")).json() == {"status": "ok"}
    assert numbered == 4
    feed = (await world.get("school_a", "/v1/events")).json()
    assert [one["type"] for one in feed["data"]] == ["booking.requested", "booking.confirmed"]
    assert [one["sequence"] for one in feed["data"]] == [1, 2]
