"""Endpoints and deliveries as their owners, and strangers, see them."""

from datetime import timedelta

import pytest

from app.core.addresses import Policy
from app.core.clock import wall_now
from app.core.errors import Conflict, Invalid, NotFound, Stale
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.webhooks import service
from app.webhooks.signing import key_from_text
from app.webhooks.sql import deliveries, endpoints
from app.webhooks.sql.deliveries import Wanted


def new(**more):
    return service.NewEndpoint(**{"url": "https://hooks.example.org/x", **more})


async def register(world, caller, **more):
    async with world.app.write(caller) as tx:
        return await service.register(tx, caller, world.keyring, Policy(), new(**more))


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"url": "http://hooks.example.org/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://user:pw@hooks.example.org/"}, "/url"),
        ({"url": "https://hooks.example.org:22/"}, "/url"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["booking.*", "nothing.*"]}, "/event_types/1"),
        ({"event_types": ["booking.confirm"]}, "/event_types/0"),
        ({"event_types": ["book*"]}, "/event_types/0"),
        ({"signatures": []}, "/signatures"),
        ({"signatures": ["v2"]}, "/signatures"),
        ({"signatures": ["v1", "v1"]}, "/signatures"),
        ({"description": "x" * 501}, "/description"),
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"concurrency": 65}, "/concurrency"),
        ({"from_position": 10**9}, "/from_position"),
        ({"from_position": -1}, "/from_position"),
    ],
)
async def test_a_faulty_endpoint_is_refused_by_the_name_of_its_field(world, wrong, pointer):
    school = await world.org()
    with pytest.raises((Invalid, Conflict)) as refused:
        await register(world, school, **wrong)
    assert pointer in [fault.pointer for fault in refused.value.faults]
    async with world.app.read(school) as tx:
        assert await endpoints.page(tx, school) == []


async def test_the_secret_is_shown_once_and_kept_sealed(world):
    school = await world.org()
    made = await register(world, school)
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert not [name for name in made.endpoint if "sealed" in name]
    row = await world.row(made.endpoint["id"])
    assert made.secret.encode() not in row["secret_sealed"]
    assert (
        world.keyring.open_sealed("webhook secret", row["secret_sealed"], row["id"].bytes).decode()
        == made.secret
    )
    async with world.app.read(school) as tx:
        [listed] = await endpoints.page(tx, school)
    assert not [name for name in dict(listed) if "secret" in name or "private" in name]


async def test_a_school_that_the_caller_does_not_act_for_is_not_found(world):
    school, stranger, vendor = await world.org(), await world.org(), await world.org("vendor")
    await world.grant(school, vendor)
    assert (await register(world, vendor, school_id=school.org_id)).endpoint["school_id"] == school.org_id
    for other in (stranger.org_id, new_id()):
        with pytest.raises(NotFound):
            await register(world, vendor, school_id=other)


async def test_a_stranger_finds_no_endpoint_and_no_delivery_and_changes_nothing(world):
    school, stranger = await world.org(), await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school)
    await world.worker().step()
    [delivery] = await world.deliveries(endpoint)
    before = await world.row(endpoint)

    async def tried(act):
        with pytest.raises(NotFound):
            async with world.app.write(stranger) as tx:
                await act(tx)

    await tried(lambda tx: service.update(tx, stranger, world.policy, endpoint, {"concurrency": 1}))
    await tried(lambda tx: service.pause(tx, stranger, endpoint))
    await tried(lambda tx: service.resume(tx, stranger, endpoint))
    await tried(lambda tx: service.delete(tx, stranger, endpoint))
    await tried(lambda tx: service.rotate(tx, stranger, world.keyring, endpoint))
    await tried(lambda tx: service.resend(tx, stranger, delivery["id"]))
    async with world.app.read(stranger) as tx:
        assert await endpoints.page(tx, stranger) == []
        assert await endpoints.by_id(tx, stranger, endpoint) is None
        assert await deliveries.page(tx, stranger) == []
        assert await deliveries.by_id(tx, stranger, delivery["id"]) is None
        assert await deliveries.attempts_of(tx, stranger, delivery["id"]) == []
    assert await world.row(endpoint) == before
    assert len(await world.deliveries(endpoint)) == 1


async def test_an_update_takes_the_version_it_read_and_refuses_unknown_fields(world):
    school = await world.org()
    endpoint = (await register(world, school)).endpoint["id"]
    async with world.app.write(school) as tx:
        changed = await service.update(
            tx, school, Policy(), endpoint, {"event_types": ["hours.*"], "rate_per_second": 5}, version=1
        )
    assert (changed["version"], changed["event_types"], changed["rate_per_second"]) == (2, ["hours.*"], 5)
    with pytest.raises(Stale):
        async with world.app.write(school) as tx:
            await service.update(tx, school, Policy(), endpoint, {"concurrency": 2}, version=1)
    with pytest.raises(Invalid) as refused:
        async with world.app.write(school) as tx:
            await service.update(tx, school, Policy(), endpoint, {"state": "off", "url": "http://x.example/"})
    assert {fault.pointer for fault in refused.value.faults} == {"/state", "/url"}


