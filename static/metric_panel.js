// The panel of metrics: which of them have a window, in which order, and which one runs along the curves.

/** @import { State, View } from "./types.d.ts" */

import { api } from "./api.js";
import { find, make } from "./dom.js";
import { whole } from "./format.js";
import { state } from "./state.js";
import { changeView } from "./view.js";

const MAX_LISTED = 100; // of more, a search finds the others
const ALONG = "metric:"; // before the name of a metric in `x` of the view

const panel = find("#metrics", HTMLElement);
const opener = find("#metrics-open", HTMLButtonElement);
const search = find("#metrics-search", HTMLInputElement);
const count = find("#metrics-count", HTMLElement);
const list = find("#metrics-list", HTMLElement);

/** @type {{ shown: string[], others: string[] }} */
let metrics = { shown: [], others: [] }; // by the titles of their windows, in order
let fetched = ""; // what the metrics were fetched for
let listed = ""; // what the list was made from

opener.addEventListener("click", () => {
  panel.hidden = !panel.hidden;
  opener.setAttribute("aria-expanded", String(!panel.hidden));
  renderMetricPanel(state);
  if (!panel.hidden) {
    search.focus();
  }
});
panel.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") {
    panel.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  }
});
search.addEventListener("input", renderList);

/** @param {State} state */
export function renderMetricPanel({ view, selected }) {
  const isOurs = selected !== null && selected.method !== "external"; // whose windows are always the same
  const more = selected ? 0 : (view?.more_metrics ?? 0);
  opener.hidden = !view || isOurs;
  opener.textContent = more ? `${whole(more)} more metric${more === 1 ? "" : "s"}` : "Metrics";
  if (!view || isOurs || panel.hidden) {
    return;
  }
  const logged = Object.keys(selected?.last ?? {}).length;
  const wanted = JSON.stringify([view.metrics, view.windows, view.more_metrics, view.shown, selected?.id, logged]);
  if (wanted !== fetched) {
    fetched = wanted;
    fetchMetrics(wanted, selected?.id);
  }
  renderList();
}

/**
 * @param {string} wanted
 * @param {string} [run] the id of the selected run
 */
async function fetchMetrics(wanted, run) {
  const found = await api("GET", `/board/metrics${run ? `?run=${run}` : ""}`).catch(() => null);
  if (found && wanted === fetched) {
    metrics = found;
    renderList();
  }
}

function renderList() {
  const { view } = state;
  if (!view) {
    return;
  }
  const words = search.value.toLowerCase().split(/\s+/);
  const all = [...metrics.shown, ...metrics.others];
  const found = all.filter((title) => words.every((word) => title.toLowerCase().includes(word)));
  const wanted = JSON.stringify([metrics, view.metrics, view.x, Boolean(state.selected), search.value]);
  if (wanted === listed) {
    return;
  }
  listed = wanted;
  count.textContent = countText(found.length, all.length);
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.does : undefined;
  list.replaceChildren(...found.slice(0, MAX_LISTED).map((title) => rowOf(title, view)));
  if (focused) {
    [...list.querySelectorAll("button")].find(({ dataset }) => dataset.does === focused)?.focus();
  }
}

/**
 * @param {number} found
 * @param {number} all
 */
function countText(found, all) {
  const windows = `${whole(metrics.shown.length)} of ${whole(all)} have a window`;
  const matching = found === all ? windows : `${whole(found)} found; ${windows}`;
  return found > MAX_LISTED ? `${matching}. The first ${MAX_LISTED} are listed: search for others.` : `${matching}.`;
}

/**
 * @param {string} title
 * @param {View} view
 */
function rowOf(title, { metrics: chosen, x }) {
  const isShown = metrics.shown.includes(title);
  const [isPinned, isAlong] = [has(chosen.pinned, title), x === ALONG + title];
  const at = metrics.shown.indexOf(title);
  const buttons = [
    action(title, "Pin", () => change(title, isPinned ? "free" : "pin"), isPinned),
    action(title, isShown ? "Hide" : "Show", () => change(title, isShown ? "hide" : "pin")),
  ];
  if (isShown) {
    const [up, down] = [action(title, "↑", () => move(at, -1)), action(title, "↓", () => move(at, 1))];
    up.ariaLabel = `Move ${title} up`;
    down.ariaLabel = `Move ${title} down`;
    up.disabled = at === 0;
    down.disabled = at === metrics.shown.length - 1;
    buttons.push(up, down);
  }
  if (!state.selected) {
    buttons.push(action(title, "Along", () => changeView({ x: isAlong ? "step" : ALONG + title }), isAlong));
  }
  return make("li", { className: isShown ? "shown" : "" }, make("span", { className: "title", textContent: title }), ...buttons);
}

/**
 * A button of a metric's row.
 *
 * @param {string} title
 * @param {string} text
 * @param {() => void} act
 * @param {boolean} [isPressed]
 */
function action(title, text, act, isPressed) {
  const button = make("button", { className: "small", type: "button", textContent: text, onclick: act });
  button.ariaLabel = `${text} ${title}`;
  button.dataset.does = `${text} ${title}`;
  if (isPressed !== undefined) {
    button.setAttribute("aria-pressed", String(isPressed));
  }
  return button;
}

/**
 * @param {string} title
 * @param {"pin" | "free" | "hide"} what
 */
function change(title, what) {
  const { pinned, hidden, order } = /** @type {View} */ (state.view).metrics;
  const [others, shownOthers] = [without(pinned, title), without(hidden, title)];
  send({
    pinned: what === "pin" ? [...others, title] : others,
    hidden: what === "hide" ? [...shownOthers, title] : shownOthers,
    order,
  });
}

/**
 * Swap two neighbouring windows: from then on all that are shown now have their places.
 *
 * @param {number} at
 * @param {-1 | 1} by
 */
function move(at, by) {
  const order = [...metrics.shown];
  [order[at], order[at + by]] = [order[at + by], order[at]];
  send({ .../** @type {View} */ (state.view).metrics, order });
}

/** @param {View["metrics"]} wanted */
async function send(wanted) {
  await changeView({ metrics: wanted });
  fetched = ""; // what was fetched since may be from before it
  renderMetricPanel(state);
}

/**
 * @param {string[]} titles
 * @param {string} title
 */
function has(titles, title) {
  return titles.some((one) => one.toLowerCase() === title.toLowerCase());
}

/**
 * @param {string[]} titles
 * @param {string} title
 */
function without(titles, title) {
  return titles.filter((one) => one.toLowerCase() !== title.toLowerCase());
}
