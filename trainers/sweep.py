"""Exhaustive search: the cost at every candidate weight."""

import math
from collections.abc import Iterator

from pydantic import Field

from trainers import formulas
from trainers.method import Method
from trainers.numbers import short
from trainers.params import LARGEST, Number, ParameterError, Params
from trainers.problem import Data, cost

MAX_CANDIDATES = 1_000_000
ROUNDING = 1e-6  # of w_step: a candidate that far above w_stop still counts


class SweepParams(Params):
    """The candidates: w_start, w_start + w_step and so on, up to and including w_stop."""

    w_start: Number = Field(
        default=0.0, ge=-LARGEST, le=LARGEST, title="First w", description="The first candidate weight."
    )
    w_stop: Number = Field(
        default=4.0,
        ge=-LARGEST,
        le=LARGEST,
        title="Last w",
        description="The last candidate weight, not below the first.",
    )
    w_step: Number = Field(
        default=0.1,
        gt=0,
        le=LARGEST,
        title="Step",
        description="The distance from one candidate to the next.",
    )


def sweep(data: Data, p: SweepParams) -> Iterator[tuple[float, float]]:
    """Exhaustive search: take every candidate for w and work out the cost there."""
    for i in range(candidates(p)):
        w = p.w_start + i * p.w_step
        loss = cost(data, w)
        yield w, loss


def candidates(p: SweepParams) -> int:
    """How many weights a sweep tries. Raises ParameterError unless that is 1 to 1,000,000."""
    if p.w_stop < p.w_start:
        raise ParameterError(
            "w_stop",
            f"w_stop {p.w_stop} is below w_start {p.w_start}: send a w_stop of at least {p.w_start}",
            "below_start",
            value=p.w_stop,
            start=p.w_start,
        )
    steps = (p.w_stop - p.w_start) / p.w_step + ROUNDING
    if not steps < MAX_CANDIDATES:
        enough = (p.w_stop - p.w_start) / (MAX_CANDIDATES - 1) * 1.001  # enough when rounded to 4 digits, too
        raise ParameterError(
            "w_step",
            f"w_step {p.w_step} makes more than {MAX_CANDIDATES:,} candidates: "
            f"send a w_step of at least {short(enough, 4)}, or a shorter range",
            "too_many_candidates",
            value=p.w_step,
            most=MAX_CANDIDATES,
            enough=float(short(enough, 4)),
        )
    if steps >= 1 and (p.w_start + p.w_step == p.w_start or p.w_stop - p.w_step == p.w_stop):
        raise ParameterError(
            "w_step",
            f"w_step {p.w_step} is too small to change a w as large as this range's: send a larger w_step",
            "step_too_small",
            value=p.w_step,
        )
    return math.floor(steps) + 1


SWEEP = Method(
    name="sweep",
    title="Exhaustive search",
    kind="search",
    description=(
        "Tries every weight in a range and works out the cost at each: "
        "simple and sure, but it needs one evaluation of the cost per candidate."
    ),
    formula=formulas.SWEEP,
    params=SweepParams,
    train=sweep,
    metrics=lambda _p: ("w", "loss"),
    initial=lambda p: {"w": p.w_start},
    updates_per_epoch=lambda p, _n: candidates(p),
    update_line="loss = cost(data, w)",
    listing=(cost,),
    one_parameter=True,
    live=("steps_per_second",),
)
