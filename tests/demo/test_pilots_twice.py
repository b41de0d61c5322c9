"""Loaded into two databases in the same week, the pilots are the same: names, numbers, bookings, minutes, money."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.roles import Dsns
from app.demo.loader import load
from tests.demonstration import Demonstration, settings_for

pytestmark = pytest.mark.slow_suite
_SAME = {
    "schools": "SELECT name, urn, laestab FROM organisations ORDER BY name",
    "pupils": "SELECT o.name, r.external_ref, encode(e.upn_hash, 'hex'), e.given_name, e.family_name, e.date_of_birth,"
    " b.minutes, b.days, b.encounters, b.bm5, b.bm6 FROM enrolments e JOIN organisations o ON o.id = e.school_id"
    " JOIN pupil_refs r ON r.enrolment_id = e.id LEFT JOIN balances b ON b.enrolment_id = e.id ORDER BY 1, 2",
    "characteristics": "SELECT r.external_ref, c.field_group, c.value, c.valid_from FROM characteristics c"
    " JOIN pupil_refs r USING (enrolment_id) ORDER BY 1, 2",
    "bookings": "SELECT b.school_ref, b.state, b.kind, b.places, b.named, b.starts_at, b.requested_at, b.confirmed_at,"
    " b.ended_at, b.reason_code, e.name FROM bookings b JOIN organisations e ON e.id = b.employer_id ORDER BY 1",
    "attendance": "SELECT b.school_ref, r.external_ref, t.during::text, t.status, t.minutes FROM participation_sittings t"
    " JOIN bookings b ON b.id = t.booking_id JOIN participations p ON p.id = t.participation_id"
    " JOIN pupil_refs r ON r.enrolment_id = p.enrolment_id ORDER BY 1, 2, 3",
    "slots": "SELECT external_ref, starts_at, capacity, taken FROM slots ORDER BY 1",
    "money": "SELECT external_ref, kind, stage, paid_by, amount_pence, on_date FROM costs ORDER BY 1",
    "summaries": "SELECT o.name, s.academic_year, s.nc_year, s.kind, s.encounters, s.minutes FROM summaries s"
    " JOIN organisations o ON o.id = s.school_id ORDER BY 1, 2, 3, 4",
}


async def _told(dsns: Dsns) -> dict[str, list[Any]]:
    owner = await asyncpg.connect(dsns.owner)
    try:
        return {name: [tuple(row) for row in await owner.fetch(stmt)] for name, stmt in _SAME.items()}
    finally:
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def again(dsns: Dsns, demonstration: Demonstration) -> AsyncIterator[Dsns]:
    """A second load, with the same master key (by which UPNs are indexed), into an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="tendays-again-"))
    shutil.copytree(demonstration.settings.data_dir, folder, dirs_exist_ok=True)
    (folder / demonstration.settings.credentials_path.name).unlink()
    await load(settings_for(dsns, folder))
    yield dsns
    shutil.rmtree(folder, ignore_errors=True)


async def test_two_loads_in_a_week_give_the_same_pilots(again: Dsns, demonstration: Demonstration) -> None:
    one, other = await _told(demonstration.dsns), await _told(again)
    for name, rows in one.items():
        assert rows == other[name], name
        assert rows
