"""Report a training run to Lossboard and watch it live. One file, standard library only.

    with lossboard.run("digits", params={"lr": 0.1}) as run:
        for batch in loader:
            run.log(loss=train(batch, lr=run.params["lr"]))

``log()`` writes into a memory-mapped journal in the data folder: no lock, no network, nothing raised. What is in it
survives a kill -9 and a board that is down; docs/client.md describes it, and docs/rest.md what is posted. What is
larger than this file, as ``run.image`` and ``lossboard.SummaryWriter``, is in the package lossboard_extras.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

CONTENT_TYPE = "application/vnd.lossboard.points"
DONE = ".done"  # of the name of a journal that is being removed
MISSING_BITS = 0x7FF8_4C4F_5353_0001  # a quiet NaN that no arithmetic produces; "LOSS" in ASCII inside
MISSING: float = struct.unpack("<d", struct.pack("<Q", MISSING_BITS))[0]

_MAX_STEP = 2**53  # beyond it float64 cannot represent every whole number
_MAX_METRICS = 1000
_MAX_NAME_CHARS = 200

_FIRST_SEGMENT_BYTES = 32 << 10  # the next one with the same metrics has twice that, and so on up to _SEGMENT_BYTES
_SEGMENT_BYTES = 4 << 20  # of one file of a long run; also the most bytes of records in one post
_MAX_GROWTH = 4  # doublings of _SEGMENT_BYTES when there are many files
_MEMORY_BYTES = 64 << 20  # of records that are kept in memory where no file can be made

_POLL_S = 0.05  # between two looks for new records
_PROTECT_S = 1.0  # between two times that checksums are written
_POST_INTERVAL_S = 0.1  # between two posts while there are few records
_HEARTBEAT_S = 0.2  # between two posts without records; the longest interval where posts take long
_FIRST_RETRY_S = 0.1  # after a failed post; twice that after the next one, and so on
_LAST_RETRY_S = 2.0
_RESPONSE_TIMEOUT_S = 10.0
_FINISH_TIMEOUT_S = 10.0  # that finish() waits for the last acknowledgement
_DISK_RETRY_S = 1.0  # after a file could not be made
_MAX_STUCK_POSTS = 100  # without progress, after which a record that was begun and never written is given up

# What the package lossboard_extras has, and in which of its modules.
_EXTRAS = {"SummaryWriter": "writer", "runs": "reading", "load": "reading", "watch": "watching", "steer": "steering"}
_EXTRAS.update(dict.fromkeys(["text", "image", "figure", "histogram", "audio"], "media"))


class Run(contextlib.AbstractContextManager["Run"]):
    """A run reported to the board at ``url`` (default: LOSSBOARD_URL, else port 8000 here); it need not be up yet.

    The board may change the numeric ones of ``params``. As a context manager: an exception makes the run ``failed``.
    """

    def __init__(
        self, name: str = "run", *, params: Mapping[str, Any] | None = None, url: str | None = None, attach_to: str = ""
    ) -> None:
        """``attach_to`` is the id of a run that the board knows already. ValueError if ``url`` is no address."""
        connection = Connection(url)
        self.id = attach_to or os.urandom(16).hex()
        self.url = f"{connection.url}/api/runs/{self.id}"
        self.params: dict[str, Any] = dict(params or {})
        self.control: Mapping[str, Any] = {}  # what the board asks for, as in its last response
        self._control_changed = threading.Event()
        self._hold = ""  # the last pause that was seen
        self._held_at = 0  # steps taken when it was first seen
        self._passed = 0  # calls of wait_while_paused() that have returned
        self._next_step = 0.0
        self._finished = False
        self._warned: set[str] = set()
        name = str(name or "run")[:_MAX_NAME_CHARS]
        about = {"method": "external", "id": self.id, "name": name, "params": self.params}
        introduction = b"" if attach_to else _json(about)
        self.journal = _Journal(self.id, introduction, self._warn)
        self.sender = _Sender(self, connection, introduction)
        self.sender.start()
        atexit.register(self._exit)

    @property
    def should_stop(self) -> bool:
        """Whether the board asked this run to end (someone pressed Stop, or deleted it)."""
        return bool(self.control.get("stop"))

    def log(self, /, step: float | None = None, **metrics: float) -> None:
        """Log one point. ``step`` counts by itself unless given; metrics are numbers (anything ``float()`` takes)."""
        segment = self.journal.segment
        place = None
        try:
            if len(metrics) == segment.width:
                values = segment.pick(metrics)  # KeyError if the metrics are others than before
                at = self._next_step if step is None else _step(step)
                cell = place = next(segment.places)  # StopIteration if the segment is full
                cells = segment.cells
                plain = segment.plain
                for value in values:
                    cell += 1
                    cells[cell] = value if plain or type(value) is float else _detached(value)
                cells[place] = at or -0.0
                self._next_step = at + 1.0
                return
        except Exception:  # noqa: S110  (whatever it was, the slow path meets it again and warns)
            pass
        self._log_slowly(segment, place, step, metrics)

    def __getattr__(self, name: str) -> Any:
        """A function of lossboard_extras, with this run as its first argument."""
        return functools.partial(__getattr__(name), self)

    def wait_while_paused(self) -> None:
        """Wait while the board holds this run: call it once a step. Each Step on the board lets one call through."""
        while not self.should_stop and self.steps_left(self._passed) <= 0:
            self.wait(60)
        self._passed += 1

    def steps_left(self, taken: int) -> float:
        """How many steps more than the ``taken`` ones the board lets this run take: infinite unless it is paused."""
        control = self.control
        if control.get("hold", "") != self._hold:
            self._hold = control.get("hold", "")
            self._held_at = taken
        return self._held_at + control.get("steps", 0) - taken if control.get("pause") else float("inf")

    def wait(self, seconds: float) -> None:
        """Sleep; wake up at once when the board asks for something else than before."""
        self._control_changed.wait(seconds)
        self._control_changed.clear()

    def finish(self, status: str = "finished", result: dict[str, Any] | None = None, error: str | None = None) -> bool:
        """Send what is left, for at most ten seconds, and say how the run ended: finished, failed, stopped, diverged.

        True if the board has acknowledged everything; if not, the rest stays in the journal, for ``lossboard sync``. A
        ``result`` (numbers and texts) that it refuses is left out, with a warning. ValueError for any other status.
        """
        if status not in ("finished", "failed", "stopped", "diverged"):
            raise ValueError(f"status: {status!r} is none; send finished, failed, stopped or diverged")
        if self.journal.closed:
            return self.sender.arrived
        status = "stopped" if status == "finished" and self.should_stop else status
        ending = _json({"status": status, "result": result or {}, "error": error and str(error)[:10_000]})
        atexit.unregister(self._exit)
        self.journal.seal(ending)
        self._finished = True
        if not self.sender.end(ending):
            kept = f"; `lossboard sync` sends what is in {self.journal.folder}" if self.journal.folder else ""
            why = "what is left was refused" if self.sender.refused else "no board answered"
            self._warn("away", f"{why} at {self.sender.connection.url}{kept}")
        return self.sender.arrived

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or (isinstance(error, SystemExit) and error.code in (0, None)):
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("stopped")
        else:
            self.finish("failed", error=f"{type(error).__name__}: {error}")

    def _exit(self) -> None:  # of the interpreter
        self.__exit__(None, getattr(sys, "last_value", None), None)

    def _log_slowly(self, segment: _Segment, place: int | None, step: float | None, metrics: Mapping[str, Any]) -> None:
        """Log what the fast path cannot: other metrics than before, values that are no numbers, a full segment.

        ``place`` is where in ``segment`` the fast path has begun the record, if it has.
        """
        if place is None and (self._finished or not metrics or isinstance(step, Mapping)):
            why = "this run has finished" if self._finished else "no metrics; send log(loss=...) or log(**metrics)"
            self._warn(why, f"a point was not logged: {why}")
            return
        at = self._next_step
        values: dict[str, float] = {}
        try:
            at = at if step is None else _step(step)
        except Exception as error:
            self._warn("value", f"a value was not logged: {error}")
        for name, value in metrics.items():
            try:
                values[_metric_name(name)] = float(_detached(value))
            except Exception as error:  # a typo in a metric must not end a training of hours
                self._warn("value", f"a value was not logged: {error}")
        try:
            if place is not None:
                segment.write(place, at, values)
            elif not values or not self.journal.write(at, values):
                return
            self._next_step = at + 1.0
        except Exception as error:
            self._warn("journal", f"a point was not logged: {error}")

    def _take_control(self, control: Mapping[str, Any]) -> None:
        """Called by the sender with all that the board asks for."""
        if control == self.control:
            return
        before = (self.control.get("params") or {}).items()
        changed = {name: value for name, value in (control.get("params") or {}).items() if (name, value) not in before}
        if changed and not self.journal.closed:
            self._take_params(changed)
        self.control = control
        self._control_changed.set()

    def _take_params(self, changed: Mapping[str, Any]) -> None:
        """The board asks for other parameters: they hold from the next record on."""
        self.journal.note_change(self._next_step, changed)  # first: a record that was made with them comes later
        self.params.update(changed)

    def _warn(self, kind: str, what: str) -> None:
        """One warning of each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            _warn(what, 5)


