"""One row that cannot be handled stops neither the others in the same turn nor any later turn: for every periodic task."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.bookings import sql as bookings
from app.checks import Guard
from app.core import connecting, logs, metrics, one_by_one
from app.core import sql as core
from app.core.db import Database
from app.core.egress import Egress, Policy
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.dashboards.upkeep import keep_figures
from app.settings import Settings
from app.students.upkeep import turn_pupils
from app.webhooks.certifier import Certifier
from app.webhooks.sql import measures
from app.worker import all_chores, take_turn
from tests.bookings.test_proposals import Agreed
from tests.encounters.day import said, visit
from tests.today import TODAY, date_in, time_in
from tests.world import World

PUPIL = "Wilhelmina Quatermass"
"""What the poison says: nothing of it may stand in a log."""


@dataclass
class Poison:
    """Two rows of one task. The first comes first, and is the one that cannot be handled. There may be no other.

    `table` and `column` are those of the statement that fails for `bad`; `done` says whether a row has been handled.
    """

    table: str
    column: str
    bad: Any
    good: Any
    done: Callable[[Any], Awaitable[bool]]
    lock: str | None = None
    waits: bool = True
    """Whether the task waits for a row that somebody else holds; if not it leaves it for the next turn, and says nothing."""


class Run(NamedTuple):
    """What a poison is made with."""

    world: World
    db: Database
    monkeypatch: pytest.MonkeyPatch


POISONS: dict[str, Callable[[Run], Any]] = {}


def poison(name: str) -> Callable[[Any], Any]:
    """Name the task that it is for, and after a slash what of the task, if it does several things."""

    def named(made: Any) -> Any:
        POISONS[name] = asynccontextmanager(made)
        return made

    return named


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    kept = dict(connecting.SETTINGS)
    connecting.SETTINGS["lock_timeout"] = "300"
    made = await Database(world.dsns.worker, development=True).open()
    connecting.SETTINGS.update(kept)
    await world.owner.execute("""
        CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF coalesce(to_jsonb(NEW), to_jsonb(OLD)) ->> TG_ARGV[0] = TG_ARGV[1] THEN
            RAISE EXCEPTION 'Wilhelmina Quatermass' USING ERRCODE = TG_ARGV[2], DETAIL = 'Wilhelmina Quatermass';
          END IF;
          RETURN coalesce(NEW, OLD);
        END $$""")
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module")
async def tasks(world: World) -> AsyncIterator[dict[str, Any]]:
    async with Egress(Policy.development()) as egress:
        settings = Settings(env="test", metrics=True, database_url=world.dsns.app, data_dir=world.data_dir)
        keyring = Keyring([b"k" * 32])
        certifier, guard = Certifier(egress, keyring), Guard(settings, keyring)
        yield {one.name: one for one in all_chores(settings, certifier, guard)}
        for task in certifier._under_way.values():
            task.cancel()
        await asyncio.gather(*certifier._under_way.values(), return_exceptions=True)


def _counted(task: str) -> float:
    """How many rows, steps and turns of a task have failed so far."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    return sum(
        sample.value
        for family in families
        if family.name in {"tendays_task_rows_failed", "tendays_task_failures"}
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["task"] == task
    )


@asynccontextmanager
async def _poisoned(world: World, made: Poison, kind: str) -> AsyncIterator[None]:
    if kind == "lock":
        other = await asyncpg.connect(world.dsns.owner)
        try:
            held = other.transaction()
            await held.start()
            await other.execute(
                made.lock or f"SELECT 1 FROM {made.table} WHERE {made.column} = $1 FOR UPDATE",
                *(() if made.lock else (made.bad,)),
            )
            yield
            await held.rollback()
        finally:
            await other.close()
        return
    code = "P0001" if kind == "raise" else "23514"
    await world.owner.execute(
        f"CREATE TRIGGER poison BEFORE INSERT OR UPDATE OR DELETE ON {made.table} FOR EACH ROW"
        f" EXECUTE FUNCTION poisoned('{made.column}', '{made.bad}', '{code}')"
    )
    try:
        yield
    finally:
        await world.owner.execute(f"DROP TRIGGER poison ON {made.table}")


# --- the rows ---------------------------------------------------------------------------------------


def _in_state(world: World, state: str) -> Callable[[Any], Awaitable[bool]]:
    async def done(booking: Any) -> bool:
        return bool(await world.owner.fetchval("SELECT state FROM bookings WHERE id = $1", booking) == state)

    return done


