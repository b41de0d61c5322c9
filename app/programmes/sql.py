"""The statements of the room: programmes and what hangs on them. The owner writes; an enrolled school reads its part."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Table,
    and_,
    any_,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.programmes.tables import (
    allocations,
    costs,
    programme_changes,
    programme_schools,
    programmes,
    strands,
    targets,
)

PARTS: Mapping[str, Table] = {
    "strands": strands,
    "schools": programme_schools,
    "targets": targets,
    "allocations": allocations,
    "costs": costs,
}
_PG = PG_UUID(as_uuid=True)
_IDS = ARRAY(_PG)
_KEPT = frozenset({"id", "programme_id", "owner_id", "school_id", "version", "created_at", "updated_at"})
"""What is never written by a change of a part, or is written by the statement itself."""

_HOLD = text(
    "SELECT id, owner_id, state, starts_on, ends_on, version FROM app.hold_programme(:programme)"
).bindparams(bindparam("programme", type_=_PG))
_NAMED = text("SELECT id, urn, member FROM app.schools_named(:ids, :urns)").bindparams(
    bindparam("ids", type_=_IDS)
)
_REACHED = text(
    "SELECT x.strand_id, r.schools, r.young_people, r.minutes"
    "  FROM unnest(:strands) AS x (strand_id), LATERAL app.programme_reached(:programme, x.strand_id) r"
).bindparams(bindparam("strands", type_=_IDS), bindparam("programme", type_=_PG))
_BOOKINGS = text(
    "SELECT booking_id, school_id, strand_id FROM app.bookings_of_programme(:programme, :ids)"
).bindparams(bindparam("programme", type_=_PG), bindparam("ids", type_=_IDS))
_ANSWER = text("SELECT * FROM app.answer_invitation(:enrolled, :accepts)").bindparams(
    bindparam("enrolled", type_=_PG), bindparam("accepts", type_=Boolean)
)
_LEAVE = text("SELECT * FROM app.leave_programme(:enrolled, :on_date)").bindparams(
    bindparam("enrolled", type_=_PG), bindparam("on_date", type_=Date)
)


def _stands(table: Table) -> ColumnElement[bool]:
    """What has not ended."""
    return table.c.removed_at.is_(None) if "removed_at" in table.c else table.c.state != "left"


async def one(tx: Door, programme_id: UUID) -> Row | None:
    """One programme that the caller may see."""
    return await tx.one_or_none(select(programmes).where(programmes.c.id == programme_id))


async def lock(tx: Writer, programme_id: UUID) -> Row | None:
    """One programme of the caller's own, locked."""
    stmt = select(programmes).where(
        programmes.c.id == programme_id, programmes.c.owner_id == tx.caller.org_id
    )
    return await tx.one_or_none(stmt.with_for_update())


async def hold(tx: Writer, programme_id: UUID) -> Row | None:
    """One programme, locked, that the caller runs or takes part in; without its money."""
    return await tx.one_or_none(_HOLD, {"programme": programme_id})


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


async def allocated(tx: Door, programme_id: UUID) -> int:
    """What has been set aside for schools, in pence."""
    mine = and_(allocations.c.programme_id == programme_id, _stands(allocations))
    return int(await tx.value(select(func.coalesce(func.sum(allocations.c.amount_pence), 0)).where(mine)))


# --- parts ------------------------------------------------------------------------------------------------------


async def parts(
    tx: Door,
    part: str,
    programme_id: UUID,
    after: UUID | None,
    limit: int,
    only: Mapping[str, Any] | None = None,
) -> Sequence[Row]:
    """A programme's `part` (a key of PARTS) in the order of id; what was removed is in the history alone.

    Row security leaves a school its own rows. Schools that left are among them, unless `only` asks for another state.
    """
    table = PARTS[part]
    stmt = select(table).where(table.c.programme_id == programme_id).order_by(table.c.id).limit(limit + 1)
    if "removed_at" in table.c:
        stmt = stmt.where(_stands(table))
    if after is not None:
        stmt = stmt.where(table.c.id > after)
    for name, value in (only or {}).items():
        stmt = stmt.where(table.c[name] == value)
    return await tx.rows(stmt)


async def part(tx: Door, name: str, programme_id: UUID, part_id: UUID) -> Row | None:
    """One row of a part that has not been removed."""
    table = PARTS[name]
    stmt = select(table).where(table.c.id == part_id, table.c.programme_id == programme_id)
    return await tx.one_or_none(stmt.where(_stands(table)) if "removed_at" in table.c else stmt)


