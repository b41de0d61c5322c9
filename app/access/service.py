"""What is done about access: tokens granted and revoked, clients made and ended, their secrets rotated."""

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import unquote_plus
from uuid import UUID

from app.access import assertions, scopes, sql
from app.access.tokens import Claims, Issued, Tokens
from app.core.clock import wall_now
from app.core.db import Database, Row, Writer
from app.core.errors import Conflict, Fault, Invalid, NotFound, Problem, Stale, Unauthenticated
from app.core.ids import new_id
from app.core.secrets import client_secret_matches, hash_client_secret, is_client_secret, new_client_secret
from app.core.versions import Expected, is_expected

Environment = Literal["live", "test"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE: Final = "client_credentials"
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
MOST_SECRETS: Final = 5
_DUMMY: Final = hash_client_secret("nobody's")
_HINT: Final = 4


class OAuthRefusal(Problem):
    """A refusal in the words of RFC 6749 section 5.2: `code` is the `error`, `detail` its description.

    `invalid_client` is 401 in a face, every other 400.
    """


# --- who knocks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client says who it is: by a secret or by an assertion, never by both."""

    client_id: str
    secret: str | None = None
    assertion: assertions.Shown | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.client_id!r})"


def credentials_in(form: Mapping[str, str], authorization: str | None) -> Credentials:
    """The credentials of a token request: client_secret_basic, client_secret_post or private_key_jwt.

    Refuses two methods at once (`invalid_request`, RFC 6749 section 2.3) and none (`invalid_client`).
    """
    ways = [name for name in ("client_secret", "client_assertion") if name in form]
    if len(ways) + (authorization is not None) > 1:
        raise OAuthRefusal("invalid_request", "Authenticate in one way only.")
    if authorization is not None:
        return _basic(authorization, form.get("client_id"))
    if "client_assertion" in form:
        return _asserted(form)
    if "client_secret" in form and form.get("client_id"):
        return Credentials(form["client_id"], secret=form["client_secret"])
    raise OAuthRefusal("invalid_client", "The client did not authenticate.")


def _basic(authorization: str, stated: str | None) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthRefusal("invalid_client", "Authenticate with Basic, client_secret or client_assertion.")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user = colon = password = ""
    if not user or not colon:
        raise OAuthRefusal("invalid_client", "The Authorization header is not Basic credentials.")
    found = Credentials(unquote_plus(user), secret=unquote_plus(password))  # RFC 6749 section 2.3.1
    if stated is not None and stated != found.client_id:
        raise OAuthRefusal("invalid_request", "client_id is another one than in the Authorization header.")
    return found


def _asserted(form: Mapping[str, str]) -> Credentials:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthRefusal("invalid_request", f"client_assertion_type is {ASSERTION_TYPE}.")
    try:
        shown = assertions.read(form["client_assertion"])
    except assertions.AssertionRefused as error:
        raise OAuthRefusal("invalid_client", str(error)) from None
    if form.get("client_id", shown.client_id) != shown.client_id:
        raise OAuthRefusal("invalid_request", "client_id is another one than the assertion's `sub`.")
    return Credentials(shown.client_id, assertion=shown)


# --- tokens ---------------------------------------------------------------------------------------


async def grant_token(
    db: Database,
    tokens: Tokens,
    given: Credentials,
    *,
    grant_type: str | None,
    scope: str | None,
    audiences: Sequence[str],
    now: datetime,
    development: bool = False,
) -> Issued:
    """A token by client credentials (RFC 6749 section 4.4), with no more scopes than client and kind allow.

    Without `scope` all of them are granted; with it, those (`invalid_scope` if one is not the client's).
    `audiences` are what an assertion may be made out to; `now` is wall time. One statement by secret, two by
    assertion; none when the secret has not even the form of one. Raises OAuthRefusal.
    """
    if grant_type != GRANT_TYPE:
        code = "unsupported_grant_type" if grant_type else "invalid_request"
        raise OAuthRefusal(code, f"grant_type is {GRANT_TYPE}.")
    async with db.write(None) as tx:
        client_id, client = await _authenticated(tx, given, audiences, now)
    allowed = scopes.allowed_for(client["org_kind"], development=development) & frozenset(client["scopes"])
    granted = _narrowed(allowed, scope)
    return tokens.issue(
        client_id=client_id, org_id=client["org_id"], org_kind=client["org_kind"], scopes=granted
    )


