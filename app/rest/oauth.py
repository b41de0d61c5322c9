"""The OAuth endpoints: token, revocation, metadata, keys. Errors are those of RFC 6749, not problem+json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.access import scopes, service
from app.access.assertions import ALGORITHMS
from app.access.rates import Rates, Standing
from app.access.service import Credentials, OAuthRefusal
from app.access.tokens import Tokens
from app.core.clock import wall_now
from app.core.db import Database

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  (a path)
REVOKE_PATH: Final = "/oauth/revoke"
JWKS_PATH: Final = "/.well-known/jwks.json"
_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_LARGEST_BODY: Final = 16_384
_MOST_FIELDS: Final = 20
_LONGEST_KEY: Final = 64
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the OAuth endpoints work with. `rates` counts attempts by client id and remote address."""

    db: Database
    tokens: Tokens
    rates: Rates
    development: bool = False

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom an assertion may be made out to: the issuer or the endpoint it is sent to."""
        issuer = self.tokens.issuer
        return issuer, issuer + TOKEN_PATH, issuer + REVOKE_PATH


def router(desk: Desk) -> APIRouter:
    """The endpoints, bound to this desk."""
    made = APIRouter(tags=["oauth"])

    @made.post(TOKEN_PATH, summary="Get an access token", operation_id="get_token", **_TOKEN_DOC)
    async def token(request: Request) -> Response:
        """Client credentials by secret (Basic or form) or by `private_key_jwt`; errors are RFC 6749's."""
        return await _attempt(desk, request, _grant)

    @made.post(REVOKE_PATH, summary="End an access token", operation_id="revoke_token", **_REVOKE_DOC)
    async def revoke(request: Request) -> Response:
        """A token of your own ends at once; one that is none, or not yours, is answered the same (RFC 7009)."""
        return await _attempt(desk, request, _revoke)

    @made.get(
        "/.well-known/oauth-authorization-server",
        summary="Authorization server metadata (RFC 8414)",
        operation_id="get_authorization_server_metadata",
        responses=_shown({"issuer": "https://tendays.example", "token_endpoint": "https://…/oauth/token"}),
    )
    async def server() -> Response:
        """Where to get and revoke tokens, how clients may authenticate, and which scopes there are."""
        return _cached(server_metadata(desk), 3600)

    @made.get(
        "/.well-known/oauth-protected-resource",
        summary="Protected resource metadata (RFC 9728)",
        operation_id="get_protected_resource_metadata",
        responses=_shown({"resource": "https://tendays.example", "bearer_methods_supported": ["header"]}),
    )
    async def resource() -> Response:
        """Whose tokens this API takes, and how to send them."""
        return _cached(resource_metadata(desk), 3600)

    @made.get(
        JWKS_PATH,
        summary="The public keys that verify tokens (RFC 7517)",
        operation_id="get_jwks",
        responses=_shown({"keys": [{"kty": "EC", "crv": "P-256", "kid": "…", "use": "sig", "alg": "ES256"}]}),
    )
    async def keys() -> Response:
        """Keys by `kid`; a new one is published two minutes before it signs."""
        return _cached(desk.tokens.jwks(), 60)  # a new key signs after two minutes

    return made


def server_metadata(desk: Desk) -> dict[str, Any]:
    """RFC 8414 section 2."""
    issuer = desk.tokens.issuer
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "revocation_endpoint": issuer + REVOKE_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "scopes_supported": list(scopes.known(development=desk.development)),
        "response_types_supported": [],
        "grant_types_supported": [service.GRANT_TYPE],
        "token_endpoint_auth_methods_supported": list(_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "service_documentation": issuer + "/docs",
    }


def resource_metadata(desk: Desk) -> dict[str, Any]:
    """RFC 9728 section 2."""
    issuer = desk.tokens.issuer
    return {
        "resource": desk.tokens.audience,
        "authorization_servers": [issuer],
        "jwks_uri": issuer + JWKS_PATH,
        "scopes_supported": list(scopes.known(development=desk.development)),
        "bearer_methods_supported": ["header"],
        "resource_name": "TenDays",
        "resource_documentation": issuer + "/docs",
    }


# --- the two that ask for credentials ---------------------------------------------------------------


async def _attempt(desk: Desk, request: Request, act: Any) -> Response:  # noqa: ANN401  (one of the two below)
    """Form, credentials, allowance, then the act; every refusal in the form of RFC 6749 section 5.2."""
    standing = None
    key: tuple[str, str] | None = None
    try:
        form = await _form(request)
        given, refused = _credentials(form, request.headers.get("authorization"))
        key = (given.client_id[:_LONGEST_KEY] if given else "", _remote(request))
        standing = desk.rates.spend(key)
        if not standing.allowed:
            return _refusal(429, "rate_limited", "Too many attempts. See Retry-After.", standing)
        if given is None:
            raise refused  # noqa: TRY301  (one form for every refusal)
        response: Response = await act(desk, form, given)
    except OAuthRefusal as error:
        status = 401 if error.code == "invalid_client" else 400
        return _refusal(status, error.code, error.detail, standing)
    except Exception:  # a reason of ours, whatever it is: the attempt was none
        if key is not None:
            desk.rates.give_back(key)
        raise
    response.headers.update(standing.headers())
    return response


