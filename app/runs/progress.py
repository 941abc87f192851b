"""How far a run has come: its last values, and how soon its loss was as good as gone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from app.storage.batch import Batch, Floats, is_missing
from app.storage.records import RunRecord

GOAL_FRACTION = 0.01  # of the first loss: what a race is about


def note_points(record: RunRecord, batch: Batch) -> bool:
    """Note in the record what a run said with these points; True if that is to be stored, as it cannot be read from the
    last points again."""
    record.step = int(batch.rows[-1, 0])
    for column, name in enumerate(batch.names, 1):
        value = _last_logged(batch.rows[:, column])
        if value is not None:
            record.last[name] = value
    judged_by = record.judged_by(batch.names)
    if judged_by not in batch.names or record.steps_to_1_percent is not None:
        return False
    return _note_goal(record, batch.rows[:, 0], batch.rows[:, 1 + batch.names.index(judged_by)])


def rank(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Best first: those whose loss came to 1 % of its first value, the sooner the better; then by the loss they have;
    those that have diverged, and those that have no loss yet, last."""

    def place(record: RunRecord) -> tuple[bool, bool, int, float, int]:
        loss = math.inf if record.final_loss is None else record.final_loss
        lost = record.status == "diverged" or not math.isfinite(loss)
        reached = record.steps_to_1_percent
        return lost, reached is None, reached or 0, math.inf if math.isnan(loss) else loss, record.number

    return sorted(records, key=place)


def _note_goal(record: RunRecord, steps: Floats, losses: Floats) -> bool:
    known = record.first_loss is not None
    if record.first_loss is None:
        logged = np.flatnonzero(~is_missing(losses))
        if not len(logged):
            return False
        record.first_loss = float(losses[logged[0]])
    if record.first_loss >= 0:  # of a loss below zero, one per cent means nothing
        there = np.flatnonzero(losses <= GOAL_FRACTION * record.first_loss)
        if len(there):
            record.steps_to_1_percent = int(steps[there[0]])
    return not known or record.steps_to_1_percent is not None


def _last_logged(values: Floats) -> float | None:
    if not is_missing(values[-1:])[0]:
        return float(values[-1])
    logged = np.flatnonzero(~is_missing(values))
    return float(values[logged[-1]]) if len(logged) else None
