"""Why a run diverges, oscillates or is slow, in a sentence with its numbers."""

import math
from typing import Any

from trainers.method import DIVERGED, Method
from trainers.numbers import short
from trainers.params import LearningParams, Params
from trainers.problem import Data
from trainers.theory.stability import MIN_REDUCTION, Stability

LIMIT_TOLERANCE = 1e-9  # relative: a learning rate that close to the limit counts as equal to it


def why(
    method: Method[Any],
    params: Params,
    data: Data,
    status: str = "running",
    step: float | None = None,
    *,
    overflowed: bool = True,
) -> str | None:
    """Why a run with these parameters diverges, oscillates or is slow; None for a good learning rate, or for none.

    It follows from `method.stability`, so it is known before the first step. Where that has no limit only a run whose
    status is "diverged" has a reason, which names its last `step`. Not `overflowed`: all its numbers are in their
    range, and it has diverged as it ended far above where it began.
    """
    if not isinstance(params, LearningParams):
        return None
    lr = params.lr
    theory = method.stability(params, data)
    if theory.lr_limit is None:
        return _describe_divergence(lr, theory, step, overflowed=overflowed) if status == "diverged" else None
    size = abs(theory.factor(lr))
    if status == "diverged" and size < 1 - LIMIT_TOLERANCE:
        if not overflowed:
            return (
                f"lr {short(lr)} is stable here (the limit is {_rounded(theory.lr_limit)}): what drove w away came "
                "before, such as a larger learning rate."
            )
        return (
            f"The numbers grew too large to be calculated with, although lr {short(lr)} is stable here (the limit is "
            f"{_rounded(theory.lr_limit)}): send smaller data, or a smaller initial weight."
        )
    return _explain_step(lr, theory) if len(theory.curvatures) == 1 else _explain_epoch(lr, size, theory)


def _explain_step(lr: float, theory: Stability) -> str | None:
    """The sentence for steps that all have the same curvature λ, from |1 - lr λ|."""
    assert theory.lr_limit is not None  # noqa: S101  (checked by the caller)
    assert theory.lr_best is not None  # noqa: S101
    limit, best, factor = theory.lr_limit, theory.lr_best, abs(theory.factor(lr))
    where = "" if theory.shallowest is None else "along the steepest direction "
    if math.isclose(lr, limit, rel_tol=LIMIT_TOLERANCE):
        return f"lr {short(lr)} is 2/λ, the limit: {where}each step overshoots the minimum and lands just as far away."
    if lr > limit:
        return (
            f"lr {_rate(lr, limit)} is above 2/λ = {_apart(limit, lr)}: {where}each step overshoots the minimum and "
            f"lands {_apart(factor, 1)} times as far away."
        )
    if lr > best and not math.isclose(lr, best, rel_tol=LIMIT_TOLERANCE):
        return (
            f"lr {_rate(lr, best, limit)} is between 1/λ = {_apart(best, lr)} and 2/λ = {_apart(limit, lr)}: {where}"
            f"each step overshoots the minimum, but lands only {_apart(factor, 1)} times as far away."
        )
    if lr * theory.curvatures[0] < MIN_REDUCTION:
        return (
            f"lr {short(lr)} is far below 1/λ = {_rounded(best)}: {where}each step takes away only "
            f"{_percent(lr * theory.curvatures[0])} of the distance to the minimum."
        )
    if theory.shallowest is not None and lr * theory.shallowest < MIN_REDUCTION:
        return (
            f"lr {short(lr)} suits the steepest direction (1/λ = {_rounded(best)}), but across it, where the cost "
            f"bends with {_rounded(theory.shallowest)} only, each step takes away {_percent(lr * theory.shallowest)} "
            "of the distance to the minimum."
        )
    return None


def _explain_epoch(lr: float, size: float, theory: Stability) -> str | None:
    """The sentence for an epoch whose updates have different curvatures, from `size`, |Π (1 - lr c)|."""
    assert theory.lr_limit is not None  # noqa: S101  (checked by the caller)
    assert theory.lr_best is not None  # noqa: S101
    limit, best = theory.lr_limit, theory.lr_best
    product = "Π|1 − lr·c|"
    if math.isclose(size, 1, rel_tol=LIMIT_TOLERANCE):
        return f"lr {short(lr)} is at the limit: after an epoch w is just as far away as before."
    if size > 1:
        return (
            f"lr {_rate(lr, limit)} is above {_apart(limit, lr)}, where an epoch's updates begin to lose: together "
            f"they land {product} = {_apart(size, 1)} times as far away."
        )
    if lr > limit:
        return (
            f"lr {_rate(lr, limit)} is above {_apart(limit, lr)}, where an epoch's updates begin to lose, but so near "
            f"to 1/c of one of them that together they land only {product} = {_apart(size, 1)} times as far away."
        )
    if lr > best and not math.isclose(lr, best, rel_tol=LIMIT_TOLERANCE):
        return (
            f"lr {_rate(lr, best, limit)} is between {_apart(best, lr)}, where the steepest sample's update begins to "
            f"overshoot, and the limit {_apart(limit, lr)}: an epoch still lands only {_apart(size, 1)} times as far "
            "away."
        )
    per_update = 1 - math.exp(math.log(size) / len(theory.curvatures)) if size else 1.0
    if per_update < MIN_REDUCTION:
        return (
            f"lr {short(lr)} is far below {_rounded(best)}: an update takes away only {_percent(per_update)} of the "
            "distance to the solution."
        )
    return None


def _describe_divergence(lr: float, theory: Stability, step: float | None, *, overflowed: bool) -> str:
    """The sentence for a diverged run of a method without a limit."""
    when = "before the first update was done" if step is None else f"after {int(step) + 1:,} updates"
    if overflowed:
        text = f"With lr {short(lr)} w or the loss went beyond {short(DIVERGED)} {when}. "
    else:
        text = f"With lr {short(lr)} the updates led away from the minimum. "
    if theory.curvature is not None:
        start = 2 / theory.curvature
        return text + (
            f"The cost has no one limit: where the run began, steps land further away from lr {_apart(start, lr)} on, "
            "and where the cost is steeper, sooner."
        )
    return text + "Theory has no limit to compare that with; a smaller lr takes smaller steps."


def _rounded(value: float) -> str:
    """A number that follows from theory, in three digits: it is there to be compared with."""
    return short(value, 3)


def _rate(lr: float, *others: float) -> str:
    """A learning rate as it was given, or with as many digits as distinguish it from the others."""
    return max(short(lr), _apart(lr, *others), key=len)


def _apart(value: float, *others: float) -> str:
    """A number with the fewest digits, at least three, that distinguish it from the others."""
    for digits in range(3, 17):
        if all(short(value, digits) != short(other, digits) for other in others):
            return short(value, digits)
    return repr(value)


def _percent(part: float) -> str:
    return f"{short(100 * part, 2)} %"
