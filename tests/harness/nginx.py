"""A real nginx in front of a board: below a path that it takes off, below one that it keeps, and with TLS."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.boards import wait_for

STRIPPED, KEPT = "/user/ann/board", "/lossboard"

# "user" is for tests that run as root, as in a container: the socket is its owner's. Else nginx leaves it out.
_CONFIG = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    location {stripped}/ {{ proxy_pass {stripped_to}/; }}
    location {kept} {{ proxy_pass {kept_to}; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """Where it listens."""

    port: int
    tls_port: int

    def url(self, path: str, *, tls: bool = False) -> str:
        """The address of the board below a path, without a slash at its end."""
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def nginx(folder: Path, stripped_to: str, kept_to: str) -> Iterator[Nginx]:
    """nginx that brings what comes below STRIPPED and KEPT to these addresses. Skips the test where there is none."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        words = "no nginx was found, or no openssl"
        if os.environ.get("LOSSBOARD_TEST_BROWSER") == "required":
            pytest.fail(words)
        pytest.skip(words)
    _make_certificate(folder)
    found = Nginx(_free_port(), _free_port())
    content = _CONFIG.format(
        folder=folder,
        port=found.port,
        tls_port=found.tls_port,
        stripped=STRIPPED,
        kept=KEPT,
        stripped_to=stripped_to,
        kept_to=kept_to,
    )
    (folder / "nginx.conf").write_text(content, encoding="utf-8")
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: _answers(found.port), "the start of nginx")
            yield found
        finally:
            process.terminate()


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
