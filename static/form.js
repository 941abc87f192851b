// The form of a new run: its method, the method's parameters from their schema, the data, and what is wrong with them.

/** @import { Complaints, Data, Field, Method, RunRequest, State } from "./types.d.ts" */

import { startRun } from "./actions.js";
import { api, ApiError } from "./api.js";
import { find, make } from "./dom.js";
import { makeDataFields } from "./data_fields.js";
import { fixedField, numberOr, paceField, plainField } from "./fields.js";
import { renderFormula } from "./formula.js";
import { showError, showMessage } from "./messages.js";
import { rateField } from "./rate_field.js";
import { FieldError } from "./refusals.js";
import { state, update } from "./state.js";
import { showTab } from "./tabs.js";
import { debounced } from "./timing.js";

/**
 * Reads a field; one that holds what cannot be sent is marked, and undefined is returned.
 *
 * @typedef {<T>(field: { read: () => T } & Complaints) => T | undefined} ReadField
 */

const form = find("#form", HTMLFormElement);
const select = find("#method", HTMLSelectElement);
const formula = find("#formula", HTMLElement);
const help = find("#help", HTMLElement);
const params = find("#params", HTMLElement);
const startButton = find("#start", HTMLButtonElement);
const nameInput = find("#name", HTMLInputElement);

/** @type {Data} */
export const TEXTBOOK_DATA = { x: [1, 2, 3], y: [2, 4, 6] }; // in the form at first
/** @type {Record<string, typeof plainField>} */
const SPECIAL_FIELDS = { lr: rateField, steps_per_second: paceField };
const MAX_WATCHED_EPOCHS = 500; // up to which a run starts at a pace that one can follow
const JUDGE_DELAY_MS = 200; // without a change, after which what was refused is judged again

/** @type {Method[]} */
let offered = [];
/** @type {Field[]} */
let paramFields = []; // of the chosen method
/** @type {Record<string, any>} */
let typed = {}; // the parameters that a person has set: kept when the method changes
let judgements = 0; // asked for, and made void: the response to an earlier one than the last is dropped
const dataFields = makeDataFields(find("#data", HTMLElement), TEXTBOOK_DATA);
const fixedFields = [fixedField("name", nameInput), fixedField("method", select)];

select.addEventListener("change", renderMethod);
form.addEventListener("input", rememberInput);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submitForm(startRun);
});
for (const kind of ["focusin", "focusout", "pointerover", "pointerleave"]) {
  form.addEventListener(kind, (event) => renderHelp(kind === "pointerover" ? event.target : document.activeElement));
}

/**
 * Offer the methods. No field is touched if they are the ones that are offered already.
 *
 * @param {State} state
 */
export function renderMethods({ methods }) {
  if (methods === offered) {
    return;
  }
  const isSame = JSON.stringify(methods) === JSON.stringify(offered);
  offered = methods;
  if (isSame) {
    fetchStability(); // the board may have been away when it was asked
    return;
  }
  const chosen = select.value;
  select.replaceChildren(...methods.map(({ name, title }) => make("option", { value: name, textContent: title })));
  // at first one that learns: a slider to play with is the better beginning
  const known = methods.find(({ name }) => name === chosen);
  select.value = (known ?? methods.find(({ kind }) => kind === "descent") ?? methods[0]).name;
  renderMethod();
}

/**
 * Fill the form with the settings of a run, and show it.
 *
 * @param {{ method: string, params: Record<string, any> }} run
 * @param {Data | null} data null: as it is
 */
export function fillForm(run, data) {
  showTab("setup");
  select.value = run.method;
  typed = { ...run.params };
  renderMethod();
  if (data) {
    const [x, y] = dataFields;
    x.write(data.x);
    y.write(data.y);
  }
  clearComplaints();
  fetchStability();
}

/**
 * Let fields of another part of the form show what is wrong with them.
 *
 * @param {...ReturnType<typeof fixedField>} fields
 */
export function addFields(...fields) {
  fixedFields.push(...fields);
}

