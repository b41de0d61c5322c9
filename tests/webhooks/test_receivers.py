"""The receivers that stand in docs/receivers, as real processes, against signatures of our own signer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from app.core.secrets import new_webhook_key_pair, new_webhook_secret
from app.webhooks.signing import signed_headers, signing_key, verifying_key
from tests.webhooks.receivers import BOTH, NODE, Running, running

SECRET, OLD, OTHER, PAIR = (
    new_webhook_secret(),
    new_webhook_secret(),
    new_webhook_secret(),
    new_webhook_key_pair(),
)
NEEDS_NODE = pytest.mark.skipif(NODE is None, reason="Node is not installed")


@pytest_asyncio.fixture(params=BOTH, scope="module")
async def receiver(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    async with running(request.param, [SECRET, OLD]) as made:
        yield made


def event(**more: object) -> bytes:
    return json.dumps({"type": "booking.confirmed", "sequence": 1, "note": "Tŷ Gwyn", **more}).encode()


async def send(
    to: Running,
    msg_id: str,
    body: bytes,
    *keys: str,
    at: float | None = None,
    sent: bytes | None = None,
    **altered: str,
) -> int:
    """Sign `body`, send it (or `sent` in its place), give the status."""
    headers = signed_headers(
        msg_id, int(at or time.time()), body, [signing_key(one) for one in keys or (SECRET,)]
    )
    headers |= {name.replace("_", "-"): value for name, value in altered.items()}
    async with httpx.AsyncClient() as http:
        answer = await http.post(to.url, content=body if sent is None else sent, headers=headers)
    return answer.status_code


async def printed(of: Running, count: int) -> list[str]:
    """What has been stored, once there is that much of it, and a moment to see that there is not more."""
    async with asyncio.timeout(5):
        while len(of.printed) < count:  # noqa: ASYNC110 - a process prints, there is no event to wait for
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    return of.printed


async def test_each_genuine_message_is_stored_once_and_answered_204(receiver: Running) -> None:
    receiver.printed.clear()
    assert await send(receiver, "a-1", event()) == 204
    assert await send(receiver, "a-1", event()) == 204
    assert await send(receiver, "a-1", event(), at=time.time() + 100) == 204
    [line] = await printed(receiver, 1)
    assert json.loads(line) == json.loads(event())


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("unknown", {"type": "of.the_future"}),
        ("order-2", {"sequence": 2}),
        ("order-1", {"sequence": 1}),
        ("large", {"pad": "x" * 20_000}),
    ],
)
async def test_what_is_unknown_out_of_order_or_large_is_taken(
    receiver: Running, name: str, more: dict[str, object]
) -> None:
    assert await send(receiver, name, event(**more)) == 204


async def test_a_body_that_comes_slowly_is_waited_for(receiver: Running) -> None:
    body = event(pad="slow")
    headers = signed_headers("slow-1", int(time.time()), body, [signing_key(SECRET)])
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    lines = [
        f"{name}: {value}"
        for name, value in {**headers, "content-length": str(len(body)), "host": "x"}.items()
    ]
    writer.write(("\r\n".join(["POST /tendays HTTP/1.1", *lines]) + "\r\n\r\n").encode())
    for at in range(0, len(body), 16):
        writer.write(body[at : at + 16])
        await writer.drain()
        await asyncio.sleep(0.2)
    assert b" 204 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_both_secrets_of_a_rotation_are_good(receiver: Running) -> None:
    assert await send(receiver, "r-1", event(), OLD) == 204
    assert await send(receiver, "r-2", event(), OTHER, OLD) == 204
    assert await send(receiver, "r-3", event(), PAIR.secret, SECRET) == 204


async def test_what_is_not_genuine_or_not_timely_is_401_and_not_stored(receiver: Running) -> None:
    receiver.printed.clear()
    said = [
        await send(receiver, "f-1", event(), OTHER),
        await send(receiver, "f-1", event(), sent=event(sequence=2)),
        await send(receiver, "f-1", event(), webhook_id="f-2"),
        await send(receiver, "f-1", event(), at=time.time() - 330),
        await send(receiver, "f-1", event(), at=time.time() + 330),
        await send(receiver, "f-1", event(), webhook_signature="v1,AA== v1 nothing"),
        await send(receiver, "f-1", event(), webhook_signature=""),
        await send(receiver, "f-1", event(), webhook_timestamp="soon"),
        await send(receiver, "f-1", event(), PAIR.secret),
    ]
    assert said == [401] * len(said)
    assert await send(receiver, "f-1", event()) == 204
    assert len(await printed(receiver, 1)) == 1


async def test_more_than_a_megabyte_is_413(receiver: Running) -> None:
    assert await send(receiver, "l-1", event(pad="x" * 1_000_001)) == 413


@NEEDS_NODE
async def test_the_one_in_javascript_verifies_v1a_by_the_public_key() -> None:
    public = verifying_key(PAIR.secret).text
    async with running("receiver.mjs", [public]) as receiver:
        assert await send(receiver, "e-1", event(), PAIR.secret) == 204
        assert await send(receiver, "e-2", event(), SECRET, PAIR.secret) == 204
        assert await send(receiver, "e-3", event(), new_webhook_key_pair().secret) == 401
        assert await send(receiver, "e-4", event(), SECRET) == 401
        assert await send(receiver, "e-5", event(), PAIR.secret, sent=event(sequence=2)) == 401
