"""The statements of attendance and encounters. Whoever writes about a visit has locked its booking first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled
from app.encounters.tables import (
    attendance_reports,
    encounter_keys,
    encounter_versions,
    encounters,
    no_shows,
)

_UUID = PG_UUID(as_uuid=True)
_UUIDS = ARRAY(_UUID)
_MOMENT = TIMESTAMP(timezone=True)

# --- the day itself ------------------------------------------------------------------------------

# Every participant at every sitting of one booking, with all that was said and the latest no-show.
_DAY = text(
    """
    SELECT t.id, t.participation_id, t.booking_id, t.sitting_id, t.school_id, t.employer_id,
           lower(t.during) AS starts_at, upper(t.during) AS ends_at, t.break_minutes, t.virtual, t.status,
           t.arrived_at, t.left_at, t.minutes, t.disputed, p.enrolment_id, p.person_no, p.nc_year, p.state,
           p.criteria_confirmed, coalesce(m.overdue_at IS NOT NULL AND m.cleared_at IS NULL, false) AS overdue,
           coalesce(m.closed_at IS NOT NULL, false) AS closed,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('reporter', r.reporter, 'status', r.status,
                     'arrived_at', r.arrived_at, 'left_at', r.left_at, 'decides', r.decides,
                     'reported_at', r.reported_at) ORDER BY r.id), '[]')
              FROM attendance_reports r WHERE r.participation_sitting_id = t.id) AS reports,
           n.id AS no_show_id, n.resolution, n.resolved_at
      FROM participation_sittings t
      JOIN participations p ON p.id = t.participation_id AND p.state <> 'withdrawn'
      LEFT JOIN sitting_marks m ON m.booking_id = t.booking_id AND m.sitting_id = t.sitting_id
      LEFT JOIN LATERAL (SELECT s.id, s.resolution, s.resolved_at FROM no_shows s
                          WHERE s.booking_id = t.booking_id AND s.participation_sitting_id = t.id
                          ORDER BY s.id DESC LIMIT 1) n ON true
     WHERE t.booking_id = :booking
     ORDER BY lower(t.during), t.sitting_id, t.participation_id
    """
).bindparams(bindparam("booking", type_=_UUID))

_REPORT = text(
    """
    WITH said AS (
      INSERT INTO attendance_reports (id, participation_sitting_id, booking_id, school_id, employer_id, reporter,
             client_id, status, arrived_at, left_at, decides, reported_at)
      SELECT id, participation_sitting_id, booking_id, school_id, employer_id, reporter, client_id, status, arrived_at,
             left_at, decides, reported_at
        FROM jsonb_to_recordset(:reports) AS g (id uuid, participation_sitting_id uuid, booking_id uuid,
             school_id uuid, employer_id uuid, reporter text, client_id uuid, status text, arrived_at timestamptz,
             left_at timestamptz, decides boolean, reported_at timestamptz)
    )
    UPDATE participation_sittings t
       SET status = g.status, arrived_at = g.arrived_at, left_at = g.left_at, minutes = g.minutes,
           disputed = g.disputed, version = t.version + 1, updated_at = now()
      FROM jsonb_to_recordset(:standings) AS g (id uuid, status text, arrived_at timestamptz, left_at timestamptz,
           minutes integer, disputed boolean)
     WHERE t.id = g.id
    """
).bindparams(bindparam("reports", type_=JSONB), bindparam("standings", type_=JSONB))

_OPEN_NO_SHOWS = text(
    """
    INSERT INTO no_shows (id, participation_sitting_id, participation_id, booking_id, school_id, employer_id, opened_at,
           opened_by)
    SELECT id, participation_sitting_id, participation_id, booking_id, school_id, employer_id, opened_at, opened_by
      FROM jsonb_to_recordset(:rows) AS g (id uuid, participation_sitting_id uuid, participation_id uuid,
           booking_id uuid, school_id uuid, employer_id uuid, opened_at timestamptz, opened_by text)
    """
).bindparams(bindparam("rows", type_=JSONB))

_RESOLVE = text(
    """
    UPDATE no_shows n SET resolution = g.resolution, resolved_at = :now, resolved_by = app.caller(),
           note = coalesce(g.note, n.note)
      FROM jsonb_to_recordset(:rows) AS g (id uuid, resolution text, note text)
     WHERE n.id = g.id
    """
).bindparams(bindparam("rows", type_=JSONB), bindparam("now", type_=_MOMENT))

_CLEAR_ALARM = text(
    """
    WITH cleared AS (
      UPDATE sitting_marks SET cleared_at = :now
       WHERE booking_id = :booking AND sitting_id = ANY (:sittings) AND overdue_at IS NOT NULL AND cleared_at IS NULL
      RETURNING school_id
    )
    UPDATE school_states s SET attendance_overdue = greatest(0, s.attendance_overdue - c.count), updated_at = now()
      FROM (SELECT school_id, count(*) AS count FROM cleared GROUP BY 1) c WHERE s.school_id = c.school_id
    """
).bindparams(
    bindparam("now", type_=_MOMENT), bindparam("booking", type_=_UUID), bindparam("sittings", type_=_UUIDS)
)

_CLOSE = text(
    """
    INSERT INTO sitting_marks AS m (booking_id, sitting_id, school_id, employer_id, closed_at, closed_by, reason_code)
    VALUES (:booking, :sitting, :school, :employer, :now, app.caller(), :reason)
    ON CONFLICT (booking_id, sitting_id) DO UPDATE
       SET closed_at = excluded.closed_at, closed_by = excluded.closed_by, reason_code = excluded.reason_code
    """
).bindparams(
    *(bindparam(name, type_=_UUID) for name in ("booking", "sitting", "school", "employer")),
    bindparam("now", type_=_MOMENT),
    bindparam("reason", type_=Text),
)

_ACT = select(func.app.act_on_booking(bindparam("booking", type_=_UUID)))
_VISIT = text(
    "SELECT kind, mode, activity_band, criteria, title, employer_name FROM app.visit_of(:booking)"
).bindparams(bindparam("booking", type_=_UUID))

_OUTCOMES = text(
    """
    UPDATE participations p SET state = g.state, version = p.version + 1, updated_at = now()
      FROM jsonb_to_recordset(:rows) AS g (id uuid, state text)
     WHERE p.id = g.id AND p.state <> g.state
    """
).bindparams(bindparam("rows", type_=JSONB))


async def day(tx: Door, booking_id: UUID) -> list[dict[str, Any]]:
    """Every participant at every sitting of a booking, in the order of sittings."""
    return [dict(row) for row in await tx.rows(_DAY, {"booking": booking_id})]


async def booking_known(tx: Door, booking_id: UUID) -> bool:
    """Whether a booking is the caller's."""
    stmt = text("SELECT 1 FROM bookings WHERE id = :booking").bindparams(bindparam("booking", type_=_UUID))
    return bool(await tx.value(stmt, {"booking": booking_id}))


