"""The OpenAPI 3.1 document: examples, problems and scopes on every operation, and the `webhooks` section."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.outbox.catalogue import TYPES, data_schema
from app.rest.models import HORIZON

DESCRIPTION = """\
TenDays keeps one model of offers, bookings, encounters and minutes for modern work experience in England.
Employers' HR systems post availability, schools book, an employer confirms, a signed webhook tells the school's
system, attendance becomes encounters and minutes. Every error is `application/problem+json` (RFC 9457) with a stable
`code`. Every POST under `/v1` needs an `Idempotency-Key`. Times are RFC 3339 with an offset; durations are minutes.
Every GET is answered as HEAD, too, without a body. A read with an `ETag` takes `If-None-Match`: a list of tags or `*`,
304 if it has not changed. `If-Match` takes a list of tags or `*`; a weak tag never matches.
"""
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; written for programs."},
        "detail": {"type": "string", "description": "Written for people; may change."},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "JSON pointer into the body, or `?query`, `@Header`.",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": "https://tendays.example/problems/invalid",
            "title": "Unprocessable Entity",
            "status": 422,
            "code": "invalid",
            "detail": "The request is not acceptable.",
            "errors": [{"pointer": "/places", "code": "unknown_field", "detail": "There is no such field."}],
        }
    ],
}
_REFUSED = {
    "400": "Idempotency-Key is missing, or the body is not JSON.",
    "401": "The token is missing, broken, expired or revoked.",
    "403": "The token lacks the scope, or the action is the other side's.",
    "404": "No such thing, or not yours.",
    "408": "The body stalled. Nothing was changed.",
    "409": "Lawful in form, but not in this state.",
    "410": "What was sent is of an earlier history of the data, or older than what is kept.",
    "412": "The ETag is stale.",
    "413": "The body is too large.",
    "415": "The media type is not taken here.",
    "422": "A field is wrong; `errors` points at it.",
    "422Query": "A query parameter is wrong.",
    "428": "If-Match is required.",
    "429": "Over the allowance; see Retry-After and RateLimit.",
    "500": "A fault of ours. Nothing was changed.",
}
_ALWAYS = {"401", "403", "429", "500"}
_BY_POSITION = {"/v1/events", "/v1/webhook-endpoints", "/v1/webhook-endpoints/{endpoint_id}/replay"}
_BODY = {"408", "409", "413", "415", "422"}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "1 to 255 visible ASCII characters. The same key with the same payload replays the recorded answer; "
    "with another payload it is refused (422); while the first is in flight it is refused (409).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "3f0c6c1e-5f0b-4d0c-9d54-0b4f8f7c5f11",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag you read; 412 if the thing has changed since, 428 without it.",
    "schema": {"type": "string"},
    "example": '"v1"',
}


def document(app: FastAPI, routers: Iterable[APIRouter], scopes: dict[str, str]) -> dict[str, Any]:
    """The whole document; `routers` are those inside the frame, `scopes` is name to description."""
    made = get_openapi(
        title="TenDays",
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
    )
    made["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    made["components"]["responses"] = {
        f"Refused{status}": {
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, description in _REFUSED.items()
    }
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)
    made["components"]["securitySchemes"] = {
        "oauth2": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes}},
        }
    }
    for route in (one for router in routers for one in router.routes if isinstance(one, APIRoute)):
        for method in route.methods or ():
            operation = made["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                made["components"]["schemas"] |= operation.pop("x-schemas", {})
                _complete(operation, route, method)
    schemas = made["components"]["schemas"]
    for schema in schemas.values():
        if "examples" in schema:
            schema["examples"] = [_whole(one, schema, schemas) for one in schema["examples"]]
    for path in made["paths"].values():
        for method, operation in path.items():
            _name_what_may_be_left_out(operation)
            _show_a_page(operation, schemas)
            if method == "patch":
                _leave_as_it_is(operation, schemas)
    made["webhooks"] = {name: _webhook(name) for name in TYPES}
    return made


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    need = getattr(route.endpoint, "need", None)
    if need is None:
        return
    operation["security"] = [{"oauth2": [need.scope]}]
    operation["x-required-scope"] = need.scope
    parameters = operation.setdefault("parameters", [])
    possible = set(_ALWAYS)
    if "{" in route.path_format:
        possible.add("404")
    if method == "POST" and need.idempotent:
        parameters.append(_KEY)
        possible.add("400")
    if "IfMatch" in str(route.endpoint.__annotations__) or "_if_match" in _dependencies(route):
        parameters.append(_IF_MATCH)
        possible |= {"412", "428"}
    elif any(one["name"] == "If-Match" for one in parameters):
        possible.add("412")
    if any(one["name"] == "changed_since" for one in parameters) or route.path_format in _BY_POSITION:
        possible |= {"409", "410"}
    possible |= {"422"} if method in {"GET", "DELETE"} else _BODY
    for status in sorted(possible):
        query = "Query" if status == "422" and method in {"GET", "DELETE"} else ""
        operation["responses"][status] = {"$ref": f"#/components/responses/Refused{status}{query}"}


def _leave_as_it_is(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """What a PATCH leaves out stays as it is: no field of it has a default, whatever the model needs for itself."""
    for said in operation.get("requestBody", {}).get("content", {}).values():
        for field in _named(said.get("schema", {}), schemas).get("properties", {}).values():
            field.pop("default", None)


def _name_what_may_be_left_out(operation: dict[str, Any]) -> None:
    """A body that may be left out is one that is not required, not one that may be null."""
    for said in operation.get("requestBody", {}).get("content", {}).values():
        choices = [one for one in said.get("schema", {}).get("anyOf", ()) if one != {"type": "null"}]
        if len(choices) == 1 and "$ref" in choices[0]:
            said["schema"] = choices[0]


def _show_a_page(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A page without an example of its own shows one row, by the example of its rows."""
    for status, answer in operation["responses"].items():
        for said in answer.get("content", {}).values() if status.startswith("2") else ():
            page = _named(said.get("schema", {}), schemas)
            row = _named(page.get("properties", {}).get("data", {}).get("items", {}), schemas)
            if not ({"example", "examples"} & (set(said) | set(page))) and row.get("examples"):
                said["example"] = {
                    "data": row["examples"][:1],
                    **({"next": None} if "next" in page["properties"] else {}),
                    **({"horizon": HORIZON} if "horizon" in page["properties"] else {}),
                }


