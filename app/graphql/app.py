"""GraphQL over HTTP: the route `/graphql`, its statuses and media types, and the explorer beside it.

`application/graphql-response+json` has real statuses: 400 for a body or document that cannot be parsed, 422 for one
that is not valid or whose variables are not, 294 for data with errors, 405 for a mutation by GET. A client that
prefers plain `application/json` gets 200 for every well-formed request, as the specification asks. What goes wrong
before there is a GraphQL request (401, 406, 413, 415, 429) is raised as a Problem, for the application to answer.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from app.core import bodies
from app.core.caller import Caller
from app.core.db import Database
from app.core.errors import Fault, Overloaded, Problem, TooMany, Unauthenticated, Unavailable
from app.core.json_reader import MOST_FAULTS, NotJson, read
from app.core.paging import Cursors
from app.core.values import BadValue
from app.graphql import explorer
from app.graphql.schema import schema
from app.graphql.session import Session

RESPONSE, PLAIN = "application/graphql-response+json", "application/json"
BODY_LIMIT = 200_000
_VARIABLE = re.compile(r"[Vv]ariable '?\$(\w+)")
_ARGUMENT = re.compile(r"(\w+)\s*:\s*$")

Authenticate = Callable[[Request], Caller]
Take = Callable[[UUID, UUID | None], tuple[Mapping[str, str], int | None]]


@dataclass(frozen=True, slots=True)
class _House:
    authenticate: Authenticate
    db: Database
    cursors: Cursors
    take: Take | None
    development: bool
    body_limit: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A GraphQL-over-HTTP request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    by_get: bool


class _BadRequest(Exception):
    """Not a GraphQL-over-HTTP request (400)."""

    def __init__(self, code: str, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.code, self.faults = code, faults


def graphql_app(
    *,
    authenticate: Authenticate,
    db: Database,
    cursors: Cursors,
    take: Take | None = None,
    development: bool = False,
    body_limit: int = BODY_LIMIT,
) -> APIRouter:
    """The router of `/graphql` (POST and GET), `/graphql/explorer.{js,css}` and `/graphql/schema.graphql`.

    `authenticate(request)` gives the Caller or raises Unauthenticated; `take(client_id, school_id)` counts the call
    and gives the RateLimit headers and the seconds to wait. Problems are raised: the application must answer them.
    In development `Server-Timing` says how many statements were sent.
    """
    house = _House(authenticate, db, cursors, take, development, body_limit)
    router = APIRouter(include_in_schema=False)

    @router.post("/graphql")
    async def post(request: Request) -> Response:
        return await _answer(house, request)

    @router.get("/graphql")
    async def get(request: Request) -> Response:
        if "query" not in request.query_params and "text/html" in request.headers.get("accept", ""):
            return explorer.page()
        return await _answer(house, request)

    explorer.install(router)
    return router


async def _answer(house: _House, request: Request) -> Response:
    caller = house.authenticate(request)
    headers = _allowance(house, caller)
    media = _media(request.headers.get("accept", "*/*"))
    try:
        asked = await _read(house, request)
    except _BadRequest as bad:
        error = GraphQLError(str(bad), extensions={"code": bad.code, **_listed(bad.faults)})
        return _response({"errors": [_shown(error)]}, 400, media, headers)
    session = Session(house.db, caller, house.cursors)
    try:
        status, body = await _execute(session, asked)
    finally:
        await session.close()
    if house.development:
        headers["Server-Timing"] = f'sql;desc="{session.statements} statements"'
    if status == 405:  # noqa: PLR2004
        headers["Allow"] = "POST"
    elif media == PLAIN:
        status = 200
    return _response(body, status, media, headers)


def _allowance(house: _House, caller: Caller) -> dict[str, str]:
    if house.take is None:
        return {}
    headers, wait = house.take(caller.client_id, caller.school_id)
    if wait is not None:
        extra = {"retry_after": wait, "headers": dict(headers)}
        raise TooMany("rate_limited", "Too many requests.", extra=extra)
    return dict(headers)


# --- the request --------------------------------------------------------------------------------------


def _media(accept: str) -> str:
    """The media type of the answer: what the client likes best of the two, ours if it does not mind; 406 if neither."""
    best, quality = "", 0.0
    for part in accept.split(","):
        name, *more = (one.strip().lower() for one in part.split(";"))
        wanted = _wanted(name)
        weight = next((_weight(one) for one in more if one.startswith("q=")), 1.0)
        if wanted and (weight > quality or (weight == quality and wanted == RESPONSE)):
            best, quality = wanted, weight
    if not best or not quality:
        raise _refusal(406, "not_acceptable", f"Answers are {RESPONSE} or {PLAIN}.")
    return best


def _wanted(name: str) -> str | None:
    if name in {RESPONSE, "*/*", "application/*"}:
        return RESPONSE
    return PLAIN if name == PLAIN else None


def _weight(text: str) -> float:
    try:
        return max(0.0, min(1.0, float(text[2:])))
    except ValueError:
        return 0.0


async def _read(house: _House, request: Request) -> _Asked:
    if request.method == "GET":
        params = request.query_params
        variables = _json(params["variables"].encode()) if params.get("variables") else None
        given = {
            "query": params.get("query"), "variables": variables, "operationName": params.get("operationName") or None
        }  # fmt: skip
        return _asked(given, by_get=True)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != PLAIN:
        raise _refusal(415, "unsupported_media_type", f"Send {PLAIN}.")
    return _asked(_json(await _body(request, house.body_limit)), by_get=False)


async def _body(request: Request, limit: int) -> bytes:
    too_large = bodies.too_large(limit)
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return await bodies.decoded(bytes(body), request.headers.get("content-encoding", ""), limit)


def _json(raw: bytes) -> Any:  # noqa: ANN401
    try:
        found = read(raw)
    except NotJson as wrong:
        raise _BadRequest("bad_json", str(wrong)) from None
    if found.faults:
        raise _BadRequest("bad_json", "The request holds values that are not taken.", found.faults)
    return found.value


def _asked(given: Any, *, by_get: bool) -> _Asked:  # noqa: ANN401
    if not isinstance(given, dict):
        raise _BadRequest("bad_request", "A request is one JSON object; batches are not taken.")
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise _BadRequest("query_missing", "`query` is the text of a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise _BadRequest("bad_request", "`variables` is a JSON object.")
    if name is not None and not isinstance(name, str):
        raise _BadRequest("bad_request", "`operationName` is a string.")
    return _Asked(query, variables, name, by_get)


def _refusal(status: int, code: str, detail: str) -> Problem:
    return Problem(code, detail, extra={"status": status})


# --- the answer ---------------------------------------------------------------------------------------


async def _execute(session: Session, asked: _Asked) -> tuple[int, dict[str, Any]]:
    """Status and body. A client that was revoked meanwhile is Unauthenticated, whatever else was answered; where the
    database is away or overloaded nothing is answered but that, with Retry-After.
    """
    allowed = {OperationType.QUERY} if asked.by_get else {OperationType.QUERY, OperationType.MUTATION}
    try:
        result = await schema.execute(
            asked.query, asked.variables, session, None, asked.operation_name, allowed_operation_types=allowed
        )
    except InvalidOperationTypeError as refused:
        by_get = asked.by_get and refused.operation_type is not OperationType.SUBSCRIPTION
        error = GraphQLError("Only queries are answered here.", extensions={"code": "operation_not_allowed"})
        return (405 if by_get else 422), {"errors": [_shown(error)]}
    except CannotGetOperationTypeError:
        message = "Name one of the document's operations in `operationName`."
        return 422, {"errors": [_shown(GraphQLError(message, extensions={"code": "operation_unknown"}))]}
    return _outcome(result)


def _outcome(result: ExecutionResult) -> tuple[int, dict[str, Any]]:
    errors = result.errors or []
    for error in errors:
        if isinstance(error.original_error, Unauthenticated | Unavailable | Overloaded):
            raise error.original_error
    if result.data is None and not any(error.path for error in errors):
        unparsed = any(isinstance(error, GraphQLSyntaxError) for error in errors)
        return (400 if unparsed else 422), {"errors": [_shown(error) for error in errors]}
    if errors:
        return 294, {"data": result.data, "errors": [_shown(error) for error in errors]}
    return 200, {"data": result.data}


def _shown(error: GraphQLError) -> dict[str, Any]:
    """An error with its stable code. What went wrong inside the house is not told."""
    shown: dict[str, Any] = {**error.formatted, "extensions": {**(error.extensions or {})}}
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, Problem):
        shown["message"] = cause.detail
        shown["extensions"] |= {"code": cause.code, **_details(cause)}
    elif isinstance(cause, BadValue):
        shown["message"] = (
            f"{error.message.partition(':')[0]}: {cause.detail}" if "$" in error.message else cause.detail
        )
        shown["extensions"] |= {"code": "bad_argument", **_listed([_of_argument(error, cause)])}
    elif cause is not None and error.path:
        shown["message"] = "Something went wrong on our side."
        shown["extensions"]["code"] = "internal"
    else:
        code = "parse_failed" if isinstance(error, GraphQLSyntaxError) else "validation_failed"
        shown["extensions"].setdefault("code", code)
    return shown


def _of_argument(error: GraphQLError, bad: BadValue) -> Fault:
    """The argument or the variable that has a value which is not taken, by name: errors know its place only."""
    variable = _VARIABLE.search(error.message)
    if variable:
        return Fault(f"/variables/{variable[1]}", bad.code, bad.detail)
    at = next(iter(error.positions or ()), 0)
    named = _ARGUMENT.search(error.source.body[:at]) if error.source else None
    return Fault(f"/{named[1]}" if named else "", bad.code, bad.detail)


def _details(problem: Problem) -> dict[str, Any]:
    details = {name: value for name, value in problem.extra.items() if name not in {"status", "headers"}}
    return details | _listed(problem.faults)


def _listed(faults: Sequence[Fault]) -> dict[str, Any]:
    if not faults:
        return {}
    shown = [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in faults[:MOST_FAULTS]]
    more = {"more_errors": len(faults) - MOST_FAULTS} if len(faults) > MOST_FAULTS else {}
    return {"errors": shown, **more}


def _response(body: Mapping[str, Any], status: int, media: str, headers: Mapping[str, str]) -> Response:
    kept = {**headers, "Cache-Control": "private, no-store", "Vary": "Accept, Authorization"}
    content = orjson.dumps(body, default=str)
    return Response(content, status_code=status, media_type=f"{media}; charset=utf-8", headers=kept)
