"""What a controller agrees to: agreements, and grants of field groups. An academy's controller is its trust."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from app.core.ids import new_id
from app.organisations import sql
from app.outbox import service as outbox
from app.outbox.catalogue import side_of
from app.outbox.service import Event
from app.rules.words import OrganisationKind as Kind

GRANTEES: Final = frozenset({Kind.VENDOR, Kind.HUB, Kind.TRUST, Kind.AUTHORITY})
"""Who may be granted something. Never an employer: names reach it by release, booking by booking."""


async def record_agreement(tx: Writer, given: Mapping[str, Any]) -> Row:
    """The controller (a trust, or a school outside any) records what it signed.

    Forbidden `not_the_controller`; Invalid `in_the_future`, `not_your_school`. Emits agreement.recorded to the
    controller and to each school it covers.
    """
    stand = await _controller(tx)
    faults = _not_ours("/except_school_ids", given["except_school_ids"], stand)
    if given["signed_on"] > stand["today"]:
        faults.append(Fault("/signed_on", "in_the_future", "An agreement is recorded once it is signed."))
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    org = tx.caller.org_id
    row = await sql.add(
        tx, "agreement", {**given, "id": new_id(), "controller_id": org, "recorded_by": tx.caller.client_id}
    )
    await outbox.emit(tx, _agreement_events("agreement.recorded", row, stand))
    return row


async def end_agreement(tx: Writer, agreement_id: UUID) -> Row:
    """End an agreement at once: no more pupils are taken under it. NotFound; Conflict `agreement_ended`."""
    held = await sql.lock(tx, "agreement", agreement_id)
    if held is None:
        raise NotFound("agreement")
    if held["ended_at"] is not None:
        raise Conflict("agreement_ended", "This agreement has ended.")
    row = await sql.change(tx, "agreement", agreement_id, {"ended_at": tx.caller.now})
    await outbox.emit(tx, _agreement_events("agreement.ended", row, await sql.standing(tx)))
    return row


async def grant(tx: Writer, given: Mapping[str, Any]) -> Row:
    """The controller opens field groups to another organisation, for one school or for all but the carved out.

    Forbidden `not_the_controller`; Invalid `unknown_organisation`, `not_a_grantee`, `not_your_school`,
    `carve_out_of_one`. Emits grant.recorded to the grantee, the grantor and each school it covers.
    """
    stand = await _controller(tx, given["grantee_id"])
    faults = _not_ours("/except_school_ids", given["except_school_ids"], stand) + _grantee(
        given["grantee_id"], stand
    )
    if given.get("school_id") is not None:
        faults += _not_ours("/school_id", [given["school_id"]], stand)
        if given["except_school_ids"]:
            faults.append(
                Fault("/except_school_ids", "carve_out_of_one", "A grant for one school has no exceptions.")
            )
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    row = {**given, "id": new_id(), "grantor_id": tx.caller.org_id, "recorded_by": tx.caller.client_id}
    row["starts_on"] = given.get("starts_on") or stand["today"]
    made = await sql.add(tx, "grant", row)
    await outbox.emit(tx, _grant_events("grant.recorded", made, stand))
    return made


async def revoke(tx: Writer, grant_id: UUID) -> Row:
    """Take a grant back, at once: the grantee's next request finds nothing. NotFound; Conflict `grant_revoked`.

    The grantor's to do, or its trust's if it has joined one since. Emits grant.revoked to the same parties.
    """
    held = await sql.lock(tx, "grant", grant_id)
    if held is None:
        raise NotFound("grant")
    if held["revoked_at"] is not None:
        raise Conflict("grant_revoked", "This grant has been revoked.")
    stand = await sql.standing(tx, held["grantee_id"])
    row = await sql.change(
        tx, "grant", grant_id, {"revoked_at": tx.caller.now, "revoked_by": tx.caller.client_id}
    )
    await outbox.emit(tx, _grant_events("grant.revoked", row, stand))
    return row


async def _controller(tx: Writer, party_id: UUID | None = None) -> Row:
    stand = await sql.standing(tx, party_id)
    if stand["kind"] not in {Kind.TRUST, Kind.SCHOOL} or stand["trust"] is not None:
        raise Forbidden(
            "not_the_controller", "Only the controller does this: the trust, or a school outside any trust."
        )
    return stand


def _not_ours(pointer: str, named: Iterable[UUID], stand: Row) -> list[Fault]:
    if set(named) <= set(stand["schools"]):
        return []
    return [Fault(pointer, "not_your_school", "Not a school of yours today.")]


def _grantee(grantee_id: UUID, stand: Row) -> list[Fault]:
    if stand["party_kind"] is None:
        return [Fault("/grantee_id", "unknown_organisation", "No such organisation.")]
    if stand["party_kind"] not in GRANTEES or grantee_id == stand["org"]:
        return [Fault("/grantee_id", "not_a_grantee", "Grants go to vendors, hubs, trusts and authorities.")]
    return []


def _agreement_events(kind: str, row: Row, stand: Row) -> list[Event]:
    data = {"agreement_id": row["id"], "controller_id": row["controller_id"]}
    covered = set(stand["schools"]) - set(row["except_school_ids"])
    return [Event(kind, side, whom, row["id"], data) for side, whom in _audience(stand, covered)]


def _grant_events(kind: str, row: Row, stand: Row) -> list[Event]:
    data = {"grant_id": row["id"], "grantor_id": row["grantor_id"], "grantee_id": row["grantee_id"]}
    if kind == "grant.recorded":
        data["field_groups"] = row["field_groups"]
    covered = (
        {row["school_id"]} if row["school_id"] else set(stand["schools"]) - set(row["except_school_ids"])
    )
    if row["grantor_id"] != stand["org"]:  # a trust revokes what its academy granted before it joined
        covered = {row["grantor_id"]}
    told = [(side_of(stand["party_kind"]), row["grantee_id"]), *_audience(stand, covered)]
    return [Event(kind, side, whom, row["id"], data) for side, whom in told]


def _audience(stand: Row, covered: set[UUID]) -> list[tuple[str, UUID]]:
    schools = [("school", one) for one in sorted(covered)]
    return [("hub", stand["org"]), *schools] if stand["kind"] == Kind.TRUST else schools