def _narrowed(allowed: frozenset[str], asked: str | None) -> frozenset[str]:
    if asked is None or not asked.strip():
        return allowed
    wanted = frozenset(asked.split())
    if not wanted <= allowed:
        first = min(wanted - allowed)
        known = first in scopes.SCOPES
        why = f"The client was not given the scope {first}." if known else "There is no such scope."
        raise OAuthRefusal("invalid_scope", why)
    return wanted


async def _authenticated(
    tx: Writer, given: Credentials, audiences: Sequence[str], now: datetime
) -> tuple[UUID, Row]:
    """The client that these credentials prove. An unknown client is refused in the same words and time."""
    client_id = _uuid(given.client_id)
    if given.assertion is None and not is_client_secret(given.secret or ""):
        raise _wrong_client()
    client = await sql.for_token(tx, client_id) if client_id else None
    if given.assertion is None:
        hashes = [bytes(one) for one in client["secret_hashes"]] if client else []
        # Every hash is compared, and one that is nobody's besides: the time does not say which it was.
        matches = [client_secret_matches(given.secret or "", one) for one in (*hashes, _DUMMY)]
        if client is None or client_id is None or not any(matches[:-1]):
            raise _wrong_client()
        return client_id, client
    if client is None or client_id is None or not client["jwks"]:
        raise _wrong_client()
    proof = _proof(given.assertion, client["jwks"], audiences, now)
    if not await sql.use_assertion(tx, client_id, proof.jti, proof.expires_at):
        raise OAuthRefusal("invalid_client", "This assertion has been used. Make a new one for each request.")
    return client_id, client


def _proof(
    shown: assertions.Shown, jwks: Mapping[str, Any], audiences: Sequence[str], now: datetime
) -> assertions.Proof:
    try:
        return assertions.prove(shown, jwks, audiences=audiences, now=now)
    except assertions.AssertionRefused as error:
        raise OAuthRefusal("invalid_client", str(error)) from None


def _wrong_client() -> OAuthRefusal:
    return OAuthRefusal("invalid_client", "Client id and credentials do not fit, or the client was revoked.")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def revoke_token(
    db: Database,
    tokens: Tokens,
    given: Credentials,
    *,
    token: str | None,
    audiences: Sequence[str],
    now: datetime,
) -> bool:
    """End one token of the client's own (RFC 7009); whether there was one to end.

    A token that is not good, has expired, or is another client's is left alone, and the face answers 200 all
    the same. `app.enter` refuses the token from the next transaction on. Two statements by secret, three by
    assertion. Raises OAuthRefusal only for the request itself.
    """
    if not token:
        raise OAuthRefusal("invalid_request", "Which token? Send `token`.")
    async with db.write(None) as tx:
        client_id, _ = await _authenticated(tx, given, audiences, now)
        claims = await _claims_of(tokens, token)
        if claims is None or claims.client_id != client_id:
            return False
        await sql.revoke_token(tx, client_id, str(claims.token_id), claims.expires_at)
        return True


async def _claims_of(tokens: Tokens, token: str) -> Claims | None:
    try:
        return tokens.verify(token)
    except Unauthenticated:
        return None


# --- clients --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret, shown this once; `hint` is its last characters, kept to tell it from others."""

    id: UUID
    secret: str
    hint: str

    def __repr__(self) -> str:
        return f"NewSecret({self.hint!r})"


@dataclass(frozen=True, slots=True)
class NewClient:
    """A new client, with its first secret unless it registered keys of its own."""

    id: UUID
    scopes: tuple[str, ...]
    secret: NewSecret | None


async def register_client(
    tx: Writer,
    *,
    org_id: UUID,
    org_kind: str,
    name: str,
    wanted: Collection[str] | None = None,
    jwks: Mapping[str, Any] | None = None,
    environment: Environment = "live",
    development: bool = False,
    created_by: UUID | None = None,
) -> NewClient:
    """Make a client for an organisation: as the owner (the loader) for any, as the app for the caller's own.

    `wanted` None is every scope its kind may have. With `jwks` the client signs and gets no secret. Refuses
    (Invalid) scopes its kind cannot have and unfit keys. Two statements, one with `jwks`.
    """
    allowed = scopes.allowed_for(org_kind, development=development)
    chosen = tuple(sorted(allowed if wanted is None else set(wanted)))
    faults = _problems_with_scopes(list(wanted or ()), allowed)
    if jwks is not None:
        faults += assertions.problems_with_jwks(jwks)
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    client_id = new_id()
    values = {
        "id": client_id,
        "org_id": org_id,
        "name": name,
        "scopes": list(chosen),
        "created_by": created_by,
    }
    await sql.add_client(tx, {**values, "jwks": dict(jwks)} if jwks is not None else values)
    secret = None if jwks is not None else await _new_secret(tx, client_id, environment)
    return NewClient(client_id, chosen, secret)


