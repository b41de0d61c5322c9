"""Approvals of sites over REST, whose approvals a school accepts, and the sites a pupil does not go to."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from fastapi.responses import Response

from app.core.db import Door, Row
from app.core.errors import NotFound
from app.employers import service, sql
from app.rest.employers_models import (
    AcceptanceOut,
    AcceptancePage,
    ApprovalIn,
    ApprovalOut,
    ApprovalPage,
    BarOut,
    BarsOut,
)
from app.rest.frame import (
    Match,
    Paged,
    Pulled,
    Read,
    Write,
    framed,
    json_answer,
    needs,
    one_answer,
    page_of,
    page_of_pull,
    refuse_unless_there,
)
from app.rest.sites import whose
from app.rules.words import ApprovalState, ExperienceKind
from app.students import sql as students

router = framed("/v1", "approvals")
_SHOWN = (
    "id", "approver_id", "employer_id", "site_id", "kind", "activity_band", "state", "approved_on", "expires_on",
    "basis", "withdrawn_at", "version", "created_at", "updated_at",
)  # fmt: skip
_ACCEPTANCE = ("school_id", "approver_id", "accepted_at")


def shown(row: Row) -> dict[str, Any]:
    """An approval."""
    return {name: row[name] for name in _SHOWN}


@router.post(
    "/approvals",
    status_code=201,
    response_model=ApprovalOut,
    summary="Approve a site",
    operation_id="approve_site",
)
@needs("approvals:write")
async def approve_site(body: ApprovalIn, tx: Write) -> Response:
    """As a school, a trust or a hub: approve a site for one kind of experience and one activity band."""
    row = await service.approve(tx, body.model_dump())
    return one_answer(shown(row), version=row["version"], location=f"/v1/approvals/{row['id']}", status=201)


@router.get(
    "/approvals", response_model=ApprovalPage, summary="List approvals", operation_id="list_approvals"
)
@needs("approvals:read")
async def list_approvals(
    *,
    tx: Read,
    turn: Pulled,
    approver_id: Annotated[UUID | None, Query(description="Those of one approver.")] = None,
    employer_id: Annotated[UUID | None, Query(description="Those of one employer's sites.")] = None,
    site_id: Annotated[UUID | None, Query(description="Those of one site.")] = None,
    kind: Annotated[ExperienceKind | None, Query(description="One kind of experience.")] = None,
    state: Annotated[ApprovalState | None, Query(description="One state.")] = None,
) -> Response:
    """Approvals in the order they were given: an employer's those of its sites; else, unless you ask for others, yours."""
    caller = tx.caller
    wanted = {
        "approver_id": approver_id,
        "employer_id": employer_id,
        "site_id": site_id,
        "kind": kind,
        "state": state,
    }
    wanted["employer_id"] = whose(caller.org_kind, caller.org_id, employer_id)
    if not any((wanted["employer_id"], approver_id, site_id)):
        wanted["approver_id"] = caller.org_id
    rows = await sql.approvals_page(tx, wanted, turn.pull("approvals"))
    return page_of_pull(turn, "approvals", rows, shown)


@router.get(
    "/approvals/{approval_id}",
    response_model=ApprovalOut,
    summary="Read an approval",
    operation_id="read_approval",
)
@needs("approvals:read")
async def read_approval(approval_id: UUID, tx: Read) -> Response:
    """One approval."""
    row = await sql.approval(tx, approval_id)
    if row is None:
        raise NotFound("approval")
    return one_answer(shown(row), version=row["version"])


@router.post(
    "/approvals/{approval_id}/withdraw",
    response_model=ApprovalOut,
    summary="Withdraw an approval",
    operation_id="withdraw_approval",
)
@needs("approvals:write")
async def withdraw_approval(approval_id: UUID, tx: Write) -> Response:
    """Withdraw an approval of yours: no new request stands on it."""
    row = await service.withdraw_approval(tx, approval_id)
    return one_answer(shown(row), version=row["version"])


# --- whose approvals a school accepts ---------------------------------------------------------


