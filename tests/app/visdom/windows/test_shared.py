"""What the windows show, as data: the drawing itself is tested in the browser."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from app.charts.latest import SHARED_METRICS
from app.charts.metric_choice import MAX_WINDOWS
from app.charts.run_chart import RunChart, parabola_of
from app.charts.run_state import state_at
from app.schemas.view import Axes, StepRange, View
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.visdom.windows.layout import MAX_POINTS, Window, drawable, trace_name
from app.visdom.windows.shared import each_shared_window, shared_windows
from app.visdom.windows.single_run import windows_at

DATA = (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))


def drawn(
    number: int,
    ws: list[float],
    losses: list[float],
    method: str = "gd",
    status: Any = "running",
    params: dict[str, Any] | None = None,
    **record: Any,
) -> RunChart:
    if params is None:
        params = {"lr": 0.01} if method != "sweep" else {}
    run = RunRecord(f"{number:032x}", f"run {number}", method, params, status, 0.0, number, **record)
    one = RunChart(run, SHARED_METRICS, parabola_of(DATA) if method in ("gd", "sweep") else None)
    rows = np.column_stack([np.arange(len(ws)), ws, losses]) if ws else np.empty((0, 3))
    one.append(Batch(0, ("w", "loss"), rows))
    return one


def by_name(windows: list[Window]) -> dict[str, Window]:
    return {window.win: window for window in windows}


def test_before_any_run_the_three_windows_are_there_and_say_what_to_do() -> None:
    windows = shared_windows([], View())
    assert [(window.win, window.title) for window in windows] == [("loss", "Loss"), ("w", "w"), ("cost", "Cost curve")]
    for window in windows:
        assert "Start a run" in window.layout["annotations"][0]["text"]
        json.dumps([window.data, window.layout], allow_nan=False)


@pytest.mark.parametrize("method", ["torch", "backprop"])
def test_runs_without_a_cost_curve_say_where_their_cost_is(method: str) -> None:
    cost = by_name(shared_windows([drawn(1, [1.0], [1.0], method=method)], View()))["cost"]
    assert "w and b" in cost.layout["annotations"][0]["text"]


def test_a_path_lies_on_the_parabola_and_begins_at_w0() -> None:
    one = drawn(1, [1.5, 1.8], [4.0, 1.0])
    cost = by_name(shared_windows([one], View()))["cost"]
    path = next(trace for trace in cost.data if trace["mode"] == "lines+markers")
    assert path["x"] == [1.0, 1.5, 1.8]
    assert path["y"] == pytest.approx([14 / 3 * (w - 2) ** 2 for w in path["x"]])
    now = cost.data[-1]
    assert (now["x"], now["marker"]["color"]) == ([1.8], path["marker"]["color"])


def test_a_sweep_is_drawn_on_the_cost_curve_only() -> None:
    windows = by_name(shared_windows([drawn(1, [0.0, 0.1], [18.0, 16.0], method="sweep")], View()))
    assert "annotations" in windows["loss"].layout
    assert any(trace.get("mode") == "markers" for trace in windows["cost"].data)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Gradient descent, lr 0.3 → 1000", "Gradient descent, lr 0.3 → 1000 #1"),
        (
            "Stochastic gradient descent, lr 0.5, order sequential",
            "Stochastic gradient d…, lr 0.5, order sequential #1",
        ),
        ("Mini-batch gradient descent, " + "x" * 90, "Mini-batch …, " + "x" * 33 + "… #1"),
        ("one word " * 9, "one word " * 5 + "on… #1"),
    ],
)
def test_a_name_that_is_too_long_keeps_what_makes_it_differ(name: str, shown: str) -> None:
    one = drawn(1, [1.0], [1.0])
    one.run.name = name
    assert trace_name(one) == shown


def test_runs_on_other_data_are_not_drawn_on_this_parabola() -> None:
    runs = [drawn(1, [1.5], [4.0], data_hash="old"), drawn(2, [1.6], [3.0], data_hash="new")]
    cost = by_name(shared_windows(runs, View()))["cost"]
    assert [trace["name"] for trace in cost.data] == ["cost(w)", "run 2 #2", "run 2 #2 now"]
    assert [note["text"] for note in cost.layout["annotations"]] == ["not on this curve, as on other data: #1"]
    assert "annotations" not in by_name(shared_windows(runs[1:], View()))["cost"].layout


def test_no_window_holds_more_points_than_it_may() -> None:
    long = np.random.default_rng(0).normal(size=100_000).tolist()
    windows = shared_windows([drawn(i, long, np.abs(long).tolist()) for i in range(8)], View())
    for window in windows:
        assert 500 < sum(len(trace["x"]) for trace in window.data) <= MAX_POINTS
        names = [trace["name"] for trace in window.data]
        assert len(set(names)) == len(names)  # Visdom's page tells traces apart by name
    loss = by_name(windows)["loss"].data[0]
    assert max(loss["y"]) == max(abs(value) for value in long)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_diverged_run_does_not_squash_the_others(scale: Any) -> None:
    calm = drawn(1, [1.0, 1.9], [4.0, 0.1])
    wild = drawn(2, [4.0, -1e70], [4.0, 18.0], status="diverged")
    board = View(axes=Axes(loss=scale, w=scale, cost=scale))
    windows = by_name(shared_windows([calm, wild], board))
    axis = windows["loss"].layout["yaxis" if scale == "linear" else "yaxis2"]
    clip = axis["autorangeoptions"]["clipmax"]
    highest = (
        50 if scale == "linear" else 4000
    )  # in the units of the data; the line of an explosion has half the height
    assert 18.0 <= clip < highest
    xs = [x for trace in windows["cost"].data for x in trace["x"]]
    assert -2 < min(xs) <= max(xs) < 5


def exploding(number: int, updates: int = 100) -> RunChart:
    """A run whose w is ten times as far from the minimum with each update."""
    away = np.append(1.0, -((-10.0) ** np.arange(1, updates + 1)))
    return drawn(number, (2 - away[1:]).tolist(), (14 / 3 * away[:-1] ** 2).tolist())


def test_an_explosion_on_a_log_scale_is_drawn_whole_and_is_told_in_the_units_of_the_axis() -> None:
    calm, wild = drawn(1, [1.0, 1.9, 2.0], [4.7, 0.1, 0.01]), exploding(2)
    wild.run.started_at, wild.times = 100.0, [(0.0, 100.0), (99.0, 298.0)]
    for along, told in (("step", "update 2"), ("time", "2 s")):
        loss = by_name(shared_windows([calm, wild], View(axes=Axes(loss="log"), x=along)))["loss"]
        assert len(loss.data[1]["y"]) == 100
        assert [label["text"] for label in loss.layout["annotations"]] == [f"run 2 #2 leaves here: {told}"]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_of_curves_that_leave_are_few_and_apart(scale: Any) -> None:
    runs = [exploding(number) for number in range(1, 9)]
    for number, one in enumerate(runs, 1):
        one.run.params, one.run.varied = {"lr": number}, {"lr": number}
    windows = by_name(shared_windows([drawn(9, [1.0, 1.9], [4.0, 0.1]), *runs], View(axes=Axes(loss=scale))))
    for name in ("loss", "w", "cost"):
        labels = windows[name].layout["annotations"]
        assert [label["text"].partition(" leaves")[0] for label in labels if "lr" in label["text"]] == [
            "lr 1",
            "lr 2",
            "lr 3",
        ]
        assert "and 5 more" in [label["text"] for label in labels]
        places = [(label["x"], label["y"], label["yshift"]) for label in labels]
        assert len(set(places)) == 4
    colours = {label["bordercolor"] for label in windows["loss"].layout["annotations"]}
    assert {trace["line"]["color"] for trace in windows["loss"].data[1:4]} <= colours


def test_an_average_ends_where_its_curve_leaves_the_scale() -> None:
    calm, wild = drawn(1, [1.0, 1.9], [4.0, 0.1]), exploding(2)
    traces = by_name(shared_windows([calm, wild], View(smoothing=3)))["w"].data
    raw, average = (trace for trace in traces if "run 2" in trace["name"])
    assert 1 <= len(average["x"]) < len(raw["x"]) < 5
    assert raw["x"][0] == 0  # w before the first update, which is in no average


def test_nothing_that_json_lacks_reaches_visdom() -> None:
    odd = drawn(1, [math.nan, math.inf, 1.0, 1e308], [math.inf, -math.inf, math.nan, 1e308], status="diverged")
    for window in [*shared_windows([odd], View(axes=Axes(loss="log", cost="log"))), *windows_at(odd)]:
        json.dumps([window.data, window.layout], allow_nan=False)


def script(steps: list[float], number: int = 5, **metrics: list[float]) -> RunChart:
    """A script's run with these points."""
    run = RunRecord(f"{number:032x}", "script", "external", {}, "running", 0.0, number)
    one = RunChart(run)
    one.append(Batch(0, tuple(metrics), np.column_stack([steps, *metrics.values()])))
    return one


