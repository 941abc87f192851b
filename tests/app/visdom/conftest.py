"""A real Visdom child, and real web servers beside it on the test's own event loop."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from app.visdom.connection import VisdomConnection, encode
from app.visdom.supervisor import VisdomServer
from tests.harness.boards import PATIENCE
from tests.harness.fake_visdom import FakeVisdom


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home: whatever lies in it after a test, Visdom has written."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
            patch.setenv(variable, str(folder))
        yield folder


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the folder that the build fills."""
    folder = tmp_path_factory.mktemp("assets")
    (folder / "js").mkdir()
    (folder / "js" / "jquery.min.js").write_text("var asset = 'jquery';")
    return folder


@pytest.fixture(scope="module")
async def visdom(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VisdomServer]:
    """A child that is up, shared by the tests of a module."""
    server = VisdomServer(assets=assets, folder=tmp_path_factory.mktemp("visdom"), style=".navbar { top: 0 }")
    await server.start()
    assert await server.wait_until_up(PATIENCE), server.error
    yield server
    await server.stop()


async def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def post_window(
    connection: VisdomConnection | FakeVisdom,
    env: str,
    win: str,
    data: Sequence[Mapping[str, Any]],
    layout: Mapping[str, Any] | None = None,
) -> None:
    """Show a window in place of the one of that name."""
    window = {"eid": env, "win": win, "data": data, "layout": layout or {}, "opts": {}}
    await connection.post_events(win, encode(window))


@asynccontextmanager
async def serving(app: Callable[..., Awaitable[None]]) -> AsyncIterator[str]:
    """The address at which an app is served while the block runs."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and each streamed answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws_per_message_deflate=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        listener.close()


def socket_of(browser: httpx2.AsyncClient, path: str = "/visdom/socket", **options: Any) -> Any:
    """A websocket at this address, as a page opens one."""
    address = str(browser.base_url).rstrip("/").replace("http", "ws", 1) + path
    return browser.websocket(address, max_message_size_bytes=2**30, **options)
