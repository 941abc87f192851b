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
from tests.client.test_pythons import python
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


@pytest.fixture
def fake() -> Iterator[FakeBoard]:
    with FakeBoard() as board:
        yield board


def test_media_are_logged(fake: FakeBoard, tmp_path: Path) -> None:
    oldest = python("3.9")
    if oldest is None:
        pytest.skip("there is no Python 3.9 here")
    shutil.copy(ROOT / "lossboard.py", tmp_path)
    shutil.copytree(ROOT / "lossboard_extras", tmp_path / "lossboard_extras")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "sample.png").write_bytes(PNG)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    (tmp_path / "tone.wav").write_bytes(sound.getvalue())
    done = subprocess.run(
        [oldest, "-S", "-W", "error", "script.py"],
        env={"LOSSBOARD_DIR": str(tmp_path / "data"), "LOSSBOARD_URL": fake.url, "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert [content for _, content in fake.media] == [b"once", PNG, sound.getvalue()]
