// One run's row in the list: made once, and changed in place when the run changes.

/** @import { Run } from "./types.d.ts" */

import { onBoard } from "./address.js";
import { api } from "./api.js";
import { find, make } from "./dom.js";
import { fillForm } from "./form.js";
import {
  explanationOf,
  figure,
  flawsOf,
  isDescent,
  nameOf,
  predictionOf,
  secondsText,
  statusOf,
  stepsDone,
  UNDER_WAY,
  whole,
} from "./format.js";
import { attempt, showMessage } from "./messages.js";
import { deleteRuns } from "./run_changes.js";
import { RunControl } from "./run_control.js";
import { scrollToSelectedRun } from "./selected_run.js";
import { TimeLeft } from "./time_left.js";
import { hideNone, selectRun, showAlone, showInShared } from "./view.js";

const DELETE_CONFIRM_MS = 4000; // in which a second click on Delete deletes
const MAX_SAMPLES_IN_FORM = 1000; // of data that is put into text fields

const MAX_COUNTED = 1e15; // up to which a whole number is written in full
const BEFORE_UPDATE = new Set(["loss", "grad", "grad_b"]); // what a point tells of the state before its update

const template = find("#run-template", HTMLTemplateElement);

export class RunRow {
  /** @param {Run} run */
  constructor(run) {
    this.element = find("li", HTMLLIElement, /** @type {DocumentFragment} */ (template.content.cloneNode(true)));
    /** @type {Run | null} */
    this.shown = null;
    this.run = run;
    this.element.dataset.id = run.id;
    this.toggler = this.part("toggle");
    this.more = this.part("more");
    this.remover = this.part("delete");
    this.more.id = `more-${run.id}`;
    this.toggler.setAttribute("aria-controls", this.more.id);
    this.toggler.addEventListener("click", () => this.toggle());
    this.control = new RunControl(run);
    this.timeLeft = new TimeLeft();
    this.more.before(this.control.element);
    this.eye = this.part("eye");
    this.only = this.part("only");
    this.eye.addEventListener("click", () => showInShared(run.id, this.eye.getAttribute("aria-pressed") !== "true"));
    this.only.addEventListener("click", () => {
      return this.only.getAttribute("aria-pressed") === "true" ? hideNone() : showAlone(run.id);
    });
    this.part("look").addEventListener("click", () => select(run));
    this.part("reuse").addEventListener("click", () => reuse(run));
    this.part("reuse").hidden = run.method === "external";
    const [own, csv] = ["own", "csv"].map((name) => find(`.${name}`, HTMLAnchorElement, this.element));
    own.href = onBoard(run.visdom.url);
    csv.href = onBoard(`/api/runs/${run.id}/points.csv`);
    csv.download = `lossboard-${run.number}.csv`;
    confirmed(this.remover, () => deleteRuns([this.run]));
  }

  /** @param {string} name */
  part(name) {
    return find(`.${name}`, HTMLElement, this.element);
  }

  /**
   * Show the run as it is now, if it has changed.
   *
   * @param {Run} run
   * @param {string[]} live the parameters that may be changed
   */
  render(run, live) {
    if (run === this.shown) {
      return;
    }
    this.run = this.shown = run;
    this.renderHead();
    this.renderProgress();
    this.part("figures").replaceChildren(...figuresOf(run));
    for (const [name, text] of [["flaws", flawsOf(run)], ["words", explanationOf(run)], ["why", run.why ?? ""]]) {
      this.part(name).textContent = text;
      this.part(name).hidden = !text;
    }
    this.control.render(run, live);
    this.renderFacts();
  }

