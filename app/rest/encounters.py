"""Encounters over REST: record without a booking, correct, confirm criteria, read."""

from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import Query, Request
from fastapi.responses import Response

from app.core.caller import Caller
from app.core.db import Row
from app.core.errors import Fault, Invalid, NotFound
from app.core.turns import each, slices
from app.encounters import service, sql
from app.rest import bulk
from app.rest.encounter_models import (
    BookingCriteriaIn,
    ConfirmedOut,
    CorrectionIn,
    CriteriaIn,
    DayIn,
    EncounterAnswers,
    EncounterIn,
    EncounterOut,
    EncounterPage,
    EncounterRow,
    EncountersIn,
    EncounterWithVersions,
)
from app.rest.frame import IfMatch, Pulled, Read, Write, framed, json_answer, needs, one_answer, page_of_pull
from app.rest.models import Day, Flag

router = framed("/v1", "encounters")
EVIDENCE_AT_MOST: Final = 10_000
_SHOWN = (
    "id", "school_id", "booking_id", "participation_id", "employer_id", "employer_name", "title", "kind", "mode",
    "activity_band", "starts_on", "ends_on", "academic_year", "nc_year", "in_person_minutes", "virtual_minutes", "days",
    "criteria_offered", "criteria_confirmed", "bm5_offered", "bm5", "bm6_offered", "bm6", "evidence", "state",
    "version", "recorded_at", "updated_at",
)  # fmt: skip
_BULK_BODY: Final[dict[str, Any]] = bulk.document(EncountersIn)


def shown(row: Row, caller: Caller | None = None) -> dict[str, Any]:
    """An encounter as the school's side sees it; its evidence is for the school and its trust, not for a vendor that
    reads it (`caller`): whatever it says of a pupil, no field group was granted for it.
    """
    view = {name: row[name] for name in _SHOWN}
    if caller is not None and caller.org_kind == "vendor":
        view["evidence"] = None
    view["pupil_id"] = row["enrolment_id"]
    view["minutes"] = row["in_person_minutes"] + row["virtual_minutes"]
    view["per_day"] = [
        {"on": one["on"], "in_person_minutes": one["in_person"], "virtual_minutes": one["virtual"]}
        for one in row["per_day"]
    ]
    return view


def _days(days: list[DayIn]) -> list[service.Day]:
    return [service.Day(one.on, one.in_person_minutes, one.virtual_minutes) for one in days]


def _new(one: EncounterRow) -> service.New:
    return service.New(
        kind=one.kind,
        mode=one.mode,
        per_day=_days(one.per_day),
        pupil_id=one.pupil_id,
        pupil_ref=one.pupil_external_ref,
        external_ref=one.external_ref,
        employer_id=one.employer_id,
        employer_name=one.employer_name,
        title=one.title,
        activity_band=one.activity_band,
        offered=one.criteria_offered,
        confirmed=one.criteria_confirmed,
        evidence=one.evidence,
    )


def _problems_with(one: EncounterRow, where: str) -> list[Fault]:
    """What one row says twice or too long."""
    faults = []
    if (one.pupil_id is None) == (one.pupil_external_ref is None):
        detail = "Give pupil_id or pupil_external_ref, one of the two."
        faults.append(Fault(f"{where}/pupil_id", "one_of", detail))
    if one.employer_id is not None and one.employer_name is not None:
        faults.append(
            Fault(f"{where}/employer_name", "one_of", "Give employer_id or employer_name, not both.")
        )
    return faults + _evidence_faults(one.evidence, where)


def _evidence_faults(evidence: dict[str, Any] | None, where: str) -> list[Fault]:
    if evidence is not None and len(orjson.dumps(evidence)) > EVIDENCE_AT_MOST:
        return [Fault(f"{where}/evidence", "too_long", f"At most {EVIDENCE_AT_MOST} bytes of JSON.")]
    return []


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)


@router.post(
    "/encounters",
    status_code=201,
    response_model=EncounterOut,
    summary="Record an encounter",
    operation_id="record_encounter",
)
@needs("encounters:write")
async def record_encounter(body: EncounterIn, tx: Write) -> Response:
    """One that had no booking here: its minutes are credited at once, its evidence is kept.

    A placement below the lawful age is refused (Education Act 1996 s.560), without override.
    """
    _refuse(_problems_with(body, ""))
    made = await service.record_one(tx, body.school_id, _new(body))
    row = await sql.by_id(tx, made["id"]) or made
    location = f"/v1/encounters/{row['id']}"
    return one_answer(shown(row), version=row["version"], location=location, status=201)


@router.post(
    "/schools/{school_id}/encounters/bulk",
    response_model=EncounterAnswers,
    summary="Record up to 500 encounters",
    description="Answered row by row; good rows are kept unless `atomic=true`.",
    operation_id="bulk_encounters",
    openapi_extra=_BULK_BODY,
)
@needs("encounters:write", rows=("encounters", service.MOST))
async def bulk_encounters(
    school_id: UUID,
    request: Request,
    tx: Write,
    *,
    atomic: Annotated[Flag, Query(description="One refused row refuses them all.")] = False,
) -> Response:
    """At most a dozen statements, however many rows."""
    sent: bulk.Rows = request.state.rows
    read = await each(sent.rows, _read_row)
    answers = {
        at: _refused(row, one)
        for at, (row, one) in enumerate(zip(sent.rows, read, strict=True))
        if isinstance(one, list)
    }
    good = [(at, one) for at, one in enumerate(read) if isinstance(one, EncounterRow)]
    for part in slices(good, sent.at_once):
        told = [_new(one) for _, one in part]
        made = await service.record(tx, school_id, told, places=[at for at, _ in part])
        answers |= {one.index: one for one in made}
    rows = [answers[at] for at in range(len(read))]
    if atomic:
        _refuse([fault for one in rows for fault in one.faults])
    listed = bulk.Listed()
    data = [_answer(one, listed) for one in rows]
    recorded = sum(one["result"] == "recorded" for one in data)
    counts = {"recorded": recorded, "refused": len(data) - recorded, "more_errors": listed.more}
    return json_answer({**counts, "data": data})


