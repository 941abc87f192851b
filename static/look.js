// One run looked at by itself, by everyone: which step of it the windows show, and of which sample the graph.

import { api } from "./api.js";
import { make } from "./dom.js";
import { figure, nameOf, whole } from "./format.js";
import { throttled } from "./timing.js";

const OFTEN = 100; // milliseconds between two steps that a dragged slider asks for
const MOST_SAMPLES = 100; // of which the graph can be drawn

const bar = document.querySelector("#look");
const line = document.querySelector("#look-line");
const shared = document.querySelector("#shared");
const cost = document.querySelector("#axes [name=cost]");
const chip = bar.querySelector(".chip");
const title = document.querySelector("#look-name");
const slider = document.querySelector("#look-step");
const values = document.querySelector("#look-values");
const latest = document.querySelector("#look-latest");
const sample = document.querySelector("#look-sample");

let run = null;
let at = null; // the step that is shown; null: the last
let chosen = null; // the step that was chosen on this page
let valued = ""; // the run and the step whose values are shown
let moving = false; // a person has moved the slider, and the board is not asked yet: what it tells is behind

let change = null;

const ask = throttled(OFTEN, (step) => {
  moving = false; // until the answer comes, `change` lets nothing older be shown
  change({ at: step });
});

/** Make the bar work. `tell` is called with what a person switches, { at: 37 } say. */
export function setUpLook(tell) {
  change = tell;
  slider.addEventListener("input", () => {
    moving = true;
    at = chosen = Number(slider.value);
    showValues();
    ask(at);
  });
  latest.addEventListener("click", () => {
    moving = false;
    change({ at: null });
  });
  sample.addEventListener("change", () => change({ sample: Number(sample.value) }));
  document.querySelector("#look-all").addEventListener("click", () => change({ run: null }));
}

/** Show what the board looks at; `looked` is its run, or null for all runs. */
export function renderLook(board, looked) {
  const other = looked?.id !== run?.id;
  run = looked;
  bar.hidden = line.hidden = !run;
  shared.hidden = Boolean(run);
  cost.parentElement.hidden = Boolean(run); // its own cost curve has the tangent, a line on a linear scale only
  if (!run) {
    return;
  }
  if (other) {
    moving = false;
    chosen = null;
    offerSamples(run, board.sample);
  }
  if (!moving) {
    at = board.at;
  }
  sample.value = board.sample;
  renderLooked(run);
}

/** The run that is looked at, as it is now. */
export function renderLooked(looked) {
  if (looked.id !== run?.id) {
    return;
  }
  run = looked;
  chip.style.backgroundColor = run.colour;
  title.textContent = nameOf(run);
  title.title = nameOf(run);
  slider.max = run.step ?? 0;
  slider.disabled = run.step === null;
  slider.value = at ?? run.step ?? 0;
  latest.setAttribute("aria-pressed", String(at === null));
  showValues();
}

function showValues() {
  latest.setAttribute("aria-pressed", String(at === null));
  if (at === null) {
    say(run.step, run.last);
    valued = "";
  } else if (valued !== `${run.id} ${at}`) {
    valued = `${run.id} ${at}`;
    fetchValues(run.id, at);
  }
}

/**
 * The values of a step are its own points; an answer that is overtaken is dropped. A script may have left out the step
 * that was chosen: then the next one is, or the windows would show the one before.
 */
const fetchValues = throttled(OFTEN, async (id, step) => {
  try {
    const points = await api("GET", `/runs/${id}/points?from_step=${step}&max_points=2`);
    if (id === run?.id && step === at && points.step.length) {
      if (step === chosen && points.step[0] !== step) {
        at = points.step[0];
        change({ at });
      }
      say(points.step[0], Object.fromEntries(Object.entries(points.metrics).map(([name, column]) => [name, column[0]])));
    }
  } catch {
    say(step, {});
    valued = ""; // the board is away; its next event asks again
  }
});

function say(step, of) {
  const known = ["loss", "w"].filter((name) => (of[name] ?? null) !== null);
  const figures = known.map((name) => `${name} ${figure(of[name])}`);
  const before = known.length === 2 && updates(run); // the loss is that of w before the step
  const when = `step ${step === null ? "–" : whole(step)}`;
  values.textContent = [when, ...(before ? [figures.join(" → ")] : figures)].join("  ·  ");
  values.title = before ? "The loss before this step's update, and w after it" : "";
  slider.setAttribute("aria-valuetext", [when, ...figures].join(", "));
}

/** Whether each step of a run is an update of w: a search tries its w, and of a script nobody knows. */
function updates({ method, params }) {
  return method !== "external" && "lr" in params;
}

/** Bring the bar into sight, and below it what it is about: on a narrow page the windows are far down. */
export function showLook() {
  if (run) {
    bar.parentElement.scrollIntoView();
  }
}

/** Only a network has a graph. */
async function offerSamples(looked, chosen) {
  sample.parentElement.hidden = looked.method !== "backprop";
  if (sample.parentElement.hidden) {
    return;
  }
  const { x, y } = await api("GET", `/runs/${looked.id}/data`).catch(() => ({ x: [], y: [] }));
  if (looked.id === run?.id) {
    const options = x.slice(0, MOST_SAMPLES).map((value, n) => {
      return make("option", { value: n, textContent: `${n + 1}: x ${figure(value)}, y ${figure(y[n])}` });
    });
    sample.replaceChildren(...options);
    sample.value = chosen;
  }
}
