"""The frame of every route: who calls, how often, in which transaction, recorded once, committed before it is answered.

A route says what it needs with `@needs("scope")`; the frame does the rest in this order: token (401), scope (403),
allowance (429), media type (415), idempotency key (400), the transaction, the endpoint, the record of the answer,
the commit, the response. An endpoint that raises leaves nothing behind and the key free.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from app.core import bodies
from app.core.addresses import Policy
from app.core.caller import Caller
from app.core.db import Database, Reader, Row, Writer
from app.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Missing,
    NotFound,
    Stale,
    TooMany,
    Unauthenticated,
    invalid,
)
from app.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Cursors, Horizon, Pull
from app.core.secrets import Keyring
from app.core.versions import Expected
from app.idempotency import service as idempotency
from app.rest import bulk, urls
from app.rest.fitted import Fitted, names_of
from app.rest.models import Moment, WholeNumber
from app.rest.problems import refusal

_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_KEPT_HEADERS = ("location", "etag", "content-type")


class Doorkeeper(Protocol):
    """Turns a bearer token into a Caller, or raises Unauthenticated (room `access`)."""

    def caller_of(self, token: str) -> Caller:
        """The caller that a verified token stands for."""


class Limiter(Protocol):
    """Counts calls (room `access`)."""

    def take(self, client_id: UUID, school_id: UUID | None) -> tuple[Mapping[str, str], int | None]:
        """The RateLimit headers, and the seconds to wait if the allowance is used up."""

    def known(self, client_id: UUID, school_id: UUID) -> None:
        """The database has let this client in for this school."""


@dataclass
class House:
    """What the faces are handed at start; lives in `app.state.house`."""

    db: Database
    keyring: Keyring
    cursors: Cursors
    doorkeeper: Doorkeeper
    limiter: Limiter
    development: bool = False
    body_limit: int = 2_000_000
    body_stall: float = 30.0
    keep_answers: timedelta = timedelta(days=30)
    stopping: bool = False
    webhook_policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of its caller. `secret`: its answer holds a secret and is replayed for 24 h only.

    `discloses`: a GET that writes down what leaves a school's tenant, and so runs in a writing transaction.
    `rows`: its body is a list of this name with so many rows at most, which are read before anything is begun
    (rest/bulk.py: `request.state.rows`). `lists`: members of its body whose rows are judged one by
    one; what is wrong with their JSON is kept in `request.state.within`.
    """

    scope: str
    idempotent: bool = True
    media: tuple[str, ...] = ("application/json",)
    secret: bool = False
    discloses: bool = False
    rows: tuple[str, int] | None = None
    lists: tuple[str, ...] = ()


def needs(
    scope: str,
    *,
    idempotent: bool = True,
    media: tuple[str, ...] = ("application/json",),
    secret: bool = False,
    discloses: bool = False,
    rows: tuple[str, int] | None = None,
    lists: tuple[str, ...] = (),
) -> Callable[[Any], Any]:
    """State the scope of an endpoint, and what else is special about it (see `Need`)."""

    def mark(endpoint: Any) -> Any:  # noqa: ANN401
        endpoint.need = Need(scope, idempotent, media, secret, discloses, rows, lists)
        return endpoint

    return mark


def house_of(request: Request) -> House:
    """The House of the application that serves this request."""
    house: House = request.app.state.house
    return house


