"""Records of runs as they are stored, by this Lossboard and by others."""

from __future__ import annotations

import json

from app.storage.records import RunRecord

RECORD = RunRecord("1" * 32, "run", "gd", {"lr": 0.1}, "finished", 5.0, why="too fast", last={"loss": 1.0})


def test_a_record_is_read_as_it_was_stored() -> None:
    assert RunRecord.from_json(RECORD.to_json()) == RECORD


def test_what_an_older_lossboard_did_not_store_has_its_default() -> None:
    stored = json.loads(RECORD.to_json())
    del stored["why"], stored["steps_to_1_percent"]
    record = RunRecord.from_json(json.dumps(stored))
    assert (record.why, record.steps_to_1_percent, record.last) == (None, None, {"loss": 1.0})


def test_what_a_newer_lossboard_stores_besides_is_ignored() -> None:
    stored = json.loads(RECORD.to_json()) | {"mood": "good"}
    assert RunRecord.from_json(json.dumps(stored)) == RECORD


def test_a_record_that_lacks_nearly_everything_is_that_of_an_interrupted_run() -> None:
    record = RunRecord.from_json(f'{{"id": "{"1" * 32}"}}')
    assert (record.id, record.name, record.status) == ("1" * 32, "run", "interrupted")
