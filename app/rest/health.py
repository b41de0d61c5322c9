"""Whether this process can serve: for the supervisor, the container and the load balancer; and whether it still will."""

import asyncio
import time
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.core import sql
from app.core.db import Database
from app.rest.frame import house_of, json_answer

PERIODS_AHEAD: Final = 3
SEEN_SECONDS: Final = 1.0


class _Seen:
    """How the database was a moment ago."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._state, self._until = "ok", 0.0

    async def state(self, db: Database) -> str:
        """Its state, asked for once a second."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._state = await db.state()
                # A fault is looked at again at once: whoever waits for its end hears of it.
                self._until = time.monotonic() + (SEEN_SECONDS if self._state == "ok" else 0.0)
            return self._state


def install(app: FastAPI) -> None:
    """`GET /health` and `GET /health/ready`: 200 when this process takes requests and the database can be read and
    written, else 503 and why. No token. At most one question to the database a second, however often it is asked.

    `GET /health/live`: 200 as long as the process answers at all; the database is not asked.
    `GET /health/upkeep` is for whoever watches, not for a load balancer: 503 when the worker has not made the partitions
    of three periods ahead. All is well until they are used up; then nothing could be written.
    """
    seen = _Seen()

    @app.get("/health", include_in_schema=False)
    @app.get("/health/ready", include_in_schema=False)
    async def health(request: Request) -> Response:
        house = house_of(request)
        state = "stopping" if house.stopping else await seen.state(house.db)
        response = json_answer({"status": state}, 200 if state == "ok" else 503)
        if state != "ok":
            response.headers["Retry-After"] = "5"
        return response

    @app.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        return json_answer({"status": "ok"}, 200)

    @app.get("/health/upkeep", include_in_schema=False)
    async def upkeep(request: Request) -> Response:
        async with house_of(request).db.write(None) as tx:
            ahead = await sql.periods_ahead(tx)
        well = ahead >= PERIODS_AHEAD
        said = {"status": "ok" if well else "partitions_short", "periods_ahead": ahead}
        return json_answer(said, 200 if well else 503)
