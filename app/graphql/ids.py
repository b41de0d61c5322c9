"""Node ids: opaque, and naming their type, so that `node(id:)` finds them. A plain UUID as REST has it is taken too."""

import base64
from uuid import UUID

import strawberry

from app.core.errors import NotFound


def node_id(kind: str, identifier: UUID) -> strawberry.ID:
    """The opaque id of a node."""
    return strawberry.ID(base64.urlsafe_b64encode(f"{kind}:{identifier}".encode()).decode().rstrip("="))


def read(identifier: str) -> tuple[str | None, UUID]:
    """The kind (None for a plain UUID) and the UUID in an id; NotFound for anything else."""
    try:
        return None, UUID(identifier)
    except ValueError:
        pass
    try:
        kind, _, key = (
            base64.urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4)).decode().partition(":")
        )
        return kind, UUID(key)
    except ValueError:
        raise NotFound from None


def of_kind(identifier: str, kind: str) -> UUID:
    """The UUID in an id of this kind; NotFound for another kind, never told apart from an id that is not there."""
    found, key = read(identifier)
    if found not in {None, kind}:
        raise NotFound(kind.lower())
    return key
