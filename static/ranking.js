// The ranking of the newest race: who leads, and buttons that control all its runs.

/** @import { Place, Run, State } from "./types.d.ts" */

import { controlRun } from "./actions.js";
import { api } from "./api.js";
import { find, make } from "./dom.js";
import { figure, UNDER_WAY, whole } from "./format.js";
import { newestFirst } from "./state.js";
import { throttled } from "./timing.js";

const FETCH_INTERVAL_MS = 500; // between two requests for the ranking
const HEADS = { lr: "Learning rate", method: "Method" };
const STEPS_TITLE = "Updates, or steps of a search, until the error is 1 % of the run's first";
const WORK_TITLE = `${STEPS_TITLE}, counted in gradients of single samples: what methods can be compared by`;
const ERROR_TITLE = "Mean squared error over all data";

const ranking = find("#ranking", HTMLDetailsElement);
const summary = find("summary", HTMLElement, ranking);
const head = find("thead", HTMLTableSectionElement, ranking);
const body = find("tbody", HTMLTableSectionElement, ranking);
const buttons = find(".steer", HTMLElement, ranking);
const hold = find("#race-hold", HTMLButtonElement);

let fetched = ""; // the state of the runs for which the ranking was fetched
let requests = 0; // for the ranking
let shown = 0; // the number of the request whose response is shown
/** @type {Run[]} */
let underWay = []; // the runs of the race that can still be controlled
let newest = ""; // the race that is the newest on the board: its ranking was opened, and a person may fold it

hold.addEventListener("click", () => {
  const isHeld = underWay.every(isPaused);
  underWay.filter((run) => isPaused(run) === isHeld).forEach((run) => controlRun(run, isHeld ? "resume" : "pause"));
});
find("#race-stop", HTMLButtonElement).addEventListener("click", () => {
  underWay.forEach((run) => controlRun(run, "stop"));
});

/** @param {State} state */
export function renderRanking(state) {
  const runs = newestFirst(state);
  const group = runs.find(isRacing)?.group ?? "";
  const racing = runs.filter((run) => isRacing(run) && run.group === group);
  ranking.hidden = !group;
  underWay = racing.filter(({ status }) => UNDER_WAY.has(status));
  buttons.hidden = !underWay.length;
  hold.textContent = underWay.every(isPaused) ? "Resume all" : "Pause all";
  const race = runs.length && isRacing(runs[0]) ? group : "";
  if (race !== newest) {
    newest = race;
    ranking.open = Boolean(race); // an old race gives its room to newer runs
  }
  const wanted = JSON.stringify(racing.map(({ id, status, step }) => [id, status, step]));
  if (group && wanted !== fetched) {
    fetched = wanted;
    fetchRanking(group, racing);
  }
}

/** @param {Run} run */
function isPaused({ status }) {
  return status === "paused";
}

/**
 * Whether a run was started in a race.
 *
 * @param {Run} run
 */
function isRacing({ varied }) {
  return Object.keys(varied).length > 0;
}

/** A response that was overtaken is dropped; one that is merely late, as all may be on a busy board, is shown. */
const fetchRanking = throttled(FETCH_INTERVAL_MS, async (/** @type {string} */ group, /** @type {Run[]} */ racing) => {
  requests += 1;
  const request = requests;
  try {
    const places = await api("GET", `/races/${encodeURIComponent(group)}`);
    if (request > shown) {
      shown = request;
      renderTable(group, places, racing);
    }
  } catch {
    fetched = ""; // the race was deleted, or the board is away: the next change of a run asks again
  }
});

/**
 * @param {string} group
 * @param {Place[]} places
 * @param {Run[]} racing
 */
function renderTable(group, places, racing) {
  const [varied] = Object.keys(racing[0].varied);
  summary.textContent = `Ranking of ${group}`;
  const title = HEADS[/** @type {keyof typeof HEADS} */ (varied)] ?? varied;
  const isOneMethod = varied === "lr"; // then steps and gradients say the same
  const work = isOneMethod ? [] : [headOf("Gradients to 1 %", WORK_TITLE)];
  const others = [...work, headOf("Steps to 1 %", STEPS_TITLE), headOf("Error now", ERROR_TITLE)];
  head.replaceChildren(make("tr", {}, headOf(title), ...others));
  body.replaceChildren(...places.map((place) => {
    const name = varied === "method" ? place.name : figure(place.value ?? place.name);
    const { evaluations_to_1_percent: evaluations, steps_to_1_percent: steps } = place;
    const error = place.exploded ? "diverged" : figure(place.final_mse ?? place.final_loss ?? "–");
    const cells = [...(isOneMethod ? [] : [counted(evaluations)]), counted(steps), error];
    return rowOf(name, cells, racing.find(({ id }) => id === place.run)?.colour);
  }));
}

/** @param {number | null} count */
function counted(count) {
  return count === null ? "–" : whole(count);
}

function headOf(textContent = "", title = "") {
  return make("th", { scope: "col", textContent, title });
}

/**
 * @param {string} name
 * @param {string[]} cells
 * @param {string} [colour]
 */
function rowOf(name, cells, colour = "transparent") {
  const chip = make("span", { className: "chip" });
  chip.style.backgroundColor = colour;
  const others = cells.map((textContent) => make("td", { textContent }));
  return make("tr", {}, make("th", { scope: "row" }, chip, name), ...others);
}
