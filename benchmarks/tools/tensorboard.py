"""TensorBoard, from outside of the training process."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import numpy as np
import tensorboard
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.core.core_plugin import CorePluginLoader

from benchmarks.tools.tool import NONE, Points, Served, Tool
from tests.harness.boards import wait_for


class TensorBoard(Tool):
    """Event files in the tool's folder."""

    key, name = "tensorboard", "TensorBoard"

    def points(self, run: str) -> Points:
        """All events of the run's file, read by TensorBoard's own loader."""
        columns: dict[str, list[tuple[float, float]]] = {"w": [], "loss": []}
        for path in (self.folder / run).glob("events.*"):
            for tag, step, value in scalars(RawEventFileLoader(str(path))):
                columns[tag].append((step, value))
        whole = min(len(columns["w"]), len(columns["loss"]))
        if not whole:
            return NONE
        w, loss = np.array(columns["w"][:whole]), np.array(columns["loss"][:whole])
        return np.column_stack([w, loss[:, 1]])

    def sources(self, run: str) -> dict[str, Callable[[], float]]:
        """The event file, which the server looks at every few seconds."""
        loader: RawEventFileLoader | None = None
        newest = -1.0

        def ask() -> float:
            nonlocal loader, newest
            if loader is None:
                path = next((self.folder / run).glob("events.*"), None)
                loader = RawEventFileLoader(str(path)) if path else None
            for tag, step, _ in scalars(loader) if loader else ():
                newest = step if tag == "w" else newest
            return newest

        return {"the event file": ask}

    def served(self, run: str, spike: int) -> Served:
        """What `tensorboard --logdir` answers its page."""
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(self.folder), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=self.environment(), text=True) as server:
            try:
                assert server.stderr
                url = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+", line)))
                with httpx2.Client(base_url=url, trust_env=False) as client:
                    asked = {"run": run, "tag": "loss"}
                    steps: list[float] = []

                    def settled() -> bool:
                        """It reads the file little by little: what it gives is what it gave half a second ago."""
                        nonlocal steps
                        time.sleep(0.5)
                        answer = client.get("data/plugin/scalars/scalars", params=asked)
                        before, steps = steps, [row[1] for row in answer.json()] if answer.status_code == 200 else []
                        return bool(steps) and before == steps

                    wait_for(settled, "TensorBoard to have read the file")
                return Served(len(steps), spike in steps)
            finally:
                server.terminate()


def scalars(loader: RawEventFileLoader) -> Iterator[tuple[str, int, float]]:
    """What has been written since the last time: the tag, the step, the value."""
    for record in loader.Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            yield value.tag, event.step, value.simple_value


def intervals() -> tuple[float, float, bool]:
    """Seconds after which its server looks for new data, seconds after which its page asks the server, and whether the
    page does that unless it is told to. Read from the flags and the page that it ships."""
    parser = ArgumentParser()
    CorePluginLoader().define_flags(parser)
    with zipfile.ZipFile(Path(tensorboard.__file__).parent / "webfiles.zip") as files:
        script = files.read("index.js").decode()
    found = re.search(r"reloadPeriodInMs:([\d.e]+),reloadEnabled:(!\d)", script)
    assert found, "TensorBoard's page says nowhere how often it reloads"
    return parser.get_default("reload_interval"), float(found[1]) / 1000, found[2] == "!0"
