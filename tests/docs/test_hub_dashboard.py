"""The guide for a hub's dashboard: each document in it is asked for, and answered as shown."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.core.roles import Dsns
from tests.docs.dashboard import Dashboard, opened
from tests.docs.guide import DOCS, Values, blocks, problems_with, request_in
from tests.pupils_told import in_ash

pytestmark = pytest.mark.calendar

GUIDE = DOCS / "hub-dashboard.md"


@pytest_asyncio.fixture(scope="module")
async def dashboard(dsns: Dsns, tmp_path_factory: Any) -> AsyncIterator[Dashboard]:
    async with opened(dsns, tmp_path_factory.mktemp("data"), in_ash) as made:
        yield made


async def test_every_document_is_answered_as_the_guide_shows(dashboard: Dashboard) -> None:
    assert await dashboard.follow(GUIDE) >= 5


async def test_the_requests_are_answered_as_the_guide_says(dashboard: Dashboard) -> None:
    values = Values({"TOKEN": dashboard.tokens["hub_a"]})
    for block in blocks(GUIDE, "http"):
        request = request_in(block)
        answer = await dashboard.http.request(**request.asked(values))
        assert not list(problems_with(answer, request, values)), f"line {block.line}: {answer.text}"


async def test_a_document_may_come_by_get(dashboard: Dashboard) -> None:
    headers = {"Authorization": f"Bearer {dashboard.tokens['hub_a']}"}
    answer = await dashboard.http.get("/graphql", params={"query": "{ viewer { rounded } }"}, headers=headers)
    assert answer.json() == {"data": {"viewer": {"rounded": True}}}
