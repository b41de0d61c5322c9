"""For every operation of the contract a request that works, and every place in it where a value may stand.

The body is the example of the contract with ids of this world. What an example cannot know (a booking in the right
state, the day of a visit) is in `Scene`. All of it runs in transactions that are undone, so each request finds the
same world.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from sqlalchemy import text

from app.access.scopes import allowed_for
from app.core.db import Database
from app.core.ids import new_id
from tests.encounters.day import visit
from tests.proof.readers import EVERYBODY
from tests.proof.rows import Row
from tests.proof.test_strangers import _DOCUMENT, OPERATIONS, Operation, _resolved
from tests.world import KINDS, World

Schema = dict[str, Any]
Place = tuple[str | int, ...]
COMPONENTS: Schema = _DOCUMENT["components"]
HOLE = "@@value@@"


@dataclass(frozen=True)
class Request:
    """Who sends what where, and at which minute of the domain clock."""

    operation: Operation
    who: str
    path: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    clock: datetime | None = None
    if_match: str = '"v1"'
    media: str = "application/json"

    @property
    def schema(self) -> Schema | None:
        """The schema of a JSON body."""
        content = self.operation.document.get("requestBody", {}).get("content", {}).get("application/json")
        return content["schema"] if content else None

    def raw(self, place: Place, value: bytes) -> bytes:
        """The body with these raw bytes at a place."""
        assert self.schema is not None
        with_hole = _with(self.schema, self.body, place, HOLE)
        return orjson.dumps(with_hole, default=str).replace(b'"' + HOLE.encode() + b'"', value)


# --- places -----------------------------------------------------------------------------------------


def places(schema: Schema, at: Place = ()) -> Iterator[tuple[Place, Schema]]:
    """Every member and every item of a body, with its schema; arrays have one item."""
    schema = _resolved(schema)
    if at:
        yield at, schema
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from ((place, inner) for place, inner in places(choice, at) if place != at)
    for name, inner in schema.get("properties", {}).items():
        yield from places(inner, (*at, name))
    if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
        yield from places(schema["additionalProperties"], (*at, "any"))
    if "items" in schema:
        yield from places(schema["items"], (*at, 0))


def _with(schema: Schema, body: Any, at: Place, value: Any) -> Any:
    """The body with a value at a place; what has to stand around it and is missing is made from the schema."""
    if not at:
        return value
    schema = _object_or_array(schema)
    if isinstance(at[0], int):
        items = list(body) if body else [sample(schema["items"])]
        items[0] = _with(schema["items"], items[0], at[1:], value)
        return items
    whole = dict(body) if isinstance(body, dict) else sample(schema)
    inner = schema.get("properties", {}).get(at[0]) or schema.get("additionalProperties") or {}
    return whole | {at[0]: _with(inner, whole.get(at[0]), at[1:], value)}


def _object_or_array(schema: Schema) -> Schema:
    schema = _resolved(schema)
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found = _object_or_array(choice)
        if "properties" in found or "items" in found or "additionalProperties" in found:
            return found
    return schema


def sample(schema: Schema) -> Any:  # noqa: PLR0911  (one answer per kind of schema)
    """A value that fits a schema: its example, else the least that does."""
    schema = _resolved(schema)
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    for known in ("example", "const"):
        if known in schema:
            return schema[known]
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"] or schema.get("allOf", [])
    if choices:
        return sample(choices[0])
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [sample(schema["items"])] * schema.get("minItems", 0)
    formats = {"date": "2026-11-10", "date-time": "2026-12-15T10:00:00Z", "uuid": str(new_id())}
    plain = {"integer": schema.get("minimum", 1), "number": 1, "boolean": True, "null": None}
    return formats.get(schema.get("format", "")) or plain.get(str(kind), "a text")


# --- requests that work -----------------------------------------------------------------------------


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
        self._tokens: dict[tuple[str, str], str] = {}
        self._clock: datetime | None = None

    async def send(self, request: Request, body: Any = None, *, query: str = "", path: str | None = None) -> Any:
        """`body` and `query` in place of the request's own."""
        if request.clock != self._clock:
            await self.world.move_clock(request.clock)
            self._clock = request.clock
        body = request.body if body is None else body
        if body is None and request.operation.method == "POST":
            body = {}
        asked = "&".join([f"{name}={quote(value)}" for name, value in request.query.items()] + ([query] if query else []))
        more = {
            "Authorization": f"Bearer {self.token(request.who, request.operation.scope)}",
            "If_Match": request.if_match,
            "Content_Type": request.media,
        }
        target = (path or request.path) + (f"?{asked}" if asked else "")
        return await self.world.send(None, request.operation.method, target, body, **more)

    def token(self, who: str, scope: str) -> str:
        token = self._tokens.get((who, scope))
        if token is None:
            every = allowed_for(KINDS.get(who, "employer"), development=True)
            issued = self.world.app.state.house.doorkeeper.issue(
                client_id=self.world.clients[who], org_id=self.world.ids[who],
                org_kind=KINDS.get(who, "employer"), scopes=every | {scope},
            )  # fmt: skip
            token = self._tokens[who, scope] = str(issued.token)
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
        if thing and is_id and isinstance(_at(body, place), str):
            body = _with(schema, body, place, str(thing.id_in(full)))
    return body


