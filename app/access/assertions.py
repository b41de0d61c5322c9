"""Signed assertions (`private_key_jwt`, RFC 7523): which keys a client may register, and what proves it."""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from app.core.errors import Fault

ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519", "PS256", "RS256")
LONGEST_LIFE: Final = timedelta(minutes=5)
_SKEW: Final = timedelta(seconds=30)
_LONGEST: Final = 8192
_LONGEST_JTI: Final = 255
_MOST_KEYS: Final = 5
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 8192
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,255}")

# RFC 9864 gives Ed25519 a name of its own; what clients' libraries write today is still EdDSA.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class AssertionRefused(Exception):
    """The assertion proves nothing; the message says why, for the client's developer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An assertion as it came, nothing of it proved yet. `client_id` is its `sub`."""

    text: str
    client_id: str
    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A good assertion: its id, to be used once, and when it ends (UTC)."""

    jti: str
    expires_at: datetime


def read(text: str) -> Shown:
    """Look into an assertion for whose it says it is. Raises AssertionRefused for what is not one."""
    try:
        if len(text) > _LONGEST:
            raise AssertionRefused("The assertion is too long.")
        found = jws.extract_compact(text.encode())
        claims = json.loads(found.payload)
        header = found.headers()
        if header.get("alg") not in ALGORITHMS:
            raise AssertionRefused(f"The assertion is signed with one of {', '.join(ALGORITHMS)}.")
        kid = header.get("kid")
        return Shown(text, str(claims["sub"]), str(header["alg"]), kid if isinstance(kid, str) else None)
    except (JoseError, ValueError, KeyError, TypeError):
        raise AssertionRefused("The assertion is not a signed JWT with a `sub`.") from None


def prove(shown: Shown, jwks: Mapping[str, Any] | None, *, audiences: Sequence[str], now: datetime) -> Proof:
    """Check signature and claims (RFC 7523 section 3); AssertionRefused says what is wrong.

    `iss` and `sub` are the client, `aud` is ours and nobody else's too, `exp` is at most five minutes away,
    and there is a `jti`. That it is new is asked elsewhere.
    """
    claims = _verified(shown, jwks or {})
    if claims.get("iss") != shown.client_id:
        raise AssertionRefused("`iss` and `sub` are both the client id.")
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not named or any(one not in audiences for one in named):
        raise AssertionRefused("`aud` is the issuer or the token endpoint, and nobody else.")
    expires_at = _lifetime(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _LONGEST_JTI or "\0" in jti:
        raise AssertionRefused("`jti` is a text of 1 to 255 characters.")
    return Proof(jti, expires_at)


def _verified(shown: Shown, jwks: Mapping[str, Any]) -> dict[str, Any]:
    for raw in jwks.get("keys", ()):
        if shown.kid is not None and raw.get("kid") not in {None, shown.kid}:
            continue
        if raw.get("alg") not in {None, shown.algorithm}:
            continue
        try:
            key = JWKRegistry.import_key(dict(raw))
            return jwt.decode(shown.text, key, algorithms=[shown.algorithm]).claims
        except (JoseError, ValueError):
            continue
    raise AssertionRefused("No registered key of the client verifies the assertion.")


def _lifetime(claims: Mapping[str, Any], now: datetime) -> datetime:
    for name in ("iat", "nbf"):
        if name in claims and (_moment(claims, name) or now + _SKEW * 2) > now + _SKEW:
            raise AssertionRefused(f"`{name}` is in the future.")
    expires_at = _moment(claims, "exp")
    if expires_at is None or expires_at <= now:
        raise AssertionRefused("The assertion has expired, or has no `exp`.")
    if expires_at > now + LONGEST_LIFE + _SKEW:
        raise AssertionRefused("`exp` is at most five minutes away.")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, OSError, ValueError):
        return None


def problems_with_jwks(jwks: object, pointer: str = "/jwks") -> list[Fault]:
    """What is wrong with a key set that a client registers, as faults below `pointer`; empty if nothing is.

    It has 1 to 5 public keys, each P-256, Ed25519, or RSA of 2,048 to 8,192 bits, and no `kid` twice.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS:
        return [Fault(f"{pointer}/keys", "bad_jwks", f"A list of 1 to {_MOST_KEYS} public keys.")]
    faults = []
    seen: set[str] = set()
    for at, raw in enumerate(keys):
        problem = _problem_with(raw, seen)
        if problem:
            faults.append(Fault(f"{pointer}/keys/{at}", *problem))
    return faults


def _problem_with(raw: object, seen: set[str]) -> tuple[str, str] | None:
    if not isinstance(raw, dict):
        return "bad_key", "A JSON Web Key is an object."
    if _PRIVATE & raw.keys():
        return "private_key", "Send the public key only, and make a new pair: this one has left your house."
    kid = raw.get("kid")
    if kid is not None and (not isinstance(kid, str) or not _PLAIN.fullmatch(kid) or kid in seen):
        return "bad_kid", "`kid` is 1 to 255 visible ASCII characters, and each key has its own."
    seen.add(kid or "")
    try:
        key = JWKRegistry.import_key(raw)
    except (JoseError, ValueError, KeyError, TypeError):
        return "bad_key", "This is not a JSON Web Key."
    return None if _strong(key) else ("weak_key", "P-256, Ed25519, or RSA of 2,048 to 8,192 bits.")


def _strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return _LEAST_RSA_BITS <= key.public_key.key_size <= _MOST_RSA_BITS
    return (isinstance(key, ECKey) and key.curve_name == "P-256") or (
        isinstance(key, OKPKey) and key.curve_name == "Ed25519"
    )
