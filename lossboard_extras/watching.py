"""``run.watch(model)``: how large the weights of a torch model and their gradients are."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Iterable
from typing import Any

import lossboard

_watching: list[Watching] = []  # those whose run goes on, and whose model there still is

MOST = 10  # parts of a model whose norms are logged: each has two windows on the board


def watch(run: lossboard.Run, model: Any, *, every: int = 100) -> Watching | None:
    """Log the norms of a model's weights and gradients, of the first and of each ``every``-th step of its optimizer, as
    norm/weights/NAME and norm/gradients/NAME, with the next point that the script logs.

    A part is a parameter, or where there are more than MOST a module. None, with a warning, for what is no torch model.
    """
    try:
        _register()
        _watching.append(Watching(run, model, every))
        return _watching[-1]
    except Exception as error:
        run._warn("watch", f"a model is not watched: send a torch.nn.Module ({error!r})")
        return None


@functools.cache
def _register() -> None:
    """One hook for all: torch forbids that one is removed while hooks are called."""
    sys.modules["torch.optim.optimizer"].register_optimizer_step_pre_hook(_before)


def _before(optimizer: Any, *_: Any) -> None:
    """An optimizer is about to make a step."""
    for one in [*_watching]:
        if not one.before(optimizer):
            _watching.remove(one)


class Watching:
    """Watches a model before each step of the first optimizer that has a parameter of it."""

    def __init__(self, run: lossboard.Run, model: Any, every: int) -> None:
        """An exception for what is no model of torch 2."""
        self._run = run
        self._model = weakref.ref(model)
        self._names = {name: weakref.ref(parameter) for name, parameter in model.named_parameters()}
        self._parts = parts_of(self._names)
        self._every = max(1, int(every))
        self._steps = 0
        self._optimizers: weakref.WeakKeyDictionary[Any, bool] = (
            weakref.WeakKeyDictionary()
        )  # whether it is the model's
        self._norms: dict[str, float] = {}  # that wait for the script's next point
        self._next_step = run.next_step  # when this last looked: it is another once the script has logged a point

    def before(self, optimizer: Any) -> bool:
        """An optimizer is about to make a step. Whether there is anything to watch any more."""
        if self._run._silent or self._model() is None:
            return False
        try:
            if self._optimizers.get(optimizer) or self._is_the_models(optimizer):
                self._log()
                if self._steps % self._every == 0:
                    self._norms = self._measured(optimizer)
                self._steps += 1
        except Exception as error:
            self._run._warn("watch", f"a model is not watched any more: {error!r}")
            return False
        return True

    def _is_the_models(self, optimizer: Any) -> bool:
        """Whether this is the first optimizer that is seen with a parameter of the model."""
        if optimizer not in self._optimizers:
            mine = {id(parameter()) for parameter in self._names.values()}
            has = any(id(parameter) in mine for group in optimizer.param_groups for parameter in group["params"])
            self._optimizers[optimizer] = has and not any(self._optimizers.values())
        return self._optimizers[optimizer]

    def _log(self) -> None:
        """Log the norms with the step of the point that the script has logged since."""
        if self._run.next_step != self._next_step:
            self._next_step = self._run.next_step
            if self._norms:
                self._run.log(self._norms, step=self._next_step - 1)
                self._norms = {}

    def _measured(self, optimizer: Any) -> dict[str, float]:
        """The norms now; one wait for the device."""
        torch = sys.modules["torch"]
        weights = {name: found for name, parameter in self._names.items() if (found := parameter()) is not None}
        gradients = {name: found.grad for name, found in weights.items() if found.grad is not None}
        tensors = [*weights.values(), *gradients.values()]
        if not tensors or (tensors[0].is_cuda and torch.cuda.is_current_stream_capturing()):
            return {}
        norms = [torch.linalg.vector_norm(tensor.detach(), dtype=torch.float32) for tensor in tensors]
        numbers = torch.stack([norm.to(norms[0].device) for norm in norms]).tolist()
        scale = getattr(optimizer, "grad_scale", None)  # of a gradient scaler, which a fused optimizer undoes itself
        measured: dict[str, float] = {}
        for kind, names, found in (
            ("weights", weights, numbers),
            ("gradients", gradients, [norm / float(1 if scale is None else scale) for norm in numbers[len(weights) :]]),
        ):
            for part, own in self._parts.items():
                squares = [norm**2 for name, norm in zip(names, found) if name in own]  # noqa: B905
                if squares:
                    measured[f"norm/{kind}/{part}"] = sum(squares) ** 0.5
        return measured


def parts_of(names: Iterable[str]) -> dict[str, set[str]]:
    """The parameters with these names in at most MOST parts: each for itself, or by the modules that they are in, as
    deep as there is room for; all in one where even that is too many."""
    all_names = [*names]
    for depth in range(max((name.count(".") for name in all_names), default=0) + 1, 0, -1):
        parts: dict[str, set[str]] = {}
        for name in all_names:
            parts.setdefault("/".join(name.split(".")[:depth]), set()).add(name)
        if len(parts) <= MOST:
            return parts
    return {"all": set(all_names)}
