"""Both pilots, loaded: every number that their announcements state, read from the API by those who run them."""

import os
import statistics
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio

from app.demo.businesses import BY_KEY
from app.demo.data import ACADEMIES
from app.demo.hub_pilot import KS3
from app.demo.party import Party
from app.demo.terms import monday_of, term_of
from app.graphql.schema import print_sdl
from app.main import create_app
from tests.demonstration import Demonstration
from tests.today import TODAY

pytestmark = pytest.mark.calendar

TEN_DAYS, DAY = 3000, 300
TOUR = 120
LARGEST = 200
_PROGRAMMES = """{ programmes { edges { node { uuid name funder startsOn endsOn budgetPence
  strands { code name model }
  figures { state youngPeople rounded minutes noShows { percent } employerResponseHours { value n } }
  progress { measure characteristic target reached outlook share { percent } }
  budgets { schools byOwnBudget { ownBudget schools percent } withoutBudget { name }
            money { allocatedPence committedPence committedToDatePence spentPence spentByProgrammePence } } } } } }"""


class Loaded:
    """The application on the loaded database, its parties by key, and the database as its owner."""

    def __init__(
        self, demonstration: Demonstration, http: httpx.AsyncClient, owner: asyncpg.Connection
    ) -> None:
        self.seconds = demonstration.seconds
        self.owner, self._http = owner, http
        self.clients = orjson.loads(demonstration.settings.credentials_path.read_bytes())["clients"]
        self._parties: dict[str, Party] = {}

    async def __call__(self, key: str) -> Party:
        """A party, signed in."""
        if key not in self._parties:
            self._parties[key] = Party(self._http, key, self.clients[key])
            await self._parties[key].sign_in()
        return self._parties[key]

    def org(self, key: str) -> str:
        return str(self.clients[key]["org_id"])

    async def programme(self, key: str) -> dict[str, Any]:
        """The one programme that a party sees, with all its figures."""
        data = await (await self(key)).ask(_PROGRAMMES)
        (edge,) = data["programmes"]["edges"]
        return dict(edge["node"])


@pytest_asyncio.fixture(scope="module")
async def loaded(demonstration: Demonstration) -> AsyncIterator[Loaded]:
    app = create_app(demonstration.settings)
    owner = await asyncpg.connect(demonstration.dsns.owner)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
            yield Loaded(demonstration, http, owner)
    await owner.close()


# --- the trust's pilot ----------------------------------------------------------------------------


async def test_the_trust_reads_thirteen_academies_which_lie_in_at_least_three_hubs(loaded: Loaded) -> None:
    trust = await loaded("trust")
    data = await trust.ask(
        "{ trust { name schools(first: 50) { totalCount edges { node { name hub { name } } } } } }"
    )
    assert data["trust"]["schools"]["totalCount"] == 13
    schools = [edge["node"] for edge in data["trust"]["schools"]["edges"]]
    assert len({one["hub"]["name"] for one in schools}) >= 3
    assert all(one["name"].startswith("Co-op Academy") for one in schools)


async def test_the_trusts_programme_aims_at_thirteen_schools_and_ten_days_for_each_of_3000(
    loaded: Loaded,
) -> None:
    found = await loaded.programme("trust")
    targets = {one["measure"]: one for one in found["progress"]}
    assert (targets["SCHOOLS"]["target"], targets["SCHOOLS"]["reached"]) == (13, 13)
    pupils = targets["YOUNG_PEOPLE"]["target"]
    assert pupils == 3000
    assert targets["MINUTES"]["target"] / pupils == TEN_DAYS
    assert TEN_DAYS / DAY == 10
    data = await (await loaded("trust")).ask("{ trust { figures { figures { pupils } } } }")
    assert data["trust"]["figures"]["figures"]["pupils"] == pupils


