// The list of runs: one element for each, made once and changed in place.

import { make } from "./dom.js";
import { explanationOf, figure, nameOf, predictionOf, statusOf, UNDER_WAY, whole } from "./format.js";
import { Steering } from "./steer.js";

const list = document.querySelector("#runs");
const template = document.querySelector("#run-template");
const REALLY = 4000; // milliseconds in which a second click on Delete deletes

const rows = new Map(); // run id -> Row

/**
 * Show these runs, newest first. `actions` has what can be done to a run: remove, reuse, look, and what steers it; of
 * the one that is `looked` at, the row says so.
 */
export function renderRuns(runs, total, actions, looked) {
  const shown = new Set(runs.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (!shown.has(id)) {
      removeRow(id, row);
    }
  }
  runs.forEach((run, at) => {
    const row = rows.get(run.id) ?? addRow(run, actions);
    row.render(run);
    row.renderPlace(run.group, runs[at - 1]?.group, runs[at + 1]?.group, run.id === looked?.id);
    if (list.children[at] !== row.element) {
      list.insertBefore(row.element, list.children[at] ?? null);
    }
  });
  document.querySelector("#runs-count").textContent = total || "";
  document.querySelector("#runs-empty").hidden = total > 0;
  document.querySelector("#older").hidden = total <= runs.length;
}

function addRow(run, actions) {
  const row = new Row(run, actions);
  rows.set(run.id, row);
  return row;
}

/** Take a row away; if the keyboard was in it, it goes on to the next one. */
function removeRow(id, row) {
  const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
  const hadFocus = row.element.contains(document.activeElement);
  row.element.remove();
  rows.delete(id);
  if (hadFocus) {
    (next?.querySelector(".toggle") ?? document.querySelector("#start")).focus();
  }
}

class Row {
  constructor(run, actions) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.run = null;
    this.part = (name) => this.element.querySelector(`.${name}`);
    this.element.dataset.id = run.id;
    this.part("more").id = `more-${run.id}`;
    this.part("toggle").setAttribute("aria-controls", `more-${run.id}`);
    this.part("toggle").addEventListener("click", () => this.toggle());
    this.actions = actions;
    this.steering = new Steering(actions);
    this.part("more").before(this.steering.element);
    this.part("look").addEventListener("click", () => actions.look(this.run));
    this.part("reuse").addEventListener("click", () => actions.reuse(this.run));
    this.part("reuse").hidden = run.method === "external";
    this.part("own").href = run.visdom.url;
    this.part("csv").href = `/api/runs/${run.id}/points.csv`;
    this.part("csv").download = `lossboard-${run.number}.csv`;
    confirmed(this.part("delete"), () => actions.remove(this.run));
  }

  /** Show the run as it is now, if that is news. */
  render(run) {
    if (run === this.run) {
      return;
    }
    this.run = run;
    this.renderHead();
    this.renderProgress();
    this.part("figures").replaceChildren(...figuresOf(run));
    const words = explanationOf(run);
    this.part("words").textContent = words;
    this.part("words").hidden = !words;
    this.part("why").textContent = run.why ?? "";
    this.part("why").hidden = !run.why;
    this.steering.render(run, this.actions.liveOf(run));
    if (!this.part("more").hidden) {
      this.part("facts").replaceChildren(...factsOf(run));
    }
  }

  renderHead() {
    const { run } = this;
    const name = nameOf(run);
    this.element.dataset.status = run.status;
    this.element.classList.toggle("under-way", UNDER_WAY.has(run.status));
    this.part("chip").style.backgroundColor = run.colour;
    this.part("name").textContent = run.name;
    this.part("name").title = run.name;
    this.part("number").textContent = `#${run.number}`;
    this.part("status").textContent = statusOf(run);
    const deleting = this.part("delete").textContent; // which asks back
    for (const [part, label] of [["look", "Look closer at"], ["reuse", "Use the settings of"], ["delete", deleting]]) {
      this.part(part).setAttribute("aria-label", `${label} ${name}`);
    }
    this.part("own").setAttribute("aria-label", `Own windows of ${name}, in a new tab`);
    this.part("csv").setAttribute("aria-label", `Points of ${name} as CSV`);
  }

  /** Runs of a group that follow each other stand together below its name. */
  renderPlace(group, before, after, looked) {
    const { classList } = this.element;
    const together = group !== null && (group === before || group === after);
    classList.toggle("together", together);
    classList.toggle("first", together && group !== before);
    this.part("group").textContent = together && group !== before ? group : "";
    classList.toggle("looked", looked);
  }

  renderProgress() {
    const { run } = this;
    const bar = this.element.querySelector("progress");
    bar.setAttribute("aria-label", `Progress of ${nameOf(run)}`);
    if (run.total_steps) {
      bar.value = ((run.step ?? -1) + 1) / run.total_steps;
    } else if (UNDER_WAY.has(run.status)) {
      bar.removeAttribute("value");
    } else {
      bar.value = 1;
    }
  }

  toggle() {
    const more = this.part("more");
    more.hidden = !more.hidden;
    this.part("toggle").setAttribute("aria-expanded", String(!more.hidden));
    if (!more.hidden) {
      this.part("facts").replaceChildren(...factsOf(this.run));
      more.scrollIntoView({ block: "nearest" });
      this.part("toggle").scrollIntoView({ block: "nearest" }); // where there is no room for all, its end is out of sight
    }
  }
}

