"""All that can befall a board, its workers and scripts while they work: in random turns, with a look at what is left.

A round starts runs and scripts, lets some faults happen, and then waits until all has come to its end. Each point that
was acknowledged, or that a script had logged, must be there once and as it was, and each run must have an end that is
true.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil

from app.storage.database import DATABASE_FILE
from tests.harness.boards import BoardProcess, alive, running, wait_for
from tests.harness.disks import Disk, LimitedFiles, SmallDisk
from tests.harness.scripts import ROOT
from tests.harness.witness import Report, WatchedRun, WatchedScript, WatchedTraining

KINDS = ("kills", "locks", "disks", "freezes", "images")
SETTLE_S = 90.0  # in which all that can end has ended, after the last fault
COLLECTED_S = 20.0  # in which what dead scripts have left has arrived
FREEZES_S = (1.0, 40.0)  # the shortest and the longest; most are short
LOCKS_S = (1.0, 15.0)
FULL_S = (0.2, 3.0)


class Field:
    """A board with runs and scripts, and the faults that befall them. ``report`` has what was found."""

    def __init__(self, folder: Path, *, seed: int, longest: float = 1.0, disks: bool = True) -> None:
        """``longest`` is a share of the longest freezes and locks; ``disks``: its disk will be full at times."""
        self.report = Report()
        self._folder = folder
        self._chance = random.Random(seed)  # noqa: S311
        self._longest = longest
        self._disks = disks
        self._disk: Disk = LimitedFiles()
        if disks:
            with suppress(OSError):
                self._disk = SmallDisk(folder / "board")
        self._board = BoardProcess(folder / "board", log=folder / "log")
        self._port = "0"
        self._trainings: list[WatchedTraining] = []
        self._scripts: list[WatchedScript] = []
        self._scripts_made = 0
        self._lasting: dict[str, threading.Thread] = {}  # a lock, a freeze: while they last, others may come
        self._frozen: psutil.Process | None = None

    def start(self) -> None:
        """Start the board."""
        self._board.start("--port", self._port)
        self._port = self._board.url.rpartition(":")[2]

    def close(self) -> None:
        """End everything."""
        self._wait_for_lasting()
        for script in self._scripts:
            script.kill()
        self._board.stop()
        self._disk.close()

    def round(self, kinds: Sequence[str]) -> None:
        """Let these faults happen, in this order, and look at what has become of all runs."""
        for kind in kinds:
            self._keep_busy()
            time.sleep(self._chance.uniform(0, 0.6))
            self._note_acknowledged()
            faults: dict[str, Callable[[], None]] = {
                "kills": self._kill,
                "locks": self._lock,
                "disks": self._fill_disk,
                "freezes": self._freeze,
                "images": self._take_image,
            }
            faults[kind]()
            self.report.done[kind] += 1
        self._wait_for_lasting()
        self._settle()
        for run in [*self._trainings, *self._scripts]:
            run.check_end(self._board, self.report)
        self._board.clear()
        self._trainings.clear()
        self._scripts.clear()

    # --- what is under way --------------------------------------------------------------------------------------------

    def _keep_busy(self) -> None:
        """Start what has come to its end, if it can be started."""
        if self._lasts("lock") or self._frozen:
            return
        for _ in range(3 - sum(not run.has_ended(self._board) for run in self._trainings)):
            self._trainings.append(self._start_training())
        for _ in range(2 - sum(script.lives for script in self._scripts)):
            self._scripts.append(self._start_script())
        if self._chance.random() < 0.7:  # else what follows comes while the first run is yet to start
            wait_for(lambda: self._workers() or all(run.has_ended(self._board) for run in self._trainings), "a worker")

    def _start_training(self) -> WatchedTraining:
        if self._chance.random() < 0.3:
            return WatchedTraining(self._board, "gd", epochs=self._chance.randrange(20_000, 60_000))
        pace, seconds = self._chance.uniform(300, 1500), self._chance.uniform(1, 6)
        return WatchedTraining(self._board, "sgd", epochs=max(1, int(pace * seconds / 3)), steps_per_second=pace)

    def _start_script(self) -> WatchedScript:
        self._scripts_made += 1
        # What cannot be written waits in a script's memory: one that may be killed needs room for its journal.
        apart = self._disks or self._chance.random() < 0.5
        folder = self._folder / ("scripts" if apart else "board")
        points, pause = self._chance.randrange(1000, 20_000), self._chance.uniform(0.001, 0.015)
        told = self._folder / f"told by {self._scripts_made}"
        return WatchedScript(self._board.url, folder, told, points, pause)

    def _note_acknowledged(self) -> None:
        """What the board shows of each run is on disk, and what a script has logged is in its journal."""
        if self._frozen and self._frozen.pid == self._board.process.pid:
            return
        answer = self._board.client.get("/api/runs", params={"limit": 1000})
        if answer.status_code == 503:  # while its disk is full
            return
        shown = {run["id"]: run["step"] for run in answer.json()["items"]}
        for run in [*self._trainings, *self._scripts]:
            step = shown.get(run.run_id)
            run.acknowledged = max(run.acknowledged, 0 if step is None else step + 1)

    def _fork_servers(self) -> list[psutil.Process]:
        return running("app.workers.fork_server", psutil.Process(self._board.process.pid).children())

    def _workers(self) -> dict[str, psutil.Process]:
        """The worker of each training that holds its journal."""
        found: dict[str, psutil.Process] = {}
        for fork_server in self._fork_servers():
            for worker in alive(fork_server.children()):
                with suppress(psutil.Error):
                    paths = [Path(file.path) for file in worker.open_files()]
                    found |= {path.parent.name: worker for path in paths if path.name == "lock"}
        return found

    # --- faults -------------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        """Kill -9 the board, a worker, a script, a fork server or Visdom."""
        workers = self._workers()
        scripts = [script for script in self._scripts if script.lives]
        fork_servers = self._fork_servers()
        visdoms = running("app.visdom.server_process", self._board.children())
        there = {"board": 3, "worker": 4 * bool(workers), "script": 3 * bool(scripts)}
        there |= {"fork server": bool(fork_servers), "Visdom": bool(visdoms)}
        (whom,) = self._chance.choices(list(there), list(there.values()))
        match whom:
            case "board":
                self._cut()
                self._board.stop(signal.SIGKILL)
                self.start()
            case "worker":
                run_id = self._chance.choice(sorted(workers))
                self._cut(run_id)
                kill(workers[run_id])
            case "script":
                self._chance.choice(scripts).kill()
            case "fork server":
                self._cut()
                kill(self._chance.choice(fork_servers))
            case "Visdom":
                kill(visdoms[0])
        self.report.done[f"kills: {whom}"] += 1

    def _cut(self, run_id: str | None = None) -> None:
        """This training, or each of them, may end before its last point from now on."""
        for run in self._trainings:
            run.cut = run.cut or run_id in (run.run_id, None)

    def _freeze(self) -> None:
        """Suspend the board, a worker, a script, a fork server or Visdom for a while."""
        self._finish("freeze")
        candidates = [
            [psutil.Process(self._board.process.pid)],
            list(self._workers().values()),
            [psutil.Process(script.process.pid) for script in self._scripts if script.lives],
            self._fork_servers(),
            running("app.visdom.server_process", self._board.children()),
        ]
        process = self._chance.choice(self._chance.choice([some for some in candidates if some]))
        self._frozen = process
        with suppress(psutil.NoSuchProcess):
            process.suspend()

        def thaw() -> None:
            with suppress(psutil.NoSuchProcess):
                process.resume()
            self._frozen = None

        self._last("freeze", self._seconds(FREEZES_S), thaw)

    def _lock(self) -> None:
        """Another program holds the lock of the database for a while."""
        self._finish("lock")
        connection = sqlite3.connect(
            self._board.folder / DATABASE_FILE, timeout=60, isolation_level=None, check_same_thread=False
        )
        connection.execute("BEGIN EXCLUSIVE")
        self._last("lock", self._seconds(LOCKS_S), connection.close)

    def _fill_disk(self) -> None:
        """The board's disk is full for a while. It is not killed then: without room it could not start."""
        self._wait_for_lasting()
        self._disk.fill(self._board)
        time.sleep(self._chance.uniform(*FULL_S))
        self._note_acknowledged()
        self._disk.free(self._board)

    def _take_image(self) -> None:
        """The power fails: start a board on a copy of all that is on disk at one moment."""
        self._finish("freeze")
        runs: list[WatchedRun] = [*self._trainings, *self._scripts]
        acknowledged = {run: run.acknowledged for run in runs}
        logged: dict[WatchedRun, int] = {
            script: script.logged for script in self._scripts if script.folder == self._board.folder
        }
        image = self._folder / "image"
        image.mkdir()
        journals_first = self._chance.random() < 0.5
        if journals_first:
            copy_journals(self._board.folder, image)
        with suspended(psutil.Process(self._board.process.pid)):  # it is one moment for all pages of the database
            for path in self._board.folder.glob(f"{DATABASE_FILE}*"):
                if not path.name.endswith("-shm"):  # that is in memory
                    # By a process of its own: to close the file here would drop the locks that _lock() holds on it.
                    subprocess.run(["cp", str(path), str(image)], check=True)
        if not journals_first:
            copy_journals(self._board.folder, image)
        self._check_image(image, acknowledged, logged if journals_first else {})
        shutil.rmtree(image)

    def _check_image(self, image: Path, acknowledged: dict[WatchedRun, int], logged: dict[WatchedRun, int]) -> None:
        """What had been acknowledged before is there at once, and soon what had been logged."""
        board = BoardProcess(
            image,
            log=self._folder / "log of images",
            LOSSBOARD_WORKERS="spawn",
            LOSSBOARD_VISDOM_URL="http://127.0.0.1:9",
        )
        with board:
            for run, points in acknowledged.items():
                if run.points_at(board) < points:
                    self.report.wrong.append(f"{run} has {run.points_at(board)} points in an image, not {points}")
            with suppress(AssertionError):  # what was acknowledged while it was copied may be missing before others
                wait_for(lambda: not journals_in(image), "the end of the journals", COLLECTED_S)
            for run, points in acknowledged.items():
                run.check(board, self.report, max(points, logged.get(run, 0)))
        self._check_integrity(image)

    # --- faults that last ---------------------------------------------------------------------------------------------

    def _seconds(self, bounds: tuple[float, float]) -> float:
        shortest, longest = bounds
        return shortest + max(0.0, longest * self._longest - shortest) * self._chance.random() ** 5

    def _last(self, what: str, seconds: float, end: Callable[[], None]) -> None:
        def wait_and_end() -> None:
            time.sleep(seconds)
            end()

        self._lasting[what] = threading.Thread(target=wait_and_end)
        self._lasting[what].start()

    def _lasts(self, what: str) -> bool:
        return what in self._lasting and self._lasting[what].is_alive()

    def _finish(self, what: str) -> None:
        """Wait for the end of this."""
        if thread := self._lasting.pop(what, None):
            thread.join()

    def _wait_for_lasting(self) -> None:
        for what in [*self._lasting]:
            self._finish(what)

    # --- the end of a round -------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until all has come to its end, and start the board once more."""
        for script in self._scripts:
            with suppress(subprocess.TimeoutExpired):
                script.process.wait(SETTLE_S)
            if script.lives:
                self.report.wrong.append(f"{script} comes to no end")
                script.kill()
            elif script.process.returncode and not script.cut:
                self.report.wrong.append(f"{script} ended with exit code {script.process.returncode}")
        for run in self._trainings:
            try:
                wait_for(lambda run=run: run.has_ended(self._board), str(run), SETTLE_S)  # type: ignore[misc]
            except AssertionError:
                state = self._board.get(f"/api/runs/{run.run_id}")
                self.report.wrong.append(f"{run} comes to no end: it is {state['status']} at step {state['step']}")
        self._collect()
        self._board.wait_for_visdom()
        self._board.stop()
        self._check_integrity(self._board.folder)
        self.start()

    def _collect(self) -> None:
        """Have all journals sent. None may stay, but one that lacks points which waited in the memory of a killed
        worker while the disk was full."""
        folders = [self._folder / "scripts", self._board.folder]
        deadline = time.monotonic() + COLLECTED_S
        while any(map(journals_in, folders)) and time.monotonic() < deadline:
            for folder in filter(journals_in, folders):
                sync = [sys.executable, "-m", "app.cli", "sync", "--data-dir", str(folder), "--url", self._board.url]
                said = subprocess.run(sync, capture_output=True, text=True, check=False, cwd=ROOT).stdout
            time.sleep(0.2)
        for folder in folders:
            for journal in journals_in(folder):
                if self._disks and "--from-here" in said and any(run.cut for run in self._runs_of(journal)):
                    self.report.done["journals kept with a gap"] += 1
                else:
                    names = sorted(path.name for path in journal.glob("*"))
                    self.report.wrong.append(f"the journal {journal.name} stays: {names}; {said}")
                shutil.rmtree(journal, ignore_errors=True)

    def _runs_of(self, journal: Path) -> list[WatchedRun]:
        return [run for run in [*self._trainings, *self._scripts] if run.run_id == journal.name]

    def _check_integrity(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE_FILE)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            self.report.wrong.append(f"the database is damaged: {found}")


def plan(counts: dict[str, int], seed: int, a_round: int = 12) -> Iterator[list[str]]:
    """So many faults of each kind, in random order, some a round."""
    turns = [kind for kind, count in counts.items() for _ in range(count)]
    random.Random(seed).shuffle(turns)  # noqa: S311
    for first in range(0, len(turns), a_round):
        yield turns[first : first + a_round]


def journals_in(folder: Path) -> list[Path]:
    """The folders of journals in a data folder, also what is left of one, but for those in which nothing was written
    yet when their script or worker was killed: they are cleared away after a minute."""
    files = (folder / "journals").glob("*/*")
    return sorted({path.parent for path in files if path.name != "lock"})


def copy_journals(folder: Path, image: Path) -> None:
    """Copy the journals in a data folder, of which files come and go meanwhile."""
    for path in (folder / "journals").glob("*/*"):
        copy = image / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copy(path, copy)


def kill(process: psutil.Process) -> None:
    """Kill -9 a process that may just have ended."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


@contextmanager
def suspended(process: psutil.Process) -> Iterator[None]:
    """A process takes no step while the block runs."""
    process.suspend()
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "its stop")
    try:
        yield
    finally:
        process.resume()
