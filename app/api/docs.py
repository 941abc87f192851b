"""The page of the API, /docs, out of our own files: FastAPI's default asks two other machines for them."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from app import assets


def add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at /docs; the app is to be created with docs_url=None and redoc_url=None."""
    assets.require()
    app.mount("/docs-assets", StaticFiles(directory=assets.SWAGGER), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        page = get_swagger_ui_html(
            title=f"{app.title} – API",
            openapi_url=f"{root}{app.openapi_url}",
            swagger_js_url=f"{root}/docs-assets/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs-assets/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs-assets/favicon-32x32.png",
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
