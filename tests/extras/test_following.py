"""`lossboard watch`: the runs in a folder of event files, and what is said of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import lossboard
from app.storage import binary_form
from lossboard_extras.encoders import png_of
from lossboard_extras.event_folder import EventFolder
from lossboard_extras.following import HEARTBEAT_S, QUIET_S, Followed, Watch, bring_all, follow
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.event_files import event, field, losses, plugin, simple, text, write

FILE = "events.out.tfevents.1"
PNG = png_of([[0, 255]])


class FakeConnection(lossboard.Connection):
    """To a board that keeps the losses and the media of each run; it refuses the next posts as ``refusals`` say, and
    points of a run that has ended."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.runs: dict[str, dict[str, Any]] = {}
        self.losses: dict[str, list[float]] = {}
        self.times: list[Any] = []
        self.media: list[tuple[dict[str, Any], bytes]] = []
        self.posts: list[str] = []
        self.refusals: list[Exception] = []

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:  # noqa: ARG002
        if self.refusals:
            raise self.refusals.pop(0)
        *_, run_id, what = path.split("/")
        self.posts.append(what)
        if what == "runs":
            about = json.loads(body)
            self.runs.setdefault(about["id"], about)
            self.losses.setdefault(about["id"], [])
            if about.get("resume"):
                self.runs[about["id"]].pop("status", None)
        elif what == "media":
            line, _, content = body.partition(b"\n")
            head = json.loads(line)
            wanted = sum(one["session"] == head["session"] for one, _ in self.media)
            if head["number"] > wanted:
                raise refused(409, wanted=wanted)
            if head["number"] == wanted:
                self.media.append((head, content))
            return {"accepted": head["number"] + 1}
        elif what == "points":
            kept = self.losses[run_id]
            if "status" in self.runs[run_id]:
                raise refused(409, accepted=len(kept))
            self.times.append(json.loads(body.partition(b"\n")[0]).get("times"))
            for batch in binary_form.parse(body).batches:
                new = batch.after(len(kept))
                kept += [new.point(place).values["loss"] for place in range(len(new))]
            return {"accepted": len(kept)}
        else:
            self.runs[run_id].update(json.loads(body))
        return {}

    @property
    def by_name(self) -> dict[str, list[float]]:
        """The losses of each run by its name."""
        return {about["name"]: self.losses[run_id] for run_id, about in self.runs.items()}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "data"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def fake() -> FakeConnection:
    return FakeConnection()


def refused(status: int, **body: Any) -> lossboard.RefusedError:
    return lossboard.RefusedError(status, json.dumps({"detail": [{"msg": "No."}], **body}))


def followed(root: Path, fake: FakeConnection, said: list[str]) -> Followed:
    events = EventFolder(root, FILE)
    events.add([FILE])
    return Followed(events, {"name": "run"}, fake, said.append)


def step_all(run: Followed, now: float | None = None) -> None:
    while run.step(time.time() if now is None else now):
        pass


def test_each_folder_with_event_files_is_a_run(root: Path, fake: FakeConnection) -> None:
    write(root / "b/train" / FILE, *losses(1))
    write(root / FILE, *losses(2))
    write(root / "a" / "events.out.tfevents.0", *losses(3))
    (root / "empty").mkdir()
    watch = Watch(root, fake, "sweep", print)
    watch.walk()
    assert [run.name for run in bring_all(watch)] == ["a", "logs", "b/train"]
    assert list(fake.by_name.items()) == [("a", [3]), ("logs", [2]), ("b/train", [1])]  # the oldest first
    for about in fake.runs.values():
        assert (about["method"], about["group"], about["live"], about["status"]) == (
            "external",
            "sweep",
            {},
            "finished",
        )


def test_a_run_has_the_hyperparameters_of_its_files(root: Path, fake: FakeConnection) -> None:
    start = field(3, field(1, field(1, b"opt") + field(2, field(3, b"adam"))))
    write(root / FILE, event(0, field(1, b"_hparams_/session_start_info") + plugin("hparams", start)), *losses(1))
    step_all(followed(root, fake, []))
    assert [about["params"] for about in fake.runs.values()] == [{"opt": "adam"}]


def test_what_grows_is_posted_once_and_then_silence_is_kept(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *losses(1, 2))
    run = followed(root, fake, [])
    step_all(run)
    write(root / FILE, *losses(3, start=2))
    step_all(run)
    before = list(fake.posts)
    step_all(run)
    assert list(fake.losses.values()) == [[1, 2, 3]]
    assert fake.posts == before


def test_a_run_that_logs_seldom_is_said_to_go_on(root: Path, fake: FakeConnection) -> None:
    run = followed(write(root / FILE, *losses(1)).parent, fake, [])
    now = time.time()
    step_all(run, now)
    before = len(fake.posts)
    step_all(run, now + HEARTBEAT_S - 1)
    assert len(fake.posts) == before
    step_all(run, now + HEARTBEAT_S + 1)
    assert fake.posts[before:] == ["points"]
    step_all(run, now + QUIET_S + 1)  # it may have died: nobody says that it goes on
    assert fake.posts[before:] == ["points"]


