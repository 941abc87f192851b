// Numbers, states and explanations of runs as text.

/** @import { Run } from "./types.d.ts" */

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
 * Whole numbers with thin spaces: 1 000 000.
 *
 * @param {number} value
 */
export function whole(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** The states from which a run goes on. */
export const UNDER_WAY = new Set(["queued", "running", "paused"]);

/**
 * What a run is doing, in a word or two.
 *
 * @param {Run} run
 */
export function statusOf(run) {
  const done = run.total_steps ? Math.floor((100 * ((run.step ?? -1) + 1)) / run.total_steps) : null;
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
  if (run.status === "diverged") {
    const where = run.step === null ? "Diverged" : `Diverged at step ${whole(run.step)}`;
    return run.error ?? `${where}: w or the loss left the range of numbers.${advice}`;
  }
  if (run.error) {
    return run.error;
  }
  if (run.status === "stopped" && run.step !== null) {
    return `Stopped after step ${whole(run.step)}.`;
  }
  return run.status !== "queued" && !run.why && isFlyingOff(run) ? `The loss grows instead of shrinking.${advice}` : "";
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
 * Whether w is on its way to infinity, though it has not got there.
 *
 * @param {Run} run
 */
function isFlyingOff(run) {
  const { predict_before: before, predict_after: after } = run.result;
  const isOwn = run.method !== "external" && UNDER_WAY.has(run.status);
  return isFar(after, before) || (isOwn && isFar(run.last.w, run.params.w0 ?? 1));
}

/**
 * Whether a value is millions of times as large as the one it came from.
 *
 * @param {any} value
 * @param {any} from
 */
function isFar(value, from) {
  return Math.abs(value) > 1e6 * Math.max(1, Math.abs(from));
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
