"""What a trainer's step costs against the bare loop: `uv run python -m benchmarks.trainers`.

The trainers' generators are run as they are, without a board, beside the loops of benchmarks/textbook.py.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from benchmarks import textbook
from benchmarks.figures import Figure, show, spread
from trainers.descent import gd
from trainers.linear import TorchParams, train_linear
from trainers.params import OneWeightParams
from trainers.problem import TEXTBOOK, make_data

TRIES = 7
LR = textbook.LR


def main() -> list[Figure]:
    """Print each trainer's step beside the bare one."""
    return [*show(three_samples(100_000)), *show(a_million_samples(60)), *show(torch_steps(4_000))]


def three_samples(steps: int) -> Iterator[Figure]:
    """gd on the textbook's data, the textbook's loop, and the fastest one that Python has."""
    others = {"the textbook loop": textbook.gd, "the same in one pass, inline": textbook.inline}
    bare = {name: partial(loop, steps) for name, loop in others.items()}
    yield from compare("gd at 3 samples", steps, lambda: run_gd(TEXTBOOK, steps), bare, {"the textbook loop": 1.0})


def a_million_samples(steps: int) -> Iterator[Figure]:
    """gd on long data, and one product of numpy's, which every step needs at the least."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=1_000_000)
    data = make_data(x, 2 * x + generator.normal(size=len(x)))
    matrix, weights = x.reshape(-1, 1), np.array([1.0])

    def products() -> None:
        for _ in range(steps):
            matrix @ weights

    name = "one product X @ w"
    yield from compare("gd at 1,000,000 samples", steps, lambda: run_gd(data, steps), {name: products}, {name: 1.2})


def torch_steps(steps: int) -> Iterator[Figure]:
    """The torch trainer, which gives its values at every step, and a loop that looks at none."""
    params = TorchParams(lr=LR, epochs=steps, device="cpu")
    name, bare = "the bare torch loop", partial(textbook.torch, steps, values=False)
    yield from compare(
        "torch at 3 samples", steps, lambda: drain(train_linear(TEXTBOOK, params)), {name: bare}, {name: 1.1}
    )


def compare(
    name: str,
    steps: int,
    ours: Callable[[], object],
    bare: Mapping[str, Callable[[], object]],
    goals: Mapping[str, float],
) -> Iterator[Figure]:
    """All in turns, and how the median of ours compares with each of the others."""
    works = {name: ours, **bare}
    times: dict[str, list[float]] = {one: [] for one in works}
    for _ in range(TRIES):
        for one, work in works.items():
            began = time.perf_counter()
            work()
            times[one].append((time.perf_counter() - began) / steps)
    for one, taken in times.items():
        yield spread(f"{one}, a step", taken, "µs", scale=1e6)
    mine = statistics.median(times[name])
    for one in bare:
        yield Figure(f"{name} against {one}", mine / statistics.median(times[one]), "×", at_most=goals.get(one))


def run_gd(data: object, steps: int) -> None:
    """All steps of gd."""
    drain(gd(data, OneWeightParams(lr=LR, epochs=steps)))  # type: ignore[arg-type]


def drain(points: Iterator[object]) -> None:
    """Take every point and keep none."""
    deque(points, maxlen=0)


if __name__ == "__main__":
    main()