def authenticate(request: Request) -> Caller:
    """The caller behind the bearer token; 401 with WWW-Authenticate otherwise."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        missing = Unauthenticated("token_missing", "Send a bearer token; get one at POST /oauth/token.")
        missing.extra["headers"] = {"WWW-Authenticate": 'Bearer realm="tendays"'}
        raise missing
    caller = house_of(request).doorkeeper.caller_of(token.strip())
    request.scope["tendays.client_id"] = caller.client_id
    return caller


def require_scope(caller: Caller, scope: str) -> None:
    """403 unless the token has the scope."""
    if scope not in caller.scopes:
        lacking = Forbidden("insufficient_scope", f"This needs the scope {scope}.")
        lacking.extra |= {
            "required_scope": scope,
            "headers": {
                "WWW-Authenticate": f'Bearer realm="tendays", error="insufficient_scope", scope="{scope}"'
            },
        }
        raise lacking


def named_school(request: Request, caller: Caller) -> Caller:
    """The caller, narrowed to the school named in the path or the query if it is one that acts for schools."""
    raw = request.path_params.get("school_id") or request.query_params.get("school_id")
    if raw is None or caller.org_kind not in {"school", "trust", "vendor"}:
        return caller
    try:
        return caller.acting_for(UUID(str(raw)))
    except ValueError:
        raise NotFound("school") from None


class FramedRoute(APIRoute):
    """A route inside the frame."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler (parse, validate, call, serialise) in the frame."""
        fitted = Fitted(self, APIRoute.get_route_handler)
        need: Need | None = getattr(self.endpoint, "need", None)
        if need is None:
            msg = f"{self.path} does not say which scope it needs"
            raise RuntimeError(msg)
        stated: Need = need
        asked = frozenset(names_of(self.dependant)) | {"school_id"}

        async def handle(request: Request) -> Response:
            house = house_of(request)
            caller = authenticate(request)
            require_scope(caller, stated.scope)
            caller = named_school(request, caller)
            headers, wait = house.limiter.take(caller.client_id, caller.school_id)
            if wait is not None:
                raise TooMany(
                    "rate_limited",
                    "Too many requests.",
                    extra={"retry_after": wait, "headers": dict(headers)},
                )
            urls.refuse_unfit(request, asked)
            inner = fitted.to(request.query_params)
            if request.method in {"GET", "HEAD"} and not _discloses(stated, caller):
                response = await _read(request, house, caller, inner)
            else:
                response = await _write(request, house, caller, stated, inner)
            response = _unchanged(request, response)
            response.headers.update(headers)
            return response

        return handle


def _discloses(need: Need, caller: Caller) -> bool:
    """Whether something leaves the school's tenant: what a school or its trust reads of its own does not."""
    return need.discloses and caller.org_kind not in {"school", "trust"}


async def _read(
    request: Request, house: House, caller: Caller, inner: Callable[[Request], Awaitable[Response]]
) -> Response:
    async with house.db.read(caller) as tx:
        _let_in(house, caller)
        request.state.tx = tx
        response = await inner(request)
    _count(house, response, tx)
    return response


def _let_in(house: House, caller: Caller) -> None:
    """The database knows the school that was named as one of the caller's: it has an allowance of its own from now on."""
    if caller.school_id is not None:
        house.limiter.known(caller.client_id, caller.school_id)


_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def tags_in(header: str) -> list[tuple[bool, str]]:
    """The entity tags of a list, each with whether it is weak (RFC 9110 section 8.8.3); none if it is no such list."""
    found, at = [], 0
    header = re.sub(r"(?:^|(?<=,))\s*,", "", header).strip()
    while at < len(header):
        one = _TAG.match(header, at)
        if one is None:
            return []
        found.append((one[1] is not None, one[2]))
        at = one.end()
    return found


def _unchanged(request: Request, response: Response) -> Response:
    """304 to a read whose If-None-Match names what would be sent, by the weak comparison (RFC 9110 section 13.1.2)."""
    etag = response.headers.get("etag")
    header = ",".join(request.headers.getlist("if-none-match")).strip()
    if not etag or not header or request.method not in {"GET", "HEAD"} or response.status_code != 200:  # noqa: PLR2004
        return response
    held = header == "*" or etag.removeprefix("W/") in {tag for _, tag in tags_in(header)}
    if not held:
        return response
    kept = {name: value for name, value in response.headers.items() if name in _KEPT_UNCHANGED}
    return Response(status_code=304, headers=kept)


_KEPT_UNCHANGED = ("etag", "vary", "cache-control", "content-location", "server-timing")


