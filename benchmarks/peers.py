"""Beside TensorBoard, Trackio, W&B offline and bare Visdom: `uv run --group bench python -m benchmarks.peers`.

The same loop logs the same points (two scalars a step) to each, every time in a fresh process and a fresh folder, one
tool after the other and then all again. What is said of each was read back through its own files or server.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from benchmarks.figures import Figure, number, quantile, show, spread
from benchmarks.tools import lags, tensorboard, wandb
from benchmarks.tools.board import Lossboard
from benchmarks.tools.deaths import Death, kill_some
from benchmarks.tools.tensorboard import TensorBoard
from benchmarks.tools.tool import AList, Nothing, Tool
from benchmarks.tools.trackio import Trackio
from benchmarks.tools.trials import Trial, step_seconds, train
from benchmarks.tools.visdom import Visdom
from benchmarks.tools.wandb import Wandb

type Kind = type[Tool]
type Trials = dict[Kind, list[Trial]]

TOOLS: tuple[Kind, ...] = (Lossboard, TensorBoard, Trackio, Visdom, Wandb)
FLOOR: tuple[Kind, ...] = (Nothing, AList)
LENGTHS = {1_000: (3, 30), 100_000: (3, 6), 1_000_000: (1, 20)}  # steps: how many tries, and seconds for each
LOOK_AT = 100_000  # steps of the runs of which is asked what a page would be given
QUADRATIC: dict[Kind, int] = {Visdom: 1_000}  # the longest run it is asked for
KILLS = 4
KILL_SEED = 7
LAG_SECONDS = 10
LAG_SECONDS_OF: dict[Kind, float] = {Wandb: 45}  # it writes blocks of 32 KB, which at this pace is once in 20 s
MEGA = 1e6


def main() -> list[Figure]:
    """Print a figure for each tool and question."""
    figures: list[Figure] = []
    shortest: Trials = {}
    longest: Trials = {}
    looked: Trials = {}
    for steps, (tries, seconds) in LENGTHS.items():
        trials = train_all(steps, tries, seconds)
        longest |= trials
        shortest = shortest or trials
        if steps <= LOOK_AT:
            looked |= trials
        figures += show(costs(steps, trials))
    figures += show(kept(longest))
    figures += show(pages(looked))
    figures += show(sizes(shortest, longest))
    with ThreadPoolExecutor() as threads:
        slow = {kind: threads.submit(lags.measure, kind, seconds) for kind, seconds in LAG_SECONDS_OF.items()}
        for kind in TOOLS:  # the others one by one: these are about milliseconds
            figures += show(delays(kind, slow[kind].result() if kind in slow else lags.measure(kind, LAG_SECONDS)))
    with ThreadPoolExecutor(2) as threads:  # two at once, as two cores can do
        killed = {kind: threads.submit(kill_some, kind, KILLS, KILL_SEED) for kind in TOOLS}
    figures += show(survivors(killed))
    return figures


def train_all(steps: int, tries: int, seconds: float) -> Trials:
    """All tools side by side, as often as asked."""
    trials: Trials = {}
    for number_of_try in range(tries):
        for kind in (*FLOOR, *TOOLS):
            if steps <= QUADRATIC.get(kind, steps) and (kind not in QUADRATIC or number_of_try == 0):
                trials.setdefault(kind, []).append(train(kind, steps, seconds, look=number_of_try == 0))
    return trials


def costs(steps: int, trials: Trials) -> Iterator[Figure]:
    """What a step costs more than without the tool, and how often that is what a list costs."""
    plain = step_seconds(trials[Nothing])
    floor = step_seconds(trials[AList]) - plain
    yield spread(
        f"the plain loop, {steps:,} steps", [one.step for one in trials[Nothing]], "µs", scale=1e6, of="no tool"
    )
    measured: tuple[Kind, ...] = (AList, *TOOLS)
    for kind in measured:
        name = f"added to a step, {steps:,} steps"
        if kind not in trials:
            words = f"not tried: each append costs it more than the one before, see {QUADRATIC[kind]:,} steps"
            yield Figure(name, None, note=words, of=kind.name)
            continue
        figure = spread(name, [one.step - plain for one in trials[kind]], "µs", scale=1e6, of=kind.name)
        yield short_of(figure, trials[kind])
        yield Figure(
            f"the same as a multiple of list.append, {steps:,} steps",
            (step_seconds(trials[kind]) - plain) / floor,
            "×",
            of=kind.name,
        )
    for kind in TOOLS:
        if kind in trials:
            yield until_readable(steps, kind, trials[kind])


def short_of(figure: Figure, trials: list[Trial]) -> Figure:
    """Says so where a tool was not done in its time."""
    fewest = min(trials, key=lambda one: one.steps)
    if fewest.steps == fewest.wanted:
        return figure
    words = f"only {fewest.steps:,} steps in the {fewest.seconds:.0f} s it had"
    return Figure(
        figure.name, figure.value, figure.unit, note="; ".join(filter(None, (figure.note, words))), of=figure.of
    )


def until_readable(steps: int, kind: Kind, trials: list[Trial]) -> Figure:
    """How long after the last log(), with the tool's own finish(), all points could be read back."""
    name = f"from the last log() until all can be read, {steps:,} steps"
    times = [one.readable_after for one in trials if one.readable_after is not None]
    if len(times) < len(trials):
        return Figure(name, None, note="not all of them could ever be read", of=kind.name)
    return short_of(spread(name, times, "s", of=kind.name), trials)


