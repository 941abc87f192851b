// The table of runs, which opens over the windows: its search, its head and its pages.

/** @import { State } from "./types.d.ts" */

import { find, make } from "./dom.js";
import { whole } from "./format.js";
import { state, updateTable } from "./state.js";
import { renderComparison } from "./table_comparison.js";
import { isSortable, renderColumnMenu, titleOf } from "./table_columns.js";
import { closeTable, openTable, searchFor, sortBy, turnPages } from "./table_data.js";
import { renderRows } from "./table_rows.js";
import { renderSelection } from "./table_selection.js";
import { debounced } from "./timing.js";

const SEARCH_MS = 200; // from the last key until what was typed is searched for

const section = find("#table", HTMLElement);
const windows = find("#windows", HTMLElement);
const opener = find("#table-open", HTMLButtonElement);
const menu = find("#table-columns", HTMLDetailsElement);
const search = find("#table-search", HTMLInputElement);
const searchError = find("#table-search-error", HTMLElement);
const scroller = find("#table-scroller", HTMLElement);
const all = find("#table-all", HTMLInputElement);
const head = find("#table-runs thead tr", HTMLTableRowElement);
const count = find("#table-count", HTMLElement);
const previous = find("#table-previous", HTMLButtonElement);
const next = find("#table-next", HTMLButtonElement);

let renderedHead = ""; // the columns and their order, as the head shows them

opener.addEventListener("click", () => (state.table.isOpen ? closeTable() : openTable()));
find("#table-close", HTMLButtonElement).addEventListener("click", closeTable);
search.addEventListener("input", debounced(SEARCH_MS, () => searchFor(search.value)));
all.addEventListener("change", () => selectPage(all.checked));
previous.addEventListener("click", () => turn(-1));
next.addEventListener("click", () => turn(1));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !state.table.isOpen || document.querySelector("dialog[open]")) {
    return;
  }
  if (menu.open) {
    menu.open = false;
    find("summary", HTMLElement, menu).focus();
  } else if (document.activeElement !== search || !search.value) { // else the browser empties the field
    closeTable();
  }
});

/** @param {boolean} isWanted whether all runs of the page are to be selected, or none of them */
function selectPage(isWanted) {
  const selected = new Map(state.table.selected);
  state.table.items.forEach((run) => (isWanted ? selected.set(run.id, run) : selected.delete(run.id)));
  updateTable({ selected });
}

/** @param {number} by */
function turn(by) {
  scroller.scrollTop = 0;
  turnPages(by);
}

/** @param {State} state */
export function renderTable(state) {
  const { table } = state;
  renderOpen(table.isOpen);
  if (!table.isOpen) {
    return;
  }
  searchError.textContent = table.error;
  searchError.hidden = !table.error;
  search.setAttribute("aria-invalid", String(Boolean(table.error)));
  const [from, to] = [table.offset + 1, table.offset + table.items.length];
  count.textContent = table.total ? `${whole(from)} – ${whole(to)} of ${whole(table.total)}` : "No runs are found";
  previous.disabled = table.offset === 0;
  next.disabled = to >= table.total;
  renderColumnMenu(state);
  renderHead(state);
  renderRows(state);
  renderSelection(state);
  renderComparison(state);
}

/** @param {boolean} isOpen */
function renderOpen(isOpen) {
  if (section.hidden !== isOpen) {
    return;
  }
  const hadFocus = section.contains(document.activeElement);
  section.hidden = !isOpen;
  windows.inert = isOpen;
  opener.setAttribute("aria-expanded", String(isOpen));
  opener.textContent = isOpen ? "Close table" : "Open table";
  menu.open = false;
  if (isOpen) {
    section.scrollIntoView({ block: "start" }); // below the rail, where there is no room beside it
    search.focus({ preventScroll: true });
  } else if (hadFocus) {
    (opener.checkVisibility() ? opener : windows).focus();
  }
}

/** @param {State} state */
function renderHead({ table: { columns, sort, isDescending } }) {
  const wanted = JSON.stringify([columns, sort, isDescending]);
  if (wanted === renderedHead) {
    return;
  }
  renderedHead = wanted;
  const focused = head.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  const cells = ["name", ...columns].map((key) => headOf(key, key === sort, isDescending));
  head.replaceChildren(head.children[0], ...cells);
  cells.find((cell) => cell.dataset.key === focused?.parentElement?.dataset.key)?.querySelector("button")?.focus();
}

/**
 * @param {string} key
 * @param {boolean} isSorted
 * @param {boolean} isDescending
 */
function headOf(key, isSorted, isDescending) {
  const [kind, name] = key === "name" ? ["", "Name"] : titleOf(key);
  const words = [make("span", { className: "kind", textContent: kind }), make("span", { textContent: name })];
  const cell = make("th", { scope: "col" });
  cell.dataset.key = key;
  if (!isSortable(key)) {
    cell.append(...words);
    return cell;
  }
  const button = make("button", { type: "button", title: `Sort by ${kind} ${name}` }, ...words);
  button.addEventListener("click", () => sortBy(key));
  cell.append(button);
  cell.setAttribute("aria-sort", !isSorted ? "none" : isDescending ? "descending" : "ascending");
  return cell;
}
