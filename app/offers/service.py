"""What employers offer, and when. Every change takes a lock, compares the version and announces itself at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Invalid, NotFound, Problem, invalid
from app.core.ids import new_id
from app.core.versions import Expected
from app.employers import sql as employers
from app.employers.service import (
    at_version,
    at_version_if_there,
    differing,
    schools_of,
    taken,
    the_employer,
    unknown_sectors,
    what_becomes,
)
from app.offers import sql
from app.outbox import service as outbox
from app.outbox.service import Event
from app.rules import offering
from app.rules.answers import Reason
from app.rules.offering import Timing
from app.rules.words import REASONS_FOR, Actor, BookingAction, BookingReason, Visibility

Given = Mapping[str, Any]
MOST: Final = 500
MOST_SITTINGS: Final = 5_000
"""Slots, and all their sittings, of one request."""
_FIXED = ("kind", "site_id")
_OF_SLOT = (
    "starts_at", "ends_at", "capacity", "minutes", "book_by", "name_by", "reply_within_hours",
)  # fmt: skip
_SLOT_FIELDS = ("external_ref", "capacity", "book_by", "name_by", "reply_within_hours")
_OFFER_DEFAULTS: Given = {"audience_ids": (), "year_groups": (), "visibility": Visibility.ALL_SCHOOLS}
_MOVES = {"close": ("open", "closed"), "reopen": ("closed", "open"), "cancel": ("open closed", "cancelled")}


def refuse(faults: Sequence[Fault]) -> None:
    """Raise Invalid if there is any fault."""
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)


def _faults(found: Sequence[offering.Fault], at: str = "") -> list[Fault]:
    return [Fault(at + pointer, refusal.code, refusal.detail) for pointer, refusal in found]


# --- offers -----------------------------------------------------------------------------------


async def add_offer(tx: Writer, given: Given) -> Row:
    """Add an offer of the caller's. The site is named by `site_id` or by its own reference `site_ref`.

    Raises Invalid (`rules.offering.problems_with_offer`, `unknown` site or contact), Conflict `external_ref_taken`.
    """
    row = await _added_offer(tx, given)
    if row is None:
        raise taken()
    return row


async def _added_offer(tx: Writer, given: Given) -> Row | None:
    """The offer that was added; None if another one has its reference."""
    employer_id = the_employer(tx.caller)
    whole = {**_OFFER_DEFAULTS, **given}
    site_id, missing = await _site_of(tx, employer_id, whole)
    missing += await _contact_faults(tx, employer_id, whole, site_id)
    missing += await _sector_faults(tx, whole)
    problems = _faults(offering.problems_with_offer(whole))
    refuse([*problems, *missing, *await _audience_faults(tx, whole)])
    audience = list(dict.fromkeys(whole.pop("audience_ids")))
    whole.pop("site_ref", None)
    values = {"id": new_id(), "employer_id": employer_id, **whole, "site_id": site_id}
    row = await sql.add_offer(tx, {**values, "year_mask": _mask(values)})
    if row is None:
        return None
    if audience:
        await sql.set_audience(tx, row["id"], employer_id, _audience_kind(row), audience, fresh=True)
    await _tell_of_offer(tx, row)
    return {**row, "audience_ids": audience}


def _mask(offer: Given) -> int:
    return offering.year_mask(offer["kind"], offer["year_groups"])


def _audience_kind(offer: Given) -> str | None:
    return offering.AUDIENCE_OF.get(offer["visibility"])


async def _site_of(tx: Writer, employer_id: UUID, given: Given) -> tuple[UUID | None, list[Fault]]:
    by_ref = given.get("site_ref") is not None
    if by_ref == (given.get("site_id") is not None):
        return None, [Fault("/site_id", "required", "Name the site by site_id or by site_ref.")]
    found = await employers.own_site_id(
        tx, employer_id, site_id=given.get("site_id"), external_ref=given.get("site_ref")
    )
    pointer = "/site_ref" if by_ref else "/site_id"
    return found, [] if found else [Fault(pointer, "unknown", "You have no such site.")]


async def _contact_faults(tx: Writer, employer_id: UUID, given: Given, site_id: UUID | None) -> list[Fault]:
    contact_id = given.get("contact_id")
    if contact_id is None:
        return []
    contact = await employers.lock_contact(tx, employer_id, contact_id)
    if contact is None:
        return [Fault("/contact_id", "unknown", "You have no such contact.")]
    if site_id is not None and contact["site_id"] not in (None, site_id):
        return [Fault("/contact_id", "contact_of_another_site", "This contact is at another of your sites.")]
    return []


async def _sector_faults(tx: Writer, given: Given) -> list[Fault]:
    sector = given.get("sector")
    found = await unknown_sectors(tx, [sector]) if sector is not None else []
    return [Fault("/sector", "not_one_of", detail) for _, detail in found]


async def _audience_faults(tx: Writer, offer: Given) -> list[Fault]:
    """A fault for each of the audience that is nobody: what does not exist, or is of another kind."""
    kind = _audience_kind(offer)
    if kind is None or not offer["audience_ids"]:
        return []
    unknown = await sql.audience_unknown(tx, kind, offer["audience_ids"])
    return [
        Fault(f"/audience_ids/{at}", "unknown", f"There is no such {kind}.")
        for at, one in enumerate(offer["audience_ids"])
        if one in unknown
    ]


async def change_offer(tx: Writer, offer_id: UUID, expected: Expected, given: Given) -> Row:
    """Change one of the caller's offers; slots, and what schools find, follow by themselves.

    Raises NotFound, Stale, Invalid, Conflict `offer_withdrawn`.
    """
    row = await sql.lock_offer(tx, the_employer(tx.caller), offer_id=offer_id)
    if row is None:
        raise NotFound("offer")
    return await _changed_offer(tx, at_version(row, expected), given)


async def put_offer(
    tx: Writer, external_ref: str, given: Given, expected: Expected = None, *, there: bool = False
) -> tuple[Row, bool]:
    """Make the offer that the caller calls `external_ref`, or bring it to what is given; True if it was made.

    Kind and site of an offer stay: raises Conflict `offer_fixed`. Sent again unchanged it changes nothing.
    `expected`, `there`: raises Stale unless it is at this version, or there at all.
    """
    employer_id = the_employer(tx.caller)
    row = await sql.lock_offer(tx, employer_id, external_ref=external_ref)
    at_version_if_there(row, expected, there=there)
    if row is None:
        made = await _added_offer(tx, {**given, "external_ref": external_ref})
        if made is not None:
            return made, True
        row = await sql.lock_offer(tx, employer_id, external_ref=external_ref)
    if row is None:
        raise taken()
    site_id, missing = await _site_of(tx, employer_id, given)
    refuse(missing)
    wanted = {**given, "site_id": site_id}
    wanted.pop("site_ref", None)
    moved = [
        Fault(f"/{name}", "offer_fixed", "Stays as it is.") for name in _FIXED if wanted[name] != row[name]
    ]
    if moved:
        raise Conflict("offer_fixed", "Kind and site of an offer stay. Post another offer.", moved)
    return await _changed_offer(tx, row, wanted), False


async def _changed_offer(tx: Writer, row: Row, given: Given) -> Row:
    wanted = dict(given)
    if wanted.get("visibility") == Visibility.ALL_SCHOOLS:
        wanted.setdefault("audience_ids", [])
    whole = {**row, **wanted}
    audience = list(dict.fromkeys(whole["audience_ids"]))
    shown_to_others = set(audience) != set(row["audience_ids"]) or whole["visibility"] != row["visibility"]
    refuse(
        [
            *_faults(offering.problems_with_offer(whole)),
            *await _faults_of_change(tx, row, whole, shown=shown_to_others),
        ]
    )
    wanted["year_mask"] = _mask(whole)
    wanted.pop("audience_ids", None)
    changed = differing(row, wanted)
    if not changed and not shown_to_others:
        return row
    if row["state"] == "withdrawn":
        raise Conflict("offer_withdrawn", "A withdrawn offer stays withdrawn. Post another offer.")
    await _free_ref(tx, row["employer_id"], changed)
    made = await sql.change_offer(tx, row["id"], changed)
    if shown_to_others:
        await sql.set_audience(
            tx, row["id"], row["employer_id"], _audience_kind(whole), audience, fresh=not row["audience_ids"]
        )
    moved = made["state"] == "withdrawn"  # for good, so it was not before
    ahead = await employers.bookings_ahead(tx, offer_id=row["id"]) if moved else ()
    await _tell_of_offer(tx, made, schools_of(ahead))
    return {**made, "audience_ids": audience, "bookings": what_becomes(ahead) if moved else None}


async def _faults_of_change(tx: Writer, row: Row, whole: Given, *, shown: bool) -> list[Fault]:
    """What stands against what an offer names, where that changes: contact, sector, audience."""
    faults: list[Fault] = []
    if whole["contact_id"] != row["contact_id"]:
        faults += await _contact_faults(tx, row["employer_id"], whole, row["site_id"])
    if whole["sector"] != row["sector"]:
        faults += await _sector_faults(tx, whole)
    return faults + await _audience_faults(tx, whole) if shown else faults


async def _free_ref(tx: Writer, employer_id: UUID, changed: Given) -> None:
    ref = changed.get("external_ref")
    if ref is not None and await sql.offers_named(tx, employer_id, [], [ref]):
        raise taken()


async def _tell_of_offer(tx: Writer, row: Row, schools: Sequence[UUID] = ()) -> None:
    data = {"offer_id": row["id"], "state": row["state"], "version": row["version"]}
    told = [Event("offer.changed", "school", school, row["id"], data) for school in schools]
    await outbox.emit(tx, [Event("offer.changed", "employer", row["employer_id"], row["id"], data), *told])


# --- slots ------------------------------------------------------------------------------------


@dataclass(eq=False)
class Planned:
    """One slot on its way in: the row, its sittings and warnings, or the faults that stop it.

    `id` is that of the slot, known also where the row was refused, if its reference is known. `status` is `created`,
    `updated`, `unchanged` or `refused`.
    """

    slot: dict[str, Any] = field(default_factory=dict)
    sittings: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    row: Row | None = None
    id: UUID | None = None
    changes: bool = False
    moved: bool = False
    twin: "Planned | None" = None

    @property
    def slot_id(self) -> UUID | None:
        """The slot that was made or that has the reference already."""
        if self.twin is not None:
            return self.twin.slot_id
        return self.id or (self.row["id"] if self.row else None)

    @property
    def status(self) -> str:
        """What became of it."""
        if self.faults or self.row is None:
            return "refused"
        return "created" if self.id is None else "updated" if self.changes else "unchanged"


async def add_slot(tx: Writer, given: Given) -> tuple[Row, list[Reason]]:
    """Add one slot; gives it with its sittings and what a school will be warned of.

    Raises Invalid with every fault at once, Conflict `external_ref_taken`.
    """
    planned = await _added_slot(tx, given)
    if planned is None:
        raise taken()
    return _made(planned), planned.warnings


async def _added_slot(tx: Writer, given: Given) -> Planned | None:
    """The slot that was added; None if another one has its reference."""
    employer_id = the_employer(tx.caller)
    planned = _plan(given, "", await _offers_of(tx, employer_id, [given]), employer_id, tx.caller.now)
    refuse(planned.faults)
    if await _insert(tx, [planned]):
        return None
    await outbox.emit(tx, _slot_changed(planned.row or {}))
    return planned


async def add_slots(
    tx: Writer, given: Sequence[Given], at: Sequence[str], *, atomic: bool
) -> Sequence[Planned]:
    """Bring up to 500 slots to what is given, each for itself; with `atomic` all of them or none (Invalid).

    A slot whose `external_ref` is known is changed, or left alone where it is the same already: neither version nor
    event. `at` is the JSON pointer of each in the request. At most ten statements however many rows.
    """
    employer_id = the_employer(tx.caller)
    found = await _offers_of(tx, employer_id, given)
    planned = await _planned_slots(tx, given, at, found)
    sent = list(zip(planned, given, at, strict=True))
    late = set(await _insert(tx, [one for one in planned if one.slot and not one.faults]))
    await _replan(tx, [(one, row, where) for one, row, where in sent if one in late], found)
    await _refuse_in_use(tx, [(one, where) for one, _, where in sent if one.moved])
    if atomic:
        refuse([fault for one in planned for fault in one.faults])
    changed = [one for one in planned if one.changes and not one.faults]
    await _write_changes(tx, changed)
    await _tell_of_slots(tx, [one for one in planned if one.status == "created"], changed)
    return planned


async def _tell_of_slots(tx: Writer, created: Sequence[Planned], changed: Sequence[Planned]) -> None:
    schools = await sql.schools_on_slots(tx, [one.slot["id"] for one in changed])
    rows = [one.row for one in (*created, *changed) if one.row is not None]
    await outbox.emit(tx, [event for row in rows for event in _slot_changed(row, schools.get(row["id"], ()))])


async def ids_of(tx: Writer, refs: Sequence[str]) -> Mapping[str, UUID]:
    """The ids of the caller's slots by its own references, as far as they are known. One statement."""
    return await sql.slot_ids(tx, the_employer(tx.caller), refs)


