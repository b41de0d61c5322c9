"""What dashboards read: aggregates through functions that count for the caller, and the lists around them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from app.core.db import Door, Row, Writer
from app.ledger.tables import dated_policies
from app.organisations.tables import memberships, organisations
from app.programmes.tables import programme_schools, programmes, strands

_IDS = ARRAY(Uuid(as_uuid=True))
_MOMENT = TIMESTAMP(timezone=True)

# The law by which is counted comes with the first row, so that it is no statement more.
_LAWS = (
    select(
        func.jsonb_agg(
            func.jsonb_build_object(
                "topic", dated_policies.c.topic, "starts_on", dated_policies.c.starts_on,
                "ends_on", dated_policies.c.ends_on, "body", dated_policies.c.body,
            )
        )
    )
    .where(
        dated_policies.c.topic == any_(cast(["entitlement", "cover"], ARRAY(Text))),
        or_(
            cast(bindparam("known"), _MOMENT).is_(None),
            dated_policies.c.recorded_at <= cast(bindparam("known"), _MOMENT),
        ),
    )
    .scalar_subquery()
)  # fmt: skip
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
    ),
    case((func.row_number().over() == 1, _LAWS)).label("laws"),
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

    Memberships are those known at `known` (None: now); what a school's data stood on then is not kept, and null. The
    first row carries the dated policies known then: see `laws`.
    """
    return await tx.rows(_BASIS, {"day": day, "known": known})


def laws(basis: Sequence[Row], topic: str) -> list[Row]:
    """The dated policies about a topic (`entitlement`, `cover`) that came with a basis."""
    found = next((row["laws"] for row in basis if row["laws"]), ())
    return [one for one in found if one["topic"] == topic]


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
    source, other = _counted_by(tx, programmes), _counted_by(tx, programmes).alias("other")
    total = select(func.count()).select_from(other).scalar_subquery().label("total")
    stmt = select(source, total).order_by(source.c.name, source.c.id).limit(limit)
    if programme_id:
        stmt = stmt.where(source.c.id == programme_id)
    if after:
        name, key = after
        stmt = stmt.where(or_(source.c.name > name, and_(source.c.name == name, source.c.id > UUID(key))))
    return await tx.rows(stmt)


def _counted_by(tx: Door, table: Table) -> Any:  # noqa: ANN401  (a table, or a function in its place)
    """A table of programmes as row security shows it; with those of the owners below for those who are over them."""
    if tx.caller.org_kind not in {"authority", "national"}:
        return table
    function = getattr(func.app, f"{table.name}_below")
    return function().table_valued(*(column(one.name, one.type) for one in table.c), name=table.name)


async def strands_of(tx: Door, programme_ids: Sequence[UUID]) -> Sequence[Row]:
    """The strands of these programmes, by code."""
    source = _counted_by(tx, strands)
    stmt = select(source).where(
        source.c.programme_id == any_(cast(bindparam("ids"), _IDS)), source.c.removed_at.is_(None)
    )
    return await tx.rows(stmt.order_by(source.c.code), {"ids": list(programme_ids)})


