"""Answers about a pupil's progress and ledger."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.rest.models import Out
from app.rules.words import EntitlementBand, ExperienceKind, LedgerEntryKind, Mode

_PUPIL = "01a2013a-0000-7000-8000-00000000000a"
_BAND: dict[str, Any] = {
    "band": "years_7_9",
    "target_minutes": 1500,
    "raw_minutes": 420,
    "credited_minutes": 300,
    "counted_minutes": 300,
    "counted_hours": 5.0,
    "counted_days": 1.0,
    "surplus_minutes": 0,
    "calendar_days": 1,
    "met": False,
}


class BandOut(Out):
    """One band of the entitlement."""

    band: EntitlementBand
    target_minutes: int
    raw_minutes: int = Field(description="As attended.")
    credited_minutes: int = Field(description="After the daily cap.")
    counted_minutes: int = Field(description="What fills the target: virtual minutes up to their share.")
    counted_hours: float
    counted_days: float = Field(description="Days' worth of minutes, not calendar days.")
    surplus_minutes: int = Field(description="Counts to the total, never to another band.")
    calendar_days: int = Field(description="Distinct days with credited minutes.")
    met: bool


class TotalOut(Out):
    """All bands and years together."""

    target_minutes: int
    raw_minutes: int
    credited_minutes: int
    hours: float
    days: float = Field(description="Days' worth of credited minutes.")
    calendar_days: int
    met: bool = Field(description="Every band and the total are reached.")


class BenchmarkOut(Out):
    """Encounters of one academic year that meet each benchmark."""

    academic_year: int = Field(description="2026 is 2026/27.")
    bm5_offered: int
    bm5_confirmed: int
    bm6_offered: int
    bm6_confirmed: int


class BenchmarksOut(Out):
    """Gatsby benchmarks 5 and 6."""

    years: list[BenchmarkOut]
    bm6_by_16: bool
    bm6_by_18: bool


class PlannedOut(Out):
    """A confirmed booking that has not been settled."""

    booking_id: UUID
    kind: ExperienceKind
    starts_at: datetime
    ends_at: datetime
    minutes: int = Field(description="Planned, whole.")


class ProgressOut(Out):
    """How far a pupil has come at this school."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pupil_id": _PUPIL,
                    "academic_year": 2026,
                    "nc_year": "8",
                    "policy": "dfe-2025",
                    "daily_cap_minutes": 300,
                    "bands": [_BAND],
                    "total": {
                        "target_minutes": 3000,
                        "raw_minutes": 420,
                        "credited_minutes": 300,
                        "hours": 5.0,
                        "days": 1.0,
                        "calendar_days": 1,
                        "met": False,
                    },
                    "benchmarks": {
                        "years": [
                            {
                                "academic_year": 2026,
                                "bm5_offered": 1,
                                "bm5_confirmed": 1,
                                "bm6_offered": 0,
                                "bm6_confirmed": 0,
                            }
                        ],
                        "bm6_by_16": False,
                        "bm6_by_18": False,
                    },
                    "planned": [],
                    "planned_minutes": 0,
                }
            ]
        }
    )

    pupil_id: UUID
    academic_year: int = Field(description="Today's; 2026 is 2026/27.")
    nc_year: str | None = Field(description="The NC year in it, if it has been sent.")
    policy: str = Field(description="The entitlement policy in force.")
    daily_cap_minutes: int | None
    bands: list[BandOut]
    total: TotalOut
    benchmarks: BenchmarksOut
    planned: list[PlannedOut]
    planned_minutes: int


_ENTRY: dict[str, Any] = {
    "id": "01a2013a-0000-7000-8000-00000000000f",
    "encounter_id": "01a2013a-0000-7000-8000-00000000000e",
    "entry": "credit",
    "reverses_id": None,
    "on": "2026-11-10",
    "academic_year": 2026,
    "nc_year": "8",
    "kind": "workplace_visit",
    "mode": "in_person",
    "in_person_minutes": 150,
    "virtual_minutes": 0,
    "bm5": False,
    "bm6": False,
    "employer_id": None,
    "known_at": "2026-11-22T09:30:00Z",
}


class EntryOut(Out):
    """One line of the ledger; negative in a reversal."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    id: UUID
    encounter_id: UUID
    entry: LedgerEntryKind
    reverses_id: UUID | None
    on: date
    academic_year: int
    nc_year: str
    kind: ExperienceKind
    mode: Mode
    in_person_minutes: int
    virtual_minutes: int
    bm5: bool
    bm6: bool
    employer_id: UUID | None
    known_at: datetime = Field(description="When it was written (wall time, UTC).")


class LedgerPage(Out):
    """A page of a pupil's ledger."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_ENTRY], "next": None}]})

    data: list[EntryOut]
    next: str | None = Field(description="Send it as `after`; null on the last page.")
