// The controls of the shared view: log scales, what runs along the curves, the average, and the range of steps.

/** @import { State, View } from "./types.d.ts" */

import { find } from "./dom.js";
import { changeView } from "./view.js";
import { leaveZooms, zoomedRange } from "./visdom_frame.js";

const axes = find("#axes", HTMLFieldSetElement);
const boxes = [...axes.querySelectorAll("input")];
const cost = find("label:has([name=cost])", HTMLLabelElement, axes);
const shared = find("#shared", HTMLElement);
const along = find("#along", HTMLSelectElement);
const smoothing = find("#smoothing", HTMLSelectElement);
const range = find("#detail", HTMLFormElement);
const from = find("[name=from_step]", HTMLInputElement, range);
const to = find("[name=to_step]", HTMLInputElement, range);
const whole = find("#whole", HTMLButtonElement);

/** @type {View | null} */
let shown = null; // what is typed, and not sent yet, stays while the view does

axes.addEventListener("change", ({ target }) => {
  const { name, checked } = /** @type {HTMLInputElement} */ (target);
  changeView({ axes: { [name]: checked ? "log" : "linear" } });
});
along.addEventListener("change", () => changeView({ x: /** @type {View["x"]} */ (along.value) }));
smoothing.addEventListener("change", () => changeView({ smoothing: Number(smoothing.value) }));
range.addEventListener("submit", (event) => {
  event.preventDefault();
  const detail = typedRange() ?? (along.value === "step" ? zoomedRange() : null);
  if (!detail) {
    from.focus();
    return;
  }
  if (document.activeElement instanceof HTMLElement && range.contains(document.activeElement)) {
    document.activeElement.blur();
  }
  changeView({ detail });
});
whole.addEventListener("click", () => {
  range.reset();
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
  along.value = view.x;
  if (![...smoothing.options].some(({ value }) => Number(value) === view.smoothing)) {
    smoothing.add(new Option(`${view.smoothing} steps`, String(view.smoothing))); // set by a script
  }
  smoothing.value = String(view.smoothing);
  whole.hidden = !view.detail;
  if (!range.contains(document.activeElement)) {
    from.value = String(view.detail?.from_step ?? "");
    to.value = String(view.detail?.to_step ?? "");
  }
}

/** The range in the two fields; null if both are empty. What is no number is null in it, and refused by the board. */
function typedRange() {
  const isEmpty = (/** @type {HTMLInputElement} */ field) => field.value === "" && !field.validity.badInput;
  if (isEmpty(from) && isEmpty(to)) {
    return null;
  }
  return {
    from_step: isEmpty(from) ? 0 : from.valueAsNumber,
    to_step: isEmpty(to) ? Number.MAX_SAFE_INTEGER : to.valueAsNumber,
  };
}
