"""Shortfall and capacity, employers and variety as GraphQL answers them, and in how many statements."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.roles import Dsns
from app.rules.reporting import reporting_day_until
from tests.graphql.test_graphql import Face
from tests.market_made import BACK, earn, furnish, reading
from tests.pupils_counted import STRANGERS, build
from tests.today import date_in

pytestmark = pytest.mark.calendar

CAPACITY = """query Capacity($by: PupilsBy!, $stage: KeyStage, $first: Int = 50, $after: String, $asAt: Date, $until: Date) {
  capacity(by: $by, keyStage: $stage, first: $first, after: $after, asAt: $asAt, until: $until) { totalCount
    pageInfo { hasNextPage endCursor }
    total { ...line } edges { node { ...line } } } }
fragment line on CapacityLine { key label yearGroup keyStage schoolId
  shortfall { state pupils below { count base percent } minutes days halfDays wholeDays }
  open { slots places pupilMinutes fillingPlaces fillingMinutes } openNotKnown coveredPercent leftMinutes
  standsOn { schools schoolsUnknown rounded } }"""
EMPLOYERS = """query Employers($by: EmployersBy!) { employers(by: $by) {
  total { ...group } groups { ...group }
  each(first: 2) { totalCount pageInfo { hasNextPage endCursor } edges { node { name size sectors schoolsReached
    requested confirmed places responseBand response { state n medianHours } openPlaces } } } } }
