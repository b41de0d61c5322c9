"""A proposal to move a confirmed booking to another slot: it stands beside what is agreed until it is answered or over.

The proposed places are held in the other slot, so that accepting is one swap. However else it ends, the booking is as if
nobody had asked.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.bookings import naming, sql
from app.bookings.facts import reply_by, time_to_name
from app.bookings.steps import Step
from app.core.db import Row, Writer
from app.core.errors import Conflict
from app.rules.words import Actor, BookingAction

NONE: Final[Mapping[str, Any]] = {
    "proposal_by": None,
    "proposal_slot_id": None,
    "proposal_places": None,
    "proposal_starts_at": None,
    "proposal_ends_at": None,
    "proposal_expires_at": None,
    "proposal_reason": None,
}
"""The columns of a booking without a proposal."""

ENDS: Final = frozenset(
    {BookingAction.DECLINE_PROPOSAL, BookingAction.WITHDRAW_PROPOSAL, BookingAction.END_PROPOSAL}
)
"""Moves after which the booking is as if nothing had been proposed."""


async def propose(tx: Writer, before: Row, step: Step, who: Actor, target: Row) -> Row:
    """Hold places in the target slot and write the proposal beside the booking.

    It is open until the time to reply has passed, or one of the two slots begins. Refuses with Conflict `no_places`.
    """
    if not await sql.take_places(tx, target["id"], before["school_id"], before["places"]):
        raise Conflict(
            "no_places",
            "There are not enough places left, or those that are free go to schools that wait already.",
        )
    return await sql.change(
        tx,
        before["id"],
        {
            "proposal_by": who.value,
            "proposal_slot_id": target["id"],
            "proposal_places": before["places"],
            "proposal_starts_at": target["starts_at"],
            "proposal_ends_at": target["ends_at"],
            "proposal_expires_at": min(reply_by(target, tx.caller.now), before["starts_at"]),
            "proposal_reason": step.reason.value if step.reason else None,
        },
    )


async def accept(tx: Writer, before: Row, target: Row) -> Row:
    """Swap the slots: the places of the agreed one go back, those of the proposed one are held already.

    Pupils who can come to the new times stay named; those who cannot (named elsewhere then, too young for it) are
    withdrawn, and their places can be named anew until `name_by`.
    """
    await sql.give_places(tx, before["id"], before["places"])
    named = await naming.carry_names(tx, before, target) if before["named"] else 0
    values = {name: target[name] for name in ("offer_id", "site_id", "starts_at", "ends_at", "kind")}
    values |= {
        "slot_id": target["id"],
        "places": before["proposal_places"],
        "named": named,
        "name_by": time_to_name(target, tx.caller.now),
    }
    return await sql.change(tx, before["id"], {**values, **NONE})


async def end(tx: Writer, before: Row) -> Row:
    """Give the proposed places back; the agreed booking stays as it is."""
    await sql.give_proposed_places(tx, before["id"])
    return await sql.change(tx, before["id"], NONE)


async def give_all_places(tx: Writer, before: Row) -> None:
    """Give back the places of a booking that no longer holds any, and those of its proposal, in the order of the slots'
    ids: two bookings that are proposed to be swapped never wait for each other.
    """
    if before["proposal_slot_id"] is None:
        await sql.give_places(tx, before["id"], before["places"])
    elif before["proposal_slot_id"] < before["slot_id"]:
        await sql.give_proposed_places(tx, before["id"])
        await sql.give_places(tx, before["id"], before["places"])
    else:
        await sql.give_places(tx, before["id"], before["places"])
        await sql.give_proposed_places(tx, before["id"])
