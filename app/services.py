"""The parts of a running board, made and taken apart together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app import assets
from app.charts.latest import Overlay
from app.events import Feed
from app.runs.active import Limits
from app.runs.journals import Leftovers
from app.runs.scheduler import Launcher
from app.runs.service import Runs
from app.schemas.responses import VisdomState
from app.schemas.view import Board, load_board, save_board
from app.settings import Settings
from app.storage.database import DATABASE_FILE, Database
from app.storage.store import Store
from app.visdom.connection import BASE_PATH, AnyVisdom, VisdomConnection
from app.visdom.publisher import SHARED_ENV, Publisher
from app.visdom.supervisor import ExternalVisdom, VisdomServer
from app.workers.local import SpawningEngine, local_engine

log = logging.getLogger("lossboard.services")

_STYLE = Path(__file__).parent / "visdom" / "style.css"


@dataclass
class Services:
    """Everything a request may need."""

    settings: Settings
    store: Store
    feed: Feed
    runs: Runs
    visdom: AnyVisdom
    publisher: Publisher
    overlay: Overlay

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    @property
    def visdom_state(self) -> VisdomState:
        """Visdom as the page is told of it."""
        return VisdomState(state=self.visdom.state, url=self.windows_url(SHARED_ENV), error=self.visdom.error)

    def windows_url(self, env: str) -> str:
        """Where a browser finds an env: under our own address, or at a Visdom that cannot be shown there."""
        return f"{BASE_PATH if self.visdom.proxied else self.visdom.url}/env/{env}"

    def begin_to_end(self) -> None:
        """From a signal handler: let go of what would hold up the exit, open event streams and posting workers."""
        self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self.feed.close()
        self._letting_go = asyncio.create_task(self.runs.close())

    async def change_board(self, board: Board) -> None:
        """Change what belongs to the board, for everyone who looks at it."""
        self.publisher.show(board)
        await save_board(self.store, board)
        await self.overlay.look_at(self.publisher.board.detail)
        self.feed.board_changed()


@asynccontextmanager
async def run_services(settings: Settings, visdom: AnyVisdom) -> AsyncIterator[Services]:
    """The parts of a board, for as long as the block runs."""
    store = Store(Database(settings.data_dir / DATABASE_FILE))
    feed = Feed()
    connection = VisdomConnection(visdom)
    publisher = Publisher(store, connection, lambda: visdom.state == "up")
    overlay = Overlay(store, settings.overlay_runs, publisher.changed)
    publisher.overlay = overlay
    spawning = settings.workers == "spawn"
    engine = SpawningEngine() if spawning else local_engine(preload_torch=settings.preload_torch)
    limits = Limits(settings.max_running, settings.max_slowed)
    leftovers = Leftovers(settings.data_dir, settings.url)
    launcher = Launcher(settings.url, settings.data_dir, engine, leftovers, limits)
    runs = Runs(store, overlay, feed, launcher, [overlay, publisher])
    services = Services(settings, store, feed, runs, visdom, publisher, overlay)

    def visdom_changed(state: str) -> None:
        if state == "up":
            publisher.visdom_is_new()
        feed.visdom_changed()

    visdom.on_change(visdom_changed)
    publisher.board = await load_board(store)
    await overlay.look_at(publisher.board.detail)
    await runs.recover()
    await visdom.start()
    async with _in_background(
        leftovers.watch(), runs.watch_silence(), publisher.publish_shared(), publisher.publish_own()
    ):
        try:
            yield services
        finally:
            feed.close()
            await asyncio.gather(runs.close(), visdom.stop())
    store.close()


def make_visdom(settings: Settings) -> AnyVisdom:
    """The Visdom that the settings ask for; it is not started yet."""
    if settings.visdom_url:
        return ExternalVisdom(settings.visdom_url)
    return VisdomServer(
        assets=assets.VISDOM, folder=settings.data_dir / "visdom", style=_STYLE.read_text(encoding="utf-8")
    )


@asynccontextmanager
async def _in_background(*doings: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Tasks that run for as long as the block; one that fails is logged, as nothing may end silently."""
    tasks = [asyncio.create_task(doing) for doing in doings]
    for task in tasks:
        task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a part of the board has ended", exc_info=error)
