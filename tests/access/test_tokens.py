"""Tokens and the keys that sign them, on a real database as `tendays_app`."""

import asyncio
import base64
import json
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import text

from app.access.tokens import REFRESH, SETTLE, Tokens, retire_key
from app.core.clock import wall_now
from app.core.db import Database
from app.core.errors import Unauthenticated
from app.core.ids import new_id
from app.core.secrets import Keyring

ISSUER = "https://tendays.test"
WHO = {"client_id": new_id(), "org_id": new_id(), "org_kind": "school", "scopes": {"b:read", "a:read"}}


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return wall_now() + self.ahead


def fault(tokens: Tokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token)
    return caught.value.code


@pytest_asyncio.fixture
async def another(db: Database, keyring: Keyring) -> tuple[Tokens, Clock]:
    """A second process: the same keys, a clock of its own."""
    clock = Clock()
    made = Tokens(db, keyring, issuer=ISSUER, clock=clock)
    await made.reload()
    return made, clock


async def test_a_token_says_who_asks_and_what_for(tokens: Tokens) -> None:
    issued = tokens.issue(**WHO)
    claims = tokens.verify(issued.token)
    assert (claims.client_id, claims.org_id) == (WHO["client_id"], WHO["org_id"])
    assert (claims.org_kind, claims.scopes) == ("school", {"a:read", "b:read"})
    assert (issued.expires_in, issued.scope) == (900, "a:read b:read")
    assert timedelta(minutes=14) < claims.expires_at - wall_now() <= timedelta(minutes=15)
    caller = tokens.caller_of(issued.token)
    assert (caller.client_id, caller.token_id) == (claims.client_id, claims.token_id)
    assert issued.token not in repr(issued)


async def test_a_token_has_the_claims_of_rfc_9068(tokens: Tokens) -> None:
    header, payload, _ = tokens.issue(**WHO).token.split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]
    assert read[0] == {"alg": "ES256", "typ": "at+jwt", "kid": tokens.jwks()["keys"][0]["kid"]}
    assert read[1].keys() == {
        "iss", "sub", "client_id", "aud", "iat", "exp", "jti", "org", "org_kind", "scope",
    }  # fmt: skip


async def test_the_published_keys_verify_and_hold_nothing_private(tokens: Tokens) -> None:
    (key,) = tokens.jwks()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert jwt.decode(tokens.issue(**WHO).token, ECKey.import_key(key), algorithms=["ES256"]).claims[
        "org_kind"
    ]


async def test_the_private_key_is_sealed_at_rest(db: Database) -> None:
    async with db.write(None) as tx:
        row = await tx.one_or_none(text("SELECT private_sealed, public_jwk FROM signing_keys"))
    assert b'"d"' not in bytes(row["private_sealed"])
    assert "d" not in row["public_jwk"]


async def test_what_is_broken_forged_or_meant_for_others_is_refused(tokens: Tokens) -> None:
    good = tokens.issue(**WHO).token
    head, body, signature = good.split(".")
    kid = tokens.jwks()["keys"][0]["kid"]
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    stranger = ECKey.generate_key("P-256")

    def forged(key: ECKey = stranger, **changes: object) -> str:
        header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, **changes.pop("header", {})}
        return jwt.encode(header, {**claims, **changes}, key, algorithms=["ES256"])

    real = tokens._keys[0].private
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    for bad in (
        "", "a", "a.b.c", good[:-4], f"{head}.{body}.", f"{unsigned}.{body}.", f"{head}.{head}.{signature}",
        "é" * 10, "x" * 9000, forged(), forged(header={"kid": "unknown"}), forged(real, aud="https://other"),
        forged(real, iss="https://other"), forged(real, jti="not a uuid"), forged(real, sub="nobody"),
        forged(real, header={"typ": "JWT"}), forged(real, exp="soon"),
    ):  # fmt: skip
        assert fault(tokens, bad) == "invalid_token"
    assert fault(tokens, forged(real, exp=claims["iat"] - 1)) == "token_expired"
    assert tokens.verify(forged(real))


