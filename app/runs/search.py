"""What people type to find runs, such as ``lr<0.1 tag:baseline -status:failed``, and what lists of them are sorted by.

A term is a word, which is looked for in name, group, tags and notes; a comparison of a parameter, a metric or a result
with a number or a text; or ``key:text``. All terms must hold; one with a minus before it must not.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, get_args

from app.errors import InvalidError
from app.runs.best import is_more_better
from app.schemas.responses import Status
from app.storage.records import RunRecord

type Test = Callable[[RunRecord], bool]
type ValueOf = Callable[[RunRecord], Any]

MAX_SORT_KEYS = 5
STATUSES: tuple[str, ...] = get_args(Status.__value__)

_TERM = re.compile(
    r"""(?P<minus>-?)(?:
        (?P<name>"[^"]*"|[^"<>=!:\s]+)\s*(?P<sign><=|>=|!=|==|[<>=])\s*(?P<value>"[^"]*"|[^"\s<>=]+)(?=\s|$)
        | (?P<key>[A-Za-z_]+):(?P<text>"[^"]*"|[^"\s]*)(?=\s|$)
        | (?P<word>"[^"]*"|[^"\s]+)
    )""",
    re.VERBOSE,
)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


def parse_search(text: str) -> Test:
    """Whether a run is one of those that are looked for. InvalidError names what cannot be understood."""
    if text.count('"') % 2:
        raise _refused('There is a " without the one that ends it; write both, or none.')
    tests = [_test(term) for term in _TERM.finditer(text)]
    return tests[0] if len(tests) == 1 else lambda run: all(test(run) for test in tests)


def parse_sort(text: str) -> list[tuple[ValueOf, bool]]:
    """What runs are sorted by, the first key first: the value of a run, and whether the largest comes first."""
    keys = [key.strip() for key in _BEFORE_KEY.split(text)]
    if len(keys) > MAX_SORT_KEYS:
        raise _refused(f"Runs are sorted by at most {MAX_SORT_KEYS} columns; send fewer.", "sort")
    return [(_column(key.removeprefix("-")), key.startswith("-")) for key in keys]


def sort_runs(runs: Iterable[RunRecord], keys: Iterable[tuple[ValueOf, bool]]) -> list[RunRecord]:
    """Runs in the order of these keys; those that lack a value, or have NaN, come last, and of equals the newest is
    first. Numbers come before texts."""
    ordered = sorted(runs, key=operator.attrgetter("number"), reverse=True)
    for value_of, descending in reversed([*keys]):
        ordered = _sorted_by(value_of, ordered, descending=descending)
    return ordered


def duration_of(run: RunRecord, now: float) -> float | None:
    """The seconds that a run has gone on for; None before its first step."""
    return None if run.started_at is None else (run.ended_at or now) - run.started_at


def _test(term: re.Match[str]) -> Test:
    """What one term asks of a run."""
    if term["sign"]:
        test = _comparison(_plain(term["name"]), term["sign"], _plain(term["value"]))
    elif term["key"]:
        test = _keyed(term["key"].lower(), _plain(term["text"]).casefold())
    else:
        test = _worded(term["word"])
    return (lambda run: not test(run)) if term["minus"] else test


def _worded(word: str) -> Test:
    if not word.startswith('"') and re.search("[<>=]", word):
        raise _refused(f'In {word} a name, a sign or a value is missing; write it as lr<0.1, or as a word: "{word}".')
    wanted = _plain(word).casefold()

    def test(run: RunRecord) -> bool:
        return wanted in f"{run.name}\n{run.group or ''}\n{'\n'.join(run.tags)}\n{run.notes}".casefold()

    return test


def _keyed(key: str, text: str) -> Test:
    keys: dict[str, Test] = {
        "status": lambda run: run.status == text,
        "group": lambda run: (run.group or "").casefold() == text,
        "tag": lambda run: any(tag.casefold() == text for tag in run.tags),
        "method": lambda run: run.method.casefold() == text,
        "name": lambda run: text in run.name.casefold(),
    }
    if key not in keys:
        known = ", ".join(f"{name}:" for name in keys)
        raise _refused(f'There is no {key}: to search by; there are {known}. A word with a colon stands in "…".')
    if key == "status" and text not in STATUSES:
        raise _refused(f"No run is ever {text or 'without a status'}; there are {', '.join(STATUSES)}.")
    return keys[key]


def _comparison(name: str, sign: str, text: str) -> Test:
    compare, value_of, number = _SIGNS[sign], _value_named(name), _number(text)
    if number is None and sign not in ("=", "==", "!="):
        raise _refused(f"{name}{sign} is followed by {text}; write a number there.")

    def test(run: RunRecord) -> bool:
        value = value_of(run)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number is not None and compare(value, number)
        return value is not None and sign not in ("<", "<=", ">", ">=") and compare(_as_text(value), text.casefold())

    return test


def _value_named(name: str) -> ValueOf:
    """What a comparison calls by this name: a column such as last.loss; else the first that a run has of a parameter,
    an entry of its summary or its result, the last value of a metric, its step, its number or its duration."""
    if part := _part_of(name):
        return part
    plain = _COLUMNS.get(name) if name in ("step", "number", "duration") else None

    def value_of(run: RunRecord) -> Any:
        for part in (run.params, run.summary, run.result, run.last):
            if name in part:
                return part[name]
        return plain(run) if plain else None

    return value_of


def _column(name: str) -> ValueOf:
    """The value of a column; InvalidError for one that there is not."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    if part := _part_of(name):
        return part
    known = ", ".join([*_COLUMNS, *(f"{part}.NAME" for part in _PARTS)])
    raise _refused(f"There is no column {name}; sort by one of {known}, with a minus before it to descend.", "sort")