async def _two(world: World, state: str = "requested") -> list[UUID]:
    return sorted([UUID((await world.booking(places=1, state=state))["id"]) for _ in range(2)])


@poison("expire_due")
async def _expire(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _two(run.world)
    await run.world.move_clock(datetime.now(UTC) + timedelta(days=6))
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "expired"))


@poison("hold_and_release")
async def _hold(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _two(run.world, "confirmed")
    made = await run.world.post("hub_a", "/v1/suspensions", {"employer_id": run.world["employer_a"]})
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "on_hold"))
    await run.world.post("hub_a", f"/v1/suspensions/{made.json()['id']}/lift")


@poison("cancel_with_slot")
async def _cancel(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _two(run.world, "confirmed")
    await run.world.owner.execute(
        "UPDATE slots SET state = 'cancelled' WHERE id IN (SELECT slot_id FROM bookings WHERE id = ANY ($1))",
        [bad, good],
    )
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "cancelled"))


@poison("cancel_with_offer")
async def _cancel_with_offer(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _two(run.world)
    await run.world.owner.execute(
        "UPDATE offers SET state = 'withdrawn' WHERE id IN (SELECT s.offer_id FROM slots s JOIN bookings b"
        " ON b.slot_id = s.id WHERE b.id = ANY ($1))",
        [bad, good],
    )
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "cancelled"))


@poison("end_proposals")
async def _end_proposals(run: Run) -> AsyncIterator[Poison]:
    moves = [await Agreed.make(run.world) for _ in range(2)]
    for one in moves:
        await one.propose("school_a")
    bad, good = sorted(UUID(one.booking["id"]) for one in moves)
    await run.world.move_clock(datetime.now(UTC) + timedelta(days=6))

    async def done(booking: Any) -> bool:
        return not await run.world.count("bookings", "id = $1 AND proposal_slot_id IS NOT NULL", booking)

    yield Poison("bookings", "id", bad, good, done)


async def _with_a_leaver(world: World) -> UUID:
    """A confirmed booking whose only pupil leaves before it."""
    booking = await world.booking(places=1, state="confirmed")
    pupil = await world.pupil("school_a")
    body = {"pupils": [{"pupil_id": pupil}]}
    named = await world.post("school_a", f"/v1/bookings/{booking['id']}/participants", body)
    assert named.status_code == 200, named.text
    await world.owner.execute("UPDATE enrolments SET ends_on = $2 WHERE id = $1", pupil, date_in(1))
    return UUID(booking["id"])


@poison("withdraw_leavers")
async def _leavers(run: Run) -> AsyncIterator[Poison]:
    bad, good = sorted([await _with_a_leaver(run.world), await _with_a_leaver(run.world)])
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "cancelled"))


async def _to_forget(world: World) -> UUID:
    """A pupil who leaves and is expected nowhere."""
    pupil = await world.pupil("school_a")
    await world.owner.execute("UPDATE enrolments SET ends_on = $2 WHERE id = $1", pupil, date_in(1))
    await world.owner.execute("UPDATE pupils_leaving SET noted_at = now() - interval '1 hour'")
    assert await world.count("pupils_leaving", "enrolment_id = $1", pupil)
    return pupil


@poison("withdraw_leavers/forget")
async def _forget_leavers(run: Run) -> AsyncIterator[Poison]:
    """Who is expected nowhere cannot be forgotten; who is expected somewhere is withdrawn."""
    good, bad = await _with_a_leaver(run.world), await _to_forget(run.world)
    cancelled = _in_state(run.world, "cancelled")

    async def done(one: Any) -> bool:
        if one == good:
            return await cancelled(one)
        return not await run.world.count("pupils_leaving", "enrolment_id = $1", one)

    yield Poison("pupils_leaving", "enrolment_id", bad, good, done)


@poison("withdraw_leavers/look")
async def _look_for_leavers(run: Run) -> AsyncIterator[Poison]:
    """The bookings cannot be looked for; who is expected nowhere is forgotten all the same."""
    good = await _to_forget(run.world)

    async def with_leavers(_tx: Any, _most: int) -> Any:
        raise ValueError(PUPIL)

    run.monkeypatch.setattr(bookings, "with_leavers", with_leavers)

    async def done(one: Any) -> bool:
        return one == good and not await run.world.count("pupils_leaving", "enrolment_id = $1", one)

    yield Poison("", "", "bad", good, done)


