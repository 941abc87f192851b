// A trainer in its own words: its formula, and its code beside the curves.

import { make } from "./dom.js";

const panel = document.querySelector("#source");
const opener = document.querySelector("#source-open");

const formula = document.querySelector("#source-formula");

let shown = null; // the method in the panel

new ResizeObserver(() => fitFormula(formula)).observe(formula);

opener.addEventListener("click", () => {
  panel.hidden = !panel.hidden;
  opener.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) {
    showUpdate();
  }
});

/** The one place where text becomes markup: the MathML comes from our own trainers, never from a stored run. */
export function renderFormula(box, method) {
  const math = new DOMParser().parseFromString(method.formula, "text/html").querySelector("math");
  box.replaceChildren(...(math ? [document.adoptNode(math)] : []));
  fitFormula(box);
}

/** Browsers do not break formulas into lines: one that is too wide is drawn smaller. */
export function fitFormula(box) {
  const math = box.firstElementChild;
  if (math && box.clientWidth) {
    math.style.fontSize = "";
    const style = getComputedStyle(box);
    const room = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const part = room / math.firstElementChild.getBoundingClientRect().width;
    math.style.fontSize = part < 1 ? `${Math.max(0.65, 0.98 * part)}rem` : "";
  }
}

/** Show the code of a method; undefined, where there is none to show, leaves the last. */
export function renderSource(method) {
  opener.disabled = !method && !shown;
  if (!method || method === shown) {
    return;
  }
  shown = method;
  document.querySelector("#source-title").textContent = method.title;
  renderFormula(formula, method);
  document.querySelector("#source-code").replaceChildren(...linesOf(method));
  if (!panel.hidden) {
    showUpdate();
  }
}

/**
 * Each line in an element of its own, which windows.css numbers, and wraps no further left than the line begins; the
 * update of the weights is marked.
 */
function linesOf({ source, update_line: update }) {
  return source.trimEnd().split("\n").map((text) => {
    const isUpdate = text.trim().startsWith(update);
    const code = make("code", {}, isUpdate ? make("mark", { textContent: text, title: "the update" }) : text);
    code.style.setProperty("--indent", `${text.search(/\S|$/)}ch`);
    return make("li", { className: isUpdate ? "update" : "" }, code);
  });
}

function showUpdate() {
  const code = document.querySelector("#source-code");
  const line = code.querySelector(".update");
  if (line) {
    code.scrollTop = line.offsetTop - code.clientHeight / 2;
  }
}
