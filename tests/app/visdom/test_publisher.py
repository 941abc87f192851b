"""When windows are sent, to a Visdom that remembers what it was sent."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.charts.run_chart import RunChart
from app.schemas.view import Axes, View
from app.storage.batch import Batch
from app.storage.downsampling import Curve
from app.storage.records import RunRecord
from app.storage.store import Store
from app.visdom import publisher
from app.visdom.publisher import MAX_SINGLE_RUN_ENVS, PAGE_SETTLES_S, SHARED_INTERVAL_S, env_of
from app.visdom.windows import metrics
from app.visdom.windows.curves import add_note
from app.visdom.windows.layout import Window
from app.visdom.windows.race import COSTS_WIN, WIN
from app.visdom.windows.single_run import windows_at
from app.visdom.windows.x_axis import PlotOptions
from tests.harness.boards import PATIENCE
from tests.harness.publishing import publishing
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

WINS = (WIN, COSTS_WIN)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_only_windows_that_changed_are_sent(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        await stage.store.append(run, Batch(3, ("acc",), np.array([[3.0, 0.5]])))
        await stage.latest.load()
        await until(lambda: stage.shown() == [0, 1, 2] and stage.shown("metric-acc") == [3])
        stage.visdom.posts.clear()
        await stage.feed(run, 4, 2)
        await until(lambda: stage.shown() == [0, 1, 2, 4, 5])
        assert {body["win"] for _, body in stage.visdom.posts} == {"loss"}
        stage.visdom.posts.clear()
        await stage.change_nothing()
        await asyncio.sleep(0.15)
        assert stage.visdom.posts == []


async def test_w_and_the_cost_curve_go_where_no_shown_run_has_them(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        stage.latest.show(stage.view_state.get())
        await until(lambda: stage.shared() == {"loss", "w", "cost"})  # which say what to do
        run = await stage.add(points=0)
        await stage.store.append(run, Batch(0, ("train_loss", "val/acc"), np.array([[0.0, 1.0, 0.5]])))
        await stage.latest.load()
        await until(lambda: stage.shared() == {"loss", "metric-acc"})
        assert stage.shown() == [0]


async def test_windows_of_an_earlier_board_are_closed(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        stage.visdom.windows["lossboard", "metric-old"] = {}
        await until(lambda: stage.shared() == {"loss", "w", "cost"})


async def test_a_races_windows_are_closed_apart_from_all_that_is_sent(tmp_path: Path) -> None:
    """Visdom's page would lose a window that is new at about the time at which another is closed."""
    async with publishing(tmp_path) as stage:
        await stage.add(1, group="race", varied={"method": "gd"})
        await until(lambda: {("lossboard", win) for win in WINS} <= stage.visdom.windows.keys())
        await stage.add(2, colour=2)
        await until(lambda: not {("lossboard", win) for win in WINS} & stage.visdom.windows.keys())
        await stage.add(3, group="other", varied={"method": "gd"})
        await until(lambda: {("lossboard", win) for win in WINS} <= stage.visdom.windows.keys())
    taken = [(path, time) for (path, _), time in zip(stage.visdom.posts, stage.visdom.times, strict=True)]
    closed = [time for path, time in taken if path == "/close"]
    sent = [time for path, time in taken if path == "/events"]
    assert len(closed) == len(WINS)
    assert not [time for time in sent if closed[0] - PAGE_SETTLES_S < time < closed[-1] + PAGE_SETTLES_S]


