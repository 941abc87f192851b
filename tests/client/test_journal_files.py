"""What is in the files of a journal, as its reader finds it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from app.runs.journal_reader import read_journal

ROOT = Path(__file__).parents[2]


def write_journal(folder: Path, body: str) -> str:
    """Run a script that logs to ``run``, without a board, and ends as if it were killed; what it wrote to stderr."""
    script = f"""
import os
import lossboard
run = lossboard.run("script", url="http://127.0.0.1:9")
{textwrap.dedent(body)}
os._exit(0)
"""
    environment = {"LOSSBOARD_DIR": str(folder), "PATH": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stderr


def records(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """The number of each record, and its step and metrics by name; in order."""
    (journal,) = (folder / "journals").iterdir()
    found = []
    for part in read_journal(journal).parts(0):
        for block in part.blocks:
            names = ("step", *block.names)
            for step, number, *values in block.rows.tolist():
                found.append((int(number), dict(zip(names, (step, *values), strict=True))))
    return sorted(found, key=lambda record: record[0])


def points(folder: Path) -> list[dict[str, float]]:
    return [point for _, point in records(folder)]


def test_records_are_read_as_they_were_logged(tmp_path: Path) -> None:
    write_journal(tmp_path, "run.log(loss=1.5, w=-2)\nrun.log(step=10, w=0.25, loss=3)\nrun.log(loss=4, w=0)")
    assert records(tmp_path) == [
        (0, {"step": 0, "loss": 1.5, "w": -2}),
        (1, {"step": 10, "loss": 3, "w": 0.25}),
        (2, {"step": 11, "loss": 4, "w": 0}),
    ]


def test_other_metrics_are_other_records(tmp_path: Path) -> None:
    write_journal(tmp_path, "run.log(loss=1)\nrun.log(acc=0.5)\nrun.log(loss=2, acc=0.75)")
    assert [number for number, _ in records(tmp_path)] == [0, 1, 2]
    first, second, third = points(tmp_path)
    assert first == {"step": 0, "loss": 1}
    assert second == {"step": 1, "acc": 0.5}
    assert third == {"step": 2, "loss": 2, "acc": 0.75}


def test_records_of_many_segments_follow_each_other(tmp_path: Path) -> None:
    write_journal(tmp_path, "for i in range(20_000):\n    run.log(loss=i)")
    assert len(list(tmp_path.rglob("*.points"))) > 1
    found = records(tmp_path)
    assert [number for number, _ in found] == list(range(20_000))
    assert [point["loss"] for _, point in found] == list(range(20_000))


def test_what_was_never_written_at_the_end_is_left_out(tmp_path: Path) -> None:
    write_journal(tmp_path, "run.log(loss=1)\nnext(run.journal.open_block(('loss',)).places)")
    assert points(tmp_path) == [{"step": 0, "loss": 1}]


def test_a_file_without_a_whole_head_has_no_records(tmp_path: Path) -> None:
    write_journal(tmp_path, "run.log(loss=1)")
    (file,) = tmp_path.rglob("*.points")
    file.with_name("000000000000001.points").write_bytes(b'{"seq": 1, "metr')
    assert points(tmp_path) == [{"step": 0, "loss": 1}]


def test_changes_are_read_as_they_were_noted(tmp_path: Path) -> None:
    write_journal(
        tmp_path, 'run.journal.note_change(3.0, {"lr": 0.5})\nrun.journal.note_change(7.0, {"lr": 0.1, "b": 2})'
    )
    (journal,) = (tmp_path / "journals").iterdir()
    noted = [{"step": 3, "params": {"lr": 0.5}, "number": 0}, {"step": 7, "params": {"lr": 0.1, "b": 2}, "number": 1}]
    assert read_journal(journal).changes == noted
    with (journal / "changes.jsonl").open("ab") as file:
        file.write(b'{"step": 9, "par')  # cut short by the end of its script
    assert read_journal(journal).changes == noted
    assert read_journal(journal).damage == []


def test_a_tensor_that_needs_its_gradient_is_logged_without_a_warning(tmp_path: Path) -> None:
    """Torch warns once in a process: here of the first tensor, which comes where only floats were logged before."""
    errors = write_journal(
        tmp_path,
        """
        import torch
        w = torch.tensor(2.0, requires_grad=True)
        run.log(loss=1.0, w=0)
        run.log(loss=w * 2, w=w)
        run.log(w=w, acc=w / 4)
        """,
    )
    assert errors == ""
    first, second, third = points(tmp_path)
    assert (first, second) == ({"step": 0, "loss": 1, "w": 0}, {"step": 1, "loss": 4, "w": 2})
    assert (third["step"], third["w"], third["acc"]) == (2, 2, 0.5)


def test_a_first_tensor_that_needs_its_gradient(tmp_path: Path) -> None:
    errors = write_journal(tmp_path, "import torch\nrun.log(loss=torch.ones(1, requires_grad=True))")
    assert errors == ""
    assert points(tmp_path) == [{"step": 0, "loss": 1}]


def test_numbers_of_other_libraries_are_logged(tmp_path: Path) -> None:
    write_journal(
        tmp_path,
        """
        import numpy as np
        import torch
        run.log(loss=0.0)
        for value in (1, True, np.float32(2.5), np.int64(3), np.array(4.5), torch.tensor(5.5), torch.tensor(6)):
            run.log(loss=value)
        """,
    )
    assert [point["loss"] for point in points(tmp_path)] == [0, 1, 1, 2.5, 3, 4.5, 5.5, 6]
