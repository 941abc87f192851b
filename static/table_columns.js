// The columns of the table of runs: which there are, which are shown, and what they say of a run.

/** @import { Run, RunColumns, State } from "./types.d.ts" */

import { find, make } from "./dom.js";
import { durationText, figure, statusOf, timeText, whole } from "./format.js";
import { state, updateTable } from "./state.js";

const STORED = "lossboard-columns"; // in the browser: the columns that a person has chosen
const FIRST_PARAMS = 5; // columns of each kind, before a person chooses
const FIRST_METRICS = 3;
const MAX_OFFERED = 200; // of the columns that a search finds

/** @type {Record<string, { title: string, text: (run: Run) => string, isSortable?: boolean }>} */
const FIXED = {
  status: { title: "Status", text: statusOf },
  method: { title: "Method", text: (run) => run.method },
  group: { title: "Group", text: (run) => run.group ?? "" },
  tags: { title: "Tags", text: (run) => run.tags.join(", ") },
  notes: { title: "Notes", text: (run) => run.notes, isSortable: false },
  started: { title: "Started", text: (run) => timeText(run.started_at) },
  duration: { title: "Duration", text: durationText },
  step: { title: "Step", text: (run) => (run.step === null ? "" : whole(run.step)) },
};
const FIRST_FIXED = ["status", "group", "tags", "started", "duration"];
const KINDS = { params: "param", last: "last", best: "best", summary: "summary", result: "result" };

const menu = find("#table-columns", HTMLDetailsElement);
const boxes = find(".boxes", HTMLElement, menu);
const query = find("#table-columns-search", HTMLInputElement);

/** @type {RunColumns | null} */
let rendered = null; // what the menu was made of
let renderedColumns = "";

query.addEventListener("input", renderBoxes);
boxes.addEventListener("change", ({ target }) => {
  if (target instanceof HTMLInputElement) {
    const others = state.table.columns.filter((key) => key !== target.value);
    choose(target.checked ? inOrder([...others, target.value]) : others);
  }
});
find("#table-columns-reset", HTMLButtonElement).addEventListener("click", () => {
  localStorage.removeItem(STORED);
  updateTable({ columns: firstColumns(state.table.known) });
});

/**
 * The columns to show: those that a person has chosen in this browser, or the first ones.
 *
 * @param {RunColumns | null} known
 */
export function columnsToShow(known) {
  const chosen = storedColumns();
  return chosen.length ? chosen : firstColumns(known);
}

/** @param {string} key */
export function titleOf(key) {
  const [kind, name] = partsOf(key);
  return kind ? [KINDS[kind], name] : ["", FIXED[key]?.title ?? key];
}

/** @param {string} key */
export function isSortable(key) {
  return FIXED[key]?.isSortable ?? true;
}

/**
 * The value of a run in a column; undefined where it has none.
 *
 * @param {Run} run
 * @param {string} key
 * @returns {any}
 */
export function valueOf(run, key) {
  const [kind, name] = partsOf(key);
  if (kind === "best") {
    return run.best[name]?.[isMoreBetter(name) ? 1 : 0];
  }
  return kind ? run[kind][name] : FIXED[key]?.text(run);
}

/**
 * The text of a run in a column.
 *
 * @param {Run} run
 * @param {string} key
 */
export function textOf(run, key) {
  return textOfValue(valueOf(run, key));
}

/** @param {any} value */
export function textOfValue(value) {
  if (value === undefined || value === null) {
    return "";
  }
  if (typeof value === "object") {
    return JSON.stringify(value);
  }
  return typeof value === "number" ? figure(value) : String(value);
}

/** @param {State} state */
export function renderColumnMenu({ table }) {
  const columns = table.columns.join("\n");
  if (table.known !== rendered || columns !== renderedColumns) {
    rendered = table.known;
    renderedColumns = columns;
    renderBoxes();
  }
}

/**
 * The kind of a column and what it is of; no kind for those that every run has.
 *
 * @param {string} key
 * @returns {[keyof typeof KINDS | "", string]}
 */
function partsOf(key) {
  const dot = key.indexOf(".");
  const kind = key.slice(0, Math.max(0, dot));
  return kind in KINDS ? [/** @type {keyof typeof KINDS} */ (kind), key.slice(dot + 1)] : ["", key];
}

/** @param {string} metric */
function isMoreBetter(metric) {
  return state.table.known?.metrics.some(({ name, best }) => name === metric && best === "max");
}

/** @param {RunColumns | null} known */
function firstColumns(known) {
  const params = (known?.params ?? []).slice(0, FIRST_PARAMS).map((name) => `params.${name}`);
  const isLoss = (/** @type {{ name: string }} */ { name }) => Number(!/loss/i.test(name));
  const metrics = [...(known?.metrics ?? [])].sort((a, b) => isLoss(a) - isLoss(b)).slice(0, FIRST_METRICS);
  return [...FIRST_FIXED, ...params, ...metrics.flatMap(({ name }) => [`last.${name}`, `best.${name}`])];
}

/** @returns {string[]} */
function storedColumns() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(stored) ? stored.filter((key) => typeof key === "string") : [];
  } catch {
    return []; // not ours
  }
}

/** @param {string[]} columns */
function choose(columns) {
  localStorage.setItem(STORED, JSON.stringify(columns));
  updateTable({ columns });
}

/** @param {RunColumns | null} known */
function allColumns(known) {
  const metrics = known?.metrics ?? [];
  return [
    ...Object.keys(FIXED),
    ...(known?.params ?? []).map((name) => `params.${name}`),
    ...metrics.flatMap(({ name }) => [`last.${name}`, `best.${name}`]),
    ...(known?.summary ?? []).map((name) => `summary.${name}`),
    ...(known?.result ?? []).map((name) => `result.${name}`),
  ];
}

/**
 * Columns in the order of the menu; those that no run has any more keep their place at the end.
 *
 * @param {string[]} columns
 */
function inOrder(columns) {
  const order = new Map(allColumns(state.table.known).map((key, at) => [key, at]));
  return [...columns].sort((a, b) => (order.get(a) ?? Infinity) - (order.get(b) ?? Infinity));
}

function renderBoxes() {
  const words = query.value.trim().toLowerCase();
  const found = allColumns(state.table.known).filter((key) => titleOf(key).join(" ").toLowerCase().includes(words));
  const shown = new Set(state.table.columns);
  const focused = document.activeElement instanceof HTMLInputElement ? document.activeElement.value : "";
  const labels = found.slice(0, MAX_OFFERED).map((key) => {
    const box = make("input", { type: "checkbox", value: key, checked: shown.has(key) });
    const [kind, name] = titleOf(key);
    return make("label", {}, box, make("span", { className: "quiet", textContent: kind }), name);
  });
  const more = found.length - labels.length;
  const said = more > 0 ? [make("p", { className: "quiet", textContent: `${whole(more)} more: find them by name.` })] : [];
  const hadFocus = boxes.contains(document.activeElement);
  boxes.replaceChildren(...labels, ...said);
  if (hadFocus) {
    labels.map((label) => label.control).find((box) => box instanceof HTMLInputElement && box.value === focused)?.focus();
  }
}
