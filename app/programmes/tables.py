"""A programme is what a hub or a trust runs; a strand is a model under test. Money is in whole pence (GBP)."""

from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata
from app.core.tables import big, day, ident, kept, uid, when, word
from app.core.tables import text as words

_STANDS = text("removed_at IS NULL")

programmes = Table(
    "programmes",
    metadata,
    ident(),
    uid("owner_id", "organisations.id"),
    words("external_ref", null=True, longest=200),
    words("name", longest=200),
    words("funder", null=True, longest=200),
    day("starts_on"),
    day("ends_on"),
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
    Index("uq_strands_code", "programme_id", "code", unique=True, postgresql_where=_STANDS),
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
    day("joined_on", null=True),
    day("left_on", null=True),
    word("own_budget", ("none", "too_little", "sufficient", "unknown"), default="unknown"),
    *kept(),
    Index(
        "uq_programme_schools_strand",
        "programme_id",
        "strand_id",
        "school_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("state <> 'left'"),
    ),
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
    day("due_on", null=True),
    *kept(),
    when("removed_at", null=True),
    Index("ix_targets_programme_id", "programme_id"),
    Index(
        "uq_targets_aim",
        "programme_id",
        "strand_id",
        "measure",
        "characteristic",
        "due_on",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=_STANDS,
    ),
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
    when("removed_at", null=True),
    Index("uq_allocations_school", "programme_id", "school_id", unique=True, postgresql_where=_STANDS),
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
    day("on_date"),
    *kept(),
    uid("strand_id", "strands.id", null=True),
    words("external_ref", null=True, longest=200),
    when("removed_at", null=True),
    uid("recorded_by", null=True),
    Index("ix_costs_programme_id", "programme_id", "school_id"),
    Index("ix_costs_booking_id", "booking_id"),
    Index("uq_costs_external_ref", "programme_id", "external_ref", unique=True, postgresql_where=_STANDS),
)
"""A line is never changed: a correction removes it and writes a new one."""

programme_changes = Table(
    "programme_changes",
    metadata,
    ident(),
    uid("programme_id", "programmes.id"),
    uid("owner_id", "organisations.id"),
    uid("school_id", null=True),
    word("part", ("programme", "strand", "school", "target", "allocation", "cost")),
    uid("part_id"),
    word("change", ("added", "changed", "removed")),
    Column("now", JSONB, nullable=False),
    uid("client_id", null=True),
    when("recorded_at", now=True),
    uid("org_id", null=True),
    Index("ix_programme_changes_programme_id", "programme_id", "id"),
    Index("ix_programme_changes_part_id", "part_id", "id"),
)
"""Append-only, written by a trigger: a past state of a part is its newest row recorded by then (`now`, the row as it
was after the change; of what was removed, as it was at the end)."""
