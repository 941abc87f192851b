"""A board that takes what clients post, and answers as a test says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.storage import binary_form


class FakeBoard(ThreadingHTTPServer):
    """Takes every post, but answers the next ones of points with ``answers``, and of media with ``media_answers``:
    status and body.

    It asks for ``params``, and remembers the paths of all posts, who sent them, the heads of those of points, all
    media with their contents, each once, and how runs introduced themselves.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.media_answers: list[tuple[int, dict[str, Any]]] = []
        self.media: list[tuple[dict[str, Any], bytes]] = []
        self.params: dict[str, Any] = {}
        self.paths: list[str] = []
        self.heads: list[dict[str, Any]] = []
        self.introductions: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.accepted = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_close(self) -> None:
        """As the server's; its thread has ended then, too."""
        self.shutdown()
        super().server_close()

    @property
    def changes(self) -> list[tuple[int, dict[str, Any]]]:
        """Each change that came, with the number of the first record of its post."""
        return [(head["seq"], change) for head in self.heads for change in head.get("changes", [])]

    def take_medium(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a post of one as a board does."""
        if self.media_answers:
            return self.media_answers.pop(0)
        line, _, content = body.partition(b"\n")
        head = json.loads(line)
        wanted = sum(one["session"] == head["session"] for one, _ in self.media)
        if head["number"] > wanted:
            return 409, {"detail": [{"msg": "Some are missing."}], "wanted": wanted}
        if head["number"] == wanted:
            self.media.append((head, content))
        return 200, {"accepted": head["number"] + 1}


class _Answer(BaseHTTPRequestHandler):
    server: FakeBoard

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path.rpartition("/")[2])
        self.server.authorizations.append(self.headers["Authorization"])
        status, answer, blocks = 200, {}, []
        if self.path.endswith("/runs"):
            self.server.introductions.append(json.loads(body))
        if self.path.endswith("/points"):
            head = json.loads(body.partition(b"\n")[0])
            self.server.heads.append(head)
            status, answer = self.server.answers.pop(0) if self.server.answers else (200, {})
            if status == 200:
                post = binary_form.parse(body)
                self.server.accepted = post.batches[-1].seq + len(post.batches[-1])
                blocks = post.taken(self.server.accepted)
        if self.path.endswith("/media"):
            status, answer = self.server.take_medium(body)
        self.send_response(status)
        self.end_headers()
        taken = {"accepted": self.server.accepted, "control": {"params": self.server.params}, "blocks": blocks}
        self.wfile.write(json.dumps(answer or taken).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""
