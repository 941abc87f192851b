"""``run.steer(optimizer)``: the learning rate of one of torch's optimizers is set on the board, whatever schedules it.

What is asked for on the board is kept as a factor on what the scheduler wants. The factor is applied right before each
step of the optimizer and taken back right after it, so neither a scheduler nor a checkpoint ever meets it.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import lossboard

OWN_NAME = "effective_lr"  # of the metric, where the script itself logs one of the parameter's name


def steer(
    run: lossboard.Run, optimizer: Any, *, name: str = "lr", bounds: Any = (0, None), stop_raises: bool = False
) -> Steering | None:
    """Let the board set the learning rate of an optimizer, as the parameter ``name``; log it as a metric of that name,
    with the points that the script logs; and wait before a step while the board holds the run.

    bounds: of what may be asked for: with both, it has a slider
    stop_raises: a step raises KeyboardInterrupt when the board asks the run to stop; else run.should_stop says it
    None, with a warning, for what is no optimizer of torch 2.
    """
    inner = getattr(optimizer, "optimizer", optimizer)  # of what accelerate and Lightning put around one
    try:
        steering = Steering(run, inner, name, _checked(bounds), stop_raises=stop_raises)
        inner.register_step_pre_hook(steering.before)
        inner.register_step_post_hook(steering.after)
    except Exception as error:
        run._warn(f"steer {name}", f"an optimizer is not steered, which is to be one of torch 2: {error!r}")
        return None
    return steering


class Steering:
    """Steers one optimizer. ``before`` and ``after`` are called around each of its steps, as hooks of torch are."""

    def __init__(
        self,
        run: lossboard.Run,
        optimizer: Any,
        name: str = "lr",
        bounds: Any = (0, None),
        *,
        stop_raises: bool = False,
    ) -> None:
        """An exception if ``optimizer`` has no learning rate. Where one is steered by this name, it gets a number."""
        self._run = run
        self._name = name = next(one for one in _names(str(name)[:100]) if one not in run.told.get("live", {}))
        self._stop_raises = stop_raises
        self._factor = 1.0
        self._wanted: float | None = None  # a rate that no factor is known for yet, as the scheduler's own is 0
        self._scaled: list[tuple[dict[str, Any], Any, Any]] = []  # groups, with the scheduler's rate and the one in use
        self._control: Mapping[str, Any] = {}  # the last that was looked at
        self._asked: Any = None  # the value that was last asked for, and how often one was
        # What an earlier process was asked for belonged to where the schedule was then: it is not taken again.
        self._is_heard = not run.sender._session
        self._passed = run._passed  # calls of run.wait_while_paused() when this last looked
        self._used: Any = None  # the rate of the last step
        self._metric = name
        self._layouts = 0  # sets of metrics that the run had when this last looked
        self._next_step = run.next_step  # when this last looked: it is another once the script has logged a point
        self._declare(float(optimizer.param_groups[0]["lr"]), bounds)
        run.listen()

    @property
    def run(self) -> lossboard.Run:
        """On whose row of the board it is steered."""
        return self._run

    def before(self, optimizer: Any, *_: Any) -> None:
        """The optimizer is about to make a step. KeyboardInterrupt if the run is to stop, and that was wanted."""
        try:
            self._restore()
            if not self._run._silent:  # it has not ended
                self._log()
                self._wait()
            self._take(optimizer)
            groups = optimizer.param_groups
            if self._factor != 1:
                self._scaled = [(group, *_scale(group, self._factor)) for group in groups]
            rate = groups[0]["lr"]
            self._used = rate.clone() if hasattr(rate, "clone") else rate
        except Exception as error:  # what other libraries do with an optimizer must not end a training
            self._run._warn(f"steer {self._name}", f"a step of an optimizer is not steered: {error!r}")

    def after(self, *_: Any) -> None:
        """The optimizer has made a step."""
        self._restore()

    def _declare(self, rate: float, bounds: Any) -> None:
        """Say that the run has this parameter, and that it may be changed."""
        told = self._run.told
        told["params"] = {**told.get("params", {}), self._name: rate}
        told["live"] = {**told.get("live", {}), self._name: bounds}
        self._run.params.setdefault(self._name, rate)

    def _wait(self) -> None:
        """Wait while the run is held, unless the script has done so for this step."""
        if self._run._passed == self._passed:
            self._run.wait_while_paused()
        self._passed = self._run._passed
        if self._stop_raises and self._run.should_stop:
            raise KeyboardInterrupt("stopped on the board")

    def _log(self) -> None:
        """Log the rate of the last step, with the step of the point that the script has logged since."""
        if self._used is None or self._run.next_step == self._next_step:
            return
        self._next_step = self._run.next_step
        layouts = [*self._run.journal.blocks]
        if len(layouts) != self._layouts:
            self._layouts = len(layouts)
            if any(self._name in names and len(names) > 1 for names in layouts):
                self._metric = OWN_NAME
        self._run.log({self._metric: self._used}, step=self._next_step - 1)

    def _take(self, optimizer: Any) -> None:
        """Take what the board asks for now."""
        control = self._run.control
        if control is not self._control and control:
            self._control = control
            asked = lossboard.asked_of(control).get(self._name)
            if self._is_heard and asked != self._asked and asked is not None and _is_rate(asked[0]):
                self._want(asked[0])
            self._asked, self._is_heard = asked, True
        if self._wanted is not None and (rate := float(optimizer.param_groups[0]["lr"])):
            self._factor, self._wanted = self._wanted / rate, None

    def _want(self, rate: float) -> None:
        """The board asks for a rate. It is not taken where others train the same model, who hear nothing of it."""
        if (others := _processes() - 1) > 0:
            why = f"{others} more processes train the same model, and hear nothing of it"
            self._run._warn("processes", f"{self._name} is not changed: {why}; see Steering in docs/client.md")
        else:
            self._wanted = float(self._run.params.get(self._name, rate))  # which notes the change

    def _restore(self) -> None:
        """Put back what the scheduler wants. After a step that raised, it may have gone on from the rate in use."""
        for group, rate, used in self._scaled:
            if hasattr(rate, "copy_"):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate if group["lr"] == used or not self._factor else group["lr"] / self._factor
        self._scaled = []


def _scale(group: dict[str, Any], factor: float) -> tuple[Any, Any]:
    """Multiply a group's rate; what it was, and what it is now. A tensor is changed in place: graphs read it there."""
    before = group["lr"]
    if hasattr(before, "mul_"):
        before, rate = before.clone(), before
        return before, rate.mul_(factor)
    group["lr"] = before * factor
    return before, group["lr"]


def _processes() -> int:
    """How many processes torch knows of that train together with this one, itself included."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return int(distributed.get_world_size())


def _names(name: str) -> Iterator[str]:
    """The name of a parameter, then those of further ones."""
    return itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))


def _checked(bounds: Any) -> tuple[Any, Any]:
    """The least and the greatest rate, None where there is none. ValueError says what to send."""
    least, greatest = bounds
    numbers = [one for one in (least, greatest) if one is not None]
    if not all(map(_is_rate, numbers)) or numbers != sorted(numbers):
        raise ValueError("bounds: send the least and the greatest rate, such as (1e-5, 1)")
    return least, greatest


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