  renderHead() {
    const { run } = this;
    const name = nameOf(run);
    this.element.dataset.status = run.status;
    this.element.classList.toggle("under-way", UNDER_WAY.has(run.status));
    this.part("chip").style.backgroundColor = run.colour;
    this.part("name").textContent = this.part("name").title = run.name;
    this.part("number").textContent = `#${run.number}`;
    const left = this.timeLeft.of(run);
    this.part("status").textContent = left === null ? statusOf(run) : `${statusOf(run)}, ${leftText(left)}`;
    this.eye.setAttribute("aria-label", `Show ${name} in the shared windows`);
    this.only.setAttribute("aria-label", `Only ${name} in the shared windows`);
    this.part("look").setAttribute("aria-label", `Look closer at ${name}`);
    this.part("reuse").setAttribute("aria-label", `Use the settings of ${name}`);
    this.remover.setAttribute("aria-label", `${this.remover.textContent} ${name}`); // which may be asking back
    this.part("own").setAttribute("aria-label", `Own windows of ${name}, in a new tab`);
    this.part("csv").setAttribute("aria-label", `Points of ${name} as CSV`);
  }

  /**
   * Runs of a group that follow each other stand together below its name.
   *
   * @param {string | null | undefined} before the group of the row above
   * @param {string | null | undefined} after the group of the row below
   * @param {boolean} isSelected
   */
  renderPlace(before, after, isSelected) {
    const { group } = this.run;
    const isTogether = group !== null && (group === before || group === after);
    const isFirst = isTogether && group !== before;
    this.element.classList.toggle("together", isTogether);
    this.element.classList.toggle("first", isFirst);
    this.element.classList.toggle("selected", isSelected);
    this.part("group").textContent = isFirst ? group : "";
  }

  /**
   * Show whether the shared windows show the run, and whether they show no other.
   *
   * @param {boolean} isShown
   * @param {boolean} isAlone
   */
  renderShown(isShown, isAlone) {
    this.element.classList.toggle("shown", isShown);
    this.eye.setAttribute("aria-pressed", String(isShown));
    this.eye.title = isShown ? "In the shared windows: hide it there" : "Not in the shared windows: show it there";
    this.only.setAttribute("aria-pressed", String(isAlone));
    this.only.title = isAlone ? "The others are hidden: show them again" : "Hide all others in the shared windows";
  }

  renderProgress() {
    const { run } = this;
    const bar = find("progress", HTMLProgressElement, this.element);
    bar.setAttribute("aria-label", `Progress of ${nameOf(run)}`);
    if (run.total_steps) {
      bar.value = stepsDone(run) / run.total_steps;
    } else if (UNDER_WAY.has(run.status)) {
      bar.removeAttribute("value");
    } else {
      bar.value = 1;
    }
  }

  renderFacts() {
    if (!this.more.hidden) {
      this.part("facts").replaceChildren(...factsOf(this.run));
    }
  }

  toggle() {
    this.more.hidden = !this.more.hidden;
    this.toggler.setAttribute("aria-expanded", String(!this.more.hidden));
    this.renderFacts();
    if (!this.more.hidden) {
      this.more.scrollIntoView({ block: "nearest" });
      this.toggler.scrollIntoView({ block: "nearest" }); // where there is no room for all, its end is out of sight
    }
  }
}

/** @param {number} seconds */
function leftText(seconds) {
  return `${seconds < 60 ? `${Math.ceil(seconds)} s` : secondsText(seconds)} left`;
}

/** @param {Run} run */
async function select(run) {
  await selectRun(run.id);
  scrollToSelectedRun();
}

/**
 * Fill the form with the settings of a run, and with its data unless they are too many for text fields.
 *
 * @param {Run} run
 */
function reuse(run) {
  return attempt(async () => {
    const data = await api("GET", `/runs/${run.id}/data`);
    const isShort = data.x.length <= MAX_SAMPLES_IN_FORM;
    fillForm(run, isShort ? data : null);
    showMessage(isShort ? "" : `Its ${data.x.length} samples are too many for x and y, which stay as they are.`);
    find("#start", HTMLButtonElement).focus();
  });
}

/**
 * The numbers that matter most: w and loss where there are any, and what the model predicts.
 *
 * @param {Run} run
 */
