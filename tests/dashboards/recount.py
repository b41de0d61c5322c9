"""Coverage counted again in plain Python, from the rows of the ledger and of the rolls: what the house must agree with."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.rules.entitlement import DEFAULT_POLICY, Entry, credited
from app.rules.school_calendar import academic_year, band_on, first_day, usual_nc_year
from app.rules.words import EntitlementBand, ExperienceKind, key_stage

HALF = 750
Row = dict[str, Any]


@dataclass
class State:
    """The rolls, the NC years, the memberships and the characteristics as they were at one moment."""

    moment: datetime
    enrolments: list[Row]
    nc_years: dict[tuple[UUID, int], str]
    memberships: list[Row]
    told: list[Row]
    stands: set[tuple[UUID, str]]


@dataclass
class Pupil:
    """One pupil counted, with what they had attained. Credits that stand are as attended."""

    enrolment: UUID
    school: UUID
    nc_year: str | None
    settled: str | None
    minutes: int = 0
    days: int = 0
    activity: int = 0
    placement: int = 0
    bm5: int = 0
    bm6: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)
    credits: list[Row] = field(default_factory=list)


async def state_of(owner: asyncpg.Connection) -> State:
    """As it is now."""
    moment = await owner.fetchval("SELECT clock_timestamp()")
    rolls = await owner.fetch(
        "SELECT id, school_id, person_id, kind, state, starts_on, ends_on, date_of_birth FROM enrolments"
    )
    years = await owner.fetch("SELECT enrolment_id, academic_year, nc_year FROM nc_years")
    members = await owner.fetch("SELECT member_id, parent_id, kind, starts_on, ends_on FROM memberships")
    told = await owner.fetch(
        "SELECT enrolment_id, field_group, value, valid_from AS starts_on, valid_to AS ends_on FROM characteristics"
        " WHERE superseded_at IS NULL"
    )
    stands = await owner.fetch("SELECT school_id, unnest(field_groups) AS field_group FROM school_states")
    return State(
        moment,
        [dict(row) for row in rolls],
        {(row["enrolment_id"], row["academic_year"]): row["nc_year"] for row in years},
        [dict(row) for row in members],
        [dict(row) for row in told],
        {(row["school_id"], row["field_group"]) for row in stands},
    )


async def ledger_of(owner: asyncpg.Connection) -> list[Row]:
    """Every entry ever made."""
    return [dict(row) for row in await owner.fetch("SELECT * FROM ledger_entries ORDER BY id")]


def schools_of(state: State, parent: UUID, kind: str, on: date) -> set[UUID]:
    """The members of a hub or a trust on a day."""
    return {
        row["member_id"]
        for row in state.memberships
        if row["parent_id"] == parent and row["kind"] == kind and _runs(row, on)
    }


def pupils(
    state: State,
    ledger: Sequence[Row],
    schools: Iterable[UUID],
    on: date,
    year: int,
    *,
    only: bool,
    known: datetime | None = None,
) -> list[Pupil]:
    """Everybody counted at these schools on a day, each once."""
    wanted, entries = set(schools), defaultdict[UUID, list[Row]](list)
    for row in ledger:
        if row["on_date"] <= on and (known is None or row["known_at"] <= known):
            entries[row["enrolment_id"]].append(row)
    seconds = defaultdict[UUID, list[Row]](list)
    for one in state.enrolments:
        if one["kind"] != "main" and one["state"] in {"active", "left"}:
            seconds[one["person_id"]].append(one)
    found = []
    for one in state.enrolments:
        left = one["state"] == "left" and one["ends_on"] is not None
        here = one["kind"] == "main" and (one["state"] == "active" or left) and one["school_id"] in wanted
        if here and _runs(one, on):
            nc_year = state.nc_years.get((one["id"], year))
            settled = usual_nc_year(one["date_of_birth"], first_day(year)) if nc_year == "X" else nc_year
            made = Pupil(one["id"], one["school_id"], nc_year, settled)
            virtual = sum(
                _add(made, each, entries[each["id"]], year, only=only)
                for each in (one, *seconds[one["person_id"]])
            )
            made.activity += min(virtual, HALF) if only else 0
            found.append(made)
    return found


def _runs(row: Row, on: date) -> bool:
    return bool(row["starts_on"] <= on and (row["ends_on"] is None or row["ends_on"] > on))


def _add(made: Pupil, enrolment: Row, rows: list[Row], year: int, *, only: bool) -> int:
    """Add what one registration earned; gives its virtual minutes towards the band of Years 7-9."""
    born, virtual = enrolment["date_of_birth"], 0
    entries = [
        Entry(
            r["on_date"],
            r["nc_year"],
            ExperienceKind(r["kind"]),
            r["in_person_minutes"],
            r["virtual_minutes"],
        )
        for r in rows
        if not only or r["academic_year"] == year
    ]
    kept = [one for one in credited(entries, DEFAULT_POLICY) if one.in_person or one.virtual]
    for one in kept:
        band = band_on(one.nc_year, born, one.on)
        made.minutes += one.in_person + one.virtual
        made.kinds.setdefault(one.kind.value, [0, 0, 0, 0])[0] += one.in_person + one.virtual
        if band == EntitlementBand.YEARS_7_9:
            made.activity += one.in_person
            virtual += one.virtual
        if band == EntitlementBand.YEARS_10_11 and one.kind == ExperienceKind.PLACEMENT:
            made.placement += one.in_person
    by_kind = {(one.on, one.nc_year, one.kind) for one in kept}
    for _, _, kind in by_kind:
        made.kinds[kind.value][1] += 1
    made.days += len(by_kind if only else {one.on for one in kept})
    made.credits += [row for row in _credits(rows) if not only or row["academic_year"] == year]
    for row in _standing(rows):
        if not only or row["academic_year"] == year:
            made.bm5 += row["bm5"]
            made.bm6 += row["bm6"]
            counts = made.kinds.setdefault(row["kind"], [0, 0, 0, 0])
            counts[2] += row["bm5"]
            counts[3] += row["bm6"]
    if not only:
        made.activity += min(virtual, HALF)
    return virtual


def _credits(rows: list[Row]) -> list[Row]:
    """What nothing has reversed."""
    undone = {row["reverses_id"] for row in rows}
    return [row for row in rows if row["entry"] != "reversal" and row["id"] not in undone]


def _standing(rows: list[Row]) -> list[Row]:
    """The first day of each encounter that nothing has reversed."""
    first: dict[UUID, Row] = {}
    for row in sorted(_credits(rows), key=lambda row: row["on_date"]):
        first.setdefault(row["encounter_id"], row)
    return list(first.values())


def groups_of(found: Sequence[Pupil]) -> dict[tuple[Any, ...], list[Pupil]]:
    """By school, NC year and the year it is banded by."""
    groups = defaultdict[tuple[Any, ...], list[Pupil]](list)
    for one in found:
        groups[one.school, one.nc_year, one.settled].append(one)
    return groups


def cells(found: Sequence[Pupil]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """As `app.coverage_cells` answers."""
    return {key: counts(group) for key, group in groups_of(found).items()}


def traits(state: State, found: Sequence[Pupil], on: date) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """The same by characteristic, as `app.coverage_traits` answers: of schools that stand on it, told or not."""
    told = {(row["enrolment_id"], row["field_group"]): row["value"] for row in state.told if _runs(row, on)}
    groups = defaultdict[tuple[Any, ...], list[Pupil]](list)
    for key, group in groups_of(found).items():
        for one in group:
            for school, field_group in state.stands:
                if school == one.school and field_group not in {"identity", "enrolment"}:
                    groups[*key, field_group, told.get((one.enrolment, field_group))].append(one)
    return {key: counts(group) for key, group in groups.items()}


def shortfall(found: Sequence[Pupil]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """As `app.market_shortfall` answers: pupils, those below, minutes, half days and whole days."""
    return {key: _short([_missing(one) for one in group]) for key, group in groups_of(found).items()}


def _missing(one: Pupil) -> int:
    if one.settled in {"7", "8", "9"}:
        return max(0, 1_500 - one.activity)
    return max(0, 1_500 - one.placement) if one.settled in {"10", "11"} else 0


def _short(missing: list[int]) -> tuple[int, ...]:
    days = (sum(-(-each // length) for each in missing) for length in (150, 300))
    return len(missing), sum(each > 0 for each in missing), sum(missing), *days


def variety(found: Sequence[Pupil], sectors: dict[UUID, list[str]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """As `app.market_variety` answers, where all employers are small; `sectors` of each."""
    return {key: _varied(group, sectors) for key, group in groups_of(found).items()}


def _varied(group: list[Pupil], sectors: dict[UUID, list[str]]) -> tuple[Any, ...]:
    spreads: list[Any] = []
    met = [{row["employer_id"] for row in one.credits if row["employer_id"]} for one in group]
    for each in (
        met,
        [{sector for employer in one for sector in sectors[employer]} for one in met],
        [{row["kind"] for row in one.credits} for one in group],
    ):
        sizes = [len(one) for one in each]
        spreads += [
            sum(sizes),
            [*(sizes.count(number) for number in range(3)), sum(size > 2 for size in sizes)],
        ]
    rows = [row for one in group for row in one.credits]
    known = sum(_minutes(row) for row in rows if row["employer_id"])
    here = sum(row["in_person_minutes"] for row in rows)
    return len(group), *spreads, sum(map(_minutes, rows)), here, known, known


def _minutes(row: Row) -> int:
    return int(row["in_person_minutes"] + row["virtual_minutes"])


def counts(group: Sequence[Pupil]) -> tuple[int, ...]:
    """pupils, reached, minutes, days, at activity, placement, week, total; bm5, bm6."""
    return (
        len(group), sum(one.minutes > 0 for one in group), sum(one.minutes for one in group),
        sum(one.days for one in group), sum(one.activity >= 1_500 for one in group),
        sum(one.placement >= 1_500 for one in group), sum(one.minutes >= 1_500 for one in group),
        sum(one.minutes >= 3_000 for one in group), sum(one.bm5 > 0 for one in group), sum(one.bm6 > 0 for one in group),
    )  # fmt: skip


def kinds(found: Sequence[Pupil]) -> dict[tuple[UUID, str], tuple[int, ...]]:
    """By school and kind: reached, minutes, days, bm5, bm6; without those that came to nothing."""
    sums = defaultdict[tuple[UUID, str], list[int]](lambda: [0] * 5)
    for one in found:
        for kind, (minutes, days, bm5, bm6) in one.kinds.items():
            for at, value in enumerate((minutes > 0, minutes, days, bm5 > 0, bm6 > 0)):
                sums[one.school, kind][at] += value
    return {key: tuple(row) for key, row in sums.items() if any(row)}


def lines(found: Sequence[Pupil], cut: str) -> dict[str, dict[str, Any]]:
    """The lines of one cut as the API shows them to those who see exact figures."""
    groups = defaultdict[str, list[Pupil]](list)
    for one in found:
        stage = key_stage(one.settled) if one.settled else None
        key = {"SCHOOL": str(one.school), "YEAR_GROUP": one.nc_year, "KEY_STAGE": stage and stage.value}[cut]
        groups[key or "unknown"].append(one)
    return {key: _shown(group) for key, group in groups.items()}


def _shown(group: Sequence[Pupil]) -> dict[str, Any]:
    names = ("pupils", "reached", "minutes", "days", "activity", "placement", "week", "total", "bm5", "bm6")
    said: dict[str, Any] = dict(zip(names, counts(group), strict=True))
    young = [one for one in group if one.settled in {"7", "8", "9"}]
    old = [one for one in group if one.settled in {"10", "11"}]
    said["activity"] = counts(young)[4] if young else None
    said["placement"] = counts(old)[5] if old else None
    return said


def day_and_year(on: date, year: int | None) -> tuple[date, int, bool]:
    """As `dashboards.service.period`."""
    if year is None:
        return on, academic_year(on), False
    return min(on, first_day(year + 1).replace(month=8, day=31)), year, True