async def _planned_slots(
    tx: Writer, given: Sequence[Given], at: Sequence[str], found: Mapping[UUID | str, Row]
) -> list[Planned]:
    employer_id, now = the_employer(tx.caller), tx.caller.now
    refs = [one["external_ref"] for one in given if one.get("external_ref")]
    known = {row["external_ref"]: row for row in await sql.lock_slots(tx, employer_id, sorted(set(refs)))}
    planned, first = [], dict[str, Planned]()
    for one, where in zip(given, at, strict=True):
        ref = one.get("external_ref")
        row = known.get(ref) if ref else None
        if ref and ref in first:
            fault = Fault(f"{where}/external_ref", "duplicate_in_request", "An earlier row has the same.")
            planned.append(Planned(faults=[fault], twin=first[ref]))
        elif row is not None:
            planned.append(_plan_change(row, one, where, found, now))
        else:
            planned.append(_plan(one, where, found, employer_id, now))
        if ref:
            first.setdefault(ref, planned[-1])
    return planned


def _plan_change(row: Row, given: Given, at: str, found: Mapping[UUID | str, Row], now: datetime) -> Planned:
    """A row that is there already: as it will stand, unchanged, or why it cannot."""
    planned = Planned(row=row, id=row["id"])
    offer, faults = _offer_for(given, found)
    if offer is not None and offer["id"] != row["offer_id"]:
        faults = [Fault("/offer_id", "slot_fixed", "A slot stays with its offer.")]
    change = _change_of(row, given, now)
    planned.changes, planned.moved = bool(change.changed or change.moved), change.moved
    planned.warnings = _warnings(row, change.timings) if not change.problems else []
    if planned.changes:
        faults += [Fault(pointer, problem.code, problem.detail) for pointer, problem in change.problems]
        faults += _as_faults(_against(row, change.changed, moved=change.moved))
    elif [one.code for one in faults] == ["offer_withdrawn"]:
        faults = []  # nothing is asked of the offer where nothing changes
    planned.faults = [Fault(at + one.pointer, one.code, one.detail) for one in faults]
    if planned.changes and not planned.faults:
        planned.slot = {**{name: row[name] for name in _OF_SLOT}, **change.changed, "id": row["id"]}
        if change.moved:
            planned.sittings = _sitting_rows(row["id"], row["employer_id"], change.timings, row["mode"])
    return planned


