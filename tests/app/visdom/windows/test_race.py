"""What the windows show of races and of changes, as data."""

from __future__ import annotations

import json
import math
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest

from app.charts.colours import CATEGORIES, PALETTE, SCALE, hex_of, others, race_colours, shade, shades
from app.charts.run_chart import RunChart
from app.schemas.view import Axes, View
from app.storage.batch import Batch
from app.visdom.windows.layout import Window
from app.visdom.windows.race import race_windows
from app.visdom.windows.race_costs import curve_of
from app.visdom.windows.shared import shared_windows
from app.visdom.windows.single_run import windows_at
from tests.app.visdom.windows.test_shared import by_name, drawn
from trainers import METHODS


def light(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_scale_goes_from_light_to_dark_and_is_readable_on_both_grounds() -> None:
    colours = [shade(place) for place in np.linspace(0, 1, 50).tolist()]
    lights = [light(colour) for colour in colours]
    assert all(before > after for before, after in pairwise(lights))
    assert 1.05 / (lights[0] + 0.05) >= 3  # on white
    assert (lights[-1] + 0.05) / (light("#181c23") + 0.05) >= 3  # on the page's dark grey
    assert (colours[0], colours[-1]) == (SCALE[0], SCALE[-1])


def test_places_in_the_scale_follow_the_values() -> None:
    assert shades([0.1, 0.001, 1, 0.01]) == pytest.approx([2 / 3, 0, 1, 1 / 3])
    assert shades([2]) == [0]


def test_only_numbers_have_places_in_the_scale() -> None:
    assert race_colours([0.1, 0.3]) == [{"shade": 0.0}, {"shade": 1.0}]
    places = [one["colour"] for one in race_colours(["sgd", "gd", "torch"])]
    assert [hex_of(racer(1, 1.0, {}, colour=place).run) for place in places] == list(CATEGORIES[:3])
    assert len(race_colours(["random", "sequential"] * 5)) == 10


def seen_with(weakness: str, colour: str) -> np.ndarray:
    """A colour in CIELAB as eyes with this weakness see it: Machado, Oliveira and Fernandes (2009), severity 1."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(WEAKNESSES[weakness] @ linear, 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return lab("#" + "".join(f"{round(255 * part):02x}" for part in encoded))


WEAKNESSES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_categories_are_told_apart_by_every_eye(weakness: str) -> None:
    assert len(CATEGORIES) >= len(METHODS)
    seen = [seen_with(weakness, colour) for colour in CATEGORIES]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 20


@pytest.mark.parametrize("colour", CATEGORIES)
def test_categories_are_readable_on_both_grounds(colour: str) -> None:
    assert 1.05 / (light(colour) + 0.05) >= 3
    assert (light(colour) + 0.05) / (light("#181c23") + 0.05) >= 3


def lab(colour: str) -> np.ndarray:
    """A colour in CIELAB, where distances are as large as they look."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1, 1.089])
    return np.array([116 * y, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", [*PALETTE, *map(shade, (0, 0.3, 0.5, 0.8, 1))])
def test_what_stands_beside_a_colour_is_unlike_it(colour: str) -> None:
    first, second, *_ = others(colour)
    apart = [np.linalg.norm(lab(one) - lab(other)) for one, other in ((colour, first), (colour, second))]
    assert min(apart) > 50
    assert {colour, *others(colour)} == {colour, *PALETTE}


def racer(
    number: int, loss: float, varied: dict[str, Any], method: str = "gd", *, w: float = 1.5, **record: Any
) -> RunChart:
    """A run on three pairs that began with a mean squared error of 4, and whose last update led to `w`."""
    known = {"samples": 3, "cost_scale": None if method == "sweep" else 4.0} | record
    one = drawn(number, [1.0, w], [4.0, loss], method, group="<i>race</i>", varied=varied, **known)
    one.run.step, one.run.last, one.samples = 1, {"loss": loss, "w": w}, 3
    return one


def rates_window(*racing: RunChart) -> Window:
    (window,) = race_windows(list(racing))
    json.dumps([window.data, window.layout], allow_nan=False)
    return window


def test_losses_of_any_size_have_a_scale() -> None:
    for losses in ((5e-324, 1e-310), (0.0, 5e-324), (1e149, 5e-324), (1e-300, 1e-300)):
        racing = [racer(number, loss, {"lr": 0.1 * number}) for number, loss in enumerate(losses, 1)]
        for one in racing:
            one.run.cost_scale = 1e149
        rates_window(*racing)


def test_learning_rates_are_plotted_with_what_diverged_at_the_top() -> None:
    racing = [
        racer(1, 1e-3, {"lr": 0.01}),
        racer(2, 0.0, {"lr": 0.1}),
        racer(3, 1e140, {"lr": 0.3}, status="diverged"),
        racer(4, 1e30, {"lr": 0.25}),
    ]
    racing[0].lr_limit = 3 / 14
    window = rates_window(*racing)
    calm, lost, zero, *keys = window.data
    assert (calm["x"], calm["y"]) == ([0.01], [1e-3])
    assert lost["x"] == [0.3, 0.25]
    assert lost["y"] == [1e-2, 1e-2]
    assert (zero["x"], zero["y"], zero["text"]) == ([0.1], [1e-4], ["run 2<br>error 0"])
    assert window.layout["shapes"][0]["x0"] == 3 / 14
    assert "<i>" not in json.dumps([window.data, window.layout])
    # What the triangles mean stands in the legend: a label among the markers would cover some of them.
    assert [key["name"] for key in keys] == ["diverged", "error 0"]
    assert [trace["showlegend"] for trace in (calm, lost, zero)] == [False] * 3
    assert [label["text"] for label in window.layout["annotations"]] == ["converges below 0.214"]


def test_where_nothing_lies_at_an_edge_there_is_no_legend() -> None:
    window = rates_window(racer(1, 1e-3, {"lr": 0.01}), racer(2, 1e-2, {"lr": 0.1}))
    assert (window.layout["showlegend"], len(window.data)) == (False, 3)


def test_the_learning_rates_are_the_numbers_of_their_axis() -> None:
    rates = [0.01, 0.0234, 0.0548, 0.128, 0.3, 0.301]
    axis = rates_window(*(racer(number, 1.0, {"lr": rate}) for number, rate in enumerate(rates, 1))).layout["xaxis2"]
    assert axis["tickvals"] == [0.01, 0.0234, 0.0548, 0.128, 0.3]  # the last would touch the one before
    assert axis["ticktext"] == ["0.01", "0.0234", "0.0548", "0.128", "0.3"]
    same = rates_window(racer(1, 1.0, {"lr": 0.1}), racer(2, 1.0, {"lr": 0.1})).layout["xaxis2"]
    assert same["tickvals"] == [0.1]


def test_rates_of_a_sum_and_of_a_mean_are_compared_as_means() -> None:
    total = racer(1, 3.0, {"lr": 0.1}, "torch")
    calm = rates_window(total, racer(2, 1.0, {"lr": 0.2})).data[0]
    assert calm["y"] == [1.0, 1.0]


def cells(window: Window) -> dict[int, list[str]]:
    """The row of each run in a ranking, without its name."""
    rows = window.data[0]["content"].split("<tr>")[2:]
    return {int(row.partition("run ")[2][0]): [cell.split("<")[0] for cell in row.split("<td>")[2:]] for row in rows}


def test_other_races_are_a_table_best_first() -> None:
    racing = [racer(1, 1.0, {"order": "<b>random</b>"}), racer(2, 1e-3, {"order": "sequential"})]
    racing[0].run.name, racing[1].run.steps_to_1_percent = "<b>random</b>", 17
    racing[1].run.evaluations_to_1_percent = 51
    table, _ = race_windows(racing)
    content = table.data[0]["content"]
    assert content.index("run 2") < content.index("&lt;b&gt;random")
    assert "<td>51</td><td>17</td><td>0.001</td>" in content


def test_a_table_tells_of_a_search_its_best_and_of_what_left_the_scale_that_it_diverged() -> None:
    racing = [
        racer(1, 18.67, {"method": "sweep"}, "sweep", result={"best_loss": 0.25}),
        racer(2, 1e30, {"method": "gd"}, status="finished"),
        racer(3, math.inf, {"method": "sgd"}, "sgd", status="diverged"),
        racer(4, 1.0, {"method": "torch"}, "torch"),
    ]
    racing[3].run.last, racing[3].samples = {}, 0  # its data cannot be read
    said = {number: row[-1] for number, row in cells(race_windows(racing)[0]).items()}
    assert said == {1: "0.25", 2: "diverged", 3: "diverged", 4: "–"}


# --- error against work -----------------------------------------------------------------------------------------------


def costs_window(*racing: RunChart) -> Window:
    window = race_windows(list(racing))[1]
    json.dumps([window.data, window.layout], allow_nan=False)
    return window


def test_methods_are_drawn_by_the_work_that_they_have_done() -> None:
    gd = racer(1, 1.0, {"method": "gd"}, result={"final_mse": 7 / 6})
    sgd = racer(2, 9.0, {"method": "sgd"}, "sgd")
    sgd.append(Batch(2, ("mse",), np.array([[0, 3.0], [1, 2.0]])))
    sweep = racer(3, 5.0, {"method": "sweep"}, "sweep")
    total = racer(4, 3.0, {"method": "torch"}, "torch", result={"final_mse": 0.5})
    window = costs_window(gd, sgd, sweep, total)
    drawn_at = {trace["name"]: (trace["x"], trace["y"]) for trace in window.data}
    assert drawn_at == {
        "run 1 #1": ([3, 6], [1, pytest.approx(7 / 6)]),  # after an update, and where it ended
        "run 2 #2": ([1, 2], [3, 2]),  # over all data, not of single samples
        "run 3 #3": ([3, 6], [4, 4]),  # the best so far
        "run 4 #4": ([3, 6], [1, 0.5]),  # means, not sums
    }
    assert window.layout["xaxis2"]["type"] == window.layout["yaxis2"]["type"] == "log"
    assert "gradient evaluations" in window.layout["xaxis2"]["title"]["text"]


def test_what_explodes_leaves_the_scale_at_a_label() -> None:
    lost = racer(1, 1e30, {"method": "gd"}, w=1e20, result={"final_mse": 4.7e40})
    sgd = racer(2, 9.0, {"method": "sgd"}, "sgd")
    sgd.append(Batch(2, ("mse",), np.array([[0, 8.0], [1, 7.0]])))
    window = costs_window(lost, sgd)
    assert window.layout["yaxis2"]["autorangeoptions"]["clipmax"] == 1e31
    lost = racer(1, 30.0, {"method": "gd"}, w=1e20, result={"final_mse": 4.7e40})
    window = costs_window(lost, sgd)
    assert window.layout["yaxis2"]["autorangeoptions"] == {"clipmin": pytest.approx(7 / 1.15), "clipmax": 300}
    (label,) = window.layout["annotations"]
    assert label["text"] == "run 1 leaves here: 6"
    assert (label["x"], label["y"], label["yref"]) == (math.log10(6), 1, "y2 domain")  # above all curves
    assert (label["bordercolor"], label["xanchor"]) == (window.data[0]["line"]["color"], "right")


def test_an_error_of_zero_lies_at_the_lower_edge() -> None:
    best = racer(1, 0.0, {"method": "sweep"}, "sweep")
    window = costs_window(best, racer(2, 1.0, {"method": "gd"}))
    assert (window.data[0]["y"], window.data[0]["text"]) == ([4, 0.1], ["4", "0"])
    assert "0 lies at the lower edge" in window.layout["annotations"][0]["text"]


def test_before_its_first_step_a_race_has_nothing_to_draw() -> None:
    empty = [RunChart(racer(number, 1.0, {"method": name}).run) for number, name in enumerate(("gd", "sgd"), 1)]
    assert "first step" in costs_window(*empty).layout["annotations"][0]["text"]
    damaged = racer(1, 1.0, {"method": "gd"})
    damaged.run.params = {"lr": "?"}
    assert not len(curve_of(damaged, 100).errors)


def test_no_race_no_window() -> None:
    racing = [racer(1, 1.0, {"lr": 0.1}), racer(2, 1e-3, {"lr": 0.2})]
    assert race_windows([]) == []
    assert race_windows([*racing, drawn(3, [1.0], [1.0])]) == []


def test_a_race_has_its_windows_from_its_first_run_on() -> None:
    """Those of the race before it are replaced, and not closed and opened again."""
    assert len(race_windows([racer(1, 1.0, {"lr": 0.1})])) == 1
    assert len(race_windows([racer(1, 1.0, {"method": "gd"})])) == 2
    assert race_windows([racer(1, 1.0, {"lr": 0.1}), RunChart(racer(2, 1, {"lr": 1}).run)])  # one without a point


# --- changes ----------------------------------------------------------------------------------------------------------


def changed(*changes: tuple[float, dict[str, Any]]) -> RunChart:
    one = drawn(1, [1.0] * 1000, [4.0] * 1000)
    one.run.changes = [{"step": step, "params": params} for step, params in changes]
    return one


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_change_is_marked_where_it_holds(scale: Any) -> None:
    one = changed((99, {"lr": 0.2}), (499, {"steps_per_second": None, "lr": 1e-5}))
    windows = by_name(shared_windows([one], View(axes=Axes(step=scale))))
    for name in ("loss", "w"):
        layout = windows[name].layout
        assert [line["x0"] for line in layout["shapes"]] == pytest.approx(
            [99, 499] if scale == "linear" else [100, 500]
        )
        assert [label["text"] for label in layout["annotations"]] == ["full speed, lr 1e-5", "lr 0.2"]
        assert {line["line"]["color"] for line in layout["shapes"]} == {windows["loss"].data[0]["line"]["color"]}
        place = layout["annotations"][1]["x"]
        assert place == pytest.approx(99 if scale == "linear" else 2)  # plotly wants a label's place as a power of ten
    assert "shapes" not in windows["cost"].layout


def test_a_runs_own_windows_mark_its_changes_too() -> None:
    own: list[Window] = windows_at(changed((99, {"lr": 0.2})))
    assert [window.title for window in own if "shapes" in window.layout] == ["w", "loss"]


def test_many_changes_stay_readable() -> None:
    one = changed(*((step, {"lr": step / 1000}) for step in range(1, 1000)))
    layout = by_name(shared_windows([one], View()))["loss"].layout
    assert len(layout["shapes"]) == 50
    assert 1 <= len(layout["annotations"]) <= 16
    assert layout["annotations"][0]["text"] == "lr 0.999"


def test_close_changes_all_have_their_label_in_the_runs_colour() -> None:
    one, other = changed(*((500 + at, {"lr": at}) for at in range(5))), changed((502, {"lr": 7}))
    other.run.colour = 3
    layout = by_name(shared_windows([one, other], View()))["loss"].layout
    labels = {label["text"]: label["bordercolor"] for label in layout["annotations"]}
    colours = {"lr 7": PALETTE[3]} | {f"lr {at}": PALETTE[0] for at in range(5)}
    assert labels == colours
    places = [(label["yshift"], label["x"]) for label in layout["annotations"]]
    assert len({row for row, _ in places}) == len(places)  # one below the other


def test_changes_of_one_step_share_a_label() -> None:
    one = changed((5, {"lr": 0.1}), (5, {"steps_per_second": 10}), (5, {"lr": 0.15}))
    layout = by_name(shared_windows([one], View()))["loss"].layout
    assert ([label["text"] for label in layout["annotations"]], len(layout["shapes"])) == (["lr 0.15, 10 steps/s"], 1)


def test_stored_names_of_parameters_are_no_markup() -> None:
    one = changed((5, {"<img src=x>": 1}))
    assert "<img" not in json.dumps(by_name(shared_windows([one], View()))["loss"].layout)


def test_many_runs_have_no_legend() -> None:
    racing = [racer(number % 10, 1.0, {"lr": 0.1}) for number in range(13)]
    few, many = (by_name(shared_windows(shown, View()))["loss"] for shown in (racing[:12], racing))
    assert len([line for line in few.data if line.get("showlegend", True)]) == 12
    (nothing,) = [line for line in many.data if line.get("showlegend", True)]
    assert (nothing["mode"], nothing["name"].strip(), nothing["x"]) == ("none", "", [None])
