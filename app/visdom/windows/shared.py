"""The shared windows: the latest runs over each other."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from app.charts.metric_choice import MetricChoice, choose
from app.charts.run_chart import RunChart
from app.schemas.view import View
from app.visdom.windows import cost
from app.visdom.windows.curves import NOTE_COLUMNS, NOTE_ROW_HEIGHT, PLOT_TOP
from app.visdom.windows.layout import MAX_POINTS, OURS, Window, attempted, empty_plot
from app.visdom.windows.metrics import Legend, metric_window, win_of
from trainers import METHODS, is_search

ALL_HIDDEN = "All runs are hidden: the eye in a run's row<br>shows it again."
MAX_SHARED_POINTS = 6 * MAX_POINTS  # in all windows of metrics together: a page draws them all again and again
FIRST = {"loss": "loss"}  # before anything is logged


def shared_windows(charts: list[RunChart], view: View, choice: MetricChoice | None = None) -> list[Window]:
    """The windows of the shared env in order: of each chosen metric, and the cost curve. Searches are in that only.

    `choice` is that of these runs and this view; without it, it is made.
    """
    return list(each_shared_window(charts, view, choice))


def each_shared_window(
    charts: list[RunChart],
    view: View,
    choice: MetricChoice | None = None,
    failed: Callable[[], None] | None = None,
) -> Iterator[Window]:
    """The same windows, each drawn when it is asked for. `failed` is called in the place of an exception, and the
    window that cannot be drawn says so."""
    descents = [chart for chart in charts if not is_search(chart.run.method)]
    if choice is None:
        choice = choose([(chart.run.method, chart.logged) for chart in charts], view.metrics)
    titles = choice.shown or (FIRST if descents else {**FIRST, "w": "w"})
    legend, most = Legend(), min(MAX_POINTS, MAX_SHARED_POINTS // len(titles))
    drawings = [
        (win_of(key), title, partial(metric_window, key, title, descents, view, legend, most))
        for key, title in titles.items()
    ]
    if not charts or any(chart.run.method in METHODS for chart in charts):
        drawings.append((cost.WIN, cost.TITLE, partial(_cost_window, charts, view)))
    for place, (win, title, draw) in enumerate(drawings):
        window = attempted(win, title, draw, failed)
        if choice.crowded_out and place == len(titles) - 1:
            window = _with_note(window, f"{choice.crowded_out:,} more metrics are logged and not shown")
        if not charts and view.hidden:
            window = Window(window.win, window.title, *empty_plot(window.layout, ALL_HIDDEN))
        yield without_legend_clicks(in_place(window, place))


def in_place(window: Window, place: int) -> Window:
    """The same window with its place, from 0, on a page (static/plot_guard.js); a text is after all that have one."""
    ours = {**window.layout.get(OURS, {}), "place": place}
    return replace(window, layout={**window.layout, OURS: ours}) if window.layout else window


def without_legend_clicks(window: Window) -> Window:
    """The same window with a legend that hides nothing: a run is hidden in all shared windows, or in none."""
    if not window.layout:
        return window  # a text
    legend = {**window.layout.get("legend", {}), "itemclick": False, "itemdoubleclick": False}
    return replace(window, layout={**window.layout, "legend": legend})


def _cost_window(charts: list[RunChart], view: View) -> Window:
    """The cost curve with a note of the runs that are on other data than its parabola, and so not on it."""
    window = cost.shared_cost_window(charts, view.axes.cost)
    on_curve = [chart for chart in charts if chart.parabola]
    elsewhere = [chart for chart in on_curve if chart.run.data_hash != on_curve[-1].run.data_hash]
    if not elsewhere:
        return window
    return _with_note(
        window, f"not on this curve, as on other data: {', '.join(f'#{chart.run.number}' for chart in elsewhere)}"
    )


def _with_note(window: Window, text: str) -> Window:
    """The same window with a note above what it shows, in place of others that lie there."""
    lines = textwrap.wrap(text, NOTE_COLUMNS)
    place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 1, "xanchor": "center", "yanchor": "top"}
    note = {**place, "text": "<br>".join(lines), "showarrow": False, "font": {"size": 11}}
    key = next(name for name in window.layout if name.startswith("yaxis"))
    axis = {**window.layout[key], "domain": [0, PLOT_TOP - NOTE_ROW_HEIGHT * len(lines)]}  # below the note
    notes = [*window.layout.get("annotations", []), note]
    return replace(window, layout={**window.layout, key: axis, "annotations": notes})
