"""The plot of a group of scripts' runs: the best value of a metric over the parameter in which they differ."""

from __future__ import annotations

from collections.abc import Sequence

from app.charts.colours import hex_of
from app.charts.metric_names import parse
from app.runs.best import is_more_better
from app.schemas.view import Scale
from app.storage.records import RunRecord
from app.visdom.windows.layout import AxesStyle, Trace, Window, as_text, make_layout
from trainers.numbers import short

WIDE = 10.0  # values of which the largest is so many times the smallest have a logarithmic axis
SMALLEST, LARGEST = 1e-300, 1e300  # that plotly can draw
SEEDS = {"seed", "random_seed", "random_state"}  # which matter least


def group_window(win: str, runs: Sequence[RunRecord]) -> Window | None:
    """The best value of the metric that most of them have, losses of validation before others, over the parameter that
    has most values; None where they do not differ in a number, or have no metric."""
    param, metric = _varied(runs), _metric(runs)
    if param is None or metric is None:
        return None
    which = is_more_better(metric)
    there = [run for run in runs if metric in run.best]
    x, y = [run.params[param] for run in there], [run.best[metric][which] for run in there]
    best = f"{'largest' if which else 'smallest'} {metric}"
    said = [
        f"{as_text(run.name)}<br>{as_text(param)} {short(at)}<br>{as_text(best)} {short(value)}"
        for run, at, value in zip(there, x, y, strict=True)
    ]
    markers: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": best,
        "x": x,
        "y": y,
        "text": said,
        "marker": {"color": [hex_of(run) for run in there], "size": 10},
        "hovertemplate": "%{text}<extra></extra>",
    }
    style = AxesStyle(_scale(x), _scale(y))
    layout = make_layout(as_text(param), as_text(best), style)
    return Window(win, f"{metric} against {param}, {runs[-1].group}", [markers | style.trace_axes], layout)


def _varied(runs: Sequence[RunRecord]) -> str | None:
    """The parameter, a number in all of these runs, that has most values."""
    values = {name: {_number(run.params.get(name)) for run in runs} for name in runs[0].params}
    differing = {name: found for name, found in values.items() if len(found) > 1 and None not in found}
    return max(differing, key=lambda name: (name not in SEEDS, len(differing[name])), default=None)


def _metric(runs: Sequence[RunRecord]) -> str | None:
    """The metric that the window shows: one of more than one run."""
    names = dict.fromkeys(name for run in runs for name in run.best)
    counts = {name: sum(name in run.best for run in runs) for name in names}

    def rank(name: str) -> tuple[int, bool, bool]:
        return counts[name], "loss" in name.casefold(), parse(name).stage not in ("", "train")

    return max((name for name in names if counts[name] > 1), key=rank, default=None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None  # NaN is not


def _scale(values: Sequence[float]) -> Scale:
    return "log" if SMALLEST < WIDE * min(values) <= max(values) else "linear"
