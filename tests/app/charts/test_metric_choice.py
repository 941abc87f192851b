"""Which metrics have a window."""

from __future__ import annotations

from app.charts.metric_choice import MAX_WINDOWS, choose
from app.schemas.view import MetricsView


def test_losses_come_first_then_what_most_runs_have_then_what_was_logged_first() -> None:
    one = ("external", ["epoch", "lr", "acc", "loss"])
    two = ("external", ["grad", "val_acc", "train/box_loss", "val_loss"])
    choice = choose([one, two], MetricsView())
    assert list(choice.shown) == ["loss", "box_loss", "acc", "grad", "lr", "epoch"]
    assert not choice.rest


def test_the_norms_of_a_models_parts_come_last() -> None:
    names = ["norm/weights/0", "norm/gradients/0", "loss", "norm", "lr"]
    assert list(choose([("external", names)], MetricsView()).shown) == ["loss", "norm", "lr", *names[:2]]


def test_of_more_metrics_than_windows_it_is_said_how_many_there_are() -> None:
    choice = choose([("external", [*(f"norm/{number}" for number in range(20)), "loss"])], MetricsView())
    assert list(choice.shown) == ["loss", *(f"norm/{number}" for number in range(MAX_WINDOWS - 1))]
    assert (len(choice.rest), choice.crowded_out) == (9, 9)


def test_a_view_pins_hides_and_orders_windows() -> None:
    names = [f"m{number}" for number in range(20)]
    view = MetricsView(pinned=["M19", "m18"], hidden=["m0", "m19"], order=["m7", "m18"])
    choice = choose([("external", names)], view)
    assert list(choice.shown) == ["m7", "m18", "m19", *(f"m{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9, 10))]
    assert "m0" in choice.rest
    assert choice.crowded_out == 7


def test_of_built_in_methods_only_loss_and_w_are_shown_unless_others_are_asked_for() -> None:
    ours = ("gd", ["w", "loss", "grad"])
    assert list(choose([ours], MetricsView()).shown) == ["loss", "w"]
    assert list(choose([ours], MetricsView()).rest) == ["grad"]
    assert choose([ours], MetricsView()).crowded_out == 0
    assert list(choose([ours], MetricsView(pinned=["grad"])).shown) == ["grad", "loss", "w"]
    assert list(choose([ours, ("external", ["grad"])], MetricsView()).shown) == ["loss", "grad", "w"]
    assert list(choose([("gd", [])], MetricsView()).shown) == ["loss", "w"]  # before its first point
    assert choose([("sweep", ["w", "loss"])], MetricsView()).shown == {}
