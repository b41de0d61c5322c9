"""What dashboards read: aggregates through functions that count for the caller, and the lists around them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Uuid, and_, any_, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from app.core.db import Door, Row, Writer
from app.organisations.tables import memberships, organisations
from app.programmes.tables import programme_schools, programmes, strands

_IDS = ARRAY(Uuid(as_uuid=True))
_MOMENT = TIMESTAMP(timezone=True)

_BASIS = select(
    func.app.coverage_basis(bindparam("day"), cast(bindparam("known"), _MOMENT)).table_valued(
        "school_id",
        "hub_id",
        "name",
        "urn",
        "roll_complete_at",
        "last_sync_at",
        "field_groups",
        "attendance_overdue",
    )
)
_CELLS = select(
    func.app.coverage_cells(
        cast(bindparam("schools"), _IDS),
        bindparam("day"),
        bindparam("year"),
        bindparam("year_only"),
        cast(bindparam("known"), _MOMENT),
        bindparam("activity"),
        bindparam("placement"),
        bindparam("week"),
        bindparam("total"),
    ).table_valued(
        "school_id", "nc_year", "settled_year", "pupils", "reached", "minutes", "days",
        "at_activity", "at_placement", "at_week", "at_total", "bm5", "bm6",
    )
)  # fmt: skip
_KINDS = select(
    func.app.coverage_kinds(
        cast(bindparam("schools"), _IDS),
        bindparam("day"),
        bindparam("year"),
        bindparam("year_only"),
        cast(bindparam("known"), _MOMENT),
    ).table_valued("school_id", "kind", "reached", "minutes", "days", "bm5", "bm6")
)

_TO_KEEP = select(
    func.app.schools_to_keep(
        bindparam("day"), cast(bindparam("marks"), ARRAY(Integer)), bindparam("rest"), bindparam("most")
    ).label("school_id")
)
_KEEP = select(
    func.app.keep_cells(
        bindparam("school"),
        bindparam("day"),
        bindparam("year"),
        bindparam("activity"),
        bindparam("placement"),
        bindparam("week"),
        bindparam("total"),
    )
)


async def basis(tx: Door, day: date, known: datetime | None = None) -> Sequence[Row]:
    """Every school whose figures the caller may see on a day, by name, with its hub and what its data stand on.

    Memberships are those known at `known` (None: now); what a school's data stood on then is not kept, and null.
    """
    return await tx.rows(_BASIS, {"day": day, "known": known})


async def cells(
    tx: Door, schools: Sequence[UUID] | None, day: date, year: int, marks: Mapping[str, int], *, year_only: bool,
    known: datetime | None = None
) -> Sequence[Row]:  # fmt: skip
    """Counts by school and NC year; `schools` None is all that the caller may count. `marks` are in minutes."""
    asked = {"schools": schools, "day": day, "year": year, "year_only": year_only, "known": known, **marks}
    return await tx.rows(_CELLS, asked)


async def kinds(
    tx: Door, schools: Sequence[UUID] | None, day: date, year: int, *, year_only: bool,
    known: datetime | None = None
) -> Sequence[Row]:  # fmt: skip
    """Counts by school and kind of experience, of the same pupils."""
    asked = {"schools": schools, "day": day, "year": year, "year_only": year_only, "known": known}
    return await tx.rows(_KINDS, asked)


async def schools_to_keep(
    tx: Door, day: date, marks: Mapping[str, int], *, rest: int, most: int
) -> list[UUID]:
    """Schools whose kept figures are not (or no longer) those of a day, the longest waiting first, at most so many.

    None that was kept less than `rest` seconds ago. `marks` are in minutes.
    """
    asked = {"day": day, "marks": list(marks.values()), "rest": rest, "most": most}
    return [row["school_id"] for row in await tx.rows(_TO_KEEP, asked)]


async def keep(tx: Writer, school_id: UUID, day: date, year: int, marks: Mapping[str, int]) -> bool:
    """Keep a school's figures of a day; False if somebody else is at it. `marks` are in minutes."""
    asked = {"school": school_id, "day": day, "year": year, **marks}
    return bool(await tx.value(_KEEP, asked))


async def organisation(tx: Door, org_id: UUID, kind: str | None = None) -> Row | None:
    """One organisation that the caller may know of."""
    stmt = _orgs().where(organisations.c.id == org_id)
    return await tx.one_or_none(stmt.where(organisations.c.kind == kind) if kind else stmt)


async def school(tx: Door, day: date, *, school_id: UUID | None = None, urn: str | None = None) -> Row | None:
    """One school whose figures the caller may see, by id or URN."""
    named = organisations.c.id == school_id if school_id else organisations.c.urn == urn
    return await tx.one_or_none(_counted(day).where(named))


