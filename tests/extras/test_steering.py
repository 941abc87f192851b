"""run.steer(): the board sets the learning rate of torch's optimizers, and no scheduler meets it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

import lossboard
from tests.extras.script_run import ScriptRun
from tests.harness.boards import BoardProcess, wait_for

STEPS = 12


def make_optimizer(kind: Any = torch.optim.SGD, **options: Any) -> Any:
    """An optimizer of two groups; each step has a gradient."""
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    for parameter in (first, second):
        parameter.grad = torch.ones(2)
    groups = [{"params": [first]}, {"params": [second], "lr": 0.02}]
    return kind(groups, **{"lr": 0.1, **options})


def rates(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def watched(optimizer: Any) -> list[list[float]]:
    """The rates that each step of an optimizer is made with, from now on."""
    used: list[list[float]] = []
    optimizer.register_step_pre_hook(lambda *_: used.append(rates(optimizer)))
    return used


# --- schedulers go on as they would -----------------------------------------------------------------------------------

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda opt: schedulers.StepLR(opt, 2, 0.5),
    "MultiStepLR": lambda opt: schedulers.MultiStepLR(opt, [3, 7], 0.5),
    "ExponentialLR": lambda opt: schedulers.ExponentialLR(opt, 0.9),
    "CosineAnnealingLR": lambda opt: schedulers.CosineAnnealingLR(opt, STEPS),
    "CosineAnnealingWarmRestarts": lambda opt: schedulers.CosineAnnealingWarmRestarts(opt, 5),
    "OneCycleLR": lambda opt: schedulers.OneCycleLR(opt, [0.5, 0.1], total_steps=STEPS + 1),
    "CyclicLR": lambda opt: schedulers.CyclicLR(opt, 0.01, 0.1, step_size_up=4),
    "LambdaLR": lambda opt: schedulers.LambdaLR(opt, lambda step: 1 / (1 + step)),
    "MultiplicativeLR": lambda opt: schedulers.MultiplicativeLR(opt, lambda step: 1 - 0.01 * step),
    "PolynomialLR": lambda opt: schedulers.PolynomialLR(opt, STEPS + 1),
    "LinearLR": lambda opt: schedulers.LinearLR(opt, total_iters=6),
    "SequentialLR": lambda opt: schedulers.SequentialLR(
        opt, [schedulers.LinearLR(opt, 0.1, total_iters=4), schedulers.CosineAnnealingLR(opt, 8)], [4]
    ),
    "ChainedScheduler": lambda opt: schedulers.ChainedScheduler(
        [schedulers.LinearLR(opt, total_iters=6), schedulers.ExponentialLR(opt, 0.9)]
    ),
    "ReduceLROnPlateau": lambda opt: schedulers.ReduceLROnPlateau(opt, patience=1),
}


def trained(optimizer: Any, scheduler: Any, at: Callable[[int], object] = int) -> list[list[float]]:
    """The scheduler's rates after each of STEPS steps."""
    seen = []
    for step in range(STEPS):
        at(step)
        optimizer.step()
        scheduler.step(*([1.0] if isinstance(scheduler, schedulers.ReduceLROnPlateau) else []))
        seen.append(rates(optimizer))
    return seen


@pytest.mark.parametrize("before", [True, False], ids=["steered first", "scheduled first"])
@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_scheduler_goes_on_unaware(run: ScriptRun, make: Callable[[Any], Any], before: bool) -> None:
    alone, steered = (make_optimizer(momentum=0.9) for _ in range(2))
    expected, used_alone = watched(alone), watched(alone)
    schedule = trained(alone, make(alone))
    if before:
        run.steer(steered)
    scheduler = make(steered)
    if not before:
        run.steer(steered)
    used = watched(steered)
    asked: list[float] = []

    def at(step: int) -> None:
        if step == 5:
            asked.append(2 * rates(steered)[0])
            run.ask(lr=asked[0])

    assert trained(steered, scheduler, at) == schedule
    assert used[:5] == expected[:5] == used_alone[:5]
    assert used[5][0] == pytest.approx(asked[0])
    for ours, theirs in zip(used[5:], expected[5:], strict=True):
        assert ours == pytest.approx([2 * rate for rate in theirs])


def test_a_checkpoint_has_the_schedule_and_not_the_factor(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    run.ask(lr=0.5)
    optimizer.step()
    assert [group["lr"] for group in optimizer.state_dict()["param_groups"]] == [0.1, 0.02]
    copied = copy.deepcopy(optimizer)  # which nobody steers
    used = watched(copied)
    copied.step()
    assert used == [[0.1, 0.02]]


# --- steps of every kind ----------------------------------------------------------------------------------------------


def test_a_step_with_a_closure(run: ScriptRun) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.LBFGS([parameter], lr=0.1)
    used = []

    def closure() -> Any:
        used.append(rates(optimizer)[0])
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    run.steer(optimizer)
    run.ask(lr=0.05)
    optimizer.step(closure)
    assert set(used) == {0.05}
    assert rates(optimizer) == [0.1]


def raising() -> Any:
    raise ValueError("not this batch")


@pytest.mark.parametrize("asked", [0.5, 0.0])
def test_a_step_that_raises_leaves_no_factor_behind(run: ScriptRun, asked: float) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=asked)
    with pytest.raises(ValueError, match="not this batch"):
        optimizer.step(raising)
    optimizer.step()
    assert used == [pytest.approx([asked, asked / 5])] * 2
    assert rates(optimizer) == [0.1, 0.02]


