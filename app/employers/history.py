"""Cover, approvals and reliance as they stood in the past: the bulk door for history. Nothing is announced."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from app.core.db import Writer
from app.core.ids import new_id
from app.employers import sql

Given = Mapping[str, Any]


async def cover(tx: Writer, covers: Iterable[Given]) -> int:
    """Add covers with the day since when each holds (`employer_id`, `kind`, `liability`, `starts_on`, ...)."""
    return await sql.add_many(tx, "covers", [{"id": new_id(), **one} for one in covers])


async def approve(tx: Writer, approvals: Iterable[Given]) -> int:
    """Add approvals with the day on which each was given (`approver_id`, `employer_id`, `site_id`, `kind`, ...)."""
    return await sql.add_many(tx, "approvals", [{"id": new_id(), **one} for one in approvals])


async def rely(tx: Writer, pairs: Iterable[tuple[UUID, UUID]]) -> int:
    """Let schools accept the approvals of others: pairs of (school, approver)."""
    rows = [{"school_id": school, "approver_id": approver} for school, approver in pairs]
    return await sql.add_many(tx, "approval_acceptances", rows)


def policy(insurer: str, number: str, pounds: int, since: date, until: date) -> Given:
    """What a cover of the kind `policy` is made of."""
    return {
        "kind": "policy", "insurer": insurer, "policy_number": number, "limit_pence": pounds * 100, "starts_on": since,
        "expires_on": until, "attested_on": None, "attested_by": None,
    }  # fmt: skip


def exempt(kind: str, since: date, attested_by: str) -> Given:
    """What the dated attestation of an exempt body is made of."""
    return {
        "kind": kind, "insurer": None, "policy_number": None, "limit_pence": None, "starts_on": since,
        "expires_on": None, "attested_on": since, "attested_by": attested_by,
    }  # fmt: skip
