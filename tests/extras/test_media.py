"""What a script logs besides numbers: on its way to a board, each once, and nothing raised."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lossboard
from lossboard_extras import media, media_files
from tests.harness.boards import wait_for
from tests.harness.fake_board import FakeBoard

ROOT = Path(__file__).parents[2]
AWAY = "http://127.0.0.1:9"
REFUSAL = {"detail": [{"loc": ["content"], "msg": "It says no.", "type": "refused"}]}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.setattr(media, "FIRST_RETRY_S", 0.01)
    return tmp_path


@pytest.fixture
def fake() -> Iterator[FakeBoard]:
    with FakeBoard() as board:
        yield board


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[lossboard.Run]:
    """A run without a board, that ends at once."""
    monkeypatch.setattr(lossboard, "_FINISH_TIMEOUT_S", 0.0)
    run = lossboard.run("alone", url=AWAY)
    yield run
    run.silence("the test is over")


def heads(fake: FakeBoard) -> list[tuple[str, str, float]]:
    return [(head["kind"], head["name"], head["step"]) for head, _ in fake.media]


def waiting(run: lossboard.Run) -> list[str]:
    """The texts that wait in the files of a run's journal, in their order."""
    assert run.journal.folder is not None
    files = sorted((run.journal.folder / "media").glob("*.medium"))
    return [file.read_bytes().partition(b"\n")[2].decode() for file in files]


def test_all_kinds_arrive_in_order_with_the_step_of_the_last_point(fake: FakeBoard) -> None:
    pil = Image.fromarray(np.zeros((2, 2, 3), np.uint8))
    run = lossboard.run("script", url=fake.url)
    run.text("story", "once")
    run.log(loss=1)
    run.log(loss=2)
    run.image("sample", pil)
    run.log(loss=3, step=10)
    run.histogram("weights", [1, 2, 3], bins=2)
    run.audio("tone", np.zeros(8), step=7, rate=8000)
    assert run.finish()
    assert heads(fake) == [
        ("text", "story", 0),
        ("image", "sample", 1),
        ("histogram", "weights", 10),
        ("audio", "tone", 7),
    ]
    assert [head["number"] for head, _ in fake.media] == [0, 1, 2, 3]
    assert abs(fake.media[0][0]["time"] - time.time()) < 60
    assert [content[:4] for _, content in fake.media] == [b"once", b"\x89PNG", b'{"ed', b"RIFF"]


def test_a_figure_is_an_image(fake: FakeBoard) -> None:
    class Figure:
        def savefig(self, file: Any, format: str) -> None:  # noqa: A002
            Image.new(format.upper().replace("PNG", "RGB"), (2, 2)).save(file, format)

    run = lossboard.run("script", url=fake.url)
    run.figure("curve", Figure())
    run.image("curve", Figure())
    assert run.finish()
    assert heads(fake) == [("image", "curve", 0), ("image", "curve", 0)]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda run: run.text("a", 5), "the text 'a' was not logged: a text is a str, not a int"),
        (lambda run: run.image("a", object()), "the image 'a' was not logged: numbers are wanted, not object"),
        (lambda run: run.image("a", np.zeros((2, 2, 7))), "the image 'a' was not logged: an image has the shape"),
        (lambda run: run.image("a", "nowhere.png"), "the image 'a' was not logged: [Errno 2] No such file"),
        (lambda run: run.figure("a", 5), "the image 'a' was not logged: a figure is to be one of matplotlib"),
        (lambda run: run.histogram("a", []), "the histogram 'a' was not logged: there is no finite value in it"),
        (lambda run: run.audio("a", ["x"]), "the audio 'a' was not logged: numbers are wanted"),
        (lambda run: run.text("", "x"), "the text '' was not logged: the name of a metric has 1 to 200 characters"),
        (lambda run: run.text("n" * 201, "x"), "was not logged: the name of a metric has 1 to 200 characters"),
        (
            lambda run: run.image("a", np.random.default_rng(0).random((1900, 1900, 3))),
            "send one of at most 10,000,000",
        ),
    ],
)
def test_what_cannot_be_logged_is_one_warning(alone: lossboard.Run, call: Any, why: str) -> None:
    with pytest.warns(UserWarning, match=re.escape(why)) as warned:
        call(alone)
    assert [one.filename for one in warned] == [__file__]
    call(alone)  # a second warning would be an error here


