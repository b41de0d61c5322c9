"""UUIDv7 made in Python (RFC 9562 §5.7), monotonic within a process: Postgres 15 has no uuidv7()."""

import os
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A fresh UUIDv7; each is greater than the one before it in this process.

    Layout: 48 bits of unix milliseconds, 12 bits that continue the time (1/4096 ms), 62 random bits.
    """
    global _last  # noqa: PLW0603  (the clock of the process is one)
    tick = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last = tick = max(tick, _last + 1)
    milliseconds, fraction = tick >> 12, tick & 0xFFF
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | random)


def time_of(identifier: UUID) -> datetime:
    """The wall time (UTC, millisecond) at which a UUIDv7 was made."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, tz=UTC)
