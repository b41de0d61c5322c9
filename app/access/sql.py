"""The statements of access: clients and their secrets, signing keys, what a token request stands on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    LargeBinary,
    Table,
    Text,
    and_,
    column,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.access.tables import assertion_ids, client_secrets, clients, revoked_tokens, signing_keys
from app.core.db import Door, Row, Writer

_SIGNING_LOCK = 7_310_338_420_118  # any number that nobody else uses
_BATCH = 5_000
_LIVE = and_(
    client_secrets.c.revoked_at.is_(None),
    or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > func.now()),
)


# --- before a caller is known: functions that are let past row security ---------------------------


async def for_token(tx: Writer, client_id: UUID) -> Row | None:
    """org_id, org_kind, scopes, jwks and secret_hashes of a client that is alive. Needs no caller."""
    found = func.app.client_for_token(literal(client_id, PG_UUID(as_uuid=True))).table_valued(
        column("org_id", PG_UUID(as_uuid=True)),
        column("org_kind", Text),
        column("scopes", ARRAY(Text)),
        column("jwks", JSONB),
        column("secret_hashes", ARRAY(LargeBinary)),
    )
    return await tx.one_or_none(select(found))


async def use_assertion(tx: Writer, client_id: UUID, jti: str, expires: datetime) -> bool:
    """True the first time this client shows this assertion."""
    stmt = func.app.use_assertion(
        literal(client_id, PG_UUID(as_uuid=True)),
        literal(jti, Text),
        literal(expires, DateTime(timezone=True)),
    )
    return bool(await tx.value(select(stmt)))


async def revoke_token(tx: Writer, client_id: UUID, jti: str, expires: datetime) -> None:
    """Write down that the token is dead; `app.enter` asks for it in every transaction."""
    stmt = func.app.revoke_token(
        literal(client_id, PG_UUID(as_uuid=True)),
        literal(jti, Text),
        literal(expires, DateTime(timezone=True)),
    )
    await tx.run(select(stmt))


# --- signing keys ---------------------------------------------------------------------------------


async def lock_signing_keys(tx: Writer) -> None:
    """Only one process at a time makes a key; the lock goes with the transaction."""
    await tx.run(select(func.pg_advisory_xact_lock(_SIGNING_LOCK)))


async def signing_keys_newest(tx: Writer, most: int = 8) -> Sequence[Row]:
    """The keys not retired, the newest first."""
    return await tx.rows(
        select(signing_keys)
        .where(signing_keys.c.retired_at.is_(None))
        .order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)
        .limit(most)
    )


async def add_signing_key(
    tx: Writer, kid: str, private_sealed: bytes, public_jwk: dict[str, Any], at: datetime
) -> None:
    """Keep a new key."""
    await tx.run(
        insert(signing_keys).values(
            kid=kid, private_sealed=private_sealed, public_jwk=public_jwk, created_at=at
        )
    )


async def retire_signing_key(tx: Writer, kid: str) -> int:
    """Never sign or verify with this key again; the owner's role only."""
    return await tx.run(
        update(signing_keys)
        .where(signing_keys.c.kid == kid, signing_keys.c.retired_at.is_(None))
        .values(retired_at=func.now())
    )


# --- clients: rows of the caller's own organisation, says row security ----------------------------


async def may_begin(tx: Writer, org_id: UUID) -> bool:
    """Whether the caller registered this organisation and it has never had a client."""
    return bool(await tx.value(select(func.app.may_begin(literal(org_id, PG_UUID(as_uuid=True))))))


async def add_client(tx: Writer, values: dict[str, Any]) -> None:
    """One new client."""
    await tx.run(insert(clients).values(**values))


async def add_secret(tx: Writer, values: dict[str, Any]) -> None:
    """One new secret, as its hash."""
    await tx.run(insert(client_secrets).values(**values))


async def lock_client(tx: Writer, client_id: UUID) -> Row | None:
    """The client, locked, so that two rotations do not pass each other."""
    return await tx.one_or_none(select(clients).where(clients.c.id == client_id).with_for_update())


async def expire_secrets(tx: Writer, client_id: UUID, at: datetime) -> int:
    """Let the live secrets of a client end at `at`, unless they end sooner; a moment past ends them now."""
    ends = func.least(func.coalesce(client_secrets.c.expires_at, at), at)
    return await tx.run(
        update(client_secrets).where(client_secrets.c.client_id == client_id, _LIVE).values(expires_at=ends)
    )


async def touch_client(tx: Writer, client_id: UUID) -> None:
    """A new version, for the ETag."""
    await tx.run(
        update(clients)
        .where(clients.c.id == client_id)
        .values(version=clients.c.version + 1, updated_at=func.now())
    )


async def revoke_client(tx: Writer, client_id: UUID) -> int:
    """End the client and, by `app.enter`, every token it holds. Touches nothing that has ended already."""
    return await tx.run(
        update(clients)
        .where(clients.c.id == client_id, clients.c.revoked_at.is_(None))
        .values(revoked_at=func.now(), version=clients.c.version + 1, updated_at=func.now())
    )


def _shown() -> Any:  # noqa: ANN401  (a Select of many columns)
    secrets = (
        select(
            func.coalesce(
                func.jsonb_agg(
                    func.jsonb_build_object(
                        "id", client_secrets.c.id,
                        "hint", client_secrets.c.hint,
                        "created_at", client_secrets.c.created_at,
                        "expires_at", client_secrets.c.expires_at,
                    )
                ),
                literal([], JSONB),
                type_=JSONB,
            )
        )
        .where(client_secrets.c.client_id == clients.c.id, _LIVE)
        .scalar_subquery()
    )  # fmt: skip
    return select(
        clients.c.id,
        clients.c.name,
        clients.c.scopes,
        clients.c.jwks,
        clients.c.revoked_at,
        clients.c.created_by,
        clients.c.version,
        clients.c.created_at,
        clients.c.updated_at,
        secrets.label("secrets"),
    )


async def by_id(tx: Door, client_id: UUID) -> Row | None:
    """One client with the hints of its live secrets; never a hash."""
    return await tx.one_or_none(
        _shown().where(clients.c.id == client_id, clients.c.org_id == tx.caller.org_id)
    )


async def page(tx: Door, after: UUID | None, limit: int) -> Sequence[Row]:
    """The organisation's clients in the order they were made, one more than `limit` if there is one."""
    stmt = _shown().where(clients.c.org_id == tx.caller.org_id).order_by(clients.c.id).limit(limit + 1)
    return await tx.rows(stmt if after is None else stmt.where(clients.c.id > after))


# --- the worker's broom ---------------------------------------------------------------------------


async def forget_assertions(tx: Writer) -> int:
    """Drop ids of assertions that have expired, some thousands at a time; what somebody holds is left for the next time."""
    return await _forget(tx, assertion_ids)


async def forget_revocations(tx: Writer) -> int:
    """The same with revocations of tokens that have expired anyway."""
    return await _forget(tx, revoked_tokens)


async def _forget(tx: Writer, table: Table) -> int:
    some = (
        select(table.c.client_id, table.c.jti)
        .where(table.c.expires_at < func.now())
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
        .subquery()
    )
    return await tx.run(delete(table).where(table.c.client_id == some.c.client_id, table.c.jti == some.c.jti))
