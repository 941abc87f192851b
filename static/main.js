// The page: connects the store to the components that show it, and to the board's events that change it.

/** @import { State } from "./types.d.ts" */

import { renderStartOffer } from "./actions.js";
import { api } from "./api.js";
import { find } from "./dom.js";
import { follow } from "./events.js";
import { renderMethods } from "./form.js";
import { loadLessons } from "./lessons.js";
import { showError } from "./messages.js";
import { renderMetricPanel } from "./metric_panel.js";
import { renderMethodChoices } from "./race_form.js";
import { renderRanking } from "./ranking.js";
import { renderRight } from "./read_only.js";
import { renderRunList } from "./run_list.js";
import { loadRuns, receiveRemoved, receiveRuns } from "./runs.js";
import { renderTable } from "./runs_table.js";
import { renderSelectedRun } from "./selected_run.js";
import { renderSourceCode } from "./source_code.js";
import { subscribe, update } from "./state.js";
import { forgetTableRuns, receiveTableRuns } from "./table_data.js";
import { receiveView } from "./view.js";
import { renderViewControls } from "./view_controls.js";
import { renderVisdomFrame } from "./visdom_frame.js";

find("#not-started", HTMLElement).remove();
const connection = find("#connection", HTMLElement);

/** @param {State} state */
function renderConnection({ connected }) {
  connection.textContent = connected ? "" : "Connection lost, trying again…";
}

subscribe(
  renderConnection,
  renderRight,
  renderMethods,
  renderMethodChoices,
  renderStartOffer,
  renderRunList,
  renderRanking,
  renderViewControls,
  renderSelectedRun,
  renderVisdomFrame,
  renderMetricPanel,
  renderSourceCode,
  renderTable,
);

follow({
  async opened() {
    update({ connected: true });
    try {
      const { right } = await api("GET", "/health");
      update({ right });
      update({ methods: await api("GET", "/methods") });
      await Promise.all([loadRuns(), loadLessons()]);
      find("main", HTMLElement).dataset.ready = "true";
    } catch (error) {
      showError(error);
    }
  },
  lost: () => update({ connected: false, visdom: null }),
  runs(runs) {
    receiveRuns(runs);
    receiveTableRuns(runs);
  },
  removed({ ids }) {
    receiveRemoved(ids);
    forgetTableRuns(ids);
  },
  visdom: (visdom) => update({ visdom }),
  board: receiveView,
  state: (runState) => update({ runState }),
  viewers: ({ count }) => update({ viewers: count }),
});
