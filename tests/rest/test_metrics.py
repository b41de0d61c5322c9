"""Metrics: counted by route and status, told only where asked for, and without a word of whose they are."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from aiohttp import web
from fastapi import FastAPI

from app.core.db import Database
from app.core.embedded import free_port
from app.core.ids import new_id
from app.main import create_app
from app.settings import Settings
from app.worker import measure, serve
from tests.world import World

ATTEMPTS = 'tendays_webhook_attempts_total{lane="normal",outcome="delivered"}'
RECEIVED = 'tendays_webhook_commit_to_receipt_seconds_bucket{lane="normal",le="+Inf"}'


def number(text: str, name: str) -> float:
    """A value of the text format; 0 for what has not been counted yet."""
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)


@pytest_asyncio.fixture(scope="module")
async def measured(world: World) -> AsyncIterator[FastAPI]:
    """A second application on the same house, which tells its metrics."""
    settings = Settings(
        env="test",
        database_url=world.dsns.app,
        data_dir=world.data_dir,
        metrics=True,
        base_url="http://tendays.test",
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def ask(app: FastAPI, method: str, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
        return await http.request(method, path, headers=headers)


async def test_without_the_setting_there_is_no_such_page(world: World) -> None:
    assert (await world.get(None, "/metrics")).status_code == 404


async def test_requests_are_counted_by_the_template_of_their_route(world: World, measured: FastAPI) -> None:
    token = {"Authorization": f"Bearer {world.tokens['school_a']}"}
    foreign = new_id()
    await ask(measured, "GET", "/v1/webhook-endpoints", **token)
    await ask(measured, "GET", f"/v1/webhook-endpoints/{foreign}", **token)
    await ask(measured, "GET", f"/nothing/{foreign}")
    await ask(measured, "BREW", "/v1/webhook-endpoints")
    told = await ask(measured, "GET", "/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    for method, route, status in (
        ("GET", "/v1/webhook-endpoints", 200),
        ("GET", "/v1/webhook-endpoints/{endpoint_id}", 404),
        ("GET", "other", 404),
    ):
        assert f'tendays_requests_total{{method="{method}",route="{route}",status="{status}"}}' in told.text
    assert 'method="BREW"' not in told.text
    assert str(foreign) not in told.text


async def test_a_worker_tells_queue_attempts_and_the_time_to_the_receipt(
    world: World, measured: FastAPI
) -> None:
    came, port = asyncio.Event(), free_port()
    first = (await ask(measured, "GET", "/metrics")).text  # of this process: other tests have counted, too
    before, received = number(first, ATTEMPTS), number(first, RECEIVED)

    async def take(request: web.Request) -> web.Response:
        await request.read()
        came.set()
        return web.Response(status=204)

    receiver = web.Application()
    receiver.router.add_post("/", take)
    runner = web.AppRunner(receiver, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Settings(
        env="test", database_url=world.dsns.app, worker_database_url=world.dsns.worker, data_dir=world.data_dir,
        metrics_port=port,
    )  # fmt: skip
    stop = asyncio.Event()
    work = asyncio.create_task(serve(settings, stop))
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        made = await world.post("school_a", "/v1/webhook-endpoints", {"url": url})
        await world.post("school_a", f"/v1/webhook-endpoints/{made.json()['id']}/test")
        await asyncio.wait_for(came.wait(), 10)
        text = ""
        async with asyncio.timeout(10), httpx.AsyncClient() as http:
            while number(text, ATTEMPTS) == before or "queue_depth{" not in text:
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await work
        await runner.cleanup()
    assert (number(text, ATTEMPTS), number(text, RECEIVED)) == (before + 1, received + 1)
    assert 'tendays_webhook_queue_depth{lane="safety"} 0.0' in text
    labels = set(re.findall(r"[{,](\w+)=", text))
    known = {"lane", "outcome", "le", "state", "method", "route", "status", "task", "reason", "check", "by"}
    assert labels <= known
    for name in (*world.ids.values(), *world.clients.values()):
        assert str(name) not in text


async def test_depth_age_and_endpoints_are_as_they_stand(world: World, measured: FastAPI) -> None:
    endpoint = await world.owner.fetchval("SELECT id FROM webhook_endpoints WHERE state = 'active'")
    row: dict[str, Any] = {
        "endpoint_id": endpoint, "org_id": world["school_a"], "event_id": new_id(), "event_type": "webhook.test",
        "order_key": new_id(), "sequence": 1, "position": 1, "lane": "safety",
    }  # fmt: skip
    made = await world.insert("deliveries", **row)
    await world.owner.execute(
        "UPDATE deliveries SET created_at = now() - interval '90 s', due_at = now() - interval '30 s' WHERE id = $1",
        made,
    )
    await world.owner.execute("UPDATE webhook_endpoints SET failing_since = now()")
    db = await Database(world.dsns.worker, development=True).open()

    async def told_now() -> dict[str, str]:
        await measure(db)
        lines = (await ask(measured, "GET", "/metrics")).text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if " " in line)

    try:
        told = await told_now()
        await world.owner.execute("UPDATE webhook_endpoints SET state = 'paused' WHERE id = $1", endpoint)
        paused = await told_now()
    finally:
        await db.close()
        await world.owner.execute("UPDATE webhook_endpoints SET state = 'active' WHERE id = $1", endpoint)
        await world.owner.execute("DELETE FROM deliveries WHERE id = $1", made)
    assert told['tendays_webhook_queue_depth{lane="safety"}'] == "1.0"
    assert 90 <= float(told['tendays_webhook_queue_oldest_seconds{lane="safety"}']) < 120
    assert 30 <= float(told['tendays_webhook_queue_overdue_seconds{lane="safety"}']) < 60
    assert told['tendays_webhook_queue_overdue_seconds{lane="normal"}'] == "0.0"
    assert told['tendays_webhook_endpoints{state="failing"}'] == "1.0"
    assert paused['tendays_webhook_queue_depth{lane="safety"}'] == "1.0"
    assert paused['tendays_webhook_queue_overdue_seconds{lane="safety"}'] == "0.0", (
        "the queue keeps nobody waiting"
    )
