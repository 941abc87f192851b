"""What the windows show of races and of changes, as data."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.charts.colours import PALETTE, SCALE, others, shade, shades
from app.charts.run_chart import RunChart
from app.schemas.view import Axes, View
from app.visdom.windows.layout import Window
from app.visdom.windows.race import race_windows
from app.visdom.windows.shared import shared_windows
from app.visdom.windows.single_run import windows_at
from tests.app.visdom.windows.test_shared import by_name, drawn


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
    assert shades(["sgd", "gd", "torch"]) == [0, 0.5, 1]
    assert shades([2]) == [0]


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


def racer(number: int, loss: float, varied: dict[str, Any], **record: Any) -> RunChart:
    one = drawn(number, [1.0, 1.5], [4.0, loss], group="<i>race</i>", varied=varied, **record)
    one.run.first_loss, one.run.last, one.run.shade = 4.0, {"loss": loss, "w": 1.5}, number / 10
    return one


def test_losses_of_any_size_have_a_scale() -> None:
    for losses in ((5e-324, 1e-310), (0.0, 5e-324), (1e149, 5e-324), (1e-300, 1e-300)):
        racing = [racer(number, loss, {"lr": 0.1 * number}) for number, loss in enumerate(losses, 1)]
        for one in racing:
            one.run.first_loss = 1e149
        for window in race_windows(racing):
            json.dumps([window.data, window.layout], allow_nan=False)


def test_learning_rates_are_plotted_with_what_diverged_at_the_top() -> None:
    racing = [
        racer(1, 1e-3, {"lr": 0.01}),
        racer(2, 0.0, {"lr": 0.1}),
        racer(3, 1e140, {"lr": 0.3}, status="diverged"),
        racer(4, 1e30, {"lr": 0.25}),
    ]
    racing[0].lr_limit = 3 / 14
    (window,) = race_windows(racing)
    calm, lost, zero = window.data
    assert (calm["x"], calm["y"]) == ([0.01], [1e-3])
    assert lost["x"] == [0.3, 0.25]
    assert lost["y"] == [1e-2, 1e-2]
    assert (zero["x"], zero["y"], zero["hovertemplate"].count("loss 0")) == ([0.1], [1e-4], 1)
    said = {label["text"]: label.get("y") for label in window.layout["annotations"]}
    assert (said["▲ diverged"], said["▼ loss 0"]) == (-2, -4)
    assert window.layout["shapes"][0]["x0"] == 3 / 14
    json.dumps([window.data, window.layout], allow_nan=False)
    assert "<i>" not in json.dumps([window.data, window.layout])


def test_other_races_are_a_table_best_first() -> None:
    racing = [racer(1, 1.0, {"order": "<b>random</b>"}), racer(2, 1e-3, {"order": "sequential"})]
    racing[0].run.name, racing[1].run.steps_to_1_percent = "<b>random</b>", 17
    (window,) = race_windows(racing)
    content = window.data[0]["content"]
    assert content.index("run 2") < content.index("&lt;b&gt;random")
    assert "<td>17</td><td>0.001</td>" in content


def test_a_table_tells_of_a_search_its_best_and_of_what_left_the_scale_that_it_diverged() -> None:
    racing = [
        racer(1, 18.67, {"method": "sweep"}, result={"best_loss": 0.25}),
        racer(2, 1e30, {"method": "gd"}, status="finished"),
        racer(3, math.inf, {"method": "sgd"}, status="diverged"),
        RunChart(racer(4, 1.0, {"method": "torch"}).run),
    ]
    racing[3].run.last = {}
    (window,) = race_windows(racing)
    rows = window.data[0]["content"].split("<tr>")[2:]
    said = {int(row.partition("run ")[2][0]): row.split("<td>")[-1].split("<")[0] for row in rows}
    assert said == {1: "0.25", 2: "diverged", 3: "diverged", 4: "–"}


def test_no_race_no_window() -> None:
    racing = [racer(1, 1.0, {"lr": 0.1}), racer(2, 1e-3, {"lr": 0.2})]
    assert race_windows([]) == race_windows(racing[:1]) == []
    assert race_windows([*racing, drawn(3, [1.0], [1.0])]) == []
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
        assert [label["text"] for label in layout["annotations"]] == ["full speed, lr 1e-05", "lr 0.2"]
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
