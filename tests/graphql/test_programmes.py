"""Programmes over GraphQL: strands side by side, targets and budgets, to whom, and in how many statements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.clock import rfc3339, wall_now
from app.core.db import Database
from app.core.roles import Dsns
from app.dashboards import service
from tests.graphql.test_graphql import Face
from tests.programme_counted import Pilot, add_pilot, add_trust_pilot
from tests.pupils_counted import SCOPES, TODAY, build

pytestmark = pytest.mark.calendar

FIGURES = """fragment All on ProgrammeFigures { state on knownAt part rounded schools schoolsUnknown youngPeople minutes days
  minutesPerYoungPerson { ...Measure } bm5 { ...Share } bm6 { ...Share } noShows { ...Share }
  costPerPupilHour { ...Measure } costPerPupilHourToProgramme { ...Measure }
  employerResponseHours { ...Measure } requestsAnswered { ...Share } }
fragment Share on ProgrammeShare { state count base percent lower upper }
fragment Measure on ProgrammeMeasure { state value n lower upper }"""
BODY = """name figures(asAt: $on, knownAt: $known) { ...All }
  strands { code figures(asAt: $on, knownAt: $known) { ...All } }
  progress(asAt: $on, knownAt: $known) { measure strandId characteristic target dueOn part state reached percentOfTarget
    lower upper expected outlook share { ...Share } }
  budgets(asAt: $on, knownAt: $known) { schools part budgetPence byOwnBudget { ownBudget schools percent }
    withoutBudget { name urn ownBudget money { allocatedPence spentPence } }
    money { allocatedPence committedPence spentPence spentByProgrammePence } }"""
PAGE = f"""query Page($on: Date, $known: DateTime) {{
  programmes {{ totalCount edges {{ node {{ {BODY} }} }} }} }} {FIGURES}"""
ONE = f"query One($id: ID!, $on: Date, $known: DateTime) {{ programme(id: $id) {{ {BODY} }} }} {FIGURES}"


class Programmes(Face):
    """The face, and the programmes behind it."""

    pilot: Pilot
    trusts: Pilot

    async def one(self, who: str, **asked: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.data(who, ONE, {"id": str(self.pilot.id), **asked}))["programme"]
        return found

    async def sent(self, who: str, query: str) -> tuple[int, dict[str, Any]]:
        """How many statements a document takes, and its answer."""
        before = self.db.statements
        answer = await self.post(who, query)
        assert answer.status_code in {200, 294}, answer.text
        told: dict[str, Any] = answer.json()
        return self.db.statements - before, told


@asynccontextmanager
async def opened(dsns: Dsns) -> AsyncIterator[Programmes]:
    """The face on a counted world with a hub's programme and a trust's."""
    owner = await asyncpg.connect(dsns.owner)
    db = await Database(dsns.app, pool=4).open()
    made = Programmes(await build(owner), db)
    made.pilot = await add_pilot(made.counted)
    made.trusts = await add_trust_pilot(made.counted, made.pilot.pupils["oak"])
    try:
        yield made
    finally:
        await made.http.aclose()
        await db.close()
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def face(dsns: Dsns) -> AsyncIterator[Programmes]:
    async with opened(dsns) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_usual(face: Programmes) -> None:
    face.scopes = SCOPES


async def test_a_hub_reads_its_strands_side_by_side_in_the_order_of_their_codes(face: Programmes) -> None:
    found = await face.one("pilot_hub")
    assert [one["code"] for one in found["strands"]] == ["project", "talk", "tour", "visit"]
    states = {one["code"]: one["figures"]["state"] for one in found["strands"]}
    assert states == {"project": "WITHHELD", "talk": "UNKNOWN", "tour": "KNOWN", "visit": "WITHHELD"}
    tour = found["strands"][2]["figures"]
    assert tour["bm5"] == {
        "state": "KNOWN", "count": 15, "base": 20, "percent": 75, "lower": 53.1, "upper": 88.8,
    }  # fmt: skip
    assert tour["requestsAnswered"] == {
        "state": "WITHHELD", "count": None, "base": None, "percent": None, "lower": None, "upper": None,
    }  # fmt: skip
    assert (found["figures"]["on"], found["figures"]["rounded"], found["figures"]["part"]) == (
        str(TODAY),
        True,
        "WHOLE",
    )


async def test_a_hub_reads_its_targets_and_who_has_no_budget(face: Programmes) -> None:
    found = await face.one("pilot_hub")
    shown = [(one["measure"], one["target"], one["reached"], one["outlook"]) for one in found["progress"]]
    assert shown == [
        ("SCHOOLS", 4, 3, "ON_COURSE"),
        ("YOUNG_PEOPLE", 40, 20, "SHORT"),
        ("MINUTES", 9_000, 7_200, "ON_COURSE"),
        ("SHARE", 20, None, "UNKNOWN"),
        ("YOUNG_PEOPLE", 10, None, "UNKNOWN"),
    ]
    assert found["budgets"]["byOwnBudget"] == [
        {"ownBudget": "NONE", "schools": 1, "percent": 50},
        {"ownBudget": "TOO_LITTLE", "schools": 1, "percent": 50},
        {"ownBudget": "SUFFICIENT", "schools": 0, "percent": 0},
        {"ownBudget": "UNKNOWN", "schools": 1, "percent": None},
    ]
    assert [one["name"] for one in found["budgets"]["withoutBudget"]] == ["Oak"]
    assert found["budgets"]["money"]["spentPence"] == 50_000


async def test_a_school_and_its_trust_read_their_part_exactly_and_no_budget_of_the_owners(
    face: Programmes,
) -> None:
    for who, people in (("oak", 14), ("pine", 8), ("pilot_trust", 22)):
        found = await face.one(who)
        assert (found["figures"]["youngPeople"], found["figures"]["part"]) == (people, "OWN")
        assert found["figures"]["rounded"] is False
        assert found["budgets"]["budgetPence"] is None
        assert {one["outlook"] for one in found["progress"]} == {"UNKNOWN"}


async def test_an_authority_over_the_hub_finds_the_programme_and_reads_it_as_the_hub_does(
    face: Programmes,
) -> None:
    listed = (
        "{ programmes { totalCount edges { node { name schools { totalCount edges { node { name } } } } } } }"
    )
    assert await face.data("pilot_authority", listed) == await face.data("pilot_hub", listed)
    above, hub = await face.one("pilot_authority"), await face.one("pilot_hub")
    assert (above["budgets"].pop("budgetPence"), hub["budgets"].pop("budgetPence")) == (None, 500_000)
    assert above == hub


@pytest.mark.parametrize(
    "who", ["hub_a", "authority", "other_trust", "ash", "fir", "pilot_employer", "stranger_vendor"]
)
async def test_a_stranger_finds_no_programme(face: Programmes, who: str) -> None:
    answer = await face.post(who, ONE, {"id": str(face.pilot.id)})
    assert answer.json()["data"] == {"programme": None}
    assert answer.json()["errors"][0]["extensions"]["code"] == "not_found"


async def test_figures_of_young_people_need_the_scope_of_coverage_and_money_does_not(
    face: Programmes,
) -> None:
    face.scopes = frozenset({"programmes:read"})
    query = "query One($id: ID!) { programme(id: $id) { name figures { minutes } budgets { schools } } }"
    answer = await face.post("pilot_hub", query, {"id": str(face.pilot.id)})
    assert answer.json()["data"]["programme"] == {
        "name": "Tours and projects", "figures": None, "budgets": {"schools": 3},
    }  # fmt: skip
    assert answer.json()["errors"][0]["extensions"]["code"] == "insufficient_scope"


async def test_a_page_of_programmes_with_everything_takes_as_many_statements_as_one(face: Programmes) -> None:
    """Page, strands, figures, targets, budgets: five, whatever the number of programmes and strands."""
    query = f"""query Both($on: Date, $known: DateTime, $then: Date) {{ programmes {{ edges {{ node {{ {BODY}
      before: figures(asAt: $then) {{ minutes }} }} }} }} }} {FIGURES}"""
    before = face.db.statements
    page = await face.data("pilot_trust", PAGE)
    assert page["programmes"]["totalCount"] == 2
    assert face.db.statements - before == 5
    before = face.db.statements
    await face.one("pilot_hub")
    assert face.db.statements - before == 5
    before = face.db.statements
    await face.data("pilot_trust", query, {"then": str(TODAY - timedelta(days=15))})
    assert face.db.statements - before == 6, "another day is one more"


async def test_a_day_to_come_and_a_moment_that_is_not_over_are_refused(face: Programmes) -> None:
    for asked, pointer in (
        ({"on": str(TODAY + timedelta(days=1))}, "/asAt"),
        ({"known": rfc3339(wall_now())}, "/knownAt"),
    ):
        answer = await face.post("pilot_hub", ONE, {"id": str(face.pilot.id), **asked})
        assert answer.json()["data"]["programme"]["figures"] is None
        assert pointer in answer.text


async def test_the_same_day_and_knowledge_give_the_same_answer_after_corrections(
    face: Programmes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "is_reporting_day", lambda _: True)
    monkeypatch.setattr(service, "is_closing", lambda _: True)  # nothing was recorded before today
    asked = {"on": str(TODAY - timedelta(days=1)), "known": rfc3339(wall_now() - timedelta(minutes=2))}
    before = {who: await face.one(who, **asked) for who in ("pilot_hub", "pilot_trust", "pine")}
    latest = await face.one("pine")
    await face.pilot.take_back("T2", 7)
    await face.counted.owner.execute(
        "UPDATE costs SET removed_at = now() WHERE id = $1", face.pilot.rows["lift"]
    )
    await face.counted.owner.execute(
        "UPDATE programme_schools SET own_budget = 'none' WHERE programme_id = $1", face.pilot.id
    )
    assert {who: await face.one(who, **asked) for who in before} == before
    assert await face.one("pine") != latest
