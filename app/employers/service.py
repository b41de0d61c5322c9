"""What employers say of themselves, and what schools, trusts and hubs say of employers.

Every change takes the lock of what it changes, compares the version where the caller named one, and announces itself
in the same transaction. What is another organisation's is NotFound.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from app.core.caller import Caller
from app.core.clock import school_day
from app.core.db import Door, Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Forbidden, Invalid, NotFound, Stale, invalid
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.employers import sql
from app.outbox import service as outbox
from app.outbox.catalogue import side_of
from app.outbox.service import Event
from app.rules.answers import Refusal
from app.rules.identifiers import postcode
from app.rules.words import BookingState, CoverKind, Sector

Given = Mapping[str, Any]
APPROVER_KINDS = ("school", "trust", "hub")
SUSPENDER_KINDS = ("hub", "trust", "national")
_POLICY = ("insurer", "policy_number", "limit_pence", "expires_on")
_ATTESTED = ("attested_on", "attested_by")
SECTORS = tuple(word.value for word in Sector)
_EXEMPT = (CoverKind.NHS_INDEMNITY, CoverKind.PUBLIC_BODY_EXEMPT)


def the_employer(caller: Caller) -> UUID:
    """The employer that the caller is. NotFound for anybody else: these things are an employer's own."""
    if caller.org_kind != "employer":
        raise NotFound("employer")
    return caller.org_id


def taken(pointer: str = "/external_ref") -> Conflict:
    """The refusal of a reference that the employer has used already."""
    return Conflict(
        "external_ref_taken",
        "You have used this reference already. PUT by-ref changes what it stands for.",
        [Fault(pointer, "external_ref_taken", "Used already.")],
    )


def at_version(row: Row, expected: Expected) -> Row:
    """The row, if it is at the version the caller read. Raises Stale."""
    if not is_expected(row["version"], expected):
        raise Stale
    return row


def at_version_if_there(row: Row | None, expected: Expected, *, there: bool) -> None:
    """For what is made or changed by one request: raises Stale unless it is at this version, or, if asked, there at all."""
    if row is None:
        if there or expected is not None:
            raise Stale
    else:
        at_version(row, expected)


def differing(row: Row, given: Given) -> dict[str, Any]:
    """The members of `given` that would change the row."""
    return {name: value for name, value in given.items() if row[name] != value}


# --- the profile ------------------------------------------------------------------------------


async def register(
    tx: Writer,
    employer_id: UUID,
    *,
    size_band: str,
    sic_section: str | None = None,
    sectors: Sequence[str] | None = None,
    about: str | None = None,
) -> Row:
    """Give an organisation of kind `employer` its profile: the employer itself, a hub or the national body may.

    Raises Conflict `already_registered`, Invalid `not_one_of` for a sector that is not known.
    """
    refuse_unknown_sectors(await unknown_sectors(tx, sectors or ()))
    told = None if sectors is None else list(sectors)
    values = {"size_band": size_band, "sic_section": sic_section, "sectors": told, "about": about}
    row = await sql.add_employer(tx, {"id": employer_id, **values})
    if row is None:
        raise Conflict("already_registered", "This employer has a profile already.")
    return row


async def change_employer(tx: Writer, expected: Expected, given: Given) -> Row:
    """Change the caller's own profile. Raises NotFound, Stale, Invalid `not_one_of` for a sector that is not known."""
    row = await sql.lock_employer(tx, the_employer(tx.caller))
    if row is None:
        raise NotFound("employer")
    at_version(row, expected)
    changed = differing(row, given)
    refuse_unknown_sectors(await unknown_sectors(tx, changed.get("sectors") or ()))
    return await sql.change_employer(tx, row["id"], changed) if changed else row


async def unknown_sectors(tx: Door, sectors: Sequence[str]) -> list[tuple[int, str]]:
    """Which of these sectors are not known, with their place, and what is known; asks only about words of its own.

    Known are those of the Industrial Strategy, and those kept as dated data under the topic `sector`.
    """
    strange = [at for at, word in enumerate(sectors) if word not in SECTORS]
    if not strange:
        return []
    known = [*SECTORS, *await sql.sectors_added(tx)]
    detail = f"One of: {', '.join(known)}."
    return [(at, detail) for at in strange if sectors[at] not in known]


