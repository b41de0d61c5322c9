"""Shortfall against open capacity, employers, variety: on a real Postgres, against figures reckoned by hand."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.errors import Invalid
from app.core.ids import new_id
from app.core.roles import Dsns
from app.dashboards import figures, market, market_reading, service
from app.dashboards.market import By, EmployersBy, PlacesBand, ResponseBand
from app.dashboards.market_reading import Supply
from app.rules.coverage import FigureState
from app.rules.reporting import reporting_day_until
from app.rules.words import KeyStage
from tests.market_made import TODAY, booking, earn, furnish, made_long_ago, reading, slot
from tests.pupils_counted import STRANGERS, YEAR, Counted, build

pytestmark = pytest.mark.calendar

A_LONG_TIME = timedelta(hours=3)


@pytest_asyncio.fixture(scope="module")
async def counted(dsns: Dsns) -> AsyncIterator[Counted]:
    owner = await asyncpg.connect(dsns.owner)
    try:
        made = await build(owner)
        await furnish(made)
        yield made
    finally:
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns, counted: Counted) -> AsyncIterator[Database]:
    opened = await reading(dsns, pool=3).open()
    yield opened
    await opened.close()


async def read(
    db: Database, counted: Counted, who: str, what: Any, *, year: int | None = None, **more: Any
) -> Any:
    only, until = more.pop("only", None), more.pop("until", None)
    async with db.read(counted.caller(who)) as tx:
        asked = service.period(tx.caller, year, more.get("as_at"), more.get("known_at"))
        return await what(tx, asked, await service.counted(tx, asked.on, asked.known), only, until)


async def supply(db: Database, counted: Counted, who: str, **more: Any) -> Supply:
    found: Supply = await read(db, counted, who, market_reading.supply, **more)
    return found


def whole(found: Supply) -> figures.Line:
    return figures.whole(found.lacking.table, figures.everywhere(found.lacking.table))


def line(found: Any, by: By, key: object) -> figures.Line:
    table = found.lacking.table if isinstance(found, Supply) else found.table
    return next(one for one in market.lines(table, figures.everywhere(table), by) if one.key == str(key))


def room(found: Supply, one: figures.Line, stage: KeyStage | None = None) -> market.Room:
    assert found.capacity is not None
    return found.capacity.of([group for group, _ in found.lacking.within(one, stage)])


def left(found: Supply, one: figures.Line) -> int | None:
    assert found.capacity is not None
    return market.left(found.lacking, found.capacity, one)


# --- shortfall and capacity -------------------------------------------------------------------------------


async def test_what_pupils_lack_is_added_up_pupil_by_pupil(db: Database, counted: Counted) -> None:
    found = await supply(db, counted, "ash")
    younger = market.shortfall(found.lacking, line(found, By.YEAR_GROUP, "8"))
    assert (younger.pupils, younger.below.reached, younger.below.base) == (30, 15, 30)
    assert (younger.minutes, younger.half_days, younger.whole_days) == (15 * 1_500, 150, 75)
    older = market.shortfall(found.lacking, line(found, By.KEY_STAGE, "KS4"))
    assert (older.pupils, older.below.reached, older.minutes) == (20, 10, 15_000)


async def test_an_hour_that_is_missing_is_a_half_day_and_a_whole_day_begun(
    db: Database, counted: Counted
) -> None:
    await counted.pupil("fir", "9", 1_440)
    await counted.pupil("fir", "9", 1_340)
    await counted.pupil("fir", "9", 1_500)
    await counted.pupil("fir", "12", 0)
    found = await supply(db, counted, "fir")
    lacks = market.shortfall(found.lacking, whole(found))
    assert (lacks.pupils, lacks.below.reached, lacks.minutes) == (4, 2, 60 + 160)
    assert (lacks.half_days, lacks.whole_days) == (1 + 2, 1 + 1)
    assert left(found, whole(found)) == 220 - min(220, room(found, whole(found)).filling_minutes)


async def test_a_hub_sees_the_shortfall_of_key_stage_3_rounded_and_what_is_open_to_it(
    db: Database, counted: Counted
) -> None:
    found = await supply(db, counted, "hub_a")
    younger = line(found, By.KEY_STAGE, "KS3")
    lacks = market.shortfall(found.lacking, younger)
    # Ash 15, Beech 6 + 2, Cedar 10 of 66 lack everything
    assert (lacks.pupils, lacks.below.reached, lacks.below.percent, lacks.minutes) == (65, 35, 54, 49_500)
    # the tour 20 x 120, the visit 5 x 300 (of 420), the virtual one 50 x 60
    assert room(found, younger) == market.Room(3, 75, 6_900, 75, 6_900)
    assert left(found, younger) == 42_600
    older = line(found, By.KEY_STAGE, "KS4")
    assert room(found, older) == market.Room(1, 4, 6_000, 4, 6_000)


async def test_the_total_counts_each_place_once(db: Database, counted: Counted) -> None:
    found = await supply(db, counted, "hub_a")
    assert room(found, whole(found)) == market.Room(4, 79, 12_900, 79, 12_900)
    assert left(found, whole(found)) == 42_600 + 9_000
    years = [
        room(found, one)
        for one in market.lines(found.lacking.table, figures.everywhere(found.lacking.table), By.YEAR_GROUP)
    ]
    assert [one.places for one in years] == [75, 70, 4]  # Years 8, 9 (Beech alone has any) and 10


async def test_a_school_has_what_is_shown_to_it_and_approved_by_whom_it_relies_on(
    db: Database, counted: Counted
) -> None:
    found = await supply(db, counted, "hub_a")
    ash, cedar = (line(found, By.SCHOOL, counted.ids[name]) for name in ("ash", "cedar"))
    assert room(found, ash, KeyStage.KS3).places == 75
    assert room(found, cedar) == market.Room(2, 70, 5_400, 70, 5_400)
    trust = await supply(db, counted, "trust")
    elm = line(trust, By.SCHOOL, counted.ids["elm"])
    assert room(trust, elm) == market.Room(2, 60, 1_200 + 3_000, 60, 1_200 + 3_000)


async def test_a_slot_of_a_suspended_employer_is_not_open_to_the_schools_of_whom_suspended_it(
    db: Database, counted: Counted
) -> None:
    made = await counted.insert(
        "suspensions", employer_id=counted.ids["corner"], suspended_by=counted.ids["trust"],
        suspended_at=datetime.now(UTC),
    )  # fmt: skip
    try:
        found = await supply(db, counted, "hub_a")
        assert room(found, line(found, By.SCHOOL, counted.ids["cedar"])).places == 70
        assert room(found, line(found, By.SCHOOL, counted.ids["ash"]), KeyStage.KS3).places == 25
        assert room(found, whole(found)).places == 79
    finally:
        await counted.owner.execute("DELETE FROM suspensions WHERE id = $1", made)


async def test_a_placement_with_virtual_days_fills_the_mark_with_those_in_person_only(
    db: Database, counted: Counted
) -> None:
    made = await slot(
        counted, "acme", kind="placement", years=("10",), capacity=2, days=2, hours=5, audience="elm"
    )
    await counted.owner.execute("UPDATE sittings SET virtual = true WHERE slot_id = $1 AND no = 2", made)
    await counted.owner.execute(
        "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)",
        counted.ids["elm"],
        counted.ids["hub_a"],
    )
    pupil = await counted.pupil("elm", "10", 0)
    try:
        found = await supply(db, counted, "elm")
        one = room(found, line(found, By.YEAR_GROUP, "10"))
        # the other placement is Acme's as well: 4 x 1,500
        assert (one.places, one.minutes, one.filling_minutes) == (6, 6_000 + 2 * 600, 6_000 + 2 * 300)
    finally:
        await counted.owner.execute("UPDATE slots SET state = 'cancelled' WHERE id = $1", made)
        await counted.owner.execute(
            "DELETE FROM approval_acceptances WHERE school_id = $1 AND approver_id = $2",
            counted.ids["elm"],
            counted.ids["hub_a"],
        )
        await counted.owner.execute(
            "UPDATE enrolments SET state = 'left', ends_on = starts_on WHERE id = $1", pupil
        )


async def test_a_group_of_four_is_withheld_and_so_is_what_it_would_follow_from(
    db: Database, counted: Counted
) -> None:
    found = await supply(db, counted, "hub_a")
    years = {
        key: market.shortfall(found.lacking, line(found, By.YEAR_GROUP, key)) for key in ("8", "9", "10")
    }
    assert [years[key].state for key in ("8", "9")] == [FigureState.WITHHELD] * 2
    assert years["9"].minutes is None
    assert years["10"].minutes == 15_000
    assert left(found, line(found, By.YEAR_GROUP, "9")) is None


async def test_a_school_without_data_is_unknown_and_never_nought(db: Database, counted: Counted) -> None:
    found = await supply(db, counted, "hub_a")
    dogwood = line(found, By.SCHOOL, counted.ids["dogwood"])
    lacks = market.shortfall(found.lacking, dogwood)
    assert (lacks.state, lacks.minutes, lacks.below.percent) == (FigureState.UNKNOWN, None, None)
    assert whole(found).basis.schools_unknown == 1


async def test_slots_after_the_day_asked_for_are_left_out_and_the_day_is_within_the_year(
    db: Database, counted: Counted
) -> None:
    async with db.read(counted.caller("ash")) as tx:
        today = service.period(tx.caller, None).on
    found = await supply(db, counted, "ash", until=today)
    assert room(found, whole(found)) == market.Room()
    for until in (today - timedelta(days=1), date(YEAR + 1, 9, 1)):
        with pytest.raises(Invalid) as refused:
            await supply(db, counted, "ash", until=until)
        assert refused.value.faults[0].pointer == "/until"


async def test_what_was_open_on_a_day_gone_by_is_not_said(db: Database, counted: Counted) -> None:
    yesterday = await supply(db, counted, "ash", as_at=TODAY - timedelta(days=1))
    assert yesterday.capacity is None
    known = await supply(db, counted, "ash", known_at=datetime.now(UTC) - A_LONG_TIME)
    assert known.capacity is None


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("what", ["supply", "varieties", "employers"])
async def test_a_stranger_gets_nothing(db: Database, counted: Counted, who: str, what: str) -> None:
    mine = {counted.ids[name] for name in ("ash", "beech", "cedar", "dogwood")}
    found = await read(db, counted, who, getattr(market_reading, what), only=list(mine))
    if what == "employers":
        assert not {one.school_id for one in found.dealings} & mine
        assert not set(found.positions) & mine
        return
    table = found.lacking.table if what == "supply" else found.table
    assert not mine & (set(table.schools) | set(table.groups))


# --- employers --------------------------------------------------------------------------------------------


async def around(db: Database, counted: Counted, who: str, **more: Any) -> dict[str, market.Employer]:
    found = await read(db, counted, who, market_reading.employers, **more)
    return {one.profile.name: one for one in market.employers_at(found, figures.everywhere(found.table))}


async def test_employers_are_those_that_took_part_or_have_something_open(
    db: Database, counted: Counted
) -> None:
    found = await around(db, counted, "hub_a")
    assert list(found) == ["Acme", "Bolt", "Corner"]  # Dud's cover has lapsed
    acme = found["Acme"]
    assert (acme.requested, acme.confirmed, acme.declined, acme.expired) == (6, 5, 1, 0)
    assert (acme.slots, acme.offered, acme.filled) == (1, 20, 12)
    assert (acme.open_slots, acme.open_places) == (2, 24)
    assert found["Bolt"].expired == 1
    assert market.places_band(acme.places) is PlacesBand.TO_24
    assert (found["Corner"].requested, found["Corner"].open_places) == (0, 50)


async def test_the_response_is_a_median_with_an_interval_and_withheld_from_a_hub_under_five(
    db: Database, counted: Counted
) -> None:
    hub, beech = await around(db, counted, "hub_a"), await around(db, counted, "beech")
    shown = market.response(hub["Acme"].answered, rounds=True)
    assert (shown.n, shown.middle, shown.low, shown.high) == (6, 240.0, 60, 26 * 60)
    assert market.response(beech["Acme"].answered, rounds=False).middle == 26 * 60
    assert market.response(beech["Acme"].answered, rounds=True).state is FigureState.WITHHELD
    assert market.response([], rounds=True).state is FigureState.UNKNOWN


async def test_employers_are_cut_by_size_sector_and_response(db: Database, counted: Counted) -> None:
    found = list((await around(db, counted, "hub_a")).values())
    sizes = market.grouped(found, EmployersBy.SIZE, rounds=True)
    assert {key: len(each) for key, each in sizes.items()} == {"micro": 1, "small": 1, "large": 1}
    sectors = market.grouped(found, EmployersBy.SECTOR, rounds=True)
    assert {key: [one.profile.name for one in each] for key, each in sectors.items()} == {
        "creative_industries": ["Bolt"], "digital_and_technologies": ["Bolt"], "life_sciences": ["Acme"],
        "unknown": ["Corner"],
    }  # fmt: skip
    response = market.grouped(found, EmployersBy.RESPONSE, rounds=True)
    assert list(response) == [ResponseBand.WITHIN_A_DAY, ResponseBand.FEW, ResponseBand.NOT_ASKED]
    exact = market.grouped(found, EmployersBy.RESPONSE, rounds=False)
    assert list(exact) == [ResponseBand.WITHIN_A_DAY, ResponseBand.NO_ANSWER, ResponseBand.NOT_ASKED]
    assert market.sme_percent(found) == 67


async def test_reasons_are_counted_and_for_a_hub_not_below_five(db: Database, counted: Counted) -> None:
    found = list((await around(db, counted, "hub_a")).values())
    assert market.reasons_of(found, rounds=False) == [("too_time_consuming", 1)]
    assert market.reasons_of(found, rounds=True) == [("too_time_consuming", None)]
    found[0].reasons["no_supervisor"] = 7
    assert market.reasons_of(found, rounds=True) == [("no_supervisor", 5), ("too_time_consuming", None)]


async def test_a_school_sees_its_own_dealings_and_not_its_neighbours(db: Database, counted: Counted) -> None:
    beech = await around(db, counted, "beech")
    assert (beech["Acme"].requested, beech["Acme"].declined) == (1, 1)
    assert "Bolt" not in beech


async def test_employers_of_a_day_gone_by_have_no_open_slots_and_as_known_nothing_offered(
    db: Database, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "is_closing", lambda _: True)
    before = await read(
        db, counted, "hub_a", market_reading.employers, as_at=reporting_day_until(date(YEAR - 1, 10, 1))
    )
    assert (before.open, before.dealings) == (None, [])
    known = await read(
        db, counted, "hub_a", market_reading.employers, known_at=datetime.now(UTC) - A_LONG_TIME
    )
    assert (known.open, known.offered) == (None, None)
    await made_long_ago(counted)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    found = await around(db, counted, "hub_a", known_at=hour_ago)
    assert list(found) == []  # the moves were recorded since
    await counted.owner.execute(
        "UPDATE booking_moves SET recorded_at = recorded_at - interval '2 hours' WHERE no = 1"
    )
    found = await around(db, counted, "hub_a", known_at=hour_ago)
    assert {name: (one.requested, one.confirmed) for name, one in found.items()} == {
        "Acme": (6, 0),
        "Bolt": (1, 0),
    }


# --- variety ----------------------------------------------------------------------------------------------


async def test_variety_is_counted_by_hand(db: Database, counted: Counted) -> None:
    """Oak's five pupils: see each below."""
    counted.ids["oak"] = await counted.insert("organisations", kind="school", name="Oak", urn="910001")
    counted.clients["oak"] = await counted.insert(
        "clients", org_id=counted.ids["oak"], name="oak", scopes=["coverage:read"]
    )
    visit = await counted.owner.fetchval(
        "SELECT slot_id FROM bookings WHERE employer_id = $1", counted.ids["bolt"]
    )
    bolt = await booking(counted, "oak", visit, "confirm", 3)
    person = new_id()
    first, second, third, fourth = [await counted.pupil("oak", "8") for _ in range(4)]
    fifth = await counted.pupil("oak", "9", person=person)
    elsewhere = await counted.pupil("elm", "9", person=person, registration="guest")
    long_ago = datetime.now(UTC) - A_LONG_TIME
    await earn(counted, first, "acme", known=long_ago)
    await earn(
        counted, first, "bolt", "workplace_visit", booking_id=bolt, known=long_ago
    )  # the offer's sector
    await earn(counted, second, "bolt", known=long_ago)  # both sectors of the employer
    wrong = await earn(counted, third, "acme", known=long_ago)
    await earn(counted, fourth, None, "school_based_encounter", here=60, known=long_ago)
    await earn(counted, fifth, "acme", known=long_ago)
    await earn(counted, fifth, "acme", on=date(YEAR - 1, 10, 1), known=long_ago)
    await earn(counted, fifth, "corner", "virtual_experience", here=0, there=100, known=long_ago)
    await earn(counted, elsewhere, "dud", "employer_talk_on_site", known=long_ago)
    await made_long_ago(counted)
    known = datetime.now(UTC) - timedelta(hours=1)
    before = await read(db, counted, "oak", market_reading.varieties, known_at=known)
    await earn(counted, third, "acme", reverses=wrong)

    found = await read(db, counted, "oak", market_reading.varieties)
    shown = market.variety(found, figures.whole(found.table, figures.everywhere(found.table)))
    # employers 2, 1, 0, 0, 3 (Acme, Corner, Dud); sectors 2, 2, 0, 0, 2; kinds 2, 1, 0, 1, 3
    assert (shown.pupils, shown.employers.mean, shown.sectors.mean, shown.kinds.mean) == (5, 1.2, 1.2, 1.4)
    assert _spread(shown.employers) == (2, 1, 1, 1)
    assert _spread(shown.sectors) == (2, 0, 3, 0)
    assert _spread(shown.kinds) == (1, 2, 1, 1)
    # minutes 240 + 120 + 0 + 60 + 460 = 880, 100 of them virtual, 60 with nobody we know, 580 with small employers
    assert (shown.in_person, shown.known, shown.sme) == (89, 93, 71)

    one_year = await read(db, counted, "oak", market_reading.varieties, year=YEAR - 1)
    of_then = market.variety(one_year, figures.whole(one_year.table, figures.everywhere(one_year.table)))
    assert of_then.employers.mean == 0.2

    # An employer grows, and an offer is moved to another sector: what was known before stays.
    acme, bolt_id = counted.ids["acme"], counted.ids["bolt"]
    was = await counted.owner.fetchrow("SELECT size_band, sectors FROM employers WHERE id = $1", acme)
    sold = await counted.owner.fetchval("SELECT sector FROM offers WHERE employer_id = $1", bolt_id)
    change = "UPDATE employers SET size_band = $2, sectors = $3 WHERE id = $1"
    await counted.owner.execute(change, acme, "large", ["defence"])
    await counted.owner.execute("UPDATE offers SET sector = 'defence' WHERE employer_id = $1", bolt_id)
    grown = await read(db, counted, "oak", market_reading.varieties)
    of_now = market.variety(grown, figures.whole(grown.table, figures.everywhere(grown.table)))
    assert of_now.sme < shown.sme
    assert _spread(of_now.sectors) != _spread(shown.sectors)
    again = await read(db, counted, "oak", market_reading.varieties, known_at=known)
    await counted.owner.execute(change, acme, was["size_band"], was["sectors"])
    await counted.owner.execute("UPDATE offers SET sector = $2 WHERE employer_id = $1", bolt_id, sold)
    assert again == before
    assert again != found
    of_before = market.variety(again, figures.whole(again.table, figures.everywhere(again.table)))
    assert _spread(of_before.employers) == (1, 2, 1, 1)


