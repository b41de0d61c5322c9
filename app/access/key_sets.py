"""The keys that clients publish at a URL of their own (`jwks_uri`): fetched through the guarded egress, and kept a while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.access.assertions import problems_with_jwks
from app.core.egress import READ_BYTES, Egress, EgressError, Timeouts
from app.core.json_reader import NotJson, read

FRESH_SECONDS: Final = 300.0
"""For which a set is used without asking again: a key that the client takes out signs no longer than that."""
AGAIN_SECONDS: Final = 30.0
"""Between two requests to one URL, whatever is asked for: an unknown `kid`, or a URL that does not answer."""
STALE_SECONDS: Final = 3600.0
"""For which the last good set is used while its URL does not answer."""
MOST_SETS: Final = 1_000
MOST_KEYS: Final = 20
_AT_ONCE: Final = 8
_TIMEOUTS: Final = Timeouts(dns=2.0, connect=3.0, read=3.0, total=5.0)
_OK: Final = 200

Jwks = Mapping[str, Any]


class KeysUnavailable(Exception):
    """There is no key set to use; the message says why, for the client's developer."""


@dataclass(slots=True)
class _Kept:
    """What is known of one URL; moments are those of the clock."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    keys: Jwks | None = None
    got_at: float = 0.0
    tried_at: float | None = None
    why: str = ""


class KeySets:
    """Key sets by URL, in this process. `egress` is open while this is used; `clock` is in seconds and never goes back."""

    def __init__(self, egress: Egress, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is fetched yet."""
        self._egress, self._clock = egress, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def known(self, url: str, kid: str | None) -> Jwks | None:
        """The set, if it need not be fetched: fresh, and with the key in it (or asked for that key a moment ago)."""
        kept = self._kept.get(url)
        if kept is None or kept.keys is None:
            return None
        self._kept.move_to_end(url)
        now = self._clock()
        has_key = kid is None or kid in _kids(kept.keys) or None in _kids(kept.keys)
        if now - kept.got_at < FRESH_SECONDS and (has_key or not self._may_try(kept, now)):
            return kept.keys
        return None

    async def of(self, url: str, kid: str | None) -> Jwks:
        """The set of this URL, fetched if need be: once for all who ask at the same time.

        KeysUnavailable where it cannot be fetched and none is kept that is not too old.
        """
        kept = self._kept.setdefault(url, _Kept())
        if len(self._kept) > MOST_SETS:
            self._kept.popitem(last=False)
        async with kept.turn:
            found = self.known(url, kid)
            if found is not None:
                return found
            if self._may_try(kept, self._clock()):
                async with self._room:
                    await self._fetch(url, kept)
            if kept.keys is not None and self._clock() - kept.got_at < STALE_SECONDS:
                return kept.keys
            raise KeysUnavailable(f"The keys at `jwks_uri` could not be fetched: {kept.why}")

    def _may_try(self, kept: _Kept, now: float) -> bool:
        return kept.tried_at is None or now - kept.tried_at >= AGAIN_SECONDS

    async def _fetch(self, url: str, kept: _Kept) -> None:
        kept.tried_at = self._clock()
        try:
            answer = await self._egress.get(url, {}, timeouts=_TIMEOUTS)
        except EgressError as error:
            kept.why = str(error)
            return
        if answer.status != _OK:
            kept.why = f"It answered {answer.status}."
        elif answer.truncated:
            kept.why = f"It has over {READ_BYTES // 1024} KB, or did not come to its end."
        elif not (keys := usable_keys(answer.body)):
            kept.why = "It is no JSON Web Key Set with a public key that may sign."
        else:
            kept.keys, kept.got_at = {"keys": keys}, self._clock()


def usable_keys(body: bytes) -> Sequence[dict[str, Any]]:
    """The keys of a published set that a client could register, in its order, MOST_KEYS at most; others are left out."""
    try:
        found = read(body)
    except NotJson:
        return []
    listed = found.value.get("keys") if isinstance(found.value, dict) and not found.faults else None
    keys = listed if isinstance(listed, list) else []
    sound = [
        one for one in keys if not problems_with_jwks({"keys": [one]}) and one.get("use", "sig") == "sig"
    ]
    return sound[:MOST_KEYS]


def _kids(keys: Jwks) -> set[str | None]:
    return {one.get("kid") for one in keys["keys"]}
