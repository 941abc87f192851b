"""What a trainer's step costs against the bare loop: `uv run python -m benchmarks.trainers`.

The trainers' generators are run as they are, without a board; the bare loops are what a textbook has.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.figures import Figure, show, spread
from trainers.descent import gd
from trainers.linear import TorchParams, train_linear
from trainers.params import OneWeightParams
from trainers.problem import TEXTBOOK, make_data

TRIES = 7
LR = 0.01


def main() -> list[Figure]:
    """Print each trainer's step beside the bare one."""
    return [*show(three_samples(100_000)), *show(a_million_samples(60)), *show(torch_steps(4_000))]


def three_samples(steps: int) -> Iterator[Figure]:
    """gd on the textbook's data, and the textbook's loop."""
    xs, ys = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]

    def textbook() -> None:
        w = 1.0
        for _ in range(steps):
            loss = gradient = 0.0
            for x, y in zip(xs, ys):  # noqa: B905  (a textbook has no strict)
                residual = x * w - y
                loss += residual * residual
                gradient += 2 * x * residual
            loss /= 3
            w -= LR * gradient / 3

    yield from compare("gd at 3 samples", "the textbook loop", steps, lambda: run_gd(TEXTBOOK, steps), textbook, 1.2)


def a_million_samples(steps: int) -> Iterator[Figure]:
    """gd on long data, and one product of numpy's, which every step needs at the least."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=1_000_000)
    data = make_data(x, 2 * x + generator.normal(size=len(x)))
    matrix, weights = x.reshape(-1, 1), np.array([1.0])

    def products() -> None:
        for _ in range(steps):
            matrix @ weights

    yield from compare(
        "gd at 1,000,000 samples", "one product X @ w", steps, lambda: run_gd(data, steps), products, 1.2
    )


def torch_steps(steps: int) -> Iterator[Figure]:
    """The torch trainer, and the loop of any torch script."""
    import torch  # noqa: PLC0415  (after the others: their workers have none, nor its threads)

    torch.set_num_threads(1)  # as in a worker
    params = TorchParams(lr=LR, epochs=steps, device="cpu")
    x = torch.tensor(TEXTBOOK.x).reshape(-1, 1)
    y = torch.tensor(TEXTBOOK.y).reshape(-1, 1)

    def bare() -> None:
        model = torch.nn.Linear(1, 1)
        criterion = torch.nn.MSELoss(reduction="sum")
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        for _ in range(steps):
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    yield from compare(
        "torch at 3 samples", "the bare torch loop", steps, lambda: drain(train_linear(TEXTBOOK, params)), bare, 1.1
    )


def compare(
    name: str, other: str, steps: int, ours: Callable[[], object], bare: Callable[[], object], at_most: float
) -> Iterator[Figure]:
    """Both in turns, and how the medians compare."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TRIES):
        for work, taken in zip((ours, bare), times, strict=True):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) / steps)
    mine = spread(f"{name}, a step", times[0], "µs", scale=1e6)
    theirs = spread(f"{other}, a step", times[1], "µs", scale=1e6)
    yield from (mine, theirs)
    assert isinstance(mine.value, float)
    assert isinstance(theirs.value, float)
    yield Figure(f"{name} against {other}", mine.value / theirs.value, "×", at_most=at_most)


def run_gd(data: object, steps: int) -> None:
    """All steps of gd."""
    drain(gd(data, OneWeightParams(lr=LR, epochs=steps)))  # type: ignore[arg-type]


def drain(points: Iterator[object]) -> None:
    """Take every point and keep none."""
    deque(points, maxlen=0)


if __name__ == "__main__":
    main()
