"""Every receiver that we show answers 401 to what is not signed well or not timely, and takes nothing old for news."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from app.core.secrets import new_webhook_secret
from app.webhooks.signing import signed_headers, signing_key
from tests.docs.guide import DOCS, blocks
from tests.webhooks.receivers import ALL, Running, running

SECRET = new_webhook_secret()
SCHOOL, OTHER = str(uuid4()), str(uuid4())


@pytest_asyncio.fixture(params=ALL, scope="module")
async def receiver(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    async with running(request.param, [SECRET]) as made:
        yield made
    assert not [one for one in made.complaints if "Traceback" in one], made.complaints


def event(key: str, sequence: int, *, of: str = SCHOOL, name: str = "booking.confirmed") -> dict[str, Any]:
    audience = {"side": "school", "id": of}
    data = {"mark": f"<{uuid4()}>"}
    return {"type": name, "audience": audience, "order_key": key, "data": data, "sequence": sequence}


async def post(port: int, headers: Mapping[str, str], body: bytes) -> int | None:
    """The status of the answer to exactly these header lines; None if the connection was closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["POST / HTTP/1.1", "host: x", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body)
    first = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(first.split()[1]) if first else None


def signed(body: bytes, *, ago: float = 0.0, msg_id: str | None = None) -> dict[str, str]:
    return signed_headers(msg_id or str(uuid4()), int(time.time() - ago), body, [signing_key(SECRET)])


async def deliver(to: Running, one: Mapping[str, Any], msg_id: str | None = None) -> int | None:
    body = json.dumps(one).encode()
    return await post(to.port, signed(body, msg_id=msg_id), body)


ALTERED: Mapping[str, Mapping[str, str | None]] = {
    "no signature": {"webhook-signature": None},
    "no timestamp": {"webhook-timestamp": None},
    "no id": {"webhook-id": None},
    "nothing at all": {"webhook-signature": None, "webhook-timestamp": None, "webhook-id": None},
    "empty signature": {"webhook-signature": ""},
    "signature of blanks": {"webhook-signature": "   "},
    "signature without a version": {"webhook-signature": "K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
    "signature that is no base64": {"webhook-signature": "v1,%%%"},
    "signature of letters beyond ASCII": {"webhook-signature": "v1,\xe9\xff"},
    "signature of another version": {"webhook-signature": "v2,AAAA"},
    "long signature": {"webhook-signature": "v1," + "A" * 8000},
    "another signature": {"webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
    "timestamp of letters": {"webhook-timestamp": "soon"},
    "empty timestamp": {"webhook-timestamp": ""},
    "timestamp with a fraction": {"webhook-timestamp": "1795339860.5"},
    "negative timestamp": {"webhook-timestamp": "-1795339860"},
    "timestamp that is not a number": {"webhook-timestamp": "NaN"},
    "infinite timestamp": {"webhook-timestamp": "1e999"},
    "timestamp of another script": {"webhook-timestamp": "\xb2\xb3"},
    "timestamp of 5,000 digits": {"webhook-timestamp": "9" * 5000},
    "id of letters beyond ASCII": {"webhook-id": "\xe9"},
}


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED.keys())
async def test_a_missing_or_an_odd_header_is_401(
    receiver: Running, altered: Mapping[str, str | None]
) -> None:
    one = event("odd", 1)
    body = json.dumps(one).encode()
    headers = {**signed(body), **altered}
    sent = {name: value for name, value in headers.items() if value is not None}
    assert await post(receiver.port, sent, body) == 401
    assert not await _printed(receiver, one)


@pytest.mark.parametrize("ago", [330.0, -330.0, 86_400.0, 1_700_000_000.0])
async def test_a_late_or_an_early_signature_is_401(receiver: Running, ago: float) -> None:
    one = event("late", 1)
    body = json.dumps(one).encode()
    assert await post(receiver.port, signed(body, ago=ago), body) == 401
    assert not await _printed(receiver, one)


async def test_a_body_that_was_altered_is_401(receiver: Running) -> None:
    body = json.dumps(event("altered", 1)).encode()
    assert await post(receiver.port, signed(body), body.replace(b"confirmed", b"cancelled")) == 401


async def _printed(of: Running, one: Mapping[str, Any], *, wait: float = 0.1) -> list[str]:
    """The lines that show this event."""
    until = time.monotonic() + wait
    while True:
        found = [line for line in of.printed if one["data"]["mark"] in line]
        if found or time.monotonic() > until:
            return found
        await asyncio.sleep(0.01)


async def _is_news(of: Running, one: Mapping[str, Any]) -> bool:
    """Printed, and not as old."""
    return any(
        '"old": true' not in line and '"old":true' not in line for line in await _printed(of, one, wait=1.0)
    )


async def test_an_id_that_comes_again_is_answered_and_not_done_again(receiver: Running) -> None:
    one, msg_id = event("again", 1), str(uuid4())
    assert [await deliver(receiver, one, msg_id) for _ in range(3)] == [204] * 3
    await asyncio.sleep(0.2)
    assert len(await _printed(receiver, one)) == 1


async def test_a_lower_sequence_is_old_and_an_equal_one_is_not(receiver: Running) -> None:
    first, equal, lower, higher = event("k", 2), event("k", 2), event("k", 1), event("k", 3)
    for one in (first, equal, lower, higher):
        assert await deliver(receiver, one) == 204
    assert [await _is_news(receiver, one) for one in (first, equal, higher)] == [True] * 3
    assert not await _is_news(receiver, lower)


async def test_one_change_told_to_two_audiences_is_news_twice(receiver: Running) -> None:
    """Each audience counts its own `sequence`: what the second one hears is not old because the first is further on."""
    told = [
        event("two", 5),
        event("two", 5, of=OTHER),
        event("two", 1, of=str(uuid4())),
        event("two", 6, of=OTHER),
    ]
    for one in told:
        assert await deliver(receiver, one) == 204
    assert [await _is_news(receiver, one) for one in told] == [True] * 4


async def test_keys_are_apart(receiver: Running) -> None:
    far, near = event("far", 9), event("near", 1)
    for one in (far, near):
        assert await deliver(receiver, one) == 204
    assert await _is_news(receiver, near)


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED.keys())
def test_the_guides_own_verify_refuses_a_missing_or_an_odd_header(altered: Mapping[str, str | None]) -> None:
    (program,) = blocks(DOCS / "webhooks.md", "python")
    names: dict[str, Any] = {}
    exec(program.text, names)  # noqa: S102
    body = json.dumps(event("guide", 1)).encode()
    assert names["verify"](SECRET, signed(body), body) is True
    sent = {name: value for name, value in {**signed(body), **altered}.items() if value is not None}
    assert names["verify"](SECRET, sent, body) is False
