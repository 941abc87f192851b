// The field of the learning rate: a number, and a slider over its powers of ten that agrees with it.

/** @import { Field, Schema } from "./types.d.ts" */

import { make } from "./dom.js";
import { makeField, numberControl, numberOr } from "./fields.js";
import { figure } from "./format.js";
import { StabilityZones } from "./stability_zones.js";

const DECADES = 5; // of the slider; the number may be outside of them
const LOW = -4; // the power of ten at the slider's beginning, unless the data need another
const LOW_BELOW_SCALE = 3; // decades from there to that of the rates that matter
const SUITS = { from: 1.5, to: 4.5 }; // where on the slider those may lie: it is moved no sooner
const HIGHEST = 3; // lr is at most 1000
const DIGITS = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]; // of the round rates in each decade

/**
 * @param {string} name
 * @param {Schema} schema
 * @returns {Field}
 */
export function rateField(name, schema) {
  const { input, read, write } = numberControl(schema);
  const slider = make("input", { type: "range", className: "slider", step: "any" });
  slider.setAttribute("aria-label", `${schema.title ?? name}, on a logarithmic scale`);
  const ticks = make("div", { className: "ticks" });
  ticks.setAttribute("aria-hidden", "true");
  const zones = new StabilityZones(slider, `field-${name}-theory`);
  // an empty field is the default, and what is half typed (1e-) no number yet
  const rate = () => numberOr(schema.default, input);
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
    setRate(roundRate(Number(slider.value), slider));
  });
  for (const element of [slider, input]) {
    element.addEventListener("keydown", (event) => moveRateByKey(event, rate(), setRate));
  }
  const setRange = (/** @type {number} */ low) => {
    slider.min = String(low);
    slider.max = String(low + DECADES);
    ticks.replaceChildren(...makeTicks(low));
    moveSlider();
  };
  setRange(LOW);
  fitRange(slider, zones, setRange);
  const field = makeField(name, schema, {
    input,
    read,
    write: (value) => {
      write(value);
      moveSlider();
    },
    extra: [slider, ticks, zones.element],
  });
  field.element.classList.add("rate");
  slider.setAttribute("aria-describedby", zones.sentence.id);
  input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby")} ${zones.sentence.id}`);
  return { ...field, zones };
}

/**
 * Let the slider's range follow what theory says of the data. Not while the slider is dragged: its thumb would leave
 * the pointer.
 *
 * @param {HTMLInputElement} slider
 * @param {StabilityZones} zones
 * @param {(low: number) => void} setRange
 */
function fitRange(slider, zones, setRange) {
  let isDragged = false;
  let wanted = LOW;
  const fit = () => {
    if (!isDragged && Number(slider.min) !== wanted) {
      setRange(wanted);
      zones.paint();
    }
  };
  zones.whenKnown = ({ lr_scale: scale }) => {
    wanted = lowFor(scale);
    fit();
  };
  slider.addEventListener("pointerdown", () => {
    isDragged = true;
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
    slider.addEventListener(kind, () => {
      isDragged = false;
      fit();
    });
  }
}

/**
 * The power of ten at which the slider is to begin.
 *
 * @param {number | null} scale about where the rates that matter lie
 */
function lowFor(scale) {
  const place = Math.log10(scale ?? NaN) - LOW;
  if (!Number.isFinite(place) || (place >= SUITS.from && place <= SUITS.to)) {
    return LOW;
  }
  return Math.min(Math.floor(LOW + place) - LOW_BELOW_SCALE, HIGHEST - DECADES);
}

/**
 * The round rate on a slider that is nearest to a power of ten.
 *
 * @param {number} power
 * @param {HTMLInputElement} slider
 */
function roundRate(power, { min, max }) {
  const distance = (/** @type {number} */ rate) => Math.abs(Math.log10(rate) - power);
  const isOn = (/** @type {number} */ rate) => Math.log10(rate) <= Number(max) && Math.log10(rate) >= Number(min);
  const on = ratesAround(power).filter(isOn);
  return on.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best));
}

/**
 * The round rates of a decade and of its neighbours, ascending.
 *
 * @param {number} power of ten in that decade
 */
function ratesAround(power) {
  const decade = Math.floor(power);
  return [decade - 1, decade, decade + 1].flatMap((one) => DIGITS.map((digit) => Number(`${digit}e${one}`)));
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
  const rates = rate > 0 ? ratesAround(Math.log10(rate)) : [];
  let next;
  if (isUp) {
    next = rates.find((one) => one > rate + near);
  } else if (isDown) {
    next = rates.findLast((one) => one < rate - near);
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    next = Number((rate * (event.key === "PageUp" ? 10 : 0.1)).toPrecision(12));
  } else {
    return;
  }
  event.preventDefault();
  if (next !== undefined && next > 0 && Number.isFinite(next)) {
    setRate(next);
  }
}

/** @param {number} low the power of ten at the slider's beginning */
function makeTicks(low) {
  return Array.from({ length: DECADES + 1 }, (_, at) => {
    return make("span", {}, make("span", { textContent: figure(Number(`1e${low + at}`)) }));
  });
}
