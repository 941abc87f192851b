// In Visdom's page, after its scripts: what plotly fails to draw costs one window. Its exception would end Visdom's page,
// which is one tree of React's, and with it all windows of everybody.

/** @typedef {{ react: Function, purge: Function }} PlotlyLibrary */

{
  const plotly = /** @type {{ Plotly: PlotlyLibrary }} */ (/** @type {any} */ (window)).Plotly;
  const { react } = plotly;

  /**
   * @param {HTMLElement | string} plot or its id
   * @param {object[]} data
   * @param {{ margin?: object, meta?: object, lossboard?: { place?: number }, font?: object }} layout
   * @param {object} config
   */
  plotly.react = (plot, data, layout, config) => {
    putInPlace(plot, layout.lossboard?.place);
    const say = (/** @type {unknown} */ error) => {
      plotly.purge(plot);
      return react(plot, [{ type: "scatter", x: [], y: [] }], words(layout, error), config);
    };
    try {
      return react(plot, data, layout, config).catch(say);
    } catch (error) {
      return say(error);
    } finally {
      tellPage();
    }
  };

  /**
   * Put a window where the board wants it: Visdom's page has windows in the order in which they were made.
   *
   * @param {HTMLElement | string} plot or its id
   * @param {number | undefined} place from 0
   */
  function putInPlace(plot, place) {
    const element = typeof plot === "string" ? document.getElementById(plot) : plot;
    const item = element?.closest(".react-grid-item");
    if (item instanceof HTMLElement && place !== undefined) {
      item.style.order = String(place);
      item.dataset.place = String(place);
    }
  }

  /** Tell the page around this one that a window is drawn, in the same task: what it says of it changes with it. */
  function tellPage() {
    try {
      window.parent.dispatchEvent(new Event("windowdrawn"));
    } catch {
      // a page of another origin has no bar of ours
    }
  }

  /**
   * The layout of a plot that says only what went wrong.
   *
   * @param {{ margin?: object, meta?: object, font?: object }} layout
   * @param {unknown} error
   */
  function words({ margin, meta, font }, error) {
    const why = String(error).replace(/[<&]/g, (letter) => (letter === "<" ? "&lt;" : "&amp;"));
    const place = { x: 0.5, y: 0.5, xref: "paper", yref: "paper", showarrow: false };
    return {
      margin,
      meta,
      font,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { visible: false },
      yaxis: { visible: false },
      annotations: [{ ...place, text: `This window cannot be drawn.<br>${why}` }],
    };
  }
}
