"""Judge a recorded history: every promise is a rule, and every breach of it a fault that names what broke it.

Pure: no clock, no I/O, and no code of the product; signatures are verified here from the text of Standard Webhooks 1.0.0.
"""

import base64
import contextlib
import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench.torture.history import Act, Answer, Arrival, Delivery, Endpoint, Event, Feed, History

OK, MULTIPLE, SERVER = 200, 300, 500
TOLERANCE = 300.0
UNDER_WAY = 5.0
"""Seconds for which a post that was claimed before a revocation may still be under way."""

HOLDING = frozenset({"requested", "countered", "confirmed", "on_hold", "completed"})
LOST_RACES = frozenset({"no_places", "not_from_this_state", "no_proposal", "proposal_open", "same_slot"})
"""The refusals that this load may meet: anything else means that it was not the load it should have been."""

TOLD_AS = {
    "request": "booking.requested",
    "join_waiting_list": "booking.waiting",
    "promote": "booking.promoted",
    "confirm": "booking.confirmed",
    "decline": "booking.declined",
    "cancel": "booking.cancelled",
    "reschedule": "booking.proposed",  # the load moves confirmed bookings only
    "accept_proposal": "booking.rescheduled",
    "decline_proposal": "booking.proposal_ended",
    "withdraw_proposal": "booking.proposal_ended",
    "end_proposal": "booking.proposal_ended",
    "counter": "booking.countered",
    "accept_counter": "booking.confirmed",
    "expire": "booking.expired",
}
BY_ITSELF = frozenset({"promote", "expire", "end_proposal"})
"""Moves that the house makes without being asked, so without a key."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A breach of one rule."""

    rule: str
    what: str


Rule = Callable[[History], Iterator[str]]
Thing, Key = TypeVar("Thing"), TypeVar("Key")


def faults(history: History) -> list[Fault]:
    """Every breach of every rule; an empty list is a proof for this run."""
    return [Fault(name, what) for name, rule in RULES.items() for what in rule(history)]


# --- what clients were answered -------------------------------------------------------------------------------------


def answered_is_kept(history: History) -> Iterator[str]:
    """Every 2xx is in the database: the move under its key, on the booking and to the state that were answered."""
    moves = {move.note: move for move in history.moves if move.note}
    known = {booking.id for booking in history.bookings}
    for act, answer in _answers(history.acts):
        if not _well(answer):
            continue
        told, move = json.loads(answer.body), moves.get(act.key)
        if told["id"] not in known:
            yield f"{act.action} {act.key} was answered {answer.status}, but booking {told['id']} does not exist"
        elif move is None:
            yield f"{act.action} {act.key} was answered {answer.status}, but there is no such move"
        elif (move.booking_id, move.to_state) != (told["id"], told["state"]):
            yield f"{act.action} {act.key}: answered {told['state']}, written {move.to_state}"


def nothing_twice(history: History) -> Iterator[str]:
    """One key, one move and one answer; one booking for each request that was answered."""
    for note, times in Counter(move.note for move in history.moves if move.note).items():
        if times > 1:
            yield f"{times} moves under the key {note}"
    for act in history.acts:
        bodies = {answer.body for answer in act.answers if _well(answer)}
        if len(bodies) > 1:
            yield f"{act.action} {act.key} was answered in {len(bodies)} ways"
    begun = Counter(move.booking_id for move in history.moves if move.no == 1)
    for booking in history.bookings:
        if begun[booking.id] != 1:
            yield f"booking {booking.id} has {begun[booking.id]} beginnings"