def _part_of(name: str) -> ValueOf | None:
    """The value of a column that is named by its kind and its name, such as last.loss."""
    prefix, dot, key = name.partition(".")
    return _PARTS[prefix](key) if dot and key and prefix in _PARTS else None


def _extreme(metric: str, which: int) -> ValueOf:
    return lambda run: run.best[metric][which] if metric in run.best else None


_COLUMNS: dict[str, ValueOf] = {
    "name": lambda run: run.name,
    "status": lambda run: STATUSES.index(run.status),
    "method": lambda run: run.method,
    "group": lambda run: run.group,
    "tags": lambda run: ", ".join(run.tags) or None,
    "number": lambda run: run.number,
    "step": lambda run: run.step,
    "started": lambda run: run.started_at,
    "duration": lambda run: duration_of(run, time.time()),
    "pinned": lambda run: run.pinned,
}
_PARTS: dict[str, Callable[[str], ValueOf]] = {
    "params": lambda name: lambda run: run.params.get(name),
    "last": lambda name: lambda run: run.last.get(name),
    "best": lambda name: _extreme(name, is_more_better(name)),
    "min": lambda name: _extreme(name, 0),
    "max": lambda name: _extreme(name, 1),
    "summary": lambda name: lambda run: run.summary.get(name),
    "result": lambda name: lambda run: run.result.get(name),
}
# A comma between columns, and none within the name of a metric.
_BEFORE_KEY = re.compile(rf",(?=\s*-?(?:(?:{'|'.join(_COLUMNS)})\s*(?:,|$)|(?:{'|'.join(_PARTS)})\.))")


def _sorted_by(value_of: ValueOf, runs: list[RunRecord], *, descending: bool) -> list[RunRecord]:
    values = [value_of(run) for run in runs]
    numbers: list[int] = []  # places in both lists
    texts: list[int] = []
    lacking: list[int] = []
    for at, value in enumerate(values):
        if value is None or value != value:  # noqa: PLR0124  (NaN)
            lacking.append(at)
        elif isinstance(value, int | float):
            numbers.append(at)
        else:
            texts.append(at)
            values[at] = _as_text(value)
    for places in (numbers, texts):
        places.sort(key=values.__getitem__, reverse=descending)
    return [runs[at] for at in (*numbers, *texts, *lacking)]


def _as_text(value: Any) -> str:
    return str(value).casefold()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')


def _refused(message: str, field: str = "search") -> InvalidError:
    return InvalidError(message, part="query", field=(field,))
