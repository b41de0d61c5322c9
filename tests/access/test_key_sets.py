"""Keys of clients that sign: changed by PATCH, or fetched from a URL of the client's own. Real sockets, real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from joserfc.jwk import ECKey

from app.access import key_sets, service
from app.access.key_sets import KeySets, KeysUnavailable, usable_keys
from app.access.service import ASSERTION_TYPE, NewClient, OAuthRefusal, SigningKeys, credentials_in
from app.access.tokens import Issued, Tokens
from app.core.clock import wall_now
from app.core.db import Database
from app.core.egress import Egress, Policy
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from tests.access.conftest import Org
from tests.access.test_assertions import AUDIENCES, assertion, public

OPEN = Policy(allow_http=True, allow_private=True, ports=None)


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


@dataclass
class Published:
    """A client's own server with its key set; `asked` counts the requests."""

    url: str = ""
    keys: list[ECKey] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    location: str = ""
    asked: int = 0
    wait: float = 0.0

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.wait)
        if self.location:
            return web.Response(status=302, headers={"Location": self.location})
        if self.body is not None:
            return web.Response(status=self.status, body=self.body)
        return web.json_response(public(*self.keys), status=self.status)


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def published() -> AsyncIterator[Published]:
    served = Published()
    app = web.Application()
    app.router.add_get("/keys", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield served
    await runner.cleanup()


@pytest_asyncio.fixture
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def keys(clock: Clock) -> AsyncIterator[KeySets]:
    async with Egress(OPEN) as egress:
        yield KeySets(egress, clock=clock)


async def made(db: Database, org: Org, given: SigningKeys) -> NewClient:
    async with db.write(org.caller()) as tx:
        return await service.create_client(tx, name="signs", wanted=["slots:search"], keys=given)


async def change(db: Database, org: Org, client: NewClient, version: int | None = None, **given: Any) -> None:
    async with db.write(org.caller()) as tx:
        await service.change_client(tx, client.id, version, given, OPEN)


async def grant(
    db: Database, tokens: Tokens, client: NewClient, signer: ECKey, keys: KeySets | None = None
) -> Issued:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(client, signer)}
    stated = {"grant_type": "client_credentials", "scope": None, "audiences": AUDIENCES, "now": wall_now()}
    return await service.grant_token(db, tokens, credentials_in(form, None), keys=keys, **stated)


# --- jwks -----------------------------------------------------------------------------------------------


async def test_a_key_that_is_taken_out_signs_no_more_and_the_new_one_does(
    db: Database, tokens: Tokens, school: Org
) -> None:
    old, new = key("old"), key("new")
    client = await made(db, school, SigningKeys(public(old)))
    await grant(db, tokens, client, old)
    await change(db, school, client, jwks=public(old, new))
    for one in (old, new):
        await grant(db, tokens, client, one)
    await change(db, school, client, jwks=public(new))
    await grant(db, tokens, client, new)
    with pytest.raises(OAuthRefusal, match="No registered key"):
        await grant(db, tokens, client, old)


async def test_what_cannot_be_changed_is_refused_and_changes_nothing(
    db: Database, tokens: Tokens, school: Org, employer: Org
) -> None:
    one, other = key("one"), key("other")
    client = await made(db, school, SigningKeys(public(one)))
    with pytest.raises(NotFound):
        await change(db, employer, client, jwks=public(other))
    with pytest.raises(Stale):
        await change(db, school, client, 7, jwks=public(other))
    for given, pointer, code in (
        ({"jwks": None}, "/jwks", "required"),
        ({"jwks_uri": None}, "/jwks_uri", "required"),
        ({"jwks": public(other), "jwks_uri": "https://a.example/k"}, "/jwks_uri", "one_of"),
        ({"jwks": {"keys": []}}, "/jwks/keys", "bad_jwks"),
        ({"jwks": {"keys": [other.as_dict(private=True)]}}, "/jwks/keys/0", "private_key"),
        ({"jwks_uri": "ftp://a.example/k"}, "/jwks_uri", "url_refused"),
        ({"jwks_uri": "https://user:pw@a.example/k"}, "/jwks_uri", "url_refused"),
    ):
        with pytest.raises(Invalid) as caught:
            await change(db, school, client, **given)
        assert (caught.value.faults[0].pointer, caught.value.faults[0].code) == (pointer, code)
    async with db.write(replace(school.caller(), scopes=frozenset({"clients:write"}))) as tx:
        with pytest.raises(Forbidden):  # whoever has the keys has the scopes
            await service.change_client(tx, client.id, None, {"jwks": public(other)}, OPEN)
    with_secret = await made(db, school, SigningKeys())
    with pytest.raises(Conflict, match="secrets"):
        await change(db, school, with_secret, jwks=public(other))
    await grant(db, tokens, client, one)
    with pytest.raises(OAuthRefusal):
        await grant(db, tokens, client, other)
    async with db.write(school.caller()) as tx:
        await service.revoke_client(tx, client.id)
    with pytest.raises(Conflict, match="revoked"):
        await change(db, school, client, jwks=public(other))


