"""Node ids: opaque, and naming their type, so that `node(id:)` finds them. A plain UUID as REST has it is taken too."""

import base64
import re
from typing import Final
from uuid import UUID

import strawberry

from app.core.errors import NotFound, invalid

KINDS: Final = ("School", "Hub", "Trust", "Programme")
"""The types that implement Node."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def node_id(kind: str, identifier: UUID) -> strawberry.ID:
    """The opaque id of a node."""
    return strawberry.ID(base64.urlsafe_b64encode(f"{kind}:{identifier}".encode()).decode().rstrip("="))


def read(identifier: str) -> tuple[str | None, UUID]:
    """The type (None for a plain UUID) and the UUID in an id; Invalid at `/id` for what is neither.

    A node has one opaque id: another spelling that decodes to the same is none.
    """
    if _UUID.fullmatch(identifier):
        return None, UUID(identifier)
    try:
        padded = identifier + "=" * (-len(identifier) % 4)
        kind, _, key = base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii").partition(":")
        found = UUID(key)
    except ValueError:
        raise _malformed() from None
    if kind not in KINDS or node_id(kind, found) != identifier:
        raise _malformed()
    return kind, found


def of_kind(identifier: str, kind: str) -> UUID:
    """The UUID in an id of this type; NotFound for another type, never told apart from an id that is not there.

    Invalid at `/id` for what is no id.
    """
    found, key = read(identifier)
    if found not in {None, kind}:
        raise NotFound(kind.lower())
    return key


def _malformed() -> Exception:
    return invalid("/id", "id_format", "Send an `id` as this API gave it, or the UUID from REST.")
