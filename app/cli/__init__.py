"""The command `lossboard`: starts a board and keeps it until Ctrl-C; `lossboard sync` sends dead scripts' journals; the
commands that look after a board's data are in app/cli/data.py."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError

import lossboard
from app import assets
from app.cli import log
from app.cli.data import backup, check, restore
from app.cli.data import give_up as _give_up
from app.cli.output import progress
from app.cli.run import CONTEXT, run
from app.cli.runs import export, ls, rm, show
from app.cli.token import token as print_tokens
from app.cli.watch import UrlOption, import_, watch
from app.main import create_app
from app.middleware import connections
from app.middleware.host_check import is_loopback
from app.middleware.tokens import Tokens, TokensError, link, make_page
from app.runs import journals
from app.settings import Settings
from app.storage.data_dir import DataDirError, claim
from app.storage.faults import DatabaseError

M_ARENA_MAX = -8  # of glibc's mallopt
OPEN_FILES = 8192  # as many connections as there may be, and what a websocket needs besides

commands = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@commands.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; a free one is taken if it is in use.", show_default="8000"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the board's data.", show_default="the user's data folder")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Whether a token is asked for: auto, on or off.", show_default="auto")
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="As --token off.")] = False,
    root_path: Annotated[
        str | None, typer.Option(help="Path below which a proxy shows the board.", show_default="none")
    ] = None,
    trusted_proxy: Annotated[
        str | None,
        typer.Option(
            help="Proxies whose X-Forwarded-Proto, -Host, -Prefix and -For are believed, comma-separated addresses.",
            show_default="none",
        ),
    ] = None,
    uds: Annotated[
        Path | None, typer.Option(help="Unix socket to listen on besides, for a proxy.", show_default="none")
    ] = None,
    browser: Annotated[bool | None, typer.Option(help="Open the page in a browser.", show_default="open it")] = None,
    visdom_url: Annotated[
        str | None, typer.Option(help="Use the Visdom that runs at this address instead of starting one.")
    ] = None,
    max_running: Annotated[
        int | None,
        typer.Option(help="Runs at full speed at once; more queue.", show_default="number of cores"),
    ] = None,
) -> None:
    """Watch gradient descent happen, live: start the board and open its page.

    Every option is also an environment variable: LOSSBOARD_HOST, LOSSBOARD_PORT, LOSSBOARD_DIR (the data folder),
    LOSSBOARD_TOKEN, LOSSBOARD_BROWSER, LOSSBOARD_VISDOM_URL, LOSSBOARD_MAX_RUNNING; docs/settings.md names all.
    """
    if context.invoked_subcommand:
        return
    token = "off" if no_token else token
    given = {name: value for name, value in locals().items() if value is not None and name in Settings.model_fields}
    if token not in (None, "auto", "on", "off"):
        _give_up("--token is auto, on or off. A token itself goes into LOSSBOARD_TOKEN: others see a command line.")
    log.configure()
    try:
        settings = Settings(**given)
        assets.require()
        os.environ.pop("LOSSBOARD_TOKEN", None)  # it is not for the programs that the board starts
        lock = claim(settings.data_dir)
        listener, settings = listen(settings)
        listeners = [listener, *listen_on_path(settings.uds)]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        _give_up(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except OSError as error:
        where, option = (error.filename, "--uds") if error.filename else (settings.host, "--host")
        _give_up(f"Nothing can listen on {where}: {error.strerror or error}. Choose another with {option}.")
    except (DataDirError, DatabaseError, assets.AssetsMissingError) as error:
        _give_up(str(error))
    code = BoardServer(settings).serve_on(listeners)
    if settings.uds:
        settings.uds.unlink(missing_ok=True)
    lock.release()
    raise typer.Exit(code)


@commands.command()
def sync(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the journals.", show_default="the user's data folder")
    ] = None,
    url: UrlOption = None,
    from_here: Annotated[
        bool, typer.Option("--from-here", help="Send what a journal has, though the board lacks what came before it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --from-here: do not ask.")] = False,
) -> None:
    """Send a board what dead scripts have left in their journals.

    Scripts that still run are left to send theirs. LOSSBOARD_DIR (the folder) and LOSSBOARD_URL (the board) are used
    where an option is not given. Ends with 1 if a journal stays where it is.
    """
    if from_here and not (yes or sys.stdin.isatty()):
        _give_up("--from-here asks before it sends; without a terminal, send --yes with it.")

    def may_skip(gap: journals.Gap) -> bool:
        question = (
            f"{gap.name} ({gap.run_id}): the board lacks {gap.records}. Send those from {gap.first} on? The run will"
            " say what is missing."
        )
        return from_here and (yes or typer.confirm(question))

    folder = _folder_of_journals(data_dir)
    found = stays = False
    try:
        shown = lossboard.Connection(url).url
        coming = journals.sync(folder, url, may_skip=may_skip)
        if not from_here or yes:  # a bar would be in the way of a question
            coming = progress(coming, "Journals", len([*(folder / "journals").glob("*")]))
        for sent in coming:
            found = True
            stays |= sent.stays
            verdict = "stays here" if sent.stays else "is given up"
            arrived = f"has arrived at {shown}" + (f", but {sent.lacking}" if sent.lacking else ".")
            what = f"{verdict}: {sent.refusal}" if sent.refusal else arrived
            typer.echo(f"{sent.name} ({sent.run_id}) {what}")
    except ValueError as error:
        _give_up(str(error))
    except (OSError, HTTPException) as error:
        _give_up(f"No board answers at {shown} ({error}). Start one, or name another with --url.")
    if not found:
        typer.echo(f"Nothing was left behind in {folder}.")
    if stays:
        raise typer.Exit(1)


def _folder_of_journals(given: Path | None) -> Path:
    """The folder; the board that is found is the one on it, where there is one."""
    folder = given or lossboard.data_folder()
    if not folder.is_dir():
        _give_up(f"There is no folder {folder}. Name the one that has the journals with --data-dir.")
    if (folder / lossboard.ADDRESS_FILE).exists():
        os.environ["LOSSBOARD_DIR"] = str(folder)
    return folder


for _command in (ls, show, rm, export, watch, check, backup, restore):
    commands.command()(_command)
commands.command("import")(import_)
commands.command("token")(print_tokens)
commands.command(context_settings=CONTEXT)(run)


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """A listening socket, and the settings with the port it got. OSError if the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on, which delays small responses by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there it would let two programs share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.bind((settings.host, 0))
        problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror or error})"
        typer.echo(f"Port {settings.port} {problem}; taking a free one.")
    listener.listen(128)
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})


