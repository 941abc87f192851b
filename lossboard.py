"""Report a training run to Lossboard and watch it live. One file, standard library only.

    import lossboard

    run = lossboard.run("digits", params={"lr": 0.1})
    for batch in loader:
        run.log(loss=train(batch, lr=run.params["lr"]))
        if run.should_stop:
            break
    run.finish()

``log()`` writes into a memory-mapped journal file: no lock, no network, nothing raised. What is in it survives a kill
-9 and a board that is away. A thread posts its bytes as they are; ``lossboard sync``, or the next board on the same
folder, sends what a dead script left behind.

The binary form of ``POST /api/runs/{id}/points`` (content type ``application/vnd.lossboard.points``): one line of
JSON, ``{"seq": 0, "metrics": ["loss", "w"]}``, then records of ``2 + len(metrics)`` little-endian float64: the step,
the metrics in that order, and the record's number plus one, which is written last, so that a record without it is not
there yet. A metric that a step lacks is the NaN with the bits ``MISSING_BITS``. ``seq`` is the first record's number.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import importlib
import itertools
import json
import math
import mmap
import os
import shutil
import struct
import sys
import threading
import time
import urllib.parse
import uuid
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

CONTENT_TYPE = "application/vnd.lossboard.points"
MISSING_BITS = 0x7FF8_4C4F_5353_0001  # a quiet NaN that no arithmetic produces; "LOSS" in ASCII inside
MISSING: float = struct.unpack("<d", struct.pack("<Q", MISSING_BITS))[0]

MAGIC = b"lossbrd1"
_SEGMENT_BYTES = 4 << 20  # of records in one file, and at most in one post
_MEMORY_BYTES = 64 << 20  # of records kept in memory where no file can be had
_SEND_INTERVAL, _HEARTBEAT = 0.05, 0.2  # seconds between two posts, while points come and while none do
_TIMEOUT = 10.0  # seconds to wait for one answer
_GOODBYE = 10.0  # seconds that finish() waits for the last points to arrive
_STUCK = 5.0  # seconds after which a record that was begun and never written is given up


class Run:
    """A run reported to the board at ``url`` (default: LOSSBOARD_URL, else port 8000 here); there may be none yet.

    ``params`` are shown beside the curve; the board may change the numeric ones while the run goes on, and
    ``run.params`` always holds what it last asked for. ``run.id`` is 32 hex digits, ``run.url`` its address in the
    board's API. Also a context manager: an exception inside it makes the run ``failed``.
    """

    def __init__(
        self,
        name: str = "run",
        *,
        params: Mapping[str, Any] | None = None,
        url: str | None = None,
        attach_to: str | None = None,  # the id of a run that the board knows already
    ) -> None:
        self.id = attach_to or uuid.uuid4().hex
        self.params: dict[str, Any] = dict(params or {})
        board = Board(url or os.environ.get("LOSSBOARD_URL") or "http://127.0.0.1:8000")
        self.url = f"{board.url}/api/runs/{self.id}"
        about = {"method": "external", "id": self.id, "name": name, "params": self.params}
        announcement = None if attach_to else about
        self._next_step: float = 0
        self._complained: set[str] = set()
        self._finished = False
        self.journal = _Journal(self.id, {"announcement": announcement, "url": board.url}, self._complain)
        self._sender = _Sender(self, board, announcement)
        _open_runs.add(self)
        atexit.register(self._exit)

    @property
    def should_stop(self) -> bool:
        """Whether the board asked this run to end (someone pressed Stop, or deleted it)."""
        return self._sender.stop_asked.is_set()

    def log(self, step: float | None = None, **metrics: float) -> None:
        """Log one point. ``step`` counts by itself unless given; metrics are numbers (anything ``float()`` takes)."""
        journal = self.journal
        segment = journal.segment
        number = None
        try:
            if tuple(metrics) == segment.names:
                at = self._next_step if step is None else step
                number = next(journal.numbers)
                # Looked at again after the number was taken: a segment is withdrawn before a new one takes numbers.
                if number < segment.end and journal.segment is segment:
                    place = segment.start + number * segment.size
                    segment.pack_into(segment.buffer, place, at, *metrics.values(), number + 1.0)
                    journal.last = number
                    self._next_step = at + 1
                    return
        except Exception:  # noqa: S110  (a value that is no number: the slow road says which)
            pass
        self._log_slowly(number, step, metrics)

    def finish(
        self, status: str = "finished", result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> bool:
        """Send what is left, for at most ten seconds, and say how the run ended: finished, failed, stopped, diverged.

        True if the board has acknowledged everything; if not, the rest stays in the journal, for ``lossboard sync``.
        """
        if self._finished:
            return True
        self._finished = True
        atexit.unregister(self._exit)
        if status == "finished" and self.should_stop:
            status = "stopped"
        done = self._sender.end({"status": status, "result": dict(result or {}), "error": error}, _GOODBYE)
        if not done and not self._sender.gone:
            kept = f"; `lossboard sync` sends what is in {self.journal.folder}" if self.journal.folder else ""
            self._complain("away", f"no board answered at {self._sender.board.url}{kept}")
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("stopped")
        else:
            self.finish("failed", error=f"{type(error).__name__}: {error}"[:2000])

    def _log_slowly(self, number: int | None, step: float | None, metrics: Mapping[str, Any]) -> None:
        """What is not usual: other metrics than before, a full segment, a value that is no number."""
        values: dict[str, float] = {}
        at = self._next_step
        try:
            at = at if step is None else float(step)
            for name, value in metrics.items():
                values[name] = float(value)
        except Exception as error:  # a typo in a metric must not end a training of hours
            self._complain("value", f"a value was not logged: {error}")
            if number is None and not values:
                return
        try:
            if self.journal.write(number, at, values):
                self._next_step = at + 1
        except Exception as error:
            self._complain("journal", f"a point was not logged: {error}")

    def _complain(self, kind: str, what: str) -> None:
        """One warning of each kind."""
        if kind not in self._complained:
            self._complained.add(kind)
            warnings.warn(f"lossboard: {what}", stacklevel=4)

    def _exit(self) -> None:  # of the interpreter
        self.__exit__(None, getattr(sys, "last_value", None), None)


_open_runs: weakref.WeakSet[Run] = weakref.WeakSet()


def _forget_runs() -> None:
    """In a fork of the training process (a data loader's worker) there is nothing to report."""
    for forked in _open_runs:
        forked.journal.close_here()
        forked._finished = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_runs)


