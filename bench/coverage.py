"""Coverage of a hub over HTTP, beside few encounters and beside ten times as many: `--only coverage`."""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import orjson

import migrations
from app.core.clock import school_day, wall_now
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres
from app.core.ids import new_id
from app.core.roles import Dsns
from app.demo.generate import SIDE_BY_SIDE, Wanted, generate, planned
from bench.data import Made
from bench.load import line
from bench.stand import Stand, folder, serving

_FIGURES = "label figures { state pupils minutes days reached { percent } at50Hours { count } bm6 { count } }"


def _by(cut: str) -> str:
    return f"coverage(by: {cut}, first: 100) {{ totalCount edges {{ node {{ {_FIGURES} }} }} }}"


QUESTIONS: Mapping[str, str] = {
    "by school and year group": f"{{ schools: {_by('SCHOOL')} years: {_by('YEAR_GROUP')} }}",
    "by school": f"{{ {_by('SCHOOL')} }}",
    "by year group": f"{{ {_by('YEAR_GROUP')} }}",
}
"""What is asked. The first is what the target speaks of: two tables in one document."""
P50_AT_MOST, RATIO_AT_MOST = 50.0, 1.3
SETTLED_SECONDS = 900.0

Ask = Callable[[], Awaitable[tuple[float, bytes]]]


@dataclass(frozen=True)
class Told:
    """How one question was answered beside so many encounters, in milliseconds."""

    question: str
    encounters: int
    times: Sequence[float]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        """Of a hundred, the slowest but one; of fewer, the slowest."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * 0.99))]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said about this part on the command line."""
    about = parser.add_argument_group("coverage")
    about.add_argument("--schools", type=int, default=100, help="of one hub")
    about.add_argument(
        "--pupils", type=int, default=None, help="in all; else a tenth of the fewest encounters"
    )
    about.add_argument(
        "--encounters",
        type=_sizes,
        default=(100_000, 1_000_000),
        help="in all, one or more sizes: 1000000,10000000",
    )
    about.add_argument("--requests", type=int, default=200, help="of each question, one after the other")
    about.add_argument(
        "--keep", type=Path, default=None, help="a folder in which the databases stay for another run"
    )


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


async def measure(given: argparse.Namespace) -> list[Told]:
    """Fill a database for each size, ask them in turn, and print what it took."""
    async with contextlib.AsyncExitStack() as stack:
        where = given.keep or await stack.enter_async_context(folder())
        server = await stack.enter_async_context(EmbeddedPostgres(where / "postgres"))
        filled = {size: await _filled(server, given, size) for size in given.encounters}
        stands: dict[int, Stand] = {}
        for size, (
            dsns,
            made,
        ) in filled.items():  # only now: a token would not outlive the filling of the next
            stands[size] = await stack.enter_async_context(serving(dsns, made, where, "production"))
            await _settled(dsns)
        print(f"coverage of a hub, p50 and p99 of {given.requests} requests one after the other, ms")
        found = []
        for question in QUESTIONS:
            told = await _asked(stands, question, given.requests)
            _print(told)
            found += told
        told = await _asked(stands, next(iter(QUESTIONS)), requests=given.requests, moving=True)
        print("the same, each after something has changed at one of the schools")
        _print(told)
        return found + told


