"""The domain clock's one row, read and moved; partitions ahead; the schema's revision; Postgres's own clock."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import BigInteger, Text, cast, column, func, literal, select, table

from app.core.clock import wall_now
from app.core.db import Door, Writer
from app.core.tables import clock

_DOOR = "app.move_clock(bigint)"
_REVISIONS = table("alembic_version", column("version_num", Text))


async def clock_offset(tx: Door) -> int:
    """Whole seconds by which domain time is ahead of wall time."""
    return int(await tx.value(select(clock.c.offset_seconds)) or 0)


async def clock_door_open(tx: Writer) -> bool:
    """Whether our role may move the clock: only where the owner granted it, which `tendays run` does in development."""
    return bool(await tx.value(select(func.has_function_privilege(_DOOR, "execute"))))


async def move_clock(tx: Writer, seconds: int) -> None:
    """Set the offset. The transaction's own `now` stays as it was; the next one reads the new time."""
    await tx.run(select(func.app.move_clock(cast(seconds, BigInteger))))


async def periods_ahead(tx: Door) -> int:
    """For how many whole months (or years) after the present one everything partitioned is ready. Asks for no caller."""
    return int(await tx.value(select(func.app.periods_ahead())) or 0)


async def revision(tx: Door) -> str | None:
    """The revision of the schema; None without a schema, `""` of one from before our role could read it."""
    found = func.to_regclass(literal("public.alembic_version", Text))
    readable = await tx.value(select(func.has_table_privilege(func.current_user(), found, "select")))
    if not readable:
        return None if readable is None else ""
    return str(await tx.value(select(_REVISIONS.c.version_num)) or "")


async def clock_ahead(tx: Door, clock: Callable[[], datetime] = wall_now) -> float:
    """Seconds by which this machine's clock is certainly ahead of Postgres's, negative if it is behind.

    The time that the question takes is nobody's fault: a moment between the two readings of ours is no difference.
    """
    before, told, after = clock(), await tx.value(select(func.clock_timestamp())), clock()
    nearest = min(max(told, before), after)
    return float((nearest - told).total_seconds())