def _whole(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:  # noqa: ANN401  (any JSON)
    """The example with a null for each member that is always there and was left out because it may be null."""
    schema = _named(schema, schemas) if "$ref" in schema else schema
    if isinstance(example, list):
        return [_whole(one, schema.get("items", {}), schemas) for one in example]
    if not isinstance(example, dict):
        return example
    members = schema.get("properties", {})
    missing = [
        name for name in schema.get("required", ()) if name not in example and _nullable(members[name])
    ]
    whole = {name: _whole(one, members.get(name, {}), schemas) for name, one in example.items()}
    return whole | dict.fromkeys(missing)


def _nullable(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def _named(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
    return found


def _dependencies(route: APIRoute) -> set[str]:
    return {getattr(one.call, "__name__", "") for one in route.dependant.dependencies}


def _webhook(name: str) -> dict[str, Any]:
    kind = TYPES[name]
    return {
        "post": {
            "operationId": "on_" + name.replace(".", "_"),
            "summary": name,
            **({"deprecated": True} if kind.deprecation else {}),
            "description": f"{kind.description} Order key: {kind.order_key}. Lane: {kind.lane}.",
            "requestBody": {"content": {"application/json": {"schema": data_schema(kind)}}},
            "parameters": [
                {
                    "name": header,
                    "in": "header",
                    "required": True,
                    "schema": {"type": "string"},
                    "description": said,
                }
                for header, said in (
                    ("webhook-id", "The event's id; the same at every attempt."),
                    ("webhook-timestamp", "Unix seconds of this attempt."),
                    ("webhook-signature", "`v1,` HMAC-SHA256 and/or `v1a,` ed25519 of `id.timestamp.body`."),
                )
            ],
            "responses": {
                "2XX": {"description": "Received."},
                "410": {"description": "Switch this endpoint off."},
            },
        }
    }
