"""The explorer: a plain page of ours with the SDL, examples and a box to ask in. It needs no internet.

There is no maintained package of GraphiQL's assets that does not bring a web framework along, so nothing is bundled.
The policy of the page lets it load its own two files and talk to this server, and nothing else.
"""

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from app.graphql.schema import print_sdl

_FOLDER = Path(__file__).parent / "page"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_MEDIA = {"explorer.js": "text/javascript", "explorer.css": "text/css"}


def page() -> Response:
    """The page itself. It holds no secret: a token is typed in, kept in memory and gone with the tab."""
    return Response(_file("explorer.html"), media_type="text/html", headers=_HEADERS)


def install(router: APIRouter) -> None:
    """Its two files, and the SDL that it shows."""

    @router.get("/graphql/schema.graphql")
    async def sdl() -> Response:
        return Response(_sdl(), media_type="text/plain", headers=_HEADERS)

    for name, media in _MEDIA.items():
        _serve(router, name, media)


def _serve(router: APIRouter, name: str, media: str) -> None:
    @router.get(f"/graphql/{name}")
    async def asset() -> Response:
        return Response(_file(name), media_type=media, headers=_HEADERS)


@lru_cache
def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@lru_cache
def _sdl() -> str:
    return print_sdl()
