// The selected runs side by side, with their parameters and results, and what differs between them.

/** @import { Run, State } from "./types.d.ts" */

import { find, make } from "./dom.js";
import { nameOf, whole } from "./format.js";
import { updateTable } from "./state.js";
import { textOfValue, titleOf, valueOf } from "./table_columns.js";

const MAX_COMPARED = 20; // columns
const KINDS = /** @type {const} */ (["params", "summary", "result", "best", "last"]);

const runsTable = find("#table-runs", HTMLTableElement);
const table = find("#table-compared", HTMLTableElement);
const head = find("thead tr", HTMLTableRowElement, table);
const body = find("tbody", HTMLTableSectionElement, table);
const choice = find("#table-differing", HTMLLabelElement);
const onlyDiffering = find("input", HTMLInputElement, choice);

/** @type {unknown} */
let compared = null; // the selected runs that are shown side by side

onlyDiffering.addEventListener("change", () => {
  compared = null;
  updateTable({});
});

/**
 * Those columns of parameters and results in which runs differ; one that lacks a value differs from those that have one.
 *
 * @param {Run[]} runs
 * @param {string[]} columns
 */
export function differing(runs, columns) {
  const texts = (/** @type {string} */ key) => new Set(runs.map((run) => JSON.stringify(valueOf(run, key)) ?? ""));
  return new Set(runs.length < 2 ? [] : columns.filter((key) => titleOf(key)[0] && texts(key).size > 1));
}

/** @param {State} state */
export function renderComparison({ table: { isComparing, selected } }) {
  const isShown = isComparing && selected.size > 1;
  runsTable.hidden = isShown;
  table.hidden = choice.hidden = !isShown;
  if (!isShown || compared === selected) {
    return;
  }
  compared = selected;
  const all = [...selected.values()].sort((a, b) => a.number - b.number);
  const runs = all.slice(0, MAX_COMPARED);
  const keys = KINDS.flatMap((kind) => namesOf(runs, kind).map((name) => `${kind}.${name}`));
  const different = differing(runs, keys);
  const shown = onlyDiffering.checked ? keys.filter((key) => different.has(key)) : keys;
  const left = all.length - runs.length;
  head.replaceChildren(make("td"), ...runs.map(headOf), ...(left ? [make("td", { textContent: `${whole(left)} more` })] : []));
  body.replaceChildren(...shown.map((key) => rowOf(key, runs, different.has(key))));
  if (!shown.length) {
    body.append(make("tr", {}, make("td", { colSpan: runs.length + 1, textContent: "They do not differ." })));
  }
}

/**
 * @param {Run[]} runs
 * @param {typeof KINDS[number]} kind
 */
function namesOf(runs, kind) {
  return [...new Set(runs.flatMap((run) => Object.keys(run[kind])))];
}

/** @param {Run} run */
function headOf(run) {
  const chip = make("span", { className: "chip" });
  chip.style.backgroundColor = run.colour;
  return make("th", { scope: "col", title: nameOf(run) }, chip, nameOf(run));
}

/**
 * @param {string} key
 * @param {Run[]} runs
 * @param {boolean} isDifferent
 */
function rowOf(key, runs, isDifferent) {
  const [kind, name] = titleOf(key);
  const mark = isDifferent ? [make("span", { className: "mark", title: "differs", textContent: "≠" })] : [];
  const said = isDifferent ? [make("span", { className: "hidden", textContent: " (differs)" })] : [];
  const heading = make("th", { scope: "row" }, ...mark, make("span", { className: "kind", textContent: kind }), name, ...said);
  const cells = runs.map((run) => make("td", { textContent: textOfValue(valueOf(run, key)) || "–" }));
  const row = make("tr", {}, heading, ...cells);
  row.classList.toggle("differs", isDifferent);
  return row;
}
