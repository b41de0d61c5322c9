"""Deliveries and their attempts, as their organisation reads them; and one more delivery of an event it has had."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, literal, not_, or_, select

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.core.ids import new_id
from app.webhooks.tables import attempts, deliveries

_SHOWN = tuple(
    deliveries.c[name]
    for name in (
        "id", "endpoint_id", "event_id", "event_type", "order_key", "sequence", "position", "lane", "state", "replay",
        "attempts", "due_at", "leased_until", "last_status", "last_error", "created_at", "ended_at",
        "undelivered_raised_at",
    )
)  # fmt: skip
_TRIED = tuple(
    attempts.c[name]
    for name in (
        "id", "delivery_id", "no", "at", "elapsed_ms", "status", "error", "request_headers", "response_body",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries a list is to hold; what is None does not matter.

    `undelivered`: deliveries that were raised and have no 2xx to this day (True), or all others (False).
    `created_from` is inclusive, `created_to` exclusive; `event_type` is a name or `booking.*`.
    """

    endpoint_id: UUID | None = None
    state: str | None = None
    event_id: UUID | None = None
    event_type: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    undelivered: bool | None = None

    def filters(self) -> Iterator[ColumnElement[bool]]:
        """As conditions."""
        for name in ("endpoint_id", "state", "event_id"):
            if (given := getattr(self, name)) is not None:
                yield deliveries.c[name] == given
        if self.event_type is not None:
            family = self.event_type.removesuffix("*")
            whole = self.event_type == family
            yield (
                deliveries.c.event_type == family
                if whole
                else func.starts_with(deliveries.c.event_type, family)
            )
        # By the id, which holds the moment it was made: so that old partitions are not looked into.
        if self.created_from is not None:
            yield deliveries.c.id >= func.app.uuid7_floor(self.created_from)
        if self.created_to is not None:
            yield deliveries.c.id < func.app.uuid7_floor(self.created_to)
        if self.undelivered is not None:
            raised = and_(
                deliveries.c.undelivered_raised_at.is_not(None),
                or_(deliveries.c.state == "pending", deliveries.c.state == "failed"),
            )
            yield raised if self.undelivered else not_(raised)


EVERYTHING = Wanted()


async def page(
    tx: Door, caller: Caller, wanted: Wanted = EVERYTHING, *, before: UUID | None = None, limit: int = 50
) -> Sequence[Row]:
    """Up to `limit` deliveries of the caller's organisation, the newest first, below the id `before`."""
    filters = [deliveries.c.org_id == caller.org_id, *wanted.filters()]
    if before is not None:
        filters.append(deliveries.c.id < before)
    return await tx.rows(select(*_SHOWN).where(*filters).order_by(deliveries.c.id.desc()).limit(limit))


async def by_id(tx: Door, caller: Caller, delivery_id: UUID) -> Row | None:
    """One delivery of the caller's organisation."""
    mine = deliveries.c.org_id == caller.org_id
    return await tx.one_or_none(select(*_SHOWN).where(mine, deliveries.c.id == delivery_id))


async def attempts_of(tx: Door, caller: Caller, delivery_id: UUID, *, limit: int = 200) -> Sequence[Row]:
    """The attempts of a delivery in order: what was sent (headers), what came back (status, up to 2,000 characters)."""
    mine = attempts.c.org_id == caller.org_id
    found = select(*_TRIED).where(mine, attempts.c.delivery_id == delivery_id).order_by(attempts.c.id)
    return await tx.rows(found.limit(limit))


async def add_replay(tx: Writer, caller: Caller, delivery_id: UUID) -> Row | None:
    """The same event to the same endpoint once more, due now, outside of any order; None for a stranger's."""
    copied = ("endpoint_id", "org_id", "event_id", "event_type", "order_key", "sequence", "position", "lane")
    source = select(
        literal(new_id(), deliveries.c.id.type),
        *(deliveries.c[name] for name in copied),
        literal(True),
        func.clock_timestamp(),
    ).where(deliveries.c.org_id == caller.org_id, deliveries.c.id == delivery_id)
    made = insert(deliveries).from_select(["id", *copied, "replay", "due_at"], source).returning(*_SHOWN)
    return await tx.one_or_none(made)