/** The parameters in the form, and those that a person has set of other methods; without what is half typed. */
export function paramsInForm() {
  const values = { ...typed };
  for (const { name, read } of paramFields) {
    try {
      values[name] = read();
    } catch {
      delete values[name];
    }
  }
  return values;
}

/** Show the chosen method's formula, parameters and description. */
function renderMethod() {
  const method = offered.find(({ name }) => name === select.value) ?? offered[0];
  update({ method });
  renderFormula(formula, method);
  paramFields = Object.entries(method.params_schema.properties).map(([name, schema]) => {
    const fieldFor = SPECIAL_FIELDS[name] ?? plainField;
    return fieldFor(name, schema);
  });
  for (const field of paramFields) {
    if (field.name in typed) {
      field.write(typed[field.name]);
    }
  }
  params.replaceChildren(...paramFields.map(({ element }) => element));
  fixedFields.find(({ input }) => input === select)?.accept();
  showMessage("");
  renderDescription();
  suggestPace();
  fetchStability();
  form.dispatchEvent(new Event("filled"));
}

/** What the method does. A shorter text in its place, of a field, leaves the fields where they are. */
function renderDescription() {
  help.style.minHeight = "";
  renderHelp(null);
  help.style.minHeight = `${help.offsetHeight}px`;
}

/**
 * What the method does or, of the field that has the focus or the pointer, what it means.
 *
 * @param {EventTarget | null} target
 */
function renderHelp(target) {
  const element = target instanceof Element && form.contains(target) ? target.closest(".fields .field") : null;
  const field = [...paramFields, ...dataFields].find((one) => one.element === element);
  if (!field) {
    help.replaceChildren(state.method?.description ?? "");
    return;
  }
  const title = find("label", HTMLElement, field.element).textContent;
  const meaning = find(".hidden", HTMLElement, field.element).textContent;
  help.replaceChildren(make("strong", { textContent: `${title}: ` }), meaning);
}

/** @param {Event} event */
function rememberInput({ target }) {
  if (!(target instanceof Node) || target === select) {
    return; // the fields are not those of the newly chosen method yet
  }
  judgements += 1;
  if (form.querySelector(".wrong")) {
    fixedFields.find(({ element }) => element.contains(target))?.accept();
    judgeLater();
  }
  const field = paramFields.find(({ element }) => element.contains(target));
  if (field) {
    try {
      typed[field.name] = field.read();
    } catch {
      delete typed[field.name]; // half typed
    }
    suggestPace();
  }
  fetchStability();
}

/** Fetch what theory says of the learning rate. It depends on everything but the rate and the pace. */
function fetchStability() {
  const zones = paramFields.find(({ name }) => name === "lr")?.zones;
  if (!zones) {
    return;
  }
  const others = paramFields.filter(({ name }) => name !== "lr" && name !== "steps_per_second");
  const read = (/** @type {Field} */ field) => field.read();
  try {
    zones.fetchLater({ method: select.value, params: readAll(others, read), data: readAll(dataFields, read) });
  } catch {
    zones.fetchLater(null); // half typed
  }
}

/** Runs that would take minutes at a pace one can follow go at full speed, unless a person has chosen. */
function suggestPace() {
  const input = paramFields.find(({ name }) => name === "epochs")?.input;
  const epochs = input instanceof HTMLInputElement ? numberOr(0, input) : 0;
  paramFields.find(({ suggest }) => suggest)?.suggest?.(epochs <= MAX_WATCHED_EPOCHS);
}

// --- what is wrong ---------------------------------------------------------------------------------------------------

const judgeLater = debounced(JUDGE_DELAY_MS, () => judge());

/**
 * Say of each field that was refused whether it still is, now that one has changed: what is wrong with one may be
 * mended in another. A field that was not refused may be half typed, and is left alone.
 */
