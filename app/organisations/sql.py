"""The statements of the room: organisations, memberships, agreements, grants. Row security stands behind each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled
from app.organisations.tables import agreements, grants, memberships, organisations

TABLES: Mapping[str, Table] = {
    "organisation": organisations,
    "membership": memberships,
    "agreement": agreements,
    "grant": grants,
}
_ID = PG_UUID(as_uuid=True)

_PARTY = text("SELECT p.id, p.no, p.kind, p.agreed FROM app.party(:id, :urn) p").bindparams(
    bindparam("id", type_=_ID), bindparam("urn", type_=Text)
)
_STANDING = text(
    """
    SELECT app.org() AS org, app.kind() AS kind, app.schools() AS schools, app.today() AS today,
           app.trust_of(app.org(), app.today()) AS trust, p.kind AS party_kind
      FROM (SELECT 1) one LEFT JOIN app.party(:party, NULL) p ON true
    """
).bindparams(bindparam("party", type_=_ID))
_TODAY = select(func.app.today())


async def one(tx: Door, what: str, identifier: UUID) -> Row | None:
    """One row of `what` (a key of TABLES) that the caller may see."""
    table = TABLES[what]
    return await tx.one_or_none(select(table).where(table.c.id == identifier))


async def lock(tx: Writer, what: str, identifier: UUID) -> Row | None:
    """The same, locked until the end of the transaction; None too where the caller may see but not change it."""
    table = TABLES[what]
    return await tx.one_or_none(select(table).where(table.c.id == identifier).with_for_update())


async def page(tx: Door, what: str, wanted: Sequence[ColumnElement[bool]], pull: Pull) -> Sequence[Row]:
    """A page of rows, as `core.sql.pulled` gives them."""
    table = TABLES[what]
    return await tx.rows(pulled(select(table).where(*wanted), table, pull))


async def after_id(
    tx: Door, what: str, wanted: Sequence[ColumnElement[bool]], after: UUID | None, limit: int
) -> Sequence[Row]:
    """Rows in the order of id, one more than `limit` if there are more."""
    table = TABLES[what]
    stmt = select(table).where(*wanted).order_by(table.c.id).limit(limit + 1)
    return await tx.rows(stmt.where(table.c.id > after) if after else stmt)


async def add(tx: Writer, what: str, row: Mapping[str, Any]) -> Row:
    """Insert one row and give it back as it stands."""
    made = await tx.one_or_none(insert(TABLES[what]).values(**row).returning(TABLES[what]))
    return made or {}


async def change(tx: Writer, what: str, identifier: UUID, changes: Mapping[str, Any]) -> Row:
    """Change one row that is locked, raise its version, give it back."""
    table = TABLES[what]
    stmt = (
        update(table)
        .where(table.c.id == identifier)
        .values(**changes, version=table.c.version + 1, updated_at=func.now())
        .returning(table)
    )
    return await tx.one_or_none(stmt) or {}


def organisations_where(
    *, kind: str | None = None, urn: str | None = None, companies_house: str | None = None
) -> list[ColumnElement[bool]]:
    """The conditions of a list of organisations."""
    table = organisations.c
    pairs = ((table.kind, kind), (table.urn, urn), (table.companies_house, companies_house))
    return [column == value for column, value in pairs if value is not None]


def memberships_where(
    *,
    member_id: UUID | None = None,
    parent_id: UUID | None = None,
    kind: str | None = None,
    on: date | None = None,
) -> list[ColumnElement[bool]]:
    """The conditions of a list of memberships; `on` is a date on which they run."""
    table = memberships.c
    pairs = ((table.member_id, member_id), (table.parent_id, parent_id), (table.kind, kind))
    wanted: list[ColumnElement[bool]] = [column == value for column, value in pairs if value is not None]
    if on is not None:
        day = cast(on, Date)
        wanted += [table.starts_on <= day, or_(table.ends_on.is_(None), table.ends_on > day)]
    return wanted


def agreements_where(
    *, controller_id: UUID | None = None, live: bool | None = None
) -> list[ColumnElement[bool]]:
    """The conditions of a list of agreements."""
    wanted = [] if controller_id is None else [agreements.c.controller_id == controller_id]
    return wanted + _alive(agreements.c.ended_at, live)


def grants_where(
    *, grantor_id: UUID | None = None, grantee_id: UUID | None = None, live: bool | None = None
) -> list[ColumnElement[bool]]:
    """The conditions of a list of grants."""
    pairs = ((grants.c.grantor_id, grantor_id), (grants.c.grantee_id, grantee_id))
    wanted: list[ColumnElement[bool]] = [column == value for column, value in pairs if value is not None]
    return wanted + _alive(grants.c.revoked_at, live)


def _alive(ended: ColumnElement[Any], live: bool | None) -> list[ColumnElement[bool]]:  # noqa: FBT001
    return [] if live is None else [ended.is_(None) if live else ended.is_not(None)]


async def party(tx: Door, identifier: UUID | None, urn: str | None) -> Row | None:
    """An active organisation by id or URN, related or not: id, no, kind, and whether it agreed to join the caller."""
    return await tx.one_or_none(_PARTY, {"id": identifier, "urn": urn})


async def standing(tx: Door, party_id: UUID | None = None) -> Row:
    """Where the caller stands today: org, kind, schools, its trust if it is an academy, and the kind of a party."""
    return await tx.one_or_none(_STANDING, {"party": party_id}) or {}


async def today(tx: Door) -> date:
    """The school day of domain time."""
    day: date = await tx.value(_TODAY)
    return day


async def copy(
    tx: Writer, given: Iterable[Sequence[Any]], joined: Iterable[tuple[UUID, UUID, UUID, str, date]]
) -> None:
    """Add organisations (id, kind, name, region, urn) and memberships (id, member, parent, kind, from) by COPY."""
    await tx.copy_in(organisations, ("id", "kind", "name", "region", "urn"), given)
    rows = list(joined)
    o = organisations.c
    members = cast([member for _, member, _, _, _ in rows], ARRAY(_ID))
    found = await tx.rows(select(o.id, o.no).where(o.id == func.any(members)))
    numbers = {row["id"]: row["no"] for row in found}
    columns = ("id", "member_id", "parent_id", "kind", "starts_on", "member_no")
    await tx.copy_in(memberships, columns, ((*row, numbers[row[1]]) for row in rows))
