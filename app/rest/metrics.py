"""`GET /metrics` of an API process, and the counting of its requests. Only where TENDAYS_METRICS asks for it."""

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Counted:
    """Counts each answer by the template of its route: what matched none is `other`, so that strangers add no labels."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at the status that goes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def looked(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path_format", None) or "other"
                method = scope["method"] if scope["method"] in METHODS else "other"
                metrics.answered(method, route, message["status"])
            await send(message)

        await self._app(scope, receive, looked)


def install(app: FastAPI) -> None:
    """`GET /metrics` without a token: reach it from inside only."""
    app.add_middleware(Counted)

    @app.get("/metrics", include_in_schema=False)
    async def read() -> Response:
        return Response(metrics.text(), headers={"Content-Type": metrics.MEDIA_TYPE})