def _as_faults(problem: Problem | None) -> list[Fault]:
    if problem is None:
        return []
    return list(problem.faults) or [Fault("", problem.code, problem.detail)]


async def _insert(tx: Writer, planned: Sequence[Planned]) -> list[Planned]:
    """Write new slots with their sittings; gives those whose reference another request has taken meanwhile.

    In the order of their references, so that two requests with the same ones never wait for each other in a ring.
    """
    fresh = sorted((one for one in planned if one.id is None), key=lambda one: one.slot["external_ref"] or "")
    if not fresh:
        return []
    made = {row["id"]: row for row in await sql.add_slots(tx, [one.slot for one in fresh])}
    for one in fresh:
        one.row = made.get(one.slot["id"])
    kept = [sitting for one in fresh if one.row is not None for sitting in one.sittings]
    if kept:
        await sql.add_sittings(tx, kept)
    return [one for one in fresh if one.row is None]


async def _replan(
    tx: Writer, late: Sequence[tuple[Planned, Given, str]], found: Mapping[UUID | str, Row]
) -> None:
    """Slots that another request has made in between: they are there now, and are changed or left alone."""
    refs = sorted({given["external_ref"] for _, given, _ in late})
    known = {row["external_ref"]: row for row in await sql.lock_slots(tx, the_employer(tx.caller), refs)}
    for one, given, where in late:
        again = _plan_change(known[given["external_ref"]], given, where, found, tx.caller.now)
        for name in ("slot", "sittings", "warnings", "faults", "row", "id", "changes", "moved"):
            setattr(one, name, getattr(again, name))


