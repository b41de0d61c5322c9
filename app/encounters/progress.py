"""How far a pupil has come: by band from the ledger, the benchmarks from encounters, what is planned from bookings."""

from dataclasses import dataclass
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Door, Row
from app.core.errors import NotFound
from app.encounters import sql
from app.ledger import service as ledger
from app.ledger import sql as ledger_sql
from app.rules import benchmarks
from app.rules.benchmarks import Count, Encounter
from app.rules.entitlement import Policy, Progress
from app.rules.school_calendar import academic_year
from app.rules.words import Criterion, ExperienceKind, Mode


@dataclass(frozen=True, slots=True)
class Way:
    """A pupil's way through the entitlement and the benchmarks. Minutes are whole, days are calendar days."""

    pupil: Row
    academic_year: int
    progress: Progress
    policy: Policy
    benchmarks: dict[int, Count]
    bm6_by_16: bool
    bm6_by_18: bool
    planned: tuple[Row, ...]


async def progress_of(tx: Door, school_id: UUID, pupil_id: UUID) -> Way:
    """One pupil's progress at this school. Five statements. Refuses with NotFound `pupil`."""
    year = academic_year(school_day(tx.caller.now))
    pupil = await sql.pupil(tx, school_id, pupil_id, year)
    if pupil is None:
        raise NotFound("pupil")
    progress, policy = await ledger.progress(tx, pupil_id, pupil["date_of_birth"])
    had = [_encounter(row) for row in await sql.judged(tx, school_id, pupil_id)]
    return Way(
        pupil=pupil,
        academic_year=year,
        progress=progress,
        policy=policy,
        benchmarks=benchmarks.by_year(had),
        bm6_by_16=benchmarks.bm6_met_by_16(had, pupil["date_of_birth"]),
        bm6_by_18=benchmarks.bm6_met_by_18(had, pupil["date_of_birth"]),
        planned=tuple(await sql.planned(tx, school_id, pupil_id)),
    )


def _encounter(row: Row) -> Encounter:
    return Encounter(
        on=row["starts_on"],
        kind=ExperienceKind(row["kind"]),
        mode=Mode(row["mode"]),
        offered=frozenset(Criterion(one) for one in row["criteria_offered"]),
        confirmed=frozenset(Criterion(one) for one in row["criteria_confirmed"]),
    )


async def ledger_page(
    tx: Door, school_id: UUID, pupil_id: UUID, *, after: UUID | None, limit: int
) -> list[Row]:
    """One pupil's ledger, entry by entry in the order made. Refuses with NotFound `pupil`."""
    if await sql.pupil(tx, school_id, pupil_id, 0) is None:
        raise NotFound("pupil")
    return list(await ledger_sql.page(tx, school_id=school_id, pupil_id=pupil_id, after=after, limit=limit))
