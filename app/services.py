"""The parts of a running board, made and taken apart together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app import assets
from app.charts.latest import LatestRuns
from app.charts.view_state import ViewState
from app.errors import UnavailableError
from app.events import EventStreams
from app.runs.active import ActiveRuns
from app.runs.control import RunControl
from app.runs.control_watch import ControlWatch
from app.runs.ingest import Ingest
from app.runs.journals import JournalCollector
from app.runs.scheduler import Limits, Scheduler
from app.runs.service import RunService
from app.runs.table import RunTable
from app.schemas.responses import VisdomState
from app.schemas.view import SharedView
from app.settings import Settings
from app.storage.database import (
    DATABASE_FILE,
    POLL_S,
    Database,
    DatabaseLockedError,
    is_locked,
    waiting_for,
)
from app.storage.faults import DatabaseError
from app.storage.private import identity_key
from app.storage.records import PointsAdded, RunDeleted, RunEvent, RunSaved
from app.storage.store import Store
from app.visdom.connection import AnyVisdom, VisdomConnection
from app.visdom.constants import BASE_PATH
from app.visdom.publisher import SHARED_ENV, Publisher
from app.visdom.supervisor import ExternalVisdom, VisdomServer
from app.workers.local import SpawningExecutor, local_executor

log = logging.getLogger("lossboard.services")

_STYLE = Path(__file__).parent / "visdom" / "style.css"


class StartError(Exception):
    """The board cannot start; the text says why and what to do."""


@dataclass
class Services:
    """Everything a request may need."""

    settings: Settings
    key: bytes  # of the data folder: see app/api/challenge.py
    store: Store
    streams: EventStreams
    runs: RunService
    table: RunTable
    control: RunControl
    control_watch: ControlWatch
    ingest: Ingest
    view_state: ViewState
    latest: LatestRuns
    visdom: AnyVisdom
    publisher: Publisher

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    @property
    def visdom_state(self) -> VisdomState:
        """Visdom as the page is told of it."""
        return VisdomState(state=self.visdom.state, url=self.windows_url(SHARED_ENV), error=self.visdom.error)

    @property
    def shared_view(self) -> SharedView:
        """The view as clients are told of it."""
        metrics = self.latest.metrics
        return SharedView(
            **self.view_state.get().model_dump(),
            shown=self.latest.shown,
            windows=list(metrics.shown.values()),
            more_metrics=len(metrics.rest),
        )

    def windows_url(self, env: str) -> str:
        """Where a browser finds an env: under our own address, or at a Visdom that cannot be shown there."""
        return f"{BASE_PATH if self.visdom.proxied else self.visdom.url}/env/{env}"

    def begin_to_end(self) -> None:
        """From a signal handler: let go of what would hold up the exit, open event streams and posting workers."""
        self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self.streams.close()
        self.control_watch.close()
        self._letting_go = asyncio.create_task(self.runs.close())


@asynccontextmanager
async def run_services(settings: Settings, visdom: AnyVisdom, *, token: str = "") -> AsyncIterator[Services]:
    """The parts of a board, for as long as the block runs. Before it begins, waits while another program holds the
    database. StartError if the board cannot start, as on a full disk.

    token: with which the board's own processes report to it; empty if it asks for none
    """
    path = settings.data_dir / DATABASE_FILE
    store = await when_free(path, lambda: _open(path))
    try:
        try:
            key = identity_key(settings.data_dir)
        except OSError as error:
            raise StartError(f"The board cannot start: its key cannot be kept ({error}).") from error
        async with _run_on(store, settings, key, visdom, token) as services:
            yield services
    finally:
        store.close()


@asynccontextmanager
async def _run_on(
    store: Store, settings: Settings, key: bytes, visdom: AnyVisdom, token: str
) -> AsyncIterator[Services]:
    active = ActiveRuns(store)
    streams = EventStreams()
    view_state = ViewState(store)
    latest = LatestRuns(store, settings.overlay_runs, active.newest)
    publisher = Publisher(
        store,
        VisdomConnection(visdom),
        latest,
        view_state,
        is_up=lambda: visdom.state == "up",
        find=active.find,
        state_changed=streams.state_changed,
        proxied=visdom.proxied,
    )
    journals = JournalCollector(settings.data_dir, settings.url, token)
    scheduler = _make_scheduler(settings, active, journals, token)
    runs = RunService(store, active, scheduler, latest)
    table = RunTable(store, active)
    ingest = Ingest(store, active)
    control = RunControl(store, active, scheduler)
    control_watch = ControlWatch(store, active)
    services = Services(
        settings,
        key,
        store,
        streams,
        runs,
        table,
        control,
        control_watch,
        ingest,
        view_state,
        latest,
        visdom,
        publisher,
    )

    store.subscribe(_telling(streams))
    view_state.subscribe(lambda _, after: latest.show(after))
    view_state.subscribe(lambda *_: streams.view_changed())
    latest.subscribe(streams.view_changed)
    visdom.on_change(lambda state: publisher.visdom_is_new() if state == "up" else None)
    visdom.on_change(lambda _: streams.visdom_changed())

    async def load() -> None:
        await view_state.load()
        latest.show(view_state.get())
        await runs.recover()
        await latest.load()

    await when_free(settings.data_dir / DATABASE_FILE, load)
    await visdom.start()
    async with _in_background(
        store.look_for_damage(),
        journals.watch(),
        ingest.watch_silence(),
        runs.forget_deleted(),
        table.load(),
        latest.keep_up(),
        publisher.publish_shared(),
        publisher.publish_selected_run(),
        publisher.publish_single_runs(),
        publisher.replace_lost(),
    ):
        try:
            yield services
        finally:
            streams.close()
            await asyncio.gather(runs.close(), visdom.stop())


async def _open(path: Path) -> Store:
    return Store(Database(path))


async def when_free[T](
    path: Path, use: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> T:
    """Use the database there, again and again while another program holds it; that is said once. StartError if it
    cannot be used for another reason. ``sleep`` waits so many seconds."""
    said = False
    while True:
        try:
            return await use()
        except DatabaseLockedError:
            pass
        except DatabaseError as error:
            raise StartError(str(error)) from error
        except UnavailableError as error:
            if not is_locked(error.__cause__):
                raise StartError(f"The board cannot start. {error}") from error
        if not said:
            log.warning("%s", waiting_for(path))
        said = True
        await sleep(POLL_S)


def make_visdom(settings: Settings) -> AnyVisdom:
    """The Visdom that the settings ask for; it is not started yet."""
    if settings.visdom_url:
        return ExternalVisdom(settings.visdom_url)
    style = assets.TOKENS_CSS + _STYLE.read_text(encoding="utf-8")
    return VisdomServer(assets=assets.VISDOM, folder=settings.data_dir / "visdom", style=style)


def _make_scheduler(settings: Settings, active: ActiveRuns, journals: JournalCollector, token: str) -> Scheduler:
    spawning = settings.workers == "spawn"
    executor = SpawningExecutor() if spawning else local_executor(preload_torch=settings.preload_torch)
    limits = Limits(settings.max_running, settings.max_slowed)
    return Scheduler(active, executor, journals, limits, url=settings.url, data_dir=settings.data_dir, token=token)


def _telling(streams: EventStreams) -> Callable[[RunEvent], None]:
    """What tells the event streams which runs changed."""

    def tell(event: RunEvent) -> None:
        match event:
            case RunSaved(run, restored=True):
                streams.run_restored(run.id)
            case RunSaved(run) | PointsAdded(run):
                streams.run_changed(run.id)
            case RunDeleted(run):
                streams.run_removed(run.id)

    return tell


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
