"""A POST is done once: claim its key before, record the answer after, both in the transaction of the change.

Only what commits is recorded, so a refusal, a fault or a body that did not arrive leaves the key free.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.core.db import Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Invalid
from app.core.secrets import Keyring, SealError
from app.idempotency import sql

KEEP: Final = timedelta(days=30)
KEEP_SECRET: Final = timedelta(hours=24)
_PURPOSE: Final = "idempotency"
_HEADER: Final = "@Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer given before: status, the headers worth repeating (Location, ETag, type), the exact bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


async def claim(tx: Writer, keyring: Keyring, key: str, request_hash: bytes) -> Recorded | None:
    """The answer recorded for the caller's key, or None: then the key is ours until the transaction ends.

    `request_hash` is a digest of method, path and body. Refuses with Conflict `idempotency_in_flight` a key
    whose first request is under way, with Invalid `idempotency_key_reused` one that came with another
    payload, with Conflict `idempotency_key_expired` one whose answer may not be repeated any more. One
    statement.
    """
    client_id = tx.caller.client_id
    found = await sql.claim(tx, client_id, key, _lock_number(client_id, key))
    if found["request_hash"] is None:
        if not found["free"]:
            raise _in_flight()
        return None
    if bytes(found["request_hash"]) != _keyed(keyring, request_hash):
        fault = Fault(_HEADER, "idempotency_key_reused", "This key was used for another request.")
        raise Invalid("idempotency_key_reused", "Take a new Idempotency-Key for a new request.", [fault])
    if found["expired"]:
        raise _expired()
    try:
        body = keyring.open_sealed(_PURPOSE, bytes(found["body_sealed"]), _place(client_id, key))
    except SealError:  # sealed under a master key that has been dropped since
        raise _expired() from None
    return Recorded(found["status"], dict(found["headers"]), body)


async def record(
    tx: Writer,
    keyring: Keyring,
    key: str,
    request_hash: bytes,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secret: bool = False,
    keep: timedelta = KEEP,
) -> None:
    """Keep the answer beside the change, sealed; 24 hours if it holds a secret, else `keep`. One statement.

    Conflict `idempotency_in_flight` if the same key was committed between claim and record (the claim looked
    a moment too early): this transaction then goes back as a whole.
    """
    client_id = tx.caller.client_id
    values = {
        "client_id": client_id,
        "key": key,
        "request_hash": _keyed(keyring, request_hash),
        "status": status,
        "headers": dict(headers),
        "body_sealed": keyring.seal(_PURPOSE, body, _place(client_id, key)),
    }
    try:
        async with tx.attempt():
            await sql.add(tx, values, min(keep, KEEP_SECRET) if secret else keep)
    except ConstraintBroken:
        raise _in_flight() from None


async def forget_expired(tx: Writer) -> int:
    """The worker's broom: drop what has expired, some thousands at a time; how many went. One statement."""
    return await sql.forget_expired(tx)


def _in_flight() -> Conflict:
    return Conflict(
        "idempotency_in_flight",
        "The first request with this Idempotency-Key is under way. Ask again for its answer.",
        extra={"retry_after": 1},
    )


def _expired() -> Conflict:
    return Conflict(
        "idempotency_key_expired",
        "The answer to this Idempotency-Key is not kept any more. Take a new key.",
    )


def _keyed(keyring: Keyring, request_hash: bytes) -> bytes:
    """Keyed, because a plain digest of a short body could be guessed by trying bodies."""
    return keyring.keyed_hash(_PURPOSE, request_hash.hex())


def _place(client_id: UUID, key: str) -> bytes:
    return client_id.bytes + key.encode()


def _lock_number(client_id: UUID, key: str) -> int:
    digest = hashlib.sha256(b"idempotency" + client_id.bytes + key.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
