"""The Visdom child as a process: what it answers, to whom, and when it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from httpx2.websockets import WebSocketUpgradeError

from app.visdom.constants import EXIT_NO_ASSETS, EXIT_PORT_TAKEN, KEY_HEADER
from tests.harness.boards import PATIENCE, alive, wait_for

ROOT = Path(__file__).parents[3]
KEY = {KEY_HEADER: "the secret"}
PLOT = {"eid": "main", "win": "w", "data": [{"type": "scatter", "y": [1, 2]}], "layout": {}}

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def command(assets: Path, env_path: Path, port: int = 0) -> list[str]:
    options = ["--assets", str(assets), "--env-path", str(env_path), "--port", str(port)]
    return [sys.executable, "-P", "-W", "ignore", "-m", "app.visdom.server_process", *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def running(assets: Path, env_path: Path, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command(assets, env_path, port), env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            hand_over_key(process)
            yield process
        finally:
            process.kill()


def hand_over_key(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("the secret\n")
    process.stdin.flush()


def errors_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.read()


@pytest.fixture(scope="module")
def env_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env")
    (folder / "style.css").write_text(".navbar { display: none }")
    return folder


@pytest.fixture(scope="module")
def child(assets: Path, env_path: Path) -> Iterator[subprocess.Popen[str]]:
    with running(assets, env_path) as process:
        yield process


@pytest.fixture(scope="module")
def address(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return f"http://127.0.0.1:{int(child.stdout.readline())}/visdom"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=address, headers=KEY, timeout=PATIENCE, trust_env=False) as client:
        yield client


def test_answers_those_who_have_the_key(client: httpx2.Client, child: subprocess.Popen[str]) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.post("/events", json=PLOT).text == "w"
    assert "<title>visdom</title>" in client.get("/env/main").text


def test_ends_without_a_key(assets: Path, env_path: Path) -> None:
    done = subprocess.run(
        command(assets, env_path), env=environment(), input="", capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_leaves_out_the_heavy_imports(client: httpx2.Client, child: subprocess.Popen[str]) -> None:
    assert client.get("/health").status_code == 200
    assert psutil.Process(child.pid).memory_info().rss < 120 * 2**20


@pytest.mark.parametrize("key", [{}, {KEY_HEADER: ""}, {KEY_HEADER: "a guess"}])
def test_refuses_those_who_do_not(address: str, key: dict[str, str]) -> None:
    with httpx2.Client(base_url=address, headers=key, timeout=PATIENCE, trust_env=False) as stranger:
        for path in ("/health", "/", "/env/main", "/static/js/main.js", "/nothing"):
            assert stranger.get(path).status_code == 403
        assert stranger.post("/events", json=PLOT).status_code == 403
        assert stranger.post("/events", content=b"x" * 5_000_000).status_code == 403
        with (
            pytest.raises(WebSocketUpgradeError) as refused,
            stranger.websocket(address.replace("http", "ws") + "/socket"),
        ):
            pass
        assert refused.value.response.status_code == 403


def test_pages_that_are_gone_before_they_are_served_keep_no_other_from_it(client: httpx2.Client, address: str) -> None:
    server = urlsplit(address)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **KEY}
    lines = [f"{name}: {value}" for name, value in {"Host": server.netloc, **headers}.items()]
    request = "\r\n".join([f"GET {server.path}/socket HTTP/1.1", *lines, f"Sec-WebSocket-Key: {'A' * 22}==", "", ""])
    for _ in range(20):  # many of them are gone before the server has read what they ask for
        with socket.create_connection((server.hostname, server.port)) as page:
            page.sendall(request.encode())
    assert client.get("/health").status_code == 200  # it is through with them
    with client.websocket(address.replace("http", "ws") + "/socket") as page:
        assert '"command": "register"' in page.receive_text()


def test_listens_on_loopback_only(client: httpx2.Client, child: subprocess.Popen[str]) -> None:
    assert client.get("/health").status_code == 200
    listening = [c.laddr.ip for c in psutil.Process(child.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_lays_the_assets_over_its_own_static_files(client: httpx2.Client) -> None:
    assert client.get("/static/js/jquery.min.js").text == "var asset = 'jquery';"
    assert client.get("/static/js/main.js").status_code == 200
    assert client.get("/static/js/missing.js").status_code == 404
    assert "/visdom/static/js/jquery.min.js?v=" in client.get("/").text


@pytest.mark.parametrize("path", ["%2e%2e/VERSION", "..%2f..%2f..%2f..%2fetc/passwd", "js/%2e%2e/%2e%2e/app.py"])
def test_serves_nothing_outside_them(client: httpx2.Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code in {403, 404}


def test_serves_the_style_of_its_folder(client: httpx2.Client) -> None:
    assert "/visdom/static/../user/style.css" in client.get("/").text
    assert ".navbar { display: none }" in client.get("/user/style.css").text


def test_shows_no_traceback(client: httpx2.Client) -> None:
    answer = client.post("/events", content=b"no JSON")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "JSONDecodeError" not in answer.text


def test_writes_no_file(assets: Path, env_path: Path, home: Path) -> None:
    with running(assets, env_path) as process, httpx2.Client(headers=KEY, timeout=PATIENCE, trust_env=False) as client:
        assert process.stdin is not None
        assert process.stdout is not None
        address = f"http://127.0.0.1:{int(process.stdout.readline())}/visdom"
        with client.websocket(address.replace("http", "ws") + "/socket") as page:
            client.post(f"{address}/events", json=PLOT).raise_for_status()
            page.send_json({"cmd": "save", "eid": "copy", "prev_eid": "main", "data": {}})
            page.send_json({"cmd": "save_layouts", "data": "{}"})
            page.send_json({"cmd": "close", "eid": "main", "data": "w"})
            page.send_json({"cmd": "undo", "eid": "main"})
            client.post(f"{address}/save", json={"data": ["main"]}).raise_for_status()
            client.post(f"{address}/delete_env", json={"eid": "copy"}).raise_for_status()
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert list(home.rglob("*")) == []
    assert [path.name for path in env_path.rglob("*")] == ["style.css"]


def test_a_taken_port_is_an_error(assets: Path, env_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(assets, env_path, port) as process:
            assert process.wait(PATIENCE) == EXIT_PORT_TAKEN
            assert process.stdout is not None
            assert process.stdout.read() == ""
            assert f"Visdom cannot listen on port {port}: " in errors_of(process)


def test_missing_assets_are_an_error(env_path: Path, tmp_path: Path) -> None:
    with running(tmp_path / "nowhere", env_path) as process:
        assert process.wait(PATIENCE) == EXIT_NO_ASSETS
        assert "nowhere" in errors_of(process)


@posix
def test_ignores_ctrl_c_and_ends_with_its_input(assets: Path, env_path: Path) -> None:
    with running(assets, env_path) as process, httpx2.Client(headers=KEY, timeout=PATIENCE, trust_env=False) as client:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert client.get(f"http://127.0.0.1:{port}/visdom/health").status_code == 200
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


PARENT = r"""
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(b"the secret\n")
child.stdin.flush()
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_ends_when_its_parent_is_killed(assets: Path, env_path: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *command(assets, env_path)],
        env=environment(),
        stdin=pipe,
        stdout=pipe,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert alive([child])
        parent.kill()
        wait_for(lambda: not alive([child]), "the end of Visdom's process")
