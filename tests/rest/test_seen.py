"""Every request is seen: an id in its answer, a line in the log with what it announced, a trace if there is a tracer."""

import asyncio
import gzip
import os
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core.ids import new_id
from tests.world import World


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged, with the context it is logged in."""
    before = structlog.get_config()
    caught = structlog.testing.LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, caught],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    yield caught.entries
    structlog.configure(**before)


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    """What is traced. A process has one provider for good."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def of_requests(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "request"]


async def test_a_request_is_one_line_with_its_id_and_the_events_it_announced(
    world: World, lines: list[Any]
) -> None:
    slot = await world.slot()
    lines.clear()
    booking = await world.booking(slot=slot)
    told = of_requests(lines)[-1]
    written = await world.owner.fetch("SELECT id FROM events WHERE order_key = $1", UUID(booking["id"]))
    assert sorted(told["events"]) == sorted(str(row["id"]) for row in written)
    assert len(told["events"]) == 2  # one for each side
    assert (told["method"], told["route"], told["status"]) == ("POST", "/v1/bookings", 201)
    assert told["client_id"]
    answer = await world.get("school_a", "/v1/bookings")
    assert answer.headers["tendays-request-id"] == of_requests(lines)[-1]["request_id"] != told["request_id"]


async def test_an_id_of_the_clients_own_is_not_taken_for_ours(world: World, lines: list[Any]) -> None:
    answer = await world.get("school_a", "/v1/bookings", **{"TenDays-Request-Id": "theirs"})
    assert answer.headers.get_list("tendays-request-id") == [of_requests(lines)[-1]["request_id"]]


async def test_a_refused_request_announces_nothing_and_names_no_path(world: World, lines: list[Any]) -> None:
    foreign = new_id()
    answer = await world.post("school_b", f"/v1/bookings/{foreign}/confirm", {})
    told = of_requests(lines)[-1]
    assert answer.status_code == told["status"] == 404
    assert "events" not in told
    assert str(foreign) not in str(told)


async def test_a_request_is_traced_with_its_route_and_its_events(
    world: World, spans: InMemorySpanExporter
) -> None:
    spans.clear()
    await world.booking()
    traced = next(one for one in spans.get_finished_spans() if one.name == "POST /v1/bookings")
    told = [one for one in traced.events if one.name == "event.announced"]
    assert [one.attributes["tendays.event.type"] for one in told if one.attributes] == [
        "booking.requested"
    ] * 2


async def test_what_is_not_a_request_is_sent_to_the_collector_too() -> None:
    got: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await got.put((request.path, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    program = (
        "from app.core import traces\n"
        "assert traces.begin('tendays-worker')\n"
        "traces.ended('webhook.attempt', 1.0, 0.5, {'tendays.event.id': 'one'}, well=True)\n"
    )
    collector = f"http://127.0.0.1:{runner.addresses[0][1]}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    )
    assert await process.wait() == 0
    path, body = got.get_nowait()
    await runner.cleanup()
    assert path == "/v1/traces"
    assert all(
        word in gzip_or_not(body) for word in (b"webhook.attempt", b"tendays-worker", b"tendays.event.id")
    )


def gzip_or_not(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
