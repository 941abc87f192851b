// Visdom's windows in their frame, and the switches of their axes.

const frame = document.querySelector("#frame");
const curtain = document.querySelector("#curtain");
const axes = document.querySelector("#axes");
const alone = document.querySelector("#alone");

const CHECK = 1000; // milliseconds between two looks at the frame
const PATIENCE = 4; // looks without windows after which the frame is loaded again

let url = null;
let state = null;
let shown = null; // the url that was loaded into the frame
let looks = 0; // in a row that found no windows

/** Show the windows, or say why they are not there. `visdom` is what the board tells of it. */
export function renderVisdom(visdom) {
  ({ state, url } = visdom);
  alone.href = url;
  if (state !== "up") {
    say([visdom.error, state === "starting" ? "Visdom is starting…" : ""].filter(Boolean).join(" "));
  } else if (shown !== url || !isAlive()) {
    load();
  } else {
    say(""); // its page has found the new Visdom by itself, and kept the person's zoom
  }
}

/** The board is gone: leave the last picture until it tells of its Visdom again. */
export function leaveVisdom() {
  state = null;
}

/** Whether there are windows in the frame, connected to Visdom. A Visdom elsewhere we cannot look into. */
function isAlive() {
  const page = pageInFrame();
  const has = (selector) => Boolean(page?.querySelector(selector));
  return isElsewhere() || (has(".btn-success, .btn-warning") && has(".react-grid-item"));
}

function isElsewhere() {
  return new URL(url, location).origin !== location.origin;
}

/** Visdom's page does not always find back by itself: when its websocket is closed for good, it stays offline. */
setInterval(() => {
  looks = state === "up" && shown && !isAlive() ? looks + 1 : 0;
  if (looks >= PATIENCE) {
    looks = 0;
    load();
  }
}, CHECK);

/** Set the switches as the board has them. */
export function renderAxes(scales) {
  for (const box of axes.querySelectorAll("input")) {
    box.checked = scales[box.name] === "log";
  }
}

/** Call `change` with the axes a person switches: { loss: "log" }. */
export function onAxisSwitch(change) {
  axes.addEventListener("change", ({ target }) => change({ [target.name]: target.checked ? "log" : "linear" }));
}

function load() {
  conceal();
  shown = url;
  if (pageInFrame()) {
    frame.contentWindow.location.replace(url); // setting src again would add to the browser's history
  } else {
    frame.src = url;
  }
}

frame.addEventListener("load", () => {
  if (!shown) {
    return; // the empty page that a frame begins with
  }
  const page = pageInFrame();
  if (isElsewhere()) {
    reveal();
  } else if (page?.querySelector("#app")) {
    page.documentElement.classList.add("embedded"); // our style sheet for Visdom then hides its bar
    frame.contentWindow.addEventListener("pagehide", conceal);
    reveal();
  } // else it is a page that waits for Visdom and loads itself again, or the browser's own, of no connection
});

/** The document in the frame; null before there is one, and where the browser does not let us see it. */
function pageInFrame() {
  try {
    const page = frame.contentDocument;
    return page && page.URL !== "about:blank" ? page : null;
  } catch {
    return null;
  }
}

/** Hide the frame while there is nothing to see in it but, for a moment, Visdom's bar. */
function conceal() {
  frame.classList.remove("ready");
  say("Loading the curves…");
}

function reveal() {
  frame.classList.add("ready");
  say("");
}

function say(words) {
  curtain.textContent = words;
}
