// The form's part for a race: the same run several times over with one thing different.

/** @import { Method, RunRequest, State, Vary } from "./types.d.ts" */

import { startRace } from "./actions.js";
import { find, make } from "./dom.js";
import { fixedField } from "./fields.js";
import { addFields, submitForm } from "./form.js";
import { numbersIn } from "./numbers.js";
import { FieldError } from "./refusals.js";
import { state } from "./state.js";

const MAX_RATES = 50; // that "5 from 0.01 to 0.3" may ask for; of a longer list the board says what it takes

const panel = find("#race", HTMLElement);
const opener = find("#race-open", HTMLButtonElement);
const what = find("#race-what", HTMLSelectElement);
const rates = find("#race-rates", HTMLInputElement);
const choices = find("#race-methods", HTMLFieldSetElement);
const boxes = find(".boxes", HTMLElement, choices);

const ratesField = fixedField("vary-lr", rates);
const methodsField = fixedField("vary-method", choices, choices);
addFields(ratesField, methodsField);

/** @type {Method[]} */
let offered = [];

opener.addEventListener("click", () => open(Boolean(panel.hidden)));
what.addEventListener("change", renderWhat);
rates.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault(); // the form's Enter starts one run
    submitRace();
  }
});
find("#race-start", HTMLButtonElement).addEventListener("click", submitRace);

/** @param {State} state */
export function renderMethodChoices({ methods }) {
  if (methods === offered) {
    return;
  }
  offered = methods;
  const chosen = chosenMethods();
  boxes.replaceChildren(...methods.map(({ name, title }) => {
    const box = make("input", { type: "checkbox", value: name, checked: chosen.includes(name) });
    return make("label", {}, box, title);
  }));
}

/**
 * Fill in what varies; null closes the race, as one run is to be started.
 *
 * @param {Vary | null} vary
 */
export function fillRace(vary) {
  open(Boolean(vary));
  if (vary?.lr) {
    what.value = "lr";
    rates.value = vary.lr.join(", ");
  } else if (vary?.method) {
    what.value = "method";
    for (const box of boxes.querySelectorAll("input")) {
      box.checked = vary.method.includes(box.value);
    }
  }
  renderWhat();
}

/** Start the race that is filled in; then the list has the panel's room. */
export function submitRace() {
  return submitForm(async (request) => {
    await startRace(request);
    open(false);
  }, raceRequest);
}

/** @param {boolean} isOpen */
function open(isOpen) {
  panel.hidden = !isOpen;
  opener.setAttribute("aria-expanded", String(isOpen));
  if (isOpen) {
    panel.scrollIntoView({ block: "nearest" });
  }
}

function renderWhat() {
  ratesField.accept();
  methodsField.accept();
  ratesField.element.hidden = what.value !== "lr";
  choices.hidden = what.value !== "method";
}

/**
 * The request for a run as one for a race. `readField` returns what `read` does, and marks a field that cannot be sent.
 *
 * @param {RunRequest} request
 * @param {import("./form.js").ReadField} readField
 * @returns {RunRequest}
 */
function raceRequest({ method, params, ...rest }, readField) {
  if (what.value === "lr") {
    const others = Object.entries(params).filter(([name]) => name !== "lr");
    const vary = { lr: readField({ ...ratesField, read: () => ratesIn(rates.value) }) };
    return { ...rest, method, params: Object.fromEntries(others), vary };
  }
  const names = readField({ ...methodsField, read: readMethods }) ?? [];
  return { ...rest, params: sharedParams(params, names), vary: { method: names } };
}

/**
 * Those parameters that all the methods have.
 *
 * @param {Record<string, any>} params
 * @param {string[]} names of methods
 */
function sharedParams(params, names) {
  const methods = state.methods.filter(({ name }) => names.includes(name));
  const isShared = (/** @type {string} */ param) => methods.every((method) => param in method.params_schema.properties);
  return Object.fromEntries(Object.entries(params).filter(([name]) => isShared(name)));
}

function readMethods() {
  const names = chosenMethods();
  if (names.length < 2) {
    throw new FieldError("Choose two methods or more.");
  }
  return names;
}

function chosenMethods() {
  return [...boxes.querySelectorAll("input")].filter(({ checked }) => checked).map(({ value }) => value);
}

/**
 * Rates from "0.01, 0.05, 0.1", or from "5 from 0.01 to 0.3": evenly along the slider, so by the same factor from each
 * to the next.
 *
 * @param {string} text
 */
function ratesIn(text) {
  const found = /^\s*(\d+)\s+from\s+(\S+)\s+to\s+(\S+)\s*$/i.exec(text);
  if (!found) {
    const listed = numbersIn(text, "The list");
    if (listed.length < 2) {
      throw new FieldError("A race needs two learning rates or more, such as 0.01, 0.05, 0.1.");
    }
    return listed;
  }
  const [count, from, to] = found.slice(1).map(Number);
  if (count < 2 || count > MAX_RATES || !(from > 0) || !(to > 0) || !Number.isFinite(from * to)) {
    throw new FieldError(`Write 2 to ${MAX_RATES} learning rates above 0, such as 5 from 0.01 to 0.3.`);
  }
  return Array.from({ length: count }, (_, at) => {
    const part = at / (count - 1);
    return part === 1 ? to : Number((from * (to / from) ** part).toPrecision(3));
  });
}
