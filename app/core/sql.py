"""The domain clock, partitions ahead, the schema's revision, Postgres's own clock, and pages of what changed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Interval,
    Select,
    Table,
    Text,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from app.core.clock import wall_now
from app.core.db import Door, Writer
from app.core.paging import Pull
from app.core.tables import change_marks, change_moments, clock

_DOOR = "app.move_clock(bigint)"
_REVISIONS = table("alembic_version", column("version_num", Text))


async def clock_offset(tx: Door) -> int:
    """Whole seconds by which domain time is ahead of wall time."""
    return int(await tx.value(select(clock.c.offset_seconds)) or 0)


async def clock_door_open(tx: Writer) -> bool:
    """Whether our role may move the clock: only where the owner granted it, which `tendays run` does in development."""
    return bool(await tx.value(select(func.has_function_privilege(_DOOR, "execute"))))


async def move_clock(tx: Writer, seconds: int) -> None:
    """Set the offset. The transaction's own `now` stays as it was; the next one reads the new time."""
    await tx.run(select(func.app.move_clock(cast(seconds, BigInteger))))


async def periods_ahead(tx: Door) -> int:
    """For how many whole months (or years) after the present one everything partitioned is ready. Asks for no caller."""
    return int(await tx.value(select(func.app.periods_ahead())) or 0)


async def revision(tx: Door) -> str | None:
    """The revision of the schema; None without a schema, `""` of one from before our role could read it."""
    found = func.to_regclass(literal("public.alembic_version", Text))
    readable = await tx.value(select(func.has_table_privilege(func.current_user(), found, "select")))
    if not readable:
        return None if readable is None else ""
    return str(await tx.value(select(_REVISIONS.c.version_num)) or "")


async def clock_ahead(tx: Door, clock: Callable[[], datetime] = wall_now) -> float:
    """Seconds by which this machine's clock is certainly ahead of Postgres's, negative if it is behind.

    The time that the question takes is nobody's fault: a moment between the two readings of ours is no difference.
    """
    before, told, after = clock(), await tx.value(select(func.clock_timestamp())), clock()
    nearest = min(max(told, before), after)
    return float((nearest - told).total_seconds())


# --- what changed -------------------------------------------------------------------------------

_OVERLAP: ColumnElement[timedelta] = literal_column("interval '5 minutes'", Interval)
_MARK = func.concat(change_marks.c.epoch, ".", change_marks.c.settled)


def pulled(stmt: Select[Any], table: Table, pull: Pull) -> Select[Any]:
    """The page of a list, with the `horizon` of the same snapshot in each row, and one row more if there is a next page.

    `stmt` selects at least `id` and `changed_seq` of `table`, with the conditions of the list. There is always a first
    row: on an empty page its `id` is null, so that the horizon is told in the snapshot in which nothing was found.
    """
    order: tuple[Any, ...] = (table.c.id,)
    if pull.by_change:
        order = (table.c.changed_seq, table.c.id)
        stmt = stmt.where(_after(table, pull))
    elif pull.key:
        stmt = stmt.where(table.c.id > literal(pull.key[0], table.c.id.type))
    page = stmt.order_by(*order).limit(pull.limit + 1).subquery("page")
    return (
        select(_MARK.label("horizon"), page)
        .select_from(change_marks.outerjoin(page, true()))
        .order_by(*(page.c[one.name] for one in order))
    )


def _after(table: Table, pull: Pull) -> ColumnElement[bool]:
    seq, ident = table.c.changed_seq, table.c.id
    if pull.key:
        return tuple_(seq, ident) > tuple_(
            literal(pull.key[0], BigInteger), literal(pull.key[1], table.c.id.type)
        )
    if pull.changed_since is not None:
        return seq > literal(pull.changed_since, BigInteger)
    moment = (
        select(change_moments.c.settled)
        .where(change_moments.c.at <= literal(pull.updated_after, TIMESTAMP(timezone=True)) - _OVERLAP)
        .order_by(change_moments.c.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return seq > func.coalesce(moment, -1)


async def settle_changes(tx: Writer) -> int | None:
    """Move the mark up to which every change is committed; None if another worker is at it. The first statement of `tx`."""
    settled: int | None = await tx.value(select(func.app.settle_changes()))
    return settled


# --- what becomes true by the date -----------------------------------------------------------------


async def due_by_date(tx: Door, what: str, after: UUID, most: int) -> list[UUID]:
    """Up to `most` ids after `after`, in order, of what is due: pupils, claims, memberships, covers, approvals."""
    found = select(func.app.due_by_date(what, after, most).label("id"))
    return [row["id"] for row in await tx.rows(found)]


async def turn_by_date(tx: Writer, what: str, identifier: UUID) -> dict[str, Any] | None:
    """Write one of them down; what there is to be told of it, None if it is not due any more."""
    row: dict[str, Any] | None = await tx.value(select(func.app.turn_by_date(what, identifier, type_=JSONB)))
    return row


async def number_characteristics_of_today(tx: Writer) -> int:
    """Count the characteristics that begin today as changes of their pupils; of how many pupils."""
    return int(await tx.value(select(func.app.number_characteristics_of_today())) or 0)
