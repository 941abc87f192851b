// A dialog in which a run is renamed, grouped, tagged and noted, or several are grouped and tagged at once.

/** @import { Run } from "./types.d.ts" */
/** @import { Noted } from "./run_changes.js" */

import { find, make } from "./dom.js";
import { nameOf } from "./format.js";
import { sendChanges } from "./run_changes.js";
import { state } from "./state.js";

const dialog = find("#editor", HTMLDialogElement);
const title = find("#editor-title", HTMLElement);
const name = find("#editor-name", HTMLInputElement);
const group = find("#editor-group", HTMLInputElement);
const tags = find("#editor-tags", HTMLInputElement);
const notes = find("#editor-notes", HTMLTextAreaElement);
const tagsLabel = find('[for="editor-tags"]', HTMLLabelElement);
const message = find("#editor-error", HTMLElement);
const groups = find("#editor-groups", HTMLDataListElement);

/** @type {Run[]} */
let edited = [];

find("form", HTMLFormElement, dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
find("#editor-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close());

/** @param {Run[]} runs one, or several */
export function openEditor(runs) {
  edited = runs;
  const [first, ...others] = runs;
  const isOne = !others.length;
  title.textContent = isOne ? nameOf(first) : `${runs.length} runs`;
  for (const field of [name, notes]) {
    /** @type {HTMLElement} */ (field.parentElement).hidden = !isOne;
  }
  tagsLabel.textContent = isOne ? "Tags, with commas between" : "Tags to add, with commas between";
  group.placeholder = isOne ? "" : "Each as it is";
  name.value = first.name;
  notes.value = first.notes;
  group.value = isOne ? first.group ?? "" : "";
  tags.value = isOne ? first.tags.join(", ") : "";
  groups.replaceChildren(...(state.table.known?.groups ?? []).map((value) => make("option", { value })));
  message.hidden = true;
  dialog.showModal();
  (isOne ? name : group).select();
}

async function save() {
  const typed = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  const isOne = edited.length === 1;
  try {
    await sendChanges(edited, (run) => (isOne ? changeOfOne(run, typed) : changeOfMany(run, typed)));
    dialog.close();
  } catch (error) {
    message.textContent = error instanceof Error ? error.message : String(error);
    message.hidden = false;
  }
}

/**
 * @param {Run} run
 * @param {string[]} typed
 * @returns {Noted}
 */
function changeOfOne(run, typed) {
  const isNamed = name.value.trim() && name.value !== run.name; // else a name that follows its parameters goes on to
  return {
    ...(isNamed ? { name: name.value.trim() } : {}),
    group: group.value.trim() || null,
    tags: typed,
    notes: notes.value,
  };
}

/**
 * @param {Run} run
 * @param {string[]} typed
 * @returns {Noted}
 */
function changeOfMany(run, typed) {
  const together = group.value.trim();
  return { ...(together ? { group: together } : {}), tags: [...run.tags, ...typed] };
}
