"""The chart of a run as it is after its trainer has made all steps, without a board."""

from __future__ import annotations

from typing import Any

import numpy as np

import lossboard
from app.charts.run_chart import RunChart, parabola_of
from app.charts.run_state import RunState, state_at
from app.storage.batch import Batch, Floats, Point
from app.storage.records import RunRecord
from trainers import METHODS
from trainers.method import has_diverged
from trainers.problem import make_data
from trainers.theory.cost_surface import CostSurface

DATA = (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.5]))


def trained(name: str, data: tuple[Floats, Floats] = DATA, **params: Any) -> tuple[RunChart, list[Point]]:
    """A run as the publisher draws it after all of its steps, and its points."""
    method = METHODS[name]
    chosen = method.params.model_validate(params)
    names = method.metrics(chosen)
    rows = []
    for step, point in enumerate(method.train(make_data(*data), chosen)):
        rows.append([step, *(lossboard.MISSING if value is None else value for value in point)])
        if has_diverged(point[0] or 0.0, point[1] or 0.0):
            break
    batch = Batch(0, names, np.array(rows))
    points = [batch.point(place) for place in range(len(batch))]
    run = RunRecord("1" * 32, "run", name, chosen.model_dump(), "finished", 0.0, 1)
    run.step, run.last = len(rows) - 1, points[-1].values
    parabola = parabola_of(data) if method.one_parameter else None
    one = RunChart(run, None, parabola, None if parabola else CostSurface.of(make_data(*data)), data)
    one.append(batch)
    return one, points


def after(one: RunChart, points: list[Point], updates: int) -> RunState:
    """The state after so many updates."""
    return state_at(one, points[updates - 1] if updates else None, points[updates] if updates < len(points) else None)
