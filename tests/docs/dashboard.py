"""A dashboard for the guides of GraphQL: the counted world behind the whole application, and their documents asked."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from app.core.roles import Dsns
from app.main import create_app
from app.settings import Settings
from tests.docs.guide import blocks, unlike
from tests.pupils_counted import ORGS, SCOPES, YEAR, Counted, build


class Dashboard:
    """The counted world behind the whole application, with tokens."""

    def __init__(self, http: httpx.AsyncClient, counted: Counted, issue: Any) -> None:
        self.http, self.counted = http, counted
        self.tokens = {
            name: issue(client_id=client, org_id=counted.ids[name], org_kind=ORGS[name], scopes=SCOPES).token
            for name, client in counted.clients.items()
        }

    async def ask(self, who: str, query: str, variables: object = None) -> httpx.Response:
        body = orjson.dumps({"query": query, "variables": variables})
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"}
        return await self.http.post("/graphql", content=body, headers=headers)

    async def follow(self, page: Path, names: Mapping[str, str] | None = None) -> int:
        """Ask for each document of a page, and see that it is answered as shown; gives how many there were."""
        found = blocks(page, "graphql", "json")
        asked = 0
        for at, block in enumerate(found):
            if block.language != "graphql":
                continue
            asked += 1
            query = block.text.replace("$YEAR", str(YEAR))
            for name, value in (names or {}).items():
                query = query.replace(f"${name}", value)
            answer = await self.ask(block.note or "hub_a", query)
            where = f"{page.name}, line {block.line}"
            assert answer.status_code == 200, f"{where}: {answer.status_code} {answer.text}"
            if at + 1 < len(found) and found[at + 1].language == "json":
                shown = orjson.loads(found[at + 1].text.replace("$YEAR", str(YEAR)))
                problems = list(unlike(shown, answer.json()))
                text = orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode()
                assert not problems, f"{where}\n" + "\n".join(problems) + f"\n{text}"
        return asked


@asynccontextmanager
async def opened(dsns: Dsns, folder: Path, *prepare: Any) -> AsyncIterator[Dashboard]:
    """The application on the counted world; `prepare` add to it before the tokens are given."""
    settings = Settings(env="test", database_url=dsns.app, data_dir=folder)
    app = create_app(settings)
    owner = await asyncpg.connect(dsns.owner)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
            counted = await build(owner)
            for one in prepare:
                await one(counted)
            yield Dashboard(http, counted, app.state.house.doorkeeper.issue)
    await owner.close()
