"""The statements of the ledger. Whoever writes locks the balances of the pupils first, in the order of their ids."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.ledger.tables import balances, dated_policies, ledger_entries, yearly_balances

_UUID = PG_UUID(as_uuid=True)
_UUIDS = ARRAY(_UUID)
_REBUILD = 7310003

# Makes the balances that are missing and locks all of them: from here on nobody else moves these pupils' minutes.
# A rebuild of the school waits for us, and we for it.
_LOCK = text(
    f"""
    WITH given AS (
      SELECT enrolment_id, school_id, person_no
        FROM jsonb_to_recordset(:pupils) AS g (enrolment_id uuid, school_id uuid, person_no integer)
       UNION
      SELECT enrolment_id, school_id, person_no FROM ledger_entries WHERE encounter_id = ANY (:encounters)
    ), calm AS MATERIALIZED (
      SELECT pg_advisory_xact_lock_shared({_REBUILD}, hashtext(s.school_id::text))
        FROM (SELECT DISTINCT school_id FROM given ORDER BY school_id) s
    )
    INSERT INTO balances (enrolment_id, school_id, person_no)
    SELECT g.enrolment_id, g.school_id, g.person_no FROM given g WHERE (SELECT count(*) FROM calm) > 0
     ORDER BY g.enrolment_id
    ON CONFLICT (enrolment_id) DO UPDATE SET updated_at = now()
    RETURNING enrolment_id
    """
).bindparams(bindparam("pupils", type_=JSONB), bindparam("encounters", type_=_UUIDS))

_OPEN = text(
    """
    SELECT l.* FROM ledger_entries l
     WHERE l.encounter_id = ANY (:encounters) AND l.entry <> 'reversal'
       AND NOT EXISTS (SELECT 1 FROM ledger_entries r WHERE r.encounter_id = l.encounter_id AND r.reverses_id = l.id)
     ORDER BY l.id
    """
).bindparams(bindparam("encounters", type_=_UUIDS))

_ADD = text(
    """
    INSERT INTO ledger_entries (academic_year, id, school_id, enrolment_id, person_no, encounter_id, entry, reverses_id,
           on_date, nc_year, kind, mode, in_person_minutes, virtual_minutes, bm5, bm6, employer_id, happened_at)
    SELECT academic_year, id, school_id, enrolment_id, person_no, encounter_id, entry, reverses_id, on_date, nc_year,
           kind, mode, in_person_minutes, virtual_minutes, bm5, bm6, employer_id, happened_at
      FROM jsonb_to_recordset(:entries) AS g (academic_year integer, id uuid, school_id uuid, enrolment_id uuid,
           person_no integer, encounter_id uuid, entry text, reverses_id uuid, on_date date, nc_year text, kind text,
           mode text, in_person_minutes integer, virtual_minutes integer, bm5 boolean, bm6 boolean, employer_id uuid,
           happened_at timestamptz)
    """
).bindparams(bindparam("entries", type_=JSONB))

# What each encounter comes to on each day, reversals taken off: `net` is 1 for a credit that stands, 0 for none.
_NET = """
    SELECT l.enrolment_id, l.school_id, l.person_no, l.encounter_id, l.academic_year, l.on_date, l.nc_year, l.kind,
           sum(l.in_person_minutes)::integer AS in_person, sum(l.virtual_minutes)::integer AS virtual,
           sum(s.sign)::integer AS net, sum(s.sign * l.bm5::integer)::integer AS bm5,
           sum(s.sign * l.bm6::integer)::integer AS bm6,
           (SELECT e.date_of_birth FROM enrolments e WHERE e.id = l.enrolment_id) AS date_of_birth
      FROM ledger_entries l
     CROSS JOIN LATERAL (SELECT CASE l.entry WHEN 'reversal' THEN -1 ELSE 1 END AS sign) s
     WHERE {which}
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
     ORDER BY l.enrolment_id, l.on_date, l.encounter_id
