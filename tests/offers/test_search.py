"""The search of schools: every filter, the order and its cursor, and that it finds by an index under row security."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio

from app.core.clock import school_day
from app.core.db import _begin, _compiled
from app.core.ids import new_id
from app.offers import sql
from tests.world import World

pytestmark = pytest.mark.calendar
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest_asyncio.fixture(scope="module")
async def twelve(world: World) -> AsyncIterator[list[str]]:
    """Twelve slots, one each day from ten days on, of four kinds in two towns."""
    site = await world.insert(
        "sites", employer_id=world["employer_b"], name="B", address="1", town="Leeds", postcode="LS1 4AP"
    )
    kinds = ("workplace_tour", "workplace_visit", "work_shadowing", "employer_project")
    made = []
    for at in range(12):
        starts = NOW + timedelta(days=10 + at)
        employer = "employer_b" if at % 2 else "employer_a"
        years = ("7", "8") if at < 6 else ("12",)
        where = site if at % 2 else None
        slot = await world.slot(
            employer, kind=kinds[at % 4], starts=starts, years=years, site=where, capacity=10 + at
        )
        made.append(str(slot))
    yield made


async def found(world: World, query: str, who: str = "school_a") -> list[str]:
    answer = await world.get(who, f"/v1/open-slots?{query}")
    assert answer.status_code == 200, answer.text
    return [one["slot_id"] for one in answer.json()["data"]]


def day(at: int) -> str:
    return school_day(NOW + timedelta(days=10 + at)).isoformat()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", range(12)),
        ("kind=workplace_tour", (0, 4, 8)),
        (f"from={day(3)}", range(3, 12)),
        (f"to={day(3)}", range(4)),
        (f"from={day(2)}&to={day(2)}", (2,)),
        ("year_group=8", range(6)),
        ("year_group=12&kind=workplace_visit", (9,)),
        ("sector=life_sciences", range(12)),
        ("sector=defence", ()),
        ("mode=in_person&grouping=group&tier=1&size_band=small", range(12)),
        ("mode=virtual", ()),
        ("grouping=class", ()),
        ("tier=3", ()),
        ("size_band=large", ()),
        ("town=lEEDS", range(1, 12, 2)),
        ("postcode_area=LS", range(1, 12, 2)),
        ("postcode_area=ls1", range(1, 12, 2)),
        ("postcode_area=L", ()),
        ("postcode_area=LS2", ()),
        ("skill=listening", ()),
        ("min_places=20", (10, 11)),
    ],
)
async def test_each_filter(world: World, twelve: list[str], query: str, wanted: Any) -> None:
    assert await found(world, query) == [twelve[at] for at in wanted]


async def test_an_employers_slots(world: World, twelve: list[str]) -> None:
    assert await found(world, f"employer_id={world['employer_a']}") == twelve[::2]
    time = (NOW + timedelta(days=12)).isoformat().replace("+00:00", "Z")
    assert await found(world, f"from={time}&to={time}") == []
    assert await found(world, f"from={time}&limit=1") == [twelve[2]]


@pytest.mark.parametrize(
    "query", ["kind=nap", "tier=9", "year_group=3", "from=yesterday", "from=0001-01-01", "after=AAAA"]
)
async def test_a_wrong_parameter_is_named(world: World, query: str) -> None:
    refused = await world.get("school_a", f"/v1/open-slots?{query}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"


async def test_pages_follow_each_other_by_start_with_a_link(world: World, twelve: list[str]) -> None:
    seen: list[str] = []
    path: str | None = "/v1/open-slots?limit=5"
    while path:
        answer = await world.get("school_a", path)
        page = answer.json()
        seen += [one["slot_id"] for one in page["data"]]
        link = answer.headers.get("link")
        assert bool(link) == bool(page["next"])
        path = link.partition(">")[0][1:] if link else None
    assert seen == twelve


async def test_only_what_can_be_booked_now_is_found(world: World, twelve: list[str]) -> None:
    await world.owner.execute("UPDATE slots SET taken = capacity WHERE id = $1", twelve[0])
    assert await found(world, "") == twelve[1:]
    await world.owner.execute("UPDATE slots SET taken = 0 WHERE id = $1", twelve[0])
    try:
        await world.move_clock(NOW + timedelta(days=10 + 3, hours=-47))
        assert await found(world, "") == twelve[4:]
        late = (await world.get("school_a", f"/v1/open-slots/{twelve[3]}")).json()
        assert (late["slot_id"], late["bookable"]) == (twelve[3], False)
    finally:
        await world.move_clock(None)


async def test_nothing_of_the_inside_is_shown(world: World, twelve: list[str]) -> None:
    one = (await world.get("school_a", "/v1/open-slots")).json()["data"][0]
    assert not {"restricted", "year_mask", "external_ref"} & one.keys()
    whole = (await world.get("school_a", f"/v1/open-slots/{twelve[0]}")).json()
    assert one.items() <= whole.items()
    for who in ("employer_a", "national"):
        assert (await world.get(who, "/v1/open-slots")).status_code == 403


@pytest_asyncio.fixture(scope="module")
async def many(world: World, twelve: list[str]) -> AsyncIterator[None]:
    """20,000 slots over a year and 2,000 restricted offers, written past the triggers."""
    admin = await asyncpg.connect(world.dsns.admin)
    await admin.execute("SET session_replication_role = replica")
    offer = await admin.fetchrow("SELECT * FROM offers WHERE employer_id = $1 LIMIT 1", world["employer_a"])
    ids = [new_id() for _ in range(20_000)]
    await admin.execute(
        """
        INSERT INTO slots (id, offer_id, employer_id, site_id, starts_at, ends_at, capacity, minutes, book_by, name_by)
        SELECT id, $2, $3, $4, at, at + interval '2 hours', 10, 120, at - interval '2 days', at - interval '7 days'
          FROM (SELECT id, now() + interval '30 days' + no * interval '25 minutes' AS at
                  FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, no)) x
        """,
        ids, offer["id"], offer["employer_id"], offer["site_id"],
    )  # fmt: skip
    await admin.execute(
        """
        INSERT INTO open_slots SELECT s.id, s.offer_id, s.employer_id, s.site_id, false, 'E', 'small', 'S', 'T', 'SG1', 'T',
               (ARRAY['workplace_tour', 'placement', 'workplace_visit'])[1 + s.n % 3], 'in_person', 'group', 1,
               (ARRAY['defence', 'life_sciences'])[1 + s.n % 2], 'low', '{}', '{8}', 256, '{}', s.starts_at, s.ends_at, 120,
               s.book_by, 10, 10
          FROM (SELECT *, row_number() OVER () AS n FROM slots WHERE id = ANY ($1::uuid[])) s
        """,
        ids,
    )
    await admin.execute(
        "INSERT INTO offer_audiences (offer_id, audience_id, employer_id, kind)"
        " SELECT gen_random_uuid(), gen_random_uuid(), $1, 'school' FROM generate_series(1, 2000)",
        world["employer_a"],
    )
    await admin.execute("ANALYZE")
    await admin.close()
    yield


async def explained(world: World, wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The plan of a search as `tendays_app` runs it for a school."""
    app = await asyncpg.connect(world.dsns.app)
    caller = world.app.state.house.doorkeeper.caller_of(world.tokens["school_a"])
    try:
        await app.execute(_begin(caller, pooling=False))
        params = sql.search_params(
            NOW, wanted, **({"starts_from": None, "places": 1, "after": None, "limit": 50} | more)
        )
        text, args = _compiled(sql.search_statement(sql.shape_of(params)), params)
        assert await app.fetchval("SELECT current_user") == "tendays_app"
        raw = await app.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *args)
        plan: dict[str, Any] = orjson.loads(raw)[0]
        return plan
    finally:
        await app.close()


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    here = [plan] if plan.get("Relation Name") == "open_slots" else []
    return here + [one for child in plan.get("Plans", []) for one in scans(child)]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"kind": "placement"},
        {"sector": "defence"},
        {"kind": "placement", "year_bit": 256, "to": NOW + timedelta(days=90)},
        {"year_bit": 256, "skill": None, "mode": "in_person", "size_band": "small"},
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_a_search_reads_an_index_and_little_more_than_its_page(
    world: World, many: None, wanted: dict[str, Any], *, late: bool
) -> None:
    start = NOW + timedelta(days=60)
    more: dict[str, Any] = {"after": (start, new_id())} if late else {"starts_from": start}
    plan = await explained(world, wanted, **more)
    (scan,) = scans(plan["Plan"])
    assert scan["Node Type"] == "Index Scan", plan
    assert "starts_at" in scan["Index Cond"]
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) < 300


async def test_one_open_slot_is_read_without_reading_the_others(
    world: World, many: None, twelve: list[str]
) -> None:
    app = await asyncpg.connect(world.dsns.app)
    caller = world.app.state.house.doorkeeper.caller_of(world.tokens["school_a"])
    await app.execute(_begin(caller, pooling=False))
    text, args = _compiled(sql._OPEN, {"slot_id": twelve[0]})
    plan = orjson.loads(await app.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *args))[0]["Plan"]
    await app.close()
    read_whole = {one["Relation Name"] for one in _all(plan) if one["Node Type"] == "Seq Scan"}
    assert not read_whole & {"slots", "open_slots", "sittings"}


def _all(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(one for child in plan.get("Plans", []) for one in _all(child))]