def text_of(window: Window) -> str:
    return str(window.layout["annotations"][0]["text"]).replace(" <br>", " ")


def test_a_window_without_points_says_why() -> None:
    nothing = script([0.0] * 20, loss=[math.nan] * 20)
    one = script([0], **{"val/accuracy": [math.inf]})
    said = [text_of(shared_windows([chart], View())[0]) for chart in (nothing, one)]
    assert said == ["20 values, all NaN or infinite", "1 value, NaN or infinite"]
    unread = script([0], loss=[1.0])
    unread.kept, unread.curves = frozenset(), {}
    assert text_of(shared_windows([unread], View())[0]) == "Reading its points…"
    waiting = RunChart(RunRecord("6" * 32, "script", "external", {}, "running", 0.0, 6))
    assert text_of(shared_windows([waiting], View())[0]) == "Waiting for a first step…"


@pytest.mark.parametrize("smoothing", [0, 3])
def test_steps_that_fall_or_repeat_are_drawn_as_strokes(smoothing: int) -> None:
    one = script([0, 1, 2, 1, 2, 2], loss=[5.0, 5.0, 5.0, 1.0, 1.0, 3.0])
    trace = shared_windows([one], View(smoothing=smoothing))[0].data[0]
    assert trace["x"] == [0, 1, 2, None, 1, 2, None, 2]  # no line leads over a point without an x
    assert trace["y"] == [5, 5, 5, 1, 1, 1, 3, 3]
    assert trace["marker"]["size"] == [0, 0, 0, 0, 0, 0, 0, 6]  # a point that no line leads to


