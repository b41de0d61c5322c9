"""The statements of the roll. A bulk of 500 pupils takes as many as a bulk of one: rows go in as one JSON document."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    Date,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    desc,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled
from app.students.tables import (
    characteristics,
    enrolments,
    identity_corrections,
    nc_years,
    persons,
    pupil_refs,
)

Rows = Sequence[Mapping[str, Any]]
_UUID = PG_UUID(as_uuid=True)
_SCHOOL = bindparam("school", type_=_UUID)
_ORG = bindparam("org", type_=_UUID)
_ROWS = bindparam("rows", type_=JSONB)

_ACCESS = text("SELECT * FROM app.pupil_access(:school)").bindparams(_SCHOOL)

# One change of a school's roll at a time: two bulks of the same new pupil would each make one.
_ACCESS_ALONE = text(
    """
    SELECT a.*, l.got IS NULL AS waited
      FROM (SELECT pg_advisory_xact_lock(hashtextextended('roll ' || CAST(:school AS text), 0)) AS got) l,
           app.pupil_access(:school) a
    """
).bindparams(_SCHOOL)

_MATCHES = text(
    """
    SELECT s.i, r.enrolment_id AS by_ref, u.id AS by_upn, f.id AS by_former
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS s (i int, ref text, upn text, former text)
      LEFT JOIN pupil_refs r ON r.school_id = :school AND r.org_id = :org AND r.external_ref = s.ref
      LEFT JOIN enrolments u ON u.school_id = :school AND u.upn_hash = decode(s.upn, 'hex')
      LEFT JOIN enrolments f ON f.school_id = :school AND f.upn_hash = decode(s.former, 'hex')
    """
).bindparams(_ROWS, _SCHOOL, _ORG)

_HELD = (
    text(
        """
    SELECT e.*,
           coalesce((SELECT jsonb_object_agg(y.academic_year, y.nc_year) FROM nc_years y
                      WHERE y.enrolment_id = e.id), '{}') AS years,
           coalesce((SELECT jsonb_agg(jsonb_build_array(c.field_group, c.value, c.valid_from)) FROM characteristics c
                      WHERE c.enrolment_id = e.id AND c.superseded_at IS NULL AND c.valid_to IS NULL), '[]') AS standing
      FROM enrolments e WHERE e.id = ANY (:ids) AND e.school_id = :school ORDER BY e.id FOR UPDATE OF e
    """
    )
    .bindparams(bindparam("ids", type_=ARRAY(_UUID)), _SCHOOL)
    .columns(years=JSONB, standing=JSONB)
)

# In the order of the number, so that two schools that send the same pupils never wait for each other in a ring.
_PERSONS = text(
    """
    SELECT s.i, p.person_id, p.person_no, p.elsewhere
      FROM (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                     AS x (i int, person_id uuid, upn text, protected boolean) ORDER BY x.upn, x.i) s
     CROSS JOIN LATERAL app.person_for(s.person_id, decode(s.upn, 'hex'), s.protected, :school) p
    """
).bindparams(_ROWS, _SCHOOL)

_SETTLED = text(
    """
    SELECT s.i, app.settle_person(s.person_id, :school, decode(s.upn, 'hex'), decode(s.was, 'hex'), s.protected) AS elsewhere
      FROM (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                     AS x (i int, person_id uuid, upn text, was text, protected boolean) ORDER BY x.upn, x.i) s
    """
).bindparams(_ROWS, _SCHOOL)

_COLUMNS = """id uuid, person_id uuid, person_no int, kind text, state text, starts_on date, ends_on date,
  upn_sealed text, upn_hash text, former_upn_hash text, given_name text, family_name text, known_as text,
  date_of_birth date, identity_protected boolean, access_needs text"""

_ADD = text(
    f"""
    INSERT INTO enrolments (id, school_id, person_id, person_no, kind, state, starts_on, ends_on, upn_sealed, upn_hash,
           former_upn_hash, given_name, family_name, known_as, date_of_birth, identity_protected, access_needs)
    SELECT id, :school, person_id, person_no, kind, state, starts_on, ends_on, decode(upn_sealed, 'hex'),
           decode(upn_hash, 'hex'), decode(former_upn_hash, 'hex'), given_name, family_name, known_as, date_of_birth,
           identity_protected, access_needs
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x ({_COLUMNS})
    """
).bindparams(_ROWS, _SCHOOL)

_CHANGE = text(
    f"""
    UPDATE enrolments e
       SET kind = x.kind, state = x.state, starts_on = x.starts_on, ends_on = x.ends_on,
           upn_sealed = decode(x.upn_sealed, 'hex'), upn_hash = decode(x.upn_hash, 'hex'),
           former_upn_hash = decode(x.former_upn_hash, 'hex'), given_name = x.given_name, family_name = x.family_name,
           known_as = x.known_as, date_of_birth = x.date_of_birth, identity_protected = x.identity_protected,
           access_needs = x.access_needs, version = e.version + 1, updated_at = now()
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x ({_COLUMNS})
     WHERE e.id = x.id AND e.school_id = :school
    """
).bindparams(_ROWS, _SCHOOL)

_REFS = text(
    """
    INSERT INTO pupil_refs (school_id, org_id, external_ref, enrolment_id)
    SELECT :school, :org, ref, enrolment_id
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x (ref text, enrolment_id uuid)
    """
).bindparams(_ROWS, _SCHOOL, _ORG)

_YEARS = text(
    """
    INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)
    SELECT enrolment_id, academic_year, :school, nc_year
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x (enrolment_id uuid, academic_year int, nc_year text)
    ON CONFLICT (enrolment_id, academic_year) DO UPDATE SET nc_year = excluded.nc_year, recorded_at = now()
    """
).bindparams(_ROWS, _SCHOOL)

# What was known stays: the rows that the new value touches are superseded, and come back cut off at its first day.
_CHARACTERISTICS = text(
    """
    WITH sent AS (
      SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
               AS x (id uuid, cut_id uuid, enrolment_id uuid, field_group text, value text, valid_from date)
    ), old AS (
      UPDATE characteristics c SET superseded_at = now() FROM sent s
       WHERE c.school_id = :school AND c.enrolment_id = s.enrolment_id AND c.field_group = s.field_group
         AND c.superseded_at IS NULL AND (c.valid_to IS NULL OR c.valid_to > s.valid_from)
      RETURNING s.cut_id, c.enrolment_id, c.field_group, c.value, c.valid_from, s.valid_from AS cut_at
    )
    INSERT INTO characteristics (id, school_id, enrolment_id, field_group, value, valid_from, valid_to)
    SELECT cut_id, :school, enrolment_id, field_group, value, valid_from, cut_at FROM old WHERE valid_from < cut_at
    UNION ALL
    SELECT id, :school, enrolment_id, field_group, value, valid_from, NULL FROM sent
    """
).bindparams(_ROWS, _SCHOOL)


_KEPT = text("SELECT app.roll_kept(:school, :complete, :groups)").bindparams(
    _SCHOOL, bindparam("complete", type_=Boolean), bindparam("groups", type_=ARRAY(Text))
)


_CORRECTIONS = text(
    """
    INSERT INTO identity_corrections (id, school_id, enrolment_id, org_id, client_id, fields, has_encounters, corrected_at)
    SELECT id, :school, enrolment_id, :org, client_id, fields, has_encounters, corrected_at
      FROM jsonb_to_recordset(CAST(:rows AS jsonb))
           AS x (id uuid, enrolment_id uuid, client_id uuid, fields text[], has_encounters boolean, corrected_at timestamptz)
    """
).bindparams(_ROWS, _SCHOOL, _ORG)

_AT_STAKE = text("SELECT id, has_encounters, elsewhere FROM app.pupils_at_stake(:school, :ids)").bindparams(
    _SCHOOL, bindparam("ids", type_=ARRAY(_UUID))
)


async def access(tx: Door, school_id: UUID, *, alone: bool = False) -> Row:
    """What the caller may do with a school's pupils; `alone` keeps other changes of this roll waiting until commit."""
    return await tx.one_or_none(_ACCESS_ALONE if alone else _ACCESS, {"school": school_id}) or {}


