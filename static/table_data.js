// What the table of runs shows: a page of the runs that are searched for, fetched and kept up to date.

/** @import { Run } from "./types.d.ts" */

import { api, ApiError } from "./api.js";
import { showError } from "./messages.js";
import { state, updateTable } from "./state.js";
import { columnsToShow } from "./table_columns.js";
import { throttled } from "./timing.js";

const PAGE_SIZE = 100;
const REFRESH_MS = 2000; // between two requests for the page that is shown, while runs change

let requests = 0; // for a page of the table

export function openTable() {
  updateTable({ isOpen: true, columns: columnsToShow(state.table.known) });
  fetchPage();
  fetchColumns();
}

export function closeTable() {
  updateTable({ isOpen: false, isComparing: false });
}

/** @param {string} search */
export function searchFor(search) {
  updateTable({ search, offset: 0 });
  fetchPage();
}

/**
 * Sort by a column; again: the other way round, and then by none.
 *
 * @param {string} key
 */
export function sortBy(key) {
  const { sort, isDescending } = state.table;
  const isAgain = sort === key;
  updateTable({ sort: isAgain && isDescending ? "" : key, isDescending: isAgain && !isDescending, offset: 0 });
  fetchPage();
}

/** @param {number} by how many pages on, or back */
export function turnPages(by) {
  updateTable({ offset: Math.max(0, state.table.offset + by * PAGE_SIZE) });
  fetchPage();
}

/**
 * Take runs as they are now; whether others belong on this page is asked in a while.
 *
 * @param {Run[]} runs
 */
export function receiveTableRuns(runs) {
  const { isOpen, items, selected } = state.table;
  if (!isOpen && !selected.size) {
    return;
  }
  const now = new Map(runs.map((run) => [run.id, run]));
  updateTable({
    items: items.map((run) => now.get(run.id) ?? run),
    selected: new Map([...selected].map(([id, run]) => [id, now.get(id) ?? run])),
  });
  refresh();
}

/** @param {string[]} ids of runs that are deleted */
export function forgetTableRuns(ids) {
  const gone = new Set(ids);
  const { items, selected } = state.table;
  updateTable({
    items: items.filter(({ id }) => !gone.has(id)),
    selected: new Map([...selected].filter(([id]) => !gone.has(id))),
  });
  refresh();
}

const refresh = throttled(REFRESH_MS, () => {
  if (state.table.isOpen) {
    fetchPage();
  }
});

/** Fetch the page that is to be shown; a response that was overtaken is dropped. */
async function fetchPage() {
  requests += 1;
  const request = requests;
  const { offset, search: words, sort, isDescending } = state.table;
  const keys = ["-pinned", sort ? `${isDescending ? "-" : ""}${sort}` : "-number"];
  const query = new URLSearchParams({ search: words, sort: keys.join(","), limit: `${PAGE_SIZE}`, offset: `${offset}` });
  try {
    const { items, total } = await api("GET", `/runs?${query}`);
    if (request !== requests) {
      return;
    }
    const { selected } = state.table;
    const now = new Map(items.map((/** @type {Run} */ run) => [run.id, run]));
    const still = new Map([...selected].map(([id, run]) => [id, now.get(id) ?? run]));
    updateTable({ items, total, selected: still, error: "" });
    if (!items.length && offset) {
      updateTable({ offset: 0 }); // what was there is deleted
      fetchPage();
    }
  } catch (error) {
    const isAboutSearch = error instanceof ApiError && error.problems.some(({ path }) => path[0] === "search");
    if (request === requests && isAboutSearch) {
      updateTable({ error: error.message });
    } else if (request === requests) {
      showError(error);
    }
  }
}

async function fetchColumns() {
  try {
    const known = await api("GET", "/runs/columns");
    updateTable({ known, columns: columnsToShow(known) });
  } catch (error) {
    showError(error);
  }
}
