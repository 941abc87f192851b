"""How far a run has come: its last values, how soon its loss was as good as gone, and whether it has exploded."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from pydantic import ValidationError

from app.runs.best import note_extremes
from app.storage.batch import Batch, Floats, is_missing
from app.storage.records import RunRecord
from trainers import METHODS, is_search
from trainers.method import BEFORE_UPDATE
from trainers.theory.explosion import is_explosion

GOAL_FRACTION = 0.01  # of the first loss: what a race is about


def note_points(record: RunRecord, batch: Batch) -> bool:
    """Note in the record what a run said with these points; True if that is to be stored, as it cannot be read from the
    last points again."""
    note_step(record, float(batch.rows[:, 0].max()))
    note_extremes(record, batch.names, batch.rows)
    for column, name in enumerate(batch.names, 1):
        value = _last_logged(batch.rows[:, column])
        if value is not None:
            record.last[name] = value
    judged_by = record.judged_by(batch.names)
    if judged_by not in batch.names:
        return False
    losses = batch.rows[:, 1 + batch.names.index(judged_by)]
    if is_search(record.method):
        _note_best(record, losses)
    if record.steps_to_1_percent is not None:
        return False
    return _note_goal(record, batch.rows[:, 0], losses, judged_by)


def note_step(record: RunRecord, step: float) -> None:
    """Note that a run has come as far as this step: a run's step is the largest that it has logged, in whatever order
    it logs them."""
    if record.step is None or step > record.step:
        record.step = _number(step)


def rank(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Best first: those whose loss came to 1 % of its first value, the sooner the better; then by the loss they have;
    those that have diverged, and those that have no loss yet, last.

    Built-in runs are compared by gradient evaluations and by their mean squared error over all data: a step of one
    method may cost as much as a thousand of another, and a sum of losses is no mean. Scripts have steps and a loss.
    """
    runs = list(records)
    costs = [final_mse(record) for record in runs]
    comparable = all(map(_is_comparable, runs, costs))
    reached = [record.evaluations_to_1_percent if comparable else record.steps_to_1_percent for record in runs]
    losses = costs if comparable else [record.final_loss for record in runs]

    def place(at: int) -> tuple[bool, bool, float, float, int]:
        soon, loss = reached[at], losses[at]
        lost = has_exploded(runs[at]) or loss is None
        size = math.inf if loss is None or math.isnan(loss) else loss
        return lost, soon is None, soon or 0, size, runs[at].number

    return [runs[at] for at in sorted(range(len(runs)), key=place)]


def has_exploded(record: RunRecord) -> bool:
    """Whether a run has diverged, or is on its way: the cost over all data of a built-in descent is far above where it
    began; of any other run, its loss is not finite."""
    if record.status == "diverged":
        return True
    cost = final_mse(record)
    if cost is not None and record.cost_scale is not None:
        return is_explosion(cost, record.cost_scale)
    loss = record.final_loss
    return loss is not None and not math.isfinite(loss)


def final_mse(record: RunRecord) -> float | None:
    """The mean squared error over all data of a built-in run: of one that has ended, with its last parameters; of one
    that goes on, the last that its points tell; of a search, that of its best candidate so far.

    None for scripts, for runs without points, and where a run of an older Lossboard does not tell it.
    """
    method = METHODS.get(record.method)
    if method is None:
        return None
    ended = record.result.get("final_mse")
    if isinstance(ended, float):
        return ended
    if method.kind == "search" or "mse" in record.last:
        return record.final_loss
    loss = record.last.get("loss")
    if loss is None or record.samples is None:
        return None
    try:
        return loss * method.mean_per_loss(method.params.model_validate(record.params), record.samples)
    except ValidationError:  # what is stored of its parameters is damaged
        return None


def _is_comparable(record: RunRecord, cost: float | None) -> bool:
    """Whether a run's place follows from its gradient evaluations and this mean squared error."""
    if record.steps_to_1_percent is not None and record.evaluations_to_1_percent is None:
        return False
    return cost is not None or record.final_loss is None


def _note_goal(record: RunRecord, steps: Floats, losses: Floats, judged_by: str) -> bool:
    known = record.first_loss is not None
    if record.first_loss is None:
        logged = np.flatnonzero(~is_missing(losses))
        if not len(logged):
            return False
        record.first_loss = float(losses[logged[0]])
    if record.first_loss >= 0:  # of a loss below zero, one per cent means nothing
        there = np.flatnonzero(losses <= GOAL_FRACTION * record.first_loss)
        if len(there):
            _note_reached(record, float(steps[there[0]]), judged_by)
    return not known or record.steps_to_1_percent is not None


def _note_reached(record: RunRecord, step: float, judged_by: str) -> None:
    """The point of this step tells that the goal is reached: note where that is, in steps and gradient evaluations.

    What a descent's point tells of the parameters after its update is that many updates later (RunChart.positions).
    """
    method = METHODS.get(record.method)
    after_update = method is not None and method.kind == "descent" and judged_by not in BEFORE_UPDATE
    record.steps_to_1_percent = _number(step + after_update)
    if method is None or record.samples is None:
        return
    done = step + 1 if method.kind == "search" else step + after_update
    try:
        params = method.params.model_validate(record.params)
    except ValidationError:  # what is stored of its parameters is damaged
        return
    record.evaluations_to_1_percent = int(method.evaluations(params, record.samples, np.array(done)))


def _note_best(record: RunRecord, losses: Floats) -> None:
    finite = losses[np.isfinite(losses)]
    if len(finite):
        best = float(finite.min())
        record.best_loss = best if record.best_loss is None else min(best, record.best_loss)


def _number(step: float) -> int | float:
    """A step as JSON shows it: 3, or 2.75."""
    return int(step) if step.is_integer() else step


def _last_logged(values: Floats) -> float | None:
    if not is_missing(values[-1:])[0]:
        return float(values[-1])
    logged = np.flatnonzero(~is_missing(values))
    return float(values[logged[-1]]) if len(logged) else None
