"""What the pages for people say without a browser: policies, what they may load, and the contract in older words."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.core.secrets import new_master
from app.main import create_app
from app.rest.rendition import PASTED, WEBHOOKS, for_renderer, operations
from app.settings import Settings

PAGES = ("/", "/docs", "/graphql")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """Never opened: the pages need no database."""
    nowhere = "postgresql://nobody@127.0.0.1/nothing"
    return create_app(Settings(env="test", database_url=nowhere, secret_key=new_master()))


@pytest_asyncio.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Accept": "text/html"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://tendays.test", headers=headers
    ) as opened:
        yield opened


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Everything in the document that could be a schema; data (examples and the like) is left out."""
    if isinstance(part, list):
        for one in part:
            yield from schemas(one)
    elif isinstance(part, dict):
        yield part
        for name, value in part.items():
            if name not in {"example", "examples", "default", "enum"}:
                yield from schemas(value)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_bound_to_this_server_and_framed_by_nobody(
    http: httpx.AsyncClient, path: str
) -> None:
    page = await http.get(path)
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(
        one.strip().partition(" ")[::2] for one in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] in {"'self'", "'none'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not [one for one in policy.values() if "unsafe" in one or "http" in one or "*" in one]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "://" not in page.text


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/docs/assets/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/assets/swagger-ui.css", "text/css"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/pages.css", "text/css"),
        ("/docs/openapi.json", "application/json"),
        ("/favicon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
async def test_what_a_page_loads_has_its_media_type_and_is_not_guessed(
    http: httpx.AsyncClient, path: str, media: str
) -> None:
    loaded = await http.get(path)
    assert loaded.status_code == 200
    assert loaded.headers["content-type"].partition(";")[0] == media
    assert loaded.headers["x-content-type-options"] == "nosniff"
    assert loaded.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["index.html", "oauth2-redirect.html", "../__init__.py", "%2e%2e/__init__.py", ""]
)
async def test_nothing_else_of_the_package_is_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/docs/assets/{name}")).status_code == 404


def test_the_rendition_loses_no_operation_and_shows_the_webhooks_beside_them(app: FastAPI) -> None:
    contract = app.openapi()
    made = for_renderer(contract)
    assert made["openapi"].startswith("3.0.")
    assert list(made["paths"]) == [*contract["paths"], *contract["webhooks"]]
    told = [one for one in operations(made) if one["tags"] == [WEBHOOKS]]
    assert [one["operationId"] for one in told] == [
        one["post"]["operationId"] for one in contract["webhooks"].values()
    ]
    assert all(one["summary"] for one in told)
    assert made["components"]["schemas"].keys() == contract["components"]["schemas"].keys()


def test_the_rendition_says_nothing_that_openapi_3_0_cannot(app: FastAPI) -> None:
    for schema in schemas(for_renderer(app.openapi())):
        assert not isinstance(schema.get("type"), list)
        assert not isinstance(schema.get("examples"), list)
        assert not isinstance(schema.get("const", {}), str | int)
        assert "$schema" not in schema
        assert {"type": "null"} not in schema.get("anyOf", ())


def test_a_pasted_token_opens_whatever_a_client_s_own_opens_and_the_published_contract_does_not_know_of_it(
    app: FastAPI,
) -> None:
    contract = app.openapi()
    made = for_renderer(contract)
    for ours, theirs in zip(operations(contract), operations(made), strict=False):
        closed = any(ours.get("security", ()))
        assert ({PASTED: []} in theirs.get("security", ())) is closed
    assert PASTED not in contract["components"]["securitySchemes"]


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A"},
            {"type": "string", "title": "A", "nullable": True},
        ),
        ({"anyOf": [{"$ref": "#/a"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/a"}], "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
        ),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"const": 1, "examples": [1, 2]}, {"enum": [1], "example": 1}),
        ({"properties": {"const": {"type": "string"}}}, {"properties": {"const": {"type": "string"}}}),
        ({"examples": {"one": {"value": {"const": 1}}}}, {"examples": {"one": {"value": {"const": 1}}}}),
    ],
)
def test_a_schema_in_older_words(newer: dict[str, Any], older: dict[str, Any]) -> None:
    made = for_renderer({"paths": {}, "components": {"schemas": {"A": newer}}})
    assert made["components"]["schemas"]["A"] == older
