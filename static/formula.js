// A method's formula in MathML.

/** @import { Method } from "./types.d.ts" */

const MIN_SIZE_REM = 0.65;

/**
 * Show the formula of a method in a box, also when the box changes its size later. The one place where text becomes
 * markup: the MathML comes from the board's own trainers, never from a stored run.
 *
 * @param {HTMLElement} box
 * @param {Method} method
 */
export function renderFormula(box, method) {
  const math = new DOMParser().parseFromString(method.formula, "text/html").querySelector("math");
  box.replaceChildren(...(math ? [document.adoptNode(math)] : []));
  fitFormula(box);
  resized.observe(box);
}

const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => fitFormula(target)));

/**
 * Browsers do not break formulas into lines: one that is too wide is drawn smaller.
 *
 * @param {Element} box
 */
function fitFormula(box) {
  const math = box.querySelector("math");
  if (math?.firstElementChild && box.clientWidth) {
    math.style.fontSize = "";
    const style = getComputedStyle(box);
    const room = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const part = room / math.firstElementChild.getBoundingClientRect().width;
    math.style.fontSize = part < 1 ? `${Math.max(MIN_SIZE_REM, 0.98 * part)}rem` : "";
  }
}
