"""One row per client and key; the body is sealed, since an answer may hold a secret or a name."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata
from app.core.tables import text as words
from app.core.tables import uid, when, whole

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    uid("client_id"),
    words("key", longest=255),
    Column("request_hash", LargeBinary, nullable=False),
    whole("status"),
    Column("headers", JSONB, nullable=False),
    Column("body_sealed", LargeBinary, nullable=False),
    when("created_at", now=True),
    when("expires_at"),
    PrimaryKeyConstraint("client_id", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)
