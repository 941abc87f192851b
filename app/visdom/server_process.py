"""The Visdom server as a process of its own: `python -m app.visdom.server_process --assets DIR --env-path DIR`.

It differs from `visdom` on the command line in what an app needs of a child:

- it responds only to requests that carry the key which its parent has made for it, and writes to its standard input:
  command lines and environments can be seen from outside;
- it ends when its parent ends, however that happens;
- it takes the port it was told or none at all, and writes to standard output which one it listens on;
- it downloads nothing, writes no file, and shows no traceback to a browser;
- it tells the names of its windows, which Visdom itself does only together with all that is in them;
- it leaves out the optional imports that cost Visdom 6 s and 700 MB.

Of ours it imports only what is small: it is up in about a second, and has to stay so.
"""

import argparse
import hmac
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler, StaticFileHandler, stream_request_body
from tornado.websocket import WebSocketClosedError

from app import processes
from app.visdom.constants import (
    BASE_PATH,
    EXIT_NO_ASSETS,
    EXIT_PORT_TAKEN,
    KEY_HEADER,
    WINDOWS_PATH,
)

# Visdom's package imports these for its Python client's sake only; the server works without them.
for _heavy in ("torch", "openTSNE", "sklearn"):
    sys.modules[_heavy] = None  # type: ignore[assignment]  # the documented way to make an import fail

from visdom.data_model.json_store import JSONStore  # noqa: E402  (only now is the import cheap)
from visdom.server.app import Application, tornado_settings  # noqa: E402
from visdom.server.handlers.socket_handlers import SocketHandler  # noqa: E402

MAX_BODY_BYTES = 256 * 2**20  # one window, a drawn network included, is far smaller
LOOPBACK = "127.0.0.1"


class StaticFiles(StaticFileHandler):
    """Visdom's own static files, with a folder of browser assets laid over them."""

    assets: str

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Where `path` is: among the assets if it is there, else among Visdom's own files."""
        for folder in (cls.assets, root):
            found = Path(os.path.normpath(Path(folder, path)))
            if found.is_relative_to(folder) and found.is_file():
                return str(found)
        return super().get_absolute_path(root, path)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Let tornado check the path against the folder it was found in."""
        inside = self.assets if Path(absolute_path).is_relative_to(self.assets) else root
        return super().validate_absolute_path(inside, absolute_path)

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """The hash in a static address; none for the user's style sheet, which is no static file at all."""
        return None if path.startswith("../") else super().get_version(settings, path)


@stream_request_body
class ForbiddenHandler(RequestHandler):
    """Responds 403 to any request. The body is read, or the response might not arrive, but not kept."""

    def data_received(self, chunk: bytes) -> None:
        """Discard a part of the body."""

    def refuse(self) -> None:
        """Respond, whatever the method."""
        self.set_status(403)
        self.finish("This Visdom answers only to the app that started it.\n")

    get = head = post = put = patch = delete = options = refuse


class WindowsHandler(RequestHandler):
    """The names of all windows, by their env: what the publisher compares with what it has sent."""

    def initialize(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Tornado calls this for each request with what the handler was registered with."""
        self._state = state

    def get(self) -> None:
        """As JSON."""
        self.write({env: list(content["jsons"]) for env, content in self._state.items()})


_open_page = SocketHandler.open


def open_page(page: SocketHandler) -> None:
    """Register a page that has connected, unless its connection is closed already. Visdom would keep it for ever, and
    fail at it whenever another page connects: no page would get windows any more."""
    try:
        _open_page(page)  # type: ignore[no-untyped-call]
    except WebSocketClosedError:
        page.on_close()  # type: ignore[no-untyped-call]


SocketHandler.open = open_page  # type: ignore[assignment]


class ProtectedApplication(Application):
    """Visdom's application behind a key, with its state in memory only."""

    def __init__(self, key: str, port: int, env_path: str) -> None:
        self._key = key.encode()
        super().__init__(port=port, base_url=BASE_PATH, env_path=env_path)  # type: ignore[no-untyped-call]
        self.storage = JSONStore(None)  # type: ignore[no-untyped-call]  # the store that writes nothing
        self.settings["debug"] = False  # Visdom turns it on; serve() keeps off what tornado would start for it
        self.add_handlers(".*", [(BASE_PATH + WINDOWS_PATH, WindowsHandler, {"state": self.state})])

    def load_state(self) -> dict[str, object]:
        """Start empty: the board posts every window anew."""
        return {"main": {"jsons": {}, "reload": {}}}

    def find_handler(  # type: ignore[override]
        self, request: HTTPServerRequest, **options: object
    ) -> HTTPMessageDelegate:
        """Refuse requests without the key, those that open a websocket too."""
        given = request.headers.get(KEY_HEADER, "").encode()
        if not hmac.compare_digest(given, self._key):
            return self.get_handler_delegate(request, ForbiddenHandler)
        return super().find_handler(request, **options)


def log_to_stderr() -> None:
    """Log warnings and errors; neither requests, nor the four lines Visdom logs for each page not found."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.module != "base_handlers")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)


def serve(port: int, env_path: Path, assets: Path, key: str) -> None:
    """Listen on a loopback port (0: any free one), write its number to standard output, and serve until killed.

    Visdom's own start_server would silently take another port when this one is in use.
    """
    StaticFiles.assets = str(assets.resolve())
    tornado_settings.update(
        static_handler_class=StaticFiles,
        autoreload=False,
        serve_traceback=False,
        compiled_template_cache=True,
        static_hash_cache=True,
    )
    visdom = ProtectedApplication(key, port, str(env_path))
    try:
        sockets = bind_sockets(port, LOOPBACK)
    except OSError as error:
        sys.stderr.write(f"Visdom cannot listen on port {port}: {error.strerror}\n")
        sys.exit(EXIT_PORT_TAKEN)
    HTTPServer(visdom, max_buffer_size=MAX_BODY_BYTES).add_sockets(sockets)
    visdom.port = sockets[0].getsockname()[1]
    sys.stdout.write(f"{visdom.port}\n")
    sys.stdout.flush()
    IOLoop.current().start()


def main() -> None:
    """Read the command line and, from standard input, the key; serve until the parent ends."""
    parser = argparse.ArgumentParser(prog="python -m app.visdom.server_process", description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder with js/, css/ and fonts/")
    parser.add_argument("--env-path", type=Path, required=True, help="folder whose style.css themes the page")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C the parent ends this process, in its own time
    key = sys.stdin.readline().strip()
    if not key:
        return  # the parent has ended
    processes.exit_with_parent(0)
    log_to_stderr()
    if not options.assets.is_dir():
        sys.stderr.write(f"Visdom's browser assets are missing: there is no folder {options.assets}\n")
        sys.exit(EXIT_NO_ASSETS)
    serve(options.port, options.env_path, options.assets, key)


if __name__ == "__main__":
    main()
