"""Every error as RFC 9457 problem+json: a stable code, a pointer to the field, nothing of the inside."""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from app.core import errors
from app.core.errors import Fault, Invalid, NotFound, Problem
from app.core.json_reader import MOST_FAULTS, token

STATUS: Mapping[type[Problem], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.ConstraintBroken: 409,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.Stale: 412,
    errors.Missing: 428,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
}
"""The status of each kind; a Problem may carry its own in `extra["status"]` (400, 408, 413, 415)."""

_CODES = {
    "extra_forbidden": "unknown_field",
    "missing": "required",
    "json_invalid": "bad_json",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "bytes_too_long": "too_long",
    "url_too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "bytes_too_short": "too_short",
    "enum": "not_one_of",
    "literal_error": "not_one_of",
    "union_tag_invalid": "not_one_of",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "multiple_of": "out_of_range",
    "finite_number": "out_of_range",
    "int_parsing_size": "out_of_range",
    "string_pattern_mismatch": "pattern_mismatch",
    "timezone_aware": "offset_required",
    "date_past": "in_the_future",
    "datetime_past": "in_the_future",
    "date_future": "in_the_past",
    "datetime_future": "in_the_past",
    "int_from_float": "wrong_type",
    "date_from_datetime_inexact": "wrong_type",
    "uuid_version": "wrong_type",
}
"""The validator's words in ours, so that a code stays when the validator is replaced."""

_OURS = frozenset({"blank_at_end", "not_nfc", "offset_required", "out_of_range", "unfit_value"})
"""What our own types say (rest/models.py), beside `wrong_type`."""
_WRONG_TYPES = ("_type", "_parsing")
_UNFIT = "unfit_value"
_OF_IDS = ("uuid_",)
_log = structlog.get_logger("tendays.rest")


def status_of(problem: Problem) -> int:
    """The HTTP status of a problem."""
    if "status" in problem.extra:
        return int(problem.extra["status"])
    return next((STATUS[kind] for kind in type(problem).__mro__ if kind in STATUS), 500)


def refusal(status: int, code: str, detail: str, faults: tuple[Fault, ...] = ()) -> Problem:
    """A Problem with a status of its own."""
    return Problem(code, detail, faults, {"status": status})


def answer(problem: Problem, instance: str | None = None) -> Response:
    """The response for a problem: media type `application/problem+json`, with WWW-Authenticate and Retry-After."""
    status = status_of(problem)
    body: dict[str, Any] = {
        "type": f"https://tendays.example/problems/{problem.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.faults:
        body["errors"] = [
            {"pointer": one.pointer, "code": one.code, "detail": one.detail}
            for one in problem.faults[:MOST_FAULTS]
        ]
    if len(problem.faults) > MOST_FAULTS:
        body["more_errors"] = len(problem.faults) - MOST_FAULTS
    body |= {name: value for name, value in problem.extra.items() if name not in {"status", "headers"}}
    if instance:
        body["instance"] = instance
    headers = dict(problem.extra.get("headers", {}))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault(
            "WWW-Authenticate",
            f'Bearer realm="tendays", error="invalid_token", error_description="{problem.code}"',
        )
    if "retry_after" in problem.extra:
        headers["Retry-After"] = str(problem.extra["retry_after"])
    return Response(
        orjson.dumps(body, option=orjson.OPT_UTC_Z, default=str),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def from_validation(error: RequestValidationError) -> Problem:
    """What FastAPI found wrong with the input, with JSON pointers. Input values are never repeated."""
    found = error.errors()
    if any(one["loc"][0] == "path" and one["type"].startswith(_OF_IDS) for one in found):
        return NotFound("resource")  # an id that is none names nothing
    if any(one["type"] == "json_invalid" for one in found):
        return refusal(400, "bad_json", "The body is not valid JSON.")
    return Invalid("invalid", "The request is not acceptable.", [fault_of(one) for one in found])


def fault_of(found: Mapping[str, Any]) -> Fault:
    """One of pydantic's errors; its `loc` begins with the part of the request."""
    where, *rest = found["loc"]
    code = code_of(str(found["type"]))
    detail = "There is no such field." if code == "unknown_field" else str(found["msg"])
    return Fault(pointer(str(where), rest), code, detail)


def code_of(said: str) -> str:
    """Our code for one of the validator's own words: never its word itself."""
    if said in _OURS:
        return said
    return _CODES.get(said) or ("wrong_type" if said.endswith(_WRONG_TYPES) else _UNFIT)


def pointer(where: str, rest: list[Any]) -> str:
    """`/field/0` in the body, `?name` in the query, `@Name` in a header, `{name}` in the path."""
    if where == "body":
        return "".join(f"/{token(one)}" for one in rest)
    name = str(rest[0]) if rest else ""
    return {"query": f"?{name}", "header": f"@{name}", "path": f"{{{name}}}"}.get(where, f"/{name}")


_WORDS: Mapping[int, tuple[str, str]] = {
    400: ("bad_json", "The body is not valid JSON, or nested too deeply."),  # the framework's one use of it
    404: ("not_found", "No such resource."),
    405: ("method_not_allowed", "This method is not possible here."),
}


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem, 404, 405 and 500 too."""

    async def on_problem(request: Request, error: Exception) -> Response:
        return answer(error if isinstance(error, Problem) else _unknown(), request.url.path)

    async def on_validation(request: Request, error: Exception) -> Response:
        made = from_validation(error) if isinstance(error, RequestValidationError) else _unknown()
        return answer(made, request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return answer(_unknown(), request.url.path)
        code, detail = _WORDS.get(error.status_code, ("refused", str(error.detail)))
        made = refusal(error.status_code, code, detail)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {name: value for name, value in headers.items() if name.lower() != "allow"}
            headers["Allow"] = ", ".join(sorted(_methods_at(request)))
        made.extra["headers"] = headers
        return answer(made, request.url.path)

    async def on_fault(request: Request, error: Exception) -> Response:
        # This is outside of what binds the request's id to the log.
        seen = request.scope.get("tendays.request_id")
        _log.error("fault", path=request.url.path, request_id=seen, exc_info=error)
        made = _unknown()
        made.extra |= {"request_id": seen, "headers": {"TenDays-Request-Id": str(seen)}}
        return answer(made, request.url.path)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_fault)


def _methods_at(request: Request) -> set[str]:
    """Every method of a path (RFC 9110 section 15.5.6): the router itself names those of the first route that fits."""
    return {method for route in _routes(request.app.router) for method in _methods_of(route, request)}


def _routes(router: APIRouter) -> Iterator[BaseRoute]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else _routes(included)


def _methods_of(route: BaseRoute, request: Request) -> Iterable[str]:
    """Those of a route whose path fits, whatever its method."""
    match, _ = route.matches(request.scope)
    return getattr(route, "methods", None) or () if match is not Match.NONE else ()


def _unknown() -> Problem:
    return refusal(500, "internal", "Something went wrong on our side. Nothing was changed.")
