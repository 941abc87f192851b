"""The shared windows: the latest runs over each other."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from app.charts.run_chart import RunChart
from app.schemas.view import View
from app.visdom.windows.cost import shared_cost_window
from app.visdom.windows.curves import MAX_LEGEND_RUNS, NOTE_COLUMNS, NOTE_ROW_HEIGHT, PLOT_TOP, metric_window
from app.visdom.windows.layout import Window, empty_plot, trace_name
from trainers import is_search

ALL_HIDDEN = "All runs are hidden: the eye in a run's row<br>shows it again."


def shared_windows(charts: list[RunChart], view: View) -> list[Window]:
    """The windows of the shared env: loss, w and the cost curve. Searches are in the last only."""
    descents = [chart for chart in charts if not is_search(chart.run.method)]
    w = metric_window("w", "w", descents, "w", view, legend=False)
    windows = [
        metric_window("loss", "Loss", descents, "loss", view, legend=True),
        _with_legend(w, [chart for chart in descents if not _has_points(chart, "loss")]),
        _with_note(shared_cost_window(charts, view.axes.cost), charts),
    ]
    if not charts and view.hidden:
        windows = [Window(one.win, one.title, *empty_plot(one.layout, ALL_HIDDEN)) for one in windows]
    return [without_legend_clicks(window) for window in windows]


def without_legend_clicks(window: Window) -> Window:
    """The same window with a legend that hides nothing: a run is hidden in all shared windows, or in none."""
    if not window.layout:
        return window  # a text
    legend = {**window.layout.get("legend", {}), "itemclick": False, "itemdoubleclick": False}
    return replace(window, layout={**window.layout, "legend": legend})


def _with_legend(window: Window, charts: list[RunChart]) -> Window:
    """The same window with a legend of these runs, which no other window's legend has."""
    names = {trace_name(chart) for chart in charts if _has_points(chart, "w")}
    if not 0 < len(names) <= MAX_LEGEND_RUNS:
        return window
    traces = [{**trace, "showlegend": trace["name"] in names} for trace in window.data]
    return replace(window, data=traces, layout={**window.layout, "showlegend": True})


def _with_note(window: Window, charts: list[RunChart]) -> Window:
    """The cost curve with a note of the runs that are on other data than its parabola, and so not on it."""
    on_curve = [chart for chart in charts if chart.parabola]
    elsewhere = [chart for chart in on_curve if chart.run.data_hash != on_curve[-1].run.data_hash]
    if not elsewhere:
        return window
    text = f"not on this curve, as on other data: {', '.join(f'#{chart.run.number}' for chart in elsewhere)}"
    lines = textwrap.wrap(text, NOTE_COLUMNS)
    place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 1, "xanchor": "center", "yanchor": "top"}
    note = {**place, "text": "<br>".join(lines), "showarrow": False, "font": {"size": 11}}
    key = next(name for name in window.layout if name.startswith("yaxis"))
    axis = {**window.layout[key], "domain": [0, PLOT_TOP - NOTE_ROW_HEIGHT * len(lines)]}  # below the note
    notes = [*window.layout.get("annotations", []), note]
    return replace(window, layout={**window.layout, key: axis, "annotations": notes})


def _has_points(chart: RunChart, metric: str) -> bool:
    return metric in chart.curves and chart.curves[metric].total > 0
