"""The statements of the room: programmes and what hangs on them. The owner writes; an enrolled school reads its part."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.programmes.tables import allocations, costs, programme_schools, programmes, strands, targets

PARTS: Mapping[str, Table] = {
    "strands": strands,
    "schools": programme_schools,
    "targets": targets,
    "allocations": allocations,
}
_PG = PG_UUID(as_uuid=True)

# Whether a school belongs to the owner (or to a hub of an authority's), and whether it takes part already.
_SCHOOL = text(
    """
    SELECT (SELECT o.kind FROM organisations o WHERE o.id = :school) AS kind,
           EXISTS (SELECT 1 FROM programme_schools s WHERE s.programme_id = :programme AND s.school_id = :school
                      AND s.strand_id IS NOT DISTINCT FROM :strand AND s.state <> 'left') AS enrolled
    """
).bindparams(
    bindparam("school", type_=_PG), bindparam("programme", type_=_PG), bindparam("strand", type_=_PG)
)


async def one(tx: Door, programme_id: UUID) -> Row | None:
    """One programme that the caller may see."""
    return await tx.one_or_none(select(programmes).where(programmes.c.id == programme_id))


async def lock(tx: Writer, programme_id: UUID) -> Row | None:
    """One programme of the caller's own, locked."""
    stmt = select(programmes).where(
        programmes.c.id == programme_id, programmes.c.owner_id == tx.caller.org_id
    )
    return await tx.one_or_none(stmt.with_for_update())


async def page(tx: Door, after: UUID | None, limit: int) -> Sequence[Row]:
    """Programmes in the order of id, one more than `limit` if there is a next page."""
    stmt = select(programmes).order_by(programmes.c.id).limit(limit + 1)
    return await tx.rows(stmt.where(programmes.c.id > after) if after else stmt)


async def add(tx: Writer, row: Mapping[str, Any]) -> Row:
    """Insert a programme."""
    return await tx.one_or_none(insert(programmes).values(**row).returning(programmes)) or {}


async def change(tx: Writer, programme_id: UUID, changes: Mapping[str, Any]) -> Row:
    """Change a locked programme (with no changes: its version says that something on it did)."""
    stmt = (
        update(programmes)
        .where(programmes.c.id == programme_id)
        .values(**changes, version=programmes.c.version + 1, updated_at=func.now())
        .returning(programmes)
    )
    return await tx.one_or_none(stmt) or {}


async def parts(tx: Door, part: str, programme_id: UUID, after: UUID | None, limit: int) -> Sequence[Row]:
    """A programme's `part` (a key of PARTS) in the order of id. Row security leaves a school its own rows."""
    table = PARTS[part]
    stmt = select(table).where(table.c.programme_id == programme_id).order_by(table.c.id).limit(limit + 1)
    if after is not None:
        stmt = stmt.where(table.c.id > after)
    return await tx.rows(stmt)


async def add_part(tx: Writer, part: str, row: Mapping[str, Any]) -> Row:
    """Insert one row of a `part`."""
    table = PARTS[part]
    return await tx.one_or_none(insert(table).values(**row).returning(table)) or {}


async def add_costs(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> int:
    """Copy lines of costs; all have the members of the first."""
    return await tx.copy_rows(costs, rows)


async def strand_of(tx: Writer, programme_id: UUID, strand_id: UUID) -> Row | None:
    """A strand of this programme."""
    where = (
        strands.c.id == strand_id,
        strands.c.programme_id == programme_id,
        strands.c.removed_at.is_(None),
    )
    return await tx.one_or_none(select(strands).where(*where))


async def school_on(tx: Writer, programme_id: UUID, strand_id: UUID | None, school_id: UUID) -> Row:
    """`kind` of the organisation if the caller may see it, and `enrolled` if it takes part in this strand already."""
    params = {"programme": programme_id, "strand": strand_id, "school": school_id}
    return await tx.one_or_none(_SCHOOL, params) or {}
