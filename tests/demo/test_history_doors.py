"""The doors for history: the law holds there too, and nobody but the loader is silent."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

import app
from app.bookings import history as bookings
from app.bookings.history import Made, Past
from app.core.db import Database, Writer
from app.core.ids import new_id
from app.core.roles import Dsns
from app.offers import history as offers
from app.offers.history import PastSlot
from app.rules.offering import Timing
from app.rules.words import Actor, BookingAction

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLIENT = UUID(int=1)


@pytest_asyncio.fixture
async def tx(dsns: Dsns) -> AsyncIterator[Writer]:
    db = await Database(dsns.owner, pool=1).open()
    async with db.write(None) as writer:
        yield writer
    await db.close()


def _past(*moves: Made) -> Past:
    ids = {name: new_id() for name in ("id", "offer_id", "employer_id", "site_id")}
    times = {"starts_at": NOON, "ends_at": NOON + timedelta(hours=2), "name_by": NOON - timedelta(days=7)}
    slot: dict[str, Any] = {**ids, **times, "capacity": 30, "reply_within_hours": 120, "sittings": []}
    return Past(slot, "workplace_tour", new_id(), "X-1", 20, moves)


def _made(action: BookingAction, actor: Actor, days_before: float) -> Made:
    return Made(action, actor, CLIENT, NOON - timedelta(days=days_before))


async def test_a_move_that_the_law_refuses_is_no_history(tx: Writer) -> None:
    asked = _made(BookingAction.REQUEST, Actor.SCHOOL, 30)
    for code, moves in {
        "not_yours": (asked, _made(BookingAction.CONFIRM, Actor.SCHOOL, 29)),
        "deadline_passed": (asked, _made(BookingAction.CONFIRM, Actor.EMPLOYER, 20)),
        "not_from_this_state": (_made(BookingAction.CONFIRM, Actor.EMPLOYER, 20),),
        "slot_started": (_made(BookingAction.REQUEST, Actor.SCHOOL, -1),),
        "reason_required": (asked, _made(BookingAction.DECLINE, Actor.EMPLOYER, 29)),
    }.items():
        with pytest.raises(ValueError, match=code):
            await bookings.add_bookings(tx, [_past(*moves)])


async def test_more_places_than_there_are_is_no_history(tx: Writer) -> None:
    asked = _past(_made(BookingAction.REQUEST, Actor.SCHOOL, 30))
    with pytest.raises(ValueError, match="no_places"):
        await bookings.add_bookings(tx, [replace(asked, places=31)])


async def test_a_slot_is_judged_as_of_the_moment_it_was_posted(tx: Writer) -> None:
    offer = {
        "id": new_id(),
        "employer_id": new_id(),
        "site_id": new_id(),
        "mode": "in_person",
        "restricted": False,
    }
    timings = [Timing(NOON, NOON + timedelta(hours=2))]
    late = PastSlot(offer, "S-1", NOON + timedelta(days=1), timings, 30, 0, 120)
    with pytest.raises(ValueError, match="in_the_past"):
        await offers.add_slots(tx, [late])
    twice = replace(late, posted=NOON - timedelta(days=30), timings=timings * 2)
    with pytest.raises(ValueError, match="overlap"):
        await offers.add_slots(tx, [twice])


def test_only_the_loader_is_silent() -> None:
    house = Path(app.__file__).parent
    silent = {path.parent.name for path in house.rglob("*.py") if re.search(r"\bhushed\b", path.read_text())}
    assert silent == {"outbox", "demo"}
