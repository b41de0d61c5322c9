"""Positions of the feed: which there are, and what is said of one that is not among them."""

import re
from dataclasses import dataclass

from app.core.errors import Conflict, Fault, Gone

_POSITION = re.compile(r"(?:(e[0-9a-f]{1,16})\.)?([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the feed: after so many events; of which history of the data, where that was said."""

    number: int
    epoch: str | None = None

    @classmethod
    def read(cls, text: str) -> "Position | None":
        """A position from its text, None for what is none."""
        found = _POSITION.fullmatch(text)
        return cls(int(found[2]), found[1]) if found else None

    def __str__(self) -> str:
        """As callers keep it and send it back."""
        return str(self.number) if self.epoch is None else f"{self.epoch}.{self.number}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the feed holds: the events after position `dropped` up to `newest`."""

    epoch: str
    dropped: int
    newest: int

    def check(self, asked: Position, pointer: str) -> None:
        """Raises Gone `position_gone` or Conflict `position_ahead`, each with what is kept and what to do.

        Position 0 is the beginning of what is kept, whatever was dropped.
        """
        kept = {"oldest": self.dropped + 1, "newest": self.newest}
        if asked.epoch is not None and asked.epoch != self.epoch:
            detail = (
                "This position is of an earlier history of the data, which have been restored since. Read again what "
                "you keep, then go on in the feed from `newest`; or send 0 for all events that are kept."
            )
            raise Gone("position_gone", detail, [Fault(pointer, "position_gone", detail)], kept)
        if 0 < asked.number < self.dropped:
            detail = (
                "Events after this position are older than what is kept. Read again what you keep, then go on in the "
                "feed from `newest`; or send 0 for all events that are kept."
            )
            raise Gone("position_gone", detail, [Fault(pointer, "position_gone", detail)], kept)
        if asked.number > self.newest:
            detail = (
                "This position is ahead of the feed. Ask again in a moment; if it stays so, the data have been restored: "
                "read again what you keep, then go on in the feed from `newest`."
            )
            fault = Fault(pointer, "position_ahead", detail)
            raise Conflict("position_ahead", detail, [fault], {**kept, "retry_after": 5})