async def enrolled(tx: Door, programme_ids: Sequence[UUID]) -> Sequence[Row]:
    """The schools of these programmes that the caller may see, by name."""
    source = _counted_by(tx, programme_schools)
    stmt = (
        select(
            source,
            organisations.c.name,
            organisations.c.urn,
            organisations.c.laestab,
            organisations.c.region,
            organisations.c.status,
        )
        .join(organisations, organisations.c.id == source.c.school_id)
        .where(source.c.programme_id == any_(cast(bindparam("ids"), _IDS)))
        .order_by(organisations.c.name, source.c.id)
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


# --- programmes: strands side by side, targets, money ---------------------------------------------------


def _of_programmes(function: str, *columns: str) -> Select[Any]:
    called = getattr(func.app, function)(
        cast(bindparam("programmes"), _IDS), bindparam("day"), cast(bindparam("known"), _MOMENT)
    )
    return select(called.table_valued(*columns))


_PROGRAMME_FIGURES = _of_programmes(
    "programme_figures", "programme_id", "grouped", "strand_id", "whole", "exact", "schools", "schools_unknown",
    "young_people", "minutes", "squares", "days", "bm5", "bm6", "expected_people", "expected", "no_shows",
    "costed_people", "costed_minutes", "spent", "spent_by_programme", "lapsed", "seconds",
)  # fmt: skip
_PROGRAMME_TARGETS = _of_programmes(
    "programme_targets", "programme_id", "target_id", "strand_id", "measure", "value", "characteristic", "due_on",
    "until", "whole", "exact", "invited", "named_new", "named", "places", "named_minutes", "booked_minutes",
    "share_base", "share_part",
)  # fmt: skip
_PROGRAMME_BUDGETS = _of_programmes(
    "programme_budgets", "programme_id", "school_id", "name", "urn", "whole", "enrolled", "own_budget", "budget_pence",
    "allocated", "committed", "spent", "spent_by_programme",
)  # fmt: skip


async def programme_figures(
    tx: Door, programme_ids: Sequence[UUID], day: date, known: datetime | None
) -> Sequence[Row]:
    """The counts of each strand and of the whole of these programmes, as far as the caller may count them."""
    return await tx.rows(_PROGRAMME_FIGURES, {"programmes": list(programme_ids), "day": day, "known": known})


async def programme_targets(
    tx: Door, programme_ids: Sequence[UUID], day: date, known: datetime | None
) -> Sequence[Row]:
    """Their targets, and what is booked towards each."""
    return await tx.rows(_PROGRAMME_TARGETS, {"programmes": list(programme_ids), "day": day, "known": known})


async def programme_budgets(
    tx: Door, programme_ids: Sequence[UUID], day: date, known: datetime | None
) -> Sequence[Row]:
    """Their schools by name with the money of each, after a row of the programme itself."""
    return await tx.rows(_PROGRAMME_BUDGETS, {"programmes": list(programme_ids), "day": day, "known": known})


# --- by characteristic --------------------------------------------------------------------------------

_TRAITS = select(
    func.app.coverage_traits(
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
        "school_id", "nc_year", "settled_year", "field_group", "value", "pupils", "reached", "minutes", "days",
        "at_activity", "at_placement", "at_week", "at_total", "bm5", "bm6",
    )
)  # fmt: skip


async def traits(
    tx: Door, schools: Sequence[UUID] | None, day: date, year: int, marks: Row, *, year_only: bool,
    known: datetime | None
) -> Sequence[Row]:  # fmt: skip
    """Counts by school, NC year, field group and value, of the schools that stand on the group. `marks` in minutes."""
    asked = {
        "schools": schools, "day": day, "year": year, "year_only": year_only, "known": known, **marks
    }  # fmt: skip
    return await tx.rows(_TRAITS, asked)


# --- shortfall and capacity, employers, variety -------------------------------------------------------

_TEXTS, _BIGS, _INTS, _DAYS = ARRAY(Text), ARRAY(BigInteger), ARRAY(Integer), ARRAY(Date)

_SHORTFALL = select(
    func.app.market_shortfall(
        cast(bindparam("schools"), _IDS),
        bindparam("day"),
        bindparam("year"),
        cast(bindparam("known"), _MOMENT),
        bindparam("activity"),
        bindparam("placement"),
    ).table_valued(
        "school_id", "nc_year", "settled_year", "pupils", "below", "minutes", "half_days", "whole_days"
    )
)
_OPEN = select(
    func.app.market_open(
        cast(bindparam("schools"), _IDS),
        cast(bindparam("masks"), _INTS),
        cast(bindparam("until"), _MOMENT),
        bindparam("lawful"),
        bindparam("cap"),
        cast(bindparam("kinds"), _TEXTS),
        cast(bindparam("liabilities"), _TEXTS),
        cast(bindparam("pounds"), _BIGS),
        cast(bindparam("begins"), _DAYS),
        cast(bindparam("ends"), _DAYS),
        bindparam("by_employer"),
    ).table_valued(
        "employer_id", "placement", "year_mask", "schools", "slots", "places", "minutes", "here_minutes"
    )
)
_DEALINGS = select(
    func.app.market_dealings(
        cast(bindparam("schools"), _IDS),
        cast(bindparam("since"), Date),
        bindparam("day"),
        cast(bindparam("known"), _MOMENT),
    ).table_valued(
        "employer_id", "school_id", "reached", "requested", "confirmed", "declined", "expired", "places", "reasons",
        "answered",
    )
)  # fmt: skip
_EMPLOYERS = select(
    func.app.market_employers(
        cast(bindparam("employers"), _IDS),
        cast(bindparam("schools"), _IDS),
        cast(bindparam("since"), Date),
        bindparam("day"),
        cast(bindparam("known"), _MOMENT),
    ).table_valued("employer_id", "name", "size_band", "sectors", "schools", "slots", "places", "filled")
)
_VARIETY = select(
    func.app.market_variety(
        cast(bindparam("schools"), _IDS),
        bindparam("day"),
        bindparam("year"),
        bindparam("year_only"),
        cast(bindparam("known"), _MOMENT),
        cast(bindparam("kinds"), _TEXTS),
    ).table_valued(
        "school_id", "nc_year", "settled_year", "pupils", "employers", "employers_spread", "sectors",
        "sectors_spread", "kinds", "kinds_spread", "minutes", "in_person", "known_minutes", "sme_minutes",
    )
)  # fmt: skip


async def shortfall(tx: Door, schools: Sequence[UUID] | None, asked: Row, marks: Row) -> Sequence[Row]:
    """What pupils lack, by school and NC year; `asked` has day, year and known, `marks` activity and placement."""
    return await tx.rows(_SHORTFALL, {"schools": schools, **asked, **marks})


async def open_to(tx: Door, masks: Mapping[UUID, int], asked: Row, *, by_employer: bool) -> Sequence[Row]:
    """What is open to schools with these year groups (as bits), until a moment; see the migration for `asked`."""
    given = {"schools": list(masks), "masks": list(masks.values()), "by_employer": by_employer}
    return await tx.rows(_OPEN, {**given, **asked})


async def dealings(
    tx: Door, schools: Sequence[UUID] | None, since: date | None, day: date, known: datetime | None
) -> Sequence[Row]:
    """What employers and schools have had to do with each other in a period, a row for each two."""
    return await tx.rows(_DEALINGS, {"schools": schools, "since": since, "day": day, "known": known})


async def employers(tx: Door, ids: Sequence[UUID], schools: Sequence[UUID], asked: Row) -> Sequence[Row]:
    """Who these employers are, and what they offered in a past period to which of the schools (by position).

    `asked` has since (or None), day and known.
    """
    return await tx.rows(_EMPLOYERS, {"employers": list(ids), "schools": list(schools), **asked})


async def variety(
    tx: Door, schools: Sequence[UUID] | None, asked: Row, kinds: Sequence[str]
) -> Sequence[Row]:
    """How varied pupils' experiences were, by school and NC year; `asked` has day, year, year_only and known."""
    return await tx.rows(_VARIETY, {"schools": schools, **asked, "kinds": list(kinds)})
