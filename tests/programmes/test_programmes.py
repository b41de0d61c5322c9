"""Programmes over HTTP: begun, changed, filled with strands, schools, targets and money; strangers find nothing."""

from typing import Any

import pytest

from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar

BODY = {
    "external_ref": "ks3", "name": "Key Stage 3 pilot", "funder": "Hub", "starts_on": date_in(-60),
    "ends_on": date_in(300), "budget_pence": 2_500_000,
}  # fmt: skip


async def begun(world: World, who: str, **more: Any) -> str:
    made = await world.post(who, "/v1/programmes", {**BODY, "external_ref": None, **more})
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


async def test_a_hub_begins_a_programme_once_under_its_reference(world: World) -> None:
    made = await world.post("hub_a", "/v1/programmes", BODY)
    assert (made.status_code, made.headers["etag"], made.json()["state"]) == (201, '"v1"', "running"), (
        made.text
    )
    again = await world.post("hub_a", "/v1/programmes", BODY)
    assert (again.status_code, again.json()["code"]) == (409, "external_ref_taken")
    assert (await world.post("hub_b", "/v1/programmes", BODY)).status_code == 201
    told = await world.owner.fetch(
        "SELECT audience_id FROM events WHERE order_key::text = $1", made.json()["id"]
    )
    assert [row["audience_id"] for row in told] == [world["hub_a"]]


@pytest.mark.parametrize(
    ("who", "status"), [("trust", 201), ("authority", 201), ("school_a", 403), ("employer_a", 403)]
)
async def test_who_runs_programmes(world: World, who: str, status: int) -> None:
    assert (await world.post(who, "/v1/programmes", {**BODY, "external_ref": "x"})).status_code == status


async def test_a_programme_is_filled_and_its_version_tells(world: World) -> None:
    path = await begun(world, "hub_a")
    strand = await world.post("hub_a", f"{path}/strands", {"code": "tour", "name": "Group tours"})
    assert strand.status_code == 201, strand.text
    bodies = {
        "schools": {
            "school_id": world["school_a"],
            "strand_id": strand.json()["id"],
            "own_budget": "too_little",
        },
        "targets": {"measure": "young_people", "value": 2000, "strand_id": strand.json()["id"]},
        "allocations": {"school_id": world["school_a"], "amount_pence": 50_000},
    }
    for part, body in bodies.items():
        made = await world.post("hub_a", f"{path}/{part}", body)
        assert made.status_code == 201, made.text
        assert (await world.get("hub_a", f"{path}/{part}")).json() == {"data": [made.json()], "next": None}
    read = await world.get("hub_a", path)
    assert (read.headers["etag"], read.json()["budget_pence"]) == ('"v5"', 2_500_000)
    told = await world.count(
        "events",
        "type = 'programme.changed' AND audience_id = $1 AND order_key::text = $2",
        world["school_a"],
        read.json()["id"],
    )
    assert told == 2
    for part, code in (
        ("strands", "code_taken"),
        ("schools", "already_enrolled"),
        ("allocations", "already_allocated"),
    ):
        body = {"code": "tour", "name": "x"} if part == "strands" else bodies[part]
        again = await world.post("hub_a", f"{path}/{part}", body)
        assert (again.status_code, again.json()["code"]) == (409, code)
    assert (await world.get("hub_a", path)).headers["etag"] == '"v5"'


async def test_a_school_that_takes_part_reads_its_own_part_and_no_money_of_others(world: World) -> None:
    path = await begun(world, "hub_a")
    for school, pence in (("school_a", 100), ("school_c", 200)):
        await world.post("hub_a", f"{path}/schools", {"school_id": world[school]})
        await world.post("hub_a", f"{path}/allocations", {"school_id": world[school], "amount_pence": pence})
    await world.post("hub_a", f"{path}/targets", {"measure": "share", "value": 50})
    seen = (await world.get("school_c", path)).json()
    assert (seen["name"], seen["budget_pence"], seen["funder"]) == ("Key Stage 3 pilot", None, None)
    for part in ("schools", "allocations"):
        rows = (await world.get("school_c", f"{path}/{part}")).json()["data"]
        assert [row["school_id"] for row in rows] == [str(world["school_c"])]
    assert (await world.get("school_c", f"{path}/targets")).json()["data"] == []
    assert (await world.get("school_b", path)).status_code == 404


async def test_a_programme_is_changed_under_its_etag(world: World) -> None:
    path = await begun(world, "trust")
    assert (await world.send("trust", "PATCH", path, {"state": "closed"}, If_Match='"v3"')).status_code == 412
    done = await world.send("trust", "PATCH", path, {"state": "closed"}, If_Match='"v1"')
    assert (done.status_code, done.json()["state"], done.json()["name"]) == (200, "closed", BODY["name"])
    turned = await world.send("trust", "PATCH", path, {"ends_on": date_in(-61)}, If_Match='"v2"')
    assert (turned.status_code, turned.json()["errors"][0]["code"]) == (422, "ends_before_start")


@pytest.mark.parametrize(
    ("part", "body", "status", "pointer"),
    [
        ("strands", {"code": "", "name": "x"}, 422, "/code"),
        ("targets", {"measure": "happiness", "value": 1}, 422, "/measure"),
        ("targets", {"measure": "share", "value": 101}, 422, "/value"),
        (
            "targets",
            {"measure": "schools", "value": 1, "strand_id": "0198c0de-0000-7000-8000-000000000001"},
            422,
            "/strand_id",
        ),
        ("allocations", {"school": "school_b", "amount_pence": 5}, 409, "/school_id"),
        ("allocations", {"school": "employer_a", "amount_pence": 5}, 404, None),
        ("schools", {"school": "employer_a"}, 404, None),
        ("schools", {"school": "school_a", "amount_pence": -1}, 422, "/amount_pence"),
    ],
)
async def test_a_part_that_is_not_one(
    world: World, part: str, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    path = await begun(world, "hub_a")
    before = await world.fingerprint()
    sent = {name: value for name, value in body.items() if name != "school"}
    if "school" in body:
        sent["school_id"] = world[body["school"]]
    answer = await world.post("hub_a", f"{path}/{part}", sent)
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert await world.fingerprint() == before


async def test_strangers_find_no_programme_and_change_nothing(world: World) -> None:
    path = await begun(world, "hub_a")
    await world.post("hub_a", f"{path}/schools", {"school_id": world["school_a"]})
    before = await world.fingerprint()
    parts = {
        "strands": {"code": "a", "name": "b"}, "schools": {"school_id": world["school_b"]},
        "targets": {"measure": "schools", "value": 1},
        "allocations": {"school_id": world["school_b"], "amount_pence": 1},
    }  # fmt: skip
    for who in ("hub_b", "authority", "trust"):
        changed = await world.send(who, "PATCH", path, {"state": "closed"}, If_Match='"v2"')
        assert changed.status_code == 404, who
        for part, body in parts.items():
            assert (await world.post(who, f"{path}/{part}", body)).status_code == 404, (who, part)
    for who in ("hub_b", "authority", "school_c", "employer_a", "stranger_vendor"):
        for rest in ("", *(f"/{part}" for part in parts)):
            assert (await world.get(who, path + rest)).status_code == 404, (who, rest)
    assert await world.fingerprint() == before
