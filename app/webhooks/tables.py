"""Endpoints, deliveries and attempts. The last two are partitioned by their UUIDv7 id and dropped after retention."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata
from app.core.tables import big, ident, kept, moment, texts, uid, when, whole, word
from app.core.tables import text as words

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    ident(),
    uid("org_id", "organisations.id"),
    uid("client_id"),
    uid("school_id", "organisations.id", null=True),
    words("url", longest=2000),
    words("description", null=True, longest=500),
    texts("event_types"),
    texts("signatures"),
    word("state", ("active", "paused", "off"), default="active"),
    words("off_reason", null=True),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("private_key_sealed", LargeBinary, nullable=True),
    words("public_key", null=True),
    words("old_public_key", null=True),
    Column("old_secret_sealed", LargeBinary, nullable=True),
    Column("old_private_key_sealed", LargeBinary, nullable=True),
    when("old_until", null=True),
    whole("rate_per_second", null=True, least=1),
    whole("concurrency", default=8, least=1),
    big("from_position", least=0),
    when("failing_since", null=True),
    whole("warned", default=0, least=0),
    when("slow_until", null=True),
    when("last_success_at", null=True),
    big("filled_to", null=True, least=0),
    when("rate_next", null=True),
    whole("slow_level", default=0, least=0),
    *kept(),
    Index("ix_webhook_endpoints_org_id", "org_id", "id"),
    Index("ix_webhook_endpoints_school_id", "school_id"),
    Index(
        "ix_webhook_endpoints_behind", "id", postgresql_where=text("filled_to IS NOT NULL AND state <> 'off'")
    ),
)
"""`filled_to`: the position up to which an endpoint that is behind has its deliveries; null when it is in step.
`rate_next`: when the next delivery may leave, if it has a rate. `slow_level`: answers of overload in a row."""

deliveries = Table(
    "deliveries",
    metadata,
    uid("id"),
    uid("endpoint_id"),
    uid("org_id"),
    uid("event_id"),
    words("event_type"),
    uid("order_key"),
    whole("sequence"),
    big("position"),
    word("lane", ("normal", "safety"), default="normal"),
    word("state", ("pending", "delivered", "failed", "revoked", "cancelled"), default="pending"),
    Column("replay", Boolean, nullable=False, server_default="false"),
    whole("attempts", default=0, least=0),
    when("due_at", null=True),
    when("leased_until", null=True),
    uid("leased_by", null=True),
    Column("last_status", Integer, nullable=True),
    words("last_error", null=True),
    when("created_at", now=True),
    when("ended_at", null=True),
    when("undelivered_raised_at", null=True),
    PrimaryKeyConstraint("id"),
    Index(
        "ix_deliveries_due",
        "lane",
        "endpoint_id",
        "due_at",
        postgresql_where=text("state = 'pending' AND due_at IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_soon",
        text("(due_at AT TIME ZONE 'UTC'::text)"),
        postgresql_where=text("state = 'pending' AND due_at IS NOT NULL"),
    ),
    Index("ix_deliveries_event_id", "event_id"),
    Index(
        "ix_deliveries_order",
        "endpoint_id",
        "order_key",
        "sequence",
        "position",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_deliveries_waiting", "id", postgresql_where=text("state = 'pending' AND due_at IS NULL")),
    Index("ix_deliveries_org_id", "org_id", "id"),
    Index(
        "ix_deliveries_unraised",
        "created_at",
        postgresql_where=text("lane = 'safety' AND state = 'pending' AND undelivered_raised_at IS NULL"),
    ),
    Index(
        "ix_deliveries_undelivered",
        "org_id",
        "id",
        postgresql_where=text("undelivered_raised_at IS NOT NULL"),
    ),
    Index("ix_deliveries_endpoint_id", "endpoint_id", "id"),
    postgresql_partition_by="RANGE (id)",
)
"""A pending delivery without `due_at` waits for its predecessor in the order key; a trigger releases it.

The order of a key at an endpoint is that of `(sequence, position)`: each audience counts its own `sequence`, and an
endpoint may hear several.
"""

attempts = Table(
    "attempts",
    metadata,
    uid("id"),
    uid("delivery_id"),
    uid("endpoint_id"),
    uid("org_id"),
    whole("no", least=1),
    when("at"),
    whole("elapsed_ms", least=0),
    Column("status", Integer, nullable=True),
    words("error", null=True),
    Column("request_headers", JSONB, nullable=True),
    words("response_body", null=True),
    PrimaryKeyConstraint("id"),
    Index("ix_attempts_delivery_id", "delivery_id", "id"),
    Index("ix_attempts_endpoint_id", "endpoint_id", "id"),
    postgresql_partition_by="RANGE (id)",
)

webhook_replays = Table(
    "webhook_replays",
    metadata,
    ident(),
    uid("org_id", "organisations.id"),
    uid("client_id"),
    uid("endpoint_id"),
    word("picks", ("all", "failed", "missed")),
    word("state", ("running", "done", "cancelled"), default="running"),
    big("from_position", least=0),
    big("to_position", least=0),
    moment("from_time", null=True),
    moment("to_time", null=True),
    big("reached", least=0),
    whole("queued", default=0, least=0),
    when("created_at", now=True),
    when("worked_at", null=True),
    when("ended_at", null=True),
    Index("ix_webhook_replays_org_id", "org_id", "id"),
    Index(
        "ix_webhook_replays_running", "endpoint_id", unique=True, postgresql_where=text("state = 'running'")
    ),
)
"""Jobs: `reached` is the position up to which the range has been looked through, `queued` what was made of it."""

certifications = Table(
    "certifications",
    metadata,
    ident(),
    uid("org_id", "organisations.id"),
    uid("endpoint_id", "webhook_endpoints.id"),
    word("side", ("school", "employer", "hub", "vendor")),
    word("state", ("queued", "running", "done", "cancelled"), default="queued"),
    word("grade", ("A", "B", "C", "F"), null=True),
    Column("cases", JSONB, nullable=False, server_default="[]"),
    when("leased_until", null=True),
    when("created_at", now=True),
    when("started_at", null=True),
    when("ended_at", null=True),
    Index("ix_certifications_org_id", "org_id", "id"),
    Index("ix_certifications_endpoint_id", "endpoint_id", "id"),
    Index("ix_certifications_open", "id", postgresql_where=text("state IN ('queued', 'running')")),
)
"""A graded suite that was asked for, and what came of it; `cases` are as `certification.result_of` gives them."""

fanout = Table(
    "fanout",
    metadata,
    whole("one"),
    big("position", least=0),
    PrimaryKeyConstraint("one"),
    Index("ix_fanout_position", "position"),
)
"""Up to which position events have been given to endpoints."""