async def _grant(desk: Desk, form: Mapping[str, str], given: Credentials) -> Response:
    issued = await service.grant_token(
        desk.db,
        desk.tokens,
        given,
        grant_type=form.get("grant_type"),
        scope=form.get("scope"),
        audiences=desk.audiences,
        now=wall_now(),
        development=desk.development,
    )
    answer = {
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": issued.scope,
    }
    return _json(answer, 200, _NO_STORE)


async def _revoke(desk: Desk, form: Mapping[str, str], given: Credentials) -> Response:
    await service.revoke_token(
        desk.db, desk.tokens, given, token=form.get("token"), audiences=desk.audiences, now=wall_now()
    )
    return Response(status_code=200, headers=_NO_STORE)


def _credentials(
    form: Mapping[str, str], authorization: str | None
) -> tuple[Credentials, OAuthRefusal] | tuple[None, OAuthRefusal]:
    """The credentials, or the refusal to give once the attempt has been counted."""
    nothing = OAuthRefusal("invalid_client", "The client did not authenticate.")
    try:
        return service.credentials_in(form, authorization), nothing
    except OAuthRefusal as refused:
        return None, refused


async def _form(request: Request) -> dict[str, str]:
    """The fields of the body; a blank one counts as omitted, one given twice is refused (RFC 6749 section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthRefusal("invalid_request", f"Send the parameters as {_FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise OAuthRefusal("invalid_request", f"The body has {_LARGEST_BODY} bytes at most.")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise OAuthRefusal("invalid_request", "The body is not a form in UTF-8.") from None
    if len(fields) != len({name for name, _ in fields}):
        raise OAuthRefusal("invalid_request", "A parameter is given twice.")
    return {name: value for name, value in fields if value}


def _remote(request: Request) -> str:
    return request.client.host if request.client else ""


def _refusal(status: int, error: str, description: str, standing: Standing | None) -> Response:
    headers = dict(_NO_STORE)
    if standing is not None:
        headers |= standing.headers()
    if status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = 'Basic realm="tendays", charset="UTF-8"'
    return _json({"error": error, "error_description": description}, status, headers)


def _json(content: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    return Response(
        orjson.dumps(content), status_code=status, media_type="application/json", headers=dict(headers)
    )


def _cached(content: Mapping[str, Any], seconds: int) -> Response:
    return _json(content, 200, {"Cache-Control": f"public, max-age={seconds}"})


# --- the contract -----------------------------------------------------------------------------------


def _shown(
    example: Mapping[str, Any], status: int = 200, text: str = "OK"
) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": text, "content": {"application/json": {"example": dict(example)}}}}


def _body(properties: Mapping[str, str], required: list[str], examples: Mapping[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": required,
        "properties": {name: {"type": "string", "description": text} for name, text in properties.items()},
    }
    content = {
        _FORM: {"schema": schema, "examples": {name: {"value": one} for name, one in examples.items()}}
    }
    return {"requestBody": {"required": True, "content": content}, "security": [{}]}


_AUTHENTICATION: Final = {
    "client_id": "The client's id; not needed with HTTP Basic.",
    "client_secret": "The secret (`client_secret_post`); or send both by HTTP Basic (`client_secret_basic`).",
    "client_assertion_type": f"`{service.ASSERTION_TYPE}` (`private_key_jwt`).",
    "client_assertion": "A JWT signed with a registered key: `iss` = `sub` = client id, `aud` the issuer, `exp` "
    "within five minutes, a fresh `jti`.",
}
_POST_SECRET: Final = {"client_id": "0198c0de-0000-7000-8000-000000000001", "client_secret": "tds_live_…"}
_SIGNED: Final = {
    "client_assertion_type": service.ASSERTION_TYPE,
    "client_assertion": "eyJhbGciOiJFUzI1NiJ9.…",
}
_REFUSED: Final = {
    **_shown({"error": "invalid_scope", "error_description": "…"}, 400, "The request is wrong (RFC 6749)."),
    **_shown({"error": "invalid_client", "error_description": "…"}, 401, "Nobody we know."),
    **_shown({"error": "rate_limited", "error_description": "…"}, 429, "Too many attempts; see Retry-After."),
}
_TOKEN_DOC: Final[dict[str, Any]] = {
    "responses": {
        **_shown(
            {"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 900, "scope": "slots:search"}
        ),
        **_REFUSED,
    },
    "openapi_extra": _body(
        {
            "grant_type": f"`{service.GRANT_TYPE}`.",
            "scope": "Scopes separated by spaces; without it, all the client has.",
            **_AUTHENTICATION,
        },
        ["grant_type"],
        {
            "secret": {
                "grant_type": service.GRANT_TYPE,
                "scope": "slots:search bookings:write",
                **_POST_SECRET,
            },
            "private_key_jwt": {"grant_type": service.GRANT_TYPE, **_SIGNED},
        },
    ),
}
_REVOKE_DOC: Final[dict[str, Any]] = {
    "responses": {200: {"description": "The token is dead, or was never yours."}, **_REFUSED},
    "openapi_extra": _body(
        {"token": "The access token.", "token_type_hint": "`access_token`; not needed.", **_AUTHENTICATION},
        ["token"],
        {"secret": {"token": "eyJ…", **_POST_SECRET}},
    ),
}
