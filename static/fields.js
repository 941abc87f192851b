// One field of the form, made from the JSON Schema of a parameter.
// Every field is { name, element, read(), write(value), refuse(message), accept() }; read() gives undefined where
// the parameter is left to its default.

import { make } from "./dom.js";
import { Zones } from "./zones.js";

const SLIDER_DECADES = [-4, 1]; // powers of ten between which the slider moves; the number may be outside of them
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]; // where the slider rests within a decade
const PACE = 25; // steps per second at which one can watch

/** Thrown by read() for what cannot be sent at all; what is sent is judged by the board. */
export class FieldError extends Error {}

/** The field for one parameter. */
export function makeField(name, schema) {
  if (name === "lr") {
    return rateField(name, schema);
  }
  if (name === "steps_per_second") {
    return paceField(name, schema);
  }
  const kind = kindOf(schema);
  if (kind.enum) {
    return frame(name, schema, selectControl(kind.enum));
  }
  if (kind.type === "boolean") {
    return frame(name, schema, checkboxControl());
  }
  return frame(name, schema, kind.type === "string" ? textControl() : numberControl(schema));
}

/** A field of numbers with commas between. */
export function listField(name, title, help, value) {
  const input = make("input", { type: "text", autocomplete: "off", spellcheck: false });
  const read = () => numbersIn(input.value, name);
  const write = (numbers) => {
    input.value = numbers.join(", ");
  };
  const field = frame(name, { title, description: help, default: value }, { input, read, write });
  return field;
}

/** Label, control, help and a place for what is wrong with it. */
function frame(name, schema, { input, read, write, extra = [] }) {
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

/** How to mark a field as wrong, and as right again. */
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

/** A field whose input stands in the page already. */
export function fixedField(name, input, element = input.closest(".field")) {
  const error = make("p", { id: `${input.id}-error`, className: "error", hidden: true });
  element.append(error);
  input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), error.id].filter(Boolean).join(" "));
  return { name, element, input, ...complaints(element, input, error) };
}

/** A schema that also allows null is, for the form, the schema of its other values. */
function kindOf(schema) {
  return schema.anyOf?.find((one) => one.type !== "null") ?? schema;
}

/** The description and the bounds, which the board keeps and the form only tells. */
function helpOf(schema) {
  const kind = { ...kindOf(schema) };
  const bounds = [];
  if (kind.exclusiveMinimum !== undefined) {
    bounds.push(`more than ${kind.exclusiveMinimum}`);
  }
  if (Math.abs(kind.minimum) < 1e100) {
    bounds.push(`at least ${kind.minimum}`);
  }
  if (Math.abs(kind.maximum) < 1e100) {
    bounds.push(`at most ${kind.maximum.toLocaleString("en")}`);
  }
  const told = bounds.join(", ");
  return [schema.description ?? "", told && `${told.charAt(0).toUpperCase()}${told.slice(1)}.`].join(" ").trim();
}

function textControl() {
  const input = make("input", { type: "text", autocomplete: "off", spellcheck: false });
  return {
    input,
    read: () => input.value || undefined,
    write: (value) => {
      input.value = value;
    },
  };
}

function numberControl(schema) {
  const kind = kindOf(schema);
  const input = make("input", { type: "number", step: kind.type === "integer" ? "1" : "any", autocomplete: "off" });
  input.inputMode = kind.type === "integer" ? "numeric" : "decimal";
  input.placeholder = schema.default ?? "";
  return {
    input,
    read: () => numberIn(input),
    write: (value) => {
      input.value = value ?? "";
    },
  };
}

/** The number that was typed; undefined for an empty field. */
function numberIn(input) {
  if (input.validity.badInput) {
    throw new FieldError("This should be a number, such as 0.01.");
  }
  return input.value === "" ? undefined : Number(input.value);
}

function selectControl(values) {
  const input = make("select", {}, ...values.map((value) => make("option", { value, textContent: value })));
  return {
    input,
    read: () => values[input.selectedIndex],
    write: (value) => {
      input.selectedIndex = values.indexOf(value);
    },
  };
}

function checkboxControl() {
  const input = make("input", { type: "checkbox" });
  return {
    input,
    read: () => input.checked,
    write: (value) => {
      input.checked = value;
    },
  };
}

