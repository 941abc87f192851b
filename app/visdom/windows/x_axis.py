"""The horizontal axis of curves: steps, epochs, seconds or another metric, on a linear or a logarithmic scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.charts.run_chart import RunChart
from app.schemas.view import OF_METRIC, XAxis
from app.storage.batch import Floats
from app.visdom.windows.layout import AxesStyle, as_text, in_template

TITLES = {"step": "step", "epoch": "epoch", "time": "seconds since the start"}
MIN_LOG_SECONDS = 1e-3  # earlier points lie here on a log scale


@dataclass(frozen=True)
class PlotOptions:
    """How a window of curves is drawn. `smoothing` is in steps, 0 for none."""

    metric: str
    axes: AxesStyle
    x_axis: XAxis = "step"
    smoothing: int = 0
    selected_step: float | None = None  # is always within the scale

    @property
    def along(self) -> str | None:
        """The metric that runs along the horizontal axis, if one does."""
        return self.x_axis.removeprefix(OF_METRIC) if self.x_axis.startswith(OF_METRIC) else None

    @property
    def is_counted(self) -> bool:
        """Whether the horizontal axis counts from 0, and is drawn plus 1 on a log scale."""
        return self.x_axis in ("step", "epoch")


def x_values(chart: RunChart, positions: Floats, options: PlotOptions) -> list[float]:
    """The places of these positions along the horizontal axis, in its units; on a log scale plus 1 for updates, steps
    and epochs."""
    if options.along is not None:
        metric = chart.metric_like(options.along)
        after = chart.positions(metric or "", np.zeros(1))  # how many updates are made at its first step
        values = chart.interpolated(metric, positions - after) if metric else None
        return [np.nan] * len(positions) if values is None else values.tolist()
    if options.x_axis == "time":
        seconds = chart.seconds(positions - chart.is_descent)  # after k updates is when step k - 1 came in
        return (np.maximum(seconds, MIN_LOG_SECONDS) if options.axes.x == "log" else seconds).tolist()  # type: ignore[no-any-return]
    epochs = chart.epochs(positions) if options.x_axis == "epoch" else None
    counted = positions if epochs is None else epochs
    return (counted + 1 if options.axes.x == "log" else counted).tolist()  # type: ignore[no-any-return]


def x_hover(chart: RunChart, options: PlotOptions) -> str:
    """The part of a run's hovertemplate that tells x; empty on a log scale."""
    if options.axes.x == "log":
        return ""
    if options.x_axis == "time":
        return "%{x:.3f} s<br>"
    if options.along is not None:
        return f"{in_template(as_text(options.along))} %{{x:.6~g}}<br>"
    counted = step_title([chart]) if options.x_axis == "step" else options.x_axis
    return f"{counted} %{{x}}<br>"


def step_title(charts: list[RunChart]) -> str:
    """What the steps along an axis are: updates, where all that is shown are built-in descents."""
    return "updates" if charts and all(chart.is_descent for chart in charts) else TITLES["step"]


def x_title(options: PlotOptions, charts: list[RunChart]) -> str:
    """The title of the horizontal axis."""
    if options.along is not None:
        return as_text(options.along)
    title = step_title(charts) if options.x_axis == "step" else TITLES[options.x_axis]
    if options.x_axis == "epoch" and any(chart.epochs(np.zeros(1)) is None for chart in charts):
        title = "epoch (step, of runs that log no epoch)"
    return f"{title} + 1" if options.axes.x == "log" and options.is_counted else title
