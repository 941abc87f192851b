// Steering a run from its row while it is under way: hold it, step it, change what may be changed.

import { make } from "./dom.js";
import { moveByKey } from "./fields.js";
import { nameOf, UNDER_WAY } from "./format.js";
import { throttled } from "./timing.js";

const OFTEN = 150; // milliseconds between two changes that a held arrow key makes
const FIELDS = {
  lr: { label: "lr", title: "Learning rate" },
  steps_per_second: { label: "steps/s", title: "Steps per second, empty: as fast as it will" },
};

export class Steering {
  /** `actions` has pause, resume, step and stop, and change(run, params), which throws what the board refuses. */
  constructor(actions) {
    this.actions = actions;
    this.run = null;
    this.hold = this.button("Pause", () => (this.run.status === "paused" ? actions.resume : actions.pause)(this.run));
    this.single = this.button("Step", () => actions.step(this.run));
    this.end = this.button("Stop", () => actions.stop(this.run));
    this.end.classList.add("stop");
    this.inputs = new Map();
    this.refused = new Map(); // by parameter: what is wrong with it
    this.refusal = make("p", { className: "error", hidden: true });
    this.refusal.setAttribute("role", "alert");
    this.element = make("div", { className: "steer" }, this.hold, this.single, this.end, this.refusal);
    // each on its own: the one that waits its turn is the last change of this parameter, not of any
    const changes = Object.keys(FIELDS).map((name) => [name, throttled(OFTEN, (value) => this.send(name, value))]);
    this.changes = Object.fromEntries(changes);
  }

  button(text, act) {
    const button = make("button", { type: "button", className: "small", textContent: text });
    button.addEventListener("click", act);
    return button;
  }

  /** Show what can be done with the run as it is now. `live` names the parameters that may change. */
  render(run, live) {
    this.run = run;
    this.element.hidden = !UNDER_WAY.has(run.status);
    if (this.element.hidden) {
      return;
    }
    const name = nameOf(run);
    this.hold.textContent = run.status === "paused" ? "Resume" : "Pause";
    for (const button of [this.hold, this.single, this.end]) {
      button.setAttribute("aria-label", `${button.textContent} ${name}`);
    }
    const script = run.method === "external" ? "Works if the script calls run.wait_while_paused()" : "";
    this.hold.title = script;
    this.single.title = script || "One update, then hold";
    for (const parameter of live.filter((one) => one in FIELDS)) {
      const input = this.inputs.get(parameter) ?? this.addInput(parameter);
      input.setAttribute("aria-label", `${FIELDS[parameter].title}, of ${name}`);
      if (input !== document.activeElement && !input.classList.contains("wrong")) {
        input.value = currentOf(run, parameter) ?? "";
      }
    }
  }

  addInput(parameter) {
    const { label, title } = FIELDS[parameter];
    const input = make("input", { type: "number", step: "any", name: parameter, title, placeholder: "full", autocomplete: "off" });
    input.addEventListener("change", () => this.read(input));
    input.addEventListener("keydown", (event) => {
      if (parameter === "lr") {
        moveByKey(event, Number(input.value), (value) => {
          input.value = value;
          this.read(input);
        });
      }
    });
    this.inputs.set(parameter, input);
    const field = make("label", { className: `live ${parameter}` });
    field.append(...(parameter === "lr" ? [label, input] : [input, label]));
    this.refusal.before(field);
    return input;
  }

  read(input) {
    if (input.validity.badInput) {
      this.refuse(input, "This should be a number, such as 0.01.");
      return;
    }
    this.changes[input.name](input.value === "" ? null : Number(input.value));
  }

  async send(parameter, value) {
    const input = this.inputs.get(parameter);
    try {
      await this.actions.change(this.run, { [parameter]: value });
      input.classList.remove("wrong");
      input.removeAttribute("aria-invalid");
      this.refused.delete(parameter);
      this.renderRefusals();
    } catch (error) {
      this.refuse(input, error.message);
    }
  }

  refuse(input, words) {
    input.classList.add("wrong");
    input.setAttribute("aria-invalid", "true");
    this.refused.set(input.name, words);
    this.renderRefusals();
  }

  renderRefusals() {
    const words = [...this.refused].map(([parameter, one]) => `${FIELDS[parameter].label}: ${one}`);
    this.refusal.textContent = words.join(" ");
    this.refusal.hidden = !words.length;
  }
}

/** A parameter as it was changed last. */
function currentOf(run, parameter) {
  return run.changes.findLast(({ params }) => parameter in params)?.params[parameter] ?? run.params[parameter];
}
