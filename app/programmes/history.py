"""Costs of the past in bulk: the door for history. Nothing is announced; the history of changes writes itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.db import Writer
from app.core.ids import new_id
from app.programmes import sql


async def add_costs(tx: Writer, lines: Sequence[Mapping[str, Any]]) -> int:
    """Add lines of money to programmes of the caller's: programme_id, strand_id, school_id, booking_id, kind, stage,
    paid_by, amount_pence, on_date, external_ref. Gives how many.
    """
    return await sql.add_costs(
        tx,
        [
            {"id": new_id(), "owner_id": tx.caller.org_id, "recorded_by": tx.caller.org_id, **line}
            for line in lines
        ],
    )