def listen_on_path(path: Path | None) -> list[socket.socket]:
    """A socket that listens at a path, which its owner and group may use; none if there is no path. OSError if that
    cannot be, as where something else than a socket is there, or another program listens."""
    if path is None:
        return []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()  # of a board that was killed
        listener.bind(str(path))
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    path.chmod(0o660)
    listener.listen(128)
    return [listener]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        return asking.connect_ex(str(path)) == 0


class BoardServer(uvicorn.Server):
    """Uvicorn that says where the board is once it answers, and closes open event streams when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._page: Path | None = None  # the file that leads the browser to the link
        self._app = create_app(settings)
        config = uvicorn.Config(
            self._app,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # app/middleware/behind_proxy.py reads them
            timeout_graceful_shutdown=1,
            timeout_keep_alive=int(connections.IDLE_S),
            http=connections.HttpConnection,
            ws=connections.WebSocketConnection,
            ws_max_size=connections.MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # Visdom's windows stay on this machine: compressing them took 37 % of a core
        )
        super().__init__(config)

    def serve_on(self, listeners: list[socket.socket]) -> int:
        """Serve until a signal ends it; the exit code."""
        self.run(sockets=listeners)
        if failure := getattr(self._app.state, "failure", None):
            _give_up(failure)
        return 0 if self.started else 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; then says where the board is."""
        await super().startup(sockets)
        if not hasattr(self._app.state, "services"):  # it could not start, or was ended before it had
            self.should_exit = True
        if self.should_exit:
            return
        self._watching = asyncio.create_task(log.watch_open_files())
        url = self._settings.url
        lossboard.write(self._address_file, url.encode())
        typer.echo(f"Lossboard is at {url}  (data in {self._settings.data_dir}; Ctrl-C ends it)")
        internet = [one for one in sockets or [] if one.family in (socket.AF_INET, socket.AF_INET6)]
        self._say_who_may(one.getsockname()[0] for one in internet)
        if self._settings.browser:
            threading.Thread(target=_open, args=(self._page_to_open(),), daemon=True).start()

    def _page_to_open(self) -> str:
        """What a browser is started with."""
        url, tokens = self._settings.url, self._app.state.tokens
        with contextlib.suppress(TokensError):
            if tokens:
                self._page = make_page(self._settings.data_dir, url, tokens["owner"])
                return self._page.resolve().as_uri()
        return url

    def _say_who_may(self, addresses: Iterable[str]) -> None:
        """Print the link that has the token in it, or that there is no lock."""
        tokens: Tokens | None = self._app.state.tokens
        if tokens:
            typer.echo(f"Open {link(self._settings.url, tokens['owner'])}  (`lossboard token` prints it again)")
            if self._settings.host in ("0.0.0.0", "::"):  # noqa: S104
                elsewhere = f"http://{socket.gethostname()}:{self._settings.port}"
                typer.echo(f"On other machines open {link(elsewhere, tokens['owner'])}")
            return
        for address in {*addresses}:
            if not is_loopback(address):
                typer.echo(
                    f"It listens on {address}, and there is no lock: anyone who reaches this address can see, start and"
                    " delete runs. Without --no-token or LOSSBOARD_TOKEN=off it asks for a token."
                )

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's, ten times a second; and connections that have taken too long are closed."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in self.server_state.connections.copy():
                if isinstance(connection, connections.Connection):
                    connection.check(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; scripts look for the board elsewhere from then on."""
        with contextlib.suppress(OSError):
            if self._address_file.read_text(encoding="utf-8") == self._settings.url:
                self._address_file.unlink()
            if self._page:
                self._page.unlink()
        await super().shutdown(sockets)
        for connection in self.server_state.connections.copy():
            connection.transport.abort()  # it would hold up the exit until its peer reads what it was sent

    @property
    def _address_file(self) -> Path:
        return self._settings.data_dir / lossboard.ADDRESS_FILE

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's; and lets go of what would hold up the exit."""
        services: Any = getattr(self._app.state, "services", None)
        if services:
            services.begin_to_end()
        elif starting := getattr(self._app.state, "starting", None):
            starting.get_loop().call_soon_threadsafe(self._abandon)
        super().handle_exit(sig, frame)

    def _abandon(self) -> None:
        """End the start, which may wait for long, unless it has ended meanwhile."""
        if starting := self._app.state.starting:
            starting.cancel()


def _open(url: str) -> None:
    try:
        opened = webbrowser.open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        typer.echo("No browser could be opened; open the address above in one.")


def _share_memory_and_time() -> None:
    """Of large batches glibc would keep the memory in a heap of each thread's own: two heaps do. And who waits for
    another thread's turn to end waits a millisecond, where Python would have it be five."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_ARENA_MAX, 2)
    sys.setswitchinterval(0.001)


def _allow_open_files() -> None:
    """Have as many open files as the board may need, where the system lets a program raise its own bound."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  (not on Windows)

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """The entry point of the command."""
    _share_memory_and_time()
    _allow_open_files()
    # Until uvicorn handles it. Not as SIGINT is handled: in the background job of a shell script that is ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commands()
