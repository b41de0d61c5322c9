"""A programme's figures on a real Postgres, as `tendays_app`; each was worked out by hand from tests/programme_counted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.roles import Dsns
from app.dashboards import programmes, sql, targets
from app.dashboards.programmes import Figures, Measure, Part, Share, Sheet
from app.dashboards.targets import Budgets, Measured, Money, Outlook, OwnBudget, Target
from app.rules.coverage import FigureState
from tests.programme_counted import Pilot, add_pilot, add_trust_pilot
from tests.pupils_counted import TODAY, Counted, build

pytestmark = pytest.mark.calendar

KNOWN, WITHHELD, UNKNOWN = FigureState.KNOWN, FigureState.WITHHELD, FigureState.UNKNOWN
STRANGERS = (
    "hub_a",
    "hub_b",
    "other_trust",
    "authority",
    "ash",
    "rowan",
    "pilot_employer",
    "stranger_vendor",
)


@dataclass
class Seen:
    """The programme and who looks at it."""

    db: Database
    pilot: Pilot
    trusts: Pilot

    async def sheet(
        self, who: str, on: date = TODAY, known: datetime | None = None, pilot: Pilot | None = None
    ) -> Sheet | None:
        key = (pilot or self.pilot).id
        async with self.db.read(self.pilot.world.caller(who)) as tx:
            return programmes.sheets(await sql.programme_figures(tx, [key], on, known)).get(key)

    async def strand(self, who: str, code: str, on: date = TODAY, known: datetime | None = None) -> Figures:
        sheet = await self.sheet(who, on, known)
        assert sheet is not None
        return sheet.strands[self.pilot.strands[code]]

    async def targets(
        self, who: str, on: date = TODAY, known: datetime | None = None, pilot: Pilot | None = None
    ) -> dict[tuple[str, UUID | None], Target]:
        key = (pilot or self.pilot).id
        async with self.db.read(self.pilot.world.caller(who)) as tx:
            sheets = programmes.sheets(await sql.programme_figures(tx, [key], on, known))
            rows = await sql.programme_targets(tx, [key], on, known)
            found = targets.targets(rows, sheets, {}, on).get(key, [])
        return {(one.measure.value, one.strand_id): one for one in found}

    async def budgets(self, who: str, on: date = TODAY, known: datetime | None = None) -> Budgets | None:
        async with self.db.read(self.pilot.world.caller(who)) as tx:
            rows = await sql.programme_budgets(tx, [self.pilot.id], on, known)
        return targets.budgets(rows).get(self.pilot.id)


@pytest_asyncio.fixture(scope="module")
async def seen(dsns: Dsns) -> AsyncIterator[Seen]:
    owner = await asyncpg.connect(dsns.owner)
    world: Counted = await build(owner)
    pilot = await add_pilot(world)
    trusts = await add_trust_pilot(world, pilot.pupils["oak"])
    db = await Database(dsns.app, pool=3).open()
    yield Seen(db, pilot, trusts)
    await db.close()
    await owner.close()


async def whole(seen: Seen, who: str) -> Figures:
    sheet = await seen.sheet(who)
    assert sheet is not None
    return sheet.whole


# --- exact: a trust reads the part of its academies, a school its own -----------------------------------


async def test_a_strand_is_counted_exactly_for_who_holds_the_rows(seen: Seen) -> None:
    tour = await seen.strand("pilot_trust", "tour")
    assert (tour.state, tour.part, tour.rounded, tour.schools) == (KNOWN, Part.OWN, False, 2)
    assert (tour.young_people, tour.minutes, tour.days) == (20, 12 * 120 + 8 * 180, 20)
    assert tour.minutes_each == Measure(KNOWN, 144.0, 20, 129.9, 158.1)
    assert tour.days_each == Measure(KNOWN, 1.0, 20, 1.0, 1.0)
    assert tour.bm5 == Share(KNOWN, 16, 20, 80, 58.4, 91.9)
    assert tour.bm6 == Share(KNOWN, 0, 20, 0, 0.0, 16.1)
    assert tour.no_shows == Share(KNOWN, 1, 21, 5, 0.8, 22.7)


async def test_a_project_of_two_days_counts_two_days_for_each(seen: Seen) -> None:
    project = await seen.strand("pilot_trust", "project")
    assert (project.young_people, project.minutes, project.days, project.schools) == (6, 3_600, 12, 1)
    assert (project.bm6.count, project.bm6.base, project.bm6.upper) == (6, 6, 100.0)
    assert (project.no_shows.count, project.no_shows.base) == (0, 12)
    assert project.minutes_each == Measure(KNOWN, 600.0, 6, 600.0, 600.0)


async def test_the_whole_counts_each_person_once(seen: Seen) -> None:
    found = await whole(seen, "pilot_trust")
    assert (found.young_people, found.minutes, found.days) == (22, 7_320, 46)
    assert found.minutes_each == Measure(KNOWN, 332.7, 22, 207.5, 458.0)
    assert found.days_each == Measure(KNOWN, 2.1, 22, 1.8, 2.4)
    assert (found.bm5.count, found.bm6.count, found.no_shows.base) == (18, 6, 47)


async def test_the_cost_of_an_hour_is_that_of_the_schools_with_a_recorded_cost(seen: Seen) -> None:
    tour = await seen.strand("pilot_trust", "tour")
    assert tour.cost == Measure(KNOWN, 875, 2, 0, 5_640)
    assert (tour.cost_to_programme.value, tour.cost_to_programme.n) == (625, 2)
    project = await seen.strand("pilot_trust", "project")
    assert project.cost == Measure(KNOWN, 100, 1)
    visit = await seen.strand("pilot_trust", "visit")
    assert visit.cost == visit.cost_to_programme == Measure(UNKNOWN), (
        "a commitment is not spent, and no cost is not 0"
    )
    assert (await whole(seen, "pilot_trust")).cost.value == 410


async def test_the_employers_answer_is_a_confirmation_a_decline_or_a_counter_proposal(seen: Seen) -> None:
    tour, visit = await seen.strand("pilot_trust", "tour"), await seen.strand("pilot_trust", "visit")
    assert tour.response == Measure(KNOWN, 30.0, 5)
    assert (tour.answered.count, tour.answered.base, tour.answered.percent) == (5, 6, 83)
    assert visit.response == Measure(KNOWN, 16.0, 2)
    found = await whole(seen, "pilot_trust")
    assert found.response == Measure(KNOWN, 22.0, 8, 5.0, 100.0)
    assert (found.answered.count, found.answered.base) == (8, 9)


async def test_a_school_sees_its_own_part_alone(seen: Seen) -> None:
    tour, visit = await seen.strand("pine", "tour"), await seen.strand("pine", "visit")
    assert (tour.part, tour.young_people, tour.minutes, tour.schools) == (Part.OWN, 8, 1_440, 1)
    assert (visit.state, visit.young_people) == (UNKNOWN, None)
    assert (await whole(seen, "pine")).young_people == 8
    assert (await whole(seen, "oak")).minutes == 12 * 120 + 14 * 60


async def test_a_trust_that_runs_a_programme_over_its_academies_reads_it_exactly(seen: Seen) -> None:
    sheet = await seen.sheet("pilot_trust", pilot=seen.trusts)
    assert sheet is not None
    assert (sheet.whole.part, sheet.whole.rounded) == (Part.WHOLE, False)
    assert (sheet.whole.young_people, sheet.whole.minutes, sheet.whole.schools) == (4, 400, 1)
    only = sheet.strands[seen.trusts.strands["only"]]
    assert (only.young_people, only.schools) == (4, 1), (
        "a school enrolled as a whole is of the strand it books"
    )
    assert only.cost.state is UNKNOWN
    assert only.no_shows == Share(KNOWN, 0, 4, 0, 0.0, 49.0)


async def test_a_strand_on_which_nobody_is_is_unknown_and_one_on_which_nothing_happened_is_nought(
    seen: Seen,
) -> None:
    talk = await seen.strand("pilot_hub", "talk")
    assert (talk.state, talk.young_people, talk.minutes, talk.schools) == (UNKNOWN, None, None, 0)
    assert (talk.bm6.state, talk.no_shows.state, talk.response.state) == (UNKNOWN, UNKNOWN, UNKNOWN)
    before = await seen.strand("pilot_hub", "tour", TODAY - timedelta(days=31))
    assert (before.state, before.young_people, before.minutes, before.days) == (KNOWN, 0, 0, 0)
    assert before.bm5.state is UNKNOWN, "a share of nobody"


# --- rounded and withheld: the hub, and those over it ---------------------------------------------------


@pytest.mark.parametrize("who", ["pilot_hub", "pilot_authority"])
async def test_the_hub_and_its_authority_read_rounded_figures(seen: Seen, who: str) -> None:
    found = await whole(seen, who)
    assert (found.state, found.part, found.rounded) == (KNOWN, Part.WHOLE, True)
    assert (found.schools, found.schools_unknown) == (3, 1)
    assert (found.young_people, found.minutes, found.days) == (20, 7_200, 45)
    assert found.minutes_each == Measure(KNOWN, 360.0, 20, 235.0, 485.0)
    assert found.bm5 == Share(KNOWN, 20, 20, 100, 83.9, 100.0)
    assert found.cost.value == 417
    assert found.no_shows == Share(KNOWN, 0, 45, 0, 0.0, 7.9)


async def test_a_strand_of_six_is_withheld_and_the_next_smallest_with_it(seen: Seen) -> None:
    project, visit = await seen.strand("pilot_hub", "project"), await seen.strand("pilot_hub", "visit")
    for held in (project, visit):
        assert (held.state, held.young_people, held.minutes, held.days) == (WITHHELD, None, None, None)
        assert {
            held.bm6.state,
            held.no_shows.state,
            held.cost.state,
            held.minutes_each.state,
            held.days_each.state,
        } == {WITHHELD}
    tour = await seen.strand("pilot_hub", "tour")
    assert (tour.young_people, tour.minutes, tour.cost.value) == (20, 3_000, 840)


async def test_the_answers_of_fewer_than_five_requests_are_withheld_and_do_not_follow(seen: Seen) -> None:
    states = {
        code: (await seen.strand("pilot_hub", code)).answered.state for code in ("tour", "visit", "project")
    }
    assert (states["visit"], states["project"]) == (WITHHELD, WITHHELD)
    assert states["tour"] is WITHHELD, "one and two requests would follow from the whole"
    found = await whole(seen, "pilot_hub")
    assert (found.response.value, found.answered.base) == (22.0, 9)


async def test_a_trust_does_not_read_exactly_what_is_not_its_academies(seen: Seen) -> None:
    await seen.trusts.enrol("rowan", "only", "unknown")
    sheet = await seen.sheet("pilot_trust", pilot=seen.trusts)
    assert sheet is not None
    assert (sheet.whole.rounded, sheet.whole.state) == (True, WITHHELD)
    await seen.pilot.world.owner.execute(
        "DELETE FROM programme_schools WHERE id = $1", seen.trusts.rows["rowan only"]
    )
    again = await seen.sheet("pilot_trust", pilot=seen.trusts)
    assert again is not None
    assert not again.whole.rounded


@pytest.mark.parametrize("who", [one for one in STRANGERS if one != "rowan"])
async def test_a_stranger_counts_nothing(seen: Seen, who: str) -> None:
    assert await seen.sheet(who) is None
    assert await seen.targets(who) == {}
    assert await seen.budgets(who) is None


# --- targets -------------------------------------------------------------------------------------------


async def test_a_target_adds_what_is_booked_to_what_is_reached(seen: Seen) -> None:
    found = await seen.targets("pilot_trust")
    people = found["young_people", None]
    assert (people.reached, people.lower, people.upper) == (22, 24, 31)
    assert (people.expected, people.percent_of_target, people.part) == (22 + 8, 55, Part.OWN)
    assert people.outlook is Outlook.UNKNOWN, "of a part nobody says whether the whole will be met"
    minutes = found["minutes", None]
    assert (minutes.reached, minutes.lower, minutes.upper) == (7_320, 7_680, 9_120)
    assert minutes.expected == 7_320 + 1_761


async def test_a_share_is_of_those_whose_school_grants_the_group_on_their_first_day(seen: Seen) -> None:
    share = (await seen.targets("pilot_trust"))["share", None]
    assert share.share is not None
    assert (share.share.count, share.share.base, share.reached, share.state) == (2, 8, 25, KNOWN)
    oak = (await seen.targets("oak"))["share", None]
    assert (oak.state, oak.reached) == (UNKNOWN, None), "Oak has not granted it"


async def test_young_people_with_a_characteristic_are_those_who_have_it_and_nothing_is_forecast_of_them(
    seen: Seen,
) -> None:
    run = seen.pilot
    await run.target("young_people", 5, characteristic="sen:K")
    await run.target("minutes", 5, "tour", characteristic="sen")  # as could be set once
    try:
        for who, reached, state in (
            ("pilot_trust", 1, KNOWN),
            ("oak", None, UNKNOWN),
            ("pilot_hub", None, WITHHELD),
        ):
            async with seen.db.read(run.world.caller(who)) as tx:
                sheets = programmes.sheets(await sql.programme_figures(tx, [run.id], TODAY, None))
                rows = await sql.programme_targets(tx, [run.id], TODAY, None)
            every = targets.targets(rows, sheets, {}, TODAY)[run.id]
            people, minutes = (
                next(one for one in every if one.id == run.rows[name])
                for name in ("young_people None", "minutes tour")
            )
            assert (people.state, people.reached, people.share) == (state, reached, None), who
            assert (people.lower, people.upper, people.expected) == (None, None, None)
            assert (minutes.state, minutes.reached) == (UNKNOWN, None)
    finally:
        for name in ("young_people None", "minutes tour"):
            await run.world.owner.execute("DELETE FROM targets WHERE id = $1", run.rows[name])
            await run.world.owner.execute("DELETE FROM programme_changes WHERE part_id = $1", run.rows[name])


async def test_the_owner_reads_whether_the_forecast_meets_the_target(seen: Seen) -> None:
    found = await seen.targets("pilot_hub")
    schools = found["schools", None]
    assert (schools.reached, schools.lower, schools.upper, schools.outlook) == (3, 3, 4, Outlook.ON_COURSE)
    people = found["young_people", None]
    assert (people.reached, people.lower, people.upper, people.expected) == (20, 20, 30, 25)
    assert people.outlook is Outlook.SHORT
    minutes = found["minutes", None]
    assert (minutes.reached, minutes.lower, minutes.upper, minutes.expected) == (7_200, 7_200, 9_000, 9_000)
    assert minutes.outlook is Outlook.ON_COURSE
    project = found["young_people", seen.pilot.strands["project"]]
    assert (project.state, project.reached, project.upper, project.outlook) == (
        WITHHELD,
        None,
        None,
        Outlook.UNKNOWN,
    )
    assert found["share", None].state is WITHHELD, "eight are fewer than ten"


async def test_a_target_that_is_met_says_so(seen: Seen) -> None:
    met = (await seen.targets("pilot_trust", pilot=seen.trusts))["young_people", None]
    assert (met.reached, met.outlook, met.part) == (4, Outlook.REACHED, Part.WHOLE)


# --- budgets -------------------------------------------------------------------------------------------


async def test_schools_are_counted_by_what_they_say_of_their_budget(seen: Seen) -> None:
    found = await seen.budgets("pilot_hub")
    assert found is not None
    assert {own: len(found.by(own)) for own in OwnBudget} == {
        OwnBudget.NONE: 1, OwnBudget.TOO_LITTLE: 1, OwnBudget.SUFFICIENT: 0, OwnBudget.UNKNOWN: 1,
    }  # fmt: skip
    assert [one.name for one in found.by(OwnBudget.NONE)] == ["Oak"]
    assert (found.budget, found.part) == (500_000, Part.WHOLE)
    assert found.money == Money(100_000, 5_000, 5_000, 50_000, 38_000)


async def test_a_commitment_counts_whatever_its_day_and_so_far_from_its_day_on(seen: Seen) -> None:
    eve, day = TODAY - timedelta(days=9), TODAY - timedelta(days=8)
    for on, to_date, spent in ((eve, None, None), (day, 5_000, 50_000)):
        found = await seen.budgets("pilot_hub", on)
        assert found is not None
        money = found.money
        assert (money.committed, money.committed_to_date, money.spent) == (5_000, to_date, spent), on


async def test_money_of_which_nothing_was_recorded_is_unknown_and_not_nought(seen: Seen) -> None:
    found = await seen.budgets("pine")
    assert found is not None
    assert (found.budget, found.part, len(found.schools)) == (None, Part.OWN, 1)
    assert found.money == Money(None, None, None, 18_000, 6_000)
    above = await seen.budgets("pilot_authority")
    assert above is not None
    assert (above.budget, above.money.allocated) == (None, 100_000)


# --- as at, as known -----------------------------------------------------------------------------------


async def test_a_past_day_counts_what_had_happened_by_then(seen: Seen) -> None:
    on = TODAY - timedelta(days=15)
    sheet = await seen.sheet("pilot_trust", on)
    assert sheet is not None
    assert (sheet.whole.young_people, sheet.whole.minutes) == (20, 2_880)
    assert sheet.strands[seen.pilot.strands["project"]].young_people == 0
    early = await seen.sheet("pilot_trust", TODAY - timedelta(days=99))
    assert early is not None
    assert early.whole.response.n == 6, "those of 48 and 100 hours were not answered yet"
    halfway = await seen.targets("pilot_trust", TODAY - timedelta(days=12))
    ahead = halfway["minutes", None]
    assert (ahead.reached, ahead.upper) == (2_880, 2_880 + 3_600 + 14 * 60 + 1_800)


async def test_what_was_known_stays_the_same_whatever_is_corrected_later(seen: Seen) -> None:
    pilot, known = seen.pilot, datetime.now(UTC) - timedelta(hours=1)
    owner = pilot.world.owner

    async def asked(moment: datetime | None) -> list[object]:
        found: list[object] = []
        for who in ("pilot_hub", "pilot_trust", "pine"):
            found += [await seen.sheet(who, TODAY, moment), await seen.targets(who, TODAY, moment)]
            found.append(await seen.budgets(who, TODAY, moment))
        return found

    before, now = await asked(known), await asked(None)
    assert before == now
    await pilot.take_back("T2", 7)
    await pilot.cost("late", "pine", 99_000, created_at=datetime.now(UTC))
    await owner.execute("UPDATE costs SET removed_at = now() WHERE id = $1", pilot.rows["coach"])
    await owner.execute("UPDATE targets SET value = 1 WHERE id = $1", pilot.rows["young_people None"])
    await owner.execute("UPDATE allocations SET amount_pence = 1 WHERE programme_id = $1", pilot.id)
    await owner.execute(
        "UPDATE programme_schools SET state = 'left', left_on = $2 WHERE id = $1",
        pilot.rows["oak visit"], TODAY - timedelta(days=3),
    )  # fmt: skip
    await owner.execute(
        "UPDATE programme_schools SET own_budget = 'sufficient' WHERE id = $1", pilot.rows["oak tour"]
    )
    await owner.execute(
        "UPDATE characteristics SET superseded_at = now() WHERE enrolment_id = $1", pilot.pupils["pine"][0]
    )
    await owner.execute(
        "UPDATE participations SET state = 'withdrawn', updated_at = now() WHERE id = $1", pilot.rows["F1 15"]
    )
    await pilot.move("F2", "cancel", "school", "confirmed", "cancelled", datetime.now(UTC), datetime.now(UTC))
    await owner.execute(
        "UPDATE bookings SET strand_id = $2 WHERE id = $1", pilot.bookings["V1"], pilot.strands["talk"]
    )
    await pilot.move("V1", "assign", "school", "completed", "completed", datetime.now(UTC), datetime.now(UTC))
    assert await asked(known) == before
    corrected = await asked(None)
    assert all(one != other for one, other in zip(corrected, before, strict=True))
    tour = await seen.strand("pilot_trust", "tour")
    assert (tour.young_people, tour.minutes) == (19, 2_880 - 180)
    assert await seen.strand("pilot_trust", "tour", known=known) != tour


async def test_a_school_that_left_counts_until_the_day_it_did(seen: Seen) -> None:
    assert (await seen.strand("pilot_trust", "visit")).schools == 0
    assert (await seen.strand("pilot_trust", "visit", TODAY - timedelta(days=4))).schools == 1


async def test_a_booking_that_was_made_part_of_another_strand_is_so_for_all_days(seen: Seen) -> None:
    known = datetime.now(UTC) - timedelta(hours=1)
    assert (await seen.strand("pilot_trust", "talk")).young_people == 14
    assert (await seen.strand("pilot_trust", "visit")).young_people is None
    assert (await seen.strand("pilot_trust", "visit", known=known)).young_people == 14


def test_what_a_target_measures_is_what_the_model_allows() -> None:
    assert [one.value for one in Measured] == ["schools", "young_people", "minutes", "share"]