async def test_each_academy_is_on_a_strand_and_several_strands_are_tested(loaded: Loaded) -> None:
    trust = await loaded("trust")
    programme = (await loaded.programme("trust"))["uuid"]
    rows = (await trust.get(f"/v1/programmes/{programme}/schools", limit=LARGEST))["data"]
    assert {row["school_id"] for row in rows} == {loaded.org(key) for key in ACADEMIES}
    assert all(row["state"] == "enrolled" and row["strand_id"] for row in rows)
    assert len({row["strand_id"] for row in rows}) >= 3


async def test_experiences_add_up_to_ten_days_for_some_and_many_are_on_their_way(loaded: Loaded) -> None:
    trust = await loaded("trust")
    data = await trust.ask(
        "{ trust { coverage(by: YEAR_GROUP) { edges { node { yearGroup figures { pupils atZero { count }"
        " at50Hours { count } minutesPerPupil } } } } } }"
    )
    years = {
        edge["node"]["yearGroup"]: edge["node"]["figures"] for edge in data["trust"]["coverage"]["edges"]
    }
    assert set(years) == {"7", "8", "9", "10", "11"}
    earned = [years[str(year)]["minutesPerPupil"] for year in (7, 8, 9, 10, 11)]
    assert earned == sorted(earned)
    eldest = years["11"]
    assert 0.15 * eldest["pupils"] < eldest["at50Hours"]["count"] < 0.8 * eldest["pupils"]
    assert 0 < eldest["atZero"]["count"] < 0.2 * eldest["pupils"]


async def test_a_pupil_with_ten_days_reads_as_ten_days(loaded: Loaded) -> None:
    row = await loaded.owner.fetchrow(
        "SELECT b.school_id, b.enrolment_id, b.minutes, o.name FROM balances b JOIN organisations o ON o.id = b.school_id"
        " WHERE b.minutes >= $1 AND o.name LIKE 'Co-op Academy %' ORDER BY b.minutes, b.enrolment_id LIMIT 1",
        TEN_DAYS,
    )
    key = next(key for key, one in loaded.clients.items() if one["organisation"] == row["name"])
    path = f"/v1/schools/{row['school_id']}/pupils/{row['enrolment_id']}/progress"
    total = (await (await loaded(key)).get(path))["total"]
    assert (total["credited_minutes"], total["target_minutes"]) == (row["minutes"], TEN_DAYS)
    assert total["days"] >= 10


async def test_small_and_medium_employers_and_the_growing_sectors_are_the_majority(loaded: Loaded) -> None:
    sizes = [one.size_band for one in BY_KEY.values()]
    assert sum(size != "large" for size in sizes) > 0.8 * len(sizes)
    rows = await loaded.owner.fetch(
        "SELECT e.size_band, o.sector FROM bookings b JOIN employers e ON e.id = b.employer_id"
        " JOIN offers o ON o.id = b.offer_id JOIN programmes p ON p.id = b.programme_id"
        " WHERE p.external_ref = 'ten-days'"
    )
    assert sum(row["size_band"] != "large" for row in rows) > 0.5 * len(rows)
    focus = ("life_sciences", "advanced_manufacturing", "digital_and_technologies")
    assert all(any(row["sector"] == one for row in rows) for one in focus)
    assert sum(row["sector"] in focus for row in rows) > 0.5 * len(rows)
    skills = await loaded.owner.fetchval("SELECT count(DISTINCT s) FROM offers, unnest(skills) s")
    assert skills == 8


# --- the hub's pilot ------------------------------------------------------------------------------


async def test_the_hub_reads_fifty_schools_and_exactly_2000_young_people(loaded: Loaded) -> None:
    found = await loaded.programme("hub")
    targets = {one["measure"]: one for one in found["progress"] if not one["characteristic"]}
    assert (targets["SCHOOLS"]["target"], targets["SCHOOLS"]["reached"]) == (50, 50)
    assert (targets["YOUNG_PEOPLE"]["target"], targets["YOUNG_PEOPLE"]["reached"]) == (2000, 2000)
    assert found["figures"]["youngPeople"] == 2000
    exact = await loaded.owner.fetchval(
        "SELECT count(DISTINCT e.person_no) FROM encounters e JOIN bookings b ON b.id = e.booking_id"
        " JOIN programmes p ON p.id = b.programme_id"
        " WHERE p.external_ref = 'experience-of-workplace' AND e.in_person_minutes > 0"
    )
    assert exact == 2000
    data = await (await loaded("hub")).ask("{ hub { schools { totalCount } } }")
    assert data["hub"]["schools"]["totalCount"] == 50