def test_a_step_that_is_none_is_a_warning_and_the_medium_has_that_of_the_last_point(fake: FakeBoard) -> None:
    run = lossboard.run("script", url=fake.url)
    run.log(loss=1, step=5)
    with pytest.warns(UserWarning, match="a step of the text 'a' was not taken: step nan is not a number"):
        run.text("a", "x", step=float("nan"))
    assert run.finish()
    assert heads(fake) == [("text", "a", 5)]


def test_a_long_text_is_cut(fake: FakeBoard) -> None:
    run = lossboard.run("script", url=fake.url)
    run.text("a", "é" * 60_000)
    assert run.finish()
    [(_, content)] = fake.media
    assert len(content) <= 100_000
    assert content.decode().endswith("éé\n... (the rest is left out)")


def test_a_board_that_is_away_gets_them_later(fake: FakeBoard) -> None:
    fake.media_answers = [(503, REFUSAL), (404, REFUSAL), (500, REFUSAL)]
    run = lossboard.run("script", url=fake.url)
    for word in ("a", "b", "c"):
        run.text("story", word)
    assert run.finish()
    assert [content for _, content in fake.media] == [b"a", b"b", b"c"]
    assert run.journal.folder is None


@pytest.mark.parametrize("status", [409, 413, 422])
def test_one_that_is_refused_is_left_out_with_a_warning_and_the_others_arrive(
    fake: FakeBoard, recwarn: pytest.WarningsRecorder, status: int
) -> None:
    fake.media_answers = [(404, REFUSAL)] * 20 + [(status, REFUSAL)]
    run = lossboard.run("script", url=fake.url)
    for word in ("a", "b", "c"):
        run.text("story", word)
    wait_for(lambda: not fake.media_answers)
    run.text("story", "d")
    assert run.finish()
    assert [content for _, content in fake.media] == [b"b", b"c", b"d"]
    assert [str(one.message) for one in recwarn] == [
        f"lossboard: the board refused a medium 'story': {status} It says no."
    ]


def test_the_media_of_a_deleted_run_go(fake: FakeBoard) -> None:
    fake.media_answers = [(410, REFUSAL)]
    run = lossboard.run("script", url=fake.url)
    run.text("story", "a")
    wait_for(lambda: fake.paths.count("media") == 1 and run.media.none_waits.is_set())
    assert run.finish()
    assert fake.media == []


