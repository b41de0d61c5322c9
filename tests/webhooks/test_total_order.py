"""The deliveries of one order key at one endpoint are in one total order, by `(sequence, position)`.

An endpoint may hear several audiences, and each audience counts its own `sequence`: two events of one key can have the
same one. Nothing may wait for ever because of it.
"""

import asyncio
import random
from collections import defaultdict

import asyncpg
import pytest

import migrations
from app.core.ids import new_id
from app.core.roles import drop_database
from tests.webhooks.test_voice import says

WAITS_FOR_NOTHING = """
SELECT count(*) FROM deliveries d WHERE d.state = 'pending' AND d.due_at IS NULL AND NOT EXISTS (
  SELECT 1 FROM deliveries p WHERE p.endpoint_id = d.endpoint_id AND p.order_key = d.order_key AND p.id <> d.id
     AND p.state = 'pending' AND NOT p.replay
     AND (p.sequence, p.position) < (d.sequence, d.position))
"""


async def _vendor_for(world, count):
    vendor, schools = await world.org("vendor"), [await world.org() for _ in range(count)]
    for school in schools:
        await world.grant(school, vendor)
    return vendor, schools


async def _all_sent(world, worker, turns=200):
    """Let time pass until nothing is left to send, or nothing moves any more."""
    for _ in range(turns):
        if not await world.make_due(worker):
            return


async def test_one_change_told_to_several_audiences_that_one_endpoint_hears_arrives_for_each_of_them(world):
    vendor, schools = await _vendor_for(world, 3)
    endpoint = await world.endpoint(vendor, "/all", event_types=["slot.*"])
    key, told, worker = new_id(), [], world.worker()
    for _ in range(3):
        for school in schools:
            told += await world.emit(school, key=key, kind="slot.changed")
        await worker.step()
    await _all_sent(world, worker)
    assert await world.states(endpoint) == ["delivered"] * 9
    assert sorted(world.receiver.ids("/all")) == sorted(told)


@pytest.mark.parametrize("fate", ["delivered", "failed", "revoked", "too_old"])
async def test_whatever_becomes_of_a_delivery_releases_the_next_one_of_the_same_sequence(world, fate):
    vendor, schools = await _vendor_for(world, 2)
    endpoint, key, worker = (
        await world.endpoint(vendor, "/all", event_types=["slot.*"]),
        new_id(),
        world.worker(),
    )
    for school in (*schools, *schools):
        await world.emit(school, key=key, kind="slot.changed")
    await worker.sequence()
    first, second, *_ = await world.deliveries(endpoint)
    assert (first["sequence"], second["sequence"], second["due_at"]) == (1, 1, None)
    await world.owner.execute(
        "UPDATE deliveries SET state = $2, due_at = NULL, ended_at = now(), last_error = $3 WHERE id = $1",
        first["id"], "cancelled" if fate == "too_old" else fate, "too old" if fate == "too_old" else None,
    )  # fmt: skip
    _, second, *rest = await world.deliveries(endpoint)
    assert second["due_at"] is not None
    assert [row["due_at"] for row in rest] == [None, None]
    await _all_sent(world, worker)
    assert (await world.states(endpoint))[1:] == ["delivered"] * 3
    assert await world.owner.fetchval(WAITS_FOR_NOTHING) == 0


async def test_a_successor_of_the_same_sequence_is_not_claimed_before_the_one_before_it(world):
    """Both due, as after a lease that was given back: the claim itself keeps the order."""
    vendor, schools = await _vendor_for(world, 2)
    endpoint, key, worker = (
        await world.endpoint(vendor, "/all", event_types=["slot.*"]),
        new_id(),
        world.worker(),
    )
    for school in schools:
        await world.emit(school, key=key, kind="slot.changed")
    await worker.sequence()
    await world.owner.execute(
        "UPDATE deliveries SET due_at = now() - interval '1 s' WHERE endpoint_id = $1", endpoint
    )
    await worker.look("normal", beside=False)
    claimed = await worker.claim("normal")
    assert [one.event_id for one in claimed] == [(await world.deliveries(endpoint))[0]["event_id"]]


async def test_the_end_of_a_grant_told_to_the_school_and_to_the_vendor_reaches_the_vendor(world):
    """What is told of one grant to two audiences: the vendor's own event is never held by the school's."""
    vendor, [school] = await _vendor_for(world, 1)
    endpoint = await world.endpoint(vendor, "/all", event_types=["grant.*"])
    grant, worker = new_id(), world.worker()
    for kind in ("grant.recorded", "grant.revoked"):
        for audience in (vendor, school):
            await world.emit(audience, key=grant, kind=kind)
    await _all_sent(world, worker)
    assert await world.states(endpoint) == ["delivered"] * 4


