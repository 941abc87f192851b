"""A worker: runs one trainer and reports its points through the client."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import os
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

import numpy as np
from numpy.typing import NDArray

import lossboard
from app import processes
from app.workers.executor import Job
from app.workers.priority import lower_priority
from app.workers.reporter import WorkerRun
from trainers import METHODS
from trainers.method import DIVERGED, Method
from trainers.params import Params
from trainers.problem import Data, make_data
from trainers.theory.explosion import cost_scale, is_explosion, mean_squared_error

# Between two checks of what the board asks, a worker takes at most so many steps, and steps for about so long.
MAX_STEPS_AT_ONCE = 1000
STEPPING_S = 0.05
DATA_TIMEOUT_S = 30.0
CATCH_UP_S = 0.25  # a slowed run that is later than that, as after the machine's sleep, does not catch up
RETRY_S = 1.0  # after the board could not read it, as while another program holds its database
MAX_WAIT_S = 60.0  # at 1e-300 steps a second, the time until the next step is more than a wait can take

type Row = tuple[float | None, ...]


def work(job: Job) -> None:
    """Run a job to its end and report how it ended. Failures are reported, not raised; SystemExit if the board has
    ended before the run could start."""
    method = METHODS[job.method]
    os.environ["LOSSBOARD_DIR"] = job.folder  # its journal lies where the next board finds it, if this one is killed
    os.environ["LOSSBOARD_TOKEN"] = job.token or "off"
    try:
        params = method.params.model_validate(job.params)
        try:
            data = fetch_data(job)
        except HTTPError:  # the board's response
            raise
        except (OSError, HTTPException):  # there is no board: the next one records how the run ended
            sys.exit(1)
        if method.needs_torch:
            torch = importlib.import_module("torch")  # only where it is needed: it takes seconds
            torch.set_num_threads(1)  # runs share the cores: more threads for one only take them from the others
        before = method.predict(method.initial(params), params.predict_at)
    except Exception as error:
        run = WorkerRun(job)
        run.finish("failed", error=_sentence(error))
        return
    run = WorkerRun(job)
    training = Training(run, method, params, data, {"predict_before": before})
    try:
        status = training.go()
    except Exception as error:
        traceback.print_exc()
        run.finish("failed", training.result, _sentence(error))
    else:
        run.finish(status, training.result)


@dataclass
class Training:
    """One trainer under way, and its result so far."""

    run: WorkerRun
    method: Method[Any]
    params: Params
    data: Data
    result: dict[str, float]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._scale = cost_scale(self.method, self.params, self.data)
        self._last: dict[str, float] = {}  # the newest point's values
        self._done = 0  # steps taken
        self._stepped = -math.inf  # clock() at the time of the last step
        self._due = self.clock()  # that of the next step, if the run is slowed

    def go(self) -> str:
        """Take all steps. Returns the status in which the run ends: a descent that ends far above where it began has
        diverged, though its numbers are finite."""
        status = self._take_steps()
        if status == "diverged" or self._scale is None or not self._last:
            return status
        cost = mean_squared_error(self.data, self._last)
        self.result["final_mse"] = cost
        return "diverged" if is_explosion(cost, self._scale) else status

    def _take_steps(self) -> str:
        """Take all steps, up to one that is not finite, or beyond DIVERGED. Returns the status."""
        steps: Iterator[Row] = iter(self.method.train(self.data, self.params))
        total = self.method.total_steps(self.params, len(self.data))
        at_once = 1
        while not self.run.should_stop:
            if self._done >= total:
                return "finished"
            allowed = self._allowed()
            self._take_changes()  # after _allowed(): a step asked for after a change is taken with it
            if not allowed:
                continue
            began = time.perf_counter()
            wanted = min(at_once, allowed)
            rows, overflowed = _take(steps, wanted)
            diverged = self._report(self._done, rows) or overflowed
            self._done += len(rows)
            if diverged:
                return "diverged"
            if len(rows) < wanted:
                return "finished"
            spent = max(time.perf_counter() - began, 1e-9)
            at_once = max(1, min(MAX_STEPS_AT_ONCE, 2 * wanted, int(wanted * STEPPING_S / spent)))
        return "stopped"

    def _allowed(self) -> int:
        """How many steps may be taken now. If none, waits first, until one is due or the board asks for something."""
        left = self.run.steps_left(self._done)
        now = self.clock()
        if left <= 0:
            self.run.wait(MAX_WAIT_S)
            self._due = self.clock()  # the first step after a pause is taken at once
            return 0
        pace = self.params.steps_per_second
        if left < math.inf or not pace:  # single steps are asked for by hand, and taken at once
            self._stepped = self._due = now
            return int(min(left, MAX_STEPS_AT_ONCE))
        if self._due > now:
            self.run.wait(min(self._due - now, MAX_WAIT_S))
            return 0
        self._stepped = now
        self._due = (self._due if now - self._due <= CATCH_UP_S else now) + 1 / pace
        return 1

    def _take_changes(self) -> None:
        """Apply the parameters that were changed on the board: they hold from the next step on."""
        asked: dict[str, Any] = self.run.control.get("params") or {}
        changed = {name: value for name, value in asked.items() if getattr(self.params, name) != value}
        for name, value in changed.items():
            setattr(self.params, name, value)
        if changed:
            self.run.report_change(self._done, changed)
        if pace := changed.get("steps_per_second"):
            self._due = max(self.clock(), self._stepped + 1 / pace)

    def _report(self, first: int, rows: list[Row]) -> bool:
        """Log the points of these steps, up to the first that has diverged. Returns whether one has."""
        if not rows:
            return False
        names = self.method.metrics(self.params)
        table = _table(first, rows)
        watched = table[:, [1 + names.index("w"), 1 + names.index("loss")]]
        bad = np.flatnonzero(~(np.abs(watched) <= DIVERGED).all(axis=1))
        if len(bad):
            table = table[: bad[0] + 1]
        self.run.log_table(names, table)
        self._update_result(names, table)
        return len(bad) > 0

    def _update_result(self, names: tuple[str, ...], table: NDArray[np.float64]) -> None:
        column = {name: table[:, at] for at, name in enumerate(names, 1)}
        last = self._last = {name: float(values[-1]) for name, values in column.items()}
        if self.method.kind == "search":  # its result is the best candidate, not the last
            best = int(np.nanargmin(column["loss"])) if not np.isnan(column["loss"]).all() else 0
            if not column["loss"][best] >= self.result.get("best_loss", np.inf):
                self.result["best_w"] = float(column["w"][best])
                self.result["best_loss"] = float(column["loss"][best])
            last = last | {"w": self.result.get("best_w", last["w"])}
        self.result["predict_after"] = self.method.predict(last, self.params.predict_at)


def _take(steps: Iterator[Row], count: int) -> tuple[list[Row], bool]:
    """The next ``count`` steps, fewer at the end; and whether Python's arithmetic overflowed, which is divergence."""
    rows: list[Row] = []
    try:
        rows.extend(itertools.islice(steps, count))  # keeps what it has when the trainer raises
    except OverflowError:
        return rows, True
    return rows, False


