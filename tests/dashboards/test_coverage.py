"""Coverage on a real Postgres, as `tendays_app`: who is counted, for whom, and what a hub is not shown."""

from collections.abc import AsyncIterator
from datetime import date

import asyncpg
import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.errors import Invalid
from app.core.ids import new_id
from app.core.roles import Dsns
from app.dashboards import figures, service
from app.dashboards.figures import Cut, Line, Table
from app.rules.coverage import FigureState
from tests.pupils_counted import STRANGERS, TODAY, YEAR, Counted, build

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture(scope="module")
async def counted(dsns: Dsns) -> AsyncIterator[Counted]:
    owner = await asyncpg.connect(dsns.owner)
    try:
        yield await build(owner)
    finally:
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns, counted: Counted) -> AsyncIterator[Database]:
    opened = await Database(dsns.app, pool=3).open()
    yield opened
    await opened.close()


async def table_for(db: Database, counted: Counted, who: str, year: int | None = None) -> Table:
    async with db.read(counted.caller(who)) as tx:
        asked = service.period(tx.caller, year)
        return await service.with_kinds(tx, asked, await service.table(tx, asked))


async def lines_for(
    db: Database, counted: Counted, who: str, cut: Cut, year: int | None = None
) -> dict[str, Line]:
    table = await table_for(db, counted, who, year)
    return {line.label: line for line in figures.lines(table, figures.everywhere(table), cut)}


async def test_a_schools_own_figures_are_exact(db: Database, counted: Counted) -> None:
    beech = (await lines_for(db, counted, "beech", Cut.SCHOOL))["Beech"].figures
    assert (beech.pupils, beech.reached.reached, beech.minutes) == (16, 8, 7 * 1_600 + 3_200)
    years = await lines_for(db, counted, "beech", Cut.YEAR_GROUP)
    assert years["Year 9"].figures.pupils == 4
    assert years["Year 9"].figures.reached.percent == 50


async def test_a_trusts_figures_cover_its_academies_in_every_hub_exactly(
    db: Database, counted: Counted
) -> None:
    found = await lines_for(db, counted, "trust", Cut.SCHOOL)
    assert {name: line.figures.pupils for name, line in found.items()} == {"Ash": 50, "Elm": 25}
    assert not found["Ash"].basis.rounded


async def test_a_hub_sees_rounded_counts_and_rates_that_follow_from_them(
    db: Database, counted: Counted
) -> None:
    found = await lines_for(db, counted, "hub_a", Cut.SCHOOL)
    beech = found["Beech"].figures
    assert (beech.pupils, beech.reached.reached, beech.reached.base, beech.reached.percent) == (
        15,
        10,
        15,
        67,
    )
    assert beech.minutes is not None
    assert beech.minutes % 300 == 0
    assert found["Ash"].basis.rounded


async def test_a_group_of_four_is_withheld_from_the_hub_and_so_is_another_so_that_it_does_not_follow(
    db: Database, counted: Counted
) -> None:
    table = await table_for(db, counted, "hub_a")
    place = figures.at_school(table, counted.ids["beech"])
    years = {line.label: line.figures for line in figures.lines(table, place, Cut.YEAR_GROUP)}
    assert {years["Year 8"].state, years["Year 9"].state} == {FigureState.WITHHELD}
    assert years["Year 9"].pupils is None
    across = await lines_for(db, counted, "hub_a", Cut.YEAR_GROUP)
    assert across["Year 9"].figures.state is FigureState.WITHHELD
    shown = [name for name, line in across.items() if line.figures.state is FigureState.KNOWN]
    assert len(across) - len(shown) >= 2


