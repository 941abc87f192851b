// Numbers, states and explanations of runs as text.

/** @import { Run } from "./types.d.ts" */

import { methodOf, state } from "./state.js";

/** @type {Record<string, string>} */
const INFINITIES = { Infinity: "∞", "-Infinity": "-∞" };
const DIGITS = 5; // significant ones
const MAX_RANGES = 3; // of missing points that are named

/**
 * A number as sentences and windows write it (trainers/numbers.py): in five digits, plain from 1e-4 up to below 1e6.
 * "NaN" and "Infinity" come from the board as text, since JSON lacks them. Other text stays.
 *
 * @param {number | string} value
 */
export function figure(value) {
  if (typeof value !== "number") {
    return INFINITIES[value] ?? String(value);
  }
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) {
    return value.toExponential(DIGITS - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(size >= 10 ** (DIGITS - 1) ? value.toFixed() : value.toPrecision(DIGITS)));
}

/**
 * Counted numbers with separators between thousands: 1,000,000. A step of a script may have a fraction, which stays.
 *
 * @param {number} value
 */
export function whole(value) {
  const [digits, ...fraction] = String(value).split(".");
  return [digits.replace(/\B(?=(\d{3})+$)/g, ","), ...fraction].join(".");
}

/**
 * Whether a run is a built-in descent, whose positions are counted in updates.
 *
 * @param {Run} run
 */
export function isDescent(run) {
  return methodOf(state, run)?.kind === "descent";
}

/**
 * Where a run was when it had taken this step: a descent after so many updates.
 *
 * @param {Run} run
 * @param {number} step
 */
function placeOf(run, step) {
  if (!isDescent(run)) {
    return `at step ${whole(step)}`;
  }
  return step === 0 ? "after 1 update" : `after ${whole(step + 1)} updates`;
}

/**
 * When something was, in the reader's own time: 27 Nov, 19:45; with the year if it was another one.
 *
 * @param {string | null} time in UTC; null: not yet
 */
export function timeText(time) {
  if (time === null) {
    return "";
  }
  const date = new Date(time);
  /** @type {"numeric" | undefined} */
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleString("en-GB", { year, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/**
 * How long a run has gone on: 4.2 s, 3:05 min or 12:03:05 h.
 *
 * @param {Run} run
 */
export function durationText(run) {
  if (run.started_at === null) {
    return "";
  }
  return secondsText((Date.parse(run.ended_at ?? new Date().toISOString()) - Date.parse(run.started_at)) / 1000);
}

/** @param {number} seconds */
export function secondsText(seconds) {
  if (seconds < 60) {
    return `${Math.max(0, seconds).toFixed(1)} s`;
  }
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)} h` : `${minutes}:${two(rest)} min`;
}

/** The states from which a run goes on. */
export const UNDER_WAY = new Set(["queued", "running", "paused"]);

/**
 * How many steps a run has taken.
 *
 * @param {Run} run
 */
export function stepsDone(run) {
  return run.done_steps ?? (run.step ?? -1) + 1;
}

/**
 * What a run is doing, in a word or two.
 *
 * @param {Run} run
 */
export function statusOf(run) {
  const done = run.total_steps ? Math.floor((100 * stepsDone(run)) / run.total_steps) : null;
  switch (run.status) {
    case "queued":
      return "Queued";
    case "running":
      return done === null ? "Running" : `Running, ${done} %`;
    case "paused":
      return done === null ? "Paused" : `Paused at ${done} %`;
    default:
      return run.status.charAt(0).toUpperCase() + run.status.slice(1);
  }
}

/**
 * What happened to a run, in words for someone who learns from it; "" if there is nothing to say. Why it happened is
 * in `run.why`.
 *
 * @param {Run} run
 * @returns {string}
 */
export function explanationOf(run) {
  const lr = run.params.lr;
  const isLrTooLarge = typeof lr === "number" && !run.why;
  const advice = isLrTooLarge ? ` The learning rate ${figure(lr)} is too large here; try a smaller one.` : "";
  if (run.error) {
    return run.error;
  }
  if (run.status === "diverged") {
    return `${divergenceOf(run)}${advice}`;
  }
  if (run.status === "stopped" && run.step !== null) {
    return `Stopped ${placeOf(run, run.step)}.`;
  }
  const isGrowing = run.exploded && run.method !== "external" && !run.why;
  return isGrowing ? `The loss grows instead of shrinking.${advice}` : "";
}

/**
 * How a run is known to have diverged: its numbers left their range, or it ended far above where it began.
 *
 * @param {Run} run
 */
function divergenceOf(run) {
  const { method, result, step } = run;
  if (typeof result.final_mse === "number") {
    const cost = figure(result.final_mse);
    return `Diverged: the cost over all data ended at ${cost}, more than 1000 times as large as where it began.`;
  }
  const where = step === null ? "Diverged" : `Diverged ${placeOf(run, step)}`;
  return method === "external" ? `${where}, as its script says.` : `${where}: w or the loss left the range of numbers.`;
}

/**
 * What is known to be damaged or missing of a run, in words; "" if it is whole.
 *
 * @param {Run} run
 */
export function flawsOf(run) {
  return [run.damage ?? "", missingOf(run.missing)].filter(Boolean).join(" ");
}

/** @param {[number, number][]} missing */
function missingOf(missing) {
  if (!missing.length) {
    return "";
  }
  const count = missing.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const ranges = missing.slice(0, MAX_RANGES).map(([begin, end]) =>
    end - begin === 1 ? whole(begin) : `${whole(begin)} to ${whole(end - 1)}`,
  );
  const more = missing.length > MAX_RANGES ? ", …" : "";
  const are = count === 1 ? "1 point is" : `${whole(count)} points are`;
  return `${are} missing (number ${ranges.join(", ")}${more}): lost on the way, or at another board.`;
}

/**
 * predict(4): 4 → 7.9998, or "" before there is a result.
 *
 * @param {Run} run
 */
export function predictionOf(run) {
  const { predict_before: before, predict_after: after } = run.result;
  if (before === undefined || after === undefined || run.status === "diverged") {
    return "";
  }
  return `predict(${figure(run.params.predict_at ?? 4)}): ${figure(before)} → ${figure(after)}`;
}

/**
 * The run as the legend names it.
 *
 * @param {Run} run
 */
export function nameOf(run) {
  return `${run.name} #${run.number}`;
}