def test_what_plotly_cannot_draw_is_drawn_as_constant() -> None:
    tiny, huge = script([0, 1], loss=[1e-310, 2e-310]), script([0, 1, 2], loss=[1.0, -1e308, math.nan])
    (loss, *_) = shared_windows([tiny], View())
    assert drawable(loss.data, loss.layout)[0]["y"] == [0, 0]
    (loss, *_) = shared_windows([tiny], View(axes=Axes(loss="log")))
    assert drawable(loss.data, loss.layout)[0]["y"] == [1e-310, 2e-310]  # their logarithms are far enough apart
    (loss, *_) = shared_windows([huge], View())
    assert drawable(loss.data, loss.layout)[0]["y"] == [1, -1e300]
    gaps = [{"x": [None, 1e-300], "y": [None, 1.0], "xaxis": "x2"}]
    assert drawable(gaps, {"xaxis2": {}}) == [{"x": [None, 0], "y": [None, 1.0], "xaxis": "x2"}]
    one = drawn(1, [1.0, 2.0], [4.0, 1.0])
    for window in shared_windows([one], View()):
        assert drawable(window.data, window.layout) == window.data


@pytest.mark.parametrize("w0", [1e-310, 0.0])
def test_a_view_of_nearly_no_width_is_as_wide_as_one_of_none(w0: float) -> None:
    one = drawn(1, [w0, 0.0], [0.0, 0.0], params={"lr": 0.01, "w0": w0})
    one.parabola = parabola_of((DATA[0], np.zeros(3)))
    cost = by_name(shared_windows([one], View()))["cost"].data[0]
    assert (cost["x"][0], cost["x"][-1]) == pytest.approx((-1.15, 1.15))


def test_stored_text_is_no_markup() -> None:
    one = drawn(1, [1.0], [1.0])
    one.run.name = one.run.error = "<img src=x onerror=alert(1)>"
    one.kept = None
    one.append(Batch(1, ("<b>metric</b>",), np.array([[1.0, 2.0]])))
    for window in [*shared_windows([one], View()), *windows_at(one)]:
        text = json.dumps([window.win, window.data, window.layout])  # Visdom's page shows the title as text
        assert "<img" not in text
        assert "<b>" not in text


