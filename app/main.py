"""The API application: settings in, rooms wired to faces, nothing decided here."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI

from app.access.rates import Allowance, Rates
from app.access.scopes import SCOPES
from app.access.tokens import Tokens
from app.core.db import Database
from app.core.paging import Cursors
from app.graphql.app import graphql_app
from app.rest import contract, frame, pages, problems
from app.rest.routes import ROUTERS, oauth_router
from app.settings import Settings, load


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Opening and closing of the database is in its lifespan."""
    settings = settings or load()
    house = _house(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await house.db.open()
        try:
            yield
        finally:
            await house.db.close()

    app = FastAPI(
        title="TenDays", version=_version(), lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.house = house
    problems.install(app)
    app.include_router(oauth_router)
    for router in ROUTERS:
        app.include_router(router)
    pages.install(app)

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = contract.document(app, dict(SCOPES))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way of replacing the document
    return app