def test_a_scheduler_that_goes_on_after_a_step_that_raised_is_put_right(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    run.steer(optimizer)
    run.ask(lr=0.4)
    optimizer.step()
    with pytest.raises(ValueError, match="not this batch"):
        optimizer.step(raising)
    scheduler.step()
    optimizer.step()
    assert rates(optimizer) == pytest.approx([0.05, 0.01])


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_rate_that_is_a_tensor_is_changed_where_it_is(run: ScriptRun, kind: Any) -> None:
    optimizer = make_optimizer(kind, lr=torch.tensor(0.1), foreach=False)
    rate = optimizer.param_groups[0]["lr"]
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=0.3)
    optimizer.step()
    assert used == [pytest.approx([0.3, 0.06])]
    assert optimizer.param_groups[0]["lr"] is rate
    assert rates(optimizer) == pytest.approx([0.1, 0.02])


def test_a_gradient_scaler_makes_steered_steps(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=0.3)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for loss in (sum(parameter.sum() for parameter in parameters), sum((p / 0).sum() for p in parameters)):
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)  # the second time it makes none
        scaler.update()
    assert used == [pytest.approx([0.3, 0.06])]
    assert rates(optimizer) == [0.1, 0.02]


# --- what is asked, and what is logged --------------------------------------------------------------------------------