class Play:
    """A run of random steps over one endpoint that hears three audiences, and what must hold after each of them."""

    def __init__(self, world, seed):
        self.world, self.chance = world, random.Random(seed)
        self.told = defaultdict(list)
        self.accepted = []

    async def set_up(self):
        self.vendor, self.schools = await _vendor_for(self.world, 2)
        for early in range(
            self.chance.randint(0, 3)
        ):  # so that the counters of the audiences are not the same
            await self.world.emit(self.schools[early % 2], key=None, kind="slot.changed")
        self.keys = [new_id() for _ in range(3)]
        await self.emit(self.schools[0], self.keys[0], self.chance.randint(0, 4))
        self.worker = self.world.worker()
        await self.worker.step()
        self.told.clear()
        self.endpoint = await self.world.endpoint(self.vendor, "/all", event_types=["slot.*", "grant.*"])
        self.world.receiver.answers["/all"] = self.answer

    def answer(self, got):
        status = 204 if self.chance.random() < self.well else 500
        if status == 204:
            self.accepted.append(got.id)
        return says(status)(got)

    async def emit(self, audience, key, count):
        if count:
            ids = await self.world.emit(audience, key=key, kind="slot.changed", count=count)
            self.told[audience.org_id, key] += ids

    async def step(self):
        self.well = self.chance.choice([0.0, 0.5, 1.0])
        what = self.chance.choice(["emit", "emit", "emit", "sequence", "send", "send", "fail_one"])
        if what == "emit":
            audience = self.chance.choice([*self.schools, self.vendor])
            await self.emit(audience, self.chance.choice(self.keys), self.chance.randint(1, 3))
        elif what == "sequence":
            await self.worker.sequence()
        elif what == "send":
            await self.world.make_due(self.worker)
        else:
            await self.world.owner.execute(
                "UPDATE deliveries SET state = 'failed', due_at = NULL, ended_at = now() WHERE id ="
                " (SELECT id FROM deliveries WHERE state = 'pending' AND endpoint_id = $1"
                "  ORDER BY random() LIMIT 1)",
                self.endpoint,
            )
        assert await self.world.owner.fetchval(WAITS_FOR_NOTHING) == 0, what


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_waits_without_a_reason_and_each_audience_is_told_in_order(world, seed):
    play = Play(world, seed)
    await play.set_up()
    for _ in range(60):
        await play.step()
    play.well = 1.0
    await _all_sent(world, play.worker)
    rows = await world.deliveries(play.endpoint)
    assert {row["state"] for row in rows} <= {"delivered", "failed"}
    assert len(rows) == sum(len(ids) for ids in play.told.values())
    for ids in play.told.values():
        of_key = [one for one in play.accepted if one in ids]
        assert of_key == sorted(set(of_key), key=ids.index), "once each, in the order of sequence"


async def test_the_next_of_a_key_is_found_by_the_index_of_its_order(world):
    await world.owner.execute("SET enable_seqscan = off")
    asked = (
        "EXPLAIN SELECT id FROM deliveries WHERE endpoint_id = $1 AND order_key = $1 AND state = 'pending'"
        " AND (sequence, position) > (1, 1) ORDER BY sequence, position LIMIT 1"
    )
    plan = "\n".join(row[0] for row in await world.owner.fetch(asked.replace("$1", f"'{new_id()}'")))
    await world.owner.execute("RESET enable_seqscan")
    assert 'ROW(sequence, "position") > ROW(1, 1)' in plan


async def test_the_migration_frees_what_waits_for_nothing(cluster):
    """A database of the revision before, with deliveries that wait for ever, and some that wait with a reason."""
    dsns = await cluster.prepare("tendays_parked")
    await asyncio.to_thread(migrations.upgrade, dsns.owner, "20261130_0100")
    owner = await asyncpg.connect(dsns.owner)
    try:
        names = {}
        endpoint, key, other = new_id(), new_id(), new_id()
        for name, of, sequence, position, state, due in (
            ("sent", key, 1, 1, "delivered", False),
            ("same", key, 1, 2, "pending", False),
            ("next", key, 2, 3, "pending", False),
            ("first", other, 4, 4, "pending", True),
            ("second", other, 4, 5, "pending", False),
        ):
            names[name] = new_id()
            await owner.execute(
                "INSERT INTO deliveries (id, endpoint_id, org_id, event_id, event_type, order_key, sequence,"
                " position, state, due_at) VALUES ($1, $2, $2, $1, 'slot.changed', $3, $4, $5, $6,"
                " CASE WHEN $7 THEN now() END)",
                names[name], endpoint, of, sequence, position, state, due,
            )  # fmt: skip
        await asyncio.to_thread(migrations.upgrade, dsns.owner)
        due = {row["id"] for row in await owner.fetch("SELECT id FROM deliveries WHERE due_at IS NOT NULL")}
        assert due == {names["same"], names["first"]}
        await owner.execute(
            "UPDATE deliveries SET state = 'delivered', due_at = NULL WHERE id = $1", names["same"]
        )
        assert await owner.fetchval("SELECT due_at FROM deliveries WHERE id = $1", names["next"]) is not None
    finally:
        await owner.close()
        await drop_database(cluster.admin_dsn, "tendays_parked")
