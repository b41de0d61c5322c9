"""Whether this process can serve: for the supervisor, the container and the load balancer."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.rest.frame import house_of, json_answer


def install(app: FastAPI) -> None:
    """`GET /health`: 200 when the database answers, 503 when it does not. No token, no detail."""

    @app.get("/health", include_in_schema=False)
    async def health(request: Request) -> Response:
        well = await house_of(request).db.is_well()
        return json_answer({"status": "ok" if well else "database_unreachable"}, 200 if well else 503)