def _at(body: Any, place: Place) -> Any:
    for key in place:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            return None
    return body


async def requests_that_work(world: World, full: dict[str, Row], scene: Scene) -> tuple[list[Request], dict[str, Any]]:
    """One for each operation, and by operation what the last refusal said where there is none."""
    sender, found, refused = Sender(world), list[Request](), dict[str, Any]()
    for operation in OPERATIONS:
        name = str(operation)
        named = scene.who.get(name)
        for who in [named] if named else sorted(EVERYBODY):
            request = request_of(operation, full, scene, who)
            answer = await sender.send(request)
            for version in range(2, 4):  # what has been moved once has another version
                if answer.status_code == 412:
                    request = replace(request, if_match=f'"v{version}"')
                    answer = await sender.send(request)
            if answer.status_code < 300:
                found.append(request)
                refused.pop(name, None)
                break
            if answer.status_code not in {403, 404} or name not in refused:
                refused[name] = (who, answer.status_code, answer.text[:600])
    return found, refused


# --- the scene ----------------------------------------------------------------------------------------


@asynccontextmanager
async def scene_of(world: World, full: dict[str, Row]) -> AsyncIterator[Scene]:
    """Bookings in every state, a visit under way, and bodies where the example speaks of what is not there."""
    scene = Scene()
    async with AsyncExitStack() as stack:
        await _bookings(world, scene)
        await _the_day(world, scene, stack)
        await _programmes(world, full, scene)
        await _others(world, full, scene)
        await world.move_clock(None)
        yield scene


def _on(scene: Scene, move: str, booking: str, who: str) -> None:
    name = f"POST /v1/bookings/{{booking_id}}/{move}"
    scene.who[name], scene.ids[name] = who, {"booking_id": booking}


async def _bookings(world: World, scene: Scene) -> None:
    for move, who, state in (
        ("confirm", "employer_a", "requested"),
        ("decline", "employer_a", "requested"),
        ("cancel", "school_a", "confirmed"),
        ("counter", "employer_a", "requested"),
        ("accept-counter", "school_a", "requested"),
        ("reschedule", "school_a", "confirmed"),
        ("participants", "school_a", "confirmed"),
    ):
        _on(scene, move, (await world.booking(state=state))["id"], who)
    other = await world.slot()
    counter = "POST /v1/bookings/{booking_id}/counter"
    scene.body[counter] = {"reason_code": "date_unsuitable", "slot_id": str(other)}
    scene.body["POST /v1/bookings/{booking_id}/cancel"] = {"reason_code": "transport"}
    scene.body["POST /v1/bookings/{booking_id}/reschedule"] = {"slot_id": str(await world.slot())}
    booking = scene.ids["POST /v1/bookings/{booking_id}/accept-counter"]["booking_id"]
    asked = await world.post("employer_a", f"/v1/bookings/{booking}/counter", {"reason_code": "date_unsuitable", "slot_id": str(await world.slot())})
    assert asked.status_code == 200, asked.text
    pupils = [{"pupil_id": str(await world.pupil("school_a"))} for _ in range(2)]
    scene.body["POST /v1/bookings/{booking_id}/participants"] = {"pupils": pupils}
    named = (await world.booking(state="confirmed"))["id"]
    answer = await world.post("school_a", f"/v1/bookings/{named}/participants", {"pupils": [{"pupil_id": str(await world.pupil("school_a"))}]})
    name = "POST /v1/bookings/{booking_id}/participants/{participation_id}/withdraw"
    scene.who[name] = "school_a"
    scene.ids[name] = {"booking_id": named, "participation_id": answer.json()["data"][0]["id"]}


