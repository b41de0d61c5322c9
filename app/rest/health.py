"""Whether this process can serve: for the supervisor, the container and the load balancer; and whether it still will."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.core import sql
from app.rest.frame import house_of, json_answer

PERIODS_AHEAD: Final = 3


def install(app: FastAPI) -> None:
    """`GET /health`: 200 when the database answers, 503 when it does not. No token, no detail.

    `GET /health/upkeep` is for whoever watches, not for a load balancer: 503 when the worker has not made the partitions
    of three periods ahead. All is well until they are used up; then nothing could be written.
    """

    @app.get("/health", include_in_schema=False)
    async def health(request: Request) -> Response:
        well = await house_of(request).db.is_well()
        return json_answer({"status": "ok" if well else "database_unreachable"}, 200 if well else 503)

    @app.get("/health/upkeep", include_in_schema=False)
    async def upkeep(request: Request) -> Response:
        async with house_of(request).db.write(None) as tx:
            ahead = await sql.periods_ahead(tx)
        well = ahead >= PERIODS_AHEAD
        said = {"status": "ok" if well else "partitions_short", "periods_ahead": ahead}
        return json_answer(said, 200 if well else 503)
