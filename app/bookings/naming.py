"""Naming the pupils of a booking, withdrawing them, and telling the employer who is coming."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.bookings import news, sql
from app.bookings.facts import moment, pupil_facts
from app.bookings.refusals import not_yours_to_move
from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Forbidden, Invalid, NotFound
from app.core.ids import new_id
from app.outbox import service as outbox
from app.rules.eligibility import reasons_against
from app.rules.school_calendar import academic_year
from app.rules.words import BookingState, ParentalAgreement

MAY_NAME = frozenset({BookingState.REQUESTED, BookingState.COUNTERED, BookingState.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Name:
    """One pupil, by our id or by the caller's own reference, with what the parents answered (placements)."""

    pupil_id: UUID | None = None
    external_ref: str | None = None
    parental_agreement: ParentalAgreement | None = None


async def name_participants(tx: Writer, booking_id: UUID, names: Sequence[Name]) -> tuple[Row, Sequence[Row]]:
    """Name pupils in a booking: all of them, or none with a fault for each (`/pupils/3`). Gives booking, participations.

    Refuses with NotFound `booking`, Forbidden `not_yours`, Conflict `not_from_this_state`, `naming_closed`,
    `too_many_names`, Invalid with the reasons of `rules.eligibility` by pupil, Conflict `overlap` where another
    school has the pupil at that time.
    """
    booking = await _nameable(tx, booking_id, len(names))
    slot = await sql.slot_facts(tx, booking["slot_id"], booking["school_id"])
    if slot is None:
        raise NotFound("slot")
    ids = await _ids(tx, booking["school_id"], names)
    pupils = await sql.pupil_facts(
        tx,
        school_id=booking["school_id"],
        booking_id=booking_id,
        site_id=booking["site_id"],
        year=academic_year(school_day(booking["starts_at"])),
        pupils=[one for one in ids if one],
    )
    faults = [fault for at, name in enumerate(names) for fault in _faults(at, name, ids, pupils, slot)]
    if faults:
        raise Invalid("invalid", "Some pupils cannot be named; none was.", faults)
    chosen = sorted((pupils[one] for one in ids if one), key=lambda pupil: int(pupil["person_no"]))
    named = [_participation(booking, pupil) for pupil in chosen]
    await _add(tx, booking, slot, named)
    answers = {
        one: name.parental_agreement
        for one, name in zip(ids, names, strict=True)
        if one and name.parental_agreement
    }
    await sql.record_agreements(tx, _agreements(tx, booking, answers))
    changed = await sql.change(tx, booking_id, {"named": booking["named"] + len(named)})
    await outbox.emit(tx, news.participants_named(changed))
    return changed, await sql.named(tx, booking_id)


async def _nameable(tx: Writer, booking_id: UUID, more: int) -> Row:
    booking = await sql.lock(tx, booking_id)
    if booking is None:
        raise await not_yours_to_move(tx, booking_id)
    if tx.caller.side != "school":
        raise Forbidden("not_yours", "Only a school's side names pupils.")
    if booking["state"] not in MAY_NAME:
        raise Conflict("not_from_this_state", f"A booking that is {booking['state']} takes no names.")
    if tx.caller.now > booking["name_by"]:
        raise Conflict(
            "naming_closed", "The time to name pupils has passed.", extra={"name_by": booking["name_by"]}
        )
    if booking["named"] + more > booking["places"]:
        extra = {"places": booking["places"], "named": booking["named"]}
        raise Conflict("too_many_names", "There are more names than places.", extra=extra)
    return booking


async def _ids(tx: Writer, school_id: UUID, names: Sequence[Name]) -> list[UUID | None]:
    refs = [one.external_ref for one in names if one.external_ref and not one.pupil_id]
    known = await sql.pupils_by_ref(tx, school_id, refs) if refs else {}
    return [one.pupil_id or known.get(one.external_ref or "") for one in names]


def _faults(
    at: int, name: Name, ids: Sequence[UUID | None], pupils: dict[UUID, Row], slot: Row
) -> list[Fault]:
    field = "pupil_id" if name.pupil_id else "external_ref"
    where, pupil = f"/pupils/{at}", next((row for one, row in pupils.items() if one == ids[at]), None)
    if pupil is None:
        return [Fault(f"{where}/{field}", "unknown_pupil", "This school has no such pupil.")]
    if ids[at] in ids[:at]:
        return [Fault(f"{where}/{field}", "duplicate", "This pupil is named twice.")]
    return [Fault(where, code, detail) for code, detail in _against(pupil, slot, name.parental_agreement)]


def _against(pupil: Row, slot: Row, answer: ParentalAgreement | None) -> list[tuple[str, str]]:
    """Why a pupil cannot be named for a slot: code and detail."""
    if pupil["state"] == "claimed":
        return [("not_enrolled", "This pupil's enrolment is only claimed.")]
    if pupil["nc_year"] is None:
        return [("nc_year_unknown", "The pupil's NC year in that academic year has not been sent.")]
    return [(one.code, one.detail) for one in reasons_against(pupil_facts(slot, pupil, answer))]