async def matches(tx: Writer, school_id: UUID, rows: Rows) -> Sequence[Row]:
    """Who is meant: enrolments by the caller's reference, by number, by former number. Rows: i, ref, upn, former."""
    return await tx.rows(_MATCHES, {"rows": rows, "school": school_id, "org": tx.caller.org_id})


async def held(tx: Writer, school_id: UUID, ids: Sequence[UUID]) -> Sequence[Row]:
    """Enrolments as they stand, locked in the order of id, with `years` and the `standing` characteristics."""
    return await tx.rows(_HELD, {"ids": list(ids), "school": school_id}) if ids else []


async def at_stake(tx: Writer, school_id: UUID, ids: Sequence[UUID]) -> Mapping[UUID, Row]:
    """Of pupils of the school: whether they have encounters, and whether the person is enrolled elsewhere too."""
    if not ids:
        return {}
    return {row["id"]: row for row in await tx.rows(_AT_STAKE, {"school": school_id, "ids": list(ids)})}


async def add_corrections(tx: Writer, school_id: UUID, rows: Rows) -> None:
    """Append to the corrections of identity: id, enrolment_id, client_id, fields, has_encounters, corrected_at."""
    if rows:
        await tx.run(_CORRECTIONS, {"rows": rows, "school": school_id, "org": tx.caller.org_id})


async def corrections(tx: Door, school_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Row]:
    """A school's corrections of identity, newest first, one row more than `limit` if there is a next page."""
    stmt = select(identity_corrections).where(identity_corrections.c.school_id == school_id)
    if before:
        stmt = stmt.where(identity_corrections.c.id < before)
    return await tx.rows(stmt.order_by(desc(identity_corrections.c.id)).limit(limit + 1))


async def persons_for(tx: Writer, school_id: UUID, rows: Rows) -> Sequence[Row]:
    """Find or make the persons of new enrolments. Rows: i, person_id, upn (hex of the hash), protected."""
    return await tx.rows(_PERSONS, {"rows": rows, "school": school_id}) if rows else []


