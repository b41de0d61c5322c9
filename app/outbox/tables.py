"""Events, and the counters of their order keys. Partitioned by the UUIDv7 id itself, so that the key stays single."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, text

from app.core.db import metadata
from app.core.tables import big, uid, when, whole, word
from app.core.tables import text as words

events = Table(
    "events",
    metadata,
    uid("id"),
    Column("seq", BigInteger, nullable=False, server_default=text("nextval('events_seq')")),
    big("position", null=True),
    words("type", longest=80),
    word("audience", ("school", "employer", "hub", "vendor")),
    uid("audience_id"),
    uid("only_client_org", null=True),
    uid("order_key"),
    whole("sequence"),
    word("lane", ("normal", "safety"), default="normal"),
    Column("body", LargeBinary, nullable=False),
    when("occurred_at"),
    when("positioned_at", null=True),
    PrimaryKeyConstraint("id"),
    Index("ix_events_unnumbered", "seq", postgresql_where=text("position IS NULL")),
    Index("ix_events_position", "position", postgresql_where=text("position IS NOT NULL")),
    Index("ix_events_audience_id", "audience_id", "position", postgresql_where=text("position IS NOT NULL")),
    postgresql_partition_by="RANGE (id)",
)
"""`body` holds the exact bytes that feed and push send. `seq` is the order of writing, `position` that of commit."""

order_keys = Table(
    "order_keys",
    metadata,
    uid("order_key", primary_key=True),
    uid("audience_id", primary_key=True),
    whole("last"),
)

sequencer = Table(
    "sequencer",
    metadata,
    whole("one"),
    big("last"),
    Column("low", BigInteger, nullable=False, server_default="0"),
    Column("mark", BigInteger, nullable=False, server_default="0"),
    big("mark_xid", null=True),
    when("marked_at", null=True),
    PrimaryKeyConstraint("one"),
    Index("ix_sequencer_last", "last"),
)
"""The last position given. `low`: every event up to this `seq` is numbered or will never be; the rest serves to find it."""
