"""The judge of a history: a sound one passes, and each planted fault is found by the rule that is there for it."""

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.torture.check import RULES, Fault, faults
from bench.torture.clients import items_of
from bench.torture.history import (
    Act,
    Answer,
    Arrival,
    Booking,
    Delivery,
    Endpoint,
    Event,
    Feed,
    History,
    Move,
    Slot,
    loaded,
)

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
SCHOOL, EMPLOYER = "school-org", "employer-org"
NOW = 1_800_000_000.0
STEPS = (("request", "requested"), ("confirm", "confirmed"), ("cancel", "cancelled"))
TYPES = {"request": "booking.requested", "confirm": "booking.confirmed", "cancel": "booking.cancelled"}


def signed(endpoint: str, event: Event, at: float, status: int = 204) -> Arrival:
    text = f"{event.id}.{int(at)}.{event.body}".encode("latin-1")
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), text, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return Arrival(endpoint, at, status, event.id, str(int(at)), signature, event.body)


def told(event_id: str, kind: str, state: str, booking: str, sequence: int) -> str:
    data = {"booking_id": booking, "slot_id": "slot-1", "state": state, "note": 'a "}" in a string'}
    return json.dumps({"id": event_id, "type": kind, "data": data, "sequence": sequence})


@pytest.fixture
def sound() -> History:
    """Two bookings, one of them cancelled again; both sides told; one post refused at first and sent again."""
    history = History(seed=1, slots=[Slot("slot-1", 10, 4)])
    for booking, steps in (("b-1", STEPS), ("b-2", STEPS[:2])):
        for no, (action, state) in enumerate(steps, start=1):
            add_move(history, booking, no, action, state)
        history.bookings.append(Booking(booking, "slot-1", steps[-1][1], 4))
    history.acts.append(Act("k-late", "confirm", "b-1", [Answer(409, 1, '{"code": "not_from_this_state"}')]))
    history.last_position = len(history.events)
    for org in (SCHOOL, EMPLOYER):
        add_reader(history, org)
    return history


def add_move(history: History, booking: str, no: int, action: str, state: str) -> None:
    key = f"k-{booking}-{no}"
    history.moves.append(Move(booking, no, action, state, "slot-1", key))
    answer = Answer(201 if no == 1 else 200, 1, json.dumps({"id": booking, "state": state}))
    history.acts.append(Act(key, action, None if no == 1 else booking, [answer, copy.copy(answer)]))
    for side in (SCHOOL, EMPLOYER):
        event_id, position = f"e-{booking}-{no}-{side}", len(history.events) + 1
        body = told(event_id, TYPES[action], state, booking, no)
        history.events.append(Event(event_id, position, TYPES[action], side, booking, no, "normal", body))


def add_reader(history: History, org: str) -> None:
    endpoint = Endpoint(f"endpoint-{org}", SECRET, [org])
    history.endpoints.append(endpoint)
    mine = [event for event in history.events if event.audience_id == org]
    feed = Feed(org, [org])
    for number, event in enumerate(mine):
        if number == 0:
            history.arrivals.append(signed(endpoint.id, event, NOW, status=0))
        history.arrivals.append(signed(endpoint.id, event, NOW + number))
        history.deliveries.append(Delivery(endpoint.id, event.id, "delivered"))
        feed.pages.append([event.body])
        feed.last.append(event.position or 0)
    history.arrivals.append(signed(endpoint.id, mine[0], NOW + 9))
    history.feeds.append(feed)


@pytest.fixture
def replayed(sound: History) -> History:
    """The same, and the school asks for everything once more; it is sent both signatures."""
    endpoint = sound.endpoints[0]
    endpoint.replay_to, endpoint.replay_state = sound.last_position, "done"
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    endpoint.public_key = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    for event in [one for one in sound.events if one.audience_id == SCHOOL]:
        sound.arrivals.append(signed(endpoint.id, event, NOW + 20))
        sound.deliveries.append(Delivery(endpoint.id, event.id, "delivered", replay=True))
    for arrival in sound.arrivals:
        if arrival.endpoint_id == endpoint.id:
            text = f"{arrival.id}.{arrival.timestamp}.{arrival.body}".encode("latin-1")
            arrival.signature += " v1a," + base64.b64encode(private.sign(text)).decode()
    return sound


def broken_rules(history: History) -> set[str]:
    return {fault.rule for fault in faults(history)}


def test_a_sound_history_has_no_fault(sound: History) -> None:
    assert faults(sound) == []