def _warn(what: str, stacklevel: int) -> None:
    try:
        warnings.warn(f"lossboard: {what}", stacklevel=stacklevel)
    except Warning:  # where warnings are made errors, not even this may end a training
        sys.stderr.write(f"lossboard: {what}\n")


@functools.cache
def __getattr__(name: str) -> Any:
    """What lossboard_extras has under this name; where it is missing, one warning, and something that does nothing."""
    if name not in _EXTRAS:
        raise AttributeError(f"lossboard has no {name!r}")
    try:
        return getattr(_extras(_EXTRAS[name]), name)
    except (ImportError, AttributeError) as error:
        fetch = f"curl -O {Connection().url}/lossboard_extras.zip"
        _warn(f"{name} does nothing without lossboard_extras.zip beside lossboard.py; `{fetch}` ({error})", 4)
        return _Nothing()


def _extras(module: str) -> Any:
    """A module of lossboard_extras: as it is installed, or in lossboard_extras.zip beside this file. ImportError."""
    sys.path += {str(Path(__file__).with_name("lossboard_extras.zip"))}.difference(sys.path)
    return importlib.import_module(f"lossboard_extras.{module}")


class _Nothing(contextlib.AbstractContextManager["_Nothing"]):
    """What stands for a part of lossboard_extras where that is missing: whatever is done with it does nothing."""

    def __call__(self, *_: Any, **__: Any) -> _Nothing:
        return self

    def __getattr__(self, name: str) -> _Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __iter__(self) -> Iterator[_Nothing]:
        return iter(())

    def __exit__(self, *_: object) -> None:
        """An exception goes on."""


