"""The statements of employers: profile, sites, contacts, cover, approvals, acceptances, suspensions, bars.

What a caller may see is row security's matter; each statement still names the employer, the school or the
organisation it is about, for the index. Pages hold one row more than `limit` if there is a next one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert

from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled
from app.employers.tables import (
    approval_acceptances,
    approvals,
    contacts,
    covers,
    employers,
    site_bars,
    sites,
    suspensions,
)
from app.organisations.tables import organisations

Values = Mapping[str, Any]
_APPROVERS = ("hub", "trust", "school")


# --- what all of them share -------------------------------------------------------------------


async def _add(tx: Writer, table: Table, values: Values) -> Row | None:
    """Insert a row; None, and nothing changed, if a unique constraint has it already."""
    stmt = insert(table).values(**values).on_conflict_do_nothing().returning(table)
    return await tx.one_or_none(stmt)


async def _change(tx: Writer, table: Table, row_id: UUID, values: Values) -> Row:
    stmt = (
        update(table)
        .where(table.c.id == row_id)
        .values(**values, version=table.c.version + 1, updated_at=func.now())
        .returning(table)
    )
    return await tx.one_or_none(stmt) or {}


async def _lock(tx: Writer, table: Table, *where: ColumnElement[bool]) -> Row | None:
    return await tx.one_or_none(select(table).where(*where).with_for_update(key_share=True))


async def _page(tx: Door, table: Table, pull: Pull, *where: ColumnElement[bool]) -> Sequence[Row]:
    return await tx.rows(pulled(select(table).where(*where), table, pull))


def _equal(table: Table, **wanted: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


# --- the profile ------------------------------------------------------------------------------


async def add_employer(tx: Writer, values: Values) -> Row | None:
    """Insert a profile; None if there is one already."""
    return await _add(tx, employers, values)


async def employer(tx: Door, employer_id: UUID) -> Row | None:
    """The profile, with the organisation's `name`."""
    stmt = select(employers, organisations.c.name).join(organisations, organisations.c.id == employers.c.id)
    return await tx.one_or_none(stmt.where(employers.c.id == employer_id))


async def lock_employer(tx: Writer, employer_id: UUID) -> Row | None:
    """The profile, locked until the transaction ends."""
    return await _lock(tx, employers, employers.c.id == employer_id)


async def change_employer(tx: Writer, employer_id: UUID, values: Values) -> Row:
    """Update the profile, with its version."""
    return await _change(tx, employers, employer_id, values)


# --- sites ------------------------------------------------------------------------------------


async def add_site(tx: Writer, values: Values) -> Row | None:
    """Insert a site; None if the employer has one with this external_ref."""
    return await _add(tx, sites, values)


async def site(tx: Door, site_id: UUID) -> Row | None:
    """One site that the caller may see."""
    return await tx.one_or_none(select(sites).where(sites.c.id == site_id))


async def lock_site(
    tx: Writer, employer_id: UUID, *, site_id: UUID | None = None, external_ref: str | None = None
) -> Row | None:
    """One of the employer's sites, by id or by its own reference, locked until the transaction ends."""
    return await _lock(
        tx, sites, *_equal(sites, employer_id=employer_id, id=site_id, external_ref=external_ref)
    )


async def change_site(tx: Writer, site_id: UUID, values: Values) -> Row:
    """Update a site, with its version."""
    return await _change(tx, sites, site_id, values)


async def sites_page(
    tx: Door, employer_id: UUID | None, external_ref: str | None, pull: Pull
) -> Sequence[Row]:
    """Sites in the order they were made."""
    return await _page(tx, sites, pull, *_equal(sites, employer_id=employer_id, external_ref=external_ref))


async def own_site_id(
    tx: Door, employer_id: UUID, *, site_id: UUID | None = None, external_ref: str | None = None
) -> UUID | None:
    """The id of one of the employer's own sites, or None."""
    where = _equal(sites, employer_id=employer_id, id=site_id, external_ref=external_ref)
    found: UUID | None = await tx.value(select(sites.c.id).where(*where))
    return found


_UUID = PG_UUID(as_uuid=True)
_AHEAD = text("SELECT state, bookings, schools FROM app.bookings_ahead(:offer, :site)").bindparams(
    bindparam("offer", type_=_UUID), bindparam("site", type_=_UUID)
)


async def bookings_ahead(
    tx: Writer, *, offer_id: UUID | None = None, site_id: UUID | None = None
) -> Sequence[Row]:
    """The bookings ahead on an offer of the caller's, or at a site: `bookings` and their `schools` by `state`."""
    return await tx.rows(_AHEAD, {"offer": offer_id, "site": site_id})