def refuse_unknown_sectors(found: Sequence[tuple[int, str]]) -> None:
    """Raise Invalid with a fault for each."""
    if found:
        faults = [Fault(f"/sectors/{at}", "not_one_of", detail) for at, detail in found]
        raise Invalid("invalid", "The request is not acceptable.", faults)


# --- sites ------------------------------------------------------------------------------------


async def add_site(tx: Writer, given: Given) -> Row:
    """Add a site of the caller's. Raises Conflict `external_ref_taken`, Invalid `postcode_format`."""
    row = await _added_site(tx, given)
    if row is None:
        raise taken()
    return row


async def _added_site(tx: Writer, given: Given) -> Row | None:
    """The site that was added; None if another one has its reference."""
    values = {"id": new_id(), "employer_id": the_employer(tx.caller), **_addressed(given)}
    row = await sql.add_site(tx, values)
    if row is not None:
        await _tell_of_site(tx, row)
    return row


async def change_site(tx: Writer, site_id: UUID, expected: Expected, given: Given) -> Row:
    """Change one of the caller's sites. Raises NotFound, Stale, Invalid."""
    row = await sql.lock_site(tx, the_employer(tx.caller), site_id=site_id)
    if row is None:
        raise NotFound("site")
    return await _changed_site(tx, at_version(row, expected), given)


async def put_site(
    tx: Writer, external_ref: str, given: Given, expected: Expected = None, *, there: bool = False
) -> tuple[Row, bool]:
    """Make the site that the caller calls `external_ref`, or bring it to what is given; True if it was made.

    Sent again unchanged it changes nothing: neither version nor event. `expected`, `there`: raises Stale unless it is at
    this version, or there at all.
    """
    employer_id = the_employer(tx.caller)
    row = await sql.lock_site(tx, employer_id, external_ref=external_ref)
    at_version_if_there(row, expected, there=there)
    if row is None:
        made = await _added_site(tx, {**given, "external_ref": external_ref})
        if made is not None:
            return made, True
        row = await sql.lock_site(tx, employer_id, external_ref=external_ref)
    if row is None:
        raise taken()
    return await _changed_site(tx, row, given), False


async def _changed_site(tx: Writer, row: Row, given: Given) -> Row:
    changed = differing(row, _addressed(given))
    if not changed:
        return row
    ref = changed.get("external_ref")
    if ref is not None and await sql.own_site_id(tx, row["employer_id"], external_ref=ref):
        raise taken()
    made = await sql.change_site(tx, row["id"], changed)
    ahead = await sql.bookings_ahead(tx, site_id=row["id"]) if "state" in changed else ()
    await _tell_of_site(tx, made, schools_of(ahead))
    return {**made, "bookings": what_becomes(ahead) if changed.get("state") == "closed" else None}


ENDED = (BookingState.WAITING, BookingState.REQUESTED, BookingState.COUNTERED)
KEPT = (BookingState.CONFIRMED, BookingState.ON_HOLD)


def what_becomes(ahead: Sequence[Row]) -> dict[str, dict[str, int]]:
    """What becomes of bookings when an offer is withdrawn or a site closed: how many of each state.

    What was agreed is kept: a school has planned the day, and each such visit is cancelled by name if it has to be.
    What nobody has agreed is cancelled by the worker.
    """
    counts = {row["state"]: row["bookings"] for row in ahead}
    return {
        "kept": {state.value: counts.get(state, 0) for state in KEPT},
        "cancelled": {state.value: counts.get(state, 0) for state in ENDED},
    }


def schools_of(ahead: Sequence[Row]) -> list[UUID]:
    """The schools of these bookings, each once."""
    return sorted({school for row in ahead for school in row["schools"]})


