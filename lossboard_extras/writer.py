"""``lossboard.SummaryWriter``: the calls of TensorBoard's writer, for a script that is to report to a board instead."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lossboard
from lossboard_extras.encoders import buckets_up_to
from lossboard_extras.media import buckets

MAX_NOTES = 10_000
# What follows add_ in the names of methods that have no part here.
NOT_SHOWN = {"custom_scalars", "custom_scalars_marginchart", "custom_scalars_multilinechart", "embedding", "hdf5"}
NOT_SHOWN |= {"image_with_boxes", "mesh", "onnx_graph", "pr_curve", "pr_curve_raw", "tensor", "video"}


class SummaryWriter(contextlib.AbstractContextManager["SummaryWriter"]):
    """Reports to a run of its own, which begins with the first number, image or sound.

    What is given before that describes the run: hyperparameters are its params, texts and a graph its notes. Later
    hyperparameters go to its summary. What a board cannot show is said once. Nothing raises into the training.
    """

    def __init__(self, log_dir: Any = None, comment: str = "", *_: Any, **about: Any) -> None:
        """``log_dir`` names the run, by its last part, and its group, by what comes before; nothing is written there.

        ``about`` may have name, group, params, tags, notes and url, as lossboard.run() takes them. Other arguments of
        TensorBoard's writers change nothing.
        """
        self.log_dir = str(log_dir or about.get("logdir") or "")
        self._about: dict[str, Any] = {"name": f"{Path(sys.argv[0]).stem or 'run'}{comment}", "group": None}
        if self.log_dir:
            self._about["name"], self._about["group"] = _name_and_group(Path(self.log_dir))
        self._about.update({key: about[key] for key in ("name", "group", "tags", "url") if key in about})
        self._params: dict[str, Any] = dict(about.get("params") or {})
        self._notes: list[str] = [about["notes"]] if about.get("notes") else []
        self._texts: list[tuple[str, str]] = []  # before the run has begun
        self._run: lossboard.Run | None = None
        self._steps: dict[str, int] = {}  # of each tag, where the script counts none
        self._said: set[str] = set()

    @property
    def run(self) -> lossboard.Run:
        """The run, begun now if it was not before."""
        if self._run is None:
            self._run = self.begin()
            for tag, text in self._texts:
                self._run.text(tag, text, 0)
        return self._run

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self._about["name"])

    @property
    def has_begun(self) -> bool:
        """Whether there is a run."""
        return self._run is not None

    def begin(self) -> lossboard.Run:
        """Begin the run with what describes it by now."""
        notes = "\n\n".join(self._notes)[:MAX_NOTES]
        return lossboard.run(params=self._params, notes=notes, **self._about)

    def describe(self, params: Mapping[str, Any]) -> None:
        """Give a run that has not begun further parameters."""
        self._params.update(params)

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        """Log one number."""
        self.run.log({tag: scalar_value}, step=self._step(tag, global_step))

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, *_: Any, **__: Any
    ) -> None:
        """Log several numbers, as main_tag/name."""
        self.run.log({main_tag: tag_scalar_dict}, step=self._step(main_tag, global_step))

    def add_text(self, tag: str, text_string: str, global_step: Any = None, *_: Any, **__: Any) -> None:
        """Log a text; one of step 0 that comes first describes the run as well."""
        if self._run is None and not global_step:
            self._notes.append(f"{tag}: {text_string}")
            self._texts.append((tag, text_string))
        else:
            self.run.text(tag, text_string, global_step)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: Any = None, _: Any = None, dataformats: str = "CHW", **__: Any
    ) -> None:
        """Log an image: an array or tensor, by default with its channels first."""
        self.run.image(tag, img_tensor, global_step, axes=dataformats)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: Any = None, _: Any = None, dataformats: str = "NCHW", **__: Any
    ) -> None:
        """Log several images as one."""
        self.run.image(tag, img_tensor, global_step, axes=dataformats)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, *_: Any, **__: Any
    ) -> None:
        """Log a figure of matplotlib, or each of a list, and close it unless told otherwise."""
        figures = figure if isinstance(figure, (list, tuple)) else [figure]
        for number, one in enumerate(figures):
            self.run.figure(f"{tag}/{number}" if figures is figure else tag, one, global_step)
            if close and "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close(one)

    def add_histogram(
        self, tag: str, values: Any, global_step: Any = None, bins: Any = "tensorflow", *_: Any, **__: Any
    ) -> None:
        """Log a histogram: of as many bins as are given, where that is a number."""
        self.run.histogram(tag, values, global_step, bins=bins if isinstance(bins, int) else 64)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,  # noqa: A002
        max: float,  # noqa: A002
        num: int,  # noqa: ARG002
        sum: float,  # noqa: A002, ARG002
        sum_squares: float,  # noqa: ARG002
        bucket_limits: Sequence[float],
        bucket_counts: Sequence[float],
        global_step: Any = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Log a histogram that was counted before: bucket_limits are the right edges."""
        buckets(self.run, tag, buckets_up_to(min, max, bucket_limits, bucket_counts), global_step)

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: Any = None, sample_rate: int = 44_100, *_: Any, **__: Any
    ) -> None:
        """Log a sound."""
        self.run.audio(tag, snd_tensor, global_step, rate=sample_rate)

    def add_graph(self, model: Any, *_: Any, **__: Any) -> None:
        """Note what a model looks like in print, if it comes before the run begins."""
        if self._run is None:
            self._notes.append(str(model))
        else:
            self._say("graph")

    def add_hparams(self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """Give the run hyperparameters, and figures that stand for it."""
        if self._run is None:
            self._params.update(hparam_dict)
        else:
            self._run.summary.update(hparam_dict)
        self.run.summary.update(metric_dict)

    def flush(self) -> None:
        """Does nothing: what was logged is on its way."""

    def close(self) -> None:
        """Say that the run has ended; if an exception is being handled, that it has failed."""
        if self._run is not None:
            self._run.__exit__(None, sys.exc_info()[1], None)

    def get_logdir(self) -> str:
        """The ``log_dir`` that was given."""
        return self.log_dir

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._run is not None:
            self._run.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        what = name.partition("add_")[2]
        if what not in NOT_SHOWN:
            raise AttributeError(f"SummaryWriter has no {name!r}")
        return lambda *_, **__: self._say(what)

    def _step(self, tag: str, given: Any) -> Any:
        if given is not None:
            return given
        self._steps[tag] = self._steps.get(tag, -1) + 1
        return self._steps[tag]

    def _say(self, what: str) -> None:
        """One warning of each kind of what a board does not show."""
        if what in self._said:
            return
        self._said.add(what)
        try:
            warnings.warn(f"lossboard: add_{what} is not shown on the board", stacklevel=3)
        except Warning:  # where warnings are made errors
            sys.stderr.write(f"lossboard: add_{what} is not shown on the board\n")


def _name_and_group(folder: Path) -> tuple[str, str | None]:
    """The last part of a folder's path, and what comes before it: below the working folder, or one part of it."""
    with contextlib.suppress(ValueError, OSError):
        folder = folder.relative_to(Path.cwd())
    group = folder.parent.name if folder.is_absolute() else folder.parent.as_posix()
    return folder.name, None if group in ("", ".") else group