async def _filled(server: EmbeddedPostgres, given: argparse.Namespace, size: int) -> tuple[Dsns, Made]:
    """A database with so many encounters, made unless it is there."""
    pupils = given.pupils or max(given.schools, min(given.encounters) // 10)
    wanted = Wanted(given.schools, pupils, size, 5, 1, school_day(wall_now()))
    dsns = await server.prepare(f"coverage_{given.schools}_{pupils}_{size}")
    await asyncio.to_thread(migrations.upgrade, dsns.owner)
    db = await Database(dsns.owner, pool=SIDE_BY_SIDE).open()
    began = time.perf_counter()
    await generate(db, wanted, lambda _pupils, _encounters: None)
    await db.close()
    owner = await asyncpg.connect(dsns.owner)
    size_on_disk = await owner.fetchval("SELECT pg_size_pretty(pg_database_size(current_database()))")
    print(
        f"{given.schools} schools, {pupils:,} pupils, {size:,} encounters: {time.perf_counter() - began:.0f} s,"
        f" {size_on_disk}",
        flush=True,
    )
    made = await _clients(owner, wanted)
    await owner.execute("DELETE FROM signing_keys")  # those of an earlier run, sealed with a key that is gone
    await owner.close()
    return dsns, made


async def _clients(owner: asyncpg.Connection, wanted: Wanted) -> Made:
    plan = planned(wanted)
    made = Made(plan.hubs[0], plan.schools[0].id, plan.employers[0].id, {"hub": new_id(), "school": new_id()})
    for kind, client in made.clients.items():
        org = getattr(made, kind)
        await owner.execute("INSERT INTO clients (id, org_id, name) VALUES ($1, $2, $3)", client, org, kind)
    return made


async def _settled(dsns: Dsns) -> None:
    """Wait until the worker has counted what came in all at once."""
    owner = await asyncpg.connect(dsns.owner)
    try:
        began = time.perf_counter()
        while await owner.fetchval("SELECT count(*) FROM moved_schools"):
            if time.perf_counter() - began > SETTLED_SECONDS:
                raise RuntimeError("the worker has not kept the schools' figures in time")
            await asyncio.sleep(0.5)
        print(f"  the worker kept their figures in {time.perf_counter() - began:.0f} s", flush=True)
    finally:
        await owner.close()


async def _asked(
    stands: Mapping[int, Stand], question: str, requests: int, *, moving: bool = False
) -> list[Told]:
    """Every size in turn, so that what else the machine does meets them alike. `moving`: a school is marked as moved
    before each question, so that it is counted from its pupils unless the worker has been quicker.
    """
    times: dict[int, list[float]] = {size: [] for size in stands}
    async with contextlib.AsyncExitStack() as stack:
        lines = {size: await stack.enter_async_context(_line(up, question)) for size, up in stands.items()}
        owners = {size: await stack.enter_async_context(_owner(up)) for size, up in stands.items()}
        for ask in lines.values():
            await _warm(ask)
        for _ in range(requests):
            for size, ask in lines.items():
                if moving:
                    await owners[size].execute(
                        "SELECT app.mark_moved(ARRAY[$1::uuid])", stands[size].made.school
                    )
                took, _answer = await ask()
                times[size].append(took)
    return [Told(question, size, each) for size, each in times.items()]


@contextlib.asynccontextmanager
async def _line(up: Stand, question: str) -> AsyncIterator[Ask]:
    body = orjson.dumps({"query": QUESTIONS[question]})
    async with line("127.0.0.1", up.port, "/graphql", up.headers("hub"), body) as ask:
        yield ask


@contextlib.asynccontextmanager
async def _owner(up: Stand) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(up.dsns.owner)
    try:
        yield connection
    finally:
        await connection.close()


async def _warm(ask: Ask) -> None:
    """Some requests that do not count, and a look at whether there is anything in the answer."""
    for _ in range(5):
        _, answer = await ask()
    counts = [table["totalCount"] for table in orjson.loads(answer)["data"].values()]
    if not all(counts):
        raise RuntimeError(f"an empty answer: {answer[:300]!r}")


def _print(told: Sequence[Told]) -> None:
    for one in told:
        met = (
            "" if one.question != next(iter(QUESTIONS)) else "  met" if one.p50 < P50_AT_MOST else "  NOT MET"
        )
        print(
            f"  {one.question:<26} {one.encounters:>12,} encounters   p50 {one.p50:7.1f}   p99 {one.p99:7.1f}{met}"
        )
    if len(told) > 1:
        ratio = told[-1].p50 / told[0].p50
        met = "met" if ratio <= RATIO_AT_MOST else "NOT MET"
        print(
            f"  {'':<26} {'ratio of p50':>23}       {ratio:7.2f}   (at most {RATIO_AT_MOST})  {met}",
            flush=True,
        )