def _addressed(given: Given) -> dict[str, Any]:
    values = dict(given)
    if values.get("postcode") is not None:
        made = postcode(values["postcode"])
        if isinstance(made, Refusal):
            raise invalid("/postcode", made.code, made.detail)
        values["postcode"] = made
    return values


async def _tell_of_site(tx: Writer, row: Row, schools: Sequence[UUID] = ()) -> None:
    data = {"site_id": row["id"], "state": row["state"], "version": row["version"]}
    told = [Event("site.changed", "school", school, row["id"], data) for school in schools]
    await outbox.emit(tx, [_to_employer("site.changed", row, data), *told])


def _to_employer(kind: str, row: Row, data: Given) -> Event:
    return Event(kind, "employer", row["employer_id"], row["id"], data)


# --- contacts ---------------------------------------------------------------------------------


async def add_contact(tx: Writer, given: Given) -> Row:
    """Add a contact of the caller's. Raises Invalid `unknown` for a site that is not its own."""
    employer_id = the_employer(tx.caller)
    await _own_site(tx, employer_id, given.get("site_id"))
    return await sql.add_contact(tx, {"id": new_id(), "employer_id": employer_id, **given}) or {}


async def change_contact(tx: Writer, contact_id: UUID, expected: Expected, given: Given) -> Row:
    """Change one of the caller's contacts. Raises NotFound, Stale, Invalid; Conflict `contact_in_use` where it would go to
    another site than an offer that names it.
    """
    employer_id = the_employer(tx.caller)
    row = await sql.lock_contact(tx, employer_id, contact_id)
    if row is None:
        raise NotFound("contact")
    at_version(row, expected)
    await _own_site(tx, employer_id, given.get("site_id"))
    changed = differing(row, given)
    moved_to = changed.get("site_id")
    if moved_to is not None and await sql.contact_elsewhere(tx, contact_id, moved_to):
        raise Conflict(
            "contact_in_use", "An offer at another site names this contact. Name another one there first."
        )
    return await sql.change_contact(tx, contact_id, changed) if changed else row


async def drop_contact(tx: Writer, contact_id: UUID, expected: Expected = None) -> None:
    """Delete one of the caller's contacts. Raises NotFound; Stale if `expected` is given and is not its version; Conflict
    `contact_in_use` while an offer names it.
    """
    try:
        async with tx.attempt():
            version = await sql.drop_contact(tx, the_employer(tx.caller), contact_id)
            if version is not None and not is_expected(version, expected):
                raise Stale
    except ConstraintBroken:
        raise Conflict(
            "contact_in_use", "An offer names this contact. Name another one there first."
        ) from None
    if version is None:
        raise NotFound("contact")


async def _own_site(tx: Writer, employer_id: UUID, site_id: UUID | None) -> None:
    if site_id is not None and await sql.own_site_id(tx, employer_id, site_id=site_id) is None:
        raise invalid("/site_id", "unknown", "You have no such site.")


# --- cover ------------------------------------------------------------------------------------


async def add_cover(tx: Writer, given: Given) -> Row:
    """Record a cover of the caller's, valid from today unless it says otherwise.

    Raises Invalid (`problems_with_cover`), Conflict `external_ref_taken`. A renewed policy is a new cover.
    """
    employer_id, today = the_employer(tx.caller), school_day(tx.caller.now)
    values = {**given, "starts_on": given.get("starts_on") or today}
    faults = problems_with_cover(values, today)
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    await _own_site(tx, employer_id, given.get("site_id"))
    row = await sql.add_cover(tx, {"id": new_id(), "employer_id": employer_id, **values})
    if row is None:
        raise taken()
    await _tell_of_cover(tx, row)
    return row


