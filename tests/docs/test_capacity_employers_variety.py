"""The page on shortfall and capacity, employers and variety: each document in it is asked for, and answered as shown."""

from pathlib import Path

import pytest

from app.core.roles import Dsns
from tests.docs.dashboard import opened
from tests.docs.guide import DOCS
from tests.market_made import furnish, visited

pytestmark = pytest.mark.calendar


async def test_every_document_is_answered_as_the_page_shows(dsns: Dsns, tmp_path: Path) -> None:
    async with opened(dsns, tmp_path, furnish, visited) as dashboard:
        assert await dashboard.follow(DOCS / "capacity-employers-variety.md") >= 3
