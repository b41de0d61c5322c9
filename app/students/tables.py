"""A person is one human being; an enrolment is what one school knows of them. Names live on the enrolment only."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, text
from sqlalchemy.sql.schema import Identity

from app.core.db import metadata
from app.core.tables import changed, changed_by, day, ident, kept, texts, uid, when, whole, word
from app.core.tables import text as words
from app.rules.words import NC_YEARS, EnrolmentKind, EnrolmentState, FieldGroup

persons = Table(
    "persons",
    metadata,
    ident(),
    Column("no", Integer, Identity(always=True), unique=True),
    Column("upn_hash", LargeBinary, nullable=True, unique=True),
    Column("identity_protected", Boolean, nullable=False, server_default="false"),
    when("created_at", now=True),
)
"""Reached through SECURITY DEFINER functions only: row security shows no caller a person."""

enrolments = Table(
    "enrolments",
    metadata,
    ident(),
    uid("school_id", "organisations.id"),
    uid("person_id", "persons.id"),
    whole("person_no"),
    word("kind", EnrolmentKind, default="main"),
    word("state", EnrolmentState, default="active"),
    day("starts_on"),
    day("ends_on", null=True),
    Column("upn_sealed", LargeBinary, nullable=True),
    Column("upn_hash", LargeBinary, nullable=True),
    Column("former_upn_hash", LargeBinary, nullable=True),
    words("given_name", longest=100),
    words("family_name", longest=100),
    words("known_as", null=True, longest=100),
    day("date_of_birth"),
    Column("identity_protected", Boolean, nullable=False, server_default="false"),
    words("access_needs", null=True, longest=2000),
    *kept(),
    changed(),
    changed_by("enrolments", "school_id"),
    Index("ix_enrolments_school_id", "school_id", "id"),
    Index("ix_enrolments_person_id", "person_id"),
    Index(
        "ix_enrolments_ending",
        "ends_on",
        postgresql_where=text("ends_on IS NOT NULL AND state <> 'left'"),
    ),
    Index("ix_enrolments_claimed", "id", postgresql_where=text("state = 'claimed'")),
    Index("ix_enrolments_second", "person_id", postgresql_where=text("kind <> 'main'")),
    Index(
        "uq_enrolments_school_upn",
        "school_id",
        "upn_hash",
        unique=True,
        postgresql_where=text("upn_hash IS NOT NULL"),
    ),
)

pupil_refs = Table(
    "pupil_refs",
    metadata,
    uid("school_id", "organisations.id"),
    uid("org_id", "organisations.id"),
    words("external_ref", longest=200),
    uid("enrolment_id", "enrolments.id"),
    PrimaryKeyConstraint("school_id", "org_id", "external_ref"),
    Index("ix_pupil_refs_enrolment_id", "enrolment_id"),
)
"""Each organisation's own reference to a pupil; only that organisation ever sees it."""

nc_years = Table(
    "nc_years",
    metadata,
    uid("enrolment_id", "enrolments.id"),
    whole("academic_year"),
    uid("school_id", "organisations.id"),
    word("nc_year", NC_YEARS),
    when("recorded_at", now=True),
    PrimaryKeyConstraint("enrolment_id", "academic_year"),
    Index("ix_nc_years_school_id", "school_id", "academic_year", "nc_year"),
)
"""The NC year exactly as the MIS sent it, by academic year (2026 is 2026/27). Never incremented by us."""

characteristics = Table(
    "characteristics",
    metadata,
    ident(),
    uid("school_id", "organisations.id"),
    uid("enrolment_id", "enrolments.id"),
    word("field_group", FieldGroup),
    words("value", longest=40),
    day("valid_from"),
    day("valid_to", null=True),
    when("recorded_at", now=True),
    when("superseded_at", null=True),
    Index("ix_characteristics_enrolment_id", "enrolment_id", "field_group", "valid_from"),
    Index("ix_characteristics_school_id", "school_id"),
    Index("ix_characteristics_valid_from", "valid_from", postgresql_where=text("superseded_at IS NULL")),
)
"""Dated twice: from when it was true, and from when we knew. Reports use the value of the date of the experience."""

identity_corrections = Table(
    "identity_corrections",
    metadata,
    ident(),
    uid("school_id", "organisations.id"),
    uid("enrolment_id"),
    uid("org_id", "organisations.id"),
    uid("client_id"),
    texts("fields"),
    Column("has_encounters", Boolean, nullable=False),
    when("corrected_at"),
    when("recorded_at", now=True),
    Index("ix_identity_corrections_school_id", "school_id", "id"),
)
"""Append-only: which of number, names and date of birth were changed against what contradicted them, and by whom."""

pupils_leaving = Table(
    "pupils_leaving",
    metadata,
    uid("enrolment_id", "enrolments.id"),
    uid("school_id", "organisations.id"),
    when("noted_at", now=True),
    PrimaryKeyConstraint("enrolment_id"),
)
"""Enrolments that were given a last day, written by a trigger, until the worker has looked at their bookings."""
