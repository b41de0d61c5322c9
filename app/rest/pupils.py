"""`/v1/schools/{school_id}/pupils`: the roll in bulk, one by one, and read back under grant and scope."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from app.access.scopes import groups_in
from app.core.db import Door, Writer
from app.core.turns import each
from app.rest import bulk
from app.rest.bulk import NDJSON
from app.rest.frame import (
    IfMatch,
    InHouse,
    Paged,
    Pulled,
    Read,
    Write,
    framed,
    json_answer,
    known,
    needs,
    one_answer,
    page_of,
    page_of_pull,
)
from app.rest.models import Flag, WholeNumber
from app.rest.pupil_models import (
    BulkIn,
    BulkOut,
    IdentityCorrectionPage,
    PupilChange,
    PupilIn,
    PupilOut,
    PupilPage,
)
from app.rules.words import NC_YEARS
from app.students import reading, service
from app.students.rows import Sent

router = framed("/v1", "pupils")
JSON: Final = "application/json"
_LIST: Final = "/schools/{school_id}/pupils"
_ONE: Final = "/schools/{school_id}/pupils/{pupil_id}"
_BODY: Final[dict[str, Any]] = bulk.document(
    BulkIn,
    {
        NDJSON: {
            "schema": {"type": "string", "description": "One pupil in each line."},
            "example": '{"external_ref":"mis-48213","given_name":"Ada","family_name":"Example",'
            '"date_of_birth":"2014-03-09","nc_year":"8"}\n',
        }
    },
)
Include = Annotated[str | None, Query(description="`upn`: answer the number, too. It is never in a URL.")]


@router.post(
    f"{_LIST}/bulk",
    response_model=BulkOut,
    summary="Create or update up to 500 pupils",
    description="By your own `external_ref`. Answered row by row; good rows are kept unless `atomic=true`.",
    operation_id="bulk_pupils",
    openapi_extra=_BODY,
)
@needs("pupils:write", media=(JSON, NDJSON), rows=("pupils", service.MOST))
async def keep_roll(
    school_id: UUID,
    request: Request,
    tx: Write,
    house: InHouse,
    *,
    atomic: Annotated[Flag, Query(description="One refused row refuses them all.")] = False,
    complete: Annotated[Flag, Query(description="With this request the whole roll has been sent.")] = False,
) -> Response:
    """At most a dozen statements, however many rows."""
    rows: bulk.Rows = request.state.rows
    sent = await each(rows.rows, _sent)
    answers = await service.keep_roll(
        tx,
        house.keyring,
        school_id,
        sent,
        scoped=groups_in(tx.caller.scopes, "write"),
        atomic=atomic,
        complete=complete,
        development=house.development,
        at_once=rows.at_once,
    )
    counts = {status: sum(one.status == status for one in answers) for status in service.STATUSES}
    listed = bulk.Listed()
    data = [_row(one, listed) for one in answers]
    return json_answer({**counts, "more_errors": listed.more, "data": data})


def _sent(row: bulk.Row) -> Sent:
    read = bulk.validated(row, PupilIn)
    if isinstance(read, list):
        return Sent(row.index, row.text("external_ref"), {}, read)
    given = read.given()
    return Sent(row.index, given.pop("external_ref"), given)


def _row(one: service.Answer, listed: bulk.Listed) -> dict[str, Any]:
    where = f"/pupils/{one.index}"
    return {
        "index": one.index,
        "external_ref": one.external_ref,
        "pupil_id": one.pupil_id,
        "status": one.status,
        "state": one.state,
        "errors": listed.of(one.errors, where),
    }


@router.get(
    _LIST,
    response_model=PupilPage,
    summary="List a school's pupils",
    description="A vendor sees the field groups it was granted, and each pupil it sees is written down.",
    operation_id="list_pupils",
)
@needs("pupils:read", discloses=True)
async def index(
    school_id: UUID,
    tx: Read,
    house: InHouse,
    turn: Pulled,
    *,
    nc_year: Annotated[str | None, Query(description="Only this NC year.")] = None,
    academic_year: Annotated[
        WholeNumber | None,
        Query(ge=2000, le=2100, description="Of which `nc_year` is; today's, if left out."),
    ] = None,
    include: Include = None,
) -> Response:
    """Two statements, three for a vendor."""
    known(nc_year, NC_YEARS, "?nc_year")
    pupils = await reading.page(
        tx,
        house.keyring,
        school_id,
        scoped=groups_in(tx.caller.scopes, "read"),
        route=f"GET /v1{_LIST}",
        with_upn=_upn(include),
        nc_year=nc_year,
        year=academic_year,
        pull=turn.pull("pupils"),
    )
    return page_of_pull(turn, "pupils", pupils, lambda row: row["pupil"])


@router.get(_ONE, response_model=PupilOut, summary="Read a pupil", operation_id="read_pupil")
@needs("pupils:read", discloses=True)
async def read(
    school_id: UUID, pupil_id: UUID, tx: Read, house: InHouse, *, include: Include = None
) -> Response:
    """Two statements, three for a vendor."""
    return await _one(tx, house, school_id, pupil_id, route=f"GET /v1{_ONE}", with_upn=_upn(include))


@router.patch(_ONE, response_model=PupilOut, summary="Change a pupil", operation_id="change_pupil")
@needs("pupils:write")
async def change(
    school_id: UUID, pupil_id: UUID, body: PupilChange, tx: Write, *, house: InHouse, expected: IfMatch
) -> Response:
    """At most ten statements."""
    await service.change_pupil(
        tx,
        house.keyring,
        school_id,
        pupil_id,
        given=body.given(),
        version=expected,
        scoped=groups_in(tx.caller.scopes, "write"),
        development=house.development,
    )
    return await _one(tx, house, school_id, pupil_id, route=f"PATCH /v1{_ONE}", with_upn=False)


@router.get(
    "/schools/{school_id}/identity-corrections",
    response_model=IdentityCorrectionPage,
    summary="List corrections of identity",
    description="Where number, names or date of birth of a pupil were changed with `correction: true`, newest first. "
    "The school's and its trust's to read.",
    operation_id="list_identity_corrections",
)
@needs("disclosures:read")
async def corrections(school_id: UUID, tx: Read, turn: Paged) -> Response:
    """Two statements."""
    found = await reading.corrections(
        tx, school_id, before=turn.after_id("identity_corrections"), limit=turn.limit
    )
    return page_of(turn, "identity_corrections", found, ("id",), lambda row: row)


async def _one(
    tx: Door | Writer, house: InHouse, school_id: UUID, pupil_id: UUID, *, route: str, with_upn: bool
) -> Response:
    scoped = groups_in(tx.caller.scopes, "read")
    pupil = await reading.one(
        tx, house.keyring, school_id, pupil_id, scoped=scoped, route=route, with_upn=with_upn
    )
    return one_answer(pupil, version=pupil["version"])


def _upn(include: str | None) -> bool:
    known(include, ("upn",), "?include")
    return include == "upn"
