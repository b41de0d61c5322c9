"""API, workers and Postgres are killed while clients work; afterwards nothing is lost, doubled or out of order.

TENDAYS_TORTURE_SECONDS and TENDAYS_TORTURE_SEED make it longer, or another one; `make torture` is the same at length.
"""

import copy
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bench.torture.__main__ import summary
from bench.torture.check import faults
from bench.torture.history import History
from bench.torture.run import torture

pytestmark = pytest.mark.slow_suite
FOLDER = "tendays-torture-"
SECONDS = float(os.environ.get("TENDAYS_TORTURE_SECONDS", "10"))
SEED = int(os.environ.get("TENDAYS_TORTURE_SEED") or secrets.randbelow(1_000_000))


@pytest_asyncio.fixture(scope="module")
async def history() -> AsyncIterator[History]:
    """One run, shared by the tests. What has faults is kept, with the logs, and named by the test that fails."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    folder.chmod(0o711)
    found = await torture(folder, seconds=SECONDS, seed=SEED)
    if faults(found):
        found.save(folder / "history.json")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    yield found


async def test_nothing_is_lost_doubled_or_out_of_order_under_kill_9(history: History) -> None:
    found = faults(history)
    assert found == [], (
        f"{summary(history)}\nThe history and the logs are in {tempfile.gettempdir()}/{FOLDER}*"
    )


async def test_the_run_was_torture(history: History) -> None:
    victims = {name for _, name in history.kills}
    assert {"api", "worker1", "postgres", "backend"} <= victims
    answers = [answer for act in history.acts for answer in act.answers]
    done = [answer for answer in answers if answer.status in (200, 201)]
    assert len(done) > SECONDS, "clients got on with their work"
    assert all(answer.status for answer in answers), "and nobody had to give up"
    assert any(answer.tries > 1 for answer in answers)
    assert any(answer.replayed for answer in answers)
    assert len(history.events) > 2 * SECONDS
    heard = [set(one.sees) for one in history.endpoints if len(one.sees) > 2]
    told: dict[tuple[str, int], set[str]] = {}
    for event in history.events:
        told.setdefault((event.order_key, event.sequence), set()).add(event.audience_id)
    assert any(len(audiences & sees) > 1 for sees in heard for audiences in told.values()), (
        "one endpoint was told of one change as several audiences"
    )
    assert len({(one.endpoint_id, one.id) for one in history.arrivals}) < len(history.arrivals), (
        "some came again"
    )


def lose_an_event(history: History) -> None:
    gone = history.events[len(history.events) // 2].id
    history.arrivals = [one for one in history.arrivals if one.id != gone]


def swap_two(history: History) -> None:
    """Of the normal lane, at an endpoint that did not ask for a replay: elsewhere no order is promised."""
    events = {event.id: event for event in history.events if event.lane == "normal"}
    replayed = {one.id for one in history.endpoints if one.replay_to is not None}
    firsts = {(one.endpoint_id, one.id): at for at, one in reversed([*enumerate(history.arrivals)])}
    firsts = {pair: at for pair, at in firsts.items() if pair[1] in events and pair[0] not in replayed}
    for (endpoint, id_), at in firsts.items():
        key, after = events[id_].order_key, events[id_].sequence + 1
        for (other, next_id), later in firsts.items():
            event = events[next_id]
            if (other, event.order_key, event.sequence, event.audience_id) == (
                endpoint,
                key,
                after,
                events[id_].audience_id,
            ):
                arrivals = history.arrivals
                arrivals[at], arrivals[later] = arrivals[later], arrivals[at]
                return


def alter_a_byte(history: History) -> None:
    history.arrivals[-1].body = history.arrivals[-1].body[:-2] + "~}"


def repeat_one_in_the_feed(history: History) -> None:
    history.feeds[0].pages[1].insert(0, history.feeds[0].pages[0][-1])


def lose_an_answered_move(history: History) -> None:
    gone = next(act.key for act in history.acts if any(0 < one.status < 300 for one in act.answers))
    history.moves = [move for move in history.moves if move.note != gone]


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (lose_an_event, "everything_arrived"),
        (swap_two, "order_is_kept"),
        (alter_a_byte, "bytes_are_the_same"),
        (repeat_one_in_the_feed, "feed_is_whole"),
        (lose_an_answered_move, "answered_is_kept"),
    ],
)
async def test_a_fault_planted_in_the_real_history_is_found(
    history: History, plant: Callable[[History], None], rule: str
) -> None:
    broken = copy.deepcopy(history)
    plant(broken)
    assert rule in {fault.rule for fault in faults(broken)}