async def _refuse_in_use(tx: Writer, moved: Sequence[tuple[Planned, str]]) -> None:
    """Times stay where somebody was named for one of them, as where places are taken."""
    asked = [one.id for one, _ in moved if one.id is not None and not one.faults]
    used = await sql.slots_in_use(tx, asked)
    for one, where in moved:
        if one.id in used and not one.faults:
            one.faults = [
                Fault(where + fault.pointer, fault.code, fault.detail) for fault in _has_bookings().faults
            ]


async def _write_changes(tx: Writer, planned: Sequence[Planned]) -> None:
    """Write what changed: one statement for each kind of thing."""
    made = {row["id"]: row for row in await sql.change_slots(tx, [one.slot for one in planned])}
    for one in planned:
        one.row = made[one.slot["id"]]
    moved = [one for one in planned if one.moved]
    if moved:
        await sql.drop_sittings_of(tx, [one.slot["id"] for one in moved])
        await sql.add_sittings(tx, [sitting for one in moved for sitting in one.sittings])


async def _offers_of(tx: Writer, employer_id: UUID, given: Sequence[Given]) -> dict[UUID | str, Row]:
    ids = {one["offer_id"] for one in given if one.get("offer_id")}
    refs = {one["offer_ref"] for one in given if one.get("offer_ref")}
    if not ids and not refs:
        return {}
    found: dict[UUID | str, Row] = {}
    for row in await sql.offers_named(tx, employer_id, list(ids), list(refs)):
        found[UUID(str(row["id"]))] = row
        if row["external_ref"] is not None:
            found[row["external_ref"]] = row
    return found