class _Sender(threading.Thread):
    """Posts a run's introduction, the records of its journal until they are acknowledged, and then how it ended."""

    def __init__(self, run: Run, connection: Connection, introduction: bytes) -> None:
        super().__init__(name="lossboard-sender", daemon=True)
        self.connection = connection
        self.arrived = False  # the board has acknowledged how the run ended
        self.refused = False  # the board has refused the last post
        self.done = threading.Event()  # nothing is posted any more
        self._run = run
        self._path = f"/api/runs/{run.id}"
        self._introduction = introduction
        self._introduced = False
        self._ending = b""
        self._ending_given = threading.Event()
        self._stuck_posts = 0  # since a record was last acknowledged
        self._stuck_end = 0  # up to before which number records were begun then

    def end(self, ending: bytes) -> bool:
        """Post what is left, then how the run ended. Whether that is over within _FINISH_TIMEOUT_S."""
        self._ending = ending
        self._ending_given.set()
        return self.done.wait(_FINISH_TIMEOUT_S)

    def run(self) -> None:
        """Runs in the thread, whatever the network does, until the end of the run is acknowledged or refused."""
        posted_at = -_HEARTBEAT_S
        retry_s = _FIRST_RETRY_S
        while not self.done.is_set():
            began = time.monotonic()
            if self._run.journal.unacknowledged <= 0 and not self._ending and began - posted_at < _HEARTBEAT_S:
                self._ending_given.wait(_POLL_S)
                continue
            try:
                self._run.journal.protect(began)
                sent = self._post()
            except Exception as error:  # whatever it is, the next try may succeed
                self._note_failure(error)
                self.done.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
            else:
                posted_at = time.monotonic()
                retry_s = _FIRST_RETRY_S
                more = len(self._run.journal.segments) > 1 or not 0 < sent < _SEGMENT_BYTES // 2
                busy_s = min(4 * (posted_at - began), _HEARTBEAT_S)  # where many report, each does so less often
                self._ending_given.wait(0 if more and not self._stuck_posts else max(busy_s, _POST_INTERVAL_S))

    def _post(self) -> int:
        """One post; how many bytes of records were in it."""
        if self._introduction and not self._introduced:
            self.connection.tell("/api/runs", self._introduction, self._run._warn)
            self._introduced = True
        journal = self._run.journal
        names, records, changes = journal.unsent()
        body = post_head(journal.acknowledged, names, changes) + records
        answer = self.connection.post(f"{self._path}/points", body, CONTENT_TYPE)
        self._stuck_posts += 1
        if answer["accepted"] > journal.acknowledged or not records:
            self._stuck_posts = 0
            self._stuck_end = journal.newest.taken
        elif self._stuck_posts > _MAX_STUCK_POSTS:  # counted, not timed: the process may have been stopped for hours
            journal.fill(self._stuck_end)
        journal.acknowledged = answer["accepted"]
        journal.acknowledged_changes += len(changes)
        self._run._take_control(answer.get("control") or {})
        if self._ending and journal.unacknowledged <= 0:
            self.connection.tell(f"{self._path}/finish", self._ending, self._run._warn)
            self.connection.close()
            self.arrived = True
            journal.leave(remove=True)
            self.done.set()
        return len(records)

    def _note_failure(self, error: Exception) -> None:
        """Some refusals are for good. After others (a board on another folder, say) the right board may come back."""
        self.connection.close()
        self.refused = isinstance(error, RefusedError)
        journal = self._run.journal
        if not isinstance(error, RefusedError) or journal.go_back(error.body.get("wanted")):
            return
        self._introduced &= error.status != 404  # a board that was put back to an older state may not know the run
        has_all = error.body.get("accepted", journal.acknowledged) >= journal.newest.taken
        self.arrived = error.final and error.status == 409 and self._ending != b"" and has_all  # its answer was lost
        if error.status != 410 and not self.arrived:
            kept = f"; what it lacks stays in {journal.folder}" if journal.folder else ""
            self._run._warn("refused", f"the board does not take this run's points: {error}{kept}")
        if error.final:
            self._run._take_control({"stop": True})
            journal.leave(remove=error.status == 410 or has_all)
            self.done.set()


