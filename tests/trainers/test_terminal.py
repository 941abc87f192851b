"""python -m trainers, as a person sees it."""

import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.harness.boards import PATIENCE
from trainers import METHODS
from trainers.__main__ import lines_to_show, main

ROOT = Path(__file__).parents[2]


def start(*arguments, **options):
    command = [sys.executable, "-m", "trainers", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def terminal(*arguments, code=0):
    """The lines of a run's output and its error output."""
    process = start(*arguments)
    output, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, error
    return output.splitlines(), error


def test_gd_prints_what_the_textbook_prints():
    lines, error = terminal("gd")
    assert error == ""
    assert len(lines) == 102
    assert lines[0] == "predict (before training) 4 4.0"
    assert lines[1] == "epoch: 0  w: 1.0933333333333333  loss: 4.666666666666667"
    assert lines[100] == "epoch: 99  w: 1.9999444396553017  loss: 1.752432687141379e-08"
    assert lines[101] == "predict (after training) 4 7.999777758621207"


def test_sweep_shows_every_candidate_and_sample():
    lines, _ = terminal("sweep")
    assert lines[1].startswith("w: 0.0  loss: 18.666666666666668  (1.0, 2.0, 0.0, 4.0)  (2.0, 4.0, 0.0, 16.0)")
    assert len(lines) == 1 + 41 + 2
    assert lines[-2:] == ["best w: 2.0  loss: 0.0", "predict (at the best w) 4 8.0"]


def test_sgd_shows_the_end_of_each_epoch():
    lines, _ = terminal("sgd", "--order", "sequential", "--epochs", "3")
    assert [line.split("  ")[0] for line in lines[1:-1]] == ["epoch: 0", "epoch: 1", "epoch: 2"]
    assert re.search(r"w: \S+  loss: \S+  mse: \S+$", lines[1])


def test_one_epoch_shows_its_steps():
    lines, _ = terminal("sgd", "--epochs", "1")
    assert [line.split("  ")[0] for line in lines[1:-1]] == ["step: 0", "step: 1", "step: 2"]


def test_a_model_with_a_bias_shows_it():
    lines, _ = terminal("backprop", "--epochs", "2")
    assert re.match(r"epoch: 1  w: \S+  b: \S+  loss: \S+$", lines[-2])


def test_own_data_and_negative_numbers():
    lines, _ = terminal(
        "gd", "--x", "-1,-2e0,3", "--y", "-.5,-1,1.5", "--w0", "-1e1", "--predict-at", "-1", "--epochs", "1e3"
    )
    assert lines[0] == "predict (before training) -1 10.0"
    assert float(lines[-1].removeprefix("predict (after training) -1 ")) == pytest.approx(-0.5)


def test_long_runs_are_thinned():
    lines, error = terminal("gd", "--epochs", "12345")
    assert len(lines) == 102
    assert lines[1].startswith("epoch: 0 ")
    assert lines[-2].startswith("epoch: 12344 ")
    assert error == ""


@pytest.mark.parametrize("lines", [1, 99, 100, 101, 199, 10_000_000])
def test_lines_are_evenly_spaced(lines):
    shown = sorted(lines_to_show(lines))
    assert (shown[0], shown[-1], len(shown)) == (0, lines - 1, min(lines, 100))
    gaps = {after - before for before, after in pairwise(shown)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_list_of_methods(arguments, capsys):
    assert main([*arguments]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for method in METHODS.values():
        assert f" {method.name} {method.description}" in text


@pytest.mark.parametrize("name", METHODS)
def test_help_names_every_parameter(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for field in (*METHODS[name].params.model_fields, "x", "y"):
        assert f"--{field.replace('_', '-')} " in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["newton"], "there is no method 'newton': choose one of sweep, gd"),
        (["gd", "--lr", "0"], "--lr: Input should be greater than 0"),
        (["gd", "--lr", "nan"], "--lr: Input should be a finite number"),
        (["gd", "--lr", "fast"], "--lr: Input should be a number, such as 0.01"),
        (["gd", "--lr"], "argument --lr: expected one argument"),
        (["gd", "--epochs", "2.5"], "--epochs: Input should be a whole number, such as 100"),
        (["gd", "--speed", "1"], "unrecognized arguments: --speed 1"),
        (["gd", "--x", "1,2"], "--y: send both --x and --y, or neither"),
        (["gd", "--x", "1,2", "--y", "1"], "--y: x has 2 values, but y has 1"),
        (["gd", "--x", "1,a", "--y", "1,2"], "--x: '1,a' is not a list of numbers such as 1,2,3"),
        (["minibatch", "--batch-size", "4"], "--batch-size: batch_size 4 is more than the 3 samples"),
        (["sweep", "--w-stop", "-1"], "--w-stop: w_stop -1.0 is below w_start 0.0"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, capsys):
    assert main(arguments) == 2
    lines, error = capsys.readouterr()
    assert lines == ""
    assert error.startswith(f"python -m trainers: {sentence}")
    assert error.count("\n") == 1


def test_a_mistake_ends_with_code_2():
    lines, error = terminal("sgd", "--order", "backwards", code=2)
    assert lines == []
    assert error == "python -m trainers: --order: Input should be 'random' or 'sequential'\n"


def test_an_explosion_is_said(capsys):
    assert main(["gd", "--lr", "0.3", "--epochs", "50"]) == 1
    told = capsys.readouterr()
    assert "after training" not in told.out
    assert told.err == (
        "diverged: the cost over all data ended at 1.5713e26, more than 1000 times as large as it was at the "
        "beginning\n"
    )


def test_a_divergence_is_said():
    lines, error = terminal("gd", "--lr", "0.3", "--epochs", "1000", code=1)
    assert error == "diverged at step 293: w or the loss is beyond 1e150\n"
    assert not lines[-1].startswith("predict")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends it to the whole console")
def test_ctrl_c_ends_quietly():
    process = start("gd", "--steps-per-second", "2", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout.readline().startswith("predict")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert error.strip() == ""


def test_a_reader_who_leaves_is_no_error():
    process = start("gd", "--steps-per-second", "50", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=PATIENCE) == 0
    process.stderr.close()


def test_a_long_run_shows_its_progress_in_a_terminal():
    ours, theirs = pytest.importorskip("pty").openpty()
    command = [sys.executable, "-m", "trainers", "gd", "--epochs", "3000000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while not re.search(rb"\[#+ +\] +\d+%", shown):
        shown += os.read(ours, 1000)
    process.kill()
    process.wait()
    os.close(ours)
