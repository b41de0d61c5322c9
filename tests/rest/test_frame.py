"""The frame of every route: each way to be refused, and that nothing is half written."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.world import World


def _code(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["code"] == code
    assert found["status"] == status
    return found


async def test_no_token_is_401_with_a_challenge(world: World) -> None:
    answer = await world.get(None, "/v1/bookings")
    _code(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_broken_token_is_401_with_a_challenge(world: World, token: str) -> None:
    answer = await world.send(None, "GET", "/v1/bookings", Authorization=f"Bearer {token}")
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


async def test_a_revoked_client_is_401_at_once(world: World) -> None:
    client = await world.insert("clients", org_id=world["school_c"], name="short-lived")
    keep = world.clients["school_c"]
    world.clients["school_c"] = client
    token = world.token("school_c")
    world.clients["school_c"] = keep
    good = await world.send(None, "GET", "/v1/bookings", Authorization=f"Bearer {token}")
    assert good.status_code == 200
    await world.owner.execute("UPDATE clients SET revoked_at = now() WHERE id = $1", client)
    _code(
        await world.send(None, "GET", "/v1/bookings", Authorization=f"Bearer {token}"), 401, "client_revoked"
    )


async def test_a_missing_scope_is_403_and_named(world: World) -> None:
    token = world.token("school_a", frozenset({"pupils:read"}))
    answer = await world.send(None, "GET", "/v1/bookings", Authorization=f"Bearer {token}")
    assert _code(answer, 403, "insufficient_scope")["required_scope"] == "bookings:read"
    assert 'scope="bookings:read"' in answer.headers["www-authenticate"]


async def test_unknown_paths_and_methods_are_problems(world: World) -> None:
    _code(await world.get("school_a", "/v1/nothing"), 404, "not_found")
    answer = await world.send("school_a", "DELETE", "/v1/bookings")
    _code(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/clients", "GET, POST"),
        ("DELETE", "/v1/organisations/0198c0de-0000-7000-8000-000000000001", "GET, PATCH"),
        ("GET", "/oauth/token", "POST"),
        ("POST", "/health", "GET"),
        ("DELETE", "/graphql", "GET, POST"),
    ],
)
async def test_405_names_every_method_of_the_path(world: World, method: str, path: str, allow: str) -> None:
    answer = await world.send("school_a", method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == set(allow.split(", "))


async def test_what_the_schema_alone_can_tell_is_said_in_codes_of_ours(world: World) -> None:
    site = {"name": "x" * 300, "address": 5, "town": "", "postcode": "SG1 1AA"}
    refused = await world.post("employer_a", "/v1/sites", site)
    codes = {one["pointer"]: one["code"] for one in refused.json()["errors"]}
    assert (codes["/name"], codes["/address"], codes["/town"]) == ("too_long", "wrong_type", "too_short")
    booking = {"school_id": "x", "slot_id": 5, "places": 0}
    refused = await world.post("school_a", "/v1/bookings", booking)
    codes = {one["pointer"]: one["code"] for one in refused.json()["errors"]}
    assert codes == {"/school_id": "wrong_type", "/slot_id": "wrong_type", "/places": "out_of_range"}


async def test_an_id_that_is_not_an_id_is_not_found(world: World) -> None:
    _code(await world.get("school_a", "/v1/bookings/12"), 404, "not_found")


async def test_a_post_without_a_key_is_400(world: World) -> None:
    answer = await world.send("school_a", "POST", "/v1/bookings", {}, Idempotency_Key="")
    _code(answer, 400, "idempotency_key_missing")


async def test_bad_json_is_400_and_leaves_the_key_free(world: World) -> None:
    key, slot = str(uuid4()), await world.slot()
    _code(await world.post("school_a", "/v1/bookings", b'{"places": ', key=key), 400, "bad_json")
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
    assert (await world.post("school_a", "/v1/bookings", body, key=key)).status_code == 201


async def test_another_media_type_is_415(world: World) -> None:
    answer = await world.post("school_a", "/v1/bookings", b"places=3", Content_Type="text/plain")
    _code(answer, 415, "unsupported_media_type")


async def test_an_oversize_body_is_413(world: World) -> None:
    house = world.app.state.house
    before, house.body_limit = house.body_limit, 1000
    try:
        _code(await world.post("school_a", "/v1/bookings", b" " * 1001), 413, "body_too_large")
    finally:
        house.body_limit = before


async def test_every_wrong_field_is_named_with_its_pointer(world: World) -> None:
    body = {"school_id": "x", "places": 0, "nc_year": "99", "colour": "red"}
    found = _code(await world.post("school_a", "/v1/bookings", body), 422, "invalid")
    faults = {one["pointer"]: one["code"] for one in found["errors"]}
    assert faults["/colour"] == "unknown_field"
    assert faults["/slot_id"] == "required"
    assert faults["/nc_year"] == "not_one_of"
    assert {"/school_id", "/places"} <= set(faults)


async def test_a_bad_query_is_422_and_named(world: World) -> None:
    found = _code(await world.get("school_a", "/v1/bookings?limit=0"), 422, "invalid")
    assert found["errors"][0]["pointer"] == "?limit"
    found = _code(await world.get("school_a", "/v1/bookings?after=abc"), 422, "invalid")
    assert found["errors"][0]["code"] == "bad_cursor"


async def test_a_stale_etag_is_412_and_changes_nothing(world: World) -> None:
    booking = await world.booking()
    before = await world.fingerprint()
    answer = await world.post("employer_a", f"/v1/bookings/{booking['id']}/confirm", If_Match='"v7"')
    _code(answer, 412, "stale_etag")
    assert await world.fingerprint() == before


@pytest.mark.parametrize("held", ['W/"v1"', '"v7", W/"v1"', "*"])
async def test_a_weak_etag_one_of_several_and_a_star_are_304_too(world: World, held: str) -> None:
    booking = await world.booking()
    again = await world.get("school_a", f"/v1/bookings/{booking['id']}", If_None_Match=held)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"v1"')


async def test_json_that_is_nested_too_deeply_is_refused(world: World) -> None:
    found = _code(await world.post("school_a", "/v1/bookings", b"[" * 100_000), 422, "invalid")
    assert [one["code"] for one in found["errors"]] == ["too_deep"]


async def test_if_none_match_is_304_without_a_body(world: World) -> None:
    booking = await world.booking()
    path = f"/v1/bookings/{booking['id']}"
    first = await world.get("school_a", path)
    again = await world.get("school_a", path, If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_over_the_allowance_is_429_with_retry_after(world: World) -> None:
    house = world.app.state.house
    before = house.limiter
    try:
        house.limiter = type(before)(type(before.allowance)("requests", 2, 60))
        answers = [await world.get("school_a", "/v1/bookings") for _ in range(3)]
    finally:
        house.limiter = before
    assert [one.status_code for one in answers] == [200, 200, 429]
    _code(answers[2], 429, "rate_limited")
    assert int(answers[2].headers["retry-after"]) >= 1
    assert "ratelimit" in answers[0].headers
    assert "ratelimit-policy" in answers[0].headers


async def test_a_commit_that_fails_never_answers_2xx(world: World) -> None:
    """A deferred constraint fails in COMMIT itself, after the endpoint has made its answer."""
    slot = await world.slot()
    await world.owner.execute(
        "CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = '40001'; END $$;"
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON bookings DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION fail_late()"
    )
    key = str(uuid4())
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
    try:
        before = await world.fingerprint()
        refused = await world.post("school_a", "/v1/bookings", body, key=key)
        assert refused.status_code == 409, refused.text
        assert await world.fingerprint() == before
    finally:
        await world.owner.execute("DROP TRIGGER late ON bookings; DROP FUNCTION fail_late()")
    assert (await world.post("school_a", "/v1/bookings", body, key=key)).status_code == 201


async def test_a_fault_of_ours_is_500_says_nothing_and_changes_nothing(world: World) -> None:
    slot = await world.slot()
    await world.owner.execute("ALTER TABLE booking_moves RENAME COLUMN note TO remark")
    try:
        before = await world.fingerprint()
        body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
        answer = await world.post("school_a", "/v1/bookings", body)
        found = _code(answer, 500, "internal")
        assert "booking_moves" not in str(found)
        assert await world.fingerprint() == before
    finally:
        await world.owner.execute("ALTER TABLE booking_moves RENAME COLUMN remark TO note")


async def test_the_first_of_two_same_keys_in_flight_wins_and_the_other_hears_409_or_the_answer(
    world: World,
) -> None:
    slot, key = await world.slot(capacity=10), str(uuid4())
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
    answers = await asyncio.gather(*(world.post("school_a", "/v1/bookings", body, key=key) for _ in range(8)))
    assert {one.status_code for one in answers} <= {201, 409}
    assert any(one.status_code == 201 for one in answers)
    assert len({one.json()["id"] for one in answers if one.status_code == 201}) == 1
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 1


async def test_200_requests_for_20_places_give_exactly_20(world: World) -> None:
    slot = await world.slot(capacity=20)
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
    answers = await asyncio.gather(*(world.post("school_a", "/v1/bookings", body) for _ in range(200)))
    codes = [one.status_code for one in answers]
    assert codes.count(201) == 20, codes
    assert set(codes) == {201, 409}
    assert await world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", slot) == 20
    assert await world.count("bookings", "slot_id = $1", slot) == 20


async def test_a_nul_character_or_a_number_too_large_is_refused_not_a_fault(world: World) -> None:
    slot = await world.slot()
    body = {"school_id": world["school_a"], "slot_id": slot, "places": 1, "external_ref": "a\0b"}
    named = _code(await world.post("school_a", "/v1/bookings", body), 422, "invalid")
    assert [(one["pointer"], one["code"]) for one in named["errors"]] == [("/external_ref", "unfit_value")]
    far = _code(await world.get("school_a", f"/v1/events?after={10**30}"), 422, "invalid")
    assert [(one["pointer"], one["code"]) for one in far["errors"]] == [("?after", "bad_position")]


async def test_a_body_that_stalls_is_408_and_changes_nothing(world: World) -> None:
    house, slot = world.app.state.house, await world.slot()
    body = orjson.dumps({"school_id": str(world["school_a"]), "slot_id": str(slot), "places": 1})

    async def trickle() -> AsyncIterator[bytes]:
        yield body[:10]
        await asyncio.sleep(1)
        yield body[10:]

    before, sums = house.body_stall, await world.fingerprint()
    house.body_stall = 0.1
    try:
        headers = {
            "Authorization": f"Bearer {world.tokens['school_a']}",
            "Idempotency-Key": str(uuid4()),
            "Content-Type": "application/json",
        }
        _code(await world.http.post("/v1/bookings", content=trickle(), headers=headers), 408, "body_stalled")
    finally:
        house.body_stall = before
    assert await world.fingerprint() == sums


async def test_a_chunked_body_that_is_too_large_is_413(world: World) -> None:
    house = world.app.state.house

    async def flood() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    before, house.body_limit = house.body_limit, 1000
    try:
        headers = {
            "Authorization": f"Bearer {world.tokens['school_a']}",
            "Idempotency-Key": str(uuid4()),
            "Content-Type": "application/json",
        }
        _code(await world.http.post("/v1/bookings", content=flood(), headers=headers), 413, "body_too_large")
    finally:
        house.body_limit = before


async def test_a_grant_for_reading_only_reads_and_writes_nothing(world: World) -> None:
    booking = await world.booking(school="school_a", state="confirmed")
    slot, path = await world.slot(), f"/v1/bookings/{booking['id']}"
    await world.owner.execute("UPDATE grants SET write = false WHERE grantee_id = $1", world["vendor"])
    try:
        before = await world.fingerprint()
        assert (await world.get("vendor", path)).status_code == 200
        body = {"school_id": world["school_a"], "slot_id": slot, "places": 1}
        for refused in (
            await world.post("vendor", "/v1/bookings", body),
            await world.post("vendor", f"{path}/cancel", {"reason_code": "cost"}),
        ):
            _code(refused, 403, "grant_read_only")
        assert await world.fingerprint() == before
    finally:
        await world.owner.execute("UPDATE grants SET write = true WHERE grantee_id = $1", world["vendor"])
    assert (await world.post("vendor", f"{path}/cancel", {"reason_code": "cost"})).status_code == 200


async def test_an_unknown_query_parameter_is_refused_by_name(world: World) -> None:
    found = _code(await world.get("school_a", "/v1/bookings?stat=requested&limit=5"), 422, "invalid")
    assert [(one["pointer"], one["code"]) for one in found["errors"]] == [("?stat", "unknown_parameter")]


async def test_a_number_sent_as_text_is_refused_not_coerced(world: World) -> None:
    body = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": "3"}
    found = _code(await world.post("school_a", "/v1/bookings", body), 422, "invalid")
    assert [one["pointer"] for one in found["errors"]] == ["/places"]