async def sectors_added(tx: Door) -> Sequence[str]:
    """The sectors that are known today beside those of the Industrial Strategy, as dated data."""
    return tuple(await tx.value(select(func.app.sectors_added())))


# --- contacts ---------------------------------------------------------------------------------


async def add_contact(tx: Writer, values: Values) -> Row | None:
    """Insert a contact."""
    return await _add(tx, contacts, values)


async def contact(tx: Door, contact_id: UUID) -> Row | None:
    """One contact that the caller may see: its own, or of an employer it has booked."""
    return await tx.one_or_none(select(contacts).where(contacts.c.id == contact_id))


async def lock_contact(tx: Writer, employer_id: UUID, contact_id: UUID) -> Row | None:
    """One of the employer's contacts, locked until the transaction ends."""
    return await _lock(tx, contacts, contacts.c.id == contact_id, contacts.c.employer_id == employer_id)


async def change_contact(tx: Writer, contact_id: UUID, values: Values) -> Row:
    """Update a contact, with its version."""
    return await _change(tx, contacts, contact_id, values)


async def contact_elsewhere(tx: Writer, contact_id: UUID, site_id: UUID) -> bool:
    """Whether an offer of the caller's at another site names this contact."""
    return bool(await tx.value(select(func.app.contact_elsewhere(contact_id, site_id))))


async def drop_contact(tx: Writer, employer_id: UUID, contact_id: UUID) -> int | None:
    """Delete a contact, as a person who has left is not kept; gives the version it had, or None."""
    mine = (contacts.c.id == contact_id) & (contacts.c.employer_id == employer_id)
    version: int | None = await tx.value(delete(contacts).where(mine).returning(contacts.c.version))
    return version


async def contacts_page(
    tx: Door, employer_id: UUID | None, site_id: UUID | None, pull: Pull
) -> Sequence[Row]:
    """Contacts in the order they were made."""
    return await _page(tx, contacts, pull, *_equal(contacts, employer_id=employer_id, site_id=site_id))


# --- cover ------------------------------------------------------------------------------------


async def add_cover(tx: Writer, values: Values) -> Row | None:
    """Insert a cover; None if the employer has one with this external_ref."""
    return await _add(tx, covers, values)


async def cover(tx: Door, cover_id: UUID) -> Row | None:
    """One cover that the caller may see."""
    return await tx.one_or_none(select(covers).where(covers.c.id == cover_id))


async def lock_cover(tx: Writer, employer_id: UUID, cover_id: UUID) -> Row | None:
    """One of the employer's covers, locked until the transaction ends."""
    return await _lock(tx, covers, covers.c.id == cover_id, covers.c.employer_id == employer_id)


async def withdraw_cover(tx: Writer, cover_id: UUID, at: datetime) -> Row:
    """Withdraw a cover."""
    return await _change(tx, covers, cover_id, {"withdrawn_at": at})


async def covers_page(tx: Door, employer_id: UUID | None, site_id: UUID | None, pull: Pull) -> Sequence[Row]:
    """Covers in the order they were recorded, the withdrawn ones too."""
    return await _page(tx, covers, pull, *_equal(covers, employer_id=employer_id, site_id=site_id))


# --- approvals and whose a school accepts -----------------------------------------------------


async def add_approval(tx: Writer, values: Values) -> Row | None:
    """Insert an approval."""
    return await _add(tx, approvals, values)


async def approval(tx: Door, approval_id: UUID) -> Row | None:
    """One approval that the caller may see."""
    return await tx.one_or_none(select(approvals).where(approvals.c.id == approval_id))


async def lock_approval(tx: Writer, approver_id: UUID, approval_id: UUID) -> Row | None:
    """One approval of the approver's own, locked until the transaction ends."""
    return await _lock(tx, approvals, approvals.c.id == approval_id, approvals.c.approver_id == approver_id)


async def withdraw_approval(tx: Writer, approval_id: UUID, at: datetime) -> Row:
    """Withdraw an approval."""
    return await _change(tx, approvals, approval_id, {"state": "withdrawn", "withdrawn_at": at})


async def approvals_page(tx: Door, wanted: Mapping[str, Any], pull: Pull) -> Sequence[Row]:
    """Approvals in the order they were given; `wanted`: approver_id, employer_id, site_id, kind, state."""
    return await _page(tx, approvals, pull, *_equal(approvals, **wanted))


async def is_approver(tx: Door, org_id: UUID) -> bool:
    """Whether the caller knows this hub, trust or school: as an organisation, or by an approval it gave."""
    known = select(organisations.c.id).where(
        organisations.c.id == org_id, or_(*(organisations.c.kind == kind for kind in _APPROVERS))
    )
    gave = select(approvals.c.id).where(approvals.c.approver_id == org_id)
    return bool(await tx.value(select(or_(known.exists(), gave.exists()))))


