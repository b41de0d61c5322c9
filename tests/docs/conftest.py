"""A world for the guides: the small world of the faces, with a worker that speaks, and a client with a secret each."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from app.core.db import Database
from app.core.egress import Egress, Policy
from app.core.roles import set_clock_door
from app.demo.stage import term_days
from app.webhooks.voice import Pace, Worker
from app.worker import CHORES, keep_house
from tests.docs.guide import Block, Values, blocks, problems_with, request_in
from tests.today import TODAY
from tests.world import World

PATIENCE = 20.0


@dataclass
class Desk:
    """Where a guide is followed: its requests go to a real application, and a real worker is behind it."""

    world: World
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def follow(self, page: Path, values: Values) -> int:
        """Send every `http` block of a page in order; gives how many there were. Fails at the first that is not so."""
        found = blocks(page, "http")
        for block in found:
            await self.take(page, block, values)
        return len(found)

    async def take(
        self, page: Path, block: Block, values: Values, put: Callable[[str], str] = lambda said: said
    ) -> httpx.Response:
        """Send one `http` block of a page; `put` may change its text. Fails if it is not answered as it says."""
        request = request_in(replace(block, text=put(block.text)))
        ends = asyncio.get_running_loop().time() + (PATIENCE if request.soon else 0)
        while True:
            answer = await self.world.http.request(**request.asked(values))
            problems = list(problems_with(answer, request, values))
            if not problems or asyncio.get_running_loop().time() >= ends:
                break
            await asyncio.sleep(0.2)
        where = f"{page.name}, line {block.line}: {request.method} {answer.request.url}"
        assert not problems, f"{where}\n" + "\n".join(problems)
        return answer

    async def values(self, who: str, **others: str) -> Values:
        """The names that every guide starts with: a client of its reader's, the organisations' ids, school days."""
        client, secret = await self._client(who)
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        named = {f"{name}_TOKEN": self.world.tokens[of] for name, of in others.items()}
        named |= {f"{name}_ID": str(self.world.ids[of]) for name, of in others.items()}
        named |= {
            "CLIENT_ID": client,
            "CLIENT_SECRET": secret,
            "BASIC": basic,
            "ORG_ID": str(self.world[who]),
        }
        return Values(named | _days())

    async def _client(self, who: str) -> tuple[str, str]:
        wanted = sorted(self.world.app.state.house.doorkeeper.caller_of(self.world.tokens[who]).scopes)
        made = await self.world.post(who, "/v1/clients", {"name": "From the guide", "scopes": wanted})
        assert made.status_code == 201, made.text
        return made.json()["id"], made.json()["client_secret"]


def _days() -> dict[str, str]:
    """`$DAY`, `$NEXT_DAY` and `$THIRD_DAY`: school days that lie four weeks ahead; `$YESTERDAY`, `$NEXT_YEAR`."""
    ahead = term_days(TODAY + timedelta(days=28), frozenset(), 3)
    named = dict(zip(("DAY", "NEXT_DAY", "THIRD_DAY"), ahead, strict=True))
    named |= {"YESTERDAY": TODAY - timedelta(days=1), "NEXT_YEAR": TODAY + timedelta(days=600)}
    return {name: day.isoformat() for name, day in named.items()}


@pytest_asyncio.fixture(scope="module")
async def desk(world: World) -> AsyncIterator[Desk]:
    await set_clock_door(world.dsns.owner, is_open=True)
    house: Any = world.app.state.house
    db = await Database(world.dsns.worker, development=True).open()
    stop = asyncio.Event()
    async with Egress(Policy.development()) as egress:
        voice = Worker(db, egress, house.keyring, pace=Pace(poll=0.1))
        work = asyncio.gather(voice.run(stop), keep_house(db, stop, CHORES))
        try:
            yield Desk(world)
        finally:
            stop.set()
            await work
            await world.move_clock(None)
            await db.close()


@pytest_asyncio.fixture
async def anybody() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as http:
        yield http
