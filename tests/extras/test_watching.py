"""run.watch(): the norms of a model's weights and gradients, a few times, with the points of the script."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from lossboard_extras.watching import MOST, _watching, parts_of
from tests.extras.script_run import ScriptRun

WEIGHTS, GRADIENTS = "norm/weights/weight", "norm/gradients/weight"


def make_model() -> tuple[Any, Any]:
    """A model with the weights 3 and 4, and its optimizer."""
    model = torch.nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[3.0, 4.0]])
    return model, torch.optim.SGD(model.parameters(), lr=0.0)


def train(run: ScriptRun, model: Any, optimizer: Any, steps: int) -> None:
    """Make steps with the gradients (0, 1), (0, 2), ..., and log a point after each."""
    for step in range(1, 1 + steps):
        model.weight.grad = torch.tensor([[0.0, float(step)]])
        optimizer.step()
        run.log(loss=1.0)


def test_norms_are_logged_at_their_steps(run: ScriptRun) -> None:
    model, optimizer = make_model()
    run.watch(model, every=3)
    train(run, model, optimizer, 8)
    assert run.metric(WEIGHTS) == [(0, 5), (3, 5), (6, 5)]
    assert run.metric(GRADIENTS) == [(0, 1), (3, 4), (6, 7)]
    assert [step for step, _ in run.metric("loss")] == [*range(8)]  # steps count as they would


def test_between_them_nothing_is_measured(run: ScriptRun, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    measure = torch.linalg.vector_norm

    def counted(*args: Any, **options: Any) -> Any:
        measured.append(args)
        return measure(*args, **options)

    monkeypatch.setattr(torch.linalg, "vector_norm", counted)
    model, optimizer = make_model()
    run.watch(model)
    train(run, model, optimizer, 201)
    assert len(measured) == 2 * 3  # weights and gradients, at three steps


def test_a_point_that_comes_seldom_has_the_newest_norms(run: ScriptRun) -> None:
    model, optimizer = make_model()
    run.watch(model, every=2)
    for step in range(1, 11):
        model.weight.grad = torch.tensor([[0.0, float(step)]])
        optimizer.step()
        if step % 5 == 0:
            run.log(step=step, loss=1.0)
    assert run.metric(GRADIENTS) == [(5, 5)]


def test_it_goes_with_a_steered_optimizer(run: ScriptRun) -> None:
    model, optimizer = make_model()
    run.watch(model, every=1)
    run.steer(optimizer)
    train(run, model, optimizer, 3)
    optimizer.step()
    assert [step for step, _ in run.metric(GRADIENTS)] == [step for step, _ in run.metric("lr")] == [0, 1, 2]


def test_only_steps_of_the_models_first_optimizer_count(run: ScriptRun) -> None:
    model, optimizer = make_model()
    _, other = make_model()
    second = torch.optim.SGD(model.parameters(), lr=0.0)
    run.watch(model, every=2)
    for step in range(1, 5):
        model.weight.grad = torch.tensor([[0.0, float(step)]])
        for one in (other, optimizer, second):
            one.step()
        run.log(loss=1.0)
    optimizer.step()
    assert run.metric(GRADIENTS) == [(0, 1), (2, 3)]


def test_gradients_that_a_scaler_has_scaled_are_told_as_they_are(run: ScriptRun) -> None:
    model, _ = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=True)  # which undoes the scale itself
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    run.watch(model)
    for _ in range(2):
        optimizer.zero_grad()
        scaler.scale(model(torch.tensor([[0.0, 2.0]])).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        run.log(loss=1.0)
    assert run.metric(GRADIENTS) == [(0, 2)]


def test_parameters_without_a_gradient_have_a_norm_of_their_weights_alone(run: ScriptRun) -> None:
    model, optimizer = make_model()
    run.watch(model)
    optimizer.step()
    run.log(loss=1.0)
    optimizer.step()
    assert run.metric(WEIGHTS) == [(0, 5)]
    assert run.metric(GRADIENTS) == []


def test_half_precision_does_not_overflow(run: ScriptRun) -> None:
    model = torch.nn.Linear(1000, 1, bias=False, dtype=torch.float16)
    model.weight.data = torch.full((1, 1000), 60_000.0, dtype=torch.float16)
    run.watch(model)
    train_step = torch.optim.SGD(model.parameters(), lr=0.0).step
    train_step()
    run.log(loss=1.0)
    train_step()
    assert run.metric(WEIGHTS)[0][1] == pytest.approx(60_000 * 1000**0.5, rel=1e-3)


def test_a_model_is_let_go(run: ScriptRun) -> None:
    model, optimizer = make_model()
    watching = run.watch(model)
    train(run, model, optimizer, 1)
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None
    make_model()[1].step()
    assert watching not in _watching


def test_after_the_end_of_the_run_nothing_is_watched(run: ScriptRun) -> None:
    model, optimizer = make_model()
    watching = run.watch(model)
    assert watching in _watching
    run.silence("it has ended")
    optimizer.step()
    assert watching not in _watching


def test_what_is_no_model_is_said_and_what_fails_ends_no_training(run: ScriptRun) -> None:
    with pytest.warns(UserWarning, match=r"a model is not watched: send a torch\.nn\.Module"):
        assert run.watch([1, 2]) is None
    model = torch.nn.Linear(1, 1, dtype=torch.complex64)
    run._warned.clear()
    run.watch(model)
    with pytest.warns(UserWarning, match="a model is not watched any more"):
        torch.optim.SGD(model.parameters(), lr=0.0).step()


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["weight", "bias"], ["weight", "bias"]),
        ([f"{layer}.{kind}" for layer in range(8) for kind in ("weight", "bias")], [str(layer) for layer in range(8)]),
        ([f"net.{block}.{kind}" for block in range(20) for kind in "ab"] + ["head.a"], ["net", "head"]),
        ([f"layer{layer}" for layer in range(MOST + 1)], ["all"]),
        ([], []),
    ],
    ids=["parameters", "modules", "parts", "too many", "none"],
)
def test_a_large_model_has_few_parts(names: list[str], parts: list[str]) -> None:
    found = parts_of(names)
    assert [*found] == parts
    assert sorted(name for part in found.values() for name in part) == sorted(names)
