"""Organisations and memberships: register, change, let join, let go. A foreign organisation is not found."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import (
    Conflict,
    ConstraintBroken,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Stale,
    invalid,
)
from app.core.ids import new_id
from app.core.versions import Expected, is_expected
from app.organisations import sql
from app.outbox import service as outbox
from app.outbox.catalogue import side_of
from app.outbox.service import Event
from app.rules import identifiers
from app.rules.answers import Refusal
from app.rules.words import OrganisationKind as Kind

REGISTRARS: Final[Mapping[str, frozenset[str]]] = {
    Kind.HUB: frozenset({Kind.EMPLOYER, Kind.SCHOOL}),
    Kind.NATIONAL: frozenset({Kind.EMPLOYER, Kind.SCHOOL, Kind.HUB, Kind.TRUST, Kind.AUTHORITY, Kind.VENDOR}),
}
"""Who registers which kinds of organisation."""

MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    Kind.HUB: frozenset({Kind.SCHOOL}),
    Kind.TRUST: frozenset({Kind.SCHOOL}),
    Kind.AUTHORITY: frozenset({Kind.SCHOOL, Kind.HUB}),
    Kind.NATIONAL: frozenset({Kind.HUB, Kind.AUTHORITY}),
}
"""Whom a parent of each kind may have as members. The kind of a membership is its parent's."""

_NUMBERS = {
    "urn": identifiers.urn,
    "laestab": identifiers.laestab,
    "companies_house": identifiers.company_number,
}
_TAKEN = {
    "uq_organisations_urn": ("/urn", "urn_taken"),
    "uq_organisations_companies_house": ("/companies_house", "companies_house_taken"),
}


async def register(tx: Writer, given: Mapping[str, Any]) -> Row:
    """Enter a new organisation: a hub enters employers and schools, the national body every kind but its own.

    Forbidden `not_a_registrar`; Invalid for numbers of the wrong form or kind; Conflict `urn_taken`,
    `companies_house_taken`.
    """
    if given["kind"] not in REGISTRARS.get(tx.caller.org_kind, ()):
        raise Forbidden("not_a_registrar", "Your organisation does not register organisations of this kind.")
    row = {**given, **_numbers(given, given["kind"])}
    return await _kept(
        tx, sql.add(tx, "organisation", {**row, "id": new_id(), "registered_by": tx.caller.org_id})
    )


async def change(tx: Writer, organisation_id: UUID, given: Mapping[str, Any], version: Expected) -> Row:
    """Change an organisation's own entry, or one that the caller registered.

    NotFound if the caller may not see it, Forbidden `not_yours` if it may not change it, Stale, Invalid, Conflict as
    `register`. A URN is changed by the registrar only.
    """
    held = await sql.one(tx, "organisation", organisation_id)
    if held is None:
        raise NotFound("organisation")
    registrar = held["registered_by"] == tx.caller.org_id or tx.caller.org_kind == Kind.NATIONAL
    if not registrar and (held["id"] != tx.caller.org_id or "urn" in given):
        raise Forbidden("not_yours", "This entry, or this field of it, is its registrar's to change.")
    locked = await sql.lock(tx, "organisation", organisation_id)
    if locked is None or not is_expected(locked["version"], version):
        raise Stale
    changes = {**given, **_numbers(given, held["kind"])}
    return await _kept(tx, sql.change(tx, "organisation", organisation_id, changes)) if changes else locked


async def registered(tx: Writer, organisation_id: UUID) -> Row:
    """An active organisation that the caller registered, locked. NotFound for any other."""
    held = await sql.lock(tx, "organisation", organisation_id)
    if held is None or held["registered_by"] != tx.caller.org_id or held["status"] != "active":
        raise NotFound("organisation")
    return held


def _numbers(given: Mapping[str, Any], kind: str) -> dict[str, str | None]:
    read: dict[str, str | None] = {}
    faults: list[Fault] = []
    for name, rule in _NUMBERS.items():
        if given.get(name) is None:
            continue
        if (kind == Kind.SCHOOL) == (name == "companies_house"):
            faults.append(
                Fault(f"/{name}", "wrong_kind", f"An organisation of the kind {kind} has no {name}.")
            )
            continue
        number = rule(given[name])
        if isinstance(number, Refusal):
            faults.append(Fault(f"/{name}", number.code, number.detail))
        else:
            read[name] = number
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    return read