def _plan(
    given: Given, at: str, found: Mapping[UUID | str, Row], employer_id: UUID, now: datetime
) -> Planned:
    offer, faults = _offer_for(given, found)
    mode = offer["mode"] if offer else "hybrid"
    timings = [Timing(**one) for one in given["sittings"]]
    problems = offering.problems_with_sittings(timings, mode, now)
    begins = min(one.starts_at for one in timings)
    problems += offering.problems_with_deadlines(begins, now, given.get("book_by"), given.get("name_by"))
    faults = [*(Fault(at + one.pointer, one.code, one.detail) for one in faults), *_faults(problems, at)]
    if faults or offer is None:
        return Planned(faults=faults)
    slot_id = new_id()
    slot = {
        "id": slot_id,
        "offer_id": offer["id"],
        "employer_id": employer_id,
        "site_id": offer["site_id"],
        "restricted": offer["restricted"],
        "external_ref": given.get("external_ref"),
        "capacity": given["capacity"],
        "reply_within_hours": given["reply_within_hours"],
        **_times(timings, mode, now, given),
    }
    sittings = _sitting_rows(slot_id, employer_id, timings, mode)
    return Planned(slot, sittings, _warnings(offer, timings))


def _offer_for(given: Given, found: Mapping[UUID | str, Row]) -> tuple[Row | None, list[Fault]]:
    by_ref = given.get("offer_ref") is not None
    if by_ref == (given.get("offer_id") is not None):
        return None, [Fault("/offer_id", "required", "Name the offer by offer_id or by offer_ref.")]
    pointer = "/offer_ref" if by_ref else "/offer_id"
    offer = found.get(given["offer_ref"] if by_ref else given["offer_id"])
    if offer is None:
        return None, [Fault(pointer, "unknown", "You have no such offer.")]
    if offer["state"] == "withdrawn":
        return None, [Fault(pointer, "offer_withdrawn", "This offer is withdrawn.")]
    return offer, []


def _times(timings: Sequence[Timing], mode: str, now: datetime, given: Given) -> dict[str, Any]:
    sittings = offering.sittings_of(timings, mode)
    starts = sittings[0].starts_at
    book_by, name_by = offering.deadlines(starts, now, given.get("book_by"), given.get("name_by"))
    return {
        "starts_at": starts,
        "ends_at": max(one.ends_at for one in sittings),
        "minutes": offering.minutes_of(sittings),
        "book_by": book_by,
        "name_by": name_by,
    }


def _sitting_rows(
    slot_id: UUID, employer_id: UUID, timings: Sequence[Timing], mode: str
) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(),
            "slot_id": slot_id,
            "employer_id": employer_id,
            "no": no,
            "starts_at": one.starts_at,
            "ends_at": one.ends_at,
            "break_minutes": one.break_minutes,
            "virtual": offering.is_virtual(one, mode),
        }
        for no, one in enumerate(sorted(timings, key=lambda timing: timing.starts_at), 1)
    ]