def test_stored_text_is_no_formula() -> None:
    one = drawn(1, [1.0], [1.0])
    one.run.name, one.run.changes = "$x^2$", [{"step": 0, "params": {"$a$": 1}}]
    one.kept = None
    one.append(Batch(1, ("$metric$",), np.array([[1.0, 2.0]])))
    for window in [*shared_windows([one], View()), *windows_at(one)]:
        if window.win != "about":  # a text, in which a dollar is a dollar
            assert "$" not in json.dumps([window.data, window.layout])


def test_a_runs_windows_at() -> None:
    one = drawn(1, [1.0, 1.5], [4.0, 1.0])
    one.run.result = {"predict_before": 4.0, "predict_after": 7.9}
    windows = windows_at(one)
    assert [window.title for window in windows] == ["Cost curve", "w", "loss", "gradient", "run 1"]
    assert "predict after" in windows[-1].data[0]["content"]


@pytest.mark.parametrize(
    ("method", "params", "shown", "rows"),
    [
        ("sweep", {}, "best w = 2", 3),
        ("gd", {}, "All samples, at w = 1.5", 3),
        ("sgd", {"order": "sequential"}, "Samples of update 3", 1),
        ("minibatch", {"order": "sequential", "batch_size": 2}, "Samples of update 3", 2),
        ("torch", {}, "All samples", 3),
    ],
)
def test_a_runs_samples_are_listed(method: str, params: dict[str, Any], shown: str, rows: int) -> None:
    one = drawn(1, [1.0, 1.5], [4.0, 1.0], method=method, params=params)
    one.data = DATA
    one.run.step, one.run.last, one.run.result = 4, {"w": 1.5}, {"best_w": 2.0}
    window = next(window for window in windows_at(one) if window.win == "samples")
    assert shown in window.title
    table = window.data[0]["content"]
    assert table.count("<tr>") == rows + 1
    if method == "sgd":
        assert "<td>3</td><td>3</td><td>6</td><td>4.5</td><td>2.25</td>" in table  # update 3 is the third sample's


def test_smoothing_draws_the_average_and_the_raw_curve_behind_it() -> None:
    one = drawn(1, [1.0, 2.0, 3.0], [4.0, 0.0, 2.0])
    loss = by_name(shared_windows([one], View(smoothing=3)))["loss"]
    raw, smooth = loss.data
    assert (raw["y"], smooth["y"]) == ([4, 0, 2], [4, 2, 2])
    assert raw["line"]["color"].startswith("rgba(")
    assert (raw["showlegend"], smooth["name"]) == (False, "run 1 #1")
    assert "exponential average over 3 steps" in loss.layout["annotations"][0]["text"]
    long = np.random.default_rng(0).normal(size=100_000).tolist()
    for window in shared_windows([drawn(i, long, long) for i in range(8)], View(smoothing=1000)):
        assert sum(len(trace["x"]) for trace in window.data) <= MAX_POINTS


def test_a_log_axis_says_what_it_cannot_show() -> None:
    one = drawn(1, [1.0, 2.0, 3.0, 4.0], [4.0, 0.0, -1.0, math.nan])
    loss = by_name(shared_windows([one], View(axes=Axes(loss="log"))))["loss"]
    assert loss.layout["annotations"][0]["text"] == "2 not above 0, not shown; 1 NaN or infinite"


def test_steps_epochs_or_seconds_run_along_the_curves() -> None:
    one = drawn(1, [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0])
    one.updates_per_epoch, one.run.started_at, one.times = 2, 100.0, [(1.0, 101.0), (3.0, 105.0)]

    def along(x: Any) -> list[float]:
        return by_name(shared_windows([one], View(x=x)))["loss"].data[0]["x"]

    assert along("step") == [0, 1, 2, 3]
    assert along("epoch") == [0, 0.5, 1, 1.5]
    assert along("time") == [0, 0, 1, 3]  # after k updates is when the point of step k - 1 came in
    one.updates_per_epoch = None
    window = by_name(shared_windows([one], View(x="epoch")))["loss"]
    assert window.layout["xaxis"]["title"]["text"] == "epoch (step, of runs that log no epoch)"
    one.curves["epoch"] = one.curves["loss"]
    assert along("epoch") == [4, 3, 2, 1]