async def _write(
    request: Request,
    house: House,
    caller: Caller,
    need: Need,
    inner: Callable[[Request], Awaitable[Response]],
) -> Response:
    body = await _body(request, house, need)
    key = _idempotency_key(request) if request.method == "POST" and need.idempotent else None
    async with house.db.write(caller) as tx:
        _let_in(house, caller)
        request.state.tx = tx
        if key:
            digest = hashlib.sha256(
                f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body
            ).digest()
            recorded = await idempotency.claim(tx, house.keyring, key, digest)
            if recorded:
                return Response(
                    recorded.body,
                    status_code=recorded.status,
                    headers={**recorded.headers, "Idempotent-Replayed": "true"},
                )
        response = await inner(request)
        if key and response.status_code < 400:  # noqa: PLR2004
            kept = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
            await idempotency.record(
                tx,
                house.keyring,
                key,
                digest,
                status=response.status_code,
                headers=kept,
                body=bytes(response.body),
                secret=need.secret,
                keep=house.keep_answers,
            )
    committed = time.time()
    _count(house, response, tx)
    if house.development:  # what bench and story measure from: the instant COMMIT returned
        response.headers["TenDays-Committed-At"] = f"{committed:.6f}"
    return response


async def _body(request: Request, house: House, need: Need) -> bytes:
    """The whole body, received before anything is begun: one that stalls or ends early has changed nothing."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > house.body_limit:
        raise bodies.too_large(house.body_limit)
    sent = await _received(request, house)
    body = await bodies.decoded(sent, request.headers.get("content-encoding", ""), house.body_limit)
    request._body = body  # noqa: SLF001  (where Starlette keeps what `body()` has read)
    media, charset = urls.media_of(request)
    if body and media not in need.media:
        raise refusal(415, "unsupported_media_type", f"Send {' or '.join(need.media)}.")
    if body and media == "application/json" and charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise refusal(415, "unsupported_media_type", "Send JSON in UTF-8.")
    if need.rows:
        request.state.rows = await bulk.rows_of(request, *need.rows)
    elif body and media == "application/json":
        _read_json(request, body, need)
    return body


def _read_json(request: Request, body: bytes, need: Need) -> None:
    if len(body) > bodies.WHOLE_AT_MOST:
        raise bodies.too_large(bodies.WHOLE_AT_MOST)
    found = bodies.as_json(body)
    around = list(found.faults)
    request.state.within = {}
    for name in need.lists:
        around, request.state.within[name] = bodies.by_row(around, name)
    if around:
        raise Invalid("invalid", "The request is not acceptable.", around)
    request._json = found.value  # noqa: SLF001  (where it keeps what `json()` has parsed, which FastAPI asks for)


async def _received(request: Request, house: House) -> bytes:
    parts: list[bytes] = []
    size = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            part = await asyncio.wait_for(anext(stream, None), house.body_stall)
        except TimeoutError:
            raise refusal(408, "body_stalled", f"Nothing came for {house.body_stall:.0f} s.") from None
        if part is None:
            return b"".join(parts)
        size += len(part)
        if size > house.body_limit:
            raise bodies.too_large(house.body_limit)
        parts.append(part)


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not key:
        raise refusal(400, "idempotency_key_missing", "Every POST needs the header Idempotency-Key.")
    if not _KEY.match(key):
        raise refusal(400, "idempotency_key_invalid", "Idempotency-Key is 1 to 255 visible ASCII characters.")
    return key


def _count(house: House, response: Response, tx: Reader | Writer) -> None:
    if house.development:
        response.headers["Server-Timing"] = f'sql;desc="{tx.statements} statements"'


# These are `async` although they wait for nothing: FastAPI sends a plain function to a thread, for each request.


async def _reading(request: Request) -> Reader:
    tx: Reader = request.state.tx
    return tx


async def _writing(request: Request) -> Writer:
    tx: Writer = request.state.tx
    return tx


async def _if_match(request: Request) -> Expected:
    header = ",".join(request.headers.getlist("if-match")).strip()
    if not header:
        raise Missing("if_match_required", "Send If-Match with the ETag you read.")
    return version_of(header)


async def _house(request: Request) -> House:
    return house_of(request)


Read = Annotated[Reader, Depends(_reading)]
Write = Annotated[Writer, Depends(_writing)]
InHouse = Annotated[House, Depends(_house)]
IfMatch = Annotated[Expected, Depends(_if_match)]
"""The versions that If-Match names; 428 without the header. The service raises Stale if the present one is none of them."""


Match = Annotated[
    str | None, Header(alias="If-Match", description="The ETag you read; optional: 412 if it is old.")
]
"""Where If-Match may be left out; `version_of` reads it."""


def version_of(match: str | None) -> Expected:
    """The versions that an If-Match names which may be left out, None for any. Stale if it names none of ours.

    The comparison is the strong one (RFC 9110 section 13.1.1): a weak tag never matches.
    """
    if match is None or match.strip() == "*":
        return None
    found = [_VERSION.fullmatch(tag) for weak, tag in tags_in(match) if not weak]
    versions = frozenset(int(one[1]) for one in found if one)
    if not versions:
        raise Stale
    return versions


def refuse_unless_there(match: str | None, *, made: bool) -> None:
    """For a PUT of what has no version and so no ETag: only `*` can match, and only what was there. Raises Stale."""
    if match is not None and (made or match.strip() != "*"):
        raise Stale


_VERSION = re.compile(r'"v([0-9]{1,10})(?:\.[0-9]{1,10})?"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page is wanted, and of a list that tells what changed, since when."""

    request: Request
    limit: int
    cursor: str | None
    since: Horizon | None = None
    updated_after: datetime | None = None

    def after(self, scope: str) -> list[Any] | None:
        """The key after which the page begins, or None for the first page."""
        if not self.cursor:
            return None
        return house_of(self.request).cursors.read(self._bound(scope), self.cursor)

    def after_id(self, scope: str) -> UUID | None:
        """The same, where the key is one id."""
        key = self.after(scope)
        return UUID(key[0]) if key else None

    def pull(self, scope: str) -> Pull:
        """The page of a list that tells what changed. The cursor carries the horizon of the first page at its end."""
        values = self.after(scope)
        return Pull(
            self.limit,
            (*values[:-2], UUID(values[-2])) if values else None,
            self.since.settled if self.since else None,
            self.updated_after,
        )

    def made(self, scope: str, values: Sequence[Any]) -> str:
        """The cursor after a row whose key is `values`."""
        return house_of(self.request).cursors.make(self._bound(scope), values)

    def _bound(self, scope: str) -> str:
        """A cursor belongs to one organisation, one path and one set of filters; how many rows a page has may change."""
        asked = sorted(
            (name, value)
            for name, value in self.request.query_params.multi_items()
            if name not in {"after", "limit"}
        )
        caller: Caller = self.request.state.tx.caller
        return f"{scope} {caller.org_id} {self.request.scope['path']} {urlencode(asked)}"


