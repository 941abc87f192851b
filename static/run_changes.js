// What is changed of many runs at once: notes, ends, deletions; a deletion can be undone for a while.

/** @import { Run } from "./types.d.ts" */

import { api } from "./api.js";
import { find } from "./dom.js";
import { nameOf, UNDER_WAY } from "./format.js";
import { announce, attempt, showError } from "./messages.js";
import { Offer } from "./offer.js";
import { forgetRuns, keepRun, loadRuns } from "./runs.js";
import { forgetTableRuns, receiveTableRuns } from "./table_data.js";

/** @typedef {Partial<Pick<Run, "name" | "group" | "tags" | "notes" | "pinned">>} Noted */

const undo = find("#undo", HTMLElement);
const undoOffer = new Offer(undo, find("#runs-tab", HTMLElement));
let timer = 0; // until a deletion can no longer be undone

/**
 * Change what people note of runs.
 *
 * @param {Run[]} runs
 * @param {Noted | ((run: Run) => Noted)} change
 */
export function changeRuns(runs, change) {
  return attempt(() => sendChanges(runs, change));
}

/**
 * As `changeRuns`; throws what the board refuses.
 *
 * @param {Run[]} runs
 * @param {Noted | ((run: Run) => Noted)} change
 */
export async function sendChanges(runs, change) {
  const sent = runs.map((run) => api("PATCH", `/runs/${run.id}`, typeof change === "function" ? change(run) : change));
  const outcomes = await Promise.allSettled(sent);
  take(outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : [])));
  const refused = outcomes.find(({ status }) => status === "rejected");
  if (refused?.status === "rejected") {
    throw refused.reason;
  }
}

/** @param {Run[]} runs of which those under way are asked to end */
export function stopRuns(runs) {
  const ids = runs.filter(({ status }) => UNDER_WAY.has(status)).map(({ id }) => id);
  return attempt(async () => take((await api("POST", "/runs/stop", { ids })).items));
}

/**
 * Delete runs, and offer to undo that.
 *
 * @param {Run[]} runs
 * @param {boolean} [isFocused] whether the offer gets the focus, as what was pressed is gone with the runs
 */
export function deleteRuns(runs, isFocused = false) {
  return attempt(async () => {
    const { ids, restorable_s: seconds } = await api("POST", "/runs/delete", { ids: runs.map(({ id }) => id) });
    forgetRuns(ids);
    forgetTableRuns(ids);
    const what = runs.length === 1 ? nameOf(runs[0]) : `${runs.length} runs`;
    announce(`${what} deleted.`);
    undoOffer.make(`${what} deleted.`, "Undo", () => restoreRuns(ids));
    clearTimeout(timer);
    timer = setTimeout(() => undoOffer.withdraw(), 1000 * seconds);
    if (isFocused) {
      find("button", HTMLButtonElement, undo).focus();
    }
  });
}

/** @param {string[]} ids */
function restoreRuns(ids) {
  return attempt(async () => {
    const { items } = await api("POST", "/runs/restore", { ids });
    announce(items.length === 1 ? `${nameOf(items[0])} is back.` : `${items.length} runs are back.`);
    receiveTableRuns(items);
    await loadRuns().catch(showError);
  });
}

/** @param {Run[]} runs */
function take(runs) {
  runs.forEach(keepRun);
  receiveTableRuns(runs);
}
