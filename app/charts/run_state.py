"""The state of a run at a position: all numbers that are shown of it there, worked out once for windows and page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.charts.run_chart import RunChart
from app.schemas.responses import LossOf
from app.storage.batch import Point
from app.storage.records import RunRecord
from trainers.method import BEFORE_UPDATE

type Samples = Sequence[int] | NDArray[np.intp]

_NO_PARAMETERS = BEFORE_UPDATE | {"mse"}  # metrics of a descent that are none

_UNDER_WAY = ("queued", "running", "paused")


@dataclass(frozen=True)
class RunState:
    """A run at a position, see RunChart.positions.

    Of a descent: its parameters after so many updates, with their cost and the gradient of that cost, and what the next
    update sees and leads to. Of a search or a script: what the point of that step told.
    """

    run: str  # its id
    position: float | None  # None: a search or a script without a point
    step: float | None  # of the point after which it holds; -1 before the first update
    first: float  # the first position
    updates: float  # the last position so far
    values: dict[str, float]  # parameters by name; of searches and scripts all metrics
    cost: float | None = None  # over all data; None where that is not known
    gradient: dict[str, float] | None = None  # of the cost, as the metrics are named
    loss: float | None = None  # that of the next update or, of searches and scripts, of the point
    loss_of: LossOf | None = None  # None where it is the cost
    next_values: dict[str, float] | None = None  # the parameters after the next update, once that is stored
    samples: Samples | None = None  # numbers, from 0, of those that the next update uses, or that were
    # used; at the end all. None: unknown, as it would take long to draw them again
    is_last: bool = False  # no update follows


def newest_state(chart: RunChart) -> RunState:
    """The state after all that the chart has."""
    if chart.is_descent:
        return state_at(chart, chart.newest)
    last = Point(float(chart.run.step), chart.run.last) if chart.run.step is not None else None
    return state_at(chart, last)


def state_at(chart: RunChart, point: Point | None, following: Point | None = None) -> RunState:
    """The state after a stored point; None: before any. ``following`` is the point of the next step, if there is."""
    return _of_descent(chart, point, following) if chart.is_descent else _as_logged(chart, point)


def _of_descent(chart: RunChart, point: Point | None, following: Point | None) -> RunState:
    step = point.step if point else -1.0
    values = _parameters(point) if point else chart.initial
    updates = max(chart.newest.step if chart.newest else -1.0, step) + 1
    is_last = following is None and _is_over(chart.run, step + 1)
    samples = _samples(chart, step + 1, is_last=is_last)
    loss, loss_of = _loss(chart, values, following, samples, is_last=is_last)
    return RunState(
        run=chart.run.id,
        position=step + 1,
        step=step,
        first=0.0,
        updates=updates,
        values=values,
        cost=chart.final_cost if is_last and chart.final_cost is not None else _cost(chart, values, point, following),
        gradient=_gradient(chart, values, following),
        loss=loss,
        loss_of=loss_of,
        next_values=_parameters(following) if following else None,
        samples=samples,
        is_last=is_last,
    )


def _as_logged(chart: RunChart, point: Point | None) -> RunState:
    curves = [curve.first[0] for curve in chart.curves.values() if curve.first]
    last = float(chart.run.step or 0)
    values = point.values if point else {}
    return RunState(
        run=chart.run.id,
        position=point.step if point else None,
        step=point.step if point else None,
        first=min([*curves, last]),
        updates=last,
        values=values,
        cost=chart.cost_at(values),
        gradient=chart.gradient_at(values) or None,
        loss=values.get("loss"),
        loss_of="point",
        samples=range(chart.count),
    )


def _parameters(point: Point) -> dict[str, float]:
    return {name: value for name, value in point.values.items() if name not in _NO_PARAMETERS}


def _is_over(run: RunRecord, position: float) -> bool:
    """Whether no update follows on this position, the last that is stored."""
    return run.status not in _UNDER_WAY or (run.total_steps is not None and position >= run.total_steps)


def _cost(chart: RunChart, values: dict[str, float], point: Point | None, following: Point | None) -> float | None:
    """What the run itself tells of the cost over all data, which is what its curves show; else that of the data."""
    if chart.loss_scale is not None and following and "loss" in following.values:
        return following.values["loss"] / chart.loss_scale
    if point and "mse" in point.values:
        return point.values["mse"]
    return chart.cost_at(values)


def _gradient(chart: RunChart, values: dict[str, float], following: Point | None) -> dict[str, float] | None:
    known = chart.gradient_at(values)
    if chart.loss_scale is not None and following:
        told = {name: following.values[name] for name in known if name in following.values}
        known |= {name: value / chart.loss_scale for name, value in told.items()}
    return known or None


def _samples(chart: RunChart, position: float, *, is_last: bool) -> Samples | None:
    everything = range(chart.count)
    if is_last or chart.method is None or chart.method.samples_used is None or chart.params is None:
        return everything
    return chart.method.samples_used(chart.params, len(everything), int(position)) if everything else None


def _loss(
    chart: RunChart,
    values: dict[str, float],
    following: Point | None,
    samples: Samples | None,
    *,
    is_last: bool,
) -> tuple[float | None, LossOf | None]:
    """The loss of the next update, and what it belongs to."""
    told = following.values.get("loss") if following else None
    if chart.method is None:
        return told, "update"
    if chart.method.samples_used is not None:
        count = None if samples is None else len(samples)
        return (None, None) if is_last else (told, "sample" if count == 1 else "batch" if count else "update")
    if chart.loss_scale is None:
        return told, "update"
    if chart.loss_scale == 1:
        return None, None
    cost = chart.cost_at(values)
    computed = None if cost is None or math.isnan(cost) else chart.loss_scale * cost
    return (computed if told is None else told), "sum"
