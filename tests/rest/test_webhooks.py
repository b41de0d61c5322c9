"""Webhook routes over HTTP: what their own tests of service and worker do not see."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.ids import new_id
from tests.world import World


@pytest_asyncio.fixture
async def endpoint(world: World) -> dict[str, Any]:
    return await _register(world, ["v1", "v1a"])


async def _register(world: World, signatures: list[str]) -> dict[str, Any]:
    body = {"url": "https://hooks.example.org/x", "signatures": signatures}
    made = await world.post("school_a", "/v1/webhook-endpoints", body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


# --- public keys ----------------------------------------------------------------------------------


async def _keys(world: World, endpoint_id: Any) -> list[str]:
    answer = await world.get(None, f"/.well-known/webhook-keys/{endpoint_id}")
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["keys"], "nothing else is told"
    found: list[str] = answer.json()["keys"]
    return found


async def test_anybody_reads_the_public_keys_and_in_a_rotations_grace_the_old_one_too(
    world: World, endpoint: dict[str, Any]
) -> None:
    first = await _keys(world, endpoint["id"])
    assert first == [endpoint["public_key"]]
    Ed25519PublicKey.from_public_bytes(base64.b64decode(first[0].removeprefix("whpk_")))
    path = f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret"
    rotated = (await world.post("school_a", path, {"grace_days": 2})).json()
    assert await _keys(world, endpoint["id"]) == [rotated["public_key"], endpoint["public_key"]]
    await world.owner.execute(
        "UPDATE webhook_endpoints SET old_until = now() - interval '1 second' WHERE id = $1", endpoint["id"]
    )
    assert await _keys(world, endpoint["id"]) == [rotated["public_key"]]
    last = (await world.post("school_a", path, {"grace_days": 0})).json()
    assert await _keys(world, endpoint["id"]) == [last["public_key"]]


async def test_an_endpoint_that_is_unknown_off_gone_or_signed_otherwise_has_no_public_keys(
    world: World, endpoint: dict[str, Any]
) -> None:
    shared = await _register(world, ["v1"])
    await world.send("school_a", "DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")
    for each in (new_id(), shared["id"], endpoint["id"], "no-id-at-all"):
        answer = await world.get(None, f"/.well-known/webhook-keys/{each}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# --- replays --------------------------------------------------------------------------------------


async def test_a_replay_is_accepted_once_per_key_and_its_progress_is_read_by_its_owner_alone(
    world: World, endpoint: dict[str, Any]
) -> None:
    path = f"/v1/webhook-endpoints/{endpoint['id']}/replay"
    since = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    asked = {"only": "missed", "from_time": since}
    made = await world.post("school_a", path, asked, key="once")
    again = await world.post("school_a", path, asked, key="once")
    assert (made.status_code, again.status_code, again.json()) == (202, 202, made.json())
    assert made.headers["location"] == f"/v1/webhook-replays/{made.json()['id']}"
    shown = await world.get("school_a", made.headers["location"])
    assert (shown.status_code, shown.json()) == (200, made.json())
    assert (shown.json()["only"], shown.json()["state"], shown.json()["done"]) == ("missed", "running", 0)
    assert (await world.get("school_b", made.headers["location"])).status_code == 404
    assert (await world.post("school_b", path, asked)).status_code == 404
    second = await world.post("school_a", path, asked)
    assert (second.status_code, second.json()["code"]) == (409, "replay_running")
    wrong = await world.post("school_a", path, {"from_position": 1, "from_time": since, "only": "all"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")


# --- statistics -----------------------------------------------------------------------------------


async def test_an_owner_reads_the_figures_of_an_endpoint_and_a_stranger_does_not(
    world: World, endpoint: dict[str, Any]
) -> None:
    path = f"/v1/webhook-endpoints/{endpoint['id']}/stats"
    shown = (await world.get("school_a", path)).json()
    assert (shown["state"], shown["failing_since"], shown["warned"]) == ("active", None, 0)
    assert shown["oldest_pending_seconds"] is None
    assert sum(shown["last_7_days"]["deliveries"].values()) == 0
    assert shown["last_24_hours"]["elapsed_ms"] == {"p50": None, "p99": None}
    assert (await world.get("school_b", path)).status_code == 404
    assert (await world.get("school_a", f"/v1/webhook-endpoints/{new_id()}/stats")).status_code == 404


# --- lists ----------------------------------------------------------------------------------------


async def test_deliveries_are_filtered_over_http(world: World, endpoint: dict[str, Any]) -> None:
    made = await world.insert(
        "deliveries",
        endpoint_id=endpoint["id"],
        org_id=world["school_a"],
        event_id=new_id(),
        event_type="participation.no_show",
        order_key=new_id(),
        sequence=1,
        position=1,
        lane="safety",
        undelivered_raised_at=datetime.now(UTC),
    )
    ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    for query, count in (
        ("undelivered=true", 1),
        (f"undelivered=true&endpoint_id={endpoint['id']}", 1),
        ("undelivered=false", 0),
        ("state=failed", 0),
        (f"event_type=participation.*&created_from={ago}", 1),
        (f"created_to={ago}", 0),
    ):
        answer = await world.get("school_a", f"/v1/webhook-deliveries?{query}")
        assert [one["id"] for one in answer.json()["data"]] == [str(made)] * count, query
        assert (await world.get("school_b", f"/v1/webhook-deliveries?{query}")).json()["data"] == []
    assert (await world.get("school_a", "/v1/webhook-deliveries?created_to=soon")).status_code == 422


# --- health ---------------------------------------------------------------------------------------


async def test_upkeep_is_ill_when_partitions_run_short_while_the_process_can_still_serve(
    world: World,
) -> None:
    answer = await world.get(None, "/health/upkeep")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    last = await world.owner.fetchval(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYYMM')"
    )
    await world.owner.execute(f"DROP TABLE events_{last}")
    try:
        answer = await world.get(None, "/health/upkeep")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "partitions_short", "periods_ahead": 2},
        )
        assert (await world.get(None, "/health")).status_code == 200
    finally:
        await world.owner.execute("SELECT app.keep_partitions()")
