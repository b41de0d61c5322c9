"""Encounters: record those without a booking, correct them, confirm their criteria. Nothing is overwritten."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.bookings import sql as bookings
from app.core.clock import as_date, school_day
from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Invalid, NotFound, Stale
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.encounters import sql
from app.encounters.records import judged, summed
from app.encounters.settlement import add, correct
from app.outbox import service as outbox
from app.rules.benchmarks import problem_with_confirming
from app.rules.school_calendar import academic_year, first_day, placements_lawful_from
from app.rules.words import ActivityBand, BookingState, Criterion, ExperienceKind, Mode

MOST: Final = 500
FIRST_YEAR: Final = 2015
"""The first academic year that is kept."""
DAY_AT_MOST: Final = 1_440


@dataclass(frozen=True, slots=True)
class Day:
    """Minutes of one school day (a date in London)."""

    on: date
    in_person: int = 0
    virtual: int = 0


@dataclass(frozen=True, slots=True)
class New:
    """An encounter as a school tells it, without a booking. The pupil by our id or the caller's own reference."""

    kind: ExperienceKind
    mode: Mode
    per_day: Sequence[Day]
    pupil_id: UUID | None = None
    pupil_ref: str | None = None
    external_ref: str | None = None
    employer_id: UUID | None = None
    employer_name: str | None = None
    title: str | None = None
    activity_band: ActivityBand = ActivityBand.LOW
    offered: Sequence[Criterion] = ()
    confirmed: Sequence[Criterion] = ()
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row: the encounter, or the faults that refused it."""

    index: int
    external_ref: str | None
    faults: tuple[Fault, ...] = ()
    row: Row | None = None


@dataclass(slots=True)
class _Known:
    """What the rows are judged against."""

    pupils: Mapping[UUID, Row]
    by_ref: Mapping[str, Row]
    employers: Mapping[UUID, str]
    today: date
    refs: set[str] = field(default_factory=set)


async def record(
    tx: Writer,
    school_id: UUID,
    told: Sequence[New],
    *,
    places: Sequence[int] | None = None,
    pointer: str = "/encounters/{at}",
    atomic: bool = False,
) -> list[Answer]:
    """Record up to 500 encounters, row by row, and credit their minutes; about ten statements.

    `places` are the rows' places in the body, where some were refused before; `pointer` is where a row stands in it.
    Good rows are kept unless `atomic`: then any fault refuses them all (Invalid). Refuses with NotFound `school` one
    that is not the caller's. Faults of a row: `unknown_pupil`, `not_enrolled`, `nc_year_unknown`, `unknown_employer`,
    `employer_required`, `in_the_future`, `too_early`, `duplicate`, `two_academic_years`, `no_minutes`, `too_many_minutes`,
    `not_in_this_mode`, `placement_unlawful` (Education Act 1996 s.560), `external_ref_taken`.
    """
    by_place = dict(zip(places or range(len(told)), told, strict=True))
    known = await _known(tx, school_id, told)
    faults = {at: _faults(one, pointer.format(at=at), known) for at, one in by_place.items()}
    rows = {at: _new_row(one, school_id, known) for at, one in by_place.items() if not faults[at]}
    for at in await _take_refs(tx, school_id, by_place, rows):
        detail = "You have recorded an encounter with this external_ref already."
        faults[at].append(Fault(f"{pointer.format(at=at)}/external_ref", "external_ref_taken", detail))
        del rows[at]
    if atomic and len(rows) < len(told):
        found = [fault for each in faults.values() for fault in each]
        raise Invalid("invalid", "Some encounters are not acceptable; none was recorded.", found)
    await outbox.emit(tx, await add(tx, list(rows.values())))
    return [Answer(at, one.external_ref, tuple(faults[at]), rows.get(at)) for at, one in by_place.items()]


async def _known(tx: Writer, school_id: UUID, told: Sequence[New]) -> _Known:
    ids = [one.pupil_id for one in told if one.pupil_id]
    refs = [one.pupil_ref for one in told if one.pupil_ref]
    found = await sql.pupils(tx, school_id, ids, refs)
    if not found and not await sql.reaches(tx, school_id):
        raise NotFound("school")
    employers = [one.employer_id for one in told if one.employer_id]
    return _Known(
        pupils={row["id"]: row for row in found},
        by_ref={row["external_ref"]: row for row in found if row["external_ref"]},
        employers=await sql.employers_known(tx, employers) if employers else {},
        today=school_day(tx.caller.now),
    )


def _pupil(one: New, known: _Known) -> Row | None:
    return known.pupils.get(one.pupil_id) if one.pupil_id else known.by_ref.get(one.pupil_ref or "")


def _faults(one: New, where: str, known: _Known) -> list[Fault]:
    faults = days_faults(one.per_day, one.mode, where, known.today)
    faults += _employer_faults(one, where, known)
    if one.external_ref and one.external_ref in known.refs:
        faults.append(Fault(f"{where}/external_ref", "duplicate", "This reference comes twice."))
    known.refs |= {one.external_ref} if one.external_ref else set()
    pupil = _pupil(one, known)
    field_name = "pupil_id" if one.pupil_id else "pupil_external_ref"
    if pupil is None:
        return [Fault(f"{where}/{field_name}", "unknown_pupil", "This school has no such pupil."), *faults]
    if not faults:
        faults += pupil_faults(pupil, one.kind, one.per_day, where, field_name)
    return faults


def days_faults(days: Sequence[Day], mode: Mode, where: str, today: date) -> list[Fault]:
    """What is wrong with minutes by day: dates that are not over, twice, or in two academic years; impossible minutes."""
    faults = []
    seen: set[date] = set()
    for at, one in enumerate(days):
        here = f"{where}/per_day/{at}"
        if one.on > today:
            faults.append(Fault(f"{here}/on", "in_the_future", "Only what has happened is recorded."))
        if one.on < first_day(FIRST_YEAR):
            faults.append(
                Fault(f"{here}/on", "too_early", f"Nothing before {first_day(FIRST_YEAR)} is kept.")
            )
        if one.on in seen:
            faults.append(Fault(f"{here}/on", "duplicate", "This day comes twice."))
        seen.add(one.on)
        if not 1 <= one.in_person + one.virtual <= DAY_AT_MOST:
            code = "too_many_minutes" if one.in_person + one.virtual else "no_minutes"
            faults.append(Fault(here, code, "A day has between 1 and 1440 minutes."))
        if (one.virtual and mode == Mode.IN_PERSON) or (one.in_person and mode == Mode.VIRTUAL):
            faults.append(Fault(here, "not_in_this_mode", f"These minutes do not fit the mode {mode.value}."))
    if len({academic_year(one.on) for one in days}) > 1:
        detail = "Record what lies in two academic years as two encounters."
        faults.append(Fault(f"{where}/per_day", "two_academic_years", detail))
    return faults


def _employer_faults(one: New, where: str, known: _Known) -> list[Fault]:
    if one.employer_id and one.employer_id not in known.employers:
        return [Fault(f"{where}/employer_id", "unknown_employer", "There is no such employer.")]
    if not one.employer_id and not one.employer_name:
        return [Fault(f"{where}/employer_name", "employer_required", "Name the employer, or give its id.")]
    return []


def pupil_faults(
    pupil: Row, kind: ExperienceKind, days: Sequence[Day], where: str, field_name: str
) -> list[Fault]:
    """What is wrong with an encounter of this pupil: not enrolled, no NC year on the date, an unlawful placement."""
    faults = []
    if pupil["state"] == "claimed":
        detail = "This pupil's enrolment is only claimed."
        faults.append(Fault(f"{where}/{field_name}", "not_enrolled", detail))
    first = min(one.on for one in days)
    if str(academic_year(first)) not in pupil["nc_years"]:
        detail = f"The pupil's NC year in the academic year {academic_year(first)} has not been sent."
        faults.append(Fault(f"{where}/per_day", "nc_year_unknown", detail))
    lawful_from = placements_lawful_from(pupil["date_of_birth"])
    if kind == ExperienceKind.PLACEMENT and first < lawful_from:
        detail = f"A placement is lawful for this pupil from {lawful_from.isoformat()}."
        faults.append(Fault(f"{where}/kind", "placement_unlawful", detail))
    return faults


def _new_row(one: New, school_id: UUID, known: _Known) -> dict[str, Any]:
    pupil = _pupil(one, known) or {}
    totals = summed(_written(one.per_day))
    year = academic_year(totals["starts_on"])
    row = {
        "academic_year": year,
        "id": new_id(),
        "school_id": school_id,
        "enrolment_id": pupil["id"],
        "person_no": pupil["person_no"],
        "participation_id": None,
        "booking_id": None,
        "employer_id": one.employer_id,
        "employer_name": known.employers[one.employer_id] if one.employer_id else one.employer_name,
        "title": one.title,
        "kind": one.kind.value,
        "mode": one.mode.value,
        "activity_band": one.activity_band.value,
        "nc_year": pupil["nc_years"][str(year)],
        "criteria_offered": [each.value for each in one.offered],
        "criteria_confirmed": [each.value for each in one.confirmed],
        "evidence": None if one.evidence is None else dict(one.evidence),
        "state": "credited",
        "version": 1,
        **totals,
    }
    return row | judged(row)


def _written(days: Sequence[Day]) -> list[dict[str, Any]]:
    ordered = sorted(days, key=lambda one: one.on)
    return [{"on": one.on.isoformat(), "in_person": one.in_person, "virtual": one.virtual} for one in ordered]


async def _take_refs(
    tx: Writer, school_id: UUID, told: Mapping[int, New], rows: Mapping[int, Mapping[str, Any]]
) -> list[int]:
    """Take the references of good rows; gives the indexes of those that were taken already."""
    wanted = {
        at: {"external_ref": ref, "encounter_id": row["id"], "academic_year": row["academic_year"]}
        for at, row in rows.items()
        if (ref := told[at].external_ref)
    }
    if not wanted:
        return []
    free = await sql.take_refs(tx, school_id, list(wanted.values()))
    return [at for at, one in wanted.items() if one["external_ref"] not in free]


async def record_one(tx: Writer, school_id: UUID, told: New) -> Row:
    """Record one encounter. Refuses as `record`, with Invalid and pointers from the top of the body."""
    answer = (await record(tx, school_id, [told], pointer="", atomic=True))[0]
    return answer.row or {}


@dataclass(frozen=True, slots=True)
class Correction:
    """What an encounter should say instead; None leaves a field as it is. `void`: it did not take place."""

    reason: str
    per_day: Sequence[Day] | None = None
    kind: ExperienceKind | None = None
    mode: Mode | None = None
    title: str | None = None
    employer_name: str | None = None
    confirmed: Sequence[Criterion] | None = None
    evidence: Mapping[str, Any] | None = None
    void: bool = False


async def correct_one(tx: Writer, encounter_id: UUID, correction: Correction, expected: Expected) -> Row:
    """Correct an encounter without a booking: a reversal and a new credit, what it said before is kept.

    Refuses with NotFound `encounter`, Stale, Conflict `from_a_booking` (correct its attendance instead) and `voided`,
    Invalid as `record`, and `other_academic_year` (void it and record it anew).
    """
    was = await _locked(tx, encounter_id, expected)
    if was["booking_id"]:
        raise Conflict("from_a_booking", "Its minutes come from attendance: correct that instead.")
    if was["state"] == "reversed":
        raise Conflict("voided", "This encounter was voided: record it anew.")
    will = _corrected(was, correction)
    if not correction.void:
        await _refuse_bad(tx, was, will)
    events = await correct(tx, [(was, will)], correction.reason)
    await outbox.emit(tx, events)
    return await sql.by_id(tx, encounter_id) or {}


def _corrected(was: Row, correction: Correction) -> dict[str, Any]:
    row = dict(was)
    if correction.void:
        row["state"] = "reversed"
        return row | judged(row)
    for name in ("kind", "mode", "title", "employer_name", "evidence"):
        given = getattr(correction, name)
        row[name] = was[name] if given is None else given
    if correction.confirmed is not None:
        row["criteria_confirmed"] = [one.value for one in correction.confirmed]
    if correction.per_day is not None:
        row |= summed(_written(correction.per_day))
    return row | judged(row)


async def _refuse_bad(tx: Writer, was: Row, will: Mapping[str, Any]) -> None:
    days = [Day(as_date(one["on"]) or date.min, one["in_person"], one["virtual"]) for one in will["per_day"]]
    faults = days_faults(days, Mode(will["mode"]), "", school_day(tx.caller.now))
    pupils = await sql.pupils(tx, was["school_id"], [was["enrolment_id"]], [])
    faults += pupil_faults(pupils[0], ExperienceKind(will["kind"]), days, "", "pupil_id") if pupils else []
    if academic_year(will["starts_on"]) != was["academic_year"]:
        detail = "It would lie in another academic year: void it and record it anew."
        faults.append(Fault("/per_day", "other_academic_year", detail))
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)


async def _locked(tx: Writer, encounter_id: UUID, expected: Expected) -> Row:
    was = await sql.lock(tx, encounter_id)
    if was is None:
        raise NotFound("encounter")
    if not is_expected(was["version"], expected):
        raise Stale
    return was


async def confirm_criteria(
    tx: Writer, encounter_id: UUID, criteria: Sequence[Criterion], expected: Expected
) -> Row:
    """The school says which criteria were met; BM5 and BM6 follow, and the ledger's facts move with them.

    Refuses with NotFound `encounter`, Stale, Conflict `voided`.
    """
    was = await _locked(tx, encounter_id, expected)
    if was["state"] == "reversed":
        raise Conflict("voided", "This encounter does not stand.")
    words = [one.value for one in criteria]
    if was["participation_id"]:
        await sql.confirm(tx, [was["participation_id"]], words, tx.caller.now)
    await outbox.emit(tx, await correct(tx, _confirmed([was], words), "Criteria were confirmed."))
    return await sql.by_id(tx, encounter_id) or {}


def _confirmed(rows: Sequence[Row], words: Sequence[str]) -> list[tuple[Row, dict[str, Any]]]:
    """Pairs of before and after, of those that say something else now."""
    pairs = [(row, {**row, "criteria_confirmed": list(words)}) for row in rows]
    return [(was, will | judged(will)) for was, will in pairs if set(was["criteria_confirmed"]) != set(words)]


async def confirm_criteria_of_booking(
    tx: Writer, booking_id: UUID, criteria: Sequence[Criterion], participation_ids: Sequence[UUID] | None
) -> tuple[Row, int]:
    """The same for all pupils of a booking, or for those named; before it is settled the word is kept for then.

    Gives the booking and how many encounters say something else now. Refuses with NotFound `booking`, Conflict
    `too_early`, `not_from_this_state`, Invalid `unknown_participation`.
    """
    booking = await bookings.lock(tx, booking_id)
    if booking is None or tx.caller.side != "school":
        raise NotFound("booking")
    if refusal := problem_with_confirming(now=tx.caller.now, last_end=booking["ends_at"]):
        raise Conflict(refusal.code, refusal.detail, extra={"ends_at": booking["ends_at"]})
    if booking["state"] not in {BookingState.CONFIRMED, BookingState.ON_HOLD, BookingState.COMPLETED}:
        raise Conflict(
            "not_from_this_state", f"A booking that is {booking['state']} has no criteria to confirm."
        )
    ids = await _chosen(tx, booking_id, participation_ids)
    words = [one.value for one in criteria]
    await sql.confirm(tx, list(ids), words, tx.caller.now)
    mine = [row for row in await sql.of_booking(tx, booking_id) if row["participation_id"] in ids]
    changes = _confirmed([row for row in mine if row["state"] == "credited"], words)
    await outbox.emit(tx, await correct(tx, changes, "Criteria were confirmed."))
    return booking, len(changes)


async def _chosen(tx: Writer, booking_id: UUID, wanted: Sequence[UUID] | None) -> set[UUID]:
    named = await bookings.named(tx, booking_id)
    there = {row["id"] for row in named if row["state"] != "withdrawn"}
    if wanted is None:
        return there
    faults = [
        Fault(f"/participation_ids/{at}", "unknown_participation", "No such participant in this booking.")
        for at, one in enumerate(wanted)
        if one not in there
    ]
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    return set(wanted)
