"""The API application: settings in, rooms wired to faces, nothing decided here."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI

from app.access.rates import Allowance, Rates
from app.access.scopes import SCOPES
from app.access.tokens import Tokens
from app.core import logs
from app.core.db import Database
from app.core.paging import Cursors
from app.graphql.app import graphql_app
from app.rest import (
    contract,
    dev_clock,
    head,
    health,
    metrics,
    oauth,
    pages,
    problems,
    seen,
    serving,
    webhook_keys,
)
from app.rest.frame import House, authenticate
from app.rest.routes import ROUTERS
from app.settings import Settings, SettingsRefused, load
from app.worker import serve

_log = structlog.get_logger("tendays.api")


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. The database and the signing keys are opened and closed by its lifespan."""
    settings = settings or load()
    logs.configure(settings.log_level, as_json=settings.log_json)
    house, tokens = _house(settings)
    app = FastAPI(
        title="TenDays",
        version=_version(),
        lifespan=_lifespan(house, tokens, settings),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its logs would hold what was sent and is not acceptable: pupils' data. Metrics are our own (core/metrics.py).
        telemetry={"auto_configure": False, "logs": False, "metrics": False, "operation_spans": False},
    )
    app.state.house = house
    problems.install(app)
    head.install(app)
    app.include_router(  # before the others, as routes are tried in turn and dashboards ask here only
        graphql_app(
            authenticate=authenticate,
            db=house.db,
            cursors=house.cursors,
            take=house.limiter.take,
            development=house.development,
        )
    )
    attempts = Rates(
        Allowance("tokens", settings.token_rate_limit, settings.rate_window_seconds),
        processes=settings.processes,
    )
    app.include_router(oauth.router(oauth.Desk(house.db, tokens, attempts, settings.development)))
    app.include_router(webhook_keys.router)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)  # an included router is matched twice at each request
    if settings.development:  # elsewhere the database would refuse it too: nobody may execute app.move_clock
        app.include_router(dev_clock.router)
    health.install(app)
    if settings.metrics:
        metrics.install(app)
    seen.install(app)
    pages.install(app)
    _publish(app, (*ROUTERS, dev_clock.router))
    return app


def _house(settings: Settings) -> tuple[House, Tokens]:
    if not settings.database_url:
        raise SettingsRefused("TENDAYS_DATABASE_URL is not set: `tendays run` sets it for its own database")
    keyring = settings.keyring()
    db = Database(
        settings.database_url,
        development=settings.development,
        pool=settings.database_pool,
        replica_dsn=settings.replica_url,
        pooling=settings.database_pooling is not None,
    )
    tokens = Tokens(db, keyring, issuer=settings.issuer, life=timedelta(seconds=settings.token_seconds))
    limiter = Rates(
        Allowance("requests", settings.rate_limit, settings.rate_window_seconds), processes=settings.processes
    )
    house = House(
        db=db,
        keyring=keyring,
        cursors=Cursors(keyring.subkeys("cursors")[0]),
        doorkeeper=tokens,
        limiter=limiter,
        development=settings.development,
        body_limit=settings.body_limit,
        body_stall=settings.body_stall_seconds,
        webhook_policy=settings.webhook_policy(),
        keep_answers=timedelta(hours=settings.idempotency_hours),
    )
    return house, tokens


def _lifespan(house: House, tokens: Tokens, settings: Settings) -> Any:  # noqa: ANN401  (what FastAPI takes)
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await house.db.open()
        await tokens.open()
        serving.stop_in_order(lambda: setattr(house, "stopping", True), settings.stop_pause_seconds)
        stop = asyncio.Event()
        work = asyncio.create_task(serve(settings, stop)) if settings.with_worker else None
        if work is not None:
            work.add_done_callback(_ended)
        try:
            yield
        finally:
            stop.set()
            if work is not None:
                await work
            await tokens.close()
            await house.db.close()

    return lifespan


def _ended(work: asyncio.Task[None]) -> None:
    """A worker that ends beside a living API would be missed by nobody."""
    if not work.cancelled() and (error := work.exception()):
        _log.error("worker.ended", error=f"{type(error).__name__}: {error}")


def _publish(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = contract.document(app, routers, dict(SCOPES))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way of replacing the document


def _version() -> str:
    try:
        return version("tendays")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
