"""What `lossboard run` changes in the libraries that a program imports: what it logs goes to the board as well."""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lossboard
from lossboard_extras.steering import Steering
from lossboard_extras.writer import SummaryWriter

CALLS = ["add_scalar", "add_scalars", "add_text", "add_graph", "add_hparams", "add_image", "add_images", "add_figure"]
CALLS += [
    "add_histogram",
    "add_histogram_raw",
    "add_audio",
    "add_video",
    "add_embedding",
    "add_pr_curve",
    "add_mesh",
    "close",
]

# Of wandb's media, the method of a run that logs it, and what that is given.
WANDB_MEDIA: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "Image": lambda value: ("image", value.image),
    "Histogram": lambda value: ("histogram", (value.histogram, value.bins)),
    "Audio": lambda value: ("audio", value._path),
}

_begun: list[Captured] = []  # those that have a run
_steered: weakref.WeakKeyDictionary[Any, Steering] = weakref.WeakKeyDictionary()  # by optimizer
_calls = threading.local()  # of the libraries that are under way
_said: set[str] = set()


class Captured(SummaryWriter):
    """The run of one of the program's writers. Who started the program is told of it when it begins."""

    def __init__(self, log_dir: Any, **about: Any) -> None:
        super().__init__(log_dir, **about)
        self._about["group"] = os.environ.get("LOSSBOARD_CAPTURE_GROUP") or self._about["group"]
        self.is_open = True
        self.next_step = 0  # where the library counts steps

    def begin(self) -> lossboard.Run:
        """As SummaryWriter's."""
        run = super().begin()
        _begun.append(self)
        if path := os.environ.get("LOSSBOARD_CAPTURED"):
            with Path(path).open("a", encoding="ascii") as file:  # a line is written at once, whoever else writes
                file.write(f"{run.id}\n")
        return run

    def close(self) -> None:
        """As SummaryWriter's; a program does not wait for it before it ends."""
        self.is_open = False
        if self.has_begun:
            error = sys.exc_info()[1]
            threading.Thread(target=self.run.__exit__, args=(None, error, None)).start()


def capture_writer(module: Any) -> None:
    """What is given to the writers of torch.utils.tensorboard or tensorboardX."""
    for name in CALLS:
        if original := getattr(module.SummaryWriter, name, None):
            setattr(module.SummaryWriter, name, _followed(original, functools.partial(_repeat, name)))


def capture_lightning(module: Any) -> None:
    """The hyperparameters of Lightning's TensorBoardLogger: it gives its writer a number first, with which the run
    would begin without them."""
    original = module.TensorBoardLogger.log_hyperparams

    @functools.wraps(original)
    def log_hyperparams(logger: Any, params: Any, *args: Any, **options: Any) -> Any:
        try:
            _captured(logger.experiment).describe(params if isinstance(params, Mapping) else vars(params))
        except Exception as error:
            _say(f"lossboard: hyperparameters are not shown: {error!r}\n")
        return original(logger, params, *args, **options)

    module.TensorBoardLogger.log_hyperparams = log_hyperparams


def capture_wandb(module: Any) -> None:
    """What is logged by each run that wandb.init() begins, also in its modes offline and disabled."""
    original = module.init

    @functools.wraps(original)
    def init(*args: Any, **options: Any) -> Any:
        run = original(*args, **options)
        if run is not None and "_lossboard" not in vars(run):  # it may give the run that there is
            ours = vars(run)["_lossboard"] = Captured(None, name=run.name or run.project, group=run.project)
            run.log = module.log = _followed(run.log, functools.partial(_log_wandb, run, ours))
            run.finish = module.finish = _followed(run.finish, lambda *_, **__: ours.close())
        return run

    module.init = init


def capture_optimizers(module: Any) -> None:
    """At each step of an optimizer of torch, what the board asks for is heeded: its learning rate, too."""
    if hasattr(module, "register_optimizer_step_post_hook"):  # torch 2
        module.register_optimizer_step_pre_hook(lambda optimizer, *_: before_step(optimizer))
        module.register_optimizer_step_post_hook(lambda optimizer, *_: after_step(optimizer))


def before_step(optimizer: Any) -> None:
    """An optimizer is about to make a step: its rate is that of the board's slider for the first run that is open."""
    run = next((one.run for one in _begun if one.is_open), None)
    steering = _steered.get(optimizer)
    if run is not None and (steering is None or steering.run is not run):
        try:
            _steered[optimizer] = steering = Steering(run, optimizer)
        except Exception as error:
            _say(f"lossboard: an optimizer's learning rate cannot be set on the board: {error!r}\n")
    heed()
    if steering is not None:
        steering.before(optimizer)


def after_step(optimizer: Any) -> None:
    """An optimizer has made a step."""
    if steering := _steered.get(optimizer):
        steering.after()


def heed() -> None:
    """Wait while a run is held; KeyboardInterrupt, once, where one is to stop."""
    for ours in [one for one in _begun if one.is_open]:
        ours.run.wait_while_paused()
        if ours.run.should_stop:
            ours.is_open = False
            raise KeyboardInterrupt("stopped on the board")


def _followed(original: Callable[..., Any], repeat: Callable[..., None]) -> Callable[..., Any]:
    """A function that does what the original does; then ``repeat`` gets the same arguments, unless the library itself
    has made the call. What ``repeat`` raises is said, and ends nothing."""

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        if getattr(_calls, "under_way", False):
            return original(*args, **options)
        _calls.under_way = True
        try:
            result = original(*args, **options)
        finally:
            _calls.under_way = False
        try:
            repeat(*args, **options)
        except Exception as error:
            _say(f"lossboard: a call of {original.__name__} is not shown: {error!r}\n")
        return result

    return call


def _say(sentence: str) -> None:
    """Say something once."""
    if sentence not in _said:
        _said.add(sentence)
        sys.stderr.write(sentence)


def _captured(writer: Any) -> Captured:
    """What belongs to a writer."""
    if "_lossboard" not in vars(writer):
        vars(writer)["_lossboard"] = Captured(getattr(writer, "log_dir", None) or getattr(writer, "logdir", None))
    ours: Captured = vars(writer)["_lossboard"]
    return ours


def _repeat(name: str, writer: Any, *args: Any, **options: Any) -> None:
    """Let the run of a writer have the same call."""
    getattr(_captured(writer), name)(*args, **options)


def _log_wandb(
    run: Any, ours: Captured, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, *_: Any
) -> None:
    """Log the same, with the step that wandb gives it."""
    if not ours.has_begun:
        ours.describe(params=dict(run.config))
    at = ours.next_step if step is None else step
    ours.next_step = at + (step is None if commit is None else commit)
    numbers = dict(data)
    for name, media in _wandb_media(numbers):
        for number, value in enumerate(media):
            log, content = WANDB_MEDIA[type(value).__name__](value)
            getattr(ours.run, log)(name if len(media) == 1 else f"{name}/{number}", content, at)
        del numbers[name]
    if numbers:
        ours.run.log(numbers, step=at)


def _wandb_media(data: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    """What of this is media of wandb: one, or a list of them, under each name."""
    listed = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
    return [(name, values) for name, values in listed.items() if values and all(map(_is_medium, values))]


def _is_medium(value: Any) -> bool:
    return type(value).__module__.startswith("wandb.") and type(value).__name__ in WANDB_MEDIA
