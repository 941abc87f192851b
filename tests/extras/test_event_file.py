"""The reader of TensorBoard's event files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lossboard_extras import event_file
from lossboard_extras.crc import masked_crc
from lossboard_extras.event_file import EventFile, Other
from lossboard_extras.hparams import START_TAG, params_in
from tests.harness.event_files import (
    event,
    field,
    framed,
    losses,
    plugin,
    read_points,
    simple,
    tensor,
    text,
    varint,
    write,
)

SCALAR = plugin("scalars")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.out.tfevents.1"


def read(path: Path) -> list[tuple[int, dict[str, float]]]:
    return [(step, values) for step, _, values in read_points(EventFile(path))]


def test_the_checksum_is_the_one_of_the_format() -> None:
    assert masked_crc(b"") == 0xA282EAD8
    assert masked_crc(b"123456789") == (0xE3069283 >> 15 | 0xE3069283 << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF


@pytest.mark.parametrize("step", [0, 1, 42, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**53, -1, -(2**53)])
def test_every_step_is_read_as_it_was_written(path: Path, step: int) -> None:
    write(path, *losses(0.5, 0.25, start=step))  # the second one by what was learnt of the first
    assert read(path) == [(step, {"loss": 0.5}), (step + 1, {"loss": 0.25})]


def test_the_scalars_of_a_step_are_one_point(path: Path) -> None:
    write(
        path,
        event(0, simple("loss", 1), wall_time=5.5),
        event(0, simple("acc", 2), wall_time=6.5),
        event(0, simple("loss", 3), wall_time=7.5),  # a tag that the point has
        event(1, simple("acc", 4), simple("loss", 5), wall_time=8.5),
    )
    assert read_points(EventFile(path)) == [
        (0, 5.5, {"loss": 1, "acc": 2}),
        (0, 7.5, {"loss": 3}),
        (1, 8.5, {"acc": 4, "loss": 5}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        tensor(1, field(4, struct.pack("<f", 1.5))),
        tensor(1, field(5, struct.pack("<f", 1.5))),  # packed float_val
        tensor(1, b"\x2d" + struct.pack("<f", 1.5)),  # float_val
        tensor(2, field(4, struct.pack("<d", 1.5))),
        tensor(2, field(6, struct.pack("<d", 1.5))),
        tensor(19, field(4, struct.pack("<e", 1.5))),
        tensor(19, field(13, varint(0x3E00))),  # half_val
        tensor(14, field(13, 0x3FC0)),  # a bfloat16
        tensor(14, field(4, b"\xc0\x3f")),
        tensor(1, field(4, struct.pack("<f", 1.5)), shape=(1,)),  # of shape [1]
    ],
)
def test_a_tensor_of_one_number_is_a_scalar(path: Path, content: bytes) -> None:
    write(path, event(3, field(1, b"loss") + content + SCALAR))
    assert read(path) == [(3, {"loss": 1.5})]


@pytest.mark.parametrize(
    "content",
    [
        tensor(9, field(4, struct.pack("<q", -2))),
        tensor(9, field(10, varint(-2))),  # packed int64_val
        tensor(3, field(7, -2)),  # int_val
    ],
)
def test_a_tensor_of_one_whole_number_is_a_scalar(path: Path, content: bytes) -> None:
    write(path, event(3, field(1, b"loss") + content + SCALAR))
    assert read(path) == [(3, {"loss": -2})]


def test_what_is_no_scalar_is_told_by_its_kind(path: Path) -> None:
    two = tensor(1, field(4, struct.pack("<ff", 1, 2)), shape=(2,))
    write(
        path,
        event(1, field(1, b"old histogram") + field(5, b""), field(1, b"old image") + field(4, b"")),
        event(1, field(1, b"histogram") + two + plugin("histograms"), field(1, b"text") + two + plugin("text")),
        event(1, field(1, b"vector") + two, field(1, b"sound") + field(6, b"")),
        b"\x09" + bytes(8) + field(4, b"graph"),
        event(2, simple("loss", 1)),
    )
    file = EventFile(path)
    assert [values for _, _, values in read_points(file)] == [{"loss": 1}]
    assert {tag: other.kind for tag, other in file.others.items()} == {
        "old histogram": "histogram",
        "old image": "image",
        "histogram": "histogram",
        "text": "text",
        "vector": "tensor",
        "sound": "audio",
        "": "graph",
    }
    assert {tag for tag, other in file.others.items() if not other.why} == {"vector", ""}


def test_media_are_found_with_their_steps_and_times(path: Path) -> None:
    write(path, event(3, text("note", b"once"), simple("loss", 1), wall_time=7.5), event(4, text("note", b"upon")))
    file = EventFile(path)
    assert read_points(file) == [(3, 7.5, {"loss": 1})]
    assert [(one.step, one.wall_time, one.found.content) for one in file.media] == [
        (3, 7.5, b"once"),
        (4, 1e9, b"upon"),
    ]
    assert (file.others, file.began_at) == ({}, 7.5)
    assert (file.read(), file.media) == ([], [])


def test_media_of_a_point_that_is_left_for_the_next_part_are_found_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "CHUNK_BYTES", 200)
    for step in range(20):
        write(path, event(step, simple("loss", step)), event(step, text("note", b"%d" % step)))
    file, found = EventFile(path), []
    while read_points(file) or file.media:
        found += [one.found.content for one in file.media]
    assert found == [b"%d" % step for step in range(20)]


def test_a_plugin_that_only_the_first_event_names_is_known_later(path: Path) -> None:
    file = EventFile(write(path, event(0, text("note", b"once"))))
    file.read()
    unnamed = field(1, b"note") + tensor(7, field(8, b"upon"))
    write(path, event(1, unnamed))
    again = EventFile(path, file.offset, file.plugins)
    assert again.read() == []
    assert [one.found.content for one in again.media] == [b"upon"]


def test_hyperparameters_are_read(path: Path) -> None:
    value = {"lr": b"\x11" + struct.pack("<d", 0.1), "opt": field(3, b"adam"), "nesterov": field(4, 1)}
    start = b"".join(field(1, field(1, name.encode()) + field(2, content)) for name, content in value.items())
    write(path, event(0, field(1, START_TAG.encode()) + plugin("hparams", field(3, start))))
    file = EventFile(path)
    assert read_points(file) == []
    assert params_in(file.others) == {"lr": 0.1, "opt": "adam", "nesterov": True}
    assert params_in({START_TAG: Other("hparams", b"\x1a\x7f")}) == {}


def test_a_growing_file_is_read_on_from_where_it_ended(path: Path) -> None:
    file = EventFile(write(path, *losses(1, 2)))
    assert [step for step, _, _ in read_points(file)] == [0, 1]
    assert read_points(file) == []
    whole = framed(losses(3, start=2)[0])
    with path.open("ab") as writer:
        writer.write(whole[:20])
        writer.flush()
        assert (read_points(file), file.damage) == ([], "")  # it is still being written
        writer.write(whole[20:])
    assert read_points(file) == [(2, 1e9, {"loss": 3})]
    assert file.offset == path.stat().st_size


@pytest.mark.parametrize("tail", [bytes(64), b"\xff" * 64, framed(b"\x00\x01"), framed(b"\x2a\x7f")])
def test_a_damaged_tail_ends_the_file_with_a_sentence(path: Path, tail: bytes) -> None:
    size = write(path, *losses(1, 2)).stat().st_size
    with path.open("ab") as writer:
        writer.write(tail)
    file = EventFile(path)
    assert [step for step, _, _ in read_points(file)] == [0, 1]
    assert (file.damage, file.offset) == (f"damaged at byte {size}", size)


def test_a_file_is_read_in_parts_that_end_between_two_points(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "CHUNK_BYTES", 200)
    for step in range(20):
        write(path, event(step, simple("loss", step)), event(step, simple("acc", step)))
    file, points, parts = EventFile(path), [], 0
    while found := read_points(file):
        points += found
        parts += 1
    assert [(step, values) for step, _, values in points] == [(step, {"loss": step, "acc": step}) for step in range(20)]
    assert parts > 5


def test_the_same_part_is_read_again_by_its_ends(path: Path) -> None:
    file = EventFile(write(path, *losses(1, 2)))
    file.read()
    begin = file.offset
    write(path, *losses(3, 4, start=2))
    points = read_points(file)
    write(path, *losses(5, start=4))
    again = EventFile(path, begin)
    assert (read_points(again, file.offset), again.offset) == (points, file.offset)


def test_one_record_may_be_longer_than_a_part(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "CHUNK_BYTES", 200)
    write(path, event(0, field(1, b"image") + field(4, bytes(1000))), *losses(1))
    file = EventFile(path)
    assert read_points(file) == []
    assert read_points(file) == [(0, 1e9, {"loss": 1})]
