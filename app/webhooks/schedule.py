"""When an attempt is repeated: schedules as data, and what an answer means for the delivery and its endpoint.

Pure: no clock, no I/O. Times are seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE, HOUR = 60.0, 3600.0
_OK, _MULTIPLE, _BAD = 200, 300, 400
GONE = 410
OVERLOADED = frozenset({429, 502, 504})


@dataclass(frozen=True, slots=True)
class Schedule:
    """The pause before each attempt, counted from the end of the one before (`from_start`: from its beginning, so that
    a receiver that hangs does not stretch it); the first is 0.

    When `pauses` are used up: `then` seconds again and again until the delivery is `until` seconds old; after that
    `late` seconds until `at_most`. Without `then` it is given up. `jitter` is the largest share added at random.
    `longest_wait` bounds what a Retry-After may ask for.
    """

    pauses: tuple[float, ...]
    then: float | None = None
    until: float = 0.0
    late: float | None = None
    at_most: float = 0.0
    jitter: float = 0.1
    longest_wait: float = 24 * HOUR
    from_start: bool = False

    def pause_after(self, attempts: int, age: float) -> float | None:
        """Seconds until the next attempt after `attempts` of them, without jitter; None when it is given up."""
        if attempts < len(self.pauses):
            return self.pauses[attempts]
        if self.then is not None and age < self.until:
            return self.then
        return self.late if self.late is not None and age < self.at_most else None


NORMAL = Schedule(
    (0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
)
"""Ten attempts over some three days (design §5)."""

SAFETY = Schedule(
    (0, 5, 10, 15, 30),
    then=2 * MINUTE,
    until=10 * HOUR,
    late=30 * MINUTE,
    at_most=72 * HOUR,
    jitter=0.0,
    longest_wait=2 * MINUTE,
    from_start=True,
)
"""At 0, 5, 15, 30 and 60 s, then every two minutes for ten hours, a long school day; then each half hour, three days."""

SCHEDULES = {"normal": NORMAL, "safety": SAFETY}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of an attempt. `fate` is `delivered`, `retry` (after `delay` seconds) or `failed` (given up).

    `slow`: the endpoint is overloaded and is left alone for at least so many seconds. `gone`: it asked to be switched
    off.
    """

    fate: str
    delay: float | None = None
    slow: float | None = None
    gone: bool = False


def verdict(
    schedule: Schedule,
    attempts: int,
    age: float,
    status: int | None,
    *,
    retry_after: float | None = None,
    silent: bool = False,
    took: float = 0.0,
    chance: Callable[[], float],
) -> Verdict:
    """Judge attempt number `attempts` of a delivery made `age` seconds ago.

    `status` is None when no answer came; `silent` says that it was a time-out, which slows the endpoint down like a
    429. The attempt `took` so many seconds. Success is 2xx alone: a redirect is a failure and never followed (Standard
    Webhooks 1.0.0). `chance` gives 0 <= x < 1.
    """
    if status is not None and _OK <= status < _MULTIPLE:
        return Verdict("delivered")
    asked = min(retry_after or 0.0, schedule.longest_wait)
    slow = asked if silent or status in OVERLOADED else None
    pause = schedule.pause_after(attempts, age)
    if pause is None:
        return Verdict("failed", slow=slow, gone=status == GONE)
    spent = took if schedule.from_start else 0.0
    delay = max(pause * (1 + schedule.jitter * chance()) - spent, asked)
    return Verdict("retry", delay, slow, status == GONE)


def failure_text(status: int) -> str:
    """What is written beside an attempt that brought an answer, but not a 2xx."""
    if _MULTIPLE <= status < _BAD:
        return f"The receiver answered {status}: redirects are not followed."
    return f"The receiver answered {status}."


def seconds_asked(header: str | None, now: datetime) -> float | None:
    """The value of Retry-After (RFC 9110 §10.2.3: seconds or a date) as seconds from `now`; None if there is none."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year or an offset that no clock can hold
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
