"""When the windows of the selected run are sent, and when its state is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.schemas.view import View
from app.storage.batch import Batch
from app.storage.media import Sent
from app.storage.records import RunRecord
from app.visdom.publisher import env_of
from tests.harness.publishing import Stage, publishing
from tests.harness.waiting import until
from trainers import METHODS
from trainers.numbers import short
from trainers.problem import make_data

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def add_descent(stage: Stage, method: str = "gd", steps: int = 0, **record: Any) -> tuple[RunRecord, list[Batch]]:
    """A run of a built-in method with its first steps stored, and one batch for each of all its steps."""
    planned = METHODS[method]
    params = planned.params.model_validate({"epochs": 40})
    run = RunRecord("5" * 32, "run", method, params.model_dump(), "running", 0.0, total_steps=40, **record)
    data = (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    await stage.store.add_run(run, data)
    points = planned.train(make_data(*data), params)
    batches = [Batch(step, planned.metrics(params), np.array([[step, *point]])) for step, point in enumerate(points)]
    for batch in batches[:steps]:
        await stage.store.append(run, batch)
    return run, batches


async def test_windows_of_one_state_are_sent_together_and_then_it_is_told(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run, batches = await add_descent(stage)
        env, told = env_of(run.id), []

        def note() -> None:
            """What the windows show at the moment at which a state is told."""
            state = stage.publisher.state
            if state is None or state.run != run.id:
                return
            windows = {win: window for (name, win), window in stage.visdom.windows.items() if name == env}
            ball = windows["cost"]["data"][-1]
            tangent = next(trace for trace in windows["cost"]["data"] if trace["name"].startswith("tangent"))
            run_of_tangent = tangent["x"][1] - tangent["x"][0]
            assert (ball["x"], ball["y"]) == ([state.values["w"]], [state.cost])
            assert state.gradient is not None
            slope = (tangent["y"][1] - tangent["y"][0]) / run_of_tangent
            assert slope == pytest.approx(state.gradient["grad"])
            marks = {w["layout"]["shapes"][0]["x0"] for w in windows.values() if w["layout"].get("shapes")}
            assert marks <= {state.position}
            assert windows["samples"]["opts"]["title"] == f"All samples, at w = {short(state.values['w'], 6)}"
            told.append(state.position)

        stage.listeners.append(note)
        stage.visdom.delay = 0.01
        await stage.view_state.change(View(run=run.id))
        for batch in batches[:30]:
            await stage.store.append(run, batch)
            await asyncio.sleep(0.04)
        await until(lambda: told[-1:] == [30])
        assert told == sorted(told)
        assert len(told) <= 30 * 0.04 / 0.2 + 4  # no more than five a second, though points came faster


async def test_a_chosen_position_is_shown_with_what_follows_it_and_position_0_too(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run, batches = await add_descent(stage, steps=10)

        def state() -> tuple[float | None, bool] | None:
            told = stage.publisher.state
            return told and (told.position, told.next_values is not None)

        for at, shown in ((4, (5, True)), (-1, (0, True)), (8, (9, True)), (9, (10, False)), (None, (10, False))):
            await stage.view_state.change(View(run=run.id, at=at))
            await until(lambda shown=shown: state() == shown)
        await stage.view_state.change(View(run=run.id, at=9))
        await stage.store.append(run, batches[10])
        await until(lambda: state() == (10, True))
        await stage.view_state.change(View())
        await until(lambda: stage.publisher.state is None)


@pytest.mark.parametrize(("method", "first"), [("backprop", ["graph", "cost"]), ("gd", ["cost", "metric-w"])])
async def test_the_picture_is_the_first_window_before_the_first_step_and_in_the_middle(
    tmp_path: Path, method: str, first: list[str]
) -> None:
    async with publishing(tmp_path) as stage:
        run, batches = await add_descent(stage, method)
        env = env_of(run.id)

        def order() -> list[str]:
            return [win for name, win in stage.visdom.windows if name == env]

        await stage.publisher.open_single_run(run)
        before = order()
        assert before[:2] == first
        for batch in batches[:5]:
            await stage.store.append(run, batch)
        await stage.publisher.open_single_run(run)
        assert order() == before


async def test_windows_that_an_earlier_board_left_make_way_for_the_picture(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run, _ = await add_descent(stage, "backprop", steps=5)
        env = env_of(run.id)
        for win in ("about", "cost", "graph"):
            stage.visdom.windows[env, win] = {}
        await stage.publisher.open_single_run(run)
        assert next(win for name, win in stage.visdom.windows if name == env) == "graph"
        await stage.publisher.open_single_run(run)  # and once only
        assert [path for path, _ in stage.visdom.posts].count("/close") == 1


async def test_the_state_is_told_without_visdom_and_the_windows_follow(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        stage.is_up = False
        run, _ = await add_descent(stage, steps=3)
        await stage.view_state.change(View(run=run.id))
        await until(lambda: stage.publisher.state is not None and stage.publisher.state.position == 3)
        assert not stage.visdom.windows
        stage.is_up = True
        stage.publisher.visdom_is_new()
        await until(lambda: (env_of(run.id), "about") in stage.visdom.windows)  # nobody has opened them


async def test_a_deleted_or_damaged_run_has_no_state(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run, _ = await add_descent(stage, steps=3)
        await stage.view_state.change(View(run=run.id))
        await until(lambda: stage.publisher.state is not None and (env_of(run.id), "about") in stage.visdom.windows)
        await stage.store.delete_run(run)
        await until(lambda: stage.publisher.state is None)
        await until(lambda: (env_of(run.id), "about") not in stage.visdom.windows)


# --- media ------------------------------------------------------------------------------------------------------------


async def test_the_media_of_the_selected_run_are_shown_as_they_were_at_its_step(tmp_path: Path) -> None:
    async with publishing(tmp_path) as stage:
        run = await stage.add(points=5)
        await stage.view_state.change(View(run=run.id))

        def content() -> str | None:
            window = stage.visdom.windows.get((env_of(run.id), "media-note"))
            return window["data"][0]["content"] if window else None

        for step in (0, 3):
            note = Sent("a" * 32, step // 3, "note", "text", step, 5.0, f"of {step}".encode())
            await stage.store.media.add(run, note)
        await until(lambda: content() == "<pre>of 3</pre>")
        await stage.view_state.change(View(run=run.id, at=2))
        await until(lambda: content() == "<pre>of 0</pre>")
