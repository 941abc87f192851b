"""Report a training run to Lossboard and watch it live. One file, standard library only.

    with lossboard.run("digits", params={"epochs": 10}) as run:
        run.steer(optimizer)
        for batch in run.steps(loader, epochs=10):
            run.log(loss=train(batch))

``log()`` writes into a memory-mapped journal in the data folder: no lock, no network, nothing raised. What is in it
survives a kill -9 and a board that is down; docs/client.md describes it, and docs/rest.md what is posted. What is
larger than this file, as ``run.image`` and ``lossboard.SummaryWriter``, is in the package lossboard_extras.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import hashlib
import hmac
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
import types
import urllib.parse
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import IO, Any

if sys.version_info < (3, 9):  # noqa: UP036
    raise ImportError("lossboard.py needs Python 3.9 or newer; this is " + sys.version.split()[0])

CONTENT_TYPE = "application/vnd.lossboard.points"
ADDRESS_FILE = "address"  # in the data folder, while a board is up: where that is
KEY_FILE = "identity.key"  # in the data folder, since a board was first up: with which it proves that it is that
TOKENS_FILE = "tokens.json"  # in the data folder, once the board there asks for them: one for each right
DONE = ".done"  # of the name of a journal that is being removed
MISSING_BITS = 0x7FF8_4C4F_5353_0001  # a quiet NaN that no arithmetic produces; "LOSS" in ASCII inside
UNREAD_BITS = MISSING_BITS + 1  # of a value on a GPU that is not here yet
MISSING: float = struct.unpack("<d", struct.pack("<Q", MISSING_BITS))[0]

_MAX_STEP = 2**53  # beyond it float64 cannot represent every whole number
_MAX_METRICS = 1000
_MAX_NAME_CHARS = 200
_KEPT = ("method", "id", "name", "status", "error", "resume")  # where a board refuses what else is said of a run
_MAX_TEXT = 2000  # characters of a value of the summary
_MAX_WARNINGS = 1000

_FIRST_SEGMENT_BYTES = 32 << 10  # the next one has twice that, and so on up to _SEGMENT_BYTES
_SEGMENT_BYTES = 4 << 20  # of one file of a long run; also the most bytes of records in one post, about
_FIRST_BLOCK_RECORDS = 16  # the next block with the same metrics has twice as many, and so on
_BLOCKS_BYTES = 2 << 20  # of all blocks that are being written, about: each holds its share of one post
_MAX_TIMES = 500  # that are kept of the records that wait
_MAX_LAYOUTS = 2000  # sets of metrics that are told apart; further ones are written as records of all metrics
_MAX_FILES = 8  # while all that is in older ones has arrived
_MAX_GROWTH = 4  # doublings of _SEGMENT_BYTES when there are many files
_MEMORY_BYTES = 64 << 20  # of records that are kept in memory where no file can be made

_POLL_S = 0.05  # between two looks for new records
_PROTECT_S = 1.0  # between two times that checksums are written
_POST_INTERVAL_S = 0.1  # between two posts while there are few records; the fuller a post, the sooner the next
_FULL_POST_BYTES = 512 << 10  # of records, after which the next post follows at once
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
_COPY = "this is a copy of the run, or of its process; only what began a run reports it"


class Run(contextlib.AbstractContextManager["Run"]):
    """A run reported to the board at ``url`` (default: LOSSBOARD_URL, else the data folder's); it need not be up yet.

    As a context manager: an exception makes the run ``failed``.
    """

    params: dict[str, Any]
    cell: tuple[Any, Any] = (None, None)  # of a notebook, in which it was begun
    media: Any = None  # those that wait for the board, if some were logged: of lossboard_extras.media
    _is_known = False  # whether the board has made the run itself, and no other process reports it

    def __init__(
        self,
        name: str = "run",
        *,
        params: Any = None,
        url: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        live: Any = None,
        id: str | None = None,  # noqa: A002
        resume: bool = False,
        rank: int | str | None = None,
        notes: str = "",
        attach_to: str = "",
    ) -> None:
        """ValueError if ``url`` is no address.

        params: a mapping, or an object with fields; the board may change the numeric ones
        live: which of them it may change: their names, or a mapping of each to its least and greatest value
        id: of a run that other processes reported before, or will; any text
        resume: should that run have ended, it goes on
        rank: of this process among those that train together, RANK or LOCAL_RANK of the environment unless given; all
            but rank 0 are silent. "all": each is a run of its own, in a group
        attach_to: an id, to resume
        """
        connection = Connection(url)
        given, resume, session = str(attach_to or id or ""), bool(resume or attach_to), ""
        ranked = str((os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) if rank in (None, "all") else rank)
        if rank == "all":
            group, name, given = group or name, f"{name} rank {ranked}", given and f"{given} rank {ranked}"
        if given and not self._is_known:
            session = os.urandom(4).hex()
        run_id = _run_id(given) if given else os.urandom(16).hex()
        self._set_up(run_id)
        about: dict[str, Any] = {"method": "external", "id": self.id, "name": str(name or "run")[:_MAX_NAME_CHARS]}
        try:
            about.update(self._describe(params, live))
            about["tags"] = [str(tag)[:_MAX_NAME_CHARS] for tag in ([tags] if isinstance(tags, str) else tags)]
        except Exception as error:
            self._warn("about", f"a part of what describes the run is left out: {error}")
        about.update(
            group=str(group or "")[:_MAX_NAME_CHARS], notes=str(notes or ""), resume=resume, started_at=time.time()
        )
        told = {key: value for key, value in about.items() if value or (key == "live" and value is not None)}
        introduction = b"" if self._is_known else _json(told)
        silent = f"rank {ranked} reports nothing" if rank != "all" and ranked != "0" else ""
        if not silent and session and _is_held(run_id):
            silent = "another process reports this run; give it an id of its own, or rank='all'"
            self._warn(silent, f"nothing is logged: {silent}")
        self._warned.add(silent)
        with contextlib.suppress(ImportError):
            self.cell = _extras("exits").begin()
        folder = f"{run_id}-{session}" if session else run_id
        journal = _Journal("" if silent else folder, introduction, self._warn)
        self._begin(journal, _Sender(self, connection, introduction, session))
        if silent:
            self.silence(silent)
            return
        self.sender.start()
        self._listens = False
        active_runs.add(self)
        _watch_end()

    def _set_up(self, run_id: str) -> None:
        """A run that has nothing to report to yet."""
        self.id = run_id
        self.summary: dict[str, Any] = {}  # what the board shows of the run: sent with its points and its ending
        self.told: dict[str, Any] = {}  # what else the board is told of the run: see "progress" in docs/rest.md
        self.control: Mapping[str, Any] = {}  # what the board asks for, as in its last response
        self._silent = ""  # why nothing is logged any more
        self._offset = 0.0  # of the step of a record that is given none, from the record's number
        self.device_values: Any = None  # those that are on their way from a GPU, once there were any
        self._revision = 0  # of the newest control
        self._taking = threading.Lock()  # held by whoever takes a control
        self._listens = True  # whether control is heard on a connection of its own, or never will be
        self._control_changed = threading.Event()
        self._hold = ""  # the last pause that was seen
        self._held_at = 0  # steps taken when it was first seen
        self._done = 0  # batches of steps() that were trained on
        self._passed = 0  # calls of wait_while_paused() that have returned
        self._warned: set[str] = set()

    def _begin(self, journal: _Journal, sender: _Sender) -> None:
        self.journal, self.sender = journal, sender
        self._blocks, self._firsts, self._numbers = journal.blocks, journal.firsts, journal.numbers
        self._last: Any = _NO_BLOCK  # in which the last record is, or another one

    @property
    def url(self) -> str:
        """Its address on the board."""
        return f"{self.sender.connection.url}/api/runs/{self.id}"

    @property
    def should_stop(self) -> bool:
        """Whether the board asked this run to end (someone pressed Stop, or deleted it)."""
        self.listen()
        return bool(self.control.get("stop"))

    def listen(self) -> None:
        """Hear from now on what the board asks for as soon as it does; without lossboard_extras with the next post."""
        if not self._listens:
            self._listens = True
            with contextlib.suppress(ImportError, RuntimeError):  # RuntimeError: no thread begins any more
                _extras("control").listen(self)

    @property
    def next_step(self) -> float:
        """The step of the next point, if it is given none."""
        return self.journal.taken + self._offset

    def log(self, metrics: Any = None, /, step: float | None = None, **more: Any) -> None:  # noqa: C901, PLR0912
        """Log one point: numbers by name, as arguments or in a mapping; in nested ones, ``{"a": {"b": 1}}`` is a/b.

        ``step`` counts by itself unless given, also as a number before the metrics. A value on a GPU is not waited for:
        unlike others it is lost at a kill -9 until it is here, as a rule less than 0.2 s later.
        """
        block = place = None
        if metrics is not None:
            if isinstance(metrics, Mapping):
                more = {**metrics, **more}
            else:
                step = metrics
        try:
            block = self._last
            if block.first not in more:
                for first in more:
                    self._last = block = self._firsts[first]  # KeyError if no metric of this name came first yet
                    break
            if len(more) != block.width:
                block = self._blocks[tuple(more)]
            values = block.pick(more)  # KeyError if the others are not those of this block
            if step is not None:
                step = block.check(step)
            cells = block.cells
            cell = place = next(block.places)  # StopIteration if the block is full
            for value in values:
                cell += 1
                if type(value) is float:
                    cells[cell] = value
                else:
                    self._write(cells, cell, value)
            number = next(self._numbers)
            if block.lead == 1:
                cells[place] = number + 0.0 or -0.0  # a float, which a cell takes sooner
            else:
                if step is None:
                    step = number + self._offset
                else:
                    self._offset = step - number
                cells[place] = number
                cells[place - 1] = step or -0.0  # last: a record with a step is whole
        except Exception:  # whatever it was, the slow path meets it again and warns
            self._log_slowly(block, place, step, more)

    def _log_slowly(self, block: _Block | None, place: int | None, step: Any, metrics: Mapping[str, Any]) -> None:
        """Log what the fast path cannot: other metrics than before, values that are no numbers, a full block.

        ``place`` is where in ``block`` the fast path has begun the record, if it has.
        """
        self._last = _NO_BLOCK  # it may be full
        if place is None and (self._silent or not metrics):
            why = self._silent or "no metrics; send log(loss=...) or log({'loss': ...})"
            self._warn(why, f"a point was not logged: {why}")
            return
        try:
            at = None if step is None else _step(step)
        except Exception as error:
            at = None
            self._warn("step", f"a step was not taken: {error}")
        try:
            if at is not None:
                self.journal.number_records()
            values = dict(self._numbers_of(metrics))
            if (block is None or place is None) and values:
                block, place = self.journal.place_for(tuple(values))
            if block is not None and place is not None:
                for cell, name in enumerate(block.names, place + 1):
                    self._write(block.cells, cell, values.get(name, MISSING))
                number = next(self._numbers)
                self._offset = self._offset if at is None else at - number
                block.complete(place, number, number + self._offset)
        except Exception as error:
            self._warn(f"point {type(error)}", f"a point was not logged: {error}")

    def _write(self, cells: memoryview[float], cell: int, value: Any) -> None:
        """Write a value into its cell; one that is on a GPU once it is here."""
        if getattr(value, "is_cuda", False) and self._reads_devices:
            self.device_values.write(value, cells, cell)
        else:
            cells[cell] = _number(value)

    @functools.cached_property
    def _reads_devices(self) -> bool:
        """Whether values on a GPU need not be waited for."""
        try:
            self.device_values = _extras("device_values").DeviceValues(self._warn)
        except Exception:  # without lossboard_extras, log() waits for the GPU
            return False
        return True

    def _numbers_of(self, metrics: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
        """Name and value of all that can be logged."""
        for key, value in metrics.items():
            name = f"{before}{key}"
            try:
                if isinstance(value, Mapping):
                    yield from self._numbers_of(value, name + "/")
                elif self.journal.admits(_metric_name(name)):
                    yield name, value if getattr(value, "is_cuda", False) else float(_number(value))
            except Exception as error:  # a typo in a metric must not end a training of hours
                self._warn(f"{name} {type(error)}", f"a value of {name[:_MAX_NAME_CHARS]!r} was not logged: {error}")

    def __getattr__(self, name: str) -> Any:
        """A function of lossboard_extras, with this run as its first argument."""
        return functools.partial(__getattr__(name), self)

    def __reduce__(self) -> Any:
        """A copy, also in a process that is spawned, reports nothing."""
        return _copied, (self.id, self.sender.connection.url, self._storable_params())

    def _describe(self, params: Any, live: Any) -> dict[str, Any]:
        """Take the parameters; they, and which may be changed, as a board takes them."""
        try:
            parameters = _extras("parameters")
        except ImportError:  # without lossboard_extras, a dictionary as JSON has it
            self.params = dict(params or {})
            return {"params": self.params, "live": live if isinstance(live, Mapping) else None}
        self.params = parameters.Parameters(parameters.fields(params) or {}, self._note_change, self.listen)
        return {"params": self._storable_params(), "live": None if live is None else parameters.bounds(live)}

    def _storable_params(self) -> dict[str, Any]:
        stored = {}
        for name, value in self.params.items():
            try:
                stored[str(name)] = _extras("parameters").storable(value)
            except Exception as error:
                self._warn(f"params.{name}", f"params.{name} cannot be stored, and is left out: {error}")
        return stored

    def steps(self, batches: Iterable[Any], *, epochs: int = 1, total: int | None = None) -> Iterator[Any]:
        """The batches of each epoch, one after the other; waits while the board holds this run, and ends when it is to
        stop. The page shows how many of all are done: of ``total``, where ``batches`` has no length."""
        count = 0
        with contextlib.suppress(Exception):  # of who measures batches
            count = min(int(epochs * operator.length_hint(batches) if total is None else total), _MAX_STEP)
        end = self._done + count
        for _ in range(epochs):
            for batch in batches:
                if count > 0:
                    self.told["progress"] = [self._done, max(end, self._done + 1)]
                self.wait_while_paused()
                if self.should_stop:
                    return
                yield batch
                self._done += 1
        if count > 0:
            self.told["progress"] = [self._done, self._done]

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
        self._end(status, result, error)
        return self.wait_for_end()

    def _end(self, status: str, result: Any = None, error: Any = None) -> None:
        """Let nothing more be logged, and have the sender say how the run ended."""
        if not self._silent:
            self._silent = "this run has finished"
            status = "stopped" if status == "finished" and self.control.get("stop") else status
            ending = {"status": status, "result": result or {}, "error": error and str(error)[:10_000]}
            ending["ended_at"] = time.time()
            if self.device_values:
                self.device_values.read(wait=True)
            content = _json({**ending, "summary": self.shown_summary()} if self.summary else ending)
            self.journal.seal(content)
            self.sender.end(content)

    def wait_for_end(self) -> bool:
        if not self.sender.wait():
            kept = f"; `lossboard sync` sends what is in {self.journal.folder}" if self.journal.folder else ""
            why = "what is left was refused" if self.sender.refused else "no board answered"
            why = "not all media have arrived" if self.media and self.media.closed else why
            self._warn("away", f"{why} at {self.sender.connection.url}{kept}")
        return self.sender.arrived

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.finish(*_outcome(error))

    def end_with(self, error: BaseException | None) -> None:
        """Say how the run ended, without waiting: at the exit of the interpreter, or with a cell of a notebook."""
        self._end(*_outcome(error))

    def _repr_html_(self) -> str:
        """In a notebook: a link to the run's windows."""
        return f'<a href="{self.url}/visdom" target="_blank">run {self.id[:8]} on Lossboard</a>'

    def silence(self, why: str = _COPY) -> None:
        """Report nothing any more, as what does this is not the process that began the run."""
        self._silent, self.control, self._listens = why, {}, True
        self.sender.done.set()
        self.journal.leave()

    def shown_summary(self) -> dict[str, Any]:
        """``summary`` as a board takes it."""
        return {str(key)[:_MAX_NAME_CHARS]: _scalar(value) for key, value in islice(self.summary.copy().items(), 1000)}

    def take_control(self, control: Mapping[str, Any]) -> None:
        """Called with all that the board asks for, by those who hear it; what is older than the last is nothing new."""
        with self._taking:
            revision = control.get("revision", self._revision)
            if control == self.control or revision < self._revision:
                return
            known = asked_of(self.control)
            changed = {name: value[0] for name, value in asked_of(control).items() if value != known.get(name)}
            if changed and not self._silent:
                self._take_params(changed)
            self.control, self._revision = control, revision
        self._control_changed.set()

    def _take_params(self, changed: Mapping[str, Any]) -> None:
        """The board asks for other parameters: they hold from the record on that is logged after they were read."""
        if hasattr(self.params, "change"):
            self.params.change(changed)
        else:
            self._note_change(changed)
            self.params.update(changed)

    def _note_change(self, changed: Mapping[str, Any]) -> None:
        """To be called before a record is made with these parameters."""
        self.journal.note_change(self.next_step, changed)

    def _warn(self, kind: str, what: str) -> None:
        """One warning of each kind."""
        if kind not in self._warned and len(self._warned) < _MAX_WARNINGS:
            self._warned.add(kind)
            _warn(what)


active_runs: weakref.WeakSet[Run] = weakref.WeakSet()  # those that this process began


def _copied(run_id: str, url: str, params: dict[str, Any]) -> Run:
    """A copy of a run."""
    run = Run.__new__(Run)
    run._set_up(run_id)
    run.params = params
    run._begin(_Journal("", b"", run._warn), _Sender(run, Connection(url), b"", ""))
    run.silence()
    return run


def _outcome(error: BaseException | None) -> tuple[str, None, str | None]:
    """What finish() is to be told where this exception ended the run."""
    if error is None or (isinstance(error, SystemExit) and error.code in (0, None)):
        return "finished", None, None
    stopped = isinstance(error, KeyboardInterrupt)
    return "stopped" if stopped else "failed", None, None if stopped else f"{type(error).__name__}: {error}"


@functools.cache
def _watch_end() -> None:
    """Have all runs ended at the exit of the interpreter, and none reported by a fork."""
    atexit.register(_end_all)
    if hasattr(os, "register_at_fork"):  # a fork of the training process (a data loader's worker)
        os.register_at_fork(after_in_child=lambda: [*map(Run.silence, [*active_runs])])


def _end_all() -> None:
    """At the exit of the interpreter: all runs share one wait."""
    error = getattr(sys, "last_value", None)
    for run in [*active_runs]:
        try:
            run.end_with(_extras("exits").error_of(run))
        except ImportError:
            run.end_with(error)
    for run in [*active_runs]:
        run.wait_for_end()


def _warn(what: str) -> None:
    """Warn of something, where the script called this file."""
    level, caller = 1, sys._getframe(0)
    while caller.f_back and (caller.f_code.co_filename == __file__ or "lossboard_extras" in caller.f_code.co_filename):
        level, caller = level + 1, caller.f_back
    try:
        warnings.warn(f"lossboard: {what}", stacklevel=level)
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
        _warn(f"{name} does nothing without lossboard_extras.zip beside lossboard.py; `{fetch}` ({error})")
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

    waited_s = 0.0  # how long scripts of this process have waited at their end since a board last answered

    def __init__(self, run: Run, connection: Connection, introduction: bytes, session: str) -> None:
        super().__init__(name="lossboard-sender", daemon=True)
        self.connection = connection
        self.arrived = False  # the board has acknowledged how the run ended
        self.refused = False  # the board has refused the last post
        self.done = threading.Event()  # nothing is posted any more
        self._run = run
        self._path = f"/api/runs/{run.id}"
        self._introduction = introduction
        self._session = {"session": session} if session else {}
        self._introduced = False
        self._told: dict[str, Any] = {}  # what the board has of what it is told of the run
        self._ending = b""
        self._ending_given = threading.Event()
        self._stuck_posts = 0  # since a record was last acknowledged
        self._stuck_end = 0  # up to before which number records were begun then

    def end(self, ending: bytes) -> None:
        """Post what is left, then how the run ended."""
        self._ending = ending
        self._ending_given.set()

    def wait(self) -> bool:
        """Whether that is over within _FINISH_TIMEOUT_S, which all runs have together while no board answers."""
        began = time.monotonic()
        over = self.done.wait(max(0.0, _FINISH_TIMEOUT_S - _Sender.waited_s))
        _Sender.waited_s += 0.0 if over else time.monotonic() - began
        return over

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
                if self._run.device_values:
                    self._run.device_values.read()
                self._run.journal.protect(began)
                sent = self._post()
            except Exception as error:  # whatever it is, the next try may succeed
                self._note_failure(error)
                self.done.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
            else:
                posted_at = time.monotonic()
                retry_s = _FIRST_RETRY_S
                _Sender.waited_s = 0.0
                busy_s = min(4 * (posted_at - began), _HEARTBEAT_S)  # where many report, each does so less often
                full = 0.0 if self._stuck_posts else 1.0 if self._ending else min(1.0, sent / _FULL_POST_BYTES)
                self._ending_given.wait((1 - full) * max(busy_s, _POST_INTERVAL_S))

    def _post(self) -> int:
        """One post; how many bytes of records were in it."""
        if self._introduction and not self._introduced:
            self.connection.tell("/api/runs", self._introduction, self._run._warn)
            self._introduced = True
        journal = self._run.journal
        head, records = journal.unsent(_SEGMENT_BYTES << min(self._stuck_posts, 3))
        ending = self._ending  # before what is told: nothing is told after it
        told = {"summary": self._run.shown_summary(), **self._run.told}
        head.update((name, value) for name, value in told.items() if value != self._told.get(name, {}))
        body = b"".join([_json({**head, **self._session}), b"\n", *records])
        answer = self.connection.post(f"{self._path}/points", body, CONTENT_TYPE)
        self._told = told
        self._stuck_posts += 1
        if answer["accepted"] > journal.acknowledged or not records:
            self._stuck_posts = 0
            self._stuck_end = journal.taken
        elif self._stuck_posts > _MAX_STUCK_POSTS:  # counted, not timed: the process may have been stopped for hours
            journal.fill(self._stuck_end)
            self._stuck_posts, self._stuck_end = 0, journal.taken
        journal.acknowledge(answer["accepted"], len(head.get("changes", ())), answer.get("blocks", ()))
        self._run.take_control(answer.get("control") or {})
        if ending and journal.unacknowledged <= 0:
            self.connection.tell(f"{self._path}/finish", ending, self._run._warn)
            self.connection.close()
            self._leave(remove=True, arrived=True)
        return sum(map(len, records))

    def _note_failure(self, error: Exception) -> None:
        """Some refusals are for good. After others (a board on another folder, say) the right board may come back."""
        self.connection.close()
        self._run._revision = 0  # the board that answers next may be another, which counts anew
        self._run.journal.note_time()
        self.refused = isinstance(error, RefusedError)
        journal = self._run.journal
        if not isinstance(error, RefusedError) or journal.go_back(error.body.get("wanted")):
            return
        if error.status == 404:  # a board that was put back to an older state may not know the run
            self._introduced, self._told = False, {}
        has_all = error.body.get("accepted", journal.acknowledged) >= journal.taken
        arrived = error.final and error.status == 409 and self._ending != b"" and has_all  # its answer was lost
        if error.status != 410 and not arrived:
            kept = f"; what it lacks stays in {journal.folder}" if journal.folder else ""
            self._run._warn("refused", f"the board does not take this run's points: {error}{kept}")
        if error.final:
            self._run.take_control({"stop": True})
            self._leave(remove=error.status == 410 or has_all, arrived=arrived)

    def _leave(self, *, remove: bool, arrived: bool) -> None:
        """Post nothing any more, once no media wait, which are in the journal's folder as well."""
        if self._run.media:
            self._run.media.wait()
        self.arrived = arrived
        self._run.journal.leave(remove=remove)
        self.done.set()


def _json(content: Any) -> bytes:
    return json.dumps(content, default=plain, ensure_ascii=False).encode(errors="replace")  # half characters: "?"


def plain(value: Any) -> float | str:
    for convert in (operator.index, _number, float):  # numpy's and torch's numbers are no numbers to JSON
        with contextlib.suppress(Exception):
            return float(number) if not isinstance(number := convert(value), int) else number
    return str(value)


def _number(value: Any) -> Any:
    """What a cell of float64 takes: also of a tensor that requires its gradient, or an array of one element."""
    if isinstance(value, (int, float)):
        return value
    return float(value.item() if hasattr(value, "item") else value)


def _scalar(value: Any) -> Any:
    """One value of a summary or a result."""
    value = value if value is None or isinstance(value, (bool, str)) else plain(value)
    return value[:_MAX_TEXT] if isinstance(value, str) else value


def asked_of(control: Mapping[str, Any]) -> dict[str, Any]:
    """Of each parameter that is asked for its value, and how many times it was asked for."""
    times = control.get("asked") or {}
    return {name: (value, times.get(name)) for name, value in (control.get("params") or {}).items()}


def _step(step: Any) -> float:
    number = float(_number(step))
    if -_MAX_STEP <= number <= _MAX_STEP:
        return number
    raise ValueError(f"step {step} is not a number from {-_MAX_STEP} to {_MAX_STEP}")


def _metric_name(name: str) -> str:
    if name.encode() and len(name) <= _MAX_NAME_CHARS:
        return name
    raise ValueError(f"the name of a metric has 1 to {_MAX_NAME_CHARS} characters")


_FILE_HEAD = {"version": 3}


class _Block:
    """Room for records with the same metrics, in a part of a segment.

    A record is float64 cells: the step, the record's number if that is another (``lead`` is 2), then the metrics.
    Whoever takes the next of ``places``, each the cell before a record's first metric, owns that record, without a
    lock. A closed block has none left.
    """

    def __init__(self, names: tuple[str, ...], segment: _Segment, first: int, records: int, lead: int) -> None:
        """``first``: no record in the block has a smaller number."""
        self.lead = lead
        self.names = names
        self.first = names[0] if names else ""
        self.width = len(names)
        self.pick: Any = operator.itemgetter(*names) if len(names) > 1 else dict.values
        self.record = lead + len(names)
        self.cells = segment.cells
        self.head = 8 * segment.used  # the byte at which its head begins
        head = {"seq": first, "numbered" if lead == 2 else "counted": names, "records": records}
        self.start = segment.append(head, records * self.record)
        self.records = records
        self.seen = self.summed = 0  # how many there were when checksums were last written, and how many have theirs
        self.acknowledged = 0  # of its records, how many the board has
        self.stuck_posts = 0  # in a row, in which a place that was taken stood in the way, and nothing in it
        self.places = iter(range(self.start + lead - 1, self.start + records * self.record, self.record))
        self._unused: list[int] = []  # places that no record gets any more

    @property
    def taken(self) -> int:
        """How many places were taken, from the first one on."""
        return self.records - len(self._unused) - operator.length_hint(self.places)

    @property
    def waits(self) -> bool:
        """Whether records in it are not acknowledged."""
        return self.acknowledged < self.taken

    @property
    def open(self) -> bool:
        """Whether a record may still be begun."""
        return operator.length_hint(self.places) > 0

    def close(self) -> None:
        """Let no further record be begun. In one call, so that neither thread nor interrupt can come between."""
        self._unused.extend(self.places)

    def complete(self, place: int, number: int, step: float) -> None:
        """Make a record whole, after its values."""
        self.cells[place] = number or -0.0
        if self.lead == 2:
            self.cells[place - 1] = step or -0.0

    def check(self, step: Any) -> float:
        """A step that a record here may be given. LookupError if steps are those that count by themselves."""
        if self.lead == 1:
            raise LookupError
        return _step(step)

    def numbers(self) -> tuple[list[Any], list[Any]]:
        """Of each record that is not acknowledged the bits of its step, 0 if it is not written, and its number."""
        begin, end = (self.start + count * self.record for count in (self.acknowledged, self.taken))
        bits = self.cells[begin:end].cast("B").cast("Q")
        return bits[:: self.record].tolist(), self.cells[begin + self.lead - 1 : end : self.record].tolist()

    def acknowledge(self, arrived: int) -> None:
        """The board has so many more of its records, after a post."""
        self.acknowledged += arrived
        at = self.start + self.acknowledged * self.record
        is_written = any(self.cells[at : at + 1].cast("B"))
        self.stuck_posts = 0 if arrived or is_written or not self.waits else self.stuck_posts + 1
        if self.stuck_posts > _MAX_STUCK_POSTS:  # an interrupt came between; the next place gets as much time
            self.acknowledged, self.stuck_posts = self.acknowledged + 1, 0


_NO_BLOCK = types.SimpleNamespace(first="", width=-1)


class _Segment:
    """Blocks, one after the other, in one file or, failing that, in memory."""

    def __init__(self, size: int, path: Path | None) -> None:
        """OSError if the file cannot be made in its full size."""
        self.path = path
        self.buffer = memoryview(bytearray(size) if path is None else _allocate(path, size))
        self.cells = self.buffer.cast("d")
        self.used = 0  # cells
        self.blocks: list[_Block] = []
        self.append(_FILE_HEAD, 0)

    @property
    def left(self) -> int:
        """How many bytes are left for further blocks."""
        return len(self.buffer) - 8 * self.used

    def append(self, head: Mapping[str, Any], cells: int) -> int:
        """Write a head and leave so many cells after it; the first of them."""
        line = _head(head)
        begin = 8 * self.used
        self.buffer[begin : begin + len(line)] = line
        self.used += len(line) // 8 + cells
        return self.used - cells


def _head(content: Mapping[str, Any]) -> bytes:
    """A line of JSON, so long that the cells after it are aligned."""
    line = _json(content)
    return line + b" " * (-(len(line) + 1) % 8) + b"\n"


def _allocate(path: Path, total: int) -> mmap.mmap:
    """A file of zeros that really has its place on the disk: a sparse one on a full disk would end the training."""
    with open(path, "w+b", opener=private) as file:  # there may be one that an interrupt left behind
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, total)
        else:
            file.write(bytes(total))
            file.flush()
        return mmap.mmap(file.fileno(), total)


