// The page's one state, and what changes it: the board's events and the person in front of it.

import { api, follow } from "./api.js";
import { chosenMethod, fillForm, renderMessage, renderMethods, setUpForm } from "./form.js";
import { nameOf, statusOf, UNDER_WAY, explanationOf } from "./format.js";
import { loadLessons, setUpLessons } from "./lessons.js";
import { renderLook, renderLooked, setUpLook, showLook } from "./look.js";
import { renderChoices, renderRanking, setUpRace } from "./race.js";
import { renderRuns } from "./runs.js";
import { renderSource } from "./source.js";
import { leaveVisdom, lookAt, onBoardChange, renderBoard, renderVisdom } from "./windows.js";

const PAGE = 50; // runs fetched at once
const MOST = 1000; // runs that the API gives at once
const MANY = 1000; // samples beyond which data is not put into a text field

const state = {
  runs: new Map(), // id -> Run; the newest ones, without gaps
  total: 0, // runs that the board has
  methods: [],
  board: null, // what belongs to everyone, as it was told last
  looked: null, // the run that everyone looks at by itself
  changing: 0, // changes of the board that this page has asked for and that are not answered yet
  behind: false, // whether events told of the board meanwhile, from before those changes or from after
  asked: 0, // how often the board was asked, changed or heard of: an answer that is overtaken is dropped
  waiting: null, // events that came while the list was fetched; null while it is not
};

const connection = document.querySelector("#connection");
const announcer = document.querySelector("#announcer");

const actions = {
  stop: (run) => steer(run, "stop"),
  pause: (run) => steer(run, "pause"),
  resume: (run) => steer(run, "resume"),
  step: (run) => steer(run, "step", { steps: 1 }),
  change: async (run, params) => keep(await api("PATCH", `/runs/${run.id}`, { params })),
  liveOf: (run) => methodOf(run)?.live ?? Object.keys(run.params).filter((name) => typeof run.params[name] === "number"),
  look: async (run) => {
    await changeBoard({ run: run.id });
    showLook();
  },
  remove: (run) => attempt(async () => {
    await api("DELETE", `/runs/${run.id}`);
    forget([run.id]);
    announce(`${nameOf(run)} deleted.`);
  }),
  reuse: (run) => attempt(async () => {
    const data = await api("GET", `/runs/${run.id}/data`);
    fillForm(run, data.x.length <= MANY ? data : null);
    renderMessage(data.x.length <= MANY ? "" : `Its ${data.x.length} samples are too many for x and y, which stay as they are.`);
    document.querySelector("#start").focus();
  }),
};

setUpForm(start, renderCode);
setUpRace(startRace, actions);
setUpLessons(startAndLook);
setUpLook(changeBoard);
onBoardChange(changeBoard);

follow({
  async opened() {
    connection.textContent = "";
    try {
      state.methods = await api("GET", "/methods");
      renderMethods(state.methods);
      renderChoices(state.methods);
      await Promise.all([loadRuns(), loadLessons()]);
      document.querySelector("main").dataset.ready = "true";
    } catch (error) {
      renderMessage(error.message);
    }
  },
  lost() {
    leaveVisdom();
    connection.textContent = "Connection lost, trying again…";
  },
  runs: (runs) => later(() => runs.forEach(keep)),
  removed: ({ ids }) => later(() => forget(ids)),
  visdom: renderVisdom,
  board: hearOfBoard,
});

document.querySelector("#older").addEventListener("click", () => attempt(loadOlder));

/** What events tell while a change is under way may be from before it, and a switch would jump back and forth. */
function hearOfBoard(board) {
  if (state.changing) {
    state.behind = true;
    return;
  }
  state.behind = false;
  state.asked += 1;
  showBoard(board);
}

/** Change what belongs to everyone. The answer is all of it; it is asked for again if others may have changed it since. */
function changeBoard(change) {
  return attempt(async () => {
    state.changing += 1;
    state.asked += 1;
    let board = null;
    try {
      board = await api("PATCH", "/board", change);
    } finally {
      state.changing -= 1;
      if (!state.changing) {
        await (board && !state.behind ? showBoard(board) : askForBoard()); // refused: as it still is
      }
    }
  });
}

async function askForBoard() {
  state.asked += 1;
  const turn = state.asked;
  const board = await api("GET", "/board");
  if (turn === state.asked) {
    state.behind = false;
    await showBoard(board);
  }
}

