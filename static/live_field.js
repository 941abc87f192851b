// The field of a parameter that may be changed while a run goes on: a number, and a slider where it has both bounds.

import { make } from "./dom.js";
import { moveByKey, numberOr, takeNumbers } from "./fields.js";
import { numberIn } from "./numbers.js";
import { moveRateByKey } from "./rate_field.js";

const PLACES = 500; // of a slider
const LOGARITHMIC_FROM = 100; // what the upper bound is of the lower one: as a rule powers of ten count then
/** @type {Record<string, { label: string, title: string }>} */
const WELL_KNOWN = {
  lr: { label: "lr", title: "Learning rate" },
  steps_per_second: { label: "steps/s", title: "Steps per second, empty: as fast as it will" },
};

export class LiveField {
  /**
   * @param {string} param
   * @param {(value: number | null) => void} send
   * @param {(error: unknown) => void} refuse
   */
  constructor(param, send, refuse) {
    const { label, title } = WELL_KNOWN[param] ?? { label: param, title: param };
    this.label = label;
    this.title = title;
    /** @type {[number, number] | null} */
    this.bounds = null;
    this.isRate = param === "lr";
    this.isDragged = false;
    this.input = make("input", { name: param, title, placeholder: param === "steps_per_second" ? "full" : "" });
    takeNumbers(this.input);
    this.slider = make("input", { type: "range", className: "slider", max: String(PLACES), hidden: true, title });
    const children = param === "steps_per_second" ? [this.input, label] : [label, this.input];
    this.element = make("div", { className: `live ${param}` }, this.slider, make("label", {}, ...children));
    this.isWellKnown = param in WELL_KNOWN;
    const read = () => {
      try {
        send(numberIn(this.input.value) ?? null);
      } catch (error) {
        refuse(error);
      }
    };
    const set = (/** @type {number} */ value) => {
      this.input.value = String(value);
      this.moveSlider(value);
      read();
    };
    this.input.addEventListener("change", read);
    this.slider.addEventListener("input", () => set(this.valueAt(Number(this.slider.value))));
    this.input.addEventListener("keydown", (event) => this.move(event, set));
    this.slider.addEventListener("keydown", (event) => this.isRate && this.move(event, set));
    this.slider.addEventListener("pointerdown", () => (this.isDragged = true));
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      this.slider.addEventListener(kind, () => (this.isDragged = false));
    }
  }

  /**
   * Show the parameter as it is, unless it is being changed here.
   *
   * @param {unknown} value
   * @param {[unknown, unknown] | undefined} bounds null where there is none; undefined: its run does not name it
   * @param {string} runName
   */
  render(value, bounds, runName) {
    const [least, greatest] = bounds ?? [null, null];
    this.element.classList.toggle("rare", !bounds && !this.isWellKnown);
    this.bounds = typeof least === "number" && typeof greatest === "number" && least < greatest ? [least, greatest] : null;
    this.slider.hidden = !this.bounds;
    this.element.classList.toggle("bounded", Boolean(this.bounds));
    this.input.setAttribute("aria-label", `${this.title}, of ${runName}`);
    this.slider.setAttribute("aria-label", `${this.title} of ${runName}, from ${least} to ${greatest}`);
    if (this.input !== document.activeElement && !this.isDragged && !this.input.classList.contains("wrong")) {
      this.input.value = String(value ?? "");
      this.moveSlider(Number(value));
    }
  }

  /** @param {boolean} isWrong what was sent last */
  mark(isWrong) {
    this.input.classList.toggle("wrong", isWrong);
    if (isWrong) {
      this.input.setAttribute("aria-invalid", "true");
    } else {
      this.input.removeAttribute("aria-invalid");
    }
  }

  /**
   * @param {KeyboardEvent} event
   * @param {(value: number) => void} set
   */
  move(event, set) {
    if (this.isRate) {
      moveRateByKey(event, numberOr(NaN, this.input), set);
    } else {
      moveByKey(event);
    }
  }

  /** Whether the slider has powers of ten at equal distances. */
  get isLogarithmic() {
    return this.bounds !== null && this.bounds[0] > 0 && this.bounds[1] / this.bounds[0] >= LOGARITHMIC_FROM;
  }

  /** @param {number} value */
  moveSlider(value) {
    if (this.bounds && Number.isFinite(value)) {
      const [least, at, greatest] = [this.bounds[0], value, this.bounds[1]].map((one) => this.onScale(one));
      this.slider.value = String(Math.round((PLACES * (at - least)) / (greatest - least)));
      this.slider.setAttribute("aria-valuetext", String(value));
    }
  }

  /**
   * The value at a place of the slider, with as many digits as tell it from those beside it.
   *
   * @param {number} place
   */
  valueAt(place) {
    const [least, greatest] = this.bounds ?? [0, 1];
    if (place === 0 || place === PLACES) {
      return place ? greatest : least;
    }
    if (this.isLogarithmic) {
      return Number((least * (greatest / least) ** (place / PLACES)).toPrecision(2));
    }
    const step = (greatest - least) / PLACES;
    const value = least + place * step;
    const isWhole = Number.isInteger(least) && Number.isInteger(greatest) && greatest - least >= 10;
    return isWhole ? Math.round(value) : Number(value.toFixed(Math.max(0, Math.ceil(-Math.log10(step)))));
  }

  /** @param {number} value */
  onScale(value) {
    return this.isLogarithmic ? Math.log10(value) : value;
  }
}
