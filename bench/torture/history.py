"""What was recorded of a run: what clients asked and were answered, what arrived, what the feed said, what the database holds.

Plain data, so that it can be kept in a file and judged again later. Bodies are bytes read as Latin-1: every byte is one
character, and nothing is lost on the way to JSON and back.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(slots=True)
class Answer:
    """The answer a client ended up with, after `tries` requests under one key. `status` 0: it gave up without one."""

    status: int
    tries: int
    body: str = ""
    replayed: bool = False


@dataclass(slots=True)
class Act:
    """One thing a client wanted, once, under one Idempotency-Key, which it also gave as the note of the move.

    An impatient client asks twice at the same time under the same key: then there are two answers. Each client asks once more
    for its first success: then there is one more.
    """

    key: str
    action: str
    booking_id: str | None
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True)
class Slot:
    """A slot as the database holds it when all is quiet."""

    id: str
    capacity: int
    taken: int


@dataclass(slots=True)
class Booking:
    """A booking as the database holds it, with the slot and places of the proposal beside it."""

    id: str
    slot_id: str
    state: str
    places: int
    proposal_slot_id: str | None = None
    proposal_places: int | None = None


@dataclass(slots=True)
class Move:
    """One line of the append-only `booking_moves`."""

    booking_id: str
    no: int
    action: str
    to_state: str
    to_slot_id: str
    note: str | None


@dataclass(slots=True)
class Event:
    """One committed event."""

    id: str
    position: int | None
    type: str
    audience_id: str
    order_key: str
    sequence: int
    lane: str
    body: str


@dataclass(slots=True)
class Endpoint:
    """A webhook endpoint, and the audiences its organisation `sees`; after `revoked_at` (unix seconds) those it `keeps`.

    `public_key` (`whpk_...`) where it is sent `v1a` as well. `replay_to` is the position up to which all was asked for once
    more, and `replay_state` what became of that job.
    """

    id: str
    secret: str
    sees: list[str]
    revoked_at: float | None = None
    keeps: list[str] = field(default_factory=list)
    public_key: str | None = None
    replay_to: int | None = None
    replay_state: str | None = None


@dataclass(slots=True)
class Arrival:
    """One post as the receiver got it, in the order of arrival. `status` 0: it hung up instead of answering."""

    endpoint_id: str
    at: float
    status: int
    id: str
    timestamp: str
    signature: str
    body: str


@dataclass(slots=True)
class Delivery:
    """What the database says became of an event for an endpoint; `due_at` while it is still to be sent."""

    endpoint_id: str
    event_id: str
    state: str
    replay: bool = False
    due_at: str | None = None


@dataclass(slots=True)
class Feed:
    """What one reader of `GET /v1/events?after=` got, page by page; `last` is what each page gave as its end."""

    reader: str
    sees: list[str]
    pages: list[list[str]] = field(default_factory=list)
    last: list[int] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """All of it. `kills` are (seconds since the start, what was killed)."""

    seed: int = 0
    kills: list[tuple[float, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    bookings: list[Booking] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    last_position: int = 0
    endpoints: list[Endpoint] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Keep it, to be judged again with `python -m bench.torture --check`."""
        path.write_bytes(orjson.dumps(self))


_PARTS = {
    "acts": Act, "slots": Slot, "bookings": Booking, "moves": Move, "events": Event, "endpoints": Endpoint,
    "deliveries": Delivery, "arrivals": Arrival, "feeds": Feed,
}  # fmt: skip


def loaded(path: Path) -> History:
    """A history that was saved."""
    raw: dict[str, Any] = orjson.loads(path.read_bytes())
    for act in raw["acts"]:
        act["answers"] = [Answer(**one) for one in act["answers"]]
    for name, kind in _PARTS.items():
        raw[name] = [kind(**one) for one in raw[name]]
    return History(**raw)
