"""Report a training run to Lossboard and watch it live. One file, standard library only.

    import lossboard

    run = lossboard.run("digits", params={"lr": 0.1})
    for batch in loader:
        loss = train(batch, lr=run.params["lr"])
        run.log(loss=loss)
        run.wait_while_paused()
        if run.should_stop:
            break
    run.finish()

What people ask for on the board comes back with the points' acknowledgements: ``run.params`` holds every numeric
parameter as it was last set there, ``run.should_stop`` tells that someone pressed Stop, and ``run.wait_while_paused()``
returns at once unless someone pressed Pause; then it waits for Resume, Stop, or Step, which lets one call through.
Nothing else ever waits: a script that does not call it cannot be paused.

``log()`` raises nothing and never waits for the network: it appends to a list that a sender thread empties every
50 ms. When the board is away, points wait in memory and are sent when it is back.

The binary form of ``POST /api/runs/{id}/points`` (content type ``application/vnd.lossboard.points``): one line of
JSON, ``{"seq": 0, "metrics": ["loss", "w"]}``, then the records, each ``1 + len(metrics)`` little-endian float64: the
step, then the metrics in that order. A metric that a step lacks is the NaN with the bit pattern ``MISSING_BITS``;
every other NaN is a NaN that was logged. ``seq`` is the number of the first record; an empty batch is a heartbeat.

Each answer says all that the board asks of the run, however often: ``{"accepted": 2, "control": {"stop": false,
"pause": true, "hold": "5f0c", "steps": 3, "params": {"lr": 0.2}}}``. A paused run may take ``steps`` steps, counted
from where it was when it first saw this ``hold``. ``POST /api/runs/{id}/changes`` with ``{"step": 57, "params": {"lr":
0.2}}`` tells the board from which step on a changed parameter holds.
"""

from __future__ import annotations

import atexit
import http.client
import json
import math
import os
import struct
import sys
import threading
import time
import urllib.parse
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

__all__ = ["Run", "run"]

CONTENT_TYPE = "application/vnd.lossboard.points"
MISSING_BITS = 0x7FF8_4C4F_5353_0001  # a quiet NaN that no arithmetic produces; "LOSS" in ASCII inside
MISSING: float = struct.unpack("<d", struct.pack("<Q", MISSING_BITS))[0]

_SEND_INTERVAL = 0.05  # seconds between two batches while points come
_MAX_BATCH = 1 << 20  # bytes of records in one post
_TIMEOUT = 10.0  # seconds to wait for one answer
_GOODBYE = 10.0  # seconds that finish() waits for the last points to arrive

Packed = tuple[tuple[str, ...], bytes]  # the names of the metrics, and records of 1 + len(names) float64


def run(
    name: str = "run",
    *,
    params: Mapping[str, Any] | None = None,
    url: str | None = None,
    group: str | None = None,
) -> Run:
    """Start reporting a run called ``name`` to the board at ``url`` (default: LOSSBOARD_URL, else port 8000 here).

    ``params`` are shown beside the curve; the board may change the numeric ones while the run goes on, and
    ``run.params`` always holds what it last asked for. The call returns at once, whether or not a board is there.
    """
    return Run(name, params=params, url=url, group=group)


