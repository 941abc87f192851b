"""W&B offline, from outside of the training process."""

from __future__ import annotations

import inspect
import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from wandb.apis.public import Run
from wandb.proto.wandb_internal_pb2 import Record

from benchmarks.tools.tool import NONE, Points, Tool

BLOCK = 32768  # of the log format of LevelDB, in which it writes
FILE_HEADER, HEADER = 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class Wandb(Tool):
    """A run file in the tool's folder; nothing is sent anywhere."""

    key, name = "wandb", "W&B offline"

    def environment(self) -> dict[str, str]:
        """Offline, silent, and with every folder of its own in ours."""
        folders = {f"WANDB_{kind}DIR": str(self.folder) for kind in ("", "CACHE_", "CONFIG_", "DATA_")}
        return {**super().environment(), **folders, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}

    def points(self, run: str) -> Points:
        """All history records of its run file."""
        path = self._path(run)
        rows = list(history(path)) if path else []
        return np.array(rows) if rows else NONE

    def sources(self, run: str) -> dict[str, Callable[[], float]]:
        """The run file, which its terminal viewer reads and `wandb sync` sends."""

        size, newest = 0, -1.0

        def ask() -> float:
            nonlocal size, newest
            path = self._path(run)
            if path and path.stat().st_size != size:
                size = path.stat().st_size
                newest = max((row[0] for row in history(path)), default=-1)
            return newest

        return {"its run file": ask}

    def _path(self, run: str) -> Path | None:
        return next(self.folder.glob(f"wandb/offline-run-*/run-{run}.wandb"), None)


def history(path: Path) -> Iterator[tuple[float, float, float]]:
    """Every point in a run file: the step, w and the loss."""
    for blob in records(path):
        record = Record.FromString(blob)
        if record.WhichOneof("record_type") == "history":
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            yield items.get("_step", record.history.step.num), items["w"], items["loss"]


def records(path: Path) -> Iterator[bytes]:
    """The records of a LevelDB log, up to the first one that is not whole."""
    file = io.BytesIO(path.read_bytes())
    file.seek(FILE_HEADER)
    pieces: list[bytes] = []
    while True:
        left = BLOCK - file.tell() % BLOCK
        if left < HEADER:  # too little for a header: the rest of the block is empty
            file.seek(left, io.SEEK_CUR)
        header = file.read(HEADER)
        if len(header) < HEADER:
            return
        _, length, kind = struct.unpack("<IHB", header)
        piece = file.read(length)
        if len(piece) < length or kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        pieces.append(piece)
        if kind in (FULL, LAST):
            yield b"".join(pieces)
            pieces = []


def samples() -> int:
    """How many points of a run its own Python API gives unless told otherwise: it needs W&B's server."""
    return int(inspect.signature(Run.history).parameters["samples"].default)
