"""Points of an event file that are written alike: read many at once, and as if each record were looked at."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from lossboard_extras import event_file, event_rows
from lossboard_extras.crc import masked_crc
from lossboard_extras.event_file import EventFile
from lossboard_extras.event_rows import Point
from tests.harness.event_files import event, field, framed, plugin, read_points, simple, tensor, text, write

Read = list[tuple[int, float, dict[str, float]]]


class Counting:
    """Reads points that are written alike, and counts them."""

    def __init__(self) -> None:
        self.points = 0

    def __call__(self, point: bytes, data: bytes, at: int, tags: Mapping[bytes, str]) -> list[Point]:
        found = event_rows.points_like(point, data, at, tags)
        self.points += len(found)
        return found


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(event_file, "points_like", counting)
    return counting


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.out.tfevents.1"


def everything(file: EventFile) -> tuple[Read, list[tuple[int, bytes]], int, str]:
    """Points and media of a file, how far it was read, and its damage."""
    points, media = [], []
    while (found := read_points(file)) or file.media:
        points += found
        media += [(one.step, one.found.content) for one in file.media]
    return points, media, file.offset, file.damage


def epoch(start: int, steps: int, *tags: str) -> list[bytes]:
    """An event for each tag at each step, at times that tell the step and the tag."""
    return [
        event(step, simple(tag, step + place / 8), wall_time=1e9 + step + place / 8)
        for step in range(start, start + steps)
        for place, tag in enumerate(tags)
    ]


def test_a_loop_is_read_many_points_at_once(path: Path, alike: Counting) -> None:
    write(path, *epoch(1, 20_000, "loss", "accuracy"))  # the numbers of the steps have one, two and three bytes
    points, *_ = everything(EventFile(path))
    assert points == [(step, 1e9 + step, {"loss": step, "accuracy": step + 0.125}) for step in range(1, 20_001)]
    assert alike.points > 19_900


def test_the_last_of_these_points_may_go_on(path: Path, alike: Counting) -> None:
    write(path, *epoch(10, 20, "loss"), event(29, simple("accuracy", 0.5)), *epoch(30, 1, "loss"))
    assert read_points(EventFile(path))[-2:] == [
        (29, 1e9 + 29, {"loss": 29, "accuracy": 0.5}),
        (30, 1e9 + 30, {"loss": 30}),
    ]
    assert alike.points == 19


def test_records_of_two_steps_are_two_points_though_they_look_like_one(path: Path, alike: Counting) -> None:
    tags = ["loss", "accuracy"] * 8
    unlike = [event(step, simple(tag, 0.5)) for step, tag in enumerate(tags, 60)]
    write(path, *epoch(20, 40, "loss", "accuracy"), *unlike)
    points = read_points(EventFile(path))
    assert points[40:] == [(step, 1e9, {tag: 0.5}) for step, tag in enumerate(tags, 60)]
    assert alike.points > 20


def test_a_step_that_goes_back_and_one_that_stays_are_points_of_their_own(path: Path, alike: Counting) -> None:
    write(path, *epoch(10, 50, "loss"), *epoch(30, 50, "loss"), *[event(42, simple("loss", 1))] * 20)
    points = read_points(EventFile(path))
    assert [step for step, _, _ in points] == [*range(10, 60), *range(30, 80), *[42] * 20]
    assert alike.points > 100


@pytest.mark.parametrize("step", [-40, 2**21 - 20, 2**28 - 20, 2**53])
def test_steps_of_any_length_are_read(path: Path, alike: Counting, step: int) -> None:
    write(path, *(event(number, simple("loss", 0.5)) for number in range(step, step + 40)))
    assert [found for found, _, _ in read_points(EventFile(path))] == [*range(step, step + 40)]
    assert (alike.points > 0) == (step > 0)  # negative ones have ten bytes, and are rare


def test_a_text_at_each_step_is_read_at_each_step(path: Path, alike: Counting) -> None:
    for step in range(10, 30):
        write(path, event(step, simple("loss", 0.5)), event(step, text("note", b"once")))
    points, media, *_ = everything(EventFile(path))
    assert [step for step, _, _ in points] == [step for step, _ in media] == [*range(10, 30)]
    assert alike.points == 0


def test_a_record_as_long_as_those_before_it_may_have_another_field(path: Path, alike: Counting) -> None:
    longer = framed(event(20_000, simple("loss", 0.5)))  # its step has three bytes
    other = b"\x09" + bytes(8) + field(2, 5) + field(7, 1) + field(5, field(1, simple("loss", 0.25)))  # one, and two
    assert len(framed(other)) == len(longer)
    write(path, *epoch(20_000, 20, "loss"), other)
    assert read_points(EventFile(path))[-1] == (5, 0, {"loss": 0.25})
    assert alike.points > 10


def test_a_record_without_a_step_is_not_read_beyond_its_end(path: Path, alike: Counting) -> None:
    times = (b"\x09" + struct.pack("<d", time) for time in range(100_000))
    ends_as_a_step = next(time for time in times if _begins_a_step(masked_crc(time)))
    write(path, *epoch(10, 1, "loss"), ends_as_a_step, *epoch(11, 1, "loss"))
    assert [step for step, _, _ in read_points(EventFile(path))] == [10, 11]
    assert alike.points == 0


def _begins_a_step(checksum: int) -> bool:
    """Whether its bytes are the key of a step, and three that each say that another one follows."""
    return checksum & 0x808080FF == 0x80808010


@pytest.mark.parametrize("part", [0, 8, 12])  # of a record: its length, the CRC of that, what kind of field is first
def test_damage_between_these_points_ends_the_file_where_it_is(path: Path, alike: Counting, part: int) -> None:
    records = [framed(one) for one in epoch(200, 100, "loss", "accuracy")]
    whole = b"".join(records[:121])  # up to between two records of a step
    path.write_bytes(whole + b"".join(records[121:]))
    with path.open("rb+") as file:
        file.seek(len(whole) + part)
        file.write(b"\xff")
    points, _, offset, damage = everything(EventFile(path))
    assert (len(points), offset, damage) == (61, len(whole), f"damaged at byte {len(whole)}")
    assert points[-1] == (260, 1e9 + 260, {"loss": 260})
    assert alike.points > 50


def test_a_point_that_is_still_being_written_is_read_later(path: Path, alike: Counting) -> None:
    records = [framed(one) for one in epoch(200, 21, "loss", "accuracy")]
    path.write_bytes(b"".join(records)[:-5])
    file = EventFile(path)
    assert read_points(file)[-1] == (220, 1e9 + 220, {"loss": 220})
    with path.open("ab") as writer:
        writer.write(records[-1][-5:])
    assert read_points(file) == [(220, 1e9 + 220.125, {"accuracy": 220.125})]
    assert alike.points == 19


@pytest.mark.parametrize("seed", range(8))
def test_any_file_is_read_as_if_each_record_was_looked_at(
    path: Path, alike: Counting, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311
    step = draw.choice([0, 100, 16_000])
    for _ in range(40):
        write(path, *epoch(step, draw.randint(1, 60), *draw.sample(["loss", "accuracy", "lr"], draw.randint(1, 3))))
        step = max(0, step + draw.choice([-20, 0, 30, 60, 61]))
        others = [
            event(step, simple("loss", 0.25), simple("lr", 0.5)),
            event(step, field(1, b"new") + tensor(1, field(4, bytes(4))) + plugin("scalars")),
            event(step, text("note", b"once")),
            b"\x09" + bytes(8) + field(4, b"graph"),
            b"\x09" + bytes(8),
            event(step),
        ]
        write(path, *draw.sample(others, draw.randint(0, 2)))
    monkeypatch.setattr(event_file, "CHUNK_BYTES", draw.choice([3000, 1 << 20]))
    many_at_once = everything(EventFile(path))
    assert alike.points > 300
    monkeypatch.setattr(event_file, "points_like", lambda *_: [])
    assert everything(EventFile(path)) == many_at_once
