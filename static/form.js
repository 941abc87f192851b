// The form: which method, its parameters from its schema, the data, and what is wrong with them.

import { make } from "./dom.js";
import { complaints, FieldError, listField, makeField } from "./fields.js";

const form = document.querySelector("#form");
const select = document.querySelector("#method");
const formula = document.querySelector("#formula");
const help = document.querySelector("#help");
const message = document.querySelector("#message");
const startButton = document.querySelector("#start");
const nameInput = document.querySelector("#name");

const SMALL = 500; // epochs up to which a run starts at a speed that one can watch

let methods = [];
let fields = []; // of the chosen method
let dataFields = [];
let typed = {}; // what a person has set: kept when the method changes

/** Make the form work. `start` is called with what is to be run and returns a promise. */
export function setUpForm(start) {
  renderData();
  select.addEventListener("change", renderMethod);
  form.addEventListener("input", rememberInput);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(start);
  });
  for (const kind of ["focusin", "focusout", "pointerover", "pointerleave"]) {
    form.addEventListener(kind, (event) => renderHelp(kind === "pointerover" ? event.target : document.activeElement));
  }
  new ResizeObserver(fitFormula).observe(formula);
}

/** Offer these methods; nothing is touched if they are the ones that are offered already. */
export function renderMethods(listed) {
  if (JSON.stringify(listed) === JSON.stringify(methods)) {
    return;
  }
  const chosen = select.value;
  methods = listed;
  select.replaceChildren(...methods.map(({ name, title }) => make("option", { value: name, textContent: title })));
  // at first one that learns: a slider to play with is the better beginning
  const known = methods.find(({ name }) => name === chosen);
  select.value = (known ?? methods.find(({ params_schema: schema }) => schema.properties.lr) ?? methods[0]).name;
  renderMethod();
}

/** Fill the form with the settings of a run. */
export function fillForm(run, data) {
  select.value = run.method;
  typed = { ...run.params };
  renderMethod();
  if (data) {
    dataFields.forEach((field) => field.write(data[field.name]));
  }
  clearComplaints();
}

/** Say something that belongs to no field; nothing, to take it back. */
export function renderMessage(text) {
  message.textContent = text ?? "";
  message.hidden = !text;
}

function chosenMethod() {
  return methods.find(({ name }) => name === select.value);
}

function renderMethod() {
  const method = chosenMethod();
  renderFormula(method.formula);
  fields = Object.entries(method.params_schema.properties).map(([name, schema]) => makeField(name, schema));
  for (const field of fields) {
    if (field.name in typed) {
      field.write(typed[field.name]);
    }
  }
  document.querySelector("#params").replaceChildren(...fields.map(({ element }) => element));
  renderMessage();
  renderHelp(null);
  suggestPace();
}

/** The one place where text becomes markup: the MathML comes from our own trainers, never from a stored run. */
function renderFormula(mathml) {
  const math = new DOMParser().parseFromString(mathml, "text/html").querySelector("math");
  formula.replaceChildren(...(math ? [document.adoptNode(math)] : []));
  fitFormula();
}

/** Browsers do not break formulas into lines: one that is too wide is drawn smaller. */
function fitFormula() {
  const math = formula.firstElementChild;
  if (math) {
    math.style.fontSize = "";
    const part = formula.clientWidth / math.firstElementChild.getBoundingClientRect().width;
    math.style.fontSize = part < 1 ? `${Math.max(0.65, 0.98 * part)}rem` : "";
  }
}

function renderData() {
  dataFields = [
    listField("x", "x", "What the model is given: one number for each sample.", [1, 2, 3]),
    listField("y", "y", "What the model should answer: one number for each x.", [2, 4, 6]),
  ];
  document.querySelector("#data").replaceChildren(...dataFields.map(({ element }) => element));
}

/** What the method does or, of the field that has the focus or the pointer, what it means. */
function renderHelp(target) {
  const element = target instanceof Element && form.contains(target) ? target.closest(".fields .field") : null;
  const field = [...fields, ...dataFields].find((one) => one.element === element);
  if (!field) {
    help.replaceChildren(chosenMethod()?.description ?? "");
    return;
  }
  const title = make("strong", { textContent: `${element.querySelector("label").textContent}: ` });
  help.replaceChildren(title, element.querySelector(".hidden").textContent);
}

function rememberInput(event) {
  const field = allFields().find(({ element }) => element.contains(event.target));
  field?.accept();
  if (fields.includes(field)) {
    try {
      typed[field.name] = field.read();
    } catch {
      delete typed[field.name]; // half typed
    }
    suggestPace();
  }
}

/** Runs that would take minutes at a speed one can watch go at full speed, unless a person has chosen. */
function suggestPace() {
  const epochs = Number(fields.find(({ name }) => name === "epochs")?.input.value ?? 0);
  fields.find(({ suggest }) => suggest)?.suggest(epochs <= SMALL);
}

async function submit(start) {
  if (startButton.getAttribute("aria-disabled") === "true") {
    return;
  }
  clearComplaints();
  const request = readRequest();
  if (!request) {
    focusFirstWrong();
    return;
  }
  startButton.setAttribute("aria-disabled", "true");
  try {
    await start(request);
    nameInput.value = "";
  } catch (error) {
    renderProblems(error);
  } finally {
    startButton.removeAttribute("aria-disabled");
  }
}

/** What is to be run; null if a field holds what cannot be sent. */
function readRequest() {
  const readAll = (some) => Object.fromEntries(some.map((field) => [field.name, readField(field)]));
  const request = { method: select.value, params: readAll(fields), data: readAll(dataFields) };
  if (nameInput.value.trim()) {
    request.name = nameInput.value.trim();
  }
  return form.querySelector(".wrong") ? null : request;
}

function readField(field) {
  try {
    return field.read();
  } catch (error) {
    if (!(error instanceof FieldError)) {
      throw error;
    }
    field.refuse(error.message);
    return undefined;
  }
}

/** Each problem beside the field it names, the others below. */
function renderProblems(error) {
  const others = [];
  for (const { path, message: text } of error.problems ?? [{ path: [], message: String(error) }]) {
    const field = fieldAt(path);
    if (field) {
      field.refuse(text);
    } else {
      others.push(text);
    }
  }
  renderMessage(others.join(" "));
  focusFirstWrong();
}

function fieldAt([part, name]) {
  if (part === "params") {
    return fields.find((field) => field.name === name);
  }
  if (part === "data") {
    return dataFields.find((field) => field.name === name) ?? dataFields[1];
  }
  return allFields().find((field) => field.name === part);
}

function allFields() {
  return [...fields, ...dataFields, nameField, methodField];
}

function fixedField(name, input) {
  const element = input.closest(".field");
  const error = make("p", { id: `${input.id}-error`, className: "error", hidden: true });
  element.append(error);
  input.setAttribute("aria-describedby", error.id);
  return { name, element, input, ...complaints(element, input, error) };
}

const nameField = fixedField("name", nameInput);
const methodField = fixedField("method", select);

function clearComplaints() {
  allFields().forEach((field) => field.accept());
  renderMessage();
}

function focusFirstWrong() {
  form.querySelector(".wrong :is(input, select)")?.focus();
}