async def _the_day(world: World, scene: Scene, stack: AsyncExitStack) -> None:
    day = await stack.enter_async_context(visit(world, 3))
    arrivals = "POST /v1/bookings/{booking_id}/arrivals"
    attendance = "POST /v1/bookings/{booking_id}/attendance"
    close = "POST /v1/bookings/{booking_id}/sittings/{sitting_id}/close"
    criteria = "POST /v1/bookings/{booking_id}/criteria"
    for name, who, minutes in ((arrivals, "employer_a", 5), (attendance, "employer_a", 130), (close, "school_a", 130), (criteria, "school_a", 200)):
        scene.who[name], scene.ids[name] = who, {"booking_id": day.booking, "sitting_id": day.sittings[0]}
        scene.clock[name] = day.starts + timedelta(minutes=minutes)
    scene.ids[arrivals].pop("sitting_id"), scene.ids[attendance].pop("sitting_id"), scene.ids[criteria].pop("sitting_id")
    there = (day.starts + timedelta(minutes=2)).isoformat()
    scene.body[arrivals] = {"arrivals": [{"participation_id": day.parts[0], "arrived_at": there}], "missing": [day.parts[1]], "sitting_id": day.sittings[0]}
    scene.body[attendance] = {
        "sitting_id": day.sittings[0],
        "reports": [
            {"participation_id": day.parts[0], "status": "present"},
            {"participation_id": day.parts[1], "status": "late", "arrived_at": (day.starts + timedelta(minutes=20)).isoformat()},
        ],
    }
    over = await stack.enter_async_context(visit(world, 1))
    await over.at(130)
    reported = await over.all_present("employer_a")
    assert reported.status_code == 200, reported.text
    scene.ids[criteria]["booking_id"] = over.booking
    scene.clock[criteria] = over.starts + timedelta(minutes=200)


async def _programmes(world: World, full: dict[str, Row], scene: Scene) -> None:
    base = "/v1/programmes/{programme_id}"
    body = {"name": "Sweep", "starts_on": "2026-09-01", "ends_on": "2027-07-31", "budget_pence": 10_000_000}
    path = (await world.post("hub_a", "/v1/programmes", body)).headers["location"]
    programme = path.rpartition("/")[2]
    strand = (await world.post("hub_a", f"{path}/strands", {"code": "tours", "name": "Tours"})).json()
    assert "id" in strand, strand
    spare = (await world.post("hub_a", f"{path}/strands", {"code": "spare", "name": "Spare"})).json()["id"]
    scene.ids[f"DELETE {base}/strands/{{strand_id}}"] = {"programme_id": programme, "strand_id": spare}
    scene.ids[f"POST {base}/schools"] = {"programme_id": programme}
    scene.body[f"POST {base}/schools"] = {"school_id": str(world["school_c"]), "joined_on": "2026-09-01", "own_budget": "too_little", "strand_id": strand["id"]}
    scene.ids[f"POST {base}/allocations"] = {"programme_id": programme}
    invited = (await world.post("hub_a", f"{path}/schools", {"school_id": str(world["school_b"]), "state": "invited"})).json()
    joined = await world.post("hub_a", f"{path}/schools", {"school_id": str(world["school_a"])})
    assert joined.status_code == 201, joined.text
    for move in ("accept", "decline"):
        name = f"POST {base}/schools/{{enrolled_id}}/{move}"
        scene.who[name], scene.ids[name] = "school_b", {"programme_id": programme, "enrolled_id": invited.get("id")}
    scene.body[f"POST {base}/allocations"] = {"amount_pence": 50_000, "school_id": str(world["school_a"])}
    other = await world.post("hub_a", f"{path}/schools", {"school_id": str(world["school_c"])})
    allocated = await world.post("hub_a", f"{path}/allocations", {"amount_pence": 50_000, "school_id": str(world["school_c"])})
    assert allocated.status_code == 201, (allocated.text, other.text)
    scene.ids[f"DELETE {base}/allocations/{{allocation_id}}"] = {"programme_id": programme, "allocation_id": allocated.json()["id"]}