def problems_with_cover(cover: Given, today: date) -> list[Fault]:
    """What is missing from a cover of its kind, or does not belong to it.

    A `policy` has an insurer, number, limit and last day; what is not a policy is attested, dated and by a name.
    The exempt have no insurer at all. Codes: `required`, `not_here`, `out_of_order`, `in_the_future`, `in_the_past`.
    """
    policy = cover["kind"] == CoverKind.POLICY
    needed = _POLICY if policy else _ATTESTED
    alien = _ATTESTED if policy else _POLICY if cover["kind"] in _EXEMPT else ()
    faults = [_fault(name, "required", "Needed.") for name in needed if cover.get(name) is None]
    faults += [
        _fault(name, "not_here", "Not with this kind.") for name in alien if cover.get(name) is not None
    ]
    ends, attested = cover.get("expires_on"), cover.get("attested_on")
    if ends is not None and ends < cover["starts_on"]:
        faults.append(_fault("expires_on", "out_of_order", "Not before it starts."))
    elif ends is not None and ends < today:
        faults.append(_fault("expires_on", "in_the_past", "This cover has lapsed."))
    if attested is not None and attested > today:
        faults.append(_fault("attested_on", "in_the_future", "Not after today."))
    return faults


def _fault(field: str, code: str, detail: str) -> Fault:
    return Fault(f"/{field}", code, detail)


async def withdraw_cover(tx: Writer, cover_id: UUID) -> Row:
    """Withdraw one of the caller's covers. Raises NotFound, Conflict `already_withdrawn`."""
    row = await sql.lock_cover(tx, the_employer(tx.caller), cover_id)
    if row is None:
        raise NotFound("cover")
    if row["withdrawn_at"] is not None:
        raise Conflict("already_withdrawn", "This cover was withdrawn before.")
    made = await sql.withdraw_cover(tx, cover_id, tx.caller.now)
    await _tell_of_cover(tx, made)
    return made


async def _tell_of_cover(tx: Writer, row: Row) -> None:
    await outbox.emit(
        tx, [_to_employer("cover.changed", row, {"cover_id": row["id"], "version": row["version"]})]
    )


# --- approvals --------------------------------------------------------------------------------


async def approve(tx: Writer, given: Given) -> Row:
    """Approve a site for a kind and an activity band: the caller's own approval, as a school, a trust or a hub.

    `approved_on` is today unless given. Raises Forbidden for other kinds of organisation, Invalid.
    """
    _only(tx.caller, APPROVER_KINDS, "A school, a trust or a hub approves sites.")
    today = school_day(tx.caller.now)
    values = {**given, "approved_on": given.get("approved_on") or today}
    faults = _problems_with_approval(values, today)
    site = await sql.site(tx, given["site_id"])
    if site is None:
        faults.append(_fault("site_id", "unknown", "There is no such site."))
    if faults or site is None:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    row = await sql.add_approval(
        tx, {"id": new_id(), "approver_id": tx.caller.org_id, "employer_id": site["employer_id"], **values}
    )
    await _tell_of_approval(tx, row or {})
    return row or {}


def _problems_with_approval(approval: Given, today: date) -> list[Fault]:
    faults = []
    if approval["approved_on"] > today:
        faults.append(_fault("approved_on", "in_the_future", "Not after today."))
    if approval["expires_on"] is not None and approval["expires_on"] < today:
        faults.append(_fault("expires_on", "in_the_past", "Its last day is not over yet."))
    return faults


async def withdraw_approval(tx: Writer, approval_id: UUID) -> Row:
    """Withdraw an approval of the caller's own. Raises NotFound, Conflict `already_withdrawn`."""
    row = await sql.lock_approval(tx, tx.caller.org_id, approval_id)
    if row is None:
        raise NotFound("approval")
    if row["state"] == "withdrawn":
        raise Conflict("already_withdrawn", "This approval was withdrawn before.")
    made = await sql.withdraw_approval(tx, approval_id, tx.caller.now)
    await _tell_of_approval(tx, made)
    return made


async def _tell_of_approval(tx: Writer, row: Row) -> None:
    data = {name: row[name] for name in ("site_id", "kind", "activity_band", "state")}
    data["approval_id"] = row["id"]
    theirs = Event("approval.changed", side_of(tx.caller.org_kind), row["approver_id"], row["id"], data)
    await outbox.emit(tx, [_to_employer("approval.changed", row, data), theirs])


