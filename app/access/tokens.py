"""Short signed access tokens (RFC 9068, ES256), and the keys that sign them, shared by all processes.

A key is made on first use and kept sealed. Each process reads the keys again every `REFRESH`; a new key signs
only after `SETTLE`, when everybody has read it, and verifies until the last token it signed has expired. So a
rotation needs no restart and refuses nobody. No statement is spent on issuing or verifying: `verify` answers
from memory, and a token seen before costs one hash.
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey
from joserfc.jws import CompactSignature

from app.access import sql
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database, Row
from app.core.errors import Unauthenticated
from app.core.ids import new_id
from app.core.secrets import Keyring

ALGORITHM: Final = "ES256"
LIFE: Final = timedelta(minutes=15)
REFRESH: Final = timedelta(seconds=30)
SETTLE: Final = timedelta(minutes=2)
_LEAST_BETWEEN: Final = 1.0  # seconds between two reads that strangers' key ids can cause
_LONGEST: Final = 8192
_PURPOSE: Final = "signing_key"
_log = structlog.get_logger("tendays.access")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Whether client and token are still alive is asked by `app.enter`."""

    client_id: UUID
    org_id: UUID
    org_kind: str
    scopes: frozenset[str]
    token_id: UUID
    expires_at: datetime

    def caller(self, now: datetime) -> Caller:
        """The caller; `now` is replaced by the domain time of its transaction."""
        return Caller(self.client_id, self.org_id, self.org_kind, self.scopes, now, token_id=self.token_id)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new access token: `expires_in` in seconds, `scope` as granted."""

    token: str
    expires_in: int
    scope: str

    def __repr__(self) -> str:
        return f"Issued(expires_in={self.expires_in}, scope={self.scope!r})"


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    made_at: datetime
    private: ECKey
    public: dict[str, Any]


class Tokens:
    """Issues and verifies tokens with the keys of the house. `open` before use, `close` at the end.

    `issuer` is the address callers use; `audience` (by default the same) is who the tokens are for.
    `remember` bounds the verified tokens kept in memory. `clock` gives wall time.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        *,
        issuer: str,
        audience: str | None = None,
        life: timedelta = LIFE,
        remember: int = 20_000,
        clock: Callable[[], datetime] = wall_now,
    ) -> None:
        self.issuer = issuer
        self.audience = audience or issuer
        self.life = life
        self._db = db
        self._keyring = keyring
        self._remember = remember
        self._clock = clock
        self._keys: tuple[_Key, ...] = ()  # the newest first
        self._by_kid: dict[str, _Key] = {}
        self._verified: OrderedDict[bytes, tuple[str, Claims]] = OrderedDict()
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> "Tokens":
        """Read the keys, making the first one if there is none, and keep reading them."""
        await self.reload()
        if not self._keys:
            await self._make(only_if_none=True)
            await self.reload()
        self._task = asyncio.create_task(self._keep_reading(), name="signing keys")
        return self

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # --- issue and verify -------------------------------------------------------------------------

    def issue(self, *, client_id: UUID, org_id: UUID, org_kind: str, scopes: Iterable[str]) -> Issued:
        """A token for this client, good for `life` from now."""
        key = self._signer()
        now = int(self._clock().timestamp())
        seconds = int(self.life.total_seconds())
        scope = " ".join(sorted(scopes))
        claims = {
            "iss": self.issuer,
            "sub": str(client_id),
            "client_id": str(client_id),
            "aud": self.audience,
            "iat": now,
            "exp": now + seconds,
            "jti": str(new_id()),
            "org": str(org_id),
            "org_kind": org_kind,
            "scope": scope,
        }
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid}
        return Issued(jwt.encode(header, claims, key.private, algorithms=[ALGORITHM]), seconds, scope)

    def verify(self, token: str) -> Claims:
        """The claims of a good token; Unauthenticated (`invalid_token`, `token_expired`) otherwise.

        From memory. A token of a key this process has not read is refused, and the keys are read at once.
        """
        seen = hashlib.sha256(token.encode()).digest()
        kid, claims = self._verified.get(seen) or ("", None)
        if claims is None or kid not in self._by_kid:
            kid, claims = self._checked(token)
            self._verified[seen] = (kid, claims)
            if len(self._verified) > self._remember:
                self._verified.popitem(last=False)
        if claims.expires_at <= self._clock():
            self._verified.pop(seen, None)
            raise Unauthenticated("token_expired", "The token has expired. Get a new one.")
        return claims

    async def verify_or_reload(self, token: str) -> Claims:
        """The same; a key this process has not read yet is looked for once before the token is refused."""
        try:
            return self.verify(token)
        except _UnknownKey:
            await self._reload_if_due()
            return self.verify(token)

    def caller_of(self, token: str) -> Caller:
        """The caller that a bearer token stands for; refuses as `verify` does."""
        return self.verify(token).caller(self._clock())

    def _checked(self, token: str) -> tuple[str, Claims]:
        if len(token) > _LONGEST:
            raise _refused()
        try:
            found = jwt.decode(token, self._key_for, algorithms=[ALGORITHM])
            self._registry().validate(found.claims)
            if found.header.get("typ") != "at+jwt":
                raise _refused()
            return str(found.header["kid"]), _claims(found.claims)
        except ExpiredTokenError:
            raise Unauthenticated("token_expired", "The token has expired. Get a new one.") from None
        except (JoseError, ValueError, KeyError, TypeError):
            raise _refused() from None

    def _registry(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.audience},
            exp={"essential": True},
            jti={"essential": True},
        )

    def _key_for(self, signed: Any) -> ECKey:  # noqa: ANN401  (joserfc hands a signature object)
        kid = signed.headers().get("kid") if isinstance(signed, CompactSignature) else None
        if not isinstance(kid, str) or kid not in self._by_kid:
            self._wanted.set()
            raise _UnknownKey
        return self._by_kid[kid].private

    # --- keys -------------------------------------------------------------------------------------

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517 section 5), those that will sign soon included."""
        return {"keys": [key.public for key in self._keys]}

    async def rotate(self, *, at_once: bool = False, if_older_than: timedelta | None = None) -> str | None:
        """Make a new key and give its id; None if the newest is younger than `if_older_than`.

        It signs after `SETTLE`; `at_once` (a key leaked: retire that one too) signs as soon as it is read,
        and processes that have not read it refuse its tokens for up to `REFRESH`. Three statements.
        """
        kid = await self._make(if_older_than=if_older_than, at_once=at_once)
        await self.reload()
        return kid

    async def reload(self) -> None:
        """Read the keys again; one statement. What a key verified is forgotten with the key."""
        async with self._reading:
            async with self._db.write(None) as tx:
                rows = await sql.signing_keys_newest(tx)
            self._read_at = time.monotonic()
            self._keys = tuple(self._opened(row) for row in self._still_good(rows))
            self._by_kid = {key.kid: key for key in self._keys}

    def _still_good(self, rows: Sequence[Row]) -> list[Row]:
        """Newest first, down to the one that has signed alone for longer than a token lives."""
        kept = []
        for row in rows:
            kept.append(row)
            if row["created_at"] <= self._clock() - SETTLE - self.life - REFRESH:
                break
        return kept

    def _signer(self) -> _Key:
        settled = self._clock() - SETTLE
        for key in self._keys:
            if key.made_at <= settled:
                return key
        if not self._keys:
            raise RuntimeError("there is no signing key: the tokens are not open")
        return self._keys[-1]

    async def _make(
        self, *, only_if_none: bool = False, if_older_than: timedelta | None = None, at_once: bool = False
    ) -> str | None:
        async with self._db.write(None) as tx:
            await sql.lock_signing_keys(tx)
            newest = await sql.signing_keys_newest(tx, most=1)
            now = self._clock()
            if newest and (only_if_none or (if_older_than and newest[0]["created_at"] > now - if_older_than)):
                return None
            key = ECKey.generate_key("P-256")
            kid = key.thumbprint()
            sealed = self._keyring.seal(
                _PURPOSE, json.dumps(key.as_dict(private=True)).encode(), kid.encode()
            )
            public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
            await sql.add_signing_key(tx, kid, sealed, public, now - SETTLE if at_once else now)
            return kid

    def _opened(self, row: Row) -> _Key:
        kept = self._by_kid.get(row["kid"])
        if kept is not None:
            return kept
        private = self._keyring.open_sealed(_PURPOSE, bytes(row["private_sealed"]), row["kid"].encode())
        return _Key(
            row["kid"], row["created_at"], ECKey.import_key(json.loads(private)), dict(row["public_jwk"])
        )

    async def _reload_if_due(self) -> None:
        if time.monotonic() - self._read_at >= _LEAST_BETWEEN:
            await self.reload()

    async def _keep_reading(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), REFRESH.total_seconds())
            self._wanted.clear()
            try:
                await self.reload()
            except Exception as error:  # noqa: BLE001  (the keys in memory go on serving while Postgres is away)
                _log.warning("signing_keys_not_read", error=type(error).__name__)
            await asyncio.sleep(_LEAST_BETWEEN)


async def retire_key(db: Database, kid: str) -> bool:
    """End a key that leaked: within `REFRESH` no process takes what it signed. `db` is the owner's."""
    async with db.write(None) as tx:
        return await sql.retire_signing_key(tx, kid) > 0


class _UnknownKey(Unauthenticated):
    def __init__(self) -> None:
        super().__init__("invalid_token", "The token is not one of ours, or not whole.")


def _refused() -> Unauthenticated:
    return Unauthenticated("invalid_token", "The token is not one of ours, or not whole.")


def _claims(raw: dict[str, Any]) -> Claims:
    return Claims(
        client_id=UUID(raw["sub"]),
        org_id=UUID(raw["org"]),
        org_kind=str(raw["org_kind"]),
        scopes=frozenset(str(raw["scope"]).split()),
        token_id=UUID(raw["jti"]),
        expires_at=datetime.fromtimestamp(raw["exp"], tz=UTC),
    )
