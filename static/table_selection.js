// What can be done with the selected runs of the table.

/** @import { State } from "./types.d.ts" */

import { find } from "./dom.js";
import { UNDER_WAY, whole } from "./format.js";
import { changeRuns, deleteRuns, stopRuns } from "./run_changes.js";
import { openEditor } from "./run_editor.js";
import { state, updateTable } from "./state.js";
import { closeTable } from "./table_data.js";
import { changeView } from "./view.js";

const group = find("#table-actions", HTMLElement);
const said = find("#table-selected", HTMLElement);
const [show, compare, pin, edit, stop, remove, clear] = ["show", "compare", "pin", "edit", "stop", "delete", "clear"].map(
  (name) => find(`#table-${name}`, HTMLButtonElement, group),
);

show.addEventListener("click", async () => {
  const ids = selectedRuns().map(({ id }) => id);
  const hidden = state.view?.hidden.filter((id) => !ids.includes(id)) ?? [];
  await changeView({ chosen: ids, hidden, run: null });
  closeTable();
});
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
export function renderSelection({ table }) {
  const runs = [...table.selected.values()];
  const isAny = runs.length > 0;
  said.textContent = isAny ? `${whole(runs.length)} selected` : "Select runs to show, compare or change them";
  for (const button of [show, pin, edit, remove, clear]) {
    button.hidden = !isAny;
  }
  stop.hidden = !runs.some(({ status }) => UNDER_WAY.has(status));
  compare.hidden = runs.length < 2;
  compare.setAttribute("aria-pressed", String(table.isComparing));
  pin.textContent = isAny && runs.every(({ pinned }) => pinned) ? "Unpin" : "Pin";
}

function selectedRuns() {
  return [...state.table.selected.values()];
}