async def test_nothing_withheld_follows_from_any_total_that_is_shown(db: Database, counted: Counted) -> None:
    table = await table_for(db, counted, "hub_a")
    bases: dict[str, int] = {}
    for school, groups in table.groups.items():
        for group in groups:
            for part in ("*", f"stage {group.stage}", f"year {group.nc_year}"):
                for place in (str(school), "all"):
                    key = f"{place}|{part}"
                    bases[key] = bases.get(key, 0) + group.counts.pupils
    assert all(key in table.hidden for key, base in bases.items() if base < 10)
    for part in {key.split("|")[1] for key in bases}:
        held = [str(one) for one in table.groups if f"{one}|{part}" in table.hidden]
        if f"all|{part}" not in table.hidden:
            assert len(held) != 1


async def test_a_school_without_data_is_unknown_and_never_nought(db: Database, counted: Counted) -> None:
    found = await lines_for(db, counted, "hub_a", Cut.SCHOOL)
    dogwood = found["Dogwood"]
    assert dogwood.figures.state is FigureState.UNKNOWN
    assert dogwood.figures.reached.percent is None
    assert dogwood.basis.schools_unknown == 1
    table = await table_for(db, counted, "hub_a")
    total = figures.whole(table, figures.everywhere(table))
    assert (total.basis.partial, total.basis.schools, total.basis.schools_roll_complete) == (True, 4, 2)
    assert total.basis.attendance_overdue == 2


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_gets_nothing(db: Database, counted: Counted, who: str) -> None:
    table = await table_for(db, counted, who)
    mine = {counted.ids[name] for name in ("ash", "beech", "cedar", "dogwood")}
    assert not mine & set(table.schools)
    assert not mine & set(table.groups)
    assert not mine & set(table.kinds)


async def test_asking_for_a_strangers_school_by_id_counts_nothing(db: Database, counted: Counted) -> None:
    async with db.read(counted.caller("elm")) as tx:
        asked = service.period(tx.caller, None)
        wanted = [counted.ids["ash"]]
        found = await service.with_kinds(tx, asked, await service.table(tx, asked, wanted), wanted)
    assert (found.groups, found.kinds) == ({}, {})


async def test_a_vendor_counts_the_schools_that_granted_it_and_no_other(
    db: Database, counted: Counted
) -> None:
    found = await lines_for(db, counted, "vendor", Cut.SCHOOL)
    assert {name: line.figures.pupils for name, line in found.items()} == {"Beech": 16}


async def test_an_authority_sees_what_its_hub_sees(db: Database, counted: Counted) -> None:
    hub = await lines_for(db, counted, "hub_a", Cut.SCHOOL)
    authority = await lines_for(db, counted, "authority", Cut.SCHOOL)
    assert {name: line.figures for name, line in hub.items()} == {
        name: line.figures for name, line in authority.items()
    }


async def test_a_hub_cannot_read_a_pupils_row_by_any_table(
    db: Database, counted: Counted, dsns: Dsns
) -> None:
    connection = await asyncpg.connect(dsns.app)
    try:
        async with connection.transaction():
            await connection.execute("SELECT app.enter($1, NULL, NULL)", counted.clients["hub_a"])
            for table in (
                "enrolments",
                "nc_years",
                "balances",
                "yearly_balances",
                "ledger_entries",
                "summaries",
            ):
                assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        async with connection.transaction():
            await connection.execute("SELECT app.enter($1, NULL, NULL)", counted.clients["hub_a"])
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(
                    "SELECT * FROM app.counted_roll($1, $2, $3)", [counted.ids["ash"]], TODAY, YEAR
                )
    finally:
        await connection.close()


async def test_marks_are_by_band_and_leave_out_who_is_not_in_it(db: Database, counted: Counted) -> None:
    stages = await lines_for(db, counted, "ash", Cut.KEY_STAGE)
    younger, older = stages["KS3"].figures, stages["KS4"].figures
    assert younger.at_activity is not None
    assert (younger.at_activity.reached, younger.at_activity.base) == (15, 30)
    assert younger.at_placement is None
    assert older.at_placement is not None
    assert (older.at_placement.reached, older.at_placement.base) == (10, 20)
    assert older.at_total is not None
    assert older.at_total.reached == 2