def test_a_run_whose_files_are_old_has_ended(root: Path, fake: FakeConnection) -> None:
    run = followed(write(root / FILE, *losses(1)).parent, fake, [])
    step_all(run, time.time() + QUIET_S + 1)
    assert fake.posts[-1] == "finish"
    assert run.over


def test_what_is_not_shown_is_said_once(root: Path, fake: FakeConnection) -> None:
    picture, vector = field(1, b"picture") + field(4, b""), field(1, b"vector") + field(8, b"")
    write(root / FILE, event(0, picture, vector), *losses(1), event(1, simple("", 1)))
    with (root / FILE).open("ab") as file:
        file.write(b"\xff" * 64)
    said: list[str] = []
    run = followed(root, fake, said)
    step_all(run)
    with (root / FILE).open("ab") as file:
        file.write(b"\xff")
    step_all(run)
    assert said == [
        f"run: {FILE} is damaged at byte 130; what follows is not read",
        "run: has what is not shown: tensor",
        "run: cannot show 'picture' (image): PIL knows no image in it",
        "run: leaves out 1 metrics, the first of them '': a name has 1 to 200 characters",
    ]


def test_a_board_that_lost_points_gets_them_again(root: Path, fake: FakeConnection) -> None:
    run = followed(write(root / FILE, *losses(1, 2, 3)).parent, fake, [])
    step_all(run)
    write(root / FILE, *losses(4, start=3))
    del fake.losses[run.events.id][1:]
    fake.refusals = [refused(409, wanted=1)]
    step_all(run)
    assert fake.losses[run.events.id] == [1, 2, 3, 4]


def test_a_run_that_the_board_lets_not_go_on_takes_no_more_and_that_is_said(root: Path, fake: FakeConnection) -> None:
    said: list[str] = []
    run = followed(write(root / FILE, *losses(1)).parent, fake, said)
    step_all(run)
    write(root / FILE, *losses(2, start=1))
    fake.refusals = [refused(409, accepted=1), refused(409, accepted=1)]
    step_all(run)
    assert run.over
    assert said == ["run: has ended on the board, which takes no more than its 1 points"]
    write(root / FILE, *losses(3, start=2))
    step_all(run)
    assert fake.losses[run.events.id] == [1]


def test_a_run_that_has_ended_goes_on_when_its_file_grows(root: Path, fake: FakeConnection) -> None:
    run = followed(write(root / FILE, *losses(1)).parent, fake, [])
    late = time.time() + QUIET_S + 1
    step_all(run, late)
    assert run.over
    before = len(fake.posts)
    step_all(run, late)
    assert len(fake.posts) == before
    write(root / FILE, *losses(2, start=1))
    step_all(run)
    [about] = fake.runs.values()
    assert (run.over, fake.losses[run.events.id], "status" in about) == (False, [1, 2], False)


def test_a_run_that_was_brought_before_goes_on_when_its_file_has_grown(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *losses(1), event(0, text("note", b"once")))

    def bring() -> None:
        watch = Watch(root, fake, "g", print)
        watch.walk()
        assert [run.over for run in bring_all(watch)] == [True]

    bring()
    before = [post for post in fake.posts if post != "runs"]
    bring()
    assert fake.posts[len(before) + 1 :] == ["runs", "points"]  # nothing is new
    write(root / FILE, *losses(2, start=1), event(1, text("note", b"upon")))
    bring()
    [about] = fake.runs.values()
    assert (list(fake.losses.values()), about["status"]) == ([[1, 2]], "finished")
    assert [content for _, content in fake.media] == [b"once", b"upon"]


def test_a_run_has_the_times_of_its_events(root: Path, fake: FakeConnection) -> None:
    walls = [1000.0 + step for step in range(10)] + [2000.0 + step for step in range(10)]  # with a break
    write(root / FILE, *(event(step, simple("loss", step), wall_time=wall) for step, wall in enumerate(walls)))
    run = followed(root, fake, [])
    step_all(run, time.time() + QUIET_S + 1)
    [about] = fake.runs.values()
    assert (about["started_at"], about["ended_at"]) == (1000, 2009)
    [times] = filter(None, fake.times)
    assert times == [[3, 1002], [6, 1005], [9, 1008], [12, 2001], [15, 2004], [18, 2007], [20, 2009]]


def test_an_even_pace_is_one_time(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *(event(step, simple("loss", step), wall_time=1000.0 + step) for step in range(100)))
    step_all(followed(root, fake, []))
    assert list(filter(None, fake.times)) == [[[100, 1099]]]