async def schools(
    tx: Door, day: date, *, limit: int, after: Sequence[Any] | None = None, hub_id: UUID | None = None,
    trust_id: UUID | None = None
) -> Sequence[Row]:  # fmt: skip
    """A page of the schools whose figures the caller may see, by name; each row carries `total`, their number."""
    counted = _schools_counted().subquery()
    within: ColumnElement[bool] = organisations.c.id == counted.c.school_id
    if hub_id:
        within = and_(within, counted.c.hub_id == hub_id)
    if trust_id:
        within = and_(
            within, organisations.c.id == any_(func.app.members_of(trust_id, "trust", bindparam("day")))
        )
    total = select(func.count()).select_from(organisations.join(counted, within)).scalar_subquery()
    stmt = (
        _orgs(total.label("total")).join(counted, within).order_by(organisations.c.name, organisations.c.id)
    )
    if after:
        stmt = stmt.where(_past(after))
    return await tx.rows(stmt.limit(limit), {"day": day})


async def parents(tx: Door, school_ids: Sequence[UUID], day: date) -> Sequence[Row]:
    """The hub and the trust of each school on a day, as far as the caller may know them."""
    stmt = (
        _orgs(memberships.c.member_id, memberships.c.kind.label("relation"))
        .join(memberships, memberships.c.parent_id == organisations.c.id)
        .where(memberships.c.member_id == any_(cast(bindparam("ids"), _IDS)), _current(day))
    )
    return await tx.rows(stmt, {"ids": list(school_ids)})


async def own_parents(tx: Door, kind: str, day: date) -> Sequence[Row]:
    """The hubs (or trusts) that the caller's own schools belong to on a day."""
    mine = memberships.c.member_id == any_(func.app.schools())
    of = select(memberships.c.parent_id).where(memberships.c.kind == kind, mine, _current(day))
    return await tx.rows(_orgs().where(organisations.c.id.in_(of)).limit(2))


async def programme_page(
    tx: Door, *, limit: int, after: Sequence[Any] | None = None, programme_id: UUID | None = None
) -> Sequence[Row]:
    """A page of the programmes that the caller runs or its schools have joined; each row carries `total`."""
    other = programmes.alias("other")
    total = select(func.count()).select_from(other).scalar_subquery().label("total")
    stmt = select(programmes, total).order_by(programmes.c.name, programmes.c.id).limit(limit)
    if programme_id:
        stmt = stmt.where(programmes.c.id == programme_id)
    if after:
        name, key = after
        stmt = stmt.where(
            or_(programmes.c.name > name, and_(programmes.c.name == name, programmes.c.id > UUID(key)))
        )
    return await tx.rows(stmt)


async def strands_of(tx: Door, programme_ids: Sequence[UUID]) -> Sequence[Row]:
    """The strands of these programmes, by code."""
    stmt = select(strands).where(
        strands.c.programme_id == any_(cast(bindparam("ids"), _IDS)), strands.c.removed_at.is_(None)
    )
    return await tx.rows(stmt.order_by(strands.c.code), {"ids": list(programme_ids)})


async def enrolled(tx: Door, programme_ids: Sequence[UUID]) -> Sequence[Row]:
    """The schools of these programmes that the caller may see, by name."""
    stmt = (
        select(
            programme_schools,
            organisations.c.name,
            organisations.c.urn,
            organisations.c.laestab,
            organisations.c.region,
            organisations.c.status,
        )
        .join(organisations, organisations.c.id == programme_schools.c.school_id)
        .where(programme_schools.c.programme_id == any_(cast(bindparam("ids"), _IDS)))
        .order_by(organisations.c.name, programme_schools.c.id)
    )
    return await tx.rows(stmt, {"ids": list(programme_ids)})


def _orgs(*more: ColumnElement[Any]) -> Select[Any]:
    o = organisations.c
    return select(o.id, o.kind, o.name, o.urn, o.laestab, o.region, o.status, *more)


def _schools_counted() -> Select[Any]:
    return select(func.app.schools_counted(bindparam("day")).table_valued("school_id", "hub_id"))


def _counted(day: date) -> Select[Any]:
    counted = select(func.app.schools_counted(day).table_valued("school_id", "hub_id")).subquery()
    return _orgs(counted.c.hub_id).join(counted, counted.c.school_id == organisations.c.id)


def _current(day: date) -> ColumnElement[bool]:
    return and_(
        memberships.c.starts_on <= day, or_(memberships.c.ends_on.is_(None), memberships.c.ends_on > day)
    )


def _past(after: Sequence[Any]) -> ColumnElement[bool]:
    name, key = after
    o = organisations.c
    return or_(o.name > name, and_(o.name == name, o.id > UUID(key)))