async def test_windows_that_another_has_closed_come_back(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        selected, other = await stage.add(1), await stage.add(2)
        for run in (selected, other):
            await stage.publisher.open_single_run(run)
        await stage.view_state.change(View(run=selected.id))
        envs = ("lossboard", env_of(selected.id), env_of(other.id))
        await until(lambda: stage.shared() == {"loss"} and {env for env, _ in stage.visdom.windows} == set(envs))
        whole = dict(stage.visdom.windows)
        for env in envs:
            first = next(win for shown_env, win in whole if shown_env == env)
            await stage.visdom.close_window(env, first)
            await until(lambda: stage.visdom.windows.keys() == whole.keys())
            await stage.visdom.delete_env(env)
            await until(lambda: stage.visdom.windows.keys() == whole.keys())


async def test_windows_that_the_board_has_closed_do_not_come_back(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add(1, group="race", varied={"method": "gd"})
        await stage.publisher.open_single_run(run)
        await until(lambda: {("lossboard", win) for win in WINS} <= stage.visdom.windows.keys())
        await stage.store.delete_run(run)
        await until(lambda: stage.shared() == {"loss", "w", "cost"} and len(stage.visdom.windows) == 3)
        stage.visdom.posts.clear()
        await stage.publisher._look_for_lost()
        await asyncio.sleep(2 * SHARED_INTERVAL_S)
        assert stage.visdom.posts == []


async def test_a_visdom_that_fails_gets_its_windows_later(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        stage.visdom.error = "It is ill."
        await stage.add()
        await asyncio.sleep(0.15)
        stage.visdom.error = None
        await until(lambda: stage.shown() == [0, 1, 2])


async def test_a_new_visdom_gets_every_window_again(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        await stage.publisher.open_single_run(run)
        await until(lambda: stage.shown() == [0, 1, 2] and stage.shared() == {"loss"})
        stage.visdom.windows.clear()
        stage.is_up = False
        await stage.change_nothing()
        await asyncio.sleep(0.15)
        assert not stage.visdom.windows
        stage.is_up = True
        stage.publisher.visdom_is_new()
        await until(lambda: {win for _, win in stage.visdom.windows} >= {"loss", "about"})


async def test_a_slow_visdom_is_asked_less_often(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        stage.visdom.delay = 0.1
        run = await stage.add()

        def times() -> list[float]:
            noted = zip(stage.visdom.posts, stage.visdom.times, strict=True)
            return [at for (_, body), at in noted if body["win"] == "loss"]

        points = 3
        async with asyncio.timeout(PATIENCE):
            while len(times()) < 6:
                await stage.feed(run, points, 1)
                points += 1
                await asyncio.sleep(0.01)
        # A post takes 0.1 s, and as long is waited before the next one, however late this process itself is.
        assert all(later - earlier > 0.19 for earlier, later in pairwise(times())), times()
        stage.visdom.delay = 0
        await until(lambda: len(stage.shown()) == points)


async def test_many_points_are_sent_less_often(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = RunRecord("7" * 32, "run", "external", {}, "running", 0.0, started_at=1.0)
        await stage.store.add_run(run)
        names = tuple(f"m{number}" for number in range(12))
        values = np.random.default_rng(0).normal(size=(4000, 12))
        await stage.store.append(run, Batch(0, names, np.column_stack([np.arange(4000.0), values])))
        await stage.latest.load()
        await until(lambda: "metric-m11" in stage.shared())

        def times() -> list[float]:
            noted = zip(stage.visdom.posts, stage.visdom.times, strict=True)
            return [at for (_, body), at in noted if body["win"] == "metric-m0"]

        stage.visdom.posts.clear()
        stage.visdom.times.clear()
        seq = 4000
        async with asyncio.timeout(PATIENCE):
            while len(times()) < 3:
                await stage.store.append(run, Batch(seq, names, np.full((1, 13), float(seq))))
                seq += 1
                await asyncio.sleep(0.01)
        # twelve windows of some 1,000 points each
        assert all(later - earlier > 2 * SHARED_INTERVAL_S for earlier, later in pairwise(times())), times()


async def test_a_runs_own_env_follows_it_and_is_dropped_with_it(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        await stage.publisher.open_single_run(run)
        env = env_of(run.id)
        assert stage.shown("metric-loss", env) == [0, 1, 2]
        await stage.feed(run, 3, 1)
        await until(lambda: stage.shown("metric-loss", env) == [0, 1, 2, 3])
        await stage.store.delete_run(run)
        await until(lambda: not stage.shown("metric-loss", env))


async def test_the_env_opened_longest_ago_goes_when_there_are_too_many(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        for number in range(MAX_SINGLE_RUN_ENVS + 1):
            run = RunRecord(f"{number:012x}" + 20 * "0", "run", "external", {}, "finished", 0.0)
            await stage.store.add_run(run)
            await stage.publisher.open_single_run(run)
        await until(lambda: (env_of("0" * 32), "about") not in stage.visdom.windows)
        assert (env_of(f"{1:012x}" + 20 * "0"), "about") in stage.visdom.windows


async def test_a_picture_that_missed_points_catches_up(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        steps = np.array([3.0, 4.0])
        unseen = Store(stage.database)  # whose subscribers are others
        await unseen.append(run, Batch(3, ("loss",), np.column_stack([steps, steps])))
        await until(lambda: stage.shown() == [0, 1, 2])
        await asyncio.sleep(0.3)  # or what is shown next comes late enough to be complete by chance
        await stage.feed(run, 5, 1)
        await until(lambda: stage.shown() == [0, 1, 2, 3, 4, 5])


async def test_own_windows_show_the_chosen_step(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = RunRecord("5" * 32, "run", "gd", {"lr": 0.01}, "running", 0.0, step=4, last={"w": 1.5})
        await stage.store.add_run(run, (np.array([1.0, 2.0]), np.array([2.0, 4.0])))
        rows = np.column_stack([np.arange(5.0), [1.1, 1.2, 1.3, 1.4, 1.5]])
        await stage.store.append(run, Batch(0, ("w",), rows))
        await stage.publisher.open_single_run(run)

        def ball() -> list[float]:
            window = stage.visdom.windows[env_of("5" * 32), "cost"]
            return window["data"][-1]["x"]  # type: ignore[no-any-return]

        assert ball() == [1.5]
        await stage.view_state.change(View(run=run.id, at=1))
        await until(lambda: ball() == [1.2])
        await stage.view_state.change(View(run=run.id, at=1000))  # this run has no such step: its last one
        await until(lambda: ball() == [1.5])
        await stage.view_state.change(View(run=run.id))
        await stage.publisher.open_single_run(run)
        assert ball() == [1.5]


async def test_own_windows_whose_points_cannot_be_read_now_are_drawn_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lossboard.publisher")
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        await stage.publisher.open_single_run(run)
        before = dict(stage.visdom.windows)
        stage.database.unreadable = True
        await stage.view_state.change(View(run=run.id, at=1))
        await until(lambda: "wait: " in caplog.text)  # it has seen that
        async with stage.publisher._drawing:
            assert stage.visdom.windows.keys() == before.keys()
        await stage.feed(run, 3, 1)
        stage.database.unreadable = False
        loss = (env_of(run.id), "metric-loss")
        await until(lambda: stage.visdom.windows[loss]["data"][0]["x"] == [0, 1, 2, 3])
        assert "cannot be drawn" not in caplog.text


async def test_own_windows_follow_the_boards_axes(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        await stage.publisher.open_single_run(run)
        await stage.view_state.change(View(axes=Axes(loss="log")))
        await until(
            lambda: "yaxis2" in stage.visdom.windows[env_of(run.id), "metric-loss"]["layout"],
        )


async def test_what_cannot_be_drawn_does_not_end_the_other_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with publishing(tmp_path) as stage:
        run, other = await stage.add(1), await stage.add(2)
        for one in (run, other):
            await stage.publisher.open_single_run(one)

        def fail_for_the_first(one: RunChart, *rest: Any, **options: Any) -> list[Window]:
            return windows_at(one, *rest, **options) if one.run is other else fail()

        def fail(*_: Any) -> list[Window]:
            raise ZeroDivisionError

        def fail_for_acc(layout: dict[str, Any], options: PlotOptions, curves: list[Curve]) -> None:
            add_note(layout, options, curves) if options.metric != "acc" else fail()

        await stage.store.append(other, Batch(3, ("acc",), np.array([[3.0, 0.5]])))
        await stage.latest.load()
        monkeypatch.setattr(publisher, "windows_at", fail_for_the_first)
        monkeypatch.setattr(publisher, "race_windows", fail)
        monkeypatch.setattr(metrics, "add_note", fail_for_acc)
        for seq in (3, 4):
            await stage.feed(run, seq, 1)
            await stage.feed(other, seq + 1, 1)
            await until(lambda seq=seq: stage.shown()[-1:] == [seq])
            await until(lambda seq=seq: stage.shown("metric-loss", env_of(other.id))[-1:] == [seq + 1])
        said = stage.visdom.windows["lossboard", "metric-acc"]["layout"]["annotations"][0]["text"]
        assert said == "This window cannot be drawn:<br>ZeroDivisionError"
        assert caplog.text.count("cannot be drawn") == 2  # one line for each env, however often it is tried


async def test_own_windows_miss_nothing_while_they_are_opened(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add()
        opening = asyncio.create_task(stage.publisher.open_single_run(run))
        await asyncio.sleep(0)  # it reads the store now
        await stage.feed(run, 3, 1)
        await stage.store.save_run(dataclasses.replace(run, status="finished"))
        await opening
        await until(lambda: stage.shown("metric-loss", env_of(run.id)) == [0, 1, 2, 3])
        await until(lambda: "finished" in str(stage.visdom.windows[env_of(run.id), "about"]))
