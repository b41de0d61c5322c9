"""What is asked of a booking: one move, by one side."""

from dataclasses import dataclass
from uuid import UUID

from app.core.versions import Expected
from app.rules.words import Actor, BookingAction, BookingReason


@dataclass(frozen=True, slots=True)
class Step:
    """One move asked for: what, why, and to which other slot."""

    action: BookingAction
    reason: BookingReason | None = None
    note: str | None = None
    slot_id: UUID | None = None
    expected: Expected = None
    external_ref: str | None = None
    for_whom: Actor | None = None
    """Who decided what the house carries out, and is named in the history."""
    client_id: UUID | None = None
    """The client that decided it, if it is not the caller."""
