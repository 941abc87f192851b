// What is wrong with a value, in the page's words: the labels of its fields, and numbers as people write them.

/** @import { Problem } from "./types.d.ts" */

/** Thrown for what was typed and cannot be sent at all; what is sent is judged by the board. */
export class FieldError extends Error {}

/**
 * What to say for each rule of the board. `value` is what was sent, as text; the rest are the rule's own numbers.
 *
 * @type {Record<string, (rule: Record<string, number>, value: string, sent: any) => string>}
 */
const WORDS = {
  greater_than: ({ gt }, value) => `This should be greater than ${plain(gt)}, not ${value}.`,
  greater_than_equal: ({ ge }, value) => `This should be at least ${plain(ge)}, not ${value}.`,
  less_than_equal: ({ le }, value) => `This should be at most ${plain(le)}, not ${value}.`,
  int_from_float: (_, value, sent) =>
    `This should be a whole number, such as ${plain(Math.round(sent))}, not ${value}.`,
  int_type: () => "This should be a whole number, such as 100.",
  number_type: () => "This should be a number, such as 0.01.",
  lengths_differ: ({ x, y }) =>
    `x has ${counted(x, "value")} and y has ${plain(y)}: write as many of one as of the other.`,
  below_start: ({ value, start }) => `${plain(value)} is below the first w, ${plain(start)}: write ${plain(start)} or more.`,
  too_many_candidates: ({ value, most, enough }) =>
    `Steps of ${plain(value)} make more than ${plain(most)} candidates: write ${plain(enough)} or more, or bring the`
    + " first and the last w closer together.",
  step_too_small: ({ value }) => `${plain(value)} is too small a step to change a w this large: write a larger one.`,
  too_many_steps: ({ updates, steps, most, enough }) =>
    `${plain(steps / updates)} epochs of ${counted(updates, "update")} are ${plain(steps)} steps, and a run has at most`
    + ` ${plain(most)}: write ${plain(enough)} or less.`,
  more_than_samples: ({ value, samples }) =>
    `${plain(value)} is more than the ${counted(samples, "sample")} there are: write ${samples > 1 ? "1 to " : ""}${plain(samples)}.`,
};

/**
 * What to say of a problem, at its field; the board's own words where the page has none for it.
 *
 * @param {Problem} problem
 * @param {unknown} request the body that was refused
 */
export function wordsFor({ path, message, broken }, request) {
  const words = broken && WORDS[broken.rule];
  const sent = path.reduce((/** @type {any} */ part, key) => part?.[key], request);
  return words ? words(/** @type {any} */ (broken), plain(sent), sent) : message;
}

/**
 * A number in full, with separators between thousands: 10,000,000 or 0.0125.
 *
 * @param {unknown} value
 */
export function plain(value) {
  const isShort = typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 1e15;
  return isShort ? value.toLocaleString("en") : String(value).replace("e+", "e");
}

/**
 * @param {number} count
 * @param {string} what in the singular
 */
function counted(count, what) {
  return `${plain(count)} ${what}${count === 1 ? "" : "s"}`;
}
