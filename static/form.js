// The form: which method, its parameters from its schema, the data, and what is wrong with them.

import { make } from "./dom.js";
import { FieldError, fixedField, listField, makeField } from "./fields.js";
import { fitFormula, renderFormula } from "./source.js";

const form = document.querySelector("#form");
const select = document.querySelector("#method");
const formula = document.querySelector("#formula");
const help = document.querySelector("#help");
const message = document.querySelector("#message");
const startButton = document.querySelector("#start");
const nameInput = document.querySelector("#name");

export const TEXTBOOK = { x: [1, 2, 3], y: [2, 4, 6] }; // the data at first
const SMALL = 500; // epochs up to which a run starts at a speed that one can watch

let methods = [];
let fields = []; // of the chosen method
let dataFields = [];
let moreFields = []; // of other parts of the page that complete what is sent
let typed = {}; // what a person has set: kept when the method changes
let start = null;
let methodChosen = null;

/**
 * Make the form work. `begin` is called with what is to be run and returns a promise; `chosen` with the method, when
 * another one is chosen.
 */
export function setUpForm(begin, chosen) {
  start = begin;
  methodChosen = chosen;
  renderData();
  select.addEventListener("change", renderMethod);
  form.addEventListener("input", rememberInput);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    startRun();
  });
  for (const kind of ["focusin", "focusout", "pointerover", "pointerleave"]) {
    form.addEventListener(kind, (event) => renderHelp(kind === "pointerover" ? event.target : document.activeElement));
  }
  new ResizeObserver(() => fitFormula(formula)).observe(formula);
}

/** Offer these methods; no field is touched if they are the ones that are offered already. */
export function renderMethods(listed) {
  if (JSON.stringify(listed) === JSON.stringify(methods)) {
    askTheory(); // the board may have been away when it was asked
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
  askTheory();
}

/** Let more fields show what is wrong with them. */
export function addFields(more) {
  moreFields.push(...more);
}

/** Say something that belongs to no field; nothing, to take it back. */
export function renderMessage(text) {
  message.textContent = text ?? "";
  message.hidden = !text;
}

export function chosenMethod() {
  return methods.find(({ name }) => name === select.value);
}

function renderMethod() {
  const method = chosenMethod();
  renderFormula(formula, method);
  fields = Object.entries(method.params_schema.properties).map(([name, schema]) => makeField(name, schema));
  for (const field of fields) {
    if (field.name in typed) {
      field.write(typed[field.name]);
    }
  }
  document.querySelector("#params").replaceChildren(...fields.map(({ element }) => element));
  renderMessage();
  renderDescription();
  suggestPace();
  askTheory();
  methodChosen(method);
}

function renderData() {
  dataFields = [
    listField("x", "x", "What the model is given: one number for each sample.", TEXTBOOK.x),
    listField("y", "y", "What the model should answer: one number for each x.", TEXTBOOK.y),
  ];
  document.querySelector("#data").replaceChildren(...dataFields.map(({ element }) => element));
}

/** What the method does. A shorter text in its place, of a field, leaves the fields where they are. */
function renderDescription() {
  help.style.minHeight = "";
  renderHelp(null);
  help.style.minHeight = `${help.offsetHeight}px`;
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
  if (event.target === select) {
    return; // its fields are not those of the method any more
  }
  const field = allFields().find(({ element }) => element.contains(event.target));
  field?.accept();
  if (dataFields.includes(field)) {
    dataFields.forEach((one) => one.accept()); // what was wrong may have been that one is longer than the other
  }
  if (fields.includes(field)) {
    try {
      typed[field.name] = field.read();
    } catch {
      delete typed[field.name]; // half typed
    }
    suggestPace();
  }
  askTheory();
}

/** What theory says of the learning rate depends on everything but the rate and the pace. */
function askTheory() {
  const zones = fields.find(({ name }) => name === "lr")?.zones;
  if (!zones) {
    return;
  }
  const readAll = (some) => Object.fromEntries(some.map((field) => [field.name, field.read()]));
  const others = fields.filter(({ name }) => name !== "lr" && name !== "steps_per_second");
  let setting = null;
  try {
    setting = { method: select.value, params: readAll(others), data: readAll(dataFields) };
  } catch {
    setting = null; // half typed
  }
  zones.ask(setting);
}

/** Runs that would take minutes at a speed one can watch go at full speed, unless a person has chosen. */
function suggestPace() {
  const epochs = Number(fields.find(({ name }) => name === "epochs")?.input.value ?? 0);
  fields.find(({ suggest }) => suggest)?.suggest(epochs <= SMALL);
}

function startRun() {
  return submit(start);
}

/** Send what the form asks for, completed by another part of the page, and say what is wrong with it. */
export async function submit(send, complete = (request) => request) {
  if (startButton.getAttribute("aria-disabled") === "true") {
    return;
  }
  clearComplaints();
  const request = readRequest(complete);
  if (!request) {
    focusFirstWrong();
    return;
  }
  startButton.setAttribute("aria-disabled", "true");
  try {
    await send(request);
    nameInput.value = "";
  } catch (error) {
    renderProblems(error);
  } finally {
    startButton.removeAttribute("aria-disabled");
  }
}

/** What is to be run; null if a field holds what cannot be sent. */
function readRequest(complete) {
  const readAll = (some) => Object.fromEntries(some.map((field) => [field.name, readField(field)]));
  const request = { method: select.value, params: readAll(fields), data: readAll(dataFields) };
  if (nameInput.value.trim()) {
    request.name = nameInput.value.trim();
  }
  const completed = complete(request, readField);
  return form.querySelector(".wrong") ? null : completed;
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
  const wanted = part === "vary" ? `vary-${name}` : part;
  return allFields().find((field) => field.name === wanted);
}

function allFields() {
  return [...fields, ...dataFields, ...moreFields, nameField, methodField];
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
