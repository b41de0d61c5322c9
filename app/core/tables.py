"""The columns every table shares, and the one row that moves the domain clock in development."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID

from app.core.db import metadata
from app.core.values import FIRST_DAY, FIRST_MOMENT, LAST_DAY, LAST_MOMENT


def ident() -> Column[Any]:
    """The primary key: a UUIDv7 made by us."""
    return Column("id", UUID(as_uuid=True), primary_key=True)


def uid(name: str, target: str | None = None, *, null: bool = False, **more: Any) -> Column[Any]:  # noqa: ANN401
    """A UUID column; with `target` (`table.column`) a foreign key."""
    keys = [ForeignKey(target)] if target else []
    return Column(name, UUID(as_uuid=True), *keys, nullable=null, **more)


def text(
    name: str, *, null: bool = False, default: str | None = None, longest: int | None = None
) -> Column[Any]:
    """Text, at most `longest` characters (a CHECK)."""
    checks = [CheckConstraint(f"length({name}) <= {longest}", name=f"{name}_length")] if longest else []
    return Column(name, Text, *checks, nullable=null, server_default=default)


def word(
    name: str, words: type[StrEnum] | tuple[str, ...], *, null: bool = False, default: str | None = None
) -> Column[Any]:
    """Text that is one of an enumeration (a CHECK, so that a word can be added by a migration)."""
    allowed = tuple(one.value for one in words) if isinstance(words, type) else words
    listed = ", ".join(f"'{one}'" for one in allowed)
    return Column(
        name,
        Text,
        CheckConstraint(f"{name} IN ({listed})", name=f"{name}_known"),
        nullable=null,
        server_default=default,
    )


def texts(name: str, *, null: bool = False) -> Column[Any]:
    """A list of texts, empty by default; with `null` one that may not be recorded, and is not unless it is said."""
    return Column(name, ARRAY(Text), nullable=null, server_default=None if null else "{}")


def when(name: str, *, null: bool = False, now: bool = False) -> Column[Any]:
    """A moment with time zone."""
    return Column(name, TIMESTAMP(timezone=True), nullable=null, server_default=func.now() if now else None)


def day(name: str, *, null: bool = False) -> Column[Any]:
    """A date that a request can fill, within the bounds of `values.day` (a CHECK): never infinite."""
    bounds = f"{name} BETWEEN DATE '{FIRST_DAY}' AND DATE '{LAST_DAY}'"
    return Column(name, Date, CheckConstraint(bounds, name=f"{name}_bounded"), nullable=null)


def moment(name: str, *, null: bool = False) -> Column[Any]:
    """A moment with time zone that a request can fill, within the bounds of `values.moment` (a CHECK)."""
    bounds = f"{name} BETWEEN TIMESTAMPTZ '{FIRST_MOMENT}' AND TIMESTAMPTZ '{LAST_MOMENT}'"
    return Column(
        name, TIMESTAMP(timezone=True), CheckConstraint(bounds, name=f"{name}_bounded"), nullable=null
    )


def whole(
    name: str, *, null: bool = False, default: int | None = None, least: int | None = None
) -> Column[Any]:
    """An integer, at least `least` (a CHECK)."""
    checks = [CheckConstraint(f"{name} >= {least}", name=f"{name}_least")] if least is not None else []
    return Column(
        name, Integer, *checks, nullable=null, server_default=None if default is None else str(default)
    )


def big(name: str, *, null: bool = False, least: int | None = None) -> Column[Any]:
    """A 64-bit integer."""
    checks = [CheckConstraint(f"{name} >= {least}", name=f"{name}_least")] if least is not None else []
    return Column(name, BigInteger, *checks, nullable=null)


def kept() -> list[Column[Any]]:
    """`version` (the ETag), `created_at` and `updated_at` (wall time) of a thing that changes."""
    return [whole("version", default=1), when("created_at", now=True), when("updated_at", now=True)]


def changed() -> Column[Any]:
    """The number of the row's last change, taken from the events' sequence by a trigger; 0 if it is older than that."""
    return Column("changed_seq", BigInteger, nullable=False, server_default="0")


def changed_by(table: str, owner: str | None = None) -> Index:
    """The index that serves a list in the order of changes: of one `owner` (a column), or of everybody."""
    if owner is None:
        return Index(f"ix_{table}_changed_seq", "changed_seq", "id")
    return Index(f"ix_{table}_changed_{owner}", owner, "changed_seq", "id")


def counted(expression: str, name: str) -> Column[Any]:
    """An integer that Postgres computes from the row."""
    return Column(name, Integer, Computed(expression, persisted=True))


clock = Table(
    "clock",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True, autoincrement=False),
    big("offset_seconds"),
)

change_marks = Table(
    "change_marks",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True, autoincrement=False),
    text("epoch", longest=20),
    text("identity", longest=200),
    big("settled", least=0),
    big("pending", null=True),
    big("pending_xid", null=True),
    when("settled_at", now=True),
    Column(
        "dropped",
        BigInteger,
        CheckConstraint("dropped >= 0", name="dropped_least"),
        nullable=False,
        server_default="0",
    ),
    Column("judged_on", Date, nullable=True),
)
"""One row. `settled`: every change up to this number has been committed or rolled back. `epoch`: of which history.

`dropped`: the last position of the feed of which the event may be kept no more. `judged_on`: the day
up to which characteristics that were recorded ahead have been counted as changes.
"""

change_moments = Table(
    "change_moments",
    metadata,
    Column("at", TIMESTAMP(timezone=True), primary_key=True),
    big("settled", least=0),
)
"""The mark of about every minute in which something changed."""