class _Segment:
    """Consecutive records, numbered from ``base`` to before ``end``, in one file or, failing that, in memory."""

    def __init__(self, names: tuple[str, ...] | None, base: int, path: Path | None) -> None:
        """OSError if the file cannot be made in its full size."""
        self.names = names
        self.base = self.end = base
        self.path = path
        self.size = 8 * (2 + len(names or ()))
        self.pack_into = struct.Struct(f"<{self.size // 8}d").pack_into
        self.buffer: mmap.mmap | bytearray = bytearray()
        self.start = 0  # where record 0 would lie
        if names is None:
            return
        self.end = base + max(1, _SEGMENT_BYTES // self.size)
        head = b""
        if path is not None:
            text = json.dumps({"base": base, "metrics": names}).encode()
            text += b" " * (-(16 + len(text)) % 64)
            head = MAGIC + struct.pack("<Q", len(text)) + text
        total = len(head) + (self.end - base) * self.size
        self.buffer = bytearray(total) if path is None else _make_file(path, head, total)
        self.start = len(head) - base * self.size


def _make_file(path: Path, head: bytes, total: int) -> mmap.mmap:
    """A file of zeros behind ``head``, really allocated: a sparse one on a full disk would end the training."""
    with path.open("w+b", buffering=0) as file:  # there may be one that an interrupt left behind
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, total)
            else:
                file.write(bytes(total))
            file.seek(0)
            file.write(head)
            return mmap.mmap(file.fileno(), total)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


_NOWHERE = _Segment(None, 0, None)  # what a journal writes to when the fast road is closed


