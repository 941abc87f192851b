// Visdom's windows in their frame: loading them, and loading them again when they are lost.

/** @import { State, Visdom } from "./types.d.ts" */

import { onBoard } from "./address.js";
import { find } from "./dom.js";

const CHECK_INTERVAL_MS = 1000; // between two looks at whether the frame shows windows
const MAX_FAILED_CHECKS = 4; // in a row, after which the frame is loaded again

const frame = find("#frame", HTMLIFrameElement);
const curtain = find("#curtain", HTMLElement);
const alone = find("#alone", HTMLAnchorElement);

/** @type {Visdom | null} */
let visdom = null; // as rendered last
let sharedUrl = ""; // the address of the windows that all runs share
let wanted = ""; // the address that the frame should show
let loaded = ""; // the address that was loaded into it
let damage = ""; // of the selected run, in words: if its points cannot be read, it has no windows
let failedChecks = 0;

/** @param {State} state */
export function renderVisdomFrame({ visdom: current, selected }) {
  const isNews = current !== visdom;
  visdom = current;
  frame.title = selected
    ? `Visdom: windows of ${selected.name} #${selected.number}`
    : "Visdom: loss, w and cost curve of the latest runs";
  if (!visdom) {
    return; // the last picture stays until the board tells of its Visdom again
  }
  sharedUrl = onBoard(visdom.url);
  wanted = selected ? onBoard(selected.visdom.url) : sharedUrl;
  damage = selected?.damage ?? "";
  alone.href = wanted;
  if (visdom.state !== "up") {
    if (isNews) {
      showCurtain([visdom.error, visdom.state === "starting" ? "Visdom is starting…" : ""].filter(Boolean).join(" "));
    }
  } else if (loaded !== wanted || (isNews && !isAlive())) {
    load();
  } else if (isNews) {
    showCurtain(""); // Visdom's page has found the new server by itself, and kept the person's zoom
  }
}

/** Whether the frame shows windows that are connected to Visdom. A Visdom of another origin cannot be looked into. */
function isAlive() {
  const has = (/** @type {string} */ selector) => Boolean(pageInFrame()?.querySelector(selector));
  return isElsewhere() || (has(".btn-success, .btn-warning") && has(".react-grid-item"));
}

function isElsewhere() {
  return new URL(sharedUrl, location.href).origin !== location.origin;
}

/** Visdom's page does not always reconnect by itself: when its websocket is closed for good, it stays offline. */
setInterval(() => {
  passWindowCount();
  failedChecks = visdom?.state === "up" && loaded && !damage && !isAlive() ? failedChecks + 1 : 0;
  if (failedChecks >= MAX_FAILED_CHECKS) {
    failedChecks = 0;
    load();
  }
}, CHECK_INTERVAL_MS);

/** Tell the style sheet how many windows there are: on a phone the frame is as high as they need. */
function passWindowCount() {
  const count = pageInFrame()?.querySelectorAll(".react-grid-item").length ?? 0;
  const graphs = pageInFrame()?.querySelectorAll(".tracegraph").length ?? 0; // of twice the height
  frame.style.setProperty("--windows", String(Math.max(3, count + graphs)));
  frame.style.setProperty("--rows", String(Math.max(2, Math.ceil(count / 2) + graphs)));
}

/**
 * Which position of a run the windows show: that of the first plot, as all of them change together. Undefined where it
 * cannot be seen: before any is drawn, and in a Visdom of another origin.
 *
 * @param {string} run its id
 * @returns {number | null | undefined}
 */
export function shownPosition(run) {
  const plots = /** @type {any[]} */ ([...(pageInFrame()?.querySelectorAll(".js-plotly-plot") ?? [])]);
  return plots.map((plot) => plot.layout?.meta).find((meta) => meta?.run === run)?.position;
}

// --- loading ---------------------------------------------------------------------------------------------------------

function load() {
  conceal();
  loaded = wanted;
  if (frame.contentWindow && pageInFrame()) {
    frame.contentWindow.location.replace(loaded); // setting src again would add to the browser's history
  } else {
    frame.src = loaded;
  }
}

frame.addEventListener("load", () => {
  if (!loaded) {
    return; // the empty page that a frame begins with
  }
  const page = pageInFrame();
  if (isElsewhere()) {
    reveal();
  } else if (page?.querySelector("#app")) {
    page.documentElement.classList.add("embedded"); // the board's style sheet for Visdom then hides its bar
    frame.contentWindow?.addEventListener("pagehide", conceal);
    reveal();
  } else if (damage) {
    showCurtain(damage);
  } // else it is a page that waits for Visdom and loads itself again, or the browser's own, of no connection
});

/** The document in the frame; null before there is one, and where the browser denies access to it. */
export function pageInFrame() {
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
  showCurtain("Loading the curves…");
}

function reveal() {
  frame.classList.add("ready");
  showCurtain("");
}

/** @param {string} text */
function showCurtain(text) {
  curtain.textContent = text;
}
