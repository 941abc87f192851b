// Races: the same run several times over with one thing different; how to start one, and who leads the newest.

import { api } from "./api.js";
import { make } from "./dom.js";
import { FieldError, fixedField, numbersIn } from "./fields.js";
import { addFields, submit } from "./form.js";
import { figure, UNDER_WAY, whole } from "./format.js";
import { throttled } from "./timing.js";

const MOST = 50; // rates that "5 from 0.01 to 0.3" may ask for; of a longer list the board says what it takes
const OFTEN = 500; // milliseconds between two looks at the ranking
const TITLES = { "Steps to 1 %": "Steps until the loss is 1 % of the run's first loss" };

const panel = document.querySelector("#race");
const opener = document.querySelector("#race-open");
const what = document.querySelector("#race-what");
const rates = document.querySelector("#race-rates");
const choices = document.querySelector("#race-methods");
const ranking = document.querySelector("#ranking");
const hold = document.querySelector("#race-hold");
const stop = document.querySelector("#race-stop");

const ratesField = fixedField("vary-lr", rates);
const methodsField = fixedField("vary-method", choices, choices);

let methods = [];
let start = null;

/**
 * Make the race's part of the form work, and the buttons of its ranking. `begin` is called with the body of
 * POST /api/races and returns a promise; `actions` has pause, resume and stop, each of a run.
 */
export function setUpRace(begin, actions) {
  start = begin;
  hold.addEventListener("click", () => {
    const resting = underWay.every(isPaused);
    underWay.filter((run) => isPaused(run) === resting).forEach(resting ? actions.resume : actions.pause);
  });
  stop.addEventListener("click", () => underWay.forEach(actions.stop));
  addFields([ratesField, methodsField]);
  opener.addEventListener("click", () => open(panel.hidden));
  what.addEventListener("change", renderWhat);
  rates.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault(); // the form's Enter starts one run
      startRace();
    }
  });
  document.querySelector("#race-start").addEventListener("click", startRace);
}

/** Offer these methods. */
export function renderChoices(listed) {
  methods = listed;
  const chosen = chosenMethods();
  const boxes = methods.map(({ name, title }) => {
    const box = make("input", { type: "checkbox", value: name, checked: chosen.includes(name) });
    return make("label", {}, box, title);
  });
  choices.querySelector(".boxes").replaceChildren(...boxes);
}

/** Fill in what varies; undefined closes the race, as one run is to be started. */
export function fillRace(vary) {
  open(Boolean(vary));
  if (vary?.lr) {
    what.value = "lr";
    rates.value = vary.lr.join(", ");
  } else if (vary?.method) {
    what.value = "method";
    choices.querySelectorAll("input").forEach((box) => {
      box.checked = vary.method.includes(box.value);
    });
  }
  renderWhat();
}

/** Start the race that is filled in; then the list has the panel's room. */
export function startRace() {
  const startAndClose = async (request) => {
    await start(request);
    open(false);
  };
  return submit(startAndClose, complete);
}

function open(wanted) {
  panel.hidden = !wanted;
  opener.setAttribute("aria-expanded", String(wanted));
  if (wanted) {
    panel.scrollIntoView({ block: "nearest" });
  }
}

function renderWhat() {
  ratesField.accept();
  methodsField.accept();
  ratesField.element.hidden = what.value !== "lr";
  choices.hidden = what.value !== "method";
}

/** What the form asks for, as a race. `readField(field)` marks what cannot be sent. */
function complete({ method, params, ...rest }, readField) {
  if (what.value === "lr") {
    const { lr: _, ...others } = params;
    return { ...rest, method, params: others, vary: { lr: readField({ ...ratesField, read: () => ratesIn(rates.value) }) } };
  }
  const names = readField({ ...methodsField, read: readMethods }) ?? [];
  return { ...rest, params: sharedOf(params, names), vary: { method: names } };
}

/** Those parameters that all the methods have. */
function sharedOf(params, names) {
  const schemas = methods.filter(({ name }) => names.includes(name)).map((method) => method.params_schema.properties);
  return Object.fromEntries(Object.entries(params).filter(([name]) => schemas.every((properties) => name in properties)));
}

function readMethods() {
  const names = chosenMethods();
  if (names.length < 2) {
    throw new FieldError("Choose two methods or more.");
  }
  return names;
}