"""
_NET_OF_PUPILS = text(_NET.format(which="l.enrolment_id = ANY (:pupils)")).bindparams(
    bindparam("pupils", type_=_UUIDS)
)
_NET_OF_SCHOOL = text(_NET.format(which="l.school_id = :school")).bindparams(bindparam("school", type_=_UUID))

# Balances, balances by year and summaries in one statement. Summaries move by what the yearly balances move.
_WRITE = text(
    """
    WITH new AS (
      SELECT * FROM jsonb_to_recordset(:yearly) AS n (enrolment_id uuid, academic_year integer, school_id uuid,
             person_no integer, nc_year text, kind text, minutes integer, virtual_minutes integer, encounters integer,
             days integer, bm5 integer, bm6 integer)
    ), moved AS (
      SELECT n.school_id, n.academic_year, n.nc_year, n.kind,
             sum(n.encounters - coalesce(y.encounters, 0)) AS encounters,
             sum(n.minutes - coalesce(y.minutes, 0)) AS minutes,
             sum(n.virtual_minutes - coalesce(y.virtual_minutes, 0)) AS virtual_minutes,
             sum(n.bm5 - coalesce(y.bm5, 0)) AS bm5, sum(n.bm6 - coalesce(y.bm6, 0)) AS bm6
        FROM new n
        LEFT JOIN yearly_balances y ON y.enrolment_id = n.enrolment_id AND y.academic_year = n.academic_year
                                   AND y.nc_year = n.nc_year AND y.kind = n.kind
       GROUP BY 1, 2, 3, 4
    ), pupil AS (
      UPDATE balances b
         SET minutes = g.minutes, virtual_minutes = g.virtual_minutes, activity_minutes = g.activity_minutes,
             placement_minutes = g.placement_minutes, days = g.days, encounters = g.encounters, bm5 = g.bm5,
             bm6 = g.bm6, first_on = g.first_on, last_on = g.last_on, updated_at = now()
        FROM jsonb_to_recordset(:balances) AS g (enrolment_id uuid, minutes integer, virtual_minutes integer,
             activity_minutes integer, placement_minutes integer, days integer, encounters integer, bm5 integer,
             bm6 integer, first_on date, last_on date)
       WHERE b.enrolment_id = g.enrolment_id
    ), year AS (
      INSERT INTO yearly_balances AS y (enrolment_id, academic_year, school_id, person_no, nc_year, kind, minutes,
             virtual_minutes, encounters, days, bm5, bm6)
      SELECT enrolment_id, academic_year, school_id, person_no, nc_year, kind, minutes, virtual_minutes, encounters,
             days, bm5, bm6 FROM new ORDER BY 1, 2, 5, 6
      ON CONFLICT (enrolment_id, academic_year, nc_year, kind) DO UPDATE
         SET minutes = excluded.minutes, virtual_minutes = excluded.virtual_minutes, days = excluded.days,
             encounters = excluded.encounters, bm5 = excluded.bm5, bm6 = excluded.bm6
    )
    INSERT INTO summaries AS s (school_id, academic_year, nc_year, kind, encounters, minutes, virtual_minutes, bm5, bm6)
    SELECT school_id, academic_year, nc_year, kind, encounters, minutes, virtual_minutes, bm5, bm6
      FROM moved ORDER BY 1, 2, 3, 4
    ON CONFLICT (school_id, academic_year, nc_year, kind) DO UPDATE
       SET encounters = s.encounters + excluded.encounters, minutes = s.minutes + excluded.minutes,
           virtual_minutes = s.virtual_minutes + excluded.virtual_minutes,
           bm5 = s.bm5 + excluded.bm5, bm6 = s.bm6 + excluded.bm6
    """
).bindparams(bindparam("yearly", type_=JSONB), bindparam("balances", type_=JSONB))

_ALONE = text(f"SELECT pg_advisory_xact_lock({_REBUILD}, hashtext(CAST(:school AS text)))").bindparams(
    bindparam("school", type_=Text)
)
_CLEAR = text(
    """
    WITH b AS (
      UPDATE balances SET minutes = 0, virtual_minutes = 0, activity_minutes = 0, placement_minutes = 0, days = 0,
             encounters = 0, bm5 = 0, bm6 = 0, first_on = NULL, last_on = NULL, updated_at = now()
       WHERE school_id = :school
    ), y AS (
      UPDATE yearly_balances SET minutes = 0, virtual_minutes = 0, encounters = 0, days = 0, bm5 = 0, bm6 = 0
       WHERE school_id = :school
    )
    UPDATE summaries SET encounters = 0, minutes = 0, virtual_minutes = 0, bm5 = 0, bm6 = 0 WHERE school_id = :school
    """
).bindparams(bindparam("school", type_=_UUID))


async def lock(tx: Writer, pupils: Sequence[Mapping[str, Any]], encounters: Sequence[UUID]) -> list[UUID]:
    """Lock the balances of these pupils and of those with entries of these encounters; gives their ids."""
    rows = await tx.rows(_LOCK, {"pupils": [dict(one) for one in pupils], "encounters": list(encounters)})
    return [row["enrolment_id"] for row in rows]


async def open_credits(tx: Door, encounters: Sequence[UUID]) -> Sequence[Row]:
    """The entries of these encounters that nothing has reversed."""
    return await tx.rows(_OPEN, {"encounters": list(encounters)})


async def add(tx: Writer, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append entries."""
    await tx.run(_ADD, {"entries": [dict(one) for one in entries]})


async def net(tx: Door, pupils: Sequence[UUID]) -> Sequence[Row]:
    """What pupils' encounters come to by day, pupil by pupil in the order of days."""
    return await tx.rows(_NET_OF_PUPILS, {"pupils": list(pupils)})


async def net_of_school(tx: Door, school_id: UUID) -> Sequence[Row]:
    """The same of a whole school."""
    return await tx.rows(_NET_OF_SCHOOL, {"school": school_id})


async def write(tx: Writer, pupils: Sequence[Mapping[str, Any]], yearly: Sequence[Mapping[str, Any]]) -> None:
    """Set the balances of locked pupils, and move the summaries by the difference."""
    await tx.run(_WRITE, {"balances": [dict(one) for one in pupils], "yearly": [dict(one) for one in yearly]})