async def _kept(tx: Writer, write: Any) -> Row:  # noqa: ANN401
    try:
        async with tx.attempt():
            row: Row = await write
    except ConstraintBroken as broken:
        pointer, code = _TAKEN.get(broken.constraint, ("", broken.code))
        raise Conflict(
            code, broken.detail, [Fault(pointer, code, "An active organisation has this number.")]
        ) from broken
    return row


async def let_join(tx: Writer, given: Mapping[str, Any]) -> Row:
    """A parent (hub, trust, authority, national body) takes a member from `starts_on` on; `ends_on` is the first day after.

    `member_id` or `member_urn` names it. NotFound for an organisation that does not exist; Invalid `wrong_kind`;
    Conflict `membership_overlaps`; Forbidden `school_has_not_agreed`: a trust controls its academies' data, so it
    takes only a school that granted it something, or that it registered. Emits membership.changed to both.
    """
    parent, member = await _parties(tx, given)
    ends_on = given.get("ends_on")
    if ends_on is not None and ends_on <= given["starts_on"]:
        raise invalid("/ends_on", "not_after_start", "A membership ends on a day after it starts.")
    row = {
        "id": new_id(),
        "member_id": member["id"],
        "member_no": member["no"],
        "parent_id": parent["id"],
        "kind": parent["kind"],
        "starts_on": given["starts_on"],
        "ends_on": ends_on,
    }
    try:
        async with tx.attempt():
            made = await sql.add(tx, "membership", row)
    except ConstraintBroken as broken:
        raise _overlap(broken) from broken
    await outbox.emit(tx, told(made, member["kind"]))
    return made


async def _parties(tx: Writer, given: Mapping[str, Any]) -> tuple[Row, Row]:
    parent: Row | None = {"id": tx.caller.org_id, "kind": tx.caller.org_kind}
    if given.get("parent_id") not in {None, tx.caller.org_id}:
        if tx.caller.org_kind != Kind.NATIONAL:
            raise NotFound("organisation")
        parent = await sql.party(tx, given["parent_id"], None)
    member = await sql.party(tx, given.get("member_id"), given.get("member_urn"))
    if member is None or parent is None:
        raise NotFound("organisation")
    if member["kind"] not in MEMBERS.get(parent["kind"], ()):
        raise invalid(
            "/member_id", "wrong_kind", f"A {member['kind']} is not a member of a {parent['kind']}."
        )
    if parent["kind"] == Kind.TRUST and not member["agreed"]:
        raise Forbidden(
            "school_has_not_agreed",
            "A trust controls its academies' data: the school first records a grant to the trust, "
            "or the national body records the membership.",
        )
    return parent, member


def _overlap(broken: ConstraintBroken) -> Problem:
    if not broken.constraint.startswith("ex_memberships"):
        return broken
    return Conflict("membership_overlaps", "The member has another membership of this kind in that time.")


async def let_go(tx: Writer, membership_id: UUID, ends_on: date) -> Row:
    """End a membership: `ends_on` is the first day on which it no longer runs. The parent's to say.

    NotFound; Conflict `membership_ended` if it has run out; Invalid `not_after_start`. Emits membership.changed.
    """
    held = await sql.lock(tx, "membership", membership_id)
    if held is None:
        raise NotFound("membership")
    if held["ends_on"] is not None and held["ends_on"] <= school_day(tx.caller.now):
        raise Conflict("membership_ended", "This membership has ended.")
    if ends_on <= held["starts_on"]:
        raise invalid("/ends_on", "not_after_start", "A membership ends on a day after it starts.")
    try:
        async with tx.attempt():
            row = await sql.change(tx, "membership", membership_id, {"ends_on": ends_on})
    except ConstraintBroken as broken:
        raise _overlap(broken) from broken
    member = await sql.party(tx, row["member_id"], None)
    await outbox.emit(tx, told(row, member["kind"] if member else Kind.SCHOOL))
    return row


def told(row: Row, member_kind: str) -> list[Event]:
    """The events that tell both sides of a membership."""
    data = {name: row[name] for name in ("member_id", "parent_id", "kind", "starts_on", "ends_on")}
    data["membership_id"] = row["id"]
    return [
        Event("membership.changed", side_of(member_kind), row["member_id"], row["id"], data),
        Event("membership.changed", "hub", row["parent_id"], row["id"], data),
    ]