async def report(
    tx: Writer, reports: Sequence[Mapping[str, Any]], standings: Sequence[Mapping[str, Any]]
) -> None:
    """Append reports, and set what is held true now."""
    await tx.run(_REPORT, {"reports": list(reports), "standings": list(standings)})


async def open_no_shows(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Open no-shows."""
    await tx.run(_OPEN_NO_SHOWS, {"rows": list(rows)})


async def resolve_no_shows(tx: Writer, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Resolve no-shows (id, resolution, note)."""
    await tx.run(_RESOLVE, {"rows": list(rows), "now": now})


async def clear_alarm(tx: Writer, booking_id: UUID, sittings: Sequence[UUID], now: datetime) -> None:
    """Take back the alarm over these sittings; `attendance_overdue` of the school goes down with it."""
    await tx.run(_CLEAR_ALARM, {"booking": booking_id, "sittings": list(sittings), "now": now})


async def close_sitting(
    tx: Writer, booking: Row, sitting_id: UUID, reason: str | None, now: datetime
) -> None:
    """Write down that a sitting of a booking did not take place."""
    ids = {"booking": booking["id"], "school": booking["school_id"], "employer": booking["employer_id"]}
    await tx.run(_CLOSE, {**ids, "sitting": sitting_id, "reason": reason, "now": now})


async def act_on_booking(tx: Writer, booking_id: UUID) -> None:
    """From here on the caller acts on both sides of its booking: an employer's report moves a school's records."""
    await tx.run(_ACT, {"booking": booking_id})


async def visit(tx: Writer, booking_id: UUID) -> Row:
    """What was visited: kind, mode, band, criteria offered, title, employer's name. Acts on the booking, too."""
    return await tx.one_or_none(_VISIT, {"booking": booking_id}) or {}


async def set_outcomes(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set participations to `attended` or `absent`."""
    await tx.run(_OUTCOMES, {"rows": list(rows)})


async def no_show(tx: Door, no_show_id: UUID) -> Row | None:
    """One no-show of the caller's."""
    return await tx.one_or_none(select(no_shows).where(no_shows.c.id == no_show_id))


async def no_show_page(
    tx: Door,
    *,
    school_id: UUID | None,
    employer_id: UUID | None,
    only_open: bool | None,
    pull: Pull,
) -> Sequence[Row]:
    """A page of one side's no-shows, as `core.sql.pulled` gives them."""
    stmt = select(no_shows)
    if employer_id:
        stmt = stmt.where(no_shows.c.employer_id == employer_id)
    elif school_id:
        stmt = stmt.where(no_shows.c.school_id == school_id)
    else:
        stmt = stmt.where(no_shows.c.school_id == func.any(func.app.schools()))
    if only_open is not None:
        unresolved = no_shows.c.resolution.is_(None)
        stmt = stmt.where(unresolved if only_open else ~unresolved)
    return await tx.rows(pulled(stmt, no_shows, pull))


# --- encounters ------------------------------------------------------------------------------------

_COLUMNS = """academic_year integer, id uuid, school_id uuid, enrolment_id uuid, person_no integer,
           participation_id uuid, booking_id uuid, employer_id uuid, employer_name text, title text, kind text,
           mode text, activity_band text, starts_on date, ends_on date, nc_year text, in_person_minutes integer,
           virtual_minutes integer, days integer, criteria_offered text[], criteria_confirmed text[],
           bm5_offered boolean, bm5 boolean, bm6_offered boolean, bm6 boolean, evidence jsonb, per_day jsonb,
           state text"""
_ALL = tuple(one.split()[0] for one in _COLUMNS.split(","))
_NAMES = ", ".join(_ALL)

# `encounter_keys` is what makes it one per participation, whatever partition it lies in.
_ADD = text(
    f"""
    WITH given AS (SELECT * FROM jsonb_to_recordset(:rows) AS g ({_COLUMNS})), keys AS (
      INSERT INTO encounter_keys (participation_id, school_id, encounter_id, academic_year)
      SELECT participation_id, school_id, id, academic_year FROM given WHERE participation_id IS NOT NULL
    )
    INSERT INTO encounters ({_NAMES}, recorded_by)
    SELECT {_NAMES}, app.caller() FROM given RETURNING *
    """
).bindparams(bindparam("rows", type_=JSONB))

_CHANGED = (
    "employer_id",
    "employer_name",
    "title",
    "kind",
    "mode",
    "activity_band",
    "starts_on",
    "ends_on",
    "nc_year",
    "in_person_minutes",
    "virtual_minutes",
    "days",
    "criteria_offered",
    "criteria_confirmed",
    "bm5_offered",
    "bm5",
    "bm6_offered",
    "bm6",
    "evidence",
    "per_day",
    "state",
)
_KEEP_VERSIONS = text(
    """
    INSERT INTO encounter_versions (id, encounter_id, academic_year, school_id, version, was, reason, client_id)
    SELECT g.id, e.id, e.academic_year, e.school_id, e.version, to_jsonb(e), :reason, app.caller()
      FROM jsonb_to_recordset(:rows) AS g (id uuid, academic_year integer, encounter_id uuid)
      JOIN encounters e ON e.academic_year = g.academic_year AND e.id = g.encounter_id
    """
).bindparams(bindparam("rows", type_=JSONB), bindparam("reason", type_=Text))
_CHANGE = text(
    f"""
    UPDATE encounters e SET {", ".join(f"{name} = g.{name}" for name in _CHANGED)}, version = e.version + 1,
           updated_at = now()
      FROM jsonb_to_recordset(:rows) AS g ({_COLUMNS})
     WHERE e.academic_year = g.academic_year AND e.id = g.id
    RETURNING e.*
    """
).bindparams(bindparam("rows", type_=JSONB))

_CONFIRM = text(
    """
    UPDATE participations p SET criteria_confirmed = :criteria, criteria_confirmed_at = :now, version = p.version + 1,
           updated_at = now()
     WHERE p.id = ANY (:ids)
       AND (p.criteria_confirmed_at IS NULL
            OR NOT (p.criteria_confirmed @> :criteria AND p.criteria_confirmed <@ :criteria))
    """
).bindparams(
    bindparam("criteria", type_=ARRAY(Text)), bindparam("now", type_=_MOMENT), bindparam("ids", type_=_UUIDS)
)

# Pupils of a school by our id or by the caller's own reference, with their NC years as the MIS sent them.
_PUPILS = text(
    """
    SELECT e.id, e.person_no, e.date_of_birth, e.state, r.external_ref,
           (SELECT coalesce(jsonb_object_agg(y.academic_year, y.nc_year), '{}') FROM nc_years y
             WHERE y.enrolment_id = e.id) AS nc_years
      FROM enrolments e
      LEFT JOIN pupil_refs r ON r.enrolment_id = e.id AND r.school_id = e.school_id AND r.org_id = app.org()
                            AND r.external_ref = ANY (:refs)
     WHERE e.school_id = :school AND (e.id = ANY (:ids) OR r.external_ref IS NOT NULL)
    """
).bindparams(
    bindparam("school", type_=_UUID), bindparam("ids", type_=_UUIDS), bindparam("refs", type_=ARRAY(Text))
)

_TAKE_REFS = text(
    """
    INSERT INTO encounter_refs (school_id, org_id, external_ref, encounter_id, academic_year)
    SELECT :school, app.org(), g.external_ref, g.encounter_id, g.academic_year
      FROM jsonb_to_recordset(:rows) AS g (external_ref text, encounter_id uuid, academic_year integer)
     ORDER BY g.external_ref
    ON CONFLICT DO NOTHING RETURNING external_ref
    """
).bindparams(bindparam("school", type_=_UUID), bindparam("rows", type_=JSONB))

_PLANNED = text(
    """
    SELECT b.id AS booking_id, b.kind, min(lower(t.during)) AS starts_at, max(upper(t.during)) AS ends_at,
           sum(extract(epoch FROM upper(t.during) - lower(t.during))::integer / 60 - t.break_minutes)::integer AS minutes
      FROM participations p
      JOIN participation_sittings t ON t.participation_id = p.id AND t.active
      JOIN bookings b ON b.id = p.booking_id AND b.state = 'confirmed'
     WHERE p.enrolment_id = :pupil AND p.school_id = :school AND p.state = 'named'
     GROUP BY b.id, b.kind ORDER BY 3, 1
    """
).bindparams(bindparam("pupil", type_=_UUID), bindparam("school", type_=_UUID))

_PUPIL = text(
    """
    SELECT e.id, e.date_of_birth, (SELECT y.nc_year FROM nc_years y WHERE y.enrolment_id = e.id AND y.academic_year = :year)
           AS nc_year
      FROM enrolments e WHERE e.id = :pupil AND e.school_id = :school
    """
).bindparams(
    bindparam("pupil", type_=_UUID), bindparam("school", type_=_UUID), bindparam("year", type_=Integer)
)


async def add(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> Sequence[Row]:
    """Insert encounters (with their keys, where they come from a participation) and give them back."""
    return await tx.rows(_ADD, {"rows": list(rows)})


async def add_past(
    tx: Writer,
    rows: Sequence[Mapping[str, Any]],
    *,
    reports: Sequence[Mapping[str, Any]] = (),
    missing: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Copy encounters of the past with their keys, and what was reported and who was missing on their days."""
    await tx.copy_rows(attendance_reports, reports)
    await tx.copy_rows(no_shows, missing)
    keyed = ("participation_id", "school_id", "academic_year")
    came_from = [
        {**{name: row[name] for name in keyed}, "encounter_id": row["id"]}
        for row in rows
        if row["participation_id"]
    ]
    await tx.copy_rows(encounter_keys, came_from)
    await tx.copy_rows(encounters, rows)


async def change(
    tx: Writer, rows: Sequence[Mapping[str, Any]], versions: Sequence[Mapping[str, Any]], reason: str | None
) -> Sequence[Row]:
    """Keep what locked encounters said, then set them; gives them back."""
    await tx.run(_KEEP_VERSIONS, {"rows": list(versions), "reason": reason})
    # plain keys: those of a row that was read are SQLAlchemy's own kind of text, which JSON writers refuse
    return await tx.rows(_CHANGE, {"rows": [{name: row[name] for name in _ALL} for row in rows]})


async def of_booking(tx: Writer, booking_id: UUID) -> Sequence[Row]:
    """The encounters of a booking, locked, in the order of their ids."""
    stmt = select(encounters).where(encounters.c.booking_id == booking_id)
    return await tx.rows(stmt.order_by(encounters.c.id).with_for_update())


async def lock(tx: Writer, encounter_id: UUID) -> Row | None:
    """One encounter of the caller's schools, locked."""
    return await tx.one_or_none(_one(encounter_id).with_for_update())


async def by_id(tx: Door, encounter_id: UUID) -> Row | None:
    """One encounter of the caller's schools."""
    return await tx.one_or_none(_one(encounter_id))


def _one(encounter_id: UUID) -> Any:  # noqa: ANN401
    mine = encounters.c.school_id == func.any(func.app.schools())
    return select(encounters).where(mine, encounters.c.id == encounter_id)


async def versions(tx: Door, encounter_id: UUID) -> Sequence[Row]:
    """What an encounter said before each correction, oldest first."""
    kept = encounter_versions.c
    return await tx.rows(
        select(kept.version, kept.was, kept.reason, kept.client_id, kept.recorded_at)
        .where(kept.encounter_id == encounter_id)
        .order_by(kept.version)
    )


async def page(
    tx: Door,
    *,
    school_id: UUID | None,
    pupil_id: UUID | None,
    booking_id: UUID | None,
    starts_from: date | None,
    starts_to: date | None,
    pull: Pull,
) -> Sequence[Row]:
    """A page of encounters, as `core.sql.pulled` gives them."""
    one = encounters.c
    mine = one.school_id == school_id if school_id else one.school_id == func.any(func.app.schools())
    stmt = select(encounters).where(mine)
    if pupil_id:
        stmt = stmt.where(one.enrolment_id == pupil_id)
    if booking_id:
        stmt = stmt.where(one.booking_id == booking_id)
    if starts_from:
        # the first academic year that can hold such a date: prunes partitions
        stmt = stmt.where(one.starts_on >= starts_from, one.academic_year >= starts_from.year - 1)
    if starts_to:
        stmt = stmt.where(one.starts_on <= starts_to, one.academic_year <= starts_to.year)
    return await tx.rows(pulled(stmt, encounters, pull))


async def confirm(tx: Writer, ids: Sequence[UUID], criteria: Sequence[str], now: datetime) -> None:
    """Write the criteria that the school confirmed on participations."""
    await tx.run(_CONFIRM, {"ids": list(ids), "criteria": list(criteria), "now": now})


async def pupils(tx: Door, school_id: UUID, ids: Sequence[UUID], refs: Sequence[str]) -> Sequence[Row]:
    """Pupils of a school with date of birth and NC years by academic year (a JSON object)."""
    return await tx.rows(_PUPILS, {"school": school_id, "ids": list(ids), "refs": list(refs)})


async def reaches(tx: Door, school_id: UUID) -> bool:
    """Whether the caller reaches the pupils of a school."""
    stmt = text("SELECT :school = ANY (app.schools())").bindparams(bindparam("school", type_=_UUID))
    return bool(await tx.value(stmt, {"school": school_id}))


async def take_refs(tx: Writer, school_id: UUID, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Take the caller's own references for new encounters; gives those that were free."""
    taken = await tx.rows(_TAKE_REFS, {"school": school_id, "rows": list(rows)})
    return {row["external_ref"] for row in taken}


async def employers_known(tx: Door, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The names of employers that there are."""
    stmt = text("SELECT id, name FROM organisations WHERE kind = 'employer' AND id = ANY (:ids)").bindparams(
        bindparam("ids", type_=_UUIDS)
    )
    return {row["id"]: row["name"] for row in await tx.rows(stmt, {"ids": list(ids)})}


async def pupil(tx: Door, school_id: UUID, pupil_id: UUID, year: int) -> Row | None:
    """One pupil of a school: date of birth, and the NC year in an academic year."""
    return await tx.one_or_none(_PUPIL, {"school": school_id, "pupil": pupil_id, "year": year})


async def planned(tx: Door, school_id: UUID, pupil_id: UUID) -> Sequence[Row]:
    """A pupil's confirmed bookings that have not been settled, with their planned minutes."""
    return await tx.rows(_PLANNED, {"school": school_id, "pupil": pupil_id})


async def judged(tx: Door, school_id: UUID, pupil_id: UUID) -> Sequence[Row]:
    """What the benchmarks ask of a pupil's standing encounters."""
    one = encounters.c
    stmt = select(one.starts_on, one.kind, one.mode, one.criteria_offered, one.criteria_confirmed)
    return await tx.rows(
        stmt.where(one.enrolment_id == pupil_id, one.school_id == school_id, one.state == "credited")
    )


# --- what the worker looks for ---------------------------------------------------------------------

_SILENT = text(
    """
    SELECT DISTINCT b.id AS booking_id, t.sitting_id, lower(t.during) AS starts_at
      FROM bookings b JOIN participation_sittings t ON t.booking_id = b.id
     WHERE b.state = 'confirmed' AND b.starts_at <= :since AND t.active AND t.status = 'expected'
       AND lower(t.during) <= :since
       AND NOT EXISTS (SELECT 1 FROM sitting_marks m WHERE m.booking_id = b.id AND m.sitting_id = t.sitting_id
                          AND m.overdue_at IS NOT NULL)
     ORDER BY 3, 1 LIMIT :most
    """
).bindparams(bindparam("since", type_=_MOMENT), bindparam("most", type_=BigInteger))
_RAISE = text(
    """
    WITH mark AS (
      INSERT INTO sitting_marks AS m (booking_id, sitting_id, school_id, employer_id, overdue_at)
      VALUES (:booking, :sitting, :school, :employer, :now)
      ON CONFLICT (booking_id, sitting_id) DO UPDATE SET overdue_at = excluded.overdue_at WHERE m.overdue_at IS NULL
      RETURNING school_id
    ), booked AS (
      UPDATE bookings SET overdue_raised_at = :now WHERE id = :booking AND EXISTS (SELECT 1 FROM mark)
    )
    INSERT INTO school_states AS s (school_id, attendance_overdue) SELECT school_id, 1 FROM mark
    ON CONFLICT (school_id) DO UPDATE SET attendance_overdue = s.attendance_overdue + 1, updated_at = now()
    RETURNING school_id
    """
).bindparams(
    *(bindparam(name, type_=_UUID) for name in ("booking", "sitting", "school", "employer")),
    bindparam("now", type_=_MOMENT),
)
_MOOT = text(
    """
    SELECT m.booking_id, array_agg(m.sitting_id) AS sittings
      FROM sitting_marks m JOIN bookings b ON b.id = m.booking_id
     WHERE m.overdue_at IS NOT NULL AND m.cleared_at IS NULL AND b.state NOT IN ('confirmed', 'on_hold')
     GROUP BY 1 LIMIT :most
    """
).bindparams(bindparam("most", type_=BigInteger))
_TO_SETTLE = text(
    """
    SELECT b.id FROM bookings b
     WHERE b.state = 'confirmed' AND b.ends_at <= :now
       AND EXISTS (SELECT 1 FROM participation_sittings t WHERE t.booking_id = b.id AND t.status <> 'expected')
       AND NOT EXISTS (SELECT 1 FROM participation_sittings t
                        WHERE t.booking_id = b.id AND t.active
                          AND (t.disputed OR t.status IN ('expected', 'arrived')))
       AND NOT EXISTS (SELECT 1 FROM no_shows n WHERE n.booking_id = b.id AND n.resolution IS NULL)
     ORDER BY b.id LIMIT :most
    """
).bindparams(bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger))


async def silent(tx: Door, since: datetime, most: int) -> Sequence[Row]:
    """Sittings that began before `since`, with a pupil of whom nobody spoke, over which no alarm was raised."""
    return await tx.rows(_SILENT, {"since": since, "most": most})


async def raise_alarm(tx: Writer, booking: Row, sitting_id: UUID, now: datetime) -> bool:
    """Raise the alarm over one sitting; False if it has been raised already."""
    ids = {"booking": booking["id"], "school": booking["school_id"], "employer": booking["employer_id"]}
    return bool(await tx.rows(_RAISE, {**ids, "sitting": sitting_id, "now": now}))


async def moot_alarms(tx: Door, most: int) -> Sequence[Row]:
    """Alarms over bookings that no longer stand."""
    return await tx.rows(_MOOT, {"most": most})


async def to_settle(tx: Door, now: datetime, most: int) -> Sequence[UUID]:
    """Bookings that are over and reported whole, and not completed."""
    return [row["id"] for row in await tx.rows(_TO_SETTLE, {"now": now, "most": most})]


COPIED = ("academic_year", "id", "school_id", "enrolment_id", "person_no", "employer_id", "employer_name", "title",
          "kind", "mode", "starts_on", "ends_on", "nc_year", "in_person_minutes", "virtual_minutes", "days",
          "criteria_offered", "criteria_confirmed", "bm5_offered", "bm5", "bm6_offered", "bm6", "per_day",
          "recorded_by")  # fmt: skip
"""The columns of history, in the order of `copy_history`; all of it stands, none of it has a booking."""


async def copy_history(tx: Writer, rows: Iterable[Sequence[Any]]) -> int:
    """Add encounters by COPY, each a sequence in the order of COPIED; their minutes are the ledger's to bring in."""
    return await tx.copy_in(encounters, COPIED, rows)
