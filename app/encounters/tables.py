"""Attendance reports and no-shows; encounters, partitioned by academic year, with or without a booking."""

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata
from app.core.tables import changed, changed_by, day, ident, moment, texts, uid, when, whole, word
from app.core.tables import text as words
from app.rules.words import (
    NC_YEARS,
    ActivityBand,
    AttendanceStatus,
    ExperienceKind,
    Mode,
    NoShowResolution,
    Reporter,
)

attendance_reports = Table(
    "attendance_reports",
    metadata,
    ident(),
    uid("participation_sitting_id", "participation_sittings.id"),
    uid("booking_id", "bookings.id"),
    uid("school_id", "organisations.id"),
    uid("employer_id", "employers.id"),
    word("reporter", Reporter),
    uid("client_id"),
    word("status", AttendanceStatus),
    moment("arrived_at", null=True),
    moment("left_at", null=True),
    Column("decides", Boolean, nullable=False, server_default="false"),
    when("reported_at"),
    when("recorded_at", now=True),
    Index("ix_attendance_reports_sitting", "participation_sitting_id", "id"),
    Index("ix_attendance_reports_booking_id", "booking_id"),
    Index("ix_attendance_reports_school_id", "school_id"),
    Index("ix_attendance_reports_employer_id", "employer_id"),
)
"""Append-only: conflicting reports are both kept, and the school decides (`decides`)."""

sitting_marks = Table(
    "sitting_marks",
    metadata,
    uid("booking_id", "bookings.id", primary_key=True),
    uid("sitting_id", "sittings.id", primary_key=True),
    uid("school_id", "organisations.id"),
    uid("employer_id", "employers.id"),
    when("overdue_at", null=True),
    when("cleared_at", null=True),
    when("closed_at", null=True),
    uid("closed_by", null=True),
    words("reason_code", null=True, longest=60),
    Index("ix_sitting_marks_school_id", "school_id"),
    Index("ix_sitting_marks_employer_id", "employer_id"),
    Index(
        "ix_sitting_marks_overdue",
        "booking_id",
        postgresql_where=text("overdue_at IS NOT NULL AND cleared_at IS NULL"),
    ),
)
"""What the house (an alarm) or the school (a closure) said of one sitting of one booking as a whole."""

no_shows = Table(
    "no_shows",
    metadata,
    ident(),
    uid("participation_sitting_id", "participation_sittings.id"),
    uid("participation_id", "participations.id"),
    uid("booking_id", "bookings.id"),
    uid("school_id", "organisations.id"),
    uid("employer_id", "employers.id"),
    when("opened_at"),
    word("opened_by", Reporter),
    word("resolution", NoShowResolution, null=True),
    when("resolved_at", null=True),
    uid("resolved_by", null=True),
    words("note", null=True, longest=2000),
    when("recorded_at", now=True),
    changed(),
    changed_by("no_shows", "school_id"),
    changed_by("no_shows", "employer_id"),
    Index(
        "uq_no_shows_open",
        "participation_sitting_id",
        unique=True,
        postgresql_where=text("resolution IS NULL"),
    ),
    Index("ix_no_shows_school_id", "school_id", "id"),
    Index("ix_no_shows_booking_id", "booking_id"),
    Index("ix_no_shows_employer_id", "employer_id"),
)
"""Stays open until the school resolves it. The note is the school's own."""

encounters = Table(
    "encounters",
    metadata,
    whole("academic_year"),
    uid("id"),
    uid("school_id"),
    uid("enrolment_id"),
    whole("person_no"),
    uid("participation_id", null=True),
    uid("booking_id", null=True),
    uid("employer_id", null=True),
    words("employer_name", null=True, longest=200),
    words("title", null=True, longest=200),
    word("kind", ExperienceKind),
    word("mode", Mode),
    word("activity_band", ActivityBand, default="low"),
    day("starts_on"),
    day("ends_on"),
    word("nc_year", NC_YEARS),
    whole("in_person_minutes", least=0),
    whole("virtual_minutes", least=0),
    whole("days", least=0),
    texts("criteria_offered"),
    texts("criteria_confirmed"),
    Column("bm5_offered", Boolean, nullable=False, server_default="false"),
    Column("bm5", Boolean, nullable=False, server_default="false"),
    Column("bm6_offered", Boolean, nullable=False, server_default="false"),
    Column("bm6", Boolean, nullable=False, server_default="false"),
    Column("evidence", JSONB, nullable=True),
    Column("per_day", JSONB, nullable=False),
    word("state", ("credited", "reversed"), default="credited"),
    whole("version", default=1),
    uid("recorded_by"),
    when("recorded_at", now=True),
    when("updated_at", now=True),
    changed(),
    changed_by("encounters", "school_id"),
    PrimaryKeyConstraint("academic_year", "id"),
    Index("ix_encounters_school_id", "school_id", "id"),
    Index("ix_encounters_enrolment_id", "enrolment_id", "id"),
    Index("ix_encounters_booking_id", "booking_id"),
    postgresql_partition_by="RANGE (academic_year)",
)
"""`per_day` is a list of {on, in_person, virtual}: the sittings' minutes by school day."""

encounter_refs = Table(
    "encounter_refs",
    metadata,
    uid("school_id", "organisations.id"),
    uid("org_id", "organisations.id"),
    words("external_ref", longest=200),
    uid("encounter_id"),
    whole("academic_year"),
    PrimaryKeyConstraint("school_id", "org_id", "external_ref"),
    Index("ix_encounter_refs_encounter_id", "encounter_id"),
)
"""Uniqueness of a client's own reference, which a partitioned table cannot promise."""

encounter_keys = Table(
    "encounter_keys",
    metadata,
    uid("participation_id", "participations.id", primary_key=True),
    uid("school_id", "organisations.id"),
    uid("encounter_id"),
    whole("academic_year"),
)
"""One encounter per participation, whatever partition it lies in."""

encounter_versions = Table(
    "encounter_versions",
    metadata,
    ident(),
    uid("encounter_id"),
    whole("academic_year"),
    uid("school_id", "organisations.id"),
    whole("version"),
    Column("was", JSONB, nullable=False),
    words("reason", null=True, longest=1000),
    uid("client_id"),
    when("recorded_at", now=True),
    Index("ix_encounter_versions_encounter_id", "encounter_id", "version"),
    Index("ix_encounter_versions_school_id", "school_id"),
)
"""What an encounter said before each correction."""