def refused_is_not_done(history: History) -> Iterator[str]:
    """What was refused has left nothing; what nobody asked for has not happened; refusals are those to be expected."""
    moves = {move.note for move in history.moves}
    acts = {act.key: act for act in history.acts}
    for act in history.acts:
        if act.key in moves and act.answers and all(MULTIPLE <= one.status < SERVER for one in act.answers):
            yield f"{act.action} {act.key} was refused, and yet it was done"
    for move in history.moves:
        asked = acts.get(move.note or "")
        if asked is None and move.action not in BY_ITSELF:
            yield f"{move.action} no. {move.no} of booking {move.booking_id} was asked for by nobody"
        elif asked and asked.action != move.action:
            yield f"{asked.action} {asked.key} became {move.action}"
    for act, answer in _answers(history.acts):
        code = json.loads(answer.body)["code"] if answer.status >= MULTIPLE else ""
        if answer.status and not _well(answer) and code not in LOST_RACES:
            yield f"{act.action} {act.key} was refused with {answer.status} {code}"


# --- what the database holds ----------------------------------------------------------------------------------------


def bookings_add_up(history: History) -> Iterator[str]:
    """Moves are numbered without a gap, the last one is the booking's state, and places are counted right."""
    moves = _grouped(history.moves, lambda move: move.booking_id)
    held: Counter[str] = Counter()
    for booking in history.bookings:
        mine = sorted(moves[booking.id], key=lambda move: move.no)
        if [move.no for move in mine] != list(range(1, len(mine) + 1)):
            yield f"booking {booking.id} has the moves {[move.no for move in mine]}"
        if mine and (mine[-1].to_state, mine[-1].to_slot_id) != (booking.state, booking.slot_id):
            yield f"booking {booking.id} is {booking.state}, its last move led to {mine[-1].to_state}"
        if booking.state in HOLDING:
            held[booking.slot_id] += booking.places
        if booking.proposal_slot_id:
            held[booking.proposal_slot_id] += booking.proposal_places or 0
    for slot in history.slots:
        if slot.taken != held[slot.id]:
            yield f"slot {slot.id}: taken {slot.taken}, held {held[slot.id]}"
        if slot.taken > slot.capacity:
            yield f"slot {slot.id}: {slot.taken} of {slot.capacity} places taken"


def positions_are_in_order(history: History) -> Iterator[str]:
    """Positions have no gap; on one order key of one audience, sequences have none either and ascend with position."""
    positions = sorted(event.position or 0 for event in history.events)
    if positions != list(range(1, len(positions) + 1)):
        odd = sorted(set(range(1, len(positions) + 1)) ^ set(positions))[:5]
        yield f"{len(positions)} events have positions with a gap or twice, first at {odd}"
    if history.last_position != len(positions):
        yield f"the last position is {history.last_position}, there are {len(positions)} events"
    for (key, audience), events in _grouped(
        history.events, lambda one: (one.order_key, one.audience_id)
    ).items():
        sequences = [one.sequence for one in sorted(events, key=lambda one: one.position or 0)]
        if sequences != list(range(1, len(sequences) + 1)):
            yield f"order key {key} for {audience}: sequences {sequences} in the order of position"


def events_tell_of_moves(history: History) -> Iterator[str]:
    """No event without its committed change, and no change without its event, for each side of a booking."""
    moves = _grouped(history.moves, lambda move: move.booking_id)
    told_of = (event for event in history.events if event.type.startswith("booking."))
    events = _grouped(told_of, lambda event: event.order_key)
    for booking in {*moves, *events}:
        made = sorted(moves[booking], key=lambda move: move.no)
        done = [(TOLD_AS[move.action], move.to_state, move.to_slot_id) for move in made]
        sides = _grouped(events[booking], lambda event: event.audience_id)
        if done and len(sides) != 2:
            yield f"booking {booking} was told to {len(sides)} sides"
        for side, mine in sides.items():
            in_order = sorted(mine, key=lambda event: event.sequence)
            told = [_told(event) for event in in_order if not _of_another_move(event)]
            if told != done:
                yield f"booking {booking}: {side} was told {told}, done was {done}"


# --- what arrived ---------------------------------------------------------------------------------------------------


