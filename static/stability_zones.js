// What theory says of the learning rates along the slider: coloured zones, their names, and a sentence.

/** @import { Stability, Zone } from "./types.d.ts" */

import { api } from "./api.js";
import { make } from "./dom.js";
import { figure } from "./format.js";
import { state } from "./state.js";
import { debounced } from "./timing.js";

const FETCH_DELAY_MS = 200; // without a change, after which theory is asked
const THUMB_RADIUS_PX = 9; // the slider's thumb never leaves the track
/** @type {Record<string, string>} */
const MEANINGS = {
  slow: "a step takes away less than 1 % of the distance",
  good: "every step comes closer and none overshoots",
  oscillating: "steps overshoot, but still come closer",
  diverging: "steps land further and further away",
};

/** @typedef {{ method: string, params: Record<string, any>, data: Record<string, any> }} Setting */

export class StabilityZones {
  /**
   * @param {HTMLInputElement} slider over powers of ten, from its min to its max
   * @param {string} id of the sentence
   */
  constructor(slider, id) {
    this.slider = slider;
    /** @type {Zone[]} */
    this.zones = [];
    this.rate = NaN;
    /** @type {(theory: Stability) => void} */
    this.whenKnown = () => {}; // called with what theory says, before it is shown
    this.asked = "";
    /** @type {Map<string, HTMLElement>} */
    this.names = new Map();
    for (const name of Object.keys(MEANINGS)) {
      const element = make("span", { className: "zone", textContent: name });
      element.dataset.zone = name;
      this.names.set(name, element);
    }
    this.legend = make("p", { className: "legend", hidden: true }, ...this.names.values());
    this.legend.setAttribute("aria-hidden", "true"); // the slider's own text says in which zone it is
    this.sentence = make("p", { id, className: "theory" });
    this.element = make("div", { className: "zones" }, this.legend, this.sentence);
    this.fetchLater = debounced(FETCH_DELAY_MS, (/** @type {Setting | null} */ setting) => this.fetch(setting));
  }

  /**
   * Fetch and show what theory says of a setting; a response that was overtaken is dropped.
   *
   * @param {Setting | null} setting null where it cannot be read
   */
  async fetch(setting) {
    const asked = JSON.stringify(setting);
    if (asked === this.asked) {
      return;
    }
    this.asked = asked;
    /** @type {Stability | null} */
    let theory = null;
    let isAnswered = true;
    if (setting && state.right === "owner") {
      const { method, ...rest } = setting;
      try {
        theory = await api("POST", `/methods/${method}/stability`, rest);
      } catch {
        isAnswered = false; // what is wrong with the setting is said when it is started
      }
    }
    if (asked === this.asked) {
      this.asked = isAnswered ? asked : ""; // the board may have been away: the same is asked again
      this.render(theory);
    }
  }

  /** @param {Stability | null} theory */
  render(theory) {
    this.zones = theory?.zones ?? [];
    if (theory) {
      this.whenKnown(theory);
    }
    this.legend.hidden = !this.zones.length;
    this.sentence.textContent = theory ? sentenceOf(theory) : "";
    this.sentence.title = theory?.note ?? "";
    this.paint();
    for (const [name, element] of this.names) {
      const ranges = this.zones.filter((zone) => zone.name === name).map(({ from, to }) => rangeOf(from, to));
      element.hidden = !ranges.length;
      element.title = `${name}: ${ranges.join(", ")}; ${MEANINGS[name]}`;
    }
    this.mark(this.rate);
  }

  /** Draw the zones along the slider. */
  paint() {
    this.slider.style.setProperty("--zones", this.zones.length ? this.gradient() : "var(--edge)");
    this.slider.classList.toggle("zoned", this.zones.length > 0);
  }

  /**
   * Show in which zone a learning rate is.
   *
   * @param {number} rate
   */
  mark(rate) {
    this.rate = rate;
    const here = this.zones.find(({ from, to }) => rate >= from && (to === null || rate < to))?.name;
    this.names.forEach((element, name) => element.classList.toggle("here", name === here));
    this.slider.setAttribute("aria-valuetext", here ? `${rate}, ${here}` : String(rate));
  }

  /** The zones side by side, as a background of the track. */
  gradient() {
    const stops = this.zones.map(({ name, from, to }) => {
      return `var(--zone-${name}) ${this.place(from)} ${this.place(to ?? Infinity)}`;
    });
    return `linear-gradient(to right, ${stops.join(", ")})`;
  }

  /**
   * Where the middle of the thumb is at a learning rate, as a CSS length.
   *
   * @param {number} rate
   */
  place(rate) {
    const [low, high] = [Number(this.slider.min), Number(this.slider.max)];
    const part = (Math.log10(rate) - low) / (high - low);
    if (part <= 0) {
      return "0px";
    }
    return part >= 1 ? "100%" : `calc(${THUMB_RADIUS_PX}px + (100% - ${2 * THUMB_RADIUS_PX}px) * ${part.toFixed(4)})`;
  }
}

/**
 * "Converges below 2/λ = 0.214, fastest at 0.107.", or why there is no such number.
 *
 * @param {Stability} stability
 */
function sentenceOf({ curvature, shallowest, lr_limit: limit, lr_best: best, note }) {
  if (limit === null) {
    return note;
  }
  const hasOneCurvature = Math.abs(limit * curvature - 2) < 1e-9;
  // with more curvatures than one, what is best along the steepest is not best along the others
  const isBest = hasOneCurvature && shallowest === null;
  const [bound, how] = [hasOneCurvature ? "2/λ = " : "", isBest ? "fastest at" : "overshoots from"];
  return `Converges below ${bound}${short(limit)}, ${how} ${short(best)}.`;
}

/**
 * @param {number} from
 * @param {number | null} to
 */
function rangeOf(from, to) {
  if (to === null) {
    return `from ${short(from)} on`;
  }
  return from ? `${short(from)} to ${short(to)}` : `below ${short(to)}`;
}

/** @param {number} value */
function short(value) {
  return figure(Number(value.toPrecision(3)));
}
