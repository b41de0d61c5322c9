"""A filter by a school that is not the caller's is as good as no such school, whoever runs the programme."""

import pytest

from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar


@pytest.mark.parametrize(
    ("owner", "foreign", "expected"), [("trust", "school_c", (404, None)), ("hub_b", "school_a", (200, []))]
)
async def test_costs_are_not_filtered_by_a_school_that_is_not_ones_own(
    world: World, owner: str, foreign: str, expected: tuple[int, object]
) -> None:
    begun = {"name": "Pilot", "starts_on": date_in(-60), "ends_on": date_in(300)}
    made = await world.post(owner, "/v1/programmes", begun)
    assert made.status_code == 201, made.text
    answer = await world.get(owner, f"{made.headers['location']}/costs?school_id={world[foreign]}")
    assert (answer.status_code, answer.json().get("data")) == expected, answer.text
    stranger = await world.get("school_c", f"{made.headers['location']}/costs")
    assert stranger.status_code == 404