@poison("promote_waiting")
async def _promote(run: Run) -> AsyncIterator[Poison]:
    waiting = []
    for _ in range(2):
        slot = await run.world.slot(capacity=2)
        held = await run.world.booking(slot=slot, places=2)
        body = {"school_id": run.world["school_c"], "slot_id": slot, "places": 1, "join_waiting_list": True}
        waiting.append(UUID((await run.world.post("school_c", "/v1/bookings", body)).json()["id"]))
        gone = await run.world.post(
            "school_a", f"/v1/bookings/{held['id']}/cancel", {"reason_code": "transport"}
        )
        assert gone.status_code == 200, gone.text
    bad, good = sorted(waiting)
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "requested"))


@poison("hand_back_unnamed")
async def _hand_back(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _two(run.world, "confirmed")
    starts = await run.world.owner.fetchval("SELECT starts_at FROM bookings WHERE id = $1", bad)
    await run.world.move_clock(starts - timedelta(hours=6))
    yield Poison("bookings", "id", bad, good, _in_state(run.world, "cancelled"))


@poison("raise_overdue")
async def _overdue(run: Run) -> AsyncIterator[Poison]:
    async with visit(run.world, 1) as first, visit(run.world, 1) as second:
        bad, good = sorted([UUID(first.booking), UUID(second.booking)])
        await first.at(21)

        async def done(booking: Any) -> bool:
            return bool(await run.world.count("sitting_marks", "booking_id = $1", booking))

        # Whoever changes a booking holds it: the alarm waits for its row.
        lock = f"SELECT 1 FROM bookings WHERE id = '{bad}' FOR UPDATE"
        yield Poison("sitting_marks", "booking_id", bad, good, done, lock)


@poison("settle_due")
async def _settle(run: Run) -> AsyncIterator[Poison]:
    async with visit(run.world, 1) as first, visit(run.world, 1) as second:
        await first.at(110)
        for one in (first, second):
            told = await one.attendance("employer_a", [said(part, "present") for part in one.parts])
            assert told.status_code == 200, told.text
        await first.at(121)
        bad, good = sorted([UUID(first.booking), UUID(second.booking)])
        yield Poison("bookings", "id", bad, good, _in_state(run.world, "completed"))


async def _endpoint(world: World, school: str = "school_a") -> UUID:
    made = await world.post(
        school, "/v1/webhook-endpoints", {"url": "http://127.0.0.1:1/x", "event_types": ["*"]}
    )
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def _deliveries(
    world: World, lane: str, made_at: datetime, due_at: datetime | None = None
) -> list[UUID]:
    endpoint = await _endpoint(world)
    ids = []
    for at in range(2):
        row = await world.insert(
            "deliveries",
            endpoint_id=endpoint,
            org_id=world["school_a"],
            event_id=new_id(),
            event_type="attendance.no_show",
            order_key=new_id(),
            sequence=1,
            position=at + 1,
            lane=lane,
            due_at=due_at,
            created_at=made_at + timedelta(seconds=at),
        )
        ids.append(row)
    return ids


@poison("raise_undelivered")
async def _undelivered(run: Run) -> AsyncIterator[Poison]:
    now = datetime.now(UTC)
    bad, good = await _deliveries(run.world, "safety", now - timedelta(hours=1), now)
    yield Poison("deliveries", "id", bad, good, _is_raised(run.world), waits=False)
    await run.world.owner.execute("DELETE FROM deliveries")


def _is_raised(world: World) -> Callable[[Any], Awaitable[bool]]:
    async def done(delivery: Any) -> bool:
        told = "SELECT undelivered_raised_at IS NOT NULL FROM deliveries WHERE id = $1"
        return bool(await world.owner.fetchval(told, delivery))

    return done


@poison("raise_unsent/not_sent")
async def _not_sent(run: Run) -> AsyncIterator[Poison]:
    now = datetime.now(UTC)
    bad, good = await _deliveries(run.world, "normal", now, now - timedelta(minutes=10))
    yield Poison("deliveries", "id", bad, good, _is_raised(run.world), waits=False)
    await run.world.owner.execute("DELETE FROM deliveries")


@poison("raise_unsent/no_due_time")
async def _no_due_time(run: Run) -> AsyncIterator[Poison]:
    bad, good = await _deliveries(run.world, "normal", datetime.now(UTC))
    yield Poison("deliveries", "id", bad, good, _is_raised(run.world), waits=False)
    await run.world.owner.execute("DELETE FROM deliveries")


@poison("go_on_with_replays")
async def _replays(run: Run) -> AsyncIterator[Poison]:
    ids = [
        await run.world.insert(
            "webhook_replays", org_id=run.world["school_a"], client_id=run.world.clients["school_a"],
            endpoint_id=await _endpoint(run.world), picks="all", from_position=0, to_position=0, reached=0,
        )
        for _ in range(2)
    ]  # fmt: skip

    async def done(replay: Any) -> bool:
        return bool(await run.world.count("webhook_replays", "id = $1 AND state = 'done'", replay))

    yield Poison("webhook_replays", "id", ids[0], ids[1], done, waits=False)


@poison("watch_endpoints")
async def _watch(run: Run) -> AsyncIterator[Poison]:
    bad, good = sorted([await _endpoint(run.world), await _endpoint(run.world)])
    await run.world.owner.execute(
        "UPDATE webhook_endpoints SET state = 'off', off_reason = 'failing' WHERE id = ANY ($1)", [bad, good]
    )

    async def done(endpoint: Any) -> bool:
        return bool(await run.world.count("webhook_endpoints", "id = $1 AND warned = 100", endpoint))

    yield Poison("webhook_endpoints", "id", bad, good, done, waits=False)


@poison("certify")
async def _certify(run: Run) -> AsyncIterator[Poison]:
    ids = [
        await run.world.insert(
            "certifications",
            org_id=run.world["school_a"],
            endpoint_id=await _endpoint(run.world),
            side="school",
        )
        for _ in range(2)
    ]

    async def done(one: Any) -> bool:
        return bool(await run.world.count("certifications", "id = $1 AND state <> 'queued'", one))

    yield Poison("certifications", "id", ids[0], ids[1], done)


# --- by the date ------------------------------------------------------------------------------------


def _in_force(world: World, table: str, *, wanted: bool = True) -> Callable[[Any], Awaitable[bool]]:
    async def done(one: Any) -> bool:
        return bool(await world.owner.fetchval(f"SELECT in_force FROM {table} WHERE id = $1", one) == wanted)

    return done


def _enrolled(world: World, state: str) -> Callable[[Any], Awaitable[bool]]:
    async def done(pupil: Any) -> bool:
        return bool(await world.count("enrolments", "id = $1 AND state = $2", pupil, state))

    return done


async def _leaving(world: World) -> UUID:
    pupil = await world.pupil("school_a")
    await world.owner.execute("UPDATE enrolments SET ends_on = $2 WHERE id = $1", pupil, date_in(1))
    return pupil


@poison("turn_pupils")
async def _pupils(run: Run) -> AsyncIterator[Poison]:
    bad, good = sorted([await _leaving(run.world), await _leaving(run.world)])
    await run.world.move_clock(time_in(3, 12))
    yield Poison("enrolments", "id", bad, good, _enrolled(run.world, "left"), waits=False)


@poison("turn_pupils/claims")
async def _claims(run: Run) -> AsyncIterator[Poison]:
    """Two claims on pupils whom no other school has any more. Who changes a person holds it: the claim waits for it."""
    claims = []
    for _ in range(2):
        person = new_id()
        no = await run.world.owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
        claim = await run.world.insert(
            "enrolments", school_id=run.world["school_b"], person_id=person, person_no=no, starts_on=TODAY,
            given_name="Ada", family_name="Example", date_of_birth=TODAY.replace(year=TODAY.year - 12, day=1),
            state="claimed",
        )  # fmt: skip
        claims.append((claim, person))
    (bad, person), (good, _) = sorted(claims)
    lock = f"SELECT 1 FROM persons WHERE id = '{person}' FOR UPDATE"
    yield Poison("enrolments", "id", bad, good, _enrolled(run.world, "active"), lock)


@poison("turn_pupils/characteristics")
async def _characteristics(run: Run) -> AsyncIterator[Poison]:
    """The pupil with a characteristic from today cannot be counted as changed; another one has left all the same."""
    await turn_pupils(run.db)  # the day before
    good, bad = await _leaving(run.world), await run.world.pupil("school_a")
    await run.world.insert(
        "characteristics", school_id=run.world["school_a"], enrolment_id=bad, field_group="sen", value="K",
        valid_from=date_in(2),
    )  # fmt: skip
    changed = "SELECT changed_seq FROM enrolments WHERE id = $1"
    before = await run.world.owner.fetchval(changed, bad)
    await run.world.move_clock(time_in(3, 12))
    left = _enrolled(run.world, "left")

    async def done(pupil: Any) -> bool:
        return await left(pupil) if pupil == good else await run.world.owner.fetchval(changed, bad) > before

    yield Poison("enrolments", "id", bad, good, done)


@poison("turn_pupils/look")
async def _look_for_pupils(run: Run) -> AsyncIterator[Poison]:
    """Those who have left cannot be looked for; the claims are."""
    seen: list[str] = []

    async def due_by_date(_tx: Any, what: str, _after: UUID, _most: int) -> list[UUID]:
        if what == "pupils":
            raise ValueError(PUPIL)
        seen.append(what)
        return []

    run.monkeypatch.setattr(core, "due_by_date", due_by_date)

    async def done(what: Any) -> bool:
        return what in seen

    yield Poison("", "", "pupils", "claims", done)


@poison("turn_memberships")
async def _memberships(run: Run) -> AsyncIterator[Poison]:
    made = []
    for _ in range(2):
        member = await run.world.insert("organisations", kind="trust", name="New Trust")
        no = await run.world.owner.fetchval("SELECT no FROM organisations WHERE id = $1", member)
        made.append(
            await run.world.insert(
                "memberships", member_id=member, member_no=no, parent_id=run.world["hub_a"], kind="hub",
                starts_on=date_in(2),
            )
        )  # fmt: skip
    bad, good = sorted(made)
    await run.world.move_clock(time_in(3, 12))
    yield Poison("memberships", "id", bad, good, _in_force(run.world, "memberships"), waits=False)


@poison("turn_cover")
async def _cover(run: Run) -> AsyncIterator[Poison]:
    made = [
        await run.world.insert(
            "covers", employer_id=run.world["employer_b"], kind="policy", liability="public_liability",
            insurer="Mutual", policy_number="P-2", limit_pence=1_000, starts_on=date_in(2), expires_on=date_in(30),
        )
        for _ in range(2)
    ]  # fmt: skip
    bad, good = sorted(made)
    await run.world.move_clock(time_in(3, 12))
    yield Poison("covers", "id", bad, good, _in_force(run.world, "covers"), waits=False)


@poison("turn_approvals")
async def _approvals(run: Run) -> AsyncIterator[Poison]:
    made = [
        await run.world.insert(
            "approvals", approver_id=run.world["hub_a"], employer_id=run.world["employer_b"],
            site_id=run.world["employer_b.site"], kind="placement", activity_band="low", approved_on=TODAY,
            expires_on=date_in(1),
        )
        for _ in range(2)
    ]  # fmt: skip
    bad, good = sorted(made)
    await run.world.move_clock(time_in(3, 12))
    yield Poison("approvals", "id", bad, good, _in_force(run.world, "approvals", wanted=False), waits=False)


# --- what is kept, and readings ---------------------------------------------------------------------


@poison("settle_changes")
async def _settle_changes(run: Run) -> AsyncIterator[Poison]:
    """It has one row, and no other: the mark itself."""
    await run.world.pupil("school_a")
    newest = await run.world.owner.fetchval("SELECT last_value FROM events_seq")

    async def done(_mark: Any) -> bool:
        return bool(await run.world.count("change_marks", "greatest(settled, pending) >= $1", newest))

    yield Poison("change_marks", "one", 1, None, done)


@poison("keep_figures")
async def _figures(run: Run) -> AsyncIterator[Poison]:
    world, schools = run.world, ("school_a", "school_b")
    for school in schools:
        await world.pupil(school)
    await keep_figures(run.db)  # so that there is a row to hold
    for school in schools:
        await world.pupil(school)
    bad, good = (world[one] for one in schools)
    at = datetime.now(UTC) - timedelta(hours=1)
    await world.owner.execute(
        "UPDATE kept_schools SET kept_at = CASE school_id WHEN $1 THEN $2::timestamptz ELSE $3 END",
        bad,
        at,
        at + timedelta(minutes=1),
    )

    async def done(school: Any) -> bool:
        return not await world.count("moved_schools", "school_id = $1", school)

    yield Poison("kept_schools", "school_id", bad, good, done, waits=False)


@poison("forget_expired")
async def _forget(run: Run) -> AsyncIterator[Poison]:
    world, client, gone = run.world, run.world.clients["school_a"], datetime.now(UTC) - timedelta(days=1)
    await world.owner.execute(
        "INSERT INTO idempotency_keys (client_id, key, request_hash, status, headers, body_sealed, expires_at)"
        " VALUES ($1, 'bad', 'h', 200, '{}', 'b', $2)",
        client,
        gone,
    )
    for table in ("assertion_ids", "revoked_tokens"):
        await world.owner.execute(
            f"INSERT INTO {table} (client_id, jti, expires_at) VALUES ($1, 'good', $2)", client, gone
        )

    async def done(name: Any) -> bool:
        tables = ("idempotency_keys",) if name == "bad" else ("assertion_ids", "revoked_tokens")
        column = "key" if name == "bad" else "jti"
        return not any([await world.count(table, f"{column} = $1", name) for table in tables])

    yield Poison("idempotency_keys", "key", "bad", "good", done, waits=False)


@poison("keep_partitions")
async def _partitions(run: Run) -> AsyncIterator[Poison]:
    """The first table has one that is in the way, and cannot be attached."""
    last = await run.world.owner.fetchval(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYYMM')"
    )
    bad, good = f"events_{last}", f"attempts_{last}"
    for name in (bad, good):
        await run.world.owner.execute(f"DROP TABLE {name}")

    async def done(name: Any) -> bool:
        there = "SELECT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass($1))"
        return bool(await run.world.owner.fetchval(there, name))

    yield Poison(bad, "", bad, good, done)


@poison("drop_old")
async def _drop(run: Run) -> AsyncIterator[Poison]:
    """Something of the operator's depends on the oldest partition."""
    owner = run.world.owner
    month = await owner.fetchval("SELECT to_char(now() - interval '9 months', 'YYYYMM')")
    begins = datetime.strptime(month, "%Y%m").replace(tzinfo=UTC)
    for table in ("attempts", "deliveries"):
        await owner.execute(
            f"CREATE TABLE {table}_{month} PARTITION OF {table} FOR VALUES FROM"
            f" ('{await owner.fetchval('SELECT app.uuid7_floor($1)', begins)}') TO"
            f" ('{await owner.fetchval('SELECT app.uuid7_floor($1)', begins + timedelta(days=28))}')"
        )
    older = await owner.fetchval("SELECT to_char(now() - interval '10 months', 'YYYYMM')")
    begins = datetime.strptime(older, "%Y%m").replace(tzinfo=UTC)
    await owner.execute(
        f"CREATE TABLE deliveries_{older} PARTITION OF deliveries FOR VALUES FROM"
        f" ('{await owner.fetchval('SELECT app.uuid7_floor($1)', begins)}') TO"
        f" ('{await owner.fetchval('SELECT app.uuid7_floor($1)', begins + timedelta(days=28))}')"
    )

    async def done(name: Any) -> bool:
        return await owner.fetchval("SELECT to_regclass($1)", name) is None

    yield Poison(f"deliveries_{older}", "", f"deliveries_{older}", f"deliveries_{month}", done)


@poison("check")
async def _check(run: Run) -> AsyncIterator[Poison]:
    """It has no rows; one of its readings fails."""
    seen: list[str] = []

    async def revision(_tx: Any) -> str:
        raise ValueError(PUPIL)

    async def clock_ahead(_tx: Any, _clock: Any) -> float:
        seen.append("clock")
        return 0.0

    run.monkeypatch.setattr(core, "revision", revision)
    run.monkeypatch.setattr(core, "clock_ahead", clock_ahead)

    async def done(name: Any) -> bool:
        return name in seen

    yield Poison("", "", "schema", "clock", done)


@poison("measure")
async def _measure(run: Run) -> AsyncIterator[Poison]:
    """It has no rows; one of its two readings fails."""
    seen: list[str] = []

    async def lanes(_tx: Any) -> Any:
        seen.append("bad")
        raise ValueError(PUPIL)

    async def endpoints(_tx: Any) -> dict[str, int]:
        seen.append("good")
        return {}

    run.monkeypatch.setattr(measures, "lanes", lanes)
    run.monkeypatch.setattr(measures, "endpoints", endpoints)

    async def done(name: Any) -> bool:
        return name in seen and name == "good"

    yield Poison("", "", "bad", "good", done)


@asynccontextmanager
async def _other_poison(world: World, made: Poison, kind: str) -> AsyncIterator[None]:
    statements = {
        "in_the_way": (f"CREATE TABLE {made.bad} (id integer)", f"DROP TABLE {made.bad}"),
        "needed": (f"CREATE VIEW poison AS SELECT id FROM {made.bad}", "DROP VIEW poison"),
        "reading": ("SELECT 1", "SELECT 1"),
    }
    begin, end = statements[kind]
    await world.owner.execute(begin)
    try:
        yield
    finally:
        await world.owner.execute(end)


# --- the tests --------------------------------------------------------------------------------------


async def test_every_task_has_its_poison(tasks: dict[str, Any]) -> None:
    assert {_task_of(name) for name in POISONS} == set(tasks), (
        "a periodic task needs a row here that it cannot handle, and one that it can"
    )


KINDS = {
    "keep_partitions": ("in_the_way",),
    "drop_old": ("needed",),
    "measure": ("reading",),
    "check": ("reading",),
    "turn_pupils/look": ("reading",),
    "withdraw_leavers/look": ("reading",),
}
EACH = [(name, kind) for name in POISONS for kind in KINDS.get(name, ("raise", "constraint", "lock"))]
AS_A_WHOLE = {"settle_changes"}
"""One statement, and no rows: what fails is the turn."""


def _task_of(name: str) -> str:
    return name.partition("/")[0]


@pytest.mark.parametrize(("name", "kind"), EACH)
async def test_a_row_that_cannot_be_handled_stops_no_other(
    world: World, db: Database, tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], name: str, kind: str,
) -> None:  # fmt: skip
    logs.configure("info", as_json=True)
    task = _task_of(name)
    before = _counted(task)
    try:
        async with POISONS[name](Run(world, db, monkeypatch)) as made:
            held = _poisoned if kind in {"raise", "constraint", "lock"} else _other_poison
            async with held(world, made, kind):
                capfd.readouterr()
                for turn in range(4):
                    await _later(tasks[task], db)
                    if turn == 0 and made.good is not None:
                        assert await made.done(made.good), "in the same turn"
                assert not await made.done(made.bad)
                lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
                failed = [one["chore"] for one in lines if one["event"] == "worker.chore"]
                assert set(failed) == ({task} if task in AS_A_WHOLE else set()), "a turn is not given up"
                told = [one for one in lines if one["event"] in {"worker.row", "worker.step"}]
                if kind != "lock" or made.waits:
                    assert told or failed, "it is said"
                    assert _counted(task) > before, "and counted"
                assert PUPIL not in json.dumps(lines)
                assert all(one["task"] == task for one in told)
            if kind != "reading":
                await _later(tasks[task], db)
                await _settled(made, tasks[task], db)
                assert await made.done(made.bad), "and it is done when it can be"
    finally:
        await world.move_clock(None)


