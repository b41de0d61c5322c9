"""How the queue stands, for the metrics: read by the worker from the partial indexes of what is pending."""

from sqlalchemy import Float, case, cast, func, select

from app.core.db import Writer
from app.webhooks.sql.endpoints import DELETED
from app.webhooks.tables import deliveries, webhook_endpoints

LANES = ("normal", "safety")
STATES = ("active", "failing", "paused", "off")


async def lanes(tx: Writer) -> dict[str, tuple[int, float, float]]:
    """Per lane: how many are pending, the age of the oldest, the delay of the most overdue, in seconds.

    Overdue is what an active endpoint could have had: what waits for one that is paused or off is no fault of the queue.
    """
    now = func.clock_timestamp()
    ready = (deliveries.c.due_at < now) & (webhook_endpoints.c.state == "active")
    due = case((ready, deliveries.c.due_at))
    found = await tx.rows(
        select(
            deliveries.c.lane,
            func.count().label("depth"),
            cast(func.extract("epoch", now - func.min(deliveries.c.created_at)), Float).label("oldest"),
            cast(func.extract("epoch", now - func.min(due)), Float).label("overdue"),
        )
        .outerjoin_from(deliveries, webhook_endpoints, webhook_endpoints.c.id == deliveries.c.endpoint_id)
        .where(deliveries.c.state == "pending")
        .group_by(deliveries.c.lane)
    )
    nothing = dict.fromkeys(LANES, (0, 0.0, 0.0))
    return nothing | {
        row["lane"]: (row["depth"], max(0.0, row["oldest"]), max(0.0, row["overdue"] or 0.0)) for row in found
    }


async def undelivered(tx: Writer) -> dict[str, int]:
    """Per lane, how many deliveries are listed as undelivered and still pending."""
    raised = deliveries.c.undelivered_raised_at.is_not(None)
    found = await tx.rows(
        select(deliveries.c.lane, func.count().label("number"))
        .where(raised, deliveries.c.state == "pending")
        .group_by(deliveries.c.lane)
    )
    return dict.fromkeys(LANES, 0) | {row["lane"]: row["number"] for row in found}


async def endpoints(tx: Writer) -> dict[str, int]:
    """How many endpoints are in each state; those that are active and failing count as `failing`."""
    each = webhook_endpoints.c
    state = case(((each.state == "active") & each.failing_since.is_not(None), "failing"), else_=each.state)
    kept = each.off_reason.is_(None) | (each.off_reason != DELETED)
    inner = select(state.label("state")).where(kept).subquery()
    found = await tx.rows(select(inner.c.state, func.count().label("number")).group_by(inner.c.state))
    return dict.fromkeys(STATES, 0) | {row["state"]: row["number"] for row in found}
