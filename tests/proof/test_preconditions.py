"""HEAD, If-None-Match and If-Match on every route of the contract, as RFC 9110 says (sections 8.8.3, 9.3.2 and 13.1)."""

from typing import Any

import pytest

from app.rest.frame import tags_in
from tests.proof.readers import EVERYBODY
from tests.proof.rows import Row
from tests.proof.test_strangers import OPERATIONS, Operation, Stranger, _filled, _foreign, _strangers_to
from tests.world import World

pytestmark = pytest.mark.calendar

READS = [one for one in OPERATIONS if one.method == "GET"]
PASSING = {
    "server-timing",
    "tendays-committed-at",
    "ratelimit",
    "ratelimit-policy",
    "tendays-request-id",
    "date",
}
"""Headers of the moment, which differ between any two answers."""
NO_TAG = {
    "bookings/{booking_id}/history", "bookings/{booking_id}/participants", "bookings/{booking_id}/attendance",
    "open-slots/{slot_id}", "programmes/{programme_id}/money", "programmes/{programme_id}/export",
    "schools/{school_id}/pupils/{pupil_id}/progress", "schools/{school_id}/pupils/{pupil_id}/barred-sites",
    "webhook-endpoints/{endpoint_id}/stats", "webhook-deliveries/{delivery_id}/attempts",
    "webhook-replays/{replay_id}", "webhook-certifications/{certification_id}",
}  # fmt: skip
"""Reads of what is no one thing with a version."""


@pytest.fixture(scope="module")
def stranger(world: World) -> Stranger:
    return Stranger(world)


async def _reader(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> tuple[str, str]:
    """Somebody who reads it, and the path of a real thing."""
    path = _filled(operation, _foreign(operation, full))
    for who in sorted(EVERYBODY - set(_strangers_to(operation))):
        if (await stranger.send(who, operation, path)).status_code == 200:
            return who, path
    pytest.fail(f"nobody reads {operation}")


def _headers(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in PASSING}


@pytest.mark.parametrize("operation", READS, ids=str)
async def test_head_and_if_none_match(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    who, path = await _reader(world, full, stranger, operation)
    token = stranger._tokens[who, operation.scope]

    async def send(method: str, **headers: str) -> Any:
        return await world.send(who, method, path, Authorization=f"Bearer {token}", **headers)

    got, head = await send("GET"), await send("HEAD")
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    if operation.path != "/v1/disclosures":  # which tells of the reads themselves
        assert _headers(head) == _headers(got)
    etag = got.headers.get("etag")
    named = operation.path.removeprefix("/v1/")
    if "limit" in [one["name"] for one in operation.document["parameters"]] or named in NO_TAG | {
        "events",
        "event-types",
    }:
        return
    assert etag, f"{operation} has no ETag"
    for held in (etag, f"W/{etag}", f'"x", {etag}', f' , "a,b" ,W/{etag},', "*", f'"v0",W/"q", {etag}'):
        for method in ("GET", "HEAD"):
            answer = await send(method, If_None_Match=held)
            assert (answer.status_code, answer.content) == (304, b""), held
            assert answer.headers["etag"] == etag
            assert "content-type" not in answer.headers
    for other in ('"v999"', 'W/"v999", "x"', etag.strip('"'), f'"x{etag}', "", "**", f'"{etag.lower()}"'):
        assert (await send("GET", If_None_Match=other)).status_code == 200, other


WRITES = [
    one
    for one in OPERATIONS
    if any(each["name"] == "If-Match" for each in one.document.get("parameters", ()))
]


@pytest.mark.parametrize("operation", WRITES, ids=str)
async def test_a_weak_or_another_tag_never_matches(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    """412 and nothing changed, whoever sends it: or what refuses before the thing is looked at."""
    path = _filled(operation, _foreign(operation, full))
    before = await world.fingerprint()
    found: dict[str, set[int]] = {}
    for who in sorted(EVERYBODY - set(_strangers_to(operation))):
        for tag in ('W/"v1"', '"v999"', '"x", W/"v1"', "v1", '"V1"', '"v1', '"v1"x'):
            body = operation.body
            headers = {"Content_Type": operation.media, "If_Match": tag}
            every = world.app.state.house.doorkeeper.caller_of(world.tokens[who]).scopes
            token = world.token(who, every | {operation.scope})
            answer = await world.send(
                who, operation.method, path, body, Authorization=f"Bearer {token}", **headers
            )
            found.setdefault(tag, set()).add(answer.status_code)
    refused = {412} if operation.path != "/v1/contacts/{contact_id}" else {412, 409}  # 409: an offer names it
    assert all(codes & refused for codes in found.values()), found
    assert all(not codes & {200, 201, 204} for codes in found.values()), found
    assert await world.fingerprint() == before


async def test_one_of_several_and_any_match(world: World) -> None:
    site = world["employer_a.site"]
    for match in ('"x", "v1" , "v7"', "*", ',"v3",'):
        changed = await world.send(
            "employer_a", "PATCH", f"/v1/sites/{site}", {"name": f"Name {match}"}, If_Match=match
        )
        assert changed.status_code == 200, changed.text
    missing = await world.send("employer_a", "PATCH", f"/v1/sites/{site}", {"name": "x"})
    assert (missing.status_code, missing.json()["code"]) == (428, "if_match_required")


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ('"a"', [(False, '"a"')]),
        ('W/"a","b"', [(True, '"a"'), (False, '"b"')]),
        (' , "a" ,, W/"b,c" , ', [(False, '"a"'), (True, '"b,c"')]),
        ('""', [(False, '""')]),
        ('w/"a"', []),
        ('"a" "b"', []),
        ('"a", b', []),
        ('"a b"', []),
        ("", []),
        ("*", []),
    ],
)
def test_a_list_of_tags_is_read_as_the_standard_says(header: str, tags: list[Any]) -> None:
    assert tags_in(header) == tags


async def test_head_outside_the_contract_too(world: World) -> None:
    for path in ("/health", "/openapi.json", "/docs", "/.well-known/jwks.json", "/nothing"):
        got, head = await world.get(None, path), await world.send(None, "HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert _headers(head) == _headers(got), path
    assert (await world.send("school_a", "HEAD", "/oauth/token")).status_code == 405
