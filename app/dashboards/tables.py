"""What was known and when: versions of what decides whose figures count, kept by triggers and read by functions alone."""

from sqlalchemy import BigInteger, Column, Date, Index, Table, text
from sqlalchemy.sql.schema import Identity

from app.core.db import metadata
from app.core.tables import text as words
from app.core.tables import uid, when, whole

enrolments_known = Table(
    "enrolments_known",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("enrolment_id"),
    uid("school_id"),
    uid("person_id"),
    words("kind"),
    words("state"),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=True),
    Column("date_of_birth", Date, nullable=False),
    when("known_from"),
    when("known_to", null=True),
    Index("ix_enrolments_known_enrolment_id", "enrolment_id"),
    Index("ix_enrolments_known_school_id", "school_id"),
    Index("ix_enrolments_known_second", "person_id", postgresql_where=text("kind <> 'main'")),
)

nc_years_known = Table(
    "nc_years_known",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("enrolment_id"),
    whole("academic_year"),
    uid("school_id"),
    words("nc_year"),
    when("known_from"),
    when("known_to", null=True),
    Index("ix_nc_years_known_enrolment_id", "enrolment_id", "academic_year"),
    Index("ix_nc_years_known_school_id", "school_id", "academic_year"),
)

memberships_known = Table(
    "memberships_known",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("membership_id"),
    uid("member_id"),
    uid("parent_id"),
    words("kind"),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=True),
    when("known_from"),
    when("known_to", null=True),
    Index("ix_memberships_known_membership_id", "membership_id"),
    Index("ix_memberships_known_member_id", "member_id", "kind"),
    Index("ix_memberships_known_parent_id", "parent_id", "kind"),
)
