"""The data of a run, made by the owner with generate_series: 50 schools of one hub, 20,000 slots, 5,000 bookings."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.core.ids import new_id

SCHOOLS, PUPILS, SLOTS, BOOKINGS = 50, 60, 20_000, 5_000


@dataclass(frozen=True)
class Made:
    """The ids that the measurements need."""

    hub: UUID
    school: UUID
    employer: UUID
    clients: dict[str, UUID]


async def make(owner: asyncpg.Connection) -> Made:
    """Fill an empty, migrated database."""
    hub, school, employer, site, offer = (new_id() for _ in range(5))
    clients = {name: new_id() for name in ("hub", "school", "employer")}
    await owner.execute("SELECT setseed(0.42)")
    await owner.executemany(
        "INSERT INTO organisations (id, kind, name, urn) VALUES ($1, $2, $3, $4)",
        [
            (hub, "hub", "Hub", None),
            (school, "school", "School 0", "900000"),
            (employer, "employer", "Employer", None),
        ],
    )
    for name, org in (("hub", hub), ("school", school), ("employer", employer)):
        await owner.execute(
            "INSERT INTO clients (id, org_id, name) VALUES ($1, $2, $3)", clients[name], org, name
        )
    await owner.execute(
        "INSERT INTO organisations (id, kind, name, urn) SELECT gen_random_uuid(), 'school', 'School ' || n,"
        " (900000 + n)::text FROM generate_series(1, $1 - 1) n",
        SCHOOLS,
    )
    await owner.execute(
        "INSERT INTO memberships (id, member_id, member_no, parent_id, kind, starts_on)"
        " SELECT gen_random_uuid(), id, no, $1, 'hub', '2024-09-01' FROM organisations WHERE kind = 'school'",
        hub,
    )
    await _employer(owner, employer, site, offer)
    await _approve(owner, hub, employer, site)
    await _pupils(owner)
    await _bookings(owner, school, employer, site, offer)
    await owner.execute("ANALYZE")
    return Made(hub, school, employer, clients)


async def _employer(owner: asyncpg.Connection, employer: UUID, site: UUID, offer: UUID) -> None:
    await owner.execute("INSERT INTO employers (id, size_band) VALUES ($1, 'small')", employer)
    await owner.execute(
        "INSERT INTO sites (id, employer_id, name, address, town, postcode)"
        " VALUES ($1, $2, 'Main', '1 High Street', 'Stevenage', 'SG1 1AA')",
        site,
        employer,
    )
    await owner.execute(
        "INSERT INTO covers (id, employer_id, kind, liability, insurer, policy_number, limit_pence, starts_on, expires_on)"
        " VALUES (gen_random_uuid(), $1, 'policy', 'public_liability', 'Mutual', 'P-1', 1000000000, '2024-01-01',"
        " '2035-01-01')",
        employer,
    )
    await owner.execute(
        "INSERT INTO offers (id, employer_id, site_id, title, kind, grouping, tier, sector, year_groups, year_mask)"
        " VALUES ($1, $2, $3, 'A tour', 'workplace_tour', 'group', 1, 'life_sciences', '{7,8,9}', 896)",
        offer,
        employer,
        site,
    )
    await owner.execute(
        "INSERT INTO slots (id, offer_id, employer_id, site_id, starts_at, ends_at, capacity, minutes, book_by, name_by)"
        " SELECT gen_random_uuid(), $1, $2, $3, at, at + interval '2 hours', 1000, 120, at - interval '2 days',"
        " at - interval '1 day' FROM (SELECT date_trunc('hour', now()) + interval '10 days' + n * interval '10 minutes'"
        " AS at FROM generate_series(1, $4) n) x",
        offer,
        employer,
        site,
        SLOTS,
    )
    await owner.execute(
        "INSERT INTO sittings (id, slot_id, employer_id, no, starts_at, ends_at)"
        " SELECT gen_random_uuid(), id, employer_id, 1, starts_at, ends_at FROM slots"
    )


async def _approve(owner: asyncpg.Connection, hub: UUID, employer: UUID, site: UUID) -> None:
    """Each confirmation asks whether the site is approved, by somebody on whom the school relies."""
    await owner.execute(
        "INSERT INTO approvals (id, approver_id, employer_id, site_id, kind, activity_band, approved_on, expires_on)"
        " VALUES (gen_random_uuid(), $1, $2, $3, 'workplace_tour', 'low', '2024-01-01', '2035-01-01')",
        hub,
        employer,
        site,
    )
    await owner.execute(
        "INSERT INTO approval_acceptances (school_id, approver_id)"
        " SELECT id, $1 FROM organisations WHERE kind = 'school'",
        hub,
    )


async def _pupils(owner: asyncpg.Connection) -> None:
    await owner.execute(
        "INSERT INTO persons (id) SELECT gen_random_uuid() FROM generate_series(1, $1)", SCHOOLS * PUPILS
    )
    await owner.execute(
        "WITH p AS (SELECT id, no, row_number() OVER (ORDER BY no) AS n FROM persons),"
        " s AS (SELECT id, row_number() OVER (ORDER BY no) - 1 AS n FROM organisations WHERE kind = 'school')"
        " INSERT INTO enrolments (id, school_id, person_id, person_no, starts_on, given_name, family_name, date_of_birth)"
        " SELECT gen_random_uuid(), s.id, p.id, p.no, '2024-09-01', 'Ada', 'Example', '2013-10-01'"
        " FROM p JOIN s ON s.n = p.n % $1",
        SCHOOLS,
    )
    year = "(extract(year FROM now() - interval '8 months'))::integer"
    await owner.execute(
        "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)"
        f" SELECT id, {year}, school_id, (7 + (person_no / 50) % 5)::text FROM enrolments"
    )
    await owner.execute(
        "INSERT INTO balances (enrolment_id, school_id, person_no, minutes, activity_minutes, days, encounters, bm5)"
        " SELECT id, school_id, person_no, (person_no % 30) * 120, (person_no % 30) * 120, person_no % 30,"
        " person_no % 30, 1 FROM enrolments WHERE person_no % 4 > 0"
    )
    await owner.execute(
        "INSERT INTO yearly_balances (enrolment_id, academic_year, school_id, person_no, nc_year, kind, minutes,"
        f" encounters, days) SELECT id, {year}, school_id, person_no, (7 + (person_no / 50) % 5)::text, 'workplace_tour',"
        " (person_no % 30) * 120, person_no % 30, person_no % 30 FROM enrolments WHERE person_no % 4 > 0"
    )


async def _bookings(owner: asyncpg.Connection, school: UUID, employer: UUID, site: UUID, offer: UUID) -> None:
    await owner.execute(
        "INSERT INTO bookings (id, school_id, employer_id, site_id, offer_id, slot_id, state, kind, places, starts_at,"
        " ends_at, name_by, requested_at, expires_at, requested_by) SELECT gen_random_uuid(),"
        " CASE WHEN n % 10 = 0 THEN $1 ELSE other END, $2, $3, $4, s.id, 'requested', 'workplace_tour', 1, s.starts_at,"
        " s.ends_at, s.name_by, now(), now() + interval '5 days', $1"
        " FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM slots LIMIT $5) s,"
        " (SELECT id AS other FROM organisations WHERE kind = 'school' AND id <> $1 LIMIT 1) o",
        school,
        employer,
        site,
        offer,
        BOOKINGS,
    )
    await owner.execute("UPDATE slots SET taken = 1 WHERE id IN (SELECT slot_id FROM bookings)")


async def requests(owner: asyncpg.Connection, made: Made, count: int) -> None:
    """So many more requests of the school that listens, on slots that have none yet."""
    await owner.execute(
        "WITH free AS (SELECT s.* FROM slots s WHERE s.taken = 0 ORDER BY s.id LIMIT $2)"
        " INSERT INTO bookings (id, school_id, employer_id, site_id, offer_id, slot_id, state, kind, places, starts_at,"
        " ends_at, name_by, requested_at, expires_at, requested_by) SELECT gen_random_uuid(), $1, s.employer_id,"
        " s.site_id, s.offer_id, s.id, 'requested', 'workplace_tour', 1, s.starts_at, s.ends_at, s.name_by, now(),"
        " now() + interval '5 days', $1 FROM free s",
        made.school,
        count,
    )
    await owner.execute("UPDATE slots SET taken = 1 WHERE taken = 0 AND id IN (SELECT slot_id FROM bookings)")
    await owner.execute("ANALYZE bookings")
