// What can be done with the selected runs of the table.

/** @import { State } from "./types.d.ts" */

import { find } from "./dom.js";
import { UNDER_WAY, whole } from "./format.js";
import { changeRuns, deleteRuns, stopRuns } from "./run_changes.js";
import { openEditor } from "./run_editor.js";
import { state, updateTable } from "./state.js";
import { closeTable } from "./table_data.js";
import { changeView, hideNone } from "./view.js";

const MAX_CHOSEN = 50; // runs that the windows show, as the board takes them
const SHOW_TITLE = "Only these in the windows, until other runs are shown";

const group = find("#table-actions", HTMLElement);
const said = find("#table-selected", HTMLElement);
const latest = find("#table-latest", HTMLButtonElement);
const [show, compare, pin, edit, stop, remove, clear] = ["show", "compare", "pin", "edit", "stop", "delete", "clear"].map(
  (name) => find(`#table-${name}`, HTMLButtonElement, group),
);

show.addEventListener("click", async () => {
  const ids = selectedRuns().map(({ id }) => id);
  const hidden = state.view?.hidden.filter((id) => !ids.includes(id)) ?? [];
  await changeView({ chosen: ids, hidden, run: null }, ids);
  closeTable();
});
latest.addEventListener("click", hideNone);
compare.addEventListener("click", () => updateTable({ isComparing: !state.table.isComparing }));
pin.addEventListener("click", () => {
  const runs = selectedRuns();
  changeRuns(runs, { pinned: !runs.every(({ pinned }) => pinned) });
});
edit.addEventListener("click", () => openEditor(selectedRuns()));
stop.addEventListener("click", () => stopRuns(selectedRuns()));
remove.addEventListener("click", () => deleteRuns(selectedRuns(), true));
clear.addEventListener("click", () => {
  updateTable({ selected: new Map(), isComparing: false });
  find("#table-all", HTMLInputElement).focus();
});

/** @param {State} state */
export function renderSelection({ table, view }) {
  const runs = [...table.selected.values()];
  const isAny = runs.length > 0;
  said.textContent = isAny ? `${whole(runs.length)} selected` : "Select runs to show, compare or change them";
  for (const button of [show, pin, edit, remove, clear]) {
    button.hidden = !isAny;
  }
  show.disabled = runs.length > MAX_CHOSEN;
  show.title = show.disabled ? `The windows show at most ${MAX_CHOSEN} runs; select fewer` : SHOW_TITLE;
  latest.hidden = !view?.chosen.length;
  stop.hidden = !runs.some(({ status }) => UNDER_WAY.has(status));
  compare.hidden = runs.length < 2;
  compare.setAttribute("aria-pressed", String(table.isComparing));
  pin.textContent = isAny && runs.every(({ pinned }) => pinned) ? "Unpin" : "Pin";
}

function selectedRuns() {
  return [...state.table.selected.values()];
}
