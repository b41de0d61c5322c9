"""Every request has an id, in its answer and in all that is logged on its behalf, and a line in the log.

The line names the route by its template, the client, the status, the time and the events it announced: enough to follow
a change from the request to the attempts of its webhooks (which name the event), and nothing of whom it was about.
"""

import time
from collections.abc import Sequence

import structlog
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import announced
from app.core.ids import new_id

HEADER = "TenDays-Request-Id"
_log = structlog.get_logger("tendays.requests")
_ERROR = 400


class Seen:
    """Gives the id, and writes the line when the answer begins: a fault of ours is a 500 here, too."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at what goes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(new_id())
        scope["tendays.request_id"] = request_id
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id), announced.noted() as events:

            async def looked(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message)[HEADER] = request_id
                    _tell(scope, message["status"], began, events)
                await send(message)

            try:
                await self._app(scope, receive, looked)
            except Exception:
                _tell(scope, 500, began, ())
                raise


def _tell(scope: Scope, status: int, began: float, events: Sequence[str]) -> None:
    said: dict[str, object] = {"events": list(events)} if events and status < _ERROR else {}
    if "tendays.client_id" in scope:
        said["client_id"] = str(scope["tendays.client_id"])
    _log.info(
        "request",
        method=scope["method"],
        route=getattr(scope.get("route"), "path_format", None) or "other",
        status=status,
        ms=round((time.perf_counter() - began) * 1000, 1),
        **said,
    )


def install(app: FastAPI) -> None:
    """See every request of this application."""
    app.add_middleware(Seen)
