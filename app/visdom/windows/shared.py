"""The shared windows: the latest runs over each other."""

from __future__ import annotations

from app.charts.run_chart import RunChart
from app.schemas.view import View
from app.visdom.windows.cost import shared_cost_window
from app.visdom.windows.curves import metric_window
from app.visdom.windows.layout import Window
from trainers import is_search


def shared_windows(charts: list[RunChart], view: View) -> list[Window]:
    """The windows of the shared env: loss, w and the cost curve. Searches are in the last only."""
    descents = [chart for chart in charts if not is_search(chart.run.method)]
    return [
        metric_window("loss", "Loss", descents, "loss", view, legend=True),
        metric_window("w", "w", descents, "w", view, legend=False),
        shared_cost_window(charts, view.axes.cost),
    ]
