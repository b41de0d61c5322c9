"""A programme while it is written to: locked by whoever may, and its change announced to those it concerns."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, NotFound
from app.outbox import service as outbox
from app.outbox.service import Event
from app.programmes import sql


def refused(pointer: str, code: str, detail: str, **figures: Any) -> Conflict:  # noqa: ANN401
    """A Conflict that names the field; `figures` are members of the answer."""
    return Conflict(code, detail, [Fault(pointer, code, detail)], figures)


async def own(tx: Writer, programme_id: UUID) -> Row:
    """A programme of the caller's, locked; NotFound for anybody else's."""
    held = await sql.lock(tx, programme_id)
    if held is None:
        raise NotFound("programme")
    return held


async def own_or_joined(tx: Writer, programme_id: UUID) -> Row:
    """A programme that the caller runs or takes part in (and may write for), locked; without its money."""
    held = await sql.hold(tx, programme_id)
    if held is None:
        raise NotFound("programme")
    return held


async def moved_on(tx: Writer, programme: Row, schools: Iterable[UUID]) -> Row:
    """The programme after something on it was changed: its owner's changes count up its version; all are told."""
    after = programme
    if programme["owner_id"] == tx.caller.org_id:
        after = await sql.change(tx, programme["id"], {})
    await announce(tx, after, schools)
    return after


async def announce(tx: Writer, programme: Row, schools: Iterable[UUID]) -> None:
    """Tell the owner, and the schools whose part it is: one statement."""
    data = {"programme_id": programme["id"], "version": programme["version"]}
    told = [("hub", programme["owner_id"]), *(("school", one) for one in sorted(set(schools)))]
    await outbox.emit(
        tx, [Event("programme.changed", side, whom, programme["id"], data) for side, whom in told]
    )
