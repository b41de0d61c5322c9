"""Every route against every kind of stranger: 404 as if nothing were there, and nothing changed.

The routes are read from the routers, the bodies are the examples of the contract, the things are the rows of `full`.
A path parameter or an id in a body that is not in `THINGS` or `NOT_FOREIGN` fails here by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest
from fastapi.routing import APIRoute

from app.core.ids import new_id
from app.graphql.ids import node_id
from app.rest.routes import ROUTERS
from tests.proof.readers import EVERYBODY, READERS, SCHOOL_SIDE
from tests.proof.rows import Row
from tests.today import date_in
from tests.world import KINDS, World

Schema = dict[str, Any]


@dataclass(frozen=True)
class Thing:
    """What an id may name: the row of `full` in a table, and who may know of it."""

    table: str
    readers: frozenset[str] | None = None
    column: str = "id"

    def id_in(self, full: dict[str, Row]) -> UUID:
        found: UUID = full[self.table][self.column]
        return found

    @property
    def strangers(self) -> list[str]:
        return sorted(EVERYBODY - (READERS[self.table] if self.readers is None else self.readers))


THINGS: dict[str, Thing] = {
    "agreement_id": Thing("agreements"),
    "allocation_id": Thing("allocations"),
    "approval_id": Thing("approvals"),
    "approver_id": Thing("approvals", column="approver_id"),
    "booking_id": Thing("bookings"),
    "certification_id": Thing("certifications"),
    "client_id": Thing("clients"),
    "contact_id": Thing("contacts"),
    "controller_id": Thing("agreements", column="controller_id"),
    "cost_id": Thing("costs"),
    "cover_id": Thing("covers"),
    "delivery_id": Thing("deliveries"),
    "encounter_id": Thing("encounters"),
    "endpoint_id": Thing("webhook_endpoints"),
    "enrolled_id": Thing("programme_schools"),
    "event_id": Thing("events"),
    "grant_id": Thing("grants"),
    "grantor_id": Thing("grants", column="grantor_id"),
    "membership_id": Thing("memberships"),
    "missing": Thing("participations"),
    "no_show_id": Thing("no_shows"),
    "offer_id": Thing("offers"),
    "organisation_id": Thing("organisations"),
    "participation_id": Thing("participations"),
    "participation_ids": Thing("participations"),
    "programme_id": Thing("programmes"),
    "pupil_id": Thing("enrolments"),
    "replay_id": Thing("webhook_replays"),
    "school_id": Thing("organisations", SCHOOL_SIDE),
    "site_id": Thing("sites"),
    "sitting_id": Thing("sittings"),
    "slot_id": Thing("slots"),
    "strand_id": Thing("strands"),
    "suspension_id": Thing("suspensions"),
    "target_id": Thing("targets"),
}
ELSEWHERE: dict[str, dict[str, Thing]] = {
    "/v1/programmes/{programme_id}/schools": {"school_id": Thing("organisations")},
    "/v1/programmes/{programme_id}/allocations": {"school_id": Thing("organisations")},
    "/v1/programmes/{programme_id}/costs": {
        "school_id": Thing("programme_schools", column="school_id"),
        "booking_id": Thing(
            "bookings", READERS["bookings"] | {"hub_a"}
        ),  # its owner records costs by booking
    },
    "/v1/open-slots/{slot_id}": {"slot_id": Thing("open_slots", column="slot_id")},
    "/v1/schools/{school_id}/accepted-approvers/{org_id}": {"org_id": Thing("organisations", EVERYBODY)},
}
"""Where a name means something else than it usually does: a programme needs to know of the school, not its pupils."""
NOT_FOREIGN = {
    "external_ref": "the caller's own reference: see the test of two employers with one reference",
    "grantee_id": "a controller may grant to any organisation by its id",
    "member_id": "a parent names a member; a trust is answered by the school's own word",
    "parent_id": "as member_id",
    "employer_id": "every school's side may know of every employer",
    "audience_ids": "an employer may show an offer to any school, hub or programme it knows the id of",
    "except_school_ids": "an exception opens nothing",
    "predecessor_id": "the school a registrar says it follows",
    "counter_slot_id": "read only",
}


@dataclass(frozen=True)
class Operation:
    """One route with one method."""

    method: str
    path: str
    scope: str
    document: Schema

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return [part.partition("}")[0].partition(":")[0] for part in self.path.split("{")[1:]]

    def thing(self, name: str) -> Thing | None:
        return ELSEWHERE.get(self.path, {}).get(name) or THINGS.get(name)

    @property
    def body(self) -> Any:
        """The example of the contract: a body the route takes."""
        content = self.document.get("requestBody", {}).get("content", {})
        if not content:
            return None
        media, said = next(iter(content.items()))
        example = _example(said)
        assert example is not None, f"{self}: its body has no example"
        return example if media == "application/json" else str(example).encode()

    @property
    def media(self) -> str:
        """What it takes: JSON, or the first kind of file."""
        return next(iter(self.document.get("requestBody", {}).get("content", {})), "application/json")


def _example(said: Schema) -> Any:
    if "example" in said:
        return said["example"]
    if "examples" in said:
        first = next(iter(said["examples"].values()))
        return first["value"] if isinstance(first, dict) and "value" in first else first
    schema = _resolved(said.get("schema", {}))
    found = schema.get("examples") or ([schema["example"]] if "example" in schema else [])
    return found[0] if found else None


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = _DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _document() -> Schema:
    """The contract, made as it is published."""
    from app.published import documents  # noqa: PLC0415  (once, while the tests are collected)

    found: Schema = orjson.loads(documents()["openapi.json"])
    return found


_DOCUMENT = _document()


def _operations() -> Iterator[Operation]:
    for route in (one for router in ROUTERS for one in router.routes if isinstance(one, APIRoute)):
        for method in sorted(route.methods):
            document = _DOCUMENT["paths"].get(route.path_format, {}).get(method.lower())
            assert document is not None, f"{method} {route.path_format} is not in the contract"
            yield Operation(method, route.path_format, route.endpoint.need.scope, document)


OPERATIONS = tuple(_operations())
WITH_ID = [one for one in OPERATIONS if set(one.parameters) - set(NOT_FOREIGN)]
LISTS = [one for one in OPERATIONS if one.method == "GET" and set(one.parameters) <= {"school_id"}]


class Stranger:
    """Sends as an organisation whose token has every scope of its kind, and the scope of the route."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._tokens: dict[tuple[str, str], str] = {}

    async def send(self, who: str, operation: Operation, path: str, body: Any = None) -> Any:
        token = self._tokens.get((who, operation.scope))
        if token is None:
            every = self.world.app.state.house.doorkeeper.caller_of(self.world.tokens[who]).scopes
            token = self.world.token(who, every | {operation.scope})
            self._tokens[who, operation.scope] = token
        more = {"Authorization": f"Bearer {token}", "Content_Type": operation.media}
        if "/by-ref/" not in path:  # a PUT that makes something has no version to match
            more["If_Match"] = '"v1"'
        body = operation.body if body is None else body
        if body is None and operation.method in {"POST", "PUT", "PATCH"}:
            body = {} if operation.method == "POST" else None
        return await self.world.send(who, operation.method, path, body, **more)


