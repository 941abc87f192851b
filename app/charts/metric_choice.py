"""Which metrics have a window: of all that the shown runs have logged, the first few in an order of use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.charts.metric_names import key_of, parse
from app.schemas.view import MetricsView
from trainers import METHODS, is_search

MAX_WINDOWS = 12  # of metrics, unless more are pinned
COUNTERS = frozenset({"epoch", "epochs", "step", "steps", "global_step", "iteration", "iterations"})
NORMS = "norm/"  # what the client's watch() logs begins so
BUILT_IN = ("loss", "w")  # of our own methods: what the shared windows show without being asked
_WORDS = re.compile(r"[^\W_]+")

type Logged = tuple[str, Iterable[str]]  # of a run: its method, and the metrics that it has logged, in that order


@dataclass(frozen=True)
class MetricChoice:
    """The windows of metrics: those that are ``shown``, and the others that there are, ``rest``; each as a title by its
    key (see metric_names), in order. ``crowded_out``: how many of those are not shown only as there is no room."""

    shown: dict[str, str] = field(default_factory=dict)
    rest: dict[str, str] = field(default_factory=dict)
    crowded_out: int = 0


@dataclass
class _Candidate:
    """A window that there could be: its title, of how many runs, where it was logged first, and whether it is one of
    those that only a person asks for."""

    title: str
    place: int
    runs: int = 0
    on_demand: bool = True


def choose(runs: Iterable[Logged], view: MetricsView) -> MetricChoice:
    """The windows for these runs, the newest last: those that the view pins, and of the others the first, up to
    MAX_WINDOWS in all. In the view's order, then the pinned ones, losses, what most of the runs have logged, and the
    others as they were logged.

    Of built-in methods only BUILT_IN are chosen unless they are pinned. Searches are on the cost curve, and nowhere
    else."""
    found = _candidates(runs)
    pinned, hidden, order = (
        [title.casefold() for title in titles] for titles in (view.pinned, view.hidden, view.order)
    )
    places = {key: place for place, key in reversed(list(enumerate(order)))}
    in_order = sorted(found, key=lambda key: (places.get(key, len(order)), key not in pinned, *_rank(key, found[key])))
    fixed, unwanted = set(pinned) & found.keys(), {*pinned, *hidden}
    room = max(0, MAX_WINDOWS - len(fixed))
    others = [key for key in in_order if key not in unwanted and not found[key].on_demand]
    wanted = fixed.union(others[:room])
    shown, rest = ({key: found[key].title for key in in_order if (key in wanted) is has} for has in (True, False))
    return MetricChoice(shown, rest, max(0, len(others) - room))


def is_loss(key: str) -> bool:
    """Whether a window is of losses, by its key."""
    return "loss" in _WORDS.findall(key.rpartition("/")[2])


def _candidates(runs: Iterable[Logged]) -> dict[str, _Candidate]:
    found: dict[str, _Candidate] = {}
    for method, logged in reversed(list(runs)):
        if is_search(method):
            continue
        is_ours, keys = method in METHODS, set()
        for name in [*BUILT_IN, *logged] if is_ours else logged:  # those of ours also before the first point
            key = key_of(name)
            one = found.setdefault(key, _Candidate(key if key == "loss" else parse(name).title, len(found)))
            one.runs += key not in keys
            one.on_demand &= is_ours and name not in BUILT_IN
            keys.add(key)
    return found


def _rank(key: str, one: _Candidate) -> tuple[int, int, int]:
    """Losses first, then what most runs have in common, then what was logged first; last the norms of a model's parts,
    which are many, and counters of steps."""
    is_last = key in COUNTERS or key.startswith(NORMS)
    kind = 0 if key == "loss" else 1 if is_loss(key) else 3 if is_last else 2
    return kind, -one.runs, one.place
