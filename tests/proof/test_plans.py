"""The plans of the main reads, as tendays_app under row security, on tables large enough to matter.

Row security takes an index away from an operator that is not leakproof; these tests notice. Each statement is the one
the room sends: it is caught on its way through the Reader, so that no copy of it here can grow old.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio

from app.bookings import sql as bookings
from app.core import db as core
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database, Reader
from app.core.ids import new_id
from app.core.paging import Pull
from app.offers import sql as offers
from app.outbox import sql as outbox
from app.students import sql as students
from tests.world import KINDS, World

SLOTS, BOOKINGS, EVENTS, PUPILS = 20_000, 20_000, 20_000, 10_000


async def _multiply(world: World, table: str, like: str, over: str, **columns: str) -> None:
    """Insert rows like one that is there, one for each row of `over`; each column given is an expression over it."""
    owner = world.owner
    names = [
        row["attname"]
        for row in await owner.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
            "   AND attgenerated = '' AND attidentity = ''",
            table,
        )
    ]
    chosen = ", ".join(columns.get(name, f"x.{name}") for name in names)
    await owner.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen}"
        f"  FROM (SELECT * FROM {table} WHERE {like} LIMIT 1) x, {over}"
    )


@pytest_asyncio.fixture(scope="module")
async def large(world: World) -> AsyncIterator[Database]:
    """Many schools and employers with many slots, bookings, events and pupils each; analysed."""
    slot = await world.slot()
    booking = await world.booking(slot=slot)
    pupil = await world.pupil("school_c")
    await _others(world)
    school, employer = (
        "(SELECT ids[1 + n % 20] FROM many_schools)",
        "(SELECT ids[1 + n % 20] FROM many_employers)",
    )
    await world.owner.execute("ALTER TABLE slots DISABLE TRIGGER slots_shown")
    await _multiply(
        world,
        "slots",
        f"id = '{slot}'",
        f"generate_series(1, {SLOTS}) n",
        id="app.uuid7()",
        employer_id=employer,
        external_ref="NULL",
        taken="0",
        starts_at="x.starts_at + n * interval '7 minutes'",
        ends_at="x.ends_at + n * interval '7 minutes'",
        book_by="x.book_by + n * interval '7 minutes'",
    )
    await world.owner.execute("ALTER TABLE slots ENABLE TRIGGER slots_shown")
    await world.owner.execute("CREATE TEMP TABLE numbered AS SELECT *, row_number() OVER () AS n FROM slots")
    await _multiply(
        world,
        "open_slots",
        f"slot_id = '{slot}'",
        f"numbered s WHERE s.id <> '{slot}'",
        slot_id="s.id",
        employer_id="s.employer_id",
        starts_at="s.starts_at",
        ends_at="s.ends_at",
        book_by="s.book_by",
        kind="(ARRAY['workplace_tour', 'placement', 'workplace_visit', 'work_shadowing'])[1 + s.n % 4]",
        sector="'sector_' || s.n % 20",
    )
    await _multiply(
        world,
        "bookings",
        f"id = '{booking['id']}'",
        f"generate_series(1, {BOOKINGS}) n",
        id="app.uuid7()",
        school_id=school,
        employer_id=employer,
        school_ref="NULL",
        employer_ref="NULL",
    )
    await _multiply(
        world,
        "events",
        "audience = 'school'",
        f"generate_series(1, {EVENTS}) n",
        id="app.uuid7()",
        audience_id=school,
        position="1000 + n",
        seq="nextval('events_seq')",
    )
    await _multiply(
        world,
        "enrolments",
        f"id = '{pupil}'",
        f"generate_series(1, {PUPILS}) n",
        id="app.uuid7()",
        school_id=school,
        upn_hash="NULL",
    )
    await world.owner.execute("""
        INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year)
        SELECT id, y, school_id, '8' FROM enrolments, generate_series(2025, 2027) y ON CONFLICT DO NOTHING""")
    await world.owner.execute(f"""
        INSERT INTO pupil_refs (school_id, org_id, external_ref, enrolment_id)
        SELECT school_id, '{world["vendor"]}', id::text, id FROM enrolments""")
    await world.owner.execute("""
        INSERT INTO characteristics (id, school_id, enrolment_id, field_group, value, valid_from)
        SELECT app.uuid7(), school_id, id, 'sen', 'K', '2026-09-01' FROM enrolments""")
    await world.owner.execute("ANALYZE")
    db = await Database(world.dsns.app).open()
    yield db
    await db.close()


async def _others(world: World) -> None:
    """Ids of twenty schools and twenty employers, school_a and employer_a among them."""
    for kind, first, table in (
        ("school", "school_a", "many_schools"),
        ("employer", "employer_a", "many_employers"),
    ):
        await world.owner.execute(
            "INSERT INTO organisations (id, kind, name) SELECT app.uuid7(), $1, $1 || n FROM generate_series(1, 19) n",
            kind,
        )
        await world.owner.execute(
            f"CREATE TEMP TABLE {table} AS SELECT array_agg(id) AS ids FROM (SELECT id FROM organisations"
            f"  WHERE kind = '{kind}' AND (id = '{world[first]}' OR name ~ '^{kind}[0-9]+$')) x"
        )
    await world.owner.execute(
        "INSERT INTO employers (id, size_band) SELECT unnest(ids), 'small' FROM many_employers ON CONFLICT DO NOTHING"
    )


async def _plan(db: Database, world: World, who: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """The plan of the statement that `ask` sends, as this organisation; it is run, so that counts are true."""
    caller = Caller(world.clients[who], world[who], KINDS[who], frozenset(), wall_now())
    async with db.read(caller) as tx:
        spy = _Spy(tx._connection, tx.caller, db)
        await ask(spy)
        (sql, args), *others = spy.sent
        assert not others, "one statement was to be explained"
        found = await tx._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    return (orjson.loads(found) if isinstance(found, str) else found)[0]["Plan"]


class _Spy(Reader):
    """A Reader that keeps what it sends."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sent: list[tuple[str, list[Any]]] = []

    async def rows(self, stmt: Any, params: Any = None) -> Any:
        self.sent.append(core._compiled(stmt, params or {}))
        return await super().rows(stmt, params)