@pytest.mark.parametrize("year", [None, YEAR])
async def test_kinds_count_pupils_of_the_whole_school(
    db: Database, counted: Counted, year: int | None
) -> None:
    found = await lines_for(db, counted, "ash", Cut.KIND, year)
    tours, visits = found["Workplace tour"].figures, found["Workplace visit"].figures
    assert (tours.reached.reached, tours.reached.base, tours.at_week) == (15, 50, None)
    assert (visits.reached.reached, visits.state) == (0, FigureState.KNOWN)


async def test_one_academic_year_counts_what_was_done_in_it(db: Database, counted: Counted) -> None:
    now = (await lines_for(db, counted, "ash", Cut.SCHOOL, YEAR))["Ash"].figures
    always = (await lines_for(db, counted, "ash", Cut.SCHOOL))["Ash"].figures
    assert now == always
    before = (await lines_for(db, counted, "ash", Cut.SCHOOL, YEAR - 1))["Ash"].figures
    assert (before.pupils, before.minutes) == (50, 0)


async def test_a_year_that_has_not_begun_is_refused(db: Database, counted: Counted) -> None:
    with pytest.raises(Invalid) as refused:
        await table_for(db, counted, "ash", YEAR + 1)
    assert refused.value.faults[0].pointer == "/academicYear"


async def test_a_pupil_of_two_schools_counts_once_at_the_main_one_with_the_minutes_of_both(
    db: Database, counted: Counted
) -> None:
    person = new_id()
    await counted.pupil("fir", "8", 300, person=person)
    await counted.pupil("elm", "8", 600, person=person, registration="subsidiary")
    await counted.pupil("elm", "8", 900, person=person, registration="guest", state="claimed")
    for year in (None, YEAR):
        fir = (await lines_for(db, counted, "fir", Cut.SCHOOL, year))["Fir"].figures
        assert (fir.pupils, fir.minutes) == (1, 900)
        elm = (await lines_for(db, counted, "elm", Cut.SCHOOL, year))["Elm"].figures
        assert elm.pupils == 25
    assert (await lines_for(db, counted, "fir", Cut.KIND))["Workplace tour"].figures.minutes == 900


async def test_year_x_is_its_own_group_and_banded_by_date_of_birth(db: Database, counted: Counted) -> None:
    await counted.pupil("fir", "X", 1_500, born=date(YEAR - 12, 9, 1))  # 12 this year: Year 7
    years = await lines_for(db, counted, "fir", Cut.YEAR_GROUP)
    assert years["Year X"].figures.pupils == 1
    stages = await lines_for(db, counted, "fir", Cut.KEY_STAGE)
    assert stages["KS3"].figures.pupils == 2
    await counted.pupil("fir", None)
    assert (await lines_for(db, counted, "fir", Cut.YEAR_GROUP))["Not recorded"].figures.pupils == 1


async def test_it_takes_two_statements_for_any_number_of_schools_and_a_third_for_kinds(
    db: Database, counted: Counted
) -> None:
    before = db.statements
    await table_for(db, counted, "hub_a")
    assert db.statements - before == 3


async def test_a_past_year_is_counted_by_the_memberships_of_its_last_day(
    db: Database, counted: Counted
) -> None:
    no = await counted.owner.fetchval("SELECT no FROM organisations WHERE id = $1", counted.ids["fir"])
    await counted.insert(
        "memberships", member_id=counted.ids["fir"], member_no=no, parent_id=counted.ids["hub_a"], kind="hub",
        starts_on=date(YEAR - 3, 9, 1), ends_on=date(YEAR, 9, 1),
    )  # fmt: skip
    assert "Fir" in await lines_for(db, counted, "hub_a", Cut.SCHOOL, YEAR - 1)
    assert "Fir" not in await lines_for(db, counted, "hub_a", Cut.SCHOOL, YEAR)
    assert "Fir" not in await lines_for(db, counted, "hub_a", Cut.SCHOOL)
