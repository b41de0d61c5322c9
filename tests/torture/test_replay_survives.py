"""A replay goes on where it was when the worker at it is killed: all of it comes, each event once, the same bytes."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio

from bench.torture.system import System, system

pytestmark = pytest.mark.slow_suite
EVENTS = 2_500
WRITE = """
INSERT INTO events (id, type, audience, audience_id, order_key, sequence, body, occurred_at)
SELECT i.id, 'webhook.test', 'school', $1, i.id, 1,
       convert_to(json_build_object('id', i.id, 'type', 'webhook.test', 'n', n)::text, 'UTF8'), now()
  FROM unnest($2::uuid[]) WITH ORDINALITY i (id, n)
"""


@pytest_asyncio.fixture
async def up() -> AsyncIterator[System]:
    folder = Path(tempfile.mkdtemp(prefix="tendays-torture-"))
    folder.chmod(0o711)
    async with system(folder, workers=1, seed=1) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


async def _asked(up: System, method: str, path: str, body: Any = None) -> Any:
    async with httpx.AsyncClient(base_url=up.base, timeout=30) as http:
        headers = {"Authorization": f"Bearer {up.tokens['school1']}", "Idempotency-Key": str(uuid4())}
        answer = await http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json()


async def _until(owner: asyncpg.Connection, query: str, wanted: Any, *args: Any) -> Any:
    async with asyncio.timeout(120):
        while not wanted(found := await owner.fetchval(query, *args)):  # noqa: ASYNC110 - Postgres has no event
            await asyncio.sleep(0.05)
    return found


async def test_a_replay_survives_the_death_of_the_worker_at_it(up: System) -> None:
    from app.core.ids import new_id  # noqa: PLC0415 - the harness knows nothing of the product but this

    up.calm()
    owner = await up.owner()
    await owner.execute(WRITE, up.stage.orgs["school1"], [new_id() for _ in range(EVENTS)])
    await _until(owner, "SELECT last FROM sequencer", lambda last: last >= EVENTS)
    url = f"http://127.0.0.1:{up.receiver_port}/school1"
    endpoint = await _asked(up, "POST", "/v1/webhook-endpoints", {"url": url, "from_position": EVENTS})
    replay = await _asked(
        up, "POST", f"/v1/webhook-endpoints/{endpoint['id']}/replay", {"only": "all", "from_position": 0}
    )
    queued = "SELECT queued FROM webhook_replays"
    before = await _until(owner, queued, lambda found: 0 < found < EVENTS)
    process = up.parts["worker1"].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert await owner.fetchval("SELECT state FROM webhook_replays") == "running", (
        "it was killed in the middle"
    )
    await _until(owner, "SELECT state FROM webhook_replays", lambda state: state == "done")
    await _until(
        owner, "SELECT count(*) FROM deliveries WHERE state <> 'delivered'", lambda waiting: waiting == 0
    )
    told = await _asked(up, "GET", f"/v1/webhook-replays/{replay['id']}")
    rows = await owner.fetch("SELECT event_id, count(*) FROM deliveries GROUP BY 1")
    bodies = {str(row["id"]): row["body"] for row in await owner.fetch("SELECT id, body FROM events")}
    await owner.close()
    arrived = [orjson.loads(line) for line in up.notes.read_bytes().splitlines()]
    assert before < EVENTS == told["queued"] == len(rows)
    assert {row["count"] for row in rows} == {1}
    assert {one["id"] for one in arrived if one["status"] == 204} == set(bodies)
    assert all(one["body"].encode("latin-1") == bodies[one["id"]] for one in arrived)
    again = Counter(one["id"] for one in arrived)
    assert sum(times - 1 for times in again.values()) < EVENTS / 10, "only what was under way came twice"
