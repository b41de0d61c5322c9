"""The mark of the sequencer waits for every transaction of before that is still open."""

import asyncio
from uuid import uuid4

import asyncpg

from app.core.roles import Dsns

_EVENT = (
    "INSERT INTO events (id, type, audience, audience_id, order_key, sequence, body, occurred_at)"
    " VALUES (app.uuid7(), 'webhook.test', 'school', $1, $1, 1, '', now()) RETURNING id"
)


async def test_an_event_of_an_open_transaction_is_not_passed_over(dsns: Dsns) -> None:
    late, first, open_one, owner = [await asyncpg.connect(dsns.owner) for _ in range(4)]
    try:
        for _ in range(2):
            await owner.fetchval(_EVENT, uuid4())
        ends_late, numbering, stays = late.transaction(), first.transaction(), open_one.transaction()
        for one, connection in ((ends_late, late), (numbering, first), (stays, open_one)):
            await one.start()
            await connection.fetchval("SELECT pg_current_xact_id()::text")
        waiting = await open_one.fetchval(_EVENT, uuid4())
        await first.fetchval("SELECT app.number_events(1)")  # the mark is above the event that waits
        await numbering.commit()
        await asyncio.sleep(1.1)
        await owner.fetchval("SELECT app.number_events(1)")  # and from here on for whom it waits
        await late.fetchval(_EVENT, uuid4())
        await ends_late.commit()
        await owner.fetchval("SELECT app.number_events(1)")
        await stays.commit()
        for _ in range(3):
            await owner.fetchval("SELECT app.number_events(10)")
        assert await owner.fetchval("SELECT position FROM events WHERE id = $1", waiting), (
            "passed over for good"
        )
    finally:
        for connection in (late, first, open_one, owner):
            await connection.close()
