"""Fixtures of the proofs."""

import pytest_asyncio

from tests.proof.rows import Row, fill
from tests.world import World


@pytest_asyncio.fixture(scope="module")
async def full(world: World) -> dict[str, Row]:
    """A row of school_a, employer_a, hub_a or their trust in every table, by table."""
    return await fill(world)
