// The bar of the selected run: which step of it the windows show, its values, and of which sample the graph is drawn.

/** @import { Figure, Method, Run, State } from "./types.d.ts" */

import { api } from "./api.js";
import { find, make } from "./dom.js";
import { figure, flawsOf, nameOf, whole } from "./format.js";
import { methodOf, state } from "./state.js";
import { throttled } from "./timing.js";
import { changeView, dragToStep, selectRun, showStep } from "./view.js";

const FETCH_INTERVAL_MS = 100; // between two requests for the values of a step
const MAX_SAMPLES = 100; // of which the graph can be drawn

const bar = find("#look", HTMLElement);
const line = find("#look-line", HTMLElement);
const chip = find(".chip", HTMLElement, bar);
const title = find("#look-name", HTMLElement);
const slider = find("#look-step", HTMLInputElement);
const values = find("#look-values", HTMLOutputElement);
const latest = find("#look-latest", HTMLButtonElement);
const flaws = find("#look-flaws", HTMLElement);
const sample = find("#look-sample", HTMLSelectElement);
const sampleLabel = find("label:has(#look-sample)", HTMLLabelElement, bar);

let shown = ""; // the id of the run in the bar
/** @type {number | null} */
let chosen = null; // the step that was chosen with this page's slider
let valued = ""; // the run and the step whose values are shown

slider.addEventListener("input", () => {
  chosen = Number(slider.value);
  dragToStep(chosen);
});
latest.addEventListener("click", () => showStep(null));
sample.addEventListener("change", () => changeView({ sample: Number(sample.value) }));
find("#look-all", HTMLButtonElement).addEventListener("click", () => selectRun(null));

/** @param {State} state */
export function renderSelectedRun({ methods, view, selected: run }) {
  const isHidden = !run || !view || !methods.length;
  bar.hidden = line.hidden = isHidden;
  flaws.hidden = isHidden || !flawsOf(run);
  if (isHidden) {
    shown = "";
    return;
  }
  if (run.id !== shown) {
    shown = run.id;
    chosen = null;
    offerSamples(run, methodOf(state, run));
  }
  sample.value = String(view.sample);
  chip.style.backgroundColor = run.colour;
  flaws.textContent = flawsOf(run);
  title.textContent = title.title = nameOf(run);
  slider.max = String(run.step ?? 0);
  slider.disabled = run.step === null;
  slider.value = String(view.at ?? run.step ?? 0);
  latest.setAttribute("aria-pressed", String(view.at === null));
  renderValues(run, view.at);
}

/**
 * @param {Run} run
 * @param {number | null} at
 */
function renderValues(run, at) {
  if (at === null) {
    showValues(run, run.step, run.last);
    valued = "";
  } else if (valued !== `${run.id} ${at}`) {
    valued = `${run.id} ${at}`;
    fetchValues(run, at);
  }
}

/**
 * Show the values of a step, which are those of its own point; a response that was overtaken is dropped. If a script
 * has left out the step that was chosen here, the next one is chosen: the windows would show the one before.
 */
const fetchValues = throttled(FETCH_INTERVAL_MS, async (/** @type {Run} */ run, /** @type {number} */ at) => {
  try {
    const { step: steps, metrics } = await api("GET", `/runs/${run.id}/points?from_step=${at}&max_points=2`);
    if (run.id === state.selected?.id && at === state.view?.at && steps.length) {
      if (at === chosen && steps[0] !== at) {
        valued = `${run.id} ${steps[0]}`;
        showStep(steps[0]);
      }
      showValues(run, steps[0], Object.fromEntries(Object.entries(metrics).map(([name, column]) => [name, column[0]])));
    }
  } catch {
    showValues(run, at, {});
    valued = ""; // the board is away: the next change asks again
  }
});

/**
 * @param {Run} run
 * @param {number | null} step
 * @param {Record<string, Figure | null>} metrics
 */
function showValues(run, step, metrics) {
  const figures = ["loss", "w"].flatMap((name) => {
    const value = metrics[name] ?? null;
    return value === null ? [] : [`${name} ${figure(value)}`];
  });
  // of a search and of a script, the loss need not be that of w before an update
  const isUpdate = figures.length === 2 && methodOf(state, run)?.kind === "descent";
  const when = `step ${step === null ? "–" : whole(step)}`;
  values.textContent = [when, ...(isUpdate ? [figures.join(" → ")] : figures)].join("  ·  ");
  values.title = isUpdate ? "The loss before this step's update, and w after it" : "";
  slider.setAttribute("aria-valuetext", [when, ...figures].join(", "));
}

/** Bring the bar into sight, and what it is about below it: on a narrow page the windows are far down. */
export function scrollToSelectedRun() {
  if (state.selected) {
    bar.parentElement?.scrollIntoView();
  }
}

/**
 * Offer the samples whose graph can be drawn, if the method has one.
 *
 * @param {Run} run
 * @param {Method} [method] undefined for a script's
 */
async function offerSamples(run, method) {
  sampleLabel.hidden = !method?.graph;
  if (sampleLabel.hidden) {
    return;
  }
  const { x, y } = await api("GET", `/runs/${run.id}/data`).catch(() => ({ x: [], y: [] }));
  if (run.id === shown) {
    const options = x.slice(0, MAX_SAMPLES).map((/** @type {number} */ value, /** @type {number} */ n) => {
      return make("option", { value: String(n), textContent: `${n + 1}: x ${figure(value)}, y ${figure(y[n])}` });
    });
    sample.replaceChildren(...options);
    sample.value = String(state.view?.sample ?? 0);
  }
}
