// Visdom's windows in their frame, and the switches of their axes.

const frame = document.querySelector("#frame");
const curtain = document.querySelector("#curtain");
const axes = document.querySelector("#axes");
const alone = document.querySelector("#alone");

let url = null;
let state = null;

/** Show the windows, or say why they are not there. `visdom` is what the board tells of it. */
export function renderVisdom(visdom, { reload = false } = {}) {
  const isNew = visdom.url !== url || (visdom.state === "up" && state !== null && state !== "up");
  state = visdom.state;
  alone.href = visdom.url;
  if (state === "up" && (isNew || reload)) {
    url = visdom.url;
    load();
  } else if (state !== "up") {
    lower(visdom.error ?? "Visdom is starting…");
  }
}

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
  lower("Loading the curves…");
  if (pageInFrame()) {
    frame.contentWindow.location.replace(url); // setting src again would add to the browser's history
  } else {
    frame.src = url;
  }
}

frame.addEventListener("load", () => {
  const page = pageInFrame();
  if (!page) {
    raise(); // a Visdom elsewhere: it is shown as it is
    return;
  }
  if (!page.querySelector("#app")) {
    return; // not Visdom's page but one that waits for it and loads itself again
  }
  page.documentElement.classList.add("embedded"); // our style sheet for Visdom then hides its bar
  frame.contentWindow.addEventListener("pagehide", () => lower("Loading the curves…"));
  raise();
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

/** The curtain hides the frame while there is nothing to see in it. */
function lower(words) {
  curtain.textContent = words;
  frame.classList.remove("ready");
}

function raise() {
  if (url && state === "up") {
    curtain.textContent = "";
    frame.classList.add("ready");
  }
}
