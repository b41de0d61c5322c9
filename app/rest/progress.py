"""A pupil's progress and ledger over REST."""

from typing import Any
from uuid import UUID

from fastapi.responses import Response

from app.core.db import Row
from app.encounters import progress
from app.encounters.progress import Way
from app.rest.frame import Paged, Read, framed, json_answer, needs, page_of
from app.rest.progress_models import LedgerPage, ProgressOut
from app.rules.entitlement import BandProgress
from app.rules.hours import as_days, as_hours

router = framed("/v1", "progress")
_ENTRY = (
    "id", "encounter_id", "entry", "reverses_id", "academic_year", "nc_year", "kind", "mode", "in_person_minutes",
    "virtual_minutes", "bm5", "bm6", "employer_id", "known_at",
)  # fmt: skip
_PLANNED = ("booking_id", "kind", "starts_at", "ends_at", "minutes")


@router.get(
    "/schools/{school_id}/pupils/{pupil_id}/progress",
    response_model=ProgressOut,
    summary="A pupil's progress",
    operation_id="read_progress",
)
@needs("ledger:read")
async def read_progress(school_id: UUID, pupil_id: UUID, tx: Read) -> Response:
    """Minutes, hours and calendar days by band, the benchmarks offered and confirmed, and what is planned."""
    return json_answer(_way(await progress.progress_of(tx, school_id, pupil_id)))


def _way(way: Way) -> dict[str, Any]:
    return {
        "pupil_id": way.pupil["id"],
        "academic_year": way.academic_year,
        "nc_year": way.pupil["nc_year"],
        "policy": way.policy.code,
        "daily_cap_minutes": way.policy.daily_cap,
        "bands": [_band(one, way.policy.day_minutes) for one in way.progress.bands],
        "total": _total(way),
        "benchmarks": {
            "years": [
                {
                    "academic_year": year,
                    "bm5_offered": count.bm5_offered,
                    "bm5_confirmed": count.bm5_confirmed,
                    "bm6_offered": count.bm6_offered,
                    "bm6_confirmed": count.bm6_confirmed,
                }
                for year, count in way.benchmarks.items()
            ],
            "bm6_by_16": way.bm6_by_16,
            "bm6_by_18": way.bm6_by_18,
        },
        "planned": [{name: row[name] for name in _PLANNED} for row in way.planned],
        "planned_minutes": sum(row["minutes"] for row in way.planned),
    }


def _band(one: BandProgress, day_minutes: int) -> dict[str, Any]:
    return {
        "band": one.band,
        "target_minutes": one.target,
        "raw_minutes": one.raw,
        "credited_minutes": one.credited,
        "counted_minutes": one.counted,
        "counted_hours": as_hours(one.counted),
        "counted_days": as_days(one.counted, day_minutes),
        "surplus_minutes": one.surplus,
        "calendar_days": one.calendar_days,
        "met": one.met,
    }


def _total(way: Way) -> dict[str, Any]:
    found = way.progress
    return {
        "target_minutes": found.target,
        "raw_minutes": found.raw,
        "credited_minutes": found.credited,
        "hours": as_hours(found.credited),
        "days": as_days(found.credited, way.policy.day_minutes),
        "calendar_days": found.calendar_days,
        "met": found.met,
    }


@router.get(
    "/schools/{school_id}/pupils/{pupil_id}/ledger",
    response_model=LedgerPage,
    summary="A pupil's ledger",
    operation_id="read_ledger",
)
@needs("ledger:read")
async def read_ledger(school_id: UUID, pupil_id: UUID, tx: Read, turn: Paged) -> Response:
    """Every credit and reversal, in the order they were made."""
    rows = await progress.ledger_page(
        tx, school_id, pupil_id, after=turn.after_id("ledger"), limit=turn.limit
    )
    return page_of(turn, "ledger", rows, ("id",), _entry)


def _entry(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _ENTRY} | {"on": row["on_date"]}
