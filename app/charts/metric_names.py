"""The names of metrics: which window a metric belongs to, and to which stage of a training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

STAGES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "eval": "eval",
    "dev": "dev",
}
MAX_REMEMBERED = 20_000  # names: some runs with 1,000 metrics each

_WORD = rf"(?P<word>{'|'.join(sorted(STAGES, key=len, reverse=True))})"
_SEPARATORS = r"[/_.\-]+"
_AT_START = re.compile(rf"{_WORD}{_SEPARATORS}(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_AT_END = re.compile(rf"(?P<rest>.+?){_SEPARATORS}{_WORD}", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class MetricName:
    """A metric's name in its parts: `train/layer1/loss` has the title `layer1/loss`, the stage `train` and the section
    `layer1`. The stage is one of the values of STAGES, or "" for none."""

    title: str
    stage: str = ""
    section: str = ""

    @property
    def key(self) -> str:
        """What metrics of one window have in common: the title in lower case."""
        return self.title.casefold()


@lru_cache(MAX_REMEMBERED)
def parse(name: str) -> MetricName:
    """The parts of a metric's name. Stage words are taken off both ends of it, and of what follows its last "/"; the
    first that is found is the stage. A name of nothing but stage words stays as it is."""
    title, stage = _without_stages(name)
    section, slash, leaf = title.rpartition("/")
    if slash:
        leaf, inner = _without_stages(leaf)
        title, stage = f"{section}/{leaf}", stage or inner
    if leaf.casefold() in STAGES and not slash:
        return MetricName(name)
    return MetricName(title, stage, section)


def key_of(name: str) -> str:
    """The key of the window that a metric is drawn in."""
    return parse(name).key


def _without_stages(name: str) -> tuple[str, str]:
    """A name without the stage words at its ends, and the first of them, "" if there was none."""
    stage = ""
    while match := _AT_START.fullmatch(name) or _AT_END.fullmatch(name):
        name, stage = match["rest"], stage or STAGES[match["word"].lower()]
    return name, stage
