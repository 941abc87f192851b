// Fields of the form, each made from the JSON Schema of a parameter.

/** @import { Complaints, Control, Field, Schema } from "./types.d.ts" */

import { make } from "./dom.js";
import { numberIn, numbersIn } from "./numbers.js";
import { plain } from "./refusals.js";

const WATCHABLE_PACE = 25; // steps per second that one can follow

/**
 * The field of a parameter that needs no control of its own.
 *
 * @param {string} name
 * @param {Schema} schema
 * @returns {Field}
 */
export function plainField(name, schema) {
  const { enum: values, type } = withoutNull(schema);
  if (values) {
    return makeField(name, schema, selectControl(values));
  }
  if (type === "boolean") {
    return makeField(name, schema, checkboxControl());
  }
  if (type === "string") {
    return makeField(name, schema, textControl());
  }
  const control = numberControl(schema);
  control.input.addEventListener("keydown", moveByKey);
  return makeField(name, schema, control);
}

/**
 * A field of numbers with commas between.
 *
 * @param {string} name
 * @param {string} help
 * @param {number[]} value at first
 * @returns {Field}
 */
export function listField(name, help, value) {
  const { input, write } = textControl();
  const control = {
    input,
    read: () => numbersIn(input.value, name),
    write: (/** @type {number[]} */ numbers) => write(numbers.join(", ")),
  };
  return makeField(name, { title: name, description: help, default: value }, control);
}

/**
 * A label, the control, a help text for screen readers, and a place for what is wrong.
 *
 * @param {string} name
 * @param {Schema} schema
 * @param {Control} control
 * @returns {Field}
 */
export function makeField(name, schema, { input, read, write, extra = [] }) {
  const id = `field-${name}`;
  input.id = id;
  input.name = name;
  input.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  const error = make("p", { id: `${id}-error`, className: "error", hidden: true });
  const label = make("label", { htmlFor: id, textContent: schema.title ?? name });
  const help = make("span", { id: `${id}-help`, className: "hidden", textContent: helpOf(schema) });
  const element = make("div", { className: "field" }, label, input, ...extra, error, help);
  element.dataset.name = name;
  if (schema.default !== undefined && schema.default !== null) {
    write(schema.default);
  }
  return { name, element, input, read, write, ...complaints(element, input, error) };
}

/**
 * A field whose input stands in the page's HTML.
 *
 * @param {string} name
 * @param {HTMLElement} input
 * @param {HTMLElement | null} element
 */
export function fixedField(name, input, element = input.closest(".field")) {
  if (!element) {
    throw new TypeError(`The input of ${name} is in no field.`);
  }
  const error = make("p", { id: `${input.id}-error`, className: "error", hidden: true });
  element.append(error);
  input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), error.id].filter(Boolean).join(" "));
  return { name, element, input, ...complaints(element, input, error) };
}

/**
 * @param {HTMLElement} element
 * @param {HTMLElement} input
 * @param {HTMLElement} error
 * @returns {Complaints}
 */
export function complaints(element, input, error) {
  return {
    refuse(message) {
      error.textContent = message;
      error.hidden = false;
      element.classList.add("wrong");
      input.setAttribute("aria-invalid", "true");
    },
    accept() {
      error.hidden = true;
      element.classList.remove("wrong");
      input.removeAttribute("aria-invalid");
    },
  };
}

/**
 * A schema that also allows null is, for the form, the schema of its other values.
 *
 * @param {Schema} schema
 */
function withoutNull(schema) {
  return schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
}

/**
 * The description and the bounds, which the board checks and the form only tells.
 *
 * @param {Schema} schema
 */
function helpOf(schema) {
  const { exclusiveMinimum, minimum = Infinity, maximum = Infinity } = withoutNull(schema);
  const bounds = [];
  if (exclusiveMinimum !== undefined) {
    bounds.push(`more than ${plain(exclusiveMinimum)}`);
  }
  if (Math.abs(minimum) < 1e100) {
    bounds.push(`at least ${plain(minimum)}`);
  }
  if (Math.abs(maximum) < 1e100) {
    bounds.push(`at most ${plain(maximum)}`);
  }
  const text = bounds.join(", ");
  return [schema.description ?? "", text && `${text.charAt(0).toUpperCase()}${text.slice(1)}.`].join(" ").trim();
}

// --- controls --------------------------------------------------------------------------------------------------------

