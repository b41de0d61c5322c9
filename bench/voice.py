"""What webhooks are measured by: the rate against *transport*, endpoints that hang, ten million past rows, a held snapshot.

Each part prints its figure beside its target. Nothing is averaged away: what misses says so, and the exit status with it.
"""

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.field import Field, Sinkhole, ceiling, middle, past, prepared, server, sinkhole, worker

ENDPOINTS = 16
"""Of eight posts at a time each: twice what one worker has under way, so that the worker is what is measured."""
TRANSPORT_LEAST, HANGING_MOST, PAST_MOST, SNAPSHOT_LEAST = 0.5, 2.0, 1.2, 0.8
MANY, HANGING = 1000, 50
AHEAD = 1500
"""How many events a steady flow keeps ahead of the worker."""


@dataclass(frozen=True)
class Target:
    """A figure, what is asked of it, and whether it is met."""

    name: str
    figure: float
    asked: float
    least: bool
    words: str

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side."""
        return self.figure >= self.asked if self.least else self.figure <= self.asked

    def __str__(self) -> str:
        """One line."""
        side = "at least" if self.least else "at most"
        return (
            f"  {self.name}: {self.figure:.2f} (asked for: {side} {self.asked:g}) {'met' if self.met else 'MISSED'}"
            f"; {self.words}; load average {os.getloadavg()[0]:.1f}"
        )


async def against_transport(folder: Path, *, rounds: int, size: int) -> list[Target]:
    """Deliveries already due, one worker, each attempt recorded, and the transport alone: by turns."""
    ours, bare = [], []
    async with server(folder) as started, sinkhole(folder) as sink, prepared(started, sink) as made:
        await made.endpoints(ENDPOINTS)
        async with worker(made, folder):
            await made.drained(size // 4)  # plans, connections and caches are warm
            for _ in range(rounds):
                bare.append(await ceiling(sink, ENDPOINTS, size))
                ours.append(await made.drained(size))
                print(
                    f"  transport {bare[-1]:.0f}/s, deliveries {ours[-1]:.0f}/s, ratio {ours[-1] / bare[-1]:.2f}"
                )
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    words = f"median of {rounds} ({min(ratios):.2f} to {max(ratios):.2f}), {middle(ours):.0f}/s of {middle(bare):.0f}/s"
    return [Target("deliveries against transport", middle(ratios), TRANSPORT_LEAST, True, words)]


async def beside_hanging(folder: Path, *, size: int) -> list[Target]:
    """So many due deliveries over 1,000 endpoints: how long the healthy ones' take when none hangs, and when 50 do."""
    found = {}
    for hanging in (0, HANGING):
        place = folder / f"hanging-{hanging}"
        place.mkdir(mode=0o711)
        async with server(place) as started, sinkhole(place) as sink, prepared(started, sink) as made:
            await made.endpoints(MANY, hanging=hanging)
            await made.due(size)
            await made.owner.execute("ANALYZE deliveries")
            async with worker(made, place):
                found[hanging] = await _latencies(made, sink, size)
        p50, p99 = found[hanging]
        print(
            f"  {hanging} hang: the {MANY - HANGING} healthy endpoints' latency p50 {p50:.1f} s, p99 {p99:.1f} s"
        )
    return [
        Target(
            f"latency {name} with {HANGING} of {MANY} hanging, by that with none",
            found[HANGING][at] / found[0][at], HANGING_MOST, False,
            f"{found[HANGING][at]:.1f} s and {found[0][at]:.1f} s, {size} due",
        )
        for at, name in enumerate(("p50", "p99"))
    ]  # fmt: skip


async def _latencies(made: Field, sink: Sinkhole, size: int) -> tuple[float, float]:
    """Seconds from being due to being received, of the endpoints that never hang in either run."""
    healthy = {f"/{at}" for at in range(MANY - HANGING)}
    wanted = sum(1 for n in range(1, size + 1) if n % MANY < MANY - HANGING)
    began, took = await made.open_gates(), list[float]()
    while len(took) < wanted:
        if time.time() - began > 60 + size / 50:
            raise RuntimeError(f"{wanted} were due to healthy endpoints, {len(took)} have come")
        await asyncio.sleep(0.5)
        took += [at - began for at, path in sink.fresh() if path in healthy]
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)]


async def beside_the_past(folder: Path, *, rounds: int, size: int, rows: int) -> list[Target]:
    """What a delivery costs in an empty database and in one with so many past rows, by turns."""
    empty, full = [], []
    async with (
        server(folder) as started,
        sinkhole(folder) as sink,
        prepared(started, sink, "tendays_empty") as young,
        prepared(started, sink, "tendays_full") as old,
    ):
        for made in (young, old):
            await made.endpoints(ENDPOINTS)
        began = time.perf_counter()
        await past(old, rows)
        print(f"  {rows:,} past rows made in {time.perf_counter() - began:.0f} s")
        async with worker(young, folder), worker(old, folder):
            for made in (young, old):
                await made.drained(size // 2)
            for _ in range(rounds):
                empty.append(1e6 / await young.drained(size))
                full.append(1e6 / await old.drained(size))
                print(f"  a delivery takes {empty[-1]:.0f} us without a past, {full[-1]:.0f} us with it")
    ratios = [one / other for one, other in zip(full, empty, strict=True)]
    words = f"median of {rounds} ({min(ratios):.2f} to {max(ratios):.2f}), {rows:,} rows of three months"
    return [
        Target("cost of a delivery with a past, by that without", middle(ratios), PAST_MOST, False, words)
    ]


async def beside_a_snapshot(folder: Path, *, minutes: float) -> list[Target]:
    """A steady flow, as fast as one worker takes it, while another session holds a snapshot from the first moment on."""
    async with server(folder) as started, sinkhole(folder) as sink, prepared(started, sink) as made:
        await made.endpoints(ENDPOINTS)
        async with worker(made, folder):
            await made.drained(1000)
            sink.fresh()
            reader = await asyncpg.connect(made.dsns.owner)
            try:
                await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries")
                each = await _flow(made, sink, minutes)
                if await reader.fetchval("SELECT count(*) FROM deliveries") != 1000:
                    raise RuntimeError("the snapshot was not held")
                await reader.execute("ROLLBACK")
            finally:
                await reader.close()
    window = max(1, min(60, int(minutes * 60) // 4))
    first, last = (sum(part) / window for part in (each[:window], each[-window:]))
    words = (
        f"{last:.0f}/s in the last {window} s, {first:.0f}/s in the first, {sum(each)} in {minutes:g} minutes"
    )
    return [Target("last by first under a held snapshot", last / first, SNAPSHOT_LEAST, True, words)]


async def _flow(made: Field, sink: Sinkhole, minutes: float) -> list[int]:
    """Keep so many events ahead of what was received; how many were received in each second."""
    await made.open_gates()
    began, received, sent = time.time(), Counter[int](), 0
    said = 0
    while (now := time.time() - began) < minutes * 60:
        received.update(int(at - began) for at, _ in sink.fresh())
        if (short := received.total() + AHEAD - sent) >= AHEAD // 5:
            await made.emitted(short)
            sent += short
        if now // 60 > said:
            said = int(now // 60)
            print(
                f"  minute {said}: {sum(received[s] for s in range(said * 60 - 60, said * 60)) / 60:.0f}/s",
                flush=True,
            )
        await asyncio.sleep(0.1)
    return [received[second] for second in range(int(minutes * 60))]
