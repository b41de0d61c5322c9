"""The API docs page, in a browser without internet: its assets come from a package, never from a CDN."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path


def install(app: FastAPI) -> None:
    """Serve `/docs` and its assets under `/docs/assets`, and a pointer at `/`."""
    app.mount("/docs/assets", StaticFiles(directory=swagger_ui_path), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="TenDays API",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return HTMLResponse(
            '<!doctype html><title>TenDays</title><h1>TenDays</h1><p><a href="/docs">API docs</a>, '
            '<a href="/graphql">GraphQL explorer</a>, <a href="/openapi.json">OpenAPI</a>.</p>'
        )
