"""Add, change, remove and keep the parts of a programme: strands, schools, targets, allocations, costs."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Invalid, NotFound, Problem, Stale
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.programmes import sql
from app.programmes.held import moved_on, own, own_or_joined, refused
from app.programmes.judge import Judge, Plan
from app.programmes.judges import JUDGES
from app.programmes.purses import refuse_owners_line

MOST: Final = 5_000
"""Rows of one import."""
_TWICE: Final = {
    "uq_strands_code": ("/code", "code_taken"),
    "uq_programme_schools_strand": ("/school_id", "already_enrolled"),
    "uq_targets_aim": ("/measure", "target_taken"),
    "uq_allocations_school": ("/school_id", "already_allocated"),
    "uq_costs_external_ref": ("/external_ref", "external_ref_taken"),
}
_NOT_COPIED: Final = frozenset({"version", "created_at", "updated_at", "removed_at"})
_WHAT: Final = {"strands": "strand", "schools": "school", "targets": "target", "allocations": "allocation"}


@dataclass(slots=True)
class Sent:
    """One row as it came: schools by id or URN, strands by id or code; `faults` if it could not be read."""

    index: int
    given: Mapping[str, Any]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row: `created`, `updated`, `unchanged` or `refused`; pointers are relative to the row."""

    index: int
    status: str
    id: UUID | None = None
    errors: tuple[Fault, ...] = ()


async def _held(tx: Writer, programme_id: UUID, part: str) -> Row:
    """The programme, locked: the owner's, except that a school records the costs of its own."""
    held = await (own_or_joined if part == "costs" else own)(tx, programme_id)
    if held["state"] == "closed" and part != "costs":
        raise refused("", "programme_closed", "This programme is closed; only its costs are still recorded.")
    return held


async def add(tx: Writer, programme_id: UUID, part: str, given: Mapping[str, Any]) -> Row:
    """Add one of `strands`, `schools`, `targets`, `allocations`, `costs`; the programme's version goes up by one.

    NotFound for a programme that is not the caller's, or for what is no school. Invalid `unknown_strand`,
    `unknown_characteristic`, `characteristic_missing`, `not_counted_by_characteristic`, `hub_level_only`, `out_of_range`,
    `unknown_booking`, `strand_differs`, `leaves_before_joining`. Conflict `code_taken`,
    `already_enrolled`, `invite_only`, `not_enrolled`, `target_taken`, `below_reached`, `already_allocated`,
    `over_budget`, `below_committed`, `over_allocation`, `external_ref_taken`, `programme_closed`.
    Emits programme.changed to the owner, and to the school if there is one.
    """
    held = await _held(tx, programme_id, part)
    judge = await JUDGES[part].load(tx, held, [given])
    plan = judge.added(given)
    try:
        async with tx.attempt():
            row = await sql.add_part(tx, part, plan.after)
    except ConstraintBroken as broken:
        raise _translated(broken) from broken
    await moved_on(tx, held, _schools([plan]))
    return row


async def change(
    tx: Writer, programme_id: UUID, part: str, part_id: UUID, given: Mapping[str, Any], version: Expected
) -> Row:
    """Change fields of a part; refuses as `add` does, and with Stale. Costs are never changed."""
    held = await _held(tx, programme_id, part)
    before = await _part(tx, part, programme_id, part_id)
    if not is_expected(before["version"], version):
        raise Stale
    judge = await JUDGES[part].load(tx, held, [{**before, **given}])
    plan = judge.changed(given, before)
    if plan.status == "unchanged":
        return before
    changes = {name: value for name, value in plan.after.items() if value != before[name]}
    row = await sql.change_part(tx, part, part_id, changes)
    await moved_on(tx, held, _schools([plan]))
    return row