def test_the_rate_of_each_point_is_logged_at_its_step(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    run.steer(optimizer)
    for step in range(4):
        if step == 2:
            run.ask(lr=0.1)  # four times the 0.025 of the schedule
        optimizer.step()
        scheduler.step()
        run.log(loss=step)
    optimizer.step()
    assert run.metric("loss") == [(0, 0), (1, 1), (2, 2), (3, 3)]  # steps count as they would
    assert run.metric("lr") == [(0, 0.1), (1, 0.05), (2, pytest.approx(0.1)), (3, pytest.approx(0.05))]
    assert run.journal.changes == [{"step": 2, "params": {"lr": 0.1}, "number": 0}]


def test_steps_that_the_script_gives_are_the_rates_steps(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    for step in range(1, 7):
        optimizer.step()
        if step % 3 == 0:
            run.log(step=10 * step, loss=step)
    optimizer.step()
    assert run.metric("lr") == [(30, 0.1), (60, 0.1)]


def test_a_script_that_logs_the_rate_itself_keeps_its_metric(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    run.ask(lr=0.2)
    for _ in range(3):
        optimizer.step()
        run.log(loss=1, lr=rates(optimizer)[0])
    assert run.metric("lr") == [(0, 0.1), (1, 0.1), (2, 0.1)]
    assert run.metric("effective_lr") == [(0, 0.2), (1, 0.2)]


def test_a_value_that_is_asked_for_again_is_reached_again(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    run.steer(optimizer)
    used = watched(optimizer)
    for step in range(3):
        if step != 1:
            run.ask(lr=0.3, times=1 + step)
        optimizer.step()
        scheduler.step()
    assert [rate for rate, _ in used] == pytest.approx([0.3, 0.15, 0.3])


def test_where_the_schedule_is_at_zero_the_rate_waits(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    scheduler = schedulers.LambdaLR(optimizer, lambda step: step / 4)
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=0.05)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert [rate for rate, _ in used] == pytest.approx([0, 0.05, 0.1])


@pytest.mark.parametrize("value", [-0.1, float("nan"), "fast", None])
def test_what_is_no_rate_is_not_taken(run: ScriptRun, value: Any) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    run.ask(lr=value)
    used = watched(optimizer)
    optimizer.step()
    assert used == [[0.1, 0.02]]
    assert run.journal.changes == []


def test_what_an_earlier_process_was_asked_for_is_not_asked_of_this_one(new_run: Callable[..., ScriptRun]) -> None:
    run = new_run(id="digits", resume=True)
    optimizer = make_optimizer()
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=0.5)
    optimizer.step()
    run.ask(lr=0.5, times=2)
    optimizer.step()
    assert [rate for rate, _ in used] == pytest.approx([0.1, 0.5])


def test_two_optimizers_have_a_parameter_each(run: ScriptRun) -> None:
    generator, critic, other = (make_optimizer() for _ in range(3))
    run.steer(generator)
    run.steer(critic)
    run.steer(other, name="lr/other")
    assert run.told["params"] == {"lr": 0.1, "lr_2": 0.1, "lr/other": 0.1}
    used = [watched(one) for one in (generator, critic)]
    run.ask(lr_2=0.2)
    generator.step()
    critic.step()
    assert [rate for [[rate, _]] in used] == [0.1, pytest.approx(0.2)]


def test_where_processes_train_together_one_alone_takes_nothing(
    run: ScriptRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    optimizer = make_optimizer()
    run.steer(optimizer)
    used = watched(optimizer)
    run.ask(lr=0.2)
    with pytest.warns(UserWarning, match="lr is not changed: 3 more processes train the same model"):
        optimizer.step()
    assert used == [[0.1, 0.02]]
    assert run.journal.changes == []


class Wrapper:
    """What accelerate makes of an optimizer."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer


def test_an_optimizer_is_found_in_its_wrapper_and_what_is_none_is_said(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(Wrapper(optimizer))
    run.ask(lr=0.2)
    used = watched(optimizer)
    optimizer.step()
    assert used == [pytest.approx([0.2, 0.04])]
    with pytest.warns(UserWarning, match="an optimizer is not steered, which is to be one of torch 2"):
        assert run.steer(object()) is None


@pytest.mark.parametrize("bounds", [(1, 0.1), (-1, 1), (0, float("nan")), ("a", "b")])
def test_bounds_that_are_none_are_said(run: ScriptRun, bounds: Any) -> None:
    with pytest.warns(UserWarning, match="send the least and the greatest rate"):
        assert run.steer(make_optimizer(), bounds=bounds) is None
    assert run.told == {}


# --- pause, steps, stop -----------------------------------------------------------------------------------------------


def made_within(optimizer: Any, count: int) -> Callable[[], int]:
    """Begin to make steps in a thread; how many were made."""
    made = []

    def make() -> None:
        for step in range(count):
            optimizer.step()
            made.append(step)

    threading.Thread(target=make, daemon=True).start()
    return lambda: len(made)


def test_a_step_on_the_board_is_one_of_each_optimizer(run: ScriptRun) -> None:
    first, second = make_optimizer(), make_optimizer()
    run.steer(first)
    run.steer(second)
    first.register_step_post_hook(lambda *_: second.step())
    run.take_control({"pause": True, "hold": "a", "steps": 2})
    made = made_within(first, 4)
    wait_for(lambda: made() == 2, "two steps")
    run.take_control({"pause": True, "hold": "a", "steps": 3})
    wait_for(lambda: made() == 3, "a third one")
    run.take_control({"pause": False, "hold": "", "steps": 0})
    wait_for(lambda: made() == 4, "the last one")


def test_a_loop_that_waits_by_itself_waits_once(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    run.take_control({"pause": True, "hold": "a", "steps": 3})
    batches = run.steps(range(10))
    for _ in range(3):
        next(batches)
        optimizer.step()
    assert run.steps_left(run._passed) == 0


def test_a_stop_is_said_unless_it_is_to_be_raised(run: ScriptRun) -> None:
    said, raised = make_optimizer(), make_optimizer()
    run.steer(said)
    run.steer(raised, stop_raises=True)
    run.take_control({"stop": True})
    said.step()
    assert run.should_stop
    with pytest.raises(KeyboardInterrupt):
        raised.step()


def test_a_run_that_has_ended_holds_nothing(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer, stop_raises=True)
    run.take_control({"pause": True, "hold": "a", "steps": 0})
    run.silence("it has ended")
    optimizer.step()


def test_what_cannot_be_steered_ends_no_training(run: ScriptRun) -> None:
    optimizer = make_optimizer()
    run.steer(optimizer)
    used = watched(optimizer)
    run.control = 5  # type: ignore[assignment]
    with pytest.warns(UserWarning, match="a step of an optimizer is not steered"):
        optimizer.step()
    assert used == [[0.1, 0.02]]


# --- with a board -----------------------------------------------------------------------------------------------------


def test_a_slider_sets_the_rate(board: BoardProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("digits", live=("momentum",), params={"momentum": 0.9}, url=board.url)
    optimizer = make_optimizer()
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    run.steer(optimizer, bounds=(0, 1))
    path = f"/api/runs/{run.id}"
    wait_for(lambda: board.client.get(path).json().get("params") == {"momentum": 0.9, "lr": 0.1}, "the parameter")
    assert board.get(path)["live"] == {"momentum": [None, None], "lr": [0, 1]}
    assert board.client.patch(path, json={"params": {"lr": 2}}).status_code == 422
    board.client.patch(path, json={"params": {"lr": 0.4}})
    wait_for(lambda: run.control.get("params"), "the change")
    for step in range(3):
        optimizer.step()
        scheduler.step()
        run.log(loss=step)
    optimizer.step()
    assert run.finish()
    assert board.get(path)["changes"] == [{"step": 0, "params": {"lr": 0.4}}]
    points = board.get(f"{path}/points")
    found = zip(points["step"], points["metrics"]["lr"], strict=True)
    assert {step: rate for step, rate in found if rate is not None} == pytest.approx({0: 0.4, 1: 0.2, 2: 0.1})
