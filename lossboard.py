"""Report a training run to Lossboard and watch it live. One file, standard library only.

    run = lossboard.run("digits", params={"lr": 0.1})
    for batch in loader:
        run.log(loss=train(batch, lr=run.params["lr"]))
        run.wait_while_paused()
        if run.should_stop:
            break
    run.finish()

``log()`` writes into a memory-mapped journal in the data folder: no lock, no network, nothing raised. What is in it
survives a kill -9 and a board that is away. A thread posts its bytes as they are; ``lossboard sync``, or the next board
on the same folder, sends what a dead script left behind. Only ``wait_while_paused()`` ever waits.

The binary form of ``POST /api/runs/{id}/points`` (content type ``application/vnd.lossboard.points``): one line of
JSON, ``{"seq": 0, "metrics": ["loss", "w"]}``, then records of ``1 + len(metrics)`` little-endian float64: the step,
then the metrics in that order. ``seq`` is the number of the first record. A metric that a step lacks is the NaN with
the bits ``MISSING_BITS``. The step is written last, and step 0 as -0.0: a record that begins with eight zero bytes is
not written yet, and the batch ends before it.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import importlib
import json
import mmap
import operator
import os
import shutil
import struct
import sys
import threading
import time
import urllib.parse
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

CONTENT_TYPE = "application/vnd.lossboard.points"
MISSING_BITS = 0x7FF8_4C4F_5353_0001  # a quiet NaN that no arithmetic produces; "LOSS" in ASCII inside
MISSING: float = struct.unpack("<d", struct.pack("<Q", MISSING_BITS))[0]

_FIRST_BYTES = 32 << 10  # of records in the first file with the same metrics; when it is full, the next has twice that
_SEGMENT_BYTES = 4 << 20  # of records in one file of a long run, and at most in one post
_MEMORY_BYTES = 64 << 20  # of records kept in memory where no file can be had
_LOOK, _PAUSE, _HEARTBEAT = 0.05, 0.1, 0.2  # seconds: between two looks for points; after a post; until an empty one
_TIMEOUT, _GOODBYE = 10.0, 10.0  # seconds to wait for one answer; that finish() waits for the last to arrive
_STUCK = 100  # posts in vain after which a record that was begun and never written is given up
_FARTHEST = 2**53  # the largest step: beyond it float64 cannot tell whole numbers apart


class Run(contextlib.AbstractContextManager["Run"]):
    """A run reported to the board at ``url`` (default: LOSSBOARD_URL, else port 8000 here); there may be none yet.

    ``params`` are shown beside the curve; the board may change the numeric ones. ``run.id`` is 32 hex digits,
    ``run.url`` its address in the board's API. Also a context manager: an exception makes the run ``failed``.
    """

    def __init__(
        self, name: str = "run", *, params: Mapping[str, Any] | None = None, url: str | None = None, attach_to: str = ""
    ) -> None:
        self.id = attach_to or os.urandom(16).hex()  # attach_to: that of a run which the board knows already
        self.params: dict[str, Any] = dict(params or {})
        self.control: Mapping[str, Any] = {}  # what the board asks, as in its last answer
        self.asked, self._wake, self._done = (threading.Event() for _ in range(3))  # asked: for something new
        self._hold, self._held_at, self._passed = "", 0, 0  # _passed: calls of wait_while_paused() that have returned
        self.board = Board(url)
        self._path = f"/api/runs/{self.id}"
        self.url = self.board.url + self._path
        about = {"method": "external", "id": self.id, "name": str(name or "run")[:200], "params": self.params}
        self._introduction, self._ending = b"" if attach_to else _json(about), b""
        self._next_step, self._complained = 0.0, set[str]()
        self._arrived = self._refused = False  # the board has acknowledged the run's end; has refused the last post
        self._in_vain, self._behind = 0, 0  # posts since a record was last accepted; how many were begun then
        self.journal = _Journal(self.id, self._introduction, self._complain)
        _journals.add(self.journal)
        self.sender = threading.Thread(target=self._report, name="lossboard-sender", daemon=True)
        self.sender.start()
        atexit.register(self._exit)

    @property
    def should_stop(self) -> bool:
        """Whether the board asked this run to end (someone pressed Stop, or deleted it)."""
        return bool(self.control.get("stop"))

    def log(self, /, step: float | None = None, **metrics: float) -> None:
        """Log one point. ``step`` counts by itself unless given; metrics are numbers (anything ``float()`` takes)."""
        segment, place = self.journal.segment, None
        try:
            if len(metrics) == segment.width:
                values = segment.pick(metrics)  # KeyError if the metrics are others than before
                at = self._next_step if step is None else _step(step)
                cell = place = next(segment.places)  # StopIteration if the segment is full
                cells = segment.cells
                for value in values:
                    cell += 1
                    cells[cell] = value
                cells[place] = at or -0.0
                self._next_step = at + 1.0
                return
        except Exception:  # noqa: S110  (whatever it was, the slow road meets it again and says so)
            pass
        self._log_slowly(segment, place, step, metrics)

    def wait_while_paused(self) -> None:
        """Wait while somebody holds this run on the board: call it once a step. Each Step lets one call through."""
        while not self.should_stop and self.steps_left(self._passed) <= 0:
            self.wait(60)
        self._passed += 1

    def steps_left(self, taken: int) -> float:
        """How many steps more than the ``taken`` ones the board lets this run take: infinite unless it is paused."""
        control = self.control
        if control.get("hold", "") != self._hold:
            self._hold, self._held_at = control.get("hold", ""), taken
        return self._held_at + control.get("steps", 0) - taken if control.get("pause") else float("inf")

    def wait(self, seconds: float) -> None:
        """Sleep, but wake up at once when the board asks for something else than before."""
        self.asked.wait(seconds)
        self.asked.clear()

    def finish(self, status: str = "finished", result: dict[str, Any] | None = None, error: str | None = None) -> bool:
        """Send what is left, for at most ten seconds, and say how the run ended: finished, failed, stopped, diverged.

        True if the board has acknowledged everything; if not, the rest stays in the journal, for ``lossboard sync``. A
        ``result`` (numbers and texts) that it refuses is left out, with a warning. ValueError for any other status.
        """
        if status not in ("finished", "failed", "stopped", "diverged"):
            raise ValueError(f"status: {status!r} is none; send finished, failed, stopped or diverged")
        if self.journal.closed:
            return self._arrived
        status = "stopped" if status == "finished" and self.should_stop else status
        ending = _json({"status": status, "result": result or {}, "error": error and str(error)[:10_000]})
        atexit.unregister(self._exit)
        self.journal.seal(ending)
        self._ending = ending
        self._wake.set()
        if not self._done.wait(_GOODBYE):
            kept = f"; `lossboard sync` sends what is in {self.journal.folder}" if self.journal.folder else ""
            why = "what is left was refused" if self._refused else "no board answered"
            self._complain("away", f"{why} at {self.board.url}{kept}")
        return self._arrived

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        fine = error is None or (isinstance(error, SystemExit) and error.code in (0, None))
        status = "finished" if fine else "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        self.finish(status, error=f"{type(error).__name__}: {error}" if status == "failed" else None)

    def _log_slowly(self, segment: _Segment, place: int | None, step: float | None, metrics: Mapping[str, Any]) -> None:
        """What is not usual: other metrics than before, no number, no room. ``place``: where the record was begun."""
        if place is None and (self._ending or not metrics or isinstance(step, Mapping)):
            why = "this run has finished" if self._ending else "it has no metrics; send log(loss=...) or log(**metrics)"
            self._complain(why, f"a point was not logged: {why}")
            return
        values: dict[str, float] = {}
        for name, value in {"step": self._next_step if step is None else step, **metrics}.items():
            try:
                if not name.encode() or len(name) > 200:
                    raise ValueError("the name of a metric has 1 to 200 characters")  # noqa: TRY301
                values[name] = _step(value) if name == "step" else float(value)
            except Exception as error:  # a typo in a metric must not end a training of hours
                self._complain("value", f"a value was not logged: {error}")
        at = values.pop("step", self._next_step)
        try:
            if place is not None:
                segment.write(place, at, values)
            elif not values or not self.journal.write(at, values):
                return
            self._next_step = at + 1.0
        except Exception as error:
            self._complain("journal", f"a point was not logged: {error}")

    def _complain(self, kind: str, what: str) -> None:
        """One warning of each kind."""
        try:
            if kind not in self._complained:
                self._complained.add(kind)
                warnings.warn(f"lossboard: {what}", stacklevel=4)
        except Warning:  # where warnings are made errors, not even this may end a training
            sys.stderr.write(f"lossboard: {what}\n")

    def _report(self) -> None:
        """In a thread: post the journal's new bytes, again until they are acknowledged, whatever the network does."""
        last_post, patience = -9.0, 0.1
        while not self._done.is_set():
            idle = self.journal.newest.taken <= self.journal.acknowledged and not self._ending
            if idle and time.monotonic() - last_post < _HEARTBEAT:
                self._wake.wait(_LOOK)
                continue
            try:
                began = time.monotonic()
                sent = self._send()
                last_post, patience = time.monotonic(), 0.1
                busy = min(4 * (last_post - began), _HEARTBEAT)  # where many report, each does so less often
                more = not self._in_vain and (self.journal.segments[1:] or not 0 < sent < _SEGMENT_BYTES // 2)
                self._wake.wait(0 if more else max(busy, _PAUSE))
            except Exception as error:  # whatever it is, the next try may fare better
                self.board.close()
                self._refused = isinstance(error, RefusedError)
                if isinstance(error, RefusedError):
                    self._note_refusal(error)
                self._done.wait(patience)
                patience = min(2 * patience, 2.0)

    def _send(self) -> int:
        """One post; how many bytes of records were in it."""
        if self._introduction:
            self.board.tell("/api/runs", self._introduction, self._complain)
            self._introduction = b""
        journal = self.journal
        names, records = journal.unsent()
        head = _json({"seq": journal.acknowledged, "metrics": names}) + b"\n"
        answer = self.board.post(f"{self._path}/points", head + records, CONTENT_TYPE)
        self._in_vain += 1
        if answer["accepted"] > journal.acknowledged or not records:
            self._in_vain, self._behind = 0, journal.newest.taken
        elif self._in_vain > _STUCK:  # counted, not timed: the whole process may have been stopped for hours
            journal.fill(self._behind)
        journal.acknowledged = answer["accepted"]
        self._take_control(answer.get("control") or {})
        if self._ending and journal.acknowledged >= journal.newest.taken:
            self.board.tell(f"{self._path}/finish", self._ending, self._complain)
            self.board.close()
            self._arrived = True
            journal.leave(remove=True)
            self._done.set()
        return len(records)

    def _take_control(self, control: Mapping[str, Any]) -> None:
        if control != self.control:
            self.control = control
            self.params.update(control.get("params") or {})
            self.asked.set()

    def _note_refusal(self, error: RefusedError) -> None:
        """Some refusals are for good. After others (a board on another folder, say) the right board may come back."""
        ended = error.final and error.status == 409 and self._ending != b""
        self._arrived = ended and self.journal.acknowledged >= self.journal.newest.taken  # only its answer was lost
        if error.status != 410 and not self._arrived:
            self._complain("refused", f"the board does not take this run's points: {error}")
        if error.final:
            self._take_control({"stop": True})
            self.journal.leave(remove=True)
            self._done.set()

    def _exit(self) -> None:  # of the interpreter
        self.__exit__(None, getattr(sys, "last_value", None), None)


_journals: weakref.WeakSet[_Journal] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # a fork of the training process (a data loader's worker) has nothing to report
    os.register_at_fork(after_in_child=lambda: [*map(_Journal.leave, _journals)])


def _json(content: Any) -> bytes:
    return json.dumps(content, default=_plain, ensure_ascii=False).encode(errors="replace")  # half characters: "?"


def _plain(value: Any) -> float | str:
    for convert in (operator.index, float):  # numpy's and torch's numbers are no numbers to JSON
        with contextlib.suppress(Exception):
            return convert(value)
    return str(value)


def _step(step: float) -> float:
    if -_FARTHEST <= step <= _FARTHEST:
        return float(step)
    raise ValueError(f"step {step} is not a number from {-_FARTHEST} to {_FARTHEST}")


class _Segment:
    """Consecutive records, numbered from ``base`` to before ``end``, in one file or, failing that, in memory.

    Whoever takes the next of ``places`` owns the record there, without a lock. A closed segment has none left.
    """

    def __init__(self, names: tuple[str, ...], base: int, size: int, path: Path | None) -> None:
        """``size`` is that of all records in bytes, about. OSError if the file cannot be made in its full size."""
        self.names, self.base, self.path = names, base, path
        self.width, self.record = len(names) or -1, 1 + len(names)  # cells of the metrics, and of a whole record
        self.pick: Any = operator.itemgetter(*names) if len(names) > 1 else lambda metrics: [metrics[names[0]]]
        count = max(1, size // (8 * self.record)) if size else 0
        head = _json({"seq": base, "metrics": names})
        head += b" " * ((-1 - len(head)) % 8) + b"\n"
        total = len(head) + 8 * count * self.record
        self.buffer = memoryview(bytearray(total) if path is None else _allocate(path, total))
        self.buffer[: len(head)] = head
        self.cells = self.buffer.cast("d")
        self.start = len(head) // 8  # the cell of the first record
        self.places = iter(range(self.start, self.start + count * self.record, self.record))
        self._count, self._left = count, list[int]()  # places that nobody gets any more

    @property
    def end(self) -> int:
        return self.base + self._count - len(self._left)

    @property
    def taken(self) -> int:
        """Up to before which number records were begun."""
        return self.end - operator.length_hint(self.places)

    def close(self) -> None:
        """Let no further record be begun. In one call, so that neither thread nor interrupt can come between."""
        self._left.extend(self.places)

    def write(self, place: int, step: float, values: Mapping[str, float]) -> None:
        """Write a record; what it lacks is MISSING."""
        for cell, name in enumerate(self.names, place + 1):
            self.cells[cell] = values.get(name, MISSING)
        self.cells[place] = step or -0.0


def _allocate(path: Path, total: int) -> mmap.mmap:
    """A file of zeros that really has its place on the disk: a sparse one on a full disk would end the training."""
    with path.open("w+b") as file:  # there may be one that an interrupt left behind
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, total)
        else:
            file.write(bytes(total))
            file.flush()
        return mmap.mmap(file.fileno(), total)


_NOWHERE = _Segment((), 0, 0, None)  # what a journal writes to when the fast road is closed


class _Journal:
    """All records that are not acknowledged yet, in segments; every record has a number, and none is skipped."""

    def __init__(self, run_id: str, introduction: bytes, complain: Callable[[str, str], None]) -> None:
        self.segment, self.segments, self.acknowledged, self.closed = _NOWHERE, list[_Segment](), 0, False
        self.lock = threading.RLock()  # of whoever changes the segments
        self.folder: Path | None = None
        self._held, self._complain, self._tried = contextlib.ExitStack(), complain, -9.0  # when the disk was last full
        try:
            folder = data_folder() / "journals" / run_id
            folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(hold(folder))
            (folder / "run.json").write_bytes(introduction)  # only now: a dead script's folder has it and is not held
            self.folder = folder
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
            complain("folder", f"no journal can be kept ({error}); points wait in memory")

    @property
    def newest(self) -> _Segment:
        return self.segments[-1] if self.segments else _NOWHERE

    def write(self, step: float, values: Mapping[str, float]) -> bool:
        """Write a record the slow way; False if there is no room for it, or the journal is closed."""
        with self.lock:
            names = tuple(dict.fromkeys([*self.newest.names, *values]))
            if len(names) > 1000:
                raise ValueError("a run has at most 1000 metrics")
            while (segment := self.segment_for(names)) is not _NOWHERE:
                if (place := next(segment.places, None)) is not None:
                    segment.write(place, step, values)
                    return True
            return False

    def segment_for(self, names: tuple[str, ...]) -> _Segment:
        """With the lock held: a segment with room for these metrics, the newest or a new one; else _NOWHERE."""
        newest = self.newest
        if not self.closed and (newest.names != names or not operator.length_hint(newest.places)):
            self.segment = _NOWHERE
            newest.close()
            newest = self._make_segment(names, newest.end)
            self.segments += [newest] if newest is not _NOWHERE else []
        self.segment = _NOWHERE if self.closed else newest
        return self.segment

    def _make_segment(self, names: tuple[str, ...], base: int) -> _Segment:
        # Each file is one that the process has open: the more there are, the longer may the next be.
        filled = len(self.newest.buffer) if self.newest.names == names else 0
        size = min(max(_FIRST_BYTES, 2 * filled), _SEGMENT_BYTES << min(len(self.segments) // 8, 4))
        if self.folder and time.monotonic() - self._tried > 1:
            path = self.folder / f"{base:015d}.points"
            try:
                return _Segment(names, base, size, path)
            except OSError as error:
                self._tried = time.monotonic()
                with contextlib.suppress(OSError):
                    path.unlink()
                self._complain("disk", f"the journal cannot grow ({error}); points wait in memory while there is room")
        room = _MEMORY_BYTES - sum(len(one.buffer) for one in self.segments if one.path is None)
        if room < _FIRST_BYTES:
            self._complain("full", "no room is left, neither on disk nor in memory: points are lost")
            return _NOWHERE
        return _Segment(names, base, min(size, room, _SEGMENT_BYTES), None)

    def fill(self, end: int) -> None:
        """Before ``end``, write a record without metrics where one was begun and never written: at an interrupt."""
        for segment in self.segments:
            for number in range(max(self.acknowledged, segment.base), min(end, segment.end)):
                place = segment.start + (number - segment.base) * segment.record
                if not any(segment.buffer[8 * place : 8 * place + 8]):
                    segment.write(place, number, {})

    def unsent(self) -> tuple[tuple[str, ...], memoryview]:
        """Names and bytes of the oldest records that are not acknowledged; what is acknowledged is let go."""
        while len(self.segments) > 1 and self.acknowledged >= self.segments[0].end:
            if path := self.segments.pop(0).path:
                with contextlib.suppress(OSError):  # it goes with the folder
                    path.unlink()
        segment = self.segments[0] if self.segments else _NOWHERE
        count = max(0, min(segment.taken - self.acknowledged, max(1, _SEGMENT_BYTES // (8 * segment.record))))
        begin = 8 * (segment.start + (self.acknowledged - segment.base) * segment.record)
        return segment.names, segment.buffer[begin : begin + 8 * count * segment.record]

    def seal(self, ending: bytes) -> None:
        """Let nothing more be begun, and keep how the run ended."""
        with self.lock:
            self.closed, self.segment = True, _NOWHERE
            self.newest.close()
        with contextlib.suppress(OSError):  # on a full disk the board hears of it all the same
            if self.folder:
                (self.folder / "ending.json").write_bytes(ending)

    def leave(self, *, remove: bool = False) -> None:
        """Touch these files no more and let go of them: in a fork they are the parent's. ``remove``: or nobody's."""
        folder, self.lock = self.folder, threading.RLock()  # a thread of the parent's may have held the old one
        self.closed, self.segment, self.segments, self.folder = True, _NOWHERE, [], None
        if folder and remove:
            (folder / "run.json").unlink(missing_ok=True)  # first: from now on it is no journal
        self._held.close()
        if folder and remove:
            shutil.rmtree(folder, ignore_errors=True)


class RefusedError(Exception):
    """The board answered with something other than success; ``final`` if the run has ended or was deleted."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.final = status == 410 or (status == 409 and '"wanted"' not in text)


class Board:
    """A kept-alive connection to ``url``: LOSSBOARD_URL unless given, else port 8000 here. ValueError: no address."""

    def __init__(self, url: str | None = None) -> None:
        self.url = url = (url or os.environ.get("LOSSBOARD_URL") or "http://127.0.0.1:8000").rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {url!r} is no address of a board; send something like http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)  # opens itself when it is used
        self._path = parts.path

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        self._connection.request("POST", self._path + path, body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RefusedError(response.status, text[:500].decode(errors="replace"))
        return json.loads(text)

    def tell(self, path: str, content: bytes, complain: Callable[[str, str], None]) -> None:
        """Post how a run begins or ends; where the board refuses its params or result, complain and post the rest."""
        try:
            self.post(path, content)
        except RefusedError as error:
            if error.status != 422:
                raise
            self.post(path, _json({k: v for k, v in json.loads(content).items() if k not in ("params", "result")}))
            complain(path, f"the board refused a part of this run, and took the rest: {error}")

    def close(self) -> None:
        self._connection.close()


def data_folder() -> Path:
    """LOSSBOARD_DIR, or the user's data folder for lossboard: where the board keeps its data, and scripts journals."""
    if chosen := os.environ.get("LOSSBOARD_DIR") or os.environ.get("LOSSBOARD_DATA_DIR"):
        return Path(chosen)
    homes = {"win32": os.environ.get("LOCALAPPDATA", "~/AppData/Local"), "darwin": "~/Library/Application Support"}
    home = Path(homes.get(sys.platform) or os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    return home.expanduser() / "lossboard"


def hold(folder: Path) -> IO[bytes]:
    """Hold a folder until the file is closed, at most until this process ends. OSError if it is held."""
    with contextlib.ExitStack() as unless_held:
        lock = unless_held.enter_context((folder / "lock").open("ab"))
        if sys.platform == "win32":
            importlib.import_module("msvcrt").locking(lock.fileno(), 2, 1)  # LK_NBLCK
        else:
            importlib.import_module("fcntl").flock(lock, 6)  # LOCK_EX | LOCK_NB
        unless_held.pop_all()
        return lock


run = Run  # as scripts read best: lossboard.run("digits")