def test_another_metric_runs_along_the_curves_of_those_that_log_it() -> None:
    one = script([0, 1, 2], 1, loss=[4.0, 3.0, 2.0], samples=[0.0, 64.0, 128.0])
    two = script([0, 1], 2, loss=[4.0, 3.0], **{"train/Samples": [0.0, 32.0]})
    without = script([0, 1], 3, loss=[4.0, 3.0])
    loss = by_name(shared_windows([one, two, without], View(x="metric:samples")))["loss"]
    assert [(trace["name"], trace["x"]) for trace in loss.data] == [
        ("script #1", [0, 64, 128]),
        ("script #2", [0, 32]),
    ]
    assert loss.layout["xaxis"]["title"]["text"] == "samples"
    ours = drawn(4, [1.5, 1.8, 1.9], [4.0, 1.0, 0.1])
    w = by_name(shared_windows([ours], View(x="metric:loss")))["w"].data[0]
    assert (w["x"], w["y"]) == ([4, 1, 0.1, 0.1], [1, 1.5, 1.8, 1.9])  # the loss of which each w is, as far as known
    nothing = by_name(shared_windows([without], View(x="metric:samples")))["loss"]
    assert text_of(nothing) == "No run has logged samples,<br>which is to run along."


def test_a_run_that_logs_no_loss_is_in_the_legend_of_w() -> None:
    both = drawn(1, [1.0, 2.0], [4.0, 3.0])
    only_w = RunChart(RunRecord(f"{2:032x}", "only w", "external", {}, "running", 0.0, 2), SHARED_METRICS)
    only_w.append(Batch(0, ("w",), np.array([[0.0, 1.0], [1.0, 2.0]])))

    def named(charts: list[RunChart], win: str, **view: Any) -> list[str]:
        window = by_name(shared_windows(charts, View(**view)))[win]
        return [trace["name"] for trace in window.data if window.layout["showlegend"] and trace.get("showlegend", True)]

    for smoothing in (0, 3):
        assert named([both, only_w], "loss", smoothing=smoothing) == ["run 1 #1"]
        assert named([both, only_w], "w", smoothing=smoothing) == ["only w #2"]
    assert named([both], "w") == []
    assert named([only_w], "w") == ["only w #2"]


def test_a_click_on_a_legend_hides_nothing() -> None:
    charts = [drawn(1, [1.0], [4.0]), drawn(2, [1.0], [4.0], method="sweep")]
    for shown in ([], charts):
        for window in shared_windows(shown, View()):
            legend = window.layout["legend"]
            assert (legend["itemclick"], legend["itemdoubleclick"]) == (False, False), window.title


def test_windows_of_which_every_run_is_hidden_say_so() -> None:
    for window in shared_windows([], View(hidden=["1" * 32])):
        assert "All runs are hidden" in window.layout["annotations"][0]["text"]


def test_a_detail_has_axes_of_its_own_and_only_its_points() -> None:
    one = drawn(1, [], [])
    one.detail = StepRange(from_step=1, to_step=2)
    one.append(Batch(0, ("w", "loss"), np.column_stack([np.arange(4), np.arange(4), np.arange(4)]).astype(float)))
    loss = by_name(shared_windows([one], View(detail=one.detail)))["loss"]
    assert (loss.data[0]["x"], loss.data[0]["xaxis"]) == ([1, 2], "x3")
    assert "xaxis3" in loss.layout
    nothing = by_name(shared_windows([drawn(2, [], [])], View(detail=one.detail)))["loss"]
    assert "from step 1 to 2" in nothing.layout["annotations"][0]["text"]


def test_every_metric_has_a_window_and_stages_are_dashes_in_the_runs_colour() -> None:
    one = script([0, 1], 1, **{"train/loss": [2.0, 1.0], "val_loss": [2.5, 1.5], "acc": [0.1, 0.2]})
    two = script([0, 1], 2, loss=[3.0, 2.0])
    two.run.colour = 1
    windows = shared_windows([one, two], View())
    assert [(window.win, window.title) for window in windows] == [("loss", "Loss"), ("metric-acc", "acc")]
    assert [window.layout["lossboard"]["place"] for window in windows] == [0, 1]
    *curves, train, val = windows[0].data
    assert [(curve["name"], curve["line"].get("dash")) for curve in curves] == [
        ("script #1", None),
        ("script #1 val_loss", "dash"),
        ("script #2", None),
    ]
    assert curves[0]["line"]["color"] == curves[1]["line"]["color"] != curves[2]["line"]["color"]
    assert [(stage["name"], stage["line"]["dash"], stage["x"]) for stage in (train, val)] == [
        ("train", "solid", [None]),
        ("val", "dash", [None]),
    ]
    assert [curve.get("showlegend", True) for curve in curves] == [True, False, True]
    assert not windows[1].layout["showlegend"]  # Loss has told of its only run