class _Journal:
    """All records that are not acknowledged yet, in segments; every record has a number, and none is skipped.

    The fast road is in ``Run.log``: it takes a number and writes, without a lock. Whatever changes the segments holds
    the lock, withdraws ``segment`` first, and only then takes a number: a writer that still saw the segment after it
    took its own number has a smaller one, whose place is in that segment.
    """

    def __init__(self, run_id: str, about: dict[str, Any], complain: Callable[[str, str], None]) -> None:
        self.segment, self.segments = _NOWHERE, list[_Segment]()
        self.numbers, self.lock = itertools.count(), threading.RLock()
        self.last, self.acknowledged = -1, 0  # the newest record written, with several threads about; how many arrived
        self.folder: Path | None = None
        self.locked: int | None = None
        self._complain = complain
        self._closed, self._tried = False, 0.0  # when room was last looked for in vain
        try:
            folder = data_folder() / "journals" / run_id
            folder.mkdir(parents=True, exist_ok=True)
            self.locked = hold(folder)
            (folder / "run.json").write_text(json.dumps(about, default=str), encoding="utf-8")
            self.folder = folder
        except OSError as error:
            complain("folder", f"no journal can be kept ({error}); points wait in memory")

    def write(self, number: int | None, step: float, values: Mapping[str, float]) -> bool:
        """Write a record the slow way; False if there is no room for it, or the journal is closed."""
        with self.lock:
            if self._closed and number is None:
                return False
            known = self.segments[-1].names or () if self.segments else ()
            if number is None and (not self.segments or not set(values) <= set(known)):
                self.segment = _NOWHERE
                number = next(self.numbers)
                if not self.add(tuple(dict.fromkeys([*known, *values])), number):
                    self.numbers = itertools.count(number)
                    return False
            elif number is None:
                number = next(self.numbers)
            segment = self.segment_of(number)
            if segment is None:
                return False
            row = [values.get(name, MISSING) for name in segment.names or ()]
            segment.pack_into(segment.buffer, segment.start + number * segment.size, step, *row, number + 1.0)
            self.last = max(self.last, number)
            if not self._closed:
                self.segment = self.segments[-1]
            return True

    def fill(self, last: int) -> None:
        """Up to ``last``, write a record without metrics where one was begun and never written: at an interrupt."""
        for number in range(self.acknowledged, last + 1):
            segment = self.segment_of(number)
            mark = (number + 1) * segment.size + segment.start if segment else 0
            if segment and not any(segment.buffer[mark - 8 : mark]):
                self.write(number, number, {})

    def close_here(self) -> None:
        """In a fork: never touch the parent's journal."""
        self.lock = threading.RLock()  # another thread of the parent may have held it
        self._closed = True
        self.segment, self.segments, self.folder = _NOWHERE, [], None

    def seal(self) -> None:
        """Let nothing more be begun; from now on ``last`` is exact."""
        with self.lock:
            self.segment = _NOWHERE
            if not self._closed:
                self._closed = True
                self.last = min(next(self.numbers), self.segments[-1].end if self.segments else 0) - 1

    def unsent(self) -> tuple[tuple[str, ...], bytes]:
        """Names and bytes of the oldest records that are not acknowledged; what is acknowledged is let go."""
        while self.segments and self.acknowledged >= self.segments[0].end and len(self.segments) > 1:
            gone = self.segments.pop(0)  # never closed: a writer may still hold it
            if gone.path:
                gone.path.unlink(missing_ok=True)
        if not self.segments:
            return (), b""
        segment = self.segments[0]
        end = min(self.last + 1, segment.end, self.acknowledged + max(1, _SEGMENT_BYTES // segment.size))
        place = slice(segment.start + self.acknowledged * segment.size, segment.start + end * segment.size)
        return segment.names or (), bytes(memoryview(segment.buffer)[place])

    def remove(self) -> None:
        """Everything has arrived, or nobody wants it."""
        self.segments = []
        if self.locked is not None:
            os.close(self.locked)
            self.locked = None
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def segment_of(self, number: int) -> _Segment | None:
        while self.segments and number >= self.segments[-1].end:
            newest = self.segments[-1]
            self.segment = _NOWHERE
            if not self.add(newest.names or (), newest.end):
                self.numbers = itertools.count(newest.end)
                return None
        return next((segment for segment in reversed(self.segments) if segment.base <= number), None)

    def add(self, names: tuple[str, ...], base: int) -> bool:
        """Make the next segment, on disk or else in memory, and open the fast road to it."""
        segment = None
        if self.folder and time.monotonic() - self._tried > 1:
            try:
                segment = _Segment(names, base, self.folder / f"{base:015d}.points")
            except OSError as error:
                self._tried = time.monotonic()
                self._complain("disk", f"the journal cannot grow ({error}); points wait in memory while there is room")
        if segment is None:
            held = sum(len(one.buffer) for one in self.segments if one.path is None)
            if held + _SEGMENT_BYTES > _MEMORY_BYTES:
                self._complain("full", "no room is left, neither on disk nor in memory: points are lost")
                return False
            segment = _Segment(names, base, None)
        if self.segments:
            self.segments[-1].end = base
        self.segments.append(segment)
        self.segment = segment
        return True


class _Sender(threading.Thread):
    """Posts the journal's new bytes, and survives whatever the network does.

    What was not acknowledged is posted again, with the same numbers: the board takes each record once.
    """

    def __init__(self, run: Run, board: Board, announcement: dict[str, Any] | None) -> None:
        super().__init__(name="lossboard-sender", daemon=True)
        self.board = board
        self.stop_asked = threading.Event()
        self.gone = False  # the board will take nothing more of this run
        self._path = f"/api/runs/{run.id}"
        self._announcement, self._journal, self._params = announcement, run.journal, run.params
        self._ending: dict[str, Any] | None = None
        self._advanced, self._behind = time.monotonic(), -1
        self._wake, self._done = threading.Event(), threading.Event()
        self.start()

    def end(self, ending: dict[str, Any], seconds: float) -> bool:
        """Have everything sent, then the ending; False if that took longer than ``seconds``."""
        self._journal.seal()
        with contextlib.suppress(OSError):  # on a full disk the board hears of it all the same
            if self._journal.folder:
                (self._journal.folder / "ending.json").write_text(json.dumps(ending), encoding="utf-8")
        self._ending = ending
        self._wake.set()
        self._done.wait(seconds)
        return self._done.is_set() and not self.gone

    def run(self) -> None:
        last_post, patience = -math.inf, 0.1
        while not self._done.is_set():
            idle = self._journal.last < self._journal.acknowledged and self._ending is None
            if idle and time.monotonic() - last_post < _HEARTBEAT:
                self._wake.wait(_SEND_INTERVAL)
                continue
            try:
                more = self._send()
                last_post, patience = time.monotonic(), 0.1
            except Exception as error:  # whatever it is, the next try may fare better
                self.board.close()
                if isinstance(error, RefusedError) and error.final:
                    self._give_up(error)
                self._done.wait(patience)
                patience = min(2 * patience, 2.0)
                continue
            if not more and self._ending is None:
                self._wake.wait(_SEND_INTERVAL)

    def _send(self) -> bool:
        """One post; whether there is more to send at once."""
        if self._announcement is not None:
            self.board.post("/api/runs", json.dumps(self._announcement, default=str).encode())
            self._announcement = None
        journal = self._journal
        names, records = journal.unsent()
        head = json.dumps({"seq": journal.acknowledged, "metrics": names}).encode() + b"\n"
        answer = self.board.post(f"{self._path}/points", head + records, CONTENT_TYPE)
        sent, now = len(records) // (8 * (2 + len(names))), time.monotonic()
        if answer["accepted"] > journal.acknowledged or not sent:
            self._advanced, self._behind = now, journal.last
        journal.acknowledged = answer["accepted"]
        if now - self._advanced > _STUCK:
            journal.fill(self._behind)
        control = answer.get("control") or {}
        if control.get("stop"):
            self.stop_asked.set()
        self._params.update(control.get("params") or {})
        if self._ending is not None and journal.acknowledged > journal.last:
            self.board.post(f"{self._path}/finish", json.dumps(self._ending).encode())
            self.board.close()
            journal.remove()
            self._done.set()
        return len(records) >= _SEGMENT_BYTES // 2

    def _give_up(self, error: RefusedError) -> None:
        self.gone = True
        self.stop_asked.set()
        self._journal.seal()
        self._journal.remove()
        self._done.set()
        if error.status != 410:
            warnings.warn(f"lossboard: the board refuses this run: {error}", stacklevel=2)


class RefusedError(Exception):
    """The board answered with something other than success; ``final`` if it would do so again."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status, self.final = status, 400 <= status < 500 and status not in (408, 429)


class Board:
    """One kept-alive connection to the board at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {url!r} is no address of a board; send something like http://127.0.0.1:8000")
        self._parts = parts
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
        self._connection.request("POST", self._parts.path + path, body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RefusedError(response.status, text[:500].decode(errors="replace"))
        return json.loads(text)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def data_folder() -> Path:
    """LOSSBOARD_DIR, or the user's data folder for lossboard: where the board keeps its data, and scripts journals."""
    if chosen := os.environ.get("LOSSBOARD_DIR"):
        return Path(chosen)
    homes = {
        "win32": os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local",
        "darwin": Path.home() / "Library" / "Application Support",
    }
    home = homes.get(sys.platform) or os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "lossboard"


def hold(folder: Path) -> int:
    """Hold a folder for as long as the descriptor is open, at most until this process ends. OSError if it is held."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            msvcrt = importlib.import_module("msvcrt")
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl = importlib.import_module("fcntl")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


run = Run  # as scripts read best: lossboard.run("digits")
