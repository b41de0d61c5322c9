"""What is loaded keeps the law: every booking and every pupil in it is judged again, and every balance counted anew."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
import pytest_asyncio

from app.bookings.facts import booking_facts, pupil_facts
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.demo import sql as demo
from app.ledger import service as ledger
from app.rules.attendance import ATTENDING
from app.rules.eligibility import reasons_against
from app.rules.upn import is_valid
from app.rules.words import ParentalAgreement
from tests.demonstration import Demonstration

pytestmark = pytest.mark.calendar

_BOOKINGS = """
  SELECT b.id, b.kind, b.places, b.nc_year, b.state, o.mode, o.activity_band, o.year_groups, o.hazards, false AS suspended,
         s.capacity, s.taken,
         (SELECT jsonb_agg(jsonb_build_object('starts_at', t.starts_at, 'ends_at', t.ends_at, 'break_minutes',
            t.break_minutes, 'virtual', t.virtual) ORDER BY t.no) FROM sittings t WHERE t.slot_id = s.id) AS sittings,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', a.kind, 'activity_band', a.activity_band, 'state', a.state,
            'approved_on', a.approved_on, 'expires_on', a.expires_on, 'accepted', EXISTS (
               SELECT 1 FROM approval_acceptances x
                WHERE x.school_id = b.school_id AND x.approver_id = a.approver_id))), '[]')
            FROM approvals a WHERE a.site_id = b.site_id) AS approvals,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'liability', c.liability, 'limit_pence',
            c.limit_pence, 'starts_on', c.starts_on, 'expires_on', c.expires_on, 'attested_on', c.attested_on)), '[]')
            FROM covers c WHERE c.employer_id = b.employer_id) AS covers,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('topic', d.topic, 'name', d.name, 'starts_on', d.starts_on,
            'ends_on', d.ends_on, 'source', d.source, 'body', d.body)), '[]')
            FROM dated_policies d WHERE d.topic IN ('age_prohibition', 'cover')) AS statutes
    FROM bookings b JOIN slots s ON s.id = b.slot_id JOIN offers o ON o.id = b.offer_id"""
_PUPILS = """
  SELECT p.booking_id, p.nc_year, e.date_of_birth, e.ends_on, false AS barred, e.person_no, g.state AS agreement,
         y.nc_year AS told
    FROM participations p JOIN bookings b ON b.id = p.booking_id JOIN enrolments e ON e.id = p.enrolment_id
    LEFT JOIN parental_agreements g ON g.booking_id = p.booking_id AND g.enrolment_id = p.enrolment_id
    LEFT JOIN nc_years y ON y.enrolment_id = e.id AND y.academic_year =
      extract(year FROM (b.starts_at AT TIME ZONE 'Europe/London') - interval '8 months')::integer"""


@pytest_asyncio.fixture(scope="module")
async def owner(demonstration: Demonstration) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(demonstration.dsns.owner)
    await connection.set_type_codec("jsonb", encoder=str, decoder=orjson.loads, schema="pg_catalog")
    yield connection
    await connection.close()


async def test_every_booking_stands_before_the_rules_of_eligibility(owner: asyncpg.Connection) -> None:
    rows = [dict(row) for row in await owner.fetch(_BOOKINGS)]
    assert len(rows) > 500  # fewest in the first days of a school year
    for row in rows:
        years = (row["nc_year"],) if row["nc_year"] else ()
        facts = booking_facts(row, places=row["places"], year_groups=years, holds_places=True)
        assert reasons_against(facts) == [], row["id"]


async def test_every_pupil_was_old_enough_of_an_eligible_year_and_agreed_to(
    owner: asyncpg.Connection,
) -> None:
    slots = {row["id"]: dict(row) for row in await owner.fetch(_BOOKINGS)}
    rows = [dict(row) for row in await owner.fetch(_PUPILS)]
    assert len(rows) > 5000
    for row in rows:
        assert row["nc_year"] == row["told"], "the NC year is the one of that academic year"
        agreed = ParentalAgreement(row["agreement"]) if row["agreement"] else None
        facts = pupil_facts(slots[row["booking_id"]], {**row, "busy": []}, agreed)
        assert reasons_against(facts) == [], row


async def test_nobody_is_in_two_places_at_once_with_or_without_a_booking(owner: asyncpg.Connection) -> None:
    twice = await owner.fetchval(
        "SELECT count(*) FROM participation_sittings a JOIN participation_sittings b"
        " ON a.person_no = b.person_no AND a.id < b.id AND a.during && b.during"
    )
    assert twice == 0
    same_day = await owner.fetchval(
        "SELECT count(*) FROM (SELECT person_no, on_date FROM ledger_entries GROUP BY 1, 2"
        " HAVING count(DISTINCT encounter_id) > 1) x"
    )
    assert same_day == 0


async def test_places_taken_are_those_of_bookings_that_hold_them_and_never_too_many(
    owner: asyncpg.Connection,
) -> None:
    wrong = await owner.fetchval(
        "SELECT count(*) FROM slots s LEFT JOIN (SELECT slot_id, sum(places) AS places FROM bookings"
        " WHERE state NOT IN ('waiting', 'declined', 'expired', 'cancelled') GROUP BY 1) b ON b.slot_id = s.id"
        " WHERE s.taken <> coalesce(b.places, 0) OR s.taken > s.capacity"
    )
    assert wrong == 0
    named = await owner.fetchval(
        "SELECT count(*) FROM bookings b LEFT JOIN (SELECT booking_id, count(*) AS n FROM participations GROUP BY 1) p"
        " ON p.booking_id = b.id WHERE b.named <> coalesce(p.n, 0) OR b.named > b.places"
    )
    assert named == 0


async def test_bookings_are_of_their_schools_strand_and_in_the_programmes_time(
    owner: asyncpg.Connection,
) -> None:
    stray = await owner.fetchval(
        "SELECT count(*) FROM bookings b JOIN programmes p ON p.id = b.programme_id LEFT JOIN programme_schools s"
        " ON s.programme_id = b.programme_id AND s.strand_id = b.strand_id AND s.school_id = b.school_id"
        " WHERE s.id IS NULL OR b.starts_at::date NOT BETWEEN p.starts_on AND p.ends_on"
    )
    assert stray == 0


async def test_who_was_there_has_an_encounter_and_who_was_not_has_none(owner: asyncpg.Connection) -> None:
    attending = [one.value for one in ATTENDING]
    wrong = await owner.fetchval(
        "SELECT count(*) FROM participations p JOIN bookings b ON b.id = p.booking_id AND b.state = 'completed'"
        " LEFT JOIN encounter_keys k ON k.participation_id = p.id LEFT JOIN encounters e"
        " ON e.id = k.encounter_id AND e.academic_year = k.academic_year CROSS JOIN LATERAL ("
        "   SELECT sum(t.minutes) AS minutes, bool_or(t.status = ANY ($1)) AS came FROM participation_sittings t"
        "    WHERE t.participation_id = p.id) t"
        " WHERE t.came <> (e.id IS NOT NULL) OR (p.state = 'attended') <> t.came"
        "    OR coalesce(e.in_person_minutes + e.virtual_minutes, 0) <> t.minutes",
        attending,
    )
    assert wrong == 0
    silent = await owner.fetchval(
        "SELECT count(*) FROM participation_sittings t JOIN bookings b ON b.id = t.booking_id WHERE b.state = 'completed'"
        " AND (t.status = 'expected' OR NOT EXISTS (SELECT 1 FROM attendance_reports r"
        "   WHERE r.participation_sitting_id = t.id AND r.status = t.status))"
    )
    assert silent == 0


async def test_numbers_of_pupils_and_schools_are_valid_and_nobody_elses(demonstration: Demonstration) -> None:
    connection = await asyncpg.connect(demonstration.dsns.owner)
    rows = await connection.fetch("SELECT id, upn_sealed FROM enrolments")
    schools = await connection.fetch("SELECT urn, laestab FROM organisations WHERE kind = 'school'")
    await connection.close()
    keyring = demonstration.settings.keyring()
    numbers = [keyring.open_sealed("upn", bytes(row["upn_sealed"]), row["id"].bytes).decode() for row in rows]
    assert len(set(numbers)) == len(numbers) == 9353
    assert all(is_valid(number) for number in numbers)
    assert len({row["urn"] for row in schools}) == len({row["laestab"] for row in schools}) == 63
    assert all(row["urn"].startswith("9") and row["laestab"].startswith("9") for row in schools)


_SUMS = {
    "balances": "enrolment_id, minutes, virtual_minutes, activity_minutes, placement_minutes, days, encounters, bm5, bm6,"
    " first_on, last_on",
    "yearly_balances": "enrolment_id, academic_year, nc_year, kind, minutes, virtual_minutes, encounters, days, bm5, bm6",
    "summaries": "school_id, academic_year, nc_year, kind, encounters, minutes, virtual_minutes, bm5, bm6",
}


async def _standing(owner: asyncpg.Connection) -> dict[str, set[Any]]:
    return {
        table: {
            tuple(row) for row in await owner.fetch(f"SELECT {columns} FROM {table} WHERE encounters <> 0")
        }
        for table, columns in _SUMS.items()
    }


async def test_balances_and_summaries_are_those_of_a_rebuild(
    demonstration: Demonstration, owner: asyncpg.Connection
) -> None:
    before = await _standing(owner)
    assert len(before["balances"]) > 4000
    db = await Database(demonstration.dsns.owner, development=True, pool=1).open()
    client = await owner.fetchval(
        "SELECT c.id FROM clients c JOIN organisations o ON o.id = c.org_id WHERE o.kind = 'national'"
    )
    schools = [row["id"] for row in await owner.fetch("SELECT id FROM organisations WHERE kind = 'school'")]
    try:
        async with db.write(None) as tx:
            await demo.enter(tx, _national(client))
            for school in schools:
                await ledger.rebuild(tx, school)
    finally:
        await db.close()
    assert await _standing(owner) == before


def _national(client: UUID) -> Caller:
    return Caller(client, new_id(), "national", frozenset(), wall_now())
