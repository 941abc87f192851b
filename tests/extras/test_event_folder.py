"""The points of a folder of event files: in one order, each once, whoever goes on with them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from app.storage import binary_form
from lossboard_extras.event_folder import EventFolder
from tests.harness.event_files import event, framed, losses, simple, text, write

FIRST = "events.out.tfevents.1"
SECOND = "events.out.tfevents.2"


class Taker:
    """Takes posts as a board does; ``points`` and ``media`` are those it has."""

    def __init__(self) -> None:
        self.points: list[tuple[float, dict[str, float]]] = []
        self.media: list[tuple[str, str]] = []  # session and text

    def take(self, body: bytes) -> int:
        """Add what is new of a post; the number of the next record."""
        for batch in binary_form.parse(body).batches:
            assert batch.seq <= len(self.points), "a gap"
            new = batch.after(len(self.points))
            points = [new.point(place) for place in range(len(new))]
            self.points += [(point.step, point.values) for point in points]
        return len(self.points)

    def take_medium(self, body: bytes) -> int:
        """Add a text, unless it is there; the number of the next one of its session."""
        line, _, text = body.partition(b"\n")
        head = json.loads(line)
        there = [session for session, _ in self.media].count(head["session"])
        assert head["number"] <= there, "a gap"
        if head["number"] == there:
            self.media.append((head["session"], text.decode()))
        return int(head["number"]) + 1

    def take_all(self, events: EventFolder) -> None:
        while (body := events.take()) or events.media:
            if body:
                events.acknowledge(self.take(body))
            else:
                events.acknowledge_medium(self.take_medium(events.medium_post()))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def opened(folder: Path, wanted: int, *names: str) -> EventFolder:
    """As after a start: the board wants this record next."""
    events = EventFolder(folder, FIRST)
    events.add(list(names or (FIRST,)))
    events.resume(wanted)
    return events


def test_points_with_different_metrics_keep_their_order(folder: Path) -> None:
    write(folder / FIRST, event(0, simple("a", 1)), event(1, simple("b", 2)), event(2, simple("a", 3)))
    board = Taker()
    board.take_all(opened(folder, 0))
    assert board.points == [(0, {"a": 1}), (1, {"b": 2}), (2, {"a": 3})]


def test_files_are_read_in_the_order_of_their_names_and_an_older_one_may_grow(folder: Path) -> None:
    write(folder / SECOND, *losses(3, 4, start=1))
    write(folder / FIRST, *losses(1, 2))
    board, events = Taker(), opened(folder, 0, SECOND, FIRST)
    board.take_all(events)
    write(folder / FIRST, *losses(5, start=2))
    board.take_all(events)
    assert [values["loss"] for _, values in board.points] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("arrived", [True, False])
def test_each_point_arrives_once_when_the_answer_to_a_post_was_lost(folder: Path, arrived: bool) -> None:
    write(folder / FIRST, event(7, simple("a", 1)))
    board = Taker()
    board.take_all(opened(folder, 0))
    write(folder / FIRST, event(7, simple("b", 2)), event(8, simple("a", 3)))  # the step went on after it was read
    lost = opened(folder, 1).take()
    if arrived:
        board.take(lost)
    write(folder / FIRST, event(8, simple("b", 4)), event(9, simple("a", 5)))
    board.take_all(opened(folder, len(board.points)))
    values = [(step, name, value) for step, values in board.points for name, value in values.items()]
    assert sorted(values) == [(7, "a", 1), (7, "b", 2), (8, "a", 3), (8, "b", 4), (9, "a", 5)]


@pytest.mark.parametrize("seed", range(20))
def test_each_value_arrives_once_whatever_is_written_when_and_whoever_is_killed(folder: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    written = {name: [(step, tag, float(step)) for step in range(30) for tag in "abc"] for name in (FIRST, SECOND)}
    left = {
        name: b"".join(
            framed(event(step, simple(tag, value), *([text("note", f"{name} {step}".encode())] if tag == "b" else [])))
            for step, tag, value in values
        )
        for name, values in written.items()
    }
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    board, events = Taker(), opened(folder, 0, FIRST, SECOND)
    while any(left.values()):
        name = draw.choice([name for name in left if left[name]])
        some = draw.randint(1, 400)  # bytes: also a part of an event
        with (folder / name).open("ab") as file:
            file.write(left[name][:some])
        left[name] = left[name][some:]
        body = events.take()
        if body and draw.random() < 0.7:  # else it is lost on its way
            accepted = board.take(body)
            if draw.random() < 0.7:  # else the answer is lost
                events.acknowledge(accepted)
        elif events.media and not body and draw.random() < 0.7:
            accepted = board.take_medium(events.medium_post())
            if draw.random() < 0.7:
                events.acknowledge_medium(accepted)
        if draw.random() < 0.3:
            events = opened(folder, len(board.points), FIRST, SECOND)
    board.take_all(events)
    arrived = [(step, tag, value) for step, values in board.points for tag, value in values.items()]
    assert sorted(arrived) == sorted(written[FIRST] + written[SECOND])
    notes = {session: [note for other, note in board.media if other == session] for session, _ in board.media}
    assert sorted(notes.values()) == [[f"{name} {step}" for step in range(30)] for name in (FIRST, SECOND)]


def test_a_post_of_which_the_board_took_a_part_is_completed(folder: Path) -> None:
    write(folder / FIRST, *losses(1, 2, 3, 4))
    opened(folder, 0).take()
    board = Taker()
    board.points = [(0, {"loss": 1}), (1, {"loss": 2})]
    board.take_all(opened(folder, 2))
    assert [values["loss"] for _, values in board.points] == [1, 2, 3, 4]


@pytest.mark.parametrize("known", [0, 2])
def test_another_board_gets_what_it_lacks(folder: Path, known: int) -> None:
    write(folder / FIRST, *losses(1, 2, 3, 4))
    Taker().take_all(opened(folder, 0))
    write(folder / FIRST, *losses(5, start=4))
    other = Taker()
    other.points = [(step, {"loss": step + 1}) for step in range(known)]
    other.take_all(opened(folder, known))
    assert [values["loss"] for _, values in other.points] == [1, 2, 3, 4, 5]


def test_more_metrics_than_a_run_may_have_are_left_out_and_named(folder: Path) -> None:
    many = [event(0, *(simple(f"m{number}", number) for number in range(1001)))]
    write(folder / FIRST, *many, event(1, simple("m1000", 1)), event(2, simple("m0", 7)), event(3, simple("", 1)))
    board, events = Taker(), opened(folder, 0)
    board.take_all(events)
    assert [(step, len(values)) for step, values in board.points] == [(0, 1000), (2, 1)]
    assert events.ignored == {
        "m1000": "a run has at most 1000 metrics",
        "": "a name has 1 to 200 characters",
    }
    write(folder / FIRST, event(4, simple("m1000", 1)), event(5, simple("m999", 8)))
    board.take_all(opened(folder, 2))
    assert board.points[2:] == [(5, {"m999": 8})]


def test_a_file_that_is_gone_is_no_obstacle(folder: Path) -> None:
    write(folder / FIRST, *losses(1))
    write(folder / SECOND, *losses(2))
    board, events = Taker(), opened(folder, 0, FIRST, SECOND)
    (folder / FIRST).unlink()
    board.take_all(events)
    assert [values["loss"] for _, values in board.points] == [2]
    assert events.size()[0] == (folder / SECOND).stat().st_size
    (folder / SECOND).unlink()
    with pytest.raises(FileNotFoundError, match="are gone"):
        events.size()


def test_a_folder_that_was_emptied_and_used_again_is_another_run(folder: Path) -> None:
    assert EventFolder(folder, FIRST).id == EventFolder(folder, FIRST).id
    assert EventFolder(folder, FIRST).id != EventFolder(folder, SECOND).id