async def _turn(
    request: Request,
    limit: Annotated[WholeNumber, Query(ge=1, le=MAX_LIMIT, description="Rows per page.")] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(description="The cursor `next` of the page before.")] = None,
) -> Turn:
    return Turn(request, limit, after)


Paged = Annotated[Turn, Depends(_turn)]


async def _turn_of_changes(
    turn: Paged,
    changed_since: Annotated[
        str | None,
        Query(
            max_length=40,
            description="What changed since the page that gave this `horizon`, in the order of changes. Some rows may "
            "come again; none is left out. 410 `position_gone` or 409 `position_ahead` if the data were restored since.",
        ),
    ] = None,
    updated_after: Annotated[
        Moment | None,
        Query(
            description="Changed after this time, with an offset. What changed up to 6 minutes before it comes again, "
            "so that nothing is left out; `changed_since` repeats less."
        ),
    ] = None,
) -> Turn:
    if changed_since is not None and updated_after is not None:
        raise invalid("?updated_after", "not_here", "Send either changed_since or updated_after.")
    since = None if changed_since is None else Horizon.read(changed_since)
    if changed_since is not None and since is None:
        raise invalid("?changed_since", "bad_horizon", "Send the `horizon` of a page of this list.")
    return replace(turn, since=since, updated_after=updated_after)