/** The numbers that matter most: w and loss where they are, and what the model predicts. */
function figuresOf(run) {
  const names = ["w", "loss"].filter((name) => name in run.last);
  const shown = names.length ? names : Object.keys(run.last).slice(0, 2);
  const figures = shown.map((name) => [name, run.last[name]]);
  if ("best_w" in run.result) {
    figures.splice(0, figures.length, ["best w", run.result.best_w], ["loss", run.result.best_loss]);
  }
  const pairs = figures.map(([name, value]) => make("span", {}, `${name} `, make("b", { textContent: figure(value) })));
  const prediction = predictionOf(run);
  return prediction ? [...pairs, make("span", { textContent: prediction })] : pairs;
}

/** Everything that is known of a run. */
function factsOf(run) {
  const facts = [["step", stepsOf(run)], ...Object.entries(run.last), ...Object.entries(run.result)];
  const settings = Object.entries({ method: run.method, ...run.params }).filter(([, value]) => value !== null);
  for (const { step, params } of run.changes) {
    settings.push([`from step ${step}`, Object.entries(params).map(([name, value]) => `${name} ${value}`).join(", ")]);
  }
  if (run.group) {
    settings.push(["group", run.group]);
  }
  return [...settings, ...facts].flatMap(([name, value]) => [
    make("dt", { textContent: name.replaceAll("_", " ") }),
    typeof value === "number"
      ? make("dd", { className: "figure", textContent: figure(value) })
      : make("dd", { textContent: String(value) }),
  ]);
}

function stepsOf(run) {
  const last = run.step === null ? "none yet" : whole(run.step);
  return run.total_steps ? `${last} of ${whole(run.total_steps - 1)}` : last;
}

/** Let a button act on its second click, so that nothing is lost by a slip. */
function confirmed(button, act) {
  let timer;
  const say = (before, now) => {
    button.textContent = now;
    button.setAttribute("aria-label", (button.getAttribute("aria-label") ?? before).replace(before, now));
  };
  const calm = () => {
    clearTimeout(timer);
    say("Really delete?", "Delete");
    button.classList.remove("asking");
  };
  button.addEventListener("blur", calm);
  button.addEventListener("click", () => {
    if (button.classList.contains("asking")) {
      calm();
      act();
      return;
    }
    button.classList.add("asking");
    say("Delete", "Really delete?");
    timer = setTimeout(calm, REALLY);
  });
}