def test_finish_says_that_media_have_not_arrived_and_they_stay(
    fake: FakeBoard, data: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(lossboard, "_FINISH_TIMEOUT_S", 0.5)
    fake.media_answers = [(503, REFUSAL)] * 1000
    run = lossboard.run("script", url=fake.url)
    run.log(loss=1)
    run.text("story", "a")
    assert not run.finish()
    assert "finish" in fake.paths  # the points have arrived, and how the run ended
    assert waiting(run) == ["a"]
    assert "`lossboard sync` sends what is in" in str(recwarn.pop(UserWarning).message)
    fake.media_answers.clear()
    wait_for(lambda: not (data / "journals" / run.id).exists())
    assert [content for _, content in fake.media] == [b"a"]


def test_too_many_of_a_name_and_too_many_bytes_are_left_out(
    alone: lossboard.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "MAX_OF_NAME", 2)
    for word in ("a", "b"):
        alone.text("story", word)
    with pytest.warns(UserWarning, match="the text 'story' was not logged: 2 of this name wait for the board"):
        alone.text("story", "c")
    alone.text("story", "d")
    monkeypatch.setattr(media, "MAX_WAITING_BYTES", 0)
    with pytest.warns(UserWarning, match="the text 'other' was not logged: 0 MiB of media wait for the board"):
        alone.text("other", "e")
    assert waiting(alone) == ["a", "b"]


def test_where_no_file_can_be_made_they_wait_in_memory(fake: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    run = lossboard.run("script", url=fake.url)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(UserWarning, match="media wait in memory, as no file can be made for them .*No space left"):
        run.text("story", "a")
    assert [path.name for path in (run.journal.folder / "media").iterdir()] == []  # type: ignore[operator]
    monkeypatch.setattr(media, "MAX_MEMORY_BYTES", 0)
    with pytest.warns(UserWarning, match="the text 'other' was not logged: 0 MiB of media wait in memory"):
        run.text("other", "a")
    assert run.finish()
    assert [content for _, content in fake.media] == [b"a"]


def test_a_run_without_a_folder_posts_its_media(fake: FakeBoard, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "file").touch()
    monkeypatch.setenv("LOSSBOARD_DIR", str(data / "file"))
    with pytest.warns(UserWarning, match="no journal can be kept"):
        run = lossboard.run("script", url=fake.url)
    run.text("story", "a")
    assert run.finish()
    assert heads(fake) == [("text", "story", 0)]


def test_after_the_end_nothing_is_logged(fake: FakeBoard) -> None:
    run = lossboard.run("script", url=fake.url)
    assert run.finish()
    with pytest.warns(UserWarning, match="the text 'story' was not logged: this run has finished"):
        run.text("story", "a")
    assert fake.media == []


def test_a_silent_rank_says_and_posts_nothing(fake: FakeBoard) -> None:
    run = lossboard.run("script", url=fake.url, rank=1)
    run.text("story", "a")
    run.image("sample", object())
    assert run.finish() is False
    assert fake.paths == []


def test_a_fork_posts_nothing_and_its_own_runs_do(fake: FakeBoard) -> None:
    script = """
    import os, lossboard, warnings
    run = lossboard.run("parent")
    run.text("story", "parent")
    if os.fork() == 0:
        warnings.simplefilter("ignore")
        run.text("story", "not this one")
        own = lossboard.run("child")
        own.text("story", "child")
        os._exit(not own.finish())
    print(os.wait()[1], run.finish())
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        env={**os.environ, "LOSSBOARD_URL": fake.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0 True\n", "")
    assert sorted(content for _, content in fake.media) == [b"child", b"parent"]


def test_one_that_was_damaged_on_its_way_is_named(fake: FakeBoard, recwarn: pytest.WarningsRecorder) -> None:
    fake.media_answers = [(503, REFUSAL)] * 1000
    run = lossboard.run("script", url=fake.url)
    run.text("story", "a")
    run.text("story", "b")
    assert run.journal.folder is not None
    first = min((run.journal.folder / "media").iterdir())
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    tried = fake.paths.count("media")
    wait_for(lambda: fake.paths.count("media") > tried)  # what was read before is posted
    fake.media_answers.clear()
    assert run.finish()
    assert [content for _, content in fake.media] == [b"b"]
    assert "a medium 'story' is lost: it is not as it was written" in str(recwarn.pop(UserWarning).message)


def test_one_takes_the_number_of_a_damaged_one_and_replaces_none(fake: FakeBoard, tmp_path: Path) -> None:
    for number in (0, 1):
        medium = media_files.Medium("ab", number, media_files.packed("story", "text", 0, 1.0, b"text"))
        medium.write(tmp_path)
    damaged, sound = sorted(tmp_path.glob("*.medium"))
    damaged.write_bytes(b"nonsense")
    connection = lossboard.Connection(fake.url)
    last = media_files.Medium("ab", 1, path=sound)
    last.send(connection, "0" * 32)
    last.send(connection, "0" * 32)  # as after a kill
    connection.close()
    assert len(fake.media) == 1
    assert damaged.read_bytes() == b"nonsense"


def test_files_of_media_hold_up_nothing_that_is_brought_to_the_disk(
    alone: lossboard.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_SYNC", "1")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    alone.text("story", "a")
    assert len(synced) == 1
    alone.log(loss=1)
    alone.journal.protect(time.monotonic() + 60)
    assert alone.journal.folder is not None
    assert len(synced) >= 1 + len([path for path in alone.journal.folder.iterdir() if path.suffix])


def test_the_heads_are_as_the_board_has_them(fake: FakeBoard) -> None:
    run = lossboard.run("script", url=fake.url)
    run.text("story", "a")
    assert run.finish()
    [(head, _)] = fake.media
    assert sorted(head) == ["kind", "name", "number", "session", "step", "time"]
    assert len(head["session"]) == 32
    json.dumps(head, allow_nan=False)
