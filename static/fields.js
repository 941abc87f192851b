// Fields of the form, each made from the JSON Schema of a parameter.

/** @import { Complaints, Control, Field, Schema } from "./types.d.ts" */

import { make } from "./dom.js";

const WATCHABLE_PACE = 25; // steps per second that one can follow

/** Thrown by a field's read() for what cannot be sent at all; what is sent is judged by the board. */
export class FieldError extends Error {}

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
  return makeField(name, schema, type === "string" ? textControl() : numberControl(schema));
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
function complaints(element, input, error) {
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
    bounds.push(`more than ${exclusiveMinimum}`);
  }
  if (Math.abs(minimum) < 1e100) {
    bounds.push(`at least ${minimum}`);
  }
  if (Math.abs(maximum) < 1e100) {
    bounds.push(`at most ${maximum.toLocaleString("en")}`);
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
  const input = make("input", { type: "number", step: isInteger ? "1" : "any", autocomplete: "off" });
  input.inputMode = isInteger ? "numeric" : "decimal";
  input.placeholder = schema.default ?? "";
  return {
    input,
    read: () => numberIn(input),
    write: (/** @type {number | null} */ value) => {
      input.value = String(value ?? "");
    },
  };
}

/**
 * The number that was typed; undefined for an empty field.
 *
 * @param {HTMLInputElement} input
 */
function numberIn(input) {
  if (input.validity.badInput) {
    throw new FieldError("This should be a number, such as 0.01.");
  }
  return input.value === "" ? undefined : Number(input.value);
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
  const read = () => (full.checked ? undefined : numberIn(input));
  const field = makeField(name, withoutDefault, { input, read, write, extra: [unit, fullLabel] });
  field.element.classList.add("pace");
  show(WATCHABLE_PACE);
  return { ...field, suggest: (isShort) => isChosen || show(isShort ? WATCHABLE_PACE : null) };
}

/**
 * The numbers of a list with commas or spaces between.
 *
 * @param {string} text
 * @param {string} name of the list, for what a FieldError says
 */
export function numbersIn(text, name) {
  const advice = "write numbers with commas between, such as 1, 2, 3.";
  const parts = text.trim().split(/[\s,;]+/).filter((part) => part !== "");
  if (!parts.length) {
    throw new FieldError(`${name} is empty: ${advice}`);
  }
  return parts.map((part) => {
    const number = Number(part);
    if (!Number.isFinite(number)) {
      throw new FieldError(`“${part.slice(0, 40)}” is not a number: ${advice}`);
    }
    return number;
  });
}