def _warnings(offer: Row, timings: Sequence[Timing]) -> list[Reason]:
    sittings = offering.sittings_of(timings, offer["mode"])
    return offering.warnings_about(offer["kind"], offer["mode"], offer["activity_band"], sittings)


def _made(planned: Planned) -> Row:
    return {**(planned.row or {}), "sittings": planned.sittings}


async def change_slot(
    tx: Writer, slot_id: UUID, expected: Expected, given: Given
) -> tuple[Row, list[Reason]]:
    """Change one of the caller's slots.

    Raises NotFound, Stale, Invalid; Conflict `capacity_below_taken` (with `taken`), `slot_cancelled`, and
    `slot_has_bookings` where the times would change under somebody: a booking is rescheduled instead.
    """
    row = await sql.lock_slot(tx, the_employer(tx.caller), slot_id=slot_id)
    if row is None:
        raise NotFound("slot")
    return await _changed_slot(tx, at_version(row, expected), given)


async def put_slot(
    tx: Writer, external_ref: str, given: Given, expected: Expected = None, *, there: bool = False
) -> tuple[Row, list[Reason], bool]:
    """Make the slot that the caller calls `external_ref`, or bring it to what is given; True if it was made.

    A slot stays with its offer: raises Conflict `slot_fixed`. Sent again unchanged it changes nothing.
    `expected`, `there`: raises Stale unless it is at this version, or there at all.
    """
    employer_id = the_employer(tx.caller)
    row = await sql.lock_slot(tx, employer_id, external_ref=external_ref)
    at_version_if_there(row, expected, there=there)
    if row is None:
        planned = await _added_slot(tx, {**given, "external_ref": external_ref})
        if planned is not None:
            return _made(planned), planned.warnings, True
        row = await sql.lock_slot(tx, employer_id, external_ref=external_ref)
    if row is None:
        raise taken()
    offer, faults = _offer_for(given, await _offers_of(tx, employer_id, [given]))
    refuse(faults)
    if offer is None or offer["id"] != row["offer_id"]:
        raise Conflict("slot_fixed", "A slot stays with its offer. Cancel it and post another one.")
    wanted = {name: value for name, value in given.items() if name not in ("offer_id", "offer_ref")}
    wanted["book_by"], wanted["name_by"] = offering.deadlines_sent_whole(
        min(one["starts_at"] for one in given["sittings"]),
        tx.caller.now,
        (row["book_by"], row["name_by"]),
        given.get("book_by"),
        given.get("name_by"),
    )
    changed, warnings = await _changed_slot(tx, row, wanted)
    return changed, warnings, False


@dataclass(frozen=True)
class _Change:
    """What a slot would become: its timings, the columns that differ, and what stands against the times given."""

    timings: Sequence[Timing]
    moved: bool
    changed: dict[str, Any]
    problems: Sequence[offering.Fault]


def _change_of(row: Row, given: Given, now: datetime) -> _Change:
    before = [_timing(one) for one in row["sittings"]]
    timings = [Timing(**one) for one in given["sittings"]] if given.get("sittings") else before
    moved = _plain(timings, row["mode"]) != _plain(before, row["mode"])
    begins = min(one.starts_at for one in timings)
    asked = {
        name: given[name] for name in ("book_by", "name_by") if given.get(name) and given[name] != row[name]
    }
    problems = [
        *(offering.problems_with_sittings(timings, row["mode"], now) if moved else []),
        *offering.problems_with_deadlines(begins, now, asked.get("book_by"), asked.get("name_by")),
    ]
    wanted = {name: given[name] for name in _SLOT_FIELDS if given.get(name) is not None}
    if moved and not problems:
        wanted |= _times(timings, row["mode"], now, given)
    return _Change(timings, moved, differing(row, wanted), problems)


