// The shared view: what this page changes is shown at once and sent to the board; what others change comes as events.

/** @import { Run, State, View } from "./types.d.ts" */

import { api } from "./api.js";
import { attempt } from "./messages.js";
import { state, update } from "./state.js";
import { throttled } from "./timing.js";

const MAX_HIDDEN = 1000; // runs, of which the board takes no more
const STEP_INTERVAL_MS = 100; // between two steps that a dragged slider sends

let pending = 0; // changes that this page has sent and that are not answered yet
let isBehind = false; // whether events came meanwhile, which may be from before those changes or from after
let turn = 0; // counts requests, changes and events: a response to an earlier request than the last is dropped
let isDragging = false; // whether the slider shows a step that is not sent yet
/** @type {View | null} */
let newest = null; // as told last; it is shown when its run has been fetched

/**
 * Show the view as an event tells it. Not while a change is pending: the event may be from before it, and a switch
 * would jump back and forth.
 *
 * @param {View} view
 */
export function receiveView(view) {
  if (pending) {
    isBehind = true;
    return;
  }
  isBehind = false;
  turn += 1;
  showView(view);
}

/**
 * Change the view for everyone. The response is the whole view; if others may have changed it since, it is fetched
 * again.
 *
 * @param {Partial<Omit<View, "axes" | "shown" | "windows" | "more_metrics">> & { axes?: Partial<View["axes"]> }} change
 * @param {string[]} [shown] the runs that will then be shown, as far as this page can know
 */
export function changeView(change, shown = state.view?.shown) {
  return attempt(async () => {
    pending += 1;
    turn += 1;
    if (state.view && !("run" in change)) { // of another run the board chooses step and sample anew
      const axes = /** @type {View["axes"]} */ ({ ...state.view.axes, ...change.axes });
      update({ view: { ...state.view, ...change, axes, shown: shown ?? [] } });
    }
    /** @type {View | null} */
    let view = null;
    try {
      view = await api("PATCH", "/board", change);
    } finally {
      pending -= 1;
      if (!pending) {
        await (view && !isBehind ? showView(view) : fetchView()); // a refused change is taken back
      }
    }
  });
}

/**
 * Select the run that everyone sees by itself; null: all see the latest runs.
 *
 * @param {string | null} run its id
 */
export async function selectRun(run) {
  if ((state.view?.run ?? null) !== run) {
    await changeView({ run });
  }
}

/**
 * Whether the shared windows show a run; one that waits in the queue appears there when it starts.
 *
 * @param {State} state
 * @param {Run} run
 */
export function isShown({ view }, { id, status }) {
  return Boolean(view && (view.shown.includes(id) || (status === "queued" && !view.hidden.includes(id))));
}

/**
 * Whether the shared windows show this run and no other one, as others are hidden.
 *
 * @param {State} state
 * @param {Run} run
 */
export function isShownAlone({ view }, { id }) {
  return Boolean((view?.hidden.length || view?.chosen.length) && view.shown.length === 1 && view.shown[0] === id);
}

/**
 * Show a run in the shared windows, whatever its data are, or hide it.
 *
 * @param {string} run its id
 * @param {boolean} isWanted
 */
export function showInShared(run, isWanted) {
  const { hidden = [], added = [], chosen = [], shown = [] } = state.view ?? {};
  const [others, shownOthers] = [without(hidden, run), without(shown, run)];
  if (chosen.length && isWanted) {
    return changeView({ hidden: others, chosen: [...without(chosen, run), run] }, [...shownOthers, run]);
  }
  return isWanted
    ? changeView({ hidden: others, added: [...without(added, run), run] }, [...shownOthers, run])
    : changeView({ hidden: latest([...others, run]), added: without(added, run) }, shownOthers);
}

/**
 * Show a run in the shared windows, and hide all others that they show.
 *
 * @param {string} run its id
 */
export function showAlone(run) {
  const { hidden = [], added = [], chosen = [], shown = [] } = state.view ?? {};
  if (chosen.length) {
    return changeView({ hidden: without(hidden, run), chosen: [run] }, [run]);
  }
  const others = new Set([...hidden, ...shown]);
  others.delete(run);
  return changeView({ hidden: latest([...others]), added: [...without(added, run), run] }, [run]);
}

/** Hide no run any more, and let go of those that were chosen. */
export function hideNone() {
  return changeView(state.view?.chosen.length ? { hidden: [], chosen: [] } : { hidden: [] });
}

/**
 * @param {string[]} runs
 * @param {string} run
 */
function without(runs, run) {
  return runs.filter((id) => id !== run);
}

/** @param {string[]} hidden those that were hidden last, as many as the board takes */
function latest(hidden) {
  return hidden.slice(-MAX_HIDDEN);
}

/**
 * Show a step of the selected run; null: its last.
 *
 * @param {number | null} at
 */
export function showStep(at) {
  isDragging = false;
  return changeView({ at });
}

/**
 * Show a step while the slider is being dragged: here at once, elsewhere as often as the board is told of it.
 *
 * @param {number} at
 */
export function dragToStep(at) {
  if (state.view) {
    isDragging = true;
    update({ view: { ...state.view, at } });
    sendStep(at);
  }
}

const sendStep = throttled(STEP_INTERVAL_MS, (/** @type {number} */ at) => {
  if (isDragging) {
    showStep(at);
  }
});

async function fetchView() {
  turn += 1;
  const asked = turn;
  const view = await api("GET", "/board");
  if (asked === turn) {
    isBehind = false;
    await showView(view);
  }
}

/** @param {View} view */
async function showView(view) {
  newest = view;
  const known = !view.run ? null : view.run === state.selected?.id ? state.selected : state.runs.get(view.run);
  const selected = known === undefined ? await fetchRun(/** @type {string} */ (view.run)) : known;
  if (view !== newest) {
    return; // another one came while the run was fetched
  }
  isDragging &&= selected?.id === state.selected?.id;
  const at = isDragging && state.view ? state.view.at : view.at;
  update({ view: { ...view, at }, selected });
}

/**
 * @param {string} id
 * @returns {Promise<Run | null>} null if it has been deleted
 */
function fetchRun(id) {
  return api("GET", `/runs/${id}`).catch(() => null);
}
