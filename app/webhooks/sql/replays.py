"""Replays as their organisation asks for and follows them, and the slices in which the worker does them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, literal, select

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.webhooks.tables import fanout
from app.webhooks.tables import webhook_replays as replays


async def add(tx: Writer, caller: Caller, values: Mapping[str, Any]) -> Row:
    """A new job of the caller's organisation, running."""
    made = insert(replays).values(org_id=caller.org_id, client_id=caller.client_id, **values)
    return (await tx.rows(made.returning(*replays.c)))[0]


async def by_id(tx: Door, caller: Caller, replay_id: UUID) -> Row | None:
    """One replay of the caller's organisation."""
    mine = replays.c.org_id == caller.org_id
    return await tx.one_or_none(select(*replays.c).where(mine, replays.c.id == replay_id))


async def is_running(tx: Writer, caller: Caller, endpoint_id: UUID) -> bool:
    """Whether this endpoint has a replay under way."""
    found = select(literal(1)).where(
        replays.c.org_id == caller.org_id, replays.c.endpoint_id == endpoint_id, replays.c.state == "running"
    )
    return await tx.value(found) is not None


async def fanned_out(tx: Writer) -> int:
    """The position up to which every endpoint in step has its deliveries."""
    return int(await tx.value(select(fanout.c.position)) or 0)


async def position_before(tx: Writer, moment: datetime) -> int:
    """The position before the first event that was written at this moment or later."""
    return int(await tx.value(select(func.app.position_before(moment))) or 0)


async def due(tx: Door, backlog: int, most: int) -> Sequence[UUID]:
    """Replays whose endpoints have less than `backlog` due; first the one on which nobody has worked the longest."""
    found = await tx.rows(select(func.app.replays_due(backlog, most).label("id")))
    return [row["id"] for row in found]


async def take_slice(tx: Writer, replay_id: UUID, most: int, backlog: int) -> int | None:
    """Look through up to `most` events for a replay; how many deliveries were made, None if it is not to go on now."""
    made = await tx.value(select(func.app.replay_slice(replay_id, most, backlog)))
    return None if made is None else int(made)
