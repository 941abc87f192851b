"""The schema of the API, and its page out of our own files: FastAPI's default asks two other machines for them."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from app import assets


def add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at /docs; the app is to be created with openapi_url, docs_url and redoc_url None."""
    assets.require()
    app.mount("/docs-assets", StaticFiles(directory=assets.SWAGGER), name="docs-assets")

    @app.get("/openapi.json", include_in_schema=False)
    async def schema(request: Request) -> JSONResponse:
        prefix = request.state.prefix
        return JSONResponse(app.openapi() | ({"servers": [{"url": prefix}]} if prefix else {}))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(  # its addresses are relative: the board may live below a path
            title=f"{app.title} – API",
            openapi_url="openapi.json",
            swagger_js_url="docs-assets/swagger-ui-bundle.js",
            swagger_css_url="docs-assets/swagger-ui.css",
            swagger_favicon_url="docs-assets/favicon-32x32.png",
            # left to itself, Swagger UI has a service on the internet check the schema
            swagger_ui_parameters={"validatorUrl": None},
        )
        page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
        return page


def _policy(page: bytes) -> str:
    """Nothing from elsewhere, no inline script but the page's own; Swagger UI sets styles and shows data: icons."""
    return (
        f"default-src 'self'; script-src {assets.script_sources(page)}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
    )
