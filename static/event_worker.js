// The worker that all tabs of a browser share: it has the one stream of the board's events, and passes on what is told.
// A tab says now and then that it is there; it is passed over once it has been silent, frozen or gone, for long.

import { keepStream } from "./event_stream.js";

const SILENT_MS = 150_000; // a tab in the background comes to a word once a minute

const KEPT = new Set(["visdom", "board", "viewers", "state"]); // what is told as a whole: a tab that joins gets the last

/** @type {Map<MessagePort, number>} */
const tabs = new Map(); // and when each was heard last

/** @type {Map<string, string | undefined>} */
const told = new Map(); // what a tab that joins is to know: "opened" or "lost", and after "opened" the last of each kind

/** @type {(() => void) | null} */
let close = null; // the stream, while there are tabs

/** @type {any} */ (self).onconnect = (/** @type {MessageEvent} */ { ports: [port] }) => {
  port.onmessage = ({ data }) => (data === "leaving" ? remove(port) : hear(port));
};

/** @param {MessagePort} port */
function hear(port) {
  const isNew = !tabs.has(port);
  tabs.set(port, performance.now());
  port.postMessage({ kind: "here" });
  if (isNew) {
    told.forEach((data, kind) => port.postMessage({ kind, data }));
  }
  close ??= keepStream(tell);
}

/** @param {MessagePort} port */
function remove(port) {
  tabs.delete(port);
  if (!tabs.size) {
    close?.();
    close = null;
    told.clear();
  }
}

/**
 * @param {string} kind
 * @param {string} [data]
 */
function tell(kind, data) {
  if (kind === "opened" || kind === "lost") {
    told.clear();
    told.set(kind, data);
  } else if (KEPT.has(kind)) {
    told.set(kind, data);
  }
  const silent = [...tabs].filter(([, heard]) => performance.now() - heard > SILENT_MS);
  silent.forEach(([port]) => remove(port));
  tabs.forEach((_, port) => port.postMessage({ kind, data }));
}
