"""Clients belong to one organisation. Secrets are kept as hashes; signing keys are sealed."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, PrimaryKeyConstraint, Table
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata
from app.core.tables import ident, kept, texts, uid, when
from app.core.tables import text as words

clients = Table(
    "clients",
    metadata,
    ident(),
    uid("org_id", "organisations.id"),
    words("name", longest=200),
    texts("scopes"),
    Column("jwks", JSONB, nullable=True),
    words("jwks_uri", null=True, longest=2000),
    when("revoked_at", null=True),
    uid("created_by", null=True),
    *kept(),
    CheckConstraint("jwks IS NULL OR jwks_uri IS NULL", name="one_key_set"),
    Index("ix_clients_org_id", "org_id"),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    ident(),
    uid("client_id", "clients.id"),
    words("hint", longest=40),
    Column("secret_hash", LargeBinary, nullable=False),
    when("created_at", now=True),
    when("expires_at", null=True),
    when("revoked_at", null=True),
    Index("ix_client_secrets_client_id", "client_id"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    words("kid"),
    Column("private_sealed", LargeBinary, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    when("created_at", now=True),
    when("retired_at", null=True),
    PrimaryKeyConstraint("kid"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    words("jti"),
    uid("client_id", "clients.id"),
    when("expires_at"),
    when("revoked_at", now=True),
    PrimaryKeyConstraint("jti"),
)

assertion_ids = Table(
    "assertion_ids",
    metadata,
    uid("client_id", "clients.id"),
    words("jti"),
    when("expires_at"),
    PrimaryKeyConstraint("client_id", "jti"),
)
"""A `private_key_jwt` assertion is used once (RFC 7523 §3)."""