async function judge() {
  const fields = [...paramFields, ...dataFields];
  const wrong = fields.filter(({ element }) => element.classList.contains("wrong"));
  if (!wrong.length) {
    return;
  }
  /** @type {Set<Field>} */
  const unreadable = new Set();
  const values = (/** @type {Field[]} */ some) => readAll(some, (field) => {
    try {
      return field.read();
    } catch (error) {
      unreadable.add(field);
      if (wrong.includes(field)) {
        field.refuse(messageOf(error));
      }
      return undefined;
    }
  });
  const setting = { params: values(paramFields), data: values(dataFields) };
  judgements += 1;
  const turn = judgements;
  const problems = unreadable.size ? [] : await refusalsOf(setting);
  if (turn === judgements) {
    for (const field of wrong.filter((one) => !unreadable.has(one))) {
      const problem = problems.find(({ path }) => fieldAt(path) === field);
      if (problem) {
        field.refuse(problem.message);
      } else {
        field.accept();
      }
    }
  }
}

/**
 * What the board would refuse of a run with these parameters and data: what theory says of it has the same rules.
 *
 * @param {{ params: Record<string, any>, data: Record<string, any> }} setting
 */
async function refusalsOf(setting) {
  try {
    await api("POST", `/methods/${select.value}/stability`, setting);
  } catch (error) {
    if (error instanceof ApiError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

// --- sending ---------------------------------------------------------------------------------------------------------

/**
 * Send what the form asks for, completed by another part of the form, and show what is wrong with it.
 *
 * @param {(request: RunRequest) => Promise<unknown>} send
 * @param {(request: RunRequest, readField: ReadField) => RunRequest} complete
 */
export async function submitForm(send, complete = (request) => request) {
  if (startButton.getAttribute("aria-disabled") === "true") {
    return;
  }
  clearComplaints();
  const request = complete(readRequest(), readField);
  if (form.querySelector(".wrong")) {
    focusFirstWrong();
    return;
  }
  startButton.setAttribute("aria-disabled", "true");
  try {
    await send(request);
    nameInput.value = "";
  } catch (error) {
    showProblems(error);
  } finally {
    startButton.removeAttribute("aria-disabled");
  }
}

/** @returns {RunRequest} */
function readRequest() {
  const params = readAll(paramFields, readField);
  const request = { method: select.value, params, data: readAll(dataFields, readField) };
  const name = nameInput.value.trim();
  return name ? { ...request, name } : request;
}

/**
 * The values of fields by their names.
 *
 * @param {Field[]} fields
 * @param {(field: Field) => any} read
 */
function readAll(fields, read) {
  return Object.fromEntries(fields.map((field) => [field.name, read(field)]));
}

/** @type {ReadField} */
function readField(field) {
  try {
    return field.read();
  } catch (error) {
    field.refuse(messageOf(error));
    return undefined;
  }
}

/** @param {unknown} error of a field's read(): what is no FieldError is thrown on */
function messageOf(error) {
  if (error instanceof FieldError) {
    return error.message;
  }
  throw error;
}

/**
 * Show each problem beside the field it names, the others below the form.
 *
 * @param {unknown} error
 */
function showProblems(error) {
  if (!(error instanceof ApiError && error.status)) {
    showError(error);
    return;
  }
  const others = [];
  for (const { path, message } of error.problems) {
    const field = fieldAt(path);
    if (field) {
      field.refuse(message);
    } else {
      others.push(message);
    }
  }
  showMessage(others.join(" "));
  focusFirstWrong();
}

/**
 * @param {(string | number)[]} path
 * @returns {Complaints | undefined}
 */
function fieldAt([part, name]) {
  if (part === "params") {
    return paramFields.find((field) => field.name === name);
  }
  if (part === "data") {
    return dataFields.find((field) => field.name === name) ?? dataFields[1];
  }
  const wanted = part === "vary" ? `vary-${name}` : part;
  return allFields().find((field) => field.name === wanted);
}

function allFields() {
  return [...paramFields, ...dataFields, ...fixedFields];
}

function clearComplaints() {
  judgements += 1;
  allFields().forEach((field) => field.accept());
  showMessage("");
}

function focusFirstWrong() {
  form.querySelector(/** @type {"input"} */ (".wrong :is(input, select)"))?.focus();
}
