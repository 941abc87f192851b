// The page's one store. Components are functions of it, called again after each change.

/** @import { Method, Run, RunsTable, State } from "./types.d.ts" */

/** @type {State} */
export const state = {
  connected: true,
  right: "owner",
  visdom: null,
  methods: [],
  method: null,
  runs: new Map(),
  total: 0,
  view: null,
  viewers: 0,
  selected: null,
  runState: null,
  table: {
    isOpen: false,
    search: "",
    error: "",
    sort: "",
    isDescending: false,
    offset: 0,
    items: [],
    total: 0,
    columns: [],
    known: null,
    selected: new Map(),
    isComparing: false,
  },
};

/** @type {((state: State) => void)[]} */
const renderers = [];
let isScheduled = false;

/**
 * Call these functions, in this order, with the state whenever it has changed.
 *
 * @param {...(state: State) => void} functions
 */
export function subscribe(...functions) {
  renderers.push(...functions);
}

/**
 * Change the state. The subscribers are called once for all changes of the same task.
 *
 * @param {Partial<State>} changes
 */
export function update(changes) {
  Object.assign(state, changes);
  if (!isScheduled) {
    isScheduled = true;
    queueMicrotask(notify);
  }
}

/**
 * Change the table of runs.
 *
 * @param {Partial<RunsTable>} changes
 */
export function updateTable(changes) {
  update({ table: { ...state.table, ...changes } });
}

function notify() {
  isScheduled = false;
  renderers.forEach((render) => render(state));
}

/**
 * The listed runs, newest first.
 *
 * @param {State} state
 */
export function newestFirst({ runs }) {
  return [...runs.values()].sort((a, b) => b.number - a.number);
}

/**
 * The method of a run; undefined for a script's.
 *
 * @param {State} state
 * @param {Run} run
 * @returns {Method | undefined}
 */
export function methodOf({ methods }, run) {
  return methods.find(({ name }) => name === run.method);
}
