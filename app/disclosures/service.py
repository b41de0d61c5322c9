"""Write down what leaves a school's tenant, in the transaction that reads it; list it to the school and its trust."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from app.core.db import Row, Writer
from app.core.ids import new_id
from app.disclosures import sql


async def disclose(
    tx: Writer,
    school_id: UUID,
    seen: Iterable[tuple[UUID, Sequence[str]]],
    *,
    grant_id: UUID | None,
    route: str,
) -> None:
    """One row per pupil: the caller's organisation saw these fields under this grant. `seen` is (enrolment, fields)."""
    await sql.add(
        tx,
        [
            {
                "id": new_id(),
                "school_id": school_id,
                "enrolment_id": enrolment_id,
                "to_org_id": tx.caller.org_id,
                "client_id": tx.caller.client_id,
                "fields": list(fields),
                "basis": "grant",
                "basis_id": grant_id,
                "route": route,
            }
            for enrolment_id, fields in seen
            if fields
        ],
    )


def shown(row: Row) -> dict[str, object]:
    """One line of the list, as the school reads it."""
    names = (
        "id",
        "school_id",
        "to_org_id",
        "client_id",
        "fields",
        "basis",
        "basis_id",
        "route",
        "disclosed_at",
    )
    return {**{name: row[name] for name in names}, "pupil_id": row["enrolment_id"]}