def test_the_safety_lane_is_outside_of_any_order(sound: History) -> None:
    safe = next(one for one in sound.events if one.sequence == 2 and one.audience_id == SCHOOL)
    safe.lane = "safety"
    late = next(one for one in sound.arrivals if one.id == safe.id)
    sound.arrivals.remove(late)
    sound.arrivals.append(late)
    assert faults(sound) == []


def test_a_history_is_the_same_after_it_was_kept(sound: History, tmp_path: Path) -> None:
    sound.save(tmp_path / "history.json")
    assert loaded(tmp_path / "history.json") == sound


def test_a_sound_history_with_a_replay_has_no_fault(replayed: History) -> None:
    assert faults(replayed) == []


def leave_the_replay_unfinished(history: History) -> None:
    history.endpoints[0].replay_state = "running"


def leave_an_event_out_of_the_replay(history: History) -> None:
    gone = next(one for one in history.deliveries if one.replay)
    history.deliveries.remove(gone)


def write_down_a_replay_that_never_came(history: History) -> None:
    gone = next(one for one in history.deliveries if one.replay and not one.event_id.startswith("e-b-1-1"))
    last = next(at for at, one in reversed([*enumerate(history.arrivals)]) if one.id == gone.event_id)
    del history.arrivals[last]


def replay_an_event_twice(history: History) -> None:
    history.deliveries.append(next(one for one in history.deliveries if one.replay))


def send_other_bytes_again(history: History) -> None:
    history.arrivals[-1].body = history.arrivals[-1].body.replace("null", "nil ").replace("{", "{ ", 1)


def sign_with_a_strangers_private_key(history: History) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    last = history.arrivals[-1]
    text = f"{last.id}.{last.timestamp}.{last.body}".encode("latin-1")
    last.signature = last.signature.split(" ")[0] + " v1a," + base64.b64encode(stranger.sign(text)).decode()


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (leave_the_replay_unfinished, "replays_are_whole"),
        (leave_an_event_out_of_the_replay, "replays_are_whole"),
        (write_down_a_replay_that_never_came, "replays_are_whole"),
        (replay_an_event_twice, "books_are_true"),
        (send_other_bytes_again, "bytes_are_the_same"),
        (sign_with_a_strangers_private_key, "signatures_are_valid"),
    ],
)
def test_a_fault_planted_in_a_replay_is_found(
    replayed: History, plant: Callable[[History], None], rule: str
) -> None:
    plant(replayed)
    assert rule in broken_rules(replayed)


# --- planted faults: (what is done to a sound history, the rule that finds it) ------------------------------------------


def lose_an_event_on_its_way(history: History) -> None:
    gone = history.events[2].id
    history.arrivals = [one for one in history.arrivals if one.id != gone]


def have_an_event_refused_for_good(history: History) -> None:
    last = history.arrivals[3]
    last.status = 500


def lose_a_committed_event(history: History) -> None:
    gone = history.events.pop(2).id
    history.arrivals = [one for one in history.arrivals if one.id != gone]
    history.feeds[0].pages = [
        [b for b in page if json.loads(b)["id"] != gone] for page in history.feeds[0].pages
    ]
    history.deliveries = [one for one in history.deliveries if one.event_id != gone]


def lose_the_last_committed_event(history: History) -> None:
    gone = history.events.pop().id
    history.last_position -= 1
    history.arrivals = [one for one in history.arrivals if one.id != gone]
    history.feeds[1].pages.pop()
    history.feeds[1].last.pop()
    history.deliveries = [one for one in history.deliveries if one.event_id != gone]


def swap_two_arrivals_of_a_key(history: History) -> None:
    history.arrivals[1], history.arrivals[2] = history.arrivals[2], history.arrivals[1]


def send_a_successor_before_its_predecessor_was_taken(history: History) -> None:
    history.arrivals[1].status = 500
    history.arrivals.insert(3, history.arrivals.pop(6))


def swap_two_positions_of_a_key(history: History) -> None:
    first, second = history.events[0], history.events[2]
    first.position, second.position = second.position, first.position


def leave_a_gap_in_positions(history: History) -> None:
    history.events[-1].position = len(history.events) + 1
    history.last_position += 1


def give_a_position_twice(history: History) -> None:
    history.events[1].position = history.events[0].position


def alter_a_byte_of_a_first_post(history: History) -> None:
    history.arrivals[1].body = history.arrivals[1].body.replace("slot-1", "slot-2")


def alter_a_byte_of_a_later_post_and_sign_it_well(history: History) -> None:
    event = copy.copy(history.events[0])
    event.body = event.body.replace("slot-1", "slot-2")
    history.arrivals[-1] = signed(history.endpoints[0].id, event, NOW + 9)


