"""What listens where a script looks for its board, and is not that."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stranger(ThreadingHTTPServer):
    """Answers every GET with the JSON of ``answer(path)``, and every POST with {}; then it closes the connection.

    It remembers the method, path and Authorization of all that it is asked.
    """

    daemon_threads = True

    def __init__(self, answer: Callable[[str], Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answer = answer
        self.asked: list[tuple[str, str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_close(self) -> None:
        """As the server's; its thread has ended then, too."""
        self.shutdown()
        super().server_close()


class _Answer(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["Authorization"]))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer(self.path) if self.command == "GET" else {}).encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
