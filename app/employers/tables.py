"""What a school must know of an employer before a child goes there."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from app.core.db import metadata
from app.core.tables import big, changed, changed_by, day, ident, kept, texts, uid, when, word
from app.core.tables import text as words
from app.rules.words import (
    SIC_SECTIONS,
    ActivityBand,
    ApprovalState,
    CoverKind,
    ExperienceKind,
    Liability,
    SizeBand,
)

employers = Table(
    "employers",
    metadata,
    uid("id", "organisations.id", primary_key=True),
    word("size_band", SizeBand),
    word("sic_section", SIC_SECTIONS, null=True),
    texts("sectors", null=True),
    words("about", null=True, longest=2000),
    *kept(),
)

sites = Table(
    "sites",
    metadata,
    ident(),
    uid("employer_id", "employers.id"),
    words("external_ref", null=True, longest=200),
    words("name", longest=200),
    words("address", longest=400),
    words("town", longest=100),
    words("postcode", longest=10),
    words("access", null=True, longest=2000),
    words("travel", null=True, longest=2000),
    word("state", ("open", "closed"), default="open"),
    *kept(),
    changed(),
    changed_by("sites", "employer_id"),
    changed_by("sites"),
    UniqueConstraint("employer_id", "external_ref", name="uq_sites_external_ref"),
    Index("ix_sites_employer_id", "employer_id", "id"),
)

contacts = Table(
    "contacts",
    metadata,
    ident(),
    uid("employer_id", "employers.id"),
    uid("site_id", "sites.id", null=True),
    words("name", longest=200),
    words("role", longest=120),
    words("email", null=True, longest=254),
    words("phone", null=True, longest=40),
    Column("supervises", Boolean, nullable=False, server_default="false"),
    *kept(),
    changed(),
    changed_by("contacts", "employer_id"),
    changed_by("contacts"),
    Index("ix_contacts_employer_id", "employer_id", "id"),
)

covers = Table(
    "covers",
    metadata,
    ident(),
    uid("employer_id", "employers.id"),
    uid("site_id", "sites.id", null=True),
    words("external_ref", null=True, longest=200),
    word("kind", CoverKind),
    word("liability", Liability),
    words("insurer", null=True, longest=200),
    words("policy_number", null=True, longest=100),
    big("limit_pence", null=True, least=0),
    day("starts_on"),
    day("expires_on", null=True),
    day("attested_on", null=True),
    words("attested_by", null=True, longest=200),
    when("withdrawn_at", null=True),
    *kept(),
    changed(),
    changed_by("covers", "employer_id"),
    changed_by("covers"),
    Column("in_force", Boolean, nullable=False, server_default="false"),
    Index(
        "ix_covers_beginning", "expires_on", postgresql_where=text("NOT in_force AND withdrawn_at IS NULL")
    ),
    Index("ix_covers_ending", "expires_on", postgresql_where=text("in_force AND expires_on IS NOT NULL")),
    CheckConstraint(
        "kind <> 'policy' OR (insurer IS NOT NULL AND policy_number IS NOT NULL AND limit_pence IS NOT NULL "
        "AND expires_on IS NOT NULL)",
        name="policy_is_whole",
    ),
    UniqueConstraint("employer_id", "external_ref", name="uq_covers_external_ref"),
    Index("ix_covers_employer_id", "employer_id", "id"),
    Index("ix_covers_withdrawn", "employer_id", postgresql_where=text("withdrawn_at IS NOT NULL")),
)

approvals = Table(
    "approvals",
    metadata,
    ident(),
    uid("approver_id", "organisations.id"),
    uid("employer_id", "employers.id"),
    uid("site_id", "sites.id"),
    word("kind", ExperienceKind),
    word("activity_band", ActivityBand),
    word("state", ApprovalState, default="approved"),
    day("approved_on"),
    day("expires_on", null=True),
    words("basis", null=True, longest=1000),
    when("withdrawn_at", null=True),
    *kept(),
    changed(),
    changed_by("approvals", "approver_id"),
    changed_by("approvals"),
    Column("in_force", Boolean, nullable=False, server_default="false"),
    Index("ix_approvals_ending", "expires_on", postgresql_where=text("in_force")),
    Index("ix_approvals_site_id", "site_id", "kind", "activity_band"),
    Index("ix_approvals_approver_id", "approver_id", "id"),
    Index("ix_approvals_employer_id", "employer_id", "id"),
)

approval_acceptances = Table(
    "approval_acceptances",
    metadata,
    uid("school_id", "organisations.id"),
    uid("approver_id", "organisations.id"),
    when("accepted_at", now=True),
    PrimaryKeyConstraint("school_id", "approver_id"),
)
"""Each school chooses whose approvals it accepts; its own always count."""

suspensions = Table(
    "suspensions",
    metadata,
    ident(),
    uid("employer_id", "employers.id"),
    uid("suspended_by", "organisations.id"),
    when("suspended_at"),
    when("lifted_at", null=True),
    words("private_note", null=True, longest=2000),
    *kept(),
    changed(),
    changed_by("suspensions", "suspended_by"),
    Index(
        "uq_suspensions_open",
        "employer_id",
        "suspended_by",
        unique=True,
        postgresql_where=text("lifted_at IS NULL"),
    ),
)
"""The note never leaves the organisation that suspended."""

site_bars = Table(
    "site_bars",
    metadata,
    uid("school_id", "organisations.id"),
    uid("enrolment_id", "enrolments.id"),
    uid("site_id", "sites.id"),
    when("barred_at", now=True),
    PrimaryKeyConstraint("enrolment_id", "site_id"),
    Index("ix_site_bars_school_id", "school_id"),
)
"""A school bars a pupil from a site; no reason is stored."""
