"""lossboard_extras on the oldest Python that the client takes, without a library."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossboard_extras.encoders import PNG
from tests.extras.test_package import oldest_python
from tests.harness.event_files import event, simple, text, write
from tests.harness.fake_board import FakeBoard

ROOT = Path(__file__).parents[2]
SCRIPT = """
import lossboard
run = lossboard.run("oldest Python")
run.log(loss=1)
run.text("story", "once")
run.image("sample", "sample.png")
run.audio("tone", "tone.wav")
print(run.finish())
"""
READER = """
from pathlib import Path
from lossboard_extras.event_file import EventFile
file = EventFile(Path("events.out.tfevents.1"))
[(step, wall_time, names, values)] = file.read()
print(step, wall_time, *names, *values, *(tuple(medium.found) for medium in file.media), file.others)
"""


@pytest.fixture
def fake() -> Iterator[FakeBoard]:
    with FakeBoard() as board:
        yield board


def run_alone(folder: Path, script: str, url: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
    """A script with nothing but the client and the package beside it."""
    shutil.copy(ROOT / "lossboard.py", folder)
    shutil.copytree(ROOT / "lossboard_extras", folder / "lossboard_extras")
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [oldest_python(), "-S", "-W", "error", "script.py"],
        env={"LOSSBOARD_DIR": str(folder / "data"), "LOSSBOARD_URL": url, "PATH": os.environ["PATH"]},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_media_are_logged(fake: FakeBoard, tmp_path: Path) -> None:
    (tmp_path / "sample.png").write_bytes(PNG)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    (tmp_path / "tone.wav").write_bytes(sound.getvalue())
    done = run_alone(tmp_path, SCRIPT, fake.url)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert [content for _, content in fake.media] == [b"once", PNG, sound.getvalue()]


def test_event_files_are_read(tmp_path: Path) -> None:
    write(tmp_path / "events.out.tfevents.1", event(3, simple("loss", 0.5), text("note", b"once"), wall_time=7.5))
    done = run_alone(tmp_path, READER)
    assert (done.stdout, done.stderr) == ("3 7.5 loss 0.5 ('text', 'note', b'once') {}\n", "")