def _read_row(row: bulk.Row) -> EncounterRow | list[Fault]:
    where = f"/encounters/{row.index}"
    one = bulk.validated(row, EncounterRow, where)
    return one if isinstance(one, list) else _problems_with(one, where) or one


def _refused(row: bulk.Row, faults: list[Fault]) -> service.Answer:
    return service.Answer(row.index, row.text("external_ref"), tuple(faults))


def _answer(one: service.Answer, listed: bulk.Listed) -> dict[str, Any]:
    return {
        "index": one.index,
        "external_ref": one.external_ref,
        "result": "refused" if one.faults else "recorded",
        "id": one.row["id"] if one.row else None,
        "errors": listed.of(one.faults),
    }


@router.post(
    "/encounters/{encounter_id}/corrections",
    response_model=EncounterOut,
    summary="Correct an encounter",
    operation_id="correct_encounter",
)
@needs("encounters:write")
async def correct_encounter(encounter_id: UUID, body: CorrectionIn, tx: Write, expected: IfMatch) -> Response:
    """A reversal and a new credit; what it said before is kept. One that came from a booking is corrected there."""
    _refuse(_evidence_faults(body.evidence, ""))
    correction = service.Correction(
        reason=body.reason,
        per_day=None if body.per_day is None else _days(body.per_day),
        kind=body.kind,
        mode=body.mode,
        title=body.title,
        employer_name=body.employer_name,
        confirmed=body.criteria_confirmed,
        evidence=body.evidence,
        void=body.void,
    )
    row = await service.correct_one(tx, encounter_id, correction, expected)
    return one_answer(shown(row, tx.caller), version=row["version"])


@router.put(
    "/encounters/{encounter_id}/criteria",
    response_model=EncounterOut,
    summary="Confirm criteria",
    operation_id="confirm_criteria",
)
@needs("encounters:write")
async def confirm_criteria(encounter_id: UUID, body: CriteriaIn, tx: Write, expected: IfMatch) -> Response:
    """The school says which criteria were met; benchmarks 5 and 6 follow."""
    row = await service.confirm_criteria(tx, encounter_id, body.criteria, expected)
    return one_answer(shown(row, tx.caller), version=row["version"])


@router.post(
    "/bookings/{booking_id}/criteria",
    response_model=ConfirmedOut,
    summary="Confirm criteria of a booking",
    operation_id="confirm_booking_criteria",
)
@needs("encounters:write")
async def confirm_booking_criteria(booking_id: UUID, body: BookingCriteriaIn, tx: Write) -> Response:
    """The same for all its pupils, or for some; from the end of the visit."""
    booking, changed = await service.confirm_criteria_of_booking(
        tx, booking_id, body.criteria, body.participation_ids
    )
    return json_answer({"booking_id": booking["id"], "encounters_changed": changed})


@router.get(
    "/encounters", response_model=EncounterPage, summary="List encounters", operation_id="list_encounters"
)
@needs("encounters:read")
async def list_encounters(
    tx: Read,
    turn: Pulled,
    *,
    school_id: Annotated[UUID | None, Query(description="One school of those you act for.")] = None,
    pupil_id: Annotated[UUID | None, Query(description="One pupil.")] = None,
    booking_id: Annotated[UUID | None, Query(description="One booking.")] = None,
    starts_from: Annotated[
        Day | None, Query(alias="from", description="First day, from (inclusive).")
    ] = None,
    starts_to: Annotated[Day | None, Query(alias="to", description="First day, until (inclusive).")] = None,
) -> Response:
    """Your schools' encounters, in the order they were recorded."""
    rows = await sql.page(
        tx,
        school_id=school_id,
        pupil_id=pupil_id,
        booking_id=booking_id,
        starts_from=starts_from,
        starts_to=starts_to,
        pull=turn.pull("encounters"),
    )
    return page_of_pull(turn, "encounters", rows, lambda row: shown(row, tx.caller))


@router.get(
    "/encounters/{encounter_id}",
    response_model=EncounterWithVersions,
    summary="Read an encounter",
    operation_id="read_encounter",
)
@needs("encounters:read")
async def read_encounter(encounter_id: UUID, tx: Read) -> Response:
    """One encounter, with what it said before each correction."""
    row = await sql.by_id(tx, encounter_id)
    if row is None:
        raise NotFound("encounter")
    kept = await sql.versions(tx, encounter_id)
    versions = [_version(one, tx.caller) for one in kept]
    return one_answer({**shown(row, tx.caller), "versions": versions}, version=row["version"])


def _version(one: Row, caller: Caller) -> dict[str, Any]:
    view = {name: one[name] for name in ("version", "reason", "client_id", "recorded_at")}
    return view | {"was": shown(one["was"], caller)}
