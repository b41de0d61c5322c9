"""Opaque, signed keyset cursors: a page begins after the last key of the page before."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.errors import invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_TAG = 12


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, and the cursor of the next one if there is one."""

    rows: Sequence[Mapping[str, Any]]
    next: str | None


class Cursors:
    """Makes and reads cursors. A cursor is bound to what it pages through (`scope`): it cannot be used elsewhere."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 secret bytes, the same in every process."""
        self._key = key

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