async def remove(tx: Writer, programme_id: UUID, part: str, part_id: UUID, expected: Expected = None) -> None:
    """End a part; it stays in the history. Conflict `strand_in_use` or `below_committed` while something stands on it;
    Forbidden `not_yours` for a line of costs that the owner has recorded about a school; Stale if `expected` is given and
    is not its version.
    """
    held = await _held(tx, programme_id, part)
    row = await _part(tx, part, programme_id, part_id)
    if not is_expected(row["version"], expected):
        raise Stale
    if part == "costs":
        refuse_owners_line(row, tx.caller.org_id)
    if part == "strands":
        await _refuse_used_strand(tx, programme_id, part_id)
    if part == "allocations" and (spent := (await sql.used(tx, programme_id)).get(row["school_id"], 0)):
        detail = f"This school has committed and spent {spent} pence."
        raise refused("", "below_committed", detail, committed_pence=spent)
    await sql.remove_parts(tx, part, [part_id])
    await moved_on(tx, held, _schools([Plan("removed", row)]))


async def _refuse_used_strand(tx: Writer, programme_id: UUID, strand_id: UUID) -> None:
    users = [
        what
        for what in ("schools", "targets")
        if any(row["strand_id"] == strand_id for row in await sql.standing(tx, what, programme_id))
    ]
    if await sql.strand_paid_for(tx, strand_id):
        users.append("costs")
    if await sql.strand_booked(tx, strand_id):
        users.insert(0, "bookings")
    if users:
        raise refused("", "strand_in_use", f"In use by {' and '.join(users)}.", used_by=users)


async def _part(tx: Writer, part: str, programme_id: UUID, part_id: UUID) -> Row:
    row = await sql.part(tx, part, programme_id, part_id)
    if row is None or row.get("state") == "left":
        raise NotFound(_WHAT.get(part, "line"))
    return row


# --- schools answer and leave -----------------------------------------------------------------------------------------


async def answer(tx: Writer, programme_id: UUID, enrolled_id: UUID, *, accepts: bool) -> Row:
    """The school invited (or its trust) accepts or declines. NotFound, Conflict `not_invited`, and `programme_closed`
    for who accepts. Emits programme.changed to both.
    """
    held = await own_or_joined(tx, programme_id)
    if accepts and held["state"] == "closed":
        raise refused("", "programme_closed", "This programme is closed; nobody joins it any more.")
    before = await _part(tx, "schools", programme_id, enrolled_id)
    row = await sql.answer(tx, enrolled_id, accepts=accepts)
    if row is None:
        raise refused("", "not_invited", "This school is not invited, or it is not yours to answer for it.")
    await moved_on(tx, held, [before["school_id"]])
    return row


async def leave(tx: Writer, programme_id: UUID, enrolled_id: UUID, on: date | None) -> Row:
    """A school leaves, by its own word or the owner's; the owner takes an invitation back so. NotFound, Conflict
    `not_enrolled`, Invalid `leaves_before_joining`. Emits programme.changed to both.
    """
    held = await own_or_joined(tx, programme_id)
    before = await _part(tx, "schools", programme_id, enrolled_id)
    day = on or school_day(tx.caller.now)
    if before["state"] == "enrolled" and before["joined_on"] and day < before["joined_on"]:
        fault = Fault("/left_on", "leaves_before_joining", "A school leaves on the day it joined, or after.")
        raise Invalid("invalid", "The request is not acceptable.", [fault])
    row = await _left(tx, held, before, day)
    await moved_on(tx, held, [before["school_id"]])
    return row


async def _left(tx: Writer, held: Row, before: Row, day: date) -> Row:
    if held["owner_id"] == tx.caller.org_id:
        changes: dict[str, Any] = {"state": "left", "left_on": day}
        if before["state"] == "invited":
            changes["joined_on"] = None  # the day it was invited for: it never joined
        return await sql.change_part(tx, "schools", before["id"], changes)
    row = await sql.leave(tx, before["id"], day)
    if row is None:
        raise refused("", "not_enrolled", "This school is invited only: decline instead.")
    return row


# --- bookings go to another strand --------------------------------------------------------------------------------------


async def hold(tx: Writer, programme_id: UUID) -> None:
    """Lock a programme before a booking of it goes to another strand: no line of its costs is written meanwhile."""
    await sql.hold(tx, programme_id)


