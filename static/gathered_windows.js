// In Visdom's page, before its own scripts: windows that the board sends together are taken in together. Visdom's page
// draws at once what came within 100 ms, and would cut a set of windows in two where that time ends in its middle.
// The board gives windows even versions while others of their set follow, and the last one an odd one.
// A window that is closed goes: Visdom's page would draw it again with those that came shortly before.

{
  const MAX_WAIT_MS = 1000; // for the rest of a set: it may have failed on its way to Visdom
  const FIRST_OF_MORE = /^\{"command": "window", "version": \d*[02468],/;

  const TAKEN_IN_MS = 150; // after which Visdom's page has drawn the windows that came
  const COMPLETE_MS = 3000; // after a new connection: by then the board has sent every window there is
  const COMMAND = /^\{"command": ?"(\w+)"/;
  const WINDOW_ID = /^\{"command": "window", "version": \d+, "id": ("(?:[^"\\]|\\.)*")/;

  /** @type {Map<string, number>} */
  const windows = new Map(); // the ids of those in this page, and when each came last

  window.WebSocket = class extends WebSocket {
    /** @type {MessageEvent[]} */
    #waiting = [];
    #timer = 0;
    /** @type {MessageEvent[]} */
    #due = [];
    #rest = 0; // a timer, while a message is not to be handed over yet
    #lastWindow = -Infinity; // when one was handed over
    /** @type {WebSocket["onmessage"]} */
    #handler = null;

    /** @param {ConstructorParameters<typeof WebSocket>} given */
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => this.#take(event));
    }

    /** @param {WebSocket["onmessage"]} handler */
    set onmessage(handler) {
      this.#handler = handler;
    }

    get onmessage() {
      return this.#handler;
    }

    /** @param {MessageEvent} event */
    #take(event) {
      this.#waiting.push(event);
      if (!FIRST_OF_MORE.test(event.data)) {
        this.#deliver();
      } else if (this.#waiting.length === 1) {
        this.#timer = setTimeout(() => this.#deliver(), MAX_WAIT_MS);
      }
    }

    #deliver() {
      clearTimeout(this.#timer);
      this.#due.push(...this.#waiting);
      this.#waiting = [];
      if (!this.#rest) {
        this.#hand();
      }
    }

    /** Hand over what is due, in order. What closes a window comes when those before it are drawn. */
    #hand() {
      this.#rest = 0;
      for (let event = this.#due.shift(); event; event = this.#due.shift()) {
        const [, command] = COMMAND.exec(event.data) ?? [];
        const wait = TAKEN_IN_MS - (performance.now() - this.#lastWindow);
        if (command === "close" && wait > 0) {
          this.#due.unshift(event);
          this.#rest = setTimeout(() => this.#hand(), wait);
          return;
        }
        this.#note(command, event.data);
        this.#handler?.(event);
        if (command === "close") {
          this.#rest = setTimeout(() => this.#hand()); // once the page is drawn without it
          return;
        }
      }
    }

    /**
     * @param {string | undefined} command
     * @param {string} data
     */
    #note(command, data) {
      if (command === "window") {
        this.#lastWindow = performance.now();
        windows.set(JSON.parse(WINDOW_ID.exec(data)?.[1] ?? '""'), this.#lastWindow);
      } else if (command === "close") {
        windows.delete(JSON.parse(data).data);
      } else if (command === "register") {
        setTimeout((/** @type {number} */ since) => this.#closeOlder(since), COMPLETE_MS, performance.now());
      }
    }

    /**
     * Close the windows that have not come since a new connection, if any has: they were closed while there was none.
     *
     * @param {number} since
     */
    #closeOlder(since) {
      const older = [...windows].filter(([, came]) => came < since).map(([id]) => id);
      if (older.length < windows.size) {
        const close = (/** @type {string} */ data) =>
          new MessageEvent("message", { data: JSON.stringify({ command: "close", data }) });
        this.#due.push(...older.map(close));
        if (!this.#rest) {
          this.#hand();
        }
      }
    }
  };

  /**
   * React changes texts first, and has plots drawn by a message to itself, a task later: between the two, texts and plots
   * would not agree. Such a message arrives at the end of the task in which it is sent.
   */
  class PromptChannel {
    port1 = { onmessage: /** @type {(event: { data: unknown }) => void} */ (() => {}) };
    port2 = { postMessage: (/** @type {unknown} */ data) => queueMicrotask(() => this.port1.onmessage({ data })) };
  }
  window.MessageChannel = /** @type {any} */ (PromptChannel);
}
