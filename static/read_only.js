// What a page may do whose token is for reading: look. What it may not is hidden (read_only.css), and a sentence says so.

/** @import { State } from "./types.d.ts" */

import { find } from "./dom.js";
import { showTab } from "./tabs.js";

const note = find("#looking", HTMLElement);

/** @param {State} state */
export function renderRight({ right }) {
  if (document.body.dataset.right === right) {
    return;
  }
  document.body.dataset.right = right;
  note.hidden = right !== "read";
  if (right === "read") {
    showTab("runs");
  }
}
