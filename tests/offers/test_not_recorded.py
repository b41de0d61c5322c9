"""None of these and not recorded are two things: of every list that says a fact, by every way it is told."""

from typing import Any

import pytest

from tests.offers.test_offer_ends import an_offer
from tests.world import World

LISTS = ("skills", "criteria", "hazards")


@pytest.mark.parametrize("name", LISTS)
async def test_of_an_offer_none_is_an_empty_list_and_not_recorded_is_null(world: World, name: str) -> None:
    told: list[tuple[dict[str, Any], list[str] | None]] = [({}, None), ({name: None}, None), ({name: []}, [])]
    for more, expected in told:
        made = await world.post("employer_a", "/v1/offers", an_offer(world, **more))
        assert (made.status_code, made.json()[name]) == (201, expected), made.text
        put = await world.send("employer_a", "PUT", "/v1/offers/by-ref/NULLS", an_offer(world, **more))
        assert put.json()[name] == expected
        etag = put.headers["etag"]
        path = f"/v1/offers/{put.json()['id']}"
        none = await world.send("employer_a", "PATCH", path, {name: []}, If_Match=etag)
        assert none.json()[name] == []
        null = await world.send("employer_a", "PATCH", path, {name: None}, If_Match=none.headers["etag"])
        assert null.json()[name] is None
        assert (await world.get("school_a", path)).json()[name] is None


async def test_the_search_shows_the_same_and_what_is_not_recorded_can_be_booked(world: World) -> None:
    for name in LISTS:
        slot = await world.slot()
        await world.owner.execute(
            f"UPDATE offers SET {name} = NULL WHERE id = (SELECT offer_id FROM slots WHERE id = $1)", slot
        )
        shown = (await world.get("school_a", f"/v1/open-slots/{slot}")).json()
        assert shown[name] is None
        booking = await world.booking(slot=slot, state="confirmed", places=1)
        named = await world.post(
            "school_a", f"/v1/bookings/{booking['id']}/participants",
            {"pupils": [{"pupil_id": await world.pupil("school_a")}]},
        )  # fmt: skip
        assert named.status_code == 200, named.text
        await world.post("school_a", f"/v1/bookings/{booking['id']}/cancel", {"reason_code": "transport"})


async def test_of_an_employer_too(world: World) -> None:
    for told in ([], None, ["defence"]):
        etag = (await world.get("employer_a", "/v1/employer")).headers["etag"]
        changed = await world.send("employer_a", "PATCH", "/v1/employer", {"sectors": told}, If_Match=etag)
        assert (changed.status_code, changed.json()["sectors"]) == (200, told), changed.text