async def settle_persons(tx: Writer, school_id: UUID, rows: Rows) -> Sequence[Row]:
    """Let persons follow a changed number or protection. Rows: i, person_id, upn, was, protected."""
    return await tx.rows(_SETTLED, {"rows": rows, "school": school_id}) if rows else []


async def write(tx: Writer, school_id: UUID, rows: Mapping[str, Rows]) -> None:
    """Write `added` and `changed` enrolments, `refs`, `years` and `characteristics`: one statement for each there is."""
    statements = {
        "added": _ADD,
        "changed": _CHANGE,
        "refs": _REFS,
        "years": _YEARS,
        "characteristics": _CHARACTERISTICS,
    }
    for what, stmt in statements.items():
        if rows.get(what):
            also = {"org": tx.caller.org_id} if what == "refs" else {}
            await tx.run(stmt, {"rows": rows[what], "school": school_id, **also})


async def note_sync(tx: Writer, school_id: UUID, *, complete: bool, groups: Sequence[str]) -> None:
    """Write down that the roll was sent, whether it is whole, and which characteristics came with it."""
    await tx.run(_KEPT, {"school": school_id, "complete": complete, "groups": list(groups)})


def _pupils(org_id: UUID, today: date, year: int) -> Any:  # noqa: ANN401  (Core's generics say less than this line)
    e, c, day = enrolments.c, characteristics.c, cast(literal(today, Date), Date)
    in_year = cast(literal(year, Integer), Integer)
    ref = (
        select(func.min(pupil_refs.c.external_ref))
        .where(pupil_refs.c.enrolment_id == e.id, pupil_refs.c.org_id == org_id)
        .scalar_subquery()
    )
    true_today = (
        select(func.jsonb_agg(func.jsonb_build_array(c.field_group, c.value, c.valid_from), type_=JSONB))
        .where(c.enrolment_id == e.id, c.superseded_at.is_(None), c.valid_from <= day)
        .where(c.valid_to.is_(None) | (c.valid_to > day))
        .scalar_subquery()
    )
    return (
        select(
            *(column for column in e if column.name != "state"),
            case((e.ends_on < day, "left"), else_=e.state).label("state"),
            ref.label("external_ref"),
            in_year.label("academic_year"),
            nc_years.c.nc_year,
            true_today.label("characteristics"),
        )
        .select_from(enrolments)
        .outerjoin(nc_years, (nc_years.c.enrolment_id == e.id) & (nc_years.c.academic_year == in_year))
    )


async def page(
    tx: Door,
    school_id: UUID,
    *,
    today: date,
    year: int,
    nc_year: str | None = None,
    pull: Pull,
) -> Sequence[Row]:
    """A page of a school's pupils, with NC year of the academic `year` and what is true of them `today`."""
    stmt = _pupils(tx.caller.org_id, today, year).where(enrolments.c.school_id == school_id)
    if nc_year is not None:
        stmt = stmt.where(nc_years.c.nc_year == cast(nc_year, Text))
    return await tx.rows(pulled(stmt, enrolments, pull))


async def one(tx: Door, school_id: UUID, pupil_id: UUID, *, today: date, year: int) -> Row | None:
    """One pupil of a school."""
    stmt = _pupils(tx.caller.org_id, today, year)
    return await tx.one_or_none(stmt.where(enrolments.c.school_id == school_id, enrolments.c.id == pupil_id))


async def is_enrolled(tx: Door, school_id: UUID, pupil_id: UUID) -> bool:
    """Whether there is such a pupil of this school, for rooms beside this one that keep something about it."""
    stmt = select(enrolments.c.id).where(enrolments.c.school_id == school_id, enrolments.c.id == pupil_id)
    return await tx.value(stmt) is not None


# --- whole rolls, by COPY -------------------------------------------------------------------------

ENROLMENT_COLUMNS = ("id", "school_id", "person_id", "person_no", "starts_on", "given_name", "family_name",
                     "date_of_birth")  # fmt: skip
YEAR_COLUMNS = ("enrolment_id", "academic_year", "school_id", "nc_year")
CHARACTERISTIC_COLUMNS = ("id", "school_id", "enrolment_id", "field_group", "value", "valid_from")


async def copy_persons(tx: Writer, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Make persons without a UPN, as the owner; gives their numbers."""
    await tx.copy_in(persons, ("id",), ((one,) for one in ids))
    stmt = select(persons.c.id, persons.c.no).where(persons.c.id == func.any(cast(list(ids), ARRAY(_UUID))))
    return {row["id"]: row["no"] for row in await tx.rows(stmt)}


async def copy_roll(
    tx: Writer,
    pupils: Iterable[Sequence[Any]],
    years: Iterable[Sequence[Any]],
    true_of_them: Iterable[Sequence[Any]],
) -> None:
    """Add enrolments, NC years and characteristics, each a sequence in the order of the columns above."""
    await tx.copy_in(enrolments, ENROLMENT_COLUMNS, pupils)
    await tx.copy_in(nc_years, YEAR_COLUMNS, years)
    await tx.copy_in(characteristics, CHARACTERISTIC_COLUMNS, true_of_them)
