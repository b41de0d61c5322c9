"""PUT replaces: every member of its schema, by what was sent or the documented default; the same again changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.encounters.day import visit
from tests.proof.test_strangers import _DOCUMENT, OPERATIONS, _resolved
from tests.world import World

pytestmark = pytest.mark.calendar

_STARTS = (datetime.now(UTC) + timedelta(days=40)).replace(microsecond=0)
_MADE = {"id", "external_ref", "version", "created_at", "updated_at", "sittings", "taken"}


def _slot(days: int) -> dict[str, Any]:
    begins = _STARTS + timedelta(days=days)
    begins = begins.replace(hour=10, minute=0, second=0)
    return {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=2)).isoformat()}


BY_REF: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/sites/by-ref/{external_ref}": (
        {"name": "A", "address": "1 Road", "town": "Town", "postcode": "SG1 1AA"},
        {"access": "Step-free.", "travel": "Bus 1."},
    ),
    "/v1/offers/by-ref/{external_ref}": (
        {"title": "A", "kind": "workplace_tour", "grouping": "group", "tier": 1},
        {
            "description": "Long", "sector": "life_sciences", "skills": ["listening"], "year_groups": ["8"],
            "criteria": ["reflection"], "hazards": ["lead_processes"], "activity_band": "medium", "dress_code": "Shoes",
            "lunch": "None", "tasks": "Read", "objectives": "See", "mode": "hybrid",
        },
    ),
    "/v1/slots/by-ref/{external_ref}": (
        {"sittings": [_slot(0)], "capacity": 7},
        {
            "book_by": (_STARTS - timedelta(days=9)).isoformat(), "name_by": (_STARTS - timedelta(days=3)).isoformat(),
            "reply_within_hours": 17,
        },
    ),
}  # fmt: skip
"""What each needs, and what it may have beside it: none of it the default."""
CHOSEN = {"site_id", "site_ref", "offer_id", "offer_ref", "contact_id", "visibility", "audience_ids"}
"""Members that name other things; `visibility` and `audience_ids` go together and are tested in offers."""
PUTS = {one.path.replace(":path}", "}") for one in OPERATIONS if one.method == "PUT"}
OTHERS = {
    "/v1/schools/{school_id}/accepted-approvers/{org_id}",
    "/v1/schools/{school_id}/pupils/{pupil_id}/barred-sites/{site_id}",
    "/v1/encounters/{encounter_id}/criteria",
}


def test_every_put_of_the_contract_is_here() -> None:
    assert set(BY_REF) | OTHERS == PUTS
    for path, (least, more) in BY_REF.items():
        schema = _resolved(
            _DOCUMENT["paths"][path]["put"]["requestBody"]["content"]["application/json"]["schema"]
        )
        assert set(least) | set(more) | (CHOSEN & set(schema["properties"])) == set(schema["properties"])
        assert "state" not in schema["properties"]


@pytest.fixture
async def refs(world: World) -> dict[str, str]:
    """A site and an offer for what is put under them, by path of what they are put at."""
    site, offer = f"S-{uuid4()}", f"O-{uuid4()}"
    await world.send("employer_a", "PUT", f"/v1/sites/by-ref/{site}", BY_REF[next(iter(BY_REF))][0])
    body = {**BY_REF["/v1/offers/by-ref/{external_ref}"][0], "site_ref": site}
    made = await world.send("employer_a", "PUT", f"/v1/offers/by-ref/{offer}", body)
    assert made.status_code == 201, made.text
    return {"site_ref": site, "offer_ref": offer}


def _under(path: str, refs: dict[str, str]) -> dict[str, str]:
    names = {"offers": "site_ref", "slots": "offer_ref"}
    return {name: refs[name] for kind, name in names.items() if path.startswith(f"/v1/{kind}/")}


@pytest.mark.parametrize("path", BY_REF)
async def test_what_is_left_out_has_its_default_and_the_same_again_changes_nothing(
    world: World, refs: dict[str, str], path: str
) -> None:
    least, more = BY_REF[path]
    least = {**least, **_under(path, refs)}
    at, other = (path.replace("{external_ref}", str(uuid4())) for _ in range(2))

    async def put(where: str, body: Any, status: int, **headers: str) -> Any:
        answer = await world.send("employer_a", "PUT", where, body, **headers)
        assert answer.status_code == status, answer.text
        return answer

    full = (await put(at, {**least, **more}, 201)).json()
    for name, value in more.items():
        assert name.endswith("_by") or full[name] == value, name
    before = await world.fingerprint()
    again = await put(at, {**least, **more}, 200)
    assert again.json()["version"] == full["version"]
    assert await world.fingerprint() == before, "neither a version nor an event nor a line of history"
    fresh = (await put(other, least, 201)).json()
    bare = (await put(at, least, 200)).json()
    assert {name: value for name, value in bare.items() if name not in _MADE} == {
        name: value for name, value in fresh.items() if name not in _MADE
    }
    before = await world.fingerprint()
    await put(at, least, 200)
    assert await world.fingerprint() == before


@pytest.mark.parametrize("path", BY_REF)
async def test_state_stays_and_is_no_member(world: World, refs: dict[str, str], path: str) -> None:
    least, more = BY_REF[path]
    least = {**least, **_under(path, refs)}
    at = path.replace("{external_ref}", str(uuid4()))
    made = (await world.send("employer_a", "PUT", at, least)).json()
    refused = await world.send("employer_a", "PUT", at, {**least, "state": "open"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown_field")
    one = f"{path.partition('/by-ref')[0]}/{made['id']}"
    if path.startswith("/v1/slots"):
        closed = await world.post("employer_a", f"{one}/close", {})
    else:
        state = {"state": "paused" if "offers" in path else "closed"}
        closed = await world.send("employer_a", "PATCH", one, state, If_Match='"v1"')
    assert closed.status_code == 200, closed.text
    put = await world.send("employer_a", "PUT", at, {**least, **more})
    assert put.status_code == 200, put.text
    assert put.json()["state"] == closed.json()["state"] != "open"


@pytest.mark.parametrize("path", BY_REF)
async def test_if_match_is_heeded(world: World, refs: dict[str, str], path: str) -> None:
    least, more = BY_REF[path]
    least = {**least, **_under(path, refs)}
    at = path.replace("{external_ref}", str(uuid4()))
    before = await world.fingerprint()
    for match in ("*", '"v1"'):
        refused = await world.send("employer_a", "PUT", at, least, If_Match=match)
        assert (refused.status_code, refused.json()["code"]) == (412, "stale_etag"), "there is none yet"
    assert await world.fingerprint() == before
    made = await world.send("employer_a", "PUT", at, least)
    before = await world.fingerprint()
    for match in ('"v7"', f"W/{made.headers['etag']}", "x"):
        refused = await world.send("employer_a", "PUT", at, {**least, **more}, If_Match=match)
        assert refused.status_code == 412, match
    assert await world.fingerprint() == before
    for match, body in ((made.headers["etag"], {**least, **more}), ("*", least)):
        changed = await world.send("employer_a", "PUT", at, body, If_Match=match)
        assert changed.status_code == 200, changed.text


async def test_defaults_of_a_slot_stay_as_the_day_comes_nearer(world: World, refs: dict[str, str]) -> None:
    """Seven days before the start is the default; three days before, the same body must not move it."""
    at = f"/v1/slots/by-ref/{uuid4()}"
    body = {"sittings": [_slot(0)], "capacity": 7, "offer_ref": refs["offer_ref"]}
    made = await world.send("employer_a", "PUT", at, body)
    await world.move_clock(_STARTS - timedelta(days=3))
    try:
        before = await world.fingerprint()
        again = await world.send("employer_a", "PUT", at, body)
        assert (again.status_code, again.json()["version"]) == (200, made.json()["version"])
        assert await world.fingerprint() == before
    finally:
        await world.move_clock(None)


async def test_what_has_no_version(world: World) -> None:
    pupil, site = await world.pupil("school_c"), world["employer_a.site"]
    approver = f"/v1/schools/{world['school_c']}/accepted-approvers/{world['hub_a']}"
    assert (await world.send("school_c", "DELETE", approver)).status_code == 204
    for at in (
        approver,
        f"/v1/schools/{world['school_c']}/pupils/{pupil}/barred-sites/{site}",
    ):
        for match, status in (("*", 412), ('"v1"', 412), (None, 201), (None, 200), ("*", 200), ('"v1"', 412)):
            before = await world.fingerprint()
            headers = {} if match is None else {"If_Match": match}
            answer = await world.send("school_c", "PUT", at, **headers)
            assert answer.status_code == status, (at, match, answer.text)
            assert status == 201 or await world.fingerprint() == before


async def test_criteria_sent_again_change_nothing(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(125)
        await day.all_present("employer_a")
        mine = (await world.get("school_a", f"/v1/encounters?booking_id={day.booking}")).json()["data"]
        at = f"/v1/encounters/{mine[0]['id']}/criteria"
        body = {"criteria": ["reflection", "learning_outcomes"]}
        first = await world.send("school_a", "PUT", at, body, If_Match="*")
        assert first.status_code == 200, first.text
        before = await world.fingerprint()
        for criteria in (body["criteria"], body["criteria"][::-1]):
            again = await world.send(
                "school_a", "PUT", at, {"criteria": criteria}, If_Match=first.headers["etag"]
            )
            assert (again.status_code, again.headers["etag"]) == (200, first.headers["etag"])
        assert await world.fingerprint() == before