async def test_38_per_cent_have_no_budget_and_25_per_cent_too_little(loaded: Loaded) -> None:
    budgets = (await loaded.programme("hub"))["budgets"]
    said = {one["ownBudget"]: one for one in budgets["byOwnBudget"]}
    assert said["NONE"]["percent"] == 38
    assert said["TOO_LITTLE"]["percent"] == 25
    assert said["UNKNOWN"] == {"ownBudget": "UNKNOWN", "schools": 2, "percent": None}
    assert len(budgets["withoutBudget"]) == said["NONE"]["schools"]


async def test_the_four_models_are_strands_and_a_tour_takes_two_hours(loaded: Loaded) -> None:
    found = await loaded.programme("hub")
    assert {one["code"] for one in found["strands"]} == {"tours", "projects", "placements", "innovate"}
    hub = await loaded("hub")
    tours = (await hub.get("/v1/open-slots", kind="workplace_tour", limit=LARGEST))["data"]
    assert len(tours) > 20
    assert {one["minutes"] for one in tours} == {TOUR}
    school, org = await loaded("school"), loaded.org("school")
    been = (await school.get("/v1/encounters", school_id=org, limit=LARGEST))["data"]
    minutes = [one["minutes"] for one in been if one["kind"] == "workplace_tour" and one["booking_id"]]
    assert len(minutes) >= 50
    assert statistics.mode(minutes) == TOUR


async def test_every_strand_took_place_with_the_form_it_stands_for(loaded: Loaded) -> None:
    rows = await loaded.owner.fetch(
        "SELECT s.code, b.kind, count(*) FROM bookings b JOIN strands s ON s.id = b.strand_id"
        " JOIN programmes p ON p.id = b.programme_id"
        " WHERE b.state = 'completed' AND p.external_ref = 'experience-of-workplace' GROUP BY 1, 2 ORDER BY 1"
    )
    assert [(row["code"], row["kind"]) for row in rows] == [
        ("innovate", "innovative"),
        ("placements", "placement"),
        ("projects", "employer_project"),
        ("tours", "workplace_tour"),
    ]


async def test_key_stage_3_is_scarce_at_first_and_grows_from_term_to_term(loaded: Loaded) -> None:
    rows = await loaded.owner.fetch(
        "SELECT e.starts_on, e.nc_year FROM encounters e JOIN bookings b ON b.id = e.booking_id"
        " JOIN programmes p ON p.id = b.programme_id WHERE p.external_ref = 'experience-of-workplace'"
    )
    terms: dict[tuple[int, int], list[bool]] = {}
    for row in rows:
        terms.setdefault(term_of(row["starts_on"]), []).append(int(row["nc_year"]) in KS3)
    shares = [sum(young) / len(young) for _, young in sorted(terms.items()) if len(young) > 100]
    assert len(shares) >= 3
    assert shares == sorted(shares)
    assert shares[0] < 0.2
    assert shares[-1] > 0.45


async def test_money_is_allocated_committed_and_spent_and_who_pays_is_known(loaded: Loaded) -> None:
    found = await loaded.programme("hub")
    money = found["budgets"]["money"]
    assert 0 < money["spentByProgrammePence"] < money["spentPence"]
    assert money["committedPence"] > 0
    assert money["spentByProgrammePence"] <= money["allocatedPence"] <= found["budgetPence"]
    rows = await loaded.owner.fetch("SELECT DISTINCT kind, paid_by FROM costs WHERE booking_id IS NOT NULL")
    assert {row["kind"] for row in rows} >= {"coach", "supply_cover", "kit", "lunch"}
    assert {row["paid_by"] for row in rows} >= {"programme", "school", "parent", "trust"}
    over = await loaded.owner.fetchval(
        "SELECT count(*) FROM (SELECT c.programme_id, c.school_id, sum(c.amount_pence) AS used FROM costs c"
        " WHERE c.paid_by = 'programme' AND c.removed_at IS NULL GROUP BY 1, 2) u JOIN allocations a"
        " USING (programme_id, school_id) WHERE u.used > a.amount_pence"
    )
    assert over == 0