def _table(first: int, rows: list[Row]) -> NDArray[np.float64]:
    """Shape (points, 1 + metrics): the step, then the values, None as MISSING."""
    table = np.empty((len(rows), 1 + len(rows[0])))
    table[:, 0] = np.arange(first, first + len(rows))
    table[:, 1:] = rows
    for at, column in np.argwhere(np.isnan(table)):
        if rows[at][column - 1] is None:
            table[at, column] = lossboard.MISSING
    return table


def fetch_data(job: Job, sleep: Callable[[float], None] = time.sleep) -> Data:
    """The data of a run, as soon as the board can read it; ``sleep`` waits so many seconds. HTTPError if it refuses."""
    while True:
        try:
            return _fetch_data(job)
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        sleep(RETRY_S)


def _fetch_data(job: Job) -> Data:
    headers = {"Accept": "application/octet-stream", **({"Authorization": f"Bearer {job.token}"} if job.token else {})}
    request = urllib.request.Request(f"{job.url}/api/runs/{job.run_id}/data", headers=headers)  # noqa: S310  (the board)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=DATA_TIMEOUT_S) as response:
        x, y = np.frombuffer(response.read(), "<f8").reshape(2, -1)
    return make_data(x, y)


def _sentence(error: Exception) -> str:
    text = str(error) or "no reason given"
    return text if isinstance(error, ValueError) else f"The trainer stopped with {type(error).__name__}: {text}"


def main() -> None:
    """A worker as a program of its own, where processes cannot be forked: reads its job from standard input."""
    lower_priority()
    job = Job(**json.loads(sys.stdin.readline()))
    os.dup2(2, 1)  # standard output is a pipe that is not read: it would fill up and block a trainer that prints
    processes.exit_with_parent(1)
    work(job)


if __name__ == "__main__":
    main()
