// Doing something not too often.

/** Call `act` with the last arguments, once nothing has asked for it for so many milliseconds. */
export function debounced(milliseconds, act) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds, ...given);
  };
}

/** Call `act` at once, but then again no sooner than after so many milliseconds, with the last arguments. */
export function throttled(milliseconds, act) {
  let waiting = null;
  let timer = null;
  const next = () => {
    timer = null;
    if (waiting) {
      const given = waiting;
      waiting = null;
      timer = setTimeout(next, milliseconds);
      act(...given);
    }
  };
  return (...given) => {
    waiting = given;
    if (timer === null) {
      next();
    }
  };
}