async def test_rest_and_graphql_agree_on_targets_and_money_of_both_owners(loaded: Loaded) -> None:
    for owner, wanted in (("hub", {"schools": 50, "young_people": 2000}), ("trust", {"schools": 13})):
        found, party = await loaded.programme(owner), await loaded(owner)
        path = f"/v1/programmes/{found['uuid']}"
        targets = (await party.get(f"{path}/targets", limit=LARGEST))["data"]
        assert {one["measure"]: one["value"] for one in targets}.items() >= wanted.items()
        money, shown = await party.get(f"{path}/money"), found["budgets"]["money"]
        assert money["spent_pence"] == shown["spentPence"]
        assert money["committed_pence"] == shown["committedPence"]
        assert money["committed_to_date_pence"] == shown["committedToDatePence"] <= shown["committedPence"]
        assert money["allocated_pence"] == shown["allocatedPence"] <= money["budget_pence"]
        costs = (await party.get(f"{path}/costs", limit=5))["data"]
        assert all(one["booking_id"] for one in costs)


# Among pupils with nothing, how much more often than among those with something.
OVER = {
    "sen": ("value <> 'N'", 1.3),
    "attendance": ("value <> 'none'", 1.3),
    "behaviour": ("value = 'true'", 1.5),
    "free_school_meals": ("value = 'current'", 1.15),
}


async def test_those_named_as_hardest_to_place_are_over_represented_among_pupils_with_nothing(
    loaded: Loaded,
) -> None:
    for group, (yes, factor) in OVER.items():
        row = await loaded.owner.fetchrow(
            f"SELECT avg(CASE WHEN {yes} THEN 1.0 ELSE 0 END) FILTER (WHERE coalesce(b.minutes, 0) = 0) AS nothing,"
            f" avg(CASE WHEN {yes} THEN 1.0 ELSE 0 END) FILTER (WHERE b.minutes > 0) AS something"
            " FROM characteristics c LEFT JOIN balances b USING (enrolment_id) JOIN memberships m"
            " ON m.member_id = c.school_id AND m.kind = 'hub' AND m.parent_id = $2"
            " WHERE c.field_group = $1 AND c.superseded_at IS NULL",
            group,
            loaded.org("hub"),
        )
        assert row["nothing"] > factor * float(row["something"]), (group, dict(row))


@pytest.mark.skipif("type Gap " not in print_sdl(), reason="this schema has no gaps to peers")
async def test_the_hub_reads_the_gaps_to_peers_and_three_schools_are_unknown_for_behaviour(
    loaded: Loaded,
) -> None:
    data = await (await loaded("hub")).ask(
        "{ hub { gaps(groups: [SEN, FREE_SCHOOL_MEALS, ATTENDANCE, BEHAVIOUR], first: 50) { edges { node {"
        " group value gap schoolsTold schoolsUnknown figures { pupils atZero { percent } } } } } } }"
    )
    lines = [edge["node"] for edge in data["hub"]["gaps"]["edges"]]
    gaps = {(one["group"], one["value"]): one for one in lines}
    for group, value in (
        ("SEN", "K"),
        ("SEN", "E"),
        ("ATTENDANCE", "persistent"),
        ("BEHAVIOUR", "true"),
        ("FREE_SCHOOL_MEALS", "current"),
    ):
        assert gaps[group, value]["gap"] >= 5, (group, value, gaps[group, value])
    assert (gaps["SEN", "K"]["schoolsTold"], gaps["SEN", "K"]["schoolsUnknown"]) == (50, 0)
    assert (gaps["BEHAVIOUR", "true"]["schoolsTold"], gaps["BEHAVIOUR", "true"]["schoolsUnknown"]) == (47, 3)


