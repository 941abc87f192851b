// The list of runs: a row for each, newest first.

/** @import { Run, State } from "./types.d.ts" */

import { find } from "./dom.js";
import { RunRow } from "./run_row.js";
import { loadOlderRuns } from "./runs.js";
import { methodOf, newestFirst } from "./state.js";
import { isShown, isShownAlone } from "./view.js";

const list = find("#runs", HTMLElement);
const count = find("#runs-count", HTMLElement);
const empty = find("#runs-empty", HTMLElement);
const older = find("#older", HTMLButtonElement);
const tab = find("#runs-tab", HTMLButtonElement);

/** @type {Map<string, RunRow>} */
const rows = new Map(); // by the run's id

older.addEventListener("click", loadOlderRuns);

/** @param {State} state */
export function renderRunList(state) {
  const runs = newestFirst(state);
  for (const [id, row] of rows) {
    if (!state.runs.has(id)) {
      removeRow(id, row);
    }
  }
  runs.forEach((run, at) => {
    const row = rows.get(run.id) ?? addRow(run);
    row.render(run, methodOf(state, run)?.live ?? liveOf(run));
    row.renderPlace(runs[at - 1]?.group, runs[at + 1]?.group, run.id === state.selected?.id);
    row.renderShown(isShown(state, run), isShownAlone(state, run));
    if (list.children[at] !== row.element) {
      list.insertBefore(row.element, list.children[at] ?? null);
    }
  });
  count.textContent = String(state.total || "");
  empty.hidden = state.total > 0;
  older.hidden = state.total <= runs.length;
}

/** @param {Run} run */
function addRow(run) {
  const row = new RunRow(run);
  rows.set(run.id, row);
  return row;
}

/**
 * Take a row away; if the keyboard was in it, it goes on to the next one.
 *
 * @param {string} id
 * @param {RunRow} row
 */
function removeRow(id, row) {
  const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
  const hadFocus = row.element.contains(document.activeElement);
  row.element.remove();
  rows.delete(id);
  if (hadFocus) {
    (next ? find(".toggle", HTMLElement, next) : tab).focus();
  }
}

/**
 * The parameters of a script that may be changed.
 *
 * @param {Run} run
 */
function liveOf({ live, params }) {
  return live ? Object.keys(live) : Object.keys(params).filter((name) => typeof params[name] === "number");
}
