"""The smallest and the largest value of each metric so far, and which of the two is the better one."""

from __future__ import annotations

import re

import numpy as np

from app.storage.batch import Floats
from app.storage.records import RunRecord

# Metrics of which more is better; of all others less is.
_MORE_IS_BETTER = re.compile(
    r"acc(uracy)?|auc|auroc|bleu|dice|f1|iou|map|ndcg|precision|psnr|r2|recall|returns?|rewards?|rouge|score|ssim|success",
    re.IGNORECASE,
)


def is_more_better(metric: str) -> bool:
    """Whether the largest value of a metric of this name is the best one, by the words of the name."""
    words = re.split(r"[^A-Za-z0-9]+", metric)
    return any(_MORE_IS_BETTER.fullmatch(word) for word in words)


def note_extremes(record: RunRecord, names: tuple[str, ...], rows: Floats) -> None:
    """Note the smallest and the largest finite value of each metric.

    rows: of shape (records, 1 + metrics), the step before the values, as a Batch has them
    """
    values = rows[:, 1:]
    finite = np.isfinite(values)
    lows = np.where(finite, values, np.inf).min(axis=0, initial=np.inf).tolist()
    highs = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf).tolist()
    for name, low, high in zip(names, lows, highs, strict=True):
        if low > high:  # it has no finite value here
            continue
        known = record.best.get(name)
        if known is None:
            record.best[name] = [low, high]
        elif low < known[0] or high > known[1]:
            record.best[name] = [min(low, known[0]), max(high, known[1])]
