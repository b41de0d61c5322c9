"""`make bench`: commit-to-receipt, reads against *bare*, statements per request. Words: docs/measurements.md."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson

from app.core import db as doors
from app.core.embedded import free_port
from bench import coverage, crediting, data, voice
from bench.load import press
from bench.stand import FOLDER, ISSUER, Stand, folder, fresh

CREDITING_AT_MOST = 1.2


class Unmeasured(Exception):
    """There is no figure to be had; the text says why."""


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

    settings = Settings(
        env="production", database_url=up.dsns.app, secret_key=up.master, base_url=ISSUER, log_level="warning"
    )  # type: ignore[arg-type]
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
    """Milliseconds from the commit to the last byte at the receiver.

    The commit is the moment that Postgres wrote into its commit record, which is before the disk has it and before the
    API hears of it: the figure holds the flush, and nothing is flattered. `api` is the same from the instant at which the
    API process says that COMMIT returned; when its loop is busy that is late, and the event may have arrived before.
    """
    port, notes = free_port(), folder / "received"
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), str(notes)], cwd=FOLDER)
    count = int(rate * seconds)
    try:
        async with httpx.AsyncClient(
            base_url=up.base, limits=httpx.Limits(max_connections=50), timeout=60
        ) as http:
            await asyncio.sleep(1)
            endpoint = {"url": f"http://127.0.0.1:{port}/", "event_types": ["booking.confirmed"]}
            made = await http.post("/v1/webhook-endpoints", json=endpoint, headers=_once(up, "school"))
            made.raise_for_status()
            ids = await _requested(up, count)
            said, real = await _confirm(up, http, ids, rate)
        await asyncio.sleep(2)
    finally:
        process.terminate()
        process.wait(10)
    received = _received(notes)
    exact, api = (_latencies(received, commits) for commits in (await _committed(up, ids), said))
    early = sum(received[one] < said[one] for one in said)
    return {
        **exact,
        **{f"api_{name}": api[name] for name in ("p50_ms", "p99_ms")},
        "api_early": early,
        "rate": real,
    }


async def _committed(up: Stand, ids: list[str]) -> dict[str, float]:
    """When each booking's confirmation was committed, in unix seconds, as Postgres noted it."""
    owner = await asyncpg.connect(up.dsns.owner)
    rows = await owner.fetch(
        "SELECT booking_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float AS at FROM booking_moves"
        " WHERE to_state = 'confirmed' AND booking_id = ANY ($1::uuid[])",
        ids,
    )
    await owner.close()
    return {str(row["booking_id"]): row["at"] for row in rows}


def _once(up: Stand, who: str) -> dict[str, str]:
    return up.headers(who, **{"Idempotency-Key": str(uuid4())})


async def _requested(up: Stand, count: int) -> list[str]:
    owner = await asyncpg.connect(up.dsns.owner)
    await data.requests(owner, up.made, count)
    rows = await owner.fetch(
        "SELECT id FROM bookings WHERE school_id = $1 AND state = 'requested' ORDER BY id LIMIT $2",
        up.made.school,
        count,
    )
    await owner.close()
    if len(rows) < count:
        raise RuntimeError("not enough requested bookings")
    return [str(row["id"]) for row in rows]


async def _confirm(
    up: Stand, http: httpx.AsyncClient, ids: list[str], rate: float
) -> tuple[dict[str, float], float]:
    """When each was committed, and how many a second there really were."""
    commits: dict[str, float] = {}

    async def one(booking: str) -> None:
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post(
                f"/v1/bookings/{booking}/confirm", json={}, headers=_once(up, "employer")
            )
            if answer.status_code == 200:
                commits[booking] = float(answer.headers["tendays-committed-at"])

    began = time.perf_counter()
    tasks: list[asyncio.Task[None]] = []
    for at, booking in enumerate(ids):
        await asyncio.sleep(max(0.0, began + at / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(booking)))
    await asyncio.gather(*tasks)
    if len(commits) < len(ids):
        raise Unmeasured(
            f"only {len(commits)} of {len(ids)} were confirmed: {rate:g} a second are too many here"
        )
    return commits, len(ids) / (time.perf_counter() - began)


