"""`lossboard.SummaryWriter`: a script that calls TensorBoard's writer reports to a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lossboard_extras.writer import SummaryWriter
from tests.extras.fake_run import FakeRun
from tests.harness.fake_board import FakeBoard


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
    assert begun[0].media == [("text", "config", "small", 0)]
    assert begun[0].summary == {"hparam/acc": 0.5}
    writer.add_hparams({"lr": 0.2}, {"hparam/acc": 0.6})  # too late for params
    assert begun[0].summary == {"lr": 0.2, "hparam/acc": 0.6}


def test_texts_images_figures_histograms_and_sounds_are_logged(begun: list[FakeRun]) -> None:
    writer = SummaryWriter("exp")
    writer.add_text("story", "once", 5)
    writer.add_text("story", "upon", global_step=6)
    writer.add_image("sample", "image", 1)
    writer.add_image("sample", "image", 2, dataformats="HWC")
    writer.add_images("samples", "images", global_step=3)
    writer.add_figure("curve", "figure", 4, close=False)
    writer.add_figure("curves", ["one", "two"], 5)
    writer.add_histogram("weights", [1, 2], 6)
    writer.add_histogram("weights", [1, 2], 7, bins="auto")
    writer.add_histogram("weights", [1, 2], 8, bins=10)
    writer.add_audio("tone", [0.5], 9)
    writer.add_audio("tone", [0.5], 10, sample_rate=8000)
    assert begun[0].media == [
        ("text", "story", "once", 5),
        ("text", "story", "upon", 6),
        ("image CHW", "sample", "image", 1),
        ("image HWC", "sample", "image", 2),
        ("image NCHW", "samples", "images", 3),
        ("figure", "curve", "figure", 4),
        ("figure", "curves/0", "one", 5),
        ("figure", "curves/1", "two", 5),
        ("histogram 64", "weights", [1, 2], 6),
        ("histogram 64", "weights", [1, 2], 7),
        ("histogram 10", "weights", [1, 2], 8),
        ("audio 44100", "tone", [0.5], 9),
        ("audio 8000", "tone", [0.5], 10),
    ]
    assert begun[0].about["notes"] == ""


def test_a_figure_is_closed(begun: list[FakeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", SimpleNamespace(close=closed.append))
    SummaryWriter("exp").add_figure("curve", "figure", 4)
    SummaryWriter("exp").add_figure("curve", "kept", 4, close=False)
    assert closed == ["figure"]


def test_a_histogram_of_counts_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    with FakeBoard() as fake, SummaryWriter("exp", url=fake.url) as writer:
        writer.add_histogram_raw("weights", 0.5, 2.5, 3, 5.0, 9.0, [0.4, 1.0, 2.0, 3.0], [0, 1, 0, 2], 7)
    [(head, content)] = fake.media
    assert (head["name"], head["kind"], head["step"]) == ("weights", "histogram", 7)
    assert json.loads(content) == {"edges": [0.5, 1.0, 2.0, 2.5], "counts": [1.0, 0.0, 2.0]}


def test_what_is_not_shown_is_said_once(begun: list[FakeRun]) -> None:
    writer = SummaryWriter("exp")
    writer.add_scalar("loss", 1, 0)
    with pytest.warns(UserWarning, match="lossboard: add_video is not shown on the board") as warned:
        writer.add_video("sample", object(), 0)
    writer.add_video("sample", object(), 1)  # a warning would be an error
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="add_graph is not shown") as warned:
        writer.add_graph("late")
    assert warned[0].filename == __file__
    with pytest.raises(AttributeError, match="SummaryWriter has no 'add_imaeg'"):
        writer.add_imaeg("sample", object(), 0)


def test_warnings_that_are_errors_end_no_training(begun: list[FakeRun], capsys: pytest.CaptureFixture[str]) -> None:
    SummaryWriter("exp").add_mesh("weights", [1, 2])  # warnings are errors in these tests
    assert capsys.readouterr().err == "lossboard: add_mesh is not shown on the board\n"


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
