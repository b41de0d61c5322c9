"""Gaps to peers over GraphQL: what is answered to whom, what hubs are refused by name, pages and statements."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.roles import Dsns
from tests.graphql.test_graphql import Face
from tests.pupils_counted import TODAY, YEAR, build
from tests.pupils_told import in_ash, in_hub_b

pytestmark = pytest.mark.calendar

GAPS = """query Gaps($by: GapBy, $groups: [FieldGroup!]) { gaps(by: $by, groups: $groups, first: 200) { totalCount leftOut
  edges { node { key by group value yearGroup school { name urn } gap peersValue schoolsTold schoolsUnknown
    figures { state pupils minutes minutesPerPupil atZero { count base percent } reached { count } bm6 { count } }
    peers { state pupils atZero { count percent } } standsOn { on academicYear schools rounded } } } } }"""


@pytest_asyncio.fixture(scope="module")
async def face(dsns: Dsns) -> AsyncIterator[Face]:
    owner = await asyncpg.connect(dsns.owner)
    db = await Database(dsns.app, pool=4).open()
    counted = await build(owner)
    await in_ash(counted)
    await in_hub_b(counted)
    made = Face(counted, db)
    try:
        yield made
    finally:
        await made.http.aclose()
        await db.close()
        await owner.close()


def by_key(connection: dict[str, Any]) -> dict[str, Any]:
    return {edge["node"]["key"]: edge["node"] for edge in connection["edges"]}


async def refused(face: Face, who: str, query: str, variables: object = None) -> str:
    response = await face.post(who, query, variables)
    assert response.status_code == 294, response.text
    return str(response.json()["errors"][0]["extensions"]["code"])


async def test_a_hub_reads_each_value_beside_its_peers(face: Face) -> None:
    found = (await face.data("hub_b", GAPS, {"groups": ["SEN"]}))["gaps"]
    assert (found["totalCount"], found["leftOut"]) == (3, [])
    line = by_key(found)["all/sen/K"]
    assert line["figures"]["atZero"] == {"count": 25, "base": 25, "percent": 100}
    assert line["peers"] == {"state": "KNOWN", "pupils": 20, "atZero": {"count": 5, "percent": 25}}
    assert (line["gap"], line["group"], line["value"], line["peersValue"]) == (75, "SEN", "K", "N")
    assert (line["schoolsTold"], line["schoolsUnknown"], line["by"], line["school"]) == (2, 0, None, None)
    assert line["standsOn"] == {"on": str(TODAY), "academicYear": None, "schools": 2, "rounded": True}
    ordinary = by_key(found)["all/sen/N"]
    assert (ordinary["gap"], ordinary["peers"], ordinary["peersValue"]) == (None, None, None)


@pytest.mark.parametrize(("by", "left"), [(None, 0), ("SCHOOL", 2), ("YEAR_GROUP", 2)])
async def test_a_hub_is_told_which_characteristics_a_cut_leaves_out(
    face: Face, by: str | None, left: int
) -> None:
    found = (await face.data("hub_b", GAPS, {"by": by}))["gaps"]
    assert len(found["leftOut"]) == left
    assert set(found["leftOut"]) <= {"LOOKED_AFTER", "YOUNG_CARER"}
    assert not {edge["node"]["group"] for edge in found["edges"]} & set(found["leftOut"])
    own = (await face.data("trust", GAPS, {"by": by}))["gaps"]
    assert own["leftOut"] == []


async def test_what_a_hub_may_not_cut_is_refused_by_name(face: Face) -> None:
    for by in ("SCHOOL", "YEAR_GROUP"):
        assert await refused(face, "hub_b", GAPS, {"by": by, "groups": ["LOOKED_AFTER"]}) == "hub_level_only"
    fir = face.counted.ids["fir"]

    def school(asked: str) -> str:
        return f'{{ school(id: "{fir}") {{ gaps({asked}) {{ totalCount }} }} }}'

    assert await refused(face, "hub_b", school("groups: [YOUNG_CARER]")) == "hub_level_only"
    assert await refused(face, "hub_b", school("by: YEAR_GROUP")) == "cut_not_published"
    assert (await face.data("fir", school("by: YEAR_GROUP, groups: [YOUNG_CARER, SEN]")))["school"]
    assert await refused(face, "fir", GAPS, {"groups": ["IDENTITY"]}) == "invalid"


async def test_a_school_and_its_hub_read_the_same_line_exact_and_rounded(face: Face) -> None:
    query = """query One($id: ID!) { school(id: $id) { gaps(groups: [SEN]) { leftOut edges { node { key value gap
      school { name } figures { pupils atZero { count } } } } } } }"""
    asked = {"id": str(face.counted.ids["elm"])}
    own = by_key((await face.data("elm", query, asked))["school"]["gaps"])["all/sen/K"]
    assert (own["figures"], own["gap"]) == ({"pupils": 15, "atZero": {"count": 13}}, 87)
    assert own["school"] == {"name": "Elm"}
    hub = by_key((await face.data("hub_b", query, asked))["school"]["gaps"])["all/sen/K"]
    assert (hub["figures"], hub["gap"]) == ({"pupils": 15, "atZero": {"count": 15}}, 100)


async def test_unknown_is_not_nought(face: Face) -> None:
    found = by_key((await face.data("hub_a", GAPS, {"by": "SCHOOL", "groups": ["SEN", "EAL"]}))["gaps"])
    beech = found[f"{face.counted.ids['beech']}/sen/K"]
    assert (beech["figures"]["state"], beech["figures"]["atZero"]["percent"], beech["gap"]) == (
        "UNKNOWN",
        None,
        None,
    )
    assert (beech["schoolsTold"], beech["schoolsUnknown"]) == (0, 1)
    assert {line["figures"]["state"] for line in found.values() if line["group"] == "EAL"} == {"UNKNOWN"}


@pytest.mark.parametrize("who", ["hub_a", "other_trust", "ash", "employer", "stranger_vendor", "vendor"])
async def test_a_stranger_reads_nothing_of_hub_b(face: Face, who: str) -> None:
    found = (await face.data(who, GAPS, {"by": "SCHOOL"}))["gaps"]
    assert not {"Elm", "Fir"} & {edge["node"]["school"]["name"] for edge in found["edges"]}
    whole = (await face.data(who, GAPS, {"groups": ["SEN"]}))["gaps"]
    told = {edge["node"]["schoolsTold"] for edge in whole["edges"]}
    assert told == ({1} if who in {"hub_a", "ash"} else {0})
    hub = face.counted.ids["hub_b"]
    if who == "hub_a":
        assert await refused(face, who, f'{{ hub(id: "{hub}") {{ gaps {{ totalCount }} }} }}') == "not_found"


async def test_a_school_does_not_get_its_hubs_gaps_nor_its_trusts(face: Face) -> None:
    assert await refused(face, "elm", "{ hub { gaps { totalCount } } }") == "not_found"
    assert await refused(face, "elm", "{ trust { gaps { totalCount } } }") == "not_found"
    assert (await face.data("trust", "{ trust { gaps(by: SCHOOL) { totalCount } } }"))["trust"]["gaps"][
        "totalCount"
    ]
    face.scopes = frozenset({"programmes:read"})
    try:
        assert await refused(face, "hub_b", "{ gaps { totalCount } }") == "insufficient_scope"
    finally:
        face.scopes = frozenset({"coverage:read", "programmes:read"})


async def test_pages_follow_each_other_until_the_end(face: Face) -> None:
    query = """query Page($after: String) { gaps(by: SCHOOL, groups: [SEN, LOOKED_AFTER], first: 4, after: $after) {
      totalCount edges { node { key } } pageInfo { hasNextPage endCursor } } }"""
    seen: list[str] = []
    after: str | None = None
    while True:
        page = (await face.data("trust", query, {"after": after}))["gaps"]
        seen += [edge["node"]["key"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == page["totalCount"] == 10
    other = query.replace("[SEN, LOOKED_AFTER]", "[SEN]")
    response = await face.post("trust", other, {"after": after})
    assert response.json()["errors"][0]["extensions"]["errors"][0]["code"] == "bad_cursor"


async def test_all_cuts_of_a_period_take_three_statements_whatever_the_number_of_schools(face: Face) -> None:
    query = """{ whole: gaps { totalCount } schools: gaps(by: SCHOOL) { totalCount }
      hub { gaps(by: YEAR_GROUP) { totalCount } } years: gaps(by: YEAR_GROUP) { edges { node { gap } } } }"""
    counts = []
    for who in ("hub_a", "hub_b"):
        before = face.db.statements
        await face.data(who, query)
        counts.append(face.db.statements - before)
    assert counts == [4, 4]  # the hub, what figures stand on, the cells, the traits
    page = "{ schools { edges { node { name gaps(groups: [SEN]) { edges { node { gap } } } } } } }"
    before = face.db.statements
    await face.data("trust", page)
    assert face.db.statements - before == 4


async def test_as_at_known_at_and_an_academic_year_are_arguments(face: Face) -> None:
    query = """query When($year: Int, $day: Date, $moment: DateTime) { gaps(groups: [SEN], academicYear: $year, asAt: $day,
      knownAt: $moment) { edges { node { key schoolsTold figures { pupils } standsOn { on academicYear } } } } }"""
    asked = {"year": YEAR, "day": str(TODAY)}
    now = by_key((await face.data("fir", query, asked))["gaps"])["all/sen/E"]
    assert now == {
        "key": "all/sen/E", "schoolsTold": 1, "figures": {"pupils": 10}, "standsOn": {"on": str(TODAY), "academicYear": YEAR}
    }  # fmt: skip
    before = await face.data("fir", query, {"moment": "2020-01-01T00:00:00Z"})
    assert {edge["node"]["schoolsTold"] for edge in before["gaps"]["edges"]} == {0}
    assert await refused(face, "fir", query, {"day": f"{YEAR + 2}-01-01"}) == "invalid"
