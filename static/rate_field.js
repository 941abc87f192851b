// The field of the learning rate: a number, and a slider over its powers of ten that agrees with it.

/** @import { Field, Schema } from "./types.d.ts" */

import { make } from "./dom.js";
import { makeField, numberControl } from "./fields.js";
import { StabilityZones } from "./stability_zones.js";

const MIN_POWER = -4; // powers of ten between which the slider moves; the number may be outside of them
const MAX_POWER = 1;
const POWERS = Array.from({ length: MAX_POWER - MIN_POWER + 1 }, (_, at) => MIN_POWER + at);
const DIGITS = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]; // of the round rates in each decade
const ROUND_RATES = POWERS.flatMap((power) => DIGITS.map((digit) => Number(`${digit}e${power}`)));

/**
 * @param {string} name
 * @param {Schema} schema
 * @returns {Field}
 */
export function rateField(name, schema) {
  const { input, read, write } = numberControl(schema);
  const limits = { min: String(MIN_POWER), max: String(MAX_POWER), step: "any" };
  const slider = make("input", { type: "range", className: "slider", ...limits });
  slider.setAttribute("aria-label", `${schema.title ?? name}, on a logarithmic scale`);
  const zones = new StabilityZones(slider, `field-${name}-theory`);
  // an empty field is the default, and what is half typed (1e-) no number yet
  const rate = () => (input.validity.badInput ? NaN : Number(input.value || schema.default));
  const moveSlider = () => {
    if (rate() > 0) {
      slider.value = String(Math.log10(rate()));
      zones.mark(rate());
    }
  };
  const setRate = (/** @type {number} */ value) => {
    input.value = String(value);
    moveSlider();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  input.addEventListener("input", moveSlider);
  slider.addEventListener("input", (event) => {
    event.stopPropagation(); // the number's own event tells of the change
    setRate(roundRate(Number(slider.value)));
  });
  for (const element of [slider, input]) {
    element.addEventListener("keydown", (event) => moveRateByKey(event, rate(), setRate));
  }
  const field = makeField(name, schema, {
    input,
    read,
    write: (value) => {
      write(value);
      moveSlider();
    },
    extra: [slider, makeTicks(), zones.element],
  });
  field.element.classList.add("rate");
  slider.setAttribute("aria-describedby", zones.sentence.id);
  input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby")} ${zones.sentence.id}`);
  return { ...field, zones };
}

/**
 * The round rate nearest to a power of ten.
 *
 * @param {number} power
 */
function roundRate(power) {
  const distance = (/** @type {number} */ rate) => Math.abs(Math.log10(rate) - power);
  const inside = ROUND_RATES.filter((rate) => Math.log10(rate) <= MAX_POWER);
  return inside.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best));
}

/**
 * Arrows go to the next round rate, Page Up and Page Down a decade on: the fixed steps that fields have are of no use
 * on a logarithmic scale.
 *
 * @param {KeyboardEvent} event
 * @param {number} rate as it is
 * @param {(rate: number) => void} setRate
 */
export function moveRateByKey(event, rate, setRate) {
  const isSlider = event.target instanceof HTMLInputElement && event.target.type === "range";
  const isUp = event.key === "ArrowUp" || (isSlider && event.key === "ArrowRight");
  const isDown = event.key === "ArrowDown" || (isSlider && event.key === "ArrowLeft");
  const near = 1e-9 * rate;
  let next;
  if (isUp) {
    next = ROUND_RATES.find((one) => one > rate + near);
  } else if (isDown) {
    next = ROUND_RATES.findLast((one) => one < rate - near);
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    next = Number((rate * (event.key === "PageUp" ? 10 : 0.1)).toPrecision(12));
  } else {
    return;
  }
  event.preventDefault();
  if (next !== undefined && next > 0) {
    setRate(next);
  }
}

function makeTicks() {
  const marks = POWERS.map((power) => make("span", {}, make("span", { textContent: String(Number(`1e${power}`)) })));
  const row = make("div", { className: "ticks" }, ...marks);
  row.setAttribute("aria-hidden", "true");
  return row;
}
