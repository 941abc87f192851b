"""Values that are on a GPU: log() does not wait for them.

Each is copied into pinned memory of the host, by a transfer that the device does once it gets there; the sender's
thread only looks at that memory. It makes no call of CUDA: one would spoil a CUDA graph that another thread captures.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from lossboard import MISSING, UNREAD_BITS

ROOM = 1024  # values that may be on their way; for one more, log() waits for the device


class DeviceValues:
    """The values of a run that are on their way from a device to the host, in the order in which they were logged."""

    def __init__(self, warn: Callable[[str, str], None]) -> None:
        torch = sys.modules["torch"]  # whoever logs a tensor has it
        self._cuda = torch.cuda
        self._warn = warn
        self._arriving = torch.empty(ROOM, dtype=torch.float64, pin_memory=torch.cuda.is_available())
        memory = (ctypes.c_uint64 * ROOM).from_address(self._arriving.data_ptr())
        self._bits = memoryview(memory).cast("B").cast("Q")
        self._floats: memoryview[float] = self._bits.cast("B").cast("d")
        self._free = deque(range(ROOM))
        self._waiting: deque[tuple[int, memoryview[float], int]] = deque()
        self._lock = threading.RLock()  # a signal handler may log while this thread reads

    def write(self, value: Any, cells: memoryview[float], cell: int) -> None:
        """Have a value written into a cell once it is here; until then UNREAD_BITS stand there."""
        cells[cell] = MISSING
        try:
            one = value.detach().reshape(())  # RuntimeError if it has more elements
            if self._cuda.is_current_stream_capturing():
                self._warn("capture", "a value was not logged: a CUDA graph is being captured; log after its replay")
                return
            with self._lock:
                if not self._free:
                    self.read(wait=True)
                place = self._free.popleft()
                self._bits[place] = UNREAD_BITS
                self._arriving[place].copy_(one, non_blocking=True)
                cells.cast("B").cast("Q")[cell] = UNREAD_BITS
                self._waiting.append((place, cells, cell))
        except Exception as error:
            self._warn(f"device {type(error)}", f"a value on {value.device} was not logged: {error}")

    def read(self, *, wait: bool = False) -> None:
        """Write what has arrived into its cell; with ``wait``, once the device has done all that it was given."""
        with self._lock:
            if wait and self._waiting:
                self._synchronize()
            for _ in range(len(self._waiting)):
                place, cells, cell = self._waiting.popleft()
                if self._bits[place] != UNREAD_BITS:
                    cells[cell] = self._floats[place]
                elif wait:  # its transfer has failed
                    cells[cell] = MISSING
                else:
                    self._waiting.append((place, cells, cell))
                    continue
                self._free.append(place)

    def _synchronize(self) -> None:
        try:
            for device in range(self._cuda.device_count()):
                self._cuda.synchronize(device)
        except Exception as error:
            self._warn("device", f"values on a device were not logged: {error}")
