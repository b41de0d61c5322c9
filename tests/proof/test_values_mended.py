"""Dates and moments stay within bounds in the database itself; what was stored beyond them is mended by the migration."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory

import migrations
from app.core import values
from app.core.embedded import EmbeddedPostgres
from app.core.ids import new_id
from app.core.roles import Dsns
from tests.conftest import drop_database

NAME = "tendays_before_bounds"
FIRST, LAST = values.FIRST_DAY, values.LAST_DAY
_BOUNDED = (
    "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c"
    "  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
    " WHERE c.conname = 'ck_' || c.conrelid::regclass || '_' || a.attname || '_bounded' AND c.convalidated"
)
_FILLED = (
    "agreements.signed_on", "approvals.approved_on", "approvals.expires_on", "attendance_reports.arrived_at",
    "attendance_reports.left_at", "characteristics.valid_from", "characteristics.valid_to", "costs.on_date",
    "covers.attested_on", "covers.expires_on", "covers.starts_on", "encounters.ends_on", "encounters.starts_on",
    "enrolments.date_of_birth", "enrolments.ends_on", "enrolments.starts_on", "grants.starts_on",
    "memberships.ends_on", "memberships.starts_on", "parental_agreements.answered_on",
    "participation_sittings.arrived_at", "participation_sittings.left_at", "programme_schools.joined_on",
    "programme_schools.left_on", "programmes.ends_on", "programmes.starts_on", "sittings.ends_at",
    "sittings.starts_at", "slots.book_by", "slots.ends_at", "slots.name_by", "slots.starts_at", "targets.due_on",
    "webhook_replays.from_time", "webhook_replays.to_time",
)  # fmt: skip
"""Every column with a date or a moment that a request can fill."""


@pytest_asyncio.fixture
async def before(cluster: EmbeddedPostgres) -> AsyncIterator[Dsns]:
    """A database as it was before the bounds."""
    made = await cluster.prepare(NAME)
    script = ScriptDirectory.from_config(migrations.configuration(made.owner))
    revision = script.get_revision("20261130_0400").down_revision
    assert isinstance(revision, str)
    await asyncio.to_thread(migrations.upgrade, made.owner, revision)
    yield made
    await drop_database(cluster.admin_dsn, NAME)


async def test_what_was_stored_beyond_the_bounds_is_mended(before: Dsns) -> None:
    owner = await asyncpg.connect(before.owner)
    try:
        ids = await _stored(owner)
        await asyncio.to_thread(migrations.upgrade, before.owner, "head")
        found = {
            name: dict(await owner.fetchrow(f"SELECT * FROM {name} WHERE id = $1", at))
            for name, at in ids.items()
        }
        history = await owner.fetchval("SELECT string_agg(now::text, ' ') FROM programme_changes")
    finally:
        await owner.close()
    assert found["approvals"]["expires_on"] is None
    assert found["covers"]["starts_on"] == FIRST
    assert found["covers"]["expires_on"] == LAST  # a policy has a last day
    assert found["programmes"]["ends_on"] == LAST
    assert found["memberships"]["ends_on"] is None
    assert (found["enrolments"]["starts_on"], found["enrolments"]["ends_on"]) == (FIRST, None)
    assert found["slots"]["name_by"] == values.FIRST_MOMENT
    assert "infinity" not in history


async def _stored(owner: asyncpg.Connection) -> dict[str, Any]:
    async def insert(table: str, **values: Any) -> Any:
        values.setdefault("id", new_id())
        marks = ", ".join(f"${at}" for at in range(1, len(values) + 1))
        await owner.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())
        return values["id"]

    hub, school, employer = [
        await insert("organisations", kind=kind, name=kind) for kind in ("hub", "school", "employer")
    ]
    await insert("employers", id=employer, size_band="small")
    site = await insert(
        "sites", employer_id=employer, name="S", address="1 Road", town="T", postcode="SG1 2FX"
    )
    offer = await insert(
        "offers", employer_id=employer, site_id=site, title="A tour", kind="workplace_tour", grouping="group", tier=1,
        year_mask=256,
    )  # fmt: skip
    person, starts = new_id(), datetime(2027, 1, 1, tzinfo=UTC)
    no = await owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
    member_no = await owner.fetchval("SELECT no FROM organisations WHERE id = $1", school)
    return {
        "approvals": await insert(
            "approvals", approver_id=hub, employer_id=employer, site_id=site, kind="workplace_tour",
            activity_band="low", approved_on=date(2026, 1, 1), expires_on=date.max,
        ),
        "covers": await insert(
            "covers", employer_id=employer, kind="policy", liability="employers_liability", insurer="I",
            policy_number="1", limit_pence=1, starts_on=date.min, expires_on=date.max,
        ),
        "programmes": await insert(
            "programmes", owner_id=hub, name="P", starts_on=date(2026, 9, 1), ends_on=date.max
        ),
        "memberships": await insert(
            "memberships", member_id=school, member_no=member_no, parent_id=hub, kind="hub",
            starts_on=date(2026, 9, 1), ends_on=date.max,
        ),
        "enrolments": await insert(
            "enrolments", school_id=school, person_id=person, person_no=no, starts_on=date.min, ends_on=date.max,
            given_name="A", family_name="B", date_of_birth=date(2014, 3, 9),
        ),
        "slots": await insert(
            "slots", offer_id=offer, employer_id=employer, site_id=site, starts_at=starts,
            ends_at=starts.replace(hour=2), capacity=1, minutes=120, book_by=starts,
            name_by=datetime(1999, 1, 1, tzinfo=UTC),
        ),
    }  # fmt: skip


async def test_every_date_and_moment_that_a_request_can_fill_is_bounded(dsns: Dsns) -> None:
    owner = await asyncpg.connect(dsns.owner)
    try:
        bounded = {f"{table}.{column}" for table, column in await owner.fetch(_BOUNDED)}
    finally:
        await owner.close()
    assert set(_FILLED) <= bounded


@pytest.mark.parametrize("value", ["infinity", "-infinity", "2101-01-01", "1899-12-31"])
async def test_the_database_takes_no_day_beyond_the_bounds(dsns: Dsns, value: str) -> None:
    owner = await asyncpg.connect(dsns.owner)
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(
                "INSERT INTO agreements (id, controller_id, agreement_version, signed_on, signatory_role, lawful_basis,"
                f" recorded_by) SELECT $1, $1, '1', DATE '{value}', 'a', 'b', $1",
                new_id(),
            )
    finally:
        await owner.close()
