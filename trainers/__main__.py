"""Run a method in the terminal: python -m trainers gd --lr 0.05."""

import math
import os
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

from trainers import METHODS, Method, ParameterError, Params
from trainers.method import DIVERGED, has_diverged
from trainers.numbers import short
from trainers.options import UsageError, read_options
from trainers.params import LearningParams
from trainers.problem import Data, sample_losses
from trainers.theory.explosion import EXPLOSION_FACTOR, cost_scale, is_explosion, mean_squared_error

MAX_LINES = 100
MAX_SAMPLES_SHOWN = 5  # up to so many samples, a search prints the loss of each
SHOWN = ("w", "b", "loss", "mse")

type Values = dict[str, float]


class Progress:
    """A progress bar on stderr, drawn if stderr is a terminal and the run takes longer than 0.5 s."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._visible = False
        self._due = time.monotonic() + 0.5 if sys.stderr.isatty() else math.inf

    def show(self, done: int) -> None:
        """Draw the bar, at most ten times a second."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + 0.1
        self._visible = True
        part = done / self.total
        print(f"\r[{'#' * int(40 * part):40}] {part:4.0%}", end="", file=sys.stderr, flush=True)

    def hide(self) -> None:
        """Erase the bar, so that a line can be printed in its place."""
        if self._visible:
            print("\r" + " " * 48 + "\r", end="", file=sys.stderr, flush=True)
        self._visible = False


class DivergenceError(Exception):
    """w or the loss has diverged; the message says at which step, or where it ended."""


def main(arguments: list[str]) -> int:
    """Run what the arguments say. Returns the exit code: 0, 1 for a divergence, 2 for a bad option, 130 for Ctrl-C."""
    try:
        code = run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        print(f"python -m trainers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def run(arguments: list[str]) -> int:
    """Read the arguments, then list the methods or run one. Returns the exit code; raises UsageError."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print_methods()
        return 0
    name, *options = arguments
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}: choose one of {', '.join(METHODS)}")
    params, data = read_options(METHODS[name], options)
    try:
        return train(METHODS[name], params, data)
    except ParameterError as error:  # found by the run only, such as a device that is not there
        raise UsageError(error.message) from None


def print_methods() -> None:
    """Print the help: the usage and the methods."""
    print("usage: python -m trainers METHOD [options]\n\nmethods:")
    for method in METHODS.values():
        print(textwrap.fill(method.description, 100, initial_indent=f"  {method.name:11}", subsequent_indent=" " * 13))
    print("\npython -m trainers METHOD --help lists the options of a method.")


def train(method: Method[Any], params: Params, data: Data) -> int:
    """Train, and print the model's prediction before and after, and its points between. Returns the exit code."""
    progress = Progress(method.total_steps(params, len(data)))
    print_prediction("before training", method, params, method.initial(params))
    try:
        if isinstance(params, LearningParams):
            when, values = "after training", print_epochs(method, params, data, progress)
            check_explosion(method, params, data, values)
        else:
            when, values = "at the best w", print_candidates(method, params, data, progress)
    except DivergenceError as error:
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return 1
    finally:
        progress.hide()
    print_prediction(when, method, params, values)
    return 0


def print_prediction(when: str, method: Method[Any], params: Params, values: Values) -> None:
    """Print a line such as: predict (before training) 4 4.0."""
    at = params.predict_at
    print(f"predict ({when})", int(at) if at.is_integer() and abs(at) < 1e15 else at, method.predict(values, at))


def print_epochs(method: Method[Any], params: LearningParams, data: Data, progress: Progress) -> Values:
    """Print a line for each epoch, after its last update; for each update if there is one epoch only.

    Returns the last values.
    """
    updates = 1 if params.epochs == 1 else method.updates_per_epoch(params, len(data))
    shown = lines_to_show(progress.total // updates)
    values: Values = {}
    for step, values in enumerate(steps(method, params, data)):
        progress.show(step + 1)
        if (step + 1) % updates == 0 and step // updates in shown:
            progress.hide()
            count = f"step: {step}" if params.epochs == 1 else f"epoch: {step // updates}"
            print(count, *(f"{name}: {values[name]}" for name in SHOWN if name in values), sep="  ")
    return values


def check_explosion(method: Method[Any], params: Params, data: Data, last: Values) -> None:
    """Raises DivergenceError if a descent has ended far above where it began."""
    scale, final_cost = cost_scale(method, params, data), mean_squared_error(data, last)
    if scale is not None and is_explosion(final_cost, scale):
        times = f"more than {short(EXPLOSION_FACTOR)} times as large as it was at the beginning"
        raise DivergenceError(f"diverged: the cost over all data ended at {short(final_cost)}, {times}")


def print_candidates(method: Method[Any], params: Params, data: Data, progress: Progress) -> Values:
    """Print a line for each candidate of a search, with each sample's x, y, y_hat and loss if there are few samples.

    Returns the best candidate's values.
    """
    shown = lines_to_show(progress.total)
    best: Values = {"w": math.nan, "loss": math.inf}
    for step, values in enumerate(steps(method, params, data)):
        progress.show(step + 1)
        if values["loss"] < best["loss"]:
            best = values
        if step in shown:
            progress.hide()
            samples = sample_losses(data, values["w"]) if len(data) <= MAX_SAMPLES_SHOWN else ()
            print(f"w: {values['w']}  loss: {values['loss']}", *samples, sep="  ")
    progress.hide()
    print(f"best w: {best['w']}  loss: {best['loss']}")
    return best


def lines_to_show(lines: int) -> set[int]:
    """The indices of the lines to print: all, or MAX_LINES of them, evenly spaced, with the first and the last."""
    if lines <= MAX_LINES:
        return set(range(lines))
    return {i * (lines - 1) // (MAX_LINES - 1) for i in range(MAX_LINES)}


def steps(method: Method[Any], params: Params, data: Data) -> Iterator[Values]:
    """The trainer's points, by name, at most `steps_per_second` of them a second. Raises DivergenceError."""
    names = method.metrics(params)
    points = method.train(data, params)
    pause = 1 / params.steps_per_second if params.steps_per_second else 0.0
    step = 0
    while True:
        try:
            point = next(points, None)
        except OverflowError:
            point = (math.inf,) * len(names)
        if point is None:
            return
        values = {name: value for name, value in zip(names, point, strict=True) if value is not None}
        if has_diverged(values["w"], values["loss"]):
            raise DivergenceError(f"diverged at step {step}: w or the loss is beyond {short(DIVERGED)}")
        yield values
        step += 1
        if pause:
            time.sleep(min(pause, threading.TIMEOUT_MAX))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
