// Limits on how often a function is called.

/**
 * A function that calls `act`, with the last arguments, once it has not been called for so many milliseconds.
 *
 * @template {any[]} A
 * @param {number} milliseconds
 * @param {(...given: A) => void} act
 * @returns {(...given: A) => void}
 */
export function debounced(milliseconds, act) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds, ...given);
  };
}

/**
 * A function that calls `act` at once, but then again, with the last arguments, no sooner than after so many
 * milliseconds.
 *
 * @template {any[]} A
 * @param {number} milliseconds
 * @param {(...given: A) => void} act
 * @returns {(...given: A) => void}
 */
export function throttled(milliseconds, act) {
  /** @type {A | null} */
  let waiting = null;
  let isTiming = false;
  const next = () => {
    isTiming = false;
    if (waiting) {
      const given = waiting;
      waiting = null;
      isTiming = true;
      setTimeout(next, milliseconds);
      act(...given);
    }
  };
  return (...given) => {
    waiting = given;
    if (!isTiming) {
      next();
    }
  };
}
