"""One run: set the stage, let clients work while processes are killed, wait until all is quiet, write down the history."""

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from bench.torture.clients import Client, Follower, Granter, Known, SlotChanger
from bench.torture.history import Arrival, Booking, Delivery, Endpoint, Event, History, Move, Slot
from bench.torture.system import Killer, System, system

QUIET_SECONDS = 90.0
FOLLOWERS = ("school1", "school2", "employer")
RECEIVERS = (*FOLLOWERS, "vendor", "mis")
AGAIN = "again"
"""The path of a second endpoint of `school2`, with both signatures, which asks for everything once more."""
CLIENTS = ("school1", "school1", "school2", "employer", "employer")
_BUSY = """
SELECT (SELECT count(*) FROM events WHERE position IS NULL) + (SELECT count(*) FROM deliveries WHERE state = 'pending')
     + (SELECT s.last - f.position FROM sequencer s, fanout f)
     + (SELECT count(*) FROM webhook_endpoints WHERE filled_to IS NOT NULL)
     + (SELECT count(*) FROM webhook_replays WHERE state = 'running')
"""
_REPLAYS = "SELECT endpoint_id, state FROM webhook_replays"


async def torture(folder: Path, *, seconds: float, seed: int, workers: int = 2) -> History:
    """Kill for so many seconds, wait until all is quiet (90 s at most), and give what happened, not judged yet."""
    async with system(folder, workers=workers, seed=seed) as up:
        history = History(seed=seed)
        endpoints = await _register(up)
        schools = {name: str(up.stage.orgs[name]) for name in ("school1", "school2")}
        known = Known(up.base, up.tokens, schools, [str(one) for one in up.stage.slots], acts=history.acts)
        followers = [Follower(known, who, up.stage.sees(who)) for who in FOLLOWERS]
        killer = Killer(up, seed)
        async with asyncio.TaskGroup() as group:
            for number, who in enumerate(CLIENTS):
                group.create_task(Client(known, who, f"{seed} {number}").work())
            group.create_task(SlotChanger(known, f"{seed} slots").work())
            group.create_task(Granter(known, "school1", str(up.stage.orgs["mis"]), f"{seed} grants").work())
            for follower in followers:
                group.create_task(follower.follow())
            group.create_task(_revoke(up, known, endpoints, seconds * 0.6))
            group.create_task(_ask_again(known, endpoints[AGAIN], seconds * 0.5))
            await killer.work(seconds)
            up.calm()
            known.stop.set()
        await up.ready()
        await _quiet(up)
        history.kills = killer.kills
        history.feeds = [await follower.catch_up() for follower in followers]
        history.feeds += [await _from_the_start(known, who, up) for who in RECEIVERS]
        history.endpoints = list(endpoints.values())
        await _write_down(up, history)
        history.arrivals = _arrivals(up.notes, endpoints)
        return history


async def _register(up: System) -> dict[str, Endpoint]:
    """The endpoints by name, which is the path at the receiver: one for each organisation, and `again`."""
    found = {}
    async with httpx.AsyncClient(base_url=up.base, timeout=30) as http:
        for name in (*RECEIVERS, AGAIN):
            who = "school2" if name == AGAIN else name
            asked: dict[str, Any] = {
                "url": f"http://127.0.0.1:{up.receiver_port}/{name}", "from_position": 0,
                "signatures": ["v1", "v1a"] if name == AGAIN else ["v1"],
            }  # fmt: skip
            headers = {"Authorization": f"Bearer {up.tokens[who]}", "Idempotency-Key": f"endpoint-{name}"}
            made = await http.post("/v1/webhook-endpoints", json=asked, headers=headers)
            made.raise_for_status()
            told = made.json()
            public_key = told["public_key"] if "v1a" in told["signatures"] else None
            found[name] = Endpoint(told["id"], told["secret"], up.stage.sees(who), public_key=public_key)
    return found


async def _ask_again(known: Known, endpoint: Endpoint, after: float) -> None:
    """In the middle of it all an endpoint asks for everything once more: a job that outlives the workers at it."""
    await asyncio.sleep(after)
    path = f"/v1/webhook-endpoints/{endpoint.id}/replay"
    answer = await Client(known, "school2", AGAIN).once(path, {"only": "all", "from_position": 0})
    if answer.status != 202:
        raise RuntimeError(f"the replay was not begun: {answer.status} {answer.body}")
    endpoint.replay_to = orjson.loads(answer.body)["to_position"]


async def _revoke(up: System, known: Known, endpoints: dict[str, Endpoint], after: float) -> None:
    """In the middle of it all the school takes its grant back from the vendor."""
    await asyncio.sleep(after)
    answer = await Client(known, "school1", "grant").once(f"/v1/grants/{up.stage.grant}/revoke")
    if answer.status != 200:
        raise RuntimeError(f"the grant was not revoked: {answer.status} {answer.body}")
    endpoints["vendor"].revoked_at = time.time()
    endpoints["vendor"].keeps = [str(up.stage.orgs["vendor"])]


async def _from_the_start(known: Known, who: str, up: System) -> Any:  # noqa: ANN401
    """The whole feed of one reader, read when all is quiet; of `vendor` it holds by now only what is its own."""
    reader = Follower(known, who, [str(up.stage.orgs[who])] if who == "vendor" else up.stage.sees(who))
    reader.feed.reader = f"{who}, afterwards"
    return await reader.catch_up()


async def _quiet(up: System) -> None:
    """Until every event is numbered and no delivery waits; what waits longer is left for the judge to find."""
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        owner = await up.owner()
        busy = await owner.fetchval(_BUSY)
        await owner.close()
        if not busy:
            return
        await asyncio.sleep(0.2)


async def _write_down(up: System, history: History) -> None:
    owner = await up.owner()
    history.slots = [Slot(**row) for row in await _rows(owner, "SELECT id, capacity, taken FROM slots")]
    history.bookings = [
        Booking(**row)
        for row in await _rows(
            owner, "SELECT id, slot_id, state, places, proposal_slot_id, proposal_places FROM bookings"
        )
    ]
    moves = (
        "SELECT booking_id, no, action, to_state, to_slot_id, note FROM booking_moves ORDER BY booking_id, no"
    )
    history.moves = [Move(**row) for row in await _rows(owner, moves)]
    events = "SELECT id, position, type, audience_id, order_key, sequence, lane, body FROM events ORDER BY position"
    history.events = [Event(**row) for row in await _rows(owner, events)]
    history.last_position = await owner.fetchval("SELECT last FROM sequencer")
    deliveries = "SELECT endpoint_id, event_id, state, replay, due_at FROM deliveries"
    history.deliveries = [Delivery(**row) for row in await _rows(owner, deliveries)]
    states = {str(row["endpoint_id"]): row["state"] for row in await owner.fetch(_REPLAYS)}
    for endpoint in history.endpoints:
        endpoint.replay_state = states.get(endpoint.id)
    await owner.close()


async def _rows(owner: asyncpg.Connection, sql: str) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in await owner.fetch(sql)]


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if value is None or isinstance(value, int) else str(value)


def _arrivals(notes: Path, endpoints: dict[str, Endpoint]) -> list[Arrival]:
    lines = [orjson.loads(line) for line in notes.read_bytes().splitlines()]
    return [Arrival(endpoint_id=endpoints[line.pop("name")].id, **line) for line in lines]
