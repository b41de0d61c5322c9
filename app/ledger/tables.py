"""The ledger, the balances and summaries that every entry moves, and the dated policies it is read by."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, Index, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata
from app.core.tables import ident, uid, when, whole, word
from app.core.tables import text as words
from app.rules.words import NC_YEARS, ExperienceKind, LedgerEntryKind, Mode

dated_policies = Table(
    "dated_policies",
    metadata,
    ident(),
    word("topic", ("entitlement", "age_prohibition", "cover", "day", "sector")),
    words("name", longest=200),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=True),
    Column("body", JSONB, nullable=False),
    words("source", null=True, longest=1000),
    when("recorded_at", now=True),
    CheckConstraint("app.policy_is_whole(topic, body)", name="body_whole"),
    Index("ix_dated_policies_topic", "topic", "starts_on"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    whole("academic_year"),
    uid("id"),
    uid("school_id"),
    uid("enrolment_id"),
    whole("person_no"),
    uid("encounter_id"),
    word("entry", LedgerEntryKind),
    uid("reverses_id", null=True),
    Column("on_date", Date, nullable=False),
    word("nc_year", NC_YEARS),
    word("kind", ExperienceKind),
    word("mode", Mode),
    whole("in_person_minutes"),
    whole("virtual_minutes"),
    Column("bm5", Boolean, nullable=False, server_default="false"),
    Column("bm6", Boolean, nullable=False, server_default="false"),
    uid("employer_id", null=True),
    when("happened_at"),
    when("known_at", now=True),
    PrimaryKeyConstraint("academic_year", "id"),
    Index("ix_ledger_entries_enrolment_id", "enrolment_id", "id"),
    Index("ix_ledger_entries_school_id", "school_id", "academic_year", "on_date"),
    Index("ix_ledger_entries_encounter_id", "encounter_id"),
    Index("ix_ledger_entries_reverses_id", "reverses_id", postgresql_where=text("reverses_id IS NOT NULL")),
    postgresql_partition_by="RANGE (academic_year)",
)
"""Append-only: a correction is a reversal and a new credit. One row per encounter and day, in whole minutes."""

balances = Table(
    "balances",
    metadata,
    uid("enrolment_id", "enrolments.id", primary_key=True),
    uid("school_id", "organisations.id"),
    whole("person_no"),
    whole("minutes", default=0),
    whole("virtual_minutes", default=0),
    whole("activity_minutes", default=0),
    whole("placement_minutes", default=0),
    whole("days", default=0),
    whole("encounters", default=0),
    whole("bm5", default=0),
    whole("bm6", default=0),
    Column("first_on", Date, nullable=True),
    Column("last_on", Date, nullable=True),
    when("updated_at", now=True),
    Index("ix_balances_school_id", "school_id"),
)
"""What one pupil has earned so far, all years together."""

yearly_balances = Table(
    "yearly_balances",
    metadata,
    uid("enrolment_id", "enrolments.id"),
    whole("academic_year"),
    uid("school_id", "organisations.id"),
    whole("person_no"),
    word("nc_year", NC_YEARS),
    word("kind", ExperienceKind),
    whole("minutes", default=0),
    whole("virtual_minutes", default=0),
    whole("encounters", default=0),
    whole("days", default=0),
    whole("bm5", default=0),
    whole("bm6", default=0),
    PrimaryKeyConstraint("enrolment_id", "academic_year", "nc_year", "kind"),
    Index("ix_yearly_balances_school_id", "school_id", "academic_year", "nc_year", "kind"),
)
"""The same by academic year, NC year on the date, and kind: what coverage by year group and kind is read from."""

summaries = Table(
    "summaries",
    metadata,
    uid("school_id", "organisations.id"),
    whole("academic_year"),
    word("nc_year", NC_YEARS),
    word("kind", ExperienceKind),
    whole("encounters", default=0),
    whole("minutes", default=0),
    whole("virtual_minutes", default=0),
    whole("bm5", default=0),
    whole("bm6", default=0),
    PrimaryKeyConstraint("school_id", "academic_year", "nc_year", "kind"),
)

school_states = Table(
    "school_states",
    metadata,
    uid("school_id", "organisations.id", primary_key=True),
    when("roll_complete_at", null=True),
    when("last_sync_at", null=True),
    Column("field_groups", ARRAY(Text), nullable=False, server_default="{}"),
    whole("attendance_overdue", default=0),
    when("updated_at", now=True),
    CheckConstraint("attendance_overdue >= 0", name="overdue_counted"),
)
"""What a school's figures stand on."""
