// A stream of the board's events that is opened again, without end, when it is lost: the board may have been restarted.

import { onBoard } from "./address.js";

const RECONNECT_MS = 1000; // from the loss of the stream until it is opened again

const KINDS = ["runs", "removed", "visdom", "board", "viewers", "state"];

/**
 * Open a stream. Returns a function that closes it for good.
 *
 * @param {(kind: string, data?: string) => void} tell called with each event, and with "opened" and "lost"
 */
export function keepStream(tell) {
  /** @type {EventSource} */
  let stream;
  let timer = 0;

  function open() {
    stream = new EventSource(onBoard("/api/events"));
    stream.addEventListener("open", () => tell("opened"));
    stream.addEventListener("error", () => {
      // Not left to the browser, which waits longer and gives up after some errors.
      stream.close();
      timer = setTimeout(open, RECONNECT_MS);
      tell("lost");
    });
    for (const kind of KINDS) {
      stream.addEventListener(kind, ({ data }) => tell(kind, data));
    }
  }

  open();
  return () => {
    clearTimeout(timer);
    stream.close();
  };
}