def kept(longest: Trials) -> Iterator[Figure]:
    """What of the longest run can be read back."""
    for kind in TOOLS:
        last = longest[kind][-1]
        share = 100 * last.read_back / last.steps
        yield Figure(
            "points read back of the longest run",
            share,
            "%",
            note=f"{last.read_back:,} of {last.steps:,}",
            of=kind.name,
        )
        yield Figure("values to the last bit", "yes" if last.exact else "no", of=kind.name)


def pages(looked: Trials) -> Iterator[Figure]:
    """What a page would be given of a long run."""
    name = "points that its page gets of a long run"
    for kind in TOOLS:
        first = looked[kind][0]
        if first.served:
            yield Figure(name, first.served.points, note=f"of {first.steps:,}", of=kind.name)
            words = "yes" if first.served.spike else "no"
            yield Figure("the one step that stands out is among them", words, of=kind.name)
    words = f"it needs W&B's server; its API's own default is {wandb.samples():,} samples, says the package"
    yield Figure(name, None, note=words, of=Wandb.name)


def sizes(shortest: Trials, longest: Trials) -> Iterator[Figure]:
    """Memory and disk: of the shortest run, which is what importing the tool takes, and of the longest."""
    for kind in (*FLOOR, *TOOLS):
        first, last = shortest[kind][0], longest[kind][-1]
        words = "most of it is torch, which it imports" if kind in (TensorBoard, Visdom) else ""
        name = f"peak memory of the training process, {first.wanted:,} steps"
        yield Figure(name, first.memory / MEGA, "MB", note=words, of=kind.name)
        words = f"{last.steps:,} steps"
        name = "peak memory of the training process, longest run"
        yield Figure(name, last.memory / MEGA, "MB", note=words, of=kind.name)
        if kind in FLOOR:
            continue
        yield Figure("peak memory of what runs beside it", last.beside / MEGA, "MB", of=kind.name)
        if kind is not Visdom:
            each = last.disk / last.steps / 2
            yield Figure(
                "disk for each point of a metric", each, "bytes", note=f"{last.disk / MEGA:.1f} MB", of=kind.name
            )
        else:
            yield Figure(
                "disk for each point of a metric", None, note="it keeps everything in its server's memory", of=kind.name
            )


def delays(kind: Kind, measured: list[lags.Lag]) -> Iterator[Figure]:
    """How soon a page could show a point."""
    for lag, place in zip(measured, ("where its page gets it", "in an open window of Visdom"), strict=False):
        words = f"{lag.source}, {len(lag.seconds):,} points, {lags.RATE} a second"
        if kind is TensorBoard:
            server, page, on = tensorboard.intervals()
            words += (
                f"; on top of this, the server looks every {number(server)} s and the page every {number(page)} s,"
                f" {'as it comes' if on else 'once someone has turned that on'} (its own defaults)"
            )
        scaled = lag.seconds * 1000
        yield Figure(f"log() until a point is {place}, median", quantile(scaled, 0.5), "ms", note=words, of=kind.name)
        yield Figure(f"log() until a point is {place}, 99 %", quantile(scaled, 0.99), "ms", of=kind.name)


def survivors(killed: dict[Kind, Future[list[Death]]]) -> Iterator[Figure]:
    """What kill -9 leaves."""
    for kind, ended in killed.items():
        deaths = ended.result()
        shares = [100 * death.kept / max(1, death.logged) for death in deaths]
        words = ", ".join(f"{death.kept:,} of {death.logged:,}" for death in deaths)
        yield Figure("points that survive kill -9, median", quantile(shares, 0.5), "%", note=words, of=kind.name)
        yield Figure("points that survive kill -9, worst", min(shares), "%", of=kind.name)


if __name__ == "__main__":
    main()