async def alone(tx: Writer, school_id: UUID) -> None:
    """Wait until nobody credits this school, and let nobody until the transaction ends."""
    await tx.run(_ALONE, {"school": str(school_id)})


async def clear(tx: Writer, school_id: UUID) -> None:
    """Set every balance and summary of a school to nothing; its ledger stays."""
    await tx.run(_CLEAR, {"school": school_id})


async def policies(tx: Door) -> Sequence[Row]:
    """The entitlement policies kept as dated data."""
    kept = dated_policies.c
    return await tx.rows(
        select(kept.starts_on, kept.ends_on, kept.body)
        .where(kept.topic == "entitlement")
        .order_by(kept.starts_on)
    )


async def page(tx: Door, *, school_id: UUID, pupil_id: UUID, after: UUID | None, limit: int) -> Sequence[Row]:
    """One pupil's entries in the order they were made, one row more than `limit` if there is a next page."""
    entry = ledger_entries.c
    stmt = select(ledger_entries).where(entry.enrolment_id == pupil_id, entry.school_id == school_id)
    if after:
        stmt = stmt.where(entry.id > after)
    return await tx.rows(stmt.order_by(entry.id).limit(limit + 1))


async def balance(tx: Door, *, school_id: UUID, pupil_id: UUID) -> Row | None:
    """One pupil's balance, if anything was ever credited."""
    mine = balances.c.enrolment_id == pupil_id
    return await tx.one_or_none(select(balances).where(mine, balances.c.school_id == school_id))


async def years(tx: Door, *, school_id: UUID, pupil_id: UUID) -> Sequence[Row]:
    """One pupil's balances by academic year, NC year and kind."""
    year = yearly_balances.c
    stmt = select(yearly_balances).where(year.enrolment_id == pupil_id, year.school_id == school_id)
    return await tx.rows(stmt.order_by(year.academic_year, year.nc_year, year.kind))


# --- history, by COPY -----------------------------------------------------------------------------

ENTRY_COLUMNS = ("academic_year", "id", "school_id", "enrolment_id", "person_no", "encounter_id", "entry", "on_date",
                 "nc_year", "kind", "mode", "in_person_minutes", "virtual_minutes", "bm5", "bm6", "employer_id",
                 "happened_at")  # fmt: skip
_BALANCE = ("enrolment_id", "school_id", "person_no", "minutes", "virtual_minutes", "activity_minutes",
            "placement_minutes", "days", "encounters", "bm5", "bm6", "first_on", "last_on")  # fmt: skip
_YEARLY = ("enrolment_id", "academic_year", "school_id", "person_no", "nc_year", "kind", "minutes", "virtual_minutes",
           "encounters", "days", "bm5", "bm6")  # fmt: skip

_CALM = text(
    f"SELECT pg_advisory_xact_lock_shared({_REBUILD}, hashtext(s::text)) FROM unnest(CAST(:schools AS uuid[])) s"
).bindparams(bindparam("schools", type_=_UUIDS))

_SUMMARISE = text(
    """
    INSERT INTO summaries AS s (school_id, academic_year, nc_year, kind, encounters, minutes, virtual_minutes, bm5, bm6)
    SELECT school_id, academic_year, nc_year, kind, encounters, minutes, virtual_minutes, bm5, bm6
      FROM jsonb_to_recordset(:rows) AS n (school_id uuid, academic_year integer, nc_year text, kind text,
           encounters integer, minutes integer, virtual_minutes integer, bm5 integer, bm6 integer) ORDER BY 1, 2, 3, 4
    ON CONFLICT (school_id, academic_year, nc_year, kind) DO UPDATE
       SET encounters = s.encounters + excluded.encounters, minutes = s.minutes + excluded.minutes,
           virtual_minutes = s.virtual_minutes + excluded.virtual_minutes,
           bm5 = s.bm5 + excluded.bm5, bm6 = s.bm6 + excluded.bm6
    """
).bindparams(bindparam("rows", type_=JSONB))


async def keep_calm(tx: Writer, schools: Sequence[UUID]) -> None:
    """Wait for a rebuild of these schools, and let none begin until the transaction ends."""
    await tx.run(_CALM, {"schools": list(schools)})


async def copy_history(
    tx: Writer,
    entries: Sequence[Sequence[Any]],
    pupils: Sequence[Mapping[str, Any]],
    yearly: Sequence[Mapping[str, Any]],
    summed: Sequence[Mapping[str, Any]],
) -> None:
    """Add entries (in the order of ENTRY_COLUMNS), the balances that are not there yet, and to the summaries."""
    await tx.copy_in(ledger_entries, ENTRY_COLUMNS, entries)
    await tx.copy_in(balances, _BALANCE, map(itemgetter(*_BALANCE), pupils))
    await tx.copy_in(yearly_balances, _YEARLY, map(itemgetter(*_YEARLY), yearly))
    await tx.run(_SUMMARISE, {"rows": [dict(one) for one in summed]})
