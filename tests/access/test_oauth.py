"""The OAuth endpoints and `/v1/clients` over HTTP, on real Postgres: what goes on the wire."""

import base64
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey

from app.access.rates import REQUESTS, Allowance, Rates
from app.access.service import ASSERTION_TYPE
from app.access.tokens import Tokens
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.core.paging import Cursors
from app.core.secrets import Keyring, is_client_secret
from app.rest import clients, oauth, problems
from app.rest.frame import House
from tests.access.conftest import ISSUER, Org

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def app(db: Database, tokens: Tokens, keyring: Keyring) -> FastAPI:
    made = FastAPI()
    problems.install(made)
    made.include_router(oauth.router(oauth.Desk(db, tokens, Rates(Allowance("tokens", 1000, 60)))))
    made.include_router(clients.router)
    made.state.house = House(db, keyring, Cursors(b"c" * 32), tokens, Rates(REQUESTS))
    return made


@pytest_asyncio.fixture(scope="module")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as made:
        yield made


def secret_of(org: Org) -> dict[str, str]:
    return {"client_id": str(org.client.id), "client_secret": org.client.secret.secret}


async def bearer(http: httpx.AsyncClient, org: Org, scope: str = "") -> dict[str, str]:
    answer = await http.post("/oauth/token", data={**GRANT, **secret_of(org), "scope": scope})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def keyed(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Idempotency-Key": str(new_id())}


# --- tokens -----------------------------------------------------------------------------------------


async def test_a_token_comes_by_basic_or_in_the_form_and_is_never_stored(
    http: httpx.AsyncClient, school: Org
) -> None:
    secret = school.client.secret.secret
    pair = base64.b64encode(f"{school.client.id}:{secret}".encode()).decode()
    by_basic = await http.post("/oauth/token", data=GRANT, headers={"Authorization": f"Basic {pair}"})
    in_form = await http.post("/oauth/token", data={**GRANT, **secret_of(school), "scope": "slots:search"})
    for answer in (by_basic, in_form):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["ratelimit-policy"] == '"tokens";q=1000;w=60'
        assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert in_form.json()["scope"] == "slots:search"


async def test_refusals_are_those_of_rfc_6749(http: httpx.AsyncClient, school: Org) -> None:
    good = {**GRANT, **secret_of(school)}
    form = "application/x-www-form-urlencoded"
    for data, status, error in (
        ({**good, "client_secret": "wrong"}, 401, "invalid_client"),
        (GRANT, 401, "invalid_client"),
        ({**good, "grant_type": "password"}, 400, "unsupported_grant_type"),
        ({**good, "grant_type": ""}, 400, "invalid_request"),
        ({**good, "scope": "offers:write"}, 400, "invalid_scope"),
        ({**good, "grant_type": ["client_credentials"] * 2}, 400, "invalid_request"),
    ):
        answer = await http.post("/oauth/token", data=data)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.headers["cache-control"] == "no-store"
        assert ("www-authenticate" in answer.headers) == (status == 401)
        said = answer.json()["error_description"]
        assert all(" " <= letter <= "~" and letter not in '"\\' for letter in said)
    for content, media in ((b"{}", "application/json"), (b"a=" + b"x" * 20_000, form), (b"a=%ff\xff", form)):
        answer = await http.post("/oauth/token", content=content, headers={"Content-Type": media})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_assertion_made_out_to_the_endpoint_gets_a_token(
    http: httpx.AsyncClient, school: Org
) -> None:
    key = ECKey.generate_key("P-256")
    body = {"name": "signs", "scopes": ["slots:search"], "jwks": {"keys": [key.as_dict(private=False)]}}
    made = await http.post("/v1/clients", json=body, headers=keyed(await bearer(http, school)))
    assert made.status_code == 201
    assert made.json()["client_secret"] is None
    who, now = made.json()["id"], int(wall_now().timestamp())
    claims = {"iss": who, "sub": who, "aud": f"{ISSUER}/oauth/token", "exp": now + 60, "jti": "once"}
    form = {**GRANT, "client_assertion_type": ASSERTION_TYPE}
    form["client_assertion"] = jwt.encode({"alg": "ES256"}, claims, key, algorithms=["ES256"])
    assert (await http.post("/oauth/token", data=form)).json()["scope"] == "slots:search"
    again = await http.post("/oauth/token", data=form)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


async def test_the_keys_of_a_client_that_signs_are_changed_by_patch(
    http: httpx.AsyncClient, school: Org, employer: Org
) -> None:
    old, new = ([ECKey.generate_key("P-256").as_dict(private=False)] for _ in range(2))
    body = {"name": "signs", "scopes": ["slots:search"], "jwks": {"keys": old}}
    mine = await bearer(http, school)
    made = await http.post("/v1/clients", json=body, headers=keyed(mine))
    path = f"/v1/clients/{made.json()['id']}"
    change, first = {"jwks": {"keys": new}}, {"If-Match": made.headers["etag"]}
    assert (await http.patch(path, json=change, headers=mine)).status_code == 428
    theirs = await bearer(http, employer)
    assert (await http.patch(path, json=change, headers={**theirs, **first})).status_code == 404
    narrow = await bearer(http, school, "clients:read")
    assert (await http.patch(path, json=change, headers={**narrow, **first})).status_code == 403
    assert (await http.patch(path, json=change, headers={**mine, "If-Match": '"9"'})).status_code == 412
    both = await http.patch(
        path, json={**change, "jwks_uri": "https://a.example/k"}, headers={**mine, **first}
    )
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (422, "/jwks_uri")
    assert (await http.get(path, headers=mine)).json()["jwks"] == {"keys": old}, "nothing has changed"
    changed = await http.patch(path, json=change, headers={**mine, **first})
    assert (changed.status_code, changed.json()["jwks"]) == (200, {"keys": new}), changed.text
    second = {"If-Match": changed.headers["etag"]}
    again = await http.patch(path, json=change, headers={**mine, **second})
    assert again.headers["etag"] == changed.headers["etag"] != made.headers["etag"]
    moved = await http.patch(path, json={"jwks_uri": "https://a.example/k"}, headers={**mine, **second})
    assert (moved.json()["jwks"], moved.json()["jwks_uri"]) == (None, "https://a.example/k")
    assert moved.json()["authenticates_by"] == "private_key_jwt"


async def test_attempts_are_counted_by_client_and_address(
    db: Database, tokens: Tokens, school: Org, employer: Org
) -> None:
    narrow = FastAPI()
    narrow.include_router(oauth.router(oauth.Desk(db, tokens, Rates(Allowance("tokens", 3, 60)))))
    transport = httpx.ASGITransport(narrow)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        wrong = {**GRANT, **secret_of(school), "client_secret": "wrong"}
        answers = [await http.post("/oauth/token", data=wrong) for _ in range(5)]
        assert [one.status_code for one in answers] == [401] * 3 + [429] * 2
        assert answers[-1].json()["error"] == "rate_limited"
        assert int(answers[-1].headers["retry-after"]) == 20
        assert answers[-1].headers["ratelimit"] == '"tokens";r=0;t=20'
        assert (await http.post("/oauth/token", data={**GRANT, **secret_of(employer)})).status_code == 200


async def test_revocation_always_answers_200_and_ends_ones_own_token_only(
    http: httpx.AsyncClient, school: Org, employer: Org
) -> None:
    headers = await bearer(http, school)
    token = headers["Authorization"].removeprefix("Bearer ")
    for org, what, after in (
        (employer, token, 200),
        (school, "rubbish", 200),
        (school, token, 401),
        (school, token, 401),
    ):
        answer = await http.post("/oauth/revoke", data={**secret_of(org), "token": what})
        assert (answer.status_code, answer.content) == (200, b"")
        assert (await http.get("/v1/clients", headers=headers)).status_code == after
    assert (await http.post("/oauth/revoke", data=secret_of(school))).json()["error"] == "invalid_request"
    assert (await http.post("/oauth/revoke", data={"token": token})).status_code == 401


async def test_metadata_and_keys_lead_from_one_to_the_other(http: httpx.AsyncClient, school: Org) -> None:
    resource = (await http.get("/.well-known/oauth-protected-resource")).json()
    assert resource["authorization_servers"] == [resource["resource"]] == [ISSUER]
    server = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert server["issuer"] == ISSUER
    assert "private_key_jwt" in server["token_endpoint_auth_methods_supported"]
    assert "clock:write" not in server["scopes_supported"]
    keys = await http.get(server["jwks_uri"])
    assert keys.headers["cache-control"] == "public, max-age=60"
    token = (await bearer(http, school))["Authorization"].removeprefix("Bearer ")
    key = ECKey.import_key(keys.json()["keys"][0])
    assert jwt.decode(token, key, algorithms=["ES256"]).claims["iss"] == ISSUER


# --- /v1/clients ------------------------------------------------------------------------------------


async def test_a_client_is_made_shown_rotated_and_ended(http: httpx.AsyncClient, school: Org) -> None:
    headers = await bearer(http, school)
    stated = keyed(headers)
    body = {"name": "MIS", "scopes": ["clients:read"]}
    made = await http.post("/v1/clients", json=body, headers=stated)
    assert made.status_code == 201
    assert is_client_secret(made.json()["client_secret"])
    replay = await http.post("/v1/clients", json=body, headers=stated)
    assert replay.content == made.content
    assert replay.headers["idempotent-replayed"] == "true"

    where = made.headers["location"]
    read = await http.get(where, headers=headers)
    assert read.headers["etag"] == made.headers["etag"] == '"v1"'
    assert "client_secret" not in read.json()
    listed = (await http.get("/v1/clients?limit=1", headers=headers)).json()
    following = (await http.get(f"/v1/clients?after={listed['next']}", headers=headers)).json()["data"]
    assert read.json() in following

    new = await http.post(f"{where}/secrets", json={"overlap_hours": 0}, headers=keyed(headers))
    assert new.status_code == 201
    for secret, status in ((made.json()["client_secret"], 401), (new.json()["client_secret"], 200)):
        form = {**GRANT, "client_id": made.json()["id"], "client_secret": secret}
        answer = await http.post("/oauth/token", data=form)
        assert answer.status_code == status
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    ended = await http.post(f"{where}/revoke", headers=keyed(headers))
    assert ended.json()["revoked_at"]
    assert ended.json()["secrets"] == []
    refused = await http.get("/v1/clients", headers=token)
    assert (refused.status_code, refused.json()["code"]) == (401, "client_revoked")
    assert (await http.post("/oauth/token", data=form)).status_code == 401
    again = await http.post(f"{where}/secrets", json={}, headers=keyed(headers))
    assert (again.status_code, again.json()["code"]) == (409, "client_revoked")


async def test_a_strangers_client_is_not_found(http: httpx.AsyncClient, school: Org, employer: Org) -> None:
    headers = await bearer(http, school)
    where = f"/v1/clients/{employer.client.id}"
    assert (await http.get(where, headers=headers)).status_code == 404
    for path, body in ((f"{where}/revoke", None), (f"{where}/secrets", {})):
        answer = await http.post(path, json=body, headers=keyed(headers))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await bearer(http, employer))["Authorization"]


async def test_a_client_is_refused_by_field_and_by_scope(http: httpx.AsyncClient, school: Org) -> None:
    narrow = await bearer(http, school, "clients:read clients:write")
    body = {"name": "x", "scopes": ["clients:read", "slots:search"], "colour": "red"}
    answer = await http.post("/v1/clients", json=body, headers=keyed(narrow))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/colour")
    answer = await http.post("/v1/clients", json={**body, "colour": None}, headers=keyed(narrow))
    assert answer.status_code == 422
    del body["colour"]
    answer = await http.post("/v1/clients", json=body, headers=keyed(narrow))
    assert [one["code"] for one in answer.json()["errors"]] == ["scope_not_allowed"]
    reading = await bearer(http, school, "clients:read")
    answer = await http.post("/v1/clients", json=body, headers=keyed(reading))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    answer = await http.get("/v1/clients", headers={"Authorization": "Bearer broken"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