def everything_arrived(history: History) -> Iterator[str]:
    """Every event that an endpoint may see was accepted there at least once, and nothing else came."""
    events = {event.id: event for event in history.events}
    for endpoint in history.endpoints:
        came = [one for one in history.arrivals if one.endpoint_id == endpoint.id]
        accepted = {one.id for one in came if OK <= one.status < MULTIPLE}
        seen = {one.id for one in history.events if one.audience_id in endpoint.sees}
        lasting = endpoint.sees if endpoint.revoked_at is None else endpoint.keeps
        due = {one.id for one in history.events if one.audience_id in lasting}
        for one in due - accepted:
            yield f"{events[one].type} {one} was never accepted by {endpoint.id}"
        for one in {arrival.id for arrival in came} - seen:
            yield f"{one} came to {endpoint.id}, which may not see it"


def books_are_true(history: History) -> Iterator[str]:
    """What is written down as delivered was accepted; when all is quiet, nothing is left to deliver."""
    accepted = {(one.endpoint_id, one.id) for one in history.arrivals if OK <= one.status < MULTIPLE}
    revoked = {one.id for one in history.endpoints if one.revoked_at is not None}
    for delivery in history.deliveries:
        if delivery.state == "delivered" and (delivery.endpoint_id, delivery.event_id) not in accepted:
            yield f"{delivery.event_id} is written down as delivered to {delivery.endpoint_id}, but it never came"
        elif delivery.state not in ("delivered", "revoked" if delivery.endpoint_id in revoked else ""):
            yield f"{delivery.event_id} is still {delivery.state} for {delivery.endpoint_id}"
    rows = Counter((one.endpoint_id, one.event_id, one.replay) for one in history.deliveries)
    for (endpoint_id, event_id, replay), times in rows.items():
        if times > 1:
            yield f"{times} {'replays' if replay else 'deliveries'} of {event_id} to {endpoint_id}"


def nothing_waits_without_a_reason(history: History) -> Iterator[str]:
    """What is pending when all is quiet waits for a delivery before it in its key: nothing else is a reason by then.

    Endpoints are on, receivers take everything, and 90 seconds have gone by.
    """
    events = {event.id: event for event in history.events}
    pending = [one for one in history.deliveries if one.state == "pending" and one.event_id in events]
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for one in pending:
        if not one.replay:
            key, place = _place(one, events[one.event_id])
            first[key] = min(place, first.get(key, place))
    for one in pending:
        event = events[one.event_id]
        key, place = _place(one, event)
        if not one.replay and event.lane == "normal" and first[key] < place:
            continue
        why = "is due and not sent" if one.due_at else "has no due time and waits for nothing"
        yield f"{event.type} no. {event.sequence} {event.id} for {one.endpoint_id} {why}"


def _place(one: Delivery, event: Event) -> tuple[tuple[str, str], tuple[int, int]]:
    """The order key of a delivery at its endpoint, and its place in it."""
    return (one.endpoint_id, event.order_key), (event.sequence, event.position or 0)


def replays_are_whole(history: History) -> Iterator[str]:
    """A replay that was asked for is brought to its end, with everything in its range delivered once more."""
    accepted = Counter((one.endpoint_id, one.id) for one in history.arrivals if OK <= one.status < MULTIPLE)
    rows = Counter((one.endpoint_id, one.event_id) for one in history.deliveries if one.state == "delivered")
    again = {(one.endpoint_id, one.event_id) for one in history.deliveries if one.replay}
    for endpoint in history.endpoints:
        if endpoint.replay_to is None:
            continue
        if endpoint.replay_state != "done":
            yield f"the replay for {endpoint.id} is {endpoint.replay_state}"
        for event in history.events:
            within = event.position is not None and event.position <= endpoint.replay_to
            pair = (endpoint.id, event.id)
            if not within or event.audience_id not in endpoint.sees:
                continue
            if pair not in again:
                yield f"{event.id} was left out of the replay for {endpoint.id}"
            elif accepted[pair] < rows[pair]:
                yield f"{event.id} was accepted {accepted[pair]} times by {endpoint.id}, and delivered {rows[pair]} times"