function chosenMethods() {
  return [...choices.querySelectorAll("input:checked")].map(({ value }) => value);
}

/** "0.01, 0.05, 0.1", or "5 from 0.01 to 0.3": evenly along the slider, so by the same factor from each to the next. */
function ratesIn(text) {
  const found = /^\s*(\d+)\s+from\s+(\S+)\s+to\s+(\S+)\s*$/i.exec(text);
  const [count, from, to] = found?.slice(1).map(Number) ?? [];
  if (!found) {
    const listed = numbersIn(text, "The list");
    if (listed.length < 2) {
      throw new FieldError("A race needs two learning rates or more, such as 0.01, 0.05, 0.1.");
    }
    return listed;
  }
  if (count < 2 || count > MOST || !(from > 0) || !(to > 0) || !Number.isFinite(from * to)) {
    throw new FieldError(`Write 2 to ${MOST} learning rates above 0, such as 5 from 0.01 to 0.3.`);
  }
  return Array.from({ length: count }, (_, at) => {
    const part = at / (count - 1);
    return part === 1 ? to : Number((from * (to / from) ** part).toPrecision(3));
  });
}

// --- who leads -------------------------------------------------------------------------------------------------------

let seen = ""; // the state of the runs that the ranking was asked for
let asked = 0; // how often it was asked for
let shown = 0; // which of the answers is shown
let underWay = []; // the runs of that race that can still be steered
let opened = ""; // the race that is the newest thing on the board: its ranking was opened, and a person may fold it

/** Show the ranking of the newest race among these runs, newest first. */
export function renderRanking(runs) {
  const group = runs.find(isRacing)?.group;
  const racing = runs.filter((run) => isRacing(run) && run.group === group);
  const state = JSON.stringify(racing.map(({ id, status, step }) => [id, status, step]));
  ranking.hidden = !group;
  underWay = racing.filter(({ status }) => UNDER_WAY.has(status));
  hold.parentElement.hidden = !underWay.length;
  hold.textContent = underWay.every(isPaused) ? "Resume all" : "Pause all";
  const newest = runs[0] && isRacing(runs[0]) ? group : "";
  if (newest !== opened) {
    opened = newest;
    ranking.open = Boolean(newest); // an old race gives its room to newer runs
  }
  if (group && state !== seen) {
    seen = state;
    update(group, new Map(racing.map((run) => [run.id, run])));
  }
}

function isPaused({ status }) {
  return status === "paused";
}

/** Whether a run was started in a race. */
export function isRacing(run) {
  return Object.keys(run.varied ?? {}).length > 0;
}

/** An answer that is overtaken is dropped; one that is merely late, as all may be on a busy board, is shown. */
const update = throttled(OFTEN, async (group, racing) => {
  asked += 1;
  const turn = asked;
  try {
    const places = await api("GET", `/races/${encodeURIComponent(group)}`);
    if (turn > shown) {
      shown = turn;
      renderTable(group, places, racing);
    }
  } catch {
    seen = ""; // the race was deleted, or the board is away: the next change of a run asks again
  }
});

function renderTable(group, places, racing) {
  const [thing] = Object.keys([...racing.values()][0].varied);
  ranking.querySelector("summary").textContent = `Ranking of ${group}`;
  const head = [{ lr: "Learning rate", method: "Method" }[thing] ?? thing, "Steps to 1 %", "Loss now"];
  const cells = head.map((text) => make("th", { textContent: text, scope: "col", title: TITLES[text] ?? "" }));
  ranking.querySelector("thead").replaceChildren(make("tr", {}, ...cells));
  ranking.querySelector("tbody").replaceChildren(...places.map((place) => {
    const what = thing === "method" ? place.name : figure(place.value ?? place.name);
    return rowOf(what, place, racing.get(place.run));
  }));
}

function rowOf(what, place, run) {
  const chip = make("span", { className: "chip" });
  chip.style.backgroundColor = run?.colour ?? "transparent";
  const loss = place.status === "diverged" ? "diverged" : figure(place.final_loss ?? "–");
  const steps = place.steps_to_1_percent;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, chip, what),
    make("td", { textContent: steps === null ? "–" : whole(steps) }),
    make("td", { textContent: loss }),
  );
}
