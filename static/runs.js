// The runs in the store: fetched a page at a time, and kept up to date by events.

/** @import { Run } from "./types.d.ts" */

import { api } from "./api.js";
import { explanationOf, nameOf, statusOf, UNDER_WAY } from "./format.js";
import { announce, attempt, showError } from "./messages.js";
import { state, update } from "./state.js";

const PAGE_SIZE = 50; // runs fetched at once
const MAX_PAGE_SIZE = 1000; // runs that the API returns at once

/** @type {(() => void)[] | null} */
let deferred = null; // changes told by events while the list is fetched; null while it is not

/** Fetch as many of the newest runs as are listed. What events tell in the meantime is newer than the response. */
export async function loadRuns() {
  /** @type {(() => void)[]} */
  const mine = [];
  deferred = mine;
  try {
    const limit = Math.min(MAX_PAGE_SIZE, Math.max(PAGE_SIZE, state.runs.size));
    const { items, total } = await api("GET", `/runs?limit=${limit}`);
    if (deferred === mine) {
      update({ runs: byId(items), total });
    }
  } finally {
    if (deferred === mine) { // else the runs are being fetched again, and that response is newer than all this
      deferred = null;
      mine.forEach((change) => change());
    }
  }
}

export function loadOlderRuns() {
  return attempt(async () => {
    const { items, total } = await api("GET", `/runs?limit=${PAGE_SIZE}&offset=${state.runs.size}`);
    update({ runs: new Map([...state.runs, ...byId(items)]), total });
  });
}

/**
 * @param {Run[]} runs
 * @returns {Map<string, Run>}
 */
function byId(runs) {
  return new Map(runs.map((run) => [run.id, run]));
}

/** @param {Run[]} runs as an event tells of them */
export function receiveRuns(runs) {
  whenLoaded(() => runs.forEach(keepRun));
}

/** @param {string[]} ids of runs that an event tells to be deleted */
export function receiveRemoved(ids) {
  whenLoaded(() => forgetRuns(ids));
}

/** @param {() => void} change */
function whenLoaded(change) {
  if (deferred) {
    deferred.push(change);
  } else {
    change();
  }
}

/**
 * Take a run as it is now. A response that was overtaken by an event does not set it back.
 *
 * @param {Run} run
 */
export function keepRun(run) {
  const isSelected = run.id === state.selected?.id;
  const known = state.runs.get(run.id) ?? (isSelected ? state.selected : null);
  if (known && !UNDER_WAY.has(known.status) && UNDER_WAY.has(run.status) && run.method !== "external") {
    return;
  }
  if (known && known.status !== run.status && !UNDER_WAY.has(run.status)) {
    announce(`${nameOf(run)}: ${statusOf(run)}. ${explanationOf(run)} ${run.why ?? ""}`.trimEnd());
  }
  if (isSelected) {
    update({ selected: run });
  }
  if (!isBelowTheList(run)) {
    const total = state.total + (state.runs.has(run.id) ? 0 : 1);
    update({ runs: state.runs.set(run.id, run), total });
  }
}

/**
 * Whether a run is older than those that are listed, and so counted already.
 *
 * @param {Run} run
 */
function isBelowTheList({ id, number }) {
  const { runs, total } = state;
  const isOlder = runs.size > 0 && !runs.has(id) && [...runs.values()].every((listed) => number < listed.number);
  return isOlder && total > runs.size;
}

/**
 * Take deleted runs off the list. If one was not listed, only the board knows whether it is still counted; and a list
 * that has become empty has room for older ones.
 *
 * @param {string[]} ids
 */
export function forgetRuns(ids) {
  const listed = ids.filter((id) => state.runs.delete(id));
  update({ total: state.total - listed.length });
  if (listed.length < ids.length || (!state.runs.size && state.total)) {
    loadRuns().catch(showError);
  }
}