Pulled = Annotated[Turn, Depends(_turn_of_changes)]
"""For a list that tells what changed: its statement is made by `core.sql.pulled`, its answer by `page_of_pull`."""


def page_of(
    turn: Turn,
    scope: str,
    rows: Sequence[Row],
    key: tuple[str, ...],
    show: Callable[[Row], Mapping[str, Any]],
) -> Response:
    """`{"data": [...], "next": cursor or null}` with `Link: rel="next"`.

    `rows` holds one row more than the page if there is a next one; `key` names the columns of the sort key.
    """
    shown = list(rows[: turn.limit])
    more = len(rows) > turn.limit
    cursor = turn.made(scope, [shown[-1][name] for name in key]) if more else None
    response = json_answer({"data": [show(row) for row in shown], "next": cursor})
    return _linked(turn, cursor, response)


def _linked(turn: Turn, cursor: str | None, response: Response) -> Response:
    if cursor:
        query = [(name, value) for name, value in turn.request.query_params.multi_items() if name != "after"]
        query.append(("after", cursor))
        response.headers["Link"] = f'<{turn.request.scope["path"]}?{urlencode(query)}>; rel="next"'
    return response


def page_of_pull(
    turn: Turn,
    scope: str,
    rows: Sequence[Row],
    show: Callable[[Row], Mapping[str, Any]],
) -> Response:
    """As `page_of`, with `horizon`: the mark of the first page, so that whoever keeps the last one's misses nothing.

    `rows` come from `core.sql.pulled`. Raises Problem `position_gone` (410) or `position_ahead` (409).
    """
    horizon = horizon_of(turn, scope, rows)
    found = [row for row in rows if row["id"] is not None]
    shown = found[: turn.limit]
    cursor = None
    if len(found) > turn.limit:
        last = shown[-1]
        key = [last["changed_seq"], last["id"]] if turn.since or turn.updated_after else [last["id"]]
        cursor = turn.made(scope, [*key, horizon])
    response = json_answer({"data": [show(row) for row in shown], "next": cursor, "horizon": horizon})
    return _linked(turn, cursor, response)


def horizon_of(turn: Turn, scope: str, rows: Sequence[Row]) -> str:
    """The horizon to answer with. Raises Problem for one that was sent and is of another history, or ahead of this."""
    text = str(rows[0]["horizon"])
    mark = Horizon.read(text)
    values = turn.after(scope)
    for sent in (turn.since, Horizon.read(values[-1]) if values else None):
        if sent is None or mark is None:
            continue
        if sent.epoch != mark.epoch:
            raise refusal(
                410,
                "position_gone",
                "This horizon is of an earlier history of the data, which have been restored since. Read the whole list "
                "again without changed_since, and go on from the horizon that it gives.",
            )
        if sent.settled > mark.settled:
            raise Conflict(
                "position_ahead",
                "This horizon is ahead of these data. Ask again in a moment; if it stays so, read the whole list again "
                "without changed_since, and go on from the horizon that it gives.",
                extra={"retry_after": 5},
            )
    return values[-1] if values else text


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401
    """JSON by orjson: UUIDs as text, datetimes as RFC 3339 UTC with `Z`."""
    body = orjson.dumps(content, option=orjson.OPT_UTC_Z, default=str)
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def one_answer(
    content: Mapping[str, Any], *, version: int | None = None, location: str | None = None, status: int = 200
) -> Response:
    """One thing, with its ETag (`"v<version>"`) and, where it was made, its Location."""
    headers = {}
    if version is not None:
        headers["ETag"] = f'"v{version}"'
    if location:
        headers["Location"] = location
    return json_answer(content, status, headers)


def framed(prefix: str, tag: str) -> APIRouter:
    """A router whose routes are inside the frame."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=FramedRoute)


def known(word: str | None, allowed: tuple[str, ...], where: str) -> None:
    """Refuse a query parameter that is not one of an enumeration."""
    if word is not None and word not in allowed:
        raise invalid(where, "not_one_of", f"One of: {', '.join(allowed)}.")
