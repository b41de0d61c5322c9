"""Begin a programme and change it. The owner's to do, nobody else's. What hangs on it is kept in `parts`."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Conflict, ConstraintBroken, Fault, Forbidden, Stale, invalid
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.programmes import sql
from app.programmes.held import announce, own, refused
from app.programmes.parts import add
from app.rules.words import OrganisationKind as Kind

__all__ = ["add", "begin", "change"]
OWNERS: Final = frozenset({Kind.HUB, Kind.TRUST, Kind.AUTHORITY, Kind.NATIONAL})


async def begin(tx: Writer, given: Mapping[str, Any]) -> Row:
    """Make a programme of the caller's. Forbidden `not_an_owner`, Invalid `ends_before_start`, Conflict
    `external_ref_taken`. Emits programme.changed.
    """
    if tx.caller.org_kind not in OWNERS:
        raise Forbidden(
            "not_an_owner", "Programmes are run by hubs, trusts, authorities and the national body."
        )
    _in_order(given["starts_on"], given["ends_on"])
    try:
        async with tx.attempt():
            row = await sql.add(tx, {**given, "id": new_id(), "owner_id": tx.caller.org_id})
    except ConstraintBroken as broken:
        fault = Fault("/external_ref", "external_ref_taken", "There is one already.")
        raise Conflict("external_ref_taken", broken.detail, [fault]) from broken
    await announce(tx, row, ())
    return row


async def change(tx: Writer, programme_id: UUID, given: Mapping[str, Any], version: Expected) -> Row:
    """Change a programme, or close it. NotFound, Stale, Invalid `ends_before_start`, Conflict `below_allocated`.
    Emits programme.changed.
    """
    held = await own(tx, programme_id)
    if not is_expected(held["version"], version):
        raise Stale
    _in_order(given.get("starts_on", held["starts_on"]), given.get("ends_on", held["ends_on"]))
    if given.get("budget_pence") is not None:
        aside, budget = await sql.allocated(tx, programme_id), given["budget_pence"]
        if budget < aside:
            detail = f"{aside} pence are set aside for schools already."
            raise refused("/budget_pence", "below_allocated", detail, allocated_pence=aside)
    row = await sql.change(tx, programme_id, given)
    await announce(tx, row, ())
    return row


def _in_order(starts: date, ends: date) -> None:
    if ends < starts:
        raise invalid("/ends_on", "ends_before_start", "A programme ends on the day it starts, or after.")