def order_is_kept(history: History) -> Iterator[str]:
    """On one order key of an endpoint, an event first comes when its predecessor in the lane has been accepted.

    The safety lane waits for nothing, and nothing waits for it.
    """
    events = {event.id: event for event in history.events if event.lane == "normal"}
    replayed = {
        one.id for one in history.endpoints if one.replay_to is not None
    }  # a replay promises no order
    before = _predecessors(events.values())
    seen: set[tuple[str, str]] = set()
    reached: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for arrival in history.arrivals:
        event = events.get(arrival.id)
        if event is None or arrival.endpoint_id in replayed:
            continue
        place = (arrival.endpoint_id, event.audience_id, event.order_key)
        if (arrival.endpoint_id, event.id) not in seen and before[event.id] > reached[place]:
            yield f"{event.type} no. {event.sequence} of {event.order_key} came after no. {reached[place]}"
        seen.add((arrival.endpoint_id, event.id))
        if OK <= arrival.status < MULTIPLE:
            reached[place] = max(reached[place], event.sequence)


def _predecessors(events: Iterable[Event]) -> dict[str, int]:
    """The `sequence` of the event before each one, among these, on its key; 0 for the first."""
    found: dict[str, int] = {}
    for key in _grouped(events, lambda one: (one.audience_id, one.order_key)).values():
        inner = sorted(key, key=lambda one: one.sequence)
        found |= {one.id: earlier.sequence for earlier, one in pairwise(inner)} | {inner[0].id: 0}
    return found


def bytes_are_the_same(history: History) -> Iterator[str]:
    """Whatever comes, first or again, by push or by feed, has the event's own bytes, and its id."""
    bodies = {event.id: event.body for event in history.events}
    for event in history.events:
        told = json.loads(event.body)
        if (told["id"], told["sequence"], told["type"]) != (event.id, event.sequence, event.type):
            yield f"event {event.id} speaks of itself as {told['type']} {told['id']} no. {told['sequence']}"
    for arrival in history.arrivals:
        if bodies.get(arrival.id) != arrival.body:
            yield f"{arrival.id} came to {arrival.endpoint_id} with other bytes"
    for feed in history.feeds:
        for body in _items(feed):
            if bodies.get(_id_of(body)) != body:
                yield f"{_id_of(body)} is in the feed of {feed.reader} with other bytes"


def signatures_are_valid(history: History) -> Iterator[str]:
    """Every post is signed with the endpoint's secret, now."""
    endpoints = {endpoint.id: endpoint for endpoint in history.endpoints}
    for arrival in history.arrivals:
        endpoint = endpoints.get(arrival.endpoint_id)
        if endpoint is None or _signature(endpoint, arrival) not in arrival.signature.split(" "):
            yield f"{arrival.id} came to {arrival.endpoint_id} with a signature that is not valid"
        elif endpoint.public_key and not _signed_with(endpoint.public_key, arrival):
            yield f"{arrival.id} came to {arrival.endpoint_id} without a v1a signature that is valid"
        if abs(arrival.at - int(arrival.timestamp)) > TOLERANCE:
            yield f"{arrival.id} came to {arrival.endpoint_id} with a stale timestamp"


def revoked_is_silent(history: History) -> Iterator[str]:
    """Nothing comes to an endpoint whose right to see has ended, but for what was under way at that moment."""
    audience = {event.id: event.audience_id for event in history.events}
    endpoints = {endpoint.id: endpoint for endpoint in history.endpoints}
    for arrival in history.arrivals:
        endpoint = endpoints.get(arrival.endpoint_id)
        if endpoint is None or endpoint.revoked_at is None or audience.get(arrival.id) in endpoint.keeps:
            continue
        if arrival.at > endpoint.revoked_at + UNDER_WAY:
            yield f"{arrival.id} came to {arrival.endpoint_id} after its right to see it had ended"