def alter_white_space_in_the_feed(history: History) -> None:
    history.feeds[0].pages[1] = [history.feeds[0].pages[1][0].replace(": ", ":", 1)]


def put_an_event_into_the_feed_twice(history: History) -> None:
    feed = history.feeds[0]
    feed.pages.append(feed.pages[-1])
    feed.last.append(feed.last[-1])


def leave_an_event_out_of_the_feed(history: History) -> None:
    del history.feeds[0].pages[1], history.feeds[0].last[1]


def swap_two_events_in_the_feed(history: History) -> None:
    pages = history.feeds[0].pages
    pages[0], pages[1] = pages[1], pages[0]


def show_a_stranger_an_event_in_the_feed(history: History) -> None:
    history.feeds[0].pages.append([history.events[1].body])
    history.feeds[0].last.append(2)


def send_a_stranger_an_event(history: History) -> None:
    history.arrivals.append(signed(history.endpoints[0].id, history.events[1], NOW))


def lose_an_answered_confirmation(history: History) -> None:
    del history.moves[1]
    history.bookings[0].state = "requested"


def lose_an_answered_booking(history: History) -> None:
    history.bookings.pop()


def answer_what_was_not_written(history: History) -> None:
    history.acts[1].answers[0].body = json.dumps({"id": "b-1", "state": "declined"})


def do_a_thing_twice(history: History) -> None:
    history.moves.append(Move("b-2", 3, "confirm", "confirmed", "slot-1", "k-b-2-2"))


def make_a_booking_twice(history: History) -> None:
    history.bookings.append(Booking("b-3", "slot-1", "requested", 4))
    history.moves.append(Move("b-3", 1, "request", "requested", "slot-1", "k-b-2-1"))


def answer_a_repeat_otherwise(history: History) -> None:
    history.acts[0].answers[1].body = json.dumps({"id": "b-1", "state": "requested", "more": 1})


def do_what_was_refused(history: History) -> None:
    history.moves[1].note = "k-late"


def do_what_nobody_asked(history: History) -> None:
    history.moves[1].note = None


def refuse_without_cause(history: History) -> None:
    history.acts[-1].answers[0] = Answer(404, 1, '{"code": "not_found"}')


def tell_of_what_did_not_happen(history: History) -> None:
    del history.moves[-1]
    history.bookings[1].state = "requested"


def tell_another_state(history: History) -> None:
    event = history.events[2]
    event.body = event.body.replace('"confirmed"', '"cancelled"')


def keep_a_place_too_many(history: History) -> None:
    history.slots[0].taken += 1


def sell_more_places_than_there_are(history: History) -> None:
    history.slots[0].capacity = 3


def write_down_a_delivery_that_never_was(history: History) -> None:
    for one in history.arrivals:
        if one.id == history.events[4].id:
            one.status = 0


def leave_a_delivery_waiting(history: History) -> None:
    history.deliveries[0].state = "pending"


def leave_a_delivery_without_a_due_time_behind_nothing(history: History) -> None:
    """As two events of one key and `sequence` for two audiences of one endpoint were left."""
    first = history.events[0]
    twin = copy.copy(first)
    twin.id, twin.audience_id, twin.position = "e-twin", "another-audience", first.position
    history.events.append(twin)
    history.deliveries.append(Delivery(history.endpoints[0].id, twin.id, "pending"))


def leave_a_delivery_due_and_not_sent(history: History) -> None:
    last = history.deliveries[-1]
    last.state, last.due_at = "pending", "2026-11-30 12:00:00+00:00"


def fan_an_event_out_twice(history: History) -> None:
    history.deliveries.append(history.deliveries[0])


def forge_a_signature(history: History) -> None:
    history.arrivals[0].signature = "v1," + base64.b64encode(b"x" * 32).decode()


def send_with_the_timestamp_of_an_hour_ago(history: History) -> None:
    stale = signed(history.endpoints[0].id, history.events[0], NOW - 3600)
    stale.at = NOW
    history.arrivals.append(stale)


def send_after_the_right_to_see_has_ended(history: History) -> None:
    history.endpoints[0].revoked_at = NOW
    history.arrivals.append(signed(history.endpoints[0].id, history.events[0], NOW + 60))


def keep_what_is_its_own_from_one_whose_right_has_ended(history: History) -> None:
    lose_an_event_on_its_way(history)
    history.endpoints[0].revoked_at = NOW + 60
    history.endpoints[0].keeps = [SCHOOL]


