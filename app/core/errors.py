"""The kinds of refusal. A room raises a kind with a stable code; each face gives it its own status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one field.

    `pointer` is a JSON pointer (RFC 6901) into the body, `""` for the whole body, or `?name` for a
    query parameter and `@Name` for a header. `code` is stable, `detail` is for people.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """A refusal that the caller is meant to read. `code` is stable; `detail` may change."""

    def __init__(
        self,
        code: str,
        detail: str,
        faults: Sequence[Fault] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the code, the text for people, the faulty fields, and members to add to the answer."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.extra = dict(extra or {})


class Unauthenticated(Problem):
    """Nobody we know (401)."""


class Forbidden(Problem):
    """Known, but the client lacks a scope or the action is not its side's to take (403)."""


class NotFound(Problem):
    """There is no such thing, or it is not the caller's: the two are never told apart (404)."""

    def __init__(self, what: str = "thing", code: str = "not_found") -> None:
        """Name the kind of thing only; never the id, never whether it exists elsewhere."""
        super().__init__(code, f"No such {what}.")


class Conflict(Problem):
    """Lawful in form, but not in this state (409)."""


class Gone(Problem):
    """What was asked for was there once and is no more (410)."""


class Stale(Problem):
    """The caller's copy is old: If-Match did not match (412)."""

    def __init__(self) -> None:
        """Always the same words."""
        super().__init__("stale_etag", "The thing has changed since you read it. Read it again, then repeat.")


class Missing(Problem):
    """A precondition header is required here (428)."""


class Invalid(Problem):
    """The input is wrong; `faults` names the fields (422)."""


class TooMany(Problem):
    """Over the allowance (429); `extra["retry_after"]` is in whole seconds."""


class Unavailable(Problem):
    """The database is away (503). Whether a change was committed is not known, so this never says that nothing was."""

    def __init__(
        self,
        code: str = "unavailable",
        detail: str = "The database cannot be reached at present, and it is not known whether this was done. "
        "Ask again; a POST with the same Idempotency-Key.",
        retry_after: int = 1,
    ) -> None:
        """The same words for whatever keeps the database away; `retry_after` is in whole seconds."""
        super().__init__(code, detail, extra={"retry_after": retry_after})


class StorageFull(Unavailable):
    """The database has no room (503). The transaction is undone; reading goes on."""

    def __init__(self) -> None:
        """Always the same words."""
        super().__init__(
            "storage_full", "Nothing can be stored at present; nothing was done. Ask again later.", 30
        )


class PartitionMissing(Unavailable):
    """There is no partition for a row of `table` (503). The transaction is undone, and the partition is being made."""

    def __init__(self, table: str) -> None:
        """Keep the name of the table, which the answer does not tell."""
        super().__init__("unavailable", "This cannot be stored at present; nothing was done. Ask again.", 1)
        self.table = table


class Overloaded(Problem):
    """Every connection to the database is in use, and none came free in time (503). Nothing was begun."""

    def __init__(self) -> None:
        """Always the same words."""
        super().__init__(
            "overloaded",
            "Too much is going on at present; nothing was done. Ask again in a moment.",
            extra={"retry_after": 2},
        )


class ConstraintBroken(Conflict):
    """A database constraint said no. A service that expects it translates it by `constraint`."""

    def __init__(self, constraint: str, kind: str) -> None:
        """Keep the name of the constraint, and `unique`, `exclusion`, `check` or `foreign_key`."""
        super().__init__("conflict", "The change contradicts something already recorded.")
        self.constraint = constraint
        self.kind = kind


def invalid(pointer: str, code: str, detail: str) -> Invalid:
    """An Invalid with a single fault."""
    return Invalid("invalid", "The request is not acceptable.", [Fault(pointer, code, detail)])