class Run:
    """A run that is being reported. Also a context manager: an exception inside it makes the run ``failed``.

    Attributes: ``id`` (32 hex digits), ``url`` (the run's address in the board's API), ``params`` (the parameters,
    as the board last asked for them), ``should_stop`` (someone pressed Stop).
    """

    def __init__(
        self,
        name: str = "run",
        *,
        params: Mapping[str, Any] | None = None,
        url: str | None = None,
        group: str | None = None,
        attach_to: str | None = None,
        heartbeat: float = 1.0,
        control: Mapping[str, Any] | None = None,
    ) -> None:
        """``attach_to`` reports to a run that the board already knows, and has asked ``control`` of; ``heartbeat`` is
        in seconds."""
        self.id = attach_to or uuid.uuid4().hex
        self.params: dict[str, Any] = dict(params or {})
        self.control: Mapping[str, Any] = control or {}
        self._asked = threading.Event()  # the board asks for something else than before
        self._hold = ""
        self._held_at = 0
        self._passed = 0  # calls of wait_while_paused() that have returned
        self._board = _Board(url or os.environ.get("LOSSBOARD_URL") or "http://127.0.0.1:8000")
        self.url = f"{self._board.url}/api/runs/{self.id}"
        self._announcement: dict[str, Any] | None = None
        self._is_script = attach_to is None  # a worker takes and reports changes between its steps, itself
        if self._is_script:
            self._announcement = {"method": "external", "id": self.id, "name": name, "params": self.params}
            if group:
                self._announcement["group"] = group
        self._next_step = 0
        self._complained = False
        self._finished = False
        self._sender = _Sender(self._board, self.id, self._announcement, self._take_control, heartbeat)
        atexit.register(self._exit)

    @property
    def should_stop(self) -> bool:
        """Whether the board asked this run to end (someone pressed Stop, or deleted it)."""
        return self._sender.stop_asked.is_set()

    def log(self, step: float | None = None, **metrics: float) -> None:
        """Log one point. ``step`` counts by itself unless given; metrics are numbers (anything ``float()`` takes)."""
        try:
            number = self._next_step if step is None else step
            self._next_step = int(number) + 1
            self._sender.queue.append((tuple(metrics), struct.pack(f"<{1 + len(metrics)}d", number, *metrics.values())))
        except Exception as error:  # a typo in a metric must not end a training of hours
            if not self._complained:
                self._complained = True
                warnings.warn(f"lossboard: this point was not logged: {error}", stacklevel=2)

    def log_packed(self, names: Sequence[str], records: bytes) -> None:
        """Log many points at once, packed as the board takes them: per record the step, then a value per name.

        Waits while the board is far behind, so that memory stays bounded: for workers, which may.
        """
        self._sender.queue.append((tuple(names), records))
        while len(self._sender.queue) > 1000 and not self.should_stop:
            self._sender.stop_asked.wait(0.01)

    def wait(self, seconds: float) -> None:
        """Sleep, but wake up at once when the board asks for something else than before."""
        self._asked.wait(seconds)
        self._asked.clear()

    def wait_while_paused(self) -> None:
        """Wait while the board holds this run; once a step, between two steps. Each Step lets one call return."""
        while not self.should_stop and self.steps_left(self._passed) <= 0:
            self.wait(60)
        self._passed += 1

    def steps_left(self, taken: int) -> float:
        """How many more steps the board lets this run take, of which ``taken`` are taken: math.inf unless it is paused.

        For the thread that takes the steps: a pause counts from where that thread is when it first sees it.
        """
        control = self.control
        if not control.get("pause"):
            self._hold = ""
            return math.inf
        if control.get("hold") != self._hold:
            self._hold, self._held_at = control.get("hold", ""), taken
        left: int = self._held_at + control.get("steps", 0) - taken
        return left

    def report_change(self, step: float, params: Mapping[str, Any]) -> None:
        """Tell the board that these parameters hold from this step on."""
        self._sender.reports.append(json.dumps({"step": step, "params": params}).encode())

    def finish(
        self, status: str = "finished", result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> bool:
        """Send what is left and say how the run ended: finished, failed, stopped or diverged.

        Waits for the last points for at most ten seconds. True if the board has acknowledged everything.
        """
        if self._finished:
            return True
        self._finished = True
        atexit.unregister(self._exit)
        if status == "finished" and self.should_stop:
            status = "stopped"
        ending: dict[str, Any] = {"status": status}
        if result is not None:
            ending["result"] = {key: _jsonable(value) for key, value in result.items()}
        if error is not None:
            ending["error"] = error
        done = self._sender.end(ending, _GOODBYE)
        if not done and not self._sender.gone:
            warnings.warn(f"lossboard: no board answered at {self._board.url}; points were lost", stacklevel=2)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("stopped")
        else:
            self.finish("failed", error=f"{type(error).__name__}: {error}"[:2000])

    def _take_control(self, control: Mapping[str, Any]) -> None:
        if control == self.control:
            return
        self.control = control
        missing = object()
        new = {key: value for key, value in control.get("params", {}).items() if self.params.get(key, missing) != value}
        self.params.update(new)
        if new and self._is_script:
            self.report_change(self._next_step, new)
        self._asked.set()

    def _exit(self) -> None:
        error = getattr(sys, "last_value", None)
        if error is None:
            self.finish()
        else:
            self.finish("failed", error=f"{type(error).__name__}: {error}"[:2000])


class _Sender(threading.Thread):
    """Empties the queue of records into posts, and survives whatever the network does.

    A post is repeated, with the same numbers, until it is acknowledged: the board takes each record once.
    """

    def __init__(
        self,
        board: _Board,
        run_id: str,
        announcement: dict[str, Any] | None,
        take_control: Callable[[Mapping[str, Any]], None],
        heartbeat: float,
    ) -> None:
        super().__init__(name="lossboard-sender", daemon=True)
        self.queue: deque[Packed] = deque()
        self.reports: deque[bytes] = deque()  # of changed parameters
        self.stop_asked = threading.Event()
        self.gone = False  # the board will take nothing more of this run
        self._post: bytes | None = None  # the body that is not acknowledged yet
        self._acknowledged = 0  # how many records are
        self._board = board
        self._run_id = run_id
        self._announcement = announcement
        self._take_control = take_control
        self._heartbeat = heartbeat
        self._ending: dict[str, Any] | None = None
        self._wake = threading.Event()
        self._done = threading.Event()
        self._pid = os.getpid()
        self.start()

    def end(self, ending: dict[str, Any], seconds: float) -> bool:
        """Have everything sent, then the ending; False if that took longer than ``seconds``."""
        if os.getpid() != self._pid:  # a fork of the training process has no sender thread and nothing to report
            return False
        self._ending = ending
        self._wake.set()
        self._done.wait(seconds)
        return self._done.is_set() and not self.gone

    def run(self) -> None:
        last_post = 0.0
        patience = 0.1
        while not self._done.is_set():
            idle = time.monotonic() - last_post < self._heartbeat
            if not self.queue and not self.reports and self._ending is None and idle:
                self._wake.wait(_SEND_INTERVAL)
                continue
            try:
                self._send()
                last_post = time.monotonic()
                patience = 0.1
            except Exception as error:  # whatever it is, the next try may fare better
                self._board.close()
                if isinstance(error, _BoardRefusedError) and error.final:
                    self._give_up(error)
                self._done.wait(patience)
                patience = min(2 * patience, 2.0)
                continue
            if self._ending is None:
                self._wake.wait(_SEND_INTERVAL)

    def _send(self) -> None:
        if self._announcement is not None:
            self._board.call("POST", "/api/runs", json.dumps(self._announcement, default=str).encode())
            self._announcement = None
        while self.reports:
            self._board.call("POST", f"/api/runs/{self._run_id}/changes", self.reports[0])
            self.reports.popleft()
        if self._post is None:
            self._post = encode(self._acknowledged, self._take())
        answer = self._board.call("POST", f"/api/runs/{self._run_id}/points", self._post, CONTENT_TYPE)
        self._post = None
        self._acknowledged = answer["accepted"]
        control = answer.get("control") or {}
        if control.get("stop"):
            self.stop_asked.set()
        self._take_control(control)
        if self._ending is not None and not self.queue and not self.reports:
            self._board.call("POST", f"/api/runs/{self._run_id}/finish", json.dumps(self._ending).encode())
            self._board.close()
            self._done.set()

    def _take(self) -> list[Packed]:
        taken: list[Packed] = []
        size = 0
        while self.queue and size < _MAX_BATCH:
            taken.append(self.queue.popleft())
            size += len(taken[-1][1])
        return taken

    def _give_up(self, error: _BoardRefusedError) -> None:
        self.gone = True
        self.stop_asked.set()
        self._take_control({"stop": True})
        self.queue.clear()
        self._post = None
        self._done.set()
        if error.status != 410:
            warnings.warn(f"lossboard: the board refuses this run: {error}", stacklevel=2)


class _BoardRefusedError(Exception):
    """The board answered with something other than success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.final = 400 <= status < 500 and status not in (408, 429)


class _Board:
    """One kept-alive connection to the board at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: {url!r} is no address of a board; send something like http://127.0.0.1:8000")
        self._parts = parts
        self._connection: http.client.HTTPConnection | None = None

    def call(self, verb: str, path: str, body: bytes, content_type: str = "application/json") -> Any:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
        self._connection.request(verb, self._parts.path + path, body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise _BoardRefusedError(response.status, text[:500].decode(errors="replace"))
        return json.loads(text)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def encode(seq: int, packed: Sequence[Packed]) -> bytes:
    """The body of a post (see the top of this file): ``packed`` in one table, a metric that a record lacks MISSING."""
    names = tuple(dict.fromkeys(name for part, _ in packed for name in part))
    table = [records if part == names else _widen(part, names, records) for part, records in packed]
    return json.dumps({"seq": seq, "metrics": names}).encode() + b"\n" + b"".join(table)


def _widen(part: tuple[str, ...], names: tuple[str, ...], records: bytes) -> bytes:
    """Records with the metrics ``part`` as records with all ``names``."""
    place = {name: column for column, name in enumerate(part, 1)}
    columns = [place.get(name) for name in names]
    rows = struct.iter_unpack(f"<{1 + len(part)}d", records)
    return b"".join(
        struct.pack(f"<{1 + len(names)}d", row[0], *(MISSING if at is None else row[at] for at in columns))
        for row in rows
    )


def _jsonable(value: Any) -> Any:
    """Numbers that JSON lacks travel as "NaN", "Infinity" and "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