async def create_client(
    tx: Writer,
    *,
    name: str,
    wanted: Collection[str],
    jwks: Mapping[str, Any] | None = None,
    environment: Environment = "live",
    development: bool = False,
) -> NewClient:
    """A further client of the caller's own organisation, with no scope that the caller lacks (Invalid at
    `/scopes/n`, `scope_not_allowed`). Two statements.
    """
    faults = _problems_with_scopes(list(wanted), tx.caller.scopes)
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    return await register_client(
        tx,
        org_id=tx.caller.org_id,
        org_kind=tx.caller.org_kind,
        name=name,
        wanted=wanted,
        jwks=jwks,
        environment=environment,
        development=development,
        created_by=tx.caller.client_id,
    )


async def begin_organisation(
    tx: Writer,
    *,
    org_id: UUID,
    org_kind: str,
    name: str,
    wanted: Collection[str] | None = None,
    jwks: Mapping[str, Any] | None = None,
    environment: Environment = "live",
    development: bool = False,
) -> NewClient:
    """The first client of an organisation that the caller registered, and holds locked; every further one is its own.

    `wanted` None is every scope its kind may have. Conflict `has_a_client` once there has been one: a registrar
    must not come back as somebody else. Invalid as `register_client`. Three statements.
    """
    if not await sql.may_begin(tx, org_id):
        raise Conflict("has_a_client", "The organisation has had a client: the next is its own to make.")
    return await register_client(
        tx,
        org_id=org_id,
        org_kind=org_kind,
        name=name,
        wanted=wanted,
        jwks=jwks,
        environment=environment,
        development=development,
        created_by=tx.caller.client_id,
    )


def _problems_with_scopes(wanted: Sequence[str], allowed: frozenset[str]) -> list[Fault]:
    return [
        Fault(f"/scopes/{at}", *_why(scope))
        for at, scope in enumerate(wanted)
        if scope not in allowed
    ]  # fmt: skip


def _why(scope: str) -> tuple[str, str]:
    if scope not in scopes.SCOPES:
        return "unknown_scope", "There is no such scope."
    return "scope_not_allowed", "Your client cannot give this scope."


async def revoke_client(tx: Writer, client_id: UUID, *, version: int | None = None) -> None:
    """End a client of the caller's own organisation, and every token it holds, at once and for good.

    To end it twice changes nothing. NotFound for a stranger's; Stale if `version` is not the present one.
    Two statements.
    """
    await _locked(tx, client_id, version)
    await sql.revoke_client(tx, client_id)


async def rotate_secret(
    tx: Writer,
    client_id: UUID,
    *,
    overlap: timedelta = OVERLAP,
    version: int | None = None,
    environment: Environment = "live",
) -> NewSecret:
    """A new secret; those before it end after `overlap` (0 ends them now, 30 days at most), or as set before.

    NotFound for a stranger's client; Conflict (`client_revoked`, `client_signs`, `too_many_secrets`) for one
    that has ended, that signs with keys, or that has five live secrets already; Invalid for the overlap;
    Stale. Four statements.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        fault = Fault("/overlap_hours", "out_of_range", "From 0 hours to 720.")
        raise Invalid("invalid", "The request is not acceptable.", [fault])
    client = await _locked(tx, client_id, version)
    if client["revoked_at"] is not None:
        raise Conflict("client_revoked", "This client has been revoked. Make a new one.")
    if client["jwks"] is not None:
        raise Conflict("client_signs", "This client authenticates with its own keys and has no secret.")
    live = await sql.expire_secrets(tx, client_id, wall_now() + overlap)
    if overlap and live >= MOST_SECRETS:
        raise Conflict(
            "too_many_secrets", f"{live} secrets are live. Rotate with an overlap of 0 to end them."
        )
    made = await _new_secret(tx, client_id, environment)
    await sql.touch_client(tx, client_id)
    return made


async def _locked(tx: Writer, client_id: UUID, version: Expected) -> Row:
    client = await sql.lock_client(tx, client_id)
    if client is None or client["org_id"] != tx.caller.org_id:
        raise NotFound("client")
    if not is_expected(client["version"], version):
        raise Stale
    return client


async def _new_secret(tx: Writer, client_id: UUID, environment: Environment) -> NewSecret:
    secret = new_client_secret(environment)
    made = NewSecret(new_id(), secret, f"…{secret[-_HINT:]}")
    await sql.add_secret(
        tx,
        {"id": made.id, "client_id": client_id, "hint": made.hint, "secret_hash": hash_client_secret(secret)},
    )
    return made
