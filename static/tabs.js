// The tabs of the left rail: Set up, with the form, and Runs. The choice holds for this page, and after a reload.

import { find } from "./dom.js";

/** @typedef {"setup" | "runs"} TabName */

const STORED = "lossboard-tab";

const tabs = {
  setup: { tab: find("#setup-tab", HTMLButtonElement), panel: find("#setup", HTMLElement) },
  runs: { tab: find("#runs-tab", HTMLButtonElement), panel: find("#runs-panel", HTMLElement) },
};
const names = /** @type {TabName[]} */ (Object.keys(tabs));

for (const name of names) {
  tabs[name].tab.addEventListener("click", () => showTab(name));
  tabs[name].tab.addEventListener("keydown", (event) => {
    const others = { ArrowLeft: -1, ArrowRight: 1, Home: -names.indexOf(name), End: names.length - 1 - names.indexOf(name) };
    const by = others[/** @type {keyof typeof others} */ (event.key)];
    if (by !== undefined) {
      event.preventDefault();
      const other = names[(names.indexOf(name) + by + names.length) % names.length];
      showTab(other);
      tabs[other].tab.focus();
    }
  });
}
if (sessionStorage.getItem(STORED) === "runs") {
  showTab("runs");
}

/**
 * Show one of the two; the focus, if it was in the other, goes to the tab.
 *
 * @param {TabName} shown
 */
export function showTab(shown) {
  const hadFocus = names.some((name) => name !== shown && tabs[name].panel.contains(document.activeElement));
  for (const name of names) {
    const { tab, panel } = tabs[name];
    tab.setAttribute("aria-selected", String(name === shown));
    tab.tabIndex = name === shown ? 0 : -1;
    panel.hidden = name !== shown;
  }
  sessionStorage.setItem(STORED, shown);
  if (hadFocus) {
    tabs[shown].tab.focus();
  }
}