fragment group on EmployersGroup { key employers smallOrMedium smePercent requested confirmed declined expired
  declinedFor { reason count } response { state n medianHours lowHours highHours }
  offered { slots places filled unfilled } openSlots openPlaces }"""
VARIETY = """query Variety($by: PupilsBy!) { variety(by: $by) { totalCount total { ...line } edges { node { ...line } } } }
fragment line on VarietyLine { key label state pupils
  employers { mean none { count } one { count percent } two { count } threeOrMore { count } }
  sectors { mean } kinds { mean none { count base } }
  inPersonPercent smePercent employerKnownPercent standsOn { rounded } }"""
EVERYTHING = """{ hub { name
  capacity(by: YEAR_GROUP) { total { leftMinutes } edges { node { label coveredPercent standsOn { on } } } }
  ks3: capacity(by: SCHOOL, keyStage: KS3) { edges { node { label shortfall { minutes } } } }
  variety(by: SCHOOL) { edges { node { label employers { mean } } } }
  employers(by: SECTOR) { groups { key employers } each { edges { node { name } } } }
  schools { edges { node { name capacity(by: KEY_STAGE) { edges { node { key leftMinutes } } }
    variety(by: YEAR_GROUP) { edges { node { key kinds { mean } } } } employers(by: SIZE) { total { employers } } } } }
} }"""


@pytest_asyncio.fixture(scope="module")
async def face(dsns: Dsns) -> AsyncIterator[Face]:
    owner = await asyncpg.connect(dsns.owner)
    counted = await build(owner)
    await furnish(counted)
    pupils = await owner.fetch(
        "SELECT e.id FROM enrolments e JOIN nc_years n ON n.enrolment_id = e.id WHERE e.school_id = $1 AND n.nc_year = '8'"
        " ORDER BY e.id LIMIT 12", counted.ids["ash"],
    )  # fmt: skip
    for row in pupils:
        await earn(counted, row["id"], "acme")
    db = await reading(dsns, pool=4).open()
    made = Face(counted, db)
    try:
        yield made
    finally:
        await made.http.aclose()
        await db.close()
        await owner.close()


def lines(found: dict[str, Any], name: str = "label") -> dict[str, Any]:
    return {edge["node"][name]: edge["node"] for edge in found["edges"]}


async def test_a_hub_reads_what_key_stage_3_lacks_and_what_is_open_to_it(face: Face) -> None:
    found = (await face.data("hub_a", CAPACITY, {"by": "KEY_STAGE"}))["capacity"]
    younger = lines(found)["KS3"]
    assert younger["shortfall"] == {
        "state": "KNOWN", "pupils": 65, "below": {"count": 35, "base": 65, "percent": 54}, "minutes": 49_500,
        "days": 165.0, "halfDays": 330, "wholeDays": 165,
    }  # fmt: skip
    assert younger["open"] == {
        "slots": 3, "places": 75, "pupilMinutes": 6_900, "fillingPlaces": 75, "fillingMinutes": 6_900,
    }  # fmt: skip
    assert (younger["coveredPercent"], younger["leftMinutes"]) == (13, 42_600)
    assert found["total"]["open"]["places"] == 79
    assert (found["total"]["shortfall"]["minutes"], found["total"]["leftMinutes"]) == (64_500, 51_600)


async def test_by_school_the_key_stage_asked_for_is_the_only_one_counted(face: Face) -> None:
    found = (await face.data("trust", CAPACITY, {"by": "SCHOOL", "stage": "KS3"}))["capacity"]
    ash = lines(found)["Ash"]
    assert (ash["shortfall"]["pupils"], ash["shortfall"]["minutes"], ash["open"]["places"]) == (
        30,
        22_500,
        75,
    )
    assert (ash["leftMinutes"], ash["standsOn"]["rounded"]) == (15_600, False)
    assert ash["schoolId"] == str(face.counted.ids["ash"])


async def test_a_school_without_data_is_unknown(face: Face) -> None:
    dogwood = lines((await face.data("hub_a", CAPACITY, {"by": "SCHOOL"}))["capacity"])["Dogwood"]
    assert dogwood["shortfall"]["state"] == "UNKNOWN"
    assert (dogwood["open"], dogwood["openNotKnown"]) == (None, "NO_DATA")
    assert (dogwood["shortfall"]["minutes"], dogwood["coveredPercent"], dogwood["leftMinutes"]) == (
        None,
        None,
        None,
    )


async def test_capacity_of_a_day_gone_by_is_null_with_the_reason(face: Face) -> None:
    day = str(reporting_day_until(date_in(-30)))
    found = (await face.data("hub_a", CAPACITY, {"by": "KEY_STAGE", "asAt": day}))["capacity"]["total"]
    assert (found["open"], found["openNotKnown"], found["leftMinutes"]) == (None, "ONLY_NOW", None)
    assert found["shortfall"]["state"] == "KNOWN"


async def test_lines_come_page_by_page(face: Face) -> None:
    first = (await face.data("hub_a", CAPACITY, {"by": "SCHOOL", "first": 3}))["capacity"]
    assert (list(lines(first)), first["pageInfo"]["hasNextPage"]) == (["Ash", "Beech", "Cedar"], True)
    asked = {"by": "SCHOOL", "first": 3, "after": first["pageInfo"]["endCursor"]}
    assert list(lines((await face.data("hub_a", CAPACITY, asked))["capacity"])) == ["Dogwood"]


async def test_a_day_until_which_nothing_can_begin_is_refused(face: Face) -> None:
    answer = await face.post("hub_a", CAPACITY, {"by": "SCHOOL", "until": "2001-01-01"})
    assert answer.json()["errors"][0]["extensions"]["code"] == "invalid"


async def test_a_hub_reads_its_employers_by_size(face: Face) -> None:
    found = (await face.data("hub_a", EMPLOYERS, {"by": "SIZE"}))["employers"]
    assert [(one["key"], one["employers"]) for one in found["groups"]] == [
        ("micro", 1),
        ("small", 1),
        ("large", 1),
    ]
    total = found["total"]
    assert (total["employers"], total["smePercent"], total["requested"], total["confirmed"]) == (3, 67, 7, 5)
    assert (total["declined"], total["expired"]) == (1, 1)
    assert total["declinedFor"] == [{"reason": "too_time_consuming", "count": None}]
    assert total["response"] == {
        "state": "KNOWN",
        "n": 6,
        "medianHours": 4.0,
        "lowHours": 1.0,
        "highHours": 26.0,
    }
    assert total["offered"] == {"slots": 1, "places": 20, "filled": 10, "unfilled": 10}
    assert (total["openSlots"], total["openPlaces"]) == (4, 79)
    page = found["each"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    acme, bolt = (edge["node"] for edge in page["edges"])
    assert (acme["name"], acme["schoolsReached"], acme["places"], acme["responseBand"]) == (
        "Acme", 1, "TO_24", "WITHIN_A_DAY",
    )  # fmt: skip
    assert (bolt["response"]["state"], bolt["responseBand"]) == ("UNKNOWN", "FEW")


async def test_a_school_reads_its_own_exactly(face: Face) -> None:
    found = (await face.data("ash", EMPLOYERS, {"by": "RESPONSE"}))["employers"]
    assert found["total"]["offered"] == {"slots": 1, "places": 20, "filled": 12, "unfilled": 8}
    assert [one["key"] for one in found["groups"]] == ["within_a_day", "no_answer", "not_asked"]
    shown = (await face.data("ash", VARIETY, {"by": "YEAR_GROUP"}))["variety"]["edges"][0]["node"]
    assert (shown["pupils"], shown["employers"]["one"], shown["kinds"]["mean"]) == (
        30, {"count": 12, "percent": 40}, 0.4,
    )  # fmt: skip


async def test_variety_is_rounded_for_a_hub(face: Face) -> None:
    found = lines((await face.data("hub_a", VARIETY, {"by": "SCHOOL"}))["variety"])
    assert found["Ash"]["employers"]["one"] == {"count": 10, "percent": 20}
    assert found["Ash"]["standsOn"]["rounded"] is True
    assert found["Dogwood"]["state"] == "UNKNOWN"


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_is_told_nothing(face: Face, who: str) -> None:
    text = (await face.post(who, CAPACITY, {"by": "SCHOOL"})).text
    text += (await face.post(who, VARIETY, {"by": "SCHOOL"})).text
    assert not [name for name in ("Ash", "Beech", "Cedar", "Dogwood") if f'"{name}"' in text]
    employers = (await face.data(who, EMPLOYERS, {"by": "SIZE"}))["employers"]["total"]
    assert (employers["requested"], employers["declinedFor"]) == (0, [])


async def test_a_schools_hub_is_not_asked_by_the_school(face: Face) -> None:
    answer = await face.post("ash", "{ hub { capacity(by: SCHOOL) { totalCount } } }")
    assert answer.json()["errors"][0]["extensions"]["code"] == "not_found"
    face.scopes = frozenset({"programmes:read"})
    for field in (
        "capacity(by: SCHOOL) { totalCount }",
        "variety(by: SCHOOL) { totalCount }",
        "employers(by: SIZE) { total { employers } }",
    ):
        refused = await face.post("hub_a", f"{{ {field} }}")
        assert refused.json()["errors"][0]["extensions"]["code"] == "insufficient_scope"


async def test_a_document_with_all_of_it_takes_a_handful_of_statements(face: Face) -> None:
    for _ in range(2):
        before = face.db.statements
        found = await face.data("hub_a", EVERYTHING)
        # the hub, its schools; the schools counted, shortfall, what is open, variety; what is open by employer, dealings,
        # employers
        assert face.db.statements - before == 9 + bool(BACK)  # and then the clock
    assert len(found["hub"]["schools"]["edges"]) == 4


async def test_the_schools_of_a_trust_are_read_together(face: Face) -> None:
    asked = EVERYTHING.split("schools { edges", 1)[1].removesuffix("} }")
    before = face.db.statements
    found = await face.data("trust", "{ schools { edges" + asked + "}")
    # as above, without the hub
    assert face.db.statements - before == 8 + bool(BACK)
    assert len(found["schools"]["edges"]) == 2


@pytest.fixture(autouse=True)
def _as_usual(face: Face) -> None:
    face.scopes = frozenset({"coverage:read", "programmes:read"})
