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
    for name, values in zip(names, rows[:, 1:].T, strict=True):  # a column at a time: much quicker than by axis
        low, high = _range(values)
        if low > high:  # it has no finite value here
            continue
        known = record.best.get(name)
        if known is None:
            record.best[name] = [low, high]
        elif low < known[0] or high > known[1]:
            record.best[name] = [min(low, known[0]), max(high, known[1])]


def _range(values: Floats) -> tuple[float, float]:
    """The smallest and the largest finite value; infinity and minus infinity if there is none."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    if not np.isfinite(low - high):
        finite = values[np.isfinite(values)]
        low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    return float(low), float(high)
