"""What was known and when, and the figures kept per school: written by triggers, read and kept by functions alone."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.schema import Identity

from app.core.db import metadata
from app.core.tables import big, uid, when, whole, word
from app.core.tables import text as words

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

employers_known = Table(
    "employers_known",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("employer_id"),
    words("size_band"),
    Column("sectors", ARRAY(Text), nullable=False),
    when("known_from"),
    when("known_to", null=True),
    Index("ix_employers_known_employer_id", "employer_id"),
)

offers_known = Table(
    "offers_known",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("offer_id"),
    uid("employer_id"),
    words("sector", null=True),
    when("known_from"),
    when("known_to", null=True),
    Index("ix_offers_known_offer_id", "offer_id"),
)

kept_cells = Table(
    "kept_cells",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("school_id"),
    whole("period"),
    word("cut", ("cell", "trait", "kind")),
    words("nc_year", null=True),
    words("settled_year", null=True),
    words("field_group", null=True),
    words("value", null=True),
    words("kind", null=True),
    whole("pupils", null=True),
    whole("reached"),
    big("minutes"),
    big("days"),
    whole("at_activity", null=True),
    whole("at_placement", null=True),
    whole("at_week", null=True),
    whole("at_total", null=True),
    whole("bm5"),
    whole("bm6"),
    Index("ix_kept_cells_school_id", "school_id", "period", "cut"),
)
"""Coverage of today by school: good as long as nothing has moved since."""

kept_schools = Table(
    "kept_schools",
    metadata,
    uid("school_id", primary_key=True),
    Column("from_day", Date, nullable=False),
    Column("until_day", Date, nullable=False),
    whole("academic_year"),
    Column("marks", ARRAY(Integer), nullable=False),
    when("kept_at"),
)

moved_schools = Table(
    "moved_schools",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    uid("school_id"),
    Index("ix_moved_schools_school_id", "school_id", "id"),
)
"""Marks: something that the figures of a school follow from has changed since it was kept."""
