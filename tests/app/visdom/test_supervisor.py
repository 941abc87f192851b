"""The supervisor: a real child started, killed, hung, and kept from starting."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.visdom import connection as connection_module
from app.visdom import supervisor as supervisor_module
from app.visdom.connection import AnyVisdom
from app.visdom.supervisor import ExternalVisdom, VisdomServer, restart_delay
from tests.app.visdom.conftest import eventually, serving
from tests.harness.boards import PATIENCE, suspend

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

KILLED = "Visdom did not end when asked to; it was killed."


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no Visdom that is well for one that is not, should this machine stand still for a moment."""
    monkeypatch.setattr(connection_module, "HEALTH_TIMEOUT_S", PATIENCE)


@asynccontextmanager
async def started[V: AnyVisdom](visdom: V) -> AsyncIterator[tuple[V, list[str]]]:
    """A supervisor at work, and the states that it has told of."""
    states: list[str] = []
    visdom.on_change(states.append)
    await visdom.start()
    try:
        yield visdom, states
    finally:
        await visdom.stop()


def child_of(visdom: VisdomServer) -> psutil.Process:
    assert visdom.pid is not None
    return psutil.Process(visdom.pid)


def test_a_link_in_the_place_of_the_style_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "visdom").mkdir()
    style = tmp_path / "visdom" / "style.css"
    style.symlink_to(tmp_path / "target")
    VisdomServer(assets=tmp_path, folder=tmp_path / "visdom", style="p {}")._write_style()
    assert (style.read_text(), style.is_symlink()) == ("p {}", False)
    assert not (tmp_path / "target").exists()


