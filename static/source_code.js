// The panel beside the curves with a trainer's formula and code.

/** @import { Method, State } from "./types.d.ts" */

import { find, make } from "./dom.js";
import { renderFormula } from "./formula.js";
import { methodOf } from "./state.js";

const panel = find("#source", HTMLElement);
const opener = find("#source-open", HTMLButtonElement);
const title = find("#source-title", HTMLElement);
const formula = find("#source-formula", HTMLElement);
const code = find("#source-code", HTMLElement);

/** @type {Method | null} */
let shown = null;

opener.addEventListener("click", () => {
  panel.hidden = !panel.hidden;
  opener.setAttribute("aria-expanded", String(!panel.hidden));
  scrollToUpdate();
});

/**
 * Show the code of the selected run or, without one, of the method in the form. A script's code is not known: the last
 * code stays.
 *
 * @param {State} state
 */
export function renderSourceCode(state) {
  const method = (state.selected && methodOf(state, state.selected)) || state.method;
  opener.disabled = !method && !shown;
  if (!method || method === shown) {
    return;
  }
  shown = method;
  title.textContent = method.title;
  renderFormula(formula, method);
  code.replaceChildren(...linesOf(method));
  scrollToUpdate();
}

/**
 * Each line in an element of its own, which the style sheet numbers and wraps no further left than the line begins; the
 * update of the weights is marked.
 *
 * @param {Method} method
 */
function linesOf({ source, update_line: update }) {
  return source.trimEnd().split("\n").map((text) => {
    const isUpdate = text.trim().startsWith(update);
    const line = make("code", {}, isUpdate ? make("mark", { textContent: text, title: "the update" }) : text);
    line.style.setProperty("--indent", `${text.search(/\S|$/)}ch`);
    return make("li", { className: isUpdate ? "update" : "" }, line);
  });
}

function scrollToUpdate() {
  const line = code.querySelector("li.update");
  if (line instanceof HTMLElement && !panel.hidden) {
    code.scrollTop = line.offsetTop - code.clientHeight / 2;
  }
}
