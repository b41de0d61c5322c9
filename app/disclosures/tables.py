"""Append-only, one row per pupil, recipient and occasion."""

from sqlalchemy import Index, Table

from app.core.db import metadata
from app.core.tables import ident, texts, uid, when, word
from app.core.tables import text as words

disclosures = Table(
    "disclosures",
    metadata,
    ident(),
    uid("school_id", "organisations.id"),
    uid("enrolment_id"),
    uid("to_org_id", "organisations.id"),
    uid("client_id"),
    texts("fields"),
    word("basis", ("grant", "release")),
    uid("basis_id", null=True),
    words("route", longest=200),
    when("disclosed_at", now=True),
    Index("ix_disclosures_school_id", "school_id", "id"),
)