async def test_the_same_again_changes_nothing(db: Database, school: Org) -> None:
    client = await made(db, school, SigningKeys(public(key("one"))))
    new = public(key("new"))
    await change(db, school, client, 1, jwks=new)
    await change(db, school, client, 2, jwks=new, name="signs")
    await change(db, school, client, 2, jwks=None, jwks_uri="https://a.example/k")
    await change(db, school, client, 3, name="Another")
    await change(db, school, client, 4)


def test_production_takes_https_to_public_hosts_only() -> None:
    for url in (
        "http://a.example/k",
        "https://10.0.0.1/k",
        "https://localhost/k",
        "https://169.254.169.254/k",
    ):
        (fault, *_) = SigningKeys(None, url, Policy()).faults()
        assert (fault.pointer, fault.code) == ("/jwks_uri", "url_refused"), url
    assert SigningKeys(None, "https://a.example/k", Policy()).faults() == []


# --- jwks_uri -------------------------------------------------------------------------------------------


async def test_a_client_signs_with_the_keys_it_publishes(
    db: Database, tokens: Tokens, school: Org, published: Published, keys: KeySets, clock: Clock
) -> None:
    first, second = key("first"), key("second")
    published.keys = [first]
    client = await made(db, school, SigningKeys(None, published.url, OPEN))
    for _ in range(3):
        await grant(db, tokens, client, first, keys)
    assert published.asked == 1, "kept, and not fetched for each token"

    published.keys = [first, second]
    with pytest.raises(OAuthRefusal, match="No registered key"):
        await grant(db, tokens, client, second, keys)
    assert published.asked == 1, "an unknown kid is asked for once in 30 seconds at most"
    clock.now += key_sets.AGAIN_SECONDS
    await grant(db, tokens, client, second, keys)
    assert published.asked == 2
    for _ in range(3):
        with pytest.raises(OAuthRefusal):
            await grant(db, tokens, client, key("third"), keys)
    assert published.asked == 2

    published.keys = [second]
    clock.now += key_sets.FRESH_SECONDS
    with pytest.raises(OAuthRefusal, match="No registered key"):
        await grant(db, tokens, client, first, keys)
    await grant(db, tokens, client, second, keys)


async def test_the_last_set_is_used_for_an_hour_while_the_url_is_away(
    db: Database, tokens: Tokens, school: Org, published: Published, keys: KeySets, clock: Clock
) -> None:
    one = key("one")
    published.keys = [one]
    client = await made(db, school, SigningKeys(None, published.url, OPEN))
    await grant(db, tokens, client, one, keys)
    published.status, published.body = 503, b"away"
    clock.now += key_sets.STALE_SECONDS - 1
    for _ in range(3):
        await grant(db, tokens, client, one, keys)
    assert published.asked == 2, "a URL that does not answer is not asked again at once"
    clock.now += 1
    with pytest.raises(OAuthRefusal, match="could not be fetched: It answered 503"):
        await grant(db, tokens, client, one, keys)
    published.status, published.body = 200, None
    clock.now += key_sets.AGAIN_SECONDS
    await grant(db, tokens, client, one, keys)


async def test_many_at_once_are_one_request(published: Published, keys: KeySets) -> None:
    published.keys, published.wait = [key("one")], 0.2
    await asyncio.gather(*(keys.of(published.url, "one") for _ in range(20)))
    assert published.asked == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": 5}', b'{"keys": []}', b'{"keys": [5]}', b"\xff", b"x" * 100_000,
             b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}']
)  # fmt: skip
async def test_what_is_no_key_set_is_none(published: Published, keys: KeySets, body: bytes) -> None:
    published.body = body
    with pytest.raises(KeysUnavailable):
        await keys.of(published.url, None)


async def test_no_redirect_is_followed_and_nothing_inside_is_called(
    published: Published, keys: KeySets, clock: Clock
) -> None:
    published.location = published.url
    with pytest.raises(KeysUnavailable, match="It answered 302"):
        await keys.of(published.url, None)
    assert published.asked == 1
    async with Egress(Policy(allow_http=True, ports=None)) as guarded:
        with pytest.raises(KeysUnavailable, match="no public address"):
            await KeySets(guarded, clock=clock).of(published.url, None)
    assert published.asked == 1


def test_of_a_published_set_only_what_could_be_registered_is_used() -> None:
    good = key("good").as_dict(private=False)
    listed = [
        good,
        {**good, "use": "enc"},
        {**good, "kid": 5},
        {"kty": "oct", "k": "c2VjcmV0"},
        key("p").as_dict(private=True),
    ]
    body = httpx.Request("POST", "http://a", json={"keys": listed}).content
    assert usable_keys(body) == [good]
    many = httpx.Request("POST", "http://a", json={"keys": [good] * 40}).content
    assert len(usable_keys(many)) == key_sets.MOST_KEYS
