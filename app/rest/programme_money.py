"""`/v1/programmes/{programme_id}/...`: allocations, costs, the money as a whole, and the history of every change."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.clock import school_day
from app.core.db import Row
from app.programmes import sql
from app.rest.frame import IfMatch, Match, Paged, Read, Write, framed, json_answer, known, needs, page_of
from app.rest.models import Out
from app.rest.programme_models import (
    AllocationChange,
    AllocationIn,
    AllocationOut,
    AllocationPage,
    EnrolledOut,
    ProgrammeOut,
    StrandOut,
    TargetOut,
)
from app.rest.programme_money_models import (
    ChangeOut,
    ChangePage,
    CostIn,
    CostOut,
    CostPage,
    MoneyOut,
)
from app.rest.programme_parts import added, changed, listed, read_one, removed, seen

router = framed("/v1/programmes/{programme_id}", "programmes")
_PAYERS = ("programme", "school", "employer", "trust", "parent")
_PARTS: Mapping[str, type[Out]] = {
    "programme": ProgrammeOut,
    "strand": StrandOut,
    "school": EnrolledOut,
    "target": TargetOut,
    "allocation": AllocationOut,
    "cost": CostOut,
}


@router.get(
    "/allocations",
    response_model=AllocationPage,
    summary="List a programme's allocations",
    operation_id="list_programme_allocations",
)
@needs("programmes:read")
async def allocations(programme_id: UUID, tx: Read, turn: Paged) -> Response:
    """A school reads its own only."""
    return await listed(tx, turn, "allocations", programme_id, AllocationOut)


@router.post(
    "/allocations",
    status_code=201,
    response_model=AllocationOut,
    summary="Set money aside for a school",
    operation_id="add_programme_allocation",
)
@needs("programmes:write")
async def add_allocation(programme_id: UUID, body: AllocationIn, tx: Write) -> Response:
    """One for each school that takes part. 409 `over_budget` names the budget and what is set aside."""
    return await added(tx, "allocations", programme_id, body, AllocationOut)


@router.get(
    "/allocations/{allocation_id}",
    response_model=AllocationOut,
    summary="Read an allocation",
    operation_id="read_programme_allocation",
)
@needs("programmes:read")
async def read_allocation(programme_id: UUID, allocation_id: UUID, tx: Read) -> Response:
    """One statement."""
    return await read_one(tx, "allocations", programme_id, allocation_id, AllocationOut)


@router.patch(
    "/allocations/{allocation_id}",
    response_model=AllocationOut,
    summary="Change an allocation",
    operation_id="change_programme_allocation",
)
@needs("programmes:write")
async def change_allocation(
    programme_id: UUID, allocation_id: UUID, body: AllocationChange, tx: Write, expected: IfMatch
) -> Response:
    """409 `over_budget`, or `below_committed`: the school has committed or spent more."""
    return await changed(tx, "allocations", programme_id, allocation_id, body, expected, AllocationOut)


@router.delete(
    "/allocations/{allocation_id}",
    status_code=204,
    summary="Take an allocation back",
    operation_id="remove_programme_allocation",
)
@needs("programmes:write")
async def remove_allocation(
    programme_id: UUID, allocation_id: UUID, tx: Write, match: Match = None
) -> Response:
    """409 `below_committed` while the school has committed or spent any of it."""
    return await removed(tx, "allocations", programme_id, allocation_id, match)


# --- costs ------------------------------------------------------------------------------------------------------------


@router.get(
    "/costs", response_model=CostPage, summary="List a programme's costs", operation_id="list_programme_costs"
)
@needs("programmes:read")
async def costs(
    programme_id: UUID,
    tx: Read,
    turn: Paged,
    school_id: Annotated[UUID | None, Query(description="One school.")] = None,
    booking_id: Annotated[UUID | None, Query(description="One booking.")] = None,
    strand_id: Annotated[UUID | None, Query(description="One strand.")] = None,
    stage: Annotated[str | None, Query(description="`commitment` or `spend`.")] = None,
) -> Response:
    """The owner reads all lines, a school its own."""
    known(stage, ("commitment", "spend"), "?stage")
    asked = {"school_id": school_id, "booking_id": booking_id, "strand_id": strand_id, "stage": stage}
    return await listed(tx, turn, "costs", programme_id, CostOut, **asked)


@router.post(
    "/costs",
    status_code=201,
    response_model=CostOut,
    summary="Record a cost",
    operation_id="add_programme_cost",
)
@needs("programmes:write")
async def add_cost(programme_id: UUID, body: CostIn, tx: Write) -> Response:
    """By the owner, or by the school whose cost it is. What the programme pays is within the school's allocation:
    409 `over_allocation`.
    """
    return await added(tx, "costs", programme_id, body, CostOut)


@router.get(
    "/costs/{cost_id}", response_model=CostOut, summary="Read a cost", operation_id="read_programme_cost"
)
@needs("programmes:read")
async def read_cost(programme_id: UUID, cost_id: UUID, tx: Read) -> Response:
    """One statement."""
    return await read_one(tx, "costs", programme_id, cost_id, CostOut)


@router.delete(
    "/costs/{cost_id}", status_code=204, summary="Remove a cost", operation_id="remove_programme_cost"
)
@needs("programmes:write")
async def remove_cost(programme_id: UUID, cost_id: UUID, tx: Write) -> Response:
    """A line is never changed: remove it, and record the right one. The history keeps both."""
    return await removed(tx, "costs", programme_id, cost_id)


# --- the money as a whole, and the history ----------------------------------------------------------------------------


@router.get(
    "/money", response_model=MoneyOut, summary="Read a programme's money", operation_id="programme_money"
)
@needs("programmes:read")
async def money(programme_id: UUID, tx: Read) -> Response:
    """Two statements: budget, allocated, committed and spent, by school and by who pays."""
    programme = await seen(tx, programme_id)
    own = programme["owner_id"] == tx.caller.org_id
    return json_answer(
        _money(programme, await sql.money(tx, programme_id, school_day(tx.caller.now)), own=own)
    )


def _money(programme: Row, rows: Iterable[Row], *, own: bool) -> dict[str, Any]:
    totals: defaultdict[str, int] = defaultdict(int)
    to_date: defaultdict[str, int] = defaultdict(int)
    schools: defaultdict[UUID, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    payers: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        stage, pence = row["stage"], int(row["pence"])
        totals[stage] += pence
        to_date[stage] += int(row["to_date"])
        if row["paid_by"] in {None, "programme"}:
            schools[row["school_id"]][stage] += pence
        if row["paid_by"]:
            payers[row["paid_by"]][stage] += pence
    budget = programme["budget_pence"] if own else None
    return {
        "programme_id": programme["id"],
        "currency": "GBP",
        "budget_pence": budget,
        "allocated_pence": totals["allocation"],
        "unallocated_pence": None if budget is None else budget - totals["allocation"],
        "committed_pence": totals["commitment"],
        "committed_to_date_pence": to_date["commitment"],
        "spent_pence": totals["spend"],
        "by_school": [_of_school(school, schools[school]) for school in sorted(schools)],
        "by_payer": [
            {
                "paid_by": one,
                "committed_pence": payers[one]["commitment"],
                "spent_pence": payers[one]["spend"],
            }
            for one in _PAYERS
            if one in payers
        ],
    }


def _of_school(school: UUID, sums: Mapping[str, int]) -> dict[str, Any]:
    aside, committed, spent = (sums.get(name, 0) for name in ("allocation", "commitment", "spend"))
    return {
        "school_id": school,
        "allocated_pence": aside,
        "committed_pence": committed,
        "spent_pence": spent,
        "left_pence": aside - committed - spent,
    }


@router.get(
    "/changes",
    response_model=ChangePage,
    summary="Read a programme's history",
    operation_id="list_programme_changes",
)
@needs("programmes:read")
async def changes(
    programme_id: UUID,
    tx: Read,
    turn: Paged,
    part: Annotated[str | None, Query(description="One kind of part, such as `allocation`.")] = None,
) -> Response:
    """Every change, oldest first: who, when, what, and how it was afterwards. A school reads what is about itself."""
    known(part, tuple(_PARTS), "?part")
    await seen(tx, programme_id)
    scope = f"programmes.changes.{programme_id}"
    only = {"part": part} if part else {}
    rows = await sql.changes(tx, programme_id, turn.after_id(scope), turn.limit, only)
    return page_of(turn, scope, rows, ("id",), _change)


def _change(row: Row) -> dict[str, Any]:
    """A line as the contract knows it: of the row as it was kept, what the part itself shows."""
    view = {name: row[name] for name in ChangeOut.model_fields}
    kept = {**row["now"], "currency": "GBP"}
    members = [*_PARTS[row["part"]].model_fields, "removed_at"]
    return view | {"now": {name: kept[name] for name in members if name in kept}}
