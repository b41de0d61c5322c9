"""For every operation of the contract a request that works.

The body is the example of the contract with ids of this world. What an example cannot know (a booking in the right
state, the day of a visit) is in `Scene`. All of it runs in transactions that are undone, so each request finds the
same world.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import text

from app.access.scopes import allowed_for
from app.core.db import Database
from tests.proof.readers import EVERYBODY
from tests.proof.rows import Row
from tests.proof.test_strangers import OPERATIONS, Operation
from tests.sweep.places import HOLE, Place, Schema, at_place, places, with_value
from tests.world import KINDS, World

INSTEAD_OF = {"site_ref": "site_id", "offer_ref": "offer_id", "pupil_external_ref": "pupil_id"}
"""A thing is named by one of the two."""


@dataclass(frozen=True)
class Request:
    """Who sends what where, and at which minute of the domain clock."""

    operation: Operation
    who: str
    path: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    clock: datetime | None = None
    if_match: str | None = '"v1"'
    media: str = "application/json"

    @property
    def schema(self) -> Schema | None:
        """The schema of a JSON body."""
        content = self.operation.document.get("requestBody", {}).get("content", {}).get("application/json")
        return content["schema"] if content else None

    def having(self, place: Place, value: Any) -> Any:
        """The body with a value at a place, without what may not stand beside it."""
        assert self.schema is not None
        body = with_value(self.schema, self.body, place, value)
        beside = INSTEAD_OF.get(str(place[-1]))
        return body if beside is None else _without(body, (*place[:-1], beside))

    def raw(self, place: Place, value: bytes) -> bytes:
        """The body with these raw bytes at a place."""
        return orjson.dumps(self.having(place, HOLE), default=str).replace(orjson.dumps(HOLE), value)


def _without(body: Any, place: Place) -> Any:
    if len(place) == 1:
        return {name: one for name, one in body.items() if name != place[0]}
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = _without(body[place[0]], place[1:])
    return copy


RENEWED_SECONDS = 120.0
SENDERS = ("school_a", "employer_a", "hub_a", *sorted(EVERYBODY - {"school_a", "employer_a", "hub_a"}))
"""Who is tried, those first to whom most things belong."""


class _UndoneError(Exception):
    pass


def undo_all(db: Database) -> Any:
    """From now on every writing transaction is undone after all its checks; call what is given to end that."""
    real = db.write

    @asynccontextmanager
    async def write(caller: Any) -> AsyncIterator[Any]:
        try:
            async with real(caller) as tx:
                yield tx
                await tx.run(text("SET CONSTRAINTS ALL IMMEDIATE"))
                raise _UndoneError  # noqa: TRY301  (what a transaction is undone by)
        except _UndoneError:
            pass

    db.write = write  # type: ignore[method-assign]

    def again() -> None:
        db.write = real  # type: ignore[method-assign]

    return again


@dataclass
class Scene:
    """What examples cannot know: who, which ids, what of the body, and when."""

    who: dict[str, str] = field(default_factory=dict)
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    clock: dict[str, datetime] = field(default_factory=dict)


class Sender:
    """Sends requests with a token that has the scope of the route."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._clock: datetime | None = None
        self.sent = 0

    async def send(
        self,
        request: Request,
        body: Any = None,
        *,
        query: str = "",
        path: str | None = None,
        more: dict[str, str] | None = None,
    ) -> Any:
        """`body` and `query` in place of the request's own, and `more` headers."""
        if request.clock != self._clock:
            await self.world.move_clock(request.clock)
            self._clock = request.clock
        body = request.body if body is None else body
        if body is None and request.operation.method == "POST":
            body = {}
        asked = "&".join(
            [f"{name}={quote(value)}" for name, value in request.query.items()] + ([query] if query else [])
        )
        headers = {
            "Authorization": f"Bearer {self.token(request.who, request.operation.scope)}",
            "Content_Type": request.media,
        }
        if request.if_match is not None:
            headers["If_Match"] = request.if_match
        self.sent += 1
        target = (path or request.path) + (f"?{asked}" if asked else "")
        return await self.world.send(None, request.operation.method, target, body, **(headers | (more or {})))

    def token(self, who: str, scope: str) -> str:
        """A token that lasts: those that are given out end after minutes."""
        token, since = self._tokens.get((who, scope), ("", 0.0))
        if not token or time.monotonic() - since > RENEWED_SECONDS:
            every = allowed_for(KINDS.get(who, "employer"), development=True)
            issued = self.world.app.state.house.doorkeeper.issue(
                client_id=self.world.clients[who], org_id=self.world.ids[who],
                org_kind=KINDS.get(who, "employer"), scopes=every | {scope},
            )  # fmt: skip
            token = str(issued.token)
            self._tokens[who, scope] = token, time.monotonic()
        return token


def request_of(operation: Operation, full: dict[str, Row], scene: Scene, who: str) -> Request:
    """What `who` would send."""
    name = str(operation)
    ids = {one: _id_for(operation, one, full) for one in operation.parameters} | scene.ids.get(name, {})
    path = operation.path.replace(":path}", "}")
    for parameter, value in ids.items():
        path = path.replace("{" + parameter + "}", str(value))
    body = scene.body.get(name, operation.body)
    if name not in scene.body and isinstance(body, dict):
        body = _with_real_ids(operation, body, full)
    return Request(operation, who, path, body, clock=scene.clock.get(name), media=operation.media)


def _id_for(operation: Operation, name: str, full: dict[str, Row]) -> Any:
    thing = operation.thing(name)
    return thing.id_in(full) if thing else "REF-1"


def _with_real_ids(operation: Operation, body: Any, full: dict[str, Row]) -> Any:
    schema = operation.document["requestBody"]["content"]["application/json"]["schema"]
    for place, inner in places(schema):
        name = next(one for one in reversed(place) if isinstance(one, str))
        thing = operation.thing(name)
        is_id = "uuid" in orjson.dumps(inner).decode() and not inner.get("properties")
        if thing and is_id and isinstance(at_place(body, place), str):
            body = with_value(schema, body, place, str(thing.id_in(full)))
    return body


async def requests_that_work(
    world: World, full: dict[str, Row], scene: Scene
) -> tuple[list[Request], dict[str, Any]]:
    """One for each operation, and by operation what the last refusal said where there is none."""
    sender, found, refused = Sender(world), list[Request](), dict[str, Any]()
    for operation in OPERATIONS:
        name = str(operation)
        named = scene.who.get(name)
        for who in [named] if named else SENDERS:
            request, answer = await _with_its_version(sender, request_of(operation, full, scene, who))
            if answer.status_code < 300:
                found.append(request)
                refused.pop(name, None)
                break
            if answer.status_code not in {403, 404} or name not in refused:
                refused[name] = (who, answer.status_code, answer.text[:600])
    return found, refused


async def _with_its_version(sender: Sender, request: Request) -> tuple[Request, Any]:
    """With the If-Match that is taken: what was moved once has another version, and what is not there yet has none."""
    answer = await sender.send(request)
    for version in ('"v2"', '"v3"', None):
        if answer.status_code == 412:
            request = replace(request, if_match=version)
            answer = await sender.send(request)
    return request, answer
