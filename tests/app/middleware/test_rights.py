"""What each token opens: every route, method and websocket of the app."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.types import Message

from app.assets import STATIC
from app.middleware.rights import rights_for
from tests.app.middleware.conftest import HOST, LockedBoard

WITHOUT = {"no token": "", "a wrong one": "wrong"}
RIGHTS = ("owner", "read", "report", "worker")

LOOK = {"owner", "read"}
REPORT = {"owner", "report", "worker"}
EVERYONE = {*RIGHTS, *WITHOUT}

# Who passes, of each route: a new one is to be named here, and in app/middleware/rights.py.
WHO_PASSES = {
    "GET /api/health": EVERYONE,
    "GET /api/challenge": EVERYONE,
    "GET /api/methods": LOOK,
    "POST /api/methods/{name}/stability": {"owner"},
    "GET /api/lessons": LOOK,
    "GET /api/runs": LOOK,
    "POST /api/runs": REPORT,
    "GET /api/runs/columns": LOOK,
    "POST /api/runs/stop": {"owner"},
    "POST /api/runs/delete": {"owner"},
    "POST /api/runs/restore": {"owner"},
    "GET /api/runs/{run_id}": LOOK,
    "PATCH /api/runs/{run_id}": {"owner"},
    "DELETE /api/runs/{run_id}": {"owner"},
    "GET /api/runs/{run_id}/data": LOOK | {"worker"},
    "GET /api/runs/{run_id}/visdom": LOOK,
    "POST /api/runs/{run_id}/stop": {"owner"},
    "POST /api/runs/{run_id}/finish": REPORT,
    "GET /api/runs/{run_id}/control": LOOK | REPORT,
    "POST /api/runs/{run_id}/pause": {"owner"},
    "POST /api/runs/{run_id}/resume": {"owner"},
    "POST /api/runs/{run_id}/step": {"owner"},
    "GET /api/runs/{run_id}/points": LOOK,
    "POST /api/runs/{run_id}/points": REPORT,
    "GET /api/runs/{run_id}/points.csv": LOOK,
    "GET /api/runs/{run_id}/media": LOOK,
    "POST /api/runs/{run_id}/media": REPORT,
    "GET /api/runs/{run_id}/media/{number}": LOOK,
    "POST /api/races": {"owner"},
    "GET /api/races/{group:path}": LOOK,
    "GET /api/events": LOOK,
    "GET /api/board": LOOK,
    "PATCH /api/board": {"owner"},
    "GET /api/board/metrics": LOOK,
    "GET /api/visdom": LOOK,
    "GET /openapi.json": LOOK,
    "GET /docs": LOOK,
    "GET /docs-assets/{path:path}": LOOK,
    "GET /lossboard.py": LOOK | {"report"},
    "GET /lossboard_extras.zip": LOOK | {"report"},
    "GET /visdom": LOOK,
    "GET /visdom/": LOOK,
    "GET /visdom/env/{name}": LOOK,
    "POST /visdom/env/{name}": LOOK,
    "GET /visdom/compare/{names}": LOOK,
    "POST /visdom/compare/{names}": LOOK,
    "GET /visdom/favicon.png": LOOK,
    "GET /visdom/env/favicon.png": LOOK,
    "GET /visdom/compare/favicon.png": LOOK,
    "GET /visdom/static/{path:path}": LOOK,
    "GET /visdom/user/style.css": LOOK,
    "GET /visdom/health": LOOK,
    "GET /visdom/error/{code}": LOOK,
    "WEBSOCKET /visdom/socket": LOOK,
    "WEBSOCKET /visdom/{rest:path}": {"owner"},
    "GET /visdom/{rest:path}": {"owner"},
    "POST /visdom/{rest:path}": {"owner"},
    "PUT /visdom/{rest:path}": {"owner"},
    "PATCH /visdom/{rest:path}": {"owner"},
    "DELETE /visdom/{rest:path}": {"owner"},
    "OPTIONS /visdom/{rest:path}": {"owner"},
    "GET /{path:path}": LOOK,
}
SIGN_IN = ("/base.css", "/favicon.svg", "/sign_in.css", "/tokens.css")  # files of the page that asks for a token


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> LockedBoard:
    """A board that asks for no token."""
    return LockedBoard(tmp_path_factory.mktemp("unlocked"), token="off")


def calls(routes: Iterable[BaseRoute]) -> set[str]:
    """Method and path of each route; of one with GET, HEAD is not named, as it is the same."""
    found = set()
    for route in iter_route_contexts(routes):
        path, methods = route.path, route.methods
        if path is None:  # a mount at the root
            path = ""
        if isinstance(route.original_route, Mount):
            path, methods = path + "/{path:path}", {"GET"}
        if isinstance(route.original_route, WebSocketRoute):
            methods = {"WEBSOCKET"}
        found |= {f"{method} {path}" for method in (methods or ()) if method != "HEAD"}
    return found


def filled(path: str) -> str:
    """A path with something in the place of each of its parameters."""
    return re.sub(r"\{\w+(:path)?\}", "11", path)


async def open_websocket(board: LockedBoard, path: str, headers: dict[str, str]) -> int:
    """Open a websocket; the status of the answer, which is 200 where it came through to the routes."""
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        answers.append(message)

    scope = {
        "type": "websocket",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"Host": HOST, **headers}.items()],
        "extensions": {"websocket.http.response": {}},
    }
    await board.app(scope, receive, send)
    status: int = answers[0]["status"]
    return status


async def status_of(board: LockedBoard, call: str, token: str, **headers: str) -> int:
    """The status with which a call is answered."""
    method, path = call.split(" ")
    if method == "WEBSOCKET":
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return await open_websocket(board, filled(path), {**bearer, **headers})
    return (await board.ask(method, filled(path), token, **headers)).status_code


def test_every_route_is_named(locked: LockedBoard) -> None:
    assert calls(locked.routes) == set(WHO_PASSES)


@pytest.mark.parametrize("call", WHO_PASSES)
@pytest.mark.anyio
async def test_who_passes(locked: LockedBoard, call: str) -> None:
    for right in RIGHTS:
        status = await status_of(locked, call, locked.token(right))
        assert status == (200 if right in WHO_PASSES[call] else 403), right
    for name, token in WITHOUT.items():
        assert await status_of(locked, call, token) == (200 if name in WHO_PASSES[call] else 401), name


@pytest.mark.anyio
async def test_the_page_that_asks_for_a_token_has_its_files(locked: LockedBoard) -> None:
    for path in SIGN_IN:
        assert await status_of(locked, f"GET {path}", "") == 200
    page = await locked.ask("GET", "/", accept="text/html")
    files = {path.removeprefix(".") for path in re.findall(r'(?:src|href)="([^"]+)"', page.text)}
    sheet = (STATIC / "sign_in.css").read_text()
    assert files | {f"/{name}" for name in re.findall(r'url\("(.+?)"\)', sheet)} == {*SIGN_IN}


@pytest.mark.parametrize("call", WHO_PASSES)
@pytest.mark.anyio
async def test_no_token_helps_another_website(locked: LockedBoard, call: str) -> None:
    for token in ("", locked.token("owner")):
        assert await status_of(locked, call, token, Origin="http://evil.example") == 403
        assert await status_of(locked, call, token, Host="evil.example") == 421


@pytest.mark.parametrize("call", WHO_PASSES)
@pytest.mark.anyio
async def test_head_is_as_get(locked: LockedBoard, call: str) -> None:
    if call.startswith("GET "):
        for right in RIGHTS:
            status = await status_of(locked, call.replace("GET", "HEAD"), locked.token(right))
            assert status == (200 if right in WHO_PASSES[call] else 403), right


@pytest.mark.parametrize("call", ["GET /api/new", "POST /api/new", "POST /new", "PUT /api/runs", "WEBSOCKET /new"])
@pytest.mark.anyio
async def test_what_is_named_nowhere_is_the_owners(locked: LockedBoard, call: str) -> None:
    assert rights_for(*call.split(" ")) == {"owner"}
    assert await status_of(locked, call, locked.token("read")) == 403


@pytest.mark.parametrize("call", WHO_PASSES)
@pytest.mark.anyio
async def test_without_the_lock_everyone_is_the_owner(unlocked: LockedBoard, call: str) -> None:
    assert await status_of(unlocked, call, "") == 200