async def standing(tx: Door, part: str, programme_id: UUID) -> Sequence[Row]:
    """Every row of a part that has not ended, in the order of id."""
    table = PARTS[part]
    stmt = select(table).where(table.c.programme_id == programme_id, _stands(table)).order_by(table.c.id)
    return await tx.rows(stmt)


async def ever_enrolled(tx: Door, programme_id: UUID) -> Sequence[Row]:
    """The schools that take part or once did, but not who is only invited: a cost may come after a school has left."""
    table = programme_schools
    mine = (table.c.programme_id == programme_id) & (
        (table.c.state == "enrolled") | ((table.c.state == "left") & table.c.joined_on.is_not(None))
    )
    return await tx.rows(select(table.c.school_id).where(mine))


async def lines_like(tx: Door, programme_id: UUID, ids: Sequence[UUID], refs: Sequence[str]) -> Sequence[Row]:
    """The lines of costs that stand, by id or by reference."""
    named = (costs.c.id == any_(cast(bindparam("ids"), _IDS))) | (
        costs.c.external_ref == any_(cast(bindparam("refs"), ARRAY(costs.c.external_ref.type)))
    )
    stmt = select(costs).where(costs.c.programme_id == programme_id, _stands(costs), named)
    return await tx.rows(stmt, {"ids": list(ids), "refs": list(refs)})


async def references_taken(tx: Door, programme_id: UUID, refs: Sequence[str]) -> Sequence[str]:
    """Those of these references of costs that are taken by lines which the caller does not see."""
    asked = cast(bindparam("refs"), ARRAY(costs.c.external_ref.type))
    found = await tx.rows(
        select(func.app.cost_references_taken(programme_id, asked).label("taken")), {"refs": list(refs)}
    )
    return [row["taken"] for row in found]


async def lines_elsewhere(
    tx: Door, programme_id: UUID, booking_id: UUID, strand_id: UUID | None
) -> Sequence[Row]:
    """The lines of costs of a booking that stand and are of another strand."""
    mine = (costs.c.programme_id == programme_id) & (costs.c.booking_id == booking_id)
    other = costs.c.strand_id.is_distinct_from(strand_id)
    return await tx.rows(select(costs).where(mine, _stands(costs), other).order_by(costs.c.id))


async def strand_paid_for(tx: Door, strand_id: UUID) -> bool:
    """Whether lines of costs that stand are of this strand."""
    return bool(
        await tx.value(select(select(1).where(costs.c.strand_id == strand_id, _stands(costs)).exists()))
    )


async def used(tx: Door, programme_id: UUID) -> dict[UUID, int]:
    """What the programme itself has committed and spent, in pence by school."""
    stmt = (
        select(costs.c.school_id, func.sum(costs.c.amount_pence).label("pence"))
        .where(costs.c.programme_id == programme_id, costs.c.paid_by == "programme", _stands(costs))
        .group_by(costs.c.school_id)
    )
    return {row["school_id"]: int(row["pence"]) for row in await tx.rows(stmt)}


async def add_part(tx: Writer, part: str, row: Mapping[str, Any]) -> Row:
    """Insert one row of a `part`."""
    table = PARTS[part]
    return await tx.one_or_none(insert(table).values(**row).returning(table)) or {}