@pytest.fixture(scope="module")
def stranger(world: World) -> Stranger:
    return Stranger(world)


def _filled(operation: Operation, values: dict[str, Any]) -> str:
    path = operation.path.replace(":path}", "}")
    for name, value in values.items():
        path = path.replace("{" + name + "}", str(value))
    assert "{" not in path, f"{operation}: no real thing for {path}: add its parameter to THINGS"
    return path


def _foreign(operation: Operation, full: dict[str, Row]) -> dict[str, Any]:
    """A real, foreign thing for every parameter of the path."""
    values: dict[str, Any] = {}
    for name in operation.parameters:
        thing = operation.thing(name)
        assert thing or name in NOT_FOREIGN, f"{operation}: say in THINGS what {name} is"
        values[name] = thing.id_in(full) if thing else "REF-1"
    return values


def _strangers_to(operation: Operation) -> list[str]:
    """Those who may know of none of the things in its path (of the outermost, where they are nested)."""
    things = [operation.thing(name) for name in operation.parameters if operation.thing(name)]
    return things[0].strangers if things and things[0] else []


def _status_and_kind(answer: Any) -> tuple[Any, ...]:
    """What a refusal says, beside the path that was asked for."""
    said = answer.json()
    return answer.status_code, answer.headers["content-type"], said["code"], said["detail"]


def _told(answer: Any) -> tuple[int, Any]:
    """What an answer tells, beside the path that was asked for."""
    shown = answer.json() if answer.content else None
    return answer.status_code, {**shown, "instance": None} if isinstance(shown, dict) else shown


