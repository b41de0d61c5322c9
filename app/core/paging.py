"""Opaque, signed keyset cursors: a page begins after the last key of the page before."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.errors import invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_TAG = 12


@dataclass(frozen=True, slots=True)
class Pull:
    """Which page of a list is wanted, and whether of everything or of what changed.

    `key` is that of the last row before the page: (id), or (changed_seq, id) where the list is in the order of changes.
    """

    limit: int = DEFAULT_LIMIT
    key: Sequence[Any] | None = None
    changed_since: int | None = None
    updated_after: datetime | None = None

    @property
    def by_change(self) -> bool:
        """Whether the list is in the order of changes."""
        return self.changed_since is not None or self.updated_after is not None


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to which change a page is whole: of which history of the data, and the number of the change."""

    epoch: str
    settled: int

    @classmethod
    def read(cls, text: str) -> "Horizon | None":
        """A horizon from its text, None for what is none."""
        found = _HORIZON.fullmatch(text)
        return cls(found[1], int(found[2])) if found else None

    def __str__(self) -> str:
        """As callers keep it and send it back."""
        return f"{self.epoch}.{self.settled}"


_HORIZON = re.compile(r"(e[0-9a-f]{1,16})\.(0|[1-9][0-9]{0,17})", re.ASCII)


class Cursors:
    """Makes and reads cursors. A cursor is bound to what it pages through (`scope`): it cannot be used elsewhere."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 secret bytes, the same in every process."""
        self._key = key

    def of(self, owner: UUID) -> "Cursors":
        """The cursors of one organisation: those of another are none of them."""
        return Cursors(hmac.new(self._key, owner.bytes, hashlib.sha256).digest())

    def make(self, scope: str, values: Sequence[Any]) -> str:
        """The cursor after a row whose sort key is `values` (JSON-able; UUIDs and times become text)."""
        body = orjson.dumps(list(values), default=str)
        return base64.urlsafe_b64encode(self._tag(scope, body) + body).decode().rstrip("=")

    def read(self, scope: str, cursor: str) -> list[Any]:
        """The sort key inside a cursor; Invalid at `?after` when it is not ours or belongs elsewhere."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        tag, body = raw[:_TAG], raw[_TAG:]
        if not body or not hmac.compare_digest(tag, self._tag(scope, body)):
            raise invalid("?after", "bad_cursor", "This cursor was not made for this list.")
        return list(orjson.loads(body))

    def _tag(self, scope: str, body: bytes) -> bytes:
        return hmac.new(self._key, scope.encode() + b"\0" + body, hashlib.sha256).digest()[:_TAG]
