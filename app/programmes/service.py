"""Run a programme: make it, change it, add its strands, schools, targets and money. The owner's to do, nobody else's."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Forbidden, NotFound, Stale, invalid
from app.core.ids import new_id
from app.outbox import service as outbox
from app.outbox.service import Event
from app.programmes import sql
from app.rules.words import OrganisationKind as Kind

OWNERS: Final = frozenset({Kind.HUB, Kind.TRUST, Kind.AUTHORITY, Kind.NATIONAL})
_TWICE: Final = {
    "uq_programmes_external_ref": ("/external_ref", "external_ref_taken"),
    "uq_strands_code": ("/code", "code_taken"),
    "uq_programme_schools_strand": ("/school_id", "already_enrolled"),
    "uq_allocations_school": ("/school_id", "already_allocated"),
}


async def begin(tx: Writer, given: Mapping[str, Any]) -> Row:
    """Make a programme of the caller's. Forbidden `not_an_owner`, Invalid `ends_before_start`, Conflict
    `external_ref_taken`. Emits programme.changed.
    """
    if tx.caller.org_kind not in OWNERS:
        raise Forbidden(
            "not_an_owner", "Programmes are run by hubs, trusts, authorities and the national body."
        )
    _in_order(given["starts_on"], given["ends_on"])
    row = await _added(tx, sql.add(tx, {**given, "id": new_id(), "owner_id": tx.caller.org_id}))
    await _announce(tx, row, ())
    return row


async def change(tx: Writer, programme_id: UUID, given: Mapping[str, Any], version: int) -> Row:
    """Change a programme. NotFound, Stale, Invalid `ends_before_start`. Emits programme.changed."""
    held = await _own(tx, programme_id)
    if held["version"] != version:
        raise Stale
    _in_order(given.get("starts_on", held["starts_on"]), given.get("ends_on", held["ends_on"]))
    row = await sql.change(tx, programme_id, given)
    await _announce(tx, row, ())
    return row


async def add(tx: Writer, programme_id: UUID, part: str, given: Mapping[str, Any]) -> Row:
    """Add one of `strands`, `schools`, `targets`, `allocations` to a programme; its version goes up by one.

    NotFound for a programme or a school that is not the caller's; Invalid `unknown_strand`; Conflict `code_taken`,
    `already_enrolled`, `already_allocated`. Emits programme.changed to the owner, and to the school if there is one.
    """
    await _own(tx, programme_id)
    await _fits(tx, programme_id, part, given)
    row = {**given, "id": new_id(), "programme_id": programme_id, "owner_id": tx.caller.org_id}
    made = await _added(tx, sql.add_part(tx, part, row))
    school = given.get("school_id")
    await _announce(tx, await sql.change(tx, programme_id, {}), [school] if school else [])
    return made


async def _own(tx: Writer, programme_id: UUID) -> Row:
    held = await sql.lock(tx, programme_id)
    if held is None:
        raise NotFound("programme")
    return held


async def _fits(tx: Writer, programme_id: UUID, part: str, given: Mapping[str, Any]) -> None:
    strand_id, school_id = given.get("strand_id"), given.get("school_id")
    if strand_id is not None and await sql.strand_of(tx, programme_id, strand_id) is None:
        raise invalid("/strand_id", "unknown_strand", "This programme has no such strand.")
    if school_id is None:
        return
    school = await sql.school_on(tx, programme_id, strand_id, school_id)
    if school["kind"] != Kind.SCHOOL:
        raise NotFound("school")
    if part == "schools" and school["enrolled"]:
        raise Conflict("already_enrolled", "This school takes part in this strand already.")


def _in_order(starts: date, ends: date) -> None:
    if ends < starts:
        raise invalid("/ends_on", "ends_before_start", "A programme ends on the day it starts, or after.")


async def _added(tx: Writer, write: Any) -> Row:  # noqa: ANN401
    try:
        async with tx.attempt():
            row: Row = await write
    except ConstraintBroken as broken:
        pointer, code = _TWICE.get(broken.constraint, ("", broken.code))
        raise Conflict(code, broken.detail, [Fault(pointer, code, "There is one already.")]) from broken
    return row


async def _announce(tx: Writer, programme: Row, schools: Sequence[UUID]) -> None:
    data = {"programme_id": programme["id"], "version": programme["version"]}
    told = [("hub", programme["owner_id"]), *(("school", one) for one in schools)]
    events = [Event("programme.changed", side, whom, programme["id"], data) for side, whom in told]
    await outbox.emit(tx, events)
