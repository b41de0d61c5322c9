"""Dated data that cannot be read would end every request that asks for the law: the database refuses them."""

from copy import deepcopy
from datetime import date
from typing import Any, Final

import asyncpg
import orjson
import pytest

from app.rules.words import EntitlementBand, ExperienceKind, Hazard, Liability
from tests.world import World

COVER: Final = {"kind": "placement", "liability": "employers_liability", "minimum_pounds": 5_000_000}
AGE: Final = {"hazard": "ships", "minimum_age": 16}
BAND: Final = {"band": "years_7_9", "minutes": 1500, "kinds": None, "virtual_share": "1/2"}
POLICY: Final = {"code": "c", "total_minutes": 3000, "day_minutes": 300, "daily_cap": None, "bands": [BAND]}


async def _insert(world: World, topic: str, body: Any) -> None:
    """Nothing of it stays."""
    transaction = world.owner.transaction()
    await transaction.start()
    try:
        await world.insert(
            "dated_policies",
            topic=topic,
            name="T",
            starts_on=date(2030, 9, 1),
            body=orjson.dumps(body).decode(),
        )
    finally:
        await transaction.rollback()


@pytest.mark.parametrize(
    ("topic", "bodies"),
    [
        ("cover", [{**COVER, "kind": one.value} for one in ExperienceKind]),
        ("cover", [{**COVER, "liability": one.value} for one in Liability]),
        ("age_prohibition", [{**AGE, "hazard": one.value} for one in Hazard]),
        ("entitlement", [{**POLICY, "bands": [{**BAND, "band": one.value}]} for one in EntitlementBand]),
        (
            "entitlement",
            [POLICY, {**POLICY, "daily_cap": 300}, {**POLICY, "bands": [{**BAND, "virtual_share": "0"}]}],
        ),
        ("day", [{}]),
    ],
)
async def test_every_word_of_ours_is_taken(world: World, topic: str, bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        await _insert(world, topic, body)


@pytest.mark.parametrize(
    ("topic", "whole", "wrong"),
    [
        ("cover", COVER, {"kind": "tour", "liability": None, "minimum_pounds": "5m"}),
        ("age_prohibition", AGE, {"hazard": "boats", "minimum_age": "sixteen"}),
        (
            "entitlement",
            POLICY,
            {"code": 1, "total_minutes": "3000", "day_minutes": None, "daily_cap": "none", "bands": {}},
        ),
        (
            "entitlement",
            BAND,
            {"band": "ks3", "minutes": None, "kinds": "placement", "virtual_share": "half"},
        ),
    ],
)
async def test_what_is_missing_or_of_the_wrong_sort_is_refused(
    world: World, topic: str, whole: dict[str, Any], wrong: dict[str, Any]
) -> None:
    for name, value in wrong.items():
        for change in ({name: value}, None):
            body = deepcopy(whole) | (change or {})
            if change is None:
                del body[name]
            with pytest.raises(asyncpg.CheckViolationError, match="ck_dated_policies_body_whole"):
                await _insert(world, topic, {**POLICY, "bands": [body]} if whole is BAND else body)
