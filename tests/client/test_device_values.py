"""Values on a GPU, which log() does not wait for. The GPU here is a stand-in that counts who waits for it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lossboard
from app.runs.journal_reader import read_journal
from app.storage import binary_form
from lossboard_extras import device_values
from tests.harness.boards import wait_for
from tests.harness.fake_board import FakeBoard

AWAY = "http://127.0.0.1:9"
UNREAD: float = struct.unpack("<d", struct.pack("<Q", lossboard.UNREAD_BITS))[0]


class Device:
    """A GPU that does its transfers when it is told to go on, or when somebody waits for it."""

    def __init__(self) -> None:
        self.transfers: list[Callable[[], Any]] = []
        self.waits = 0

    def go_on(self, *_: Any) -> None:
        """Do all transfers that it was given."""
        while self.transfers:
            self.transfers.pop(0)()

    def synchronize(self, *_: Any) -> None:
        """Somebody waits for it."""
        self.waits += 1
        self.go_on()


class OnDevice(torch.Tensor):
    """A tensor on that device."""

    held_by: Device

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = next(one.held_by for one in args if isinstance(one, OnDevice))
        plain = [one.as_subclass(torch.Tensor) if isinstance(one, OnDevice) else one for one in args]
        if function is torch.Tensor.copy_ and kwargs == {"non_blocking": True}:
            target, source = plain[0], plain[1].clone()  # the stream's order: later changes of the source do not count
            device.transfers.append(lambda: target.copy_(source))
            return target
        if function in (torch.Tensor.item, torch.Tensor.__float__, torch.Tensor.tolist, torch.Tensor.cpu):
            device.synchronize()
        result = function(*plain, **(kwargs or {}))
        return put_on(device, result) if isinstance(result, torch.Tensor) else result


def put_on(device: Device, value: Any) -> OnDevice:
    tensor = torch.as_tensor(value).as_subclass(OnDevice)
    tensor.held_by = device
    return tensor


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(torch.cuda, "synchronize", device.synchronize)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    return device


@pytest.fixture
def run(let_go: list[lossboard.Run]) -> lossboard.Run:
    """A run without a board."""
    let_go.append(lossboard.run("device", url=AWAY))
    return let_go[0]


def points(run: lossboard.Run) -> list[dict[str, float]]:
    """What a board would find in the run's journal were its script killed now."""
    assert run.journal.folder
    found = {}
    for part in read_journal(run.journal.folder).parts(0):
        for block in part.blocks:
            for _, number, *values in block.rows.tolist():
                found[number] = {n: v for n, v in zip(block.names, values, strict=True) if v == v}  # noqa: PLR0124
    return [found[number] for number in sorted(found)]


def test_log_waits_for_no_device(run: lossboard.Run, device: Device) -> None:
    loss = put_on(device, 0.0)
    for step in range(200):
        loss += 1.0  # in place, as scripts add up
        run.log(loss=loss, step=step, lr=0.5)
    assert device.waits == 0
    assert points(run) == [{"lr": 0.5}] * 200  # the floats are as safe as ever
    device.go_on()
    wait_for(lambda: points(run)[-1] == {"loss": 200, "lr": 0.5})
    assert [point["loss"] for point in points(run)] == list(range(1, 201))
    assert device.waits == 0


def test_a_board_takes_a_point_when_its_values_are_there(run: lossboard.Run, device: Device) -> None:
    run.log(loss=1.0)
    run.log(loss=put_on(device, 2.0))
    run.log(loss=3.0)
    run.log(other=4.0)

    def accepted() -> list[float]:
        head, records = run.journal.unsent(1 << 20)
        body = lossboard._json(head) + b"\n" + b"".join(records)
        rows = [row for batch in binary_form.parse(body).batches for row in batch.rows[:, 1:].tolist()]
        return [value for row in rows for value in row if value == value]  # noqa: PLR0124

    assert accepted() == [1]
    device.go_on()
    run.device_values.read()
    assert accepted() == [1, 2, 3, 4]


def test_the_end_of_a_run_waits_once(fake: FakeBoard, device: Device, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("device", url=fake.url)
    for step in range(10):
        run.log(loss=put_on(device, step), acc=put_on(device, step))
    assert run.finish()
    assert device.waits == 1
    assert fake.accepted == 10


def test_more_values_than_there_is_room_for_are_waited_for(run: lossboard.Run, device: Device) -> None:
    for step in range(device_values.ROOM + 1):
        run.log(loss=put_on(device, float(step)))
    assert device.waits == 1
    device.go_on()
    run.device_values.read()
    assert [point["loss"] for point in points(run)] == list(range(device_values.ROOM + 1))


def test_what_is_no_number_is_one_warning_and_spoils_nothing(run: lossboard.Run, device: Device) -> None:
    run.log(loss=1.0, acc=1.0)
    with pytest.warns(UserWarning, match="a value on cpu was not logged: shape"):
        run.log(loss=put_on(device, [1.0, 2.0]), acc=2.0)
    run.log(loss=put_on(device, [1.0, 2.0]), acc=3.0)  # a second warning would be an error here
    assert points(run) == [{"loss": 1, "acc": 1}, {"acc": 2}, {"acc": 3}]


def test_nothing_is_begun_while_a_graph_is_captured(
    run: lossboard.Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.warns(UserWarning, match="log after its replay"):
        run.log(loss=put_on(device, 1.0), lr=0.5)
    assert points(run) == [{"lr": 0.5}]
    assert not device.transfers


def test_a_failing_device_ends_no_training(run: lossboard.Run, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    run.log(loss=put_on(device, 1.0), lr=0.5)
    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    with pytest.warns(UserWarning, match="values on a device were not logged: CUDA error"):
        run.device_values.read(wait=True)
    assert points(run) == [{"lr": 0.5}]


def test_a_checksum_is_of_records_whose_values_are_there(run: lossboard.Run, device: Device) -> None:
    for step in range(5):
        run.log(loss=put_on(device, float(step)))
    run.journal._protected_at = 0.0
    for second in (10.0, 20.0):
        run.journal.protect(second)
    device.go_on()
    run.device_values.read()
    assert run.journal.folder
    journal = read_journal(run.journal.folder)
    assert sum(len(part.blocks[0].rows) for part in journal.parts(0)) == 5
    assert not journal.damage