def _only(caller: Caller, kinds: Sequence[str], detail: str) -> None:
    if caller.org_kind not in kinds:
        raise Forbidden("not_yours", detail)


# --- what a school decides for itself ---------------------------------------------------------


def the_school(caller: Caller, school_id: UUID) -> UUID:
    """The school in the path, if the caller acts for it. NotFound otherwise."""
    itself = caller.org_kind == "school" and caller.org_id == school_id
    if not itself and caller.school_id != school_id:
        raise NotFound("school")
    return school_id


async def accept_approver(tx: Writer, school_id: UUID, approver_id: UUID) -> tuple[Row, bool]:
    """From now on the school relies on this organisation's approvals; True if it did not before.

    Raises NotFound for a school that is not the caller's, and for an organisation that it cannot know to approve.
    """
    the_school(tx.caller, school_id)
    if not await sql.is_approver(tx, approver_id):
        raise NotFound("approver")
    made = await sql.accept(tx, school_id, approver_id, tx.caller.now)
    return made or await sql.acceptance(tx, school_id, approver_id) or {}, made is not None


async def stop_accepting(tx: Writer, school_id: UUID, approver_id: UUID) -> None:
    """No longer rely on this organisation's approvals; done already is done. Raises NotFound."""
    await sql.stop_accepting(tx, the_school(tx.caller, school_id), approver_id)


async def bar(tx: Writer, school_id: UUID, pupil_id: UUID, site_id: UUID) -> bool:
    """Bar a pupil from a site, with no reason; True if not barred before. Raises NotFound (school, pupil, site)."""
    the_school(tx.caller, school_id)
    if await sql.site(tx, site_id) is None:
        raise NotFound("site")
    return await sql.bar(tx, school_id, pupil_id, site_id, tx.caller.now)


async def lift_bar(tx: Writer, school_id: UUID, pupil_id: UUID, site_id: UUID) -> None:
    """Lift a bar; done already is done. Raises NotFound for a school that is not the caller's."""
    await sql.lift_bar(tx, the_school(tx.caller, school_id), pupil_id, site_id)


# --- suspensions ------------------------------------------------------------------------------


async def suspend(tx: Writer, employer_id: UUID, private_note: str | None) -> Row:
    """Suspend an employer for the schools of the caller (a hub, a trust; for all of them: the national body).

    New requests stop at once; the worker puts confirmed bookings on hold and tells the schools, without the note.
    Raises Forbidden, Invalid, Conflict `already_suspended`.
    """
    _only(tx.caller, SUSPENDER_KINDS, "A hub, a trust or the national body suspends employers.")
    if await sql.employer(tx, employer_id) is None:
        raise invalid("/employer_id", "unknown", "There is no such employer.")
    values = {"employer_id": employer_id, "suspended_by": tx.caller.org_id, "private_note": private_note}
    row = await sql.add_suspension(tx, {"id": new_id(), "suspended_at": tx.caller.now, **values})
    if row is None:
        raise Conflict("already_suspended", "You have suspended this employer already.")
    await _tell_of_suspension(tx, "employer.suspended", row)
    return row


async def lift_suspension(tx: Writer, suspension_id: UUID) -> Row:
    """Lift a suspension of the caller's own. Raises NotFound, Conflict `already_lifted`."""
    row = await sql.lock_suspension(tx, tx.caller.org_id, suspension_id)
    if row is None:
        raise NotFound("suspension")
    if row["lifted_at"] is not None:
        raise Conflict("already_lifted", "This suspension was lifted before.")
    made = await sql.lift_suspension(tx, suspension_id, tx.caller.now)
    await _tell_of_suspension(tx, "employer.suspension_lifted", made)
    return made


async def _tell_of_suspension(tx: Writer, kind: str, row: Row) -> None:
    employer_id = row["employer_id"]
    await outbox.emit(
        tx, [Event(kind, "hub", row["suspended_by"], employer_id, {"employer_id": employer_id})]
    )
