"""A pilot run over REST, whole: as a hub, and as a trust whose academies are in two hubs. And each thing it may not do."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.ids import new_id
from tests.encounters.day import visit
from tests.programmes.pilot import TODAY, Pilot, cost, pilot
from tests.world import World

pytestmark = pytest.mark.calendar


@pytest.mark.parametrize(
    ("owner", "schools"), [("hub_a", ("school_a", "school_c")), ("trust", ("school_a", "school_b"))]
)
async def test_a_pilot_is_run_from_beginning_to_close(
    world: World, owner: str, schools: tuple[str, str]
) -> None:
    run = await pilot(world, owner, currency="GBP")
    tours, projects = await run.strand("tours"), await run.strand("projects")
    parts = [await run.enrol(school, tours) for school in schools]
    await run.enrol(schools[0], projects)  # one school on two strands
    assert {part["joined_on"] for part in parts} == {TODAY.isoformat()}
    target = await run.made("targets", {"measure": "share", "value": 30, "characteristic": "sen:K"})
    money = [await run.allocate(school, 20_000) for school in schools]
    line = await run.made("costs", cost(world, schools[0], 5_000, strand_id=tours))
    own = await run.made(
        "costs", cost(world, schools[1], 900, paid_by="school", stage="spend"), who=schools[1]
    )
    assert (line["currency"], own["school_id"]) == ("GBP", str(world[schools[1]]))

    for part, row, change in (
        ("strands", {"id": tours, "version": 1}, {"name": "Two-hour tours"}),
        ("schools", parts[0], {"own_budget": "none"}),
        ("targets", target, {"value": 40}),
        ("allocations", money[0], {"amount_pence": 25_000}),
    ):
        path = f"{run.path}/{part}/{row['id']}"
        assert (await world.send(owner, "PATCH", path, change)).status_code == 428
        assert (await world.send(owner, "PATCH", path, change, If_Match='"v9"')).status_code == 412
        done = await world.send(owner, "PATCH", path, change, If_Match=f'"v{row["version"]}"')
        assert (done.status_code, done.headers["etag"]) == (200, '"v2"'), done.text
        assert (await world.get(owner, path)).json() == done.json()
        assert done.json() == done.json() | change

    summary = (await world.get(owner, f"{run.path}/money")).json()
    assert (summary["budget_pence"], summary["allocated_pence"], summary["unallocated_pence"]) == (
        100_000, 45_000, 55_000,
    )  # fmt: skip
    assert (summary["committed_pence"], summary["spent_pence"]) == (5_000, 900)
    assert [(one["allocated_pence"], one["left_pence"]) for one in summary["by_school"]] == [
        (25_000, 20_000), (20_000, 20_000),
    ]  # fmt: skip
    assert [one["paid_by"] for one in summary["by_payer"]] == ["programme", "school"]

    assert (await world.send(owner, "DELETE", f"{run.path}/costs/{line['id']}")).status_code == 204
    assert (await world.get(owner, f"{run.path}/costs/{line['id']}")).status_code == 404
    left = await world.post(owner, f"{run.path}/schools/{parts[1]['id']}/leave", {})
    assert (left.json()["state"], left.json()["left_on"]) == ("left", TODAY.isoformat()), left.text
    version = (await world.get(owner, run.path)).headers["etag"]
    closed = await world.send(owner, "PATCH", run.path, {"state": "closed"}, If_Match=version)
    assert closed.json()["state"] == "closed", closed.text
    await run.refused(await run.add("strands", {"code": "x", "name": "x"}), 409, "programme_closed", None)
    await run.made("costs", cost(world, schools[0], 1_000, stage="spend"))  # the bills come afterwards


async def test_every_change_is_in_the_history_and_a_school_reads_its_own(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    part = await run.enrol("school_a", strand)
    await run.enrol("school_c", strand)
    money = await run.allocate("school_a", 500)
    path = f"{run.path}/allocations/{money['id']}"
    await world.send("hub_a", "PATCH", path, {"amount_pence": 700}, If_Match='"v1"')
    await world.send("hub_a", "DELETE", path)
    await world.post("school_a", f"{run.path}/schools/{part['id']}/leave", {})
    lines = await run.rows("changes")
    assert [(one["part"], one["change"]) for one in lines] == [
        ("programme", "added"), ("strand", "added"), ("school", "added"), ("school", "added"),
        ("allocation", "added"), ("allocation", "changed"), ("allocation", "removed"), ("school", "removed"),
    ]  # fmt: skip
    assert [one["now"]["amount_pence"] for one in lines if one["part"] == "allocation"] == [500, 700, 700]
    assert {one["client_id"] for one in lines} == {
        str(world.clients["hub_a"]), str(world.clients["school_a"])
    }  # fmt: skip
    assert lines[-1]["client_id"] == str(world.clients["school_a"])
    assert "owner_id" not in lines[1]["now"]
    only = await world.get("hub_a", f"{run.path}/changes?part=allocation&limit=2")
    assert (len(only.json()["data"]), bool(only.json()["next"])) == (2, True)
    await run.enrol("school_a")  # who has left altogether sees the programme no more
    seen = await run.rows("changes", "school_a")
    assert {one["school_id"] for one in seen} == {str(world["school_a"])}
    assert len(seen) == 6


async def test_no_row_of_the_history_can_be_written_or_changed_by_anybody(world: World) -> None:
    run = await pilot(world)
    privileges = await world.owner.fetchval(
        "SELECT string_agg(privilege_type, ',') FROM information_schema.role_table_grants"
        " WHERE table_name = 'programme_changes' AND grantee IN ('tendays_app', 'tendays_worker')"
        "   AND privilege_type <> 'SELECT'"
    )
    assert (privileges, len(await run.rows("changes"))) == (None, 1)


# --- inviting, accepting, declining ------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "school"), [("school_b", "school_b"), ("trust", "school_b")])
async def test_a_school_of_another_hub_is_invited_and_accepts(world: World, who: str, school: str) -> None:
    run = await pilot(world)
    enrolled = {"school_id": world[school], "state": "enrolled"}
    await run.refused(await run.add("schools", enrolled), 409, "invite_only", "/state")
    part = await run.enrol(school, state="invited")
    assert (part["state"], part["joined_on"]) == ("invited", None)
    told = await world.count("events", "type = 'programme.changed' AND audience_id = $1", world[school])
    assert told
    assert (await world.get(who, run.path)).status_code == 200
    path = f"{run.path}/schools/{part['id']}"
    before = await world.fingerprint()
    for other, status in (("hub_a", 409), ("school_c", 404), ("hub_b", 404), ("employer_a", 403)):
        assert (await world.post(other, f"{path}/accept")).status_code == status, other
    assert await world.fingerprint() == before
    done = await world.post(who, f"{path}/accept")
    assert (done.json()["state"], done.json()["joined_on"]) == ("enrolled", TODAY.isoformat()), done.text
    await run.refused(await world.post(who, f"{path}/accept"), 409, "not_invited", None)
    again = await run.add("schools", {"school_id": world[school], "state": "invited"})
    await run.refused(again, 409, "already_enrolled", "/school_id")


async def test_a_school_whose_id_nobody_knows_is_invited_by_its_urn(world: World) -> None:
    urn = await world.owner.fetchval("SELECT urn FROM organisations WHERE id = $1", world["school_b"])
    run = await pilot(world)
    invited = await run.made("schools", {"urn": urn, "state": "invited"})
    assert (invited["school_id"], invited["state"]) == (str(world["school_b"]), "invited")
    now_known = (await world.get("hub_a", f"/v1/organisations?urn={urn}")).json()["data"]
    assert [one["id"] for one in now_known] == [str(world["school_b"])]
    assert (await world.get("school_b", f"/v1/organisations/{world['hub_a']}")).status_code == 200
    for field, said in (("school_id", world["school_b"]), ("urn", urn)):
        again = await run.add("schools", {field: said, "state": "invited"})
        await run.refused(again, 409, "already_enrolled", f"/{field}")
    unknown = await run.add("schools", {"urn": "999999", "state": "invited"})
    await run.refused(unknown, 422, "unknown_school", "/urn")
    for both_or_neither in ({}, {"urn": urn, "school_id": world["school_b"]}, {"urn": None}):
        answer = await run.add("schools", {"state": "invited", **both_or_neither})
        await run.refused(answer, 422, "one_of", "/school_id")


async def test_a_school_declines_and_may_be_invited_again(world: World) -> None:
    run = await pilot(world, "trust")
    part = await run.enrol("school_c", state="invited")
    declined = await world.post("school_c", f"{run.path}/schools/{part['id']}/decline")
    assert (declined.json()["state"], declined.json()["joined_on"]) == ("left", None)
    assert (await world.get("school_c", run.path)).status_code == 404
    assert (await run.enrol("school_c", state="invited"))["id"] != part["id"]


async def test_a_school_leaves_by_itself_but_not_before_it_joined(world: World) -> None:
    run = await pilot(world)
    part = await run.enrol("school_a")
    path = f"{run.path}/schools/{part['id']}/leave"
    early = await world.post("school_a", path, {"left_on": TODAY - timedelta(days=1)})
    await run.refused(early, 422, "leaves_before_joining", "/left_on")
    done = await world.post("trust", path, {"left_on": TODAY + timedelta(days=1)})
    assert done.json()["state"] == "left", done.text
    assert (await world.post("hub_a", path, {})).status_code == 404


async def test_a_school_is_enrolled_once_on_a_strand_and_once_on_the_whole(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    for given in ({"strand_id": strand}, {}):
        body = {"school_id": world["school_a"], **given}
        await run.made("schools", body)
        before = await world.fingerprint()
        await run.refused(await run.add("schools", body), 409, "already_enrolled", "/school_id")
        assert await world.fingerprint() == before


async def test_an_invitation_that_is_taken_back_never_was_a_part(world: World) -> None:
    """The day an invitation is for is no day on which the school joined: no costs, and nothing counted."""
    run = await pilot(world)
    day = TODAY - timedelta(days=10)
    part = await run.enrol("school_b", state="invited", joined_on=day)
    for who in ("hub_a", "school_b"):
        answer = await run.add("costs", cost(world, "school_b", 1, paid_by="school"), who=who)
        await run.refused(answer, 409, "not_enrolled", "/school_id")
    gone = await world.post("hub_a", f"{run.path}/schools/{part['id']}/leave")
    assert (gone.json()["state"], gone.json()["joined_on"]) == ("left", None), gone.text
    answer = await run.add("costs", cost(world, "school_b", 1, paid_by="school"))
    await run.refused(answer, 409, "not_enrolled", "/school_id")
    ahead = await run.enrol("school_b", state="invited", joined_on=TODAY + timedelta(days=10))
    assert (await world.post("hub_a", f"{run.path}/schools/{ahead['id']}/leave")).status_code == 200
    await run.enrol("school_b", state="invited", joined_on=day)
    table = f"school,strand,state,joined_on,own_budget\n{world['school_b']},,left,,unknown\n"
    assert (await run.load("schools", table)).json()["updated"] == 1
    assert {row["joined_on"] for row in await run.rows("schools")} == {None}
    again = await run.enrol("school_b", state="invited", joined_on=day)
    joined = await world.post("school_b", f"{run.path}/schools/{again['id']}/accept")
    assert joined.json()["joined_on"] == day.isoformat()


async def test_nobody_joins_a_closed_programme_but_may_decline_or_leave(world: World) -> None:
    run = await pilot(world)
    part, other = await run.enrol("school_b", state="invited"), await run.enrol("school_a")
    version = (await world.get("hub_a", run.path)).headers["etag"]
    await world.send("hub_a", "PATCH", run.path, {"state": "closed"}, If_Match=version)
    before = await world.fingerprint()
    answer = await world.post("school_b", f"{run.path}/schools/{part['id']}/accept")
    await run.refused(answer, 409, "programme_closed", None)
    assert await world.fingerprint() == before
    assert (await world.post("school_b", f"{run.path}/schools/{part['id']}/decline")).status_code == 200
    assert (await world.post("school_a", f"{run.path}/schools/{other['id']}/leave")).status_code == 200


# --- what is refused ---------------------------------------------------------------------------------------------


async def _refused_whole(run: Pilot, answer: Any, code: str, pointer: str | None, **figures: Any) -> None:
    await run.refused(answer, 409, code, pointer)
    assert answer.json() == answer.json() | figures


async def test_money_has_its_bounds(world: World) -> None:
    run = await pilot(world, budget_pence=10_000)
    await run.enrol("school_a")
    await run.enrol("school_c")
    aside = await run.allocate("school_a", 6_000)
    line = await run.made("costs", cost(world, "school_a", 4_000))
    await run.made("costs", cost(world, "school_a", 1_500, stage="spend"))
    before = await world.fingerprint()
    path, version = (
        f"{run.path}/allocations/{aside['id']}",
        (await world.get("hub_a", run.path)).headers["etag"],
    )
    over = await run.add("allocations", {"school_id": world["school_c"], "amount_pence": 4_001})
    await _refused_whole(
        run, over, "over_budget", "/amount_pence", budget_pence=10_000, allocated_pence=6_000
    )
    more = await world.send("hub_a", "PATCH", path, {"amount_pence": 10_001}, If_Match='"v1"')
    await _refused_whole(run, more, "over_budget", "/amount_pence")
    less = await world.send("hub_a", "PATCH", path, {"amount_pence": 5_499}, If_Match='"v1"')
    await _refused_whole(run, less, "below_committed", "/amount_pence", committed_pence=5_500)
    gone = await world.send("hub_a", "DELETE", path)
    await _refused_whole(run, gone, "below_committed", None, committed_pence=5_500)
    budget = await world.send("hub_a", "PATCH", run.path, {"budget_pence": 5_999}, If_Match=version)
    await _refused_whole(run, budget, "below_allocated", "/budget_pence", allocated_pence=6_000)
    for who in ("hub_a", "school_a"):
        spent = await run.add("costs", cost(world, "school_a", 501), who=who)
        await _refused_whole(
            run, spent, "over_allocation", "/amount_pence", allocated_pence=6_000, committed_pence=5_500
        )
    await _refused_whole(run, await run.add("costs", cost(world, "school_c", 1)), "over_allocation", None)
    assert await world.fingerprint() == before
    await run.made("costs", cost(world, "school_a", 99_999, paid_by="employer"))  # not the programme's money
    assert (await world.send("hub_a", "DELETE", f"{run.path}/costs/{line['id']}")).status_code == 204
    await run.made("costs", cost(world, "school_a", 4_500, stage="spend"))


async def test_money_and_targets_are_told_however_large(world: World) -> None:
    """Over what an Int of GraphQL holds: a national programme of thirty million pounds."""
    run = await pilot(world, "trust", budget_pence=3_000_000_000)
    for school in ("school_a", "school_b"):
        await run.enrol(school)
        await run.allocate(school, 1_500_000_000)
        await run.made("costs", cost(world, school, 1_500_000_000, stage="spend"))
    await run.made("targets", {"measure": "minutes", "value": 10**12})
    money = "{ allocatedPence spentPence spentByProgrammePence }"
    asked = f"budgetPence budgets {{ budgetPence money {money} }} progress {{ target }}"
    query = f'{{ programme(id: "{run.id}") {{ {asked} }} }}'
    answer = await world.post("trust", "/graphql", {"query": query})
    assert answer.status_code == 200, answer.text
    sums = dict.fromkeys(("allocatedPence", "spentPence", "spentByProgrammePence"), 3_000_000_000)
    assert answer.json()["data"]["programme"] == {
        "budgetPence": 3_000_000_000,
        "budgets": {"budgetPence": 3_000_000_000, "money": sums},
        "progress": [{"target": 10**12}],
    }
    whole = (await world.get("trust", f"{run.path}/money")).json()
    assert (whole["spent_pence"], whole["unallocated_pence"]) == (3_000_000_000, 0)


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("", {"name": "X", "starts_on": "2026-09-01", "ends_on": "2027-07-01", "currency": "EUR"}),
        ("/allocations", {"amount_pence": 1, "currency": "gbp"}),
        ("/costs", {"currency": "USD"}),
    ],
)
async def test_money_is_in_pounds_sterling(world: World, part: str, body: dict[str, Any]) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    before = await world.fingerprint()
    given = (
        cost(world, "school_a", 1) if part == "/costs" else {"school_id": world["school_a"]} if part else {}
    )
    answer = await world.post("hub_a", f"{run.path if part else '/v1/programmes'}{part}", given | body)
    await run.refused(answer, 422, "unsupported_currency", "/currency")
    assert await world.fingerprint() == before


@pytest.mark.parametrize("amount", [10.5, "10", -1, True, 10**15, None])
async def test_an_amount_is_whole_pence(world: World, amount: Any) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    answer = await run.add("allocations", {"school_id": world["school_a"], "amount_pence": amount})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/amount_pence")


async def test_a_strand_in_use_is_not_removed(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    path = f"{run.path}/strands/{strand}"

    async def no(*users: str) -> None:
        before = await world.fingerprint()
        answer = await world.send("hub_a", "DELETE", path)
        await _refused_whole(run, answer, "strand_in_use", None, used_by=list(users))
        assert await world.fingerprint() == before

    part = await run.enrol("school_a", strand)
    await no("schools")
    target = await run.made("targets", {"measure": "schools", "value": 2, "strand_id": strand})
    await no("schools", "targets")
    asked = {
        "school_id": world["school_a"], "slot_id": await world.slot(), "places": 2, "programme_id": run.id,
        "strand_id": strand,
    }  # fmt: skip
    booking = (await world.post("school_a", "/v1/bookings", asked)).json()
    await no("bookings", "schools", "targets")
    await world.post("hub_a", f"{run.path}/schools/{part['id']}/leave", {})
    await world.send("hub_a", "DELETE", f"{run.path}/targets/{target['id']}")
    await no("bookings")
    await world.post("school_a", f"/v1/bookings/{booking['id']}/cancel", {"reason_code": "not_needed"})
    assert (await world.send("hub_a", "DELETE", path)).status_code == 204
    assert (await world.send("hub_a", "DELETE", path)).status_code == 404
    assert await run.rows("strands") == []
    assert (await run.strand("tours")) != strand  # its code is free again


@pytest.mark.parametrize(("owner", "told", "rounded"), [("hub_a", 5, True), ("trust", 3, False)])
async def test_a_target_below_what_is_reached_is_refused_and_a_hub_is_told_a_rounded_figure(
    world: World, owner: str, told: int, rounded: object
) -> None:
    run = await pilot(world, owner)
    strand = await run.strand("tours")
    await run.enrol("school_a", strand)
    async with visit(world, 3) as day:
        given = {"programme_id": run.id, "strand_id": strand}
        assigned = await world.post("school_a", f"/v1/bookings/{day.booking}/assign", given)
        assert assigned.status_code == 200, assigned.text
        high = await run.made("targets", {"measure": "young_people", "value": 100})
        await run.made("targets", {"measure": "young_people", "value": 1, "strand_id": strand})  # nobody yet
        await day.at(130)
        assert (await day.all_present("school_a")).status_code == 200
        minutes = 300 if rounded else 360  # three pupils for two hours
        before = await world.fingerprint()
        for body, figure in (
            ({"measure": "young_people", "value": told - 1, "due_on": TODAY}, told),
            ({"measure": "young_people", "value": told - 1, "strand_id": strand, "due_on": TODAY}, told),
            ({"measure": "minutes", "value": minutes - 1}, minutes),
            ({"measure": "schools", "value": 0}, 1),
        ):
            answer = await run.add("targets", body)
            await _refused_whole(run, answer, "below_reached", "/value", reached=figure, rounded=rounded)
            assert str(figure) in answer.json()["errors"][0]["detail"]
        path = f"{run.path}/targets/{high['id']}"
        less = await world.send(owner, "PATCH", path, {"value": 1}, If_Match='"v1"')
        await _refused_whole(run, less, "below_reached", "/value", reached=told)
        assert await world.fingerprint() == before
        for measure, value in (("young_people", told), ("minutes", minutes), ("schools", 1)):
            await run.made("targets", {"measure": measure, "value": value, "due_on": TODAY})
        await run.made("targets", {"measure": "young_people", "value": 0, "characteristic": "sen"})


async def test_a_target_that_has_been_passed_is_moved_to_another_day(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    target = await run.made("targets", {"measure": "schools", "value": 1})
    await run.enrol("school_c")
    path = f"{run.path}/targets/{target['id']}"
    moved = await world.send("hub_a", "PATCH", path, {"due_on": TODAY}, If_Match='"v1"')
    assert (moved.status_code, moved.json()["due_on"]) == (200, TODAY.isoformat()), moved.text
    same = await world.send("hub_a", "PATCH", path, {"value": 0, "due_on": None}, If_Match='"v2"')
    await _refused_whole(run, same, "below_reached", "/value", reached=2)
    assert same.json()["detail"] == "2 schools are reached already."


UNKNOWN = ("unknown_characteristic", "/characteristic")
UNCOUNTED = ("not_counted_by_characteristic", "/characteristic")


@pytest.mark.parametrize("group", ["looked_after", "young_carer:true"])
@pytest.mark.parametrize(("owner", "told"), [("hub_a", False), ("trust", True)])
async def test_of_looked_after_children_a_hub_sets_no_target_for_a_strand(
    world: World,
    owner: str,
    group: str,
    told: bool,  # noqa: FBT001
) -> None:
    run = await pilot(world, owner)
    strand = await run.strand("tours")
    aim = {"measure": "share", "value": 2, "characteristic": group}
    await run.made("targets", aim)
    before = await world.fingerprint()
    answer = await run.add("targets", {**aim, "strand_id": strand})
    if told:
        assert answer.status_code == 201, answer.text
        return
    await run.refused(answer, 422, "hub_level_only", "/characteristic")
    table = f"strand,measure,characteristic,value,due_on\ntours,share,{group},2,\n"
    (row,) = (await run.load("targets", table)).json()["data"]
    assert [(one["field"], one["code"]) for one in row["errors"]] == [("characteristic", "hub_level_only")]
    after = await world.fingerprint()
    assert {name: after[name] for name in ("targets", "programme_changes")} == {
        name: before[name] for name in ("targets", "programme_changes")
    }


@pytest.mark.parametrize(
    ("part", "body", "status", "code", "pointer"),
    [
        ("targets", {"measure": "share", "value": 5, "characteristic": "eyes"}, 422, *UNKNOWN),
        ("targets", {"measure": "share", "value": 5, "characteristic": "sen:Q"}, 422, *UNKNOWN),
        ("targets", {"measure": "share", "value": 5, "characteristic": "identity"}, 422, *UNKNOWN),
        ("targets", {"measure": "share", "value": 5}, 422, "characteristic_missing", "/characteristic"),
        ("targets", {"measure": "minutes", "value": 5, "characteristic": "sen"}, 422, *UNCOUNTED),
        ("targets", {"measure": "schools", "value": 5, "characteristic": "sen"}, 422, *UNCOUNTED),
        ("targets", {"measure": "schools", "value": 2}, 409, "target_taken", "/measure"),
        ("strands", {"code": "tours", "name": "Again"}, 409, "code_taken", "/code"),
        ("schools", {"school": "school_a", "strand_id": str(uuid4())}, 422, "unknown_strand", "/strand_id"),
        ("schools", {"school": "school_a", "state": "left"}, 422, "not_one_of", "/state"),
        ("allocations", {"school": "school_a", "amount_pence": 1}, 409, "already_allocated", "/school_id"),
        ("costs", {"school": "school_c"}, 409, "not_enrolled", "/school_id"),
        ("costs", {"school": "employer_a"}, 404, "not_found", None),
        ("costs", {"school": "school_a", "booking_id": str(new_id())}, 422, "unknown_booking", "/booking_id"),
        ("costs", {"school": "school_a", "strand_id": str(new_id())}, 422, "unknown_strand", "/strand_id"),
        ("costs", {"school": "school_a", "kind": "cake"}, 422, "not_one_of", "/kind"),
        ("costs", {"school": "school_a", "external_ref": "inv-1"}, 409, "external_ref_taken", "/external_ref"),
    ],
)  # fmt: skip
async def test_what_a_part_may_not_be(
    world: World, part: str, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    run = await pilot(world)
    await run.strand("tours")
    await run.enrol("school_a")
    await run.allocate("school_a", 1_000)
    await run.made("targets", {"measure": "schools", "value": 5})
    await run.made("costs", cost(world, "school_a", 10, external_ref="inv-1"))
    before = await world.fingerprint()
    school = body.pop("school", None) if "school" in body else None
    given = cost(world, "school_a", 10) if part == "costs" else {}
    given |= body | ({"school_id": world[school]} if school else {})
    if school:
        body["school"] = school
    await run.refused(await run.add(part, given), status, code, pointer)
    assert await world.fingerprint() == before


# --- costs of bookings -------------------------------------------------------------------------------------------


async def test_a_cost_is_of_a_booking_of_the_same_programme_and_school(world: World) -> None:
    run, other = await pilot(world), await pilot(world)
    strand = await run.strand("tours")
    for programme in (run, other):
        await programme.enrol("school_a")
        await programme.enrol("school_c")
        await programme.allocate("school_a", 1_000)
    asked = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": 2}
    given = {"programme_id": run.id, "strand_id": strand}
    booking = (await world.post("school_a", "/v1/bookings", asked | given)).json()["id"]
    line = await run.made("costs", cost(world, "school_a", 10, booking_id=booking))
    assert line["strand_id"] == strand
    for answer in (
        await other.add("costs", cost(world, "school_a", 10, booking_id=booking)),
        await run.add("costs", cost(world, "school_c", 10, booking_id=booking, paid_by="school")),
        await run.add(
            "costs", cost(world, "school_c", 10, booking_id=booking, paid_by="school"), who="school_c"
        ),
    ):
        await run.refused(answer, 422, "unknown_booking", "/booking_id")
    await run.made("costs", cost(world, "school_a", 20, kind="lunch", stage="spend"))
    for query, amounts in (
        (f"?booking_id={booking}", [10]), ("?stage=spend", [20]), (f"?strand_id={strand}", [10]),
        (f"?school_id={world['school_c']}", []), ("", [10, 20]),
    ):  # fmt: skip
        found = (await world.get("hub_a", f"{run.path}/costs{query}")).json()["data"]
        assert [one["amount_pence"] for one in found] == amounts, query
    assert (await world.get("hub_a", f"/v1/bookings/{booking}")).status_code in {403, 404}


async def test_what_a_booking_has_cost_follows_it_to_another_strand(world: World) -> None:
    run, other = await pilot(world), await pilot(world)
    tours, projects = await run.strand("tours"), await run.strand("projects")
    for programme in (run, other):
        await programme.enrol("school_a")
    await run.allocate("school_a", 1_000)
    asked = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": 2}
    asked |= {"programme_id": run.id, "strand_id": tours}
    booking = (await world.post("school_a", "/v1/bookings", asked)).json()["id"]
    await run.made("costs", cost(world, "school_a", 700, booking_id=booking, external_ref="PO-1"))
    wrong = await run.add("costs", cost(world, "school_a", 1, booking_id=booking, strand_id=projects))
    await run.refused(wrong, 422, "strand_differs", "/strand_id")

    async def assign(programme: Pilot | None, strand: str | None) -> None:
        body = {"programme_id": programme and programme.id, "strand_id": strand}
        assert (await world.post("school_a", f"/v1/bookings/{booking}/assign", body)).status_code == 200

    async def line() -> tuple[Any, ...]:
        (found,) = await run.rows("costs")
        return found["strand_id"], found["amount_pence"], found["external_ref"], found["booking_id"]

    await assign(run, projects)
    assert await line() == (projects, 700, "PO-1", booking)
    assert (await world.send("hub_a", "DELETE", f"{run.path}/strands/{tours}")).status_code == 204
    assert (await run.rows("changes", "school_a"))[-1]["client_id"] == str(world.clients["school_a"])
    history = [one for one in await run.rows("changes") if one["part"] == "cost"]
    assert [(one["change"], one["now"]["strand_id"]) for one in history] == [
        ("added", tours), ("removed", tours), ("added", projects),
    ]  # fmt: skip
    await assign(other, None)  # what the first has paid it has paid
    assert (await line(), await other.rows("costs")) == ((projects, 700, "PO-1", booking), [])
    table = (await run.export("costs")).replace("7.00", "8.00")  # and may still put right
    assert (await run.load("costs", table)).json()["updated"] == 1
    assert await line() == (projects, 800, "PO-1", booking)


async def test_a_school_ends_its_own_lines_of_costs_and_not_the_owners(world: World) -> None:
    """It would free money that the owner has said is spent. The owner ends either; the history says who did what."""
    run = await pilot(world)
    await run.enrol("school_a")
    await run.allocate("school_a", 1_000)
    theirs = await run.made("costs", cost(world, "school_a", 700, external_ref="INV-1"))
    own = [
        (await run.add("costs", cost(world, "school_a", 100), who=who)).json()
        for who in ("school_a", "trust", "school_a")
    ]
    said = [one["recorded_by"] for one in (theirs, *own)]
    assert said == [str(world[who]) for who in ("hub_a", "school_a", "trust", "school_a")]
    before = await world.fingerprint()
    for who in ("school_a", "trust"):
        answer = await world.send(who, "DELETE", f"{run.path}/costs/{theirs['id']}")
        await run.refused(answer, 403, "not_yours", None)
    assert await world.fingerprint() == before
    exported = (await run.export("costs")).splitlines()
    table = "\n".join([exported[0], *(one.replace("7.00", "1.00") for one in exported if "INV-1" in one)])
    done = await run.load("costs", table, who="school_a")
    assert [row["errors"][0]["code"] for row in done.json()["data"]] == ["not_yours"]
    assert (await run.export("costs")).splitlines() == exported
    for who, line in (("school_a", own[0]), ("school_a", own[1]), ("hub_a", own[2]), ("hub_a", theirs)):
        assert (await world.send(who, "DELETE", f"{run.path}/costs/{line['id']}")).status_code == 204
    history = [one["org_id"] for one in await run.rows("changes") if one["change"] == "removed"]
    assert history == [str(world[who]) for who in ("school_a", "school_a", "hub_a", "hub_a")]


async def test_costs_and_a_booking_that_goes_to_another_strand_meet(world: World) -> None:
    """Recorded at the very moment at which the booking goes: every line ends up on the strand of the booking."""
    run = await pilot(world)
    await run.enrol("school_a")
    strands = [await run.strand("tours"), await run.strand("projects")]
    asked = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": 2}
    asked |= {"programme_id": run.id, "strand_id": strands[0]}
    booking = (await world.post("school_a", "/v1/bookings", asked)).json()["id"]
    line = cost(world, "school_a", 1, booking_id=booking, paid_by="school")
    for turn in range(6):
        to = {"programme_id": run.id, "strand_id": strands[(turn + 1) % 2]}
        path = f"/v1/bookings/{booking}/assign"
        writes = [run.add("costs", line, who=who) for who in ("hub_a", "school_a", "hub_a")]
        answers = await asyncio.gather(writes[0], world.post("school_a", path, to), *writes[1:])
        assert [one.status_code for one in answers] == [201, 200, 201, 201]
        assert {row["strand_id"] for row in await run.rows("costs")} == {to["strand_id"]}


async def test_a_school_records_its_own_costs_and_reads_no_others(world: World) -> None:
    run = await pilot(world)
    for school in ("school_a", "school_c"):
        await run.enrol(school)
        await run.allocate(school, 1_000)
        await run.made("costs", cost(world, school, 100), who=school)
    before = await world.fingerprint()
    foreign = await run.add("costs", cost(world, "school_c", 1, paid_by="school"), who="school_a")
    await run.refused(foreign, 409, "not_enrolled", "/school_id")
    theirs = [row for row in await run.rows("costs") if row["school_id"] == str(world["school_c"])]
    path = f"{run.path}/costs/{theirs[0]['id']}"
    assert (await world.get("school_a", path)).status_code == 404
    assert (await world.send("school_a", "DELETE", path)).status_code == 404
    assert await world.fingerprint() == before
    summary = (await world.get("school_a", f"{run.path}/money")).json()
    assert (summary["budget_pence"], summary["allocated_pence"], summary["committed_pence"]) == (
        None,
        1_000,
        100,
    )
    assert [one["school_id"] for one in summary["by_school"]] == [str(world["school_a"])]
    assert (
        len(await run.rows("costs", "vendor")) == 1
    )  # who holds a grant of the trust's reads what the school does


async def test_strangers_find_nothing_of_a_running_programme(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    aside = await run.allocate("school_a", 1_000)
    line = await run.made("costs", cost(world, "school_a", 100))
    before = await world.fingerprint()
    for who in ("hub_b", "authority", "school_c", "school_b", "employer_a", "stranger_vendor"):
        for rest in ("costs", "money", "changes", "export?part=costs", f"costs/{line['id']}"):
            assert (await world.get(who, f"{run.path}/{rest}")).status_code == 404, (who, rest)
    for who in ("hub_b", "authority", "trust", "school_a", "school_c"):
        for method, rest in (
            ("DELETE", f"allocations/{aside['id']}"),
            ("POST", "import?part=allocations"),
            ("PATCH", f"allocations/{aside['id']}"),
        ):
            body: Any = b"school,amount,currency\r\n" if method == "POST" else {"amount_pence": 1}
            media = "text/csv" if method == "POST" else "application/json"
            answer = await world.send(
                who, method, f"{run.path}/{rest}", body, If_Match='"v1"', Content_Type=media
            )
            assert answer.status_code == 404, (who, method, answer.text)
    assert await world.fingerprint() == before


async def test_who_is_only_invited_records_no_costs(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_b", state="invited")
    for who in ("hub_a", "school_b"):
        answer = await run.add("costs", cost(world, "school_b", 1, paid_by="school"), who=who)
        await run.refused(answer, 409, "not_enrolled", "/school_id")


# --- all at once -------------------------------------------------------------------------------------------------


async def test_the_budget_holds_when_many_set_money_aside_at_once(world: World) -> None:
    """Two schools are given 60 % each at the same time; and one spends its allocation from both sides at once."""
    run = await pilot(world)
    schools = ("school_a", "school_c")
    for school in schools:
        await run.enrol(school)
    answers = await asyncio.gather(
        *(
            run.add("allocations", {"school_id": world[schools[at % 2]], "amount_pence": 60_000})
            for at in range(6)
        )
    )
    assert sorted(one.status_code for one in answers) == [201, *[409] * 5]
    (aside,) = await run.rows("allocations")
    who = next(name for name in schools if str(world[name]) == aside["school_id"])
    spent = await asyncio.gather(
        *(run.add("costs", cost(world, who, 25_000), who=side) for side in ("hub_a", who, "hub_a", who))
    )
    assert sorted(one.status_code for one in spent) == [201, 201, 409, 409]


async def test_a_strand_is_not_removed_under_a_booking_that_is_being_made(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    for _ in range(5):
        strand = await run.strand("tours")
        asked = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": 2}
        asked |= {"programme_id": run.id, "strand_id": strand}
        booked, gone = await asyncio.gather(
            world.post("school_a", "/v1/bookings", asked),
            world.send("hub_a", "DELETE", f"{run.path}/strands/{strand}"),
        )
        assert (booked.status_code, gone.status_code) in {(201, 409), (422, 204)}
        if gone.status_code == 409:
            await world.post(
                "school_a", f"/v1/bookings/{booked.json()['id']}/cancel", {"reason_code": "not_needed"}
            )
            assert (await world.send("hub_a", "DELETE", f"{run.path}/strands/{strand}")).status_code == 204