@router.get(
    "/schools/{school_id}/accepted-approvers",
    response_model=AcceptancePage,
    summary="Whose approvals a school accepts",
    operation_id="list_accepted_approvers",
)
@needs("approvals:read")
async def list_accepted_approvers(school_id: UUID, tx: Read, turn: Paged) -> Response:
    """The organisations whose approvals the school relies on, beside its own."""
    service.the_school(tx.caller, school_id)
    rows = await sql.acceptances_page(tx, school_id, turn.after_id("acceptances"), turn.limit)
    return page_of(turn, "acceptances", rows, ("approver_id",), _acceptance)


@router.put(
    "/schools/{school_id}/accepted-approvers/{org_id}",
    response_model=AcceptanceOut,
    responses={201: {"model": AcceptanceOut, "description": "Newly accepted."}},
    summary="Accept an organisation's approvals",
    operation_id="accept_approver",
)
@needs("approvals:write")
async def accept_approver(school_id: UUID, org_id: UUID, tx: Write, match: Match = None) -> Response:
    """From now on the school relies on the approvals of this hub, trust or school. 201 if newly so, else 200."""
    row, made = await service.accept_approver(tx, school_id, org_id)
    refuse_unless_there(match, made=made)
    return json_answer(_acceptance(row), 201 if made else 200)


@router.delete(
    "/schools/{school_id}/accepted-approvers/{org_id}",
    status_code=204,
    summary="No longer accept an organisation's approvals",
    operation_id="stop_accepting_approver",
)
@needs("approvals:write")
async def stop_accepting_approver(school_id: UUID, org_id: UUID, tx: Write) -> Response:
    """No new request of the school stands on this organisation's approvals."""
    await service.stop_accepting(tx, school_id, org_id)
    return Response(status_code=204)


def _acceptance(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _ACCEPTANCE}


# --- the sites a pupil does not go to ---------------------------------------------------------


@router.get(
    "/schools/{school_id}/pupils/{pupil_id}/barred-sites",
    response_model=BarsOut,
    summary="The sites a pupil does not go to",
    operation_id="list_barred_sites",
)
@needs("approvals:read")
async def list_barred_sites(school_id: UUID, pupil_id: UUID, tx: Read) -> Response:
    """At most 200; no reason is stored."""
    service.the_school(tx.caller, school_id)
    await _enrolled(tx, school_id, pupil_id)
    rows = await sql.bars_of(tx, school_id, pupil_id)
    return json_answer({"data": [{"pupil_id": pupil_id, "site_id": row["site_id"]} for row in rows]})


@router.put(
    "/schools/{school_id}/pupils/{pupil_id}/barred-sites/{site_id}",
    response_model=BarOut,
    responses={201: {"model": BarOut, "description": "Newly barred."}},
    summary="Bar a pupil from a site",
    operation_id="bar_site",
)
@needs("approvals:write")
async def bar_site(
    school_id: UUID, pupil_id: UUID, site_id: UUID, tx: Write, match: Match = None
) -> Response:
    """The pupil does not go to this site; others read no more than "not available". 201 if newly so, else 200."""
    made = await service.bar(tx, school_id, pupil_id, site_id)
    refuse_unless_there(match, made=made)
    return json_answer({"pupil_id": pupil_id, "site_id": site_id}, 201 if made else 200)


@router.delete(
    "/schools/{school_id}/pupils/{pupil_id}/barred-sites/{site_id}",
    status_code=204,
    summary="Lift the bar",
    operation_id="lift_bar",
)
@needs("approvals:write")
async def lift_bar(school_id: UUID, pupil_id: UUID, site_id: UUID, tx: Write) -> Response:
    """The pupil may go to this site again."""
    await _enrolled(tx, school_id, pupil_id)
    await service.lift_bar(tx, school_id, pupil_id, site_id)
    return Response(status_code=204)


async def _enrolled(tx: Door, school_id: UUID, pupil_id: UUID) -> None:
    """An empty list, or a lifted bar, would say of anybody's pupil that it is this school's."""
    if not await students.is_enrolled(tx, school_id, pupil_id):
        raise NotFound("pupil")
