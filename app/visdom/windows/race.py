"""The windows of a race: of learning rates a plot, of all others a ranking as a table, and what each has cost."""

from __future__ import annotations

import html

from app.charts.colours import hex_of
from app.charts.run_chart import RunChart
from app.runs.active import EXTERNAL
from app.runs.progress import final_mse, has_exploded, rank
from app.storage.records import RunRecord
from app.visdom.windows.group_results import group_window
from app.visdom.windows.layout import Trace, Window
from app.visdom.windows.race_costs import costs_window
from app.visdom.windows.race_rates import rates_window
from trainers.numbers import short

WIN = "race"
COSTS_WIN = "race-costs"


def race_windows(charts: list[RunChart]) -> list[Window]:
    """The windows of the race that the newest run belongs to, or of the group of scripts' runs; none if it belongs to
    neither."""
    if not charts:
        return []
    newest = charts[-1].run
    if not newest.varied:
        runs = [chart.run for chart in charts if chart.run.method == EXTERNAL and chart.run.group == newest.group]
        window = group_window(WIN, runs) if newest.group and runs else None
        return [window] if window else []
    racing = [chart for chart in charts if chart.run.varied and chart.run.group == newest.group]
    if "lr" in newest.varied:
        return [rates_window(WIN, f"Learning rates of {newest.group}", racing)]
    ranking = Window(WIN, f"Ranking of {newest.group}", [_table(racing)])
    return [ranking, costs_window(COSTS_WIN, f"Mean squared error against work, {newest.group}", racing)]


def _table(racing: list[RunChart]) -> Trace:
    """The ranking, best first, as an HTML table."""
    rows = [_row(run) for run in rank(chart.run for chart in racing)]
    titles = ("run", "gradients to 1 %", "steps to 1 %", "MSE")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return {"type": "text", "content": f"<table><tr>{head}</tr>{''.join(rows)}</table>"}


def _row(run: RunRecord) -> str:
    """A run's row in the ranking."""
    chip = (
        '<span style="display: inline-block; width: 10px; height: 10px; margin-right: 8px; border-radius: 2px;'
        f' background: {hex_of(run)}"></span>'
    )
    numbers = (run.evaluations_to_1_percent, run.steps_to_1_percent, final_mse(run))
    evaluations, steps, error = ("–" if number is None else short(number) for number in numbers)
    cells = (evaluations, steps, "diverged" if has_exploded(run) else error)
    return f"<tr><td>{chip}{html.escape(run.name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
