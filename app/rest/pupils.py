"""`/v1/schools/{school_id}/pupils`: the roll in bulk, one by one, and read back under grant and scope."""

from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from app.access.scopes import groups_in
from app.core.db import Door, Writer
from app.core.errors import Fault, invalid
from app.rest.frame import (
    IfMatch,
    InHouse,
    Pulled,
    Read,
    Write,
    framed,
    json_answer,
    known,
    needs,
    one_answer,
    page_of_pull,
)
from app.rest.problems import fault_of, refusal
from app.rest.pupil_models import BulkIn, BulkOut, PupilChange, PupilIn, PupilOut, PupilPage
from app.rules.words import NC_YEARS
from app.students import reading, service
from app.students.rows import Sent

router = framed("/v1", "pupils")
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
_LIST: Final = "/schools/{school_id}/pupils"
_ONE: Final = "/schools/{school_id}/pupils/{pupil_id}"
_SCHEMA: Final = BulkIn.model_json_schema(ref_template="#/components/schemas/{model}")
_BODY: Final[dict[str, Any]] = {
    # No endpoint takes the whole body as a model, for a broken row is answered by itself: the document is told.
    "x-schemas": {**_SCHEMA.pop("$defs"), "BulkIn": _SCHEMA},
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/BulkIn"}},
            NDJSON: {
                "schema": {"type": "string", "description": "One pupil in each line."},
                "example": '{"external_ref":"mis-48213","given_name":"Ada","family_name":"Example",'
                '"date_of_birth":"2014-03-09","nc_year":"8"}\n',
            },
        },
    },
}
Include = Annotated[str | None, Query(description="`upn`: answer the number, too. It is never in a URL.")]


@router.post(
    f"{_LIST}/bulk",
    response_model=BulkOut,
    summary="Create or update up to 500 pupils",
    description="By your own `external_ref`. Answered row by row; good rows are kept unless `atomic=true`.",
    operation_id="bulk_pupils",
    openapi_extra=_BODY,
)
@needs("pupils:write", media=(JSON, NDJSON))
async def bulk(
    school_id: UUID,
    request: Request,
    tx: Write,
    house: InHouse,
    *,
    atomic: Annotated[bool, Query(description="One refused row refuses them all.")] = False,
    complete: Annotated[bool, Query(description="With this request the whole roll has been sent.")] = False,
) -> Response:
    """At most a dozen statements, however many rows."""
    sent = [_sent(index, row) for index, row in enumerate(_rows(await request.body(), request.headers))]
    answers = await service.keep_roll(
        tx,
        house.keyring,
        school_id,
        sent,
        scoped=groups_in(tx.caller.scopes, "write"),
        atomic=atomic,
        complete=complete,
        development=house.development,
    )
    counts = {status: sum(one.status == status for one in answers) for status in service.STATUSES}
    return json_answer({**counts, "data": [_row(one) for one in answers]})


def _rows(body: bytes, headers: Any) -> list[Any]:  # noqa: ANN401
    if headers.get("content-type", "").partition(";")[0].strip().lower() == NDJSON:
        found: Any = [_line(line) for line in body.splitlines() if line.strip()]
    else:
        whole = _line(body)
        if whole is _BROKEN:
            raise refusal(400, "bad_json", "The body is not valid JSON.")
        found = _pupils(whole)
    if not 1 <= len(found) <= service.MOST:
        raise invalid("/pupils", "row_count", f"Send 1 to {service.MOST} rows.")
    return list(found)


_BROKEN: Final = object()


def _line(line: bytes) -> Any:  # noqa: ANN401
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _BROKEN


def _pupils(whole: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(whole, dict) or not isinstance(whole.get("pupils"), list):
        raise invalid("/pupils", "required", "An object with a list `pupils`.")
    for name in whole:
        if name != "pupils":
            raise invalid(f"/{name}", "unknown_field", "There is no such field.")
    return list(whole["pupils"])


def _sent(index: int, row: Any) -> Sent:  # noqa: ANN401
    if row is _BROKEN:
        return Sent(index, None, {}, [Fault("", "bad_json", "This line is not valid JSON.")])
    ref = row.get("external_ref") if isinstance(row, dict) else None
    ref = ref if isinstance(ref, str) else None
    try:
        given = PupilIn.model_validate(row).given()
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        return Sent(index, ref, {}, [fault_of({**one, "loc": ("body", *one["loc"])}) for one in found])
    return Sent(index, given.pop("external_ref"), given)


def _row(one: service.Answer) -> dict[str, Any]:
    return {
        "index": one.index,
        "external_ref": one.external_ref,
        "pupil_id": one.pupil_id,
        "status": one.status,
        "state": one.state,
        "errors": [
            {"pointer": f"/pupils/{one.index}{fault.pointer}", "code": fault.code, "detail": fault.detail}
            for fault in one.errors
        ],
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
        int | None, Query(ge=2000, le=2100, description="Of which `nc_year` is; today's, if left out.")
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
