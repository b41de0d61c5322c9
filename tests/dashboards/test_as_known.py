"""A figure that was given to a funder can be given again: the same day and moment, the same bytes, whatever came later."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.dashboards import service
from app.rules.reporting import reporting_day_until
from app.rules.school_calendar import academic_year
from tests.encounters.test_encounters import told
from tests.today import TODAY
from tests.world import World

pytestmark = pytest.mark.calendar

QUERY = """query Q($asAt: Date, $knownAt: DateTime, $year: Int) {
  schools: coverage(by: SCHOOL, asAt: $asAt, knownAt: $knownAt, academicYear: $year) { ...lines }
  years: coverage(by: YEAR_GROUP, asAt: $asAt, knownAt: $knownAt, academicYear: $year) { ...lines }
  kinds: coverage(by: KIND, asAt: $asAt, knownAt: $knownAt, academicYear: $year) { ...lines } }
fragment lines on CoverageConnection { totalCount total { ...one } edges { node { ...one } } }
fragment one on Coverage { key label figures { state pupils minutes days reached { count base percent }
  at25Hours { count } at25HoursOfActivity { count } bm5 { count } }
  standsOn { on knownAt academicYear schools schoolsUnknown partial rollComplete schoolsRollComplete oldestSync
    newestSync fieldGroups attendanceOverdue rounded } }"""


async def asked(world: World, who: str, **variables: Any) -> bytes:
    answer = await world.post(who, "/graphql", {"query": QUERY, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.content


async def moment(world: World) -> datetime:
    found: datetime = await world.owner.fetchval("SELECT clock_timestamp()")
    return found


async def _populate(world: World) -> list[UUID]:
    """Twelve pupils in school_a and in school_c, half of them with two and a half hours; some registered elsewhere."""
    pupils = []
    for school in ("school_a", "school_c"):
        for at in range(12):
            pupil = await world.pupil(school, "8" if at < 6 else "9")
            pupils.append(pupil)
            if at % 2:
                body = {"school_id": world[school], **told(pupil, back=3 + at)}
                made = await world.post(school, "/v1/encounters", body)
                assert made.status_code == 201, made.text
    return pupils


async def _everything_changes(world: World, pupils: list[UUID]) -> None:
    listed = await world.get("school_a", f"/v1/encounters?school_id={world['school_a']}")
    for one in listed.json()["data"][:3]:
        body = {"reason": "It ended earlier.", "per_day": [{"on": one["starts_on"], "in_person_minutes": 20}]}
        done = await world.post("school_a", f"/v1/encounters/{one['id']}/corrections", body, If_Match='"v1"')
        assert done.status_code == 200, done.text
    late = {"school_id": world["school_a"], **told(pupils[0], 300, back=20)}
    assert (await world.post("school_a", "/v1/encounters", late)).status_code == 201
    path = f"/v1/schools/{world['school_a']}/pupils/{pupils[1]}"
    one = await world.get("school_a", path)
    changed = await world.send("school_a", "PATCH", path, {"nc_year": "11"}, If_Match=one.headers["etag"])
    assert changed.status_code == 200, changed.text
    execute = world.owner.execute
    await execute(
        "UPDATE enrolments SET state = 'left', ends_on = $2 WHERE id = $1",
        pupils[2],
        TODAY - timedelta(days=30),
    )
    await execute("UPDATE enrolments SET date_of_birth = '2010-01-01' WHERE id = $1", pupils[3])
    await world.pupil("school_c", "10")
    await execute(
        "INSERT INTO characteristics (id, school_id, enrolment_id, field_group, value, valid_from)"
        " VALUES (gen_random_uuid(), $1, $2, 'sen', 'K', '2025-01-01')",
        world["school_a"],
        pupils[4],
    )
    await execute(
        "INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, attendance_overdue)"
        " VALUES ($1, now(), now(), 3)",
        world["school_a"],
    )
    await execute(  # school_c was in the other hub all the time, as is found out now
        "UPDATE memberships SET parent_id = $2 WHERE member_id = $1 AND kind = 'hub'",
        world["school_c"],
        world["hub_b"],
    )


async def test_the_same_day_and_moment_answer_the_same_bytes_after_everything_has_been_corrected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SETTLED", timedelta())
    monkeypatch.setattr(service, "is_closing", lambda _: True)  # nothing was recorded before today
    empty = await moment(world)
    pupils = await _populate(world)
    then = await moment(world)
    questions = [
        (who, {"asAt": day, "knownAt": known, "year": year})
        for who in ("hub_a", "hub_b", "trust", "school_a", "authority", "national")
        for day in (TODAY, *(reporting_day_until(TODAY - timedelta(days=at)) for at in (7, 100)))
        for known in (empty, then)
        for year in (None, academic_year(day))
    ]
    before = [await asked(world, who, **variables) for who, variables in questions]
    present = await asked(world, "hub_a")
    await _everything_changes(world, pupils)
    after = [await asked(world, who, **variables) for who, variables in questions]
    for (who, variables), first, again in zip(questions, before, after, strict=True):
        assert first == again, (who, variables)
    assert await asked(world, "hub_a") != present
    assert b'"knownAt":null' not in before[0]
    assert b'"rollComplete":null' in before[0]
    assert len(set(before)) > len(before) // 3


async def test_a_past_day_has_the_memberships_and_the_minutes_of_that_day(world: World) -> None:
    pupil = await world.pupil("school_b", "8")
    body = {"school_id": world["school_b"], **told(pupil, 120, back=10)}
    assert (await world.post("school_b", "/v1/encounters", body)).status_code == 201
    row = await world.owner.fetchrow(
        "SELECT * FROM memberships WHERE member_id = $1 AND kind = 'trust'", world["school_b"]
    )
    left = TODAY - timedelta(days=5)
    await world.owner.execute("UPDATE memberships SET ends_on = $2 WHERE id = $1", row["id"], left)

    async def schools(day: date | None) -> dict[str, Any]:
        query = "query S($d: Date) { coverage(by: SCHOOL, asAt: $d) { edges { node { label figures { minutes } } } } }"
        answer = await world.post("trust", "/graphql", {"query": query, "variables": {"d": day}})
        edges = answer.json()["data"]["coverage"]["edges"]
        return {one["node"]["label"]: one["node"]["figures"]["minutes"] for one in edges}

    assert "School B" not in await schools(None)
    assert "School B" not in await schools(left)
    assert (await schools(left - timedelta(days=1)))["School B"] == 120
    assert (await schools(TODAY - timedelta(days=11)))["School B"] == 0


@pytest.mark.parametrize(
    ("variables", "pointer", "code"),
    [
        ({"asAt": TODAY + timedelta(days=2)}, "/asAt", "out_of_range"),
        ({"asAt": "1999-01-01"}, "/asAt", "out_of_range"),
        ({"knownAt": datetime.now(UTC) + timedelta(hours=1)}, "/knownAt", "too_recent"),
        ({"knownAt": "2026-03-31T12:00:00"}, "/knownAt", "offset_required"),
        ({"asAt": "2024-10-06", "year": 2025}, "/academicYear", "out_of_range"),
        ({"asAt": "2024-10-07"}, "/asAt", "not_a_reporting_day"),
        ({"knownAt": "2026-03-31T12:00:00Z"}, "/knownAt", "not_a_closing"),
        ({"knownAt": "2026-04-01T00:00:00Z"}, "/knownAt", "not_a_closing"),  # one in the morning, in London
    ],
)
async def test_a_day_or_moment_that_cannot_be_is_refused_for_its_own_field_alone(
    world: World, variables: dict[str, Any], pointer: str, code: str
) -> None:
    query = """query Q($asAt: Date, $knownAt: DateTime, $year: Int) {
      wrong: coverage(by: SCHOOL, asAt: $asAt, knownAt: $knownAt, academicYear: $year) { totalCount }
      right: coverage(by: SCHOOL) { totalCount } }"""
    answer = await world.post("hub_a", "/graphql", {"query": query, "variables": variables})
    told_of = answer.json()
    assert told_of["data"]["wrong"] is None
    assert told_of["data"]["right"]["totalCount"] >= 1
    (error,) = told_of["errors"]
    assert [(one["pointer"], one["code"]) for one in error["extensions"]["errors"]] == [(pointer, code)]


async def test_hubs_ask_of_reporting_days_and_those_who_hold_the_rows_of_any_day(world: World) -> None:
    query = "query Q($d: Date, $k: DateTime) { coverage(by: SCHOOL, asAt: $d, knownAt: $k) { totalCount } }"
    days = {"d": "2025-12-31", "k": "2026-01-01T00:00:00Z"}, {"d": "2025-12-30", "k": "2026-01-01T00:00:01Z"}
    for who, good in (("hub_a", (True, False)), ("authority", (True, False)), ("trust", (True, True)),
                      ("school_a", (True, True))):  # fmt: skip
        answers = [
            (await world.post(who, "/graphql", {"query": query, "variables": day})).json() for day in days
        ]
        assert [one["data"]["coverage"] is not None for one in answers] == list(good), who
    said = (await world.post("hub_a", "/graphql", {"query": query, "variables": {"d": "2025-12-30"}})).json()
    assert "2025-12-28" in said["errors"][0]["extensions"]["errors"][0]["detail"]
    today = await world.post("hub_a", "/graphql", {"query": query, "variables": {"d": str(TODAY)}})
    assert today.json()["data"]["coverage"] is not None


async def test_a_change_of_what_is_not_kept_writes_no_version_and_two_changes_leave_no_gap(
    world: World,
) -> None:
    pupil = await world.pupil("school_a")
    await world.owner.execute("UPDATE enrolments SET known_as = 'Al' WHERE id = $1", pupil)
    await world.owner.execute("UPDATE nc_years SET recorded_at = now() WHERE enrolment_id = $1", pupil)
    assert await world.count("enrolments_known", "enrolment_id = $1", pupil) == 1
    assert await world.count("nc_years_known", "enrolment_id = $1", pupil) == 3
    async with world.owner.transaction():
        for state in ("claimed", "active"):
            await world.owner.execute("UPDATE enrolments SET state = $2 WHERE id = $1", pupil, state)
    rows = await world.owner.fetch(
        "SELECT state, known_from, known_to FROM enrolments_known WHERE enrolment_id = $1 ORDER BY id", pupil
    )
    assert [row["state"] for row in rows] == ["active", "claimed", "active"]
    assert [row["known_to"] for row in rows] == [*(row["known_from"] for row in rows[1:]), None]


async def test_a_history_that_is_loaded_later_was_known_when_it_says(world: World) -> None:
    pupil = await world.pupil("school_c")
    said = datetime(2026, 1, 5, tzinfo=UTC)
    await world.owner.execute(
        "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year, recorded_at) VALUES ($1, 2020, $2, '3', $3)",
        pupil,
        world["school_c"],
        said,
    )
    found = await world.owner.fetchval(
        "SELECT known_from FROM nc_years_known WHERE enrolment_id = $1 AND academic_year = 2020", pupil
    )
    assert found == said
