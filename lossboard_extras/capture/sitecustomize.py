"""What `lossboard run` has Python import before a program: it finds the writers that the program imports later.

It lies in a folder of its own, the first of PYTHONPATH. LOSSBOARD_CAPTURE names where lossboard.py and
lossboard_extras are; nothing else can be imported from there.
"""

import importlib
import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any

TARGETS = {
    "torch.utils.tensorboard.writer": "capture_writer",
    "tensorboardX.writer": "capture_writer",
    "torch.optim.optimizer": "capture_optimizers",
    "lightning.fabric.loggers.tensorboard": "capture_lightning",
    "lightning_fabric.loggers.tensorboard": "capture_lightning",
    "wandb": "capture_wandb",
}
PLACES = os.environ.get("LOSSBOARD_CAPTURE", "").split(os.pathsep)


class Finder:
    """Finds lossboard and lossboard_extras; and of a target what others find, with a change to what its import does."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        """As import finders do; a search that imports nothing changes nothing."""
        if name in ("lossboard", "lossboard_extras"):
            return PathFinder.find_spec(name, PLACES)
        if name not in TARGETS:
            return None
        others = [finder for finder in sys.meta_path if finder is not cls and hasattr(finder, "find_spec")]
        spec: Any = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            setattr(spec.loader, "exec_module", captured(name, spec.loader.exec_module))  # noqa: B010
        return spec


def captured(name: str, exec_module: Callable[..., None]) -> Callable[..., None]:
    """The exec_module() of a loader, which hands the module of this name to lossboard_extras.capturing afterwards."""

    def execute(module: Any) -> None:
        exec_module(module)
        if module.__name__ != name:  # of an archive, all modules have the same loader
            return
        try:
            getattr(importlib.import_module("lossboard_extras.capturing"), TARGETS[name])(module)
        except Exception as error:
            sys.stderr.write("lossboard: {} is not captured: {!r}\n".format(name, error))  # noqa: UP032

    return execute


def import_the_next() -> None:
    """Import the sitecustomize that this one hides, if there is one, under its own name."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]  # noqa: PTH100
    if PathFinder.find_spec("sitecustomize") is not None:
        own = sys.modules.pop("sitecustomize")
        try:
            importlib.import_module("sitecustomize")
        finally:
            sys.modules.setdefault("sitecustomize", own)


if sys.version_info >= (3, 9):  # noqa: UP036
    sys.meta_path.insert(0, Finder)
else:
    sys.stderr.write("lossboard: nothing is captured, as that needs Python 3.9 or newer\n")
import_the_next()
