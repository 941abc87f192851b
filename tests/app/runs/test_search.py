"""Runs are found by words, comparisons and keys, and sorted by any column."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.errors import InvalidError
from app.runs.search import parse_search, parse_sort, sort_runs
from app.storage.records import RunRecord


def run(number: int = 0, **fields: Any) -> RunRecord:
    """A run of a script."""
    return RunRecord(
        **{"id": f"{number:032}", "name": "run", "method": "external", "params": {}, "status": "finished"} | fields,
        number=number,
        created_at=0.0,
    )


ADAM = run(
    1,
    name="First try",
    group="Sweep of rates",
    tags=["baseline", "good one"],
    notes="Diverges at the end",
    params={"lr": 0.05, "optimizer": "Adam", "amp": True, "layers": 4},
    last={"loss": 0.5, "val/loss": 0.75, "train:acc": 0.9},
    best={"loss": [0.25, 8.0], "accuracy": [0.1, 0.9]},
    summary={"params": 12},
    result={"verdict": "ok"},
    step=99,
    started_at=10.0,
    ended_at=70.0,
)


@pytest.mark.parametrize(
    "search",
    [
        "",
        "try",
        "TRY first",
        '"first try"',
        "rates",
        "baseline diverges",
        '"good one"',
        "lr<0.1",
        "lr < 0.1",
        "lr>=0.05 lr<=0.05 lr=0.05 lr==5e-2",
        "lr!=0.1",
        "optimizer=adam",
        "optimizer!=sgd",
        "amp=true",
        "params.layers=4",
        "loss=0.5",
        "val/loss>0.7",
        '"train:acc">0.8',
        "best.loss<0.3",
        "best.accuracy>0.8",
        "min.accuracy<0.2 max.loss>7",
        "summary.params=12",
        "verdict=ok",
        "step>90 duration=60 number=1",
        "status:finished method:external",
        'group:"sweep of rates" tag:baseline tag:"good one" name:first',
        "-status:failed -tag:old -sgd -lr>1",
    ],
)
def test_a_search_finds_a_run(search: str) -> None:
    assert parse_search(search)(ADAM)


@pytest.mark.parametrize(
    "search",
    [
        "second",
        "first second",
        '"try first"',
        "finished",  # is neither its name nor its group, tags or notes
        "lr>0.1",
        "lr!=0.05",
        "momentum<1",
        "-momentum<1 momentum!=1",
        "optimizer=sgd",
        "layers=four",
        "status:failed",
        "group:sweep",
        "tag:good",
        "-tag:baseline",
        "last.lr<0.1",
    ],
)
def test_a_search_does_not_find_a_run(search: str) -> None:
    assert not parse_search(search)(ADAM)


def test_a_loss_that_is_no_number_is_less_than_none() -> None:
    exploded = run(last={"loss": math.nan})
    assert not parse_search("loss<1")(exploded)
    assert not parse_search("loss>=1")(exploded)


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("lr<small", "lr< is followed by small; write a number there."),
        ("lr<", 'In lr< a name, a sign or a value is missing; write it as lr<0.1, or as a word: "lr<".'),
        ("0.1>lr<1", "a name, a sign or a value is missing"),
        ("state:failed", "There is no state: to search by; there are status:, group:, tag:, method:, name:."),
        ("status:broken", "No run is ever broken; there are queued, running, paused, finished,"),
        ('"first', 'There is a " without the one that ends it'),
    ],
)
def test_a_search_that_cannot_be_understood_is_refused_in_words(search: str, words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_search(search)
    assert words in refused.value.message
    assert refused.value.place == ("query", "search")


def order(sort: str, *runs: RunRecord) -> list[int]:
    """The numbers of these runs in this order."""
    return [one.number for one in sort_runs(runs, parse_sort(sort))]


def test_numbers_come_before_texts_and_what_is_lacking_is_last_either_way() -> None:
    values = {1: 0.5, 2: "big", 3: None, 4: -math.inf, 5: math.nan, 6: "Small", 7: 2}
    runs = [run(number, params={"size": value}) for number, value in values.items()]
    assert order("params.size", *runs, run(8)) == [4, 1, 7, 2, 6, 8, 5, 3]
    assert order("-params.size", *runs, run(8)) == [7, 1, 4, 6, 2, 8, 5, 3]


def test_of_equals_the_next_column_decides_and_then_the_newest_is_first() -> None:
    runs = [run(1, name="b"), run(2, name="a"), run(3, name="b", pinned=True), run(4, name="b")]
    assert order("name", *runs) == [2, 4, 3, 1]
    assert order("-pinned,name", *runs) == [3, 2, 4, 1]
    assert order("-pinned, -name", *runs) == [3, 4, 1, 2]


def test_the_best_of_a_metric_is_its_largest_value_where_more_is_better() -> None:
    low, high = (
        run(1, best={"val_acc": [0.1, 0.3], "loss": [0.1, 3.0]}),
        run(2, best={"val_acc": [0, 1], "loss": [0, 1]}),
    )
    assert order("-best.val_acc", low, high) == order("best.loss", low, high) == [2, 1]
    assert order("min.val_acc", low, high) == [2, 1]
    assert order("-max.loss", low, high) == [1, 2]


def test_a_column_may_have_a_comma_in_its_name() -> None:
    runs = [run(1, last={"top-1,5": 2.0}), run(2, last={"top-1,5": 1.0}), run(3, last={"top-1,5": 1.0}, pinned=True)]
    assert order("last.top-1,5,-pinned", *runs) == [3, 2, 1]


def test_a_status_is_sorted_as_runs_go_through_them() -> None:
    runs = [run(1, status="finished"), run(2, status="queued"), run(3, status="running")]
    assert order("status", *runs) == [2, 3, 1]


@pytest.mark.parametrize("sort", ["loss", "-", "last.", "name,size"])
def test_there_is_no_such_column(sort: str) -> None:
    with pytest.raises(InvalidError, match=r"There is no column .*; sort by one of name, status") as refused:
        parse_sort(sort)
    assert refused.value.place == ("query", "sort")
