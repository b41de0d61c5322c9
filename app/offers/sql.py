"""The statements of offers, slots and sittings, and the search over open slots.

What a caller may see is row security's matter; each statement still names the employer where it is one's own.
Pages hold one row more than `limit` if there is a next one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled
from app.employers.tables import sites
from app.offers.tables import offer_audiences, offers, open_slots, sittings, slots

Values = Mapping[str, Any]
_UUID = PG_UUID(as_uuid=True)
_MOMENT = TIMESTAMP(timezone=True)


def _equal(table: Table, **wanted: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _visible(table: Table, employer_id: UUID) -> ColumnElement[bool]:
    """A draft is its employer's own affair."""
    return or_(table.c.state != "draft", table.c.employer_id == employer_id)


# --- offers -----------------------------------------------------------------------------------


def _audience() -> ScalarSelect[Any]:
    ids = func.coalesce(
        func.array_agg(offer_audiences.c.audience_id), literal([], ARRAY(_UUID)), type_=ARRAY(_UUID)
    )
    return select(ids).where(offer_audiences.c.offer_id == offers.c.id).scalar_subquery()


_UNKNOWN = select(
    func.app.audience_unknown(
        bindparam("kind", type_=Text), bindparam("ids", type_=ARRAY(_UUID)), type_=ARRAY(_UUID)
    )
)
_OFFER = select(offers, _audience().label("audience_ids"))


async def add_offer(tx: Writer, values: Values) -> Row | None:
    """Insert an offer; None if the employer has one with this external_ref."""
    stmt = insert(offers).values(**values).on_conflict_do_nothing().returning(offers)
    return await tx.one_or_none(stmt)


async def offer(tx: Door, offer_id: UUID) -> Row | None:
    """One offer that the caller may see, with its `audience_ids` (the employer's own eyes only)."""
    return await tx.one_or_none(_OFFER.where(offers.c.id == offer_id, _visible(offers, tx.caller.org_id)))


async def lock_offer(
    tx: Writer, employer_id: UUID, *, offer_id: UUID | None = None, external_ref: str | None = None
) -> Row | None:
    """One of the employer's offers with its `audience_ids`, locked until the transaction ends."""
    where = _equal(offers, employer_id=employer_id, id=offer_id, external_ref=external_ref)
    return await tx.one_or_none(_OFFER.where(*where).with_for_update(of=offers, key_share=True))


async def change_offer(tx: Writer, offer_id: UUID, values: Values) -> Row:
    """Update an offer, with its version. A trigger brings the open slots after it."""
    stmt = (
        update(offers)
        .where(offers.c.id == offer_id)
        .values(**values, version=offers.c.version + 1, updated_at=func.now())
        .returning(offers)
    )
    return await tx.one_or_none(stmt) or {}


async def set_audience(
    tx: Writer,
    offer_id: UUID,
    employer_id: UUID,
    kind: str | None,
    audience_ids: Sequence[UUID],
    *,
    fresh: bool,
) -> None:
    """Replace those that are shown a restricted offer; `fresh`: there were none."""
    if not fresh:
        await tx.run(delete(offer_audiences).where(offer_audiences.c.offer_id == offer_id))
    if audience_ids:
        base = {"offer_id": offer_id, "employer_id": employer_id, "kind": kind}
        await tx.run(insert(offer_audiences), [{**base, "audience_id": one} for one in audience_ids])