async def _later(task: Any, db: Database) -> None:
    """A turn after the pause of a row that failed."""
    for kept in _all_turns():
        for one in kept._failed.get(db, {}).values():
            one.again_at = 0.0
    await take_turn(db, task)


async def _settled(made: Poison, task: Any, db: Database) -> None:
    """The mark of changes waits for whatever else is being written, be it Postgres's own housekeeping."""
    for _ in range(100):
        if task.name not in AS_A_WHOLE or await made.done(made.bad):
            return
        await asyncio.sleep(0.1)
        await _later(task, db)


def _all_turns() -> list[one_by_one.OneByOne]:
    import gc  # noqa: PLC0415 - only to find them

    return [one for one in gc.get_objects() if isinstance(one, one_by_one.OneByOne)]


async def test_as_many_bad_rows_as_a_turn_takes_leave_room_for_a_good_one(db: Database) -> None:
    """Ordered by id, 200 rows that always fail stood before all others, at every turn."""
    rows, handled = list(range(10)), []

    async def find(most: int) -> list[int]:
        return [one for one in rows if one not in handled][:most]

    async def act(row: int) -> None:
        if row < 9:
            raise ArithmeticError(PUPIL)
        handled.append(row)

    turns = one_by_one.OneByOne("test")
    for _ in range(4):
        await turns.turn(db, find, act, most=3)
    assert handled == [9]
