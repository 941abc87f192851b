// What a person can do to runs: each sends a request, and takes the runs of the response into the store.

/** @import { Run, RunRequest, State } from "./types.d.ts" */

import { api } from "./api.js";
import { find } from "./dom.js";
import { nameOf } from "./format.js";
import { announce, attempt } from "./messages.js";
import { Offer } from "./offer.js";
import { keepRun } from "./runs.js";
import { state } from "./state.js";
import { showTab } from "./tabs.js";
import { selectRun, showStep } from "./view.js";

const startOffer = new Offer(find("#start-offer", HTMLElement), find("#runs-tab", HTMLElement));

/** @type {string | null} */
let offeredBeside = null; // the id of the run that was selected when something was offered; null: all runs were shown

/**
 * Start a run, among all others: it could not be seen while another one is selected. Throws what the board refuses.
 *
 * @param {RunRequest} request
 */
export async function startRun(request) {
  const run = await createRun(request);
  await select(null, nameOf(run), "Show all runs");
}

/** @param {RunRequest} request */
export async function startRunAndSelect(request) {
  const run = await createRun(request);
  await select(run.id, nameOf(run), "Look closer");
}

/**
 * Select what was just started. All pages show the same: if others are open, it is offered only.
 *
 * @param {string | null} run its id; null: all runs
 * @param {string} name of what was started
 * @param {string} label of the button
 */
async function select(run, name, label) {
  const { selected, view, viewers } = state;
  if (viewers <= 1 || !view || view.run === run) {
    await selectRun(run);
    return;
  }
  const where = selected ? `Others look at ${nameOf(selected)} with you.` : "Others look at all runs with you.";
  startOffer.make(`${name} started. ${where}`, label, () => selectRun(run));
  offeredBeside = view.run;
}

/** @param {State} state */
export function renderStartOffer({ view }) {
  if (view && view.run !== offeredBeside) {
    startOffer.withdraw();
  }
}

/**
 * @param {RunRequest} request
 * @returns {Promise<Run>}
 */
async function createRun(request) {
  const run = await api("POST", "/runs", request);
  keepRun(run);
  announce(`${nameOf(run)} started.`);
  showTab("runs");
  document.querySelector("#runs")?.firstElementChild?.scrollIntoView({ block: "nearest" });
  return run;
}

/** @param {RunRequest} request */
export async function startRace(request) {
  const { group, runs } = await api("POST", "/races", request);
  runs.forEach(keepRun);
  announce(`${group} started: ${runs.length} runs.`);
  showTab("runs");
  document.querySelector("#ranking")?.scrollIntoView({ block: "nearest" });
  await select(null, group, "Show all runs");
}

/**
 * Control a run. One that is to go on is shown where it goes on, should an earlier step of it be on show.
 *
 * @param {Run} run
 * @param {"pause" | "resume" | "step" | "stop"} how
 */
export function controlRun(run, how) {
  const body = how === "step" ? { steps: 1 } : undefined;
  return attempt(async () => {
    keepRun(await api("POST", `/runs/${run.id}/${how}`, body));
    if ((how === "step" || how === "resume") && state.view?.run === run.id && state.view.at !== null) {
      await showStep(null);
    }
  });
}

/**
 * Change parameters of a run that is under way. Throws what the board refuses.
 *
 * @param {Run} run
 * @param {Record<string, number | null>} params
 */
export async function changeParams(run, params) {
  keepRun(await api("PATCH", `/runs/${run.id}`, { params }));
}
