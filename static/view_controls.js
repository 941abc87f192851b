// The controls of the shared view: log scales, what runs along the curves, the average, and the range of steps.

/** @import { State, View } from "./types.d.ts" */

import { find } from "./dom.js";
import { complaints, takeNumbers } from "./fields.js";
import { numberIn } from "./numbers.js";
import { FieldError, plain } from "./refusals.js";
import { state } from "./state.js";
import { changeView } from "./view.js";
import { leaveZooms, zoomedRange } from "./zoom.js";

const FARTHEST = Number.MAX_SAFE_INTEGER; // where a range ends of which only the other end is written

const axes = find("#axes", HTMLFieldSetElement);
const boxes = [...axes.querySelectorAll("input")];
const cost = find("label:has([name=cost])", HTMLLabelElement, axes);
const shared = find("#shared", HTMLElement);
const along = find("#along", HTMLSelectElement);
const smoothing = find("#smoothing", HTMLSelectElement);
const range = find("#detail", HTMLFormElement);
const from = find("[name=from_step]", HTMLInputElement, range);
const to = find("[name=to_step]", HTMLInputElement, range);
const error = find("#detail-error", HTMLElement);
const [fromField, toField] = [from, to].map((input) => ({ input, ...complaints(inputLabel(input), input, error) }));
const whole = find("#whole", HTMLButtonElement);

/** @type {View | null} */
let shown = null; // what is typed, and not sent yet, stays while the view does
let isJudged = false; // whether a range was refused: what is typed is then judged at once

[from, to].forEach((input) => takeNumbers(input));

axes.addEventListener("change", ({ target }) => {
  const { name, checked } = /** @type {HTMLInputElement} */ (target);
  changeView({ axes: { [name]: checked ? "log" : "linear" } });
});
along.addEventListener("change", () => changeView({ x: along.value }));
smoothing.addEventListener("change", () => changeView({ smoothing: Number(smoothing.value) }));
range.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = judgeRange();
  isJudged = typed === undefined;
  if (typed === undefined) {
    return;
  }
  const detail = typed ?? (along.value === "step" ? zoomedRange() : null);
  if (!detail) {
    from.focus();
    return;
  }
  if (document.activeElement instanceof HTMLElement && range.contains(document.activeElement)) {
    document.activeElement.blur();
  }
  changeView({ detail });
});
range.addEventListener("input", () => isJudged && judgeRange());
whole.addEventListener("click", () => {
  range.reset();
  acceptRange();
  leaveZooms();
  changeView({ detail: null });
});

/** @param {State} state */
export function renderViewControls({ view, selected }) {
  shared.hidden = Boolean(selected);
  cost.hidden = Boolean(selected); // its own cost curve has the tangent: a line on a linear scale only
  if (!view || view === shown) {
    return;
  }
  shown = view;
  for (const box of boxes) {
    box.checked = view.axes[box.name] === "log";
  }
  if (![...along.options].some(({ value }) => value === view.x)) {
    along.add(new Option(view.x.replace(/^metric:/, ""), view.x));
  }
  along.value = view.x;
  if (![...smoothing.options].some(({ value }) => Number(value) === view.smoothing)) {
    smoothing.add(new Option(`${plain(view.smoothing)} steps`, String(view.smoothing))); // set by a script
  }
  smoothing.value = String(view.smoothing);
  whole.hidden = !view.detail;
  if (!range.contains(document.activeElement)) {
    acceptRange();
    from.value = stepText(view.detail?.from_step);
    to.value = stepText(view.detail?.to_step);
  }
}

function acceptRange() {
  [fromField, toField].forEach((field) => field.accept());
  isJudged = false;
}

/** @param {number} [step] of a range; where it has no end nothing was written */
function stepText(step = FARTHEST) {
  return Math.abs(step) === FARTHEST ? "" : String(step);
}

/** @param {HTMLInputElement} input */
function inputLabel({ labels }) {
  return /** @type {HTMLElement} */ (labels?.[0]);
}

/**
 * The range in the two fields; null if both are empty, undefined if it cannot be shown: then the fields tell why.
 *
 * @returns {View["detail"] | undefined}
 */
function judgeRange() {
  const fields = [fromField, toField];
  fields.forEach((field) => field.accept());
  /** @type {string[]} */
  const wrong = [];
  const [first, last] = fields.map((field) => readStep(field, wrong));
  if (first === undefined || last === undefined) {
    error.textContent = wrong.join(" "); // the two fields have one place for it
    return undefined;
  }
  if (first !== null && last !== null && first > last) {
    toField.refuse(`${plain(last)} comes before ${plain(first)}: write the smaller step first.`);
    return undefined;
  }
  const earliest = areStepsCounted() ? 0 : -FARTHEST;
  return first === null && last === null ? null : { from_step: first ?? earliest, to_step: last ?? FARTHEST };
}

/**
 * The step in a field; null if it is empty, undefined if what is in it is no step: then the field tells why.
 *
 * @param {typeof fromField} field
 * @param {string[]} wrong to which is added what the field tells
 */
function readStep({ input, refuse }, wrong) {
  try {
    const step = numberIn(input.value, areStepsCounted()) ?? null;
    if (step !== null && areStepsCounted() && !(Number.isInteger(step) && step >= 0)) {
      throw new FieldError(`${plain(step)} is no step: they are whole numbers, from 0 on.`);
    }
    if (step !== null && Math.abs(step) > FARTHEST) {
      throw new FieldError(`${plain(step)} is too far: write a step up to ${plain(FARTHEST)}.`);
    }
    return step;
  } catch (reason) {
    if (!(reason instanceof FieldError)) {
      throw reason;
    }
    refuse(reason.message);
    wrong.push(reason.message);
    return undefined;
  }
}

/** Whether all steps are counted, as those of the methods are; a script may send any number as a step. */
function areStepsCounted() {
  return ![...state.runs.values()].some(({ method }) => method === "external");
}
