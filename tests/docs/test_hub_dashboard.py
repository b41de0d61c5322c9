"""The guide for a hub's dashboard: each document in it is asked for, and answered as shown."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import orjson
import pytest_asyncio

from app.core.roles import Dsns
from app.main import create_app
from app.settings import Settings
from tests.docs.guide import DOCS, Values, blocks, problems_with, request_in, unlike
from tests.programme_counted import add_pilot
from tests.pupils_counted import ORGS, SCOPES, TODAY, YEAR, Counted, build

GUIDE = DOCS / "hub-dashboard.md"


class Dashboard:
    """The counted world behind the whole application, with tokens."""

    def __init__(self, http: httpx.AsyncClient, counted: Counted, issue: Any) -> None:
        self.http, self.counted = http, counted
        self.programme = ""
        self.tokens = {
            name: issue(client_id=client, org_id=counted.ids[name], org_kind=ORGS[name], scopes=SCOPES).token
            for name, client in counted.clients.items()
        }

    async def ask(self, who: str, query: str, variables: object = None) -> httpx.Response:
        body = orjson.dumps({"query": query, "variables": variables})
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"}
        return await self.http.post("/graphql", content=body, headers=headers)


@pytest_asyncio.fixture(scope="module")
async def dashboard(dsns: Dsns, tmp_path_factory: Any) -> AsyncIterator[Dashboard]:
    settings = Settings(env="test", database_url=dsns.app, data_dir=tmp_path_factory.mktemp("data"))
    app = create_app(settings)
    owner = await asyncpg.connect(dsns.owner)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
            made = Dashboard(http, await build(owner), app.state.house.doorkeeper.issue)
            made.programme = str((await add_pilot(made.counted)).id)
            yield made
    await owner.close()


async def test_every_document_is_answered_as_the_guide_shows(dashboard: Dashboard) -> None:
    found = blocks(GUIDE, "graphql", "json")
    asked = 0
    for at, block in enumerate(found):
        if block.language != "graphql":
            continue
        asked += 1
        who = block.note or "hub_a"
        query = block.text.replace("$YEAR", str(YEAR)).replace("$PROGRAMME", dashboard.programme)
        query = query.replace("$LAST_MONTH", str(TODAY - timedelta(days=25)))
        answer = await dashboard.ask(who, query)
        where = f"{GUIDE.name}, line {block.line}"
        assert answer.status_code == 200, f"{where}: {answer.status_code} {answer.text}"
        if at + 1 < len(found) and found[at + 1].language == "json":
            shown = orjson.loads(found[at + 1].text.replace("$YEAR", str(YEAR)))
            problems = list(unlike(shown, answer.json()))
            text = orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode()
            assert not problems, f"{where}\n" + "\n".join(problems) + f"\n{text}"
    assert asked >= 5


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
