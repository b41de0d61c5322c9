"""Sign one delivery, post it, judge the answer. No transaction is open here, and no database is known."""

import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from app.core.clock import wall_now
from app.core.egress import Egress, EgressError, Timeouts
from app.core.secrets import Keyring, SealError, SealFault
from app.webhooks.keys import signing_keys
from app.webhooks.outcomes import Claimed, Outcome, kept_text
from app.webhooks.schedule import SCHEDULES, Schedule, failure_text, seconds_asked, verdict
from app.webhooks.signing import SigningKey, signed_headers

_MOST_CACHED = 10_000
_SILENT = frozenset({"timeout_connect", "timeout_read", "timeout_total"})


class Sender:
    """Makes attempts. `attempt` never raises for what a receiver does: whatever happens is an Outcome."""

    def __init__(
        self,
        egress: Egress,
        keyring: Keyring,
        *,
        timeouts: Mapping[str, Timeouts] | None = None,
        schedules: Mapping[str, Schedule] = SCHEDULES,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`timeouts` and `schedules` are by lane; `chance` feeds the jitter."""
        self._egress = egress
        self._keyring = keyring
        self._timeouts = timeouts or {"normal": Timeouts(), "safety": Timeouts(read=8.0, total=10.0)}
        self._schedules = schedules
        self._chance = chance
        self._keys: OrderedDict[tuple[object, ...], Sequence[SigningKey]] = OrderedDict()

    async def attempt(self, claimed: Claimed) -> Outcome:
        """One attempt: Standard Webhooks headers, the event's bytes as they are, the answer judged.

        Raises SealError, and spends no attempt, if the endpoint's keys were sealed under a master key that we lack.
        """
        at = wall_now()
        try:
            headers = self._headers(claimed.event_id, int(at.timestamp()), claimed)
        except (SealError, ValueError) as error:
            if isinstance(error, SealError) and error.fault is SealFault.UNKNOWN_KEY:
                raise
            return self._failed(claimed, at, {}, 0, "The signing keys cannot be opened here.")
        try:
            answer = await self._egress.post(
                claimed.url, headers, claimed.body, timeouts=self._timeouts[claimed.lane]
            )
        except EgressError as error:
            return self._failed(
                claimed, at, headers, error.elapsed_ms, str(error), silent=error.told in _SILENT
            )
        judged = verdict(
            self._schedules[claimed.lane],
            claimed.attempts + 1,
            claimed.age,
            answer.status,
            retry_after=seconds_asked(answer.headers.get("retry-after"), wall_now()),
            took=answer.elapsed_ms / 1000,
            chance=self._chance,
        )
        error_text = None if judged.fate == "delivered" else failure_text(answer.status)
        return Outcome(
            claimed, at, answer.elapsed_ms, judged, headers, answer.status, error_text, kept_text(answer.body)
        )

    def _failed(
        self,
        claimed: Claimed,
        at: datetime,
        headers: dict[str, str],
        elapsed_ms: int,
        text: str,
        *,
        silent: bool = False,
    ) -> Outcome:
        judged = verdict(
            self._schedules[claimed.lane],
            claimed.attempts + 1,
            claimed.age,
            None,
            silent=silent,
            took=elapsed_ms / 1000,
            chance=self._chance,
        )
        return Outcome(claimed, at, elapsed_ms, judged, headers, None, text)

    def _headers(self, event_id: UUID, timestamp: int, claimed: Claimed) -> dict[str, str]:
        signed = signed_headers(str(event_id), timestamp, claimed.body, self._keys_of(claimed))
        return {"content-type": "application/json", **signed}

    def _keys_of(self, claimed: Claimed) -> Sequence[SigningKey]:
        """Opened keys are remembered: unsealing costs more than signing. A rotation seals anew, so it is seen."""
        name = (
            claimed.endpoint_id, tuple(claimed.signatures), claimed.secret_sealed, claimed.private_key_sealed,
            claimed.old_secret_sealed, claimed.old_private_key_sealed,
        )  # fmt: skip
        keys = self._keys.get(name)
        if keys is None:
            keys = self._keys[name] = signing_keys(self._keyring, claimed)
            if len(self._keys) > _MOST_CACHED:
                self._keys.popitem(last=False)
        return keys
