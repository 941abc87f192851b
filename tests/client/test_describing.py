"""What a script says of its run: parameters of any kind, tags, notes, what may be changed, a summary."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lossboard
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.fake_board import FakeBoard


class Part(enum.Enum):
    BODY = 1


@dataclasses.dataclass
class Config:
    lr: float = 0.1
    layers: tuple[int, ...] = (3, 4)


@pytest.fixture
def introduced(tmp_path: Path, let_go: list[lossboard.Run]) -> Callable[..., dict[str, Any]]:
    """A function that begins a run, and gives how it introduces itself."""

    def begin(**given: Any) -> dict[str, Any]:
        let_go.append(lossboard.run("described", url="http://127.0.0.1:9", **given))
        told: dict[str, Any] = json.loads((tmp_path / "journals" / let_go[-1].id / "run.json").read_bytes())
        return told

    return begin


@pytest.mark.parametrize(
    ("params", "stored"),
    [
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (Config(), {"lr": 0.1, "layers": [3, 4]}),
        ({Part.BODY: 0.1}, {"Part.BODY": 0.1}),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({"model": {Part.BODY: Config()}}, {"model": {"Part.BODY": {"lr": 0.1, "layers": [3, 4]}}}),
    ],
    ids=["Namespace", "dataclass", "enum key", "tuple key", "nested"],
)
def test_what_people_have_as_settings_is_taken(
    introduced: Callable[..., dict[str, Any]], params: Any, stored: dict[str, Any]
) -> None:
    assert introduced(params=params)["params"] == stored


def test_a_parameter_that_refers_to_itself_is_left_out_by_name(introduced: Callable[..., dict[str, Any]]) -> None:
    loop: dict[str, Any] = {"lr": 0.1}
    loop["self"] = loop
    with pytest.warns(UserWarning, match=r"params\.self cannot be stored"):
        assert introduced(params=loop)["params"] == {"lr": 0.1}


def test_what_describes_a_run_reaches_the_board(board: BoardProcess) -> None:
    given: dict[str, Any] = {"group": "sweep", "tags": ("a", "b"), "notes": "first try", "live": {"lr": (1e-5, 1)}}
    run = lossboard.run("described", params={"lr": 0.1, "seed": 3}, url=board.url, **given)
    run.summary["best/acc"] = 0.75
    run.log(loss=1.0)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    wait_for(lambda: board.get(f"/api/runs/{run.id}")["summary"] == {"best/acc": 0.75})
    shown = board.get(f"/api/runs/{run.id}")
    assert (shown["group"], shown["tags"], shown["notes"]) == ("sweep", ["a", "b"], "first try")
    assert shown["live"] == {"lr": [1e-5, 1]}
    refused = board.client.patch(f"/api/runs/{run.id}", json={"params": {"seed": 4}})
    assert refused.status_code == 422
    run.summary["note"] = "x" * 5000
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}")["summary"] == {"best/acc": 0.75, "note": "x" * 2000}


def test_a_change_holds_once_the_script_has_read_it(
    fake: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("script", params={"lr": 0.1, "seed": 1, "wd": 0.0}, url=fake.url)
    fake.params = {"lr": 0.5, "seed": 2, "wd": 0.01}
    wait_for(lambda: run.control.get("params"), "what the board asks for")
    run.log(loss=1)
    assert run.params["lr"] == 0.5
    run.log(loss=2)
    assert dict(**run.params)["wd"] == 0.01
    assert run.finish()
    noted = {name: change["step"] for _, change in fake.changes for name in change["params"]}
    assert noted == {"lr": 1, "wd": 2, "seed": 2}
