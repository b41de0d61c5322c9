"""The domain clock's one row: read, and moved where the database lets us; and how far ahead there are partitions."""

from sqlalchemy import BigInteger, cast, func, select

from app.core.db import Door, Writer
from app.core.tables import clock

_DOOR = "app.move_clock(bigint)"


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
