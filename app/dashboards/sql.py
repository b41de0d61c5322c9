"""What dashboards read: aggregates through functions that count for the caller, and the lists around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
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
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from app.core.db import Door, Row, Writer
from app.ledger.tables import dated_policies
from app.organisations.tables import memberships, organisations
from app.programmes.tables import programme_schools, programmes, strands

_UUID = Uuid(as_uuid=True)
_IDS = ARRAY(_UUID)
_TEXTS, _BIGS, _INTS, _DAYS = ARRAY(Text), ARRAY(BigInteger), ARRAY(Integer), ARRAY(Date)
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


async def organisations_of(tx: Door, ids: Sequence[UUID]) -> Sequence[Row]:
    """Those of these organisations that the caller may know of."""
    return await tx.rows(
        _orgs().where(organisations.c.id == any_(cast(bindparam("ids"), _IDS))), {"ids": list(ids)}
    )


async def schools_of(tx: Door, day: date, ids: Sequence[UUID], urns: Sequence[str]) -> Sequence[Row]:
    """Those of the schools with these ids or URNs whose figures the caller may see."""
    named = or_(
        organisations.c.id == any_(cast(bindparam("ids"), _IDS)),
        organisations.c.urn == any_(cast(bindparam("urns"), _TEXTS)),
    )
    return await tx.rows(_counted(day).where(named), {"ids": list(ids), "urns": list(urns)})


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list by name: at most `limit` rows that come after a name and an id; of all schools or programmes,
    or of the schools of a hub or of a trust alone.
    """

    limit: int
    after: tuple[str, UUID] | None = None
    hub_id: UUID | None = None
    trust_id: UUID | None = None


async def school_pages(tx: Door, day: date, pages: Sequence[Page]) -> Sequence[Row]:
    """Pages of the schools whose figures the caller may see, by name; one statement for them all.

    Each row carries `page`, the number of its page from 0, and `total`, the length of that page's whole list. An empty
    page has one row without an id.
    """
    asked = _pages(("hub_id", _UUID), ("trust_id", _UUID))
    members = func.app.members_of(asked.c.trust_id, "trust", bindparam("day"))  # once for each page
    wanted = (
        select(asked, case((asked.c.trust_id.is_not(None), members)).label("members"))
        .cte("wanted")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    counted = _schools_counted().cte("counted")
    listed = _orgs(counted.c.hub_id).join(counted, counted.c.school_id == organisations.c.id).cte("listed")
    within = and_(
        or_(wanted.c.hub_id.is_(None), listed.c.hub_id == wanted.c.hub_id),
        or_(wanted.c.trust_id.is_(None), listed.c.id == any_(wanted.c.members)),
    )
    said = {
        "day": day,
        "hub_ids": [one.hub_id for one in pages],
        "trust_ids": [one.trust_id for one in pages],
        **_asked(pages),
    }
    return await tx.rows(_paged(wanted, listed, within), said)


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


async def programmes_of(tx: Door, ids: Sequence[UUID]) -> Sequence[Row]:
    """Those of these programmes that the caller runs or its schools have joined."""
    source = _counted_by(tx, programmes)
    stmt = select(source).where(source.c.id == any_(cast(bindparam("ids"), _IDS)))
    return await tx.rows(stmt, {"ids": list(ids)})


async def programme_pages(tx: Door, pages: Sequence[Page]) -> Sequence[Row]:
    """Pages of the programmes that the caller runs or its schools have joined, as `school_pages`."""
    listed = select(_counted_by(tx, programmes)).cte("listed")
    return await tx.rows(_paged(_pages(), listed, true()), _asked(pages))


def _pages(*more: tuple[str, Any]) -> Any:  # noqa: ANN401
    """The pages that are wanted, a row each: numbered from 1, with what else is said of each."""
    said = [("after_name", Text), ("after_id", _UUID), ("most", Integer), *more]
    arrays = [cast(bindparam(f"{name}s"), ARRAY(kind)) for name, kind in said]
    return (
        func.unnest(*arrays)
        .table_valued(*(column(name, kind) for name, kind in said), with_ordinality="number", name="wanted")
        .render_derived()
    )


def _asked(pages: Sequence[Page]) -> dict[str, Any]:
    return {
        "after_names": [one.after[0] if one.after else None for one in pages],
        "after_ids": [one.after[1] if one.after else None for one in pages],
        "mosts": [one.limit for one in pages],
    }


def _paged(wanted: Any, listed: CTE, within: ColumnElement[bool]) -> Select[Any]:  # noqa: ANN401
    """The pages of a list that is made once for all of them."""
    those, asked = listed.c, wanted.c
    whole = select(func.count().label("total")).select_from(listed).where(within).lateral("whole")
    later = or_(
        asked.after_id.is_(None), tuple_(those.name, those.id) > tuple_(asked.after_name, asked.after_id)
    )
    page = (
        select(listed)
        .where(within, later)
        .order_by(those.name, those.id)
        .limit(asked.most)
        .lateral("page_of_it")
    )
    return (
        select((asked.number - 1).label("page"), whole.c.total, page)
        .select_from(wanted.join(whole, true()).outerjoin(page, true()))
        .order_by(asked.number, page.c.name, page.c.id)
    )


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


# --- programmes: strands side by side, targets, money ---------------------------------------------------


def _of_programmes(function: str, *columns: str) -> Select[Any]:
    called = getattr(func.app, function)(
        cast(bindparam("programmes"), _IDS), bindparam("day"), cast(bindparam("known"), _MOMENT)
    )
    return select(called.table_valued(*columns))


_PROGRAMME_FIGURES = _of_programmes(
    "strand_figures", "programme_id", "grouped", "strand_id", "whole", "exact", "schools", "schools_unknown",
    "young_people", "minutes", "squares", "days", "bm5", "bm6", "expected_people", "expected", "no_shows",
    "costed_people", "costed_minutes", "spent", "spent_by_programme", "lapsed", "seconds",
    "day_squares",
)  # fmt: skip
_PROGRAMME_TARGETS = _of_programmes(
    "programme_targets", "programme_id", "target_id", "strand_id", "measure", "value", "characteristic", "due_on",
    "until", "whole", "exact", "invited", "named_new", "named", "places", "named_minutes", "booked_minutes",
    "share_base", "share_part",
)  # fmt: skip
_PROGRAMME_BUDGETS = _of_programmes(
    "programme_budgets", "programme_id", "school_id", "name", "urn", "whole", "enrolled", "own_budget", "budget_pence",
    "allocated", "committed", "committed_to_date", "spent", "spent_by_programme",
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
