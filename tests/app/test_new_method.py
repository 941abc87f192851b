"""A method that is added to the registry works everywhere: nothing else asks for methods by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import Field

from app.charts.run_chart import RunChart, draw
from app.main import create_app
from app.runs.names import default_name
from app.runs.validation import Plan, plan_run
from app.schemas.requests import RunIn
from app.schemas.view import View
from app.settings import Settings
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.storage.store import Store
from app.visdom.windows.layout import Window
from app.visdom.windows.shared import shared_windows
from app.visdom.windows.single_run import windows_at
from app.workers.worker import Training
from trainers import METHODS, Method, Params
from trainers.__main__ import main
from trainers.method import Node
from trainers.params import LearningParams, OneWeightParams, WholeNumber, seed_field
from trainers.problem import Data, cost, cost_and_gradient
from trainers.theory.diagnosis import why

pytestmark = pytest.mark.anyio


def momentum(data: Data, p: OneWeightParams) -> Iterator[tuple[float, float, float]]:
    """Gradient descent that keeps half of its last update."""
    w, velocity = p.w0, 0.0
    for _ in range(p.epochs):
        loss, grad = cost_and_gradient(data, w)
        velocity = velocity / 2 - p.lr * grad
        w += velocity
        yield w, loss, grad


MOMENTUM = Method(
    name="momentum",
    title="Momentum",
    description="Gradient descent that keeps half of its last update.",
    kind="descent",
    formula="<math></math>",
    params=OneWeightParams,
    train=momentum,
    metrics=lambda _p: ("w", "loss", "grad"),
    initial=lambda p: {"w": p.w0},
    updates_per_epoch=lambda _p, _n: 1,
    update_line="w += velocity",
    one_parameter=True,
)


class TriesParams(Params):
    """How many weights to try."""

    tries: WholeNumber = Field(default=20, title="Tries", description="How many weights to try.")
    seed: WholeNumber = seed_field("Where the random weights come from.")


def random_search(data: Data, p: TriesParams) -> Iterator[tuple[float, float]]:
    """The cost at random weights."""
    rng = np.random.default_rng(p.seed)
    for _ in range(p.tries):
        w = float(rng.uniform(-4, 4))
        loss = cost(data, w)
        yield w, loss


RANDOM_SEARCH = Method(
    name="random-search",
    title="Random search",
    description="The cost at random weights.",
    kind="search",
    formula="<math></math>",
    params=TriesParams,
    train=random_search,
    metrics=lambda _p: ("w", "loss"),
    initial=lambda _p: {"w": 0.0},
    updates_per_epoch=lambda p, _n: p.tries,
    update_line="loss = cost(data, w)",
    one_parameter=True,
    live=("steps_per_second",),
)


def line_gradient(data: Data, p: LearningParams) -> Iterator[tuple[float, float, float, float]]:
    """Gradient descent on w and b."""
    x, y = data.arrays()
    w = b = 0.0
    for _ in range(p.epochs):
        residual = w * x + b - y
        grad_w, grad_b = 2 * float((residual * x).mean()), 2 * float(residual.mean())
        w, b = w - p.lr * grad_w, b - p.lr * grad_b
        yield w, float((residual * residual).mean()), math.hypot(grad_w, grad_b), b


def line_graph(values: Mapping[str, float], data: Data, sample: int) -> list[Node]:
    """loss = (w x + b - y)², node by node."""
    w, b, x, y = values["w"], values["b"], float(data.x[sample]), float(data.y[sample])
    r = w * x + b - y
    return [
        Node("x", "input", (), x, 2 * r * w),
        Node("w", "parameter", (), w, 2 * r * x),
        Node("b", "parameter", (), b, 2 * r),
        Node("y", "input", (), y, -2 * r),
        Node("m", "multiply", ("w", "x"), w * x, 2 * r),
        Node("y_hat", "add", ("m", "b"), w * x + b, 2 * r),
        Node("r", "subtract", ("y_hat", "y"), r, 2 * r),
        Node("loss", "square", ("r",), r * r, 1.0),
    ]


LINE = Method(
    name="line",
    title="Line",
    description="Gradient descent on w and b.",
    kind="descent",
    formula="<math></math>",
    params=LearningParams,
    train=line_gradient,
    metrics=lambda _p: ("w", "loss", "grad", "b"),
    initial=lambda _p: {"w": 0.0, "b": 0.0},
    updates_per_epoch=lambda _p, _n: 1,
    graph=line_graph,
    update_line="w, b = w - p.lr * grad_w, b - p.lr * grad_b",
)

NEW: tuple[Method[Any], ...] = (MOMENTUM, RANDOM_SEARCH, LINE)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for method in NEW:
        monkeypatch.setitem(METHODS, method.name, method)


class FakeRun:
    """A run that keeps what a worker reports, and is never asked to stop, to pause or to change."""

    def __init__(self) -> None:
        self.should_stop = False
        self.control: dict[str, Any] = {}
        self.names: tuple[str, ...] = ()
        self.tables: list[NDArray[np.float64]] = []

    def steps_left(self, _done: int) -> float:
        return math.inf

    def log_table(self, names: tuple[str, ...], table: NDArray[np.float64]) -> None:
        self.names = names
        self.tables.append(table)


def plan(method: Method[Any], **params: Any) -> Plan:
    """A run of this method as the API accepts it."""
    return plan_run(RunIn.model_validate({"method": method.name, "params": params}))


def worked(planned: Plan) -> tuple[Batch, dict[str, float]]:
    """The points and the result that a worker reports of a run."""
    run = FakeRun()
    training = Training(run, planned.method, planned.params, Data.of(*planned.data), {})  # type: ignore[arg-type]
    assert training.go() == "finished"
    return Batch(0, run.names, np.concatenate(run.tables)), training.result


async def charted(store: Store, method: Method[Any], names: frozenset[str] | None = None) -> RunChart:
    """The chart of a run of this method, from its plan, through a worker and the store."""
    planned = plan(method)
    batch, result = worked(planned)
    run = RunRecord("1" * 32, method.title, method.name, planned.params.model_dump(), "finished", 0.0)
    await store.add_run(run, planned.data)
    await store.append(run, batch)
    run.step, run.last, run.result = len(batch) - 1, batch.point(len(batch) - 1).values, result
    return await draw(store, run, names)


def by_name(windows: list[Window]) -> dict[str, Window]:
    for window in windows:
        json.dumps([window.data, window.layout], allow_nan=False)
    return {window.win: window for window in windows}


def trace_names(window: Window) -> list[str]:
    return [trace["name"].split(" ")[0] for trace in window.data]


async def test_the_api_describes_them(tmp_path: Path) -> None:
    transport = httpx2.ASGITransport(app=create_app(Settings(data_dir=tmp_path)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        methods = {method["name"]: method for method in (await client.get("/api/methods")).json()}
        theory = await client.post("/api/methods/momentum/stability", json={})
    told = {name: (methods[name]["kind"], methods[name]["graph"]) for name in ("momentum", "random-search", "line")}
    assert told == {"momentum": ("descent", False), "random-search": ("search", False), "line": ("descent", True)}
    assert {methods["sweep"]["kind"], methods["gd"]["kind"]} == {"search", "descent"}
    assert methods["line"]["source"].startswith("def line_gradient(")
    assert theory.json()["lr_limit"] is None
    assert "no limit" in theory.json()["note"]


@pytest.mark.parametrize(("method", "name"), [(MOMENTUM, "Momentum, lr 0.01"), (RANDOM_SEARCH, "Random search")])
def test_a_request_is_checked_and_named(method: Method[Any], name: str) -> None:
    planned = plan(method)
    assert default_name(method, planned.params, planned.data, 1) == name
    assert planned.why is None
    assert planned.total_steps == (20 if method is RANDOM_SEARCH else 100)


def test_a_diverged_descent_without_theory_says_what_happened() -> None:
    params = MOMENTUM.params.model_validate({"lr": 5})
    reason = why(MOMENTUM, params, Data.of(*plan(MOMENTUM).data), "diverged", 12)
    assert reason is not None
    assert "after 13 updates" in reason
    assert why(RANDOM_SEARCH, RANDOM_SEARCH.params(), Data.of(*plan(MOMENTUM).data), "diverged", 12) is None


def test_the_result_of_a_search_is_its_best_candidate_and_of_a_descent_its_last_point() -> None:
    points, result = worked(plan(RANDOM_SEARCH))
    best = int(points.rows[:, 2].argmin())
    assert best != len(points) - 1
    assert (result["best_w"], result["best_loss"]) == tuple(points.rows[best, 1:])
    points, result = worked(plan(MOMENTUM))
    assert "best_w" not in result
    assert result["predict_after"] == pytest.approx(4 * points.rows[-1, 1])


async def test_a_descent_has_its_curves_and_its_path_on_the_cost_curve(store: Store) -> None:
    chart = await charted(store, MOMENTUM)
    own = by_name(windows_at(chart))
    assert list(own) == ["cost", "metric-w", "metric-loss", "metric-gradient", "samples", "about"]
    assert trace_names(own["cost"]) == ["cost(w)", "path", "tangent,", "w"]
    assert own["cost"].data[1]["x"][0] == 1.0  # w0
    shared = by_name(shared_windows([chart], View()))
    assert [len(shared[win].data) for win in ("loss", "w", "cost")] == [1, 1, 3]


async def test_a_search_is_on_the_cost_curve_only(store: Store) -> None:
    chart = await charted(store, RANDOM_SEARCH)
    own = by_name(windows_at(chart))
    assert list(own) == ["cost", "samples", "about"]
    assert trace_names(own["cost"]) == ["cost(w)", "candidates", "best,", "w"]
    assert own["samples"].title.startswith("All samples, at the best w = ")
    shared = by_name(shared_windows([chart], View()))
    assert ["annotations" in shared[win].layout for win in ("loss", "w", "cost")] == [True, True, False]
    assert [trace["mode"] for trace in shared["cost"].data] == ["lines", "markers", "markers"]
    assert shared["cost"].data[2]["x"] == [chart.run.result["best_w"]]


async def test_a_method_with_w_and_b_has_contours_and_its_own_graph(store: Store) -> None:
    chart = await charted(store, LINE)
    own = by_name(windows_at(chart, None, 1))
    assert trace_names(own["cost"]) == ["cost", "path", "minimum", "w"]
    assert (own["cost"].data[1]["x"][0], own["cost"].data[1]["y"][0]) == (0.0, 0.0)
    assert own["graph"].title == "Graph for sample 2 of 3, with the parameters after 100 updates"
    circles = [trace for trace in own["graph"].data if "hovertext" in trace]
    places = {
        text.partition(" ")[0]: place
        for trace in circles
        for text, *place in zip(trace["hovertext"], trace["x"], trace["y"], strict=True)
    }
    columns = {name: place[0] for name, place in places.items()}
    assert columns == {"x": 0, "w": 1, "m": 1, "b": 2, "y_hat": 2, "y": 3, "r": 3, "loss": 4}
    assert places["w"][1] > places["m"][1] == places["x"][1] == places["loss"][1]


@pytest.mark.parametrize("method", NEW, ids=lambda method: method.name)
async def test_before_the_first_step_there_are_the_same_windows_but_for_candidates(
    store: Store, method: Method[Any]
) -> None:
    chart = await charted(store, method)
    later = list(by_name(windows_at(chart)))
    empty = RunChart(chart.run, None, chart.parabola, chart.surface, chart.data)
    empty.run.step, empty.run.last = None, {}
    assert list(by_name(windows_at(empty))) == [win for win in later if method is not RANDOM_SEARCH or win != "samples"]


def test_the_terminal_runs_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["momentum", "--epochs", "2"]) == main(["random-search"]) == main(["line", "--epochs", "2"]) == 0
    told = capsys.readouterr().out
    assert (told.count("epoch: "), told.count("best w: "), told.count("predict (after training)")) == (4, 1, 2)


def test_a_kind_that_does_not_fit_its_parameters_is_refused() -> None:
    facts = {name: getattr(MOMENTUM, name) for name in MOMENTUM.__dataclass_fields__}
    with pytest.raises(TypeError, match="momentum is a search, which does not go with OneWeightParams"):
        Method(**facts | {"kind": "search"})