async def test_during_a_rotations_grace_old_and_new_secret_both_verify(world):

    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    old = world.receiver.keys["/a"]
    async with world.app.write(school) as tx:
        rotated = await service.rotate(tx, school, world.keyring, endpoint, grace_days=2)
    worker = world.worker()
    for keys in (old, [key_from_text(rotated.secret)]):
        world.receiver.keys["/a"] = keys
        await world.emit(school)
        await worker.step()
    assert [one.verified for one in world.receiver.got] == [True, True]
    assert len(world.receiver.got[0].headers["webhook-signature"].split()) == 2
    async with world.app.write(school) as tx:
        await service.rotate(tx, school, world.keyring, endpoint, grace_days=0)
    await world.emit(school)
    await worker.step()
    assert not world.receiver.got[-1].verified
    assert len(world.receiver.got[-1].headers["webhook-signature"].split()) == 1


@pytest.mark.parametrize("days", [-1, 8])
async def test_a_grace_is_at_most_seven_days(world, days):
    school = await world.org()
    endpoint = (await register(world, school)).endpoint["id"]
    with pytest.raises(Invalid):
        async with world.app.write(school) as tx:
            await service.rotate(tx, school, Keyring([b"k" * 32]), endpoint, grace_days=days)


async def test_a_deleted_endpoint_is_gone_and_what_was_pending_is_cancelled(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    worker = world.worker()
    await world.emit(school, count=2)
    await worker.sequence()
    async with world.app.write(school) as tx:
        await service.delete(tx, school, endpoint)
    await world.emit(school)
    await worker.step()
    assert world.receiver.got == []
    assert await world.states(endpoint) == ["cancelled", "cancelled"]
    with pytest.raises(NotFound):
        async with world.app.write(school) as tx:
            await service.resume(tx, school, endpoint)
    async with world.app.read(school) as tx:
        assert await endpoints.page(tx, school) == []
        assert len(await deliveries.page(tx, school)) == 2


async def test_a_resent_delivery_carries_the_same_id_and_bytes_and_waits_for_nobody(world):
    school, key = await world.org(), new_id()
    endpoint = await world.endpoint(school, "/a")
    [event] = await world.emit(school, key=key)
    worker = world.worker()
    await worker.step()
    [delivery] = await world.deliveries(endpoint)
    async with world.app.write(school) as tx:
        again = await service.resend(tx, school, delivery["id"])
    assert (again["replay"], again["state"], again["event_id"]) == (True, "pending", delivery["event_id"])
    await worker.step()
    first, second = world.receiver.at("/a")
    assert (first.id, first.body) == (second.id, second.body) == (event, second.body)
    async with world.app.write(school) as tx:
        await service.pause(tx, school, endpoint)
        await service.delete(tx, school, endpoint)
    with pytest.raises(Conflict):
        async with world.app.write(school) as tx:
            await service.resend(tx, school, delivery["id"])


async def test_deliveries_are_listed_newest_first_by_page_and_filter_with_their_attempts(world):
    school = await world.org()
    one, two = await world.endpoint(school, "/1"), await world.endpoint(school, "/2")
    events = [(await world.emit(school))[0] for _ in range(3)]
    await world.worker().step()
    async with world.app.read(school) as tx:
        everything = await deliveries.page(tx, school)
        first = await deliveries.page(tx, school, Wanted(endpoint_id=one), limit=2)
        rest = await deliveries.page(tx, school, Wanted(endpoint_id=one), before=first[-1]["id"])
        assert len(await deliveries.page(tx, school, Wanted(state="delivered"))) == 6
        assert len(await deliveries.page(tx, school, Wanted(state="failed"))) == 0
        assert len(await deliveries.page(tx, school, Wanted(endpoint_id=two, event_id=events[0]))) == 1
        [attempt] = await deliveries.attempts_of(tx, school, everything[0]["id"])
    assert len(everything) == 6
    assert sorted(str(row["event_id"]) for row in [*first, *rest]) == sorted(events)
    assert [row["id"] for row in everything] == sorted((row["id"] for row in everything), reverse=True)
    assert attempt["status"] == 204
    assert attempt["request_headers"]["webhook-id"] == str(everything[0]["event_id"])


async def test_the_fifty_first_endpoint_is_refused(world):
    school = await world.org()
    for _ in range(service.MOST_ENDPOINTS):
        await register(world, school)
    with pytest.raises(Conflict) as refused:
        await register(world, school)
    assert refused.value.code == "too_many_endpoints"


async def test_dead_letters_are_found_by_type_and_time(world):
    school = await world.org()
    endpoint = await world.endpoint(school, "/a")
    await world.emit(school, count=2)
    await world.emit(school, kind="hours.credited")
    await world.worker().step()
    await world.owner.execute("UPDATE deliveries SET state = 'failed'")
    now = wall_now()

    async def found(**more):
        async with world.app.read(school) as tx:
            return len(
                await deliveries.page(tx, school, Wanted(endpoint_id=endpoint, state="failed", **more))
            )

    assert await found() == 3
    assert await found(event_type="hours.credited") == 1
    assert await found(event_type="booking.*") == 2
    assert await found(created_from=now - timedelta(minutes=1), created_to=now + timedelta(minutes=1)) == 3
    assert await found(created_to=now - timedelta(minutes=1)) == 0
    assert await found(created_from=now + timedelta(minutes=1)) == 0