/** Show what belongs to everyone: the switches, and the run that is looked at by itself. */
async function showBoard(board) {
  state.board = board;
  renderBoard(board);
  if (state.looked?.id !== (board.run ?? undefined)) {
    const looked = board.run && (state.runs.get(board.run) ?? (await api("GET", `/runs/${board.run}`).catch(() => null)));
    if (board !== state.board) {
      return; // another run was chosen meanwhile
    }
    state.looked = looked;
  }
  lookAt(state.looked);
  renderLook(board, state.looked);
  renderCode();
  render();
}

/** The code of the run that is looked at, or else of what the form would start. */
function renderCode() {
  renderSource((state.looked && methodOf(state.looked)) || chosenMethod());
}

function methodOf(run) {
  return state.methods.find(({ name }) => name === run.method);
}

function steer(run, how, body) {
  return attempt(async () => keep(await api("POST", `/runs/${run.id}/${how}`, body)));
}

/** Fetch as many of the newest runs as are shown; what events tell in the meantime is newer. */
async function loadRuns() {
  const waiting = [];
  state.waiting = waiting;
  try {
    const { items, total } = await api("GET", `/runs?limit=${Math.min(MOST, Math.max(PAGE, state.runs.size))}`);
    if (waiting === state.waiting) {
      state.runs = new Map(items.map((run) => [run.id, run]));
      state.total = total;
    }
  } finally {
    if (waiting === state.waiting) { // else the runs are being fetched again, and that answer is newer than all this
      state.waiting = null;
      waiting.forEach((change) => change());
      render();
    }
  }
}

async function loadOlder() {
  const { items, total } = await api("GET", `/runs?limit=${PAGE}&offset=${state.runs.size}`);
  items.forEach((run) => state.runs.set(run.id, run));
  state.total = total;
  render();
}

async function start(request) {
  await create(request);
  await turnTo(null);
}

async function startAndLook(request) {
  const run = await create(request);
  await turnTo(run.id);
}

async function create(request) {
  const run = await api("POST", "/runs", request);
  keep(run);
  announce(`${nameOf(run)} started.`);
  document.querySelector("#runs").firstElementChild?.scrollIntoView({ block: "nearest" });
  return run;
}

/** While a run is looked at by itself, nothing can be seen of what is started: look at the new run, or at all (null). */
async function turnTo(run) {
  if ((state.board?.run ?? null) !== run) {
    await changeBoard({ run });
  }
}

async function startRace(request) {
  const { group, runs } = await api("POST", "/races", request);
  runs.forEach(keep);
  announce(`${group} started: ${runs.length} runs.`);
  document.querySelector("#ranking").scrollIntoView({ block: "nearest" });
  await turnTo(null);
}

function later(change) {
  if (state.waiting) {
    state.waiting.push(change);
  } else {
    change();
    render();
  }
}

/** Take a run as it is now; an answer that was overtaken by an event does not make it younger. */
function keep(run) {
  const known = state.runs.get(run.id);
  if (!known) {
    const isOlder = state.runs.size && [...state.runs.values()].every(({ number }) => run.number < number);
    if (isOlder && state.total > state.runs.size) {
      return; // it is further down than the list goes
    }
    state.total += 1;
  } else if (!UNDER_WAY.has(known.status) && UNDER_WAY.has(run.status) && run.method !== "external") {
    return;
  } else if (known.status !== run.status && !UNDER_WAY.has(run.status)) {
    announce(`${nameOf(run)}: ${statusOf(run)}. ${explanationOf(run)} ${run.why ?? ""}`.trimEnd());
  }
  state.runs.set(run.id, run);
  if (run.id === state.looked?.id) {
    state.looked = run;
    renderLooked(run);
  }
  render();
}

/**
 * Take deleted runs off the list. If one was not on it, only the board knows whether it is still counted; and a list
 * that has become empty has room for older ones.
 */
function forget(ids) {
  const listed = ids.filter((id) => state.runs.delete(id));
  state.total -= listed.length;
  if (listed.length < ids.length || (!state.runs.size && state.total)) {
    loadRuns().catch((error) => renderMessage(error.message));
  }
  render();
}

let drawing = false;

/** Draw the list, once for all that changed at the same time. */
function render() {
  if (!drawing) {
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      const newestFirst = [...state.runs.values()].sort((a, b) => b.number - a.number);
      renderRuns(newestFirst, state.total, actions, state.looked);
      renderRanking(newestFirst);
    });
  }
}

function announce(words) {
  announcer.textContent = words;
}

/** Do something that the board may refuse, and say so if it does. */
async function attempt(something) {
  try {
    renderMessage();
    await something();
  } catch (error) {
    renderMessage(error.message);
  }
}