async def _changed_slot(tx: Writer, row: Row, given: Given) -> tuple[Row, list[Reason]]:
    change = _change_of(row, given, tx.caller.now)
    refuse(_faults(change.problems))
    if not change.changed and not change.moved:
        return row, _warnings(row, change.timings)
    problem = _against(row, change.changed, moved=change.moved)
    if problem is not None:
        raise problem
    ref = change.changed.get("external_ref")
    if ref is not None and await sql.lock_slot(tx, row["employer_id"], external_ref=ref):
        raise taken()
    made = await sql.change_slot(tx, row["id"], change.changed)
    sittings = await _replace_sittings(tx, row, change.timings) if change.moved else row["sittings"]
    await outbox.emit(tx, _slot_changed(made, await sql.schools_on_slot(tx, row["id"])))
    return {**made, "sittings": sittings}, _warnings(row, change.timings)


def _against(row: Row, changed: Given, *, moved: bool) -> Problem | None:
    """Why a slot that is there cannot be changed so."""
    if row["state"] == "cancelled":
        return Conflict("slot_cancelled", "This slot was cancelled.")
    if changed.get("capacity", row["capacity"]) < row["taken"]:
        return _below_taken(row)
    if moved and row["taken"]:
        return _has_bookings()
    return None


def _below_taken(row: Row) -> Problem:
    return Conflict(
        "capacity_below_taken",
        f"{row['taken']} places are taken. Cancel bookings first.",
        [Fault("/capacity", "capacity_below_taken", f"At least {row['taken']}.")],
        {"taken": row["taken"]},
    )


def _has_bookings() -> Problem:
    return Conflict(
        "slot_has_bookings",
        "Places are taken in this slot. Reschedule the bookings to another one.",
        [Fault("/sittings", "slot_has_bookings", "Its times stay.")],
    )


async def _replace_sittings(tx: Writer, row: Row, timings: Sequence[Timing]) -> list[dict[str, Any]]:
    try:
        async with tx.attempt():
            await sql.drop_sittings(tx, row["id"])
    except ConstraintBroken:
        raise _has_bookings() from None
    rows = _sitting_rows(row["id"], row["employer_id"], timings, row["mode"])
    await sql.add_sittings(tx, rows)
    return rows


def _timing(sitting: Row) -> Timing:
    starts, ends = (datetime.fromisoformat(sitting[name]) for name in ("starts_at", "ends_at"))
    return Timing(starts, ends, sitting["break_minutes"], sitting["virtual"])


def _plain(timings: Sequence[Timing], mode: str) -> list[tuple[Any, ...]]:
    return sorted(
        (one.starts_at, one.ends_at, one.break_minutes, offering.is_virtual(one, mode)) for one in timings
    )


async def move_slot(tx: Writer, slot_id: UUID, move: str, reason: BookingReason | None = None) -> Row:
    """Close, reopen or cancel one of the caller's slots. A cancelled one's bookings are cancelled by the worker, in the
    name of the employer and for its `reason`.

    Raises NotFound, Invalid `/reason_code` `reason_not_allowed`;
    Conflict `slot_state` (with `state`), `slot_started` (what has begun is not cancelled).
    """
    row = await sql.lock_slot(tx, the_employer(tx.caller), slot_id=slot_id)
    if row is None:
        raise NotFound("slot")
    before, after = _MOVES[move]
    if row["state"] not in before.split():
        raise Conflict("slot_state", f"This slot is {row['state']}.", extra={"state": row["state"]})
    if move == "cancel" and row["starts_at"] <= tx.caller.now:
        raise Conflict("slot_started", "This slot has begun.")
    if reason and reason not in REASONS_FOR[BookingAction.CANCEL, Actor.EMPLOYER]:
        raise invalid(
            "/reason_code", "reason_not_allowed", f"{reason.value} is no reason for cancelling here."
        )
    values: dict[str, Any] = {"state": after}
    if move == "cancel":
        values |= {"cancel_reason": reason.value if reason else None, "cancelled_by": tx.caller.client_id}
    made = await sql.change_slot(tx, slot_id, values)
    await outbox.emit(tx, _slot_changed(made, await sql.schools_on_slot(tx, slot_id)))
    return {**made, "sittings": row["sittings"]}


def _slot_changed(row: Row, schools: Sequence[UUID] = ()) -> list[Event]:
    """Told to the slot's employer, and to the schools booked in it or waiting for it."""
    names = ("offer_id", "state", "starts_at", "ends_at", "capacity")
    data = {"slot_id": row["id"], **{name: row[name] for name in names}}
    own = Event("slot.changed", "employer", row["employer_id"], row["id"], data)
    return [own, *(Event("slot.changed", "school", school, row["id"], data) for school in schools)]
