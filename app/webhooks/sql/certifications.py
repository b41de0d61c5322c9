"""Certifications: asked for and read by their organisation, claimed and recorded by the worker."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update

from app.core.caller import Caller
from app.core.db import Door, Row, Writer
from app.webhooks.tables import certifications, webhook_endpoints

_SHOWN = tuple(
    certifications.c[name]
    for name in ("id", "endpoint_id", "state", "grade", "cases", "created_at", "started_at", "ended_at")
)
_ENDPOINT = tuple(
    webhook_endpoints.c[name]
    for name in (
        "url", "signatures", "rate_per_second", "off_reason", "secret_sealed", "private_key_sealed",
        "old_secret_sealed", "old_private_key_sealed", "old_until",
    )
)  # fmt: skip
_OPEN = certifications.c.state.in_(["queued", "running"])


async def by_id(tx: Door, caller: Caller, certification_id: UUID) -> Row | None:
    """One certification of the caller's organisation."""
    mine = certifications.c.org_id == caller.org_id
    return await tx.one_or_none(select(*_SHOWN).where(mine, certifications.c.id == certification_id))


async def is_under_way(tx: Writer, caller: Caller, endpoint_id: UUID) -> bool:
    """Whether one of this endpoint waits or is being played."""
    mine = certifications.c.org_id == caller.org_id
    found = (
        select(certifications.c.id).where(mine, certifications.c.endpoint_id == endpoint_id, _OPEN).limit(1)
    )
    return await tx.one_or_none(found) is not None


async def add(tx: Writer, caller: Caller, values: Mapping[str, Any]) -> Row:
    """A new certification of the caller's organisation, queued."""
    made = insert(certifications).values(org_id=caller.org_id, **values).returning(*_SHOWN)
    return (await tx.rows(made))[0]


async def due(tx: Door, most: int) -> Sequence[UUID]:
    """Up to `most` that wait, or whose player has died."""
    found = select(certifications.c.id).where(_OPEN, _free()).order_by(certifications.c.id).limit(most)
    return [row["id"] for row in await tx.rows(found)]


async def claim(tx: Writer, certification_id: UUID, lease: float) -> Row | None:
    """Take this one under a lease of so many seconds, with what is to be posted to; None if somebody else has it."""
    now = func.clock_timestamp()
    taken = (
        update(certifications)
        .where(
            certifications.c.id == certification_id,
            _OPEN,
            _free(),
            webhook_endpoints.c.id == certifications.c.endpoint_id,
        )
        .values(state="running", started_at=now, leased_until=now + func.make_interval(0, 0, 0, 0, 0, 0, lease))
        .returning(certifications.c.id, certifications.c.endpoint_id, certifications.c.org_id, certifications.c.side,
                   *_ENDPOINT)
    )  # fmt: skip
    return await tx.one_or_none(taken)


def _free() -> Any:  # noqa: ANN401
    return or_(
        certifications.c.leased_until.is_(None), certifications.c.leased_until < func.clock_timestamp()
    )


async def end(tx: Writer, certification_id: UUID, state: str, grade: str | None, cases: Sequence[Any]) -> int:
    """Write down what came of it, unless that has been done meanwhile; how many rows."""
    return await tx.run(
        update(certifications)
        .where(certifications.c.id == certification_id, certifications.c.state == "running")
        .values(state=state, grade=grade, cases=cases, ended_at=func.clock_timestamp(), leased_until=None)
    )


async def give_back(tx: Writer, ids: Sequence[UUID]) -> int:
    """Queue again what was begun and not ended."""
    mine = certifications.c.id.in_(ids)
    return await tx.run(
        update(certifications)
        .where(mine, certifications.c.state == "running")
        .values(state="queued", leased_until=None)
    )
