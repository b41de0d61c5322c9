"""A row of arrivals or attendance that cannot be read is refused by itself: the others are recorded."""

import orjson
import pytest

from tests.encounters.day import said, visit
from tests.world import World

pytestmark = pytest.mark.calendar


async def test_one_bad_report_never_takes_the_others(world: World) -> None:
    async with visit(world, 3) as day:
        await day.at(121)
        rows = [
            said(day.parts[0], "present"),
            said(day.parts[1], "late", arrived_at=1799999999),
            said("nobody", "present"),
            said(day.parts[2], "present", decides="yes"),
            5,
        ]
        raw = orjson.dumps({"sitting_id": day.sittings[0], "reports": rows})[:-2]
        raw += (
            f', {{"participation_id": "{day.parts[2]}", "status": "left_early", "left_at": NaN}}]}}'.encode()
        )
        answer = await world.post("employer_a", f"/v1/bookings/{day.booking}/attendance", raw)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["recorded"], told["refused"], told["more_errors"]) == (1, 5, 0)
        assert [one["participation_id"] for one in told["data"]] == [
            *day.parts[:2],
            None,
            day.parts[2],
            None,
            None,
        ]
        assert [(fault["pointer"], fault["code"]) for one in told["data"] for fault in one["errors"]] == [
            ("/reports/1/arrived_at", "wrong_type"),
            ("/reports/2/participation_id", "wrong_type"),
            ("/reports/3/decides", "wrong_type"),
            ("/reports/4", "wrong_type"),
            ("/reports/5/left_at", "out_of_range"),
        ]


async def test_one_bad_arrival_never_takes_the_others(world: World) -> None:
    async with visit(world, 3) as day:
        await day.at(5)
        body = {
            "arrivals": [
                {"participation_id": day.parts[0]},
                {"participation_id": day.parts[1], "arrived_at": "2027-01-20T10:00:00"},
                {"participation_id": day.parts[1], "x": 1},
            ],
            "missing": [day.parts[2], "nobody", 7],
        }
        answer = await world.post("employer_a", f"/v1/bookings/{day.booking}/arrivals", body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["recorded"], told["refused"]) == (2, 4)
        assert [(fault["pointer"], fault["code"]) for one in told["data"] for fault in one["errors"]] == [
            ("/arrivals/1/arrived_at", "offset_required"),
            ("/arrivals/2/x", "unknown_field"),
            ("/missing/1", "wrong_type"),
            ("/missing/2", "wrong_type"),
        ]


async def test_what_is_wrong_around_the_rows_refuses_the_request(world: World) -> None:
    async with visit(world, 1) as day:
        await day.at(5)
        path, before = f"/v1/bookings/{day.booking}/attendance", await world.fingerprint()
        row = f'{{"participation_id": "{day.parts[0]}", "status": "present"}}'
        for raw in (
            f'{{"sitting_id": "\\u0000", "reports": [{row}]}}',
            f'{{"sitting_id": "{day.sittings[0]}", "reports": [{row}], "reports": [{row}]}}',
            f'{{"sitting_id": "{day.sittings[0]}", "reports": []}}',
        ):
            assert (await world.post("employer_a", path, raw.encode())).status_code == 422
        assert await world.fingerprint() == before