async def follow(tx: Writer, programme_id: UUID, booking_id: UUID, strand_id: UUID | None) -> None:
    """The costs of a booking go where it goes, to another strand of a programme that is held. Each line is ended and
    written anew, so that what was known before stays so. Emits programme.changed where there are any.
    """
    lines = await sql.lines_elsewhere(tx, programme_id, booking_id, strand_id)
    if not lines:
        return
    held = await own_or_joined(tx, programme_id)
    anew = [{name: value for name, value in line.items() if name not in _NOT_COPIED} for line in lines]
    await sql.remove_parts(tx, "costs", [line["id"] for line in lines])
    await sql.add_parts(tx, "costs", [{**line, "id": new_id(), "strand_id": strand_id} for line in anew])
    await moved_on(tx, held, [line["school_id"] for line in lines])


# --- whole tables -----------------------------------------------------------------------------------------------------


async def keep(
    tx: Writer, programme_id: UUID, part: str, sent: Sequence[Sent], *, atomic: bool = False
) -> list[Answer]:
    """Add and change rows by their keys, and answer row by row; good rows are kept, none is removed.

    With `atomic`, one refused row refuses all (Invalid, pointers `/<index>/...`). NotFound for a programme that is
    not the caller's. Emits programme.changed to the owner and to each school concerned.
    """
    held = await _held(tx, programme_id, part)
    judge = await JUDGES[part].load(tx, held, [one.given for one in sent if not one.faults])
    plans = _judged(judge, sent)
    if atomic:
        _refuse_all(sent)
    written = [plan for plan in plans.values() if plan.status != "unchanged"]
    try:
        async with tx.attempt():
            await _write(tx, part, written)
    except ConstraintBroken as broken:
        raise _translated(broken) from broken
    if written:
        await moved_on(tx, held, _schools(written))
    return [_answer(one, plans.get(one.index)) for one in sent]


def _judged(judge: Judge, sent: Sequence[Sent]) -> dict[int, Plan]:
    """A plan for each good row; what gives money back goes first, and rows about the same stay in their order."""
    plans: dict[int, Plan] = {}
    turns: dict[Hashable, bool] = {}

    def turn(one: Sent) -> bool:
        about = judge.about(one.given)
        return turns.setdefault(one.index if about is None else (about,), judge.asks_more(one.given))

    for one in sorted((one for one in sent if not one.faults), key=turn):
        try:
            plans[one.index] = judge.kept(one.given)
        except Problem as problem:
            one.faults.extend(problem.faults or [_unknown(problem)])
    return plans


def _unknown(problem: Problem) -> Fault:
    return Fault("/school_id" if isinstance(problem, NotFound) else "", problem.code, problem.detail)


def _refuse_all(sent: Sequence[Sent]) -> None:
    faults = [
        Fault(f"/{one.index}{fault.pointer}", fault.code, fault.detail)
        for one in sent
        for fault in one.faults
    ]
    if faults:
        raise Invalid("invalid", "Nothing was stored, because some rows are not acceptable.", faults)


async def _write(tx: Writer, part: str, plans: Sequence[Plan]) -> None:
    await sql.remove_parts(tx, part, [plan.before["id"] for plan in plans if _ends(plan) and plan.before])
    await sql.add_parts(tx, part, [plan.after for plan in plans if plan.status in {"created", "replaced"}])
    await sql.change_parts(tx, part, [plan.after for plan in plans if plan.status == "updated"])


def _ends(plan: Plan) -> bool:
    return plan.status == "replaced"


def _answer(one: Sent, plan: Plan | None) -> Answer:
    if plan is None:
        return Answer(one.index, "refused", errors=tuple(one.faults))
    status = "updated" if plan.status == "replaced" else plan.status
    return Answer(one.index, status, plan.after["id"])


def _schools(plans: Sequence[Plan]) -> list[UUID]:
    return [plan.after["school_id"] for plan in plans if plan.after.get("school_id")]


def _translated(broken: ConstraintBroken) -> Conflict:
    pointer, code = _TWICE.get(broken.constraint, ("", broken.code))
    return Conflict(code, broken.detail, [Fault(pointer, code, "There is one already.")])
