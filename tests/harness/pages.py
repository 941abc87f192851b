"""The board's page as a person uses it, and what is drawn in its windows."""

from __future__ import annotations

import math
from typing import Any, Self

from playwright.sync_api import Error, Frame, Locator, Page, Response, expect

from tests.harness.boards import wait_for

# What plotly was given for each window, by its title, and what it has drawn of it.
PLOTS = """() => Object.fromEntries([...document.querySelectorAll(".react-grid-item")].flatMap((item) => {
  const plot = item.querySelector(".js-plotly-plot");
  const title = item.querySelector(".bar > div.pull-right")?.textContent;
  if (!plot?._fullLayout || !plot.calcdata) return [];
  const axis = (name) => {
    const shown = plot._fullLayout[name];
    return shown && { type: shown.type, range: shown.range };
  };
  const traces = plot.data.map((trace, at) => ({
    name: trace.name, x: trace.x, y: trace.y, xaxis: trace.xaxis, yaxis: trace.yaxis,
    colour: trace.line?.color ?? trace.marker?.color,
    drawn: plot.calcdata[at]?.map((point) => point.x) ?? [],
  }));
  const used = (letter) => axis(`${letter}axis${(plot.data[0][`${letter}axis`] ?? letter).slice(1)}`);
  return [[title, { traces, x: used("x"), y: used("y") }]];
}))"""

# What the bar of the selected run and its windows say, read between two tasks of the browser.
SELECTED = """() => {
  const items = [...document.querySelector("#frame").contentDocument.querySelectorAll(".react-grid-item")];
  const plots = items.flatMap((item) => item.querySelector(".js-plotly-plot")?._fullLayout ?? []);
  const titleOf = (item) => item.querySelector(".bar > div.pull-right")?.textContent ?? "";
  const titled = (name) => items.find((item) => titleOf(item).includes(name));
  const traces = titled("Cost")?.querySelector(".js-plotly-plot").data ?? [];
  return {
    bar: document.querySelector("#look-values").textContent,
    slider: document.querySelector("#look-step").value,
    marks: plots.flatMap(({ shapes }) => shapes.map(({ x0 }) => x0)),
    graph: titled("Graph for") ? titleOf(titled("Graph for")) : "",
    samples: titleOf(titled("amples")),
    ball: traces.at(-1), tangent: traces.find(({ name }) => name.startsWith("tangent")),
    next: traces.find(({ name }) => name.startsWith("next")),
  };
}"""

# No number is on such an axis, so that whoever waits for one waits on.
NO_AXIS = {"type": None, "range": [math.nan, math.nan]}
NOT_SHOWN: dict[str, Any] = {"traces": [], "x": NO_AXIS, "y": NO_AXIS}

# How Playwright says that the frame was on its way to another page when it was asked.
ON_ITS_WAY = ("context was destroyed", "navigation", "frame was detached", "cannot find context")


class BoardPage:
    """The board's page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, url: str, *, curves: bool = True) -> Self:
        """Go there, and wait until the form, the list and (unless told not to) the curves are there."""
        self.page.goto(url, wait_until="load" if curves else "domcontentloaded")
        expect(self.page.locator("#method option").first).to_be_attached()
        expect(self.page.locator("main")).to_have_attribute("data-ready", "true")
        if curves:
            self.wait_for_curves()
        return self

    def wait_for_curves(self) -> None:
        """Return once Visdom's windows can be seen."""
        self.page.locator("iframe.ready").wait_for()
        wait_for(lambda: len(self.plots()) >= 3, "the windows")  # and a race has one of its own

    def show(self, tab: str) -> None:
        """Have the left rail show "Set up" or "Runs"."""
        found = self.page.get_by_role("tab", name=tab)
        if found.get_attribute("aria-selected") != "true":
            found.click()

    # --- the form -----------------------------------------------------------------------------------------------------

    def field(self, name: str) -> Locator:
        """The control of a parameter."""
        self.show("Set up")
        return self.page.locator(f'.field[data-name="{name}"] [name="{name}"]')

    def error(self, name: str) -> Locator:
        """What is said to be wrong with a parameter."""
        self.show("Set up")
        return self.page.locator(f'.field[data-name="{name}"] .error')

    def fill(self, **values: object) -> None:
        """Type into the fields of parameters."""
        for name, value in values.items():
            self.field(name).fill(str(value))

    def full_speed(self) -> None:
        """Let the run go as fast as it will."""
        self.show("Set up")
        self.page.get_by_label("Full speed").check()

    def start(self) -> Locator:
        """Press Start; the new run's row, which is then shown."""
        self.show("Set up")

        def is_answer(response: Response) -> bool:
            return response.request.method == "POST" and response.url.endswith("/api/runs")

        with self.page.expect_response(is_answer) as answer:
            self.page.get_by_role("button", name="Start").click()
        row = self.row(answer.value.json()["id"])
        expect(row).to_be_visible()
        return row

    # --- the runs -----------------------------------------------------------------------------------------------------

    def row(self, run_id: str) -> Locator:
        """A run in the list, which is then shown."""
        self.show("Runs")
        return self.page.locator(f'.run[data-id="{run_id}"]')

    # --- the windows --------------------------------------------------------------------------------------------------

    @property
    def curves(self) -> Frame:
        """The document in Visdom's frame."""
        handle = self.page.locator("#frame").element_handle()
        assert handle is not None
        frame = handle.content_frame()
        assert frame is not None
        return frame

    def plots(self) -> dict[str, Any]:
        """What each window shows; none does in a frame that is on its way to another page."""
        try:
            found: dict[str, Any] = self.curves.evaluate(PLOTS)
        except Error as error:
            if not any(words in error.message.lower() for words in ON_ITS_WAY):
                raise
            return {}
        return found

    def selected(self) -> dict[str, Any]:
        """What the bar of the selected run and all of its windows say at one moment."""
        found: dict[str, Any] = self.page.evaluate(SELECTED)
        return found

    def plot(self, window: str) -> dict[str, Any]:
        """What a window shows: no traces, and axes of no type, while it is not there."""
        found: dict[str, Any] = self.plots().get(window, NOT_SHOWN)
        return found

    def scaled(self, window: str, scale: str, letter: str = "y") -> dict[str, Any] | None:
        """What a window shows, if its axis has this scale."""
        found = self.plot(window)
        return found if found[letter]["type"] == scale else None

    def trace(self, window: str, number: object) -> dict[str, Any]:
        """A run's trace in a window, by the run's number; empty if it is not there."""
        return next((trace for trace in self.plot(window)["traces"] if str(trace["name"]).endswith(f"#{number}")), {})


def number_of(row: Locator) -> str:
    """The number of the run in this row."""
    return row.locator(".number").inner_text().removeprefix("#")


def sideways(page: Page) -> int:
    """How many pixels of the page lie to the right of what can be seen."""
    overflow: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return overflow