async def test_characteristics_go_together_as_they_do_in_england(loaded: Loaded) -> None:
    shares = await loaded.owner.fetchrow(
        "SELECT avg((m.value = 'current')::int) AS meals, avg((s.value = 'E')::int) AS plans,"
        " avg((s.value = 'K')::int) AS support,"
        " avg((a.value <> 'none')::int) FILTER (WHERE m.value = 'current') AS absent_with,"
        " avg((a.value <> 'none')::int) FILTER (WHERE m.value <> 'current') AS absent_without"
        " FROM characteristics m JOIN characteristics s USING (enrolment_id) JOIN characteristics a USING (enrolment_id)"
        " WHERE m.field_group = 'free_school_meals' AND s.field_group = 'sen' AND a.field_group = 'attendance'"
    )
    wanted = {"meals": 0.257, "plans": 0.05, "support": 0.14, "absent_with": 0.317, "absent_without": 0.144}
    for name, share in wanted.items():
        assert abs(float(shares[name]) - share) < 0.02, (name, shares[name])


# --- ahead and behind -----------------------------------------------------------------------------


async def test_a_year_lies_behind_and_open_slots_of_every_kind_ahead_for_key_stage_3_too(
    loaded: Loaded,
) -> None:
    monday = monday_of(TODAY)
    row = await loaded.owner.fetchrow(
        "SELECT min(starts_at) AS first, max(starts_at) AS last FROM bookings WHERE state = 'completed'"
    )
    assert row["first"].date() < monday - timedelta(weeks=40)
    assert monday - timedelta(weeks=14) < row["last"].date() < monday
    hub = await loaded("hub")
    kinds: set[str] = set()
    for kind in ("workplace_tour", "workplace_visit", "employer_project", "innovative", "virtual_experience"):
        found = (await hub.get("/v1/open-slots", kind=kind, year_group=8, limit=5))["data"]
        kinds |= {one["kind"] for one in found}
    assert len(kinds) == 5
    placements = (await hub.get("/v1/open-slots", kind="placement", limit=LARGEST))["data"]
    assert placements
    assert all(set(one["year_groups"]) <= {"10", "11"} for one in placements)


async def test_requests_went_every_way_and_large_employers_answer_later(loaded: Loaded) -> None:
    states = {row["state"] for row in await loaded.owner.fetch("SELECT DISTINCT state FROM bookings")}
    assert states >= {"completed", "confirmed", "requested", "declined", "expired", "cancelled"}
    rows = await loaded.owner.fetch(
        "SELECT e.size_band, percentile_cont(0.5) WITHIN GROUP (ORDER BY b.confirmed_at - b.requested_at) AS took"
        " FROM bookings b JOIN employers e ON e.id = b.employer_id WHERE b.confirmed_at IS NOT NULL GROUP BY 1"
    )
    took = {row["size_band"]: row["took"] for row in rows}
    assert took["medium"] < took["small"] < took["micro"] < took["large"]
    missed = (await loaded.programme("hub"))["figures"]["noShows"]["percent"]
    assert 1 <= missed <= 3
    assert await loaded.owner.fetchval("SELECT count(*) FROM no_shows WHERE resolution IS NULL") == 0


async def test_history_announces_nothing_and_feeds_begin_empty(loaded: Loaded) -> None:
    assert await loaded.owner.fetchval("SELECT count(*) FROM events") == 0
    assert (await (await loaded("school")).get("/v1/events"))["data"] == []


@pytest.mark.skipif(os.getloadavg()[0] > 2 * (os.cpu_count() or 1), reason="too busy a machine to tell")
async def test_both_pilots_are_loaded_in_less_than_a_minute(loaded: Loaded) -> None:
    assert loaded.seconds < 60