def test_texts_images_histograms_and_sounds_are_posted(root: Path, fake: FakeConnection) -> None:
    write(
        root / FILE,
        *losses(1),
        event(5, text("note/text_summary", b"once"), wall_time=7.5),
        event(6, field(1, b"old image") + field(4, field(4, PNG)), wall_time=8.5),
        *losses(2, start=6),
    )
    said: list[str] = []
    run = followed(root, fake, said)
    step_all(run)
    session = fake.media[0][0]["session"]
    assert fake.media == [
        ({"session": session, "number": 0, "name": "note", "kind": "text", "step": 5, "time": 7.5}, b"once"),
        ({"session": session, "number": 1, "name": "old image", "kind": "image", "step": 6, "time": 8.5}, PNG),
    ]
    assert (said, fake.losses[run.events.id]) == ([], [1, 2])


def test_a_medium_that_is_refused_is_left_out_and_said(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *(event(step, text("note", b"%d" % step)) for step in range(3)))
    said: list[str] = []
    run = followed(root, fake, said)
    run.step(time.time())
    fake.refusals = [refused(422)]
    step_all(run)
    assert [content for _, content in fake.media] == [b"1", b"2"]
    assert said == ["run: leaves out a text 'note' that the board refused: 422 No."]


def test_media_that_a_board_lost_hold_up_nothing(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *(event(step, text("note", b"%d" % step)) for step in range(3)))
    run = followed(root, fake, [])
    step_all(run)
    fake.media.clear()
    write(root / FILE, event(3, text("note", b"3")))
    step_all(run)
    assert [content for _, content in fake.media] == [b"3"]


def test_a_run_that_was_deleted_is_left_alone(root: Path, fake: FakeConnection) -> None:
    said: list[str] = []
    run = followed(write(root / FILE, *losses(1)).parent, fake, said)
    fake.refusals = [refused(410)]
    step_all(run)
    assert (run.over, said) == (True, ["run: was deleted on the board"])


@pytest.mark.parametrize("trouble", [ConnectionRefusedError("refused"), refused(503), refused(401), refused(429)])
def test_a_board_that_takes_nothing_is_asked_again(root: Path, fake: FakeConnection, trouble: Exception) -> None:
    write(root / FILE, *losses(1))
    fake.refusals = [trouble, trouble]
    assert said_until_posted(root, fake) == [
        f"No board takes points at http://127.0.0.1:9 ({trouble}); it is tried again."
    ]


def test_of_a_connection_that_the_board_has_closed_nothing_is_said(root: Path, fake: FakeConnection) -> None:
    write(root / FILE, *losses(1))
    fake.refusals = [BrokenPipeError("closed, as nothing came for a while")]
    assert said_until_posted(root, fake) == []


def said_until_posted(root: Path, fake: FakeConnection) -> list[str]:
    """Follow until the board has the first loss; what is said meanwhile."""
    said: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(Watch(root, fake, "g", said.append), said.append, stop))
    thread.start()
    wait_for(lambda: list(fake.losses.values()) == [[1]], "the loss")
    stop.set()
    thread.join()
    return said


def watching(root: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app.cli", "watch", str(root), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_command_shows_a_run_live_and_goes_on_where_it_was_killed(board: BoardProcess, root: Path) -> None:
    def stored() -> list[Any]:
        runs = board.get("/api/runs")["items"]
        return board.get(f"/api/runs/{runs[0]['id']}/points")["metrics"].get("loss", []) if runs else []

    write(root / FILE, *losses(1, 2))
    first = watching(root, "--url", board.url)
    wait_for(lambda: stored() == [1, 2], "the first losses")
    write(root / FILE, *losses(3, start=2))
    wait_for(lambda: stored() == [1, 2, 3], "the loss that came later")
    assert watching(root).communicate() == (f"lossboard: {root} is followed by another `lossboard watch`.\n", None)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    write(root / FILE, *losses(4, start=3), event(3, text("note", b"once")))
    second = watching(root, "--url", board.url, "--once")
    assert second.communicate()[0] == f"logs: 4 points are at {board.url}.\n"
    assert stored() == [1, 2, 3, 4]
    [run] = board.get("/api/runs")["items"]
    assert (run["status"], run["started_at"], run["ended_at"]) == ("finished", *2 * ["2001-09-09T01:46:40Z"])
    assert [(one["name"], one["kept"]) for one in board.get(f"/api/runs/{run['id']}/media")["names"]] == [("note", 1)]
    write(root / FILE, *losses(5, start=4))
    assert watching(root, "--url", board.url, "--once").communicate()[0] == f"logs: 5 points are at {board.url}.\n"
    assert stored() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["nowhere"], "There is no folder nowhere. Name the one to which the event files are written."),
        ([".", "--url", "x"], "url: 'x' is no address of a board; send something like http://127.0.0.1:8000"),
    ],
)
def test_the_command_says_what_is_wrong(options: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "app.cli", "watch", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"lossboard: {sentence}\n")
