"""Keep a school's roll: up to 500 pupils at once, each judged by itself, written together in a dozen statements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final
from uuid import UUID

from app.core.db import Door, Row, Writer
from app.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound, Stale
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.core.turns import Turns, each, slices
from app.core.versions import Expected, is_expected
from app.outbox import service as outbox
from app.outbox.service import Event
from app.rules.school_calendar import academic_year
from app.rules.words import FieldGroup
from app.students import rows, sql
from app.students.rows import Access, Sent

MOST: Final = 500
STATUSES: Final = ("created", "updated", "unchanged", "refused")
PURPOSE: Final = "upn"
"""Under which a UPN is sealed (beside its enrolment's id) and indexed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row: `created`, `updated`, `unchanged` or `refused`; pointers are relative to the row."""

    index: int
    external_ref: str | None
    pupil_id: UUID | None
    status: str
    state: str | None = None
    errors: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Plan:
    """A row that will be written: the enrolment as it stood, and as it will stand."""

    sent: Sent
    held: Row | None
    id: UUID
    row: dict[str, Any]
    linked: bool
    year: tuple[int, str] | None
    told: list[tuple[str, str, date]]
    status: str = "unchanged"
    settle: bool = False
    correction: "_Correction | None" = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Correction:
    """Who the pupil is was put right: which fields, and what is at stake."""

    fields: list[str]
    has_encounters: bool
    elsewhere: bool


SOMEBODY_ELSE: Final = (
    "This does not fit the pupil we hold. If it is the same pupil, send it with `correction: true`: a vendor can while "
    "no encounters are recorded for the pupil, the school and its trust always. If it is another pupil, send it "
    "under a reference of its own."
)
"""One text for all: it says neither which field differs, nor whether the identity is protected or minutes stand."""


async def access_to(
    tx: Door,
    school_id: UUID,
    scoped: frozenset[FieldGroup],
    *,
    write: bool = False,
    development: bool = False,
) -> Access:
    """What the caller may see (or, with `write`, send) of a school's pupils; `scoped` are the groups its scopes open.

    NotFound for a school that is not the caller's to reach. With `write`, Forbidden `grant_read_only` without
    a grant for more than reading, and `agreement_missing` outside development until the controller's live agreement
    covers the school; changes of one roll then wait for each other.
    """
    found = await sql.access(tx, school_id, alone=write)
    if not found["reached"]:
        raise NotFound("school")
    if write and not found["agreed"] and not development:
        raise Forbidden(
            "agreement_missing", "The school's controller has recorded no agreement that covers it."
        )
    if write and not found["own"] and not found["writable"]:
        raise Forbidden("grant_read_only", "The grant you hold is for reading only.")
    granted = frozenset(FieldGroup) if found["own"] else frozenset(found["writable" if write else "readable"])
    return Access(school_id, found["own"], granted, frozenset(scoped), found["grant_id"], found["today"])


async def keep_roll(
    tx: Writer,
    keyring: Keyring,
    school_id: UUID,
    sent: Sequence[Sent],
    *,
    scoped: frozenset[FieldGroup],
    atomic: bool = False,
    complete: bool = False,
    development: bool = False,
    at_once: int = MOST,
) -> list[Answer]:
    """Create or update pupils by the caller's `external_ref`, and answer row by row; good rows are kept.

    `complete` says that with this request the whole roll has been sent, which figures stand on; it counts if no row
    is refused. With `atomic`, one refused row refuses all (Invalid, pointers `/pupils/<index>/...`). Emits
    pupils.changed. So many rows as `at_once` are written together, in a dozen statements.
    Refuses with NotFound, Forbidden `agreement_missing`, Conflict `busy`.
    """
    access = await access_to(tx, school_id, scoped, write=True, development=development)
    await each([one for one in sent if not one.faults], partial(_judge, access, _digest(keyring)))
    _refuse_twins(sent)
    plans: list[_Plan] = []
    taken: set[UUID] = set()
    for part in slices(sent, at_once):
        planned = await _planned(tx, access, part, taken)
        if not atomic or not any(one.faults for one in sent):
            await _write(tx, keyring, access, planned)
        plans += planned
    if atomic:
        refuse_all(sent)
    answers = _answers(sent, plans)
    groups = sorted({group for plan in plans for group, _, _ in plan.told})
    whole = complete and len(plans) == len(sent)
    await sql.note_sync(tx, school_id, complete=whole, groups=groups)
    await _announce(tx, school_id, answers)
    await _record_corrections(tx, school_id, plans)
    return answers


def refuse_all(sent: Sequence[Sent]) -> None:
    """Invalid with every fault of every row, if there is any."""
    faults = [
        Fault(f"/pupils/{one.index}{fault.pointer}", fault.code, fault.detail)
        for one in sent
        for fault in one.faults
    ]
    if faults:
        raise Invalid("invalid", "Nothing was stored, because some rows are not acceptable.", faults)


async def change_pupil(
    tx: Writer,
    keyring: Keyring,
    school_id: UUID,
    pupil_id: UUID,
    *,
    given: Mapping[str, Any],
    version: Expected,
    scoped: frozenset[FieldGroup],
    development: bool = False,
) -> None:
    """Change one pupil of a school. NotFound, Stale, Forbidden `agreement_missing`, Invalid with pointers to the fields,
    Conflict `identity_conflict` where it would make somebody else of the pupil and no `correction` is said.
    """
    access = await access_to(tx, school_id, scoped, write=True, development=development)
    held = next(iter(await sql.held(tx, school_id, [pupil_id])), None)
    if held is None:
        raise NotFound("pupil")
    if not is_expected(held["version"], version):
        raise Stale
    one = Sent(0, None, given)
    rows.judge(one, access, _digest(keyring))
    _refuse_order(one, held)
    await _refuse_other(tx, one, held)
    if one.faults:
        raise Invalid("invalid", "The request is not acceptable.", one.faults)
    corrections = await _corrections(tx, access, [(one, held)])
    if one.faults:
        raise Conflict("identity_conflict", SOMEBODY_ELSE, one.faults)
    plan = _plan(one, held, access, linked=False)
    plan.correction = corrections.get(0)
    await _write(tx, keyring, access, [plan])
    await _announce(tx, school_id, _answers([one], {0: plan}.values()))
    await _record_corrections(tx, school_id, [plan])


def _judge(access: Access, digest: Callable[[str], str], one: Sent) -> None:
    rows.judge(one, access, digest)


def _digest(keyring: Keyring) -> Callable[[str], str]:
    return lambda number: keyring.keyed_hash(PURPOSE, number).hex()


def _refuse_twins(sent: Sequence[Sent]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in sent:
        for pointer, key in (("/external_ref", one.external_ref), ("/upn", one.upn_hash)):
            if key is None or one.faults:
                continue
            if (pointer, key) in seen:
                one.faults.append(
                    Fault(pointer, "duplicate_in_request", "An earlier row of this request has the same.")
                )
            seen.add((pointer, key))


def _refuse_order(one: Sent, held: Row) -> None:
    if one.faults:
        return
    starts, ends = (one.given.get(name, held[name]) for name in ("starts_on", "ends_on"))
    if ends is not None and ends < starts:
        one.faults.append(Fault("/ends_on", "ends_before_start", "The last day is before the first."))


async def _refuse_other(tx: Writer, one: Sent, held: Row) -> None:
    if one.upn_hash is None:
        return
    found = await sql.matches(
        tx, held["school_id"], [{"i": 0, "ref": None, "upn": one.upn_hash, "former": None}]
    )
    if found[0]["by_upn"] not in {None, held["id"]}:
        one.faults.append(
            Fault("/upn", "upn_of_another_pupil", "Another pupil of this school has this number.")
        )


async def _planned(tx: Writer, access: Access, sent: Sequence[Sent], taken: set[UUID]) -> list[_Plan]:
    """`taken`: the pupils that earlier rows of the request mean; those of these rows are added."""
    good = [one for one in sent if not one.faults]
    if not good:
        return []
    asked = [
        {"i": one.index, "ref": one.external_ref, "upn": one.upn_hash, "former": one.former_hash}
        for one in good
    ]
    found = {row["i"]: row for row in await sql.matches(tx, access.school_id, asked)}
    ids = {row[name] for row in found.values() for name in ("by_ref", "by_upn", "by_former")} - {None}
    held = {row["id"]: row for row in await sql.held(tx, access.school_id, sorted(ids))}
    meant = await _meant(good, found, held, taken)
    corrections = await _corrections(tx, access, [(one, row) for one, row in meant if row is not None])
    plans = []
    for one, row in meant:
        if not one.faults:
            plan = _plan(one, row, access, linked=found[one.index]["by_ref"] is None)
            plan.correction = corrections.get(one.index)
            taken.add(plan.id)  # a later row may mean what this one has just made
            plans.append(plan)
    return plans


async def _meant(
    good: Sequence[Sent], found: Mapping[int, Row], held: Mapping[UUID, Row], taken: set[UUID]
) -> list[tuple[Sent, Row | None]]:
    """Each row with the pupil it means, None for a new one. Two rows that mean the same pupil: the second is refused."""
    meant: list[tuple[Sent, Row | None]] = []
    turns = Turns()
    for one in good:
        await turns.next()
        target = rows.who(one, found.get(one.index), held)
        if target is None:
            meant.append((one, None))
            continue
        if target in taken:
            one.faults.append(
                Fault("", "duplicate_in_request", "An earlier row of this request means the same pupil.")
            )
        taken.add(target)
        _refuse_order(one, held[target])
        meant.append((one, held[target]))
    return meant


async def _corrections(
    tx: Writer, access: Access, meant: Sequence[tuple[Sent, Row]]
) -> dict[int, _Correction]:
    """What is put right by rows that would make somebody else of a pupil; a fault for each that may not.

    Who says `correction` may, but for a pupil with encounters only the school and its trust: nobody's minutes go to
    another child on a vendor's word. No statement, unless a row says so.
    """
    others = [(one, row) for one, row in meant if not one.faults and rows.is_somebody_else(one, row)]
    stakes = await sql.at_stake(tx, access.school_id, [row["id"] for one, row in others if one.correction])
    corrections = {}
    for one, row in others:
        stake = stakes.get(row["id"])
        if stake is None or (stake["has_encounters"] and not access.own):
            pointer = "/external_ref" if one.external_ref else ""
            one.faults.append(Fault(pointer, "identity_conflict", SOMEBODY_ELSE))
        else:
            fields = rows.put_right(one, row)
            corrections[one.index] = _Correction(fields, stake["has_encounters"], stake["elsewhere"])
    return corrections


async def _record_corrections(tx: Writer, school_id: UUID, plans: Sequence[_Plan]) -> None:
    made = [
        {
            "id": new_id(),
            "enrolment_id": plan.id,
            "client_id": tx.caller.client_id,
            "fields": plan.correction.fields,
            "has_encounters": plan.correction.has_encounters,
            "corrected_at": tx.caller.now,
        }
        for plan in plans
        if plan.correction
    ]
    await sql.add_corrections(tx, school_id, made)
    await outbox.emit(tx, [_corrected(school_id, one) for one in made])


def _corrected(school_id: UUID, row: Row) -> Event:
    data = {"correction_id": row["id"], "pupil_id": row["enrolment_id"], "fields": row["fields"]}
    return Event("pupil.identity_corrected", "school", school_id, row["enrolment_id"], data)


def _plan(one: Sent, held: Row | None, access: Access, *, linked: bool) -> _Plan:
    today = access.today
    plan = _Plan(
        one,
        held,
        held["id"] if held else new_id(),
        rows.merged(one, held, today),
        linked and one.external_ref is not None,
        rows.new_year(one, held, academic_year(today)),
        rows.new_characteristics(one, held, today),
    )
    plan.extra = _numbers(one, held, protected=plan.row["identity_protected"])
    if held is None:
        plan.status = "created"
        return plan
    renumbered = plan.extra["upn_hash"] != _hex(held["upn_hash"])
    protected = plan.row["identity_protected"] and not held["identity_protected"]
    plan.row["state"] = held["state"]
    moved = plan.row["ends_on"] != held["ends_on"] or plan.row["kind"] != held["kind"]
    plan.settle = renumbered or protected or moved or held["state"] == "claimed"
    former = plan.extra["former_upn_hash"] != _hex(held["former_upn_hash"])
    if renumbered or former or plan.linked or plan.year or plan.told or rows.differs(plan.row, held):
        plan.status = "updated"
    return plan


def _hex(held: bytes | None) -> str | None:
    return held.hex() if held is not None else None


def _numbers(one: Sent, held: Row | None, *, protected: bool) -> dict[str, Any]:
    was = {
        name: _hex(held[name]) if held is not None else None
        for name in ("upn_hash", "upn_sealed", "former_upn_hash")
    }
    if "upn" in one.given and one.upn_hash != was["upn_hash"]:
        was |= {"upn_hash": one.upn_hash, "upn_sealed": None}
    if "former_upn" in one.given:
        was["former_upn_hash"] = one.former_hash
    if protected:  # an old number must never link
        was["former_upn_hash"] = None
    return was


async def _write(tx: Writer, keyring: Keyring, access: Access, plans: Sequence[_Plan]) -> None:
    await _with_persons(tx, access, [plan for plan in plans if plan.held is None])
    await _resettled(tx, access, [plan for plan in plans if plan.settle])
    for plan in plans:
        if plan.extra["upn_hash"] and not plan.extra["upn_sealed"] and plan.sent.upn:
            plan.extra["upn_sealed"] = keyring.seal(PURPOSE, plan.sent.upn.encode(), plan.id.bytes).hex()
    whole = [
        (plan, {**plan.row, **plan.extra, "id": plan.id}) for plan in plans if plan.status != "unchanged"
    ]
    await sql.write(
        tx,
        access.school_id,
        {
            "added": [row for plan, row in whole if plan.held is None],
            "changed": [row for plan, row in whole if plan.held is not None],
            "refs": [
                {"ref": plan.sent.external_ref, "enrolment_id": plan.id} for plan in plans if plan.linked
            ],
            "years": [
                {"enrolment_id": plan.id, "academic_year": plan.year[0], "nc_year": plan.year[1]}
                for plan in plans
                if plan.year
            ],
            "characteristics": [_characteristic(plan, *told) for plan in plans for told in plan.told],
        },
    )


def _characteristic(plan: _Plan, group: str, value: str, since: date) -> dict[str, Any]:
    """`cut_id` is for what was told before, cut off at this one's first day: a new pupil has none."""
    row = {"id": new_id(), "cut_id": new_id() if plan.held else None, "enrolment_id": plan.id}
    return {**row, "field_group": group, "value": value, "valid_from": since}


async def _with_persons(tx: Writer, access: Access, plans: Sequence[_Plan]) -> None:
    asked = [
        {
            "i": plan.sent.index,
            "person_id": new_id(),
            "upn": plan.extra["upn_hash"],
            "protected": plan.row["identity_protected"],
        }
        for plan in plans
    ]
    found = {row["i"]: row for row in await sql.persons_for(tx, access.school_id, asked)}
    for plan in plans:
        person = found[plan.sent.index]
        plan.extra |= {"person_id": person["person_id"], "person_no": person["person_no"]}
        plan.row["state"] = rows.state(plan.row, access.today, elsewhere=person["elsewhere"])


async def _resettled(tx: Writer, access: Access, plans: Sequence[_Plan]) -> None:
    asked = [
        {
            "i": plan.sent.index,
            "person_id": plan.held["person_id"],
            "upn": plan.extra["upn_hash"],
            # A person whom another school teaches too keeps its number: a correction here says nothing of that child.
            "was": None if plan.correction and plan.correction.elsewhere else _hex(plan.held["upn_hash"]),
            "protected": plan.row["identity_protected"],
        }
        for plan in plans
        if plan.held is not None
    ]
    found = {row["i"]: row["elsewhere"] for row in await sql.settle_persons(tx, access.school_id, asked)}
    for plan in plans:
        state = rows.state(plan.row, access.today, elsewhere=found[plan.sent.index])
        if plan.held is not None and state != plan.held["state"]:
            plan.row["state"], plan.status = state, "updated"


def _answers(sent: Sequence[Sent], plans: Any) -> list[Answer]:  # noqa: ANN401
    made = {plan.sent.index: plan for plan in plans}
    answers = []
    for one in sent:
        plan = made.get(one.index)
        if plan is None:
            answers.append(Answer(one.index, one.external_ref, None, "refused", None, tuple(one.faults)))
        else:
            answers.append(Answer(one.index, one.external_ref, plan.id, plan.status, plan.row["state"]))
    return answers


async def _announce(tx: Writer, school_id: UUID, answers: Sequence[Answer]) -> None:
    counts = {status: sum(one.status == status for one in answers) for status in STATUSES}
    if counts["created"] or counts["updated"]:
        await outbox.emit(tx, [Event("pupils.changed", "school", school_id, school_id, counts)])
