// The rows of the table of runs: made once for each run, and changed in place.

/** @import { Run, State } from "./types.d.ts" */

import { find, make } from "./dom.js";
import { nameOf } from "./format.js";
import { changeRuns } from "./run_changes.js";
import { openEditor } from "./run_editor.js";
import { state, updateTable } from "./state.js";
import { textOf } from "./table_columns.js";
import { differing } from "./table_comparison.js";
import { hideNone, isShown, isShownAlone, showAlone, showInShared } from "./view.js";

const template = find("#row-template", HTMLTemplateElement);
const body = find("#table-runs tbody", HTMLTableSectionElement);

/** @type {Map<string, TableRow>} */
const rows = new Map(); // by the run's id
let anchor = ""; // the id of the run that was selected last: with Shift, all from there on are

class TableRow {
  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    this.element = find("tr", HTMLTableRowElement, /** @type {DocumentFragment} */ (template.content.cloneNode(true)));
    this.element.dataset.id = run.id;
    this.box = find(".select", HTMLInputElement, this.element);
    this.pin = find(".pin", HTMLButtonElement, this.element);
    this.eye = find(".eye", HTMLButtonElement, this.element);
    this.only = find(".only", HTMLButtonElement, this.element);
    this.edit = find(".edit", HTMLButtonElement, this.element);
    /** @type {Run | null} */
    this.rendered = null; // the run that the cells are of, and what else they were made of
    this.shown = "";
    this.box.addEventListener("click", ({ shiftKey }) => select(this.run, this.box.checked, shiftKey));
    this.pin.addEventListener("click", () => changeRuns([this.run], { pinned: !this.run.pinned }));
    this.eye.addEventListener("click", () => showInShared(run.id, this.eye.getAttribute("aria-pressed") !== "true"));
    this.only.addEventListener("click", () => {
      return this.only.getAttribute("aria-pressed") === "true" ? hideNone() : showAlone(run.id);
    });
    this.edit.addEventListener("click", () => openEditor([this.run]));
  }

  /**
   * @param {State} state
   * @param {Run} run
   * @param {Set<string>} marked the columns in which the selected runs differ
   */
  render(state, run, marked) {
    const { columns, selected, known } = state.table;
    const isSelected = selected.has(run.id);
    this.box.checked = isSelected;
    this.element.classList.toggle("selected", isSelected);
    this.element.classList.toggle("shown", isShown(state, run));
    this.eye.setAttribute("aria-pressed", String(isShown(state, run)));
    this.only.setAttribute("aria-pressed", String(isShownAlone(state, run)));
    if (run !== this.rendered) {
      this.run = run;
      this.renderHead();
    }
    const isRunning = run.ended_at === null ? Date.now() : ""; // its duration grows
    const wanted = JSON.stringify([columns, isSelected && [...marked], Boolean(known), isRunning]);
    if (wanted !== this.shown || run !== this.rendered) {
      this.shown = wanted;
      this.rendered = run;
      const cells = columns.map((key) => cellOf(run, key, isSelected && marked.has(key)));
      this.element.replaceChildren(...[...this.element.children].slice(0, 2), ...cells);
    }
  }

  renderHead() {
    const { run } = this;
    const name = nameOf(run);
    this.element.dataset.status = run.status;
    find(".chip", HTMLElement, this.element).style.backgroundColor = run.colour;
    find(".number", HTMLElement, this.element).textContent = `#${run.number}`;
    this.edit.textContent = run.name;
    this.edit.setAttribute("aria-label", `Edit ${name}`);
    this.edit.disabled = state.right !== "owner";
    this.box.setAttribute("aria-label", `Select ${name}`);
    this.pin.setAttribute("aria-label", `Pin ${name}`);
    this.pin.title = run.pinned ? "At the top: leave it in its place" : "Keep it at the top";
    this.pin.setAttribute("aria-pressed", String(run.pinned));
    this.eye.setAttribute("aria-label", `Show ${name} in the shared windows`);
    this.only.setAttribute("aria-label", `Only ${name} in the shared windows`);
  }
}

/** @param {State} state */
export function renderRows(state) {
  const { items, selected } = state.table;
  const ids = new Set(items.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (!ids.has(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  const marked = differing([...selected.values()], state.table.columns);
  items.forEach((run, at) => {
    const row = rows.get(run.id) ?? new TableRow(run);
    rows.set(run.id, row);
    row.render(state, run, marked);
    if (body.children[at] !== row.element) {
      body.insertBefore(row.element, body.children[at] ?? null);
    }
  });
  const all = find("#table-all", HTMLInputElement);
  const count = items.filter(({ id }) => selected.has(id)).length;
  all.checked = count > 0 && count === items.length;
  all.indeterminate = count > 0 && count < items.length;
}

/**
 * Select a run or not, and with Shift all between it and the one before.
 *
 * @param {Run} run
 * @param {boolean} isWanted
 * @param {boolean} isRange
 */
function select(run, isWanted, isRange) {
  const { items, selected } = state.table;
  const places = [run.id, isRange ? anchor : run.id].map((id) => items.findIndex((item) => item.id === id));
  const [from, to] = places.includes(-1) ? [places[0], places[0]] : places.sort((a, b) => a - b);
  const now = new Map(selected);
  items.slice(from, to + 1).forEach((item) => (isWanted ? now.set(item.id, item) : now.delete(item.id)));
  anchor = run.id;
  updateTable({ selected: now });
}

/**
 * @param {Run} run
 * @param {string} key
 * @param {boolean} isMarked
 */
function cellOf(run, key, isMarked) {
  const text = textOf(run, key);
  const cell = make("td", { textContent: text, title: text.length > 24 ? text : "" });
  cell.dataset.key = key;
  cell.classList.toggle("differs", isMarked);
  return cell;
}
