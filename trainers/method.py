"""What a method is: a trainer, and what others must know to run and to show it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trainers.params import MAX_STEPS, LearningParams, ParameterError, Params
from trainers.problem import Data
from trainers.theory.stability import Stability

type Point = tuple[float | None, ...]
"""One step's values, in the order of the method's metrics. None: this step has no such value."""

DIVERGED = 1e150  # beyond this size a weight or a loss is on its way to infinity


def no_learning_rate(_params: Params, _data: Data) -> Stability:
    """For methods that have none."""
    return Stability("This method has no learning rate: nothing can oscillate or diverge.")


@dataclass(frozen=True)
class Method[P: Params]:
    """One way to fit a line. `train` is a pure generator: parameters and data in, one point per step out."""

    name: str
    title: str
    description: str
    formula: str  # MathML Core
    params: type[P]
    train: Callable[[Data, P], Iterator[Point]]
    """Reads live parameters from its params at every step, so that a change holds from the next step on.
    May raise OverflowError, or yield inf and nan, when it diverges: the runner ends the run then."""
    metrics: Callable[[P], tuple[str, ...]]
    initial: Callable[[P], dict[str, float]]
    """The model's "w" (and "b") before the first step."""
    updates_per_epoch: Callable[[P, int], int]
    update_line: str  # the line of `source` that changes the parameters
    listing: tuple[Callable[..., object], ...] = ()  # what `train` calls and a reader should see
    used: Callable[[P, int, int], np.ndarray] | None = None
    """The numbers, from 0, of the samples out of n that a step looks at; None for a method that looks at all."""
    needs_torch: bool = False
    one_parameter: bool = False  # y_hat = x * w: its path can be drawn on the cost parabola
    live: tuple[str, ...] = ("lr", "steps_per_second")
    rules: Callable[[P, int], None] | None = None  # raises ParameterError for its own cross-field rules
    stability: Callable[[P, Data], Stability] = no_learning_rate
    """What theory says of the learning rate on this data; it does not look at the rate that was chosen."""

    def lr_limit(self, params: P, data: Data) -> float | None:
        """The learning rate from which on the method no longer converges on this data, if that is known."""
        return self.stability(params, data).lr_limit

    def total_steps(self, params: P, n: int) -> int:
        """How many points a run on n samples will have."""
        epochs = params.epochs if isinstance(params, LearningParams) else 1
        return epochs * self.updates_per_epoch(params, n)

    def check(self, params: P, n: int) -> None:
        """Raises ParameterError if the parameters do not fit each other or n samples of data."""
        if self.rules:
            self.rules(params, n)
        steps = self.total_steps(params, n)
        if steps <= MAX_STEPS:
            return
        updates = self.updates_per_epoch(params, n)
        if updates > MAX_STEPS:
            raise ParameterError(
                "epochs",
                f"{n:,} samples are {updates:,} updates an epoch, but a run has at most {MAX_STEPS:,} in all: "
                "send fewer samples",
            )
        raise ParameterError(
            "epochs",
            f"epochs times {updates:,} updates an epoch is {steps:,} steps, but a run has at most "
            f"{MAX_STEPS:,}: send epochs of at most {MAX_STEPS // updates:,}",
        )

    @cached_property
    def source(self) -> str:
        """The trainer's own code, and that of the functions it calls: what people read is what runs."""
        return "\n\n".join(inspect.getsource(function) for function in (self.train, *self.listing))

    @staticmethod
    def predict(values: Mapping[str, float], x: float) -> float:
        """The model's output w x + b at x. Every model here is linear in x; those without "b" have b = 0."""
        return values["w"] * x + values.get("b", 0.0)


def has_diverged(w: float, loss: float) -> bool:
    """Whether a run has left the numbers: w or loss is not finite, or beyond 1e150."""
    return not (abs(w) <= DIVERGED and abs(loss) <= DIVERGED)  # so that a nan counts, too