class _Journal:
    """All records that are not acknowledged yet, in blocks, of which several are open; every record has a number, and
    none is skipped."""

    def __init__(self, name: str, introduction: bytes, warn: Callable[[str, str], None]) -> None:
        """``name`` is that of its folder; empty: it has none, and takes nothing."""
        self.blocks: dict[tuple[str, ...], _Block] = {}  # where records with these metrics go
        self.firsts: dict[str, _Block] = {}  # the newest of them whose first metric has this name
        self.numbers = iter(range(_MAX_STEP))  # of the next records
        self.segments: list[_Segment] = []
        self._posted: list[_Block] = []  # those of which records were in the last post
        self.acknowledged = 0  # up to before which number the board has the records
        self.changes: list[Mapping[str, Any]] = []  # of parameters, as a post has them
        self.acknowledged_changes = 0  # how many of them the board has
        self.times: list[tuple[int, float]] = []  # numbers, and when the records before each were made
        self.closed = not name
        self._lead = 1  # of new blocks
        self.folder: Path | None = None  # None if the records are kept in memory only
        self.lock = threading.RLock()  # of whoever changes the blocks
        self._files = 0  # that were begun
        self._metrics: dict[str, None] = {}
        self._gone = 0  # records before this number are not kept any more
        self._held = contextlib.ExitStack()
        self._warn = warn
        self._disk_full_at = -_DISK_RETRY_S
        self._protected_at = 0.0
        try:
            if name:
                folder = private_folder("journals", name)
                self._held.enter_context(hold(folder))
                write(folder / "run.json", introduction)  # only now: a dead script's folder is not held
                self.folder = folder
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
            warn("folder", f"no journal can be kept ({error}); points wait in memory")

    @property
    def taken(self) -> int:
        """Up to before which number records were begun."""
        return _MAX_STEP - operator.length_hint(self.numbers)

    @property
    def unacknowledged(self) -> int:
        """How many records and changes the board has not acknowledged."""
        return self.taken - self.acknowledged + len(self.changes) - self.acknowledged_changes

    def note_change(self, step: float, params: Mapping[str, Any]) -> None:
        """Keep that these parameters hold from a step on; to be called before a record is made with them."""
        change = {"step": step, "params": dict(params), "number": len(self.changes)}
        with contextlib.suppress(OSError):  # on a full disk it waits in memory, as the records do
            if self.folder:
                write(self.folder / "changes.jsonl", _json(change) + b"\n", "ab")
        self.changes.append(change)

    def note_time(self) -> None:
        """Keep when the newest records were made, as the board hears of them later."""
        if self.taken > max(self.acknowledged, self.times[-1][0] if self.times else -1):
            self.times = [*self.times[:: 1 + len(self.times) // _MAX_TIMES], (self.taken, time.time())]
            with contextlib.suppress(OSError):
                if self.folder:
                    write(self.folder / "times.jsonl", _json(self.times[-1]) + b"\n", "ab")

    def admits(self, name: str) -> bool:
        """Whether a metric is one of the first _MAX_METRICS."""
        if name not in self._metrics and len(self._metrics) < _MAX_METRICS:
            self._metrics[name] = None
        elif name not in self._metrics:
            self._warn("metrics", f"{name!r} and other new metrics are not logged: a run has at most {_MAX_METRICS}")
        return name in self._metrics

    def number_records(self) -> None:
        """From now on the steps of records are not their numbers."""
        with self.lock:
            if self._lead == 1:
                self._lead = 2
                for block in self._all_blocks():
                    block.close()

    def place_for(self, names: tuple[str, ...]) -> tuple[_Block | None, int | None]:
        """A place for a record with these metrics, and its block; None if there is no room, or it is closed."""
        while (block := self.open_block(names)) is not None:
            if (place := next(block.places, None)) is not None:
                return block, place
        return None, None

    def open_block(self, names: tuple[str, ...]) -> _Block | None:
        """A block with room for records with these metrics; beyond _MAX_LAYOUTS sets of them, with all metrics."""
        with self.lock:
            if names not in self.blocks and len(self.blocks) >= _MAX_LAYOUTS:
                names = tuple(self._metrics)
            block = self.blocks.get(names)
            if not self.closed and (block is None or not block.open):
                block = self._new_block(names, 2 * block.records if block else _FIRST_BLOCK_RECORDS)
                if block is not None:
                    self.blocks[names] = block
            if block is not None and not self.closed:
                self.firsts[names[0]] = block
            return None if self.closed else block

    def _new_block(self, names: tuple[str, ...], records: int) -> _Block | None:
        """With the lock held: a block in the newest segment or a new one; None if there is no room."""
        lead = self._lead if names else 2
        record_bytes = 8 * (lead + len(names))
        records = max(1, min(records, _BLOCKS_BYTES // (1 + len(self.blocks)) // record_bytes))
        least = record_bytes + len(_head({"seq": _MAX_STEP, "numbered": names, "records": records}))
        if not self.segments or self.segments[-1].left < least:
            self._add_segment(least + (records - 1) * record_bytes)
        if not self.segments or self.segments[-1].left < least:
            return None
        segment = self.segments[-1]
        block = _Block(names, segment, self.taken, min(records, 1 + (segment.left - least) // record_bytes), lead)
        segment.blocks.append(block)
        return block

    def _add_segment(self, least: int) -> None:
        """With the lock held: add a segment with room for so many bytes, if that can be had."""
        # Each file is one that the process has open: the more there are, the longer may the next be.
        filled = len(self.segments[-1].buffer) if self.segments else 0
        longest = _SEGMENT_BYTES << min(len(self.segments) // 8, _MAX_GROWTH)
        least = (least + len(_head(_FILE_HEAD)) + 7) // 8 * 8
        size = max(least, min(max(_FIRST_SEGMENT_BYTES, 2 * filled), longest))
        if self.folder and time.monotonic() - self._disk_full_at > _DISK_RETRY_S:
            self._files += 1
            path = self.folder / f"{self._files:06d}.points"
            try:
                self.segments.append(_Segment(size, path))
            except OSError as error:
                self._disk_full_at = time.monotonic()
                with contextlib.suppress(OSError):
                    path.unlink()
                self._warn("disk", f"the journal cannot grow ({error}); points wait in memory while there is room")
            else:
                return
        room = _MEMORY_BYTES - sum(len(one.buffer) for one in self.segments if one.path is None)
        size = max(least, min(size, room // 8 * 8, _SEGMENT_BYTES))
        if room < max(size, _FIRST_SEGMENT_BYTES):
            self._warn("full", "no room is left, neither on disk nor in memory: points are lost")
        else:
            self.segments.append(_Segment(size, None))

    def fill(self, end: int) -> None:
        """Write a record without metrics for each number before ``end`` that was taken and never written: at an
        interrupt."""
        written: set[float] = set()
        for block in self._all_blocks():
            bits, numbers = block.numbers()
            written.update(compress(numbers, bits))
        lost = sorted({*range(self.acknowledged, end)} - written)
        while lost:
            with self.lock:
                filler = self._new_block((), len(lost))
            if filler is None:
                return
            for number, place in zip(lost, filler.places):  # noqa: B905  (Python 3.9 knows no strict)
                filler.complete(place, number, number)
            lost = lost[filler.records :]
            filler.close()

    def _all_blocks(self) -> list[_Block]:
        return [block for segment in [*self.segments] for block in segment.blocks]

    def unsent(self, most: int) -> tuple[dict[str, Any], list[memoryview]]:
        """The head of a post and the bytes of the oldest records that are not acknowledged, ``most`` of them or little
        more; all such changes, also earlier ones."""
        self._let_go()
        described, records, size = [], [], 0
        self._posted = []
        for segment in [*self.segments]:
            for block in segment.blocks:
                begin, end = (8 * (block.start + count * block.record) for count in (block.acknowledged, block.taken))
                if begin < end and size < most:
                    kind = {"metrics": block.names, "records": (end - begin) // (8 * block.record)}
                    described.append(kind if block.lead == 2 else {**kind, "counted": True})
                    records.append(segment.buffer[begin:end])
                    self._posted.append(block)
                    size += end - begin
        head: dict[str, Any] = {"version": 2, "seq": self.acknowledged, "blocks": described}
        if times := [one for one in self.times if one[0] > self.acknowledged]:
            head["times"] = times
        if changes := self.changes[self.acknowledged_changes :]:  # read last: none of those before a record is missing
            head["changes"] = changes
        return head, records

    def _let_go(self) -> None:
        """Remove segments of which all has arrived. Where there are many, such a one gets no more records."""
        for segment in self.segments[:-1]:
            if not any(block.waits for block in segment.blocks):
                with self.lock:
                    for block in segment.blocks if len(self.segments) > _MAX_FILES else ():
                        block.close()
                if any(block.open or block.waits for block in segment.blocks):
                    continue
                self.segments.remove(segment)
                self._gone = self.acknowledged
                if segment.path:
                    with contextlib.suppress(OSError):  # they go with the folder
                        segment.path.unlink()
                        segment.path.with_suffix(".sums").unlink()

    def acknowledge(self, accepted: int, changes: int, arrived: Sequence[int]) -> None:
        """The board has all records before a number, so many changes more, and of each block that was posted so many
        records more."""
        self.acknowledged = accepted
        self.acknowledged_changes += changes
        for block, count in zip(self._posted, arrived):  # noqa: B905  (Python 3.9 knows no strict)
            block.acknowledge(count)

    def go_back(self, wanted: int | None) -> bool:
        """The board wants records that it had acknowledged: whether they are still here, and are sent again."""
        if wanted is None or not self._gone <= wanted < self.acknowledged:
            return False
        self.acknowledged, self.acknowledged_changes = wanted, 0
        for block in self._all_blocks():
            block.acknowledged = 0
        return True

    def protect(self, now: float) -> None:
        """Once a second, write checksums of what was there a second ago and is not acknowledged. With LOSSBOARD_SYNC,
        bring the files to the disk as well; else the system does so when it likes."""
        if now - self._protected_at < _PROTECT_S or not self.folder or self.unacknowledged <= 0:
            return
        self._protected_at = now
        with contextlib.suppress(OSError, ImportError):  # records without a checksum are sent all the same, and marked
            for segment in self.segments:
                _extras("checksums").add_sums(segment, everything=self.closed)
        with contextlib.suppress(OSError):
            for path in self.folder.glob("[!m]*") if (os.environ.get("LOSSBOARD_SYNC") or "0") != "0" else ():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())  # also of what was written through a mapping

    def seal(self, ending: bytes) -> None:
        """Let nothing more be begun, and keep how the run ended, unless points before that are in memory only."""
        with self.lock:
            self.closed = True
            self.blocks.clear()
            self.firsts.clear()
            for block in self._all_blocks():
                block.close()
        with contextlib.suppress(OSError):  # on a full disk the board hears of it all the same
            lost = [one for one in self.segments if not one.path and any(block.waits for block in one.blocks)]
            if self.folder and not lost:
                write(self.folder / "ending.json", ending)

    def leave(self, *, remove: bool = False) -> None:
        """Touch the files no more and let go of them, as in a fork, where they are the parent's; or remove them."""
        folder = self.folder
        self.lock = threading.RLock()  # a thread of the parent's may have held the old one
        self.closed = True
        for block in self._all_blocks():
            block.places = iter(())
        self.blocks.clear()
        self.firsts.clear()
        self.segments = []
        self.folder = None
        if folder and remove:
            remove_journal(folder, self._held.close)
        self._held.close()


def remove_journal(folder: Path, release: Callable[[], None]) -> None:
    """Remove a journal of which everything has arrived, or nothing is wanted; ``release`` lets go of its folder."""
    if sys.platform == "win32":
        release()  # it renames no folder in which a file is open
    with contextlib.suppress(OSError):  # in one step: a kill leaves a journal, or what the next board clears away
        folder = folder.rename(folder.with_suffix(DONE))
    release()
    shutil.rmtree(folder, ignore_errors=True)


class RefusedError(Exception):
    """The board refused, or is not the one to ask; ``final`` if the run has ended or was deleted; ``body`` is JSON."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.body: dict[str, Any] = {}
        with contextlib.suppress(ValueError, LookupError, TypeError):
            self.body = dict(json.loads(text))
            text = self.body["detail"][0]["msg"]
        super().__init__(f"{status} {text[:500]}")
        self.final = status == 410 or (status == 409 and "wanted" not in self.body)


class Connection:
    """A kept-alive connection to ``url``: LOSSBOARD_URL unless given, else to the data folder's board. That is looked
    for whenever a connection opens, and proves that it has the folder's key. ValueError: no address."""

    right = "report"  # of the token that is sent
    read: Any = staticmethod(json.load)  # what request() gives of the response

    def __init__(
        self, url: str | None = None, timeout_s: float = _RESPONSE_TIMEOUT_S, token: str | None = None
    ) -> None:
        """``token``: to be sent, unless it is that of token_for()."""
        self.named = url or os.environ.get("LOSSBOARD_URL") or ""
        self._timeout_s, self._token = timeout_s, token
        self._aim()

    def _aim(self) -> None:
        found = _kept(ADDRESS_FILE).decode(errors="replace")
        self.url = (self.named or (found if found.startswith("http://") else "http://127.0.0.1:8000")).rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {self.url!r} is no address of a board; send something like http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=self._timeout_s)
        self._connection.auto_open = 0  # but _open() opens it
        self.close = self._connection.close
        self._path = parts.path
        secret = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}").encode()
        token = token_for(self.url, self.right) if self._token is None else self._token
        login = f"Basic {base64.b64encode(secret).decode()}" if parts.username is not None else f"Bearer {token}"
        self._headers = {"Authorization": login} if token or parts.username is not None else {}

    def _open(self) -> None:
        self._aim()
        self._connection.connect()
        if self.named:
            return
        key, nonce = _kept(KEY_FILE), os.urandom(16).hex()
        with contextlib.ExitStack() as unless_proved, contextlib.suppress(ValueError, LookupError, TypeError):
            unless_proved.callback(self.close)
            self._connection.request("GET", f"{self._path}/api/challenge?nonce={nonce}")
            shown = json.loads(self._connection.getresponse().read(1000))["proof"]
            proof = hmac.new(key, f"{nonce} {self.url}".encode(), "sha256").hexdigest()  # no other board can lend it
            if key and hmac.compare_digest(shown, proof):
                unless_proved.pop_all()
                return
        raise RefusedError(503, f"{self.url} is no board of {data_folder()}; to trust it, set LOSSBOARD_URL={self.url}")

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        """The JSON of the board's answer. RefusedError, OSError or http.client.HTTPException."""
        return self.request("POST", path, body, {"Content-Type": content_type})

    def request(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Any:
        """As post()."""
        if self._connection.sock is None:
            self._open()
        self._connection.request(method, self._path + path, body, {**headers, **self._headers})
        response = self._connection.getresponse()
        if response.status >= 300:
            raise RefusedError(response.status, response.read().decode(errors="replace"))
        return self.read(response)

    def tell(self, path: str, content: bytes, warn: Callable[[str, str], None]) -> None:
        """Post how a run begins or ends; where the board refuses its params or result, warn and post the rest."""
        try:
            self.post(path, content)
        except RefusedError as error:
            if error.status != 422:
                raise
            self.post(path, _json({k: v for k, v in json.loads(content).items() if k in _KEPT}))
            warn(path, f"the board refused a part of this run, and took the rest: {error}")


def _kept(name: str) -> bytes:
    """What is in a file of the data folder; nothing if another user has made it."""
    with contextlib.suppress(OSError, RuntimeError), open(data_folder() / name, "rb", opener=private) as file:
        if sys.platform == "win32" or os.fstat(file.fileno()).st_uid == os.geteuid():
            return file.read()
    return b""


def token_for(url: str, right: str = "report") -> str:
    """What a board asks for: LOSSBOARD_TOKEN, else the token of this right of this data folder's board."""
    given = (os.environ.get("LOSSBOARD_TOKEN") or "auto").strip()
    if given not in ("auto", "on"):
        return "" if given == "off" else given
    with contextlib.suppress(ValueError, LookupError, TypeError):
        if _kept(ADDRESS_FILE) == url.encode():
            return str(json.loads(_kept(TOKENS_FILE))[right])
    return ""


def data_folder() -> Path:
    """LOSSBOARD_DIR, or the user's data folder for lossboard: where the board keeps its data, and scripts journals."""
    if chosen := os.environ.get("LOSSBOARD_DIR") or os.environ.get("LOSSBOARD_DATA_DIR"):
        return Path(chosen)
    homes = {"win32": os.environ.get("LOCALAPPDATA", "~/AppData/Local"), "darwin": "~/Library/Application Support"}
    home = Path(homes.get(sys.platform) or os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    return home.expanduser() / "lossboard"


def private_folder(*names: str) -> Path:
    """Such a folder in the data folder, its user's alone whatever the umask. OSError if another user has made it."""
    folder = data_folder()
    for name in ("", *names):
        folder /= name
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and folder.stat().st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
    return folder


def private(path: Any, flags: int) -> int:
    """Opens a file of the data folder: a new one is its user's alone, and no symbolic link is followed."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def write(path: Path, content: bytes, mode: str = "wb") -> None:
    """Write a file of the data folder."""
    with open(path, mode, opener=private) as file:
        file.write(content)


def _run_id(given: str) -> str:
    """An id as the board has it: 32 hex digits, of any text."""
    is_one = len(given) == 32 and not set(given) - set("0123456789abcdef")
    return given if is_one else hashlib.md5(given.encode(errors="replace"), usedforsecurity=False).hexdigest()


def _is_held(run_id: str) -> bool:
    """Whether another process on this machine reports a run."""
    with contextlib.suppress(RuntimeError):
        for folder in (data_folder() / "journals").glob(f"{run_id}*"):
            try:
                hold(folder).close()
            except BlockingIOError:
                return True
            except OSError:  # it is no journal of ours
                continue
    return False


def hold(folder: Path) -> IO[bytes]:
    """Hold a folder until the file is closed, at most until this process ends. OSError if it is held."""
    with contextlib.ExitStack() as unless_held:
        lock = unless_held.enter_context(open(folder / "lock", "ab", opener=private))
        if sys.platform == "win32":
            importlib.import_module("msvcrt").locking(lock.fileno(), 2, 1)  # LK_NBLCK
        else:
            importlib.import_module("fcntl").flock(lock, 6)  # LOCK_EX | LOCK_NB
        unless_held.pop_all()
        return lock


run = Run  # as scripts read best: lossboard.run("digits")

if __name__ == "__main__":  # python -m lossboard run -- python train.py
    sys.exit(_extras("command").main())
