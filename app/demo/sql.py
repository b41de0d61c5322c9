"""What the loader asks of the database as its owner: entering as others, and what has no service because a MIS sends it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, func, insert, select, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.organisations.tables import organisations

_ALONE = 7_310_338_420_119  # any number that nobody else uses
_IDS = bindparam("schools", type_=ARRAY(PG_UUID(as_uuid=True)))

# What a MIS has sent over the years: the NC years before this one and after it, from the one that was sent.
_OTHER_YEARS = text(
    """
    INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)
    SELECT n.enrolment_id, n.academic_year + s, n.school_id, (n.nc_year::int + s)::text
      FROM nc_years n CROSS JOIN generate_series(-4, 2) s
     WHERE n.school_id = ANY (:schools) AND s <> 0 AND n.nc_year::int + s BETWEEN 7 AND 13
    ON CONFLICT DO NOTHING
    """
).bindparams(_IDS)

_STATES = text(
    """
    INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, field_groups)
    SELECT s, :at, :at, :groups FROM unnest(CAST(:schools AS uuid[])) s
    ON CONFLICT (school_id) DO UPDATE
       SET roll_complete_at = excluded.roll_complete_at, last_sync_at = excluded.last_sync_at,
           field_groups = excluded.field_groups
    """
).bindparams(_IDS, bindparam("groups", type_=ARRAY(Text)))

_PUPILS = text(
    """
    SELECT r.school_id, r.external_ref, r.enrolment_id AS id, e.person_no
      FROM pupil_refs r JOIN enrolments e ON e.id = r.enrolment_id
     WHERE r.org_id = :org AND r.school_id = ANY (:schools)
    """
).bindparams(_IDS, bindparam("org", type_=PG_UUID(as_uuid=True)))


async def alone(tx: Writer) -> None:
    """One loader at a time; the lock goes with the transaction."""
    await tx.run(select(func.pg_advisory_xact_lock(_ALONE)))


async def known(tx: Door, names: Sequence[str]) -> Mapping[str, UUID]:
    """The active organisations of these names, by name."""
    stmt = select(organisations.c.id, organisations.c.name).where(
        organisations.c.name.in_(names), organisations.c.status == "active"
    )
    return {row["name"]: row["id"] for row in await tx.rows(stmt)}


async def add_first(tx: Writer, identifier: UUID, kind: str, name: str) -> None:
    """The organisation that enters all others: nobody could register it."""
    await tx.run(insert(organisations).values(id=identifier, kind=kind, name=name))


async def enter(tx: Writer, caller: Caller) -> None:
    """Be this caller from here on, in the same transaction; `tx.caller` has its domain time."""
    now: datetime = await tx.value(select(func.app.enter(caller.client_id, caller.school_id, None)))
    tx.caller = caller.at(now)


async def add_other_years(tx: Writer, schools: Sequence[UUID]) -> None:
    """Give each pupil the NC years of up to four academic years before this one and two after it."""
    await tx.run(_OTHER_YEARS, {"schools": list(schools)})


_COUNTED = text(
    """
    SELECT (SELECT count(*) FROM organisations WHERE kind = 'school') AS schools,
           (SELECT count(*) FROM enrolments) AS pupils, (SELECT count(*) FROM employers) AS employers,
           (SELECT count(*) FROM slots WHERE starts_at > app.domain_now() AND state = 'open' AND taken < capacity)
             AS open_slots,
           (SELECT count(*) FROM bookings) AS bookings, (SELECT count(*) FROM encounters) AS encounters,
           (SELECT sum(minutes) FROM balances) AS minutes
    """
)


async def counted(tx: Writer) -> Row:
    """How much there is: schools, pupils, employers, open_slots, bookings, encounters, minutes."""
    return await tx.one_or_none(_COUNTED) or {}


async def mark_rolls_complete(
    tx: Writer, schools: Sequence[UUID], at: datetime, groups: Sequence[str]
) -> None:
    """Say that the whole roll of each school has been sent, with these field groups."""
    await tx.run(_STATES, {"schools": list(schools), "at": at, "groups": list(groups)})


async def pupils(tx: Writer, schools: Sequence[UUID], org: UUID) -> Mapping[tuple[UUID, str], Row]:
    """The pupils of schools (id, person_no), by school and by the reference that an organisation has for them."""
    rows = await tx.rows(_PUPILS, {"schools": list(schools), "org": org})
    return {(row["school_id"], row["external_ref"]): row for row in rows}


# --- generating -------------------------------------------------------------------------------------

_WITH_ROLLS = text("SELECT school_id FROM school_states WHERE school_id = ANY (:schools)").bindparams(_IDS)
_GROWN = ("organisations", "memberships", "employers", "persons", "enrolments", "nc_years", "characteristics",
          "encounters", "ledger_entries", "balances", "yearly_balances", "summaries", "school_states", "slots", "sittings",
          "open_slots", "bookings", "participations", "participation_sittings", "costs")  # fmt: skip


async def schools_between(tx: Door, first: str, last: str) -> Sequence[UUID]:
    """The active schools with URNs of a range."""
    o = organisations.c
    stmt = select(o.id).where(o.urn >= first, o.urn <= last, o.status == "active")
    return [row["id"] for row in await tx.rows(stmt)]


async def with_rolls(tx: Door, schools: Sequence[UUID]) -> set[UUID]:
    """Those of these schools whose roll is there."""
    return {row["school_id"] for row in await tx.rows(_WITH_ROLLS, {"schools": list(schools)})}


async def analyse(tx: Writer) -> None:
    """Let the planner know how large the tables have become, however long it takes."""
    await tx.run(text("SET LOCAL statement_timeout = 0"))
    for name in _GROWN:
        await tx.run(text(f"ANALYZE {name}"))
