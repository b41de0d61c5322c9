"""The statements of the disclosure list: append and page."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import desc, insert, select

from app.core.db import Door, Row, Writer
from app.disclosures.tables import disclosures as table


async def add(tx: Writer, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows: id, school_id, enrolment_id, to_org_id, client_id, fields, basis, basis_id, route."""
    if rows:
        await tx.run(insert(table), rows)


async def page(tx: Door, school_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Row]:
    """A school's disclosures, newest first, one more row than `limit` if there is a next page."""
    stmt = select(table).where(table.c.school_id == school_id)
    if before:
        stmt = stmt.where(table.c.id < before)
    return await tx.rows(stmt.order_by(desc(table.c.id)).limit(limit + 1))