function textControl() {
  const input = make("input", { type: "text", autocomplete: "off", spellcheck: false });
  return {
    input,
    read: () => input.value || undefined,
    write: (/** @type {string} */ value) => {
      input.value = value;
    },
  };
}

/** @param {Schema} schema */
export function numberControl(schema) {
  const isInteger = withoutNull(schema).type === "integer";
  const input = make("input", {});
  takeNumbers(input, isInteger);
  input.placeholder = schema.default ?? "";
  return {
    input,
    read: () => numberIn(input.value, isInteger),
    write: (/** @type {number | null} */ value) => {
      input.value = String(value ?? "");
      tellValue(input);
    },
  };
}

/**
 * Make a number's field of an input. Its type is text: a field of type number drops what it does not know, so that
 * "0,5" becomes 5 and a pasted "−1" becomes 1, and it does not tell what was typed.
 *
 * @param {HTMLInputElement} input
 * @param {boolean} [isInteger]
 */
export function takeNumbers(input, isInteger = false) {
  input.type = "text";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.inputMode = isInteger ? "numeric" : "decimal";
  input.setAttribute("role", "spinbutton");
  input.addEventListener("input", () => tellValue(input));
}

/** @param {HTMLInputElement} input a number's field, whose value screen readers are told */
function tellValue(input) {
  const value = numberOr(NaN, input);
  if (Number.isNaN(value)) {
    input.removeAttribute("aria-valuenow");
  } else {
    input.setAttribute("aria-valuenow", String(value));
  }
}

/**
 * The number in a field, or another one where there is none.
 *
 * @param {number} fallback
 * @param {HTMLInputElement} input
 */
export function numberOr(fallback, input) {
  try {
    return numberIn(input.value) ?? fallback;
  } catch {
    return NaN; // half typed
  }
}

/**
 * Arrows go to the next number up or down, as in a field of type number.
 *
 * @param {KeyboardEvent} event
 */
export function moveByKey(event) {
  const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  const input = event.currentTarget;
  if (!by || !(input instanceof HTMLInputElement)) {
    return;
  }
  event.preventDefault();
  const value = numberOr(Number(input.placeholder) || 0, input);
  if (!Number.isNaN(value)) {
    input.value = String(Number((value + by).toPrecision(15)));
    for (const kind of ["input", "change"]) {
      input.dispatchEvent(new Event(kind, { bubbles: true }));
    }
  }
}

/** @param {string[]} values */
function selectControl(values) {
  const input = make("select", {}, ...values.map((value) => make("option", { value, textContent: value })));
  return {
    input,
    read: () => values[input.selectedIndex],
    write: (/** @type {string} */ value) => {
      input.selectedIndex = values.indexOf(value);
    },
  };
}

function checkboxControl() {
  const input = make("input", { type: "checkbox" });
  return {
    input,
    read: () => input.checked,
    write: (/** @type {boolean} */ value) => {
      input.checked = value;
    },
  };
}

/**
 * How fast a run goes: so many steps a second, or as fast as it can. Until a person chooses, `suggest` does.
 *
 * @param {string} name
 * @param {Schema} schema
 * @returns {Field}
 */
export function paceField(name, schema) {
  const withoutDefault = { ...schema, title: "Speed", default: null };
  const { input } = numberControl(withoutDefault);
  input.addEventListener("keydown", moveByKey);
  const full = make("input", { type: "checkbox" });
  const unit = make("span", { className: "unit", textContent: "steps/s" });
  const fullLabel = make("label", { className: "check" }, full, make("span", { textContent: "Full speed" }));
  let isChosen = false;
  const show = (/** @type {number | null} */ pace) => {
    full.checked = pace === null;
    input.value = String(pace ?? "");
    input.disabled = full.checked;
    input.placeholder = full.checked ? "–" : "";
  };
  full.addEventListener("input", () => {
    isChosen = true;
    show(full.checked ? null : WATCHABLE_PACE);
  });
  input.addEventListener("input", () => {
    isChosen = true;
  });
  const write = (/** @type {number | null | undefined} */ pace) => {
    isChosen = true;
    show(pace ?? null);
  };
  const read = () => (full.checked ? undefined : numberIn(input.value));
  const field = makeField(name, withoutDefault, { input, read, write, extra: [unit, fullLabel] });
  field.element.classList.add("pace");
  show(WATCHABLE_PACE);
  return { ...field, suggest: (isShort) => isChosen || show(isShort ? WATCHABLE_PACE : null) };
}