def test_built_in_runs_and_scripts_share_the_window_of_losses() -> None:
    windows = by_name(shared_windows([script([0, 1], 1, val_loss=[2.0, 1.0]), drawn(2, [1.0], [4.0])], View()))
    assert [trace["name"] for trace in windows["loss"].data] == ["script #1", "run 2 #2", "val"]
    assert list(windows) == ["loss", "w", "cost"]


def test_metrics_without_a_window_are_counted() -> None:
    windows = shared_windows([script([0], **{f"m{number}": [1.0] for number in range(40)})], View())
    assert len(windows) == MAX_WINDOWS
    assert [note["text"] for note in windows[-1].layout["annotations"]] == ["28 more metrics are logged and not shown"]


def test_a_window_that_cannot_be_drawn_says_so_and_the_others_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    one = script([0, 1], loss=[2.0, 1.0], acc=[0.1, 0.2])
    monkeypatch.setattr(one.curves["loss"], "points", lambda *_, **__: 1 / 0)
    failures: list[None] = []
    loss, acc = each_shared_window([one], View(), failed=lambda: failures.append(None))
    assert text_of(loss) == "This window cannot be drawn:<br>division by zero"
    assert acc.data[0]["y"] == [0.1, 0.2]
    assert len(failures) == 1


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    "values", [[math.nan] * 3, [math.inf, -math.inf], [1.0], [1e-310, 2e-310], [1e300, -1e300], [0.0], [5e-324, 1e308]]
)
def test_whatever_a_metric_is_it_is_drawn_or_said(values: list[float], scale: Any) -> None:
    one = script(list(range(len(values))), odd=values, loss=values)
    for window in [*shared_windows([one], View(axes=Axes(loss=scale))), *windows_at(one)]:
        if window.layout:
            drawn_or_said = drawable(window.data, window.layout)
            json.dumps([drawn_or_said, window.layout], allow_nan=False)
            assert drawn_or_said[0]["x"] or "NaN or infinite" in text_of(window)


def test_own_windows_of_a_script_are_of_its_first_metrics_and_name_the_others() -> None:
    one = script([0, 1], **{f"m{number}": [1.0, 2.0] for number in range(20)}, loss=[1.0, 2.0], val_loss=[3.0, 4.0])
    windows = windows_at(one)
    assert [window.title for window in windows] == ["loss", *(f"m{number}" for number in range(11)), "script"]
    assert [trace["line"].get("dash") for trace in windows[0].data] == ["solid", "dash"]
    assert len({trace["line"]["color"] for trace in windows[0].data}) == 1
    assert "9 more metrics are not shown: m11, m12" in windows[-1].data[0]["content"]


def test_own_windows_of_a_script_tell_the_values_at_the_step_that_is_shown() -> None:
    one = script([0, 1, 2, 3], acc=[0.1, 0.2, 0.3, 0.4], loss=[4.0, 3.0, 2.0, 1.0])
    one.append(Batch(4, ("val_loss",), np.array([[1.0, 5.0]])))
    point = Batch(0, ("acc", "loss"), np.array([[2.0, 0.3, 2.0]])).point(0)
    windows = {window.title: window for window in windows_at(one, state_at(one, point), chosen=True)}
    assert text_of(windows["acc"]) == "0.3"
    assert text_of(windows["loss"]) == "loss 2, val_loss 5 at step 1"


def test_own_windows_are_averaged_too() -> None:
    one = script([0, 1, 2], loss=[4.0, 0.0, 2.0])
    raw, smooth = windows_at(one, view=View(smoothing=3))[0].data
    assert (raw["y"], smooth["y"]) == ([4, 0, 2], [4, 2, 2])


def test_what_is_told_under_the_pointer_is_no_template() -> None:
    one = script([0, 1], loss=[2.0, 1.0], **{"val_loss": [3.0, 2.0], "%{y}": [0.0, 1.0]})
    one.run.name = "%{x}"
    hover = by_name(shared_windows([one], View(x="metric:%{y}")))["loss"].data[1]["hovertemplate"]
    assert hover == "%&#123;y} %{x:.6~g}<br>%{y:.5~g}<extra>%&#123;x} #5 val_loss</extra>"
