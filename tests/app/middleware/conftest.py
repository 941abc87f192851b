"""A locked board's app, with what stands for all of its routes."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.main import create_app
from app.middleware.tokens import Tokens
from app.settings import Settings

HOST = "127.0.0.1:8000"


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Says which right a request has that came through to the routes."""
    await PlainTextResponse(f"inside: {HTTPConnection(scope).state.right}")(scope, receive, send)


def leads_to(answer: httpx2.Response) -> str:
    """Where a redirect leads a browser to: the path and query."""
    assert answer.next_request is not None
    return answer.next_request.url.raw_path.decode()


class LockedBoard:
    """The app with its middleware, and its tokens; behind them whatever is asked for is there."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.app = create_app(Settings.model_validate({"data_dir": folder, "token": "on", **settings}))
        self.routes = [*self.app.routes]
        self.tokens: Tokens = self.app.state.tokens or Tokens(folder)
        self.tokens.open()
        self.app.router = inside  # type: ignore[assignment]
        transport = httpx2.ASGITransport(app=self.app)
        self.client = httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}")

    def token(self, right: str) -> str:
        """The token of a right, as one sends it."""
        return self.tokens.worker if right == "worker" else self.tokens[right]

    async def ask(self, method: str, path: str, token: str = "", **headers: str) -> httpx2.Response:
        """Ask with this token, as a script does."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, headers={**bearer, **named})


@pytest.fixture(scope="package")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> LockedBoard:
    """The board of ``locked``."""
    return LockedBoard(tmp_path_factory.mktemp("locked"))


@pytest.fixture
def locked(shared_app: LockedBoard) -> LockedBoard:
    """A board that asks for tokens; nobody has a cookie yet."""
    shared_app.client.cookies.clear()
    return shared_app