def _json(content: Any) -> bytes:
    return json.dumps(content, default=_plain, ensure_ascii=False).encode(errors="replace")  # half characters: "?"


def _plain(value: Any) -> float | str:
    for convert in (operator.index, float):  # numpy's and torch's numbers are no numbers to JSON
        with contextlib.suppress(Exception):
            return convert(_detached(value))
    return str(value)


def _detached(value: Any) -> Any:
    """A torch tensor that requires its gradient without it, as float() of it would warn; anything else as it is."""
    return value.detach() if getattr(value, "requires_grad", False) else value


def _step(step: float) -> float:
    if -_MAX_STEP <= step <= _MAX_STEP:
        return float(step)
    raise ValueError(f"step {step} is not a number from {-_MAX_STEP} to {_MAX_STEP}")


def _metric_name(name: str) -> str:
    if name.encode() and len(name) <= _MAX_NAME_CHARS:
        return name
    raise ValueError(f"the name of a metric has 1 to {_MAX_NAME_CHARS} characters")


def post_head(seq: int, names: tuple[str, ...], changes: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The first line of a post in the binary form."""
    head = {"seq": seq, "metrics": names}
    return _json({**head, "changes": changes} if changes else head) + b"\n"


class _Segment:
    """Consecutive records, numbered from ``base`` to before ``end``, in one file or, failing that, in memory.

    A record is ``width`` + 1 float64 cells. Whoever takes the next of ``places``, each the cell at which a record
    begins, owns that record, without a lock. A closed segment has none left.
    """

    def __init__(self, names: tuple[str, ...], base: int, size: int, path: Path | None) -> None:
        """``size`` is that of all records in bytes, about. OSError if the file cannot be made in its full size."""
        self.names = names
        self.base = base
        self.path = path
        self.plain = "torch" not in sys.modules  # so no value is a tensor that requires its gradient
        self.width = len(names) or -1  # no log() has that many metrics
        self.record = 1 + len(names)
        self.pick: Any = operator.itemgetter(*names) if len(names) > 1 else lambda metrics: [metrics[names[0]]]
        count = max(1, size // (8 * self.record)) if size else 0
        head = _json({"version": 2, "seq": base, "metrics": names}) + b"\n"
        head = head[:-1] + b" " * (-len(head) % 8) + b"\n"  # so that the cells are aligned
        total = len(head) + 8 * count * self.record
        self.buffer = memoryview(bytearray(total) if path is None else _allocate(path, total))
        self.buffer[: len(head)] = head
        self.cells = self.buffer.cast("d")
        self.start = len(head) // 8  # the cell of the first record
        self.places = iter(range(self.start, self.start + count * self.record, self.record))
        self._count = count
        self._unused: list[int] = []  # places that no record gets any more
        self.summed = base  # up to before which number checksums were written, or are not needed

    @property
    def end(self) -> int:
        return self.base + self._count - len(self._unused)

    @property
    def taken(self) -> int:
        """Up to before which number records were begun."""
        return self.end - operator.length_hint(self.places)

    def close(self) -> None:
        """Let no further record be begun. In one call, so that neither thread nor interrupt can come between."""
        self._unused.extend(self.places)

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


_NOWHERE = _Segment((), 0, 0, None)  # what a journal writes to when the fast path is closed


class _Journal:
    """All records that are not acknowledged yet, in segments; every record has a number, and none is skipped."""

    def __init__(self, run_id: str, introduction: bytes, warn: Callable[[str, str], None]) -> None:
        self.segment = _NOWHERE  # that of the fast path
        self.segments: list[_Segment] = []
        self.acknowledged = 0  # up to before which number the board has the records
        self.changes: list[Mapping[str, Any]] = []  # of parameters, as a post has them
        self.acknowledged_changes = 0  # how many of them the board has
        self.closed = False
        self.folder: Path | None = None  # None if the records are kept in memory only
        self.lock = threading.RLock()  # of whoever changes the segments
        self._held = contextlib.ExitStack()
        self._warn = warn
        self._disk_full_at = -_DISK_RETRY_S
        self._protected_at = 0.0
        self._seen = 0  # how many records there were then
        try:
            folder = data_folder() / "journals" / run_id
            folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(hold(folder))
            (folder / "run.json").write_bytes(introduction)  # only now: a dead script's folder has it and is not held
            self.folder = folder
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
            warn("folder", f"no journal can be kept ({error}); points wait in memory")
        _journals.add(self)

    @property
    def newest(self) -> _Segment:
        return self.segments[-1] if self.segments else _NOWHERE

    @property
    def unacknowledged(self) -> int:
        """How many records and changes the board has not acknowledged."""
        return self.newest.taken - self.acknowledged + len(self.changes) - self.acknowledged_changes

    def note_change(self, step: float, params: Mapping[str, Any]) -> None:
        """Keep that these parameters hold from a step on; to be called before a record is made with them."""
        change = {"step": step, "params": dict(params), "number": len(self.changes)}
        with contextlib.suppress(OSError):  # on a full disk it waits in memory, as the records do
            if self.folder:
                with (self.folder / "changes.jsonl").open("ab") as file:
                    file.write(_json(change) + b"\n")
        self.changes.append(change)

    def write(self, step: float, values: Mapping[str, float]) -> bool:
        """Write a record the slow way; False if there is no room for it, or the journal is closed."""
        with self.lock:
            names = tuple(dict.fromkeys([*self.newest.names, *values]))
            if len(names) > _MAX_METRICS:
                raise ValueError(f"a run has at most {_MAX_METRICS} metrics")
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
        longest = _SEGMENT_BYTES << min(len(self.segments) // 8, _MAX_GROWTH)
        size = min(max(_FIRST_SEGMENT_BYTES, 2 * filled), longest)
        if self.folder and time.monotonic() - self._disk_full_at > _DISK_RETRY_S:
            path = self.folder / f"{base:015d}.points"
            try:
                return _Segment(names, base, size, path)
            except OSError as error:
                self._disk_full_at = time.monotonic()
                with contextlib.suppress(OSError):
                    path.unlink()
                self._warn("disk", f"the journal cannot grow ({error}); points wait in memory while there is room")
        room = _MEMORY_BYTES - sum(len(one.buffer) for one in self.segments if one.path is None)
        if room < _FIRST_SEGMENT_BYTES:
            self._warn("full", "no room is left, neither on disk nor in memory: points are lost")
            return _NOWHERE
        return _Segment(names, base, min(size, room, _SEGMENT_BYTES), None)

    def fill(self, end: int) -> None:
        """Before ``end``, write a record without metrics where one was begun and never written: at an interrupt."""
        for segment in self.segments:
            for number in range(max(self.acknowledged, segment.base), min(end, segment.end)):
                place = segment.start + (number - segment.base) * segment.record
                if not any(segment.buffer[8 * place : 8 * place + 8]):
                    segment.write(place, number, {})

    def unsent(self) -> tuple[tuple[str, ...], memoryview, list[Mapping[str, Any]]]:
        """Names and bytes of the oldest records that are not acknowledged, and all such changes, also earlier ones.
        Segments that are acknowledged go."""
        while len(self.segments) > 1 and self.acknowledged >= self.segments[0].end:
            if path := self.segments.pop(0).path:
                with contextlib.suppress(OSError):  # they go with the folder
                    path.unlink()
                    path.with_suffix(".sums").unlink()
        self.newest.plain = "torch" not in sys.modules  # it may be imported at any time
        segment = self.segments[0] if self.segments else _NOWHERE
        most = max(1, _SEGMENT_BYTES // (8 * segment.record))
        count = max(0, min(segment.taken - self.acknowledged, most))
        begin = 8 * (segment.start + (self.acknowledged - segment.base) * segment.record)
        records = segment.buffer[begin : begin + 8 * count * segment.record]
        return segment.names, records, self.changes[self.acknowledged_changes :]  # read last: none of theirs is missing

    def go_back(self, wanted: int | None) -> bool:
        """The board wants records that it had acknowledged: whether they are still here, and are sent again."""
        if wanted is None or not self.segments or not self.segments[0].base <= wanted < self.acknowledged:
            return False
        self.acknowledged, self.acknowledged_changes = wanted, 0
        return True

    def protect(self, now: float) -> None:
        """Once a second, write checksums of what was there a second ago and is not acknowledged. With LOSSBOARD_SYNC,
        bring the files to the disk as well; else the system does so when it likes."""
        if now - self._protected_at < _PROTECT_S or not self.folder or self.unacknowledged <= 0:
            return
        self._protected_at = now
        seen, self._seen = self._seen, self.newest.taken
        with contextlib.suppress(OSError, ImportError):  # records without a checksum are sent all the same, and marked
            for segment in self.segments:
                _extras("checksums").add_sums(segment, self.acknowledged, self._seen if self.closed else seen)
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir() if (os.environ.get("LOSSBOARD_SYNC") or "0") != "0" else ():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())  # also of what was written through a mapping

    def seal(self, ending: bytes) -> None:
        """Let nothing more be begun, and keep how the run ended, unless points before that are in memory only."""
        with self.lock:
            self.closed = True
            self.segment = _NOWHERE
            self.newest.close()
        with contextlib.suppress(OSError):  # on a full disk the board hears of it all the same
            if self.folder and all(one.path or one.end <= self.acknowledged for one in self.segments):
                (self.folder / "ending.json").write_bytes(ending)

    def leave(self, *, remove: bool = False) -> None:
        """Touch the files no more and let go of them, as in a fork, where they are the parent's; or remove them."""
        folder = self.folder
        self.lock = threading.RLock()  # a thread of the parent's may have held the old one
        self.closed = True
        self.segment = _NOWHERE
        self.segments = []
        self.folder = None
        if folder and remove:
            remove_journal(folder, self._held.close)
        self._held.close()


_journals: weakref.WeakSet[_Journal] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # a fork of the training process (a data loader's worker) has nothing to report
    os.register_at_fork(after_in_child=lambda: [*map(_Journal.leave, _journals)])


def remove_journal(folder: Path, release: Callable[[], None]) -> None:
    """Remove a journal of which everything has arrived, or nothing is wanted; ``release`` lets go of its folder."""
    if sys.platform == "win32":
        release()  # it renames no folder in which a file is open
    with contextlib.suppress(OSError):  # in one step: a kill leaves a journal, or what the next board clears away
        folder = folder.rename(folder.with_suffix(DONE))
    release()
    shutil.rmtree(folder, ignore_errors=True)


class RefusedError(Exception):
    """The board answered with no success; ``final`` if the run has ended or was deleted; ``body`` is its JSON."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.body: dict[str, Any] = {}
        with contextlib.suppress(ValueError, LookupError, TypeError):
            self.body = dict(json.loads(text))
            text = self.body["detail"][0]["msg"]
        super().__init__(f"{status} {text[:500]}")
        self.final = status == 410 or (status == 409 and "wanted" not in self.body)


class Connection:
    """A kept-alive connection to ``url``: LOSSBOARD_URL unless given, else port 8000 here. ValueError: no address."""

    def __init__(self, url: str | None = None) -> None:
        self.url = (url or os.environ.get("LOSSBOARD_URL") or "http://127.0.0.1:8000").rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {self.url!r} is no address of a board; send something like http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_RESPONSE_TIMEOUT_S)  # opened by the first post
        self.close = self._connection.close
        self._path = parts.path

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        """The JSON of the board's answer. RefusedError, OSError or http.client.HTTPException."""
        self._connection.request("POST", self._path + path, body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RefusedError(response.status, text.decode(errors="replace"))
        return json.loads(text)

    def tell(self, path: str, content: bytes, warn: Callable[[str, str], None]) -> None:
        """Post how a run begins or ends; where the board refuses its params or result, warn and post the rest."""
        try:
            self.post(path, content)
        except RefusedError as error:
            if error.status != 422:
                raise
            self.post(path, _json({k: v for k, v in json.loads(content).items() if k not in ("params", "result")}))
            warn(path, f"the board refused a part of this run, and took the rest: {error}")


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
