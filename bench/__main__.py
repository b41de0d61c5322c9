"""`make bench`: commit-to-receipt, reads against *bare*, statements per request. Words: docs/measurements.md."""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson

from app.core import db as doors
from app.core.embedded import free_port
from bench import coverage, crediting, data
from bench.load import press
from bench.stand import FOLDER, ISSUER, Stand, fresh

CREDITING_AT_MOST = 1.2


# --- reads against bare ------------------------------------------------------------------------------------------


COVERAGE = orjson.dumps(
    {
        "query": "{ coverage(by: SCHOOL, first: 50) { edges { node { label figures { pupils minutes days at50Hours { count } } } } totalCount } }"
    }
)


async def reads(up: Stand, *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Requests a second of one API process, and the ratio to bare on the same statements, round by round."""
    cases = [
        ("slot search", "school", "/v1/open-slots?kind=workplace_tour&year_group=8&limit=50", b""),
        ("booking list", "school", f"/v1/bookings?school_id={up.made.school}&limit=50", b""),
        ("hub coverage", "hub", "/graphql", COVERAGE),
    ]
    captured = await _capture(up, cases)
    found = []
    for name, who, path, body in cases:
        entered = {
            "app.client": str(up.made.clients[who]),
            "app.org": str(getattr(up.made, who)),
            "app.kind": who,
        }
        entered["app.schools"] = "{" + (str(up.made.school) if who == "school" else "") + "}"
        async with _bare(up, captured, entered) as port:
            ratios, rates = [], []
            for _ in range(rounds):
                ours = await press(
                    "127.0.0.1", up.port, path, up.headers(who), connections=16, seconds=seconds, body=body
                )
                bare = await press(
                    "127.0.0.1", port, f"/{name.replace(' ', '_')}", {}, connections=16, seconds=seconds
                )
                if ours.failures or bare.failures:
                    raise RuntimeError(f"{name}: {ours.failures} and {bare.failures} answers were not 200")
                rates.append((ours.rate, bare.rate))
                ratios.append(ours.rate / bare.rate)
        found.append(
            {
                "what": name,
                "ours": statistics.median(one for one, _ in rates),
                "bare": statistics.median(one for _, one in rates),
                "ratio": statistics.median(ratios),
                "from": min(ratios),
                "to": max(ratios),
                "statements": len(captured[name.replace(" ", "_")]),
            }
        )
    return found


async def _capture(
    up: Stand, cases: list[tuple[str, str, str, bytes]]
) -> dict[str, list[tuple[str, list[Any]]]]:
    """The statements that each request sends, as asyncpg gets them: taken from an application in this process."""
    from app.main import create_app  # noqa: PLC0415
    from app.settings import Settings  # noqa: PLC0415

    seen: list[tuple[str, list[Any]]] = []
    real = doors._compiled  # noqa: SLF001

    def noting(stmt: Any, params: Any) -> tuple[str, list[Any]]:  # noqa: ANN401
        sql, args = real(stmt, params)
        seen.append((sql, args))
        return sql, args

    settings = Settings(env="production", database_url=up.dsns.app, secret_key=up.master, base_url=ISSUER)  # type: ignore[arg-type]
    application = create_app(settings)
    captured = {}
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url=up.base) as http:
            doors._compiled = noting  # noqa: SLF001
            try:
                for name, who, path, body in cases:
                    seen.clear()
                    answer = await http.request(
                        "POST" if body else "GET", path, content=body, headers=up.headers(who)
                    )
                    if answer.status_code != 200 or b'"errors"' in answer.content:
                        raise RuntimeError(f"{name}: {answer.text[:500]}")
                    captured[name.replace(" ", "_")] = [one for one in seen if "domain_now" not in one[0]]
            finally:
                doors._compiled = real  # noqa: SLF001
    return captured


@contextlib.asynccontextmanager
async def _bare(up: Stand, captured: dict[str, Any], entered: dict[str, str]) -> AsyncIterator[int]:
    port = free_port()
    # captured once, read by the bare process
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(captured, file, default=_plain)
    environment = {
        **os.environ,
        "BARE_QUERIES": file.name,
        "BARE_DSN": up.dsns.owner,
        "BARE_SETTINGS": json.dumps(entered),
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "bench.bare:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(
        [*command, "--loop", "uvloop", "--http", "httptools"], env=environment, cwd=FOLDER
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        Path(file.name).unlink()


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, UUID):
        return {"uuid": str(value)}
    if hasattr(value, "hex"):
        return {"uuid": str(value)}
    return str(value)


# --- commit to receipt -------------------------------------------------------------------------------------------


async def receipt(up: Stand, folder: Path, *, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds from the instant COMMIT returned in the API process to the last byte at the receiver."""
    port, notes = free_port(), folder / "received"
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), str(notes)], cwd=FOLDER)
    count = min(int(rate * seconds), data.BOOKINGS // 10)  # one in ten is of the school that listens
    try:
        async with httpx.AsyncClient(
            base_url=up.base, limits=httpx.Limits(max_connections=50), timeout=60
        ) as http:
            await asyncio.sleep(1)
            endpoint = {"url": f"http://127.0.0.1:{port}/", "event_types": ["booking.confirmed"]}
            made = await http.post("/v1/webhook-endpoints", json=endpoint, headers=_once(up, "school"))
            made.raise_for_status()
            ids = await _requested(up, count)
            commits = await _confirm(up, http, ids, rate)
        await asyncio.sleep(2)
    finally:
        process.terminate()
        process.wait(10)
    return _latencies(notes, commits)


def _once(up: Stand, who: str) -> dict[str, str]:
    return up.headers(who, **{"Idempotency-Key": str(uuid4())})


async def _requested(up: Stand, count: int) -> list[str]:
    owner = await asyncpg.connect(up.dsns.owner)
    rows = await owner.fetch(
        "SELECT id FROM bookings WHERE school_id = $1 AND state = 'requested' ORDER BY id LIMIT $2",
        up.made.school,
        count,
    )
    await owner.close()
    if len(rows) < count:
        raise RuntimeError("not enough requested bookings")
    return [str(row["id"]) for row in rows]


async def _confirm(up: Stand, http: httpx.AsyncClient, ids: list[str], rate: float) -> dict[str, float]:
    commits: dict[str, float] = {}

    async def one(booking: str) -> None:
        answer = await http.post(f"/v1/bookings/{booking}/confirm", json={}, headers=_once(up, "employer"))
        answer.raise_for_status()
        commits[booking] = float(answer.headers["tendays-committed-at"])

    began = time.perf_counter()
    tasks = []
    for at, booking in enumerate(ids):
        await asyncio.sleep(max(0.0, began + at / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(booking)))
    await asyncio.gather(*tasks)
    return commits


def _latencies(notes: Path, commits: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in notes.read_bytes().splitlines():
        at, _, body = line.partition(b" ")
        booking = orjson.loads(body)["data"]["booking_id"]
        found.setdefault(booking, (float(at) - commits[booking]) * 1000)
    values = sorted(found.values())
    if len(values) != len(commits):
        raise RuntimeError(f"{len(commits)} confirmed, {len(values)} received")
    return {
        "confirmed": len(commits),
        "received": len(values),
        "p50_ms": values[len(values) // 2],
        "p99_ms": values[min(len(values) - 1, int(len(values) * 0.99))],
        "max_ms": values[-1],
    }


# --- all of it ---------------------------------------------------------------------------------------------------


async def main() -> int:
    """Run what was asked for and print it as tables."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each press")
    parser.add_argument("--rounds", type=int, default=3, help="ours and bare in turn, so often")
    parser.add_argument("--rate", type=float, default=20.0, help="confirmations a second")
    parser.add_argument("--only", choices=["receipt", "reads", "coverage", "crediting"], help="one of them")
    coverage.arguments(parser)
    given = parser.parse_args()
    if given.only in (None, "receipt"):
        async with fresh("test") as (up, folder):
            print(f"commit to receipt at {given.rate:.0f} confirmations a second")
            told = await receipt(up, folder, rate=given.rate, seconds=15)
            print("  " + ", ".join(f"{name} {value:.1f}" for name, value in told.items()))
    if given.only in (None, "reads"):
        async with fresh("production") as (up, _folder):
            print("reads, one process, 16 connections      ours/s    bare/s   ratio  (from-to)   statements")
            for row in await reads(up, seconds=given.seconds, rounds=given.rounds):
                print(
                    f"  {row['what']:<34} {row['ours']:>10.0f} {row['bare']:>9.0f} {row['ratio']:>7.2f}"
                    f"  ({row['from']:.2f}-{row['to']:.2f}) {row['statements']:>8}"
                )
    if given.only in (None, "crediting"):
        async with fresh("production") as (up, _folder):
            ratio = await crediting.measure(up.dsns, rounds=100)
            met = "met" if ratio <= CREDITING_AT_MOST else "NOT MET"
            print(f"crediting {crediting.PUPILS} pupils, with summaries and marks against without")
            print(f"  ratio of medians {ratio:.2f}   (at most {CREDITING_AT_MOST})  {met}", flush=True)
    if given.only in (None, "coverage"):
        await coverage.measure(given)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
