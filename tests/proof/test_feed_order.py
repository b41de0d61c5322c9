"""The feed's order under sixteen writers, two real sequencers and readers that never stop reading.

Writers commit in any order, hold their transactions open for a while, and roll one in five back. A reader that goes
on from the last position it read must see every event once, in one order, with none appearing behind it.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.outbox import service, sql
from app.outbox.catalogue import TYPES
from app.outbox.service import Event
from app.webhooks.sql.queue import Queue
from tests.world import KINDS, World

WRITERS, EACH, KEYS = 16, 30, 24
KIND = "slot.changed"
_SAMPLES = {"uuid": UUID(int=7), "date-time": wall_now(), "date": date(2026, 11, 30)}


class _ChangedItsMindError(Exception):
    pass


@dataclass
class Run:
    """What was committed, by event id, and what each reader read, in the order it read it."""

    db: Database
    world: World
    keys: list[UUID] = field(default_factory=lambda: [new_id() for _ in range(KEYS)])
    committed: set[str] = field(default_factory=set)
    rolled_back: set[str] = field(default_factory=set)
    read: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def caller(self, who: str) -> Caller:
        return Caller(self.world.clients[who], self.world[who], KINDS[who], frozenset(), wall_now())

    async def write(self, seed: int) -> None:
        """One writer: transactions of one to three events over keys that all writers share."""
        chance = random.Random(seed)
        for _ in range(EACH):
            keys = sorted(chance.sample(self.keys, chance.randint(1, 3)))
            marks = [str(new_id()) for _ in keys]
            try:
                async with self.db.write(self.caller("school_a")) as tx:
                    await service.emit(tx, [self.event(*one) for one in zip(keys, marks, strict=True)])
                    await asyncio.sleep(chance.choice((0, 0, 0.002, 0.02)))
                    _may_change_its_mind(chance)
            except _ChangedItsMindError:
                self.rolled_back |= set(marks)
            else:
                self.committed |= set(marks)

    def event(self, key: UUID, mark: str) -> Event:
        """An event of the house whose slot is the mark we know it by."""
        kind = TYPES[KIND]
        data = {name: _sample(dict(schema)) for name, schema in kind.fields.items()}
        return Event(KIND, "school", self.world["school_a"], key, {**data, "slot_id": UUID(mark)})

    async def sequence(self) -> None:
        """A worker's own sequencer; two of them run, as in two processes."""
        queue = Queue(self.world.dsns.worker, new_id())
        try:
            while not self.done.is_set():
                await queue.sequence(7)
                await asyncio.sleep(0)
        finally:
            await queue.close()

    async def follow(self, who: str, most: int) -> None:
        """A reader that goes on from the last position it has read."""
        last, over = 0, False
        while not over:
            over = self.done.is_set()
            async with self.db.read(self.caller(who)) as tx:
                _, rows = await sql.after(tx, last, most)
            self.read[who] += rows
            last = rows[-1]["position"] if rows else last
            over = over and not rows
            await asyncio.sleep(0.001)

    async def drained(self) -> None:
        while await self.world.count("events", "position IS NULL"):  # noqa: ASYNC110  (Postgres tells no event)
            await asyncio.sleep(0.01)
        self.done.set()


def _may_change_its_mind(chance: random.Random) -> None:
    if chance.random() < 0.2:
        raise _ChangedItsMindError


def _sample(schema: dict[str, Any]) -> Any:
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    plain = {"string": "word", "integer": 1, "boolean": True, "array": [], "object": {}}
    return _SAMPLES.get(schema.get("format", ""), plain[kind])


@pytest_asyncio.fixture(scope="module")
async def run(world: World) -> AsyncIterator[Run]:
    """All of it once; the tests below look at what came of it."""
    db = await Database(world.dsns.app, pool=WRITERS + 3).open()
    made = Run(db, world)
    try:
        around = [
            asyncio.create_task(one)
            for one in (
                made.sequence(),
                made.sequence(),
                made.follow("school_a", 5),
                made.follow("vendor", 1000),
                made.follow("school_b", 100),
            )
        ]
        await asyncio.gather(*(made.write(seed) for seed in range(WRITERS)))
        await made.drained()
        await asyncio.gather(*around)
        yield made
    finally:
        await db.close()


async def _numbered(world: World) -> list[Any]:
    return list(await world.owner.fetch("SELECT * FROM events WHERE position IS NOT NULL ORDER BY position"))


async def test_something_was_committed_and_something_rolled_back(run: Run) -> None:
    assert len(run.committed) > WRITERS * EACH
    assert len(run.rolled_back) > EACH


async def test_positions_have_no_gap(run: Run) -> None:
    positions = [row["position"] for row in await _numbered(run.world)]
    assert positions == list(range(1, len(run.committed) + 1))
    assert await run.world.owner.fetchval("SELECT last FROM sequencer") == len(positions)


@pytest.mark.parametrize("who", ["school_a", "vendor"])
async def test_no_event_appears_behind_a_position_already_read(run: Run, who: str) -> None:
    """What was read while it was written is, event by event, what stands there in the end."""
    assert [row["position"] for row in run.read[who]] == list(range(1, len(run.committed) + 1))
    assert [row["id"] for row in run.read[who]] == [row["id"] for row in await _numbered(run.world)]


async def test_a_strangers_feed_stays_empty(run: Run) -> None:
    assert run.read["school_b"] == []


async def test_within_an_order_key_the_sequence_is_one_two_three_in_the_order_of_position(run: Run) -> None:
    by_key: dict[UUID, list[int]] = defaultdict(list)
    for row in await _numbered(run.world):
        by_key[row["order_key"]].append(row["sequence"])
        assert orjson.loads(row["body"])["sequence"] == row["sequence"]
    assert set(by_key) == set(run.keys)
    for sequences in by_key.values():
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_transaction_that_was_rolled_back_left_nothing(run: Run) -> None:
    bodies = b"\n".join([bytes(row["body"]) for row in await _numbered(run.world)]).decode()
    assert not [mark for mark in run.rolled_back if mark in bodies]
    assert not [mark for mark in run.committed if mark not in bodies]
    assert await run.world.count("events") == len(run.committed)
