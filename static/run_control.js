// The controls of a run in its row while it is under way: pause, step, stop, and the parameters that may be changed.

/** @import { Run } from "./types.d.ts" */

import { changeParams, controlRun } from "./actions.js";
import { ApiError, whenAnswered } from "./api.js";
import { make } from "./dom.js";
import { nameOf, UNDER_WAY } from "./format.js";
import { LiveField } from "./live_field.js";
import { throttled } from "./timing.js";

const CHANGE_INTERVAL_MS = 150; // between two changes that a held arrow key or a dragged slider makes

export class RunControl {
  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    this.hold = this.makeButton("Pause", () => controlRun(this.run, this.run.status === "paused" ? "resume" : "pause"));
    this.step = this.makeButton("Step", () => controlRun(this.run, "step"));
    this.stop = this.makeButton("Stop", () => controlRun(this.run, "stop"));
    this.stop.classList.add("stop");
    /** @type {Map<string, LiveField>} */
    this.fields = new Map();
    /** @type {Map<string, string>} */
    this.refusals = new Map(); // by parameter
    /** @type {Map<string, { value: number | null, changes: number }>} */
    this.asked = new Map(); // by parameter: what was asked for here, and how many changes the run had then
    this.refusal = make("p", { className: "error", hidden: true });
    this.refusal.setAttribute("role", "alert");
    this.element = make("div", { className: "steer" }, this.hold, this.step, this.stop, this.refusal);
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  makeButton(text, act) {
    const button = make("button", { type: "button", className: "small", textContent: text });
    button.addEventListener("click", act);
    return button;
  }

  /**
   * Show what can be done with the run as it is now.
   *
   * @param {Run} run
   * @param {string[]} live the parameters that may change
   */
  render(run, live) {
    this.run = run;
    this.element.hidden = !UNDER_WAY.has(run.status);
    if (this.element.hidden) {
      return;
    }
    this.hold.textContent = run.status === "paused" ? "Resume" : "Pause";
    for (const button of [this.hold, this.step, this.stop]) {
      button.setAttribute("aria-label", `${button.textContent} ${nameOf(run)}`);
    }
    const condition = run.method === "external" ? "Works if the script uses run.steps(), run.steer() or waits" : "";
    this.hold.title = condition;
    this.step.title = condition || "One update, then hold";
    for (const param of live) {
      const field = this.fields.get(param) ?? this.addField(param);
      field.render(this.valueOf(param), run.live?.[param], nameOf(run));
    }
  }

  /**
   * A parameter as it is now: what was asked for here until the run has it.
   *
   * @param {string} param
   */
  valueOf(param) {
    const asked = this.asked.get(param);
    return asked && changesOf(this.run, param).length === asked.changes ? asked.value : currentValue(this.run, param);
  }

  /** @param {string} param */
  addField(param) {
    // each parameter by itself: what waits for its turn is then the last change of this one, not of any
    const send = throttled(CHANGE_INTERVAL_MS, (/** @type {number | null} */ value) => this.send(param, value));
    const field = new LiveField(param, send, (error) => this.refuse(param, error));
    this.fields.set(param, field);
    this.refusal.before(field.element);
    return field;
  }

  /**
   * @param {string} param
   * @param {number | null} value
   */
  async send(param, value) {
    try {
      this.asked.set(param, { value, changes: changesOf(this.run, param).length });
      await changeParams(this.run, { [param]: value });
      this.showRefusal(param, "");
    } catch (error) {
      this.asked.delete(param);
      this.refuse(param, error);
    }
  }

  /**
   * @param {string} param
   * @param {unknown} error
   */
  refuse(param, error) {
    const message = error instanceof Error ? error.message : String(error);
    this.showRefusal(param, message);
    if (error instanceof ApiError && !error.status) {
      whenAnswered(() => this.refusals.get(param) === message && this.showRefusal(param, ""));
    }
  }

  /**
   * @param {string} param
   * @param {string} message empty: nothing is wrong any more
   */
  showRefusal(param, message) {
    this.fields.get(param)?.mark(Boolean(message));
    if (message) {
      this.refusals.set(param, message);
    } else {
      this.refusals.delete(param);
    }
    const texts = [...this.refusals].map(([name, text]) => `${this.fields.get(name)?.label}: ${text}`);
    this.refusal.textContent = texts.join(" ");
    this.refusal.hidden = !this.refusals.size;
  }
}

/**
 * @param {Run} run
 * @param {string} param
 */
function changesOf({ changes }, param) {
  return changes.filter((change) => param in change.params);
}

/**
 * A parameter as it was changed last; the learning rate of a script that logs it, as its scheduler has moved it since.
 *
 * @param {Run} run
 * @param {string} param
 */
function currentValue(run, param) {
  const changed = changesOf(run, param).at(-1)?.params[param] ?? run.params[param];
  const logged = run.last[param === "lr" && "effective_lr" in run.last ? "effective_lr" : param];
  return run.method === "external" && typeof logged === "number" ? Number(logged.toPrecision(3)) : changed;
}