async def carry_names(tx: Writer, booking: Row, slot: Row) -> int:
    """Withdraw the pupils of a booking from its slot and name those who can come for another one; gives how many.

    Who is at that time somewhere that the caller may not know of stays behind, too. The caller writes for the school.
    """
    before = [row["pupil_id"] for row in await sql.named(tx, booking["id"]) if row["state"] == "named"]
    await sql.withdraw(tx, booking["id"])
    pupils = await sql.pupil_facts(
        tx,
        school_id=booking["school_id"],
        booking_id=booking["id"],
        site_id=slot["site_id"],
        year=academic_year(school_day(slot["starts_at"])),
        pupils=before,
    )
    new = {**booking, "slot_id": slot["id"]}
    named = [_participation(new, one) for one in pupils.values() if not _against(one, slot, None)]
    if not named:
        return 0
    try:
        async with tx.attempt():
            await _add(tx, new, slot, named)
    except (Conflict, ConstraintBroken):
        return sum([await _carry_one(tx, new, slot, one) for one in named])
    return len(named)


async def _carry_one(tx: Writer, booking: Row, slot: Row, one: dict[str, Any]) -> bool:
    try:
        async with tx.attempt():
            await _add(tx, booking, slot, [one])
    except (Conflict, ConstraintBroken):
        return False
    return True


def _participation(booking: Row, pupil: Row) -> dict[str, Any]:
    return {
        "id": new_id(),
        "booking_id": booking["id"],
        "slot_id": booking["slot_id"],
        "school_id": booking["school_id"],
        "employer_id": booking["employer_id"],
        "enrolment_id": pupil["id"],
        "person_no": pupil["person_no"],
        "nc_year": pupil["nc_year"],
    }


async def _add(tx: Writer, booking: Row, slot: Row, named: Sequence[dict[str, Any]]) -> None:
    places = [
        {
            "id": new_id(),
            "participation_id": one["id"],
            "booking_id": booking["id"],
            "sitting_id": UUID(sitting["id"]),
            "school_id": booking["school_id"],
            "employer_id": booking["employer_id"],
            "person_no": one["person_no"],
            "starts_at": moment(sitting["starts_at"]),
            "ends_at": moment(sitting["ends_at"]),
            "break_minutes": sitting["break_minutes"],
            "virtual": sitting["virtual"],
        }
        for one in named
        for sitting in slot["sittings"]
    ]
    try:
        await sql.add_participations(tx, named, places)
    except ConstraintBroken as broken:
        raise _translated(broken) from broken


def _translated(broken: ConstraintBroken) -> Conflict:
    if broken.constraint == "ex_participation_sittings_one_place":
        return Conflict("overlap", "A pupil would be in two places at once.")
    if broken.constraint == "uq_participations_named":
        return Conflict("already_named", "A pupil is named in this booking already.")
    return broken


def _agreements(tx: Writer, booking: Row, answers: Mapping[UUID, ParentalAgreement]) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(),
            "school_id": booking["school_id"],
            "enrolment_id": pupil_id,
            "booking_id": booking["id"],
            "state": answer.value,
            "answered_on": school_day(tx.caller.now),
        }
        for pupil_id, answer in answers.items()
    ]


async def withdraw_participant(
    tx: Writer, booking_id: UUID, participation_id: UUID, agreement: ParentalAgreement | None = None
) -> Row:
    """Withdraw one pupil before the visit: the place is another pupil's to be named for, and goes back to the slot
    once names are no longer taken. `agreement` is what the parents answer now. The employer is told that a name is gone.

    Refuses with NotFound `booking` or `participation`, Conflict `visit_begun`.
    """
    booking = await sql.lock(tx, booking_id)
    if booking is None or tx.caller.side != "school":
        raise NotFound("booking")
    found = await sql.participation(tx, participation_id)
    if found is None or found["booking_id"] != booking_id:
        raise NotFound("participation")
    if agreement:
        await sql.record_agreements(tx, _agreements(tx, booking, {found["enrolment_id"]: agreement}))
    if found["state"] == "withdrawn":
        return booking
    if tx.caller.now >= booking["starts_at"] or not await sql.withdraw(tx, booking_id, participation_id):
        raise Conflict("visit_begun", "The visit has begun: report attendance instead.")
    changed = await sql.change(tx, booking_id, {"named": booking["named"] - 1})
    await outbox.emit(tx, news.participants_named(changed))
    return changed


async def participants(tx: Writer, booking_id: UUID, route: str) -> Sequence[Row]:
    """Who is named. To the school its own pupils' ids; to the employer of a booking that stands a name to call
    (known-as, initial of the family name) and access needs, each written down as a disclosure.
    """
    booking = await sql.by_id(tx, booking_id)
    if booking is None:
        raise NotFound("booking")
    rows = await sql.named(tx, booking_id)
    if tx.caller.side == "school":
        return rows
    shown = [{**row, "pupil_id": None, "nc_year": None} for row in rows if row["state"] != "withdrawn"]
    if booking["state"] not in {BookingState.CONFIRMED, BookingState.COMPLETED}:
        return shown
    released = await sql.release(tx, booking_id, [new_id() for _ in rows], route)
    names = {row["participation_id"]: row for row in released}
    return [{**row, **_told(names.get(row["id"]))} for row in shown]


def _told(released: Row | None) -> dict[str, Any]:
    if released is None:
        return {}
    return {name: released[name] for name in ("known_as", "family_initial", "access_needs")}
