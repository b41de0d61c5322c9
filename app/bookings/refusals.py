"""Why a booking could not be locked by its caller."""

from uuid import UUID

from app.bookings import sql
from app.core.db import Writer
from app.core.errors import Forbidden, NotFound


async def not_yours_to_move(tx: Writer, booking_id: UUID) -> NotFound | Forbidden:
    """Why a booking could not be locked: it is a stranger's, or one that the caller's grant lets it read only."""
    if await sql.by_id(tx, booking_id) is None:
        return NotFound("booking")
    return Forbidden("grant_read_only", "The grant you hold is for reading only.")
