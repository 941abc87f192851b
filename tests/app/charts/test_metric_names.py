"""Which window and which stage a metric's name stands for."""

from __future__ import annotations

import pytest

from app.charts.metric_names import MetricName, key_of, parse


def test_names_of_one_metric_share_a_window() -> None:
    names = ("loss", "train/loss", "val_loss", "Loss/test", "VALIDATION-loss", "loss.eval", "train//loss", "Dev_Loss")
    assert {key_of(name) for name in names} == {"loss"}
    assert [parse(name).stage for name in names] == ["", "train", "val", "test", "val", "eval", "train", "dev"]


@pytest.mark.parametrize(
    ("name", "title", "stage", "section"),
    [
        ("charts/episodic_return", "charts/episodic_return", "", "charts"),
        ("a/b/val_loss", "a/b/loss", "val", "a/b"),
        ("gen/loss", "gen/loss", "", "gen"),
        ("fold1/train", "fold1", "train", ""),
        ("train_loss_epoch", "loss_epoch", "train", ""),
        ("train/x/val", "x", "train", ""),
        ("val.acc", "acc", "val", ""),
    ],
)
def test_what_is_left_is_the_title_and_its_beginning_the_section(
    name: str, title: str, stage: str, section: str
) -> None:
    assert parse(name) == MetricName(title, stage, section)


@pytest.mark.parametrize(
    "name", ["train", "Test", "train/val", "eval_test_dev", "val_", "/", "latest_loss", "evaluation"]
)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert (parse(name).title, parse(name).stage) == (name, "")
