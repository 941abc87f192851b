// Visdom's windows in their frame, and the switches of what they show.

const frame = document.querySelector("#frame");
const curtain = document.querySelector("#curtain");
const axes = document.querySelector("#axes");
const along = document.querySelector("#along");
const smoothing = document.querySelector("#smoothing");
const detail = document.querySelector("#detail");
const whole = document.querySelector("#whole");
const alone = document.querySelector("#alone");

const CHECK = 1000; // milliseconds between two looks at the frame
const PATIENCE = 4; // looks without windows after which the frame is loaded again

let url = null; // of the shared windows
let own = null; // of the windows of the run that is looked at by itself
let state = null;
let shown = null; // the url that was loaded into the frame
let looks = 0; // in a row that found no windows

/** Show the windows, or say why they are not there. `visdom` is what the board tells of it. */
export function renderVisdom(visdom) {
  ({ state, url } = visdom);
  if (state !== "up") {
    say([visdom.error, state === "starting" ? "Visdom is starting…" : ""].filter(Boolean).join(" "));
  } else if (shown !== wanted() || !isAlive()) {
    load();
  } else {
    say(""); // its page has found the new Visdom by itself, and kept the person's zoom
  }
  alone.href = wanted();
}

/** Show the own windows of a run, or with null those that all runs share. */
export function lookAt(run) {
  own = run && run.visdom.url;
  frame.title = run ? `Visdom: windows of ${run.name} #${run.number}` : "Visdom: loss, w and cost curve of the latest runs";
  if (url) {
    alone.href = wanted();
  }
  if (state === "up" && shown !== wanted()) {
    load();
  }
}

function wanted() {
  return own ?? url;
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
  makeRoom();
  looks = state === "up" && shown && !isAlive() ? looks + 1 : 0;
  if (looks >= PATIENCE) {
    looks = 0;
    load();
  }
}, CHECK);

/** Tell the style sheet how many windows there are: on a phone the frame is as high as they need. */
function makeRoom() {
  const count = pageInFrame()?.querySelectorAll(".react-grid-item").length ?? 0;
  const graphs = count && pageInFrame().querySelectorAll(".tracegraph").length; // of twice the height
  frame.style.setProperty("--windows", Math.max(3, count + graphs));
  frame.style.setProperty("--rows", Math.max(2, Math.ceil(count / 2) + graphs));
}

/** Set the switches as the board has them. */
export function renderBoard(board) {
  for (const box of axes.querySelectorAll("input")) {
    box.checked = board.axes[box.name] === "log";
  }
  along.value = board.x;
  if (![...smoothing.options].some(({ value }) => Number(value) === board.smoothing)) {
    smoothing.add(new Option(`${board.smoothing} steps`, board.smoothing)); // set by a script
  }
  smoothing.value = board.smoothing;
  whole.hidden = !board.detail;
  if (!detail.contains(document.activeElement)) {
    detail.from_step.value = board.detail?.from_step ?? "";
    detail.to_step.value = board.detail?.to_step ?? "";
  }
}

/** Call `change` with what a person switches: { axes: { loss: "log" } }, say. */
export function onBoardChange(change) {
  axes.addEventListener("change", ({ target }) => change({ axes: { [target.name]: target.checked ? "log" : "linear" } }));
  along.addEventListener("change", () => change({ x: along.value }));
  smoothing.addEventListener("change", () => change({ smoothing: Number(smoothing.value) }));
  detail.addEventListener("submit", (event) => {
    event.preventDefault();
    const steps = chosenSteps() ?? zoomedSteps();
    if (steps) {
      detail.contains(document.activeElement) && document.activeElement.blur();
      change({ detail: steps });
    } else {
      detail.from_step.focus();
    }
  });
  whole.addEventListener("click", () => {
    detail.reset();
    leaveZooms();
    change({ detail: null });
  });
}

/** The steps in the two fields; null if both are empty. */
function chosenSteps() {
  const [from, to] = [detail.from_step, detail.to_step];
  if (from.value === "" && to.value === "" && !from.validity.badInput && !to.validity.badInput) {
    return null;
  }
  const number = (field, otherwise) => field.value === "" && !field.validity.badInput ? otherwise : field.valueAsNumber;
  return { from_step: number(from, 0), to_step: number(to, Number.MAX_SAFE_INTEGER) };
}

/** The steps between which a person has zoomed in Loss or w; null where there is no zoom. */
function zoomedSteps() {
  for (const plot of along.value === "step" ? linePlots() : []) {
    const layout = plot._fullLayout;
    const axis = Object.values(layout).find((part) => part?._id?.startsWith?.("x") && part.range && !part.autorange);
    if (axis) {
      const steps = axis.type === "log" ? axis.range.map((power) => 10 ** power - 1) : axis.range;
      return { from_step: Math.ceil(steps[0]), to_step: Math.floor(steps[1]) };
    }
  }
  return null;
}

/**
 * Let Plotly choose the axes of Loss and w again. It keeps a zoom over new points, and one of all steps while those of
 * the detail, which have axes of their own, are shown.
 */
function leaveZooms() {
  for (const plot of linePlots()) {
    const [shown, kept] = [plot._fullLayout, plot.layout];
    const axes = Object.keys(kept).filter((name) => /^[xy]axis\d*$/.test(name));
    axes.filter((name) => !shown[name]).forEach((name) => delete kept[name]);
    const free = axes.filter((name) => shown[name]).map((name) => [`${name}.autorange`, true]);
    frame.contentWindow.Plotly.relayout(plot, Object.fromEntries(free));
  }
}

/** The plots of Loss and w, which have steps along them. */
function linePlots() {
  return [...(pageInFrame()?.querySelectorAll(".js-plotly-plot") ?? [])].slice(0, 2);
}

function load() {
  conceal();
  shown = wanted();
  if (pageInFrame()) {
    frame.contentWindow.location.replace(shown); // setting src again would add to the browser's history
  } else {
    frame.src = shown;
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
