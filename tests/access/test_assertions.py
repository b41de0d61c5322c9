"""`private_key_jwt`: what proves a client, what does not, and which keys may be registered."""

from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from app.access import service
from app.access.assertions import problems_with_jwks
from app.access.service import ASSERTION_TYPE, NewClient, OAuthRefusal, credentials_in
from app.access.tokens import Issued, Tokens
from app.core.clock import wall_now
from app.core.db import Database
from app.core.errors import Conflict, Invalid
from app.core.ids import new_id
from tests.access.conftest import Org

TOKEN = "https://tendays.test/oauth/token"
AUDIENCES = ("https://tendays.test", TOKEN)
KEYS = {
    "ec": ECKey.generate_key("P-256", {"kid": "ec"}),
    "ed": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    "rsa": RSAKey.generate_key(2048, {"kid": "rsa"}),
}

SHORT_RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "2HsRW4fpwHT4ra5X1U3v4FeHe2p11NgcdJ9dlpzQ1nM8ic_JdMkvuTpAWFNVm_-s_odxYqkW7SwIkZIFdlQ9n8p2iXY-eOFD"
    "d6T3qSgSgdnYvqjMFJdyay6OrlD_2zHCcWwOl_8WRddDLs5lbNN8fDF3Ha_5WWs9d1yYnyNd7nU",
}  # 1,024 bits


def public(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


@pytest_asyncio.fixture(scope="module")
async def signing(db: Database, school: Org) -> NewClient:
    async with db.write(school.caller()) as tx:
        return await service.create_client(
            tx, name="signs", wanted=["slots:search"], keys=service.SigningKeys(public(*KEYS.values()))
        )


def assertion(
    client: NewClient,
    key: str | Key = "ec",
    alg: str = "ES256",
    header: dict[str, str] | None = None,
    **changes: dict[str, Any],
) -> str:
    now = int(wall_now().timestamp())
    claims = {
        "iss": str(client.id), "sub": str(client.id), "aud": TOKEN, "iat": now, "exp": now + 120, "jti": str(new_id()),
        **changes,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    signer = KEYS[key] if isinstance(key, str) else key
    return jwt.encode({"alg": alg, "kid": signer.kid, **(header or {})}, claims, signer, algorithms=[alg])


async def grant(db: Database, tokens: Tokens, text: str) -> Issued:
    given = credentials_in({"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}, None)
    stated = {"grant_type": "client_credentials", "scope": None, "audiences": AUDIENCES, "now": wall_now()}
    return await service.grant_token(db, tokens, given, **stated)


async def refused(db: Database, tokens: Tokens, text: str) -> str:
    with pytest.raises(OAuthRefusal) as caught:
        await grant(db, tokens, text)
    assert caught.value.code == "invalid_client"
    return caught.value.detail


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("key", "alg"), [("ec", "ES256"), ("ed", "EdDSA"), ("ed", "Ed25519"), ("rsa", "PS256"), ("rsa", "RS256")]
)
async def test_a_registered_key_proves_the_client_in_two_statements(
    db: Database, tokens: Tokens, signing: NewClient, key: str, alg: str
) -> None:
    before = db.statements
    issued = await grant(db, tokens, assertion(signing, key, alg))
    assert db.statements - before == 2
    assert issued.scope == "slots:search"


async def test_an_assertion_is_good_once(db: Database, tokens: Tokens, signing: NewClient) -> None:
    text = assertion(signing, aud=AUDIENCES[0])
    assert await grant(db, tokens, text)
    assert "used" in await refused(db, tokens, text)


async def test_a_client_that_signs_has_no_secret_and_gets_none(
    db: Database, school: Org, signing: NewClient
) -> None:
    assert signing.secret is None
    async with db.write(school.caller()) as tx:
        with pytest.raises(Conflict, match="own keys"):
            await service.rotate_secret(tx, signing.id)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"sub": str(new_id()), "iss": None},
        {"aud": "https://other.test"},
        {"aud": [TOKEN, "https://other.test"]},
        {"aud": []},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"exp": int(wall_now().timestamp()) + 3600},
        {"exp": "soon"},
        {"exp": True},
        {"iat": int(wall_now().timestamp()) + 600},
        {"nbf": int(wall_now().timestamp()) + 600},
        {"nbf": "x"},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"jti": 7},
        {"header": {"kid": "rsa"}},
        {"key": ECKey.generate_key("P-256", {"kid": "ec"})},
    ],
)
async def test_a_claim_that_is_wrong_or_lacking_is_refused(
    db: Database, tokens: Tokens, signing: NewClient, changes: dict[str, Any]
) -> None:
    await refused(db, tokens, assertion(signing, **changes))


async def test_a_shared_secret_is_no_signature(db: Database, tokens: Tokens, signing: NewClient) -> None:
    key = OctKey.generate_key(256, {"kid": "ec"})
    with pytest.raises(OAuthRefusal, match="signed with one of"):
        await grant(db, tokens, assertion(signing, key, "HS256"))


async def test_a_client_with_a_secret_cannot_sign(db: Database, tokens: Tokens, school: Org) -> None:
    await refused(db, tokens, assertion(school.client))


async def test_client_id_beside_an_assertion_is_its_sub(signing: NewClient) -> None:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(signing)}
    assert credentials_in({**form, "client_id": str(signing.id)}, None).client_id == str(signing.id)
    with pytest.raises(OAuthRefusal, match="another one"):
        credentials_in({**form, "client_id": str(new_id())}, None)


def test_public_keys_of_the_kinds_we_take_may_be_registered() -> None:
    assert problems_with_jwks(public(*KEYS.values())) == []


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(
    ("jwks", "code"),
    [
        (None, "bad_jwks"),
        ({}, "bad_jwks"),
        ({"keys": []}, "bad_jwks"),
        ({"keys": [{}] * 6}, "bad_jwks"),
        ({"keys": ["x"]}, "bad_key"),
        ({"keys": [{"kty": "EC"}]}, "bad_key"),
        ({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}, "bad_key"),
        ({"keys": [KEYS["ec"].as_dict(private=True)]}, "private_key"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "private_key"),
        (public(ECKey.generate_key("P-384")), "weak_key"),
        ({"keys": [SHORT_RSA]}, "weak_key"),
        (public(KEYS["ec"], KEYS["ec"]), "bad_kid"),
        ({"keys": [{**KEYS["ec"].as_dict(private=False), "kid": 7}]}, "bad_kid"),
    ],
)
async def test_other_keys_are_refused_with_a_pointer(
    db: Database, school: Org, jwks: object, code: str
) -> None:
    (fault,) = problems_with_jwks(jwks)
    assert fault.code == code
    assert fault.pointer.startswith("/jwks/keys")
    if jwks is not None:
        with pytest.raises(Invalid):
            async with db.write(school.caller()) as tx:
                await service.create_client(
                    tx, name="x", wanted=["slots:search"], keys=service.SigningKeys(jwks)
                )


async def test_a_short_time_ago_is_still_in_time(db: Database, tokens: Tokens, signing: NewClient) -> None:
    now = wall_now()
    assert await grant(db, tokens, assertion(signing, exp=int((now + timedelta(seconds=2)).timestamp())))