async def add_costs(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> int:
    """Copy lines of costs; all have the members of the first."""
    return await tx.copy_rows(costs, rows)


async def add_parts(tx: Writer, part: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of a `part`, all with the same columns."""
    if rows:
        await tx.run(insert(PARTS[part]), [dict(row) for row in rows])


async def change_part(tx: Writer, part: str, part_id: UUID, changes: Mapping[str, Any]) -> Row:
    """Change one row of a part of a locked programme."""
    table = PARTS[part]
    stmt = (
        update(table)
        .where(table.c.id == part_id)
        .values(**changes, version=table.c.version + 1, updated_at=func.now())
        .returning(table)
    )
    return await tx.one_or_none(stmt) or {}


async def change_parts(tx: Writer, part: str, rows: Sequence[Row]) -> None:
    """Write rows of a part as they are now, all of them in one statement that is run for each."""
    if not rows:
        return
    table = PARTS[part]
    names = [column.name for column in table.columns if column.name not in _KEPT]
    stmt = (
        update(table)
        .where(table.c.id == bindparam("row_id"))
        .values(
            **{name: bindparam(f"new_{name}") for name in names},
            version=table.c.version + 1,
            updated_at=func.now(),
        )
    )
    await tx.run(
        stmt, [{"row_id": row["id"], **{f"new_{name}": row[name] for name in names}} for row in rows]
    )


async def remove_parts(tx: Writer, part: str, ids: Iterable[UUID]) -> None:
    """End rows of a part: they are kept, with when."""
    table = PARTS[part]
    stmt = update(table).where(table.c.id == any_(cast(bindparam("ids"), _IDS)))
    changes = {"removed_at": func.now(), "version": table.c.version + 1, "updated_at": func.now()}
    found = list(ids)
    if found:
        await tx.run(stmt.values(**changes), {"ids": found})


# --- what is asked of other rooms' tables, past row security ----------------------------------------------------------


async def schools_named(tx: Door, ids: Iterable[UUID], urns: Iterable[str] = ()) -> Sequence[Row]:
    """Schools by id or URN, whoever's they are: `id`, `urn`, and whether each is the caller's `member` today."""
    return await tx.rows(_NAMED, {"ids": sorted(set(ids)), "urns": sorted(set(urns))})


async def reached(tx: Door, programme_id: UUID, strand_ids: Iterable[UUID | None]) -> dict[UUID | None, Row]:
    """What has been reached, exact, by strand (None: the programme as a whole). The owner's only."""
    rows = await tx.rows(_REACHED, {"programme": programme_id, "strands": list(set(strand_ids))})
    return {row["strand_id"]: row for row in rows}


async def strand_booked(tx: Door, strand_id: UUID) -> bool:
    """Whether bookings that stand use this strand."""
    return bool(await tx.value(select(func.app.strand_booked(cast(strand_id, _PG)))))


async def bookings_of(tx: Door, programme_id: UUID, ids: Iterable[UUID]) -> dict[UUID, Row]:
    """Which of these bookings are of the programme: their school and strand."""
    rows = await tx.rows(_BOOKINGS, {"programme": programme_id, "ids": sorted(set(ids))})
    return {row["booking_id"]: row for row in rows}


async def answer(tx: Writer, enrolled_id: UUID, *, accepts: bool) -> Row | None:
    """The school's answer to an invitation; None if it is not invited (any more)."""
    return await tx.one_or_none(_ANSWER, {"enrolled": enrolled_id, "accepts": accepts})


async def leave(tx: Writer, enrolled_id: UUID, on: date) -> Row | None:
    """The school leaves by itself; None if it is not enrolled."""
    return await tx.one_or_none(_LEAVE, {"enrolled": enrolled_id, "on_date": on})


# --- money and history ------------------------------------------------------------------------------------------------


async def money(tx: Door, programme_id: UUID, today: date) -> Sequence[Row]:
    """Sums in pence by school, payer and stage, and of days up to today; what is set aside has the stage `allocation`
    and no payer.
    """
    nobody: ColumnElement[Any] = cast(None, costs.c.paid_by.type)
    spent = (
        select(
            costs.c.school_id,
            costs.c.paid_by,
            costs.c.stage,
            func.sum(costs.c.amount_pence).label("pence"),
            func.coalesce(func.sum(costs.c.amount_pence).filter(costs.c.on_date <= today), 0).label(
                "to_date"
            ),
        )
        .where(costs.c.programme_id == programme_id, _stands(costs))
        .group_by(costs.c.school_id, costs.c.paid_by, costs.c.stage)
    )
    aside = select(
        allocations.c.school_id,
        nobody.label("paid_by"),
        cast("allocation", costs.c.stage.type).label("stage"),
        cast(allocations.c.amount_pence, func.sum(costs.c.amount_pence).type).label("pence"),
        cast(allocations.c.amount_pence, func.sum(costs.c.amount_pence).type).label("to_date"),
    ).where(allocations.c.programme_id == programme_id, _stands(allocations))
    return await tx.rows(spent.union_all(aside))


async def changes(
    tx: Door, programme_id: UUID, after: UUID | None, limit: int, only: Mapping[str, Any]
) -> Sequence[Row]:
    """The history of a programme, oldest first, one row more than `limit` if there is a next page."""
    table = programme_changes
    stmt = select(table).where(table.c.programme_id == programme_id).order_by(table.c.id).limit(limit + 1)
    if after is not None:
        stmt = stmt.where(table.c.id > after)
    for name, value in only.items():
        stmt = stmt.where(table.c[name] == value)
    return await tx.rows(stmt)
