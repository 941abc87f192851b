// The bar of the selected run: which position of it the windows show, its values, and of which sample the graph is drawn.

/** @import { Method, Run, RunState, State } from "./types.d.ts" */

import { api } from "./api.js";
import { find, make } from "./dom.js";
import { figure, flawsOf, nameOf, whole } from "./format.js";
import { methodOf, state } from "./state.js";
import { throttled } from "./timing.js";
import { shownPosition } from "./visdom_frame.js";
import { changeView, dragToStep, selectRun, showStep } from "./view.js";

const FETCH_INTERVAL_MS = 100; // between two requests for the step after the chosen one
const MAX_SAMPLES = 100; // of which the graph can be drawn
const MAX_TOLD = 100; // states that are kept until the windows show them

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
/** @type {RunState[]} */
let told = []; // states of that run, the newest last: the windows show one of them, or soon will
/** @type {RunState | null} */
let current = null; // the one that the bar shows
let isLooking = false; // whether the windows are looked at again in the next animation frame

slider.addEventListener("input", () => {
  const run = state.selected;
  if (run) {
    chosen = Number(slider.value) - stepsBefore(run);
    dragToStep(chosen);
    if (!isDescent(run)) {
      goToNextStep(run, chosen);
    }
  }
});
window.addEventListener("windowdrawn", () => renderSelectedRun(state)); // in Visdom's frame (plot_guard.js)
latest.addEventListener("click", () => showStep(null));
sample.addEventListener("change", () => changeView({ sample: Number(sample.value) }));
find("#look-all", HTMLButtonElement).addEventListener("click", () => selectRun(null));

/** @param {State} state */
export function renderSelectedRun({ methods, view, selected: run, runState, visdom }) {
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
    told = [];
    current = null;
    offerSamples(run, methodOf(state, run));
  }
  sample.value = String(view.sample);
  chip.style.backgroundColor = run.colour;
  flaws.textContent = flawsOf(run);
  title.textContent = title.title = nameOf(run);
  if (runState?.run !== run.id) {
    told = [];
  } else if (runState !== told.at(-1)) {
    told = [...told.slice(-MAX_TOLD), runState];
  }
  renderSlider(run, view.at);
  renderState(run, visdom?.state === "up");
}

/**
 * The slider is where the view is, which may be ahead of the windows.
 *
 * @param {Run} run
 * @param {number | null} at
 */
function renderSlider(run, at) {
  const newest = told.at(-1);
  slider.min = String(newest?.first ?? 0);
  slider.max = String(newest?.updates ?? 0);
  slider.disabled = !newest || newest.first === newest.updates;
  slider.value = at === null ? slider.max : String(at + stepsBefore(run));
  latest.setAttribute("aria-pressed", String(at === null));
}

/**
 * The text is of what the windows show, and names it. The browser draws them some time after the board has sent them
 * and told of their state: until then the text stays as it is.
 *
 * @param {Run} run
 * @param {boolean} hasWindows
 */
function renderState(run, hasWindows) {
  const newest = told.at(-1) ?? null;
  const position = hasWindows ? shownPosition(run.id) : undefined;
  const isSeen = newest !== null && position !== undefined;
  current = isSeen ? told.findLast((one) => one.position === position) ?? current : newest;
  if (current !== newest && !isLooking) {
    isLooking = true;
    requestAnimationFrame(lookAgain);
  }
  const parts = current ? [positionOf(run, current), ...figuresOf(current)] : [];
  values.textContent = parts.join("  ·  ");
  slider.setAttribute("aria-valuetext", parts.join(", "));
}

function lookAgain() {
  isLooking = false;
  renderSelectedRun(state);
}

/** @param {Run} run */
function isDescent(run) {
  return methodOf(state, run)?.kind === "descent";
}

/**
 * How far a position is from the step of the point that has led there: after k updates, step k - 1 is the last stored.
 *
 * @param {Run} run
 */
function stepsBefore(run) {
  return isDescent(run) ? 1 : 0;
}

/**
 * @param {Run} run
 * @param {RunState} told
 */
function positionOf(run, { position }) {
  if (position === null) {
    return "step –";
  }
  return isDescent(run) ? `after ${whole(position)} update${position === 1 ? "" : "s"}` : `step ${whole(position)}`;
}

/** The losses that are not the cost over all data, by what they belong to. */
const LOSSES = {
  sample: "loss of the next sample",
  batch: "loss of the next batch",
  update: "loss of the next update",
  sum: "sum of losses",
  point: "loss",
};

/**
 * The numbers of a state in words.
 *
 * @param {RunState} state
 */
function figuresOf({ values: { w, b, cost, gradient, gradient_b, gradient_length, loss }, loss_of }) {
  const slope = gradient_b === undefined ? gradient : `(${figure(gradient)}, ${figure(gradient_b)})`;
  const parts = [
    ["w", w],
    ["b", b],
    ["cost", cost],
    ["gradient", slope],
    ["gradient's length", gradient_length],
    [loss_of ? LOSSES[loss_of] : "", loss],
  ];
  return parts.filter(([name, value]) => name && value !== undefined).map(([name, value]) => `${name} ${figure(value)}`);
}

/**
 * If a script has left out the step that was chosen here, choose the next one: the windows show the one before, and an
 * arrow key would never come further.
 */
const goToNextStep = throttled(FETCH_INTERVAL_MS, async (/** @type {Run} */ run, /** @type {number} */ at) => {
  const { step: steps } = await api("GET", `/runs/${run.id}/points?from_step=${at}&max_points=2`).catch(() => ({ step: [] }));
  if (run.id === state.selected?.id && at === chosen && at === state.view?.at && steps.length && steps[0] !== at) {
    showStep(steps[0]);
  }
});

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
