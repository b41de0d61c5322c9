"""A POST is done once: claims, races, replays, and what is never recorded. On Postgres as `tendays_app`."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, text

from app.access import service as access
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database, Writer, system
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import new_id
from app.core.roles import Dsns
from app.core.secrets import Keyring
from app.idempotency import service
from app.organisations.tables import organisations

RING = Keyring([b"k" * 32])
HASH, OTHER = b"h" * 32, b"o" * 32
ANSWER = {"status": 201, "headers": {"location": "/v1/bookings/1", "etag": '"v1"'}, "body": b'{"id": 1}'}


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(dsns.app, pool=6).open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def owner(dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(dsns.owner, pool=2).open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def callers(owner: Database) -> list[Caller]:
    """Two clients of one organisation."""
    org_id = new_id()
    async with owner.write(None) as tx:
        await tx.run(insert(organisations).values(id=org_id, kind="school", name="A school"))
        made = [
            await access.register_client(tx, org_id=org_id, org_kind="school", name=name)
            for name in ("first", "second")
        ]
    return [Caller(one.id, org_id, "school", frozenset(one.scopes), wall_now()) for one in made]


@pytest.fixture
def caller(callers: list[Caller]) -> Caller:
    return callers[0]


async def post(
    db: Database, caller: Caller, key: str, digest: bytes = HASH, ring: Keyring = RING, **more: object
) -> Any:
    """What the frame does around an endpoint; True says that the endpoint ran."""
    async with db.write(caller) as tx:
        recorded = await service.claim(tx, ring, key, digest)
        if recorded:
            return recorded
        await service.record(tx, ring, key, digest, **{**ANSWER, **more})
        return True


async def test_the_first_request_is_done_and_the_next_gets_the_recorded_answer(
    db: Database, caller: Caller
) -> None:
    assert await post(db, caller, "replay") is True
    for _ in range(2):
        recorded = await post(db, caller, "replay")
        assert recorded == service.Recorded(201, ANSWER["headers"], ANSWER["body"])
        assert "id" not in repr(recorded).partition("headers")[0]


async def test_a_claim_and_a_record_are_one_statement_each(db: Database, caller: Caller) -> None:
    before = db.statements
    await post(db, caller, "counted")
    assert db.statements - before == 3  # enter, claim, record
    await post(db, caller, "counted")
    assert db.statements - before == 5


async def test_a_key_with_another_payload_is_refused(db: Database, caller: Caller) -> None:
    await post(db, caller, "payload")
    with pytest.raises(Invalid) as caught:
        await post(db, caller, "payload", OTHER)
    assert caught.value.code == "idempotency_key_reused"
    assert caught.value.faults[0].pointer == "@Idempotency-Key"


async def test_while_the_first_is_in_flight_the_second_is_told_so_at_once(
    db: Database, caller: Caller
) -> None:
    async with db.write(caller) as first:
        assert await service.claim(first, RING, "flight", HASH) is None
        with pytest.raises(Conflict) as caught:
            await asyncio.wait_for(post(db, caller, "flight"), 2)
        assert caught.value.code == "idempotency_in_flight"
        assert caught.value.extra["retry_after"] == 1
        await service.record(first, RING, "flight", HASH, **ANSWER)
    assert (await post(db, caller, "flight")).status == 201


async def test_two_that_ask_for_a_recorded_answer_at_once_both_get_it(db: Database, caller: Caller) -> None:
    await post(db, caller, "both")
    async with db.write(caller) as first:
        assert await service.claim(first, RING, "both", HASH)
        assert (await post(db, caller, "both")).status == 201


async def test_of_many_at_once_one_is_done(db: Database, caller: Caller) -> None:
    async def once() -> Any:
        try:
            return await post(db, caller, "race")
        except Conflict as error:
            return error.code

    answers = [one for _ in range(3) for one in await asyncio.gather(*(once() for _ in range(12)))]
    assert answers.count(True) == 1
    assert all(one in (True, "idempotency_in_flight") or one.status == 201 for one in answers)


async def refuse_after_claim(tx: Writer, key: str) -> None:
    assert await service.claim(tx, RING, key, HASH) is None
    raise NotFound


async def test_a_refusal_leaves_the_key_free(db: Database, caller: Caller) -> None:
    with pytest.raises(NotFound):
        async with db.write(caller) as tx:
            await refuse_after_claim(tx, "refused")
    assert await post(db, caller, "refused", OTHER) is True


async def test_a_record_that_another_beat_to_it_goes_back_as_in_flight(db: Database, caller: Caller) -> None:
    await post(db, caller, "beaten")
    with pytest.raises(Conflict) as caught:
        async with db.write(caller) as tx:
            await service.record(tx, RING, "beaten", HASH, **ANSWER)
    assert caught.value.code == "idempotency_in_flight"


async def test_keys_belong_to_their_client(db: Database, callers: list[Caller]) -> None:
    first, second = callers
    await post(db, first, "mine")
    assert await post(db, second, "mine", OTHER) is True
    async with db.read(second) as tx:
        assert await tx.value(text("SELECT count(*) FROM idempotency_keys WHERE key = 'mine'")) == 1


async def test_bodies_are_sealed_and_payloads_are_not_kept_even_as_plain_digests(
    owner: Database, db: Database, caller: Caller
) -> None:
    await post(db, caller, "sealed", body=b"tds_live_secret", secret=True)
    async with owner.write(None) as tx:
        row = await tx.one_or_none(text("SELECT * FROM idempotency_keys WHERE key = 'sealed'"))
    assert b"tds_live" not in bytes(row["body_sealed"])
    assert bytes(row["request_hash"]) != HASH
    assert row["expires_at"] - row["created_at"] == timedelta(hours=24)
    assert (await post(db, caller, "sealed")).body == b"tds_live_secret"


async def test_an_answer_without_a_secret_is_kept_for_longer(
    owner: Database, db: Database, caller: Caller
) -> None:
    await post(db, caller, "longer")
    async with owner.write(None) as tx:
        query = text("SELECT expires_at - created_at FROM idempotency_keys WHERE key = 'longer'")
        assert await tx.value(query) == service.KEEP


async def test_an_expired_answer_is_not_repeated_and_the_broom_frees_its_key(
    dsns: Dsns, db: Database, caller: Caller
) -> None:
    await post(db, caller, "expired", keep=timedelta(seconds=-1))
    with pytest.raises(Conflict) as caught:
        await post(db, caller, "expired")
    assert caught.value.code == "idempotency_key_expired"
    worker = await Database(dsns.worker, pool=1).open()
    async with worker.write(system()) as tx:
        assert await service.forget_expired(tx) == 1
        assert await service.forget_expired(tx) == 0
    await worker.close()
    assert await post(db, caller, "expired") is True


async def test_an_answer_sealed_under_a_dropped_key_counts_as_expired(db: Database, caller: Caller) -> None:
    index = b"k" * 32
    await post(db, caller, "dropped")
    newer = Keyring([b"n" * 32], index_master=index)
    with pytest.raises(Conflict, match="not kept"):
        await post(db, caller, "dropped", ring=newer)
    assert (await post(db, caller, "dropped", ring=Keyring([b"n" * 32, index]))).status == 201
