"""Organisations of every kind, who belongs to whom and since when, and what a controller allows."""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, Table, text
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.sql.schema import Identity

from app.core.db import metadata
from app.core.tables import changed, changed_by, day, ident, kept, texts, uid, when, whole, word
from app.core.tables import text as words
from app.rules.words import FieldGroup, OrganisationKind

organisations = Table(
    "organisations",
    metadata,
    ident(),
    Column("no", Integer, Identity(always=True), unique=True),
    word("kind", OrganisationKind),
    words("name", longest=200),
    words("urn", null=True),
    words("laestab", null=True),
    words("companies_house", null=True),
    words("region", null=True),
    word("status", ("active", "closed"), default="active"),
    uid("predecessor_id", "organisations.id", null=True),
    uid("registered_by", null=True),
    *kept(),
    changed(),
    changed_by("organisations"),
    Index(
        "uq_organisations_urn",
        "urn",
        unique=True,
        postgresql_where=text("urn IS NOT NULL AND status = 'active'"),
    ),
    Index(
        "uq_organisations_companies_house",
        "companies_house",
        unique=True,
        postgresql_where=text("companies_house IS NOT NULL AND status = 'active'"),
    ),
    CheckConstraint("kind = 'school' OR (urn IS NULL AND laestab IS NULL)", name="urn_is_a_schools"),
)

memberships = Table(
    "memberships",
    metadata,
    ident(),
    uid("member_id", "organisations.id"),
    whole("member_no"),
    uid("parent_id", "organisations.id"),
    word("kind", ("hub", "trust", "authority", "national")),
    day("starts_on"),
    day("ends_on", null=True),
    *kept(),
    changed(),
    changed_by("memberships"),
    Column("in_force", Boolean, nullable=False, server_default="false"),
    Index("ix_memberships_beginning", "ends_on", postgresql_where=text("NOT in_force")),
    Index("ix_memberships_ending", "ends_on", postgresql_where=text("in_force AND ends_on IS NOT NULL")),
    CheckConstraint("ends_on IS NULL OR ends_on > starts_on", name="in_order"),
    *(
        ExcludeConstraint(
            (text("int4range(member_no, member_no, '[]')"), "&&"),
            (text("daterange(starts_on, ends_on)"), "&&"),
            where=text(f"kind = '{kind}'"),
            using="gist",
            name=f"ex_memberships_one_{kind}",
        )
        for kind in ("hub", "trust", "authority")
    ),
    Index("ix_memberships_parent_id", "parent_id", "kind", "member_id"),
    Index("ix_memberships_member_id", "member_id", "kind"),
)
"""A school has one hub, and at most one trust, on any date; the two are independent of each other."""

agreements = Table(
    "agreements",
    metadata,
    ident(),
    uid("controller_id", "organisations.id"),
    words("agreement_version", longest=40),
    day("signed_on"),
    words("signatory_role", longest=120),
    words("lawful_basis", longest=120),
    texts("processors"),
    Column("except_school_ids", ARRAY(organisations.c.id.type), nullable=False, server_default="{}"),
    when("ended_at", null=True),
    uid("recorded_by"),
    *kept(),
    changed(),
    changed_by("agreements"),
    Index("ix_agreements_controller_id", "controller_id"),
)
"""A controller's (a trust's, or a school's own) agreement: without one no pupil row is accepted outside development."""

grants = Table(
    "grants",
    metadata,
    ident(),
    uid("grantor_id", "organisations.id"),
    uid("grantee_id", "organisations.id"),
    uid("school_id", "organisations.id", null=True),
    Column("except_school_ids", ARRAY(organisations.c.id.type), nullable=False, server_default="{}"),
    texts("field_groups"),
    Column("write", Boolean, nullable=False, server_default="true"),
    day("starts_on"),
    when("revoked_at", null=True),
    uid("revoked_by", null=True),
    uid("recorded_by"),
    *kept(),
    changed(),
    changed_by("grants"),
    CheckConstraint(
        "field_groups <@ ARRAY[" + ", ".join(f"'{one.value}'" for one in FieldGroup) + "]::text[]",
        name="field_groups_known",
    ),
    Index("ix_grants_grantee_id", "grantee_id", "grantor_id"),
    Index("ix_grants_grantor_id", "grantor_id"),
)
"""What a controller lets another organisation see and send. `school_id` null: all its academies but the carved out."""
