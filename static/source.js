// A trainer in its own words: its formula, and its code beside the curves.

import { make } from "./dom.js";

const panel = document.querySelector("#source");
const opener = document.querySelector("#source-open");

let shown = null; // the method in the panel

opener.addEventListener("click", () => {
  panel.hidden = !panel.hidden;
  opener.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) {
    showUpdate();
  }
});

/** The one place where text becomes markup: the MathML comes from our own trainers, never from a stored run. */
export function formulaOf({ formula }) {
  const math = new DOMParser().parseFromString(formula, "text/html").querySelector("math");
  return math ? [document.adoptNode(math)] : [];
}

/** Show the code of a method; undefined, where there is none to show, leaves the last. */
export function renderSource(method) {
  opener.disabled = !method && !shown;
  if (!method || method === shown) {
    return;
  }
  shown = method;
  document.querySelector("#source-title").textContent = method.title;
  document.querySelector("#source-formula").replaceChildren(...formulaOf(method));
  document.querySelector("#source-code").replaceChildren(...linesOf(method));
  if (!panel.hidden) {
    showUpdate();
  }
}

/** Each line in an element of its own, which style.css numbers; the update of the weights is marked. */
function linesOf({ source, update_line: update }) {
  return source.trimEnd().split("\n").map((text) => {
    const isUpdate = text.trim().startsWith(update);
    const content = isUpdate ? make("mark", { textContent: text, title: "the update" }) : text;
    return make("li", { className: isUpdate ? "update" : "" }, make("code", {}, content));
  });
}

function showUpdate() {
  const code = document.querySelector("#source-code");
  const line = code.querySelector(".update");
  if (line) {
    code.scrollTop = line.offsetTop - code.clientHeight / 2;
  }
}
