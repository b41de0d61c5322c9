"""The voice of the house: hear of commits, number and fan out, claim, send, record. One per process, any number of them.

NOTIFY wakes it and polling is the floor; between a commit and a post nothing sleeps. Every delivery is claimed under a
short lease that is renewed while it is under way, so what a killed process held is taken over when the lease ends.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from app.core.db import Database
from app.core.egress import Egress
from app.core.ids import new_id
from app.core.secrets import Keyring, SealError
from app.webhooks.heads import Heads
from app.webhooks.outcomes import Claimed, Outcome, count
from app.webhooks.sender import Sender
from app.webhooks.sql.queue import OUTBOX, Claim, Queue, QueueDown, QueueRefused, Step

_log = structlog.get_logger("tendays.voice")
NORMAL, SAFETY = "normal", "safety"
VISITS = 32
"""How many endpoints a call visits at least, if so many have something due."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds and sizes. `posts` and `safety_posts` are how many of each lane may be under way at once.

    A post that is still without an answer after `patience` no longer counts: receivers that hang take no room from
    the others, until there are `most` posts in all. What was numbered in a call that took longer than `slow` has been
    due for longer than a claim looks back: all that is due is looked for then.
    """

    posts: int = 64
    safety_posts: int = 64
    patience: float = 0.25
    most: int = 2048
    poll: float = 0.25
    lease: float = 15.0
    batch: int = 500
    look: float = 60.0
    slow: float = 2.0
    drain: float = 15.0
    pause: float = 0.5

    def posts_of(self, lane: str) -> int:
        """How many posts of a lane may be under way at once."""
        return self.safety_posts if lane == SAFETY else self.posts


@dataclass(frozen=True, slots=True)
class _Post:
    task: asyncio.Task[None]
    since: float


class Worker:
    """Sends what the outbox holds. `db` is open as tendays_worker, `egress` is entered; both outlive the worker.

    `run` is the whole of it; `sequence`, `claim`, `deliver`, `flush` and `step` are its parts, each usable alone.
    """

    def __init__(
        self,
        db: Database,
        egress: Egress,
        keyring: Keyring,
        *,
        pace: Pace | None = None,
        sender: Sender | None = None,
    ) -> None:
        self.pace = pace or Pace()
        self.id = new_id()
        self.queue = Queue(db.dsn, self.id)
        self.held: Callable[[], bool] = lambda: False
        """While it says true nothing is claimed, so nothing is sent."""
        self.sender = sender or Sender(egress, keyring)
        self._under_way: dict[str, dict[UUID, _Post]] = {NORMAL: {}, SAFETY: {}}
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._heads = {NORMAL: Heads(), SAFETY: Heads()}
        self._outcomes: list[Outcome] = []
        self._committed = asyncio.Event()
        self._due = {NORMAL: asyncio.Event(), SAFETY: asyncio.Event()}
        self._done = asyncio.Event()
        self._deaf = asyncio.Event()

    # --- the whole ------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then claim nothing more, finish what is under way, give back the leases."""
        loops = [
            asyncio.create_task(self._again(part), name=name)
            for name, part in (
                ("listen", self._listen),
                ("sequence", self._sequence_when_told),
                ("claim", lambda: self._claim_when_due(NORMAL)),
                ("claim_safety", lambda: self._claim_when_due(SAFETY)),
                ("look", self._look_around),
            )
        ]
        keepers = [
            asyncio.create_task(self._again(part), name=name)
            for name, part in (("record", self._record_when_done), ("renew", self._renew_in_time))
        ]
        try:
            await stop.wait()
        finally:
            await _end(loops)
            await self._finish()
            await _end(keepers)
            await self._leave()

    async def step(self) -> int:
        """One whole round without waiting for anything but the posts: for tests, and for `tendays` commands."""
        while (step := await self.sequence()) and step.more:
            pass
        claimed = [*await self.claim(SAFETY), *await self.claim(NORMAL)]
        await asyncio.gather(*(self._deliver_and_note(one) for one in claimed))
        await self.flush()
        return len(claimed)

    # --- its parts ------------------------------------------------------------------------------

    async def sequence(self) -> Step | None:
        """Number and fan out what has been committed; None when another worker is at it."""
        return await self.queue.sequence(self.pace.batch)

    async def claim(self, lane: str, most: int | None = None) -> list[Claimed]:
        """Lease due deliveries of a lane, as many as there are free posts."""
        free = self._free(lane) if most is None else most
        if free <= 0 or self.held():
            return []
        heads, claimed, looked = self._heads[lane], list[Claimed](), False
        if not heads.complete:
            await self.look(lane, beside=False)
        turns = len(heads)
        while len(claimed) < free and (turns > 0 or not looked):
            asked = heads.first(min(turns, max(VISITS, free)))
            turns -= len(asked)
            since = heads.since(asyncio.get_running_loop().time(), wanted=turns <= 0 and not looked)
            got = await self.queue.claim(lane, free - len(claimed), self.pace.lease, asked, since)
            looked = looked or since is not None
            self._heed(lane, got)
            claimed += got.deliveries
        return claimed

    def _heed(self, lane: str, got: Claim) -> None:
        heads = self._heads[lane]
        heads.found(got.found)
        for endpoint, low in got.seen:
            heads.visited(endpoint, low)
        heads.looked(got.looked)
        if got.again is not None:
            self._wake_later(lane, got.again)

    async def look(self, lane: str, *, beside: bool = True) -> None:
        """Find every endpoint with something due: at first, and now and then, should one have been missed."""
        found, at = await self.queue.due_endpoints(lane, beside=beside)
        self._heads[lane].found(found)
        self._heads[lane].looked(at)

    async def deliver(self, claimed: Claimed) -> Outcome:
        """One attempt; nothing is recorded yet."""
        outcome = await self.sender.attempt(claimed)
        with contextlib.suppress(OSError):  # a log that cannot be written is no reason to send it again
            count(outcome)
        return outcome

    async def flush(self) -> Sequence[Outcome]:
        """Record the attempts that have ended, together; what cannot be recorded now is kept for the next time."""
        outcomes, self._outcomes = self._outcomes[: self.pace.batch], self._outcomes[self.pace.batch :]
        if not outcomes:
            return ()
        try:
            await self._record(outcomes)
        except BaseException:
            self._outcomes = [*outcomes, *self._outcomes]
            raise
        return outcomes

    async def _record(self, outcomes: Sequence[Outcome]) -> None:
        """Together, or one by one if one of them cannot be written: it must not keep the others from it."""
        try:
            await self.queue.record(outcomes)
        except QueueRefused as error:
            if len(outcomes) == 1:  # its lease ends, and it is sent again
                _log.error(
                    "voice.unrecorded", delivery=str(outcomes[0].claimed.delivery_id), error=str(error)
                )
                return
            for one in outcomes:
                await self._record([one])

    async def close(self) -> None:
        """Close the worker's own connections."""
        await self.queue.close()

    # --- its loops ------------------------------------------------------------------------------

    async def _again(self, part: Callable[[], Awaitable[None]]) -> None:
        """A loop never ends by a failure: it says so, waits a moment, and goes on."""
        while True:
            try:
                await part()
            except QueueDown as error:
                _log.warning("voice.queue_down", error=str(error))
                await asyncio.sleep(self.pace.pause)
            except Exception:  # noqa: BLE001  (a voice that dies in silence is worse than any fault it logs)
                _log.exception("voice.fault")
                await asyncio.sleep(self.pace.pause)

    async def _listen(self) -> None:
        self._deaf.clear()
        await self.queue.hear(self._told, self._deaf.set)
        self._wake()
        await self._deaf.wait()
        raise QueueDown("the listening connection was lost")

    def _told(self, channel: str) -> None:
        if channel == OUTBOX:
            self._committed.set()
        else:
            self._wake()

    def _wake(self) -> None:
        self._committed.set()
        for due in self._due.values():
            due.set()

    async def _sequence_when_told(self) -> None:
        await _told_or(self._committed, self.pace.poll)
        clock = asyncio.get_running_loop().time
        began = clock()
        while step := await self.sequence():
            if step.made and clock() - began > self.pace.slow:
                await self._look_at_all()
            elif step.made:
                for due in self._due.values():
                    due.set()
            if not step.more:
                break
            began = clock()

    async def _claim_when_due(self, lane: str) -> None:
        await _told_or(self._due[lane], self.pace.poll)
        while claimed := await self.claim(lane):
            for one in claimed:
                self._start(one)

    async def _look_around(self) -> None:
        """What was committed long after it became due is found here at the latest."""
        await asyncio.sleep(self.pace.look)
        await self._look_at_all()

    async def _look_at_all(self) -> None:
        for lane in (SAFETY, NORMAL):
            await self.look(lane)
            self._due[lane].set()

    async def _record_when_done(self) -> None:
        await self._done.wait()
        self._done.clear()
        while ended := await self.flush():  # successors are released, posts are free
            self._due[NORMAL].set()
            if any(one.claimed.lane == SAFETY for one in ended):
                self._due[SAFETY].set()

    async def _renew_in_time(self) -> None:
        await asyncio.sleep(self.pace.lease / 3)
        held = [one for lane in self._under_way.values() for one in lane]
        held += [one.claimed.delivery_id for one in self._outcomes]
        if held:
            await self.queue.renew(held, self.pace.lease)

    def _wake_later(self, lane: str, seconds: float) -> None:
        """One alarm per lane, the earlier one: alarms that each set another would only grow in number."""
        loop, set_already = asyncio.get_running_loop(), self._alarms.get(lane)
        if (
            set_already
            and not set_already.cancelled()
            and loop.time() < set_already.when() <= loop.time() + seconds
        ):
            return
        if set_already:
            set_already.cancel()
        self._alarms[lane] = loop.call_later(seconds, self._due[lane].set)

    # --- one delivery ---------------------------------------------------------------------------

    def _free(self, lane: str) -> int:
        posts = self._under_way[lane]
        young = asyncio.get_running_loop().time() - self.pace.patience
        counted = sum(post.since > young for post in posts.values())
        return min(self.pace.posts_of(lane) - counted, self.pace.most - len(posts))

    def _start(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self._deliver_and_note(claimed))
        lane = self._under_way[claimed.lane]
        lane[claimed.delivery_id] = _Post(task, asyncio.get_running_loop().time())
        task.add_done_callback(lambda _: lane.pop(claimed.delivery_id, None))

    async def _deliver_and_note(self, claimed: Claimed) -> None:
        try:
            outcome = await self.deliver(claimed)
        except SealError:  # of another master key: no attempt is spent, whoever has it takes it over
            _log.error(
                "voice.key_unknown", endpoint_id=str(claimed.endpoint_id), setting="TENDAYS_SECRET_KEY"
            )
            return
        except Exception:  # noqa: BLE001  (one delivery's fault must not end the others)
            _log.exception(
                "voice.attempt", delivery_id=str(claimed.delivery_id), event_id=str(claimed.event_id)
            )
            return  # the lease ends, and it is tried again
        self._outcomes.append(outcome)
        self._done.set()

    # --- the end --------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Let what is under way end, for a while: a post that has been sent should be recorded as sent."""
        tasks = [post.task for lane in self._under_way.values() for post in lane.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.pace.drain)
            for task in late:
                task.cancel()

    async def _leave(self) -> None:
        with contextlib.suppress(QueueDown):
            while await self.flush():
                pass
            await self.queue.release()
        await self.close()


async def _told_or(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long, and clear it before anything is looked at."""
    # Not asyncio.wait_for: before Python 3.12 it forgets a cancellation that comes together with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel, again if need be: a library underneath may have swallowed the first one."""
    alive = set(tasks)
    while alive:
        for task in alive:
            task.cancel()
        _, alive = await asyncio.wait(alive, timeout=1.0)