def _received(notes: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in notes.read_bytes().splitlines():
        at, _, body = line.partition(b" ")
        found.setdefault(orjson.loads(body)["data"]["booking_id"], float(at))
    return found


def _latencies(received: dict[str, float], commits: dict[str, float]) -> dict[str, float]:
    if received.keys() != commits.keys():
        raise RuntimeError(f"{len(commits)} confirmed, {len(received)} received")
    values = sorted((received[one] - commits[one]) * 1000 for one in commits)
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
    parser.add_argument("--rate", type=float, default=50.0, help="confirmations a second")
    parser.add_argument("--receipt-seconds", type=float, default=15.0, help="of confirmations")
    parser.add_argument(
        "--only", choices=[*ALL, "voice"], help="one part; voice: receipt and all of webhooks"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of the held snapshot")
    parser.add_argument("--due", type=int, default=100_000, help="deliveries due while endpoints hang")
    parser.add_argument("--past", type=int, default=10_000_000, help="rows of the past")
    coverage.arguments(parser)
    parser.add_argument("--size", type=int, default=4000, help="deliveries of each round")
    given = parser.parse_args()
    wanted = {None: ("receipt", "reads", "crediting", "coverage"), "voice": VOICE}.get(
        given.only, (given.only,)
    )
    met = True
    if "receipt" in wanted:
        async with fresh("test") as (up, where):
            print(f"commit to receipt at {given.rate:.0f} confirmations a second")
            met = await _receipt_met(up, where, given)
    for name, part in _voices(given).items():
        if name in wanted:
            met = await _alone(part) and met
    if "reads" in wanted:
        async with fresh("production") as (up, _folder):
            print("reads, one process, 16 connections      ours/s    bare/s   ratio  (from-to)   statements")
            for row in await reads(up, seconds=given.seconds, rounds=given.rounds):
                print(
                    f"  {row['what']:<34} {row['ours']:>10.0f} {row['bare']:>9.0f} {row['ratio']:>7.2f}"
                    f"  ({row['from']:.2f}-{row['to']:.2f}) {row['statements']:>8}"
                )
    if "crediting" in wanted:
        met = await _crediting_met() and met
    if "coverage" in wanted:
        await coverage.measure(given)
    return 0 if met else 1


VOICE = ("receipt", "deliveries", "hanging", "past", "snapshot")
ALL = ("reads", "crediting", "coverage", *VOICE)


def receipt_targets(told: dict[str, float]) -> list[voice.Target]:
    """What is asked of commit to receipt at 50 confirmations a second."""
    words = f"{told['confirmed']:.0f} confirmed at {told['rate']:.1f} a second"
    return [
        voice.Target(f"commit to receipt {name}, ms", told[f"{name}_ms"], most, False, words)
        for name, most in (("p50", 15.0), ("p99", 100.0))
    ]


async def _receipt_met(up: Stand, folder: Path, given: argparse.Namespace) -> bool:
    try:
        told = await receipt(up, folder, rate=given.rate, seconds=given.receipt_seconds)
    except Unmeasured as why:
        print(f"  commit to receipt: MISSED; {why}; load average {os.getloadavg()[0]:.1f}")
        return False
    print("  " + ", ".join(f"{name} {value:.1f}" for name, value in told.items()))
    return _all_met(receipt_targets(told))


def _voices(given: argparse.Namespace) -> dict[str, Callable[[Path], Awaitable[list[voice.Target]]]]:
    """The parts of webhooks beside the receipt, by name."""
    rounds, size = given.rounds, given.size
    return {
        "deliveries": lambda folder: voice.against_transport(folder, rounds=rounds, size=size),
        "hanging": lambda folder: voice.beside_hanging(folder, size=given.due),
        "past": lambda folder: voice.beside_the_past(folder, rounds=rounds, size=size, rows=given.past),
        "snapshot": lambda folder: voice.beside_a_snapshot(folder, minutes=given.minutes),
    }


async def _alone(part: Callable[[Path], Awaitable[list[voice.Target]]]) -> bool:
    async with folder() as made:
        return _all_met(await part(made))


async def _crediting_met() -> bool:
    async with fresh("production") as (up, _folder):
        ratio = await crediting.measure(up.dsns, rounds=100)
    words = f"{crediting.PUPILS} pupils, with summaries and marks against without"
    return _all_met([voice.Target("crediting, ratio of medians", ratio, CREDITING_AT_MOST, False, words)])


def _all_met(targets: list[voice.Target]) -> bool:
    for one in targets:
        print(one, flush=True)
    return all(one.met for one in targets)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    sys.exit(asyncio.run(main()))
