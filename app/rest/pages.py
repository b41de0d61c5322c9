"""The pages for people: `/`, and the API docs in a browser without internet, whose assets come from a package.

Each page may load what lies on this server and nothing else, run no script but ours, and be framed by nobody.
"""

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from app.rest.rendition import for_renderer

HEADERS: Final[Mapping[str, str]] = {
    # Swagger UI's style sheet holds its icons as data.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FOLDER: Final = Path(__file__).parent / "page"
_OURS: Final = {
    "/": ("root.html", "text/html"),
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/pages.css": ("pages.css", "text/css"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
    "/favicon.ico": ("favicon.svg", "image/svg+xml"),  # what a browser asks for beside JSON and text
}
_THEIRS: Final = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})


def install(app: FastAPI) -> None:
    """Serve `/`, `/docs` and what they load."""
    for path, (name, media) in _OURS.items():
        _serve(app, path, (_FOLDER / name).read_text(encoding="utf-8"), media)
    app.mount("/docs/assets", _Assets(directory=swagger_ui_path), name="docs-assets")
    rendered: list[str] = []

    @app.get("/docs/openapi.json", include_in_schema=False)
    async def contract() -> Response:
        if not rendered:
            rendered.append(json.dumps(for_renderer(app.openapi()), ensure_ascii=False))
        return Response(rendered[0], media_type="application/json", headers=HEADERS)


def _serve(app: FastAPI, path: str, text: str, media: str) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(text, media_type=media, headers=HEADERS)


class _Assets(StaticFiles):
    """The files of the package that the page loads, and none of its other pages."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        if path not in _THEIRS:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response