async def accept(tx: Writer, school_id: UUID, approver_id: UUID, at: datetime) -> Row | None:
    """Accept the approver's approvals; None if the school does already."""
    values = {"school_id": school_id, "approver_id": approver_id, "accepted_at": at}
    return await _add(tx, approval_acceptances, values)


async def acceptance(tx: Door, school_id: UUID, approver_id: UUID) -> Row | None:
    """One acceptance."""
    where = _equal(approval_acceptances, school_id=school_id, approver_id=approver_id)
    return await tx.one_or_none(select(approval_acceptances).where(*where))


async def stop_accepting(tx: Writer, school_id: UUID, approver_id: UUID) -> int:
    """Delete the acceptance; 0 if there is none."""
    where = _equal(approval_acceptances, school_id=school_id, approver_id=approver_id)
    return await tx.run(delete(approval_acceptances).where(*where))


async def acceptances_page(tx: Door, school_id: UUID, after: UUID | None, limit: int) -> Sequence[Row]:
    """Whose approvals a school accepts, in the order of approver ids."""
    its = approval_acceptances
    stmt = select(its).where(its.c.school_id == school_id).order_by(its.c.approver_id).limit(limit + 1)
    return await tx.rows(stmt if after is None else stmt.where(its.c.approver_id > after))


# --- suspensions ------------------------------------------------------------------------------


async def add_suspension(tx: Writer, values: Values) -> Row | None:
    """Insert a suspension; None if the organisation has this employer suspended already."""
    return await _add(tx, suspensions, values)


async def suspension(tx: Door, org_id: UUID, suspension_id: UUID) -> Row | None:
    """One of the organisation's own suspensions."""
    return await tx.one_or_none(
        select(suspensions).where(suspensions.c.id == suspension_id, suspensions.c.suspended_by == org_id)
    )


async def lock_suspension(tx: Writer, org_id: UUID, suspension_id: UUID) -> Row | None:
    """One of the organisation's own suspensions, locked until the transaction ends."""
    return await _lock(
        tx, suspensions, suspensions.c.id == suspension_id, suspensions.c.suspended_by == org_id
    )


async def lift_suspension(tx: Writer, suspension_id: UUID, at: datetime) -> Row:
    """End a suspension."""
    return await _change(tx, suspensions, suspension_id, {"lifted_at": at})


async def suspensions_page(tx: Door, org_id: UUID, employer_id: UUID | None, pull: Pull) -> Sequence[Row]:
    """The organisation's own suspensions, the lifted ones too, in the order they were made."""
    wanted = _equal(suspensions, suspended_by=org_id, employer_id=employer_id)
    return await _page(tx, suspensions, pull, *wanted)


# --- history ----------------------------------------------------------------------------------

_OF_HISTORY: Mapping[str, Table] = {
    "covers": covers,
    "approvals": approvals,
    "approval_acceptances": approval_acceptances,
}


async def add_many(tx: Writer, table: str, rows: Sequence[Values]) -> int:
    """Copy rows into one of the tables of history; all have the members of the first."""
    return await tx.copy_rows(_OF_HISTORY[table], rows)


# --- bars -------------------------------------------------------------------------------------


async def bar(tx: Writer, school_id: UUID, pupil_id: UUID, site_id: UUID, at: datetime) -> bool:
    """Bar a pupil of the school from a site; False if barred already. Row security refuses another school's pupil."""
    values = {"school_id": school_id, "enrolment_id": pupil_id, "site_id": site_id, "barred_at": at}
    return await _add(tx, site_bars, values) is not None


async def lift_bar(tx: Writer, school_id: UUID, pupil_id: UUID, site_id: UUID) -> int:
    """Delete a bar; 0 if there is none."""
    where = and_(*_equal(site_bars, school_id=school_id, enrolment_id=pupil_id, site_id=site_id))
    return await tx.run(delete(site_bars).where(where))


async def bars_of(tx: Door, school_id: UUID, pupil_id: UUID) -> Sequence[Row]:
    """The sites a pupil is barred from."""
    where = _equal(site_bars, school_id=school_id, enrolment_id=pupil_id)
    return await tx.rows(select(site_bars).where(*where).order_by(site_bars.c.site_id).limit(200))


async def copy(tx: Writer, rows: Iterable[Sequence[Any]]) -> int:
    """Add the profiles of organisations by COPY: id, size_band, sic_section, sectors."""
    return await tx.copy_in(employers, ("id", "size_band", "sic_section", "sectors"), rows)