function figuresOf(run) {
  const names = ["w", "loss"].filter((name) => name in run.last);
  const { best_w: w, best_loss: loss } = run.result;
  const cost = run.result.final_mse ?? run.last.mse; // of the last w; its own loss comes with the next update
  const isDescending = isDescent(run) && names.length === 2;
  let figures = (names.length ? names : Object.keys(run.last).slice(0, 2)).map((name) => [name, run.last[name]]);
  if ("best_w" in run.result) {
    figures = [["best w", w], ["loss", loss]];
  } else if (isDescending && cost !== undefined) {
    figures = [["w", run.last.w], ["cost", cost]];
  } else if (isDescending) {
    figures = [["loss", run.last.loss], ["→ w", run.last.w]];
  }
  const pairs = figures.map(([name, value]) => make("span", {}, `${name} `, make("b", { textContent: figure(value) })));
  const prediction = predictionOf(run);
  return prediction ? [...pairs, make("span", { textContent: prediction })] : pairs;
}

/**
 * Everything that is known of a run, as terms and descriptions.
 *
 * @param {Run} run
 */
function factsOf(run) {
  const settings = Object.entries({ method: run.method, ...run.params }).filter(([, value]) => value !== null);
  for (const { step, params } of run.changes) {
    const when = isDescent(run) ? `from update ${whole(step + 1)}` : `from step ${step}`;
    settings.push([when, Object.entries(params).map(([name, value]) => changeText(name, value)).join(", ")]);
  }
  if (run.group) {
    settings.push(["group", run.group]);
  }
  const noted = [["tags", run.tags.join(", ")], ["notes", run.notes]].filter(([, text]) => text);
  const last = Object.entries(run.last).map(([name, value]) => [lastName(run, name), value]);
  const facts = [...noted, stepsOf(run), ...last, ...Object.entries(run.summary), ...Object.entries(run.result)];
  return [...settings, ...facts].map(([name, value]) => make(
    "div",
    {},
    make("dt", { textContent: String(name).replaceAll("_", " ") }),
    make("dd", { textContent: valueText(value) }),
  ));
}

/** @param {any} value a number in words, or what else a parameter may be */
function valueText(value) {
  if (Number.isInteger(value) && Math.abs(value) <= MAX_COUNTED) {
    return whole(value);
  }
  return typeof value === "number" ? figure(value) : String(value);
}

/**
 * @param {string} name
 * @param {any} value
 */
function changeText(name, value) {
  if (name === "steps_per_second") {
    return value === null ? "full speed" : `${figure(value)} steps/s`;
  }
  return `${name} ${valueText(value)}`;
}

/**
 * What a metric's last value is of: a descent's loss and gradient are those that its last update began from.
 *
 * @param {Run} run
 * @param {string} name
 */
function lastName(run, name) {
  return isDescent(run) && BEFORE_UPDATE.has(name) ? `last update's ${name}` : name;
}

/**
 * How far a run has come, as a term and a description.
 *
 * @param {Run} run
 */
function stepsOf(run) {
  const counted = isDescent(run) ? 1 : 0; // after step 0 a descent has made one update
  if (run.done_steps !== null && run.total_steps !== null) {
    return ["batches", `${whole(run.done_steps)} of ${whole(run.total_steps)}`];
  }
  const done = run.step === null ? "none yet" : whole(run.step + counted);
  const of = run.total_steps ? ` of ${whole(run.total_steps - 1 + counted)}` : "";
  return [counted ? "updates" : "step", `${done}${of}`];
}

/**
 * Let a button act on its second click, so that nothing is lost by a slip.
 *
 * @param {HTMLElement} button
 * @param {() => void} act
 */
function confirmed(button, act) {
  let timer = 0;
  const setText = (/** @type {string} */ before, /** @type {string} */ now) => {
    button.textContent = now;
    button.setAttribute("aria-label", (button.getAttribute("aria-label") ?? before).replace(before, now));
  };
  const reset = () => {
    clearTimeout(timer);
    setText("Really delete?", "Delete");
    button.classList.remove("asking");
  };
  button.addEventListener("blur", reset);
  button.addEventListener("click", () => {
    if (button.classList.contains("asking")) {
      reset();
      act();
      return;
    }
    button.classList.add("asking");
    setText("Delete", "Really delete?");
    timer = setTimeout(reset, DELETE_CONFIRM_MS);
  });
}