def _spread(shown: market.ShownSpread) -> tuple[int | None, ...]:
    return tuple(one.reached for one in (shown.none, shown.one, shown.two, shown.more))


async def test_variety_is_rounded_and_withheld_for_a_hub_as_coverage_is(
    db: Database, counted: Counted
) -> None:
    pupils = await counted.owner.fetch(
        "SELECT e.id FROM enrolments e JOIN nc_years n ON n.enrolment_id = e.id WHERE e.school_id = $1 AND n.nc_year = '8'"
        " ORDER BY e.id LIMIT 12", counted.ids["ash"],
    )  # fmt: skip
    for row in pupils:
        await earn(counted, row["id"], "acme")
    found = await read(db, counted, "hub_a", market_reading.varieties)
    ash = market.variety(found, line(found, By.SCHOOL, counted.ids["ash"]))
    assert (ash.employers.one.reached, ash.employers.one.base, ash.employers.mean) == (10, 50, 0.2)
    assert (ash.in_person, ash.sme) == (100, 100)
    beech = market.variety(found, line(found, By.SCHOOL, counted.ids["beech"]))
    assert (beech.kinds.none.reached, beech.kinds.mean, beech.in_person) == (15, 0.0, None)
    assert market.variety(found, line(found, By.YEAR_GROUP, "9")).state is FigureState.WITHHELD
    assert market.variety(found, line(found, By.SCHOOL, counted.ids["dogwood"])).state is FigureState.UNKNOWN
    around_us = await around(db, counted, "hub_a", year=YEAR)
    assert len(around_us["Acme"].schools) == 1


# --- arithmetic -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "band"), [(0, "0"), (1, "1-9"), (9, "1-9"), (10, "10-24"), (49, "25-49"), (50, "50+")]
)
def test_places_are_told_in_bands(places: int, band: str) -> None:
    assert market.places_band(places) == band
