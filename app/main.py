"""The app: routers, the page, the proxied Visdom, and the parts that live as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app import assets
from app.api import challenge, control, events, lessons, media, methods, points, races, runs, view
from app.api.client import add_client
from app.api.docs import add_docs
from app.api.error_handlers import add_error_handlers
from app.middleware.behind_proxy import BehindProxy
from app.middleware.body_limit import BodyLimit
from app.middleware.door import Door
from app.middleware.host_check import HostCheck
from app.middleware.request_log import RequestLog
from app.middleware.security_headers import SecurityHeaders
from app.middleware.slowing import Slowing
from app.middleware.tokens import TokensError, tokens_for
from app.services import StartError, make_visdom, run_services
from app.settings import Settings
from app.visdom.proxy import visdom_routes


class Page(StaticFiles):
    """The page's files, asked for anew each time: after an update no browser mixes old modules with new ones."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """As Starlette's."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


class App(FastAPI):
    """With the security headers around all middleware, also that which answers to an error of the board."""

    def __init__(self, visdom_url: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._visdom_url = visdom_url

    def build_middleware_stack(self) -> ASGIApp:
        """As FastAPI's."""
        return SecurityHeaders(super().build_middleware_stack(), self._visdom_url)


def create_app(settings: Settings) -> App:
    """The app of one board. Nothing is opened or started before its lifespan begins."""

    visdom = make_visdom(settings)
    tokens = tokens_for(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # What went wrong is said by the command, in a sentence: of an exception here uvicorn would show a traceback.
        async with AsyncExitStack() as parts:
            app.state.starting = starting = asyncio.current_task()
            try:
                if tokens:
                    tokens.open()
                running = run_services(settings, visdom, token=tokens.worker if tokens else "")
                app.state.services = await parts.enter_async_context(running)
            except (StartError, TokensError) as error:
                app.state.failure = str(error)
            except asyncio.CancelledError:  # Ctrl-C
                if starting is not None:
                    starting.uncancel()
            app.state.starting = None
            yield

    app = App(
        settings.visdom_url,
        title="Lossboard",
        version=version("lossboard"),
        description="Watch gradient descent happen, live.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.tokens = tokens
    app.add_middleware(BodyLimit)
    app.add_middleware(Door, tokens=tokens, port=settings.port, slowing=Slowing())
    app.add_middleware(HostCheck, settings=settings)
    if settings.log_requests:
        app.add_middleware(RequestLog)
    app.add_middleware(BehindProxy, settings=settings)
    add_error_handlers(app)
    for module in (challenge, methods, lessons, runs, control, races, points, media, events, view):
        app.include_router(module.router, prefix="/api")
    add_docs(app)
    add_client(app)
    app.router.routes.extend(visdom_routes(visdom))

    app.mount("/", Page(directory=assets.STATIC, html=True))
    return app
