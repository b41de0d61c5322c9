"""A programme is what a hub or a trust runs; a strand is a model under test. Money is in whole pence (GBP)."""

from sqlalchemy import CheckConstraint, Column, Date, Index, Table, UniqueConstraint

from app.core.db import metadata
from app.core.tables import big, ident, kept, uid, when, word
from app.core.tables import text as words

programmes = Table(
    "programmes",
    metadata,
    ident(),
    uid("owner_id", "organisations.id"),
    words("external_ref", null=True, longest=200),
    words("name", longest=200),
    words("funder", null=True, longest=200),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    big("budget_pence", null=True, least=0),
    word("state", ("draft", "running", "closed"), default="running"),
    *kept(),
    CheckConstraint("ends_on >= starts_on", name="in_order"),
    UniqueConstraint("owner_id", "external_ref", name="uq_programmes_external_ref"),
)

strands = Table(
    "strands",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    words("code", longest=60),
    words("name", longest=200),
    words("model", null=True, longest=2000),
    when("removed_at", null=True),
    *kept(),
    UniqueConstraint("programme_id", "code", name="uq_strands_code"),
)

programme_schools = Table(
    "programme_schools",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    uid("strand_id", "strands.id", null=True),
    uid("school_id", "organisations.id"),
    word("state", ("invited", "enrolled", "left"), default="enrolled"),
    Column("joined_on", Date, nullable=True),
    Column("left_on", Date, nullable=True),
    word("own_budget", ("none", "too_little", "sufficient", "unknown"), default="unknown"),
    *kept(),
    UniqueConstraint("programme_id", "strand_id", "school_id", name="uq_programme_schools_strand"),
    Index("ix_programme_schools_school_id", "school_id"),
)

targets = Table(
    "targets",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    uid("strand_id", "strands.id", null=True),
    word("measure", ("schools", "young_people", "minutes", "share")),
    big("value", least=0),
    words("characteristic", null=True, longest=40),
    Column("due_on", Date, nullable=True),
    *kept(),
    Index("ix_targets_programme_id", "programme_id"),
)

allocations = Table(
    "allocations",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    uid("school_id", "organisations.id"),
    big("amount_pence", least=0),
    *kept(),
    UniqueConstraint("programme_id", "school_id", name="uq_allocations_school"),
)

costs = Table(
    "costs",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    uid("school_id", "organisations.id"),
    uid("booking_id", null=True),
    word("kind", ("coach", "supply_cover", "kit", "lunch", "insurance", "other")),
    word("stage", ("commitment", "spend")),
    word("paid_by", ("programme", "school", "employer", "trust", "parent")),
    big("amount_pence", least=0),
    Column("on_date", Date, nullable=False),
    *kept(),
    Index("ix_costs_programme_id", "programme_id", "school_id"),
    Index("ix_costs_booking_id", "booking_id"),
)
