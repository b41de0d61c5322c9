"""The GraphQL face over HTTP on a real Postgres: what it answers to whom, in which words and with which status."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from strawberry.extensions.validation_cache import _get_validate_cache

from app.core.caller import Caller
from app.core.db import Database
from app.core.errors import Unauthenticated
from app.core.paging import Cursors
from app.core.roles import Dsns
from app.graphql import limits
from app.graphql.app import BODY_LIMIT, graphql_app
from app.graphql.ids import node_id
from app.graphql.schema import CACHED, print_sdl, schema
from app.rest import problems
from tests.pupils_counted import SCOPES, STRANGERS, YEAR, Counted, build

pytestmark = pytest.mark.calendar

OURS = "application/graphql-response+json"
SDL = Path(__file__).parents[2] / "openapi" / "schema.graphql"


class Face:
    """The face in an application of its own; the `Authorization` of a test names an organisation."""

    def __init__(self, counted: Counted, db: Database) -> None:
        self.counted, self.db = counted, db
        self.scopes = SCOPES
        self.wait: int | None = None
        app = FastAPI()
        problems.install(app)
        app.include_router(
            graphql_app(
                authenticate=self._authenticate,
                db=db,
                cursors=Cursors(b"k" * 32),
                take=self._take,
                development=True,
            )
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    def _authenticate(self, request: Request) -> Caller:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not name:
            raise Unauthenticated("token_missing", "Send a bearer token.")
        return self.counted.caller(name, self.scopes)

    def _take(self, _client: UUID, _school: UUID | None) -> tuple[dict[str, str], int | None]:
        return {"RateLimit": '"requests";r=9;t=60'}, self.wait

    async def post(
        self, who: str | None, query: object, variables: object = None, accept: str = OURS, **more: object
    ) -> httpx.Response:
        body = orjson.dumps({"query": query, "variables": variables, **more})
        return await self.raw(who, body, accept=accept)

    async def raw(
        self, who: str | None, body: bytes, *, accept: str = OURS, media: str = "application/json"
    ) -> httpx.Response:
        headers = {"Accept": accept, "Content-Type": media}
        if who:
            headers["Authorization"] = f"Bearer {who}"
        return await self.http.post("/graphql", content=body, headers=headers)

    async def get(self, who: str | None, query: str, **more: str) -> httpx.Response:
        headers = {"Accept": OURS, **({"Authorization": f"Bearer {who}"} if who else {})}
        return await self.http.get("/graphql", params={"query": query, **more}, headers=headers)

    async def data(self, who: str, query: str, variables: object = None) -> dict[str, Any]:
        response = await self.post(who, query, variables)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()["data"]
        return found


@pytest_asyncio.fixture(scope="module")
async def face(dsns: Dsns) -> AsyncIterator[Face]:
    owner = await asyncpg.connect(dsns.owner)
    db = await Database(dsns.app, pool=4).open()
    made = Face(await build(owner), db)
    try:
        yield made
    finally:
        await made.http.aclose()
        await db.close()
        await owner.close()


@pytest.fixture(autouse=True)
def _as_usual(face: Face) -> None:
    face.scopes, face.wait = SCOPES, None


COVERAGE = """query Coverage($by: CoverageBy!) { coverage(by: $by) { totalCount
  total { figures { pupils state } standsOn { schools schoolsUnknown partial } }
  edges { cursor node { key label yearGroup keyStage kind school { urn name }
    figures { state pupils minutes hours days reached { count base percent band } atZero { percent }
      at25Hours { count } at50Hours { count } bm5 { percent } bm6 { count } }
    standsOn { rollComplete newestSync fieldGroups attendanceOverdue rounded on academicYear } } }
  pageInfo { hasNextPage endCursor } } }"""


def by_label(coverage: dict[str, Any]) -> dict[str, Any]:
    return {edge["node"]["label"]: edge["node"] for edge in coverage["edges"]}


# --- what is answered ---------------------------------------------------------------------------------


async def test_a_hub_reads_coverage_per_school_with_what_it_stands_on(face: Face) -> None:
    found = (await face.data("hub_a", COVERAGE, {"by": "SCHOOL"}))["coverage"]
    lines = by_label(found)
    assert list(lines) == ["Ash", "Beech", "Cedar", "Dogwood"]
    assert lines["Ash"]["figures"]["reached"] == {"count": 25, "base": 50, "percent": 50, "band": "TO_50"}
    assert lines["Ash"]["figures"]["hours"] == lines["Ash"]["figures"]["minutes"] / 60
    assert lines["Ash"]["standsOn"]["fieldGroups"] == ["enrolment", "identity", "sen"]
    assert lines["Ash"]["standsOn"]["attendanceOverdue"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines["Ash"]["standsOn"]["newestSync"])
    assert lines["Dogwood"]["figures"]["state"] == "UNKNOWN"
    assert lines["Dogwood"]["figures"]["reached"]["percent"] is None
    assert found["total"]["standsOn"] == {"schools": 4, "schoolsUnknown": 1, "partial": True}


@pytest.mark.parametrize("by", ["SCHOOL", "YEAR_GROUP", "KEY_STAGE", "KIND"])
@pytest.mark.parametrize("who", ["hub_a", "hub_b", "trust", "authority", "ash", "vendor", "employer"])
async def test_every_cut_is_answered_to_everybody_about_their_own(face: Face, who: str, by: str) -> None:
    found = (await face.data(who, COVERAGE, {"by": by}))["coverage"]
    assert found["totalCount"] == len(found["edges"])
    for edge in found["edges"]:
        assert edge["node"]["standsOn"]["rounded"] is (who in {"hub_a", "hub_b", "authority", "employer"})


async def test_suppression_is_in_place_for_the_hub_and_not_for_the_school(face: Face) -> None:
    query = """query One($id: ID) { school(id: $id) { coverage(by: YEAR_GROUP) {
      edges { node { label figures { state pupils } } } } } }"""
    asked = {"id": str(face.counted.ids["beech"])}
    hub = by_label((await face.data("hub_a", query, asked))["school"]["coverage"])
    own = by_label((await face.data("beech", query, asked))["school"]["coverage"])
    assert hub["Year 9"]["figures"] == {"state": "WITHHELD", "pupils": None}
    assert own["Year 9"]["figures"] == {"state": "KNOWN", "pupils": 4}


async def test_an_authority_walks_down_to_its_hub_and_a_school_up_to_its_own(face: Face) -> None:
    query = """query Walk($hub: ID) { hub(id: $hub) { name figures { figures { pupils } }
      schools { totalCount edges { node { name urn hub { name } trust { name } } } } } }"""
    down = (await face.data("authority", query, {"hub": str(face.counted.ids["hub_a"])}))["hub"]
    assert down["schools"]["totalCount"] == 4
    assert down["figures"]["figures"]["pupils"] == 85
    up = await face.data("ash", "{ hub { name schools { totalCount } } trust { name } }")
    assert up == {"hub": {"name": "Hub A", "schools": {"totalCount": 1}}, "trust": {"name": "Trust"}}


async def test_a_school_does_not_get_its_hubs_figures(face: Face) -> None:
    response = await face.post("ash", "{ hub { name coverage(by: SCHOOL) { totalCount } } }")
    assert response.status_code == 294
    assert response.json()["data"]["hub"] == {"name": "Hub A", "coverage": None}
    assert response.json()["errors"][0]["extensions"]["code"] == "not_found"


async def test_programmes_show_their_money_to_their_owner_only(face: Face) -> None:
    query = """{ programmes { totalCount edges { node { id name funder budgetPence strands { code }
      schools { totalCount edges { node { name ownBudget } } } } } } }"""
    owner = (await face.data("hub_a", query))["programmes"]["edges"][0]["node"]
    assert (owner["budgetPence"], owner["schools"]["totalCount"]) == (1_000_000, 2)
    joined = (await face.data("ash", query))["programmes"]["edges"][0]["node"]
    assert (joined["budgetPence"], joined["funder"], joined["schools"]["totalCount"]) == (None, None, 1)
    assert joined["strands"] == [{"code": "tour"}]
    assert (await face.data("elm", query))["programmes"] == {"totalCount": 0, "edges": []}


async def test_a_node_is_found_again_by_its_opaque_id(face: Face) -> None:
    first = (await face.data("hub_a", "{ schools(first: 1) { edges { node { id name } } } }"))["schools"]
    wanted = first["edges"][0]["node"]
    query = "query Node($id: ID!) { node(id: $id) { id ... on School { name } } }"
    assert (await face.data("hub_a", query, {"id": wanted["id"]}))["node"] == wanted


@pytest.mark.parametrize("field", ["schools", "coverage"])
async def test_pages_follow_each_other_until_the_end(face: Face, field: str) -> None:
    by, name = ("by: SCHOOL, ", "label") if field == "coverage" else ("", "name")
    query = f"""query Page($after: String) {{ {field}({by}first: 3, after: $after) {{ totalCount
      edges {{ node {{ {name} }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }}"""
    one = (await face.data("hub_a", query))[field]
    two = (await face.data("hub_a", query, {"after": one["pageInfo"]["endCursor"]}))[field]
    seen = [edge["node"][name] for edge in one["edges"] + two["edges"]]
    assert seen == ["Ash", "Beech", "Cedar", "Dogwood"]
    assert (one["totalCount"], two["totalCount"]) == (4, 4)
    assert (one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasNextPage"]) == (True, False)


async def test_a_cursor_is_good_for_its_own_organisation_only(face: Face) -> None:
    query = "{ schools(first: 1) { totalCount pageInfo { endCursor } } }"
    cursor = (await face.data("hub_a", query))["schools"]["pageInfo"]["endCursor"]
    again = "query P($c: String) { schools(first: 1, after: $c) { totalCount } }"
    assert (await face.post("hub_a", again, {"c": cursor})).json().get("errors") is None
    response = await face.post("hub_b", again, {"c": cursor})
    assert response.json()["errors"][0]["extensions"]["errors"][0]["code"] == "bad_cursor"


async def test_a_cursor_is_good_for_its_own_list_only(face: Face) -> None:
    query = "{ schools(first: 1) { pageInfo { endCursor } } }"
    cursor = (await face.data("hub_a", query))["schools"]["pageInfo"]["endCursor"]
    response = await face.post(
        "hub_a", "query P($c: String) { coverage(by: SCHOOL, after: $c) { totalCount } }", {"c": cursor}
    )
    assert response.json()["errors"][0]["extensions"]["errors"][0]["code"] == "bad_cursor"


# --- strangers ----------------------------------------------------------------------------------------

DOORS = """query Doors($school: ID!, $urn: String, $hub: ID, $trust: ID, $programme: ID!, $node: ID!) {
  byId: school(id: $school) { name } byUrn: school(urn: $urn) { name } hub(id: $hub) { name }
  trust(id: $trust) { name } programme(id: $programme) { name } node(id: $node) { id } }"""


def doors(face: Face, ids: dict[str, UUID], programme: UUID, urn: str) -> dict[str, str]:
    return {
        "school": str(ids["cedar"]), "urn": urn, "hub": node_id("Hub", ids["hub_a"]), "trust": str(ids["trust"]),
        "programme": str(programme), "node": node_id("School", ids["cedar"]),
    }  # fmt: skip


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_strangers_id_reads_exactly_like_one_that_does_not_exist(face: Face, who: str) -> None:
    assert face.counted.programme is not None
    urn = await face.counted.owner.fetchval(
        "SELECT urn FROM organisations WHERE id = $1", face.counted.ids["cedar"]
    )
    theirs = doors(face, face.counted.ids, face.counted.programme, urn)
    invented = doors(face, dict.fromkeys(face.counted.ids, UUID(int=7)), UUID(int=8), "100000")
    answers = [await face.post(who, DOORS, asked) for asked in (theirs, invented)]
    assert answers[0].status_code == 294
    assert set(answers[0].json()["data"].values()) == {None}
    assert answers[0].content == answers[1].content
    assert {error["extensions"]["code"] for error in answers[0].json()["errors"]} == {"not_found"}


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_strangers_lists_hold_nothing_of_the_hub(face: Face, who: str) -> None:
    query = """{ schools { edges { node { name } } } programmes { totalCount }
      coverage(by: SCHOOL) { edges { node { label } } } }"""
    found = await face.data(who, query)
    names = {edge["node"]["name"] for edge in found["schools"]["edges"]}
    labels = {edge["node"]["label"] for edge in found["coverage"]["edges"]}
    assert not (names | labels) & {"Ash", "Beech", "Cedar", "Dogwood"}
    assert found["programmes"]["totalCount"] == 0


async def test_a_missing_scope_is_named_and_nothing_is_given(face: Face) -> None:
    face.scopes = frozenset({"programmes:read"})
    query = "{ viewer { scopes } schools { totalCount } coverage(by: KIND) { totalCount } programmes { totalCount } }"
    response = await face.post("hub_a", query)
    body = response.json()
    assert response.status_code == 294
    assert (body["data"]["schools"], body["data"]["coverage"]) == (None, None)
    assert body["data"]["programmes"] == {"totalCount": 1}
    extensions = {"code": "insufficient_scope", "required_scope": "coverage:read"}
    assert [error["extensions"] for error in body["errors"]] == [extensions, extensions]


async def test_a_client_revoked_meanwhile_is_unauthenticated(face: Face) -> None:
    await face.counted.owner.execute(
        "UPDATE clients SET revoked_at = now() WHERE id = $1", face.counted.clients["cedar"]
    )
    response = await face.post("cedar", "{ schools { totalCount } }")
    assert (response.status_code, response.json()["code"]) == (401, "client_revoked")


# --- what is remembered -------------------------------------------------------------------------------


async def test_a_change_shows_in_the_next_answer_with_what_is_withheld_for_it(face: Face) -> None:
    query = "{ coverage(by: YEAR_GROUP) { edges { node { label figures { state pupils minutes } } } } }"

    async def asked() -> dict[str, Any]:
        found = by_label((await face.data("hub_b", query))["coverage"])
        return {label: node["figures"] for label, node in found.items()}

    before = await asked()
    assert (await asked(), before["Year 8"]["pupils"]) == (before, 25)
    for _ in range(5):
        await face.counted.pupil("elm", "8", 600)
    more = (await asked())["Year 8"]
    assert (more["pupils"], more["minutes"]) == (30, before["Year 8"]["minutes"] + 3_000)
    for _ in range(4):
        await face.counted.pupil("elm", "9", 600)
    withheld = {"state": "WITHHELD", "pupils": None, "minutes": None}
    assert await asked() == {"Year 8": withheld, "Year 9": withheld}


# --- statements ---------------------------------------------------------------------------------------


async def test_any_document_takes_a_handful_of_statements(face: Face) -> None:
    query = """query All($year: Int) { viewer { organisation { name } }
      schools { edges { node { name hub { name } trust { name } figures { figures { pupils } }
        years: coverage(by: YEAR_GROUP) { edges { node { figures { pupils } } } }
        kinds: coverage(by: KIND) { edges { node { figures { minutes } } } }
        now: coverage(by: KEY_STAGE, academicYear: $year) { edges { node { figures { minutes } } } } } } }
      hub { coverage(by: SCHOOL) { edges { node { school { name } } } } }
      programmes { edges { node { strands { code } schools { edges { node { name } } } } } }
      coverage(by: YEAR_GROUP) { totalCount } }"""
    for who in ("hub_a", "ash"):
        response = await face.post(who, query, {"year": YEAR})
        assert response.status_code == (200 if who == "hub_a" else 294), response.text
        number = int(response.headers["server-timing"].split('"')[1].split()[0])
        assert number <= 12


async def test_a_schools_page_with_figures_takes_five_statements_whatever_its_size(face: Face) -> None:
    query = """query S($n: Int!) { schools(first: $n) { edges { node { name hub { name }
      coverage(by: YEAR_GROUP) { edges { node { figures { pupils } } } } } } } }"""
    counts = []
    for who, size in (("hub_a", 1), ("hub_a", 4), ("trust", 1), ("trust", 2)):
        before = face.db.statements
        await face.data(who, query, {"n": size})
        counts.append(face.db.statements - before)
    assert counts == [4, 4, 4, 4]


# --- limits -------------------------------------------------------------------------------------------


async def refused(face: Face, query: str, variables: object = None) -> str:
    response = await face.post("hub_a", query, variables)
    assert response.status_code == 422, response.text
    assert "data" not in response.json()
    return str(response.json()["errors"][0]["extensions"]["code"])


async def test_a_page_over_200_is_refused_before_anything_is_read(face: Face) -> None:
    before = face.db.statements
    assert await refused(face, "{ schools(first: 201) { totalCount } }") == "page_too_large"
    assert await refused(face, "{ schools(first: 0) { totalCount } }") == "page_too_large"
    assert face.db.statements == before


async def test_a_page_over_200_in_a_variable_is_refused_too(face: Face) -> None:
    response = await face.post("hub_a", "query P($n: Int!) { schools(first: $n) { totalCount } }", {"n": 201})
    assert response.json()["errors"][0]["extensions"]["errors"][0]["pointer"] == "/first"


async def test_depth_is_limited_through_fragments(face: Face) -> None:
    deep = "hub { schools { edges { node { " * 4 + "name" + " } } } }" * 4
    assert await refused(face, f"{{ schools {{ edges {{ node {{ {deep} }} }} }} }}") == "too_deep"
    spread = "fragment d on School { " + deep + " } { schools { edges { node { ...d } } } }"
    assert await refused(face, spread) == "too_deep"


async def test_aliases_are_limited(face: Face) -> None:
    many = " ".join(f"a{at}: viewer {{ rounded }}" for at in range(limits.MAX_ALIASES + 1))
    assert await refused(face, f"{{ {many} }}") == "too_many_aliases"


async def test_cost_is_limited(face: Face) -> None:
    leaf = "edges { node { figures { pupils minutes days hours } standsOn { on schools } } }"
    inner = f"coverage(by: SCHOOL, first: 200) {{ {leaf} }}"
    outer = f"{{ schools(first: 200) {{ edges {{ node {{ {inner} }} }} }} }}"
    assert await refused(face, outer) == "too_costly"


async def test_fragments_that_double_are_measured_in_no_time(face: Face) -> None:
    rings = " ".join(f"fragment f{at} on Viewer {{ ...f{at + 1} ...f{at + 1} }}" for at in range(40))
    assert (
        await refused(face, f"{{ viewer {{ ...f0 }} }} {rings} fragment f40 on Viewer {{ rounded }}")
        == "too_costly"
    )


async def test_a_ring_of_fragments_is_refused(face: Face) -> None:
    assert await refused(face, "{ viewer { ...a } } fragment a on Viewer { ...a }") == "validation_failed"


async def test_introspection_is_allowed_and_takes_no_statement(face: Face) -> None:
    before = face.db.statements
    response = await face.post("employer", INTROSPECTION)
    assert response.status_code == 200
    assert face.db.statements == before


INTROSPECTION = """{ __schema { queryType { name } types { kind name description fields { name description
  args { name description type { kind name } } type { kind name ofType { kind name ofType { kind name } } } } } } }"""


async def test_a_document_is_parsed_and_validated_once(face: Face) -> None:
    query = "{ viewer { rounded today } }"
    await face.data("hub_a", query)
    before = _get_validate_cache(CACHED).cache_info()  # type: ignore[attr-defined] # an lru_cache
    await face.data("trust", query)
    after = _get_validate_cache(CACHED).cache_info()  # type: ignore[attr-defined] # an lru_cache
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 0)


# --- GraphQL over HTTP --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"\xff", 400, "bad_json"),
        (b"[]", 400, "bad_request"),
        (b'{"qeury": "{viewer{rounded}}"}', 400, "query_missing"),
        (b'{"query": 7}', 400, "query_missing"),
        (b'{"query": "{viewer{rounded}}", "variables": [1]}', 400, "bad_request"),
        (b'{"query": "{viewer{rounded}}", "operationName": 1}', 400, "bad_request"),
        (b'{"query": "{ viewer {"}', 400, "parse_failed"),
        (b'{"query": "{ viewer { nothing } }"}', 422, "validation_failed"),
        (b'{"query": "mutation { book }"}', 422, "validation_failed"),
        (
            b'{"query": "query A { viewer { rounded } } query B { viewer { rounded } }"}',
            422,
            "operation_unknown",
        ),
        (
            b'{"query": "query A($by: CoverageBy!) { coverage(by: $by) { totalCount } }"}',
            422,
            "validation_failed",
        ),
    ],
)
async def test_what_is_wrong_with_a_request_has_a_status_and_a_code(
    face: Face, body: bytes, status: int, code: str
) -> None:
    response = await face.raw("hub_a", body)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert response.headers["content-type"] == f"{OURS}; charset=utf-8"
    assert "data" not in response.json()


async def test_a_client_that_wants_plain_json_gets_200_for_a_well_formed_request(face: Face) -> None:
    response = await face.post("hub_a", "{ viewer { nothing } }", accept="application/json")
    assert (response.status_code, "errors" in response.json()) == (200, True)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (await face.raw("hub_a", b"{", accept="application/json")).status_code == 400


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", OURS),
        ("application/json;q=0.5, application/graphql-response+json", OURS),
        ("application/json, application/graphql-response+json;q=0.1", "application/json"),
    ],
)
async def test_the_answer_has_the_media_type_that_the_client_likes_best(
    face: Face, accept: str, media: str
) -> None:
    response = await face.post("hub_a", "{ viewer { rounded } }", accept=accept)
    assert response.headers["content-type"].startswith(media)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"accept": "text/csv"}, 406, "not_acceptable"),
        ({"media": "text/plain"}, 415, "unsupported_media_type"),
        ({"body": b'{"query": "' + b"#" * BODY_LIMIT + b'"}'}, 413, "body_too_large"),
        ({"who": None}, 401, "token_missing"),
    ],
)
async def test_what_is_wrong_before_there_is_a_request_is_a_problem(
    face: Face, change: dict[str, Any], status: int, code: str
) -> None:
    asked = {"who": "hub_a", "body": b'{"query": "{ viewer { rounded } }"}', **change}
    response = await face.raw(asked.pop("who"), asked.pop("body"), **asked)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in response.headers) is (status == 401)


async def test_an_oversize_body_without_a_length_is_cut_off(face: Face) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    headers = {"Authorization": "Bearer hub_a", "Content-Type": "application/json"}
    response = await face.http.post("/graphql", content=chunks(), headers=headers)
    assert response.status_code == 413


async def test_a_query_may_come_by_get_and_a_mutation_may_not(face: Face) -> None:
    query = "query P($n: Int!) { schools(first: $n) { totalCount } }"
    response = await face.get("hub_a", query, variables='{"n": 1}')
    assert response.json()["data"] == {"schools": {"totalCount": 4}}
    response = await face.get("hub_a", "mutation { book }")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert (await face.get("hub_a", query, variables="{")).status_code == 400
    assert (await face.http.put("/graphql")).status_code == 405


async def test_the_allowance_is_counted_and_told(face: Face) -> None:
    response = await face.post("hub_a", "{ viewer { rounded } }")
    assert response.headers["ratelimit"] == '"requests";r=9;t=60'
    face.wait = 7
    response = await face.post("hub_a", "{ viewer { rounded } }")
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")


async def test_a_fault_of_ours_is_not_told(face: Face) -> None:
    owner = face.counted.owner
    await owner.execute("ALTER FUNCTION app.coverage_basis RENAME TO coverage_basis_away")
    try:
        response = await face.post("hub_a", "{ viewer { rounded } coverage(by: SCHOOL) { totalCount } }")
    finally:
        await owner.execute("ALTER FUNCTION app.coverage_basis_away RENAME TO coverage_basis")
    assert response.status_code == 294
    error = response.json()["errors"][0]
    assert (error["extensions"], error["message"]) == (
        {"code": "internal"},
        "Something went wrong on our side.",
    )
    assert (await face.post("hub_a", "{ coverage(by: SCHOOL) { totalCount } }")).status_code == 200


# --- the contract and the explorer --------------------------------------------------------------------


def test_the_sdl_in_the_repository_is_the_schema() -> None:
    assert SDL.read_text(encoding="utf-8") == print_sdl()


def test_every_field_and_argument_says_what_it_is() -> None:
    silent = []
    for name, kind in schema._schema.type_map.items():
        if name.startswith("__") or not hasattr(kind, "fields"):
            continue
        silent += [f"{name}.{one}" for one, field in kind.fields.items() if not field.description]
        silent += [
            f"{name}.{one}({arg})"
            for one, field in kind.fields.items()
            for arg, argument in getattr(field, "args", {}).items()
            if not argument.description
        ]
    assert silent == []


async def test_a_browser_gets_a_page_that_needs_no_internet(face: Face) -> None:
    page = await face.http.get("/graphql", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for address in ("/graphql/explorer.js", "/graphql/explorer.css", "/graphql/schema.graphql"):
        asset = await face.http.get(address)
        assert asset.status_code == 200
        assert "http://" not in asset.text + page.text
        assert "https://" not in asset.text + page.text


async def test_the_examples_of_the_page_are_answered(face: Face) -> None:
    script = (await face.http.get("/graphql/explorer.js")).text
    shared = script.split("const FIGURES = `")[1].split("`;")[0]
    examples = script.split("const EXAMPLES = {")[1].split("\n};")[0].split("`")[1::2]
    assert len(examples) >= 6
    for example in examples:
        response = await face.post("hub_a", example.replace("${FIGURES}", shared), {})
        assert response.status_code == 200, (quote(example), response.text)