def feed_is_whole(history: History) -> Iterator[str]:
    """Every reader of the feed gets each event it may see exactly once, in the order of position."""
    for feed in history.feeds:
        due = sorted(
            (one for one in history.events if one.audience_id in feed.sees), key=lambda one: one.position or 0
        )
        got = [_id_of(body) for body in _items(feed)]
        if got != (wanted := [one.id for one in due]):
            yield f"the feed of {feed.reader}: {_difference(got, wanted)}"
        position = {one.id: one.position for one in due}
        for page, last in zip(feed.pages, feed.last, strict=True):
            if page and position.get(_id_of(page[-1])) != last:
                yield f"a page of the feed of {feed.reader} ends with {last}, its event has another position"


# --- small words ----------------------------------------------------------------------------------------------------


def _well(answer: Answer) -> bool:
    return OK <= answer.status < MULTIPLE


def _answers(acts: Iterable[Act]) -> Iterator[tuple[Act, Answer]]:
    return ((act, answer) for act in acts for answer in act.answers)


def _grouped(things: Iterable[Thing], key: Callable[[Thing], Key]) -> defaultdict[Key, list[Thing]]:
    found: defaultdict[Key, list[Thing]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return found


def _of_another_move(event: Event) -> bool:
    """Whether it tells that a proposal ended because the booking itself moved on, of which the next event tells."""
    ended = event.type == "booking.proposal_ended"
    return ended and json.loads(event.body)["data"]["outcome"] == "booking_not_confirmed"


def _told(event: Event) -> tuple[str, str, str]:
    data = json.loads(event.body)["data"]
    return event.type, data["state"], data["slot_id"]


def _items(feed: Feed) -> Iterator[str]:
    return (body for page in feed.pages for body in page)


def _id_of(body: str) -> str:
    return str(json.loads(body)["id"])


def _difference(got: list[str], wanted: list[str]) -> str:
    if missing := [one for one in wanted if one not in set(got)]:
        return f"{len(missing)} events are missing, first {missing[0]}"
    if twice := [one for one, times in Counter(got).items() if times > 1]:
        return f"{len(twice)} events are there twice, first {twice[0]}"
    if more := [one for one in got if one not in set(wanted)]:
        return f"{len(more)} events are not to be seen, first {more[0]}"
    return (
        f"not in the order of position, first {next(a for a, b in zip(got, wanted, strict=True) if a != b)}"
    )


def _signature(endpoint: Endpoint, arrival: Arrival) -> str:
    secret = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
    signed = f"{arrival.id}.{arrival.timestamp}.{arrival.body}".encode("latin-1")
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def _signed_with(public_key: str, arrival: Arrival) -> bool:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{arrival.id}.{arrival.timestamp}.{arrival.body}".encode("latin-1")
    for given in arrival.signature.split(" "):
        if given.startswith("v1a,"):
            with contextlib.suppress(InvalidSignature):
                key.verify(base64.b64decode(given.removeprefix("v1a,")), signed)
                return True
    return False


RULES: dict[str, Rule] = {
    "answered_is_kept": answered_is_kept,
    "nothing_twice": nothing_twice,
    "refused_is_not_done": refused_is_not_done,
    "bookings_add_up": bookings_add_up,
    "positions_are_in_order": positions_are_in_order,
    "events_tell_of_moves": events_tell_of_moves,
    "everything_arrived": everything_arrived,
    "books_are_true": books_are_true,
    "nothing_waits_without_a_reason": nothing_waits_without_a_reason,
    "replays_are_whole": replays_are_whole,
    "order_is_kept": order_is_kept,
    "bytes_are_the_same": bytes_are_the_same,
    "signatures_are_valid": signatures_are_valid,
    "revoked_is_silent": revoked_is_silent,
    "feed_is_whole": feed_is_whole,
}