async def test_comes_up_and_ends(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_GRACE_S", PATIENCE)
    async with started(VisdomServer(assets=assets, folder=tmp_path / "a" / "b", style="p {}")) as (visdom, states):
        assert visdom.state == "starting"
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        assert visdom.url.startswith("http://127.0.0.1:")
        assert visdom.url.endswith("/visdom")
        assert (tmp_path / "a" / "b" / "style.css").read_text() == "p {}"
        child = child_of(visdom)
        await visdom.stop()
        assert not child.is_running()
    assert KILLED not in caplog.text
    assert states == ["up", "down"]
    assert visdom.error is None
    assert visdom.pid is None


async def test_nobody_sees_the_key_nor_the_boards_settings(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_TOKEN", "a secret too")
    async with started(VisdomServer(assets=assets, folder=tmp_path)) as (visdom, _):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        child = child_of(visdom)
        seen = " ".join([*child.cmdline(), *child.environ(), *child.environ().values()])
    assert "PATH" in seen
    assert "LOSSBOARD_" not in seen
    assert not [secret for secret in (*visdom.headers.values(), "a secret too") if secret in seen]


@posix
async def test_has_a_process_group_of_its_own(visdom: VisdomServer) -> None:
    assert visdom.pid is not None
    assert os.getpgid(visdom.pid) == visdom.pid != os.getpgid(0)


@pytest.mark.usefixtures("patient")
async def test_a_killed_child_is_restarted(assets: Path, tmp_path: Path) -> None:
    async with started(VisdomServer(assets=assets, folder=tmp_path)) as (visdom, states):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        first = child_of(visdom)
        first.kill()
        await eventually(lambda: states[-1] == "starting")
        assert visdom.error is not None
        assert visdom.error.startswith("Visdom ended with exit code")
        assert await visdom.wait_until_up(PATIENCE)
        assert child_of(visdom).pid != first.pid
        assert visdom.error is None
        assert await visdom.responds()
    assert states == ["up", "starting", "up", "down"]


@posix
async def test_a_hung_child_is_replaced(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(supervisor_module, "UNRESPONSIVE_AFTER_S", 0.5)
    async with started(VisdomServer(assets=assets, folder=tmp_path)) as (visdom, states):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        hung = child_of(visdom)
        suspend(hung)
        await eventually(lambda: states[-1] == "starting")
        assert visdom.error == "Visdom stopped answering."
        assert await visdom.wait_until_up(PATIENCE)
        assert not hung.is_running()


@posix
async def test_stop_kills_a_child_that_does_not_listen(
    assets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(VisdomServer(assets=assets, folder=tmp_path)) as (visdom, _):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        child = child_of(visdom)
        suspend(child)
        await visdom.stop()
        assert not child.is_running()
    assert KILLED in caplog.text


async def test_stop_while_starting(assets: Path, tmp_path: Path) -> None:
    async with started(VisdomServer(assets=assets, folder=tmp_path)) as (visdom, states):
        await eventually(lambda: visdom.pid)
        child = child_of(visdom)
        await visdom.stop()
        assert not child.is_running()
    assert states == ["down"]


async def test_missing_assets_are_told_and_tried_again(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    async with started(VisdomServer(assets=assets, folder=tmp_path / "visdom")) as (visdom, states):
        await eventually(lambda: visdom.state == "down")
        assert visdom.error is not None
        assert f"there is no folder {assets}" in visdom.error
        assets.mkdir()
        assert await visdom.wait_until_up(PATIENCE)
    assert states == ["down", "up", "down"]


async def test_a_missing_python_is_told(assets: Path, tmp_path: Path) -> None:
    async with started(VisdomServer(assets=assets, folder=tmp_path, python="/no/python")) as (visdom, _):
        await eventually(lambda: visdom.state == "down")
        assert visdom.error is not None
        assert visdom.error.startswith("Visdom cannot be started: ")
        assert "/no/python" in visdom.error


async def test_a_folder_that_cannot_be_made_is_told(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with started(VisdomServer(assets=assets, folder=tmp_path / "file" / "visdom")) as (visdom, _):
        await eventually(lambda: visdom.state == "down")
        assert visdom.error is not None
        assert visdom.error.startswith("Visdom cannot be started: ")


async def test_a_taken_port_is_told(assets: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with started(VisdomServer(assets=assets, folder=tmp_path, port=port)) as (visdom, _):
            await eventually(lambda: visdom.state == "down")
            assert visdom.error is not None
            assert f"Visdom cannot listen on port {port}" in visdom.error


async def test_a_listener_that_fails_stops_nothing_else(
    assets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    visdom = VisdomServer(assets=assets, folder=tmp_path)

    def fail(_: str) -> None:
        raise ZeroDivisionError

    visdom.on_change(fail)
    async with started(visdom) as (_, states):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        await eventually(lambda: states == ["up"])
    assert "A listener failed on Visdom being up" in caplog.text


def test_restart_delays_grow_to_half_a_minute() -> None:
    assert [restart_delay(n) for n in range(1, 10)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restart_delay(10_000) == 30


@pytest.mark.usefixtures("patient")
async def test_an_external_visdom_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "CHECK_INTERVAL_S", 0.02)
    monkeypatch.setattr(supervisor_module, "UNRESPONSIVE_AFTER_S", 0.1)
    status = 200

    async def health(_: Request) -> Response:
        return PlainTextResponse("", status)

    async with (
        serving(Starlette(routes=[Route("/some/path/health", health)])) as address,
        started(ExternalVisdom(address + "/some/path/")) as (visdom, states),
    ):
        assert await visdom.wait_until_up(PATIENCE)
        status = 500
        await eventually(lambda: visdom.state == "down")
        assert visdom.error == f"No Visdom answers at {address}/some/path."
        status = 200
        assert await visdom.wait_until_up(PATIENCE)
    assert states == ["up", "down", "up", "down"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "no address", "http://[", "ftp://here"])
async def test_an_external_visdom_that_is_not_there_is_down(url: str) -> None:
    async with started(ExternalVisdom(url)) as (visdom, _):
        await eventually(lambda: visdom.state == "down")
        assert visdom.error == f"No Visdom answers at {url}."