def _ids_foreign_to(full: dict[str, Row], who: str) -> dict[str, str]:
    """Every id of a row that this organisation may not know, with its table. A bare number says nothing by itself."""
    known = {str(value) for table, row in full.items() if who in READERS[table] for value in row.values()}
    return {
        str(row["id"]): table
        for table, row in full.items()
        if isinstance(row.get("id"), UUID) and who not in READERS[table] and str(row["id"]) not in known
    }


# --- a thing named in the path --------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_ID, ids=str)
async def test_a_stranger_to_the_thing_is_told_that_there_is_none(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    path = _filled(operation, _foreign(operation, full))
    nowhere = _filled(operation, {name: new_id() for name in operation.parameters})
    before = await world.fingerprint()
    strangers, none, wrong = _strangers_to(operation), {}, {}
    for who in _of_each_kind(strangers):
        none[KINDS[who]] = _status_and_kind(await stranger.send(who, operation, nowhere))
    for who in strangers:
        answer = await stranger.send(who, operation, path)
        if answer.status_code != 404 or _status_and_kind(answer) != none[KINDS[who]]:
            wrong[who] = (answer.status_code, answer.text[:300])
    assert not wrong, f"{operation}: {wrong}"
    assert await world.fingerprint() == before, f"{operation}: something changed"


@pytest.mark.parametrize("operation", [one for one in WITH_ID if len(one.parameters) > 1], ids=str)
async def test_what_is_ones_own_does_not_open_what_is_nested_in_it(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    """A path whose first id is the caller's own and whose last is somebody else's."""
    who = "school_c"
    if not any(
        (thing := operation.thing(name)) and who in thing.strangers for name in operation.parameters[1:]
    ):
        pytest.skip("the inner thing is known to every school")
    own = await _own(world, operation.parameters[0])
    path = _filled(operation, {**_foreign(operation, full), operation.parameters[0]: own})
    before = await world.fingerprint()
    answer = await stranger.send(who, operation, path)
    assert answer.status_code == 404, answer.text
    assert await world.fingerprint() == before


async def _own(world: World, name: str) -> Any:
    if name == "school_id":
        return world["school_c"]
    if name == "programme_id":  # one that it takes part in
        body = {"name": "Own", "starts_on": date_in(-60), "ends_on": date_in(300)}
        path = (await world.post("hub_a", "/v1/programmes", body)).headers["location"]
        enrolled = await world.post("hub_a", f"{path}/schools", {"school_id": world["school_c"]})
        assert enrolled.status_code == 201, enrolled.text
        return path.rpartition("/")[2]
    assert name == "booking_id", f"say here what {name} of its own school_c may name"
    slot = await world.slot("employer_b")
    booking = (await world.booking(school="school_c", slot=slot))["id"]
    confirmed = await world.post("employer_b", f"/v1/bookings/{booking}/confirm")
    pupils = [{"pupil_id": await world.pupil("school_c")}]
    named = await world.post("school_c", f"/v1/bookings/{booking}/participants", {"pupils": pupils})
    assert (confirmed.status_code, named.status_code) == (200, 200), named.text
    return booking


@pytest.mark.parametrize("operation", [one for one in WITH_ID if one.method == "GET"], ids=str)
async def test_the_things_are_real_somebody_reads_them(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    """Without this, a 404 above could be for want of the thing and not of the right."""
    path = _filled(operation, _foreign(operation, full))
    others = sorted(EVERYBODY - set(_strangers_to(operation)))
    answers = {who: (await stranger.send(who, operation, path)).status_code for who in others}
    assert 200 in answers.values(), answers
    assert set(answers.values()) <= {200, 403, 404}, answers


ONLY_READ = {"site_id", "cover_id", "approval_id", "programme_id"}
"""What school_a may read and not change."""
BOTH_WRITE = {
    "POST /v1/programmes/{programme_id}/costs",
    "DELETE /v1/programmes/{programme_id}/costs/{cost_id}",
    "POST /v1/programmes/{programme_id}/schools/{enrolled_id}/leave",
}
"""What the school that takes part does as well as the owner."""


@pytest.mark.parametrize(
    "operation",
    [
        one
        for one in WITH_ID
        if one.method != "GET" and one.parameters[0] in ONLY_READ and str(one) not in BOTH_WRITE
    ],
    ids=str,
)
async def test_no_answer_is_ours_to_be_ashamed_of(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    """Those who may read a thing and not change it hear no: nobody hears 500."""
    before = await world.fingerprint()
    answer = await stranger.send("school_a", operation, _filled(operation, _foreign(operation, full)))
    assert answer.status_code in {403, 404, 409}, answer.text
    assert await world.fingerprint() == before


# --- a thing named in the body --------------------------------------------------------------------


def _places(schema: Schema, example: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a body an id may stand, as keys and indexes; arrays have one item."""
    schema = _resolved(schema)
    for choice in schema.get("anyOf", []) + schema.get("allOf", []):
        yield from _places(choice, example, at)
    if schema.get("format") == "uuid":
        yield at
    for name, inner in schema.get("properties", {}).items():
        yield from _places(inner, None, (*at, name))
    if "items" in schema:
        yield from _places(schema["items"], None, (*at, 0))


def _with(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The body with this value at that place; what would name the same thing by reference goes."""
    if not at:
        return value
    if at[0] == 0:
        return [_with(body[0] if body else {}, at[1:], value)]
    kept = {key: one for key, one in (body or {}).items() if key != str(at[0]).replace("_id", "_ref")}
    return kept | {at[0]: _with(kept.get(at[0]), at[1:], value)}


def _bodies() -> Iterator[Any]:
    for operation in OPERATIONS:
        content = operation.document.get("requestBody", {}).get("content", {}).get("application/json")
        for place in _places(content["schema"], None) if content else ():
            name = next(one for one in reversed(place) if isinstance(one, str))
            if name in NOT_FOREIGN:  # there it says why
                continue
            yield pytest.param(operation, place, name, id=f"{operation} /{'/'.join(map(str, place))}")


@pytest.mark.parametrize(("operation", "place", "name"), list(_bodies()))
async def test_a_strangers_id_in_a_body_is_as_good_as_none(
    world: World,
    full: dict[str, Row],
    stranger: Stranger,
    operation: Operation,
    place: tuple[Any, ...],
    name: str,
) -> None:
    thing = operation.thing(name)
    assert thing, f"{operation}: say in THINGS or NOT_FOREIGN what {name} is"
    before = await world.fingerprint()
    path = _filled(operation, _foreign(operation, full))
    for who in _of_each_kind(thing.strangers):
        answers = [
            await stranger.send(who, operation, path, _with(operation.body, place, one))
            for one in (thing.id_in(full), new_id())
        ]
        by_row = {200} if operation.path.endswith("/bulk") else set()
        assert answers[0].status_code in {403, 404, 409, 422} | by_row, (who, answers[0].text)
        assert _told(answers[0]) == _told(answers[1]), f"{who} can tell that it exists"
    after = await world.fingerprint()
    if operation.path.endswith("/bulk"):  # its answer, row by row, is a 200 and is recorded; nothing else is
        after["idempotency_keys"] = before["idempotency_keys"]
    assert after == before


def _of_each_kind(names: list[str]) -> list[str]:
    return sorted({KINDS[name]: name for name in reversed(names)}.values())


# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", LISTS, ids=str)
async def test_a_list_never_holds_what_is_foreign(
    world: World, full: dict[str, Row], stranger: Stranger, operation: Operation
) -> None:
    """Neither by itself nor when asked for it by a foreign id in the query."""
    shown = set()
    for who in sorted(EVERYBODY):
        own = world[who] if KINDS[who] == "school" else world["school_a"]
        path = _filled(operation, {"school_id": own} if operation.parameters else {})
        foreign = _ids_foreign_to(full, who)
        for query in ("", *_queries(operation, full)):
            answer = await stranger.send(who, operation, f"{path}{query}")
            assert answer.status_code in {200, 403, 404}, (who, query, answer.text)
            text = answer.text.replace(path, "")
            leaked = {table for one, table in foreign.items() if one in text} - TOLD_BY_SCOPE.get(
                str(operation), set()
            )
            assert not leaked, (who, query, leaked)
            shown |= {
                table
                for table, row in full.items()
                if isinstance(row.get("id"), UUID) and str(row["id"]) in text
            }
    assert shown or operation.path in HAS_NO_ROWS, f"{operation}: nobody saw anything, so this proves nothing"


HAS_NO_ROWS = {"/v1/event-types"}
TOLD_BY_SCOPE = {"GET /v1/open-slots": {"employers", "organisations", "sites", "offers", "slots"}}
"""An employer that forged `slots:search` would see what every school may search."""


def _queries(operation: Operation, full: dict[str, Row]) -> Iterator[str]:
    for parameter in operation.document.get("parameters", []):
        if parameter["in"] == "query" and "uuid" in orjson.dumps(parameter["schema"]).decode():
            name = parameter["name"]
            assert name in THINGS or name in NOT_FOREIGN, f"{operation}: say in THINGS what ?{name} is"
            if name in THINGS:
                yield f"?{name}={THINGS[name].id_in(full)}"


# --- without a token, by reference, by GraphQL -----------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_without_a_token_or_without_its_scope_nothing_is_answered(
    world: World, full: dict[str, Row], operation: Operation
) -> None:
    path = _filled(operation, _foreign(operation, full))
    before = await world.fingerprint()
    nobody = await world.send(None, operation.method, path, operation.body)
    assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    powerless = world.token("school_a", frozenset())
    lacking = await world.send(
        "school_a", operation.method, path, operation.body, Authorization=f"Bearer {powerless}"
    )
    assert (lacking.status_code, lacking.json()["required_scope"]) == (403, operation.scope)
    assert await world.fingerprint() == before


REFS: dict[str, str] = {"sites": "sites", "offers": "offers", "slots": "slots"}


@pytest.mark.parametrize("table", REFS)
async def test_two_employers_with_one_reference_do_not_meet(
    world: World, full: dict[str, Row], stranger: Stranger, table: str
) -> None:
    """A PUT by reference makes or changes one's own thing only, whatever others call theirs."""
    operation = next(one for one in OPERATIONS if str(one) == f"PUT /v1/{table}/by-ref/{{external_ref}}")
    theirs = full[REFS[table]]
    await world.owner.execute(f"UPDATE {table} SET external_ref = 'REF-1' WHERE id = $1", theirs["id"])
    before = await world.owner.fetchrow(f"SELECT * FROM {table} WHERE id = $1", theirs["id"])
    answer = await stranger.send("employer_b", operation, f"/v1/{table}/by-ref/REF-1")
    assert answer.status_code in {201, 404, 422}, answer.text
    assert str(theirs["id"]) not in answer.text
    assert await world.owner.fetchrow(f"SELECT * FROM {table} WHERE id = $1", theirs["id"]) == before
    await world.owner.execute(f"UPDATE {table} SET external_ref = NULL WHERE id = $1", theirs["id"])


QUESTIONS = {
    "Hub": ("hub", frozenset({"hub_a", "school_a", "school_c", "authority", "national", "trust", "vendor"})),
    "Trust": ("trust", frozenset({"trust", "school_a", "school_b", "national", "vendor", "hub_a", "hub_b"})),
    "School": ("school", SCHOOL_SIDE | {"hub_a", "authority", "national"}),
    "Programme": ("programme", READERS["programmes"] | {"authority"}),  # over the hub that runs it
}
"""By type: its field at the root, and who may know of hub_a, trust, school_a and the programme of hub_a."""


@pytest.mark.parametrize("kind", QUESTIONS)
async def test_graphql_tells_a_stranger_that_there_is_no_such_node(
    world: World, full: dict[str, Row], kind: str
) -> None:
    field, readers = QUESTIONS[kind]
    key = (
        full["programmes"]["id"]
        if kind == "Programme"
        else world["school_a" if kind == "School" else _hub(kind)]
    )
    answered = set()
    for who in sorted(EVERYBODY):
        scopes = world.app.state.house.doorkeeper.caller_of(world.tokens[who]).scopes
        token = world.token(who, scopes | {"coverage:read", "programmes:read"})
        for identifier in (str(key), node_id(kind, key)):
            for question in (f'{field}(id: "{identifier}") {{ id }}', f'node(id: "{identifier}") {{ id }}'):
                answer = await world.send(
                    who, "POST", "/graphql", {"query": f"{{ {question} }}"}, Authorization=f"Bearer {token}"
                )
                found = answer.json()
                if any((found.get("data") or {}).values()):
                    answered.add(who)
                else:
                    assert {one["extensions"]["code"] for one in found["errors"]} == {"not_found"}, found
    assert answered <= readers, answered - readers
    assert answered, "nobody is answered, so this proves nothing"


def _hub(kind: str) -> str:
    return {"Hub": "hub_a", "Trust": "trust"}[kind]
