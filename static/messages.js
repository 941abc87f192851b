// What is said to the person: a message below the form, and announcements to screen readers.

import { ApiError, whenAnswered } from "./api.js";
import { find } from "./dom.js";

const message = find("#message", HTMLElement);
const announcer = find("#announcer", HTMLElement);

/**
 * Show a message that belongs to no field; an empty one takes the last one back.
 *
 * @param {string} text
 */
export function showMessage(text) {
  message.textContent = text;
  message.hidden = !text;
}

/** @param {string} text */
export function announce(text) {
  announcer.textContent = text;
}

/**
 * Do something that the board may refuse, and show its refusal.
 *
 * @param {() => Promise<unknown>} action
 */
export async function attempt(action) {
  try {
    showMessage("");
    await action();
  } catch (error) {
    showError(error);
  }
}

/** @param {unknown} error */
export function showError(error) {
  const text = error instanceof Error ? error.message : String(error);
  showMessage(text);
  if (error instanceof ApiError && !error.status) {
    whenAnswered(() => message.textContent === text && showMessage("")); // it is no longer true then
  }
}
