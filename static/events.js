// The board's events, for all tabs of a browser out of one stream: a browser opens six connections to a host at most, and
// a stream holds one of them. The stream is in a worker that the tabs share; without one, a tab has its own stream.

/** @import { Run, RunState, View, Visdom } from "./types.d.ts" */

import { onBoard } from "./address.js";
import { tellAnswer } from "./api.js";
import { keepStream } from "./event_stream.js";

const ASK_INTERVAL_MS = 2000; // between two questions to the worker whether it is there
const MAX_UNANSWERED = 2; // after which the worker is taken for dead, and connected to anew
const MAX_ATTEMPTS = 3; // to connect in a row, after which the tab opens a stream of its own

/**
 * Follow the board's events.
 *
 * @param {{
 *   opened: () => void, lost: () => void, runs: (runs: Run[]) => void, removed: (removed: { ids: string[] }) => void,
 *   visdom: (visdom: Visdom) => void, board: (view: View) => void, viewers: (viewers: { count: number }) => void,
 *   state: (state: RunState | null) => void,
 * }} handlers one for each kind of event, and for the stream itself
 */
export function follow(handlers) {
  const byKind = /** @type {Record<string, (content: any) => void>} */ (handlers);
  const take = (/** @type {string} */ kind, /** @type {string | undefined} */ data) => {
    if (kind === "opened") {
      tellAnswer();
    }
    byKind[kind](data === undefined ? undefined : JSON.parse(data));
  };
  if ("SharedWorker" in window) {
    new SharedStream(take).connect();
  } else {
    keepStream(take);
  }
}

/** One tab's connection to the worker with the stream. */
class SharedStream {
  /** @type {MessagePort | null} */
  #port = null;
  #unanswered = 0;
  #attempts = 0;
  #timer = 0;
  #hasGivenUp = false;
  #take;

  /** @param {(kind: string, data?: string) => void} take */
  constructor(take) {
    this.#take = take;
    addEventListener("pagehide", () => this.#port?.postMessage("leaving"));
    addEventListener("pageshow", ({ persisted }) => persisted && this.#port && this.connect()); // it missed events
  }

  connect() {
    clearInterval(this.#timer);
    this.#port?.close();
    this.#unanswered = 0;
    this.#attempts += 1;
    try {
      const worker = new SharedWorker(onBoard("/event_worker.js"), { type: "module" });
      worker.addEventListener("error", () => this.#giveUp());
      this.#port = worker.port;
    } catch { // a browser may forbid it
      this.#giveUp();
      return;
    }
    this.#port.onmessage = ({ data: { kind, data } }) => {
      this.#unanswered = 0;
      this.#attempts = 0;
      if (kind !== "here") {
        this.#take(kind, data);
      }
    };
    this.#timer = setInterval(() => this.#ask(), ASK_INTERVAL_MS);
    this.#ask();
  }

  #ask() {
    if (this.#unanswered < MAX_UNANSWERED) {
      this.#unanswered += 1;
      this.#port?.postMessage("here");
    } else if (this.#attempts < MAX_ATTEMPTS) {
      this.connect();
    } else {
      this.#giveUp();
    }
  }

  /** Open a stream of the tab's own. */
  #giveUp() {
    if (this.#hasGivenUp) {
      return;
    }
    this.#hasGivenUp = true;
    clearInterval(this.#timer);
    this.#port?.postMessage("leaving");
    this.#port?.close();
    this.#port = null;
    keepStream(this.#take);
  }
}
