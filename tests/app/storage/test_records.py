"""Records of runs as they are stored, by this Lossboard and by others, and as damage leaves them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.api.serializers import run_response
from app.storage.records import CHANGED, UNREADABLE, RunRecord

ID = "1" * 32
RECORD = RunRecord(ID, "run", "gd", {"lr": 0.1}, "finished", 5.0, number=3, why="too fast", last={"loss": 1.0})


def read(text: str | bytes | None, status: str = "finished") -> RunRecord:
    """The record in the row of run 3."""
    return RunRecord.from_row((3, ID, status, None, None, text.encode() if isinstance(text, str) else text, None))


def changed(**fields: Any) -> str:
    """The record as it is stored, with other fields."""
    return json.dumps(json.loads(RECORD.to_json()) | fields)


def test_a_record_is_read_as_it_was_stored() -> None:
    assert read(RECORD.to_json()) == RECORD


def test_numbers_that_are_none_are_read_as_they_were_stored() -> None:
    record = read(changed(last={"loss": float("nan"), "w": float("inf")}, first_loss=float("-inf")))
    assert str(record.last) == "{'loss': nan, 'w': inf}"
    assert (record.first_loss, record.damage) == (float("-inf"), None)


def test_what_an_older_lossboard_did_not_store_has_its_default() -> None:
    stored = json.loads(RECORD.to_json())
    del stored["why"], stored["steps_to_1_percent"]
    record = read(json.dumps(stored))
    assert (record.why, record.steps_to_1_percent, record.last, record.damage) == (None, None, {"loss": 1.0}, None)


def test_what_a_newer_lossboard_stores_besides_is_ignored() -> None:
    assert read(changed(mood="good")) == RECORD


def test_a_record_that_lacks_nearly_everything_is_that_of_an_interrupted_run() -> None:
    record = read(f'{{"id": "{ID}"}}')
    assert (record.id, record.name, record.status) == (ID, "run", "interrupted")


@pytest.mark.parametrize("text", [None, "", "{", "[]", "5", b"\xff", changed(name="\ud800"), "[" * 10_000])
def test_of_a_record_that_cannot_be_read_the_other_columns_are_known(text: str | bytes | None) -> None:
    record = read(text, "stopped")
    assert (record.id, record.number, record.status, record.damage) == (ID, 3, "stopped", UNREADABLE)
    run_response(record)


WRONG = {
    "status": "dreaming",
    "name": 5,
    "params": [],
    "created_at": 1e30,
    "started_at": float("nan"),
    "step": 2**70,
    "colour": "red",
    "last": {"loss": "low"},
    "changes": [{"step": 3}],
    "shade": 7.5,
    "varied": None,
    "missing": [5],
    "unchecked": [[1, 2, 3]],
    "asked": {"hold": 7},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_of_a_wrong_type_or_a_later_version_has_its_default_and_is_named(name: str) -> None:
    record = read(changed(**{name: WRONG[name]}))
    assert record.damage == f"What is stored as its {name} cannot be read, or is of a later Lossboard."
    assert getattr(record, name) != WRONG[name]
    assert record.last == ({} if name == "last" else {"loss": 1.0})
    run_response(record)


def test_of_a_status_that_is_not_known_the_run_is_interrupted() -> None:
    assert read(changed(status="dreaming"), "dreaming").status == "interrupted"


def test_everything_wrong_at_once_is_still_a_run() -> None:
    record = read(changed(**WRONG), "dreaming")
    assert record.damage is not None
    assert all(name in record.damage for name in WRONG)
    run_response(record)


def test_a_record_that_has_changed_since_it_was_stored_says_so() -> None:
    text, checksum, *_ = RECORD.to_row()
    for letter, damage in (("run", None), ("rum", CHANGED)):
        stored = text.replace("run", letter).encode()
        assert RunRecord.from_row((3, ID, "finished", None, None, stored, checksum)).damage == damage
