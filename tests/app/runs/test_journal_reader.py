"""What can be read of a journal, and what is said of the rest. The files are made here, byte by byte."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import lossboard
from app.runs.journal_reader import JournalError, Part, read_journal

ZERO = bytes(16)  # a record of one metric that was never written


def record(step: float, *values: float) -> bytes:
    return struct.pack(f"<{1 + len(values)}d", step or -0.0, *values)


def records(begin: int, end: int) -> bytes:
    """Records of one metric, whose value is ten times the step."""
    return b"".join(record(step, 10 * step) for step in range(begin, end))


def head(seq: int, **more: Any) -> bytes:
    return json.dumps({"version": 2, "seq": seq, "metrics": ["loss"]} | more).encode() + b"\n"


def write(folder: Path, base: int, content: bytes, first_line: bytes | None = None) -> Path:
    """A file of a journal, with room for four records more."""
    path = folder / f"{base:015d}.points"
    path.write_bytes((head(base) if first_line is None else first_line) + content + 4 * ZERO)
    return path


def add_sums(path: Path, *blocks: tuple[int, int]) -> None:
    """Checksums of these places in a file, as they are now."""
    line, _, content = path.read_bytes().partition(b"\n")
    lines = [[begin, end, zlib.crc32(content[16 * begin : 16 * end])] for begin, end in blocks]
    path.with_suffix(".sums").write_bytes(line + b"\n" + b"".join(json.dumps(one).encode() + b"\n" for one in lines))


def garble(path: Path, place: int) -> None:
    """Turn a bit of a record's value over."""
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 1 + 16 * place + 12] ^= 1
    path.write_bytes(content)


def read(folder: Path, number: int = 0) -> tuple[list[Part], list[str]]:
    """The parts of a journal, and what is damaged."""
    journal = read_journal(folder)
    parts = list(journal.parts(number))
    return parts, [damage.what for damage in journal.damage]


def steps(parts: Iterable[Part]) -> list[float]:
    """Of all records, in the order of their numbers."""
    rows = [row for part in parts for block in part.blocks for row in block.rows.tolist()]
    return [row[0] for row in sorted(rows, key=lambda row: row[1])]


def ranges(parts: Iterable[Part]) -> list[tuple[int, int, bool]]:
    return [(part.seq, part.end, part.checked) for part in parts]


# --- the order of the numbers -----------------------------------------------------------------------------------------


def test_records_come_in_the_order_of_their_numbers_once(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 10))
    write(tmp_path, 10, records(10, 15))
    parts, damage = read(tmp_path)
    assert (ranges(parts), steps(parts), damage) == ([(0, 15, False)], list(range(15)), [])
    assert steps(read(tmp_path, 7)[0]) == list(range(7, 15))


def test_version_1_is_read_as_well(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 3), b'{"seq": 0, "metrics": ["loss"]}\n')
    assert steps(read(tmp_path)[0]) == [0, 1, 2]


@pytest.mark.parametrize("others", [[(0, 6), (4, 12)], [(0, 12), (4, 8)], [(2, 9), (0, 5), (7, 12)]])
def test_of_files_that_overlap_comes_the_union(tmp_path: Path, others: Sequence[tuple[int, int]]) -> None:
    for begin, end in others:
        write(tmp_path, begin, records(begin, end))
    assert steps(read(tmp_path)[0]) == list(range(12))


def test_a_copy_of_a_file_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, 0, records(0, 5))
    path.with_name("000000000000000 (copy).points").write_bytes(path.read_bytes())
    assert (steps(read(tmp_path)[0]), read(tmp_path)[1]) == ([0, 1, 2, 3, 4], [])


def test_what_was_never_written_is_a_gap(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 3) + ZERO + records(4, 6))
    parts, damage = read(tmp_path)
    assert (ranges(parts), steps(parts), damage) == ([(0, 3, False), (4, 6, False)], [0, 1, 2, 4, 5], [])


def test_a_long_journal_comes_in_parts_of_a_bounded_size(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 400_000))
    parts, _ = read(tmp_path)
    assert [part.seq for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert (len(parts) > 1, steps(parts)) == (True, list(range(400_000)))


def test_kinds_of_records_take_turns_by_their_numbers(tmp_path: Path) -> None:
    def numbered(number: int, *values: float) -> bytes:
        return struct.pack(f"<{2 + len(values)}d", number or -0.0, number, *values)

    write(tmp_path, 0, numbered(0, 5.0) + numbered(3, 6.0), b'{"version": 2, "seq": 0, "numbered": ["loss"]}\n')
    others = numbered(2, 0.5, 0.25) + numbered(1, 0.75, 0.125) + bytes(8 * 4) + numbered(5, 1.0, 0.0)
    write(tmp_path, 1, others, b'{"version": 2, "seq": 1, "numbered": ["acc", "auc"]}\n')
    parts, damage = read(tmp_path)
    assert (ranges(parts), damage) == ([(0, 4, False), (5, 6, False)], [])
    assert steps(parts) == [0, 1, 2, 3, 5]
    assert [(block.names, block.numbers.tolist()) for block in parts[0].blocks] == [
        (("loss",), [0, 3]),
        (("acc", "auc"), [1, 2]),
    ]


# --- checksums --------------------------------------------------------------------------------------------------------


def test_checked_records_and_those_that_are_not_come_apart(tmp_path: Path) -> None:
    add_sums(write(tmp_path, 0, records(0, 10)), (0, 4), (4, 8))
    assert ranges(read(tmp_path)[0]) == [(0, 8, True), (8, 10, False)]


def test_garbled_records_do_not_come_and_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, 0, records(0, 12))
    add_sums(path, (0, 4), (4, 8), (8, 12))
    garble(path, 5)
    parts, damage = read(tmp_path)
    assert ranges(parts) == [(0, 4, True), (8, 12, True)]
    assert damage == [f"{path.name}: 4 of its records, from number 4 on, are not as they were written"]


