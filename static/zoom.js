// A person's zoom in the shared windows: the steps in it, letting go of it, and what comes in outside of it.

import { find } from "./dom.js";
import { Offer } from "./offer.js";
import { state } from "./state.js";
import { pageInFrame } from "./visdom_frame.js";

const CHECK_INTERVAL_MS = 500; // between two looks at what lies outside of the zooms

const offer = new Offer(find("#zoom-offer", HTMLElement), find("#windows", HTMLElement));
let offered = ""; // the titles of the windows of which it is told

/** @type {WeakMap<any, Map<string, boolean>>} */
const known = new WeakMap(); // by plot: which curves there were when a person zoomed, and whether they ended in the zoom

/** The steps between which a person has zoomed in a metric, whose axis is of steps; null where there is no zoom. */
export function zoomedRange() {
  for (const plot of linePlots()) {
    const layout = Object.values(plot._fullLayout);
    const axis = layout.find((part) => part?._id?.startsWith?.("x") && part.range && !part.autorange);
    if (axis) {
      const stepAt = (/** @type {number} */ place) => (axis.type === "log" ? 10 ** place - 1 : place);
      const [from, to] = axis.range.map(stepAt);
      return { from_step: Math.ceil(from), to_step: Math.floor(to) };
    }
  }
  return null;
}

/** Let Plotly choose the axes of all metrics again. */
export function leaveZooms() {
  linePlots().forEach(leaveZoom);
}

/**
 * Let Plotly choose the axes of a plot again. It keeps a zoom over new points, and one of all steps while those of the
 * range, which have axes of their own, are shown.
 *
 * @param {any} plot
 */
function leaveZoom(plot) {
  const [shown, kept] = [plot._fullLayout, plot.layout];
  const axes = Object.keys(kept).filter((name) => /^[xy]axis\d*$/.test(name));
  axes.filter((name) => !shown[name]).forEach((name) => delete kept[name]);
  const free = axes.filter((name) => shown[name]).map((name) => [`${name}.autorange`, true]);
  plot.ownerDocument.defaultView.Plotly.relayout(plot, Object.fromEntries(free));
}

/**
 * The shared plots of metrics, which have steps along them.
 *
 * @returns {any[]}
 */
function linePlots() {
  return plots().filter(({ layout }) => layout?.lossboard?.metric !== undefined);
}

/**
 * The plots in the frame; their `data`, `layout`, `_fullLayout` and `on` are Plotly's.
 *
 * @returns {any[]}
 */
function plots() {
  return [...(pageInFrame()?.querySelectorAll(".js-plotly-plot") ?? [])];
}

// --- what comes in outside ---------------------------------------------------------------------------------------------

setInterval(() => {
  const hiding = state.selected ? [] : plots().filter((plot) => plot._fullLayout && hidesNews(plot));
  const titles = hiding.map(titleOf).join(" and ");
  if (titles !== offered) {
    offered = titles;
    if (titles) {
      const text = `${titles}: new points lie outside of your zoom.`;
      offer.make(text, "Show all", () => hiding.forEach(leaveZoom));
    } else {
      offer.withdraw();
    }
  }
}, CHECK_INTERVAL_MS);

/**
 * Whether a curve has begun outside of a person's zoom, or has left it. One that ended outside of it when the person
 * zoomed is left aside on purpose.
 *
 * @param {any} plot
 */
function hidesNews(plot) {
  const before = known.get(plot) ?? follow(plot);
  return isZoomed(plot) && [...endsInSight(plot)].some(([name, isInSight]) => !isInSight && before.get(name) !== false);
}

/**
 * Note the curves of a plot now, and again whenever a person zooms.
 *
 * @param {any} plot
 */
function follow(plot) {
  const note = () => {
    const ends = endsInSight(plot);
    known.set(plot, ends);
    return ends;
  };
  plot.on("plotly_relayout", (/** @type {object} */ changed) => {
    if (Object.keys(changed).some((name) => /axis\d*\.(range|autorange)/.test(name))) {
      note();
    }
  });
  return note();
}

/** @param {any} plot */
function isZoomed(plot) {
  return zoomedAxes(plot).length > 0;
}

/**
 * The axes, by their name in the layout, of which a person has chosen the range.
 *
 * @param {any} plot
 * @returns {string[]}
 */
function zoomedAxes({ layout, _fullLayout: shown }) {
  return Object.keys(shown).filter((name) => /^[xy]axis\d*$/.test(name) && layout[name]?.autorange === false);
}

/**
 * Whether the end of each curve lies within the axes that a person has zoomed, by the curve's name.
 *
 * @param {any} plot
 * @returns {Map<string, boolean>}
 */
function endsInSight(plot) {
  const zoomed = zoomedAxes(plot).map((name) => plot._fullLayout[name]);
  const curves = plot.data.filter((/** @type {any} */ { hoverinfo }) => hoverinfo !== "skip"); // no curves of the ground
  return new Map(curves.flatMap((/** @type {any} */ curve) => {
    const end = endOf(curve);
    return end ? [[curve.name, zoomed.every((axis) => isWithin(axis, axis._id.startsWith("x") ? end.x : end.y))]] : [];
  }));
}

/** @param {{ x?: (number | null)[], y?: (number | null)[] }} curve */
function endOf({ x = [], y = [] }) {
  const at = y.findLastIndex((value, place) => Number.isFinite(value) && Number.isFinite(x[place]));
  return at < 0 ? null : { x: Number(x[at]), y: Number(y[at]) };
}

/**
 * @param {any} axis one of plotly's
 * @param {number} value
 */
function isWithin({ type, range: [from, to] }, value) {
  const place = type === "log" ? Math.log10(value) : value;
  return Math.min(from, to) <= place && place <= Math.max(from, to);
}

/** @param {any} plot */
function titleOf(plot) {
  return plot.closest(".react-grid-item")?.querySelector(".bar > div.pull-right")?.textContent ?? "";
}
