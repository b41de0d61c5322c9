"""Minutes earned: credit, reverse, rebuild, and how far they carry a pupil. Nothing is ever overwritten.

Entries are what was attended, raw. Balances and summaries are what that comes to under the dated policy
(`rules.entitlement`: reversals netted, the daily cap applied), set in the same call as the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Door, Row, Writer
from app.core.ids import new_id
from app.ledger import sql
from app.ledger.balances import come_to
from app.ledger.policies import policy_in_force
from app.rules import entitlement
from app.rules.entitlement import Policy, Progress
from app.rules.school_calendar import academic_year
from app.rules.words import ExperienceKind, LedgerEntryKind, Mode


@dataclass(frozen=True, slots=True)
class Credit:
    """Minutes of one encounter on one school day (a date in London), as attended. `nc_year` is that of the day."""

    school_id: UUID
    enrolment_id: UUID
    person_no: int
    encounter_id: UUID
    on: date
    nc_year: str
    kind: ExperienceKind
    mode: Mode
    in_person: int
    virtual: int
    happened_at: datetime
    bm5: bool = False
    bm6: bool = False
    employer_id: UUID | None = None


async def credit(tx: Writer, entries: Sequence[Credit]) -> dict[UUID, Row]:
    """Credit minutes; gives the balance after, by pupil. Five statements, however many entries."""
    return await move(tx, entries=entries)


async def reverse(tx: Writer, encounter_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Take back all that these encounters were credited with and that was not taken back before."""
    return await move(tx, reversed_ids=encounter_ids)


async def move(
    tx: Writer, *, entries: Sequence[Credit] = (), reversed_ids: Sequence[UUID] = ()
) -> dict[UUID, Row]:
    """Reverse encounters and credit minutes in one go: what a correction is.

    Gives the balances after, by pupil, in whole minutes after the daily cap. Exact under concurrency: the pupils'
    balances are locked first, in the order of their ids, and computed from the whole of their ledger.
    """
    if not entries and not reversed_ids:
        return {}
    pupils = await sql.lock(tx, _pupils(entries), reversed_ids)
    taken = await sql.open_credits(tx, reversed_ids) if reversed_ids else []
    written = [_reversal(row) for row in taken] + [_credited(one) for one in entries]
    if written:
        await sql.add(tx, written)
    policy = await policy_in_force(tx, school_day(tx.caller.now))
    return await _set(tx, await sql.net(tx, pupils), policy)


def _pupils(entries: Iterable[Credit]) -> list[Mapping[str, Any]]:
    found = {one.enrolment_id: (one.school_id, one.person_no) for one in entries}
    return [
        {"enrolment_id": pupil, "school_id": school, "person_no": no} for pupil, (school, no) in found.items()
    ]


def _credited(one: Credit) -> dict[str, Any]:
    return {
        "academic_year": academic_year(one.on),
        "id": new_id(),
        "school_id": one.school_id,
        "enrolment_id": one.enrolment_id,
        "person_no": one.person_no,
        "encounter_id": one.encounter_id,
        "entry": LedgerEntryKind.CREDIT.value,
        "reverses_id": None,
        "on_date": one.on,
        "nc_year": one.nc_year,
        "kind": one.kind.value,
        "mode": one.mode.value,
        "in_person_minutes": one.in_person,
        "virtual_minutes": one.virtual,
        "bm5": one.bm5,
        "bm6": one.bm6,
        "employer_id": one.employer_id,
        "happened_at": one.happened_at,
    }


def _reversal(row: Row) -> dict[str, Any]:
    return {
        **row,
        "id": new_id(),
        "entry": LedgerEntryKind.REVERSAL.value,
        "reverses_id": row["id"],
        "in_person_minutes": -row["in_person_minutes"],
        "virtual_minutes": -row["virtual_minutes"],
    }


async def _set(tx: Writer, rows: Sequence[Row], policy: Policy) -> dict[UUID, Row]:
    """Set the balances of the pupils in these net rows."""
    found: dict[UUID, Row] = {}
    yearly: list[dict[str, Any]] = []
    for pupil, mine in groupby(rows, key=lambda row: row["enrolment_id"]):
        found[pupil], years = come_to(list(mine), policy)
        yearly += years
    if found:
        await sql.write(tx, list(found.values()), yearly)
    return found


async def rebuild(tx: Writer, school_id: UUID) -> int:
    """Set a school's balances and summaries anew from its ledger (`tendays rebuild`). Gives how many pupils.

    Nobody credits the school meanwhile. Run as the school's own side or as the owner; the ledger is not touched.
    """
    await sql.alone(tx, school_id)
    rows = await sql.net_of_school(tx, school_id)
    await sql.lock(tx, _accounts(rows), [])
    await sql.clear(tx, school_id)
    policy = await policy_in_force(tx, school_day(tx.caller.now))
    return len(await _set(tx, rows, policy))


def _accounts(rows: Iterable[Row]) -> list[Mapping[str, Any]]:
    names = ("enrolment_id", "school_id", "person_no")
    return [
        dict(zip(names, key, strict=True)) for key in {tuple(row[name] for name in names) for row in rows}
    ]


async def progress(tx: Door, pupil_id: UUID, date_of_birth: date) -> tuple[Progress, Policy]:
    """How far a pupil has come, by band, from the ledger; and the policy it was judged by."""
    policy = await policy_in_force(tx, school_day(tx.caller.now))
    rows = await sql.net(tx, [pupil_id])
    entries = [
        entitlement.Entry(
            row["on_date"], row["nc_year"], ExperienceKind(row["kind"]), row["in_person"], row["virtual"]
        )
        for row in rows
    ]
    return entitlement.progress(entries, policy, date_of_birth=date_of_birth), policy
