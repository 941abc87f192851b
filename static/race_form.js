// The form's part for a race: the same run several times over with one thing different.

/** @import { Method, RunRequest, State, Vary } from "./types.d.ts" */

import { startRace } from "./actions.js";
import { find, make } from "./dom.js";
import { fixedField } from "./fields.js";
import { addFields, paramsInForm, submitForm } from "./form.js";
import { figure } from "./format.js";
import { numberIn, numbersIn } from "./numbers.js";
import { FieldError, plain } from "./refusals.js";
import { state } from "./state.js";

const MAX_RATES = 50; // that "5 from 0.01 to 0.3" may ask for; of a longer list the board says what it takes
const NOT_PLANNED = ["steps_per_second", "predict_at", "device"]; // how fast and where, which is the same for all
const ADVICE = "write a decimal point, as in 0.1, and commas between the rates.";

const panel = find("#race", HTMLElement);
const opener = find("#race-open", HTMLButtonElement);
const what = find("#race-what", HTMLSelectElement);
const rates = find("#race-rates", HTMLInputElement);
const choices = find("#race-methods", HTMLFieldSetElement);
const boxes = find(".boxes", HTMLElement, choices);
const plan = find("#race-plan", HTMLUListElement);
const form = find("#form", HTMLFormElement);

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
for (const kind of ["input", "change", "filled"]) {
  form.addEventListener(kind, renderPlan);
}
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
  renderPlan();
}

/** What each of the chosen methods will run with. */
function renderPlan() {
  const values = paramsInForm();
  plan.replaceChildren(...racingMethods(chosenMethods()).map(({ title, params_schema: { properties } }) => {
    const parts = Object.entries(properties).filter(([name]) => !NOT_PLANNED.includes(name)).map(([name, schema]) => {
      return `${(schema.title ?? name).toLowerCase()} ${figure(values[name] ?? schema.default)}`;
    });
    return make("li", {}, make("b", { textContent: title }), `: ${parts.join(", ")}`);
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
  renderPlan();
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
  return { ...rest, params: knownParams({ ...paramsInForm(), ...params }, names), vary: { method: names } };
}

/**
 * Those parameters that at least one of the methods has: the board gives each those that it knows.
 *
 * @param {Record<string, any>} params
 * @param {string[]} names of methods
 */
function knownParams(params, names) {
  const methods = racingMethods(names);
  const isKnown = (/** @type {string} */ param) => methods.some((method) => param in method.params_schema.properties);
  return Object.fromEntries(Object.entries(params).filter(([name, value]) => (value ?? null) !== null && isKnown(name)));
}

/** @param {string[]} names */
function racingMethods(names) {
  return state.methods.filter(({ name }) => names.includes(name));
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
  const schema = state.method?.params_schema.properties.lr;
  if (!schema) {
    throw new FieldError(`${state.method?.title} has no learning rate: choose another method above.`);
  }
  const found = /^\s*(\S+)\s+from\s+(\S+)\s+to\s+(\S+)\s*$/i.exec(text);
  const rates = found ? spacedRates(found.slice(1)) : listedRates(text);
  const { exclusiveMinimum: low = 0, maximum: high = Infinity } = schema;
  const wrong = rates.find((rate) => !(rate > low && rate <= high));
  if (wrong !== undefined) {
    throw new FieldError(`${plain(wrong)} is no learning rate: write numbers above ${plain(low)}, up to ${plain(high)}.`);
  }
  return rates;
}

/** @param {string} text */
function listedRates(text) {
  const commas = /(?:^|\s)(0,\d+)/.exec(text);
  if (commas && !text.includes(";")) { // between semicolons it is one number
    throw new FieldError(`“${commas[1]}” would be two rates, ${commas[1].replace(",", " and ")}: ${ADVICE}`);
  }
  const rates = numbersIn(text, "The list");
  if (rates.length < 2) {
    throw new FieldError("A race needs two learning rates or more, such as 0.01, 0.05, 0.1.");
  }
  return rates;
}

/** @param {string[]} words the count, the first rate and the last */
function spacedRates(words) {
  const [count, from, to] = words.map((word) => numberIn(word) ?? NaN);
  if (!Number.isInteger(count) || count < 2 || count > MAX_RATES) {
    throw new FieldError(`“${words[0]}” is no number of rates: write 2 to ${MAX_RATES}, such as 5 from 0.01 to 0.3.`);
  }
  if (from <= 0 || to <= 0) {
    return [from, to];
  }
  return Array.from({ length: count }, (_, at) => {
    const part = at / (count - 1);
    return part === 1 ? to : Number((from * (to / from) ** part).toPrecision(3));
  });
}
