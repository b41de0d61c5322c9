"""The catalogue is whole: what the house announces stands in it, and what stands in it is announced somewhere.

That each event is as its schema says is judged at the end of every module that uses `world` (tests/world.py), and of
this one shown to be judged at all.
"""

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from app.core.ids import new_id
from app.outbox import catalogue
from app.outbox.catalogue import TYPES, Deprecation, data_schema
from app.outbox.service import Event, emit
from tests.world import World, problems_with_events

APP = Path(catalogue.__file__).parents[1]
AREAS = {name.partition(".")[0] for name in TYPES}
NAMED = re.compile(r"^([a-z_]+)\.([a-z_]+)$")
NOT_EVENTS = {"webhook.attempt"}
"""Words of the log that have the same shape."""


def _names() -> Iterator[tuple[str, str]]:
    """Every string in the application that has the shape of an event's name, and in which file."""
    for path in APP.rglob("*.py"):
        if path == Path(catalogue.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.match(node.value):
                yield node.value, str(path.relative_to(APP))


def test_every_event_that_the_code_names_stands_in_the_catalogue() -> None:
    named = {
        (name, where)
        for name, where in _names()
        if name.partition(".")[0] in AREAS
        and not where.startswith(("graphql", "demo"))
        and name not in NOT_EVENTS
    }
    assert {(name, where) for name, where in named if name not in TYPES} == set()


def test_every_line_of_the_catalogue_is_announced_somewhere() -> None:
    announced = {name for name, where in _names() if not where.startswith(("demo", "rest/webhook"))}
    assert set(TYPES) - announced - {"webhook.test"} == set()


async def test_what_is_not_in_the_catalogue_cannot_be_announced(world: World) -> None:
    caller = world.app.state.house.doorkeeper.caller_of(world.tokens["school_a"])
    thing = new_id()
    async with world.app.state.house.db.write(caller) as tx:
        with pytest.raises(KeyError):
            await emit(tx, [Event("booking.vanished", "school", world["school_a"], thing, {})])
        with pytest.raises(ValueError, match="does not match the catalogue"):
            await emit(tx, [Event("site.changed", "school", world["school_a"], thing, {"site_id": thing})])


async def test_an_event_that_is_not_as_its_schema_says_is_found(world: World) -> None:
    slot = await world.slot()
    await world.booking(slot=slot)
    assert await problems_with_events(world.owner) == []
    body = await world.owner.fetchval("SELECT body FROM events WHERE type = 'booking.requested' LIMIT 1")
    spoilt = body.replace(b'"places":5', b'"places":"5"')
    assert spoilt != body
    await world.owner.execute("UPDATE events SET body = $1 WHERE body = $2", spoilt, body)
    assert any("places" in one for one in await problems_with_events(world.owner))
    await world.owner.execute("UPDATE events SET body = $2 WHERE body = $1", spoilt, body)


def test_a_deprecated_type_says_so_in_its_schema() -> None:
    leaving = Deprecation(date(2027, 1, 1), date(2028, 1, 1), "booking.confirmed")
    kept = TYPES["booking.expired"]
    assert "deprecated" not in data_schema(kept)
    gone = catalogue.EventType(
        **{name: getattr(kept, name) for name in kept.__slots__} | {"deprecation": leaving}
    )
    assert data_schema(gone)["deprecated"] is True


def test_a_deprecated_type_is_sent_for_a_year() -> None:
    for kind in TYPES.values():
        gone = kind.deprecation
        assert gone is None or ((gone.sunset - gone.since).days >= 365 and gone.successor in {None, *TYPES})