/** The learning rate: a number, and a slider over its powers of ten that agrees with it. */
function rateField(name, schema) {
  const number = numberControl(schema);
  const [from, to] = SLIDER_DECADES;
  const slider = make("input", { type: "range", min: from, max: to, step: "any", className: "slider" });
  slider.setAttribute("aria-label", `${schema.title ?? name}, on a logarithmic scale`);
  const zones = new Zones(slider, `field-${name}-theory`);
  // an empty field is the default, and what is half typed (1e-) no number yet
  const rate = () => (number.input.validity.badInput ? NaN : Number(number.input.value || schema.default));
  const follow = () => {
    const value = rate();
    if (value > 0) {
      slider.value = Math.log10(value);
      zones.mark(value);
    }
  };
  const lead = (value) => {
    number.input.value = value;
    follow();
    number.input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  number.input.addEventListener("input", follow);
  slider.addEventListener("input", (event) => {
    event.stopPropagation(); // the number tells
    lead(roundRate(Number(slider.value)));
  });
  for (const input of [slider, number.input]) {
    input.addEventListener("keydown", (event) => moveByKey(event, rate(), lead));
  }
  const write = (value) => {
    number.write(value);
    follow();
  };
  const field = frame(name, schema, { input: number.input, read: number.read, write, extra: [slider, ticks(from, to), zones.element] });
  field.element.classList.add("rate");
  slider.setAttribute("aria-describedby", zones.sentence.id);
  number.input.setAttribute("aria-describedby", `${number.input.getAttribute("aria-describedby")} ${zones.sentence.id}`);
  return { ...field, zones };
}

const RATES = range(...SLIDER_DECADES).flatMap((decade) => ROUND.map((digit) => Number(`${digit}e${decade}`)));

function range(from, to) {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** The round rate that is nearest to a power of ten. */
function roundRate(power) {
  const distance = (rate) => Math.abs(Math.log10(rate) - power);
  const inside = RATES.filter((rate) => Math.log10(rate) <= SLIDER_DECADES[1]);
  return inside.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best));
}

/** Arrows go to the next round rate, Page Up and Page Down a decade on; a step of 1, as fields have it, is of no use. */
export function moveByKey(event, rate, lead) {
  const isSlider = event.target.type === "range";
  const up = event.key === "ArrowUp" || (isSlider && event.key === "ArrowRight");
  const down = event.key === "ArrowDown" || (isSlider && event.key === "ArrowLeft");
  const near = 1e-9 * rate;
  let next;
  if (up) {
    next = RATES.find((one) => one > rate + near);
  } else if (down) {
    next = RATES.findLast((one) => one < rate - near);
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    next = Number((rate * (event.key === "PageUp" ? 10 : 0.1)).toPrecision(12));
  } else {
    return;
  }
  event.preventDefault();
  if (next > 0) {
    lead(next);
  }
}

function ticks(from, to) {
  const marks = range(from, to).map((power) => make("span", {}, make("span", { textContent: Number(`1e${power}`) })));
  const row = make("div", { className: "ticks" }, ...marks);
  row.setAttribute("aria-hidden", "true");
  return row;
}

/** How fast to go: so many steps a second, or as fast as it will. Until someone chooses, `suggest` decides. */
function paceField(name, schema) {
  const number = numberControl({ ...schema, default: null });
  const full = make("input", { type: "checkbox" });
  const unit = make("span", { className: "unit", textContent: "steps/s" });
  const fullLabel = make("label", { className: "check" }, full, make("span", { textContent: "Full speed" }));
  let chosen = false;
  const show = (pace) => {
    full.checked = pace === null;
    number.input.value = pace ?? "";
    number.input.disabled = full.checked;
    number.input.placeholder = full.checked ? "–" : "";
  };
  full.addEventListener("input", () => {
    chosen = true;
    show(full.checked ? null : PACE);
  });
  number.input.addEventListener("input", () => {
    chosen = true;
  });
  const write = (pace) => {
    chosen = true;
    show(pace ?? null);
  };
  const read = () => (full.checked ? undefined : numberIn(number.input));
  const field = frame(name, { ...schema, title: "Speed", default: null }, { input: number.input, read, write, extra: [unit, fullLabel] });
  field.element.classList.add("pace");
  show(PACE);
  return { ...field, suggest: (small) => chosen || show(small ? PACE : null) };
}

/** The numbers of a list with commas or spaces between. */
export function numbersIn(text, name) {
  const parts = text.trim().split(/[\s,;]+/).filter((part) => part !== "");
  if (!parts.length) {
    throw new FieldError(`${name} is empty: write numbers with commas between, such as 1, 2, 3.`);
  }
  return parts.map((part) => {
    const number = Number(part);
    if (!Number.isFinite(number)) {
      throw new FieldError(`“${part.slice(0, 40)}” is not a number: write numbers with commas between, such as 1, 2, 3.`);
    }
    return number;
  });
}
