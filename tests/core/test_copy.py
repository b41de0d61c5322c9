"""Many rows by COPY: row security and checks hold, what is refused names row and column, nothing is half written."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core import db as doors
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.errors import ConstraintBroken, Invalid, NotFound
from app.core.ids import new_id
from app.encounters.tables import encounters
from app.students.tables import nc_years
from tests.world import World

COLUMNS = ("academic_year", "id", "school_id", "enrolment_id", "person_no", "kind", "mode", "starts_on", "ends_on",
           "nc_year", "in_person_minutes", "virtual_minutes", "days", "criteria_confirmed", "per_day", "evidence",
           "recorded_by")  # fmt: skip
DAY = date(2026, 10, 5)


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True).open()
    yield made
    await made.close()


def _caller(world: World) -> Caller:
    return Caller(world.clients["school_a"], world["school_a"], "school", frozenset(), wall_now())


def _row(world: World, pupil: UUID, **more: Any) -> tuple[Any, ...]:
    given: dict[str, Any] = {
        "academic_year": 2026,
        "id": new_id(),
        "school_id": world["school_a"],
        "enrolment_id": pupil,
        "person_no": 1,
        "kind": "workplace_tour",
        "mode": "in_person",
        "starts_on": DAY,
        "ends_on": DAY,
        "nc_year": "8",
        "in_person_minutes": 120,
        "virtual_minutes": 0,
        "days": 1,
        "criteria_confirmed": ["reflection", 'a "quoted", word'],
        "per_day": [{"on": DAY, "in_person": 120, "virtual": 0}],
        "evidence": None,
        "recorded_by": world.clients["school_a"],
    } | more
    return tuple(given[name] for name in COLUMNS)


async def test_rows_arrive_as_given_lists_json_and_nulls_too(db: Database, world: World) -> None:
    pupil = await world.pupil("school_a")
    row = _row(world, pupil)
    async with db.write(_caller(world)) as tx:
        assert await tx.copy_in(encounters, COLUMNS, [row]) == 1
        assert await tx.copy_in(encounters, COLUMNS, iter([_row(world, pupil), _row(world, pupil)])) == 2
        assert await tx.copy_in(encounters, COLUMNS, []) == 0
    found = await world.owner.fetchrow("SELECT * FROM encounters WHERE id = $1", row[1])
    assert found["criteria_confirmed"] == ["reflection", 'a "quoted", word']
    assert found["evidence"] is None
    assert '"on": "2026-10-05"' in found["per_day"]
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 3


async def test_a_foreign_row_is_refused_and_nothing_is_written(db: Database, world: World) -> None:
    pupil = await world.pupil("school_a")
    rows = [_row(world, pupil), _row(world, pupil, school_id=world["school_b"]), _row(world, pupil)]
    with pytest.raises(NotFound):
        async with db.write(_caller(world)) as tx:
            await tx.copy_in(encounters, COLUMNS, rows)
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 0


@pytest.mark.parametrize(
    ("fault", "pointer"),
    [
        ({"person_no": "seven"}, "/2/person_no"),
        ({"days": 2**40}, "/2/days"),
        ({"starts_on": None}, "/2/starts_on"),
        ({"nc_year": "8\0"}, "/2/nc_year"),
    ],
)
async def test_a_bad_value_is_refused_by_row_and_column_and_the_rest_of_the_transaction_can_go_on(
    db: Database, world: World, fault: dict[str, Any], pointer: str
) -> None:
    pupil = await world.pupil("school_a")
    async with db.write(_caller(world)) as tx:
        await tx.copy_in(encounters, COLUMNS, [_row(world, pupil)])
        rows = [_row(world, pupil), _row(world, pupil), _row(world, pupil, **fault)]
        with pytest.raises(Invalid) as refused:
            async with tx.attempt():
                await tx.copy_in(encounters, COLUMNS, rows)
        assert [one.pointer for one in refused.value.faults] == [pointer]
        await tx.copy_in(encounters, COLUMNS, [_row(world, pupil)])
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 2


async def test_a_broken_check_names_its_constraint(db: Database, world: World) -> None:
    pupil = await world.pupil("school_a")
    with pytest.raises(ConstraintBroken) as refused:
        async with db.write(_caller(world)) as tx:
            await tx.copy_in(encounters, COLUMNS, [_row(world, pupil, kind="holiday")])
    assert refused.value.constraint == "ck_encounters_kind_known"
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 0


async def test_rows_are_counted_over_several_turns(
    db: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "COPY_AT_ONCE", 4)
    pupil = await world.pupil("school_a")
    async with db.write(_caller(world)) as tx:
        assert await tx.copy_in(encounters, COLUMNS, (_row(world, pupil) for _ in range(8))) == 8
        assert await tx.copy_in(encounters, COLUMNS, (_row(world, pupil) for _ in range(9))) == 9
        with pytest.raises(Invalid) as refused:
            async with tx.attempt():
                await tx.copy_in(
                    encounters, COLUMNS, (_row(world, pupil, days=at if at < 6 else None) for at in range(9))
                )
    assert refused.value.faults[0].pointer == "/6/days"
    assert await world.count("encounters", "enrolment_id = $1", pupil) == 17


async def test_a_hundred_thousand_rows_are_drawn_as_they_are_sent(world: World) -> None:
    pupil = await world.pupil("school_a")
    columns = ("enrolment_id", "academic_year", "school_id", "nc_year")
    drawn = 0

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal drawn
        for at in range(100_000):
            drawn += 1
            yield pupil, 100_000 + at, world["school_a"], "8"

    owner = await Database(world.dsns.owner, development=True, pool=1).open()
    try:
        began = time.perf_counter()
        async with owner.write(None) as tx:
            assert await tx.copy_in(nc_years, columns, rows()) == 100_000
        took = time.perf_counter() - began
    finally:
        await owner.close()
    assert drawn == 100_000
    assert await world.count("nc_years", "academic_year >= 100000") == 100_000
    assert took < 30, "seconds; about 2 on an idle machine"