def test_what_the_board_has_already_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path, 0, records(0, 12))
    add_sums(path, (0, 4), (4, 12))
    garble(path, 1)
    assert read(tmp_path, 4)[1] == []


def test_a_garbled_record_of_which_another_file_has_a_good_copy_comes(tmp_path: Path) -> None:
    path = write(tmp_path, 0, records(0, 6))
    copy = tmp_path / "copy.points"
    copy.write_bytes(path.read_bytes())
    for one in (path, copy):
        add_sums(one, (0, 6))
    garble(path, 2)
    parts, damage = read(tmp_path)
    assert (ranges(parts), damage) == ([(0, 6, True)], [])
    assert [row[2] for part in parts for row in part.blocks[0].rows.tolist()] == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("line", [b"", b"[0, 5", b"nonsense\n", b"[0, 5]\n", b'["a", 2, 3]\n', b"[3, 1, 7]\n"])
def test_a_line_of_checksums_that_says_nothing_is_none(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path, 0, records(0, 5))
    path.with_suffix(".sums").write_bytes(head(0) + line)
    assert (ranges(read(tmp_path)[0]), read(tmp_path)[1]) == ([(0, 5, False)], [])


def test_a_step_that_nobody_can_have_logged_is_damage(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 2) + record(float("nan"), 1) + record(1e300, 1) + records(4, 5))
    parts, damage = read(tmp_path)
    assert ranges(parts) == [(0, 2, False), (4, 5, False)]
    assert damage == ["000000000000000.points: 2 of its records, from number 2 on, are not as they were written"]


# --- heads ------------------------------------------------------------------------------------------------------------

HEADS = {
    "zeros": bytes(50),
    "garbled": bytes(range(1, 40)) + b"\n",
    "no object": b"[]\n",
    "no metrics": b'{"seq": 0}\n',
    "odd metrics": b'{"seq": 0, "metrics": 5}\n',
    "a metric twice": b'{"seq": 0, "metrics": ["a", "a"]}\n',
    "another number than in its name": b'{"seq": 7, "metrics": ["loss"]}\n',
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("line", HEADS.values(), ids=HEADS)
def test_a_file_whose_head_is_lost_is_damage_and_the_others_come(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, 0, records(0, 5), line)
    write(tmp_path, 5, records(5, 8))
    parts, damage = read(tmp_path)
    assert (steps(parts), len(damage)) == ([5, 6, 7], 1)
    assert damage[0].startswith("000000000000000.points: its first line ")
    journal = read_journal(tmp_path)
    assert (journal.first, journal.damage[0].before) == (0, 5)


def test_a_lost_head_is_read_from_its_copy(tmp_path: Path) -> None:
    path = write(tmp_path, 0, records(0, 5))
    add_sums(path, (0, 5))
    path.write_bytes(bytes(len(head(0))) + path.read_bytes()[len(head(0)) :])
    assert (ranges(read(tmp_path)[0]), read(tmp_path)[1]) == ([(0, 5, True)], [])


@pytest.mark.parametrize("content", [b"", bytes(100), b'{"seq": 0, "metr', b'{"seq": 0, "metr' + bytes(100)])
def test_a_file_whose_making_was_cut_short_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "000000000000000.points").write_bytes(content)
    assert read(tmp_path) == ([], [])
    assert read_journal(tmp_path).is_empty


def test_a_newer_version_is_no_damage(tmp_path: Path) -> None:
    write(tmp_path, 0, records(0, 5), head(0, version=4))
    with pytest.raises(JournalError, match="version 4, and this board reads up to 3: use a newer Lossboard"):
        read_journal(tmp_path)


def test_the_client_writes_the_version_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("script", url="http://127.0.0.1:9")
    run.log(loss=1)
    (path,) = tmp_path.rglob("*.points")
    assert json.loads(path.read_bytes().partition(b"\n")[0]) == {"version": 3}
    run.silence("the test is over")


# --- what else is in a journal ----------------------------------------------------------------------------------------


def test_texts_that_cannot_be_read_are_damage_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(bytes(30))
    (tmp_path / "ending.json").write_bytes(b"[1, 2]")
    good = {"step": 1.0, "params": {"lr": 0.5}, "number": 0}
    lines = [b"nonsense", json.dumps(good).encode(), b'{"step": 1, "params": {}}', b'{"step": 3, "par']
    (tmp_path / "changes.jsonl").write_bytes(b"\n".join(lines))
    write(tmp_path, 0, records(0, 3))
    journal = read_journal(tmp_path)
    assert (journal.introduction, journal.ending, journal.changes) == ({}, {}, [good])
    assert [damage.what.partition(":")[0] for damage in journal.damage] == [
        "run.json",
        "ending.json",
        "changes.jsonl",
        "changes.jsonl",
    ]
    assert steps(journal.parts(0)) == [0, 1, 2]


def test_a_file_that_may_not_be_read_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "000000000000000.points").mkdir()
    with pytest.raises(JournalError, match="Is a directory"):
        read_journal(tmp_path)