async def test_a_verified_token_is_kept_until_it_expires_and_the_memory_is_bounded(
    db: Database, keyring: Keyring
) -> None:
    clock = Clock()
    tokens = Tokens(db, keyring, issuer=ISSUER, clock=clock, remember=3)
    await tokens.reload()
    first = tokens.issue(**WHO).token
    assert tokens.verify(first) is tokens.verify(first)
    for _ in range(5):
        tokens.verify(tokens.issue(**WHO).token)
    assert len(tokens._verified) == 3
    tokens.verify(first)
    clock.ahead = timedelta(minutes=15, seconds=1)
    assert fault(tokens, first) == "token_expired"
    assert fault(tokens, first) == "token_expired"


async def test_processes_that_start_together_make_one_key(
    db: Database, owner: Database, keyring: Keyring, tokens: Tokens
) -> None:
    async with owner.write(None) as tx:
        kept = await tx.rows(text("DELETE FROM signing_keys RETURNING kid"))
    assert len(kept) == 1
    houses = [Tokens(db, keyring, issuer=ISSUER) for _ in range(4)]
    await asyncio.gather(*(house.open() for house in houses))
    assert len({house.jwks()["keys"][0]["kid"] for house in houses}) == 1
    assert houses[3].verify(houses[0].issue(**WHO).token)
    await asyncio.gather(*(house.close() for house in houses))
    await tokens.reload()


async def test_a_new_key_is_published_first_signs_later_and_the_old_one_verifies_on(
    another: tuple[Tokens, Clock], db: Database, keyring: Keyring
) -> None:
    tokens, clock = another
    old = tokens.issue(**WHO).token
    before = tokens._signer().kid
    made = await tokens.rotate()
    assert tokens._signer().kid == before
    assert {key["kid"] for key in tokens.jwks()["keys"]} == {before, made}

    clock.ahead = SETTLE + timedelta(seconds=1)
    assert tokens._signer().kid == made
    assert tokens.verify(old)
    new = tokens.issue(**WHO).token
    assert Tokens(db, keyring, issuer=ISSUER)._by_kid == {}
    assert tokens.verify(new)

    clock.ahead = SETTLE + tokens.life + REFRESH + timedelta(seconds=1)
    await tokens.reload()
    assert {key["kid"] for key in tokens.jwks()["keys"]} == {made}


async def test_a_rotation_that_is_not_due_makes_nothing(another: tuple[Tokens, Clock]) -> None:
    tokens, _ = another
    assert await tokens.rotate(if_older_than=timedelta(days=90)) is None


async def test_an_unknown_key_is_looked_for_once_and_then_refused(
    another: tuple[Tokens, Clock], tokens: Tokens
) -> None:
    await another[0].rotate(at_once=True)
    token = another[0].issue(**WHO).token
    assert another[0]._signer().kid not in tokens._by_kid
    assert fault(tokens, token) == "invalid_token"
    tokens._read_at -= 1.1  # as if that read had been a second ago
    tokens._wanted.clear()
    assert (await tokens.verify_or_reload(token)).org_kind == "school"


async def test_strangers_key_ids_do_not_cause_a_read_each(
    another: tuple[Tokens, Clock], db: Database
) -> None:
    tokens, _ = another
    token = jwt.encode({"alg": "ES256", "kid": "x", "typ": "at+jwt"}, {}, ECKey.generate_key("P-256"))
    before = db.statements
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await tokens.verify_or_reload(token)
    assert db.statements - before <= 1


async def test_a_retired_key_takes_its_tokens_with_it_even_those_remembered(
    owner: Database, another: tuple[Tokens, Clock]
) -> None:
    tokens, _ = another
    leaked = tokens._signer().kid
    token = tokens.issue(**WHO).token
    tokens.verify(token)
    assert await retire_key(owner, leaked)
    assert not await retire_key(owner, leaked)
    await tokens.rotate(at_once=True)
    assert fault(tokens, token) == "invalid_token"
    assert tokens.verify(tokens.issue(**WHO).token)


async def test_the_application_cannot_retire_a_key(db: Database, tokens: Tokens) -> None:
    with pytest.raises(Exception, match="permission denied"):
        await retire_key(db, "any")