def _nodes(plan: Any) -> Any:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _indexes(plan: Any) -> set[str]:
    """The indexes used; a partition's by that of its table."""
    return {one["Index Name"] for one in _nodes(plan) if "Index Name" in one}


def _read(plan: Any) -> int:
    """How many rows the scans read at most, filtered ones included."""
    return max(
        (one.get("Actual Rows", 0) + one.get("Rows Removed by Filter", 0)) * one.get("Actual Loops", 1)
        for one in _nodes(plan)
        if "Scan" in one["Node Type"]
    )


def _is_walked(plan: Any, table: str) -> bool:
    """Whether it is read from end to end; an empty partition may be."""
    return any(
        one["Node Type"] == "Seq Scan"
        and one["Relation Name"].startswith(table)
        and one["Actual Rows"] + one.get("Rows Removed by Filter", 0) > 0
        for one in _nodes(plan)
    )


SEARCHES = [
    ({"kind": "placement"}, "ix_open_slots_kind"),
    ({"kind": "placement", "year_bit": 256}, "ix_open_slots_kind"),
    ({"sector": "sector_7"}, "ix_open_slots_sector"),
    ({}, "ix_open_slots_starts_at"),
]


@pytest.mark.parametrize(("wanted", "index"), SEARCHES, ids=str)
@pytest.mark.parametrize("who", ["school_a", "trust", "vendor"])
async def test_a_search_reads_a_stretch_of_its_index(
    world: World, large: Database, wanted: dict[str, Any], index: str, who: str
) -> None:
    plan = await _plan(
        large, world, who, lambda tx: offers.search(tx, wanted, starts_from=wall_now() + timedelta(days=40))
    )
    assert index in _indexes(plan), _indexes(plan)
    assert not _is_walked(plan, "open_slots")
    assert _read(plan) < 200


PULLS = [(Pull(), ""), (Pull(changed_since=100), "changed_"), (Pull(50, (100, new_id()), 7), "changed_")]
"""Everything in the order of id; what changed, from the beginning and after a page; and by which index."""


@pytest.mark.parametrize(("pull", "kind"), PULLS)
@pytest.mark.parametrize(("who", "index"), [("school_a", "school_id"), ("employer_a", "employer_id")])
async def test_bookings_are_listed_by_the_index_of_the_side_that_asks(
    world: World, large: Database, who: str, index: str, *, pull: Pull, kind: str
) -> None:
    sides = {"school_id": None, "employer_id": None} | {index: world[who]}
    rest = dict.fromkeys(("state", "slot_id", "external_ref", "starts_from", "starts_to"))
    plan = await _plan(large, world, who, lambda tx: bookings.page(tx, **sides, **rest, pull=pull))
    assert f"ix_bookings_{kind}{index}" in _indexes(plan), _indexes(plan)
    assert not _is_walked(plan, "bookings")
    assert _read(plan) < 400


@pytest.mark.parametrize("who", ["school_a", "vendor", "trust"])
async def test_the_feed_reads_one_stretch_for_each_audience(world: World, large: Database, who: str) -> None:
    plan = await _plan(large, world, who, lambda tx: outbox.after(tx, 5000, 100))
    assert any("audience_id_position" in one for one in _indexes(plan)), _indexes(plan)
    assert not _is_walked(plan, "events")
    assert _read(plan) < 500


@pytest.mark.parametrize(("pull", "kind"), PULLS)
@pytest.mark.parametrize("who", ["school_a", "vendor"])
async def test_a_schools_pupils_are_listed_by_the_index_of_the_school(
    world: World, large: Database, who: str, *, pull: Pull, kind: str
) -> None:
    plan = await _plan(
        large,
        world,
        who,
        lambda tx: students.page(tx, world["school_a"], today=date(2026, 11, 22), year=2026, pull=pull),
    )
    assert f"ix_enrolments_{kind}school_id" in _indexes(plan), _indexes(plan)
    assert not {
        one for one in ("enrolments", "nc_years", "characteristics", "pupil_refs") if _is_walked(plan, one)
    }
    assert _read(plan) < 400


async def test_these_tests_can_fail(world: World, large: Database) -> None:
    """Without its index the search walks the table."""
    await world.owner.execute("DROP INDEX ix_open_slots_sector")
    plan = await _plan(
        large, world, "school_a", lambda tx: offers.search(tx, {"sector": "sector_7"}, starts_from=wall_now())
    )
    assert "ix_open_slots_sector" not in _indexes(plan)
    assert _read(plan) > 400
    await world.owner.execute("CREATE INDEX ix_open_slots_sector ON open_slots (sector, starts_at, slot_id)")
