"""A method: its trainer, and the facts with which it is checked, run, drawn and explained."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from trainers.params import MAX_STEPS, LearningParams, ParameterError, Params
from trainers.problem import Data, FloatArray
from trainers.theory.stability import Stability

type Point = tuple[float | None, ...]
"""One step's values, in the order of the method's metrics. None: this step has no such value."""

type Kind = Literal["search", "descent"]
"""search: tries candidates, and its result is the best of them. descent: updates the parameters again and again, and
its result is the last."""

DIVERGED = 1e150  # a |w| or |loss| above this has diverged

BEFORE_UPDATE = frozenset({"loss", "grad", "grad_b"})
"""The metrics of a descent that a point tells of the parameters before its update; all others hold after it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a computational graph. `gradient` is the derivative of the loss by this node's value.

    A name that ends with an underscore and a number, from 1, belongs to the hidden unit of that number. `operation` is
    "input", "parameter", "multiply", "add", "subtract" or "square"; `inputs` are names of nodes.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    value: float
    gradient: float


def line_gradient(values: Mapping[str, float], by_w: float, by_b: float) -> dict[str, float]:
    """The gradient of the cost by w, and by b where there is one, as metrics are named."""
    return {"grad": by_w, "grad_b": by_b} if "b" in values else {"grad": by_w}


def no_limit(params: Params, _data: Data) -> Stability:
    """The stability of a method whose learning rate has no known limit, or that has no learning rate."""
    if isinstance(params, LearningParams):
        return Stability("Theory has no limit for the learning rate of this method.")
    return Stability("This method has no learning rate: nothing can oscillate or diverge.")


@dataclass(frozen=True)
class Method[P: Params]:
    """One way to fit a line. `train` is a pure generator: parameters and data in, one point per step out.

    Raises TypeError for a descent whose parameters are not LearningParams, and for another kind whose are.
    """

    name: str
    title: str
    description: str
    kind: Kind
    formula: str  # MathML Core
    params: type[P]
    train: Callable[[Data, P], Iterator[Point]]
    """Reads live parameters from its params at every step, so that a change holds from the next step on.
    May raise OverflowError, or yield inf and nan, when it diverges: the runner ends the run then."""
    metrics: Callable[[P], tuple[str, ...]]
    """The names of a point's values, "w" and "loss" first. A "b" is the intercept; an "mse", the cost over all data, is
    what a run is judged by in place of the loss."""
    initial: Callable[[P], dict[str, float]]
    """All parameters, "w" (and "b") among them, before the first update. It imports no torch: the app calls it."""
    updates_per_epoch: Callable[[P, int], int]
    update_line: str  # the line of `source` that changes the parameters
    listing: tuple[Callable[..., object], ...] = ()  # what `train` calls and a reader should see
    samples_per_update: Callable[[P, int], int] = lambda _p, n: n
    """How many of n samples an update, or a candidate of a search, looks at; the last update of an epoch may look at
    fewer."""
    samples_used: Callable[[P, int, int], np.ndarray | None] | None = None
    """The numbers, from 0, of the samples out of n that a step uses, given params, n and step; None where
    they would take too long to draw again. None for a method whose every step uses all samples."""
    graph: Callable[[Mapping[str, float], Data, int], list[Node]] | None = None
    """The model's computational graph for a point's values and one sample, counted from 0, of the data: inputs before
    what is made of them. None for a method that has no graph to show."""
    loss_scale: Callable[[P, int], float] | None = None
    """How many times the cost over all n samples (a mean) the loss of a step is, and its gradient that of the cost,
    given params and n. None where a step does not look at all samples, or its loss is another one."""
    gradient: Callable[[Mapping[str, float], float, float], dict[str, float]] = line_gradient
    """The gradient of the cost over all data as the method's metrics tell it, given a point's values and its
    derivatives by the line's w and b. A "grad" without "grad_b", of a line with b, is the gradient's length."""
    needs_torch: bool = False
    one_parameter: bool = False  # y_hat = x * w: its path can be drawn on the cost parabola
    live: tuple[str, ...] = ("lr", "steps_per_second")
    rules: Callable[[P, int], None] | None = None  # raises ParameterError for its own cross-field rules
    stability: Callable[[P, Data], Stability] = no_limit
    """What theory says of the learning rate on this data; it does not look at the rate that was chosen."""

    def __post_init__(self) -> None:
        if (self.kind == "descent") != issubclass(self.params, LearningParams):
            raise TypeError(f"{self.name} is a {self.kind}, which does not go with {self.params.__name__}")

    def lr_limit(self, params: P, data: Data) -> float | None:
        """The learning rate from which on the method no longer converges on this data, if that is known."""
        return self.stability(params, data).lr_limit

    def total_steps(self, params: P, n: int) -> int:
        """How many points a run on n samples will have."""
        epochs = params.epochs if isinstance(params, LearningParams) else 1
        return epochs * self.updates_per_epoch(params, n)

    def mean_per_loss(self, params: P, n: int) -> float:
        """What a loss is to be multiplied with to be the mean squared error over all n samples: 1 of a search, whose
        loss it is. It has no meaning for methods with an "mse"."""
        return 1 / self.loss_scale(params, n) if self.loss_scale else 1.0

    def evaluations(self, params: P, n: int, done: FloatArray) -> FloatArray:
        """How often the gradient of one sample (of a search: its cost) was worked out, after so many updates (or
        candidates), of the same shape."""
        if self.kind == "search":
            return done * self.samples_per_update(params, n)
        epochs, updates = np.divmod(done, self.updates_per_epoch(params, n))
        since: FloatArray = np.minimum(updates * self.samples_per_update(params, n), n)
        return epochs * n + since

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
            "too_many_steps",
            updates=updates,
            steps=steps,
            most=MAX_STEPS,
            enough=MAX_STEPS // updates,
        )

    @cached_property
    def source(self) -> str:
        """The source code of the trainer, then of the functions in `listing`."""
        return "\n\n".join(inspect.getsource(function) for function in (self.train, *self.listing))

    @staticmethod
    def predict(values: Mapping[str, float], x: float) -> float:
        """The model's output w x + b at x. Every model here is linear in x; those without "b" have b = 0."""
        return values["w"] * x + values.get("b", 0.0)


def has_diverged(w: float, loss: float) -> bool:
    """Whether |w| or |loss| is above DIVERGED, infinite or NaN."""
    return not (abs(w) <= DIVERGED and abs(loss) <= DIVERGED)  # negated: a comparison with NaN is false