async def _others(world: World, full: dict[str, Row], scene: Scene) -> None:
    offer = _example_of("POST /v1/offers") | {"site_ref": None, "site_id": str(world["employer_a.site"])}
    offer = {name: value for name, value in offer.items() if name not in {"site_ref", "supervisor_id", "contact_id"}}
    made = await world.post("employer_a", "/v1/offers", {**offer, "external_ref": "TOUR-9"})
    assert made.status_code == 201, made.text
    offer_id = made.json()["id"]
    scene.body["POST /v1/offers"] = offer
    scene.body["PUT /v1/offers/by-ref/{external_ref}"] = {k: v for k, v in offer.items() if k != "external_ref"}
    slot = {k: v for k, v in _example_of("POST /v1/slots").items() if k != "offer_ref"} | {"offer_id": offer_id}
    scene.body["POST /v1/slots"] = slot
    scene.body["POST /v1/slots/bulk"] = {"slots": [{**slot, "external_ref": None}]}
    scene.body["PUT /v1/slots/by-ref/{external_ref}"] = {k: v for k, v in slot.items() if k != "external_ref"}
    for name in ("POST /v1/offers", "PUT /v1/offers/by-ref/{external_ref}", "POST /v1/slots", "POST /v1/slots/bulk",
                 "PUT /v1/slots/by-ref/{external_ref}"):  # fmt: skip
        scene.who[name] = "employer_a"
    closed = await world.slot()
    assert (await world.post("employer_a", f"/v1/slots/{closed}/close")).status_code == 200
    scene.ids["POST /v1/slots/{slot_id}/reopen"] = {"slot_id": closed}
    scene.ids["POST /v1/slots/{slot_id}/cancel"] = {"slot_id": await world.slot()}
    contact = await world.post("employer_a", "/v1/contacts", _example_of("POST /v1/contacts") | {"site_id": str(world["employer_a.site"])})
    assert contact.status_code == 201, contact.text
    scene.ids["DELETE /v1/contacts/{contact_id}"] = {"contact_id": contact.json()["id"]}
    await _agreement(world, "school_c")
    scene.who["POST /v1/grants"] = "school_c"
    scene.body["POST /v1/grants"] = _example_of("POST /v1/grants") | {"grantee_id": str(world["stranger_vendor"]), "field_groups": ["identity"]}
    scene.body["POST /v1/suspensions"] = {"employer_id": str(world["employer_a"]), "private_note": "qzx9"}
    pupil = await world.pupil("school_a")
    encounter = _example_of("POST /v1/encounters") | {"pupil_id": str(pupil), "school_id": str(world["school_a"])}
    encounter.pop("pupil_external_ref")
    scene.body["POST /v1/encounters"] = encounter
    scene.who["POST /v1/encounters"] = scene.who["POST /v1/schools/{school_id}/encounters/bulk"] = "school_a"
    row = {k: v for k, v in encounter.items() if k != "school_id"}
    scene.body["POST /v1/schools/{school_id}/encounters/bulk"] = {"encounters": [{**row, "external_ref": "sweep-0"}]}
    recorded = await world.post("school_a", "/v1/encounters", {**encounter, "external_ref": "sweep-1"})
    assert recorded.status_code == 201, recorded.text
    name = "POST /v1/encounters/{encounter_id}/corrections"
    scene.ids[name] = {"encounter_id": recorded.json()["id"]}
    scene.ids["POST /v1/webhook-endpoints/{endpoint_id}/replay"] = {"endpoint_id": await _endpoint(world)}
    scene.ids["POST /v1/webhook-endpoints/{endpoint_id}/certify"] = {"endpoint_id": await _endpoint(world)}
    world.ids["newcomer"] = await world.insert("organisations", kind="employer", name="Newcomer", urn=None)
    world.clients["newcomer"] = await world.insert("clients", org_id=world.ids["newcomer"], name="newcomer")
    scene.who["POST /v1/employer"] = "newcomer"
    school = await world.insert("organisations", kind="school", name="New School", urn="912345")
    made = await world.post("hub_a", "/v1/organisations", {"kind": "school", "name": "Newest School", "urn": "912346"})
    assert made.status_code == 201, made.text
    scene.who["POST /v1/memberships"] = "hub_b"
    scene.body["POST /v1/memberships"] = {"member_id": str(school), "starts_on": "2026-09-01"}
    first = "POST /v1/organisations/{organisation_id}/clients"
    scene.who[first], scene.ids[first] = "hub_a", {"organisation_id": made.json()["id"]}
    scene.who["POST /v1/bookings"] = "school_a"
    scene.body["POST /v1/bookings"] = _example_of("POST /v1/bookings") | {
        "school_id": str(world["school_a"]), "slot_id": str(await world.slot()), "places": 2,
    }  # fmt: skip
    for name in ("programme_id", "strand_id"):
        scene.body["POST /v1/bookings"].pop(name, None)


async def _agreement(world: World, who: str) -> None:
    body = _example_of("POST /v1/agreements")
    made = await world.post(who, "/v1/agreements", {k: v for k, v in body.items() if k != "controller_id"})
    assert made.status_code in {201, 409}, made.text


async def _endpoint(world: World) -> UUID:
    body = {"url": f"http://127.0.0.1:9/{new_id()}", "school_id": str(world["school_a"])}
    made = await world.post("school_a", "/v1/webhook-endpoints", body)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


def _example_of(name: str) -> dict[str, Any]:
    found = next(one for one in OPERATIONS if str(one) == name).body
    assert isinstance(found, dict)
    return dict(found)
