"""What is too much is said at once, what cannot be stored is said as it is, and neither costs the caller anything."""

import base64
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from app.access.rates import REQUESTS, Rates
from app.core.db import _Queue
from app.core.errors import Overloaded
from app.core.ids import new_id
from app.core.secrets import new_client_secret
from tests.world import World

# --- allowances -------------------------------------------------------------------------------------


def test_schools_made_up_multiply_no_allowance_and_are_remembered_nowhere() -> None:
    rates, client = Rates(REQUESTS), new_id()
    allowed = sum(rates.take(client, uuid4())[1] is None for _ in range(3_000))
    assert allowed <= REQUESTS.quota + 20
    assert len(rates) == 1
    school = uuid4()
    rates.known(client, school)
    assert rates.take(client, school)[1] is None, "a school of the client's has an allowance of its own"


async def test_a_school_that_is_not_the_callers_costs_the_callers_own_allowance(world: World) -> None:
    limiter = world.app.state.house.limiter
    mine = await world.get("vendor", f"/v1/bookings?school_id={world['school_a']}")
    assert mine.status_code == 200, mine.text
    before = len(limiter)
    for _ in range(5):
        for school in (uuid4(), world["school_c"]):
            answer = await world.get("vendor", f"/v1/bookings?school_id={school}")
            assert answer.status_code == 404, answer.text
    assert len(limiter) <= before + 1
    assert (world.clients["vendor"], world["school_a"]) in limiter._known
    assert (world.clients["vendor"], world["school_c"]) not in limiter._known


async def test_a_token_attempt_that_fails_for_a_reason_of_ours_costs_nothing(world: World) -> None:
    queue = world.app.state.house.db._write_queue
    name = base64.b64encode(f"{new_id()}:{new_client_secret('live')}".encode()).decode()
    headers = {"Authorization": f"Basic {name}", "Content-Type": "application/x-www-form-urlencoded"}
    form = b"grant_type=client_credentials"

    async def attempt():
        return await world.http.post("/oauth/token", content=form, headers=headers)

    first = await attempt()
    assert first.status_code == 401
    left = first.headers["RateLimit"]
    queue._waiting += 10**6
    try:
        for _ in range(40):
            refused = await attempt()
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert refused.headers["Retry-After"]
    finally:
        queue._waiting -= 10**6
    then = await attempt()
    assert then.status_code == 401, "of 30 attempts 40 are not used up"
    number = [int(one.split("r=")[1].split(";")[0]) for one in (left, then.headers["RateLimit"])]
    assert number[1] >= number[0] - 1


# --- the queue for a connection ---------------------------------------------------------------------


def test_a_queue_is_bounded_and_one_that_does_not_move_takes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("app.core.db.time.monotonic", lambda: now[0])
    queue = _Queue(2)
    waiting = [queue.ask() for _ in range(200)]
    with pytest.raises(Overloaded):
        queue.ask()
    for one in waiting:
        one.got()
        one.done()
    first = queue.ask()
    now[0] += 1.0
    queue.ask().done()
    now[0] += 2.1
    with pytest.raises(Overloaded):
        queue.ask()
    first.done()
    queue.ask().done()


@pytest.mark.parametrize("api", ["rest", "graphql"])
async def test_overload_is_said_at_once_with_retry_after_in_both_apis(world: World, api: str) -> None:
    queue = world.app.state.house.db._read_queue
    queue._waiting += 10**6
    try:
        if api == "rest":
            answer = await world.get("school_a", "/v1/bookings")
        else:
            answer = await world.send("hub_a", "POST", "/graphql", {"query": "{ schools { totalCount } }"})
    finally:
        queue._waiting -= 10**6
    assert (answer.status_code, answer.json().get("code")) == (503, "overloaded"), answer.text
    assert int(answer.headers["Retry-After"]) > 0


# --- what cannot be stored --------------------------------------------------------------------------


async def test_a_partition_that_is_missing_is_503_and_made_at_once(world: World) -> None:
    month = datetime.now(UTC).strftime("%Y%m")
    await world.owner.execute(f"ALTER TABLE events DETACH PARTITION events_{month}")
    slot = await world.slot()
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "8"}
    refused = await world.post("school_a", "/v1/bookings", body, key="again")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
    assert int(refused.headers["Retry-After"]) > 0
    done = await world.post("school_a", "/v1/bookings", body, key="again")
    assert done.status_code == 201, done.text
    assert (await world.get(None, "/health/ready")).json() == {"status": "ok"}


STATES = [
    ("53100", "storage_full"), ("53200", "unavailable"), ("53300", "unavailable"), ("57P01", "unavailable"),
    ("57P03", "unavailable"), ("58030", "unavailable"), ("25006", "unavailable"), ("57014", "overloaded"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "code"), STATES)
async def test_what_the_server_cannot_do_at_present_is_503_with_retry_after(
    world: World, state: str, code: str
) -> None:
    slot = await world.slot()
    await world.owner.execute(
        "CREATE FUNCTION cannot() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION 'cannot' USING ERRCODE = '{state}'; END $$"
    )
    await world.owner.execute(
        "CREATE TRIGGER cannot BEFORE INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION cannot()"
    )
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "nc_year": "8"}
    db = world.app.state.house.db
    try:
        refused = await world.post("school_a", "/v1/bookings", body)
        assert (refused.status_code, refused.json()["code"]) == (503, code), refused.text
        assert int(refused.headers["Retry-After"]) > 0
        if code == "storage_full":
            assert await db.state() == "storage_full"
            db._full_at = None
    finally:
        await world.owner.execute("DROP TRIGGER cannot ON bookings; DROP FUNCTION cannot()")
    assert (await world.post("school_a", "/v1/bookings", body)).status_code == 201


async def _new_sessions(world: World) -> None:
    """End those of the application, at the server: behind a pooler they outlive its connections."""
    admin = await asyncpg.connect(world.dsns.admin)
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
        " WHERE usename = 'tendays_app' AND datname = $1",
        await world.owner.fetchval("SELECT current_database()"),
    )
    await admin.close()


async def test_readiness_reads_and_writes(world: World) -> None:
    db = world.app.state.house.db
    assert await db.state() == "ok"
    name = await world.owner.fetchval("SELECT current_database()")
    await world.owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        await _new_sessions(world)
        assert await db.state() == "not_writable"
        answer = await world.get("school_a", "/v1/bookings")
        assert answer.status_code == 200, "what only reads goes on"
    finally:
        await world.owner.execute("SET default_transaction_read_only = off")
        await world.owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await _new_sessions(world)
    assert await db.state() == "ok"
    for path in ("/health", "/health/ready", "/health/live"):
        assert (await world.get(None, path)).json() == {"status": "ok"}
    house = world.app.state.house
    house.stopping = True
    try:
        for path in ("/health", "/health/ready"):
            answer = await world.get(None, path)
            assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
        assert (await world.get(None, "/health/live")).status_code == 200
    finally:
        house.stopping = False