PLANTED: tuple[tuple[Callable[[History], None], str], ...] = (
    (lose_an_event_on_its_way, "everything_arrived"),
    (have_an_event_refused_for_good, "everything_arrived"),
    (lose_a_committed_event, "events_tell_of_moves"),
    (lose_a_committed_event, "positions_are_in_order"),
    (lose_the_last_committed_event, "events_tell_of_moves"),
    (swap_two_arrivals_of_a_key, "order_is_kept"),
    (send_a_successor_before_its_predecessor_was_taken, "order_is_kept"),
    (swap_two_positions_of_a_key, "positions_are_in_order"),
    (leave_a_gap_in_positions, "positions_are_in_order"),
    (give_a_position_twice, "positions_are_in_order"),
    (alter_a_byte_of_a_first_post, "bytes_are_the_same"),
    (alter_a_byte_of_a_first_post, "signatures_are_valid"),
    (alter_a_byte_of_a_later_post_and_sign_it_well, "bytes_are_the_same"),
    (alter_white_space_in_the_feed, "bytes_are_the_same"),
    (put_an_event_into_the_feed_twice, "feed_is_whole"),
    (leave_an_event_out_of_the_feed, "feed_is_whole"),
    (swap_two_events_in_the_feed, "feed_is_whole"),
    (show_a_stranger_an_event_in_the_feed, "feed_is_whole"),
    (send_a_stranger_an_event, "everything_arrived"),
    (lose_an_answered_confirmation, "answered_is_kept"),
    (lose_an_answered_booking, "answered_is_kept"),
    (answer_what_was_not_written, "answered_is_kept"),
    (do_a_thing_twice, "nothing_twice"),
    (make_a_booking_twice, "nothing_twice"),
    (answer_a_repeat_otherwise, "nothing_twice"),
    (do_what_was_refused, "refused_is_not_done"),
    (do_what_nobody_asked, "refused_is_not_done"),
    (refuse_without_cause, "refused_is_not_done"),
    (tell_of_what_did_not_happen, "events_tell_of_moves"),
    (tell_another_state, "events_tell_of_moves"),
    (keep_a_place_too_many, "bookings_add_up"),
    (sell_more_places_than_there_are, "bookings_add_up"),
    (write_down_a_delivery_that_never_was, "books_are_true"),
    (leave_a_delivery_waiting, "books_are_true"),
    (leave_a_delivery_without_a_due_time_behind_nothing, "nothing_waits_without_a_reason"),
    (leave_a_delivery_due_and_not_sent, "nothing_waits_without_a_reason"),
    (fan_an_event_out_twice, "books_are_true"),
    (forge_a_signature, "signatures_are_valid"),
    (send_with_the_timestamp_of_an_hour_ago, "signatures_are_valid"),
    (send_after_the_right_to_see_has_ended, "revoked_is_silent"),
    (keep_what_is_its_own_from_one_whose_right_has_ended, "everything_arrived"),
)


@pytest.mark.parametrize(
    ("plant", "rule"), PLANTED, ids=[f"{plant.__name__}-{rule}" for plant, rule in PLANTED]
)
def test_a_planted_fault_is_found(sound: History, plant: Callable[[History], None], rule: str) -> None:
    plant(sound)
    assert rule in broken_rules(sound)


def test_what_waits_for_the_one_before_it_has_a_reason(sound: History) -> None:
    mine = [
        one for one in sound.deliveries if one.event_id.startswith("e-b-1-") and SCHOOL in one.endpoint_id
    ]
    for one in mine:
        one.state = "pending"
    mine[0].due_at = "2026-11-30 12:00:00+00:00"
    named = [fault.what for fault in faults(sound) if fault.rule == "nothing_waits_without_a_reason"]
    assert len(mine) == 3
    assert len(named) == 1, "the first alone: the others wait for it"
    assert mine[0].event_id in named[0]


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule for _, rule in PLANTED} | {"replays_are_whole"} == set(RULES)


def test_a_fault_names_what_broke(sound: History) -> None:
    gone = sound.events[2]
    lose_an_event_on_its_way(sound)
    assert Fault(
        "everything_arrived", f"booking.confirmed {gone.id} was never accepted by {sound.endpoints[0].id}"
    ) in (faults(sound))


def test_the_members_of_a_feed_page_come_out_byte_for_byte() -> None:
    first, second = r'{"a":"}]\"{","b":[{"c":1}, 2]}', '{"b": "[\\\\"}'
    assert items_of(f'{{"data":[{first},{second}],"last":7,"more":false}}'.encode()) == [first, second]
    assert items_of(b'{"data":[],"last":0,"more":false}') == []
