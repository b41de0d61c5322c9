"""What one request may ask for at most, and that others have their turn while it is handled."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from app.core import turns
from app.core.json_reader import MOST_FAULTS
from app.core.turns import SLICE
from app.encounters import service as encounters
from app.offers import service as offers
from app.students import sql as students
from tests.world import World

START = (datetime.now(UTC) + timedelta(days=35)).replace(minute=0, second=0, microsecond=0)
RATIO = 5
"""The worst wait of others under the worst request that is allowed, against that under an ordinary one."""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def signed(world: World) -> None:
    """The school outside the trust has recorded its agreement."""
    await world.insert(
        "agreements", controller_id=world["school_c"], agreement_version="1", signed_on=date(2026, 9, 1),
        signatory_role="Head", lawful_basis="public task", recorded_by=world.clients["school_c"],
    )  # fmt: skip


async def offer(world: World) -> str:
    slot = await world.slot()
    return str(await world.owner.fetchval("SELECT offer_id FROM slots WHERE id = $1", slot))


def slots(offer_id: str, rows: int, sittings: int) -> dict[str, Any]:
    """Slots with so many sittings of half an hour each, one after another."""
    begins = [START + timedelta(hours=at) for at in range(sittings)]
    times = [
        {
            "starts_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "ends_at": f"{at + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}",
        }
        for at in begins
    ]
    return {
        "slots": [
            {"external_ref": str(uuid4()), "offer_id": offer_id, "capacity": 5, "sittings": times}
            for _ in range(rows)
        ]
    }


def pupils(rows: int, needs: int = 0) -> dict[str, Any]:
    return {
        "pupils": [
            {
                "external_ref": str(uuid4()), "given_name": "Ada", "family_name": f"Example{at}",
                "date_of_birth": "2014-03-09", "nc_year": "8", "known_as": None if not needs else "x" * needs,
            }
            for at in range(rows)
        ]
    }  # fmt: skip


@asynccontextmanager
async def lag() -> AsyncIterator[list[float]]:
    """The longest that the event loop was not free: seconds of this thread, so that other processes do not count."""
    worst, done = [0.0], asyncio.Event()

    async def watch() -> None:
        seen = time.thread_time()
        while not done.is_set():
            await asyncio.sleep(0.001)
            now = time.thread_time()
            worst[0], seen = max(worst[0], now - seen), now

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield worst
    finally:
        done.set()
        await task


async def worst_lag(send: Callable[[], Awaitable[Any]], times: int = 2) -> float:
    """The least of several worst lags: what is made once (a statement compiled, a cache filled) is not counted."""
    found = []
    for _ in range(times):
        async with lag() as worst:
            answer = await send()
        assert answer.status_code == 200, answer.text
        found.append(worst[0])
    return min(found)


async def test_others_wait_no_longer_under_the_worst_request_than_under_an_ordinary_one(world: World) -> None:
    offer_id = await offer(world)
    roll = f"/v1/schools/{world['school_c']}/pupils/bulk"
    wide = {f"x{at}": 1 for at in range(900)}

    async def lag_of(who: str, path: str, make: Callable[[], Any]) -> float:
        bodies = [orjson.dumps(make()) for _ in range(2)]
        return await worst_lag(lambda: world.post(who, path, bodies.pop()))

    ordinary = max(
        await lag_of("employer_a", "/v1/slots/bulk", lambda: slots(offer_id, 50, 2)),
        await lag_of("school_c", roll, lambda: pupils(50)),
    )
    worst = {
        "500 slots with 10 sittings": await lag_of(
            "employer_a", "/v1/slots/bulk", lambda: slots(offer_id, 500, 10)
        ),
        "50 slots with 100 sittings": await lag_of(
            "employer_a", "/v1/slots/bulk", lambda: slots(offer_id, 50, 100)
        ),
        "500 pupils": await lag_of("school_c", roll, lambda: pupils(500)),
        "500 pupils of 900 unknown members": await lag_of(
            "school_c", roll, lambda: {"pupils": [{**one, **wide} for one in pupils(500)["pupils"]]}
        ),
        "500 pupils with long texts": await lag_of(
            "school_c",
            roll,
            lambda: {"pupils": [{**one, "access_needs": "n" * 2000} for one in pupils(500)["pupils"]]},
        ),
    }
    sys.stdout.write(
        f"ms: {ordinary * 1000:.1f} ordinary, { ({name: round(one * 1000, 1) for name, one in worst.items()}) }\n"
    )
    for name, measured in worst.items():
        assert measured <= RATIO * ordinary, (
            f"{name}: {measured * 1000:.1f} ms against {ordinary * 1000:.1f} ms"
        )


# --- slices ----------------------------------------------------------------------------------------------


def counting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, size: Callable[..., int]) -> list[int]:
    """How many rows each call of a function writes."""
    found: list[int] = []
    real = getattr(owner, name)

    async def counted(*args: Any, **kwargs: Any) -> Any:
        found.append(size(*args, **kwargs))
        return await real(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return found


async def test_slots_are_written_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_id = await offer(world)
    written = counting(monkeypatch, offers.sql, "add_slots", lambda _tx, rows: len(rows))
    for body, sizes in (
        (slots(offer_id, 500, 5), [SLICE] * 10),
        (slots(offer_id, 120, 1), [50, 50, 20]),
        (slots(offer_id, 10, 100), [2] * 5),
    ):
        answer = await world.post("employer_a", "/v1/slots/bulk", body)
        assert answer.json()["created"] == len(body["slots"]), answer.text
        assert written == sizes
        written.clear()


async def test_a_large_roll_is_written_in_slices_and_told_of_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    written = counting(monkeypatch, students, "write", lambda _tx, _school, rows: len(rows["added"]))
    body = {"pupils": [{**one, "access_needs": "n" * 1000} for one in pupils(500)["pupils"]]}
    body["pupils"][320]["external_ref"] = body["pupils"][3]["external_ref"]
    events = await world.count("events")
    answer = await world.post("school_c", f"{path}?complete=true", body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["created"], answer.json()["refused"]) == (499, 1)
    assert answer.json()["data"][320]["errors"][0]["code"] == "duplicate_in_request"
    assert written == [50, 50, 50, 50, 50, 50, 49, 50, 50, 50]
    assert await world.count("events") - events == 1
    body["pupils"][400]["nc_year"] = "99"
    before = await world.fingerprint()
    refused = await world.post("school_c", f"{path}?atomic=true", body)
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == [
        "/pupils/320/external_ref",
        "/pupils/400/nc_year",
    ]
    assert await world.fingerprint() == before


async def test_large_encounters_are_written_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    child = await world.pupil("school_c")
    path = f"/v1/schools/{world['school_c']}/encounters/bulk"
    written = counting(monkeypatch, encounters, "record", lambda _tx, _school, told, **_: len(told))
    row = {
        "pupil_id": str(child), "kind": "workplace_visit", "employer_name": "A bakery",
        "per_day": [{"on": "2026-11-10", "in_person_minutes": 1}], "evidence": {"text": "e" * 2000},
    }  # fmt: skip
    rows = [{**row, "external_ref": str(uuid4())} for _ in range(150)]
    rows[149] = {**rows[149], "external_ref": rows[0]["external_ref"]}
    before = await world.count("encounters")
    refused = await world.post("school_c", f"{path}?atomic=true", {"encounters": rows})
    assert refused.status_code == 422
    assert await world.count("encounters") == before
    written.clear()
    answer = await world.post("school_c", path, {"encounters": rows})
    assert (answer.json()["recorded"], answer.json()["refused"]) == (149, 1)
    assert written == [SLICE] * 3
    assert [one["index"] for one in answer.json()["data"]] == list(range(150))


async def test_no_more_rows_than_a_slice_are_handled_without_a_turn_for_others() -> None:
    handled: list[int] = []
    seen: list[int] = []
    done = asyncio.Event()

    async def other() -> None:
        while not done.is_set():
            seen.append(len(handled))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    await turns.each(range(1_000), handled.append)
    done.set()
    await task
    assert max(after - before for before, after in pairwise(seen)) <= SLICE


# --- limits ----------------------------------------------------------------------------------------------


async def test_a_request_has_5000_sittings_and_500_rows_at_most(world: World) -> None:
    offer_id = await offer(world)
    before = await world.fingerprint()
    for body, code in (
        (slots(offer_id, 51, 100), "too_many_occurrences"),
        (slots(offer_id, 501, 1), "row_count"),
        ({"slots": []}, "row_count"),
    ):
        answer = await world.post("employer_a", "/v1/slots/bulk", body)
        assert (answer.status_code, [one["code"] for one in answer.json()["errors"]]) == (422, [code])
    assert await world.fingerprint() == before


async def test_an_answer_lists_100_errors_and_counts_the_rest(world: World) -> None:
    site = {f"x{at}": 1 for at in range(900)}
    single = await world.post("employer_a", "/v1/sites", site)
    assert single.status_code == 422
    assert len(single.json()["errors"]) == MOST_FAULTS
    assert single.json()["more_errors"] == 904 - MOST_FAULTS
    many = await world.post("employer_a", "/v1/sites", {f"x{at}": 1 for at in range(20_000)})
    assert [one["code"] for one in many.json()["errors"]] == ["too_long"]
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    rows: Sequence[dict[str, Any]] = [{**one, **site} for one in pupils(500)["pupils"]]
    bulk = await world.post("school_c", path, {"pupils": rows})
    listed = [len(one["errors"]) for one in bulk.json()["data"]]
    assert listed == [MOST_FAULTS] + [1] * 499
    assert bulk.json()["more_errors"] == 500 * MOST_FAULTS - MOST_FAULTS - 499
    assert len(bulk.content) < 300_000


async def test_500000_unknown_members_are_answered_shortly(world: World) -> None:
    raw = b"{" + b",".join(b'"k%d":1' % at for at in range(500_000)) + b"}"
    for who, path in (
        ("employer_a", "/v1/sites"),
        ("employer_a", "/v1/slots/bulk"),
        ("school_a", "/v1/bookings"),
    ):
        answer = await world.post(who, path, raw)
        assert answer.status_code in {413, 422}, path
        assert len(answer.content) < 1_000
    inside = b'{"slots": [' + raw + b"]}"
    answer = await world.post("employer_a", "/v1/slots/bulk", inside)
    assert [one["code"] for one in answer.json()["results"][0]["errors"]] == ["too_long"]
    assert len(answer.content) < 1_000


async def test_a_large_body_is_an_object_with_the_list_alone(world: World) -> None:
    filler = " " * 300_000
    for raw, status in (
        (f'{{"x": 1, "slots": [{{}}]}}{filler}', 422),
        (f'{{"slots": [{{}}], "x": 1}}{filler}', 422),
        (f'{{"slots": [{{}}], "slots": []}}{filler}', 422),
        (f'{{"slots": [{{}},]}}{filler}', 400),
        (f'{{"slots": [{{}} {{}}]}}{filler}', 400),
        (f'{{"slots": [{{}}]{filler}', 400),
        (f'{{"slots": [{{}}]}}x{filler}', 400),
        (f'{{"slots": [{{}}]}}{filler}x', 422),
        (f"[1]{filler}", 422),
        (f'{{"slots": [{{}}]}}{filler}', 200),
    ):
        answer = await world.post("employer_a", "/v1/slots/bulk", raw.encode())
        assert answer.status_code == status, (raw[:40], answer.text)
