// What a person can do to runs: each sends a request, and takes the runs of the response into the store.

/** @import { Run, RunRequest } from "./types.d.ts" */

import { api } from "./api.js";
import { nameOf } from "./format.js";
import { announce, attempt } from "./messages.js";
import { forgetRuns, keepRun } from "./runs.js";
import { selectRun } from "./view.js";

/**
 * Start a run, among all others: it could not be seen while another one is selected. Throws what the board refuses.
 *
 * @param {RunRequest} request
 */
export async function startRun(request) {
  await createRun(request);
  await selectRun(null);
}

/** @param {RunRequest} request */
export async function startRunAndSelect(request) {
  const run = await createRun(request);
  await selectRun(run.id);
}

/**
 * @param {RunRequest} request
 * @returns {Promise<Run>}
 */
async function createRun(request) {
  const run = await api("POST", "/runs", request);
  keepRun(run);
  announce(`${nameOf(run)} started.`);
  document.querySelector("#runs")?.firstElementChild?.scrollIntoView({ block: "nearest" });
  return run;
}

/** @param {RunRequest} request */
export async function startRace(request) {
  const { group, runs } = await api("POST", "/races", request);
  runs.forEach(keepRun);
  announce(`${group} started: ${runs.length} runs.`);
  document.querySelector("#ranking")?.scrollIntoView({ block: "nearest" });
  await selectRun(null);
}

/**
 * @param {Run} run
 * @param {"pause" | "resume" | "step" | "stop"} how
 */
export function controlRun(run, how) {
  const body = how === "step" ? { steps: 1 } : undefined;
  return attempt(async () => keepRun(await api("POST", `/runs/${run.id}/${how}`, body)));
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

/** @param {Run} run */
export function deleteRun(run) {
  return attempt(async () => {
    await api("DELETE", `/runs/${run.id}`);
    forgetRuns([run.id]);
    announce(`${nameOf(run)} deleted.`);
  });
}
