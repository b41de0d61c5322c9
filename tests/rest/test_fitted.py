"""A handler made to measure answers as the whole one would, whichever parameters a request names."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.rest import fitted
from app.rest.fitted import Fitted, names_of
from app.rest.frame import FramedRoute
from app.rest.routes import ROUTERS


class Measured(APIRoute):
    """Inside nothing but this."""

    def get_route_handler(self) -> Any:
        made = Fitted(self, APIRoute.get_route_handler)

        async def handle(request: Request) -> Any:
            return await made.to(request.query_params)(request)

        return handle


async def _page(
    limit: Annotated[int, Query(ge=1)] = 50, starts: Annotated[str | None, Query(alias="from")] = None
) -> dict[str, Any]:
    return {"limit": limit, "starts": starts}


def _app(route_class: type[APIRoute]) -> httpx.AsyncClient:
    router = APIRouter(route_class=route_class)

    @router.get("/things")
    async def things(
        page: Annotated[dict[str, Any], Depends(_page)],
        kind: Annotated[str, Query()],
        seen: Annotated[int, Query()] = 0,
        several: Annotated[list[str] | None, Query()] = None,
    ) -> dict[str, Any]:
        return {**page, "kind": kind, "seen": seen, "several": several}

    app = FastAPI()
    app.router.routes.extend(router.routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here")


NAMED = (
    "kind=tour",
    "seen=3",
    "several=a&several=b",
    "limit=7",
    "from=today",
    "limit=0",
    "seen=x",
    "strange=1",
)


@pytest.mark.parametrize(
    "query", ["&".join(some) for n in range(4) for some in itertools.combinations(NAMED, n)]
)
async def test_it_answers_as_the_whole_one(query):
    async with _app(Measured) as measured, _app(APIRoute) as whole:
        got, expected = await measured.get(f"/things?{query}"), await whole.get(f"/things?{query}")
    assert (got.status_code, got.json()) == (expected.status_code, expected.json())


async def test_what_must_be_named_is_missed():
    async with _app(Measured) as http:
        assert (await http.get("/things?seen=1")).json()["detail"][0]["loc"] == ["query", "kind"]


async def test_a_handler_is_made_once_for_each_set_of_names_and_for_so_many(monkeypatch):
    monkeypatch.setattr(fitted, "MOST", 2)
    made: list[list[str]] = []

    def handler_of(route: APIRoute) -> Any:
        made.append(sorted(names_of(route.dependant)))
        return object()

    one = Fitted(_route(), handler_of)
    assert one.to(["seen"]) is one.to(["seen", "strange"])
    assert one.to(["limit"]) is not one.to(["seen"])
    assert made[1:] == [["kind", "seen"], ["kind", "limit"]]
    whole = one.to(["from"])
    assert whole is one.to(["several", "from"])
    assert len(made) == 3


def _route() -> APIRoute:
    async def things(kind: str, page: Annotated[Any, Depends(_page)], seen: int = 0) -> None: ...

    return APIRoute("/things", things)


def _parameters(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for below in dependant.dependencies:
        yield from _parameters(below)


@pytest.mark.parametrize(
    "route", [one for router in ROUTERS for one in router.routes if isinstance(one, FramedRoute)], ids=str
)
def test_what_a_route_leaves_out_has_a_default_that_can_be_shared(route):
    """The default is the function's own object, not a copy: nothing that can be changed."""
    for one in _parameters(route.dependant):
        default = one.field_info.default
        assert one.field_info.is_required() or default is None or isinstance(default, (int, str, bool)), one