async def audience_unknown(tx: Writer, kind: str, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of an audience of this kind (`hub`, `school`, `programme`) that are nobody. One statement."""
    return frozenset(await tx.value(_UNKNOWN, {"kind": kind, "ids": list(ids)}))


async def offers_page(tx: Door, wanted: Mapping[str, Any], pull: Pull) -> Sequence[Row]:
    """A page of offers; `wanted`: employer_id, site_id, kind, state, external_ref."""
    stmt = _OFFER.where(*_equal(offers, **wanted), _visible(offers, tx.caller.org_id))
    return await tx.rows(pulled(stmt, offers, pull))


async def offers_named(
    tx: Writer, employer_id: UUID, ids: Sequence[UUID], refs: Sequence[str]
) -> Sequence[Row]:
    """The employer's offers with these ids or references: what slots need to know of them."""
    stmt = select(
        offers.c.id,
        offers.c.external_ref,
        offers.c.site_id,
        offers.c.kind,
        offers.c.mode,
        offers.c.activity_band,
        offers.c.restricted,
        offers.c.state,
    )
    named = or_(
        offers.c.id == func.any(literal(list(ids), ARRAY(_UUID))),
        offers.c.external_ref == func.any(literal(list(refs), ARRAY(Text))),
    )
    return await tx.rows(stmt.where(offers.c.employer_id == employer_id, named))


# --- slots ------------------------------------------------------------------------------------


async def add_past(tx: Writer, slot_rows: Sequence[Values], sitting_rows: Sequence[Values]) -> None:
    """Copy slots of the past with their sittings."""
    await tx.copy_rows(slots, slot_rows)
    await tx.copy_rows(sittings, sitting_rows)


_SLOT_COLUMNS = {
    "id": _UUID,
    "offer_id": _UUID,
    "employer_id": _UUID,
    "site_id": _UUID,
    "external_ref": Text,
    "starts_at": _MOMENT,
    "ends_at": _MOMENT,
    "capacity": Integer,
    "minutes": Integer,
    "book_by": _MOMENT,
    "name_by": _MOMENT,
    "reply_within_hours": Integer,
    "restricted": Boolean,
}
_SITTING_COLUMNS = {
    "id": _UUID,
    "slot_id": _UUID,
    "employer_id": _UUID,
    "no": Integer,
    "starts_at": _MOMENT,
    "ends_at": _MOMENT,
    "break_minutes": Integer,
    "virtual": Boolean,
}


def _from_json(columns: Mapping[str, Any]) -> Select[Any]:
    """A select over rows sent as one JSON parameter, however many: one statement, compiled once."""
    sent = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(
        *(column(name, kind) for name, kind in columns.items())
    )
    rows = sent.render_derived(name="sent", with_types=True)
    return select(*(rows.c[name] for name in columns))


_ADD_SLOTS = (
    insert(slots)
    .from_select(list(_SLOT_COLUMNS), _from_json(_SLOT_COLUMNS), include_defaults=False)
    .on_conflict_do_nothing()
    .returning(slots)
)
_ADD_SITTINGS = insert(sittings).from_select(
    list(_SITTING_COLUMNS), _from_json(_SITTING_COLUMNS), include_defaults=False
)


def _sittings() -> ScalarSelect[Any]:
    one = func.jsonb_build_object(
        "id", sittings.c.id,
        "starts_at", sittings.c.starts_at,
        "ends_at", sittings.c.ends_at,
        "break_minutes", sittings.c.break_minutes,
        "virtual", sittings.c.virtual,
    )  # fmt: skip
    return select(func.jsonb_agg(one)).where(sittings.c.slot_id == slots.c.id).scalar_subquery()


_SLOT = select(slots, _sittings().label("sittings"))


_OF_EMPLOYER = slots.c.employer_id == bindparam("employer", type_=_UUID)
_BY_REFS = slots.c.external_ref == func.any(bindparam("refs", type_=ARRAY(Text)))
_LOCK_SLOTS = (
    _SLOT.add_columns(offers.c.mode, offers.c.kind, offers.c.activity_band)
    .join(offers, offers.c.id == slots.c.offer_id)
    .where(_OF_EMPLOYER, _BY_REFS)
    .order_by(slots.c.id)
    .with_for_update(of=slots, key_share=True)
)
_SLOT_IDS = select(slots.c.id, slots.c.external_ref).where(_OF_EMPLOYER, _BY_REFS)
_CHANGED = {
    name: _SLOT_COLUMNS[name]
    for name in (
        "id", "starts_at", "ends_at", "capacity", "minutes", "book_by", "name_by", "reply_within_hours",
    )
}  # fmt: skip
_SENT = _from_json(_CHANGED).subquery("sent")
_CHANGE_SLOTS = (
    update(slots)
    .where(slots.c.id == _SENT.c.id)
    .values(
        version=slots.c.version + 1,
        updated_at=func.now(),
        **{name: _SENT.c[name] for name in _CHANGED if name != "id"},
    )
    .returning(slots)
)
_MANY = bindparam("slots", type_=ARRAY(_UUID))
_DROP_SITTINGS = delete(sittings).where(sittings.c.slot_id == func.any(_MANY))
_IN_USE = select(func.app.slots_in_use(_MANY, type_=ARRAY(_UUID)))


def _published(employer_id: UUID) -> ColumnElement[bool]:
    """A slot of a draft is its employer's own affair."""
    its = select(offers.c.id).where(offers.c.id == slots.c.offer_id, offers.c.state != "draft")
    return or_(slots.c.employer_id == employer_id, its.exists())


async def add_slots(tx: Writer, rows: Sequence[Values]) -> Sequence[Row]:
    """Insert slots; those whose external_ref is taken are left out of what is given back. One statement."""
    return await tx.rows(_ADD_SLOTS, {"rows": [dict(row) for row in rows]})


async def add_sittings(tx: Writer, rows: Sequence[Values]) -> None:
    """Insert sittings. One statement."""
    await tx.run(_ADD_SITTINGS, {"rows": [dict(row) for row in rows]})


async def drop_sittings(tx: Writer, slot_id: UUID) -> int:
    """Delete the sittings of a slot; a foreign key refuses it where somebody has been named for one."""
    return await tx.run(delete(sittings).where(sittings.c.slot_id == slot_id))


async def slot(tx: Door, slot_id: UUID) -> Row | None:
    """One slot that the caller may see, with its `sittings`."""
    return await tx.one_or_none(_SLOT.where(slots.c.id == slot_id, _published(tx.caller.org_id)))


async def lock_slot(
    tx: Writer, employer_id: UUID, *, slot_id: UUID | None = None, external_ref: str | None = None
) -> Row | None:
    """One of the employer's slots with its sittings, and the offer's `mode` and `kind`, locked until the end."""
    where = _equal(slots, employer_id=employer_id, id=slot_id, external_ref=external_ref)
    stmt = (
        _SLOT.add_columns(offers.c.mode, offers.c.kind, offers.c.activity_band)
        .join(offers, offers.c.id == slots.c.offer_id)
        .where(*where)
        .with_for_update(of=slots, key_share=True)
    )
    return await tx.one_or_none(stmt)


async def lock_slots(tx: Writer, employer_id: UUID, refs: Sequence[str]) -> Sequence[Row]:
    """The employer's slots with these references, as `lock_slot` gives them, locked in the order of id. One statement."""
    return await tx.rows(_LOCK_SLOTS, {"employer": employer_id, "refs": list(refs)}) if refs else []


async def slot_ids(tx: Writer, employer_id: UUID, refs: Sequence[str]) -> Mapping[str, UUID]:
    """The ids of the employer's slots with these references. One statement."""
    if not refs:
        return {}
    found = await tx.rows(_SLOT_IDS, {"employer": employer_id, "refs": list(refs)})
    return {row["external_ref"]: row["id"] for row in found}


async def change_slots(tx: Writer, rows: Sequence[Values]) -> Sequence[Row]:
    """Update slots to these whole rows, each with its version. One statement."""
    return await tx.rows(_CHANGE_SLOTS, {"rows": [dict(row) for row in rows]}) if rows else []


async def drop_sittings_of(tx: Writer, slot_ids: Sequence[UUID]) -> None:
    """Delete the sittings of slots that are not in use. One statement."""
    if slot_ids:
        await tx.run(_DROP_SITTINGS, {"slots": list(slot_ids)})


async def slots_in_use(tx: Writer, slot_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of the caller's slots for whose sittings somebody was ever named. One statement."""
    return frozenset(await tx.value(_IN_USE, {"slots": list(slot_ids)})) if slot_ids else frozenset()


async def change_slot(tx: Writer, slot_id: UUID, values: Values) -> Row:
    """Update a slot, with its version. A trigger brings the open slot after it."""
    stmt = (
        update(slots)
        .where(slots.c.id == slot_id)
        .values(**values, version=slots.c.version + 1, updated_at=func.now())
        .returning(slots)
    )
    return await tx.one_or_none(stmt) or {}


async def slots_page(
    tx: Door,
    wanted: Mapping[str, Any],
    *,
    starts_from: datetime | None,
    starts_to: datetime | None,
    pull: Pull,
) -> Sequence[Row]:
    """A page of slots; `wanted`: employer_id, offer_id, state, external_ref."""
    stmt = _SLOT.where(*_equal(slots, **wanted), _published(tx.caller.org_id))
    if starts_from is not None:
        stmt = stmt.where(slots.c.starts_at >= starts_from)
    if starts_to is not None:
        stmt = stmt.where(slots.c.starts_at < starts_to)
    return await tx.rows(pulled(stmt, slots, pull))


# --- what schools search ----------------------------------------------------------------------

_O = open_slots.c
_SHOWN = tuple(column for column in _O if column.name not in {"restricted", "year_mask"})
_LETTERS_OF_OUTCODE = func.regexp_replace(_O.postcode_area, "[0-9].*$", "")
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "kind": _O.kind == bindparam("kind", type_=Text),
    "to": _O.starts_at < bindparam("to", type_=_MOMENT),
    "sector": _O.sector == bindparam("sector", type_=Text),
    "year_bit": _O.year_mask.bitwise_and(bindparam("year_bit", type_=Integer)) != 0,
    "mode": _O.mode == bindparam("mode", type_=Text),
    "grouping": _O.grouping == bindparam("grouping", type_=Text),
    "tier": _O.tier == bindparam("tier", type_=Integer),
    "size_band": _O.size_band == bindparam("size_band", type_=Text),
    "town": func.lower(_O.town) == func.lower(bindparam("town", type_=Text)),
    "outcode": _O.postcode_area == bindparam("outcode", type_=Text),
    "postcode_area": bindparam("postcode_area", type_=Text) == _LETTERS_OF_OUTCODE,
    "employer_id": _O.employer_id == bindparam("employer_id", type_=_UUID),
    "offer_id": _O.offer_id == bindparam("offer_id", type_=_UUID),
    "skill": bindparam("skill", type_=Text) == func.any(_O.skills),
    "after_id": tuple_(_O.starts_at, _O.slot_id)
    > tuple_(bindparam("after_at", type_=_MOMENT), bindparam("after_id", type_=_UUID)),
}
"""The conditions a search may have, by the name of what they need. Uuid, int, text and timestamptz comparisons can use
an index under row security; the rest only sifts what the index found."""

SEARCHABLE = frozenset(_CONDITIONS) - {"after_id"}


@lru_cache(maxsize=1024)
def search_statement(asked: frozenset[str]) -> Select[Any]:
    """The search with these conditions: built once per shape, so that its compiled text is found again.

    Parameters: `now` and `from` (the later of the two begins the range, so that what is over is never read),
    `places`, `most`, and one for each condition.
    """
    return (
        select(*_SHOWN)
        .where(
            _O.starts_at >= bindparam("from", type_=_MOMENT),
            _O.book_by > bindparam("now", type_=_MOMENT),
            _O.places_left >= bindparam("places", type_=Integer),
            *(_CONDITIONS[name] for name in sorted(asked)),
        )
        .order_by(_O.starts_at, _O.slot_id)
        .limit(bindparam("most", type_=Integer))
    )


def search_params(
    now: datetime,
    wanted: Mapping[str, Any],
    *,
    starts_from: datetime | None,
    places: int,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> dict[str, Any]:
    """The parameters of `search_statement`; its shape is `shape_of` them."""
    params = {name: value for name, value in wanted.items() if value is not None}
    begins = max(starts_from or now, now)
    if after is not None:
        params["after_at"], params["after_id"] = after
        begins = max(begins, after[0])
    return {**params, "from": begins, "now": now, "places": places, "most": limit + 1}


def shape_of(params: Mapping[str, Any]) -> frozenset[str]:
    """Which of the conditions these parameters ask for."""
    return frozenset(_CONDITIONS.keys() & params.keys())


async def search(
    tx: Door,
    wanted: Mapping[str, Any],
    *,
    starts_from: datetime | None = None,
    places: int = 1,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[Row]:
    """Slots that the caller could book now, by (starts_at, slot_id); `wanted` holds members of `SEARCHABLE`."""
    params = search_params(
        tx.caller.now, wanted, starts_from=starts_from, places=places, after=after, limit=limit
    )
    return await tx.rows(search_statement(shape_of(params)), params)


_OPEN = (
    select(
        *_SHOWN,
        slots.c.name_by,
        slots.c.reply_within_hours,
        _sittings().label("sittings"),
        *(
            offers.c[name]
            for name in ("description", "hazards", "dress_code", "lunch", "tasks", "objectives")
        ),
        *(sites.c[name] for name in ("address", "postcode", "access", "travel")),
    )
    .join(slots, slots.c.id == _O.slot_id)
    .join(offers, offers.c.id == _O.offer_id)
    .join(sites, sites.c.id == _O.site_id)
    .where(_O.slot_id == bindparam("slot_id", type_=_UUID))
)


async def open_slot(tx: Door, slot_id: UUID) -> Row | None:
    """One open slot as a school sees it, with sittings, the site's access and the offer's texts; one statement."""
    return await tx.one_or_none(_OPEN, {"slot_id": slot_id})


_SCHOOLS = select(
    func.unnest(func.app.schools_on_slot(bindparam("slot", type_=PG_UUID(as_uuid=True)))).label("school_id")
)


async def schools_on_slot(tx: Writer, slot_id: UUID) -> list[UUID]:
    """The schools booked in a slot of the caller's or waiting for it."""
    return [row["school_id"] for row in await tx.rows(_SCHOOLS, {"slot": slot_id})]


_SCHOOLS_ON = text("SELECT slot_id, school_id FROM app.schools_on_slots(:slots)").bindparams(_MANY)


async def schools_on_slots(tx: Writer, slot_ids: Sequence[UUID]) -> Mapping[UUID, list[UUID]]:
    """For slots of the caller's, the schools booked in each or waiting for it. One statement."""
    found: dict[UUID, list[UUID]] = {}
    for row in await tx.rows(_SCHOOLS_ON, {"slots": list(slot_ids)}) if slot_ids else ():
        found.setdefault(row["slot_id"], []).append(row["school_id"])
    return found
