"""How often a party may ask: a token bucket per key, in this process's memory, bounded.

The bucket is kept as one number per key, the moment at which it will be full again (the generic cell rate
algorithm): `quota` requests at once, then one each `window / quota` seconds. The allowance is divided by the
number of processes, since each counts alone; a client whose connections all end at one process therefore
meets its share of the quota only.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from uuid import UUID

from app.core.errors import TooMany


@dataclass(frozen=True, slots=True)
class Allowance:
    """`quota` requests in `window` seconds under a name that clients see. Refuses a name or numbers unfit."""

    name: str
    quota: int
    window: int

    def __post_init__(self) -> None:
        if not self.name.isascii() or not self.name.isidentifier():
            raise ValueError("the name of an allowance is a plain word")
        if self.quota < 1 or self.window < 1:
            raise ValueError("an allowance is at least one request in at least one second")


REQUESTS = Allowance("requests", 1200, 60)
"""Per (client, school): 20 a second on average, a minute's worth at once."""

TOKENS = Allowance("tokens", 30, 60)
"""Per (client id, remote address): attempts to get or revoke a token."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one request was told. `remaining` units may be spent in the next `reset` seconds, no more."""

    allowance: Allowance
    allowed: bool
    remaining: int
    reset: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy`, `RateLimit`, and `Retry-After` on a refusal.

        Structured fields as draft-ietf-httpapi-ratelimit-headers-11 has them: `"name";q=quota;w=window`,
        `"name";r=remaining;t=seconds`. The policy is the whole house's, the rest is this process's view, so
        what is promised is never more than there is; Retry-After never ends before `t` does (section 6).
        """
        name = self.allowance.name
        made = {
            "RateLimit-Policy": f'"{name}";q={self.allowance.quota};w={self.allowance.window}',
            "RateLimit": f'"{name}";r={self.remaining};t={self.reset}',
        }
        return made if self.allowed else {**made, "Retry-After": str(self.retry_after)}

    def insist(self) -> None:
        """Raise TooMany (`rate_limited`) if the request was over the allowance."""
        if not self.allowed:
            raise TooMany(
                "rate_limited",
                f"More than {self.allowance.quota} requests in {self.allowance.window} seconds.",
                extra={"retry_after": self.retry_after, "violated-policies": [self.allowance.name]},
            )


class Rates:
    """The buckets of one allowance. Not for threads: one event loop asks it.

    `most_keys` bounds the memory (about 200 bytes each). A key that is full again is forgotten; when there is
    still no room the one that asked least recently goes, which forgives it what it had spent.
    """

    def __init__(
        self,
        allowance: Allowance,
        *,
        processes: int = 1,
        most_keys: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.allowance = allowance
        self._burst = max(1, allowance.quota // max(1, processes))
        self._each = allowance.window / self._burst
        self._most = most_keys
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._known: OrderedDict[tuple[UUID, UUID], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, key: Hashable, cost: int = 1) -> Standing:
        """Take `cost` units from the key's bucket, or none if it holds fewer.

        A cost above the whole bucket is taken as the whole bucket, so that it can be paid at all.
        """
        now = self._clock()
        before = max(self._full_at.get(key, now), now)
        after = before + min(cost, self._burst) * self._each
        wait = after - now - self._burst * self._each
        allowed = wait <= 1e-9  # noqa: PLR2004  (rounding, not time)
        if allowed:
            self._remember(key, after, now)
        return self._told(allowed, (after if allowed else before) - now, wait)

    def give_back(self, key: Hashable, cost: int = 1) -> None:
        """Undo a `spend` that was allowed: what it was spent on failed for a reason of ours."""
        if key in self._full_at:
            self._full_at[key] -= min(cost, self._burst) * self._each

    def take(self, client_id: UUID, school_id: UUID | None) -> tuple[Mapping[str, str], int | None]:
        """One request of a client for a school: the headers to answer, and the seconds to wait if refused.

        A school has an allowance of its own once it is `known` to be the client's; until then the client's own is
        spent, so that naming schools at random multiplies nothing and is remembered nowhere.
        """
        named = school_id is not None and (client_id, school_id) in self._known
        standing = self.spend((client_id, school_id if named else None))
        return standing.headers(), None if standing.allowed else standing.retry_after

    def known(self, client_id: UUID, school_id: UUID) -> None:
        """The database has let this client in for this school."""
        self._known[client_id, school_id] = None
        self._known.move_to_end((client_id, school_id))
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def _told(self, allowed: bool, debt: float, wait: float) -> Standing:  # noqa: FBT001
        units = self._burst - debt / self._each
        remaining = max(0, math.floor(units + 1e-9))
        # Strictly true of a bucket: `remaining` holds until the next unit has dropped in.
        reset = 0 if debt <= 0 else max(0, math.ceil((remaining + 1 - units) * self._each))
        return Standing(
            self.allowance, allowed, remaining, reset, 0 if allowed else max(reset, math.ceil(wait), 1)
        )

    def _remember(self, key: Hashable, full_at: float, now: float) -> None:
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
