"""`lossboard.SummaryWriter`: a script that calls TensorBoard's writer reports to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lossboard_extras.writer import SummaryWriter
from tests.extras.fake_run import FakeRun


def test_numbers_are_logged_with_their_steps(begun: list[FakeRun]) -> None:
    with SummaryWriter("runs/exp") as writer:
        writer.add_scalar("loss", 0.5, 10)
        writer.add_scalar("loss", 0.25, global_step=11, walltime=7.0, new_style=True)
        writer.add_scalars("acc", {"train": 1, "val": 2}, 11)
        writer.flush()
    [run] = begun
    assert run.points == [(10, {"loss": 0.5}), (11, {"loss": 0.25}), (11, {"acc": {"train": 1, "val": 2}})]
    assert run.error is None


def test_steps_are_counted_for_each_tag_where_the_script_counts_none(begun: list[FakeRun]) -> None:
    writer = SummaryWriter()
    for value in (1, 2):
        writer.add_scalar("a", value)
        writer.add_scalar("b", value)
    assert [step for step, _ in begun[0].points] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("log_dir", "name", "group"),
    [
        ("runs/exp", "exp", "runs"),
        ("exp", "exp", None),
        ("logs/exp/train", "train", "logs/exp"),
        (Path.cwd() / "runs" / "exp", "exp", "runs"),
        (Path("/elsewhere/runs/exp"), "exp", "runs"),
    ],
)
def test_the_folder_names_the_run_and_its_group(begun: list[FakeRun], log_dir: Any, name: str, group: Any) -> None:
    SummaryWriter(log_dir).add_scalar("loss", 1, 0)
    assert (begun[0].about["name"], begun[0].about["group"]) == (name, group)


def test_what_is_said_of_a_run_goes_before_its_folder(begun: list[FakeRun]) -> None:
    SummaryWriter("runs/exp", name="mine", group="ours", params={"lr": 1}, tags=["a"]).add_scalar("loss", 1, 0)
    assert begun[0].about == {"name": "mine", "group": "ours", "params": {"lr": 1}, "tags": ["a"], "notes": ""}


def test_what_comes_before_the_first_number_describes_the_run(begun: list[FakeRun]) -> None:
    writer = SummaryWriter("exp")
    writer.add_text("config", "small")
    writer.add_graph("Linear(2, 1)", None)
    assert begun == []
    writer.add_hparams({"lr": 0.1}, {"hparam/acc": 0.5})
    assert begun[0].about["params"] == {"lr": 0.1}
    assert begun[0].about["notes"] == "config: small\n\nLinear(2, 1)"
    assert begun[0].summary == {"hparam/acc": 0.5}
    writer.add_hparams({"lr": 0.2}, {"hparam/acc": 0.6})  # too late for params
    assert begun[0].summary == {"lr": 0.2, "hparam/acc": 0.6}


def test_what_is_not_shown_is_said_once(begun: list[FakeRun]) -> None:
    writer = SummaryWriter("exp")
    writer.add_scalar("loss", 1, 0)
    with pytest.warns(UserWarning, match="lossboard: add_image is not shown on the board yet") as warned:
        writer.add_image("sample", object(), 0)
    writer.add_image("sample", object(), 1)  # a warning would be an error
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="add_text is not shown") as warned:
        writer.add_text("late", "text")
    assert warned[0].filename == __file__
    with pytest.raises(AttributeError, match="SummaryWriter has no 'add_imaeg'"):
        writer.add_imaeg("sample", object(), 0)


def test_warnings_that_are_errors_end_no_training(begun: list[FakeRun], capsys: pytest.CaptureFixture[str]) -> None:
    SummaryWriter("exp").add_histogram("weights", [1, 2])  # warnings are errors in these tests
    assert capsys.readouterr().err == "lossboard: add_histogram is not shown on the board yet\n"


def test_a_writer_that_is_closed_by_an_exception_has_failed(begun: list[FakeRun]) -> None:
    writer = SummaryWriter("exp")
    writer.add_scalar("loss", 1, 0)
    error = RuntimeError("no more memory")
    try:
        raise error
    except RuntimeError:
        writer.close()
    assert begun[0].error is error
    writer = SummaryWriter("exp")
    writer.add_scalar("loss", 1, 0)
    writer.close()
    assert begun[1].error is None


def test_a_writer_that_wrote_nothing_has_no_run(begun: list[FakeRun]) -> None:
    SummaryWriter("exp").close()
    with SummaryWriter("exp"):
        pass
    assert begun == []
