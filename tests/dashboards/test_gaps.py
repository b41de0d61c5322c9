"""Gaps to peers on a real Postgres, as `tendays_app`: counted by hand beforehand, for whom, as at when, known when."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from app.core.clock import wall_now
from app.core.db import Database
from app.core.errors import Forbidden, Invalid
from app.core.roles import Dsns
from app.dashboards import figures, gaps, service
from app.dashboards.gaps import Cut, Line
from app.rules.coverage import FigureState
from app.rules.words import FieldGroup
from tests.pupils_counted import LONG_AGO, TODAY, Counted, build
from tests.pupils_told import in_ash, in_hub_b, pupils_of, tell

pytestmark = pytest.mark.calendar

SEN, LOOKED_AFTER = FieldGroup.SEN, FieldGroup.LOOKED_AFTER
WITHHELD, UNKNOWN, KNOWN = FigureState.WITHHELD, FigureState.UNKNOWN, FigureState.KNOWN


@pytest_asyncio.fixture(scope="module")
async def counted(dsns: Dsns) -> AsyncIterator[Counted]:
    owner = await asyncpg.connect(dsns.owner)
    try:
        made = await build(owner)
        await in_ash(made)
        await in_hub_b(made)
        yield made
    finally:
        await owner.close()


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns, counted: Counted) -> AsyncIterator[Database]:
    opened = await Database(dsns.app, pool=3).open()
    yield opened
    await opened.close()


async def table_for(
    db: Database, counted: Counted, who: str, as_at: date | None = None, known_at: datetime | None = None
) -> gaps.Table:
    async with db.read(counted.caller(who)) as tx:
        asked = service.period(tx.caller, None, as_at, known_at)
        return await service.by_characteristic(tx, asked, await service.table(tx, asked))


async def lines_for(
    db: Database, counted: Counted, who: str, cut: Cut | None = None, **when: object
) -> dict[tuple[str, str | None], Line]:
    """SEN, by name of the place and value."""
    table = await table_for(db, counted, who, **when)  # type: ignore[arg-type] # as_at and known_at
    found = gaps.lines(table, figures.everywhere(table.coverage), cut, [SEN])
    return {(one.at.school.name if one.at.school else one.at.name, one.value): one for one in found}


async def test_a_trusts_gaps_are_exact_and_of_its_own(db: Database, counted: Counted) -> None:
    found = await lines_for(db, counted, "trust", Cut.SCHOOL)
    support = found["Elm", "K"]
    assert (support.figures.pupils, support.figures.at_zero.reached, support.figures.at_zero.percent) == (
        15,
        13,
        87,
    )
    assert support.peers is not None
    assert (support.peers_value, support.peers.pupils, support.peers.at_zero.percent) == ("N", 10, 0)
    assert (support.gap, found["Elm", "E"].gap, found["Elm", "N"].gap) == (87, 100, None)
    assert (found["Ash", "N"].figures.at_zero.percent, found["Ash", "K"].gap, found["Ash", "E"].gap) == (
        33,
        17,
        67,
    )
    assert {name for name, _ in found} == {"Ash", "Elm"}


async def test_a_hubs_gaps_are_of_rounded_counts(db: Database, counted: Counted) -> None:
    found = await lines_for(db, counted, "hub_b")
    support, plan = found["all", "K"], found["all", "E"]
    # 25 with support, 23 of them with nothing: shown as 25 of 25. Their peers: 5 of 20.
    assert (support.figures.pupils, support.figures.at_zero.reached, support.figures.at_zero.percent) == (
        25,
        25,
        100,
    )
    assert support.peers is not None
    assert (support.peers.at_zero.reached, support.peers.at_zero.base, support.peers.at_zero.percent) == (
        5,
        20,
        25,
    )
    assert (support.gap, plan.figures.at_zero.percent, plan.gap) == (75, 50, 25)
    assert (support.schools_told, support.schools_unknown) == (2, 0)
    years = await lines_for(db, counted, "hub_b", Cut.YEAR_GROUP)
    assert (years["8", "K"].gap, years["8", "K"].figures.pupils) == (75, 25)


async def test_minutes_days_and_marks_come_along(db: Database, counted: Counted) -> None:
    found = await lines_for(db, counted, "fir", Cut.SCHOOL)
    shown = found["Fir", "E"].figures
    assert (shown.minutes, shown.days, shown.bm5.reached, shown.bm6.reached) == (3_000, 10, 10, 0)
    assert shown.at_activity is not None
    assert (shown.at_activity.reached, shown.at_activity.base) == (0, 10)
    hub = (await lines_for(db, counted, "hub_b"))["all", "E"].figures
    assert hub.at_activity is None
    assert (await lines_for(db, counted, "hub_b", Cut.YEAR_GROUP))["8", "E"].figures.at_activity is not None


async def test_where_nothing_is_told_it_is_unknown_and_never_no(db: Database, counted: Counted) -> None:
    found = await lines_for(db, counted, "hub_a", Cut.SCHOOL)
    assert {found[name, "N"].figures.state for name in ("Beech", "Cedar", "Dogwood")} == {UNKNOWN}
    assert found["Beech", "N"].gap is None
    assert found["Beech", "N"].schools_unknown == 1
    whole = await lines_for(db, counted, "hub_a")
    assert (whole["all", "N"].schools_told, whole["all", "N"].schools_unknown) == (1, 3)
    assert whole["all", "N"].figures.pupils == 30


async def test_what_a_school_no_longer_stands_on_does_not_count(db: Database, counted: Counted) -> None:
    told = "UPDATE school_states SET field_groups = $2 WHERE school_id = $1"
    await counted.owner.execute(told, counted.ids["fir"], ["identity", "looked_after"])
    try:
        found = await lines_for(db, counted, "fir", Cut.SCHOOL)
        assert {line.figures.state for line in found.values()} == {UNKNOWN}
    finally:
        await counted.owner.execute(told, counted.ids["fir"], ["identity", "looked_after", "sen"])


async def test_a_small_value_is_withheld_and_so_is_another_beside_it(db: Database, counted: Counted) -> None:
    pupils = await pupils_of(counted, "fir")
    await counted.owner.execute(
        "UPDATE characteristics SET value = 'K' WHERE field_group = 'sen' AND enrolment_id = ANY ($1)",
        pupils[-3:],
    )
    try:
        found = await lines_for(db, counted, "hub_b", Cut.SCHOOL)
        states = {value: found["Fir", value].figures.state for value in ("N", "K", "E")}
        assert states["E"] is WITHHELD
        assert sorted(states.values()) == [KNOWN, WITHHELD, WITHHELD]
        assert found["Fir", "E"].figures.pupils is None
        assert found["Fir", "E"].gap is None
        own = await lines_for(db, counted, "fir", Cut.SCHOOL)
        assert own["Fir", "E"].figures.pupils == 7
        whole = await lines_for(db, counted, "hub_b")
        assert whole["all", "E"].figures.state is KNOWN  # 17 of both schools, and both are withheld
    finally:
        await counted.owner.execute(
            "UPDATE characteristics SET value = 'E' WHERE field_group = 'sen' AND enrolment_id = ANY ($1)",
            pupils[-3:],
        )


@pytest.mark.parametrize("who", ["hub_a", "other_trust", "ash", "employer", "stranger_vendor", "vendor"])
async def test_a_stranger_gets_nothing(db: Database, counted: Counted, who: str) -> None:
    table = await table_for(db, counted, who)
    assert not {counted.ids["fir"], counted.ids["elm"]} & set(table.traits)
    if who in {"other_trust", "employer", "stranger_vendor"}:
        assert not table.traits


async def test_a_vendor_counts_the_field_groups_it_was_granted_and_no_other(
    db: Database, counted: Counted
) -> None:
    grant = await counted.insert(
        "grants", grantor_id=counted.ids["elm"], grantee_id=counted.ids["stranger_vendor"],
        school_id=counted.ids["elm"], field_groups=["identity", "sen"], starts_on=LONG_AGO,
        recorded_by=counted.clients["elm"],
    )  # fmt: skip
    try:
        table = await table_for(db, counted, "stranger_vendor")
        told = {one.field for traits in table.traits.values() for one in traits}
        assert (set(table.traits), told) == ({counted.ids["elm"]}, {SEN})
    finally:
        await counted.owner.execute("UPDATE grants SET revoked_at = now() WHERE id = $1", grant)


async def test_a_pupil_of_whom_nothing_is_told_is_on_neither_side(db: Database, counted: Counted) -> None:
    pupil = await counted.pupil("fir", "8")
    try:
        found = await lines_for(db, counted, "fir", Cut.SCHOOL)
        assert (found["Fir", None].figures.pupils, found["Fir", None].gap) == (1, None)
        assert found["Fir", "N"].figures.pupils == 10
    finally:
        await counted.owner.execute("UPDATE enrolments SET state = 'claimed' WHERE id = $1", pupil)
    assert ("Fir", None) not in await lines_for(db, counted, "fir", Cut.SCHOOL)


def test_the_list_of_cuts_for_hubs_is_fixed() -> None:
    def asked(cut: Cut | None, fields: list[FieldGroup] | None = None, *, one_school: bool = False) -> int:
        return len(gaps.published(cut, fields, rounds=True, one_school=one_school))

    assert (asked(None), asked(Cut.SCHOOL), asked(Cut.YEAR_GROUP), asked(None, one_school=True)) == (
        9,
        7,
        7,
        7,
    )
    for cut, one_school in ((Cut.SCHOOL, False), (Cut.YEAR_GROUP, False), (None, True)):
        with pytest.raises(Forbidden) as refused:
            asked(cut, [SEN, LOOKED_AFTER], one_school=one_school)
        assert refused.value.code == "hub_level_only"
    with pytest.raises(Forbidden) as refused:
        asked(Cut.YEAR_GROUP, one_school=True)
    assert refused.value.code == "cut_not_published"
    assert len(gaps.published(Cut.YEAR_GROUP, None, rounds=False, one_school=True)) == 9
    with pytest.raises(Invalid):
        asked(None, [FieldGroup.IDENTITY])


async def test_looked_after_children_are_counted_over_the_hub(db: Database, counted: Counted) -> None:
    table = await table_for(db, counted, "hub_b")
    found = gaps.lines(table, figures.everywhere(table.coverage), None, [LOOKED_AFTER])
    yes = next(one for one in found if one.value == "true")
    # Of the other 45, 18 have nothing: shown as 20 of 45, which is 44 %.
    assert (yes.figures.pupils, yes.figures.at_zero.percent, yes.gap) == (20, 100, 56)


# --- as at, as known ----------------------------------------------------------------------------------


async def test_characteristics_are_those_of_the_day_and_of_what_was_known(
    db: Database, counted: Counted
) -> None:
    day, recorded = TODAY - timedelta(days=7), wall_now() - timedelta(hours=1)
    await counted.owner.execute("UPDATE enrolments_known SET known_from = now() - interval '1 year'")
    await counted.owner.execute("UPDATE nc_years_known SET known_from = now() - interval '1 year'")
    await counted.owner.execute("UPDATE memberships_known SET known_from = now() - interval '1 year'")
    await counted.owner.execute("UPDATE characteristics SET recorded_at = now() - interval '1 year'")
    pupil = (await pupils_of(counted, "fir"))[
        0
    ]  # N until then, K since: superseded, and told anew in two rows
    await counted.owner.execute(
        "UPDATE characteristics SET superseded_at = $2 WHERE enrolment_id = $1 AND field_group = 'sen'",
        pupil,
        recorded,
    )
    await tell(counted, "fir", pupil, "N", valid_to=day, recorded_at=recorded)
    await tell(counted, "fir", pupil, "K", valid_from=day, recorded_at=recorded)

    async def sizes(as_at: date | None, known_at: datetime | None) -> tuple[int | None, int | None]:
        found = await lines_for(db, counted, "fir", Cut.SCHOOL, as_at=as_at, known_at=known_at)
        return found["Fir", "N"].figures.pupils, found["Fir", "K"].figures.pupils

    assert await sizes(None, None) == (9, 11)
    assert await sizes(day - timedelta(days=1), None) == (10, 10)
    assert await sizes(day, None) == (9, 11)
    assert await sizes(None, recorded - timedelta(minutes=5)) == (10, 10)
    assert await sizes(None, recorded) == (9, 11)
    assert await sizes(day - timedelta(days=1), recorded - timedelta(minutes=5)) == (10, 10)
    long_ago = recorded - timedelta(days=3_000)
    found = await lines_for(db, counted, "trust", Cut.SCHOOL, known_at=long_ago)
    assert {line.figures.state for line in found.values()} <= {UNKNOWN}
    held_before = await lines_for(db, counted, "fir", Cut.SCHOOL, known_at=recorded - timedelta(days=364 * 2))
    assert {line.figures.state for line in held_before.values()} == {UNKNOWN}


async def test_it_takes_three_statements_for_any_number_of_schools(db: Database, counted: Counted) -> None:
    counts = []
    for who in ("hub_a", "hub_b", "fir", "authority"):
        before = db.statements
        await table_for(db, counted, who)
        counts.append(db.statements - before)
    assert counts == [3, 3, 3, 3]


async def test_a_hub_cannot_ask_the_counts_of_a_pupil(db: Database, counted: Counted, dsns: Dsns) -> None:
    connection = await asyncpg.connect(dsns.app)
    try:
        async with connection.transaction():
            await connection.execute("SELECT app.enter($1, NULL, NULL)", counted.clients["hub_b"])
            assert await connection.fetchval("SELECT count(*) FROM characteristics") == 0
            rows = await connection.fetch(
                "SELECT * FROM app.coverage_traits($1, $2, 2026, false, NULL, 1500, 1500, 1500, 3000)",
                [counted.ids["ash"]],
                TODAY,
            )
            assert rows == []
    finally:
        await connection.close()


async def test_kept_rows_say_what_the_pupils_say_until_something_moves(
    db: Database, counted: Counted, dsns: Dsns
) -> None:
    async def found() -> list[tuple[object, ...]]:
        lines = (await lines_for(db, counted, "trust", Cut.SCHOOL)).items()
        return [(name, line.figures, line.gap, line.schools_told) for name, line in lines]

    async def kept() -> int:
        number = await counted.owner.fetchval(
            "SELECT count(*) FROM kept_cells WHERE school_id = $1 AND cut = 'trait' AND period = 0",
            counted.ids["elm"],
        )
        return int(number)

    live = await found()
    worker = await Database(dsns.worker).open()
    async with worker.write(None) as tx:
        for name in ("ash", "elm"):
            assert await service.keep(tx, counted.ids[name])
    await worker.close()
    assert await kept()
    assert await found() == live
    await counted.owner.execute(
        "UPDATE kept_cells SET pupils = 999 WHERE cut = 'trait' AND school_id = $1", counted.ids["elm"]
    )
    assert await found() != live  # so it was read from there
    await counted.owner.execute(
        "UPDATE characteristics SET value = 'E' WHERE field_group = 'sen' AND enrolment_id = $1",
        (await pupils_of(counted, "elm"))[10],
    )
    changed = dict(await lines_for(db, counted, "trust", Cut.SCHOOL))
    assert (changed["Elm", "K"].figures.pupils, changed["Elm", "E"].figures.pupils) == (14, 11)
